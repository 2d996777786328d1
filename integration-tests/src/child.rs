//! The real program in a process of its own, so that it can be killed as an operating system kills.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::wait_for;

/// A pipeline file with a target and a log, all in a folder of its own.
pub struct Program {
    folder: TempDir,
    name: String,
}

/// A running `tailwater run`. Killed when it is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// A pipeline file for the tables `patterns` at `url`. Its name is the pipeline's.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn new(url: &str, name: &str, patterns: &[&str]) -> Self {
        Self::with_sink(url, name, patterns, "[sink.duckdb]\npath = \"target.duckdb\"\n")
    }

    /// As [`Program::new`], to standard output, which nobody reads.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn to_stdout(url: &str, name: &str, patterns: &[&str]) -> Self {
        Self::with_sink(url, name, patterns, "[sink.stdout]\n")
    }

    /// Likewise, with a sink of another kind.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn with_sink(url: &str, name: &str, patterns: &[&str], sink: &str) -> Self {
        Self::between("postgres", url, name, patterns, sink)
    }

    /// Likewise, with a source of another kind too.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn between(source: &str, url: &str, name: &str, patterns: &[&str], sink: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tables = patterns.join("\", \"");
        let text = format!("[source.{source}]\nurl = \"{url}\"\ntables = [\"{tables}\"]\n\n{sink}");
        fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
        Self { folder, name: name.to_owned() }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.folder.path().join("target.duckdb")
    }

    /// Starts it, with more arguments than the file.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.spawn(Command::new(binary()).args(self.run()).args(arguments))
    }

    /// Starts it so that a file of its cannot grow beyond so many kilobytes: the disk is full then.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start_on_a_small_disk(&self, kilobytes: u32) -> Process {
        // Ignored, the signal becomes an error of the write, as a full disk gives it. The unit is 512 bytes.
        let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", kilobytes * 2);
        self.spawn(Command::new("sh").args(["-c", &script]).arg(binary()).args(self.run()))
    }

    fn run(&self) -> [PathBuf; 2] {
        ["run".into(), self.folder.path().join(format!("{}.toml", self.name))]
    }

    fn spawn(&self, command: &mut Command) -> Process {
        let path = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(&path).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Process { child, log: path }
    }

    /// What all its processes have logged.
    ///
    /// # Panics
    /// Where nothing was.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Runs it until everything committed by now is in the target.
    ///
    /// # Panics
    /// Where it fails, or takes longer than `patience`.
    pub async fn catch_up(&self, patience: Duration) {
        let status = self.start(&["--until-caught-up"]).ended(patience).await;
        assert!(status.success(), "{status}:\n{}", self.log());
    }
}

impl Process {
    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// Where it had ended by itself.
    pub fn kill(mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!(
                "it has ended before it was killed, {status}:\n{}",
                fs::read_to_string(&self.log).unwrap()
            );
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// Where that cannot be told.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Gives it as large a disk as there is.
    ///
    /// # Panics
    /// Where `prlimit` cannot do that.
    pub fn make_room(&self) {
        let process = self.child.id().to_string();
        let status = Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status().unwrap();
        assert!(status.success(), "prlimit: {status}");
    }

    /// Waits until it ends by itself, and gives the most memory it was seen to have, MB of 10⁶ bytes.
    ///
    /// # Panics
    /// Where that takes longer than `patience`, or it fails.
    pub async fn peak_mb(mut self, patience: Duration) -> f64 {
        let (file, mut peak_kib) = (format!("/proc/{}/status", self.child.id()), 0.0_f64);
        let status = wait_for("the program ends", patience, async || {
            // Without a line once it has ended.
            let status = fs::read_to_string(&file).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
            peak_kib = peak_kib.max(kib);
            self.child.try_wait().unwrap()
        })
        .await;
        assert!(status.success() && peak_kib > 0.0, "{status}");
        peak_kib * 1024.0 / 1e6
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// Where that takes longer than `patience`.
    pub async fn ended(mut self, patience: Duration) -> ExitStatus {
        wait_for("the program ends", patience, async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is no failure.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The program with these arguments, to be run to its end.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The program as the source is now, built once per process: cargo builds no binary for the tests of another package.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--locked", "--workspace", "--bin", "tailwater"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "build the program: {status}");
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("tailwater");
        assert!(program.exists(), "{} is not there", program.display());
        program
    })
}
