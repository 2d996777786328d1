//! What is written of MySQL's and MariaDB's rows, held against Debezium's own records of the same rows
//! (`integration-tests/debezium/golden`). The rows are those that a server's SELECT gives, in the forms of the core:
//! `binlog/mysql.jsonl` and `binlog/mariadb.jsonl`, one table of a script per line.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value as Json;
use tailwater_core::{Batch, Column, CopyProgress, Declared, Fill, Position, Sink as _, Table, Type, Value};
use tailwater_kafka::debezium::Config;
use tailwater_kafka::debezium::record::{Log, Recorder};

type Options = &'static [(&'static str, &'static str)];

/// Script and run; the options are those of the script's first lines.
const RUNS: &[(&str, &str, Options)] = &[
    ("numbers", "numbers", &[]),
    (
        "numbers",
        "numbers-string",
        &[("decimal.handling.mode", "string"), ("bigint.unsigned.handling.mode", "precise")],
    ),
    ("numbers", "numbers-double", &[("decimal.handling.mode", "double")]),
    ("times", "times", &[]),
    ("times", "times-microseconds", &[("time.precision.mode", "microseconds")]),
    ("moderate", "moderate-connect", &[("time.precision.mode", "connect")]),
    ("moderate", "moderate-iso", &[("time.precision.mode", "isostring")]),
    ("nanoseconds", "nanoseconds", &[("time.precision.mode", "nanoseconds")]),
    ("texts", "texts", &[]),
    ("texts", "texts-base64", &[("binary.handling.mode", "base64")]),
    ("texts", "texts-base64-url", &[("binary.handling.mode", "base64-url-safe")]),
    ("texts", "texts-hex", &[("binary.handling.mode", "hex")]),
];

