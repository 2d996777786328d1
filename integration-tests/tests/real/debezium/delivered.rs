//! The whole way: Postgres, pipeline, broker, and the consumer that Kafka comes with, against the same golden files. What
//! this adds to the comparison of the encoder's records: topics of three partitions, each record in the one that Kafka's
//! producer chose for Debezium's key, in order there, and once.

use std::sync::Arc;

use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_integration_tests::pipeline::Pipeline;
use tailwater_integration_tests::{servers, wait_for};
use tailwater_kafka::debezium::record::Recorded;
use tailwater_kafka::{Format, Kafka, TopicSettings};
use tailwater_postgres::PostgresSource;

use super::golden::{self, Script};
use super::{DONE, PATIENCE, compare, config, of_rows, patterns};

/// As many as `PARTITIONS` in `debezium/Capture.java`.
const PARTITIONS: i32 = 3;

/// Carries a script to a broker, under a prefix that nobody else has there. Returns the name of the database.
async fn carry(script: &Script, sink: &tailwater_kafka::Config, tables: &[&str], broker: &Broker) -> String {
    let database = servers::database(servers::any_version()).await;
    let client = database.connect().await;
    for statement in &script.setup {
        client.run(statement).await;
    }
    let pipeline = Pipeline::new(&database, tables);
    let publication = &pipeline.source.publication;
    client
        .run(&format!("CREATE PUBLICATION {publication} FOR ALL TABLES WITH (publish_via_partition_root)"))
        .await;
    let running = pipeline.start_with({
        let (source, sink) = (pipeline.source.clone(), sink.clone());
        move || (PostgresSource::new(source.clone()), Kafka::new(sink.clone()))
    });
    running.streams(None, PATIENCE).await;
    let messages = format!("{}.message", sink.naming.prefix);
    for (number, statements) in script.steps.iter().enumerate() {
        for statement in statements {
            client.run(statement).await;
        }
        client.run(&format!("SELECT pg_logical_emit_message(false, '{DONE}', '')")).await;
        wait_for("the step arrives", PATIENCE, async || {
            let records = tokio::task::block_in_place(|| broker.read(&messages));
            (records.iter().filter(|record| is_done(record)).count() > number).then_some(())
        })
        .await;
    }
    running.stop().await.unwrap();
    database.name.clone()
}

fn is_done(record: &kafka::Record) -> bool {
    record.key.as_ref().is_some_and(|key| key.contains(DONE))
}

/// What Kafka's consumer reads of a topic, with the prefix of the golden files.
fn read(broker: &Broker, prefix: &str, topic: &str) -> Vec<(i32, Recorded)> {
    let ours = topic.replacen("golden", prefix, 1);
    let count = broker.read(&ours).len();
    let bytes = |text: String| text.replace(prefix, "golden").into_bytes();
    let records = broker.read_with_java(&ours, count).into_iter().filter(|record| !is_done(record));
    let recorded = |record: kafka::Record| {
        let headers = record.headers.into_iter().map(|(name, value)| (name.into_bytes(), value.map(bytes)));
        let (key, value) = (record.key.map(bytes), record.value.map(bytes));
        (record.partition, Recorded { topic: topic.to_owned(), key, value, headers: headers.collect() })
    };
    records.map(recorded).collect()
}

async fn check(script: &str, run: &str) {
    let (script, broker) = (Script::read(script), kafka::shared());
    let properties = &script.runs.iter().find(|(name, _)| name == run).unwrap().1;
    let prefix = format!("delivered_{}", run.replace('-', "_"));
    let mut sink = tailwater_kafka::Config::new(&prefix, broker.address());
    sink.debezium = config(properties);
    sink.set_prefix(&prefix);
    sink.format = if of_rows(properties) { Format::Row } else { Format::Debezium };
    // The keys of transactions are others in every run, and so would their partitions be.
    sink.topics = [("*.transaction", 1), ("*", PARTITIONS)]
        .map(|(topic, partitions)| TopicSettings {
            topic: topic.to_owned(),
            partitions: Some(partitions),
            replication: Some(1),
            configs: vec![],
        })
        .into();
    let patterns = patterns(properties);
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let database = carry(&script, &sink, &patterns, &broker).await;

    let golden = golden::read(run);
    let mut topics: Vec<&str> = golden.iter().map(|record| record.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let delivered = {
        let (broker, prefix) = (Arc::clone(&broker), prefix.as_str());
        tokio::task::block_in_place(|| {
            topics.iter().flat_map(|topic| read(&broker, prefix, topic)).collect::<Vec<_>>()
        })
    };
    let wrong = compare::differences_of_delivered(run, &golden, &delivered, &database);
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_headers_arrive() {
    check("keys", "keys-extended").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_and_truncates_arrive() {
    check("transactions", "transactions-metadata").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive() {
    check("rows", "rows-renamed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_arrive() {
    check("texts", "texts").await;
}
