//! A reader of what `[sink.stdout]` writes, or `[sink.kafka]` with `format = "json"`: it rebuilds the tables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tailwater_core::Table;

use crate::contract::sink::Row;

/// Applies lines as the documentation of the sink says: nothing before its transaction's `commit`, no id twice.
#[derive(Default)]
pub struct Reader {
    /// By table id.
    tables: BTreeMap<u64, Replica>,
    /// Position and ordinal of every event that has come.
    pub seen: BTreeSet<(String, u64)>,
    transaction: Vec<Map<String, Value>>,
}

#[derive(Default)]
struct Replica {
    schema: String,
    name: String,
    columns: Vec<(u64, String, bool)>,
    rows: Vec<BTreeMap<u64, Option<String>>>,
}

/// A member that is a string.
#[must_use]
pub fn text(line: &Map<String, Value>, key: &str) -> String {
    line[key].as_str().unwrap().to_owned()
}

impl Reader {
    /// The rows of a table so far.
    #[must_use]
    pub fn rows(&self, table: &Table) -> Vec<Row> {
        let Some(replica) = self.tables.values().find(|replica| replica.is(&table.schema, &table.name))
        else {
            return Vec::new();
        };
        let ids = table.columns.iter().map(|column| replica.id_of(&column.name).unwrap());
        let ids: Vec<u64> = ids.collect();
        replica.rows.iter().map(|row| ids.iter().map(|id| row[id].clone()).collect()).collect()
    }

    /// Every table with its rows, sorted, each with its values by column.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Vec<BTreeMap<String, Option<String>>>> {
        let contents = |replica: &Replica| {
            let name = |id: &u64| replica.columns.iter().find(|(known, ..)| known == id).unwrap().1.clone();
            let row = |row: &BTreeMap<u64, Option<String>>| -> BTreeMap<String, Option<String>> {
                row.iter().map(|(id, value)| (name(id), value.clone())).collect()
            };
            let mut rows: Vec<_> = replica.rows.iter().map(row).collect();
            rows.sort_unstable();
            (format!("{}.{}", replica.schema, replica.name), rows)
        };
        self.tables.values().map(contents).collect()
    }

    /// `commit`: nothing more will come of its transaction, or it need not be waited for.
    pub fn line(&mut self, line: Map<String, Value>, commit: bool) {
        let kind = text(&line, "type");
        if kind.starts_with("snapshot") {
            return self.apply(&line);
        }
        let id = (text(&line, "position"), line["ordinal"].as_u64().unwrap());
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
        let mut key: Vec<u64> = self.columns.iter().filter(|(_, _, key)| *key).map(|(id, ..)| *id).collect();
        if key.is_empty() {
            // Then the whole old row came, and of equal rows any will do.
            key = self.columns.iter().map(|(id, ..)| *id).collect();
        }
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
