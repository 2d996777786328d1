//! As whom a server of a test runs: as ourselves, or as `nobody` where we are root and `nobody` can reach its programs.
//! A checkout in a folder of root's own can only be reached by root, and these servers run as root if told to.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The user a server runs as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    root: bool,
    /// User and group to change to.
    other: Option<(u32, u32)>,
}

impl Account {
    /// Who can run what is in `programs`.
    pub(super) fn choose(programs: &Path) -> Self {
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let entered_by_all =
            |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
        let reached = programs.ancestors().chain(std::env::temp_dir().ancestors()).all(entered_by_all);
        Self { root, other: (root && reached).then(nobody) }
    }

    /// Ourselves, even where we are root.
    pub(super) fn ourselves() -> Self {
        Self { root: fs::metadata("/proc/self").unwrap().uid() == 0, other: None }
    }

    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// What a server must be told so that it runs as this user.
    pub(super) fn server_words(self) -> &'static [&'static str] {
        if self.root && self.other.is_none() { &["--user=root"] } else { &[] }
    }

    /// A new folder of this user's own. Its name is short, because that of a Unix socket must be.
    pub(super) fn folder(self) -> TempDir {
        let folder = tempfile::Builder::new().prefix("tw-").tempdir().unwrap();
        if let Some((user, group)) = self.other {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        folder
    }

    /// Copies a folder, for this user.
    pub(super) fn copy(self, from: &Path, to: &Path) {
        let run = |command: &mut Command| {
            let status = command.status().unwrap();
            assert!(status.success(), "{command:?}: {status}");
        };
        // Holes in files stay holes: most of an empty database is nothing.
        run(Command::new("cp").args(["-r", "--reflink=auto", "--sparse=always"]).arg(from).arg(to));
        if let Some((user, group)) = self.other {
            run(Command::new("chown").arg("-R").arg(format!("{user}:{group}")).arg(to));
        }
    }
}

fn nobody() -> (u32, u32) {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    found.unwrap_or((65534, 65534))
}
