//! Scripts and golden files, as `debezium/Capture.java` reads and writes them.

use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;

/// SQL to run, and the runs it is for.
pub(super) struct Script {
    /// Name and options of each.
    pub(super) runs: Vec<(String, Vec<(String, String)>)>,
    pub(super) setup: Vec<String>,
    pub(super) steps: Vec<Vec<String>>,
}

/// A record as Debezium gave it, its parts as the text they had.
#[derive(Debug, Clone)]
pub(super) struct Golden {
    pub(super) topic: String,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) headers: Vec<(String, Option<String>)>,
    /// Of three; `None` where no key says.
    pub(super) partition: Option<i32>,
    pub(super) key_schema: Option<String>,
    pub(super) value_schema: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("debezium")
}

impl Script {
    pub(super) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("scripts/{name}.sql"))).unwrap();
        let mut script = Self { runs: Vec::new(), setup: Vec::new(), steps: Vec::new() };
        let mut statement = String::new();
        for line in text.lines() {
            if let Some(run) = line.strip_prefix("-- run ") {
                let mut words = run.split_whitespace();
                let name = words.next().unwrap().to_owned();
                let option = |word: &str| {
                    let (name, value) = word.split_once('=').unwrap();
                    (name.to_owned(), value.replace("%20", " "))
                };
                script.runs.push((name, words.map(option).collect()));
            } else if line == "-- step" {
                script.steps.push(Vec::new());
            } else if !line.starts_with("--") && !line.trim().is_empty() {
                statement.push_str(line);
                statement.push('\n');
                if line.ends_with(';') {
                    script.steps.last_mut().unwrap_or(&mut script.setup).push(std::mem::take(&mut statement));
                }
            }
        }
        script
    }
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    topic: Option<String>,
    schemas: Option<String>,
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    headers: Vec<(String, Value, Option<String>)>,
    /// The value as text, where that is `null` and no tombstone.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    partition: Option<i32>,
}

/// The records of a run.
pub(super) fn read(run: &str) -> Vec<Golden> {
    let text = std::fs::read_to_string(folder().join(format!("golden/{run}.jsonl"))).unwrap();
    let some = |raw: &RawValue| (raw.get() != "null").then(|| raw.get().to_owned());
    let mut schemas = std::collections::HashMap::new();
    let mut records = Vec::new();
    for line in text.lines() {
        let line: Line<'_> =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{run}: {error}: {line}"));
        if let Some(topic) = line.schemas {
            schemas.insert(topic, (some(line.key), some(line.value)));
            continue;
        }
        let topic = line.topic.unwrap();
        let (key_schema, value_schema) = schemas.get(&topic).cloned().unwrap_or_default();
        records.push(Golden {
            key: some(line.key),
            value: some(line.value).or(line.text),
            partition: line.partition,
            headers: line.headers.into_iter().map(|(name, _, plain)| (name, plain)).collect(),
            topic,
            key_schema,
            value_schema,
        });
    }
    records
}
