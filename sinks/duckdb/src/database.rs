//! A thin, safe wrapper over `DuckDB`'s C interface: databases, connections, statements, results.
//! With [`chunk`](crate::chunk), [`rows`](crate::rows), `appender` and `layout` the only place with `unsafe`. Knows nothing
//! of Postgres or of pipelines.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Weak};

use libduckdb_sys as ffi;
use tailwater_core::{Error, Result};

pub use crate::appender::Appender;
use crate::error::{self, Values};
use crate::layout::LogicalType;
use crate::rows::Rows;
use crate::values::ColumnType;

/// An open database file, or one in memory (`:memory:`). Clones share it; it is closed with the last connection.
#[derive(Debug, Clone)]
pub struct Database(Arc<RawDatabase>);

#[derive(Debug)]
struct RawDatabase(ffi::duckdb_database);

// SAFETY: DuckDB documents that a database may be used from any thread; we only connect to it and close it.
unsafe impl Send for RawDatabase {}
// SAFETY: as above; connecting is synchronised inside DuckDB.
unsafe impl Sync for RawDatabase {}

impl Drop for RawDatabase {
    fn drop(&mut self) {
        // SAFETY: the handle came from duckdb_open_ext and is closed once; no connection is left, each holds an Arc.
        unsafe { ffi::duckdb_close(&raw mut self.0) }
    }
}

/// What a statement is; only what callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementType {
    /// SELECT, VALUES, FROM, DESCRIBE, SHOW, SUMMARIZE.
    Select,
    /// EXPLAIN.
    Explain,
    /// Anything else.
    Other,
}

/// The file that a link leads to, there already or not: `DuckDB` puts its log beside the name it is given, and must find it
/// there again.
fn resolved(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target)),
            // No link, or nothing there yet.
            Err(_) => return Ok(path),
        }
    }
    Err(error::cannot_open(&format!("{} is a link to itself", path.display())))
}

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

impl Database {
    /// Opens the file, creating it where it does not exist. Nothing is ever fetched from the network for it.
    ///
    /// # Errors
    /// `Operator` for a wrong setting, folder or file; `Transient` where another process has it open.
    pub fn open(path: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let name = path.display();
        let path = &resolved(path)?;
        let path_text = path.to_str().ok_or_else(|| error::cannot_open("the path is not UTF-8"))?;
        if path_text != ":memory:" {
            error::examine_file(path)?;
        }
        let mut config = Config::new()?;
        config.set("autoinstall_known_extensions", "false")?;
        config.set("autoload_known_extensions", "false")?;
        for (key, value) in settings {
            config.set(key, value)?;
        }
        // No statement reads or writes other files, whoever wrote it, unless a setting permits it. Last, because it
        // also forbids to say where DuckDB's own temporary ones are.
        if !settings.iter().any(|(key, _)| *key == "enable_external_access") {
            config.set("enable_external_access", "false")?;
        }
        let path = c_string(path_text)?;
        let (mut raw, mut message) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: all pointers are valid for the call; DuckDB fills `raw` or, on error, `message`.
        let state = unsafe { ffi::duckdb_open_ext(path.as_ptr(), &raw mut raw, config.0, &raw mut message) };
        if state == ffi::DuckDBSuccess {
            return Ok(Self(Arc::new(RawDatabase(raw))));
        }
        // SAFETY: on error DuckDB allocates a C string, or leaves null.
        let text = unsafe { text(message) };
        // SAFETY: the message was allocated by DuckDB and is freed once; null is permitted.
        unsafe { ffi::duckdb_free(message.cast()) };
        Err(error::opening(&text).doing(format!("open {name}")))
    }

