//! A throw-away server's first process, and the watchdog that ends it when nobody else can. What is run, and when it is
//! ready, is known to the modules of the servers.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tailwater_core::{Error, Result};
use tracing::warn;

use super::account::failed;

pub(super) const POLL: Duration = Duration::from_millis(10);

/// A running server. Its folder holds everything there is of it; what it says is in the file `log` there.
#[derive(Debug)]
pub(super) struct Process {
    server: Child,
    /// Ends the server when this process dies without a chance to do it.
    watchdog: Child,
    /// The watchdog waits for this to close.
    alive: ChildStdin,
}

impl Process {
    /// Runs the command.
    pub(super) fn start(mut command: Command, folder: &Path) -> Result<Self> {
        let log_path = folder.join("log");
        let log = File::options().create(true).append(true).open(&log_path);
        let logs = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = logs.map_err(|e| failed("write", &log_path, &e))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        // Ctrl-C in the terminal is for us alone: we end it when we are done with it.
        command.process_group(0);
        let server = command.spawn().map_err(|e| failed("run", Path::new(command.get_program()), &e))?;
        let mut watchdog = watchdog(server.id(), folder)?;
        match watchdog.stdin.take() {
            Some(alive) => Ok(Self { server, watchdog, alive }),
            None => Err(Error::operator("TW-DEMO-005", "the watchdog has no input")),
        }
    }

    /// The process id of the server's first process.
    pub(super) fn id(&self) -> u32 {
        self.server.id()
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> Result<bool> {
        let ended = self.server.try_wait();
        let trouble = |e| Error::operator("TW-DEMO-005", format!("cannot wait for a server: {e}"));
        ended.map(|status| status.is_some()).map_err(trouble)
    }

    /// Signals its first process.
    pub(super) fn signal(&self, how: Signal) -> Result<()> {
        signal(self.id(), how)
    }

    /// Signals all of its processes.
    pub(super) fn signal_all(&self, how: Signal) -> Result<()> {
        signal(self.id(), how)?;
        self.children().into_iter().try_for_each(|process| signal(process, how))
    }

    /// Ends all of its processes with SIGKILL. (Finds them through `/proc`, so on Linux only; elsewhere the first process
    /// is killed and the others see it go.)
    pub(super) fn kill_all(&self) -> Result<()> {
        // Stopped first, so that it can neither start a new process nor restart itself between two of our signals.
        self.signal_all(Signal::STOP)?;
        self.children().into_iter().try_for_each(|process| signal(process, Signal::KILL))?;
        self.signal(Signal::KILL)
    }

    /// The processes the server has started.
    fn children(&self) -> Vec<u32> {
        let parent = self.id();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let status = fs::read_to_string(entry.path().join("stat")).ok()?;
                // `pid (name) state parent …`, and a name may hold anything.
                let (_, after_name) = status.rsplit_once(')')?;
                let its_parent: u32 = after_name.split_whitespace().nth(1)?.parse().ok()?;
                (its_parent == parent).then(|| entry.file_name().to_str()?.parse().ok())?
            })
            .collect()
    }

    /// Ends what may still run, without waiting long: the data is not wanted any more, or the server has ended.
    pub(super) fn end(mut self, first: Signal) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut how = first;
        while matches!(self.server.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                how = Signal::KILL;
            }
            if let Err(problem) = self.signal(how) {
                warn!("{problem}");
                break;
            }
            std::thread::sleep(POLL);
        }
        // Ended before its input closes, or it would remove the folder.
        if self.watchdog.kill().and_then(|()| self.watchdog.wait()).is_err() {
            warn!("the watchdog of a throw-away server has gone");
        }
        drop(self.alive);
    }
}

/// A shell that waits until we are gone, by whatever cause, and then ends the server and removes its folder. It is no
/// child-death signal of the system, because that fires when the *thread* that started the server ends.
fn watchdog(server: u32, folder: &Path) -> Result<Child> {
    let script = r#"read -r _; kill -CONT "$1"; kill -QUIT "$1"; sleep 1; kill -KILL "$1"; rm -rf "$2""#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "tailwater-watchdog", &server.to_string()]).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command.process_group(0);
    command.spawn().map_err(|e| failed("run", Path::new("/bin/sh"), &e))
}

fn signal(process: u32, how: Signal) -> Result<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    match pid.map(|pid| kill_process(pid, how)) {
        // A process that has gone meanwhile needs no signal.
        Some(Ok(()) | Err(rustix::io::Errno::SRCH)) | None => Ok(()),
        Some(Err(problem)) => {
            Err(Error::operator("TW-DEMO-005", format!("cannot signal process {process}: {problem}")))
        }
    }
}

/// What the server in `folder` has said.
pub(super) fn log(folder: &Path) -> String {
    let text = fs::read(folder.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// The last lines of that.
pub(super) fn last_words(folder: &Path) -> String {
    let text = log(folder);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
}

/// A TCP port that nobody listens on now.
pub(super) fn free_port() -> Result<u16> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(address.map_err(|e| Error::operator("TW-DEMO-005", format!("cannot find a free port: {e}")))?.port())
}
