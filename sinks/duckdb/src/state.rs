//! What the sink remembers in the file itself, in the schema `tailwater`: the position, and each target table with the
//! shape it has. Written in the same transactions as the rows. What the tables look like is in `docs/OPERATING.md`.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tailwater_core::error::Doing;
use tailwater_core::{Error, Position, Result, Table};

use crate::database::Connection;
use crate::rows::Vector;
use crate::shape::{Held, literal, quote};
use crate::values::ColumnType;

/// The schema of our own tables: no source schema may have this name.
pub(crate) const SCHEMA: &str = "tailwater";
/// The version of the tables in it.
const VERSION: &str = "1";

/// One table of the source in the target.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The source's id of the table.
    pub(crate) id: u64,
    pub(crate) source_schema: String,
    pub(crate) source_name: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// In the order in which the target and the source have them.
    pub(crate) columns: Vec<Held>,
    /// Names of the columns of the key in the target.
    pub(crate) key: Vec<String>,
    /// Its first copy is not whole: rows are missing.
    pub(crate) copying: bool,
    /// Why nothing is written to it any more.
    pub(crate) stopped: Option<String>,
    /// The shape that was compared last; none before its first change since the start.
    pub(crate) shape: Option<Arc<Table>>,
    /// The types of `columns`.
    pub(crate) kinds: Vec<ColumnType>,
    /// Rows from before the transaction were deleted in it: `ALTER TABLE` would fail at its commit.
    pub(crate) touched: bool,
}

impl Target {
    /// A target that has no table in the file yet.
    pub(crate) fn new(table: &Arc<Table>) -> Self {
        Self {
            id: table.id,
            source_schema: table.schema.clone(),
            source_name: table.name.clone(),
            schema: table.schema.clone(),
            name: table.name.clone(),
            columns: Vec::new(),
            key: Vec::new(),
            copying: false,
            stopped: None,
            shape: Some(Arc::clone(table)),
            kinds: Vec::new(),
            touched: false,
        }
    }

    /// The source calls it so now.
    pub(crate) fn call_as(&mut self, table: &Table) {
        self.source_schema.clone_from(&table.schema);
        self.source_name.clone_from(&table.name);
    }

    /// Takes over a shape that the file has by now.
    pub(crate) fn adopt(&mut self, table: &Arc<Table>, columns: Vec<Held>) {
        self.call_as(table);
        self.kinds = columns.iter().map(|column| column.kind.clone()).collect();
        self.key = key_names(table, &columns);
        self.columns = columns;
        self.shape = Some(Arc::clone(table));
    }

    /// Whether the row of `change` is written as the target expects it.
    pub(crate) fn has_shape(&self, table: &Arc<Table>) -> bool {
        self.shape.as_ref().is_some_and(|shape| Arc::ptr_eq(shape, table))
    }

    /// The name in the source, for messages.
    pub(crate) fn source_full_name(&self) -> String {
        format!("{}.{}", self.source_schema, self.source_name)
    }
}

/// Names of the columns of the key in the target.
pub(crate) fn key_names(table: &Table, columns: &[Held]) -> Vec<String> {
    table.key.iter().filter_map(|&index| columns.get(index)).map(|column| column.name.clone()).collect()
}

/// Rows of text, and a way to ask for them: on our own connection, or through the process that has the file open.
pub(crate) type TextRows = Vec<Vec<Option<String>>>;
pub(crate) type Read<'r> = &'r dyn Fn(&str) -> Result<TextRows>;

/// Makes the schema where it is missing, and refuses one of another version or of another pipeline.
pub(crate) fn prepare(connection: &Connection, own: &str, pipeline: &str) -> Result<()> {
    let read = |sql: &str| text_rows(connection, sql);
    if is_prepared(&read)? {
        return check_owner(&read, own, pipeline);
    }
    connection.execute("BEGIN")?;
    create(connection, own).inspect_err(|_| roll_back(connection)).doing(|| "make the schema tailwater")?;
    connection.execute("COMMIT").map(|_| ())
}

