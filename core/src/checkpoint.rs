//! A position in a file, for targets that have no place for it. Such a sink is at-least-once.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use crate::error::Doing;
use crate::{Error, ErrorKind, Position, Result};

/// A file that always holds one whole position.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// A checkpoint at `path`; nothing is touched yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The position it holds; `None` where the file does not exist.
    ///
    /// # Errors
    /// `Operator` where the file cannot be read or is not a position: it is never taken for none.
    pub fn load(&self) -> Result<Option<Position>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
            Err(error) => return Err(io(ErrorKind::Operator, "read", &self.path, &error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::operator("TW-CORE-003", format!("{} is not a position: {error}", self.path.display()))
                .remedy(format!(
                    "restore {} from a backup; deleting it starts the pipeline from nothing",
                    self.path.display()
                ))
        })
    }

    /// Replaces the position, durably.
    ///
    /// # Errors
    /// `Transient` where the file system refuses.
    pub fn save(&self, position: &Position) -> Result<()> {
        let text = serde_json::to_vec(position)
            .map_err(|error| Error::data("TW-CORE-003", format!("encode a position: {error}")))?;
        replace_file(&self.path, &text).doing(|| "save the position")
    }
}

/// Replaces the contents of a file so that a crash at any moment leaves the old or the new ones, whole.
///
/// # Errors
/// `Transient` where the file system refuses.
pub fn replace_file(path: &Path, contents: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let fail = |doing: &str, at: &Path, error: &std::io::Error| io(ErrorKind::Transient, doing, at, error);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .map_err(|error| fail("create", &temporary, &error))?;
    file.write_all(contents)
        .and_then(|()| file.sync_data())
        .map_err(|error| fail("write", &temporary, &error))?;
    fs::rename(&temporary, path).map_err(|error| fail("replace", path, &error))?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| fail("sync", folder, &error))
}

fn io(kind: ErrorKind, doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(kind, "TW-CORE-002", format!("{doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_saved_and_never_takes_rubbish_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::new(folder.path().join("p.json"));
        assert_eq!(checkpoint.load().unwrap(), None);
        let position = Position { stream: "0/1".into(), ..Position::default() };
        checkpoint.save(&position).unwrap();
        assert_eq!(checkpoint.load().unwrap(), Some(position));
        replace_file(&folder.path().join("p.json"), b"{").unwrap();
        assert_eq!(checkpoint.load().unwrap_err().code(), "TW-CORE-003");
    }
}
