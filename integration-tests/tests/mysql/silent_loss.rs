//! Ways to lose or corrupt data without noticing, by their numbers in the list of them; 18 to 20 and 25 are in `types`.

use std::time::Duration;

use tailwater_core::ErrorKind;
use tailwater_integration_tests::mysql::{Flavour, Installation, Server};
use tailwater_integration_tests::wait_for;
use tailwater_mysql::check::check;

use crate::followed::{self, Followed, assert_error, config, prepare};

const NOTES: &str = "CREATE TABLE notes (id INT PRIMARY KEY, note VARCHAR(2000), doc JSON)";
const WITH_GTIDS: [fn() -> Installation; 2] = [Installation::mysql97, Installation::mariadb118];

/// Rows of every kind of change.
fn changes(from: u32) -> String {
    let (a, b, c) = (from, from + 1, from + 2);
    let long = "REPEAT('long ', 200)";
    format!(
        "INSERT INTO shop.notes (id, note, doc) VALUES ({a}, {long}, '{{}}'), ({b}, 'b', NULL), ({c}, {long}, '[1]');
         UPDATE shop.notes SET note = CONCAT(note, {a}) WHERE id >= {a};
         UPDATE shop.notes SET id = id + 500000 WHERE id = {b};
         DELETE FROM shop.notes WHERE id = {c};
         BEGIN; INSERT INTO shop.notes (id, note, doc) VALUES ({b}, {long}, NULL); INSERT INTO shop.notes (id, note, doc) VALUES ({c}, '', NULL);
         UPDATE shop.notes SET note = {long} WHERE id IN ({a}, {c}); DELETE FROM shop.notes WHERE id = {a}; COMMIT;"
    )
}

#[tokio::test]
async fn item_14_a_session_compresses_its_transactions() {
    let server = Server::start(Installation::mysql97(), &[]);
    prepare(&server, NOTES);
    let mut followed = Followed::start(&server).await;
    let mut session = server.session();
    for round in 0..4 {
        let on = if round % 2 == 0 { "ON" } else { "OFF" };
        session.run(&format!("SET SESSION binlog_transaction_compression = {on}"));
        session.run(&changes(1000 + round * 10));
    }
    let mut in_pieces = Followed::new(followed.config.clone());
    (in_pieces.held, in_pieces.bytes) = (followed.held.clone(), 1);
    followed.everything(&server).await;
    followed.assert_same(&server);
    let pieces = in_pieces.everything_in_pieces(&server).await;
    assert!(pieces > 30, "{pieces} pieces");
    in_pieces.assert_same(&server);
}

#[tokio::test]
async fn item_15_mariadb_compresses_events() {
    for installation in [Installation::mariadb1011(), Installation::mariadb118()] {
        let server = Server::start(installation, &["log-bin-compress=1", "log-bin-compress-min-len=10"]);
        prepare(&server, NOTES);
        let mut followed = Followed::start(&server).await;
        for round in 0..3 {
            server.execute(&changes(1000 + round * 10));
        }
        server.execute("ALTER TABLE shop.notes ADD more INT DEFAULT 7; UPDATE shop.notes SET more = id");
        let mut in_pieces = Followed::new(followed.config.clone());
        (in_pieces.held, in_pieces.bytes) = (followed.held.clone(), 1);
        followed.everything(&server).await;
        followed.assert_same(&server);
        in_pieces.everything_in_pieces(&server).await;
        in_pieces.assert_same(&server);
    }
}

#[tokio::test]
async fn item_16_killed_between_any_two_events() {
    for installation in WITH_GTIDS {
        let server = Server::start(installation(), &[]);
        prepare(&server, NOTES);
        let mut followed = Followed::start(&server).await;
        followed.bytes = 1;
        for round in 0..3 {
            server.execute(&changes(1000 + round * 10));
            server.execute("FLUSH BINARY LOGS");
            let pieces = followed.everything_in_pieces(&server).await;
            // Four statements, four in a transaction, the mark.
            assert!(pieces >= 9, "{pieces} pieces");
            followed.assert_same(&server);
        }
    }
}

