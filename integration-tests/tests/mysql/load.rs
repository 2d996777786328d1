//! Under load: copies while others write, kills of the program, a transaction of a million rows, storms of `ALTER`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tailwater_integration_tests::mysql::{Installation, Server, truth};
use tailwater_integration_tests::{Program, Random, pipeline, wait_for};

use crate::followed::{Followed, config, prepare};
use crate::trouble::{seed, write};

const BOTH: [fn() -> Installation; 2] = [Installation::mysql97, Installation::mariadb118];
const PATIENCE: Duration = Duration::from_secs(240);
const TABLES: &str =
    "CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(99), n INT DEFAULT 0);
    CREATE TABLE visits (page VARCHAR(20), ms INT)";

fn many(table: &str, rows: u32) -> String {
    let mut sql = format!("INSERT INTO {table} SELECT '/', 1");
    let mut have = 1;
    while have < rows {
        sql += &format!("; INSERT INTO {table} SELECT page, ms FROM {table} LIMIT {}", rows - have);
        have *= 2;
    }
    sql
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_writers_agrees_with_the_stream() {
    for installation in BOTH {
        let server = Server::start(installation(), &[]);
        prepare(&server, TABLES);
        server.execute(&many("shop.visits", 5_000));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (server, stop) = (&server, &stop);
                scope.spawn(move || write(server, seed() + writer, stop));
            }
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    for round in 0..4 {
                        let mut followed = Followed::new(config(&server.url()));
                        followed.bytes = 20_000;
                        if round % 2 == 1 {
                            // Killed in the middle, and made afresh.
                            followed.open().await.unwrap();
                            for _ in 0..3 {
                                followed.step().await.unwrap();
                            }
                            assert!(followed.held.end.copying(), "{}", followed.held.end);
                            followed.held = followed.held.emptied();
                        }
                        followed.copy().await.unwrap_or_else(|error| panic!("{error}"));
                        if round == 3 {
                            stop.store(true, Ordering::Relaxed);
                        }
                        if round == 2 {
                            followed.everything(&server).await;
                        }
                        if round == 3 {
                            // Both writers have ended when nothing moves any more.
                            let count =
                                || server.value("SELECT CONCAT(COUNT(*), '/', SUM(ms)) FROM shop.visits");
                            let mut before = count();
                            wait_for("the writers end", PATIENCE, async || {
                                tokio::time::sleep(Duration::from_millis(200)).await;
                                let now = count();
                                (std::mem::replace(&mut before, now.clone()) == now).then_some(())
                            })
                            .await;
                            followed.everything(&server).await;
                            followed.assert_same(&server);
                        }
                    }
                });
            });
        });
    }
}

fn compare(program: &Program, server: &Server, table: &str) {
    let mut wanted = truth::table(server, "shop", table).rows;
    let mut held = pipeline::rows(&program.target(), &format!("shop.{table}"));
    wanted.sort();
    held.sort();
    assert_eq!(held.len(), wanted.len(), "{table}");
    assert!(held == wanted, "{table} differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn item_16_the_program_is_killed_again_and_again() {
    let none: &[&str] = &[];
    for (installation, settings) in [
        (Installation::mysql97(), none),
        (Installation::mariadb118(), none),
        (Installation::mysql56(), &["gtid-mode=OFF", "enforce-gtid-consistency=OFF"]),
    ] {
        let server = Server::start(installation, settings);
        prepare(&server, TABLES);
        server.execute(&many("shop.visits", 50_000));
        let sink = "[sink.duckdb]\npath = \"target.duckdb\"\n";
        let program = Program::between("mysql", &server.url(), "killed", &["shop.*"], sink);
        let stop = AtomicBool::new(false);
        let seed = seed();
        let mut random = Random::new(seed);
        std::thread::scope(|scope| {
            let (server, stop) = (&server, &stop);
            for writer in 0..2 {
                scope.spawn(move || write(server, seed + writer, stop));
            }
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    for _ in 0..12 {
                        let mut process = program.start(&[]);
                        tokio::time::sleep(Duration::from_millis(100 + random.below(1900))).await;
                        assert!(process.runs(), "{}", program.log());
                        process.kill();
                    }
                });
            });
            stop.store(true, Ordering::Relaxed);
        });
        program.catch_up(PATIENCE).await;
        for table in ["notes", "visits"] {
            compare(&program, &server, table);
        }
    }
}

const MILLION: u32 = 1_000_000;