    /// How many clones and connections have it open.
    #[cfg(test)]
    pub(crate) fn users(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// A new connection, with a transaction state of its own.
    ///
    /// # Errors
    /// Where `DuckDB` cannot make one.
    pub fn connect(&self) -> Result<Connection> {
        let mut raw = ptr::null_mut();
        // SAFETY: the database is open as long as the Arc lives; `raw` is filled on success.
        let state = unsafe { ffi::duckdb_connect(self.0.0, &raw mut raw) };
        if state != ffi::DuckDBSuccess {
            return Err(Error::transient("TW-DUCK-007", "DuckDB makes no connection"));
        }
        let raw = Arc::new(RawConnection { raw, _database: Arc::clone(&self.0) });
        Ok(Connection { raw, values: Values::Hidden, _not_sync: PhantomData })
    }
}

struct Config(ffi::duckdb_config);

impl Config {
    fn new() -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is filled with a new configuration.
        let state = unsafe { ffi::duckdb_create_config(&raw mut raw) };
        let config = Self(raw);
        if state == ffi::DuckDBSuccess {
            Ok(config)
        } else {
            Err(error::cannot_open("no memory for settings"))
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let (name, value) = (c_string(key)?, c_string(value)?);
        // SAFETY: the configuration is live and both strings end with NUL.
        let state = unsafe { ffi::duckdb_set_config(self.0, name.as_ptr(), value.as_ptr()) };
        if state == ffi::DuckDBSuccess {
            return Ok(());
        }
        Err(Error::operator("TW-DUCK-012", format!("DuckDB refuses the setting {key}"))
            .remedy(format!("correct {key} in [sink.duckdb]")))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: created by duckdb_create_config, destroyed once.
        unsafe { ffi::duckdb_destroy_config(&raw mut self.0) }
    }
}

/// One connection: may move between threads, is used by one at a time.
#[derive(Debug)]
pub struct Connection {
    raw: Arc<RawConnection>,
    pub(crate) values: Values,
    _not_sync: PhantomData<Cell<()>>,
}

#[derive(Debug)]
struct RawConnection {
    raw: ffi::duckdb_connection,
    _database: Arc<RawDatabase>,
}

// SAFETY: a DuckDB connection is not bound to a thread. `Connection` keeps use to one thread at a time by not being
// Sync; `Interrupter` only calls duckdb_interrupt, which is meant for other threads.
unsafe impl Send for RawConnection {}
// SAFETY: as above.
unsafe impl Sync for RawConnection {}

impl Drop for RawConnection {
    fn drop(&mut self) {
        // SAFETY: made by duckdb_connect, closed once; statements and results borrow the connection.
        unsafe { ffi::duckdb_disconnect(&raw mut self.raw) }
    }
}

/// Stops whatever a connection is doing, from another thread.
#[derive(Debug, Clone)]
pub struct Interrupter(Weak<RawConnection>);

impl Interrupter {
    /// The running statement, if any, ends with an error soon.
    pub fn interrupt(&self) {
        if let Some(connection) = self.0.upgrade() {
            // SAFETY: the connection is open while the Arc lives; DuckDB permits this from any thread.
            unsafe { ffi::duckdb_interrupt(connection.raw) }
        }
    }
}

impl Connection {
    /// Lets errors show `DuckDB`'s whole message, which may quote row values: for a person's own queries only.
    pub fn show_values(&mut self) {
        self.values = Values::Shown;
    }

    pub(crate) fn raw(&self) -> ffi::duckdb_connection {
        self.raw.raw
    }

    /// A handle that stops what this connection is doing.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::downgrade(&self.raw))
    }

    /// Runs one or more statements and returns how many rows the last one changed.
    ///
    /// # Errors
    /// The first error; its kind is told by `DuckDB`'s error type.
    pub fn execute(&self, sql: &str) -> Result<u64> {
        let sql = c_string(sql)?;
        let mut result = RawResult::default();
        // SAFETY: the connection is open, the text ends with NUL, and the result is destroyed by its drop.
        let state = unsafe { ffi::duckdb_query(self.raw.raw, sql.as_ptr(), &raw mut result.0) };
        result.check(state, self.values)?;
        // SAFETY: the result is live.
        Ok(unsafe { ffi::duckdb_rows_changed(&raw mut result.0) })
    }