/// With GTIDs and without; and the table is altered in between.
#[tokio::test]
async fn item_16_killed_where_the_log_names_no_columns() {
    for (installation, settings) in [
        (Installation::mysql97(), &["binlog_row_metadata=MINIMAL", "binlog_transaction_compression=ON"][..]),
        (Installation::mysql56(), &["gtid-mode=OFF", "enforce-gtid-consistency=OFF"]),
        (Installation::mariadb1011(), &["binlog_row_metadata=NO_LOG"]),
    ] {
        let server = Server::start(installation, settings);
        // Not every release knows JSON.
        prepare(&server, &NOTES.replace("JSON", "TEXT"));
        let mut followed = Followed::start(&server).await;
        followed.bytes = 1;
        for round in 0..3 {
            server.execute(&changes(1000 + round * 10));
            server.execute(&format!(
                "FLUSH BINARY LOGS; USE shop; ALTER TABLE notes ADD COLUMN c{round} INT UNSIGNED NOT NULL DEFAULT 4294967295;
                 INSERT INTO notes (id, c{round}) VALUES ({round} + 2000, 4294967290)"
            ));
            let pieces = followed.everything_in_pieces(&server).await;
            assert!(pieces >= 9, "{pieces} pieces");
            followed.assert_same(&server);
        }
    }
}

#[tokio::test]
async fn item_17_an_event_does_not_say_where_it_ends() {
    let server = Server::start(Installation::mariadb118(), &[]);
    prepare(&server, NOTES);
    let mut followed = Followed::start(&server).await;
    let mut held = vec![followed.held.clone()];
    for round in 0..4 {
        server.execute(&changes(1000 + round * 10));
        server.execute("ALTER TABLE shop.notes COMMENT 'x'; FLUSH BINARY LOGS");
    }
    followed.bytes = 1;
    let marks = followed.held.count("marks", "t") + 1;
    server.execute("INSERT INTO marks.t VALUES (NULL)");
    while followed.held.count("marks", "t") < marks {
        followed.step().await.unwrap();
        held.push(followed.held.clone());
    }
    followed.assert_same(&server);
    assert!(held.len() > 36, "{} positions", held.len());
    for held in held {
        let mut again = Followed::new(followed.config.clone());
        let from = held.end.clone();
        again.held = held;
        again.open().await.unwrap_or_else(|error| panic!("{from}: {error}"));
        again.everything(&server).await;
        again.assert_same(&server);
    }
}

#[tokio::test]
async fn item_21_xa_is_prepared_and_rolled_back_or_committed_after_a_restart() {
    let mut server = Server::start(Installation::mysql97(), &[]);
    prepare(&server, NOTES);
    let mut followed = Followed::start(&server).await;
    for (xid, id) in [("a", 1), ("b", 2), ("c", 3)] {
        server.execute(&format!(
            "XA START '{xid}'; INSERT INTO shop.notes (id, note, doc) VALUES ({id}, '{xid}', NULL); XA END '{xid}'; XA PREPARE '{xid}'"
        ));
    }
    server.execute("INSERT INTO shop.notes (id, note, doc) VALUES (4, 'plain', NULL)");
    followed.everything(&server).await;
    assert_eq!(followed.held.count("shop", "notes"), 1, "what is prepared is not committed");
    server.kill();
    server.restart();
    followed.open().await.unwrap();
    server.execute(
        "XA ROLLBACK 'a'; XA COMMIT 'b'; INSERT INTO shop.notes (id, note, doc) VALUES (5, 'plain', NULL)",
    );
    followed.bytes = 1;
    followed.everything_in_pieces(&server).await;
    assert_eq!(followed.held.count("shop", "notes"), 3);
    server.restart();
    server.execute("XA COMMIT 'c'");
    followed.everything_in_pieces(&server).await;
    assert_eq!(followed.held.count("shop", "notes"), 4);
    followed.assert_same(&server);
}

/// What is prepared when the copy begins is in none of both: neither in the snapshot, nor behind its position.
#[tokio::test]
async fn item_21_a_copy_waits_for_what_is_prepared() {
    for installation in WITH_GTIDS {
        let mut server = Server::start(installation(), &[]);
        prepare(&server, NOTES);
        server.execute(
            "XA START 'a'; INSERT INTO shop.notes (id, note, doc) VALUES (1, 'a', NULL); XA END 'a'; XA PREPARE 'a'",
        );
        for restarted in [false, true] {
            if restarted {
                server.kill();
                server.restart();
            }
            let mut followed = Followed::new(config(&server.url()));
            let error = followed.copy().await.expect_err("it must wait");
            assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
            assert!(error.remedy_text().unwrap_or_default().contains("XA RECOVER"), "{error}");
        }
        server.execute("XA COMMIT 'a'");
        let followed = Followed::start(&server).await;
        assert_eq!(followed.held.count("shop", "notes"), 1);
    }
}

