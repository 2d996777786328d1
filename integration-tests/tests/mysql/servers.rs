//! That the servers of the tests are what the tests take them for.

use std::time::{Duration, Instant};

use tailwater_integration_tests::mysql::{Flavour, Installation, Server};

fn starts(installation: Installation, release: &str) {
    let began = Instant::now();
    let mut server = Server::start(installation, &[]);
    let took = began.elapsed();
    let version = server.value("SELECT version()");
    eprintln!("{}: {version}, the first time in {took:?}", installation.name());
    let began = Instant::now();
    drop(Server::start(installation, &[]));
    eprintln!("{}: another one started and ended in {:?}", installation.name(), began.elapsed());
    assert!(version.starts_with(release), "{version}");

    server.execute(
        "CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(9))",
    );
    server.execute("INSERT INTO shop.t VALUES (1, NULL), (2, 'NULL'), (3, '<&\"\\n\u{1f600}'), (4, '')");
    let expected = [None, Some("NULL"), Some("<&\"\n\u{1f600}"), Some("")].map(|v| v.map(str::to_owned));
    let found = server.query("SELECT v FROM shop.t ORDER BY id");
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), expected);
    assert!(server.try_execute("SELECT nothing").unwrap_err().contains("1054"));
    assert_eq!(server.value("SELECT @@log_bin"), "1");
    assert_eq!(server.value("SELECT @@binlog_format"), "ROW");
    if installation.has_full_metadata() {
        assert_eq!(server.value("SELECT @@binlog_row_metadata"), "FULL");
    }
    if installation.flavour() == Flavour::MySql {
        assert_eq!(server.value("SELECT @@gtid_mode"), "ON");
    }
    let mut log = server.program(installation.log_reader());
    log.args(["--read-from-remote-server", "-vv", "binlog.000001"]);
    let output = log.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        text.matches("### INSERT INTO").count(),
        4,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // What was committed outlives a kill; what was not does not.
    let mut session = server.session();
    assert_eq!(session.run("BEGIN; INSERT INTO shop.t VALUES (5, 'a'); SELECT COUNT(*) FROM shop.t"), ["5"]);
    let began = Instant::now();
    server.kill();
    server.restart();
    eprintln!("{}: killed and started again in {:?}", installation.name(), began.elapsed());
    drop(session);
    assert_eq!(server.value("SELECT COUNT(*) FROM shop.t"), "4");
    server.pause();
    server.resume();
    let began = Instant::now();
    server.stop();
    eprintln!("{}: stopped in {:?}", installation.name(), began.elapsed());
}

#[test]
fn mysql_9_7_starts() {
    starts(Installation::mysql97(), "9.");
}

#[test]
fn mysql_5_6_starts() {
    starts(Installation::mysql56(), "5.6.");
}

#[test]
fn mariadb_10_11_starts() {
    starts(Installation::mariadb1011(), "10.11.");
}

#[test]
fn mariadb_11_8_starts() {
    starts(Installation::mariadb118(), "11.8.");
}

#[test]
fn a_server_follows_another() {
    for installation in Installation::all() {
        let (source, replica) = (Server::start(installation, &[]), Server::start(installation, &[]));
        source.execute("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)");
        replica.follow(&source);
        source.execute("INSERT INTO shop.t VALUES (1)");
        let deadline = Instant::now() + Duration::from_secs(60);
        while replica.try_execute("SELECT 1 FROM shop.t").is_err()
            || replica.query("SELECT id FROM shop.t").is_empty()
        {
            assert!(Instant::now() < deadline, "{}: {}", installation.name(), replica.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let copied = if installation.flavour() == Flavour::MySql {
            "@@GLOBAL.gtid_executed"
        } else {
            "@@gtid_binlog_pos"
        };
        let copied = format!("SELECT {copied}");
        assert_eq!(source.value(&copied), replica.value(&copied), "{}", installation.name());
    }
}
