//! A pipeline begins where Debezium's MySQL or MariaDB connector stopped: at every place in a log where that may be, with
//! GTIDs and without. Debezium is not there; its offsets are what it would have noted, by the server's own list of events
//! (`integration-tests/debezium/offsets` has real ones). `scripts/hand-over` does the same with Debezium itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use tailwater_integration_tests::kafka::{self, Broker, Record};
use tailwater_integration_tests::mysql::{Flavour, Installation, Server};
use tailwater_integration_tests::{child, offsets};
use tempfile::TempDir;

/// Statements, and of each event of rows that they make in a followed table, the records of each row.
const LOG: &[(&str, &[&[&str]])] = &[
    ("INSERT INTO a VALUES (1, 'x')", &[&["a c 1"]]),
    ("BEGIN", &[]),
    ("INSERT INTO a VALUES (2, 'x'), (3, 'x'), (4, 'x')", &[&["a c 2", "a c 3", "a c 4"]]),
    ("INSERT INTO left_out VALUES (1, 'x')", &[]),
    ("UPDATE a SET t = 'y' WHERE id IN (2, 3)", &[&["a u 2", "a u 3"]]),
    ("INSERT INTO b VALUES (1, 'x')", &[&["b c 1"]]),
    ("SAVEPOINT s", &[]),
    ("DELETE FROM a WHERE id = 2", &[&["a d 2"]]),
    ("UPDATE a SET id = 30 WHERE id = 3", &[&["a d 3,a c 30"]]),
    ("INSERT INTO a VALUES (5, 'x')", &[&["a c 5"]]),
    ("COMMIT", &[]),
    ("BEGIN; INSERT INTO a VALUES (6, 'x'); ROLLBACK", &[]),
    ("INSERT INTO left_out VALUES (2, 'x')", &[]),
    ("ALTER TABLE a ADD c INT", &[]),
    ("INSERT INTO a VALUES (7, 'x', 1)", &[&["a c 7"]]),
];

/// A place to stop at: what Debezium has noted there, and how many changes it has passed on.
#[derive(Debug, Clone)]
struct Stop {
    offset: Value,
    passed_on: usize,
}

/// What Debezium has left behind.
struct Left {
    server: Server,
    broker: Arc<Broker>,
    stops: Vec<Stop>,
    /// The records of each change.
    changes: Vec<Vec<String>>,
    folder: TempDir,
}

impl Left {
    fn new(installation: Installation, settings: &[&str]) -> Self {
        let server = Server::start(installation, settings);
        let mut session = server.session();
        session.run("CREATE DATABASE p");
        session.run("USE p");
        for table in ["a", "b", "left_out"] {
            session.run(&format!("CREATE TABLE {table} (id INT PRIMARY KEY, t TEXT)"));
        }
        let from = end(&server);
        for (statement, _) in LOG {
            session.run(statement);
        }
        let stops = stops(&server, &from);
        let changes = LOG.iter().flat_map(|(_, events)| *events).flat_map(|rows| *rows);
        let changes = changes.map(|records| records.split(',').map(str::to_owned).collect()).collect();
        Self { server, broker: kafka::shared(), stops, changes, folder: tempfile::tempdir().unwrap() }
    }

    /// The configuration of Debezium Server for this `topic.prefix`.
    fn connector(&self, name: &str, prefix: &str) -> PathBuf {
        let class = match self.server.installation().flavour() {
            Flavour::MySql => "mysql.MySqlConnector",
            Flavour::MariaDb => "mariadb.MariaDbConnector",
        };
        let properties = [
            ("source.connector.class", format!("io.debezium.connector.{class}")),
            ("source.topic.prefix", prefix.to_owned()),
            ("source.database.hostname", "127.0.0.1".to_owned()),
            ("source.database.port", self.server.port().to_string()),
            ("source.database.user", "cdc".to_owned()),
            ("source.database.password", "${MYSQL_PWD}".to_owned()),
            ("source.table.include.list", "p\\\\.(a|b)".to_owned()),
            ("source.include.schema.changes", "false".to_owned()),
            (
                "source.schema.history.internal",
                "io.debezium.storage.file.history.FileSchemaHistory".to_owned(),
            ),
            ("format.schemas.enable", "false".to_owned()),
            ("sink.type", "kafka".to_owned()),
            ("sink.kafka.producer.bootstrap.servers", self.broker.address()),
        ];
        let text: String =
            properties.iter().map(|(name, value)| format!("debezium.{name}={value}\n")).collect();
        let file = self.folder.path().join(format!("{name}.properties"));
        fs::write(&file, text).unwrap();
        file
    }

