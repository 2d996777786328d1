//! The wrapper against the real library.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tailwater_core::ErrorKind;

use super::*;
use crate::chunk::Chunk;
use crate::digest::dump;
use crate::values::ColumnType;

fn memory() -> Connection {
    Database::open(Path::new(":memory:"), &[]).unwrap().connect().unwrap()
}

#[test]
fn the_library_is_the_release_that_is_pinned() {
    assert_eq!(library_version(), "v1.5.6");
}

#[test]
fn a_statement_says_how_many_rows_it_changed() {
    let connection = memory();
    assert_eq!(
        connection.execute("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2), (3)").unwrap(),
        3
    );
    assert_eq!(connection.execute("DELETE FROM t WHERE a > 1").unwrap(), 2);
    let insert = connection.prepare("INSERT INTO t VALUES ($1), ($2)").unwrap();
    assert_eq!(insert.execute(&[Some("7"), None]).unwrap(), 2);
    assert_eq!(insert.statement_type(), StatementType::Other);
    let rows = dump(&connection, "SELECT a FROM t ORDER BY a").unwrap();
    assert_eq!(rows, [[Some("1".to_owned())], [Some("7".to_owned())], [None]]);
}

#[test]
fn errors_have_the_kind_of_their_type_and_no_value() {
    let connection = memory();
    connection.execute("CREATE TABLE t (a INTEGER UNIQUE)").unwrap();
    let error = connection.execute("INSERT INTO t SELECT 'secret'::INTEGER").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "TW-DUCK-009"));
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = connection.execute("SELECT * FROM nowhere").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-008"));
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert_eq!(connection.prepare("SELEC 1").unwrap_err().code(), "TW-DUCK-008");
    assert_eq!(connection.execute("SELECT '\0'").unwrap_err().code(), "TW-DUCK-008");
    let error = connection.query("SELECT $1").unwrap_err();
    assert_eq!(error.code(), "TW-DUCK-009", "{error}");
}

#[test]
fn two_writers_of_a_row_conflict() {
    let database = Database::open(Path::new(":memory:"), &[]).unwrap();
    let (one, two) = (database.connect().unwrap(), database.connect().unwrap());
    one.execute("CREATE TABLE t AS SELECT 1 AS a; BEGIN; UPDATE t SET a = 2").unwrap();
    let error = two.execute("UPDATE t SET a = 3").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, "TW-DUCK-005"));
}

#[test]
fn the_memory_limit_is_an_error_and_not_the_end() {
    let settings = [("memory_limit", "20MB"), ("temp_directory", "")];
    let connection = Database::open(Path::new(":memory:"), &settings).unwrap().connect().unwrap();
    let error =
        connection.execute("CREATE TABLE t AS SELECT repeat('x', 1000) || i AS a FROM range(1000000) r(i)");
    assert_eq!(error.unwrap_err().code(), "TW-DUCK-004");
    connection.execute("CREATE TABLE t AS SELECT 1").unwrap();
}

#[test]
fn an_interrupt_ends_what_runs() {
    let connection = memory();
    let interrupter = connection.interrupter();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                interrupter.interrupt();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let error = connection.execute("SELECT count(*) FROM range(10000000000) a, range(1000) b");
        done.store(true, std::sync::atomic::Ordering::Release);
        assert_eq!(error.unwrap_err().code(), "TW-DUCK-006");
    });
    drop(connection);
    interrupter.interrupt();
}

