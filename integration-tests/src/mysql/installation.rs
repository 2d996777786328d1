//! The servers that `scripts/fetch-mysql` fetches: where their programs are, and a data directory of each with the users
//! of the tests, made once and copied for every server.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use tailwater::throwaway::Mysql;
use tailwater::throwaway::mysql::{Programs, Wanted};

use super::Flavour;

/// A release of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    name: &'static str,
    flavour: Flavour,
}

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

    /// What it is started with.
    pub(super) fn programs(self) -> Programs {
        let name = match self.flavour {
            Flavour::MySql => "mysqld",
            Flavour::MariaDb => "mariadbd",
        };
        let server = self.tree().join("usr/sbin").join(name);
        Programs::at(&server).unwrap_or_else(|| panic!("{} does not run", server.display()))
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
    ///
    /// # Panics
    /// Where it cannot be had.
    pub fn fetch(self) {
        static FETCH: Mutex<()> = Mutex::new(());
        let _one_at_a_time = FETCH.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let status = Command::new(top().join("scripts/fetch-mysql")).arg(self.name).status().unwrap();
        assert!(status.success(), "scripts/fetch-mysql {}: {status}", self.name);
    }

    /// An empty data directory with its users, made where there is none yet for these settings.
    pub(super) fn template(self) -> PathBuf {
        let path = self.folder().join("template.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path).unwrap();
        lock.lock().unwrap();
        let (template, made_for) = (self.folder().join("template"), self.folder().join("template.cnf"));
        let settings = self.programs().settings();
        if fs::read_to_string(&made_for).is_ok_and(|found| found == settings) {
            return template;
        }
        fs::remove_file(&made_for).ok();
        fs::remove_dir_all(&template).ok();
        self.make(&template);
        File::create(&made_for).unwrap().write_all(settings.as_bytes()).unwrap();
        template
    }

    /// Runs the server on new data, on a socket alone, to say who may use it. None of that is for the log.
    fn make(self, template: &Path) {
        let packaged = self.folder().join("data");
        let without_gtids =
            if self.name == "mysql56" { "gtid-mode=OFF\nskip-log-slave-updates\n" } else { "" };
        let wanted = Wanted {
            programs: self.programs(),
            settings: format!("skip-log-bin\n{without_gtids}"),
            // MySQL 5.6 has no way to make it, and brings it instead.
            data: packaged.is_dir().then_some(packaged),
            network: false,
        };
        let mut server = Mysql::start(wanted).unwrap_or_else(|error| panic!("{error}"));
        let more = if self.name == "mysql97" { "GRANT BACKUP_ADMIN ON *.* TO cdc@'%';" } else { "" };
        let sql = format!(
            "CREATE USER root@'%'; GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
             CREATE USER cdc@'%' IDENTIFIED BY 'cdc'; GRANT SELECT, RELOAD, LOCK TABLES, SHOW VIEW, REPLICATION SLAVE,
             REPLICATION CLIENT ON *.* TO cdc@'%'; {more} FLUSH PRIVILEGES;"
        );
        let mut client = Command::new(self.program(self.client()));
        client.args(["--no-defaults", "--user=root", "--execute", &sql]).arg("--socket").arg(server.socket());
        let output = client.output().unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), server.log());
        server.stop().unwrap();
        // What tells one server from another is not for copies.
        fs::remove_file(server.data().join("auto.cnf")).ok();
        let mut copy = Command::new("cp");
        copy.args(["-r", "--reflink=auto", "--sparse=always"]).arg(server.data()).arg(template);
        assert!(copy.status().unwrap().success(), "{copy:?}");
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
