//! A throw-away Postgres: its data, its settings, when it is ready.

mod installation;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tailwater_core::{Error, Result};
use tempfile::TempDir;
use tracing::{debug, warn};

use super::account::{Account, failed};
use super::process::{self, POLL, Process};
use installation::Installation;
pub use installation::versions;

/// A server takes this long at most to start or to stop; recovery after a crash under load is the slow case.
const PATIENCE: Duration = Duration::from_secs(60);

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
    running: Option<Process>,
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
        self.running.as_ref().map(Process::id)
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

    /// Ends all of its processes with SIGKILL, at once.
    ///
    /// # Errors
    /// Where a process cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(running) = &self.running {
            running.kill_all()?;
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
        process::last_words(self.folder.path())
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
                self.port = process::free_port()?;
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
        let mut command = self.account.command(&self.installation.bin.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        self.running = Some(Process::start(command, self.folder.path())?);
        Ok(())
    }

    /// Whether it takes connections; `false` where it ended instead.
    async fn ready(&mut self, deadline: Instant) -> Result<bool> {
        let file = self.data().join("postmaster.pid");
        loop {
            let Some(running) = &mut self.running else {
                return Ok(false);
            };
            let pid = running.id().to_string();
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            if lines.next() == Some(&pid) && lines.nth(6).is_some_and(|status| status.trim() == "ready") {
                return Ok(true);
            }
            if running.ended()? || Instant::now() > deadline {
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
        running.signal(how)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if running.ended()? {
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
        self.running.as_ref().map_or(Ok(()), |running| running.signal_all(how))
    }

    fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Signal::QUIT);
        }
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
