//! A source of numbered rows, and what a topic must then hold: each of them once, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use tailwater_core::{
    Batch, Column, Declared, Error, ErrorKind, Fill, Position, Result, Sink as _, Table, Type, Value,
};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_kafka::{Config, Delivery, Format, Kafka, TopicSettings};

/// A table `public.rows (id int, note text)`.
pub(crate) fn table() -> Arc<Table> {
    let column = |id, name: &str, kind, source_type: &str| Column {
        id,
        name: name.to_owned(),
        kind,
        source_type: source_type.to_owned(),
        type_id: 0,
        fill: Fill::Null,
        declared: Declared { not_null: id == 1, base_type: source_type.to_owned(), ..Declared::default() },
    };
    let columns = vec![column(1, "id", Type::Int4, "integer"), column(2, "note", Type::Text, "text")];
    let (schema, name) = ("public".to_owned(), "rows".to_owned());
    Arc::new(Table {
        id: 1,
        schema,
        name,
        columns,
        key: vec![0],
        declared_key: vec![0],
        streamed_from_birth: true,
    })
}

/// A sink of its own at a broker: one partition, topics named after it.
pub(crate) fn config(broker: &Broker, delivery: Delivery) -> Config {
    config_at(broker.address(), delivery)
}

/// As [`config`], at any brokers.
pub(crate) fn config_at(brokers: String, delivery: Delivery) -> Config {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut config = Config::new(&format!("feed_{}", NUMBER.fetch_add(1, Ordering::Relaxed)), brokers);
    config.delivery = delivery;
    config.format = Format::Row;
    let topic = "*".to_owned();
    config.topics = vec![TopicSettings { topic, partitions: Some(1), replication: Some(1), configs: vec![] }];
    config
}

pub(crate) fn set(config: &mut Config, name: &str, value: &str) {
    config.properties.set(name, value.to_owned(), |_, _| String::new()).unwrap();
}

/// Gives up on a record soon, so that a short pause is a long one.
pub(crate) fn hasty(config: &mut Config) {
    set(config, "delivery.timeout.ms", "2000");
    set(config, "request.timeout.ms", "1000");
    set(config, "socket.timeout.ms", "3000");
    set(config, "reconnect.backoff.max.ms", "500");
}

/// The topic of [`table`].
pub(crate) fn topic(config: &Config) -> String {
    format!("{}.public.rows", config.pipeline)
}

/// The end of transaction `number`.
pub(crate) fn at(number: u64, event: u64) -> Position {
    Position { source: "feed".into(), stream: format!("{number:08}"), event, ..Position::default() }
}

/// Adds to `batch` the rows `first..end` of transaction `number`; each tells which it is.
pub(crate) fn fill(
    batch: &mut Batch,
    table: &Arc<Table>,
    number: u64,
    rows: std::ops::Range<u64>,
    note: &str,
) {
    batch.transaction(format_args!("{number:08}"), 1_700_000_000_000_000, number, rows.start).unwrap();
    for row in rows {
        let id = format!("{}", number * 1000 + row);
        let row = batch.add_row([Value::Text(id.as_bytes()), Value::Text(note.as_bytes())]).unwrap();
        batch.insert(table, row);
    }
}

/// A batch from `from` to `to`.
pub(crate) fn batch(from: &Position, to: Position, add: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    batch.reset(from, 1 << 20);
    add(&mut batch);
    batch.to = to;
    batch
}

/// A whole transaction of `rows` rows.
pub(crate) fn transaction(from: &Position, table: &Arc<Table>, number: u64, rows: u64) -> Batch {
    batch(from, at(number, 0), |batch| fill(batch, table, number, 0..rows, "x"))
}

/// Writes transactions until `end` is durable. Returns how often it had to start.
pub(crate) fn write_until(config: &Config, end: u64, patience: Duration) -> u32 {
    write_while(config, |done| done < end, patience).1
}

