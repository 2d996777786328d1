//! The catalogue of every supported version, read by the connector: published tables, the shape of relations that the
//! catalogue has left behind, and changes that no row change tells of.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use tailwater_core::pattern::Patterns;
use tailwater_core::{Fill, Table};
use tailwater_integration_tests::pipeline::Pipeline;
use tailwater_integration_tests::servers::{self, Database, all_versions};
use tailwater_postgres::pgoutput::{Message, decode};
use tailwater_postgres::{Config, Connection, Mode, catalog, drift, shapes};

async fn connect(database: &Database, publication: &str) -> (Connection, Config) {
    let patterns = Patterns::parse(["*.*", "!public.audit_*"]).unwrap();
    let mut config = Config::new(&database.name, database.url().parse().unwrap(), patterns);
    config.publication = publication.to_owned();
    (Connection::open(&config.url, Mode::Sql).await.unwrap(), config)
}

fn fill(fill: &Fill) -> String {
    match fill {
        Fill::Null => String::new(),
        Fill::Constant(value) => format!(" = {value}"),
        Fill::Unknown(why) => format!(" unknown: {why}"),
        Fill::Renamed(id) => format!(" of column {id}"),
        Fill::Gone => " gone".to_owned(),
    }
}

async fn published(database: &Database, publication: &str) -> String {
    let (mut connection, config) = connect(database, publication).await;
    let mut text = String::new();
    for one in catalog::published(&mut connection, &config).await.unwrap() {
        let heaps: Vec<_> =
            one.heaps.iter().map(|heap| format!("{} {}p", heap.sql_name, heap.pages)).collect();
        let filter = one.row_filter.map_or(String::new(), |filter| format!(" where {filter}"));
        let (name, key) = (one.table.full_name(), &one.table.key);
        writeln!(text, "{name} {:?} key {key:?} in {}{filter}", one.identity, heaps.join(", ")).unwrap();
        for column in &one.table.columns {
            let (id, name, kind, spelled) = (column.id, &column.name, &column.kind, &column.source_type);
            writeln!(text, "  {id} {name} {spelled} {kind:?}{}", fill(&column.fill)).unwrap();
        }
    }
    text
}

async fn check_published(setup: &str, least_version: u16, expected: Expect) {
    for version in all_versions().into_iter().filter(|&version| version >= least_version) {
        let database = servers::database(version).await;
        database.connect().await.run(setup).await;
        expected.assert_eq(&published(&database, "p").await);
    }
}