    /// Runs one statement and gives its rows chunk by chunk, as they are made.
    ///
    /// # Errors
    /// As [`Connection::execute`]; later ones come from [`QueryResult::next_rows`].
    pub fn query(&self, sql: &str) -> Result<QueryResult<'_>> {
        self.prepare(sql)?.query(&[])
    }

    /// Prepares one statement, with `?` or `$1` for text parameters.
    ///
    /// # Errors
    /// `Operator` where the statement is wrong.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let sql = c_string(sql)?;
        let mut statement = Statement { raw: ptr::null_mut(), connection: self };
        // SAFETY: as in `execute`; the statement is destroyed by its drop, also after an error.
        let state = unsafe { ffi::duckdb_prepare(self.raw.raw, sql.as_ptr(), &raw mut statement.raw) };
        if state == ffi::DuckDBSuccess {
            return Ok(statement);
        }
        // SAFETY: the statement exists also after an error, and owns the message.
        let message = unsafe { text(ffi::duckdb_prepare_error(statement.raw)) };
        Err(error::prefixed(&message, self.values))
    }
}

/// A prepared statement.
#[derive(Debug)]
pub struct Statement<'c> {
    raw: ffi::duckdb_prepared_statement,
    connection: &'c Connection,
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: made by duckdb_prepare, destroyed once; the connection outlives it.
        unsafe { ffi::duckdb_destroy_prepare(&raw mut self.raw) }
    }
}

impl<'c> Statement<'c> {
    /// What it does.
    #[must_use]
    pub fn statement_type(&self) -> StatementType {
        // SAFETY: the statement is live.
        match unsafe { ffi::duckdb_prepared_statement_type(self.raw) } {
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT => StatementType::Select,
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPLAIN => StatementType::Explain,
            _ => StatementType::Other,
        }
    }

    /// Names and types of the columns of its rows; no type for those we neither write nor render.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, Option<ColumnType>)> {
        // SAFETY: the statement is live, here and below.
        let count = unsafe { ffi::duckdb_prepared_statement_column_count(self.raw) };
        let column = |index| {
            // SAFETY: the name is ours to free, which is done below.
            let name = unsafe { ffi::duckdb_prepared_statement_column_name(self.raw, index) };
            // SAFETY: a C string or null.
            let column_name = unsafe { text(name) };
            // SAFETY: allocated by DuckDB, freed once; null is permitted.
            unsafe { ffi::duckdb_free(name.cast_mut().cast()) };
            // SAFETY: the type is ours to destroy, which its drop does.
            let logical =
                LogicalType(unsafe { ffi::duckdb_prepared_statement_column_logical_type(self.raw, index) });
            (column_name, logical.column_type())
        };
        (0..count).map(column).collect()
    }

    /// Runs it and returns how many rows it changed.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    pub fn execute(&self, parameters: &[Option<&str>]) -> Result<u64> {
        self.bind(parameters)?;
        let mut result = RawResult::default();
        // SAFETY: the statement is live; the result is destroyed by its drop.
        let state = unsafe { ffi::duckdb_execute_prepared(self.raw, &raw mut result.0) };
        result.check(state, self.connection.values)?;
        // SAFETY: the result is live.
        Ok(unsafe { ffi::duckdb_rows_changed(&raw mut result.0) })
    }

    /// Runs it and gives its rows chunk by chunk.
    ///
    /// # Errors
    /// As [`Connection::execute`].
    pub fn query(&self, parameters: &[Option<&str>]) -> Result<QueryResult<'c>> {
        self.bind(parameters)?;
        let mut result = RawResult::default();
        // SAFETY: the statement is live; the result is destroyed by its drop, before the connection it borrows.
        let state = unsafe { ffi::duckdb_execute_prepared_streaming(self.raw, &raw mut result.0) };
        result.check(state, self.connection.values)?;
        Ok(QueryResult { result, connection: self.connection })
    }

    fn bind(&self, parameters: &[Option<&str>]) -> Result<()> {
        for (number, parameter) in (1..).zip(parameters) {
            // SAFETY: the statement is live; the text is valid for its length and copied by DuckDB.
            let state = unsafe {
                match parameter {
                    Some(text) => {
                        let length = text.len() as ffi::idx_t;
                        ffi::duckdb_bind_varchar_length(self.raw, number, text.as_ptr().cast(), length)
                    }
                    None => ffi::duckdb_bind_null(self.raw, number),
                }
            };
            if state != ffi::DuckDBSuccess {
                return Err(Error::operator(
                    "TW-DUCK-008",
                    format!("the statement has no parameter {number}"),
                ));
            }
        }
        Ok(())
    }
}

