//! What is read: values that are not sent, keys that change, truncates, schema changes, and the text of values.

use tailwater_core::ErrorKind;
use tailwater_integration_tests::pipeline::{Pipeline, rows};
use tailwater_integration_tests::servers::{self, all_versions, any_version};

use super::tables::{held, stopped};

#[tokio::test(flavor = "multi_thread")]
async fn loss_05_a_value_that_was_not_sent_becomes_null() {
    const TABLES: [&str; 3] = ["public.by_key", "public.by_full", "public.by_index"];
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    for table in TABLES.iter().chain(&["public.by_nothing"]) {
        client
            .run(&format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, code int NOT NULL UNIQUE, big text, n int);
                 ALTER TABLE {table} ALTER big SET STORAGE EXTERNAL;
                 INSERT INTO {table} VALUES (1, 1, repeat('a', 10000), 0), (2, 2, NULL, 0)"
            ))
            .await;
    }
    client
        .run(
            "ALTER TABLE by_full REPLICA IDENTITY FULL;
             ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key;
             ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
             CREATE PUBLICATION only_inserts FOR TABLE by_nothing WITH (publish = 'insert')",
        )
        .await;
    let pipeline = Pipeline::new(&database, &["public.by_*", "!public.by_nothing"]);
    let mut inserts = Pipeline::at(&database.url(), &format!("{}_n", database.name), &["public.by_nothing"]);
    inserts.source.publication = "only_inserts".to_owned();
    inserts.source.publication_is_given = true;
    pipeline.catch_up().await.unwrap();
    inserts.catch_up().await.unwrap();
    for table in TABLES {
        client
            .run(&format!(
                "UPDATE {table} SET n = 1;
                 BEGIN;
                 INSERT INTO {table} VALUES (3, 3, repeat('b', 10000), 0);
                 UPDATE {table} SET n = 2 WHERE id = 3;
                 UPDATE {table} SET n = n + 1 WHERE id = 3;
                 COMMIT;
                 BEGIN;
                 UPDATE {table} SET id = 11 WHERE id = 1;
                 UPDATE {table} SET code = 13 WHERE id = 3;
                 UPDATE {table} SET n = 9 WHERE id IN (3, 11);
                 UPDATE {table} SET big = repeat('c', 10000) WHERE id = 2;
                 UPDATE {table} SET n = 10 WHERE id = 2;
                 COMMIT"
            ))
            .await;
    }
    client.run("INSERT INTO by_nothing VALUES (3, 3, repeat('b', 10000), 0)").await;
    pipeline.catch_up().await.unwrap();
    inserts.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &TABLES).await;
    inserts.assert_equal(&client, &["public.by_nothing"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_06_a_key_change_is_taken_for_nulls_and_a_long_key_is_not_sent() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE wide (a int, id int, b text, c text, d numeric, PRIMARY KEY (id, c));
             INSERT INTO wide SELECT n, n, 'b', 'c' || n, n FROM generate_series(1, 50) n;
             CREATE TABLE long (id text PRIMARY KEY, n int);
             ALTER TABLE long ALTER id SET STORAGE EXTERNAL;
             INSERT INTO long SELECT string_agg(md5(n || '/' || m), '' ORDER BY m), n
             FROM generate_series(1, 5) n, generate_series(1, 79) m GROUP BY n",
        )
        .await;
    assert_eq!(client.value("SELECT max(length(id)) FROM long").await, "2528");
    let pipeline = Pipeline::new(&database, &["public.wide", "public.long"]);
    pipeline.catch_up().await.unwrap();
    client
        .run(
            "UPDATE wide SET id = id + 1000 WHERE id % 2 = 0;
             UPDATE wide SET c = 'other' WHERE id = 1;
             UPDATE wide SET b = NULL WHERE id = 3;
             UPDATE long SET n = n + 10 WHERE n < 4;
             UPDATE long SET id = 'x' || id WHERE n = 4;
             DELETE FROM long WHERE n = 5",
        )
        .await;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.wide", "public.long"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_11_a_truncate_is_ignored() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client
            .run(
                "CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain SELECT generate_series(1, 9);
                 CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
                 CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent); INSERT INTO child VALUES (1, 1);
                 CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
                 CREATE TABLE leaf_a PARTITION OF root FOR VALUES FROM (0) TO (10);
                 CREATE TABLE leaf_b PARTITION OF root FOR VALUES FROM (10) TO (20);
                 INSERT INTO root SELECT generate_series(0, 19)",
            )
            .await;
        let tables = ["public.plain", "public.parent", "public.child", "public.root"];
        let pipeline = Pipeline::new(&database, &["public.*"]);
        pipeline.catch_up().await.unwrap();
        client
            .run(
                "BEGIN; INSERT INTO plain VALUES (10); TRUNCATE plain; INSERT INTO plain VALUES (11); COMMIT;
                 TRUNCATE parent CASCADE; INSERT INTO parent VALUES (2); TRUNCATE root; INSERT INTO root VALUES (5), (15)",
            )
            .await;
        pipeline.catch_up().await.unwrap();
        pipeline.assert_equal(&client, &tables).await;
        // The partitions are described in the stream too, and are no tables of the target.
        assert_eq!(stopped(&pipeline), [""; 0]);
        assert_eq!(held(&pipeline), ["child", "parent", "plain", "root"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_12_a_schema_change_leaves_stale_columns() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client
            .run(
                "CREATE TABLE t (id int PRIMARY KEY, a int, b text, gone text,
                     twice int GENERATED ALWAYS AS (a * 2) STORED);
                 INSERT INTO t SELECT n, n, 'b', 'g' FROM generate_series(1, 20) n;
                 CREATE TABLE renamed (id int PRIMARY KEY); INSERT INTO renamed VALUES (1);
                 CREATE TABLE dropped (id int PRIMARY KEY); INSERT INTO dropped VALUES (1)",
            )
            .await;
        let pipeline = Pipeline::new(&database, &["public.*"]);
        pipeline.catch_up().await.unwrap();
        for change in [
            "ALTER TABLE t ADD plain int",
            "ALTER TABLE t ADD constant int DEFAULT 7",
            "ALTER TABLE t ADD word text NOT NULL DEFAULT 'it''s'",
            "ALTER TABLE t DROP gone",
            "ALTER TABLE t ADD gone int",
            "ALTER TABLE t RENAME b TO c",
            "ALTER TABLE t ALTER plain TYPE bigint",
            "ALTER TABLE t ALTER constant DROP DEFAULT",
            "ALTER TABLE t ALTER constant TYPE numeric(10, 2)",
            "ALTER TABLE renamed RENAME TO other",
            "DROP TABLE dropped",
        ] {
            client.run(change).await;
            client.run("UPDATE t SET a = a + 1 WHERE id % 3 = 0; DELETE FROM t WHERE id = 20").await;
            client.run("INSERT INTO t (id, a) SELECT max(id) + 1, 0 FROM t").await;
            pipeline
                .catch_up()
                .await
                .unwrap_or_else(|error| panic!("{change} on Postgres {version}: {error}"));
        }
        client.run("INSERT INTO other VALUES (2)").await;
        pipeline.catch_up().await.unwrap();
        let columns = "(SELECT id, a, plain, constant, word, gone, c FROM public.t) x";
        pipeline.assert_equal(&client, &[columns, "public.other"]).await;
        assert_eq!(stopped(&pipeline), [""; 0]);

        // Every old row has got a value of its own that no change told of.
        client.run("ALTER TABLE other ADD luck float8 DEFAULT random(); INSERT INTO other VALUES (3)").await;
        client.run("INSERT INTO t (id, a) VALUES (999, 0)").await;
        pipeline.catch_up().await.unwrap();
        assert_eq!(stopped(&pipeline), ["public.other"]);
        pipeline.assert_equal(&client, &[columns]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_13_copy_and_stream_write_the_same_value_differently() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    let settings =
        "SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'; SET IntervalStyle = 'sql_standard';
                    SET bytea_output = 'escape'; SET extra_float_digits = -3; SET lc_monetary = 'C'";
    for setting in settings.split(';') {
        client.run(&format!("ALTER DATABASE {} {setting}", database.name)).await;
    }
    let values =
        "'2026-03-04 05:06:07.89+00'::timestamptz, '2026-03-04'::date, '1 year -2 days 3:04'::interval,
                  '\\xff00'::bytea, 0.1::float8 / 3, '2026-03-04 05:06'::timestamp, '12:13:14+05:30'::timetz";
    let client = database.connect().await;
    client
        .run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, a timestamptz, b date, c interval, d bytea, e float8, f timestamp,
                             g timetz); INSERT INTO t SELECT 1, {values}"
        ))
        .await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();
    client.run(&format!("INSERT INTO t SELECT 2, {values}")).await;
    pipeline.catch_up().await.unwrap();
    let held = rows(&pipeline.file(), "public.t");
    assert_eq!(held.len(), 2);
    assert_eq!(held[0][1..], held[1][1..]);
    assert_eq!(held[0][1].as_deref(), Some("2026-03-04 05:06:07.89+00"));
    assert_eq!(held[0][4].as_deref(), Some("\\xff00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_13_a_slot_that_decodes_prepared_transactions_is_read_as_if_it_did_not() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY)").await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();
    let slot = &pipeline.source.slot;
    client.run(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
    client
        .run(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput', false, true)"))
        .await;
    let error = pipeline.catch_up().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-PG-066"), "{error}");
}
