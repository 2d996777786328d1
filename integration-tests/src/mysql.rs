//! Real MySQL and MariaDB servers for tests, from what `scripts/fetch-mysql` fetched; and their own client to speak SQL
//! with. How their programs are told apart and a data directory is made is in `installation`.

mod account;
pub mod characters;
mod installation;
pub mod pipeline;
mod rows;
mod session;
pub mod truth;
pub mod values;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use account::Account;
pub use installation::{Flavour, Installation};
pub use session::Session;

const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

/// A row as the client prints it: text, or nothing for NULL.
pub type Row = Vec<Option<String>>;

/// A server with data of its own, on a port of its own. Dropping it ends it and removes its data.
pub struct Server {
    installation: Installation,
    account: Account,
    /// Settings, data, log and socket.
    folder: TempDir,
    port: u16,
    settings: String,
    shell: Option<Child>,
}

impl Server {
    /// A server that nobody else uses. Each of `settings` is a line of `my.cnf`, and wins over what is set here: the
    /// binary log is on with full rows and full metadata where there is such a thing, as are MySQL's GTIDs.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(installation: Installation, settings: &[&str]) -> Self {
        installation.fetch();
        let account = Account::choose(&installation.folder());
        let template = installation.template();
        let folder = account.folder();
        account.copy(&template, &folder.path().join("data"));
        let settings = settings.iter().map(|line| format!("{line}\n")).collect();
        let mut server = Self { installation, account, folder, port: 0, settings, shell: None };
        server.launch();
        server
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
        format!("127.0.0.1:{}", self.port)
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Where its data is, binary logs (`binlog.000001`) included.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Its first and only process, while it runs.
    ///
    /// # Panics
    /// Where it was never started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        fs::read_to_string(self.folder.path().join("pid")).unwrap().trim().parse().unwrap()
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

    /// Starts it and waits until it takes connections. Where somebody took the port between our look and the server's,
    /// another one is tried.
    fn launch(&mut self) {
        let fixed = self.port;
        for _ in 0..5 {
            if fixed == 0 {
                self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            }
            self.configure();
            let command = self.server_command();
            self.shell = Some(command);
            if self.answers() {
                return;
            }
            assert!(self.log().contains("Address already in use"), "{}", self.last_words("does not start"));
        }
        panic!("{}", self.last_words("finds no port"));
    }

    fn configure(&self) {
        let text = format!(
            "[mysqld]\n{}tmpdir={}\ndatadir={}\nsocket={}\nport={port}\nserver-id={port}\n{}",
            self.installation.settings(),
            self.folder.path().display(),
            self.data().display(),
            self.socket().display(),
            self.settings,
            port = self.port,
        );
        File::create(self.folder.path().join("my.cnf")).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// A shell stands between, which ends the server when this process ends, however it does.
    fn server_command(&self) -> Child {
        const SCRIPT: &str = r#""$@" </dev/null >>"$0/log" 2>&1 & echo $! >"$0/pid"; cat >/dev/null; kill -9 $! 2>/dev/null; wait"#;
        let folder = self.folder.path();
        fs::remove_file(folder.join("pid")).ok();
        let mut command = self.account.command("sh".as_ref());
        command.arg("-c").arg(SCRIPT).arg(folder).arg(self.installation.server());
        command.arg(format!("--defaults-file={}", folder.join("my.cnf").display()));
        command.args(self.account.server_words()).stdin(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Whether it takes connections; `false` where it ended instead.
    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A connection over the socket does not count as one that was broken off. The server speaks first: a
            // length of three bytes, a number, and the version of the protocol.
            let mut greeting = [0; 5];
            let greeted = UnixStream::connect(self.socket())
                .and_then(|mut stream| {
                    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                    stream.read_exact(&mut greeting)
                })
                .is_ok();
            if greeted && greeting[4] == 10 {
                return true;
            }
            assert!(Instant::now() < deadline, "{}", self.last_words("does not answer"));
            if fs::metadata(self.folder.path().join("pid")).is_ok_and(|file| file.len() > 1) && !self.runs() {
                self.end_shell();
                return false;
            }
            std::thread::sleep(POLL);
        }
    }

    fn last_words(&self, what: &str) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("{} {what}:\n{last}", self.installation.name())
    }

    /// Until the shell has waited for it the process is there still, but as a zombie.
    fn runs(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success(), "kill -{name}: {status}");
    }

    /// Ends it the orderly way; its data stays for [`Server::restart`].
    ///
    /// # Panics
    /// Where it does not run, or does not end.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.gone();
    }

    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.gone();
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn gone(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.runs() {
            assert!(Instant::now() < deadline, "{}", self.last_words("does not end"));
            std::thread::sleep(POLL);
        }
        self.end_shell();
        // Left behind by one that was killed.
        fs::remove_file(self.socket()).ok();
    }

    /// Starts it again on its data and port, having stopped it where it still runs.
    pub fn restart(&mut self) {
        if self.shell.is_some() {
            self.stop();
        }
        self.launch();
    }

    /// As [`Server::restart`], with other settings than it was started with.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|line| format!("{line}\n")).collect();
        self.restart();
    }

    /// Halts it where it is, as a machine that hangs would.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn end_shell(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            shell.wait().ok();
        }
    }
}

/// With the line that the client names, because a script may have thousands.
fn refused(error: &str, sql: &str) -> ! {
    let number =
        error.split_once(" at line ").and_then(|(_, rest)| rest.split(':').next()?.parse::<usize>().ok());
    let line = number.and_then(|number| sql.lines().nth(number - 1)).unwrap_or(sql);
    panic!("{error}\n{line}");
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_shell();
    }
}
