//! Where the programs of a throw-away MySQL or MariaDB are, what each release must be told, and how it makes an empty
//! data directory. Starting them is the parent module's work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tailwater_core::{Error, Result};
use tailwater_mysql::{Flavour, Version};

use crate::throwaway::account::{Account, failed};

/// For all of them: the log holds whole rows and says what its columns are. Nothing waits for a disk, but every commit is
/// with the system: the data outlives a killed process. What is large by default is small, because tests run many.
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

/// The programs of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    server: PathBuf,
    /// The folder that `bin` and `share` are in.
    base: PathBuf,
    version: Version,
}

impl Programs {
    /// The newest release on this machine that a pipeline can read.
    ///
    /// # Errors
    /// TW-DEMO-007 where there is none.
    pub fn find(flavour: Flavour) -> Result<Self> {
        let oldest = match flavour {
            Flavour::MySql => (8, 0, 1),
            Flavour::MariaDb => (10, 5, 0),
        };
        let found = candidates(flavour).into_iter().filter_map(|server| Self::at(&server));
        let usable = found.filter(|found| found.flavour() == flavour && found.version.number >= oldest);
        usable.max_by_key(|found| found.version.number).ok_or_else(|| {
            let (name, package, fetched) = match flavour {
                Flavour::MySql => ("MySQL 8.0", "mysql-server", "mysql97"),
                Flavour::MariaDb => ("MariaDB 10.5", "mariadb-server", "mariadb118"),
            };
            let what = format!("there is no server of {name} or later on this machine");
            let cure = format!("install {package}; in a checkout `scripts/fetch-mysql {fetched}` is enough");
            Error::operator("TW-DEMO-007", what).remedy(cure)
        })
    }

    /// Those of the server's program `server`, where that is one and runs here. Links are followed, because what a
    /// server needs lies beside where it really is.
    #[must_use]
    pub fn at(server: &Path) -> Option<Self> {
        let server = fs::canonicalize(server).ok()?;
        let output = Command::new(&server).args(["--no-defaults", "--version"]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        // `…/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))`
        let version = text.split_once(" Ver ")?.1.split_whitespace().next()?;
        let base = server.parent()?.parent()?.to_path_buf();
        Some(Self { base, version: Version::parse(version), server })
    }

    /// Whose server it is.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.version.flavour
    }

    /// Which release it is.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    pub(super) fn server(&self) -> &Path {
        &self.server
    }

    /// What its `[mysqld]` says, wherever it runs.
    #[must_use]
    pub fn settings(&self) -> String {
        let mut places = format!("basedir={}\n", self.base.display());
        // Where they are not, the server knows a place of its own.
        let share = ["share/mysql", "share/mariadb", "share"].map(|folder| self.base.join(folder));
        if let Some(share) = share.iter().find(|folder| folder.join("english/errmsg.sys").is_file()) {
            let share = share.display();
            places.push_str(&format!("lc-messages-dir={share}\ncharacter-sets-dir={share}/charsets\n"));
        }
        let plugins = ["lib/mysql/plugin", "lib64/mysql/plugin", "lib/plugin"];
        if let Some(plugins) =
            plugins.map(|folder| self.base.join(folder)).iter().find(|folder| folder.is_dir())
        {
            places.push_str(&format!("plugin-dir={}\n", plugins.display()));
        }
        let own = match (self.flavour(), self.version.number) {
            (Flavour::MySql, number) if number >= (5, 7, 0) => {
                "loose-mysqlx=OFF\nsecure-file-priv=NULL\ngtid-mode=ON\nenforce-gtid-consistency=ON\n\
                 loose-innodb-redo-log-capacity=8M\ninnodb-data-file-path=ibdata1:5M:autoextend\n"
            }
            (Flavour::MySql, _) => "log-slave-updates=ON\ngtid-mode=ON\nenforce-gtid-consistency=ON\n",
            (Flavour::MariaDb, _) => "log-slave-updates=ON\ninnodb-log-file-size=16M\n",
        };
        format!("{places}{SETTINGS}{own}")
    }

    /// Makes an empty data directory, in which root needs no password; `config` is a file of settings.
    pub(super) fn initialise(&self, account: Account, config: &Path, data: &Path) -> Result<()> {
        let mut defaults = std::ffi::OsString::from("--defaults-file=");
        defaults.push(config);
        let mut command = match self.flavour() {
            Flavour::MySql => {
                let mut command = account.command(&self.server);
                command.arg(defaults).arg("--initialize-insecure");
                command
            }
            Flavour::MariaDb => {
                let folders =
                    ["bin", "scripts"].map(|folder| self.base.join(folder).join("mariadb-install-db"));
                let [in_bin, elsewhere] = &folders;
                let mut command = account.command(if in_bin.is_file() { in_bin } else { elsewhere });
                command.arg(defaults).arg("--auth-root-authentication-method=normal").arg("--skip-test-db");
                command.arg(format!("--basedir={}", self.base.display()));
                command.arg(format!("--datadir={}", data.display()));
                command
            }
        };
        command.args(words(account)).stdin(Stdio::null());
        let output = command.output().map_err(|e| failed("run", Path::new(command.get_program()), &e))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let what = format!("{} cannot make an empty database: {said}", self.version);
        Err(Error::operator("TW-DEMO-006", what))
    }
}

/// What a server must be told so that it runs as this user.
pub(super) fn words(account: Account) -> &'static [&'static str] {
    if account.is_root() { &["--user=root"] } else { &[] }
}

/// Where servers may be: on PATH, where packages of Linux and macOS put them, and where `scripts/fetch-mysql` does.
fn candidates(flavour: Flavour) -> Vec<PathBuf> {
    let name = match flavour {
        Flavour::MySql => "mysqld",
        Flavour::MariaDb => "mariadbd",
    };
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/mysql/bin"];
    folders.extend(usual.map(PathBuf::from));
    for (parent, below) in
        [("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin"), (".deps/mysql", "tree/usr/sbin")]
    {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path().join(below)));
    }
    folders.iter().map(|folder| folder.join(name)).filter(|server| server.is_file()).collect()
}
