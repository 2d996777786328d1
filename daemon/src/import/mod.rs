//! `tailwater import-debezium`: a connector's configuration in, a pipeline file out, and where offsets are given, the
//! position at which Debezium stopped. Nothing is left out in silence: what maps to nothing is a comment with its reason,
//! and what would change data is an error that names it.
//!
//! | file | what it does |
//! |---|---|
//! | `given`, `properties` | both kinds of file become one list of properties |
//! | `connector` | which connectors there are, and what differs between them |
//! | `meaning`, `relational`, `framework` | the tables: what each property means here |
//! | `postgres`, `mysql` | of one connector each: its own properties, `…/offset` where it stopped, `…/written` what it has written since it noted that; what that is in the log, the source's own `resume` finds out |
//! | `convert`, `clients`, `tables`, `transforms` | from the list to the text of a pipeline file |
//! | `java`, `offsets` | what keeps the offsets, and what they have in common |
//! | `record` | what the records of changes have in common |
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
//! | TW-IMP-008 | operator | the offsets cannot be read, or are not those of such a connector | name the newest offsets of the connector |
//! | TW-IMP-009 | operator | no offset is the connector's, or several are | name its offsets; give its name |
//! | TW-IMP-010 | operator | a snapshot was not finished | let Debezium finish it, or copy afresh |
//! | TW-IMP-011 | operator | Debezium stopped inside a transaction, and transaction metadata is asked for | stop it while nothing is written |

mod clients;
mod connector;
mod convert;
mod framework;
mod given;
mod java;
mod meaning;
mod mysql;
mod offsets;
mod postgres;
mod properties;
mod record;
mod relational;
mod tables;
mod transforms;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tailwater_core::{Error, Position, Result};

use crate::cli::{Exit, complain, say};
use crate::{config, kinds};
use convert::Start;
use given::Given;
pub(crate) use mysql::written::Gathering as GatheringOfMysql;
pub(crate) use offsets::Left;
pub(crate) use postgres::written::Gathering as GatheringOfPostgres;

pub(crate) mod code {
    pub(crate) const UNREADABLE: &str = "TW-IMP-001";
    pub(crate) const CONNECTOR: &str = "TW-IMP-002";
    pub(crate) const UNKNOWN: &str = "TW-IMP-003";
    pub(crate) const CHANGES_DATA: &str = "TW-IMP-004";
    pub(crate) const VALUE: &str = "TW-IMP-005";
    pub(crate) const EXPRESSION: &str = "TW-IMP-006";
    pub(crate) const OUTPUT: &str = "TW-IMP-007";
    pub(crate) const OFFSETS: &str = "TW-IMP-008";
    pub(crate) const NO_OFFSET: &str = "TW-IMP-009";
    pub(crate) const SNAPSHOT: &str = "TW-IMP-010";
    pub(crate) const INSIDE: &str = "TW-IMP-011";
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
    /// The offsets file of Debezium Server, or of a standalone worker: the pipeline begins where Debezium stopped
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with = "offsets_topic")]
    offsets: Option<PathBuf>,
    /// The topic in which Connect keeps offsets, at the brokers of the pipeline: likewise
    #[arg(long, value_name = "TOPIC", requires = "output")]
    offsets_topic: Option<String>,
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
    let goes_on = import.offsets.is_some() || import.offsets_topic.is_some();
    let start = if goes_on { Start::GoOn } else { Start::Copy };
    let from = import.file.file_name().unwrap_or_default().to_string_lossy();
    let text = match convert::convert(&given, start, &from) {
        Ok(text) => text,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let Some(file) = &import.output else {
        say(text.trim_end());
        return Ok(Exit::Success);
    };
    write(file, &text)?;
    if goes_on {
        let begun = go_on(import, &given, file).await;
        if begun.is_err() {
            // Without its position the pipeline would copy first: nobody asked for that.
            fs::remove_file(file).map_err(|error| unwritten(file, &error))?;
        }
        say(&format!("{} begins at {}", file.display(), begun?));
    }
    Ok(Exit::Success)
}

/// Gives the pipeline the position at which Debezium stopped.
async fn go_on(import: &Import, given: &Given, file: &Path) -> Result<Position> {
    let pipeline = config::read(file)?;
    let held = match (&import.offsets, &import.offsets_topic) {
        (Some(offsets), _) => {
            let wrong = |what: String| {
                Error::operator(code::OFFSETS, format!("{}: {what}", offsets.display()))
                    .remedy("name the file of offset.storage.file.filename, of Debezium Server or a standalone worker")
            };
            let bytes = fs::read(offsets).map_err(|error| wrong(error.to_string()))?;
            java::map_of_bytes(&bytes).map_err(wrong)?
        }
        (None, Some(topic)) => kinds::compacted(&pipeline, topic)?,
        (None, None) => BTreeMap::new(),
    };
    let prefix = given.get("topic.prefix").unwrap_or_default().trim();
    let set =
        |name, value: &str| given.get(name).is_some_and(|given| given.trim().eq_ignore_ascii_case(value));
    let left = Left {
        offset: offsets::find(&held, prefix, given.name.as_deref())?,
        confirms_ahead: set("lsn.flush.mode", "connector_and_driver"),
        metadata: set("provide.transaction.metadata", "true"),
    };
    kinds::begin(&pipeline, &left).await
}

fn refuse(errors: &[Error]) -> Exit {
    errors.iter().for_each(complain);
    Exit::Usage
}

fn read(import: &Import) -> Result<Given> {
    let read = |file: &Path| {
        fs::read_to_string(file).map_err(|error| {
            Error::operator(code::UNREADABLE, format!("{}: {error}", file.display()))
                .remedy("name a file that can be read")
        })
    };
    let mut given =
        Given::parse(&read(&import.file)?).map_err(|error| error.doing(import.file.display().to_string()))?;
    if let Some(worker) = &import.worker {
        let wrong = |what: &str, cure: &str| {
            let what = format!("--worker {}: {what}", worker.display());
            Err(Error::operator(code::UNREADABLE, what).remedy(cure))
        };
        if given.shape == given::Shape::Server {
            return wrong(
                "Debezium Server has no worker",
                "leave it out: application.properties says it all",
            );
        }
        given.add_worker(&read(worker)?);
        if given.get("bootstrap.servers").is_none() {
            return wrong(
                "it has no bootstrap.servers",
                "give the properties that the Connect worker is started with",
            );
        }
    }
    Ok(given)
}

/// Never over a file that is there.
fn write(file: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| unwritten(file, &error);
    let mut open = fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(failed)?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(failed)
}

fn unwritten(file: &Path, error: &std::io::Error) -> Error {
    Error::operator(code::OUTPUT, format!("{}: {error}", file.display()))
        .remedy("name another file: --output shop.toml")
}

#[cfg(test)]
mod tests;