#[test]
fn an_appender_belongs_to_the_transaction() {
    let connection = memory();
    connection.execute("CREATE SCHEMA s; CREATE TABLE s.t (a INTEGER, b VARCHAR)").unwrap();
    let mut chunk = Chunk::new(&[ColumnType::Integer, ColumnType::Varchar]).unwrap();
    for row in 0..3 {
        chunk.columns()[0].put(row, 7_i32);
        chunk.columns()[1].put_null(row);
    }
    // A row that is written again is not NULL any more.
    chunk.columns()[1].put_text(1, "longer than fits inside");
    chunk.set_len(3);

    connection.execute("BEGIN").unwrap();
    let mut appender = Appender::new(&connection, None, "s", "t").unwrap();
    appender.append(&chunk).unwrap();
    appender.close().unwrap();
    connection.execute("ROLLBACK").unwrap();
    assert_eq!(dump(&connection, "FROM s.t").unwrap().len(), 0);

    let mut dropped = Appender::new(&connection, None, "s", "t").unwrap();
    dropped.append(&chunk).unwrap();
    drop(dropped);
    assert_eq!(dump(&connection, "FROM s.t").unwrap().len(), 0, "dropped is forgotten");

    let mut appender = Appender::new(&connection, None, "s", "t").unwrap();
    appender.append(&chunk).unwrap();
    appender.close().unwrap();
    let rows = dump(&connection, "SELECT b FROM s.t").unwrap();
    assert_eq!(rows, [[None], [Some("longer than fits inside".to_owned())], [None]]);
    assert_eq!(Appender::new(&connection, None, "s", "nowhere").unwrap_err().code(), "TW-DUCK-008");
}

#[test]
fn an_appender_tells_its_error_at_the_end() {
    let connection = memory();
    connection.execute("CREATE TABLE t (a INTEGER NOT NULL)").unwrap();
    let mut chunk = Chunk::new(&[ColumnType::Integer]).unwrap();
    chunk.columns()[0].put_null(0);
    chunk.set_len(1);
    let mut appender = Appender::new(&connection, None, "main", "t").unwrap();
    let outcome = appender.append(&chunk).and_then(|()| appender.close());
    assert_eq!(outcome.unwrap_err().code(), "TW-DUCK-009");
}

#[test]
fn a_stream_of_rows_ends_with_its_error_or_whole() {
    let connection = memory();
    let mut result = connection.query("SELECT i FROM range(5000) r(i)").unwrap();
    assert_eq!(result.columns(), ["i"]);
    let mut count = 0;
    while let Some(rows) = result.next_rows().unwrap() {
        count += rows.len();
    }
    assert_eq!(count, 5000);
    // Another statement on the connection must not look like the end of the rows.
    let mut result = connection.query("SELECT i FROM range(5000000) r(i)").unwrap();
    result.next_rows().unwrap();
    connection.execute("SELECT 1").unwrap();
    let rest = std::iter::from_fn(|| result.next_rows().transpose()).collect::<Result<Vec<_>>>();
    assert!(rest.is_err(), "rows that are missing must be told");
}

#[test]
fn wrong_paths_and_settings_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let code = |path: &Path, settings: &[(&str, &str)]| {
        let error = Database::open(path, settings).unwrap_err();
        (error.kind(), error.code())
    };
    assert_eq!(code(&folder.path().join("no/x.duckdb"), &[]), (ErrorKind::Operator, "TW-DUCK-001"));
    assert_eq!(code(folder.path(), &[]), (ErrorKind::Operator, "TW-DUCK-001"));
    let file = folder.path().join("x.duckdb");
    std::fs::File::create(&file)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"no database, but long"))
        .unwrap();
    assert_eq!(code(&file, &[]), (ErrorKind::Operator, "TW-DUCK-001"));
    let memory = Path::new(":memory:");
    assert_eq!(code(memory, &[("memory_limit", "much")]).0, ErrorKind::Operator);
    assert_eq!(code(memory, &[("no_such_setting", "1")]).0, ErrorKind::Operator);
}

const HOLDER: &str = "TAILWATER_TEST_HOLDS";

