//! The program is killed, again and again, while it copies and streams to Kafka. What a reader then makes of the topic
//! is what a copy made in peace holds; and exactly once no event is there twice.

use std::time::Duration;

use serde_json::{Map, Value};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_integration_tests::lines::{Reader, text};
use tailwater_integration_tests::servers::{self, any_version};
use tailwater_integration_tests::{Program, Random, wait_for, workload};

use crate::load::{Writers, seed};

const PATIENCE: Duration = Duration::from_secs(300);
const KILLS_IN_THE_COPY: u64 = 5;
const KILLS_IN_THE_STREAM: u64 = 10;

fn program(url: &str, broker: &Broker, name: &str, delivery: &str) -> Program {
    let sink = format!(
        "[sink.kafka]\nbrokers = \"{}\"\nformat = \"json\"\ntopic = \"{{prefix}}\"\ndelivery = \"{delivery}\"\n\
         [[sink.kafka.topics]]\ntopic = \"*\"\npartitions = 1\n[sink.kafka.properties]\n\"compression.type\" = \"zstd\"\n",
        broker.address()
    );
    Program::with_sink(url, name, &["public.*"], &sink)
}

/// What a reader makes of the topic of a pipeline.
fn read(broker: &Broker, name: &str, repeats: bool) -> Reader {
    let mut reader = Reader::default();
    for record in broker.read(name) {
        let line: Map<String, Value> = serde_json::from_str(&record.value.unwrap()).unwrap();
        let kind = text(&line, "type");
        let counts = !kind.starts_with("snapshot") && kind != "schema" && kind != "drop";
        let before = reader.seen.len();
        reader.line(line, true);
        assert!(repeats || !counts || reader.seen.len() > before, "an event is there twice");
    }
    reader
}

async fn killed(delivery: &str) {
    let seed = seed();
    let mut random = Random::new(seed);
    let (database, broker) = (servers::database(any_version()).await, kafka::shared());
    let client = database.connect().await;
    workload::create(&client).await;
    client.run("INSERT INTO visits SELECT n, '/' || n, NULL FROM generate_series(1, 100000) n").await;
    let program = program(&database.url(), &broker, &database.name, delivery);
    let config = tailwater_kafka::Config::new(&database.name, broker.address());
    let writers = Writers::start(&database.url(), seed);

    for _ in 0..KILLS_IN_THE_COPY {
        let process = program.start(&[]);
        tokio::time::sleep(Duration::from_millis(random.within(100..1500))).await;
        process.kill();
    }
    let mut process = program.start(&[]);
    let mut before = String::new();
    for _ in 0..KILLS_IN_THE_STREAM {
        before = wait_for("the stream moves on", PATIENCE, async || {
            assert!(process.runs(), "it has ended by itself:\n{}", program.log());
            let held = tailwater_kafka::position(&config).unwrap()?.position;
            (!held.copying() && held.stream != before).then_some(held.stream)
        })
        .await;
        tokio::time::sleep(Duration::from_millis(random.within(0..300))).await;
        process.kill();
        process = program.start(&[]);
    }
    writers.end().await;
    process.kill();
    program.catch_up(PATIENCE).await;

    let peaceful = format!("{}_again", database.name);
    self::program(&database.url(), &broker, &peaceful, delivery).catch_up(PATIENCE).await;
    let (found, wanted) =
        (read(&broker, &database.name, delivery == "at-least-once"), read(&broker, &peaceful, false));
    assert!(found.seen.len() > 100, "hardly anything was streamed");
    let (found, wanted) = (found.contents(), wanted.contents());
    for table in workload::TABLES {
        let table = format!("public.{table}");
        let (found, wanted) = (&found[&table], &wanted[&table]);
        let count = client.value(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(wanted.len().to_string(), count, "{table} in a copy made in peace");
        let missing = wanted.iter().find(|row| found.binary_search(row).is_err());
        let excess = found.iter().find(|row| wanted.binary_search(row).is_err());
        assert!(found == wanted, "{table}: missing {missing:?}, instead {excess:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_kafka_holds_everything_once() {
    killed("exactly-once").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_kafka_holds_everything_at_least_once() {
    killed("at-least-once").await;
}
