//! A throw-away MySQL or MariaDB: its data, its settings, when it is ready. Waits in place, so whoever must not block
//! starts it on a thread that may.

mod programs;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tailwater_core::{Error, Result};
use tempfile::TempDir;
use tracing::{debug, warn};

use super::account::{Account, failed};
use super::process::{self, POLL, Process};
pub use programs::Programs;
pub use tailwater_mysql::Flavour;

/// A server takes this long at most to start or to stop; many at once on a small machine are the slow case.
const PATIENCE: Duration = Duration::from_secs(120);

/// What kind of server is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of which release.
    pub programs: Programs,
    /// Lines of `my.cnf`, which win over ours.
    pub settings: String,
    /// A data directory to start on a copy of. Without one it is made anew, and root needs no password.
    pub data: Option<PathBuf>,
    /// Whether it can be reached over loopback TCP, and not over its socket alone.
    pub network: bool,
}

/// A running server. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Mysql {
    programs: Programs,
    account: Account,
    /// Settings, data, log and socket.
    folder: TempDir,
    settings: String,
    network: bool,
    port: u16,
    running: Option<Process>,
}

impl Mysql {
    /// Starts a server.
    ///
    /// # Errors
    /// TW-DEMO-004 to TW-DEMO-006.
    pub fn start(wanted: Wanted) -> Result<Self> {
        let Wanted { programs, settings, data, network } = wanted;
        let account = Account::that_reaches(programs.server());
        let folder = account.folder(None)?;
        let mut server = Self { programs, account, folder, settings, network, port: 0, running: None };
        match data {
            Some(data) => account.copy(&data, &server.data())?,
            None => server.initialise()?,
        }
        server.launch()?;
        debug!(folder = %server.folder.path().display(), "{} runs", server.programs.version());
        Ok(server)
    }

    /// Of which release it is.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// How to reach it over its Unix socket.
    #[must_use]
    pub fn socket_url(&self, user: &str, database: &str) -> String {
        let socket = self.socket().display().to_string().replace('/', "%2F");
        format!("mysql://{user}@localhost/{database}?socket={socket}")
    }

    /// Its TCP port, where it has one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its data is, binary logs (`binlog.000001`) included.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        process::log(self.folder.path())
    }

    /// Its first and only process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Process::id)
    }

    /// Ends it the orderly way; its data stays for [`Mysql::restart`].
    ///
    /// # Errors
    /// Where it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.gone()
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.gone()
    }

    /// Waits until it has ended, by whatever cause.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn gone(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(running) = &mut self.running {
            if running.ended()? {
                self.end();
                // Left behind by one that was killed.
                fs::remove_file(self.socket()).ok();
            } else if Instant::now() > deadline {
                return Err(self.trouble("does not end"));
            } else {
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Starts it again on its data and port, having stopped it where it still runs.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// As [`Mysql::restart`], with other settings than it was started with.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn restart_with(&mut self, settings: String) -> Result<()> {
        self.settings = settings;
        self.restart()
    }

    /// Halts it where it is, as a machine that hangs would.
    ///
    /// # Errors
    /// Where the process cannot be reached.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where the process cannot be reached.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, how: Signal) -> Result<()> {
        self.running.as_ref().map_or(Ok(()), |running| running.signal(how))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("my.cnf")
    }

    /// What an empty database is made of is not for the log.
    fn initialise(&self) -> Result<()> {
        self.configure("skip-log-bin\n")?;
        let data = self.data();
        fs::create_dir(&data).map_err(|e| failed("make", &data, &e))?;
        self.account.give(&data)?;
        self.programs.initialise(self.account, &self.config(), &data)
    }

    fn configure(&self, more: &str) -> Result<()> {
        let reached = if self.network {
            format!("port={port}\nserver-id={port}\n", port = self.port)
        } else {
            "skip-networking\nserver-id=1\n".to_owned()
        };
        let text = format!(
            "[mysqld]\n{}tmpdir={}\ndatadir={}\nsocket={}\npid-file={}\n{reached}{}{more}",
            self.programs.settings(),
            self.folder.path().display(),
            self.data().display(),
            self.socket().display(),
            self.folder.path().join("pid").display(),
            self.settings,
        );
        let path = self.config();
        let written = File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|e| failed("write", &path, &e))
    }

    /// Starts it and waits until it takes connections. Where somebody took the port between our look and the server's,
    /// another one is tried.
    fn launch(&mut self) -> Result<()> {
        let fixed = self.port;
        for _ in 0..5 {
            if fixed == 0 && self.network {
                self.port = process::free_port()?;
            }
            self.configure("")?;
            let mut command = self.account.command(self.programs.server());
            command.arg(format!("--defaults-file={}", self.config().display()));
            command.args(programs::words(self.account));
            self.running = Some(Process::start(command, self.folder.path())?);
            if self.answers()? {
                return Ok(());
            }
            if !self.log().contains("Address already in use") {
                break;
            }
        }
        Err(self.trouble("does not start"))
    }

    /// Whether it takes connections; `false` where it ended instead.
    fn answers(&mut self) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(running) = &mut self.running {
            if greets(&self.folder.path().join("socket")) {
                return Ok(true);
            }
            if running.ended()? {
                self.end();
            } else if Instant::now() > deadline {
                return Err(self.trouble("does not answer"));
            } else {
                std::thread::sleep(POLL);
            }
        }
        Ok(false)
    }

    fn trouble(&self, what: &str) -> Error {
        let words = process::last_words(self.folder.path());
        Error::operator("TW-DEMO-006", format!("{} {what}:\n{words}", self.programs.version()))
    }

    fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Signal::KILL);
        }
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        if let Err(problem) = self.resume() {
            warn!("{problem}");
        }
        self.end();
    }
}

/// Whether a server speaks, which it does first: a length of three bytes, a number, and the version of the protocol. A
/// connection over the socket does not count as one that was broken off.
fn greets(socket: &Path) -> bool {
    let mut greeting = [0; 5];
    let greeted = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.read_exact(&mut greeting)
    });
    greeted.is_ok() && greeting.ends_with(&[10])
}
