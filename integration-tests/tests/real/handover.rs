//! A pipeline begins where Debezium stopped: at every place in a log where that may be. Debezium is not there; its slot
//! stands where it would have left it, and its offsets are what it would have noted (`integration-tests/debezium` has
//! real ones). `scripts/hand-over` does the same with Debezium itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_integration_tests::servers::{self, Database, any_version};
use tailwater_integration_tests::truth::{self, Change, Placed};
use tailwater_integration_tests::{Client, child, offsets};
use tempfile::TempDir;

/// What Debezium has left behind.
struct Left {
    database: Database,
    client: Client,
    /// Where its slot stood at first; copied for each stop.
    slot: String,
    changes: Vec<Placed>,
    folder: TempDir,
}

/// Transactions of one change and of several, one inside another, undone ones, messages, and rows that share a place.
const LOG: &[&str] = &[
    "INSERT INTO a VALUES (1, 'x')",
    "BEGIN; INSERT INTO a VALUES (2, 'x'); SELECT pg_logical_emit_message(true, 'in', 'm'); INSERT INTO b VALUES (1, 'x'); UPDATE a SET t = 'y' WHERE id = 1; COMMIT",
    "SELECT pg_logical_emit_message(false, 'out', 'm')",
    "BEGIN; INSERT INTO a VALUES (3, 'x'); ROLLBACK",
    "BEGIN; INSERT INTO a VALUES (4, 'x'); INSERT INTO left_out VALUES (1, 'x'); SAVEPOINT s; DELETE FROM a WHERE id = 2; COMMIT",
    "INSERT INTO left_out VALUES (2, 'x')",
    "BEGIN; DELETE FROM b; INSERT INTO b VALUES (2, 'x'); COMMIT",
];

impl Left {
    async fn new() -> Self {
        let database = servers::database(any_version()).await;
        let (client, other) = (database.connect().await, database.connect().await);
        for table in ["a", "b", "left_out"] {
            client.run(&format!("CREATE TABLE {table} (id int PRIMARY KEY, t text)")).await;
        }
        client.run("CREATE PUBLICATION dbz_publication FOR TABLE a, b").await;
        let slot = format!("base_{}", database.name);
        truth::slot(&client, &slot).await;
        // Written before, committed after what the others write.
        other.run("BEGIN; INSERT INTO b VALUES (10, 'slow')").await;
        for sql in LOG {
            client.run(sql).await;
        }
        other.run("INSERT INTO b VALUES (11, 'slow'); COMMIT").await;
        client.run("CREATE TABLE from_here (); INSERT INTO a SELECT 20; TRUNCATE left_out").await;
        let changes = truth::changes(&client, &slot, "dbz_publication").await;
        Self { database, client, slot, changes, folder: tempfile::tempdir().unwrap() }
    }

