//! What a person may ask about a target without running a pipeline: what `check` would find, where the file stands,
//! which tables are stopped. Changes nothing.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind as IoKind;
use std::path::Path;
use std::sync::Arc;

use tailwater_core::{Column, Finding, Position, Result, Table, Type};

use crate::query::query;
use crate::shape::{column_names, same_name};
use crate::sink::Config;
use crate::state::{self, TextRows};
use crate::values::ColumnType;

/// A table to which nothing is written any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// `schema.table` in the source.
    pub table: String,
    /// What could not be kept.
    pub reason: String,
}

/// Everything a person should know before these tables are written to the target.
#[must_use]
pub fn check(config: &Config, tables: &[Arc<Table>]) -> Vec<Finding> {
    let mut findings = check_path(&config.path);
    if findings.is_empty()
        && config.path.exists()
        && let Err(error) = ours(config)
    {
        findings.push(Finding::from(&error));
    }
    for (index, table) in tables.iter().enumerate() {
        check_table(table, &mut findings);
        let clash = |other: &&Arc<Table>| {
            same_name(&other.schema, &table.schema) && same_name(&other.name, &table.name)
        };
        if let Some(other) = tables.iter().take(index).find(clash) {
            let (one, two) = (other.full_name(), table.full_name());
            let message = format!("DuckDB does not tell {two} from {one}: the second is stopped");
            findings.push(
                Finding::error("TW-DUCK-027", message)
                    .remedy(format!("{}, or rename one of them in the source", leave_out(table))),
            );
        }
    }
    findings
}

/// The position that the file holds; `None` where nothing was written yet. Asks the daemon while it has the file open.
///
/// # Errors
/// `Transient` where another process has the file open; `Operator` where it cannot be read.
pub fn position(config: &Config) -> Result<Option<Position>> {
    match ours(config)? {
        Some(own) => state::load_position(&reader(config), &own, &config.pipeline),
        None => Ok(None),
    }
}

/// The tables that are stopped.
///
/// # Errors
/// As [`position`].
pub fn stopped_tables(config: &Config) -> Result<Vec<Stopped>> {
    let Some(own) = ours(config)? else { return Ok(Vec::new()) };
    let stopped = state::load_targets(&reader(config), &own)?.into_iter().filter_map(|target| {
        let table = target.source_full_name();
        target.stopped.map(|reason| Stopped { table, reason })
    });
    Ok(stopped.collect())
}

fn reader(config: &Config) -> impl Fn(&str) -> Result<TextRows> {
    |sql| query(&config.path, sql).map(|answer| answer.rows)
}

/// Our schema in the file, for SQL; `None` where nothing was written yet. Refuses what another pipeline has written.
fn ours(config: &Config) -> Result<Option<String>> {
    let read = reader(config);
    if !config.path.exists() || !state::is_prepared(&read)? {
        return Ok(None);
    }
    let own = state::own_schema(&state::catalog(&read)?);
    state::check_owner(&read, &own, &config.pipeline)?;
    Ok(Some(own))
}

fn check_path(path: &Path) -> Vec<Finding> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == IoKind::NotFound => Ok(()),
        opened => opened.map(|_| ()),
    };
    // DuckDB makes files beside its own: the log, and what does not fit into memory.
    let probe = folder.join(format!(".tailwater-check-{}", std::process::id()));
    let made =
        OpenOptions::new().write(true).create_new(true).open(&probe).and_then(|_| fs::remove_file(&probe));
    let cannot = |what: &Path, error: &std::io::Error| {
        Finding::error("TW-DUCK-001", format!("{} cannot be written: {error}", what.display()))
            .remedy("correct `path` in [sink.duckdb], or the rights on it")
    };
    let file = written.err().map(|error| cannot(path, &error));
    file.into_iter().chain(made.err().map(|error| cannot(folder, &error))).collect()
}

/// The line that takes a table out of the pipeline. In single quotes, because names may need double ones.
fn leave_out(table: &Table) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("tables = [..., '!{}.{}']", quoted(&table.schema), quoted(&table.name))
}

fn check_table(table: &Table, findings: &mut Vec<Finding>) {
    let name = table.full_name();
    if same_name(&table.schema, state::SCHEMA) {
        let message = format!("{name} cannot be written: the schema tailwater is the sink's own");
        findings.push(
            Finding::error("TW-DUCK-028", message).remedy(format!("tables = [..., \"!{}.*\"]", table.schema)),
        );
    }
    if table.columns.is_empty() {
        let message = format!("{name} has no columns, which DuckDB cannot hold: it is stopped");
        findings.push(Finding::error("TW-DUCK-027", message).remedy(leave_out(table)));
    }
    for (column, target) in table.columns.iter().zip(column_names(table)) {
        if column.name != target {
            let message = format!(
                "{name}: DuckDB takes the name of {} for another one: it becomes {target}",
                column.name
            );
            findings.push(Finding::warning("TW-DUCK-033", message));
        }
    }
    let textual: Vec<String> =
        table.columns.iter().filter(|column| is_textual(column)).map(describe).collect();
    if !textual.is_empty() {
        let message = format!("{name}: held as text, exactly as Postgres prints it: {}", textual.join(", "));
        findings.push(Finding::warning("TW-DUCK-034", message));
    }
}

fn describe(column: &Column) -> String {
    format!("{} ({})", column.name, column.source_type)
}

/// Whether the target holds the text of something that is not text.
fn is_textual(column: &Column) -> bool {
    ColumnType::of(&column.kind) == ColumnType::Varchar && column.kind != Type::Text
}
