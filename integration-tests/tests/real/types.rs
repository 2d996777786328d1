//! Every type, by the copy and by the stream, with the server as oracle: what a `SELECT` prints in Postgres is what
//! comes out of DuckDB.

use tailwater_integration_tests::edge_values::{ALL, PREPARE};
use tailwater_integration_tests::pipeline::{Pipeline, rows};
use tailwater_integration_tests::servers;

async fn round_trip(version: u16) {
    let database = servers::database(version).await;
    let client = database.connect().await;
    client.run(PREPARE).await;
    client.run("SET TimeZone = 'UTC'").await;
    let cases: Vec<_> = ALL.iter().filter(|case| case.since <= version).enumerate().collect();
    for (number, case) in &cases {
        client.run(&format!("CREATE TABLE t{number} (id int PRIMARY KEY, v {})", case.column)).await;
        insert(&client, *number, case.values, 0).await;
    }
    let pipeline = Pipeline::new(&database, &["public.t*"]);
    pipeline.catch_up().await.unwrap();
    compare(&client, &pipeline, &cases, "copied").await;
    for (number, case) in &cases {
        insert(&client, *number, case.values, 1000).await;
        client.run(&format!("UPDATE t{number} SET id = id + 5000 WHERE id < 1000")).await;
    }
    pipeline.catch_up().await.unwrap();
    compare(&client, &pipeline, &cases, "streamed").await;
}

async fn insert(client: &tailwater_integration_tests::Client, number: usize, values: &[&str], first: usize) {
    for (place, value) in values.iter().chain(&["NULL"]).enumerate() {
        client.run(&format!("INSERT INTO t{number} VALUES ({}, {value})", first + place)).await;
    }
}

async fn compare(
    client: &tailwater_integration_tests::Client,
    pipeline: &Pipeline,
    cases: &[(usize, &tailwater_integration_tests::edge_values::EdgeValues)],
    how: &str,
) {
    let mut wrong = Vec::new();
    for (number, case) in cases {
        let wanted = client.rows(&format!("SELECT id, v FROM t{number} ORDER BY id")).await;
        let mut held = rows(&pipeline.file(), &format!("public.t{number}"));
        held.sort_by_key(|row| row[0].as_ref().and_then(|id| id.parse::<i64>().ok()));
        for (wanted, held) in wanted.iter().zip(&held).filter(|(wanted, held)| wanted != held) {
            wrong.push(format!("{} {how}: Postgres {wanted:?}, DuckDB {held:?}", case.column));
        }
        if wanted.len() != held.len() {
            wrong.push(format!("{} {how}: {} rows, and {} in DuckDB", case.column, wanted.len(), held.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_through_as_the_server_prints_it_14() {
    round_trip(14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_through_as_the_server_prints_it_15() {
    round_trip(15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_through_as_the_server_prints_it_16() {
    round_trip(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_through_as_the_server_prints_it_17() {
    round_trip(17).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_through_as_the_server_prints_it_18() {
    round_trip(18).await;
}
