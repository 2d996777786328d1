//! The records of `format = "debezium"` and `"row"` held against those of Debezium itself: the same SQL, on a real server,
//! against the golden files that `scripts/capture-debezium` wrote; some of it with a real broker and Kafka's own consumer
//! between ([`delivered`]). What may differ, and why, is the list in `debezium/ALLOWED.md`; each entry is one rule in
//! [`compare`] or one column in [`compare::UNLIKE`].

mod compare;
mod delivered;
mod golden;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tailwater_integration_tests::pipeline::Pipeline;
use tailwater_integration_tests::{servers, wait_for};
use tailwater_kafka::debezium::Config;
use tailwater_kafka::debezium::record::{Log, Recorded, Recorder};
use tailwater_postgres::PostgresSource;

use golden::Script;

const DONE: &str = "step-done";
/// The property that asks for ExtractNewRecordState.
const TRANSFORMS: &str = "transforms";
const PATIENCE: Duration = Duration::from_secs(300);

/// Options of the connector that say what is read, not how it is written.
fn patterns(properties: &[(String, String)]) -> Vec<String> {
    let listed = properties.iter().find(|(name, _)| name == "table.include.list");
    listed.map_or(vec!["*.*".to_owned()], |(_, tables)| tables.split(',').map(str::to_owned).collect())
}

fn config(properties: &[(String, String)]) -> Config {
    let mut config = Config::new("golden");
    config.extended_headers = false;
    let said_elsewhere = ["table.include.list", TRANSFORMS];
    for (name, value) in properties.iter().filter(|(name, _)| !said_elsewhere.contains(&name.as_str())) {
        let option = name.strip_prefix("transforms.unwrap.").unwrap_or(name);
        config.set(option, value).unwrap_or_else(|wrong| panic!("{name} = {value} {wrong}"));
    }
    config
}

/// Whether rows are wanted in place of events.
fn of_rows(properties: &[(String, String)]) -> bool {
    properties.iter().any(|(name, _)| name == TRANSFORMS)
}

/// What Tailwater makes of a script.
async fn record(script: &Script, properties: &[(String, String)]) -> (String, Vec<Recorded>) {
    let database = servers::database(servers::any_version()).await;
    let client = database.connect().await;
    for statement in &script.setup {
        client.run(statement).await;
    }
    let patterns = patterns(properties);
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let pipeline = Pipeline::new(&database, &patterns);
    let publication = &pipeline.source.publication;
    client
        .run(&format!("CREATE PUBLICATION {publication} FOR ALL TABLES WITH (publish_via_partition_root)"))
        .await;
    let (log, config, source) = (Log::default(), config(properties), pipeline.source.clone());
    let recorder = if of_rows(properties) { Recorder::rows } else { Recorder::events };
    let held = Arc::new(Mutex::new(None));
    let running = pipeline.start_with({
        let (log, held) = (Arc::clone(&log), Arc::clone(&held));
        move || {
            let position = held.lock().unwrap().take();
            (PostgresSource::new(source.clone()), recorder(config.clone(), Arc::clone(&log), position))
        }
    });
    running.streams(None, PATIENCE).await;
    for statements in &script.steps {
        for statement in statements {
            client.run(statement).await;
        }
        client.run(&format!("SELECT pg_logical_emit_message(false, '{DONE}', '')")).await;
        wait_for("the step arrives", PATIENCE, async || {
            let mut log = log.lock().unwrap();
            let done = log.iter().position(is_done)?;
            log.remove(done);
            Some(())
        })
        .await;
    }
    running.stop().await.unwrap();
    let records = std::mem::take(&mut *log.lock().unwrap());
    (database.name.clone(), records)
}

fn is_done(record: &Recorded) -> bool {
    record.key.as_deref().is_some_and(|key| String::from_utf8_lossy(key).contains(DONE))
}

