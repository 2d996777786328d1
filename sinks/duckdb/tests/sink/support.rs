//! Tables, batches and contents in a form that is short to write down.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tailwater_core::{Batch, Column, Declared, Fill, Position, Result, Sink, Table, Type, Value};
use tailwater_duckdb::values::render;
use tailwater_duckdb::{Config, Connection, DuckDb};

/// `id name type…`: a column list such as `1 id int4, 2 note text`; the first `keys` columns are the key.
pub(crate) fn table(id: u64, full_name: &str, columns: &str, keys: usize) -> Arc<Table> {
    let (schema, name) = full_name.split_once('.').unwrap();
    let columns = columns.split(", ").map(column).collect();
    Arc::new(Table {
        id,
        schema: schema.into(),
        name: name.into(),
        columns,
        key: (0..keys).collect(),
        declared_key: Vec::new(),
        streamed_from_birth: true,
    })
}

/// `3 note text`, and behind it perhaps `=value` for what older rows hold, `=?` where that is not known, or `=gone`.
fn column(text: &str) -> Column {
    let (text, fill) = match text.split_once('=') {
        Some((text, "?")) => (text, Fill::Unknown("a volatile default".into())),
        Some((text, "gone")) => (text, Fill::Gone),
        Some((text, value)) => (text, Fill::Constant(value.into())),
        None => (text, Fill::Null),
    };
    let words: Vec<&str> = text.splitn(3, ' ').collect();
    let text = match words[2].split('(').next() {
        Some("varchar") => format!("character varying{}", &words[2]["varchar".len()..]),
        Some("char") => format!("character{}", &words[2]["char".len()..]),
        Some(_) | None => String::new(),
    };
    let (kind, source_type) = match words[2] {
        _ if !text.is_empty() => (Type::Text, text.as_str()),
        "int4" => (Type::Int4, "integer"),
        "int8" => (Type::Int8, "bigint"),
        "bool" => (Type::Bool, "boolean"),
        "text" => (Type::Text, "text"),
        "numeric" => (Type::Numeric { limits: None }, "numeric"),
        "numeric(8,2)" => (Type::Numeric { limits: Some((8, 2)) }, "numeric(8,2)"),
        "timestamptz" => (Type::TimestampTz, "timestamp with time zone"),
        "float8" => (Type::Float8, "double precision"),
        "interval" => (Type::Interval, "interval"),
        "int4[]" => (Type::Array(Box::new(Type::Int4)), "integer[]"),
        "jsonb" => (Type::Json, "jsonb"),
        other => panic!("{other}"),
    };
    Column {
        id: words[0].parse().unwrap(),
        name: words[1].into(),
        kind,
        source_type: source_type.into(),
        type_id: type_id(source_type),
        fill,
        declared: Declared::default(),
    }
}

/// A number of a type, as Postgres has: the same for the same spelling.
pub(crate) fn type_id(source_type: &str) -> u32 {
    source_type.bytes().fold(30_000, |id, byte| id.wrapping_mul(31).wrapping_add(byte.into()))
}

