//! What the records look like.

use std::sync::Arc;

use expect_test::{Expect, expect};
use tailwater_core::{Batch, Position, Sink as _, Table, Value};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_kafka::{Config, Delivery, Format, Kafka};

use crate::feed::{at, batch, config, table};

/// Writes one transaction and shows the records of the topics, in order.
fn written(broker: &Broker, config: &Config, topics: &[&str], add: impl FnOnce(&mut Batch)) -> String {
    let mut sink = Kafka::new(config.clone());
    assert_eq!(sink.open().unwrap(), None);
    sink.write(&batch(&Position::default(), at(1, 0), |batch| {
        batch.transaction(format_args!("00000001"), 1_700_000_000_000_000, 7, 0).unwrap();
        add(batch);
    }))
    .unwrap();
    sink.close().unwrap();
    let mut lines = String::new();
    for topic in topics {
        for record in broker.read(&format!("{}{topic}", config.pipeline)) {
            let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            lines += &format!("{} → {}\n", text(record.key), text(record.value));
        }
    }
    lines
}

fn row(batch: &mut Batch, cells: &[&str]) -> tailwater_core::batch::RowId {
    let values: Vec<Value<'_>> = cells
        .iter()
        .map(|cell| match *cell {
            "~" => Value::Unsent,
            "NULL" => Value::Null,
            text => Value::Text(text.as_bytes()),
        })
        .collect();
    batch.add_row(values).unwrap()
}

fn every_change(batch: &mut Batch, table: &Arc<Table>) {
    batch.shape(table);
    let new = row(batch, &["1", "a\"b"]);
    batch.insert(table, new);
    let new = row(batch, &["1", "NULL"]);
    batch.update(table, None, new);
    let new = row(batch, &["1", "~"]);
    batch.update(table, None, new);
    let (old, new) = (row(batch, &["1", "~"]), row(batch, &["2", "moved"]));
    batch.update(table, Some(old), new);
    let old = row(batch, &["2", "~"]);
    batch.delete(table, old);
    batch.truncate(table);
    batch.message(b"prefix", b"content", true).unwrap();
}

