//! A Postgres server of one's own for a while: for `tailwater demo`, for tests and for benchmarks. It is found on the
//! machine or fetched, runs on loopback and a Unix socket, and is gone without a trace when it is dropped or when
//! this process dies. It keeps no promises about the data: nothing is flushed to disk. Connecting is the caller's work.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-DEMO-001 | Operator | that version of Postgres is not known here | ask for one of 14 to 18 |
//! | TW-DEMO-002 | Transient | Postgres cannot be fetched | let the machine reach Maven Central, or install Postgres |
//! | TW-DEMO-003 | Operator | the fetched programs do not run on this system | install Postgres |
//! | TW-DEMO-004 | Operator | a folder is out of reach for the server's user, or belongs to somebody else | use another folder |
//! | TW-DEMO-005 | Operator | a file or process cannot be handled as needed | the message says what the system answered |
//! | TW-DEMO-006 | Operator | the server does not start, or does not stop | the message ends with the server's own last words |

mod account;
mod installation;

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tailwater_core::{Error, Result};
use tempfile::TempDir;
use tracing::{debug, warn};

use account::{Account, failed};
use installation::Installation;
pub use installation::versions;

/// A server takes this long at most to start or to stop; recovery after a crash under load is the slow case.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// What kind of server is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The major version; `None` takes the newest on this machine, and fetches the newest where there is none.
    pub version: Option<u16>,
    /// Settings of `postgresql.conf`, which win over ours.
    pub settings: Vec<(String, String)>,
    /// Below which folder its data goes, instead of the one for temporary files.
    pub folder: Option<PathBuf>,
}

/// What is being done while a server is being made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An archive of about 15 MB is fetched and unpacked. Happens once per machine and version.
    Fetch,
    /// An empty database cluster is made and started.
    Start,
}

/// A running server. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    account: Account,
    /// Data, log and socket.
    folder: TempDir,
    port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    /// Ends the server when this process dies without a chance to do it.
    watchdog: Child,
    /// The watchdog waits for this to close.
    alive: ChildStdin,
}

impl Postgres {
    /// Starts a server; `progress` is told what takes time.
    ///
    /// # Errors
    /// Those of the table above.
    pub async fn start(wanted: Wanted, progress: impl Fn(Step)) -> Result<Self> {
        let account = Account::choose();
        let installation = installation::obtain(wanted.version, &account, &progress).await?;
        let folder = account.folder(wanted.folder.as_deref())?;
        progress(Step::Start);
        let mut server = Self { installation, account, folder, port: 0, running: None };
        server.initialise()?;
        server.configure(&wanted.settings)?;
        server.launch().await?;
        debug!(port = server.port, folder = %server.folder.path().display(), "Postgres runs");
        Ok(server)
    }

    /// How to reach it over loopback TCP. Every user name is a superuser's, without a password.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// How to reach it over its Unix socket.
    #[must_use]
    pub fn socket_url(&self, user: &str, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{user}@{folder}:{}/{database}", self.port)
    }

