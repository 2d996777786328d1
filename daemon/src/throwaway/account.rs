//! As whom a throw-away server runs, and which folders that user can reach. Postgres refuses to run as root, and a
//! checkout below root's home is out of reach for anybody else; MySQL and MariaDB run as root where they are told to.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tailwater_core::{Error, Result};

/// The user the server runs as.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// User and group to change to; `None` where we are a plain user already.
    other: Option<(u32, u32)>,
}

impl Account {
    /// Ourselves, or `nobody` where we are root.
    pub(super) fn choose() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { other: None };
        }
        let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let nobody = text.lines().find_map(|line| {
            let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        Self { other: Some(nobody.unwrap_or((65534, 65534))) }
    }

    /// The same, but ourselves even as root where that is the only one who can reach what is in `programs`.
    pub(super) fn that_reaches(programs: &Path) -> Self {
        let choice = Self::choose();
        let temporary = std::env::temp_dir();
        let reached = choice.can_reach(programs) && choice.can_reach(&temporary);
        if reached { choice } else { Self { other: None } }
    }

    /// Whether this is root, which servers must be told is meant.
    pub(super) fn is_root(self) -> bool {
        self.other.is_none() && rustix::process::geteuid().is_root()
    }

    /// A command that runs as this user, in a folder that it can be in.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes `folder` this user's own.
    pub(super) fn give(self, folder: &Path) -> Result<()> {
        match self.other {
            Some((user, group)) => {
                chown(folder, Some(user), Some(group)).map_err(|e| failed("give away", folder, &e))
            }
            None => Ok(()),
        }
    }

    /// Copies a folder to `to`, which is not there yet, for this user.
    pub(super) fn copy(self, from: &Path, to: &Path) -> Result<()> {
        let mut command = Command::new("cp");
        // Holes in files stay holes: most of an empty database is nothing.
        command.args(["-r", "--reflink=auto", "--sparse=always"]).arg(from).arg(to);
        run(command, "copy", from)?;
        let Some((user, group)) = self.other else { return Ok(()) };
        let mut command = Command::new("chown");
        command.arg("-R").arg(format!("{user}:{group}")).arg(to);
        run(command, "give away", to)
    }

    /// Whether this user can enter `folder` and read in it. We ourselves find out by trying.
    pub(super) fn can_reach(self, folder: &Path) -> bool {
        let Some((user, _)) = self.other else { return true };
        folder.ancestors().all(|step| {
            fs::metadata(step).is_ok_and(|found| {
                found.mode() & 0o001 != 0 || (found.uid() == user && found.mode() & 0o100 != 0)
            })
        })
    }

    /// A new folder of this user's own, below `parent` or else below the first usable folder for temporary files.
    /// Its name is short, because a Unix socket's path may have no more than about a hundred bytes.
    pub(super) fn folder(self, parent: Option<&Path>) -> Result<tempfile::TempDir> {
        let parent = match parent {
            Some(parent) => parent.to_path_buf(),
            None => [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
                .into_iter()
                .find(|folder| self.can_reach(folder))
                .unwrap_or_else(std::env::temp_dir),
        };
        if !self.can_reach(&parent) {
            return Err(Error::operator(
                "TW-DEMO-004",
                format!("the user that the server is to run as cannot reach {}", parent.display()),
            )
            .remedy("name a folder that every user can enter, or do not run as root"));
        }
        let folder = tempfile::Builder::new()
            .prefix("tw-")
            .tempdir_in(&parent)
            .map_err(|e| failed("make a folder in", &parent, &e))?;
        self.give(folder.path())?;
        Ok(folder)
    }

    /// Where fetched programs and prepared data folders are kept between runs.
    pub(super) fn cache(self) -> Result<PathBuf> {
        let folder = match (self.other, std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
            (Some(_), _, _) => PathBuf::from("/var/cache/tailwater"),
            (None, Some(cache), _) => PathBuf::from(cache).join("tailwater"),
            (None, None, Some(home)) if Path::new(&home).is_dir() => {
                PathBuf::from(home).join(".cache/tailwater")
            }
            (None, None, _) => {
                std::env::temp_dir().join(format!("tailwater-{}", rustix::process::geteuid().as_raw()))
            }
        };
        fs::create_dir_all(&folder).map_err(|e| failed("make", &folder, &e))?;
        let owner = fs::metadata(&folder).map_err(|e| failed("look at", &folder, &e))?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            // Programs are run from here: nobody else may be able to put them there.
            return Err(Error::operator(
                "TW-DEMO-004",
                format!("{} belongs to another user", folder.display()),
            )
            .remedy("remove it, or set XDG_CACHE_HOME to a folder of your own"));
        }
        open_to_all(&folder)?;
        Ok(folder)
    }
}

fn run(mut command: Command, what: &str, path: &Path) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().map_err(|e| failed(what, path, &e))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::operator("TW-DEMO-005", format!("cannot {what} {}: {status}", path.display())))
}

/// Lets every user enter and read `folder`; only its owner may write.
pub(super) fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(|e| failed("open", folder, &e))
}

/// Waits for and holds the lock of that name; dropping the file lets go of it.
pub(super) fn lock(path: &Path) -> Result<File> {
    let open = || -> io::Result<File> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|e| failed("lock", path, &e))
}

/// The error of a file operation: what was tried, on what, and what the system says.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::operator("TW-DEMO-005", format!("cannot {what} {}: {error}", path.display()))
}