#[tokio::test]
async fn item_21_mariadb_cannot_go_back_to_what_is_prepared() {
    let server = Server::start(Installation::mariadb118(), &[]);
    prepare(&server, NOTES);
    let mut followed = Followed::start(&server).await;
    server.execute("XA START 'a'; INSERT INTO shop.notes (id, note, doc) VALUES (1, 'a', NULL); XA END 'a'; XA PREPARE 'a'");
    let error = followed.try_everything(&server).await.expect_err("it must stop");
    assert_error(&error, "TW-MY-052", "copy everything afresh");
}

#[tokio::test]
async fn item_22_rows_that_a_foreign_key_changes() {
    let tables = "CREATE TABLE a (id INT PRIMARY KEY);
        CREATE TABLE b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE);
        CREATE TABLE c (id INT PRIMARY KEY, b INT, CONSTRAINT cb FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE);
        INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 1), (2, 2)";
    for installation in WITH_GTIDS {
        let server = Server::start(installation(), &[]);
        prepare(&server, tables);
        let findings = check(&config(&server.url())).await;
        let told = findings.iter().filter(|finding| finding.code == "TW-MY-110").count();
        if installation().flavour() == Flavour::MySql {
            // Since 9.6 the log shows them.
            assert_eq!(told, 0, "{findings:?}");
            let mut followed = Followed::start(&server).await;
            server.execute("DELETE FROM shop.a WHERE id = 1");
            followed.everything(&server).await;
            followed.assert_same(&server);
            assert_eq!(followed.held.count("shop", "c"), 1);
        } else {
            assert_eq!(told, 2, "{findings:?}");
        }
    }
}

#[tokio::test]
async fn item_23_a_statement_instead_of_rows() {
    for installation in WITH_GTIDS {
        let server = Server::start(installation(), &[]);
        prepare(&server, NOTES);
        let mut followed = Followed::start(&server).await;
        server.execute("SET SESSION binlog_format = STATEMENT; INSERT INTO shop.notes (id, note, doc) VALUES (1, 'a', NULL)");
        let error = followed.try_everything(&server).await.expect_err("it must stop");
        assert_error(&error, "TW-MY-048", "binlog_format=ROW");
        assert!(error.to_string().contains("notes"), "{error}");
        // And again, instead of going on behind it.
        assert_error(&followed.stopped_by(&server).await, "TW-MY-048", "copy everything afresh");
    }
}

/// A session that was opened before the format was set logs what it does to temporary tables, under names that others have.
#[tokio::test]
async fn item_23_a_temporary_table_is_not_the_one_that_is_carried() {
    for installation in [Installation::mysql97(), Installation::mysql56(), Installation::mariadb118()] {
        let server = Server::start(installation, &[]);
        prepare(&server, &NOTES.replace("JSON", "TEXT"));
        let mut followed = Followed::start(&server).await;
        server.execute(&changes(1000));
        let mut session = server.session();
        session.run(
            "SET SESSION binlog_format = STATEMENT; USE shop; CREATE TEMPORARY TABLE notes (x INT); \
             ALTER TABLE notes ADD y INT; TRUNCATE TABLE notes; DROP TEMPORARY TABLE notes",
        );
        server.execute(&changes(2000));
        followed.everything(&server).await;
        followed.assert_same(&server);
        assert!(followed.held.count("shop", "notes") > 0, "{}", installation.name());
    }
}

#[tokio::test]
async fn item_23_parts_of_rows() {
    for installation in WITH_GTIDS {
        let server = Server::start(installation(), &[]);
        prepare(
            &server,
            "CREATE TABLE parts (id INT PRIMARY KEY, a INT, b VARCHAR(9), c INT DEFAULT 5, doc JSON);
             INSERT INTO parts VALUES (1, 1, 'x', 1, '{\"a\": [1, 2, 3], \"b\": \"text\"}'), (2, 2, 'y', 2, NULL)",
        );
        let mut followed = Followed::start(&server).await;
        for options in ["", ", SESSION binlog_row_value_options = PARTIAL_JSON"] {
            if !options.is_empty() && installation().flavour() == Flavour::MariaDb {
                continue;
            }
            for image in ["MINIMAL", "NOBLOB", "FULL"] {
                server.execute(&format!(
                    "SET SESSION binlog_row_image = {image}{options}; USE shop;
                     UPDATE parts SET doc = JSON_REPLACE(doc, '$.b', 'other', '$.a[1]', 7) WHERE id = 1;
                     UPDATE parts SET b = '{image}' WHERE id = 1; UPDATE parts SET a = NULL WHERE id = 2;
                     UPDATE parts SET doc = '[1]', id = 3 WHERE id = 2;
                     UPDATE parts SET doc = JSON_SET(doc, '$[1]', 8), a = 4 WHERE id = 3; UPDATE parts SET id = 2 WHERE id = 3"
                ));
                followed.everything(&server).await;
                followed.assert_same(&server);
            }
        }
        // What an INSERT leaves to the default.
        server
            .execute("SET SESSION binlog_row_image = MINIMAL; INSERT INTO shop.parts (id, a) VALUES (9, 9)");
        match followed.try_everything(&server).await {
            Ok(()) => followed.assert_same(&server),
            Err(error) => assert_error(&error, "TW-MY-034", "binlog_row_image=FULL"),
        }
    }
}

