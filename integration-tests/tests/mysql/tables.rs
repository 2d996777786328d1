//! Tables that come, go and change their names, and those that are not carried.

use tailwater_integration_tests::mysql::pipeline::{Pipeline, holds_all};
use tailwater_integration_tests::mysql::{Installation, Server};

/// Run one after the other; the tables that there are afterwards are `kept`, `late`, `like_it` and `t`.
const CHANGES: &[&str] = &[
    "CREATE TABLE late (id INT PRIMARY KEY, v VARCHAR(9)); INSERT INTO late VALUES (1, 'a'), (2, NULL)",
    "CREATE TABLE IF NOT EXISTS late (id INT); UPDATE late SET v = 'b' WHERE id = 2",
    "CREATE TABLE like_it LIKE kept; INSERT INTO like_it SELECT * FROM kept",
    "DROP TABLE gone, IF_ANY",
    "DROP TABLE IF EXISTS gone, also_gone",
    // A new table takes the place of one.
    "CREATE TABLE t_new (id INT PRIMARY KEY, x INT DEFAULT 4); RENAME TABLE t TO t_old, t_new TO t; DROP TABLE t_old",
    "INSERT INTO t (id) VALUES (5), (6); DELETE FROM t WHERE id = 6",
    "DROP TABLE late; CREATE TABLE late (k VARCHAR(9) PRIMARY KEY); INSERT INTO late VALUES ('again')",
    "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (id INT PRIMARY KEY); INSERT INTO elsewhere.t VALUES (1)",
    "DROP DATABASE elsewhere",
    "INSERT INTO kept VALUES (9, 'last')",
];

async fn come_and_go(installation: Installation, settings: &[&str], live: bool) {
    let server = Server::start(installation, settings);
    server.execute(
        "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(9));
         INSERT INTO kept VALUES (1, 'a'); CREATE TABLE gone (id INT PRIMARY KEY); INSERT INTO gone VALUES (1);
         CREATE TABLE also_gone (id INT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)",
    );
    let pipeline = Pipeline::new(&server, "tables", &["*.*"]);
    let catch_up = async || pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
    catch_up().await;
    let running = live.then(|| pipeline.start());
    for change in CHANGES {
        // Not every table of a statement is there.
        server.try_execute(&format!("USE shop; {change}")).ok();
        match &running {
            Some(running) => holds_all(&server, running).await,
            None => catch_up().await,
        }
    }
    if let Some(running) = running {
        running.stop().await.unwrap();
    }
    assert_eq!(pipeline.tables("shop"), ["kept", "late", "like_it", "t"], "{}", installation.name());
    // Which tables a dropped database had, nobody can tell who was not there and has no notes.
    let known = live || !settings.is_empty();
    assert_eq!(pipeline.tables("elsewhere").is_empty(), known, "{}", installation.name());
    assert_eq!(pipeline.differences(&server, "shop"), [].into(), "{}", installation.name());
    assert_eq!(pipeline.stopped(), [], "{}", installation.name());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_and_go_while_they_are_followed() {
    come_and_go(Installation::mysql97(), &[], true).await;
    come_and_go(Installation::mariadb118(), &[], true).await;
    come_and_go(Installation::mysql56(), &[], true).await;
    come_and_go(Installation::mariadb118(), &["binlog_row_metadata=MINIMAL"], true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_and_go_between_two_runs() {
    come_and_go(Installation::mysql97(), &[], false).await;
    come_and_go(Installation::mariadb118(), &[], false).await;
    come_and_go(Installation::mysql97(), &["binlog_row_metadata=MINIMAL"], false).await;
}

/// What comes under a name from where it was not carried stops that table, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_filled_table_that_takes_a_name_stops_alone() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let server = Server::start(installation, &[]);
        server.execute(
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2);
             CREATE TABLE other (id INT PRIMARY KEY); INSERT INTO other VALUES (1)",
        );
        let pipeline = Pipeline::new(&server, "taken", &["shop.*", "!shop.made"]);
        pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
        server.execute(
            "USE shop; CREATE TABLE made LIKE t; ALTER TABLE made ADD x INT DEFAULT 3;
             INSERT INTO made (id) SELECT id FROM t; DROP TABLE t; RENAME TABLE made TO t;
             INSERT INTO t VALUES (3, 4); INSERT INTO other VALUES (2)",
        );
        pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
        let stopped: Vec<String> = pipeline.stopped().into_iter().map(|(table, _)| table).collect();
        assert_eq!(stopped, ["shop.t"], "{}", installation.name());
        assert!(!pipeline.differences(&server, "shop").contains_key("other"));
    }
}

