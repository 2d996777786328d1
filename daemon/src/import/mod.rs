//! `tailwater import-debezium`: a connector's configuration in, a pipeline file out, and where offsets are given, the
//! position at which Debezium stopped. Nothing is left out in silence: what maps to nothing is a comment with its reason,
//! and what would change data is an error that names it.
//!
//! | file | what it does |
//! |---|---|
//! | `given`, `properties` | both kinds of file become one list of properties |
//! | `meaning`, `postgres`, `framework` | the tables: what each property means here |
//! | `convert`, `clients`, `tables` | from the list to the text of a pipeline file |
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-IMP-001 | operator | the file cannot be read, or is no configuration of Debezium | give a connector's JSON, or Debezium Server's `application.properties` |
//! | TW-IMP-002 | operator | the connector reads a system that has no source here, or is not Debezium's | keep Debezium for it |
//! | TW-IMP-003 | operator | a property that neither Debezium nor Kafka Connect has | correct or remove it |
//! | TW-IMP-004 | operator | a property that cannot be carried over, and without which other data would be written | as its message says |
//! | TW-IMP-005 | operator | a property that is missing or has no usable value | correct it |
//! | TW-IMP-006 | operator | a regular expression that `tables` has no equal of | name the tables, or use `.*` alone |
//! | TW-IMP-007 | operator | the file to write exists already, or cannot be written | name another with `--output` |

mod clients;
mod convert;
mod framework;
mod given;
mod meaning;
mod postgres;
mod properties;
mod tables;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tailwater_core::{Error, Result};

use crate::cli::{Exit, complain, say};
use convert::Start;
use given::Given;

pub(crate) mod code {
    pub(crate) const UNREADABLE: &str = "TW-IMP-001";
    pub(crate) const CONNECTOR: &str = "TW-IMP-002";
    pub(crate) const UNKNOWN: &str = "TW-IMP-003";
    pub(crate) const CHANGES_DATA: &str = "TW-IMP-004";
    pub(crate) const VALUE: &str = "TW-IMP-005";
    pub(crate) const EXPRESSION: &str = "TW-IMP-006";
    pub(crate) const OUTPUT: &str = "TW-IMP-007";
}

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A connector's JSON for Kafka Connect, or Debezium Server's application.properties
    file: PathBuf,
    /// Where the pipeline file goes; it must not exist. Standard output where this is not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The properties of the Connect worker that runs the connector: its brokers, converters and producers
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// What goes wrong when the file is written; what is wrong with it is complained of, and answered by the exit code.
pub(crate) async fn import(import: &Import) -> Result<Exit> {
    let given = match read(import) {
        Ok(given) => given,
        Err(error) => return Ok(refuse(&[error])),
    };
    let from = import.file.file_name().unwrap_or_default().to_string_lossy();
    let text = match convert::convert(&given, Start::Copy, &from) {
        Ok(text) => text,
        Err(errors) => return Ok(refuse(&errors)),
    };
    match &import.output {
        None => say(text.trim_end()),
        Some(file) => write(file, &text)?,
    }
    Ok(Exit::Success)
}

fn refuse(errors: &[Error]) -> Exit {
    errors.iter().for_each(complain);
    Exit::Usage
}

fn read(import: &Import) -> Result<Given> {
    let read = |file: &Path| {
        std::fs::read_to_string(file).map_err(|error| {
            Error::operator(code::UNREADABLE, format!("{}: {error}", file.display()))
                .remedy("name a file that can be read")
        })
    };
    let mut given =
        Given::parse(&read(&import.file)?).map_err(|error| error.doing(import.file.display().to_string()))?;
    if let Some(worker) = &import.worker {
        given.add_worker(&read(worker)?);
    }
    Ok(given)
}

/// Never over a file that is there.
fn write(file: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::operator(code::OUTPUT, format!("{}: {error}", file.display()))
            .remedy("name another file: --output shop.toml")
    };
    let mut open = std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(failed)?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests;
