//! Every sink through the contract of sinks.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tailwater_core::Table;
use tailwater_duckdb::{Connection, Database, DuckDb};
use tailwater_integration_tests::contract::sink::{Row, Target, contract};
use tailwater_stdout::Stdout;
use tempfile::TempDir;

#[test]
fn duckdb_keeps_the_contract() {
    contract(|| DuckDbFile(tempfile::tempdir().unwrap()));
}

#[test]
fn stdout_keeps_the_contract() {
    contract(|| Lines { folder: tempfile::tempdir().unwrap(), pipe: Pipe::default() });
}

struct DuckDbFile(TempDir);

impl DuckDbFile {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("target.duckdb")
    }
}

impl Target for DuckDbFile {
    type Sink = DuckDb;

    fn sink(&self) -> DuckDb {
        DuckDb::new(tailwater_duckdb::Config::new(self.path(), "contract"))
    }

    fn rows(&self, open: Option<&DuckDb>, table: &Table) -> Vec<Row> {
        match open.and_then(DuckDb::database) {
            Some(database) => select(&database.connect().unwrap(), table),
            None => {
                let database = Database::open(&self.path(), &[("access_mode", "read_only")]).unwrap();
                select(&database.connect().unwrap(), table)
            }
        }
    }
}

fn select(connection: &Connection, table: &Table) -> Vec<Row> {
    let quoted =
        |name: &str, mark: char| format!("{mark}{}{mark}", name.replace(mark, &format!("{mark}{mark}")));
    let exists = format!(
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = {} AND table_name = {}",
        quoted(&table.schema, '\''),
        quoted(&table.name, '\'')
    );
    if tailwater_duckdb::dump(connection, &exists).unwrap().is_empty() {
        return Vec::new();
    }
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name, '"')).collect();
    let (schema, name) = (quoted(&table.schema, '"'), quoted(&table.name, '"'));
    tailwater_duckdb::dump(connection, &format!("SELECT {} FROM {schema}.{name}", columns.join(", ")))
        .unwrap()
}

/// What a reader of the lines makes of them.
struct Lines {
    folder: TempDir,
    pipe: Pipe,
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Lines {
    type Sink = Stdout<Pipe>;

    fn sink(&self) -> Stdout<Pipe> {
        let config = tailwater_stdout::Config::new(self.folder.path().join("position"));
        Stdout::with_writer(config, self.pipe.clone())
    }

    fn rows(&self, _open: Option<&Stdout<Pipe>>, table: &Table) -> Vec<Row> {
        let text = String::from_utf8(self.pipe.0.lock().unwrap().clone()).unwrap();
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(serde_json::from_str(line).unwrap()));
        let Some(replica) = reader.tables.values().find(|replica| replica.is(&table.schema, &table.name))
        else {
            return Vec::new();
        };
        let ids = table.columns.iter().map(|column| replica.id_of(&column.name).unwrap());
        let ids: Vec<u64> = ids.collect();
        replica.rows.iter().map(|row| ids.iter().map(|id| row[id].clone()).collect()).collect()
    }
}

/// Applies lines as the documentation of the sink says: nothing before its transaction's `commit`, no id twice.
#[derive(Default)]
struct Reader {
    /// By table id.
    tables: BTreeMap<u64, Replica>,
    seen: BTreeSet<(String, u64)>,
    transaction: Vec<Map<String, Value>>,
}

#[derive(Default)]
struct Replica {
    schema: String,
    name: String,
    columns: Vec<(u64, String, bool)>,
    rows: Vec<BTreeMap<u64, Option<String>>>,
}

fn text(line: &Map<String, Value>, key: &str) -> String {
    line[key].as_str().unwrap().to_owned()
}

impl Reader {
    fn line(&mut self, line: Map<String, Value>) {
        let kind = text(&line, "type");
        if kind.starts_with("snapshot") {
            return self.apply(&line);
        }
        let id = (text(&line, "position"), line["ordinal"].as_u64().unwrap());
        let commit = line.contains_key("commit");
        // A shape and a drop have the number of the event that follows, and do the same when they come again.
        if matches!(kind.as_str(), "schema" | "drop") || self.seen.insert(id) {
            self.transaction.push(line);
        }
        if commit {
            std::mem::take(&mut self.transaction).iter().for_each(|line| self.apply(line));
        }
    }

    fn apply(&mut self, line: &Map<String, Value>) {
        let kind = text(line, "type");
        match kind.as_str() {
            "message" => return,
            "schema" | "snapshot-start" => {
                let replica = self.tables.entry(line["id"].as_u64().unwrap()).or_default();
                replica.reshape(line);
                if kind == "snapshot-start" {
                    replica.rows.clear();
                }
                return;
            }
            _ => {}
        }
        let (schema, name) = (text(line, "schema"), text(line, "table"));
        let (&id, replica) = self.tables.iter_mut().find(|(_, replica)| replica.is(&schema, &name)).unwrap();
        match kind.as_str() {
            "insert" | "snapshot" => {
                let row = replica.values(&line["data"]);
                replica.rows.push(row);
            }
            "update" => {
                let new = replica.values(&line["data"]);
                let key = line.get("old").map_or_else(|| new.clone(), |old| replica.values(old));
                let index = replica.find(&key);
                replica.rows[index].extend(new);
            }
            "delete" => {
                let index = replica.find(&replica.values(&line["data"]));
                replica.rows.remove(index);
            }
            "truncate" => replica.rows.clear(),
            "drop" => drop(self.tables.remove(&id)),
            "snapshot-end" => {}
            other => panic!("{other}"),
        }
    }
}

impl Replica {
    fn is(&self, schema: &str, name: &str) -> bool {
        self.schema == schema && self.name == name
    }

    fn id_of(&self, column: &str) -> Option<u64> {
        self.columns.iter().find(|(_, name, _)| name == column).map(|(id, ..)| *id)
    }

    fn reshape(&mut self, line: &Map<String, Value>) {
        (self.schema, self.name) = (text(line, "schema"), text(line, "table"));
        self.columns.clear();
        for column in line["columns"].as_array().unwrap() {
            let column = column.as_object().unwrap();
            let id = column["id"].as_u64().unwrap();
            self.columns.push((id, text(column, "name"), column["key"].as_bool().unwrap()));
            let fill = column.get("fill").and_then(plain);
            for row in &mut self.rows {
                row.entry(id).or_insert_with(|| fill.clone());
            }
        }
    }

    fn values(&self, values: &Value) -> BTreeMap<u64, Option<String>> {
        let values = values.as_object().unwrap();
        values.iter().map(|(name, value)| (self.id_of(name).unwrap(), plain(value))).collect()
    }

    fn find(&self, row: &BTreeMap<u64, Option<String>>) -> usize {
        let key: Vec<u64> = self.columns.iter().filter(|(_, _, key)| *key).map(|(id, ..)| *id).collect();
        assert!(!key.is_empty(), "{} has no key", self.name);
        let same = |other: &&BTreeMap<u64, Option<String>>| key.iter().all(|id| other[id] == row[id]);
        self.rows.iter().position(|other| same(&other)).unwrap()
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}