    fn import(&self, connector: &Path, prefix: &str, offset: &Value) -> Output {
        let file = connector.with_extension("dat");
        fs::write(&file, offsets::file(&offsets::key(prefix), &offset.to_string())).unwrap();
        let pipeline = connector.with_extension("toml");
        let [connector, pipeline] = [connector, &pipeline].map(|path| path.to_str().unwrap());
        let words = ["import-debezium", connector, "--output", pipeline, "--offsets", file.to_str().unwrap()];
        child::command(&words).env("MYSQL_PWD", "cdc").output().unwrap()
    }

    /// Goes on from there, and returns what is said of changes that come twice.
    fn go_on(&self, connector: &Path, prefix: &str, offset: &Value, what: &str) -> String {
        let output = self.import(connector, prefix, offset);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{what}: {said}");
        let pipeline = connector.with_extension("toml");
        let mut command = child::command(&["run", "--until-caught-up", pipeline.to_str().unwrap()]);
        let output = command.env("MYSQL_PWD", "cdc").output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        said.lines().filter(|line| line.contains("come twice")).collect()
    }

    /// What the topics of a prefix tell of both tables.
    fn told(&self, prefix: &str) -> [Vec<String>; 2] {
        ["a", "b"].map(|table| {
            let records = self.broker.read(&format!("{prefix}.p.{table}"));
            records.iter().filter_map(|record| line(table, record)).collect()
        })
    }

    /// The records of the changes from `first` on, by table.
    fn happened(&self, first: usize) -> [Vec<String>; 2] {
        ["a ", "b "].map(|table| {
            let records = self.changes[first..].iter().flatten();
            records.filter(|record| record.starts_with(table)).cloned().collect()
        })
    }
}

/// A record in one line; nothing for a tombstone.
fn line(table: &str, record: &Record) -> Option<String> {
    let value: Value = serde_json::from_str(record.value.as_ref()?).unwrap();
    let op = value["op"].as_str().unwrap();
    let row = if op == "d" { &value["before"] } else { &value["after"] };
    Some(format!("{table} {op} {}", row["id"]))
}

/// The file that is written, and where it ends.
fn end(server: &Server) -> (String, u64) {
    let rows = server.query("SHOW BINARY LOGS");
    let last = rows.last().unwrap();
    (last[0].clone().unwrap(), last[1].as_ref().unwrap().parse().unwrap())
}

