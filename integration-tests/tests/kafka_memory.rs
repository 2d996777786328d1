//! A transaction of a million rows goes to Kafka whole, in bounded memory. In a binary of its own, because what is
//! measured is the process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tailwater_core::{Batch, Column, Declared, Fill, Position, Sink as _, Table, Type, Value};
use tailwater_integration_tests::kafka::Broker;
use tailwater_kafka::{Config, Kafka};

const ROWS: u64 = 1_000_000;
const BATCH_BYTES: usize = 4 << 20;
/// Two batches, the arenas, and what librdkafka needs for as many records; the program itself comes on top.
const BYTES_MAX: u64 = 64 << 20;

/// The most memory this process has had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn table() -> Arc<Table> {
    let column = |id: u32, kind: Type, source_type: &str| Column {
        id,
        name: format!("column_{id}"),
        kind,
        source_type: source_type.to_owned(),
        type_id: 0,
        fill: Fill::Null,
        declared: Declared { base_type: source_type.to_owned(), ..Declared::default() },
    };
    let columns = vec![
        column(1, Type::Int8, "bigint"),
        column(2, Type::Text, "text"),
        column(3, Type::Int4, "integer"),
    ];
    let (schema, name) = ("public".to_owned(), "t".to_owned());
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

#[test]
fn a_million_rows_in_one_transaction_take_bounded_memory() {
    let broker = Broker::start(&[]);
    let mut sink = Kafka::new(Config::new("large", broker.address()));
    let mut position = sink.open().unwrap().unwrap_or_default();
    let (table, mut batch, mut row) = (table(), Batch::default(), 0);
    let before = peak_bytes();
    while row < ROWS {
        batch.reset(&position, BATCH_BYTES);
        batch.transaction(format_args!("0/1"), 0, 1, row).unwrap();
        while row < ROWS && batch.size_bytes() < BATCH_BYTES {
            let (id, text) = (row.to_string(), format!("some text of row {row}"));
            let values = [Value::Text(id.as_bytes()), Value::Text(text.as_bytes()), Value::Text(b"42")];
            let cells = batch.add_row(values).unwrap();
            batch.insert(&table, cells);
            row += 1;
        }
        position =
            Position { source: "memory".into(), stream: "0/0".into(), event: row, ..Position::default() };
        if row == ROWS {
            (position.stream, position.event) = ("0/1".into(), 0);
        }
        batch.to.clone_from(&position);
        sink.write(&batch).unwrap();
    }
    let taken = peak_bytes() - before;
    sink.close().unwrap();
    assert!(taken < BYTES_MAX, "{} MiB", taken >> 20);

    let consumer: BaseConsumer = broker.client().create().unwrap();
    let (_, end) = consumer.fetch_watermarks("large.public.t", 0, Duration::from_secs(30)).unwrap();
    assert_eq!(end, i64::try_from(ROWS).unwrap() + 1, "every row, and the mark of the commit");
}