/// A log that is begun anew every night, by names that the tools give too.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_begins_anew_whatever_it_is_called() {
    for (installation, live) in [(Installation::mysql97(), true), (Installation::mariadb118(), false)] {
        let server = Server::start(installation, &[]);
        server.execute("CREATE DATABASE shop; USE shop; CREATE TABLE l (id INT PRIMARY KEY); INSERT INTO l VALUES (1), (2)");
        let pipeline = Pipeline::new(&server, "rotated", &["shop.l"]);
        let catch_up = async || pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
        catch_up().await;
        let running = live.then(|| pipeline.start());
        for change in [
            "CREATE TABLE _l_new LIKE l",
            "RENAME TABLE l TO _l_old, _l_new TO l",
            "INSERT INTO l VALUES (3)",
        ] {
            server.execute(&format!("USE shop; {change}"));
            match &running {
                Some(running) => holds_all(&server, running).await,
                None => catch_up().await,
            }
        }
        if let Some(running) = running {
            running.stop().await.unwrap();
        }
        assert_eq!(pipeline.stopped(), [], "{}", installation.name());
        assert_eq!(pipeline.differences(&server, "shop").remove("l"), None, "{}", installation.name());
    }
}

/// As gh-ost and pt-online-schema-change do it: rows are copied and kept up to date in another table, which then takes
/// the place of the first one. Several times, with the pipeline ended in between where `live` is false.
async fn migrated(installation: Installation, settings: &[&str], patterns: &[&str], live: bool) {
    let server = Server::start(installation, settings);
    server.execute(
        "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9));
         INSERT INTO t VALUES (1, 'a'), (2, NULL)",
    );
    let pipeline = Pipeline::new(&server, "migrated", patterns);
    pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
    let running = live.then(|| pipeline.start());
    let gh_ost = |alter: &str| {
        [
            "CREATE TABLE _t_gho LIKE t".to_owned(),
            format!("ALTER TABLE _t_gho {alter}"),
            "INSERT INTO _t_gho (id, v) SELECT id, v FROM t".to_owned(),
            "INSERT INTO t (id, v) SELECT max(id) + 1, 'meanwhile' FROM t".to_owned(),
            "REPLACE INTO _t_gho (id, v) SELECT id, v FROM t WHERE v = 'meanwhile'".to_owned(),
            "RENAME TABLE t TO _t_del, _t_gho TO t".to_owned(),
            "DROP TABLE _t_del".to_owned(),
            "INSERT INTO t (id, v) SELECT max(id) + 1, 'after' FROM t".to_owned(),
        ]
    };
    let pt_osc = [
        "CREATE TABLE _t_new (id INT PRIMARY KEY, v VARCHAR(9), x INT NOT NULL DEFAULT 3)".to_owned(),
        "ALTER TABLE _t_new DROP COLUMN x, ADD COLUMN y INT DEFAULT 8".to_owned(),
        "INSERT INTO _t_new (id, v) SELECT id, v FROM t".to_owned(),
        "RENAME TABLE t TO _t_old, _t_new TO t".to_owned(),
        "DROP TABLE _t_old; UPDATE t SET v = 'z' WHERE id = 1".to_owned(),
    ];
    let changes =
        gh_ost("ADD x INT NOT NULL DEFAULT 3").into_iter().chain(pt_osc).chain(gh_ost("MODIFY v TEXT"));
    for change in changes {
        server.execute(&format!("USE shop; {change}"));
        match &running {
            Some(running) => holds_all(&server, running).await,
            None => pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}")),
        }
    }
    if let Some(running) = running {
        running.stop().await.unwrap();
    }
    let who = format!("{} {settings:?} {patterns:?} {live}", installation.name());
    assert_eq!(pipeline.tables("shop"), ["t"], "{who}");
    assert_eq!(pipeline.stopped(), [], "{who}");
    assert_eq!(pipeline.differences(&server, "shop"), [].into(), "{who}");
}

#[tokio::test(flavor = "multi_thread")]
async fn online_migrations_come_through() {
    const UNNAMED: &[&str] = &["binlog_row_metadata=MINIMAL"];
    migrated(Installation::mysql97(), &[], &["shop.*"], true).await;
    migrated(Installation::mysql97(), &[], &["shop.t"], false).await;
    migrated(Installation::mysql97(), UNNAMED, &["shop.*"], false).await;
    migrated(Installation::mysql56(), &[], &["shop.t"], true).await;
    migrated(Installation::mariadb118(), &[], &["shop.*", "!shop._*"], true).await;
    migrated(Installation::mariadb118(), UNNAMED, &["shop.*"], true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_no_tables_and_system_versioning_is_refused_by_name() {
    let server = Server::start(Installation::mariadb118(), &[]);
    server.execute(
        "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; CREATE SEQUENCE s;
         CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET tis620);
         INSERT INTO t VALUES (NEXT VALUE FOR s, X'A1A0DBFF'); CREATE TABLE v (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
    );
    let error = Pipeline::new(&server, "refused", &["shop.*"]).catch_up().await.unwrap_err();
    assert_eq!(error.code(), "TW-MY-083");
    assert!(error.to_string().contains("shop.v"), "{error}");
    let pipeline = Pipeline::new(&server, "sequences", &["shop.*", "!shop.v"]);
    pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
    server.execute(
        "USE shop; CREATE SEQUENCE another; INSERT INTO t VALUES (NEXT VALUE FOR s + NEXT VALUE FOR another, X'FCDE');
         INSERT INTO v VALUES (1); UPDATE v SET id = 2",
    );
    pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pipeline.tables("shop"), ["t"]);
    assert_eq!(pipeline.differences(&server, "shop"), [].into());
}