struct RawResult(ffi::duckdb_result);

impl Default for RawResult {
    fn default() -> Self {
        Self(ffi::duckdb_result {
            deprecated_column_count: 0,
            deprecated_row_count: 0,
            deprecated_rows_changed: 0,
            deprecated_columns: ptr::null_mut(),
            deprecated_error_message: ptr::null_mut(),
            internal_data: ptr::null_mut(),
        })
    }
}

impl RawResult {
    fn check(&mut self, state: ffi::duckdb_state, values: Values) -> Result<()> {
        if state == ffi::DuckDBSuccess { Ok(()) } else { Err(self.error(values)) }
    }

    fn error(&mut self, values: Values) -> Error {
        // SAFETY: the result was filled by the failed call and is live.
        let error_type = unsafe { ffi::duckdb_result_error_type(&raw mut self.0) };
        // SAFETY: as above; the message belongs to the result, which outlives its use here.
        let message = unsafe { text(ffi::duckdb_result_error(&raw mut self.0)) };
        error::reported(error_type, &message, values)
    }
}

impl Drop for RawResult {
    fn drop(&mut self) {
        // SAFETY: zeroed or filled by DuckDB; destroyed once. DuckDB permits both.
        unsafe { ffi::duckdb_destroy_result(&raw mut self.0) }
    }
}

/// The rows of a query, made while they are read. Another statement on the same connection ends it with an error.
pub struct QueryResult<'c> {
    result: RawResult,
    connection: &'c Connection,
}

impl std::fmt::Debug for QueryResult<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryResult").finish_non_exhaustive()
    }
}

impl QueryResult<'_> {
    /// Names of the columns.
    #[must_use]
    pub fn columns(&mut self) -> Vec<String> {
        let result = &raw mut self.result.0;
        // SAFETY: the result is live.
        let count = unsafe { ffi::duckdb_column_count(result) };
        // SAFETY: each column is below the count; the name belongs to the result.
        (0..count).map(|column| unsafe { text(ffi::duckdb_column_name(result, column)) }).collect()
    }

    /// The next rows, at most 2048; `None` at the end.
    ///
    /// # Errors
    /// What went wrong while they were made.
    pub fn next_rows(&mut self) -> Result<Option<Rows>> {
        // SAFETY: the result is live; the chunk is ours to destroy, which `Rows` does.
        let chunk = unsafe { ffi::duckdb_fetch_chunk(self.result.0) };
        if !chunk.is_null() {
            // SAFETY: a chunk that was just fetched and that nobody else has.
            return Ok(Some(unsafe { Rows::from_raw(chunk) }));
        }
        // SAFETY: the result is live.
        let failed = unsafe { !ffi::duckdb_result_error(&raw mut self.result.0).is_null() };
        if failed { Err(self.result.error(self.connection.values)) } else { Ok(None) }
    }
}

/// The release of the library.
#[must_use]
pub fn library_version() -> String {
    // SAFETY: a constant C string.
    unsafe { text(ffi::duckdb_library_version()) }
}

pub(crate) fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|error| {
        Error::operator(
            "TW-DUCK-008",
            format!("a NUL at byte {} of a statement or name", error.nul_position()),
        )
    })
}

/// # Safety
/// `message` is null or a live C string.
pub(crate) unsafe fn text(message: *const c_char) -> String {
    if message.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