/// A row: `~` is unsent, `NULL` is NULL.
pub(crate) type Cells<'a> = &'a [&'a str];

/// A change in short.
#[derive(Clone, Copy)]
pub(crate) enum Do<'a> {
    Insert(&'a Arc<Table>, Cells<'a>),
    Copied(&'a Arc<Table>, Cells<'a>),
    Update(&'a Arc<Table>, Cells<'a>),
    Change(&'a Arc<Table>, Cells<'a>, Cells<'a>),
    Delete(&'a Arc<Table>, Cells<'a>),
    Truncate(&'a Arc<Table>),
    Shape(&'a Arc<Table>),
    Drop(&'a Arc<Table>),
    CopyStart(&'a Arc<Table>),
    CopyEnd(&'a Arc<Table>),
}

pub(crate) fn value(cell: &str) -> Value<'_> {
    match cell {
        "~" => Value::Unsent,
        "NULL" => Value::Null,
        text => Value::Text(text.as_bytes()),
    }
}

pub(crate) fn add(batch: &mut Batch, change: Do<'_>) {
    let row =
        |batch: &mut Batch, cells: Cells<'_>| batch.add_row(cells.iter().map(|cell| value(cell))).unwrap();
    match change {
        Do::Insert(table, new) => {
            let new = row(batch, new);
            batch.insert(table, new);
        }
        Do::Copied(table, new) => {
            let new = row(batch, new);
            batch.copied(table, new);
        }
        Do::Update(table, new) => {
            let new = row(batch, new);
            batch.update(table, None, new);
        }
        Do::Change(table, old, new) => {
            let old = row(batch, old);
            let new = row(batch, new);
            batch.update(table, Some(old), new);
        }
        Do::Delete(table, old) => {
            let old = row(batch, old);
            batch.delete(table, old);
        }
        Do::Truncate(table) => batch.truncate(table),
        Do::Shape(table) => batch.shape(table),
        Do::Drop(table) => batch.drop_table(table),
        Do::CopyStart(table) => batch.copy_start(table),
        Do::CopyEnd(table) => batch.copy_end(table),
    }
}

pub(crate) fn position(stream: usize, event: u64) -> Position {
    Position { source: "test".into(), stream: stream.to_string(), event, ..Position::default() }
}

/// A sink and where it stands.
pub(crate) struct Target {
    pub(crate) sink: DuckDb,
    pub(crate) held: Position,
    pub(crate) path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Target {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut target = Self::at(&folder.path().join("t.duckdb")).unwrap();
        target._folder = Some(folder);
        target
    }

    pub(crate) fn at(path: &Path) -> Result<Self> {
        let mut sink = DuckDb::new(config(path));
        let held = sink.open()?.unwrap_or_default();
        Ok(Self { sink, held, path: path.to_owned(), _folder: None })
    }

    /// Lets go without a word, as a killed process does, and opens the file again.
    pub(crate) fn reopen(&mut self) {
        self.sink = DuckDb::new(config(&self.path));
        self.held = self.sink.open().unwrap().unwrap_or_default();
    }

    /// Opens the files as they are on disk at this moment, log and all, as after the death of the process: closing the
    /// database would write a checkpoint first.
    pub(crate) fn crash(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(self.path.file_name().unwrap());
        std::fs::copy(&self.path, &path).unwrap();
        let log = |path: &Path| path.with_extension("duckdb.wal");
        if log(&self.path).exists() {
            std::fs::copy(log(&self.path), log(&path)).unwrap();
        }
        *self = Self { _folder: Some(folder), ..Self::at(&path).unwrap() };
    }

    /// Writes one batch that ends at `to`.
    pub(crate) fn write_to(&mut self, to: Position, changes: &[Do<'_>]) -> Result<()> {
        let mut batch = Batch::default();
        batch.reset(&self.held, 1 << 20);
        batch.transaction(format_args!("{to}"), 0, 0, 0)?;
        changes.iter().for_each(|&change| add(&mut batch, change));
        batch.to = to;
        self.sink.write(&batch)?;
        self.held.clone_from(&batch.to);
        Ok(())
    }

    /// Writes one transaction in one batch.
    pub(crate) fn write(&mut self, changes: &[Do<'_>]) -> Result<()> {
        let next = self.held.stream.parse().unwrap_or(0) + 1;
        self.write_to(position(next, 0), changes)
    }

    pub(crate) fn reader(&self) -> Connection {
        self.sink.database().unwrap().connect().unwrap()
    }

    /// The rows of a query as text, sorted.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.reader(), sql)
    }

    pub(crate) fn check(&self, name: &str, expected: &[&str]) {
        assert_eq!(self.rows(&format!("SELECT * FROM t.{name}")), expected);
    }
}

pub(crate) fn config(path: &Path) -> Config {
    Config { threads: Some(1), ..Config::new(path, "shop") }
}

pub(crate) fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut result = connection.query(sql).unwrap();
    let mut lines = Vec::new();
    while let Some(rows) = result.next_rows().unwrap() {
        let columns = rows.columns().unwrap();
        for row in 0..rows.len() {
            let mut line = Vec::new();
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    line.push(b'|');
                }
                if !render(column, row, &mut line) {
                    line.extend_from_slice(b"NULL");
                }
            }
            lines.push(String::from_utf8(line).unwrap());
        }
    }
    lines.sort();
    lines
}