/// Writes transactions while it may, as the supervisor would: after every failure with a new sink, from the position
/// that the target holds. Every third transaction comes in two batches. Returns the last one that is durable, and how
/// often it had to start.
pub(crate) fn write_while(config: &Config, may: impl Fn(u64) -> bool, patience: Duration) -> (u64, u32) {
    let (table, deadline, mut starts) = (table(), Instant::now() + patience, 0);
    loop {
        starts += 1;
        let mut sink = Kafka::new(config.clone());
        let outcome = write_from_held(&mut sink, &table, &may);
        sink.close().unwrap();
        match outcome {
            Ok(end) => return (end, starts),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
                assert!(Instant::now() < deadline, "not within {patience:?}: {error}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn write_from_held(sink: &mut Kafka, table: &Arc<Table>, may: impl Fn(u64) -> bool) -> Result<u64> {
    let mut from = sink.open()?.unwrap_or_default();
    loop {
        let done: u64 = if from.stream.is_empty() { 0 } else { from.stream.parse().unwrap() };
        if !may(done) {
            return Ok(done);
        }
        let number = done + 1;
        if number.is_multiple_of(3) {
            let first = batch(&from, at(done, 4), |batch| fill(batch, table, number, 0..4, "x"));
            sink.write(&first)?;
            let rest = batch(&first.to, at(number, 0), |batch| fill(batch, table, number, 4..5, "x"));
            sink.write(&rest)?;
            from = rest.to;
        } else {
            let whole = transaction(&from, table, number, 5);
            sink.write(&whole)?;
            from = whole.to;
        }
    }
}

/// Waits until so many transactions are durable.
pub(crate) fn held_is_at_least(config: &Config, number: u64) {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let held = tailwater_kafka::position(config).ok().flatten();
        if held.is_some_and(|held| held.position.stream >= at(number, 0).stream) {
            return;
        }
        assert!(Instant::now() < deadline, "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The ids of the rows in the topic, in order.
pub(crate) fn ids(broker: &Broker, config: &Config) -> Vec<u64> {
    ids_as(&broker.client(), config)
}

fn ids_as(client: &ClientConfig, config: &Config) -> Vec<u64> {
    let id = |key: String| -> u64 {
        let key: serde_json::Value = serde_json::from_str(&key).unwrap();
        key["id"].as_u64().unwrap()
    };
    kafka::read(client, &topic(config)).into_iter().map(|record| id(record.key.unwrap())).collect()
}

/// What must be there after [`write_until`]: exactly once each row in order; or, at least once, each row, where what
/// comes again starts at a transaction.
pub(crate) fn check(broker: &Broker, config: &Config, end: u64) {
    check_as(&broker.client(), config, end);
}

/// As [`check`], with a reader of one's own.
pub(crate) fn check_as(client: &ClientConfig, config: &Config, end: u64) {
    let expected: Vec<u64> =
        (1..=end).flat_map(|number| (0..5).map(move |row| number * 1000 + row)).collect();
    let mut found = ids_as(client, config);
    if config.delivery == Delivery::AtLeastOnce {
        let steps = found.windows(2).filter(|pair| pair[1] < pair[0]);
        steps
            .for_each(|pair| assert_eq!(pair[1] % 1000, 0, "a repeat starts inside a transaction: {pair:?}"));
        found.sort_unstable();
        found.dedup();
    }
    assert_eq!(found, expected);
    let held = tailwater_kafka::position(config).unwrap().unwrap();
    assert_eq!(held.position, at(end, 0));
}

/// The error of opening a sink, or of writing one transaction to it.
pub(crate) fn refused(config: &Config) -> Error {
    let mut sink = Kafka::new(config.clone());
    let outcome =
        sink.open().and_then(|held| sink.write(&transaction(&held.unwrap_or_default(), &table(), 1, 3)));
    sink.close().unwrap();
    outcome.unwrap_err()
}
