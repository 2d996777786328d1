//! Queries by socket and by file, against the real library.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::server::QueryServer;
use super::*;

/// A file with a table, open as by a running pipeline.
struct Running {
    folder: TempDir,
    file: PathBuf,
    database: Database,
    server: QueryServer,
}

fn running() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.duckdb");
    let database = Database::open(&file, &[("memory_limit", "256MB")]).unwrap();
    database.connect().unwrap().execute("CREATE TABLE t AS SELECT 1 AS a, 'x' AS b").unwrap();
    let server = QueryServer::start(&database, &file).unwrap();
    Running { folder, file, database, server }
}

fn value(answer: &Answer) -> &str {
    answer.rows[0][0].as_deref().unwrap()
}

/// Files in the folder but for those that `DuckDB` makes.
fn left_behind(folder: &TempDir) -> Vec<String> {
    let names =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("shop.duckdb")).collect()
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn answers_the_same_through_the_socket_and_from_the_file() {
    let Running { folder, file, database, server } = running();
    let sql = "SELECT a, b AS \"B\", NULL AS n, 1.50::DECIMAL(4,2) AS d, TIMESTAMPTZ '2026-11-21 01:02:03+00' AS t, [1, NULL] AS l FROM t;";
    let by_socket = query(&file, sql).unwrap();
    expect_test::expect![[r#"Answer { columns: ["a", "B", "n", "d", "t", "l"], rows: [[Some("1"), Some("x"), None, Some("1.50"), Some("2026-11-21 01:02:03+00"), Some("{1,NULL}")]] }"#]].assert_eq(&format!("{by_socket:?}"));
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path() == server.socket())
            .count(),
        1
    );
    drop((server, database));
    assert_eq!(left_behind(&folder), Vec::<String>::new());
    assert_eq!(query(&file, sql).unwrap(), by_socket);
}

