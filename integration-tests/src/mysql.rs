//! Real MySQL and MariaDB servers for tests, from what `scripts/fetch-mysql` fetched; and their own client to speak SQL
//! with. How their programs are told apart and a data directory is made is in `installation`.

pub mod characters;
mod installation;
pub mod pipeline;
mod rows;
mod session;
pub mod truth;
pub mod values;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tailwater::throwaway::Mysql;
use tailwater::throwaway::mysql::Wanted;
pub use tailwater_mysql::Flavour;

pub use installation::Installation;
pub use session::Session;

const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

/// A row as the client prints it: text, or nothing for NULL.
pub type Row = Vec<Option<String>>;

/// A server with data of its own, on a port of its own. Dropping it ends it and removes its data.
pub struct Server {
    installation: Installation,
    process: Mysql,
}

impl Server {
    /// A server that nobody else uses. Each of `settings` is a line of `my.cnf`, and wins over what is set otherwise: the
    /// binary log is on with full rows and full metadata where there is such a thing, as are MySQL's GTIDs.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(installation: Installation, settings: &[&str]) -> Self {
        installation.fetch();
        let data = Some(installation.template());
        let wanted =
            Wanted { programs: installation.programs(), settings: lines(settings), data, network: true };
        Self { installation, process: Mysql::start(wanted).unwrap_or_else(|error| panic!("{error}")) }
    }

    /// What it is a server of.
    #[must_use]
    pub fn installation(&self) -> Installation {
        self.installation
    }

    /// How the pipeline reaches it: as a user who may read and replicate, and nothing else.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://cdc:cdc@{}", self.address())
    }

    /// How to reach it as a user who may do everything.
    #[must_use]
    pub fn root_url(&self) -> String {
        format!("mysql://root@{}", self.address())
    }

    /// The address of its TCP port, to put a proxy before it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.process.socket()
    }

    /// Where its data is, binary logs (`binlog.000001`) included.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.process.data()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its first and only process.
    ///
    /// # Panics
    /// Where it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid().unwrap()
    }

    /// Runs statements, as a user who may do everything and in UTF-8.
    ///
    /// # Panics
    /// Where one fails; those before it have been run.
    pub fn execute(&self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| refused(&error, sql));
    }

    /// Runs statements, which may be refused.
    ///
    /// # Errors
    /// What the server says against it.
    pub fn try_execute(&self, sql: &str) -> Result<(), String> {
        self.client(&["--batch"], sql.as_bytes()).map(drop)
    }

    /// Runs statements and returns their rows, those of all of them one after the other.
    ///
    /// # Panics
    /// Where one fails, or prints what is not UTF-8 (`HEX()` tells that better).
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Row> {
        self.results(sql).into_iter().flatten().collect()
    }

    /// As [`Server::query`], with the rows of each statement for themselves; statements that return none are left out.
    ///
    /// # Panics
    /// Likewise.
    #[must_use]
    pub fn results(&self, sql: &str) -> Vec<Vec<Row>> {
        let printed = self.client(&["--xml"], sql.as_bytes());
        rows::parse(&printed.unwrap_or_else(|error| refused(&error, sql)))
    }

    /// The one value of a query of one row and one column.
    ///
    /// # Panics
    /// Where it is not that, or NULL.
    #[must_use]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        assert!(matches!(rows.as_slice(), [row] if row.len() == 1), "{sql}: {rows:?}");
        rows[0][0].clone().unwrap_or_else(|| panic!("{sql} is NULL"))
    }

    /// A connection that stays, for transactions that do.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::open(self.client_command(&["--batch", "--unbuffered", "--skip-column-names"]))
    }

    /// One of its installation's programs, `mysqlbinlog`, told how to reach it as a user who may do everything.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.installation.program(name));
        command.arg("--no-defaults").arg("--socket").arg(self.socket()).arg("--user=root");
        command
    }

    /// Makes it a replica of another server of the same kind, from the beginning of that one's log, and waits until it
    /// runs.
    ///
    /// # Panics
    /// Where it cannot.
    pub fn follow(&self, source: &Self) {
        let (of, status, running) = self.installation.replica_words();
        let address = format!("{of}_HOST = '127.0.0.1', {of}_PORT = {}", source.port());
        self.execute(&self.installation.replicate(&address));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.client(&["--vertical"], status.as_bytes()).unwrap();
            let text = String::from_utf8_lossy(&text);
            if running.iter().all(|line| text.contains(line)) {
                return;
            }
            assert!(Instant::now() < deadline, "{text}");
            std::thread::sleep(POLL * 5);
        }
    }

    fn client_command(&self, words: &[&str]) -> Command {
        let mut command = self.program(self.installation.client());
        command.arg("--default-character-set=utf8mb4").args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn client(&self, words: &[&str], sql: &[u8]) -> Result<Vec<u8>, String> {
        let mut child = self.client_command(words).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // Beside, because the client may print before it has read everything. Where it ends early it says why.
            scope.spawn(move || input.write_all(sql).ok());
            child.wait_with_output().unwrap()
        });
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Ends it the orderly way; its data stays for [`Server::restart`].
    ///
    /// # Panics
    /// Where it does not end.
    pub fn stop(&mut self) {
        self.process.stop().unwrap();
    }

    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn gone(&mut self) {
        self.process.gone().unwrap();
    }

    /// Starts it again on its data and port, having stopped it where it still runs.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        self.process.restart().unwrap();
    }

    /// As [`Server::restart`], with other settings than it was started with.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.process.restart_with(lines(settings)).unwrap();
    }

    /// Halts it where it is, as a machine that hangs would.
    ///
    /// # Panics
    /// Where it cannot be reached.
    pub fn pause(&self) {
        self.process.pause().unwrap();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// Where it cannot be reached.
    pub fn resume(&self) {
        self.process.resume().unwrap();
    }
}

fn lines(settings: &[&str]) -> String {
    settings.iter().map(|line| format!("{line}\n")).collect()
}

/// With the line that the client names, because a script may have thousands.
fn refused(error: &str, sql: &str) -> ! {
    let number =
        error.split_once(" at line ").and_then(|(_, rest)| rest.split(':').next()?.parse::<usize>().ok());
    let line = number.and_then(|number| sql.lines().nth(number - 1)).unwrap_or(sql);
    panic!("{error}\n{line}");
}