async fn check(script: &str) {
    let script = Script::read(script);
    let mut wrong = Vec::new();
    for (run, properties) in &script.runs {
        let (database, records) = record(&script, properties).await;
        let mut with_schemas = properties.clone();
        with_schemas.push(("schemas.enable".to_owned(), "true".to_owned()));
        let (other_database, described) = record(&script, &with_schemas).await;
        let golden = golden::read(run);
        wrong.extend(compare::differences(run, &golden, &records, &database, false));
        wrong.extend(compare::differences(run, &golden, &described, &other_database, true));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! scripts {
    ($($name:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            check(stringify!($name)).await;
        }
    )+};
}

scripts!(arrays keys nanoseconds numbers partitions rows shapes snapshot texts times toast transactions);

/// What the server says of where each change stands, for a slot that was made when the pipeline began to stream.
async fn told_by_the_server(
    client: &tailwater_integration_tests::Client,
    slot: &str,
    publication: &str,
) -> Vec<String> {
    let sql = format!(
        "SELECT lsn - '0/0'::pg_lsn, xid, chr(get_byte(data, 0)) FROM pg_logical_slot_peek_binary_changes(
            '{slot}', NULL, NULL, 'proto_version', '1', 'publication_names', '{publication}')"
    );
    let (mut told, mut follows) = (Vec::new(), None);
    for row in client.rows(&sql).await {
        let field = |index: usize| row[index].clone().unwrap();
        let (lsn, xid) = (field(0), field(1));
        match field(2).as_str() {
            "B" => told.push(format!("BEGIN {xid}:{lsn}")),
            "C" => {
                told.push(format!("END {xid}:{lsn}"));
                follows = Some(lsn);
            }
            "I" | "U" | "D" => {
                told.push(format!("{xid} {lsn} after {}", follows.as_deref().unwrap_or("the copy")))
            }
            "R" => {}
            other => panic!("{other}"),
        }
    }
    told
}

/// The same as the records have it.
fn told_by_the_records(records: &[Recorded]) -> Vec<String> {
    let mut told = Vec::new();
    for value in records.iter().filter_map(|record| record.value.as_ref()) {
        let value: serde_json::Value = serde_json::from_slice(value).unwrap();
        if let Some(status) = value["status"].as_str() {
            told.push(format!("{status} {}", value["id"].as_str().unwrap()));
        } else if value["op"] != "r" {
            let source = &value["source"];
            let sequence: Vec<String> = serde_json::from_str(source["sequence"].as_str().unwrap()).unwrap();
            assert_eq!(sequence[1], source["lsn"].to_string());
            told.push(format!("{} {} after {}", source["txId"], source["lsn"], sequence[0]));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_stand_where_the_server_says_that_they_do() {
    let database = servers::database(servers::any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (0, 'old')").await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    let (log, mut config, source) = (Log::default(), Config::new("golden"), pipeline.source.clone());
    config.transactions = true;
    let running = pipeline.start_with({
        let log = Arc::clone(&log);
        move || {
            (PostgresSource::new(source.clone()), Recorder::events(config.clone(), Arc::clone(&log), None))
        }
    });
    running.streams(None, PATIENCE).await;
    let slot = format!("{}_oracle", database.name);
    client.run(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")).await;
    for number in 1..20 {
        client
            .run(&format!(
                "BEGIN; CREATE TEMP TABLE x{number} (id int); INSERT INTO t VALUES ({number}, 'a'), (1000 + {number}, 'b');
                 UPDATE t SET note = 'c' WHERE id = {number}; DELETE FROM t WHERE id = 1000 + {number}; COMMIT"
            ))
            .await;
    }
    let expected = told_by_the_server(&client, &slot, &pipeline.source.publication).await;
    let told = wait_for("all of it arrives", PATIENCE, async || {
        let told = told_by_the_records(&log.lock().unwrap());
        (told.len() >= expected.len()).then_some(told)
    })
    .await;
    running.stop().await.unwrap();
    client.run(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
    assert_eq!(expected.len(), 19 * 6);
    // What the first transaction follows is another matter: for the server nothing, for Tailwater the copy.
    let of_first = expected.iter().position(|told| told.starts_with("END")).unwrap();
    assert_eq!(told[of_first..], expected[of_first..]);
}
