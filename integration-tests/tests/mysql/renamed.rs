//! Tables that are made, renamed, exchanged, altered and dropped at random, while the pipeline runs, starts and ends: the
//! target holds what the server holds, or says of a table that it does not.

use std::collections::BTreeSet;

use tailwater_integration_tests::mysql::pipeline::Pipeline;
use tailwater_integration_tests::mysql::{Installation, Server};
use tailwater_integration_tests::pipeline::Running;
use tailwater_integration_tests::random::Random;

use crate::trouble::seed;

const NAMES: &[&str] = &["a", "b", "c", "_a_gho", "_b_new", "_spare"];
const STEPS: u32 = 250;

/// A statement that may or may not be possible, and what may follow it.
fn change(random: &mut Random, number: u32) -> String {
    let (one, other) = (*random.pick(NAMES), *random.pick(NAMES));
    let column = *random.pick(&["x", "y", "z"]);
    match random.below(16) {
        0 => format!("CREATE TABLE {one} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))"),
        1 => format!("CREATE TABLE {one} LIKE {other}"),
        2 => format!("DROP TABLE {one}"),
        3 => format!("RENAME TABLE {one} TO {other}"),
        4 => format!("RENAME TABLE {one} TO _spare, {other} TO {one}"),
        5 => "RENAME TABLE a TO _a_del, _a_gho TO a; DROP TABLE _a_del".to_owned(),
        6 => "RENAME TABLE b TO _b_old, _b_new TO b; DROP TABLE _b_old".to_owned(),
        7 => format!("ALTER TABLE {one} RENAME TO {other}"),
        8 => format!("ALTER TABLE {one} ADD COLUMN {column} INT DEFAULT {number}"),
        9 => format!("ALTER TABLE {one} DROP COLUMN {column}"),
        10 => format!("ALTER TABLE {one} CHANGE {column} {} INT", random.pick(&["x", "y", "z"])),
        11 => format!("TRUNCATE TABLE {one}"),
        // As the tools do it: the same rows.
        12 => "DROP TABLE IF EXISTS _a_gho; CREATE TABLE _a_gho LIKE a; INSERT INTO _a_gho SELECT * FROM a"
            .to_owned(),
        13 => "DROP TABLE IF EXISTS _b_new; CREATE TABLE _b_new LIKE b; INSERT INTO _b_new SELECT * FROM b"
            .to_owned(),
        _ => format!(
            "INSERT INTO {one} (v) VALUES ('{number}'); UPDATE {one} SET v = 'u{number}' ORDER BY id LIMIT 1"
        ),
    }
}

/// The tools' tables hold what the tables do that they are made for: without that their names mean nothing.
fn is_honest(server: &Server, statement: &str) -> bool {
    let pair = match statement {
        text if text.starts_with("RENAME TABLE a TO _a_del") => ("a", "_a_gho"),
        text if text.starts_with("RENAME TABLE b TO _b_old") => ("b", "_b_new"),
        _ => return true,
    };
    let rows = |table: &str| {
        server
            .try_execute(&format!("SELECT 1 FROM shop.{table} LIMIT 1"))
            .ok()
            .map(|()| server.query(&format!("SELECT id, v FROM shop.{table} ORDER BY id")))
    };
    rows(pair.0) == rows(pair.1)
}

async fn storm(installation: Installation, settings: &[&str], patterns: &[&str]) {
    let server = Server::start(installation, settings);
    server.execute(
        "CREATE DATABASE shop; USE shop; CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))",
    );
    let pipeline = Pipeline::new(&server, "storm", patterns);
    let catch_up = async || pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
    catch_up().await;
    let mut random = Random::new(seed());
    let (mut running, mut log) = (None, Vec::new());
    for number in 0..STEPS {
        let statement = change(&mut random, number);
        if is_honest(&server, &statement) && server.try_execute(&format!("USE shop; {statement}")).is_ok() {
            log.push(statement);
        }
        let next = random.below(40);
        if next < 3 {
            if let Some(running) = running.take() {
                Running::stop(running).await.unwrap();
            }
            match next {
                0 => running = Some(pipeline.start()),
                _ => catch_up().await,
            }
        }
    }
    if let Some(running) = running {
        running.stop().await.unwrap();
    }
    catch_up().await;
    let stopped: BTreeSet<String> = pipeline.stopped().into_iter().map(|(table, _)| table).collect();
    let wrong = pipeline.differences(&server, "shop").into_iter();
    let wanted = |table: &String| !patterns.contains(&"!shop._*") || !table.starts_with('_');
    let wrong: Vec<_> =
        wrong.filter(|(table, _)| wanted(table) && !stopped.contains(&format!("shop.{table}"))).collect();
    eprintln!("{} {settings:?}: {} statements, stopped {stopped:?}", installation.name(), log.len());
    assert!(wrong.is_empty(), "{wrong:#?}\n{:#?}\nafter\n{}", pipeline.stopped(), log.join(";\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_change_their_names_at_random() {
    storm(Installation::mysql97(), &[], &["shop.*", "!shop._*"]).await;
    storm(Installation::mariadb118(), &[], &["shop.*"]).await;
    storm(Installation::mysql97(), &["binlog_row_metadata=MINIMAL"], &["shop.*"]).await;
    storm(Installation::mysql56(), &[], &["shop.*", "!shop._*"]).await;
}