#[test]
fn answers_while_another_thread_writes() {
    let Running { folder: _folder, file, database, server: _server } = running();
    let connection = database.connect().unwrap();
    connection.execute("CREATE TABLE pairs (a BIGINT)").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            while !done.load(Ordering::Acquire) {
                connection
                    .execute("BEGIN; INSERT INTO pairs VALUES (1); INSERT INTO pairs VALUES (1); COMMIT")
                    .unwrap();
            }
        });
        let mut last = 0;
        for _ in 0..50 {
            let answer = query(&file, "SELECT count(*) FROM pairs").unwrap();
            let count: u64 = value(&answer).parse().unwrap();
            assert!(
                count.is_multiple_of(2) && count >= last,
                "{count} after {last}: half of a transaction, or an older one"
            );
            last = count;
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn only_reads_are_answered() {
    let Running { folder, file, database, server } = running();
    let outside = folder.path().join("outside.csv");
    let outside = outside.display();
    let writes = [
        "INSERT INTO t VALUES (2, 'y')".to_owned(),
        "UPDATE t SET a = 2".to_owned(),
        "DELETE FROM t".to_owned(),
        "DROP TABLE t".to_owned(),
        "CREATE TABLE u (a INTEGER)".to_owned(),
        "COMMIT".to_owned(),
        "SET memory_limit = '1GB'".to_owned(),
        "PRAGMA memory_limit = '1GB'".to_owned(),
        "CHECKPOINT".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "SELECT 1; DROP TABLE t".to_owned(),
        "INSTALL httpfs".to_owned(),
        format!("COPY t TO '{outside}'"),
        format!("EXPLAIN ANALYZE COPY t TO '{outside}'"),
        format!("ATTACH '{outside}' AS o"),
        "EXPLAIN ANALYZE INSERT INTO t VALUES (2, 'y')".to_owned(),
        "EXPLAIN ANALYZE DELETE FROM t".to_owned(),
        "SELECT * FROM read_text('/etc/hostname')".to_owned(),
    ];
    let refuse = |sql: &String| format!("{sql}: {}\n", query(&file, sql).unwrap_err().code());
    let by_socket: String = writes.iter().map(refuse).collect();
    expect_test::expect![[r#"
        INSERT INTO t VALUES (2, 'y'): TW-DUCK-015
        UPDATE t SET a = 2: TW-DUCK-015
        DELETE FROM t: TW-DUCK-015
        DROP TABLE t: TW-DUCK-015
        CREATE TABLE u (a INTEGER): TW-DUCK-015
        COMMIT: TW-DUCK-015
        SET memory_limit = '1GB': TW-DUCK-015
        PRAGMA memory_limit = '1GB': TW-DUCK-015
        CHECKPOINT: TW-DUCK-015
        PREPARE p AS SELECT 1: TW-DUCK-015
        SELECT 1; DROP TABLE t: TW-DUCK-009
        INSTALL httpfs: TW-DUCK-015
        COPY t TO 'outside': TW-DUCK-011
        EXPLAIN ANALYZE COPY t TO 'outside': TW-DUCK-011
        ATTACH 'outside' AS o: TW-DUCK-015
        EXPLAIN ANALYZE INSERT INTO t VALUES (2, 'y'): TW-DUCK-015
        EXPLAIN ANALYZE DELETE FROM t: TW-DUCK-015
        SELECT * FROM read_text('/etc/hostname'): TW-DUCK-011
    "#]]
    .assert_eq(&by_socket.replace(&outside.to_string(), "outside"));
    drop((server, database));
    // A file that is open for reading alone refuses the same, some of it in other words.
    for sql in &writes {
        query(&file, sql).unwrap_err();
    }
    assert_eq!(value(&query(&file, "SELECT count(*) FROM t WHERE a = 1").unwrap()), "1");
    assert_eq!(left_behind(&folder), Vec::<String>::new());
}

#[test]
fn every_kind_of_read_is_answered() {
    let Running { folder: _folder, file, database: _database, server: _server } = running();
    for sql in [
        "FROM t",
        "VALUES (1)",
        "DESCRIBE t",
        "SHOW TABLES",
        "SUMMARIZE t",
        "EXPLAIN FROM t",
        "WITH w AS (FROM t) FROM w -- all",
    ] {
        assert!(!query(&file, sql).unwrap().rows.is_empty(), "{sql}");
    }
}

#[test]
fn types_that_are_not_ours_are_answered_as_text() {
    let Running { folder: _folder, file, database: _database, server: _server } = running();
    let answer = query(
        &file,
        "SELECT {'a': 1} AS s, 5::UTINYINT AS s, sum(a), MAP {'k': [1]}, 1e22::DOUBLE AS e FROM t -- odd\n;",
    )
    .unwrap();
    expect_test::expect![[r#"Answer { columns: ["s", "s", "sum(a)", "main.\"map\"(main.list_value('k'), main.list_value(main.list_value(1)))", "e"], rows: [[Some("{'a': 1}"), Some("5"), Some("1"), Some("{k=[1]}"), Some("1e+22")]] }"#]].assert_eq(&format!("{answer:?}"));
}

#[test]
fn a_wrong_query_shows_what_is_wrong_with_it() {
    let Running { folder: _folder, file, database: _database, server: _server } = running();
    let error = query(&file, "SELECT 'mine'::INTEGER FROM t").unwrap_err();
    assert_eq!(error.code(), "TW-DUCK-009");
    assert!(error.message().contains("mine"), "{error}");
    let error = query(&file, "SELECT nothing FROM t").unwrap_err();
    assert!(error.code() == "TW-DUCK-008" && error.message().contains("nothing"), "{error}");
}

#[test]
fn a_large_answer_comes_whole_and_one_beyond_the_bound_not_at_all() {
    let Running { folder: _folder, file, database: _database, server: _server } = running();
    let answer = query(&file, "SELECT i, 'some text ' || i FROM range(100000) r(i)").unwrap();
    assert_eq!(answer.rows.len(), 100_000);
    assert_eq!(answer.rows[99_999][1].as_deref(), Some("some text 99999"));
    let error = query(&file, "SELECT repeat('x', 1000000) FROM range(200)").unwrap_err();
    assert_eq!(error.code(), "TW-DUCK-018");
}

#[test]
fn the_socket_is_its_owners_alone() {
    let Running { folder: _folder, file: _file, database: _database, server } = running();
    let mode = fs::symlink_metadata(server.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.duckdb");
    let database = Database::open(&file, &[]).unwrap();
    drop(UnixListener::bind(socket_path(&file)).unwrap());
    assert_eq!(ask(&file, "SELECT 1").unwrap(), None, "nobody answers there");
    let server = QueryServer::start(&database, &file).unwrap();
    assert_eq!(value(&query(&file, "SELECT 1").unwrap()), "1");
    drop(server);
    fs::File::create(socket_path(&file)).unwrap();
    assert_eq!(QueryServer::start(&database, &file).unwrap_err().code(), "TW-DUCK-016");
    assert!(socket_path(&file).exists(), "somebody's file is left alone");
}

#[test]
fn a_query_whose_client_goes_away_is_interrupted() {
    let Running { folder: _folder, file: _file, database, server } = running();
    let mut client = UnixStream::connect(server.socket()).unwrap();
    let endless = "SELECT count(*) FROM range(100000000000) a, range(1000) b";
    wire::send(&mut client, &Request { sql: endless.to_owned() }).unwrap();
    let transactions = || database.users();
    wait_for("the query has a connection", || transactions() > 3);
    drop(client);
    wait_for("the query's connection is closed", || transactions() <= 3);
}

#[test]
fn closing_ends_the_queries_that_run_and_frees_the_file() {
    let Running { folder, file, database, server } = running();
    let mut client = UnixStream::connect(server.socket()).unwrap();
    let mut silent = UnixStream::connect(server.socket()).unwrap();
    wire::send(
        &mut client,
        &Request { sql: "SELECT count(*) FROM range(100000000000) a, range(1000) b".to_owned() },
    )
    .unwrap();
    wait_for("the query has a connection", || database.users() > 3);
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(5), "closing took {:?}", start.elapsed());
    assert_eq!(database.users(), 1, "somebody still has the file open");
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    drop(database);
    Database::open(&file, &[]).unwrap();
    assert_eq!(left_behind(&folder), Vec::<String>::new());
}

#[test]
fn more_clients_than_allowed_are_told() {
    let Running { folder: _folder, file, database: _database, server } = running();
    let waiting: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(server.socket()).unwrap()).collect();
    let error = query(&file, "SELECT 1").unwrap_err();
    assert!(error.message().contains("too many"), "{error}");
    drop(waiting);
    wait_for("the others are gone", || query(&file, "SELECT 1").is_ok());
}

#[test]
fn nonsense_at_the_socket_does_no_harm() {
    let Running { folder: _folder, file, database: _database, server } = running();
    for nonsense in [
        b"\xff\xff\xff\xff".as_slice(),
        b"\0\0\0\x02{}",
        b"\0\0\0\x09{\"sql\": 1}",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = UnixStream::connect(server.socket()).unwrap();
        std::io::Write::write_all(&mut client, nonsense).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut reply = Vec::new();
        client.read_to_end(&mut reply).unwrap();
        assert_eq!(reply, b"");
    }
    assert_eq!(value(&query(&file, "SELECT 1").unwrap()), "1");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = query(&folder.path().join("shop.duckdb"), "SELECT 1").unwrap_err();
    assert_eq!(error.code(), "TW-DUCK-017");
    assert_eq!(left_behind(&folder), Vec::<String>::new());
}

#[test]
fn a_file_that_was_killed_is_read_with_its_log() {
    let Running { folder, file, database, server } = running();
    database.connect().unwrap().execute("INSERT INTO t VALUES (2, 'in the log')").unwrap();
    let copy = folder.path().join("shop.duckdb.copy");
    fs::copy(&file, &copy).unwrap();
    fs::copy(folder.path().join("shop.duckdb.wal"), folder.path().join("shop.duckdb.copy.wal")).unwrap();
    drop((server, database));
    assert_eq!(value(&query(&copy, "SELECT max(a) FROM t").unwrap()), "2");
}

#[test]
fn a_long_path_has_its_socket_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a".repeat(120));
    fs::create_dir(&deep).unwrap();
    let file = deep.join("shop.duckdb");
    let database = Database::open(&file, &[]).unwrap();
    let server = QueryServer::start(&database, &file).unwrap();
    assert!(server.socket().as_os_str().len() <= SOCKET_PATH_MAX && !server.socket().starts_with(&deep));
    assert_eq!(value(&query(&file, "SELECT 1").unwrap()), "1");
    let socket = server.socket().to_owned();
    drop(server);
    assert!(!socket.exists());
}

/// Spills still work where no other file may be touched.
#[test]
fn a_query_beyond_the_memory_limit_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.duckdb");
    let database = Database::open(&file, &[("memory_limit", "60MB"), ("threads", "1")]).unwrap();
    let server = QueryServer::start(&database, &file).unwrap();
    let sql = "SELECT count(*) FROM (SELECT i, repeat('x', 100) AS x FROM range(1000000) r(i) ORDER BY hash(i), x) WHERE x <> ''";
    assert_eq!(value(&query(&file, sql).unwrap()), "1000000");
    drop(server);
}
