//! Appends chunks to a table: the fast way in. Part of [`database`](crate::database).

use std::ptr;

use libduckdb_sys as ffi;
use tailwater_core::Result;

use crate::chunk::Chunk;
use crate::database::{Connection, c_string, text};
use crate::error;

/// Adds chunks to a table, fast. What was added is in the table after [`Appender::close`] only, in the connection's
/// transaction; an appender that is dropped instead forgets what it had not passed on.
#[derive(Debug)]
pub struct Appender<'c> {
    raw: ffi::duckdb_appender,
    connection: &'c Connection,
}

impl<'c> Appender<'c> {
    /// An appender for `schema.table`, in `catalog` (`temp` for temporary tables) or the default one.
    ///
    /// # Errors
    /// `Operator` where there is no such table.
    pub fn new(connection: &'c Connection, catalog: Option<&str>, schema: &str, table: &str) -> Result<Self> {
        let catalog = catalog.map(c_string).transpose()?;
        let (schema, table) = (c_string(schema)?, c_string(table)?);
        let catalog = catalog.as_ref().map_or(ptr::null(), |catalog| catalog.as_ptr());
        let mut appender = Self { raw: ptr::null_mut(), connection };
        let (schema, table, raw) = (schema.as_ptr(), table.as_ptr(), &raw mut appender.raw);
        // SAFETY: the connection is open, the names end with NUL; the appender is destroyed by its drop.
        let state = unsafe { ffi::duckdb_appender_create_ext(connection.raw(), catalog, schema, table, raw) };
        appender.check(state)?;
        Ok(appender)
    }

    /// Adds the rows of a chunk, whose columns must have the table's types.
    ///
    /// # Errors
    /// As for a statement.
    pub fn append(&mut self, chunk: &Chunk) -> Result<()> {
        // SAFETY: both are live; DuckDB copies the rows.
        let state = unsafe { ffi::duckdb_append_data_chunk(self.raw, chunk.raw()) };
        self.check(state)
    }

    /// Passes on what was added.
    ///
    /// # Errors
    /// As for a statement; what was added since the last flush is lost then.
    pub fn close(self) -> Result<()> {
        // SAFETY: the appender is live.
        let state = unsafe { ffi::duckdb_appender_close(self.raw) };
        self.check(state)
    }

    fn check(&self, state: ffi::duckdb_state) -> Result<()> {
        if state == ffi::DuckDBSuccess {
            return Ok(());
        }
        // SAFETY: the appender exists also after an error; the data is destroyed below.
        let mut data = unsafe { ffi::duckdb_appender_error_data(self.raw) };
        // SAFETY: the error data is live.
        let error_type = unsafe { ffi::duckdb_error_data_error_type(data) };
        // SAFETY: as above; the message belongs to it.
        let message = unsafe { text(ffi::duckdb_error_data_message(data)) };
        // SAFETY: destroyed once.
        unsafe { ffi::duckdb_destroy_error_data(&raw mut data) };
        Err(error::reported(error_type, &message, self.connection.values))
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        // SAFETY: the appender is live, or null after a failed creation, which DuckDB permits for both calls.
        // Clearing first keeps the destructor from passing rows on after an error.
        unsafe {
            if !self.raw.is_null() {
                ffi::duckdb_appender_clear(self.raw);
                ffi::duckdb_appender_destroy(&raw mut self.raw);
            }
        }
    }
}