/// One transaction of a million rows, while nobody reads; then the program reads it to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_a_million_rows_in_bounded_memory() {
    for (installation, settings) in [
        (Installation::mysql97(), &[][..]),
        (Installation::mysql97(), &["binlog-transaction-compression=ON"]),
        (Installation::mariadb118(), &["log-bin-compress=1", "log-bin-compress-min-len=10"]),
    ] {
        let server = Server::start(installation, settings);
        prepare(&server, "CREATE TABLE visits (page VARCHAR(20), ms INT)");
        let program = Program::between("mysql", &server.url(), "million", &["shop.*"], "[sink.stdout]\n");
        program.catch_up(PATIENCE).await;
        server.execute(&format!("BEGIN; {}; COMMIT", many("shop.visits", MILLION)));
        // Killed in its middle, twice.
        for _ in 0..2 {
            let process = program.start(&[]);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            process.kill();
        }
        let began = Instant::now();
        let peak = program.start(&["--until-caught-up"]).peak_mb(PATIENCE).await;
        println!("{} {settings:?}: {peak:.0} MB, {:?}", installation.name(), began.elapsed());
        assert!(peak <= 64.0, "{} {settings:?}: {peak:.0} MB", installation.name());
    }
}

/// Likewise in the process of the test: cut into batches, left in the middle, gone on with; each row comes once.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_is_gone_on_with_in_its_middle() {
    const ROWS: u32 = 60_000;
    for (installation, settings) in [
        (Installation::mysql97(), &[][..]),
        (Installation::mysql97(), &["binlog-transaction-compression=ON"]),
        (Installation::mariadb118(), &["log-bin-compress=1", "log-bin-compress-min-len=10"]),
    ] {
        let server = Server::start(installation, settings);
        prepare(&server, "CREATE TABLE visits (page VARCHAR(20), ms INT)");
        let mut followed = Followed::start(&server).await;
        server.execute(&format!("BEGIN; {}; COMMIT", many("shop.visits", ROWS)));
        followed.bytes = 300_000;
        let pieces = followed.everything_in_pieces(&server).await;
        assert!(pieces > 10, "{pieces} pieces");
        assert_eq!(followed.held.count("shop", "visits"), ROWS as usize);
    }
}

/// Tables are altered while rows of them come, and the source is begun anew in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_alter_table() {
    const ALTERS: &[&str] = &[
        "ADD a INT DEFAULT 7",
        "ADD b VARCHAR(9) NOT NULL DEFAULT 'b' FIRST",
        "RENAME COLUMN a TO c",
        "ADD a INT NOT NULL DEFAULT 3",
        "DROP b, ADD d INT UNSIGNED",
        "MODIFY note VARCHAR(200)",
        "DROP c, DROP d",
        "ADD INDEX (n)",
        "DROP INDEX n",
        "DROP a",
        "COMMENT 'x'",
    ];
    for installation in BOTH {
        let server = Server::start(installation(), &[]);
        prepare(&server, TABLES);
        let mut random = Random::new(seed());
        let mut followed = Followed::start(&server).await;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| write(&server, seed(), &stop));
            scope.spawn(|| {
                let mut session = server.session();
                for _ in 0..4 {
                    for alter in ALTERS {
                        session.run(&format!("ALTER TABLE shop.notes {alter}"));
                        session.run("INSERT INTO shop.notes (note) VALUES ('altered')");
                    }
                }
                stop.store(true, Ordering::Relaxed);
            });
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..random.below(20) {
                            // Nothing more may come; what is dropped with the wait comes again.
                            match tokio::time::timeout(Duration::from_secs(2), followed.step()).await {
                                Ok(step) => step.unwrap_or_else(|error| panic!("{error}")),
                                Err(_elapsed) => break,
                            }
                        }
                        followed.open().await.unwrap();
                    }
                });
            });
        });
        followed.everything(&server).await;
        followed.assert_same(&server);
    }
}

/// Who follows one table of a busy server writes no position for each change of the others.
#[tokio::test]
async fn foreign_changes_move_the_position_now_and_then() {
    const PAUSE: Duration = Duration::from_millis(200);
    let server = Server::start(Installation::mysql97(), &[]);
    prepare(&server, "CREATE DATABASE foreign_; CREATE TABLE foreign_.t (id INT PRIMARY KEY AUTO_INCREMENT)");
    let mut followed = Followed::start(&server).await;
    followed.config.idle_position_interval = PAUSE;
    followed.open().await.unwrap();
    let writes = "INSERT INTO foreign_.t VALUES (NULL);".repeat(1000) + "INSERT INTO marks.t VALUES (NULL)";
    let (started, mut steps) = (Instant::now(), 0);
    let mut writer = server.program("mysql").args(["-e", &writes]).spawn().unwrap();
    while followed.held.count("marks", "t") == 0 {
        followed.step().await.unwrap();
        steps += 1;
    }
    assert!(writer.wait().unwrap().success());
    let most = started.elapsed().as_millis() / PAUSE.as_millis() + 5;
    assert!(steps <= most, "{steps} positions, no more than {most} were due");
}