/// Faults of Debezium's that are not repeated, as in `integration-tests/debezium/ALLOWED.md`.
const FAULTS: &[(&str, &str)] = &[
    // A label with a comma has a backslash in rows, too.
    (r#""e":"b\\,c""#, r#""e":"b,c""#),
    // Large numbers inside JSON are written out.
    ("123456789012345677877719597056", "1.2345678901234568e29"),
    // Times inside JSON lose the zeros of their fraction.
    (r#"04:05:06.5\",\"x\":\"12:00:01\""#, r#"04:05:06.500000\",\"x\":\"12:00:01.000000\""#),
    // A quote in a default is doubled, and binary zeros there are spelled.
    (r#"it''s \"ok\""#, r#"it's \"ok\""#),
    ("YWJcMFwwXDA=", "YWI="),
    ("61625c305c305c30", "6162"),
    // Zeros at the end of a uuid go to its beginning.
    ("00ffffff-ffff-ffff-ffff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffff00"),
];

type Spelled = (String, String, bool, Option<String>, Vec<String>);

/// A table of a script: its columns by name, spelling, whether NULL is forbidden, default and labels; and its rows.
#[derive(Deserialize)]
struct Given {
    script: String,
    table: String,
    columns: Vec<Spelled>,
    rows: Vec<Vec<Option<String>>>,
}

impl Given {
    fn table(&self, key: &[&str]) -> Arc<Table> {
        let columns =
            self.columns.iter().zip(1..).map(|((name, spelled, not_null, default, labels), id)| Column {
                id,
                name: name.clone(),
                kind: Type::Other,
                source_type: spelled.clone(),
                type_id: 0,
                fill: Fill::Null,
                declared: Declared {
                    not_null: *not_null,
                    default: default.clone(),
                    base_type: spelled.clone(),
                    labels: labels.clone(),
                    ..Declared::default()
                },
            });
        let columns: Vec<Column> = columns.collect();
        let place = |name: &&str| columns.iter().position(|column| column.name == *name).unwrap();
        let key: Vec<usize> = key.iter().map(place).collect();
        Arc::new(Table {
            id: 1,
            schema: "golden".to_owned(),
            name: self.table.clone(),
            columns,
            declared_key: key.clone(),
            key,
            streamed_from_birth: true,
        })
    }
}

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn between<'t>(line: &'t str, start: &str, end: &str) -> &'t str {
    let from = line.find(start).unwrap() + start.len();
    let to = line[from..].rfind(end).unwrap();
    &line[from..from + to]
}

/// Without what no two runs have in common.
fn masked(text: &str) -> String {
    let clocks = Regex::new(r#"ts_(ms|us|ns)":\d+"#).unwrap();
    let versions = Regex::new(r#""version":"[^"]+""#).unwrap();
    // MariaDB's connector counts a truncate in a transaction that it never ends.
    let truncates = Regex::new(r#""transaction":\{[^}]*\},"op":"t""#).unwrap();
    let text = truncates.replace(text, "\"transaction\":null,\"op\":\"t\"");
    let text = clocks.replace_all(&text, "ts_$1\":0");
    versions.replace_all(&text, "\"version\":\"\"").into_owned()
}

/// Key and value of the one record that an insert makes, in a transaction that is where the golden record's is.
fn written(
    connector: &str,
    config: &Config,
    table: &Arc<Table>,
    row: &[Option<String>],
    source: &Json,
) -> (Option<String>, String) {
    let mut batch = Batch::default();
    batch.reset(&Position::default(), 1 << 20);
    batch.to.source = format!("{connector} of a test");
    let gtid = source["gtid"].as_str().unwrap();
    batch.transaction(format_args!("{gtid}"), 1_795_245_364_435_000, 0, 0).unwrap();
    batch.log_file(source["file"].as_str().unwrap()).unwrap();
    batch.committed_by(source["server_id"].as_u64().unwrap(), source["thread"].as_u64().unwrap_or(0));
    batch.set_log_offset(source["pos"].as_u64().unwrap());
    batch.set_log_row(u32::try_from(source["row"].as_u64().unwrap()).unwrap());
    let values =
        row.iter().map(|value| value.as_ref().map_or(Value::Null, |text| Value::Text(text.as_bytes())));
    let new = batch.add_row(values).unwrap();
    batch.insert(table, new);
    let log = Log::default();
    let mut recorder = Recorder::events(config.clone(), Arc::clone(&log), None);
    recorder.write(&batch).unwrap();
    let records = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(records.len(), 1);
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    (records[0].key.as_ref().map(text), text(records[0].value.as_ref().unwrap()))
}

/// Every insert of the golden records whose row is given, and how many there were.
fn check(connector: &str, run: &str, given: &[&Given], config: &Config) -> (usize, Vec<String>) {
    let golden = read(&format!("../../integration-tests/debezium/golden/{connector}/{run}.jsonl"));
    let (mut schemas, mut found, mut wrong) = (HashMap::new(), 0, Vec::new());
    for line in golden.lines() {
        if line.starts_with("{\"schemas\":") {
            let schema = (between(line, ",\"key\":", ",\"value\":"), between(line, ",\"value\":", "}"));
            schemas.insert(between(line, "{\"schemas\":\"", "\",\"key\":"), schema);
            continue;
        }
        let record: Json = serde_json::from_str(line).unwrap();
        if record["value"]["op"] != "c" || !record["headers"].as_array().unwrap().is_empty() {
            continue;
        }
        let source = &record["value"]["source"];
        let given = given.iter().find(|given| source["table"] == *given.table);
        let id = record["value"]["after"]["id"].to_string();
        let row = |given: &&&Given| given.rows.iter().find(|row| row[0].as_ref() == Some(&id)).cloned();
        let Some((given, row)) = given.and_then(|given| Some((given, row(&given)?))) else { continue };
        let (key_schema, value_schema) = schemas[record["topic"].as_str().unwrap()];
        let key: Vec<&str> =
            record["key"].as_object().map_or(Vec::new(), |key| key.keys().map(String::as_str).collect());
        let (mut key_text, mut value) = (None, between(line, "],\"value\":", "}").to_owned());
        if !key.is_empty() {
            let text = between(line, ",\"key\":", ",\"headers\":");
            key_text = Some(format!("{{\"schema\":{key_schema},\"payload\":{text}}}"));
        }
        value = format!("{{\"schema\":{value_schema},\"payload\":{value}}}");
        for (fault, right) in FAULTS {
            value = value.replace(fault, right);
        }
        found += 1;
        let ours = written(connector, config, &given.table(&key), &row, source);
        for (ours, golden) in [(ours.0, key_text), (Some(ours.1), Some(value))] {
            let (ours, golden) = (masked(&ours.unwrap_or_default()), masked(&golden.unwrap_or_default()));
            if ours != golden {
                let place = ours.bytes().zip(golden.bytes()).take_while(|(a, b)| a == b).count();
                let around = |text: &str| {
                    let bytes = &text.as_bytes()[place.saturating_sub(60)..(place + 90).min(text.len())];
                    String::from_utf8_lossy(bytes).into_owned()
                };
                let at = format!("{connector} {run} {} {id}", given.table);
                wrong.push(format!(
                    "{at}\n  Debezium  …{}…\n  Tailwater …{}…",
                    around(&golden),
                    around(&ours)
                ));
            }
        }
    }
    (found, wrong)
}

fn check_all(connector: &str) {
    let text = read(&format!("tests/binlog/{connector}.jsonl"));
    let given: Vec<Given> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut wrong = Vec::new();
    for (script, run, options) in RUNS {
        let mut config = Config::new("golden");
        (config.schemas, config.extended_headers) = (true, false);
        for (name, value) in *options {
            config.set(name, value).unwrap();
        }
        let given: Vec<&Given> = given.iter().filter(|given| given.script == *script).collect();
        let (found, differences) = check(connector, run, &given, &config);
        assert!(found > 2, "{connector} {run}: {found}");
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn rows_of_mysql_are_written_as_debezium_writes_them() {
    check_all("mysql");
}

#[test]
fn rows_of_mariadb_are_written_as_debezium_writes_them() {
    check_all("mariadb");
}

/// Options of a run whose records are all made again.
const REPLAYS: &[(&str, &str, Options)] = &[
    ("keys", "keys", &[]),
    ("keys", "keys-extended", &[("extended.headers.enabled", "true")]),
    ("snapshot", "snapshot", &[]),
    ("transactions", "transactions", &[]),
    (
        "transactions",
        "transactions-metadata",
        &[("provide.transaction.metadata", "true"), ("skipped.operations", "none")],
    ),
];

/// A record as text: topic, key, value, headers.
#[derive(Debug, PartialEq, Eq)]
struct Plain(String, Option<String>, Option<String>, Vec<(String, String)>);

/// A golden record, with what its line says of it.
struct Line {
    plain: Plain,
    record: Json,
}

/// Schema changes are not written, and what MariaDB's connector begins and never ends are statements.
fn golden_lines(connector: &str, run: &str) -> Vec<Line> {
    let golden = read(&format!("../../integration-tests/debezium/golden/{connector}/{run}.jsonl"));
    let records = golden.lines().filter(|line| line.starts_with("{\"topic\":")).map(|line| {
        let record: Json = serde_json::from_str(line).unwrap();
        let some = |text: &str| (text != "null").then(|| masked(text));
        let headers = record["headers"].as_array().unwrap().iter();
        let headers = headers
            .map(|header| (header[0].as_str().unwrap().to_owned(), header[2].as_str().unwrap().to_owned()));
        let topic = record["topic"].as_str().unwrap().to_owned();
        let key = some(between(line, ",\"key\":", ",\"headers\":"));
        let value = some(between(line, "],\"value\":", "}"));
        Line { plain: Plain(topic, key, value, headers.map(runless).collect()), record }
    });
    let records: Vec<Line> = records.filter(|line| line.plain.0 != "golden").collect();
    let ended = |id: &Json| {
        records
            .iter()
            .any(|line| line.record["value"]["status"] == "END" && line.record["value"]["id"] == *id)
    };
    let known: Vec<bool> = records
        .iter()
        .map(|line| line.record["value"]["status"] != "BEGIN" || ended(&line.record["value"]["id"]))
        .collect();
    records.into_iter().zip(known).filter(|(_, known)| *known).map(|(line, _)| line).collect()
}

fn runless((name, value): (String, String)) -> (String, String) {
    let value = if name.ends_with(".runId") { value.len().to_string() } else { value };
    (name, value)
}

/// The values of a golden row.
fn values(row: &Json, given: &Given) -> Vec<Option<String>> {
    let value = |(name, ..): &Spelled| match &row[name] {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Some(row[name].to_string()),
    };
    given.columns.iter().map(value).collect()
}

/// Makes the changes that golden records tell of, and writes them; a batch per transaction, and per copied table.
struct Replay<'g> {
    connector: &'g str,
    recorder: Recorder,
    given: &'g [Given],
    tables: HashMap<String, Arc<Table>>,
    lines: &'g [Line],
}

impl Replay<'_> {
    fn batch(&self, source: &Json) -> Batch {
        let mut batch = Batch::default();
        batch.reset(&Position::default(), 1 << 20);
        batch.to.source = format!("{} of a test", self.connector);
        batch.transaction(format_args!("{}", source["gtid"].as_str().unwrap_or("1-2-3")), 1, 0, 0).unwrap();
        batch.log_file(source["file"].as_str().unwrap()).unwrap();
        let server = source["server_id"].as_u64().unwrap();
        batch.committed_by(server, source["thread"].as_u64().unwrap_or(0));
        batch
    }

    fn table(&mut self, name: &str) -> (Arc<Table>, Given) {
        let given = self.given.iter().find(|given| given.table == name).unwrap();
        let keyed = self
            .lines
            .iter()
            .find(|line| line.record["value"]["source"]["table"] == *name && line.plain.1.is_some());
        let names = Regex::new(r#""(\w+)":"#).unwrap();
        let key = keyed.and_then(|line| line.plain.1.clone()).unwrap_or_default();
        let key: Vec<&str> = names.captures_iter(&key).map(|found| found.get(1).unwrap().as_str()).collect();
        let table = || {
            let mut table = Arc::unwrap_or_clone(given.table(&key));
            table.id = u64::from(
                name.bytes().fold(0_u32, |id, byte| id.wrapping_mul(31).wrapping_add(u32::from(byte))),
            );
            Arc::new(table)
        };
        let table = self.tables.entry(name.to_owned()).or_insert_with(table);
        let copy = Given {
            script: String::new(),
            table: name.to_owned(),
            columns: given.columns.clone(),
            rows: Vec::new(),
        };
        (Arc::clone(table), copy)
    }

    /// One golden record; those of a changed key come in pairs, of which the second has both rows.
    fn add(&mut self, batch: &mut Batch, line: &Line, before: &mut Option<Vec<Option<String>>>) {
        let (value, source) = (&line.record["value"], &line.record["value"]["source"]);
        let (table, given) = self.table(source["table"].as_str().unwrap());
        batch.set_log_offset(source["pos"].as_u64().unwrap());
        batch.set_log_row(u32::try_from(source["row"].as_u64().unwrap()).unwrap());
        let row = |batch: &mut Batch, row: &[Option<String>]| {
            let cells = row
                .iter()
                .map(|value| value.as_ref().map_or(Value::Null, |text| Value::Text(text.as_bytes())));
            batch.add_row(cells).unwrap()
        };
        let linked = line.plain.3.iter().any(|(name, _)| name.ends_with("key"));
        let (old, new) = (values(&value["before"], &given), values(&value["after"], &given));
        match (value["op"].as_str().unwrap(), linked) {
            ("d", true) => *before = Some(old),
            ("c", true) => {
                let old = row(batch, &before.take().unwrap());
                let new = row(batch, &new);
                batch.update(&table, Some(old), new);
            }
            ("c", false) => {
                let new = row(batch, &new);
                batch.insert(&table, new);
            }
            ("u", _) => {
                let (old, new) = (row(batch, &old), row(batch, &new));
                batch.update(&table, Some(old), new);
            }
            ("d", false) => {
                let old = row(batch, &old);
                batch.delete(&table, old);
            }
            ("t", _) => batch.truncate(&table),
            other => panic!("{other:?}"),
        }
    }

    /// Each table in a batch of its own.
    fn copy(&mut self) {
        let copied: Vec<&Line> = self.lines.iter().filter(|line| line.record["value"]["op"] == "r").collect();
        let name = |line: &Line| line.record["value"]["source"]["table"].as_str().unwrap().to_owned();
        let mut tables: Vec<String> = copied.iter().map(|line| name(line)).collect();
        tables.dedup();
        for (index, of) in tables.iter().enumerate() {
            let (table, given) = self.table(of);
            let source = &copied[0].record["value"]["source"];
            let mut batch = self.batch(source);
            batch.set_log_offset(source["pos"].as_u64().unwrap());
            batch.copy_start(&table);
            for line in copied.iter().filter(|line| name(line) == *of) {
                let row = values(&line.record["value"]["after"], &given);
                let cells = row
                    .iter()
                    .map(|value| value.as_ref().map_or(Value::Null, |text| Value::Text(text.as_bytes())));
                let row = batch.add_row(cells).unwrap();
                batch.copied(&table, row);
            }
            batch.copy_end(&table);
            let done = index + 1 == tables.len();
            batch.to.copies.insert("all".to_owned(), CopyProgress { done, ..CopyProgress::default() });
            self.recorder.write(&batch).unwrap();
        }
    }

    fn stream(&mut self) {
        let changes =
            |line: &&Line| line.record["value"]["source"].is_object() && line.record["value"]["op"] != "r";
        let changes: Vec<&Line> = self.lines.iter().filter(changes).collect();
        let gtid = |line: &&Line| line.record["value"]["source"]["gtid"].clone();
        let mut before = None;
        for transaction in changes.chunk_by(|a, b| gtid(a) == gtid(b)) {
            let mut batch = self.batch(&transaction[0].record["value"]["source"]);
            for line in transaction {
                self.add(&mut batch, line, &mut before);
            }
            self.recorder.write(&batch).unwrap();
        }
    }
}

/// A row of each table is held back until it is known whether it is the last one: the order is that of each table.
fn copies_sorted(records: Vec<Plain>) -> Vec<Plain> {
    let copied = |record: &Plain| record.2.as_ref().is_some_and(|value| value.contains("\"op\":\"r\""));
    let (mut copies, changes): (Vec<Plain>, Vec<Plain>) = records.into_iter().partition(copied);
    copies.sort_by(|a, b| a.0.cmp(&b.0));
    copies.into_iter().chain(changes).collect()
}

fn replay_all(connector: &str) {
    let text = read(&format!("tests/binlog/{connector}.jsonl"));
    let given: Vec<Given> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (script, run, options) in REPLAYS {
        let mut config = Config::new("golden");
        config.extended_headers = false;
        for (name, value) in *options {
            config.set(name, value).unwrap();
        }
        let of_script = given.iter().filter(|given| given.script == *script);
        let given: Vec<Given> = of_script
            .map(|given| Given {
                script: String::new(),
                table: given.table.clone(),
                columns: given.columns.clone(),
                rows: Vec::new(),
            })
            .collect();
        let (lines, log) = (golden_lines(connector, run), Log::default());
        let recorder = Recorder::events(config, Arc::clone(&log), None);
        let mut replay = Replay { connector, recorder, given: &given, tables: HashMap::new(), lines: &lines };
        replay.copy();
        replay.stream();
        let ours = std::mem::take(&mut *log.lock().unwrap());
        let text = |bytes: &Vec<u8>| masked(std::str::from_utf8(bytes).unwrap());
        let ours: Vec<Plain> = ours
            .iter()
            .map(|record| {
                let headers = record
                    .headers
                    .iter()
                    .map(|(name, value)| runless((text(name), text(value.as_ref().unwrap()))));
                Plain(
                    record.topic.clone(),
                    record.key.as_ref().map(text),
                    record.value.as_ref().map(text),
                    headers.collect(),
                )
            })
            .collect();
        let golden: Vec<Plain> = lines.into_iter().map(|line| line.plain).collect();
        let (ours, golden) = (copies_sorted(ours), copies_sorted(golden));
        for (ours, golden) in ours.iter().zip(&golden) {
            assert_eq!(ours, golden, "{connector} {run}");
        }
        assert_eq!(ours.len(), golden.len(), "{connector} {run}");
    }
}

#[test]
fn keys_transactions_and_copies_of_mysql_are_as_debezium_has_them() {
    replay_all("mysql");
}

#[test]
fn keys_transactions_and_copies_of_mariadb_are_as_debezium_has_them() {
    replay_all("mariadb");
}
