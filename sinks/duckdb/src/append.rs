//! Parses values straight into the vectors of a chunk and appends them. Which rows go where, and what is done about a
//! value that does not fit, is up to the callers.

use std::ops::Range;

use tailwater_core::{Error, Result, Value};

use crate::chunk::Chunk;
use crate::database::{Appender, Connection};
use crate::values::{ColumnType, Fit, Parser};

/// Where rows are appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) catalog: &'p str,
    pub(crate) schema: &'p str,
    pub(crate) table: &'p str,
}

impl<'p> Place<'p> {
    /// A temporary table.
    pub(crate) fn temporary(table: &'p str) -> Self {
        Self { catalog: "temp", schema: "main", table }
    }
}

/// A value that its column's type cannot hold. The rows before `row` are appended, that one and the later ones not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// Appends `rows`, whose values `value(row, column)` gives.
///
/// # Errors
/// `Data` for a value that no column can hold; else what `DuckDB` says.
pub(crate) fn append<'v>(
    connection: &Connection,
    place: Place<'_>,
    kinds: &[ColumnType],
    rows: Range<usize>,
    value: impl Fn(usize, usize) -> Value<'v>,
) -> Result<Option<Misfit>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut appender = Appender::new(connection, Some(place.catalog), place.schema, place.table)?;
    let (mut chunk, mut parser) = (Chunk::new(kinds)?, Parser::default());
    let mut start = rows.start;
    while start < rows.end {
        let end = rows.end.min(start + Chunk::CAPACITY);
        if let Some(column) = fill(&mut chunk, &mut parser, kinds, start..end, &value)? {
            appender.close()?;
            return Ok(Some(Misfit { row: start, column }));
        }
        appender.append(&chunk)?;
        chunk.reset();
        start = end;
    }
    appender.close()?;
    Ok(None)
}

/// Fills an empty chunk. Names the column of a value that does not fit.
fn fill<'v>(
    chunk: &mut Chunk,
    parser: &mut Parser,
    kinds: &[ColumnType],
    rows: Range<usize>,
    value: &impl Fn(usize, usize) -> Value<'v>,
) -> Result<Option<usize>> {
    for (index, (column, kind)) in chunk.columns().iter_mut().zip(kinds).enumerate() {
        for (at, row) in rows.clone().enumerate() {
            match value(row, index) {
                Value::Null => column.put_null(at),
                Value::Text(text) => {
                    if parser.write(kind, text, column, at)? == Fit::No {
                        return Ok(Some(index));
                    }
                }
                Value::Unsent => {
                    return Err(Error::data(
                        "TW-DUCK-022",
                        "a row leaves a value unsent that the target lacks",
                    ));
                }
            }
        }
    }
    chunk.set_len(rows.len());
    Ok(None)
}
