//! Tables of which only a part would arrive: such a one is stopped or told of, and never passes for whole.

use std::time::Duration;

use tailwater_core::pattern::Patterns;
use tailwater_integration_tests::pipeline::{Pipeline, Running, rows};
use tailwater_integration_tests::servers::{self, Database, any_version};
use tailwater_integration_tests::{Client, wait_for, warnings};

use crate::load::slot;

const PATIENCE: Duration = Duration::from_secs(120);

/// The tables that the sink has stopped, because it could not keep them right.
pub(super) fn stopped(pipeline: &Pipeline) -> Vec<String> {
    let stopped = tailwater_duckdb::stopped_tables(&pipeline.sink).unwrap();
    let mut stopped: Vec<String> = stopped.into_iter().map(|stopped| stopped.table).collect();
    stopped.sort_unstable();
    stopped
}

/// The tables there are in schema public of the target.
pub(super) fn held(pipeline: &Pipeline) -> Vec<String> {
    let sql =
        "(SELECT t.table_name FROM information_schema.tables t WHERE t.table_schema = 'public' ORDER BY 1) x";
    rows(&pipeline.file(), sql).into_iter().flatten().flatten().collect()
}

fn wants(pipeline: &mut Pipeline, patterns: &[&str]) {
    pipeline.source.tables = Patterns::parse(patterns.iter().copied()).unwrap();
}

/// A pipeline that reads a publication of all tables.
async fn of_everything(database: &Database, client: &Client, patterns: &[&str]) -> Pipeline {
    let mut pipeline = Pipeline::new(database, patterns);
    (pipeline.source.publication, pipeline.source.publication_is_given) = ("everything".to_owned(), true);
    client.run("CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root = true)").await;
    pipeline
}

/// Streams in the background, and has looked at the catalogue.
async fn streaming(pipeline: &Pipeline, client: &Client) -> Running {
    let running = pipeline.start();
    running.streams(None, PATIENCE).await;
    wait_for("the slot is followed", PATIENCE, async || {
        (slot(client, &pipeline.source.slot, "active").await == "t").then_some(())
    })
    .await;
    running
}

