//! The servers that `scripts/fetch-mysql` fetches: where their programs are, what they must be told, and a data
//! directory of each, made once and copied for every server.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use super::account::Account;
use super::{PATIENCE, POLL};

/// A release of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    name: &'static str,
    flavour: Flavour,
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Flavour {
    MySql,
    MariaDb,
}

/// For all of them. Nothing waits for a disk, but every commit is with the system: the data outlives a killed process.
/// What is large by default is small, because many servers run at once.
const SETTINGS: &str = "\
bind-address=127.0.0.1
skip-name-resolve
max-connect-errors=1000000
log-bin=binlog
binlog-format=ROW
binlog-row-image=FULL
loose-binlog-row-metadata=FULL
sync-binlog=0
innodb-flush-log-at-trx-commit=2
innodb-flush-method=nosync
innodb-buffer-pool-size=32M
innodb-use-native-aio=OFF
innodb-doublewrite=OFF
performance-schema=OFF
innodb-buffer-pool-load-at-startup=OFF
innodb-buffer-pool-dump-at-shutdown=OFF
max-allowed-packet=256M
";

impl Installation {
    /// MySQL 9.7, or the nearest release that Debian has.
    #[must_use]
    pub fn mysql97() -> Self {
        Self { name: "mysql97", flavour: Flavour::MySql }
    }

    /// MySQL 5.6, which knows nothing of full metadata.
    #[must_use]
    pub fn mysql56() -> Self {
        Self { name: "mysql56", flavour: Flavour::MySql }
    }

    /// MariaDB 10.11.
    #[must_use]
    pub fn mariadb1011() -> Self {
        Self { name: "mariadb1011", flavour: Flavour::MariaDb }
    }

    /// MariaDB 11.8.
    #[must_use]
    pub fn mariadb118() -> Self {
        Self { name: "mariadb118", flavour: Flavour::MariaDb }
    }

    /// All that are tested.
    #[must_use]
    pub fn all() -> [Self; 4] {
        [Self::mysql97(), Self::mysql56(), Self::mariadb1011(), Self::mariadb118()]
    }

    /// Its short name, `mysql97`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whose it is.
    #[must_use]
    pub fn flavour(self) -> Flavour {
        self.flavour
    }

    /// Whether its binary log can tell the names and signs of columns.
    #[must_use]
    pub fn has_full_metadata(self) -> bool {
        self.name != "mysql56"
    }

    /// One of its programs, by the name it has there. MySQL 5.6 has `mariadb` and `mariadb-binlog` of MariaDB 10.11.
    #[must_use]
    pub fn program(self, name: &str) -> PathBuf {
        self.tree().join("usr/bin").join(name)
    }