/// Whether the file has our schema.
pub(crate) fn is_prepared(read: Read<'_>) -> Result<bool> {
    let sql = "SELECT schema_name FROM duckdb_schemas() \
               WHERE schema_name = 'tailwater' AND database_name = current_database()";
    Ok(!read(sql)?.is_empty())
}

/// Refuses a schema of another version or of another pipeline.
pub(crate) fn check_owner(read: Read<'_>, own: &str, pipeline: &str) -> Result<()> {
    check_version(read, own)?;
    for row in read(&format!("SELECT pipeline FROM {own}.position"))? {
        let owner = text(&row, 0)?;
        if owner != pipeline {
            let message = format!("the file belongs to the pipeline {owner}, this one is {pipeline}");
            return Err(Error::operator("TW-DUCK-024", message).remedy(format!(
                "set another path in [sink.duckdb], or name the pipeline's file {owner}.toml again"
            )));
        }
    }
    Ok(())
}

fn create(connection: &Connection, own: &str) -> Result<()> {
    connection.execute(&format!("CREATE SCHEMA {own}"))?;
    connection.execute(&format!("CREATE TABLE {own}.format (version VARCHAR)"))?;
    connection.execute(&format!("INSERT INTO {own}.format VALUES ('{VERSION}')"))?;
    connection.execute(&format!(
        "CREATE TABLE {own}.position (pipeline VARCHAR, position VARCHAR, written_at TIMESTAMPTZ)"
    ))?;
    connection.execute(&format!(
        "CREATE TABLE {own}.tables (pipeline VARCHAR, id UBIGINT, source_schema VARCHAR, source_name VARCHAR, \
         target_schema VARCHAR, target_name VARCHAR, columns VARCHAR, key VARCHAR, state VARCHAR, \
         stopped_reason VARCHAR)"
    ))?;
    Ok(())
}

fn check_version(read: Read<'_>, own: &str) -> Result<()> {
    let found = read(&format!("SELECT version FROM {own}.format")).map_err(|error| {
        Error::operator("TW-DUCK-023", format!("read tailwater.format: {}", error.message()))
    })?;
    let version =
        found.first().and_then(|row| row.first()).and_then(Option::as_deref).unwrap_or("no version");
    if version == VERSION {
        return Ok(());
    }
    let message =
        format!("the file's schema tailwater has version {version}, this release knows version {VERSION}");
    Err(Error::operator("TW-DUCK-023", message)
        .remedy("use the release that wrote the file, or another path"))
}

/// The position that the file holds.
///
/// # Errors
/// `Operator` where it is there and cannot be read.
pub(crate) fn load_position(read: Read<'_>, own: &str, pipeline: &str) -> Result<Option<Position>> {
    let sql = format!("SELECT position FROM {own}.position WHERE pipeline = {}", literal(pipeline));
    match read(&sql)?.as_slice() {
        [] => Ok(None),
        [row] => json(text(row, 0)?).doing(|| "read tailwater.position").map(Some),
        more => Err(unreadable(format!("tailwater.position holds {} rows", more.len()))),
    }
}

/// Sets the position, in the transaction that is open.
pub(crate) fn save_position(
    connection: &Connection,
    own: &str,
    pipeline: &str,
    position: &Position,
    known: bool,
) -> Result<()> {
    let text = encode(position)?;
    let (pipeline, position) = (literal(pipeline), literal(&text));
    let sql = if known {
        format!(
            "UPDATE {own}.position SET position = {position}, written_at = now() WHERE pipeline = {pipeline}"
        )
    } else {
        format!("INSERT INTO {own}.position VALUES ({pipeline}, {position}, now())")
    };
    match connection.execute(&sql)? {
        1 => Ok(()),
        changed => Err(unreadable(format!("tailwater.position holds {changed} rows of this pipeline"))),
    }
}

/// All tables the file knows.
pub(crate) fn load_targets(read: Read<'_>, own: &str) -> Result<Vec<Target>> {
    let sql = format!(
        "SELECT id::VARCHAR, source_schema, source_name, target_schema, target_name, columns, key, state, \
         stopped_reason FROM {own}.tables ORDER BY id"
    );
    read(&sql)?.iter().map(|row| load_target(row)).collect::<Result<_>>().doing(|| "read tailwater.tables")
}