/// Runs itself as the other process, which opens the file that the variable names until its input ends.
#[test]
fn a_file_that_another_process_has_open_is_told() {
    if let Some(file) = std::env::var_os(HOLDER) {
        let _database = Database::open(Path::new(&file), &[]).unwrap();
        println!("\nopen");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.duckdb");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "database::tests::a_file_that_another_process_has_open_is_told"])
        .env(HOLDER, &file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"));
    for settings in [[].as_slice(), &[("access_mode", "READ_ONLY")]] {
        let error = Database::open(&file, settings).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Transient, "TW-DUCK-002"), "{error}");
        assert!(error.to_string().contains(&holder.id().to_string()), "{error}");
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
    Database::open(&file, &[]).unwrap();
}

#[test]
fn json_and_all_our_types_need_no_extension() {
    let connection = memory();
    let all = "a JSON, b TIMETZ, c TIMESTAMPTZ, d UUID, e INTERVAL, f DECIMAL(38,10), g JSON[], h BLOB[], i UINTEGER";
    connection.execute(&format!("CREATE TABLE t ({all})")).unwrap();
    let rows = dump(&connection, "SELECT json_extract_string('{\"a\": \"x\"}', '$.a')").unwrap();
    assert_eq!(rows, [[Some("x".to_owned())]]);
}

/// Twelve columns as an orders table has them. The bound is far below what an idle machine does, and there to notice
/// when each value is suddenly allocated or looked up.
#[test]
fn text_reaches_a_table_fast() {
    let kinds = [
        ColumnType::BigInt,
        ColumnType::BigInt,
        ColumnType::Varchar,
        ColumnType::Decimal { width: 12, scale: 2 },
        ColumnType::Integer,
        ColumnType::TimestampTz,
        ColumnType::Date,
        ColumnType::Boolean,
        ColumnType::Uuid,
        ColumnType::Varchar,
        ColumnType::Json,
        ColumnType::Double,
    ];
    let row: [&[u8]; 12] = [
        b"123456",
        b"98765",
        b"shipped",
        b"1234.56",
        b"17",
        b"2026-11-21 04:05:06.789012+00",
        b"2026-11-21",
        b"t",
        b"0d2f1a3b-4c5d-6e7f-8091-a2b3c4d5e6f7",
        b"a note of a length that one would write",
        b"{\"gift\": true, \"channel\": \"web\"}",
        b"0.19",
    ];
    let connection = memory();
    let columns: Vec<String> = kinds.iter().enumerate().map(|(at, kind)| format!("c{at} {kind}")).collect();
    connection.execute(&format!("CREATE TABLE t ({})", columns.join(", "))).unwrap();
    let mut chunk = Chunk::new(&kinds).unwrap();
    let mut parser = crate::values::Parser::default();
    const CHUNKS: usize = 100;
    let start = Instant::now();
    let mut appender = Appender::new(&connection, None, "main", "t").unwrap();
    for _ in 0..CHUNKS {
        for at in 0..Chunk::CAPACITY {
            for ((kind, text), column) in kinds.iter().zip(row).zip(chunk.columns()) {
                assert_eq!(parser.write(kind, text, column, at).unwrap(), crate::values::Fit::Yes);
            }
        }
        chunk.set_len(Chunk::CAPACITY);
        appender.append(&chunk).unwrap();
        chunk.reset();
    }
    appender.close().unwrap();
    let rate = (CHUNKS * Chunk::CAPACITY) as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} rows per second");
    assert!(rate > 10_000.0, "{rate:.0} rows per second");
    let rows = dump(&connection, "SELECT DISTINCT * FROM t").unwrap();
    let expected = row.map(|text| Some(String::from_utf8(text.to_vec()).unwrap()));
    assert_eq!(rows, [expected.to_vec()]);
}

#[test]
fn a_link_leads_to_one_file_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("real.duckdb"), folder.path().join("link.duckdb"));
    std::os::unix::fs::symlink("real.duckdb", &link).unwrap();
    let database = Database::open(&link, &[]).unwrap();
    let connection = database.connect().unwrap();
    connection.execute("CREATE TABLE t (id INT); INSERT INTO t VALUES (1)").unwrap();
    // As a kill would leave them.
    let crashed = folder.path().join("crashed.duckdb");
    for ending in ["", ".wal"] {
        let from = format!("{}{ending}", file.display());
        std::fs::copy(&from, format!("{}{ending}", crashed.display())).unwrap();
    }
    drop((connection, database));
    for path in [&link, &file, &crashed] {
        let connection = Database::open(path, &[]).unwrap().connect().unwrap();
        connection.execute("SELECT id FROM t").unwrap();
    }
}

#[test]
fn an_empty_file_is_made_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.duckdb");
    std::fs::File::create(&file).unwrap();
    Database::open(&file, &[]).unwrap().connect().unwrap().execute("CREATE TABLE t (id INT)").unwrap();
}