    /// The client's name.
    #[must_use]
    pub fn client(self) -> &'static str {
        if self.name == "mysql97" { "mysql" } else { "mariadb" }
    }

    /// The name of the program that prints binary logs.
    #[must_use]
    pub fn log_reader(self) -> &'static str {
        if self.name == "mysql97" { "mysqlbinlog" } else { "mariadb-binlog" }
    }

    pub(super) fn server(self) -> PathBuf {
        let name = match self.flavour {
            Flavour::MySql => "mysqld",
            Flavour::MariaDb => "mariadbd",
        };
        self.tree().join("usr/sbin").join(name)
    }

    /// The statements that make a server a replica of the one at `address`.
    pub(super) fn replicate(self, address: &str) -> String {
        let user = |of| format!("{of}_USER = 'cdc', {of}_PASSWORD = 'cdc'");
        match self.name {
            "mysql97" => format!(
                "CHANGE REPLICATION SOURCE TO {address}, {}, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1;
                 START REPLICA",
                user("SOURCE")
            ),
            "mysql56" => {
                format!("CHANGE MASTER TO {address}, {}, MASTER_AUTO_POSITION = 1; START SLAVE", user("MASTER"))
            }
            // TLS is on by default at 11.8's replicas, and off at its servers' without certificates.
            "mariadb118" => format!(
                "CHANGE MASTER TO {address}, {}, MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_USE_GTID = slave_pos;
                 START SLAVE",
                user("MASTER")
            ),
            _ => format!(
                "CHANGE MASTER TO {address}, {}, MASTER_USE_GTID = slave_pos; START SLAVE",
                user("MASTER")
            ),
        }
    }

    /// What it calls a source, how a replica is asked for its state, and what it says when it runs.
    pub(super) fn replica_words(self) -> (&'static str, &'static str, [&'static str; 2]) {
        if self.name == "mysql97" {
            return (
                "SOURCE",
                "SHOW REPLICA STATUS",
                ["Replica_IO_Running: Yes", "Replica_SQL_Running: Yes"],
            );
        }
        ("MASTER", "SHOW SLAVE STATUS", ["Slave_IO_Running: Yes", "Slave_SQL_Running: Yes"])
    }

    pub(super) fn folder(self) -> PathBuf {
        top().join(".deps/mysql").join(self.name)
    }

    fn tree(self) -> PathBuf {
        self.folder().join("tree")
    }

    /// Has it fetched where it is not there.
    pub(super) fn fetch(self) {
        static FETCH: Mutex<()> = Mutex::new(());
        let _one_at_a_time = FETCH.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let status = Command::new(top().join("scripts/fetch-mysql")).arg(self.name).status().unwrap();
        assert!(status.success(), "scripts/fetch-mysql {}: {status}", self.name);
    }

    /// What its `[mysqld]` says in any test.
    pub(super) fn settings(self) -> String {
        let usr = self.tree().join("usr");
        let folder = if self.name == "mariadb118" { "mariadb" } else { "mysql" };
        let share = usr.join("share").join(folder);
        let places = format!(
            "basedir={}\nlc-messages-dir={share}\ncharacter-sets-dir={share}/charsets\nplugin-dir={}\n",
            usr.display(),
            usr.join("lib/mysql/plugin").display(),
            share = share.display(),
        );
        let own = match self.name {
            "mysql97" => {
                "mysqlx=OFF\nsecure-file-priv=NULL\ngtid-mode=ON\nenforce-gtid-consistency=ON\n\
                 innodb-redo-log-capacity=8M\ninnodb-data-file-path=ibdata1:5M:autoextend\n"
            }
            "mysql56" => "log-slave-updates=ON\ngtid-mode=ON\nenforce-gtid-consistency=ON\n",
            _ => "log-slave-updates=ON\ninnodb-log-file-size=16M\n",
        };
        format!("{places}{SETTINGS}{own}")
    }

    /// An empty data directory with its users, made where there is none yet for these settings.
    pub(super) fn template(self) -> PathBuf {
        let path = self.folder().join("template.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path).unwrap();
        lock.lock().unwrap();
        let (template, made_for) = (self.folder().join("template"), self.folder().join("template.cnf"));
        let settings = format!("[mysqld]\n{}", self.settings());
        if fs::read_to_string(&made_for).is_ok_and(|found| found == settings) {
            return template;
        }
        fs::remove_file(&made_for).ok();
        fs::remove_dir_all(&template).ok();
        // Short, for the name of the socket.
        let work = tempfile::Builder::new().prefix("tw-").tempdir().unwrap();
        self.initialise(work.path(), &settings);
        Account::ourselves().copy(&work.path().join("data"), &template);
        File::create(&made_for).unwrap().write_all(settings.as_bytes()).unwrap();
        template
    }

    fn initialise(self, work: &Path, settings: &str) {
        let (data, config) = (work.join("data"), work.join("my.cnf"));
        let mut text = settings.replace("log-bin=binlog\n", "skip-log-bin\n");
        text = text.replace("gtid-mode=ON\n", "").replace("log-slave-updates=ON\n", "");
        text.push_str(&format!(
            "datadir={}\nsocket={}\nskip-networking\n",
            data.display(),
            work.join("s").display()
        ));
        File::create(&config).unwrap().write_all(text.as_bytes()).unwrap();
        let defaults = format!("--defaults-file={}", config.display());
        let mut command = match (self.name, self.flavour) {
            ("mysql56", _) => {
                // Its package brings one.
                Account::ourselves().copy(&self.folder().join("data"), &data);
                Command::new("true")
            }
            (_, Flavour::MySql) => {
                let mut command = Command::new(self.server());
                command.arg(defaults).arg("--initialize-insecure");
                command
            }
            (_, Flavour::MariaDb) => {
                fs::create_dir(&data).unwrap();
                let mut command = Command::new(self.program("mariadb-install-db"));
                command.arg(defaults).arg("--auth-root-authentication-method=normal").arg("--skip-test-db");
                command.arg(format!("--basedir={}", self.tree().join("usr").display()));
                command.arg(format!("--datadir={}", data.display()));
                command
            }
        };
        let output = command.args(Account::ourselves().server_words()).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
        self.make_users(work);
        // What tells one server from another is not for copies.
        fs::remove_file(data.join("auto.cnf")).ok();
    }

    /// Runs the server on its new data, on a socket alone, to say who may use it.
    fn make_users(self, work: &Path) {
        let log = File::create(work.join("log")).unwrap();
        let mut server = Command::new(self.server())
            .arg(format!("--defaults-file={}", work.join("my.cnf").display()))
            .args(Account::ourselves().server_words())
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let said = || fs::read_to_string(work.join("log")).unwrap_or_default();
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(work.join("s")).is_err() {
            let ended = server.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                server.kill().ok();
                panic!("{} does not start on new data: {}", self.name, said());
            }
            std::thread::sleep(POLL);
        }
        let more = if self.name == "mysql97" { "GRANT BACKUP_ADMIN ON *.* TO cdc@'%';" } else { "" };
        let sql = format!(
            "CREATE USER root@'%'; GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
             CREATE USER cdc@'%' IDENTIFIED BY 'cdc'; GRANT SELECT, RELOAD, LOCK TABLES, SHOW VIEW, REPLICATION SLAVE,
             REPLICATION CLIENT ON *.* TO cdc@'%'; {more} FLUSH PRIVILEGES;"
        );
        let mut client = Command::new(self.program(self.client()));
        client.args(["--no-defaults", "--user=root", "--execute", &sql]).arg("--socket").arg(work.join("s"));
        let output = client.output().unwrap();
        Command::new("kill").arg(server.id().to_string()).status().unwrap();
        server.wait().unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), said());
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
