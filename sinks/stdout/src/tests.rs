//! What goes out, line by line, and what is left behind when it cannot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use expect_test::expect;
use tailwater_core::{Column, Declared, ErrorKind, Fill, Table, Type, Value};
use tempfile::TempDir;

use super::*;

/// Keeps what is written; takes at most `most` bytes at a time, and fails as `failures` says.
#[derive(Debug, Clone, Default)]
struct Pipe {
    text: Arc<Mutex<Vec<u8>>>,
    most: usize,
    failures: Arc<Mutex<VecDeque<io::ErrorKind>>>,
}

impl Pipe {
    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.failures.lock().unwrap().pop_front() {
            return Err(kind.into());
        }
        let taken = &bytes[..bytes.len().min(self.most)];
        self.text.lock().unwrap().extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Setup {
    folder: TempDir,
    pipe: Pipe,
    format: Format,
}

impl Setup {
    fn new() -> Self {
        let pipe = Pipe { most: usize::MAX, ..Pipe::default() };
        Self { folder: tempfile::tempdir().unwrap(), pipe, format: Format::Json }
    }

    fn config(&self) -> Config {
        Config { position: self.folder.path().join("state/shop.position"), format: self.format }
    }

    fn open(&self) -> (Stdout<Pipe>, Option<Position>) {
        let mut sink = Stdout::with_writer(self.config(), self.pipe.clone());
        let held = sink.open().unwrap();
        (sink, held)
    }
}

fn table() -> Arc<Table> {
    let column = |id, name: &str, kind, source_type: &str| Column {
        id,
        name: name.into(),
        kind,
        source_type: source_type.into(),
        type_id: 0,
        fill: Fill::Null,
        declared: Declared::default(),
    };
    let columns = vec![
        column(1, "id", Type::Int4, "integer"),
        column(2, "say \"hi\"", Type::Text, "text"),
        column(3, "doc", Type::Json, "jsonb"),
    ];
    Arc::new(Table {
        id: 16384,
        schema: "public".into(),
        name: "t".into(),
        columns,
        key: vec![0],
        declared_key: Vec::new(),
        streamed_from_birth: true,
    })
}

fn position(stream: &str, event: u64) -> Position {
    Position { source: "postgres 7".into(), stream: stream.into(), event, ..Position::default() }
}

fn batch(from: &Position, to: Position) -> Batch {
    let mut batch = Batch::default();
    batch.reset(from, 1 << 20);
    batch.to = to;
    batch
}

fn insert(batch: &mut Batch, table: &Arc<Table>, id: &str) {
    let row = batch.add_row([Value::Text(id.as_bytes()), Value::Null, Value::Unsent]).unwrap();
    batch.insert(table, row);
}

/// Every kind of change.
fn everything() -> Batch {
    let (mut batch, table) = (batch(&Position::default(), position("0/30", 0)), table());
    batch.transaction(format_args!("0/10"), 1, 0, 0).unwrap();
    batch.copy_start(&table);
    let row = [Value::Text(b"1"), Value::Text(b"a\nb"), Value::Text(b"{\"a\": 1}")];
    let id = batch.add_row(row).unwrap();
    batch.copied(&table, id);
    batch.copy_end(&table);
    batch.transaction(format_args!("0/20"), 1_700_000_000_000_001, 7, 0).unwrap();
    batch.shape(&table);
    let id = batch.add_row(row).unwrap();
    batch.insert(&table, id);
    let old = batch.add_row([Value::Text(b"1"), Value::Unsent, Value::Unsent]).unwrap();
    let new = batch.add_row([Value::Text(b"2"), Value::Null, Value::Unsent]).unwrap();
    batch.update(&table, Some(old), new);
    batch.delete(&table, old);
    batch.transaction(format_args!("0/30"), 1_700_000_000_000_002, 8, 0).unwrap();
    batch.truncate(&table);
    batch.message(b"my", b"x\xff", true).unwrap();
    batch.drop_table(&table);
    batch
}

#[test]
fn every_change_is_a_line() {
    let setup = Setup::new();
    let (mut sink, held) = setup.open();
    assert_eq!(held, None);
    sink.write(&everything()).unwrap();
    expect![[r#"
        {"type":"snapshot-start","source":"postgres 7","schema":"public","table":"t","ts_us":1,"xid":0,"position":"0/10","ordinal":0,"id":16384,"columns":[{"id":1,"name":"id","type":"integer","key":true},{"id":2,"name":"say \"hi\"","type":"text","key":false},{"id":3,"name":"doc","type":"jsonb","key":false}]}
        {"type":"snapshot","source":"postgres 7","schema":"public","table":"t","ts_us":1,"xid":0,"position":"0/10","ordinal":0,"data":{"id":1,"say \"hi\"":"a\nb","doc":{"a":1}}}
        {"type":"snapshot-end","source":"postgres 7","schema":"public","table":"t","ts_us":1,"xid":0,"position":"0/10","ordinal":1}
        {"type":"schema","source":"postgres 7","schema":"public","table":"t","ts_us":1700000000000001,"xid":7,"position":"0/20","ordinal":0,"id":16384,"columns":[{"id":1,"name":"id","type":"integer","key":true},{"id":2,"name":"say \"hi\"","type":"text","key":false},{"id":3,"name":"doc","type":"jsonb","key":false}]}
        {"type":"insert","source":"postgres 7","schema":"public","table":"t","ts_us":1700000000000001,"xid":7,"position":"0/20","ordinal":0,"data":{"id":1,"say \"hi\"":"a\nb","doc":{"a":1}}}
        {"type":"update","source":"postgres 7","schema":"public","table":"t","ts_us":1700000000000001,"xid":7,"position":"0/20","ordinal":1,"data":{"id":2,"say \"hi\"":null},"old":{"id":1},"unsent":["doc"]}
        {"type":"delete","source":"postgres 7","schema":"public","table":"t","ts_us":1700000000000001,"xid":7,"position":"0/20","ordinal":2,"data":{"id":1},"unsent":["say \"hi\"","doc"],"commit":true}
        {"type":"truncate","source":"postgres 7","schema":"public","table":"t","ts_us":1700000000000002,"xid":8,"position":"0/30","ordinal":0}
        {"type":"message","source":"postgres 7","ts_us":1700000000000002,"xid":8,"position":"0/30","ordinal":1,"prefix":"my","content":{"base64":"eP8="}}
        {"type":"drop","source":"postgres 7","schema":"public","table":"t","ts_us":1700000000000002,"xid":8,"position":"0/30","ordinal":2,"commit":true}
    "#]].assert_eq(&setup.pipe.text());
    for line in setup.pipe.text().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn rows_are_flat_in_format_row() {
    let setup = Setup { format: Format::Row, ..Setup::new() };
    setup.open().0.write(&everything()).unwrap();
    expect![[r#"
        {"_type":"snapshot-start","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1,"_xid":0,"_position":"0/10","_ordinal":0,"_id":16384,"_columns":[{"id":1,"name":"id","type":"integer","key":true},{"id":2,"name":"say \"hi\"","type":"text","key":false},{"id":3,"name":"doc","type":"jsonb","key":false}]}
        {"_type":"snapshot","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1,"_xid":0,"_position":"0/10","_ordinal":0,"id":1,"say \"hi\"":"a\nb","doc":{"a":1}}
        {"_type":"snapshot-end","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1,"_xid":0,"_position":"0/10","_ordinal":1}
        {"_type":"schema","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1700000000000001,"_xid":7,"_position":"0/20","_ordinal":0,"_id":16384,"_columns":[{"id":1,"name":"id","type":"integer","key":true},{"id":2,"name":"say \"hi\"","type":"text","key":false},{"id":3,"name":"doc","type":"jsonb","key":false}]}
        {"_type":"insert","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1700000000000001,"_xid":7,"_position":"0/20","_ordinal":0,"id":1,"say \"hi\"":"a\nb","doc":{"a":1}}
        {"_type":"update","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1700000000000001,"_xid":7,"_position":"0/20","_ordinal":1,"id":2,"say \"hi\"":null,"_old":{"id":1},"_unsent":["doc"]}
        {"_type":"delete","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1700000000000001,"_xid":7,"_position":"0/20","_ordinal":2,"id":1,"_unsent":["say \"hi\"","doc"],"_commit":true}
        {"_type":"truncate","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1700000000000002,"_xid":8,"_position":"0/30","_ordinal":0}
        {"_type":"message","_source":"postgres 7","_ts_us":1700000000000002,"_xid":8,"_position":"0/30","_ordinal":1,"_prefix":"my","_content":{"base64":"eP8="}}
        {"_type":"drop","_source":"postgres 7","_schema":"public","_table":"t","_ts_us":1700000000000002,"_xid":8,"_position":"0/30","_ordinal":2,"_commit":true}
    "#]].assert_eq(&setup.pipe.text());
    for line in setup.pipe.text().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn a_row_without_any_value_is_valid_json_too() {
    let (mut batch, table) = (batch(&Position::default(), position("0/1", 0)), table());
    batch.transaction(format_args!("0/1"), 1, 1, 0).unwrap();
    let nothing = batch.add_row([Value::Unsent; 3]).unwrap();
    batch.update(&table, Some(nothing), nothing);
    for format in [Format::Json, Format::Row] {
        let setup = Setup { format, ..Setup::new() };
        setup.open().0.write(&batch).unwrap();
        serde_json::from_str::<serde_json::Value>(&setup.pipe.text()).unwrap();
    }
}

#[test]
fn the_position_is_saved_at_boundaries_only_and_the_last_line_says_commit() {
    let (setup, table) = (Setup::new(), table());
    let (mut sink, _) = setup.open();
    let mut half = batch(&Position::default(), position("0/10", 2));
    half.transaction(format_args!("0/20"), 1, 7, 0).unwrap();
    insert(&mut half, &table, "1");
    insert(&mut half, &table, "2");
    sink.write(&half).unwrap();
    assert_eq!(setup.pipe.text().lines().count(), 1, "the second may be the last of its transaction");
    assert_eq!(super::position(&setup.config()).unwrap(), None);

    let rest = batch(&half.to, position("0/20", 0));
    sink.write(&rest).unwrap();
    let text = setup.pipe.text();
    let commits: Vec<_> = text.lines().map(|line| line.ends_with(",\"commit\":true}")).collect();
    assert_eq!(commits, [false, true]);
    sink.close().unwrap();
    assert_eq!(setup.open().1, Some(position("0/20", 0)));
}

#[test]
fn a_half_transaction_is_written_again_with_the_same_ids() {
    let (setup, table) = (Setup::new(), table());
    let write_half = |sink: &mut Stdout<Pipe>| {
        let mut half = batch(&Position::default(), position("", 2));
        half.transaction(format_args!("0/20"), 1, 7, 0).unwrap();
        insert(&mut half, &table, "1");
        insert(&mut half, &table, "2");
        sink.write(&half).unwrap();
    };
    let (mut sink, _) = setup.open();
    write_half(&mut sink);
    drop(sink);
    let (mut sink, held) = setup.open();
    assert_eq!(held, None);
    write_half(&mut sink);
    let text = setup.pipe.text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{text}");
}

#[test]
fn partial_and_interrupted_writes_lose_nothing() {
    let whole = Setup::new();
    whole.open().0.write(&everything()).unwrap();
    let pieces = Setup { pipe: Pipe { most: 7, ..Pipe::default() }, ..Setup::new() };
    pieces.pipe.failures.lock().unwrap().extend([io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock]);
    pieces.open().0.write(&everything()).unwrap();
    assert_eq!(whole.pipe.text(), pieces.pipe.text());
}

#[test]
fn a_reader_that_has_gone_needs_a_person_and_nothing_is_lost() {
    let setup = Setup::new();
    setup.pipe.failures.lock().unwrap().push_back(io::ErrorKind::BrokenPipe);
    let (mut sink, _) = setup.open();
    let error = sink.write(&everything()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-OUT-001"));
    sink.close().unwrap();
    assert_eq!(setup.open().1, None, "the position must not move past lines that nobody read");
}

#[test]
fn a_full_disk_is_tried_again() {
    let setup = Setup::new();
    setup.pipe.failures.lock().unwrap().push_back(io::ErrorKind::StorageFull);
    let error = setup.open().0.write(&everything()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, "TW-OUT-002"));
}

#[test]
fn no_two_processes_share_a_position_file() {
    let setup = Setup::new();
    assert!(!is_running(&setup.config()));
    let (mut first, _) = setup.open();
    assert!(is_running(&setup.config()));
    let mut second = Stdout::with_writer(setup.config(), setup.pipe.clone());
    assert_eq!(second.open().unwrap_err().code(), "TW-OUT-003");
    first.close().unwrap();
    assert!(!is_running(&setup.config()));
    assert_eq!(second.open().unwrap(), None);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_any_line() {
    let setup = Setup::new();
    let config = Config { position: "/proc/nowhere/shop.position".into(), ..setup.config() };
    let error = Stdout::with_writer(config, setup.pipe.clone()).open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-OUT-004"));
}

#[test]
fn a_large_batch_goes_out_in_bounded_pieces() {
    let (setup, table) = (Setup::new(), table());
    let (mut sink, _) = setup.open();
    let mut large = batch(&Position::default(), position("0/20", 0));
    large.transaction(format_args!("0/20"), 1, 7, 0).unwrap();
    for id in 0..20_000 {
        insert(&mut large, &table, &id.to_string());
    }
    sink.write(&large).unwrap();
    assert_eq!(setup.pipe.text().lines().count(), 20_000);
    assert!(sink.encoder.buffer_bytes() <= 2 * BUFFER_BYTES, "{}", sink.encoder.buffer_bytes());
}

#[test]
fn a_changed_shape_of_a_table_is_used_at_once() {
    let (setup, before) = (Setup::new(), table());
    let mut after = Table::clone(&before);
    after.columns[1].name = "renamed".into();
    let mut batch = batch(&Position::default(), position("0/20", 0));
    batch.transaction(format_args!("0/20"), 1, 7, 0).unwrap();
    insert(&mut batch, &before, "1");
    insert(&mut batch, &Arc::new(after), "2");
    setup.open().0.write(&batch).unwrap();
    let text = setup.pipe.text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("\"say \\\"hi\\\"\":null") && lines[1].contains("\"renamed\":null"), "{text}");
}