/// Waits until everything committed by now is in the target.
async fn caught_up(pipeline: &Pipeline, client: &Client) {
    let end = client.value("SELECT pg_current_wal_insert_lsn()").await;
    wait_for("the target has everything", PATIENCE, async || {
        let reached = slot(client, &pipeline.source.slot, &format!("confirmed_flush_lsn >= '{end}'")).await;
        (reached == "t").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_14_a_table_that_was_left_out_passes_for_whole_when_it_is_wanted() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
             CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 100);
             CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1);
             CREATE UNLOGGED TABLE c (id int PRIMARY KEY); INSERT INTO c SELECT generate_series(1, 100)",
        )
        .await;
    let mut pipeline = of_everything(&database, &client, &["public.a", "public.d"]).await;
    pipeline.catch_up().await.unwrap();
    wants(&mut pipeline, &["public.*", "!public.other"]);
    client.run("INSERT INTO b VALUES (101); INSERT INTO a VALUES (2)").await;
    pipeline.catch_up().await.unwrap();
    assert_eq!(stopped(&pipeline), ["public.b"]);
    client.run("ALTER TABLE other RENAME TO d; INSERT INTO d VALUES (2)").await;
    client.run("ALTER TABLE c SET LOGGED; INSERT INTO c VALUES (101); INSERT INTO a VALUES (3)").await;
    pipeline.catch_up().await.unwrap();
    assert_eq!(stopped(&pipeline), ["public.b", "public.c", "public.d"]);
    pipeline.assert_equal(&client, &["public.a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_14_a_table_passes_for_whole_once_the_publication_holds_all_tables() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
             CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 100)",
        )
        .await;
    let mut pipeline = Pipeline::new(&database, &["public.*"]);
    (pipeline.source.publication, pipeline.source.publication_is_given) = ("p".to_owned(), true);
    client.run("CREATE PUBLICATION p FOR TABLE a").await;
    pipeline.catch_up().await.unwrap();
    client.run("BEGIN; DROP PUBLICATION p; CREATE PUBLICATION p FOR ALL TABLES; COMMIT").await;
    client.run("INSERT INTO b VALUES (101)").await;
    pipeline.catch_up().await.unwrap();
    assert_eq!(stopped(&pipeline), ["public.b"]);

    client.run("BEGIN; DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE a; COMMIT").await;
    let running = streaming(&pipeline, &client).await;
    client.run("CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)").await;
    client.run("BEGIN; DROP PUBLICATION p; CREATE PUBLICATION p FOR ALL TABLES; COMMIT").await;
    client.run("INSERT INTO late VALUES (2); INSERT INTO a VALUES (2)").await;
    caught_up(&pipeline, &client).await;
    running.stop().await.unwrap();
    assert_eq!(stopped(&pipeline), ["public.b", "public.late"]);
    pipeline.assert_equal(&client, &["public.a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_14_a_table_made_while_it_streams_passes_for_whole_where_it_is_not() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
             CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        )
        .await;
    let pipeline = of_everything(&database, &client, &["public.*", "!public.tmp_*"]).await;
    let running = streaming(&pipeline, &client).await;
    for sql in [
        // Whole.
        "CREATE TABLE born (id int PRIMARY KEY); INSERT INTO born VALUES (1)",
        "CREATE TABLE two (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE two_1 PARTITION OF two FOR VALUES FROM (0) TO (10); INSERT INTO two VALUES (1)",
        // Not whole: rows came under a name that is not wanted, into no log, or as part of another table.
        "CREATE TABLE tmp_x (id int PRIMARY KEY); INSERT INTO tmp_x VALUES (1)",
        "ALTER TABLE tmp_x RENAME TO renamed; INSERT INTO renamed VALUES (2)",
        "CREATE UNLOGGED TABLE quiet (id int PRIMARY KEY); INSERT INTO quiet VALUES (1)",
        "ALTER TABLE quiet SET LOGGED; INSERT INTO quiet VALUES (2)",
        "CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10); INSERT INTO root VALUES (1)",
        "ALTER TABLE root DETACH PARTITION leaf; INSERT INTO leaf VALUES (2)",
        "CREATE TABLE part (id int PRIMARY KEY); INSERT INTO part VALUES (1)",
        "CREATE TABLE three (id int PRIMARY KEY) PARTITION BY RANGE (id);
         ALTER TABLE three ATTACH PARTITION part FOR VALUES FROM (0) TO (10); INSERT INTO three VALUES (2)",
    ] {
        client.run(sql).await;
    }
    caught_up(&pipeline, &client).await;
    running.stop().await.unwrap();
    assert_eq!(stopped(&pipeline), ["public.leaf", "public.quiet", "public.renamed", "public.three"]);
    pipeline.assert_equal(&client, &["public.a", "public.born", "public.two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_05_a_partition_that_sends_less_than_its_root_makes_values_null() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE root (id int PRIMARY KEY, big text, n int) PARTITION BY RANGE (id);
             ALTER TABLE root REPLICA IDENTITY FULL; ALTER TABLE root ALTER big SET STORAGE EXTERNAL;
             CREATE TABLE leaf_a PARTITION OF root FOR VALUES FROM (0) TO (10);
             ALTER TABLE leaf_a REPLICA IDENTITY FULL;
             INSERT INTO root VALUES (1, repeat('a', 10000), 0), (2, NULL, 0)",
        )
        .await;
    let pipeline = Pipeline::new(&database, &["public.root"]);
    pipeline.catch_up().await.unwrap();
    client
        .run(
            "CREATE TABLE leaf_b PARTITION OF root FOR VALUES FROM (10) TO (20);
             INSERT INTO root VALUES (11, repeat('b', 10000), 0), (12, repeat('c', 10000), NULL), (13, NULL, 0)",
        )
        .await;
    let update =
        "UPDATE root SET n = coalesce(n, 0) + 1; UPDATE root SET id = id + 5 WHERE id IN (1, 11, 13);
                  DELETE FROM root WHERE id = 18; UPDATE root SET n = NULL WHERE id = 2";
    client.run(update).await;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.root"]).await;
    // The catalogue says that all is well now; the log from before does not become any better by that.
    client.run("UPDATE root SET n = 7; UPDATE root SET id = id - 5 WHERE id > 15").await;
    client.run("ALTER TABLE leaf_b REPLICA IDENTITY FULL; UPDATE root SET n = NULL WHERE id > 10").await;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.root"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_05_a_partition_that_identifies_rows_by_other_columns_stops() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE root (id int PRIMARY KEY, code int NOT NULL) PARTITION BY RANGE (id);
             CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (100); INSERT INTO root VALUES (1, 1)",
        )
        .await;
    let pipeline = Pipeline::new(&database, &["public.root"]);
    pipeline.catch_up().await.unwrap();
    client
        .run(
            "CREATE UNIQUE INDEX by_code ON leaf (code); ALTER TABLE leaf REPLICA IDENTITY USING INDEX by_code;
             INSERT INTO root VALUES (2, 2)",
        )
        .await;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.root"]).await;
    client.run("UPDATE root SET id = 50 WHERE id = 1").await;
    let error = pipeline.catch_up().await.unwrap_err();
    assert_eq!(error.code(), "TW-PG-049", "{error}");
    let remedy = error.remedy_text().unwrap();
    assert!(remedy.contains("\"root\"") && remedy.contains("\"leaf\""), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_renamed_out_of_tables_and_changed_is_told_of() {
    warnings::keep();
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE keep_me (id int PRIMARY KEY); INSERT INTO keep_me VALUES (1)").await;
    let pipeline = Pipeline::new(&database, &["public.keep_me"]);
    pipeline.catch_up().await.unwrap();
    let running = streaming(&pipeline, &client).await;
    client.run("INSERT INTO keep_me VALUES (2)").await;
    client.run("ALTER TABLE keep_me RENAME TO gone_astray; INSERT INTO gone_astray VALUES (3)").await;
    caught_up(&pipeline, &client).await;
    running.stop().await.unwrap();
    assert_eq!(warnings::with(&["WARN", "public.keep_me", "public.gone_astray"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_comes_later_and_is_not_published_is_told_of_once() {
    warnings::keep();
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE root (id int) PARTITION BY RANGE (id)")
        .await;
    let pipeline = Pipeline::new(&database, &["public.*"]);
    let running = streaming(&pipeline, &client).await;
    client
        .run(
            "CREATE TABLE came_later (id int PRIMARY KEY); INSERT INTO came_later VALUES (1);
             CREATE TABLE a_leaf_of_root PARTITION OF root FOR VALUES FROM (0) TO (10);
             CREATE UNLOGGED TABLE came_unlogged (id int PRIMARY KEY)",
        )
        .await;
    let told = || warnings::with(&["WARN", "came_later"]);
    wait_for("the table is told of", PATIENCE, async || (!told().is_empty()).then_some(())).await;
    running.stop().await.unwrap();
    assert!(told()[0].contains("TW-PG-119") && told()[0].contains("tailwater drop"), "{:?}", told());
    assert_eq!(told().len(), 1);
    pipeline.catch_up().await.unwrap();
    assert_eq!(told().len(), 2, "a start tells of it again");
    assert_eq!(warnings::with(&["a_leaf_of_root"]), [""; 0]);
    assert_eq!(warnings::with(&["came_unlogged"]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_given_publication_leaves_out_is_told_at_the_start() {
    warnings::keep();
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run("CREATE TABLE a (id int PRIMARY KEY); CREATE PUBLICATION some_of_it FOR TABLE a WITH (publish = 'insert')")
        .await;
    let mut pipeline = Pipeline::new(&database, &["public.a"]);
    (pipeline.source.publication, pipeline.source.publication_is_given) = ("some_of_it".to_owned(), true);
    pipeline.catch_up().await.unwrap();
    let told = warnings::with(&["WARN", "TW-PG-118", "some_of_it", "update, delete, truncate"]);
    assert_eq!(told.len(), 1, "{told:?}");
}