#[tokio::test]
async fn every_kind_of_type_is_known() {
    let setup = r#"
        CREATE SCHEMA "Odd Schema"; CREATE EXTENSION citext;
        CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN price AS numeric(10,2); CREATE DOMAIN numbers AS int[];
        CREATE TABLE "Odd Schema"."a ""b""" (
            id int PRIMARY KEY, "Ü" mood, moods mood[], price price, prices price[], pair pair, pairs pair[],
            small numeric(5,1)[], short varchar(10), fixed char(3), ci citext, cis citext[], numbers numbers,
            lists numbers[], boxes box[], at timestamptz(3), span interval day to second, doc jsonb, bits bit(4),
            range int4range, ranges int4multirange, words tsvector, letter "char", tx xid8, vector int2vector);
        CREATE PUBLICATION p FOR ALL TABLES;"#;
    check_published(
        setup,
        0,
        expect![[r#"
        Odd Schema.a "b" Default key [0] in "Odd Schema"."a ""b""" 0p
          1 id integer Int4
          2 Ü public.mood Text
          3 moods public.mood[] Array(Text)
          4 price public.price Numeric { limits: Some((10, 2)) }
          5 prices public.price[] Array(Numeric { limits: Some((10, 2)) })
          6 pair public.pair Other
          7 pairs public.pair[] Other
          8 small numeric(5,1)[] Array(Numeric { limits: Some((5, 1)) })
          9 short character varying(10) Text
          10 fixed character(3) Text
          11 ci public.citext Text
          12 cis public.citext[] Array(Text)
          13 numbers public.numbers Array(Int4)
          14 lists public.numbers[] Other
          15 boxes box[] Other
          16 at timestamp(3) with time zone TimestampTz
          17 span interval day to second Interval
          18 doc jsonb Json
          19 bits bit(4) Other
          20 range int4range Other
          21 ranges int4multirange Other
          22 words tsvector Other
          23 letter "char" Text
          24 tx xid8 Other
          25 vector int2vector Other
    "#]],
    )
    .await;
}

#[tokio::test]
async fn added_columns_tell_what_older_rows_hold() {
    let setup = r#"
        CREATE TABLE added (id int PRIMARY KEY, gone int); INSERT INTO added VALUES (1); ALTER TABLE added DROP gone;
        ALTER TABLE added ADD plain text, ADD odd text DEFAULT 'a "b" \ {x},', ADD list text[] DEFAULT '{a,"b c"}',
            ADD at timestamptz DEFAULT '2026-01-01 00:00+02', ADD box box DEFAULT '((1,1),(0,0))',
            ADD boxes box[] DEFAULT '{((1,1),(0,0));((3,3),(0,0))}', ADD must int NOT NULL DEFAULT 5, ADD later uuid;
        ALTER TABLE added ALTER later SET DEFAULT gen_random_uuid();
        CREATE TABLE rewritten (id int PRIMARY KEY); INSERT INTO rewritten VALUES (1);
        ALTER TABLE rewritten ADD was int DEFAULT 4, ADD random uuid DEFAULT gen_random_uuid(), ADD serial bigserial,
            ADD identity int GENERATED ALWAYS AS IDENTITY, ADD generated int GENERATED ALWAYS AS (id * 2) STORED,
            ADD plain int, ADD noise float DEFAULT random() + 1;
        ALTER TABLE rewritten ADD after int DEFAULT 9;
        CREATE PUBLICATION p FOR ALL TABLES;"#;
    check_published(setup, 0, expect![[r#"
        public.added Default key [0] in "public"."added" 1p
          1 id integer Int4
          3 plain text Text
          4 odd text Text = a "b" \ {x},
          5 list text[] Array(Text) = {a,"b c"}
          6 at timestamp with time zone TimestampTz = 2025-12-31 22:00:00+00
          7 box box Other = (1,1),(0,0)
          8 boxes box[] Other = {(1,1),(0,0);(3,3),(0,0)}
          9 must integer Int4 = 5
          10 later uuid Uuid
        public.rewritten Default key [0] in "public"."rewritten" 1p
          1 id integer Int4 unknown: the table was rewritten, and it is NOT NULL without a default
          2 was integer Int4 unknown: the table was rewritten, and its default may stand in older rows
          3 random uuid Uuid unknown: the table was rewritten, and its default differs from row to row
          4 serial bigint Int8 unknown: the table was rewritten, and its default differs from row to row
          5 identity integer Int4 unknown: the table was rewritten, and it is an identity column
          7 plain integer Int4
          8 noise double precision Float8 unknown: the table was rewritten, and its default differs from row to row
          9 after integer Int4 = 9
    "#]]).await;
}

#[tokio::test]
async fn partitions_are_one_table_through_their_root() {
    let setup = r#"
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
        CREATE TABLE "parts 2a" PARTITION OF parts_2 FOR VALUES FROM (10) TO (15);
        INSERT INTO parts SELECT generate_series(1, 14);
        ALTER TABLE parts ADD c int DEFAULT 7;
        CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
        CREATE TABLE audit_log (id int PRIMARY KEY);
        CREATE PUBLICATION p FOR TABLE parts, audit_log WITH (publish_via_partition_root)"#;
    check_published(
        setup,
        0,
        expect![[r#"
        public.parts Default key [0] in "public"."parts 2a" 1p, "public"."parts_1" 1p, "public"."parts_3" 0p
          1 id integer Int4
          2 c integer Int4 = 7
    "#]],
    )
    .await;
    let leaves = setup.replace("publish_via_partition_root", "publish = 'insert'");
    check_published(
        &leaves,
        0,
        expect![[r#"
        public.parts 2a Default key [0] in "public"."parts 2a" 1p
          1 id integer Int4
          2 c integer Int4 = 7
        public.parts_1 Default key [0] in "public"."parts_1" 1p
          1 id integer Int4
          2 c integer Int4 = 7
        public.parts_3 Default key [0] in "public"."parts_3" 0p
          1 id integer Int4
          2 c integer Int4
    "#]],
    )
    .await;
}

#[tokio::test]
async fn keys_are_what_changes_will_carry() {
    let setup = "
        CREATE TABLE by_index (id int PRIMARY KEY, b text NOT NULL, a int NOT NULL);
        CREATE UNIQUE INDEX by_index_key ON by_index (a, b) INCLUDE (id);
        ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_key;
        CREATE TABLE late (id int PRIMARY KEY DEFERRABLE); ALTER TABLE late REPLICA IDENTITY FULL;
        CREATE TABLE pair (b int, v text, a int, PRIMARY KEY (a, b)); ALTER TABLE pair REPLICA IDENTITY FULL;
        CREATE TABLE keyless (v text); CREATE TABLE nothing ();
        CREATE PUBLICATION p FOR ALL TABLES;";
    check_published(
        setup,
        0,
        expect![[r#"
        public.by_index Index key [1, 2] in "public"."by_index" 0p
          1 id integer Int4
          2 b text Text
          3 a integer Int4
        public.keyless Default key [] in "public"."keyless" 0p
          1 v text Text
        public.late Full key [] in "public"."late" 0p
          1 id integer Int4
        public.nothing Default key [] in "public"."nothing" 0p
        public.pair Full key [0, 2] in "public"."pair" 0p
          1 b integer Int4
          2 v text Text
          3 a integer Int4
    "#]],
    )
    .await;
}

#[tokio::test]
async fn column_lists_and_row_filters_are_followed() {
    let setup = "
        CREATE TABLE t (id int PRIMARY KEY, secret text, v int GENERATED ALWAYS AS (id + 1) STORED);
        CREATE TABLE u (v text, w int);
        CREATE PUBLICATION p FOR TABLE t (id) WHERE (id > 5), u (w) WITH (publish = 'insert');";
    check_published(
        setup,
        15,
        expect![[r#"
        public.t Default key [0] in "public"."t" 0p where (id > 5)
          1 id integer Int4
        public.u Default key [] in "public"."u" 0p
          2 w integer Int4
    "#]],
    )
    .await;
    let setup = "
        CREATE TABLE t (id int PRIMARY KEY, s int GENERATED ALWAYS AS (id + 1) STORED,
                        v int GENERATED ALWAYS AS (id + 2) VIRTUAL);
        CREATE PUBLICATION p FOR TABLE t WITH (publish_generated_columns = stored);";
    check_published(
        setup,
        18,
        expect![[r#"
        public.t Default key [0] in "public"."t" 0p
          1 id integer Int4
          2 s integer Int4
    "#]],
    )
    .await;
}

/// The shapes of all relations in a slot, found after everything has happened.
async fn resolved(database: &Database) -> String {
    let (mut connection, _) = connect(database, "p").await;
    let client = database.connect().await;
    let sql = format!(
        "SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes('{}', NULL, NULL,
                'proto_version', '1', 'publication_names', 'p')",
        database.name
    );
    let (mut text, mut previous) = (String::new(), None::<Table>);
    for hex in client.rows(&sql).await.into_iter().flatten().flatten() {
        let bytes = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let message: Vec<u8> = (0..hex.len()).step_by(2).map(bytes).collect();
        let Message::Relation { relation, .. } = decode(&message, false).unwrap() else { continue };
        let row = shapes::fetch(&mut connection, relation.oid, &shapes::types(&relation)).await.unwrap();
        let table = shapes::resolve(&relation, &row, previous.as_ref());
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|column| {
                let gone = column.source_type.ends_with("dropped since");
                let spelled = if gone { "a dropped type" } else { &column.source_type };
                format!("{} {} {spelled}{}", column.id, column.name, fill(&column.fill))
            })
            .collect();
        writeln!(text, "{} ({}) key {:?}", table.full_name(), columns.join(", "), table.key).unwrap();
        previous = Some(table);
    }
    client.run(&format!("SELECT pg_drop_replication_slot('{}')", database.name)).await;
    text
}

async fn check_resolved(setup: &str, changes: &str, expected: Expect) {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client.run(setup).await;
        client.run("CREATE PUBLICATION p FOR ALL TABLES").await;
        client
            .run(&format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", database.name))
            .await;
        for change in changes.split(';') {
            client.run(change).await;
        }
        expected.assert_eq(&resolved(&database).await);
    }
}

#[tokio::test]
async fn relations_find_their_columns_though_the_catalogue_has_moved_on() {
    check_resolved(
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, a int, b mood)",
        "INSERT INTO t VALUES (1, 1, 'sad'); ALTER TABLE t RENAME a TO c; INSERT INTO t VALUES (2);
         ALTER TABLE t ALTER b TYPE text; INSERT INTO t VALUES (3); ALTER TABLE t ADD d text DEFAULT 'x';
         INSERT INTO t VALUES (4); ALTER TABLE t DROP c; INSERT INTO t VALUES (5); ALTER TABLE t RENAME TO u;
         INSERT INTO u VALUES (6); ALTER TABLE u ADD c numeric(5,2); INSERT INTO u VALUES (7);
         ALTER TABLE u REPLICA IDENTITY FULL; UPDATE u SET d = 'y'; DROP TYPE mood",
        expect![[r#"
            public.t (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 2 a integer gone, 3 b a dropped type) key [0]
            public.t (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 2 c integer gone, 3 b a dropped type) key [0]
            public.t (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 2 c integer gone, 3 b text) key [0]
            public.t (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 2 c integer gone, 3 b text, 4 d text = x) key [0]
            public.t (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 3 b text, 4 d text = x) key [0]
            public.u (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 3 b text, 4 d text = x) key [0]
            public.u (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 3 b text, 4 d text = x, 5 c numeric(5,2)) key [0]
            public.u (1 id integer unknown: the table was rewritten, and it is NOT NULL without a default, 3 b text, 4 d text = x, 5 c numeric(5,2)) key [0]
        "#]],
    )
    .await;
}

#[tokio::test]
async fn rows_of_a_table_that_is_gone_have_a_shape() {
    check_resolved(
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, m mood)",
        "INSERT INTO t VALUES (1); ALTER TABLE t ADD v varchar(5); INSERT INTO t VALUES (2); DROP TABLE t;
         DROP TYPE mood",
        expect![[r#"
            public.t (1 id integer gone, 2 m a dropped type gone) key [0]
            public.t (1 id integer gone, 2 m a dropped type gone, 3 v character varying(5) gone) key [0]
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_renamed_and_others_added_while_nobody_looked_are_told_apart() {
    let database = servers::database(servers::any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, old text); INSERT INTO t VALUES (1, 'a')").await;
    let pipeline = Pipeline::new(&database, &["public.*"]);
    pipeline.catch_up().await.unwrap();
    client.run("INSERT INTO t VALUES (2, 'b'); ALTER TABLE t RENAME old TO new").await;
    client.run("ALTER TABLE t ADD more text, ADD most int; INSERT INTO t VALUES (3, 'c', 'm', 5)").await;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.t"]).await;
}

/// An `ALTER TABLE` or `VACUUM FULL` may take hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_alters_holds_up_no_other() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let (client, alterer) = (database.connect().await, database.connect().await);
        client.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)").await;
        let pipeline = Pipeline::new(&database, &["public.*"]);
        pipeline.catch_up().await.unwrap();
        client.run("INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)").await;
        alterer.run("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await;
        tokio::time::timeout(Duration::from_secs(300), pipeline.catch_up()).await.unwrap().unwrap();
        pipeline.assert_equal(&client, &["public.u"]).await;
        alterer.run("ALTER TABLE t ADD word text DEFAULT 'x'; COMMIT").await;
        // A row tells of the new shape; without one it is found a little later than a run takes that only catches up.
        client.run("INSERT INTO t VALUES (2, 'y')").await;
        pipeline.catch_up().await.unwrap();
        pipeline.assert_equal(&client, &["public.t"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_cannot_be_told_apart_stop_their_table_and_no_other() {
    let database = servers::database(servers::any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT INTO t VALUES (1, 2, 3)").await;
    client.run("CREATE TABLE u (id int PRIMARY KEY)").await;
    let pipeline = Pipeline::new(&database, &["public.*"]);
    pipeline.catch_up().await.unwrap();
    client.run("INSERT INTO t VALUES (2, 3, 4); INSERT INTO u VALUES (1)").await;
    client.run("ALTER TABLE t RENAME a TO x; ALTER TABLE t DROP b; ALTER TABLE t ADD c int").await;
    client.run("INSERT INTO t VALUES (3, 4, 5); INSERT INTO u VALUES (2)").await;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.u"]).await;
    let stopped = tailwater_duckdb::stopped_tables(&pipeline.sink).unwrap();
    let stopped: Vec<&str> = stopped.iter().map(|stopped| stopped.table.as_str()).collect();
    assert_eq!(stopped, ["public.t"]);
    assert_eq!(tailwater_integration_tests::pipeline::rows(&pipeline.file(), "t").len(), 1);
}

#[tokio::test]
async fn drift_is_found_without_a_row_change() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client
            .run("CREATE TABLE same (id int PRIMARY KEY); CREATE TABLE dropped (id int); CREATE TABLE named (id int);
                  CREATE TABLE grown (id int PRIMARY KEY, a int); CREATE TABLE hidden (id int);
                  CREATE TABLE moved (id int); CREATE SCHEMA other; CREATE PUBLICATION p FOR ALL TABLES")
            .await;
        let (mut connection, config) = connect(&database, "p").await;
        let tables = catalog::published(&mut connection, &config).await.unwrap();
        let known: Vec<Arc<Table>> = tables.into_iter().map(|one| one.table).collect();
        let drift = drift::read(&mut connection, &config, &known).await.unwrap();
        assert!(drift.is_empty(), "{drift:?}");
        client
            .run("DROP TABLE dropped; ALTER TABLE named RENAME TO renamed; ALTER TABLE grown ADD b text DEFAULT 'x';
                  ALTER TABLE grown DROP a; ALTER TABLE hidden RENAME TO audit_hidden;
                  ALTER TABLE moved SET SCHEMA other; CREATE TABLE new (id int)")
            .await;
        let after = client.value("SELECT pg_current_wal_flush_lsn()").await.parse().unwrap();
        let drift = drift::read(&mut connection, &config, &known).await.unwrap();
        assert!(drift.as_of >= after, "{} < {after}", drift.as_of);
        let mut text = String::new();
        drift.dropped.iter().for_each(|table| text += &format!("dropped {}\n", table.full_name()));
        drift.left.iter().for_each(|table| text += &format!("left {}\n", table.full_name()));
        for change in &drift.reshaped {
            let columns: Vec<_> = change
                .is
                .columns
                .iter()
                .map(|one| format!("{} {}{}", one.id, one.name, fill(&one.fill)))
                .collect();
            text += &format!(
                "{} is {} ({})\n",
                change.was.full_name(),
                change.is.full_name(),
                columns.join(", ")
            );
        }
        expect![[r#"
            dropped public.dropped
            left public.hidden
            public.grown is public.grown (1 id, 3 b = x)
            public.moved is other.moved (1 id)
            public.named is public.renamed (1 id)
        "#]]
        .assert_eq(&text);
    }
}
