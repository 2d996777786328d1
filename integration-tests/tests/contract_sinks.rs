//! Every sink through the contract of sinks.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tailwater_core::Table;
use tailwater_duckdb::{Connection, Database, DuckDb};
use tailwater_integration_tests::contract::sink::{Row, Target, contract};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_integration_tests::lines::{Reader, text};
use tailwater_kafka::{Delivery, Kafka, TopicSettings};
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

#[test]
fn kafka_keeps_the_contract_exactly_once() {
    contract(|| Topic::new(Delivery::ExactlyOnce));
}

#[test]
fn kafka_keeps_the_contract_at_least_once() {
    contract(|| Topic::new(Delivery::AtLeastOnce));
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
        for line in text.lines() {
            let line: Map<String, Value> = serde_json::from_str(line).unwrap();
            let commit = line.contains_key("commit");
            reader.line(line, commit);
        }
        reader.rows(table)
    }
}

/// What a reader of a topic with one partition, to which all tables go, makes of its records.
struct Topic {
    broker: Arc<Broker>,
    config: tailwater_kafka::Config,
}

impl Topic {
    fn new(delivery: Delivery) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let broker = kafka::shared();
        let name = format!("contract_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut config = tailwater_kafka::Config::new(&name, broker.address());
        config.naming.pattern = "{prefix}".to_owned();
        config.format = tailwater_kafka::Format::Json;
        config.delivery = delivery;
        let configs = vec![("max.message.bytes".to_owned(), (64 << 20).to_string())];
        let topic = "*".to_owned();
        config.topics = vec![TopicSettings { topic, partitions: Some(1), replication: Some(1), configs }];
        Self { broker, config }
    }
}

impl Target for Topic {
    type Sink = Kafka;

    fn sink(&self) -> Kafka {
        Kafka::new(self.config.clone())
    }

    /// What is visible exactly once is committed; what is there at least once counts up to the position.
    fn rows(&self, _open: Option<&Kafka>, table: &Table) -> Vec<Row> {
        let held = tailwater_kafka::position(&self.config).unwrap().map(|held| held.position.stream);
        let mut reader = Reader::default();
        for record in self.broker.read(&self.config.pipeline) {
            let line: Map<String, Value> = serde_json::from_str(&record.value.unwrap()).unwrap();
            match self.config.delivery {
                Delivery::ExactlyOnce => {
                    let repeated = reader.seen.len();
                    let counted = !matches!(text(&line, "type").as_str(), "schema" | "drop")
                        && !text(&line, "type").starts_with("snapshot");
                    reader.line(line, true);
                    assert!(!counted || reader.seen.len() > repeated, "a record is there twice");
                }
                Delivery::AtLeastOnce if Some(text(&line, "position")) <= held => reader.line(line, true),
                Delivery::AtLeastOnce => {}
            }
        }
        reader.rows(table)
    }
}