/// What Debezium would note of the log behind a place, event by event and row by row. What it counts was seen in its own
/// offsets: events from BEGIN on, or from MariaDB's GTID, without those that the server sends only on request.
fn stops(server: &Server, (file, from): &(String, u64)) -> Vec<Stop> {
    let maria = server.installation().flavour() == Flavour::MariaDb;
    let mut rows_of = LOG.iter().flat_map(|(_, events)| *events).map(|rows| rows.len());
    let (mut stops, mut passed_on) = (Vec::new(), 0);
    // The transactions before, the place to read from, and the events that are done since there.
    let (mut gtids, mut this, mut at, mut done) = (None, None, *from, None::<u64>);
    let (mut payload, mut table, mut alone) = (None, String::new(), false);
    let mut stop = |gtids: &Option<String>, at: u64, event: u64, row: usize, passed_on: usize| {
        let mut offset =
            json!({ "ts_sec": 1_700_000_000, "file": file, "pos": at, "server_id": server.port() });
        for (name, value) in [("event", event), ("row", row as u64)] {
            if value > 0 {
                offset[name] = json!(value);
            }
        }
        if let Some(gtids) = gtids {
            offset["gtids"] = json!(gtids);
        }
        stops.push(Stop { offset, passed_on });
    };
    for event in server.query(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {from}")) {
        let [_, begins, kind, _, ends, info]: [Option<String>; 6] = event.try_into().unwrap();
        let (kind, info) = (kind.unwrap(), info.unwrap_or_default());
        let [begins, ends]: [u64; 2] = [begins, ends].map(|place| place.unwrap().parse().unwrap());
        match kind.as_str() {
            "Annotate_rows" => continue,
            "Transaction_payload" => {
                payload = Some(begins);
                continue;
            }
            "Gtid" => {
                (gtids, this) = before_and_with(&info, maria);
                if maria {
                    (at, done, alone) = (begins, Some(0), !info.starts_with("BEGIN"));
                }
            }
            "Query" if info == "BEGIN" => (at, done) = (payload.unwrap_or(begins), Some(0)),
            "Table_map" => table = info.clone(),
            _ => {}
        }
        match (kind.as_str(), &mut done) {
            ("Xid", _) => {
                (gtids, done, payload) = (this.take(), None, None);
                stop(&gtids, ends, 0, 0, passed_on);
            }
            (_, Some(events)) => {
                stop(&gtids, at, *events, 0, passed_on);
                if kind.contains("_rows") && (table.ends_with("(p.a)") || table.ends_with("(p.b)")) {
                    for row in 1..=rows_of.next().unwrap() {
                        passed_on += 1;
                        stop(&gtids, at, *events, row, passed_on);
                    }
                }
                *events += 1;
                if alone && kind == "Query" {
                    // Its heartbeats go on counting.
                    stop(&gtids, at, *events + 2, 0, passed_on);
                }
            }
            (_, None) => stop(&gtids, ends, 0, 0, passed_on),
        }
    }
    assert_eq!(rows_of.next(), None, "the log has fewer events of rows than are known");
    stops
}

/// All GTIDs before that of an event, and with it.
fn before_and_with(info: &str, maria: bool) -> (Option<String>, Option<String>) {
    let gtid = info.split([' ', '\'']).rfind(|word| !word.is_empty()).unwrap();
    let (start, number) = gtid.rsplit_once(if maria { '-' } else { ':' }).unwrap();
    let number: u64 = number.parse().unwrap();
    let up_to = |number: u64| match maria {
        true => format!("{start}-{number}"),
        false => format!("{start}:1-{number}"),
    };
    (Some(up_to(number - 1)), Some(up_to(number)))
}

/// Goes on from every place, or from every so many of those that are no rows.
fn check(installation: Installation, name: &str, settings: &[&str], every: usize) {
    let left = Left::new(installation, settings);
    let is_row = |stop: &Stop| stop.offset.get("row").is_some();
    let chosen = left.stops.iter().enumerate();
    let chosen: Vec<_> = chosen.filter(|(at, stop)| at % every == 0 || (every < 5 && is_row(stop))).collect();
    let go_on = |at: usize, stop: &Stop| {
        let (prefix, what) = (format!("{name}_{at}"), format!("{name}: {stop:?}"));
        let twice = left.go_on(&left.connector(&prefix, &prefix), &prefix, &stop.offset, &what);
        assert_eq!((left.told(&prefix), twice.as_str()), (left.happened(stop.passed_on), ""), "{what}");
    };
    for some in chosen.chunks(4) {
        std::thread::scope(|scope| {
            for (at, stop) in some {
                scope.spawn(|| go_on(*at, stop));
            }
        });
    }
}

#[test]
fn a_pipeline_goes_on_wherever_debezium_stopped_in_mysql() {
    check(Installation::mysql97(), "gtids", &[], 3);
}

#[test]
fn a_pipeline_goes_on_wherever_debezium_stopped_without_gtids() {
    check(Installation::mysql97(), "files", &["gtid_mode=OFF", "enforce_gtid_consistency=OFF"], 3);
}

#[test]
fn a_pipeline_goes_on_wherever_debezium_stopped_in_packed_transactions() {
    check(Installation::mysql97(), "packed", &["binlog_transaction_compression=ON"], 5);
}

