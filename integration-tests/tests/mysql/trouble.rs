//! Servers that die, hang and change, connections that break, logs that are flushed: it goes on, without a loss and
//! without a repeat.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tailwater_integration_tests::mysql::{Installation, Server};
use tailwater_integration_tests::{Proxy, Random};

use crate::followed::{Followed, config, prepare};

const TABLES: &str =
    "CREATE TABLE notes (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(99), n INT DEFAULT 0);
    CREATE TABLE visits (page VARCHAR(20), ms INT)";
const BOTH: [fn() -> Installation; 2] = [Installation::mysql97, Installation::mariadb118];

/// A seed of its own for each process, told where a test fails.
pub(crate) fn seed() -> u64 {
    let chosen = std::env::var("TAILWATER_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = chosen.unwrap_or_else(|| u64::from(std::process::id()));
    println!("TAILWATER_SEED={seed}");
    seed
}

/// A transaction of some rows.
pub(crate) fn transaction(random: &mut Random) -> String {
    let number = random.below(1000);
    match random.below(6) {
        0 => format!("INSERT INTO shop.visits VALUES ('/', {}), ('/', 1), ('/', 1);", number % 5),
        1 => format!("UPDATE shop.notes SET n = n + 1, note = '{number}' ORDER BY id DESC LIMIT 3;"),
        2 => "DELETE FROM shop.notes ORDER BY id LIMIT 1;".to_owned(),
        3 => format!("UPDATE shop.visits SET ms = ms + 1 WHERE ms = {} LIMIT 2;", number % 5),
        4 => "DELETE FROM shop.visits WHERE ms > 3 LIMIT 2;".to_owned(),
        _ => format!(
            "BEGIN; INSERT INTO shop.notes (note) VALUES ('{number}'), ('b'); INSERT INTO shop.visits VALUES ('/{number}', 0);
             UPDATE shop.notes SET n = {number} ORDER BY id DESC LIMIT 1; COMMIT;"
        ),
    }
}

/// Writes in the background until told to end. Where two writers meet, or a table is altered under them, what is refused
/// is not written.
pub(crate) fn write(server: &Server, seed: u64, stop: &AtomicBool) {
    let (mut random, mut written) = (Random::new(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        let text: String = (0..10).map(|_| transaction(&mut random)).collect();
        written += u64::from(server.try_execute(&text).is_ok());
    }
    assert!(written > 0, "nothing was written");
}

#[tokio::test]
async fn a_server_that_is_killed_is_waited_for() {
    for installation in BOTH {
        let mut server = Server::start(installation(), &[]);
        prepare(&server, TABLES);
        let mut followed = Followed::start(&server).await;
        let mut random = Random::new(seed());
        for round in 0..4 {
            for _ in 0..5 {
                server.execute(&transaction(&mut random));
            }
            if round % 2 == 0 {
                // Read in part. What is drawn may change nothing.
                server.execute("INSERT INTO shop.notes (note) VALUES ('one'), ('two')");
                followed.bytes = 1;
                followed.step().await.unwrap();
                followed.bytes = 1 << 20;
            }
            server.kill();
            server.restart();
            server.execute(&transaction(&mut random));
            followed.everything_at_last(&server).await;
            followed.assert_same(&server);
        }
        assert!(followed.retries > 0);
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed() {
    for installation in BOTH {
        let server = Server::start(installation(), &[]);
        prepare(&server, TABLES);
        let mut followed = Followed::start(&server).await;
        server.pause();
        let began = Instant::now();
        let error = loop {
            if let Err(error) = followed.step().await {
                break error;
            }
        };
        server.resume();
        assert_eq!(error.kind(), tailwater_core::ErrorKind::Transient, "{error}");
        assert!(began.elapsed() < Duration::from_secs(60), "after {:?}: {error}", began.elapsed());
        server.execute("INSERT INTO shop.notes (note) VALUES ('after')");
        followed.everything_at_last(&server).await;
        followed.assert_same(&server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_anywhere_goes_on() {
    for installation in BOTH {
        let server = Server::start(installation(), &[]);
        prepare(&server, TABLES);
        let proxy = Proxy::start(server.address()).await;
        let mut random = Random::new(seed());
        for _ in 0..20 {
            server.execute(&transaction(&mut random));
        }
        let mut followed = Followed::new(config(&format!("mysql://cdc:cdc@{}", proxy.address())));
        // In the copy too.
        let mut cuts = 0;
        while followed.held.end.stream.is_empty() || followed.held.end.copying() {
            proxy.cut_after(if cuts < 15 { 1 + random.below(9000) } else { 1 << 40 });
            followed.held = followed.held.emptied();
            if let Err(error) = followed.copy().await {
                assert_eq!(error.kind(), tailwater_core::ErrorKind::Transient, "{error}");
                cuts += 1;
            }
        }
        assert!(cuts >= 5, "{cuts} cuts in the copy");
        followed.assert_same(&server);
        for round in 0..25 {
            let text: String = (0..20).map(|_| transaction(&mut random)).collect();
            server.execute(&text);
            proxy.cut_after(1 + random.below(if round % 2 == 0 { 4000 } else { 20_000 }));
            if round % 5 == 4 {
                proxy.split(round);
            } else {
                proxy.join();
            }
            followed.everything_at_last(&server).await;
            followed.assert_same(&server);
        }
        assert!(followed.retries >= 10, "{} cuts", followed.retries);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_new_log_files() {
    for installation in BOTH {
        let server = Server::start(installation(), &[]);
        prepare(&server, TABLES);
        let mut followed = Followed::start(&server).await;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| write(&server, seed(), &stop));
            scope.spawn(|| {
                let mut session = server.session();
                for _ in 0..150 {
                    session.run("FLUSH BINARY LOGS");
                }
                stop.store(true, Ordering::Relaxed);
            });
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    while !stop.load(Ordering::Relaxed) {
                        followed.everything(&server).await;
                        followed.open().await.unwrap();
                    }
                });
            });
        });
        followed.everything(&server).await;
        followed.assert_same(&server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_takes_over() {
    for installation in BOTH {
        let (first, second) = (Server::start(installation(), &[]), Server::start(installation(), &[]));
        prepare(&first, TABLES);
        second.follow(&first);
        let mut followed = Followed::start(&first).await;
        let mut random = Random::new(seed());
        for _ in 0..30 {
            first.execute(&transaction(&mut random));
        }
        // In the middle of a transaction. What is drawn may change nothing.
        first.execute(&"INSERT INTO shop.notes (note) VALUES ('one'), ('two');".repeat(13));
        followed.bytes = 1;
        for _ in 0..25 {
            followed.step().await.unwrap();
        }
        let executed = match installation().name() {
            "mysql97" => "SELECT @@GLOBAL.gtid_executed",
            _ => "SELECT @@gtid_binlog_pos",
        };
        let wanted = first.value(executed);
        tailwater_integration_tests::wait_for(
            "the replica has everything",
            Duration::from_secs(60),
            async || (second.value(executed) == wanted).then_some(()),
        )
        .await;
        second.execute(if installation().name() == "mysql97" { "STOP REPLICA" } else { "STOP SLAVE" });
        drop(first);
        for _ in 0..10 {
            second.execute(&transaction(&mut random));
        }
        followed.config = config(&second.url());
        followed.everything_in_pieces(&second).await;
        followed.assert_same(&second);
    }
}

/// The replica that takes over lacks what the target has.
#[tokio::test]
async fn a_server_that_lacks_something_does_not_take_over() {
    for installation in BOTH {
        let (first, second) = (Server::start(installation(), &[]), Server::start(installation(), &[]));
        prepare(&first, TABLES);
        second.follow(&first);
        let mut followed = Followed::start(&first).await;
        // A replica that is stopped before would never have them.
        tailwater_integration_tests::wait_for("it has the tables", Duration::from_secs(60), async || {
            second.try_execute("SELECT 1 FROM shop.visits").ok()
        })
        .await;
        second.execute(if installation().name() == "mysql97" { "STOP REPLICA" } else { "STOP SLAVE" });
        first.execute("INSERT INTO shop.notes (note) VALUES ('only here')");
        followed.everything(&first).await;
        followed.config = config(&second.url());
        let error = followed.stopped_by(&second).await;
        crate::followed::assert_error(&error, "TW-MY-061", "copy afresh");
    }
}
