//! Pipeline files: from TOML to validated [`Pipeline`]s, in two stages. `document.rs` knows places and keys,
//! `pipeline.rs` and `kafka.rs` know what they mean. Nothing but the files themselves (and the `${file:…}` they name) is touched:
//! whether a server answers is for [`check`](crate::check) to find out.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-CFG-001 | operator | the file or folder cannot be read, or holds no `*.toml` | name a pipeline file |
//! | TW-CFG-002 | operator | not TOML | mend the line it names |
//! | TW-CFG-003 | operator | an unknown key or section | use the spelling it proposes |
//! | TW-CFG-004 | operator | a value of the wrong type | write what it asks for |
//! | TW-CFG-005 | operator | a value out of range, with a wrong unit, or a word that is none of the choices | likewise |
//! | TW-CFG-006 | operator | a missing key, or not exactly one source and one sink | add or remove what it names |
//! | TW-CFG-007 | operator | `${…}` that leads nowhere | set the variable, create the file |
//! | TW-CFG-008 | operator | the file's name makes no pipeline name | rename the file |
//! | TW-CFG-009 | operator | two pipelines share a slot, a file or a position topic | give one of them its own |

mod document;
mod kafka;
mod pipeline;
mod substitute;
mod units;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tailwater_core::{Error, Result};

#[cfg(test)]
pub(crate) use pipeline::parse;
pub use pipeline::{Pipeline, Sink, Source};
pub(crate) use units::duration;

pub(crate) mod code {
    pub(crate) const UNREADABLE: &str = "TW-CFG-001";
    pub(crate) const NOT_TOML: &str = "TW-CFG-002";
    pub(crate) const UNKNOWN_KEY: &str = "TW-CFG-003";
    pub(crate) const WRONG_TYPE: &str = "TW-CFG-004";
    pub(crate) const BAD_VALUE: &str = "TW-CFG-005";
    pub(crate) const MISSING: &str = "TW-CFG-006";
    pub(crate) const SUBSTITUTION: &str = "TW-CFG-007";
    pub(crate) const NAME: &str = "TW-CFG-008";
    pub(crate) const SHARED: &str = "TW-CFG-009";
}

/// Reads every pipeline that `paths` name: files, and folders of `*.toml`. Returns those that are right, and one
/// error per file that is wrong or claims what another has, so that all can be mended in one go.
#[must_use]
pub fn load(paths: &[PathBuf]) -> (Vec<Pipeline>, Vec<Error>) {
    let (mut pipelines, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match files(path) {
            Ok(files) => {
                for file in files {
                    match read(&file) {
                        Ok(pipeline) => pipelines.push(pipeline),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    errors.extend(shared(&pipelines));
    (pipelines, errors)
}

/// Reads one pipeline file.
///
/// # Errors
/// `Operator`, with file, line and column.
pub fn read(file: &Path) -> Result<Pipeline> {
    // A variable that is not text can hold no part of a TOML string.
    let env =
        std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    read_with(file, &env.collect())
}

/// As [`read`], where `${env:NAME}` stands for what `env` holds.
///
/// # Errors
/// As [`read`].
pub fn read_with(file: &Path, env: &BTreeMap<String, String>) -> Result<Pipeline> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    pipeline::parse(file, text, env)
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        if file.extension().is_some_and(|extension| extension == "toml") && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Error::operator(code::UNREADABLE, format!("{}: holds no pipeline file", path.display()))
            .remedy(format!("write {}, see docs/OPERATING.md", path.join("shop.toml").display())));
    }
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::operator(code::UNREADABLE, format!("{}: {error}", path.display()))
        .remedy("name a pipeline file, or a folder that holds *.toml files")
}

/// What only one pipeline may use: a slot, a file it writes. One error for each pipeline that comes too late.
fn shared(pipelines: &[Pipeline]) -> Vec<Error> {
    let mut owners: BTreeMap<String, &Pipeline> = BTreeMap::new();
    let mut errors = Vec::new();
    for pipeline in pipelines {
        let taken = |claim: &pipeline::Claim| owners.get(&claim.thing).map(|owner| claim.refused(owner));
        errors.extend(pipeline.claims.iter().find_map(taken));
        owners.extend(pipeline.claims.iter().map(|claim| (claim.thing.clone(), pipeline)));
    }
    errors
}

#[cfg(test)]
mod tests;
