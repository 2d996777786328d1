//! Once a table is known and the buffers have grown, a change is encoded without an allocation.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::sync::Arc;
use std::time::Instant;

use tailwater_core::{Batch, Column, Declared, Fill, Position, Table, Type, Value};
use tailwater_integration_tests::counting::{Counting, allocations};
use tailwater_kafka::debezium::Config;
use tailwater_kafka::debezium::record::{Log, Recorder};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Spelling of the type, and a value.
const COLUMNS: &[(&str, &str)] = &[
    ("bigint", "1234567"),
    ("integer", "42"),
    ("text", "some text with a \" in it"),
    ("numeric(12,2)", "1234.50"),
    ("numeric", "12345678901234567890123456789012345678901234567890.5"),
    ("double precision", "0.1"),
    ("boolean", "t"),
    ("timestamp with time zone", "2026-11-21 04:05:06.789+00"),
    ("timestamp without time zone", "2026-11-21 04:05:06.789"),
    ("date", "2026-11-21"),
    ("interval", "1 day 02:03:04"),
    ("bytea", "\\x00ff10"),
    ("uuid", "00000000-0000-0000-0000-000000000001"),
    ("jsonb", "{\"a\": [1, 2, \"x\"]}"),
    ("integer[]", "{1,NULL,3}"),
    ("text[]", "{a,\"b \\\" c\"}"),
    ("public.hstore", "\"a\"=>\"1\", \"b\"=>NULL"),
    ("point", "(1.5,-2)"),
    ("bit varying", "0101"),
    ("money", "$12.34"),
];

/// The same of MySQL.
const OF_MYSQL: &[(&str, &str)] = &[
    ("bigint unsigned", "18446744073709551615"),
    ("int unsigned", "4294967295"),
    ("float(7,3)", "1234.567"),
    ("decimal(12,2)", "1234.50"),
    ("year", "0"),
    ("bit(20)", "00000000100000000001"),
    ("date", "0000-00-00"),
    ("time(6)", "-838:59:59.000000"),
    ("datetime(6)", "0069-11-21 04:05:06.789000"),
    ("timestamp(3)", "2026-11-21 04:05:06.789+00"),
    ("json", "{\"a\": [1, 2, \"x\"]}"),
    ("set('a','b')", "a,b"),
    ("varbinary(9)", "\\x00ff10"),
    ("point", "\\xe610000001010000000000000000000000000000000000f03f"),
    ("polygon", "\\x00000000010300000000000000"),
    ("vector(3)", "{1,2.5,-0.1}"),
];

fn table(columns: &[(&str, &str)]) -> Arc<Table> {
    let columns = columns.iter().zip(1..).map(|((spelled, _), id)| Column {
        id,
        name: format!("c{id}"),
        kind: Type::Other,
        source_type: (*spelled).to_owned(),
        type_id: 0,
        fill: Fill::Null,
        declared: Declared { not_null: id == 1, base_type: (*spelled).to_owned(), ..Declared::default() },
    });
    let (schema, name) = ("public".to_owned(), "t".to_owned());
    let (columns, key) = (columns.collect(), vec![0]);
    Arc::new(Table {
        id: 1,
        schema,
        name,
        columns,
        declared_key: key.clone(),
        key,
        streamed_from_birth: true,
    })
}

/// Inserts, updates and deletes of that table, in transactions of ten.
fn batch(columns: &[(&str, &str)], rows: u64, source: &str) -> Batch {
    let (mut batch, table) = (Batch::default(), table(columns));
    batch.reset(&Position::default(), 1 << 30);
    batch.to.source = source.to_owned();
    for row in 0..rows {
        if row % 10 == 0 {
            batch.transaction(format_args!("0/{row:X}"), 1_795_245_364_435_000, row + 1, 0).unwrap();
            batch.starts(1_000_000 + row, 999_990 + row);
            batch.log_file("binlog.000003").unwrap();
            batch.committed_by(7, 8);
        }
        batch.set_log_offset(1_000_000 + row);
        let id = row.to_string();
        let values = |id: &str| {
            let rest = columns.iter().skip(1).map(|(_, value)| Value::Text(value.as_bytes()));
            std::iter::once(Value::Text(id.as_bytes())).chain(rest).map(owned).collect::<Vec<_>>()
        };
        let new = values(&id);
        let new = batch.add_row(new.iter().map(|value| Value::Text(value))).unwrap();
        match row % 4 {
            0 | 1 => batch.insert(&table, new),
            2 => batch.update(&table, None, new),
            _ => batch.delete(&table, new),
        }
    }
    batch
}

fn owned(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Text(text) => text.to_vec(),
        Value::Null | Value::Unsent => Vec::new(),
    }
}

type New = fn(Config, Log, Option<Position>) -> Recorder;

fn steady(recorder: New, columns: &[(&str, &str)], config: Config) {
    steady_of("postgres 7 timeline 1 database app", recorder, columns, config);
}

fn steady_of(source: &str, recorder: New, columns: &[(&str, &str)], config: Config) {
    let batch = batch(columns, 1000, source);
    let mut recorder = recorder(config, Log::default(), None);
    recorder.encode(&batch).unwrap();
    recorder.encode(&batch).unwrap();
    let (before, began) = (allocations(), Instant::now());
    let bytes = recorder.encode(&batch).unwrap();
    let taken = allocations() - before;
    println!("{} columns: {bytes} bytes in {:?}, {taken} allocations", columns.len(), began.elapsed());
    assert_eq!(taken, 0, "allocations for 1000 changes");
}

/// One test, because what is counted is the process.
#[test]
fn a_change_is_encoded_without_an_allocation() {
    let mut config = Config::new("app");
    steady_of("mysql 7", Recorder::events, OF_MYSQL, config.clone());
    steady(Recorder::events, COLUMNS, config.clone());
    steady(Recorder::events, &COLUMNS[..3], config.clone());
    steady(Recorder::rows, COLUMNS, config.clone());
    config.schemas = true;
    steady(Recorder::events, COLUMNS, config.clone());
    config.transactions = true;
    config.set("delete.tombstone.handling.mode", "rewrite-with-tombstone").unwrap();
    config.set("add.fields", "op,table,lsn,source.ts_ms,source.txId,sequence,id,total_order").unwrap();
    config.set("add.headers", "op,db,origin").unwrap();
    steady(Recorder::rows, COLUMNS, config.clone());
    config
        .set("add.fields", "op,table,gtid,file,pos,row,thread,server_id,source.ts_ms,id,total_order")
        .unwrap();
    steady_of("mariadb 7", Recorder::rows, OF_MYSQL, config);
}