    /// A connector of its own name, whose slot stands at `confirmed`.
    async fn connector(&self, name: &str, broker: &Broker, confirmed: Option<u64>) -> PathBuf {
        let name = format!("{name}_{}", self.database.name);
        self.client.run(&format!("SELECT pg_copy_logical_replication_slot('{}', '{name}')", self.slot)).await;
        if let Some(confirmed) = confirmed {
            let to = format!("SELECT pg_replication_slot_advance('{name}', '0/0'::pg_lsn + {confirmed})");
            self.client.run(&to).await;
        }
        let (host, port) = self
            .database
            .server
            .address()
            .rsplit_once(':')
            .map(|(h, p)| (h.to_owned(), p.to_owned()))
            .unwrap();
        let properties = [
            ("source.connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("source.plugin.name", "pgoutput"),
            ("source.slot.name", &name),
            ("source.topic.prefix", &name),
            ("source.database.hostname", &host),
            ("source.database.port", &port),
            ("source.database.user", "postgres"),
            ("source.database.password", "${PGPASSWORD}"),
            ("source.database.dbname", &self.database.name),
            ("source.table.include.list", "public\\\\.(a|b)"),
            ("sink.type", "kafka"),
            ("sink.kafka.producer.bootstrap.servers", &broker.address()),
        ];
        let text: String =
            properties.iter().map(|(name, value)| format!("debezium.{name}={value}\n")).collect();
        let file = self.folder.path().join(format!("{name}.properties"));
        fs::write(&file, text).unwrap();
        file
    }

    fn pipeline(&self, connector: &Path) -> PathBuf {
        assert!(connector.starts_with(self.folder.path()));
        connector.with_extension("toml")
    }

    fn import(&self, connector: &Path, offset: &Value) -> Output {
        let (file, name) =
            (connector.with_extension("dat"), connector.file_stem().unwrap().to_str().unwrap());
        fs::write(&file, offsets::file(&offsets::key(name), &offset.to_string())).unwrap();
        self.import_with(connector, &["--offsets", file.to_str().unwrap()])
    }

    fn import_with(&self, connector: &Path, arguments: &[&str]) -> Output {
        let pipeline = self.pipeline(connector);
        let mut command = child::command(&[
            "import-debezium",
            connector.to_str().unwrap(),
            "--output",
            pipeline.to_str().unwrap(),
        ]);
        command.args(arguments).env("PGPASSWORD", "postgres").output().unwrap()
    }

    fn run(&self, connector: &Path) {
        let pipeline = self.pipeline(connector);
        let mut command = child::command(&["run", "--until-caught-up", pipeline.to_str().unwrap()]);
        let output = command.env("PGPASSWORD", "postgres").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs the pipeline: its topics must then hold these changes and no other, in their order.
    fn assert_goes_on(&self, connector: &Path, broker: &Broker, expected: &[Placed], what: &str) {
        self.run(connector);
        let prefix = connector.file_stem().unwrap().to_str().unwrap();
        for (table, topic) in [("public.a", "public.a"), ("public.b", "public.b"), ("", "message")] {
            let told = truth::told(&broker.read(&format!("{prefix}.{topic}")), table);
            let expected: Vec<Change> = expected
                .iter()
                .map(|placed| placed.change.clone())
                .filter(|change| change.table == table)
                .collect();
            truth::assert_same(&expected, &told, &format!("{what}, {topic}"));
        }
    }
}

/// What Debezium notes with the record of a change.
fn noted(placed: &Placed) -> Value {
    let Placed { change, follows } = placed;
    let kind = match change.op {
        'c' => "INSERT",
        'u' => "UPDATE",
        'd' => "DELETE",
        _ => "MESSAGE",
    };
    let mut offset = json!({ "lsn_proc": change.lsn, "messageType": kind, "lsn": change.lsn, "ts_usec": 1_700_000_000_000_000_u64 });
    if let Some(follows) = follows {
        offset["lsn_commit"] = json!(follows);
    }
    if change.xid != 0 {
        offset["txId"] = json!(change.xid);
    }
    offset
}

fn assert_refused(output: &Output, code: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(code), "{code}: {said}");
}

/// A place to stop at: a connector with its slot there, what it has noted, and how many changes it has passed on.
struct Stop {
    connector: PathBuf,
    offset: Value,
    passed_on: usize,
    what: String,
}

/// Every change, and every commit that a heartbeat would note.
async fn stops(left: &Left, broker: &Broker) -> Vec<Stop> {
    let mut stops = Vec::new();
    let inside = left.changes.iter().position(|placed| placed.change.op == 'm').unwrap();
    for (at, placed) in left.changes.iter().enumerate() {
        let (passed_on, what) = (at + 1, format!("after {placed:?}"));
        let (mut offset, lone) = (noted(placed), placed.change.op == 'm' && at != inside);
        if lone {
            offset["lsn_commit"] = json!(placed.change.lsn);
        } else if at == inside {
            offset["txId"] = json!(left.changes[at + 1].change.xid);
        }
        let connector = left.connector(&format!("after_{at}"), broker, placed.follows).await;
        stops.push(Stop { connector, offset, passed_on, what: what.clone() });
        let next = left.changes.get(at + 1).filter(|next| next.follows != placed.follows && !lone);
        if let Some(end) = next.and_then(|next| next.follows) {
            let offset = json!({ "lsn_proc": end, "messageType": "COMMIT", "lsn_commit": end, "lsn": end });
            let connector = left.connector(&format!("end_{at}"), broker, Some(end)).await;
            stops.push(Stop { connector, offset, passed_on, what: format!("{what} and its commit") });
        }
    }
    stops
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_goes_on_wherever_debezium_stopped() {
    let (left, broker) = (Left::new().await, kafka::shared());
    let stops = stops(&left, &broker).await;
    let go_on = |stop: &Stop| {
        let output = left.import(&stop.connector, &stop.offset);
        assert!(output.status.success(), "{}: {}", stop.what, String::from_utf8_lossy(&output.stderr));
        left.assert_goes_on(&stop.connector, &broker, &left.changes[stop.passed_on..], &stop.what);
    };
    for some in stops.chunks(6) {
        std::thread::scope(|scope| {
            for stop in some {
                scope.spawn(|| go_on(stop));
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_share_a_place_are_told_apart_or_refused() {
    let (mut left, broker) = (Left::new().await, kafka::shared());
    left.client.run("COPY a (id) FROM PROGRAM 'seq 101 103'").await;
    left.changes = truth::changes(&left.client, &left.slot, "dbz_publication").await;
    let copied = left.changes.len() - 3;
    let placed = left.changes[copied].clone();
    assert_eq!(placed.change, left.changes[copied + 2].change);
    let connector = left.connector("unknown", &broker, placed.follows).await;
    assert_refused(&left.import(&connector, &noted(&placed)), "TW-PG-131");
    assert!(!left.pipeline(&connector).exists());
    for known in 1..=3 {
        let connector = left.connector(&format!("known_{known}"), &broker, placed.follows).await;
        let mut offset = noted(&placed);
        offset["lsn_events_processed"] = json!(known);
        let output = left.import(&connector, &offset);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        left.assert_goes_on(&connector, &broker, &left.changes[copied + known..], &format!("{known} of 3"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proved_is_refused_and_leaves_nothing_behind() {
    let (left, broker) = (Left::new().await, kafka::shared());
    let (first, last) = (left.changes[3].clone(), left.changes.last().unwrap().clone());
    let moved = left.connector("moved", &broker, last.follows).await;
    assert_refused(&left.import(&moved, &noted(&first)), "TW-PG-068");
    let elsewhere = left.connector("elsewhere", &broker, first.follows).await;
    let mut offset = noted(&first);
    offset["lsn"] = json!(first.change.lsn + 8);
    assert_refused(&left.import(&elsewhere, &offset), "TW-PG-130");
    let mut offset = noted(&first);
    offset["txId"] = json!(first.change.xid + 1);
    assert_refused(&left.import(&elsewhere, &offset), "TW-PG-130");
    assert_refused(&left.import(&elsewhere, &json!({ "lsn": 1, "snapshot": "INITIAL" })), "TW-IMP-010");
    let missing = ["--offsets-topic", "no-such-topic"];
    assert_refused(&left.import_with(&elsewhere, &missing), "TW-KAFKA-006");
    assert!(!left.pipeline(&elsewhere).exists());
    // Nothing of all that stands in the way; but a position that is there is not replaced.
    assert!(left.import(&elsewhere, &noted(&first)).status.success());
    let pipeline = left.pipeline(&elsewhere);
    let mut check = child::command(&["check", pipeline.to_str().unwrap()]);
    let checked = check.env("PGPASSWORD", "postgres").output().unwrap();
    // Warnings there are: of connections without encryption.
    assert_eq!(checked.status.code(), Some(1), "{}", String::from_utf8_lossy(&checked.stdout));
    assert_refused(&left.import(&elsewhere, &noted(&first)), "TW-IMP-007");
    fs::remove_file(left.pipeline(&elsewhere)).unwrap();
    assert_refused(&left.import(&elsewhere, &noted(&first)), "TW-KAFKA-025");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_beyond_the_offsets_is_not_written_again() {
    let (mut left, broker) = (Left::new().await, kafka::shared());
    let placed = left.changes[3].clone();
    let first = left.connector("first", &broker, placed.follows).await;
    assert!(left.import(&first, &noted(&placed)).status.success());
    left.run(&first);
    left.client.run("BEGIN; DELETE FROM a; UPDATE b SET id = id + 100; COMMIT; COPY a (id) FROM PROGRAM 'seq 101 103'").await;
    left.changes = truth::changes(&left.client, &left.slot, "dbz_publication").await;

    // Another slot and pipeline, to the topics of the first, from the same offsets.
    let second = left.connector("second", &broker, placed.follows).await;
    let [one, two] = [&first, &second].map(|connector| connector.file_stem().unwrap().to_str().unwrap());
    let text = fs::read_to_string(&second).unwrap();
    fs::write(&second, text.replace(&format!("topic.prefix={two}"), &format!("topic.prefix={one}"))).unwrap();
    let noted_file = second.with_extension("dat");
    fs::write(&noted_file, offsets::file(&offsets::key(one), &noted(&placed).to_string())).unwrap();
    let output = left.import_with(&second, &["--offsets", noted_file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    left.run(&second);
    let told = |topic: &str| truth::told(&broker.read(&format!("{one}.public.{topic}")), "");
    let places =
        |changes: Vec<Change>| -> Vec<u64> { changes.into_iter().map(|change| change.lsn).collect() };
    let happened = left.changes[4..].iter().map(|placed| placed.change.clone());
    let happened = happened.filter(|change| change.table == "public.a").collect();
    assert_eq!(places(told("a")), places(happened));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_in_connects_topic() {
    let (left, broker) = (Left::new().await, kafka::shared());
    let placed = left.changes[3].clone();
    let connector = left.connector("topic", &broker, placed.follows).await;
    let name = connector.file_stem().unwrap().to_str().unwrap();
    let topic = format!("offsets_{name}");
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker.address());
    let admin: AdminClient<_> = client.create().unwrap();
    let new = NewTopic::new(&topic, 3, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    admin.create_topics([&new], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let producer: BaseProducer = client.create().unwrap();
    let key = offsets::key(name);
    let values = [noted(&left.changes[0]).to_string(), noted(&placed).to_string()];
    for (key, value) in [(&key, &values[0]), (&offsets::key("another"), &values[0]), (&key, &values[1])] {
        producer.send(BaseRecord::to(&topic).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(std::time::Duration::from_secs(60)).unwrap();
    let output = left.import_with(&connector, &["--offsets-topic", &topic]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    left.assert_goes_on(&connector, &broker, &left.changes[4..], "by the topic");
}