#[test]
fn a_pipeline_goes_on_wherever_debezium_stopped_in_mariadb() {
    check(Installation::mariadb118(), "maria", &[], 3);
    check(Installation::mariadb1011(), "older", &[], 5);
}

#[test]
fn what_cannot_be_proved_is_refused_and_leaves_nothing_behind() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let left = Left::new(installation, &[]);
        let row = left.stops.iter().rfind(|stop| stop.offset.get("row").is_some()).unwrap();
        let whole = left.stops.iter().rfind(|stop| stop.offset.get("event").is_none()).unwrap();
        let changed = |stop: &Stop, changes: Value| {
            let mut offset = stop.offset.clone();
            offset.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            offset
        };
        let never = match installation.flavour() {
            Flavour::MySql => format!("{}9", whole.offset["gtids"].as_str().unwrap()),
            Flavour::MariaDb => "0-1-999".to_owned(),
        };
        let prefix = format!("refused_{}", installation.name());
        let connector = left.connector(&prefix, &prefix);
        for (offset, code) in [
            // No rows there, fewer rows, and no such event.
            (changed(row, json!({ "event": 1 })), "TW-MY-066"),
            (changed(row, json!({ "row": 9 })), "TW-MY-066"),
            (changed(row, json!({ "event": 99, "row": 1 })), "TW-MY-066"),
            (changed(row, json!({ "snapshot": "INITIAL" })), "TW-IMP-010"),
            (changed(whole, json!({ "gtids": never })), "TW-MY-061"),
            (changed(whole, json!({ "gtids": "", "file": "binlog.999999" })), "TW-MY-061"),
        ] {
            let output = left.import(&connector, &prefix, &offset);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(code), "{code}: {offset} {said}");
            assert!(!connector.with_extension("toml").exists(), "{offset}");
        }
        let output = left.import(&connector, &prefix, &row.offset);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(connector.with_extension("toml")).unwrap();
        let output = left.import(&connector, &prefix, &row.offset);
        assert!(String::from_utf8_lossy(&output.stderr).contains("TW-KAFKA-025"));
    }
}

