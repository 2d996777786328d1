//! The pipeline of the demo: a process of its own, `tailwater run shop.toml`, so that it can be killed like one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tailwater_core::{Error, Result};
use tokio::process::{Child, Command};

const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A running `tailwater run`. Dropping it kills it.
pub(super) struct Pipeline {
    file: PathBuf,
    log: PathBuf,
    process: Child,
}

impl Pipeline {
    /// Starts the pipeline of `file`; its log lines are added to `log`.
    ///
    /// # Errors
    /// `Operator` where the process does not start.
    pub(super) fn start(file: &Path, log: &Path) -> Result<Self> {
        let process = spawn(file, log).map_err(|error| trouble(format!("start tailwater run: {error}")))?;
        Ok(Self { file: file.to_path_buf(), log: log.to_path_buf(), process })
    }

    /// SIGKILL, and another process at once.
    ///
    /// # Errors
    /// `Operator` where the process does not end or start.
    pub(super) async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill().await.map_err(|error| trouble(format!("kill the pipeline: {error}")))?;
        self.process =
            spawn(&self.file, &self.log).map_err(|error| trouble(format!("start tailwater run: {error}")))?;
        Ok(())
    }

    /// Complains when the process has ended although nobody asked it to.
    ///
    /// # Errors
    /// `Operator` with the last lines of its log.
    pub(super) fn still_runs(&mut self) -> Result<()> {
        match self.process.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(trouble(format!("the pipeline ended ({status}):\n{}", self.last_words())))
            }
            Err(error) => Err(trouble(format!("look after the pipeline: {error}"))),
        }
    }

    /// SIGTERM, as an init system sends it; it must then end well.
    ///
    /// # Errors
    /// `Operator` where it does not.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .map_err(|error| trouble(format!("stop the pipeline: {error}")))?;
        }
        match tokio::time::timeout(STOP_WITHIN, self.process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                Err(trouble(format!("the pipeline ends badly ({status}):\n{}", self.last_words())))
            }
            Ok(Err(error)) => Err(trouble(format!("wait for the pipeline: {error}"))),
            Err(_elapsed) => Err(trouble(format!("the pipeline does not stop within {STOP_WITHIN:?}"))),
        }
    }

    fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
    }
}

fn spawn(file: &Path, log: &Path) -> std::io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    Command::new(std::env::current_exe()?)
        .arg("run")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // Ctrl-C in the terminal is for the demo alone, which then ends this one.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn trouble(message: String) -> Error {
    Error::operator("TW-DEMO-011", message)
}