    /// The TCP port, which is part of the socket's name too.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The major version.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.installation.major
    }

    /// The version as the server says it, `15.18`.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.installation.release
    }

    /// The folder of its programs. A fetched server has no more than `initdb`, `pg_ctl` and `postgres` there.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.installation.bin
    }

    /// Its folder: the socket is in it, the log is `log`, the data is in `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id of the server's first process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    /// Ends it the orderly way, breaking off connections; its data stays for [`Postgres::restart`].
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal_and_wait(Signal::INT).await
    }

    /// Ends it without a checkpoint, as `pg_ctl stop -m immediate` does; the next start recovers.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn stop_immediate(&mut self) -> Result<()> {
        self.signal_and_wait(Signal::QUIT).await
    }

    /// Ends all of its processes with SIGKILL, at once. (Finds them through `/proc`, so on Linux only; elsewhere the
    /// first process is killed and the others see it go.)
    ///
    /// # Errors
    /// Where a process cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        // Stopped first, so that it can neither start a new process nor restart itself between two of our signals.
        self.pause()?;
        for process in self.processes() {
            signal(process, Signal::KILL)?;
        }
        self.signal_and_wait(Signal::KILL).await
    }

    /// Starts it again on its data and port, having stopped it where it still runs.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    /// Halts all of its processes where they are, as a machine that hangs would.
    ///
    /// # Errors
    /// Where a process cannot be reached.
    pub fn pause(&self) -> Result<()> {
        self.signal_all(Signal::STOP)
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// Where a process cannot be reached.
    pub fn resume(&self) -> Result<()> {
        self.signal_all(Signal::CONT)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = fs::read(self.folder.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes the cluster anew for each server, which takes half a second: copies of one would all have the same
    /// system identifier, and nobody could tell them apart.
    fn initialise(&self) -> Result<()> {
        let mut command = self.account.command(&self.installation.bin.join("initdb"));
        command.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres"]);
        let outcome = command.arg("-D").arg(self.data()).stdin(Stdio::null()).output();
        let output = outcome.map_err(|e| failed("run initdb for", &self.data(), &e))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(Error::operator("TW-DEMO-006", format!("initdb fails: {}", text.trim())))
    }

    fn configure(&self, settings: &[(String, String)]) -> Result<()> {
        let socket_folder = self.folder.path().display().to_string();
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &socket_folder),
            // Whoever reaches it is trusted, so nobody else may.
            ("unix_socket_permissions", "0700"),
            ("wal_level", "logical"),
            ("max_wal_senders", "40"),
            ("max_replication_slots", "40"),
            ("max_connections", "200"),
            // The data need not outlive the machine, only the processes.
            ("fsync", "off"),
            ("full_page_writes", "off"),
            // Everything it leaves behind when it is killed is then in its folder.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        let theirs = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let lines: Vec<String> = ours
            .into_iter()
            .chain(theirs)
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        let path = self.data().join("postgresql.conf");
        let file = File::options().append(true).open(&path);
        file.and_then(|mut file| file.write_all(lines.concat().as_bytes()))
            .map_err(|e| failed("write", &path, &e))
    }

    /// Starts the server and waits until it takes connections. A port that somebody took between our look and the
    /// server's is no reason to give up, and neither is a predecessor that has not quite gone.
    async fn launch(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let fixed_port = self.port;
        loop {
            if fixed_port == 0 {
                self.port = free_port()?;
            }
            self.spawn()?;
            if self.ready(deadline).await? {
                return Ok(());
            }
            let words = self.last_words();
            let may_pass =
                ["Address already in use", "pre-existing shared memory", "another server might be running"];
            if Instant::now() > deadline || !may_pass.iter().any(|reason| words.contains(reason)) {
                return Err(Error::operator("TW-DEMO-006", format!("Postgres does not start:\n{words}")));
            }
            tokio::time::sleep(POLL * 10).await;
        }
    }

    fn spawn(&mut self) -> Result<()> {
        let log_path = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.map_err(|e| failed("write", &log_path, &e))?;
        let program = self.installation.bin.join("postgres");
        let mut command = self.account.command(&program);
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // Ctrl-C in the terminal is for us alone: we end it when we are done with it.
        command.process_group(0);
        let server = command.spawn().map_err(|e| failed("run", &program, &e))?;
        let mut watchdog = watchdog(server.id(), self.folder.path())?;
        match watchdog.stdin.take() {
            Some(alive) => self.running = Some(Running { server, watchdog, alive }),
            None => return Err(Error::operator("TW-DEMO-005", "the watchdog has no input")),
        }
        Ok(())
    }

    /// Whether it takes connections; `false` where it ended instead.
    async fn ready(&mut self, deadline: Instant) -> Result<bool> {
        let file = self.data().join("postmaster.pid");
        loop {
            let Some(running) = &mut self.running else {
                return Ok(false);
            };
            let pid = running.server.id().to_string();
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            if lines.next() == Some(&pid) && lines.nth(6).is_some_and(|status| status.trim() == "ready") {
                return Ok(true);
            }
            let ended = running.server.try_wait().map_err(|e| failed("wait for", &file, &e))?;
            if ended.is_some() || Instant::now() > deadline {
                self.end();
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn signal_and_wait(&mut self, how: Signal) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        signal(running.server.id(), how)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = running.server.try_wait().map_err(|e| failed("wait for", self.folder.path(), &e))?;
            if ended.is_some() {
                self.end();
                return Ok(());
            }
            if Instant::now() > deadline {
                let words = self.last_words();
                return Err(Error::operator("TW-DEMO-006", format!("Postgres does not stop:\n{words}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn signal_all(&self, how: Signal) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        signal(pid, how)?;
        self.processes().into_iter().try_for_each(|process| signal(process, how))
    }

    /// The processes the server has started.
    fn processes(&self) -> Vec<u32> {
        let Some(parent) = self.pid() else {
            return Vec::new();
        };
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
    fn end(&mut self) {
        let Some(Running { mut server, mut watchdog, alive }) = self.running.take() else {
            return;
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut how = Signal::QUIT;
        while matches!(server.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                how = Signal::KILL;
            }
            if let Err(problem) = signal(server.id(), how) {
                warn!("{problem}");
                break;
            }
            std::thread::sleep(POLL);
        }
        // Ended before its input closes, or it would remove the folder.
        if watchdog.kill().and_then(|()| watchdog.wait()).is_err() {
            warn!("the watchdog of a throw-away Postgres has gone");
        }
        drop(alive);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(problem) = self.resume() {
            warn!("{problem}");
        }
        self.end();
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

fn free_port() -> Result<u16> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(address.map_err(|e| Error::operator("TW-DEMO-005", format!("cannot find a free port: {e}")))?.port())
}
