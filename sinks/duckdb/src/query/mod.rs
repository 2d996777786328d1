//! `tailwater query`: reads by a person while the daemon runs. `DuckDB` lets no second process open a file that one
//! process writes, so the process that has it answers over a local socket ([`server`]); where none does, the file is
//! opened here. Only reads are answered, in a read-only transaction.

pub mod server;
mod wire;

use std::io::{BufReader, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tailwater_core::{Error, Result};

use crate::database::{Connection, Database, StatementType};
use crate::digest::each_row;
use crate::error::TROUBLE_WITH_SOCKET;
use wire::{Reply, Request};

/// Text of an answer, all values together. More is for files, not for a person.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a daemon that has the file open may take to answer at its socket.
const START_MAX: Duration = Duration::from_secs(2);
/// A socket's path must fit into 108 bytes on Linux and 104 elsewhere, with what `server` adds while it makes it.
const SOCKET_PATH_MAX: usize = 80;

/// What a query gave, as the text that Postgres prints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Answers one read of the `DuckDB` file at `path`, through the process that has it open, if one has.
///
/// # Errors
/// `Operator` where the file is not there, the statement is no read, or its answer is too large.
pub fn query(path: &Path, sql: &str) -> Result<Answer> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask(path, sql)? {
            return Ok(answer);
        }
        if !path.exists() {
            return Err(Error::operator("TW-DUCK-017", format!("there is no file {}", path.display()))
                .remedy("run the pipeline first, or correct `path` in [sink.duckdb]"));
        }
        match Database::open(path, &[("access_mode", "READ_ONLY")]) {
            Ok(database) => {
                let mut answer = Collector::default();
                answer_read(&database.connect()?, sql, |reply| answer.take(reply))?;
                return Ok(answer.answer);
            }
            // A daemon that has just opened the file, and is about to answer.
            Err(error) if error.code() == "TW-DUCK-002" && start.elapsed() < START_MAX => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Asks at the socket; `None` where nobody answers there.
fn ask(path: &Path, sql: &str) -> Result<Option<Answer>> {
    let socket = socket_path(path);
    let mut stream = match UnixStream::connect(&socket) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(trouble(&socket, &error)),
    };
    refuse_strangers(path, &socket)?;
    let asked = wire::send(&mut stream, &Request { sql: sql.to_owned() });
    let mut answer = Collector::default();
    let mut replies = BufReader::new(stream);
    // A server that refused to listen has said why before it hung up, so what it said comes first.
    loop {
        match wire::receive::<Reply>(&mut replies) {
            Ok(Some(Reply::End)) => return Ok(Some(answer.answer)),
            Ok(Some(Reply::Failed(failure))) => return Err(failure.into_error()),
            Ok(Some(reply)) => answer.take(reply)?,
            Ok(None) => {
                asked.map_err(|error| trouble(&socket, &error))?;
                return Err(Error::transient(TROUBLE_WITH_SOCKET, "the daemon stops before it has answered"));
            }
            Err(error) => return Err(trouble(&socket, &error)),
        }
    }
}

/// The socket must belong to the one who owns the file, or to root: in a folder that all may write to, anybody could
/// have made it.
fn refuse_strangers(path: &Path, socket: &Path) -> Result<()> {
    let metadata = |path: &Path| path.symlink_metadata().map_err(|error| trouble(path, &error));
    let (owner, found) = (path.metadata().map_err(|error| trouble(path, &error))?.uid(), metadata(socket)?);
    if found.file_type().is_socket() && (found.uid() == owner || found.uid() == 0) {
        return Ok(());
    }
    Err(Error::operator(TROUBLE_WITH_SOCKET, format!("{} is not the daemon's socket", socket.display()))
        .remedy(format!("rm {}", socket.display())))
}

fn trouble(path: &Path, error: &std::io::Error) -> Error {
    Error::transient(TROUBLE_WITH_SOCKET, format!("{}: {error}", path.display()))
}

/// Where the process that has the file open answers: beside the file, or, where that is too long for a socket, in the
/// folder for such things.
#[must_use]
pub fn socket_path(file: &Path) -> PathBuf {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.sock"));
    if beside.as_os_str().len() <= SOCKET_PATH_MAX {
        return beside;
    }
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    // FNV-1a: the name must be the same in every release, and need not be hard to guess.
    let bytes = file.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    folder.join(format!("tailwater-{hash:016x}.sock"))
}

/// Gathers an answer, up to [`ANSWER_BYTES_MAX`].
#[derive(Debug, Default)]
struct Collector {
    answer: Answer,
    bytes: usize,
}

impl Collector {
    fn take(&mut self, reply: Reply) -> Result<()> {
        match reply {
            Reply::Columns(columns) => self.answer.columns = columns,
            Reply::Rows(mut rows) => {
                let bytes = rows.iter().flatten().map(|value| size_of_value(value.as_deref()));
                self.bytes += bytes.sum::<usize>();
                if self.bytes > ANSWER_BYTES_MAX {
                    return Err(too_large());
                }
                self.answer.rows.append(&mut rows);
            }
            Reply::End | Reply::Failed(_) => {}
        }
        Ok(())
    }
}

/// Bytes of memory, about, of a value.
fn size_of_value(value: Option<&str>) -> usize {
    size_of::<Option<String>>() + value.map_or(0, str::len)
}

fn too_large() -> Error {
    Error::operator("TW-DUCK-018", "the answer is larger than 64 MiB")
        .remedy("ask for fewer rows with LIMIT, or for fewer columns")
}

fn only_reads() -> Error {
    Error::operator("TW-DUCK-015", "only reads are answered")
        .remedy("write SELECT, FROM, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN")
}

/// Runs one read and gives its columns and rows, piece by piece.
fn answer_read(connection: &Connection, sql: &str, mut give: impl FnMut(Reply) -> Result<()>) -> Result<()> {
    connection.execute("BEGIN TRANSACTION READ ONLY")?;
    // What a read-only transaction refuses is a write, which EXPLAIN ANALYZE may hide.
    let outcome = give_rows(connection, sql, &mut give)
        .map_err(|error| if error.code() == "TW-DUCK-005" { only_reads() } else { error });
    // Nothing was written, and the connection goes with its query; so the outcome of the read is what counts.
    outcome.and(connection.execute("ROLLBACK").map(|_| ()))
}

fn give_rows(connection: &Connection, sql: &str, give: &mut impl FnMut(Reply) -> Result<()>) -> Result<()> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.columns();
    match statement.statement_type() {
        StatementType::Other => {
            return Err(only_reads());
        }
        StatementType::Select if columns.iter().any(|(_, kind)| kind.is_none()) => {
            statement = connection.prepare(&with_text(sql, &columns))?;
        }
        StatementType::Select | StatementType::Explain => {}
    }
    give(Reply::Columns(columns.into_iter().map(|(name, _)| name).collect()))?;
    let mut result = statement.query(&[])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    each_row(&mut result, |row| {
        let text = |value: Option<&[u8]>| value.map(|text| String::from_utf8_lossy(text).into_owned());
        let row: Vec<Option<String>> = row.values().map(text).collect();
        bytes += row.iter().map(|value| size_of_value(value.as_deref())).sum::<usize>();
        rows.push(row);
        if bytes < wire::PIECE_BYTES {
            return Ok(());
        }
        bytes = 0;
        give(Reply::Rows(std::mem::take(&mut rows)))
    })?;
    if rows.is_empty() { Ok(()) } else { give(Reply::Rows(rows)) }
}

/// The query with those columns as text that have a type which is not rendered here.
fn with_text(sql: &str, columns: &[(String, Option<crate::values::ColumnType>)]) -> String {
    let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
    let select = names.iter().zip(columns).map(|(name, (_, kind))| match kind {
        Some(_) => name.clone(),
        None => format!("CAST({name} AS VARCHAR)"),
    });
    let select: Vec<String> = select.collect();
    let sql = sql.trim_end().trim_end_matches(';');
    // The line break ends a comment that the query may end with.
    format!("SELECT {} FROM ({sql}\n) AS q({})", select.join(", "), names.join(", "))
}

#[cfg(test)]
mod tests;