/// Writes these of the records of a topic into another one, as a Debezium of another `topic.prefix` would have.
async fn copy(left: &Left, (from, to): (&str, &str), partitions: i32, keep: impl Fn(usize) -> bool) {
    let client = left.broker.client();
    let topic = format!("{to}.p.a");
    let admin: AdminClient<_> = client.create().unwrap();
    let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
    admin.create_topics([&new], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let producer: BaseProducer = client.create().unwrap();
    let records = left.broker.read(&format!("{from}.p.a"));
    for (_, record) in records.iter().enumerate().filter(|(index, _)| keep(*index)) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let value = record.value.as_ref().map(|value| value.replace(from, to));
        let mut new = BaseRecord::<String, String>::to(&topic).headers(headers).partition(0);
        (new.key, new.payload) = (record.key.as_ref(), value.as_ref());
        producer.send(new).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(std::time::Duration::from_secs(60)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_beyond_the_offsets_is_not_written_again() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let left = Left::new(installation, &[]);
        let name = |of: &str| format!("{of}_{}", installation.name());
        // After the first change.
        let first = left.stops.iter().find(|stop| stop.passed_on == 1).unwrap();
        let all = name("all");
        left.go_on(&left.connector(&all, &all), &all, &first.offset, &all);
        let [everything, of_b] = left.happened(1);
        // Where the records of the changes end, and the tombstones that follow deletes.
        let records = left.broker.read(&format!("{all}.p.a"));
        let ends: Vec<usize> = (0..=records.len())
            .filter(|&end| {
                let next = records.get(end).map(|record| record.value.is_some());
                let moved = end > 0 && records[end - 1].value.is_none() && end > 1;
                let halves =
                    moved && records[end - 2].headers.iter().any(|(name, _)| name == "__debezium.newkey");
                next != Some(false) && !halves
            })
            .collect();
        for &end in &ends {
            // It has stopped after each change of this table; what was in the other one comes in any case.
            let prefix = name(&format!("until{end}"));
            copy(&left, (&all, &prefix), 1, |index| index < end).await;
            left.go_on(&left.connector(&prefix, &prefix), &prefix, &first.offset, &prefix);
            let [of_a, others] = left.told(&prefix);
            let until: Vec<String> = records[..end].iter().filter_map(|record| line("a", record)).collect();
            assert_eq!(&of_a[..until.len()], until, "{prefix}");
            // The change of the other table is before the last ones of this one: from there on all come again.
            let again = of_a.len() - everything.len();
            let gap = everything.iter().position(|record| record == "a d 2").unwrap();
            assert_eq!(again, until.len().saturating_sub(gap), "{prefix}: {of_a:?}");
            assert_eq!(
                (&of_a[until.len()..], others),
                (&everything[until.len() - again..], of_b.clone()),
                "{prefix}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_has_left_out_comes_with_all_that_follows() {
    for (kind, installation, settings) in [
        ("mysql", Installation::mysql97(), &[] as &[&str]),
        ("packed", Installation::mysql97(), &["binlog_transaction_compression=ON"]),
        ("mariadb", Installation::mariadb118(), &[]),
    ] {
        let left = Left::new(installation, settings);
        let name = |of: &str| format!("{of}_{kind}");
        let first = left.stops.iter().find(|stop| stop.passed_on == 1).unwrap();
        let all = name("whole");
        left.go_on(&left.connector(&all, &all), &all, &first.offset, &all);
        let [everything, _] = left.happened(1);
        // Of three rows of one event the second; and `a c 2`, which has the same place as `a c 5` where the server does not
        // say where its events stand. With several partitions either of the two may have come.
        for (of, lost) in [("row", 1), ("shared", 0)] {
            let prefix = name(of);
            copy(&left, (&all, &prefix), 3, |index| index != lost).await;
            let twice = left.go_on(&left.connector(&prefix, &prefix), &prefix, &first.offset, &prefix);
            let [of_a, _] = left.told(&prefix);
            let mut expected = everything.clone();
            expected.remove(lost);
            let written = expected.len();
            expected.extend_from_slice(&everything[lost..]);
            let mut sorted = of_a.clone();
            sorted.sort();
            expected.sort();
            assert_eq!(sorted, expected, "{prefix}");
            // A row with a new key has two records.
            let again = written - lost - usize::from(everything[lost..].contains(&"a c 30".to_owned()));
            assert!(twice.contains(&format!("{again} changes come twice")), "{prefix}: {twice}, {again}");
        }
    }
}

/// A row whose key changed comes as two records, and the offset of both is the same.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_records_of_a_change_the_second_is_not_lost() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let left = Left::new(installation, &[]);
        let name = |of: &str| format!("{of}_{}", installation.name());
        let first = left.stops.iter().find(|stop| stop.passed_on == 1).unwrap();
        let all = name("both");
        left.go_on(&left.connector(&all, &all), &all, &first.offset, &all);
        let moved = left.changes.iter().position(|records| records.len() == 2).unwrap();
        let stop =
            left.stops.iter().rfind(|stop| stop.passed_on == moved + 1 && stop.offset["row"] == 1).unwrap();
        let records = left.broker.read(&format!("{all}.p.a"));
        let is_old = |record: &Record| record.headers.iter().any(|(name, _)| name == "__debezium.newkey");
        let old = records.iter().position(is_old).unwrap();
        for (of, until, half) in [("half", old, true), ("full", old + 2, false)] {
            let prefix = name(of);
            copy(&left, (&all, &prefix), 1, |index| index <= until).await;
            let twice = left.go_on(&left.connector(&prefix, &prefix), &prefix, &stop.offset, &prefix);
            let copied = records[..=until].iter().filter_map(|record| line("a", record));
            let [of_a, _] = left.happened(if half { moved } else { moved + 1 });
            let expected: Vec<String> = copied.chain(of_a).collect();
            assert_eq!(left.told(&prefix)[0], expected, "{prefix}");
            assert_eq!(twice.contains("1 changes come twice"), half, "{prefix}: {twice}");
        }
    }
}