fn load_target(row: &[Option<String>]) -> Result<Target> {
    let (copying, stopped) = match text(row, 7)? {
        "following" => (false, None),
        "copying" => (true, None),
        "stopped" => (false, Some(text(row, 8)?.to_owned())),
        state => return Err(unreadable(format!("a table has the state {state}"))),
    };
    let id = text(row, 0)?;
    Ok(Target {
        id: id.parse().map_err(|error| unreadable(format!("{id} is not the id of a table: {error}")))?,
        source_schema: text(row, 1)?.to_owned(),
        source_name: text(row, 2)?.to_owned(),
        schema: text(row, 3)?.to_owned(),
        name: text(row, 4)?.to_owned(),
        columns: json(text(row, 5)?)?,
        key: json(text(row, 6)?)?,
        copying,
        stopped,
        shape: None,
        kinds: Vec::new(),
        touched: false,
    })
}

/// Writes down a table, in the transaction that is open.
pub(crate) fn save_target(connection: &Connection, own: &str, pipeline: &str, target: &Target) -> Result<()> {
    forget_target(connection, own, target.id)?;
    let (state, reason) = match &target.stopped {
        None if target.copying => ("copying", "NULL".to_owned()),
        None => ("following", "NULL".to_owned()),
        Some(reason) => ("stopped", literal(reason)),
    };
    connection.execute(&format!(
        "INSERT INTO {own}.tables VALUES ({}, {}, {}, {}, {}, {}, {}, {}, '{state}', {reason})",
        literal(pipeline),
        target.id,
        literal(&target.source_schema),
        literal(&target.source_name),
        literal(&target.schema),
        literal(&target.name),
        literal(&encode(&target.columns)?),
        literal(&encode(&target.key)?),
    ))?;
    Ok(())
}

/// Forgets a table.
pub(crate) fn forget_target(connection: &Connection, own: &str, id: u64) -> Result<()> {
    connection.execute(&format!("DELETE FROM {own}.tables WHERE id = {id}"))?;
    Ok(())
}

/// `catalog.schema.table`: with all three parts no schema name can be taken for a catalog.
pub(crate) fn full_name(catalog: &str, schema: &str, name: &str) -> String {
    format!("{}.{}.{}", quote(catalog), quote(schema), quote(name))
}

/// The name under which `DuckDB` knows the file.
pub(crate) fn catalog(read: Read<'_>) -> Result<String> {
    let rows = read("SELECT current_database()")?;
    rows.first()
        .map_or_else(|| Err(unreadable("no database".to_owned())), |row| text(row, 0).map(str::to_owned))
}

/// Our schema, with the catalog before it: a file may be called `tailwater.duckdb`.
pub(crate) fn own_schema(catalog: &str) -> String {
    format!("{}.{SCHEMA}", quote(catalog))
}

/// The rows of a query whose columns are all text.
pub(crate) fn text_rows(connection: &Connection, sql: &str) -> Result<TextRows> {
    let mut result = connection.query(sql)?;
    let mut rows = Vec::new();
    while let Some(chunk) = result.next_rows()? {
        let columns = chunk.columns()?;
        for row in 0..chunk.len() {
            let value = |column: &Vector<'_>| {
                (!column.is_null(row)).then(|| String::from_utf8_lossy(column.bytes(row)).into_owned())
            };
            rows.push(columns.iter().map(value).collect());
        }
    }
    Ok(rows)
}

fn text(row: &[Option<String>], index: usize) -> Result<&str> {
    row.get(index).and_then(Option::as_deref).ok_or_else(|| unreadable(format!("value {index} is missing")))
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))
}

fn encode<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| unreadable(format!("encode: {error}")))
}

fn unreadable(message: String) -> Error {
    Error::operator("TW-DUCK-025", message)
        .remedy("restore the file from a backup, or move it away and let everything be copied again")
}

fn roll_back(connection: &Connection) {
    if let Err(error) = connection.execute("ROLLBACK") {
        tracing::debug!("roll back: {error}");
    }
}