fn check(format: Format, keyless: bool, topics: &[&str], expected: &Expect) {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    config.format = format;
    let mut table = table();
    if keyless {
        let table = Arc::make_mut(&mut table);
        table.key.clear();
        table.declared_key.clear();
    }
    let name = config.pipeline.clone();
    let lines = written(&broker, &config, topics, |batch| every_change(batch, &table)).replace(&name, "NAME");
    let moment = regex::Regex::new(r#""ts_(ms|us|ns)":\d+"#).unwrap();
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let lines = if format == Format::Json { lines } else { moment.replace_all(&lines, "\"ts_$1\":0").into() };
    expected.assert_eq(&lines.replace(&version, "VERSION"));
}

#[test]
fn rows_under_their_keys() {
    check(
        Format::Row,
        false,
        &[".public.rows", ".message"],
        &expect![[r#"
        {"id":1} → {"id":1,"note":"a\"b"}
        {"id":1} → {"id":1,"note":null}
        {"id":1} → {"id":1,"note":"__debezium_unavailable_value"}
        {"id":1} → null
        {"id":2} → {"id":2,"note":"moved"}
        {"id":2} → null
        {"prefix":"prefix"} → {"op":"m","ts_ms":0,"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[null,\"0\"]","ts_us":0,"ts_ns":0,"schema":"","table":"","txId":7,"lsn":0,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"message":{"prefix":"prefix","content":"Y29udGVudA=="}}
    "#]],
    );
}

#[test]
fn rows_without_keys() {
    check(
        Format::Row,
        true,
        &[".public.rows"],
        &expect![[r#"
        - → {"id":1,"note":"a\"b"}
        - → {"id":1,"note":null}
        - → {"id":1,"note":"__debezium_unavailable_value"}
        - → {"id":2,"note":"moved"}
        - → null
    "#]],
    );
}

/// With `null` for the text, and `-` for no value.
#[test]
fn deletes_are_tombstones_where_that_is_asked_for() {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    config.debezium.set("delete.tombstone.handling.mode", "delete-to-tombstone").unwrap();
    config.debezium.set("add.fields", "op").unwrap();
    let (name, table) = (config.pipeline.clone(), table());
    let lines = written(&broker, &config, &[".public.rows"], |batch| every_change(batch, &table));
    expect![[r#"
        {"id":1} → {"id":1,"note":"a\"b","__op":"c"}
        {"id":1} → {"id":1,"note":null,"__op":"u"}
        {"id":1} → {"id":1,"note":"__debezium_unavailable_value","__op":"u"}
        {"id":1} → -
        {"id":2} → {"id":2,"note":"moved","__op":"c"}
        {"id":2} → -
    "#]]
    .assert_eq(&lines.replace(&name, "NAME"));
}

#[test]
fn documents_that_leave_nothing_out() {
    check(
        Format::Json,
        false,
        &[".public.rows", ".tailwater.messages"],
        &expect![[r#"
        {"schema":"public","table":"rows"} → {"type":"schema","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":0,"id":1,"columns":[{"id":1,"name":"id","type":"integer","key":true},{"id":2,"name":"note","type":"text","key":false}]}
        {"id":1} → {"type":"insert","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":0,"data":{"id":1,"note":"a\"b"}}
        {"id":1} → {"type":"update","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":1,"data":{"id":1,"note":null}}
        {"id":1} → {"type":"update","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":2,"data":{"id":1},"unsent":["note"]}
        {"id":2} → {"type":"update","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":3,"data":{"id":2,"note":"moved"},"old":{"id":1}}
        {"id":2} → {"type":"delete","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":4,"data":{"id":2},"unsent":["note"]}
        {"schema":"public","table":"rows"} → {"type":"truncate","source":"feed","schema":"public","table":"rows","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":5}
        - → {"type":"message","source":"feed","ts_us":1700000000000000,"xid":7,"position":"00000001","ordinal":6,"prefix":"prefix","content":"content"}
    "#]],
    );
}

#[test]
fn debeziums_events_with_their_headers() {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    config.format = Format::Debezium;
    config.debezium.set("provide.transaction.metadata", "true").unwrap();
    config.debezium.set("skipped.operations", "none").unwrap();
    config.debezium.set("heartbeat.interval.ms", "1").unwrap();
    let (name, table) = (config.pipeline.clone(), table());
    let topics = [".public.rows", ".message", ".transaction"];
    let lines = written(&broker, &config, &topics, |batch| {
        batch.starts(100, 90);
        batch.set_log_offset(110);
        every_change(batch, &table);
        batch.ends(200);
    });
    let moment = regex::Regex::new(r#""ts_(ms|us|ns)":\d+"#).unwrap();
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let lines = moment.replace_all(&lines, "\"ts_$1\":0").replace(&name, "NAME").replace(&version, "VERSION");
    expect![[r#"
        {"id":1} → {"before":null,"after":{"id":1,"note":"a\"b"},"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":1,"data_collection_order":1},"op":"c","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"id":1} → {"before":null,"after":{"id":1,"note":null},"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":2,"data_collection_order":2},"op":"u","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"id":1} → {"before":null,"after":{"id":1,"note":"__debezium_unavailable_value"},"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":3,"data_collection_order":3},"op":"u","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"id":1} → {"before":{"id":1,"note":null},"after":null,"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":4,"data_collection_order":4},"op":"d","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"id":1} → -
        {"id":2} → {"before":null,"after":{"id":2,"note":"moved"},"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":5,"data_collection_order":5},"op":"c","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"id":2} → {"before":{"id":2,"note":null},"after":null,"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":6,"data_collection_order":6},"op":"d","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"id":2} → -
        - → {"before":null,"after":null,"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"public","table":"rows","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":7,"data_collection_order":7},"op":"t","ts_ms":0,"ts_us":0,"ts_ns":0}
        {"prefix":"prefix"} → {"op":"m","ts_ms":0,"source":{VERSION,"connector":"postgresql","name":"NAME","ts_ms":0,"snapshot":"false","db":"","sequence":"[\"90\",\"110\"]","ts_us":0,"ts_ns":0,"schema":"","table":"","txId":7,"lsn":110,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"7:110","total_order":8,"data_collection_order":1},"message":{"prefix":"prefix","content":"Y29udGVudA=="}}
        {"id":"7:100"} → {"status":"BEGIN","id":"7:100","event_count":null,"data_collections":null,"ts_ms":0}
        {"id":"7:200"} → {"status":"END","id":"7:200","event_count":8,"data_collections":[{"data_collection":"public.rows","event_count":7},{"data_collection":"message","event_count":1}],"ts_ms":0}
    "#]].assert_eq(&lines);
    let records = broker.read(&format!("{name}.public.rows"));
    let mut links = String::new();
    for record in records {
        let (context, others): (Vec<_>, Vec<_>) =
            record.headers.into_iter().partition(|(name, _)| name.starts_with("__debezium.context."));
        assert_eq!((context.len(), &context[0].1), (4, &Some(name.clone())));
        links += &format!("{others:?}\n");
    }
    expect![[r#"
        []
        []
        []
        [("__debezium.newkey", Some("{\"id\":2}"))]
        [("__debezium.newkey", Some("{\"id\":2}"))]
        [("__debezium.oldkey", Some("{\"id\":1}"))]
        []
        []
        []
    "#]]
    .assert_eq(&links);
    let heartbeats = broker.read(&format!("__debezium-heartbeat.{name}"));
    assert!(heartbeats.iter().all(|record| record.key == Some(format!("{{\"serverName\":\"{name}\"}}"))));
    assert!(!heartbeats.is_empty());
}