#[tokio::test]
async fn item_23_parts_of_rows_without_a_key() {
    for installation in WITH_GTIDS {
        let server = Server::start(installation(), &[]);
        prepare(&server, "CREATE TABLE loose (a INT, b TEXT); INSERT INTO loose VALUES (1, 'x'), (1, 'x')");
        let mut followed = Followed::start(&server).await;
        server.execute("SET SESSION binlog_row_image = NOBLOB; UPDATE shop.loose SET a = 2 LIMIT 1");
        match followed.try_everything(&server).await {
            Ok(()) => followed.assert_same(&server),
            Err(error) => assert_error(&error, "TW-MY-051", "binlog_row_image=FULL"),
        }
    }
}

#[tokio::test]
async fn item_24_the_log_is_reset_between_two_runs() {
    for installation in [Installation::mysql97(), Installation::mariadb1011(), Installation::mariadb118()] {
        let server = Server::start(installation, &[]);
        prepare(&server, NOTES);
        let mut followed = Followed::start(&server).await;
        server.execute(&changes(1000));
        followed.everything(&server).await;
        let mysql = installation.flavour() == Flavour::MySql;
        server.execute(if mysql { "RESET BINARY LOGS AND GTIDS" } else { "RESET MASTER" });
        // Every time, while fewer transactions have come since than the target has.
        for id in 0..2 {
            assert_error(&followed.stopped_by(&server).await, "TW-MY-061", "copy afresh");
            server.execute(&format!("INSERT INTO shop.notes (id) VALUES ({id})"));
        }
    }
}

#[tokio::test]
async fn item_24_the_log_is_purged() {
    for installation in [Installation::mysql97(), Installation::mariadb1011(), Installation::mariadb118()] {
        let mut server = Server::start(installation, &[]);
        prepare(&server, NOTES);
        let mut followed = Followed::start(&server).await;
        server.execute(&changes(1000));
        followed.everything(&server).await;
        // So that nobody reads the log any more: what is read is not purged.
        server.restart();
        server.execute(&changes(1010));
        server.execute("FLUSH BINARY LOGS; FLUSH BINARY LOGS");
        server.execute(&changes(1020));
        let newest = server.query("SHOW BINARY LOGS").pop().unwrap()[0].clone().unwrap();
        // MariaDB keeps what InnoDB may still need to recover, and says nothing.
        wait_for("the log is purged", Duration::from_secs(60), async || {
            server.execute(&format!("PURGE BINARY LOGS TO '{newest}'"));
            (server.query("SHOW BINARY LOGS")[0][0].as_ref() == Some(&newest)).then_some(())
        })
        .await;
        assert_error(&followed.stopped_by(&server).await, "TW-MY-060", "copy afresh");
    }
}

#[tokio::test]
async fn item_24_without_gtids_a_file_is_the_position() {
    let off = ["gtid-mode=OFF", "enforce-gtid-consistency=OFF"];
    let mut server = Server::start(Installation::mysql97(), &off);
    prepare(&server, NOTES);
    let mut followed = Followed::start(&server).await;
    assert!(followed.held.end.stream.starts_with("binlog."), "{}", followed.held.end);
    followed.bytes = 1;
    for round in 0..3 {
        server.execute(&changes(1000 + round * 10));
        if round == 1 {
            server.restart();
        }
        server.execute(
            "SET SESSION binlog_transaction_compression = ON; USE shop; BEGIN; \
            UPDATE notes SET note = 'x'; UPDATE notes SET note = 'y'; COMMIT; FLUSH BINARY LOGS",
        );
        followed.everything_in_pieces(&server).await;
        followed.assert_same(&server);
    }
    // The names of files come again.
    let held = followed.held.clone();
    server.execute("RESET BINARY LOGS AND GTIDS");
    assert_error(&followed.stopped_by(&server).await, "TW-MY-061", "copy afresh");
    let other = Server::start(Installation::mysql97(), &off);
    followed::prepare(&other, NOTES);
    let mut elsewhere = Followed::new(config(&other.url()));
    elsewhere.held = held;
    assert_error(&elsewhere.stopped_by(&other).await, "TW-MY-062", "the server that the target follows");
}
