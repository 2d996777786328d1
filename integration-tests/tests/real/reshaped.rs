//! Tables that change while nobody follows, with the server as oracle: the target ends equal to it, or the table stops.

use tailwater_integration_tests::Client;
use tailwater_integration_tests::faults::{Failing, PLANNED};
use tailwater_integration_tests::pipeline::{Pipeline, rows};
use tailwater_integration_tests::servers::{self, all_versions, any_version};

const PREPARE: &str = "CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE other AS ENUM ('sad', 'happy');
    CREATE DOMAIN price AS numeric(10,2); CREATE DOMAIN code AS int; CREATE DOMAIN padded AS char(4);
    CREATE TYPE blank AS ENUM ('a ')";

/// The type of a column, its values, and the type it gets.
type Retype = (&'static str, &'static [&'static str], &'static str);

/// None of these changes what is printed, or the target changes it as the server does.
const KEPT: &[Retype] = &[
    ("varchar(5)", &["'ab'", "'ab   '"], "varchar(10)"),
    ("varchar(5)", &["'ab'", "'ab   '"], "text"),
    ("varchar(10)", &["'ab   '", "'abc'", "''"], "varchar(3)"),
    ("text", &["'ab   '", "'äöüé  '"], "varchar(4)"),
    ("text", &["'abcdef'", "'äöüéè'"], "varchar(4) USING v::varchar(4)"),
    ("text", &["'ab   '", "'äöü'"], "char(6)"),
    ("text", &["'Ab '"], "citext"),
    ("varchar(5)[]", &["'{ab,NULL,\"c  \"}'"], "varchar(10)[]"),
    ("char(5)", &["'ab'", "'äöüéè'", "''"], "char(10)"),
    ("char(10)", &["'ab'", "'äöüéè'", "''"], "char(5)"),
    ("char(5)", &["'ab'", "' a'"], "text"),
    ("char(5)", &["'ab'", "' a'"], "varchar(3)"),
    ("char(5)", &["'ab'"], "bpchar"),
    ("mood", &["'sad'"], "text"),
    ("mood", &["'sad'"], "char(7)"),
    ("mood[]", &["'{sad,NULL}'"], "text[]"),
    ("padded", &["'abcd'"], "varchar(5)"),
    ("padded", &["'abc'"], "char(5)"),
    ("int", &["-7", "2000000000"], "bigint"),
    ("int DEFAULT 5", &["-7", "2000000000"], "bigint"),
    ("int NOT NULL DEFAULT 5", &["-7"], "numeric(12,2)"),
    ("bigint", &["-7"], "numeric"),
    ("bigint", &["-7"], "code"),
    ("int", &["-7", "12345678"], "varchar(9)"),
    ("int", &["-7", "12345678"], "char(9)"),
    ("int[]", &["'{1,NULL}'", "'{{1,2},{3,4}}'"], "bigint[]"),
    ("numeric(10,2)", &["1.5", "-0.01"], "numeric"),
    ("numeric(10,2) DEFAULT 1", &["1.5", "-0.01"], "numeric(12,2)"),
    ("numeric(10,2)", &["1.5", "'NaN'"], "numeric(12,2)"),
    ("numeric(10,2)", &["1.5"], "numeric(12,4)"),
    ("numeric(10,2)", &["1.5"], "numeric(50,2)"),
    ("numeric(50,2)", &["1.5", "'NaN'"], "numeric(60,2)"),
    ("numeric(50,2)", &["1.5"], "numeric"),
    ("price", &["1.5"], "numeric(10,2)"),
    ("numeric(10,2)", &["1.5"], "price"),
    ("bool", &["true", "false"], "text"),
    ("bool", &["true", "false"], "char(7)"),
    ("real", &["0.1", "-3e30"], "float8"),
    ("float8", &["0.1", "1e-30"], "real"),
    ("date", &["'2026-11-21'", "'0044-03-15 BC'"], "text"),
    ("uuid", &["gen_random_uuid()"], "text"),
    ("jsonb", &["'{\"a\": [1, 2]}'"], "json"),
    ("jsonb", &["'{\"a\": [1, 2]}'"], "text"),
    ("json", &["'{\"a\":  1}'"], "text"),
    ("text", &["'{\"a\":  1} '"], "json USING v::json"),
    ("timestamp(3)", &["'2026-11-21 04:05:06.789'", "'infinity'"], "timestamp"),
    ("timestamp DEFAULT now()", &["'2026-11-21 04:05:06.789123'"], "timestamp(6)"),
    ("timestamptz(0)", &["'2026-11-21 04:05:06+02'"], "timestamptz(3)"),
    ("timestamp(3)[]", &["'{2026-11-21 04:05:06.789}'"], "timestamp[]"),
    ("time(2)", &["'04:05:06.78'"], "time"),
    ("timetz(2)", &["'04:05:06.78+02'"], "timetz(4)"),
    ("interval(2)", &["'1 year -3 days 04:05:06.78'"], "interval"),
    ("interval day to second", &["'3 days 04:05:06.78'"], "interval"),
    ("bit(4)", &["B'0101'"], "varbit"),
    ("varbit(4)", &["B'010'"], "varbit(8)"),
    ("cidr", &["'10.0.0.0/8'"], "text"),
];

/// These change values in a way that the target cannot tell or cannot do.
const STOPPED: &[Retype] = &[
    ("timestamp", &["'2026-11-21 04:05:06.7895'"], "timestamp(3)"),
    ("timestamp(3)[]", &["'{2026-11-21 04:05:06.789}'"], "timestamp(0)[]"),
    ("timestamp", &["'2026-11-21 04:05:06'"], "timestamptz"),
    ("interval", &["'1 year 3 days 04:05:06.78'"], "interval year to month"),
    ("numeric(10,4)", &["1.2345"], "numeric(10,2)"),
    ("numeric", &["1.2345"], "numeric(10,2)"),
    ("text", &["'abc'"], "int USING length(v)"),
    ("mood", &["'sad'"], "other USING (CASE v WHEN 'sad' THEN 'happy' ELSE 'sad' END)::other"),
    ("char(3)[]", &["'{a,b}'"], "text[]"),
    ("text[]", &["'{\"ab  \"}'"], "varchar(3)[]"),
    ("json", &["'{\"b\":1,  \"a\":2}'"], "jsonb"),
    ("json[]", &["ARRAY['{\"b\":1,  \"a\":2}'::json]"], "jsonb[]"),
    ("timestamptz", &["now()"], "text"),
    // Of these the target does not know which one keeps its blanks.
    ("padded", &["'abc'"], "text"),
    ("blank", &["'a '"], "text"),
    ("blank[]", &["'{\"a \"}'"], "text[]"),
    ("padded[]", &["'{abc}'"], "text[]"),
    ("padded[]", &["'{{abcd},{abc}}'"], "text[]"),
    ("inet", &["'10.0.0.1'"], "text"),
];

/// Table `number`, with the values of a column `v`.
async fn create(client: &Client, number: usize, (column, values, _): Retype) {
    client.run(&format!("CREATE TABLE r{number} (id int PRIMARY KEY, v {column}, w int)")).await;
    for (id, value) in values.iter().chain(values.first()).enumerate() {
        client.run(&format!("INSERT INTO r{number} VALUES ({id}, {value}, 0)")).await;
    }
}

fn stopped(pipeline: &Pipeline) -> Vec<String> {
    let stopped = tailwater_duckdb::stopped_tables(&pipeline.sink).unwrap();
    stopped.into_iter().map(|stopped| stopped.table).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retyped_column_ends_as_in_the_source_or_stops_its_table() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client.run(PREPARE).await;
        client.run("SET TimeZone = 'UTC'").await;
        let cases = KEPT.iter().chain(STOPPED).copied().enumerate();
        for (number, retype) in cases.clone() {
            create(&client, number, retype).await;
        }
        let pipeline = Pipeline::new(&database, &["public.r*"]);
        pipeline.catch_up().await.unwrap();
        for (number, (_, _, to)) in cases.clone() {
            client.run(&format!("ALTER TABLE r{number} ALTER v TYPE {to}")).await;
            client
                .run(&format!("UPDATE r{number} SET w = 1 WHERE id = (SELECT max(id) FROM r{number})"))
                .await;
            client.run(&format!("INSERT INTO r{number} SELECT 100, v FROM r{number} WHERE id = 0")).await;
        }
        pipeline.catch_up().await.unwrap();
        let stopped = stopped(&pipeline);
        let mut wrong = Vec::new();
        for (number, (from, _, to)) in cases {
            let mut wanted = client.rows(&format!("SELECT * FROM r{number}")).await;
            let mut held = rows(&pipeline.file(), &format!("r{number}"));
            wanted.sort_unstable();
            held.sort_unstable();
            let stops = stopped.contains(&format!("public.r{number}"));
            if stops != (number >= KEPT.len()) || (!stops && wanted != held) {
                wrong.push(format!("{from} to {to}: stops {stops}, Postgres {wanted:?}, DuckDB {held:?}"));
            }
        }
        assert!(wrong.is_empty(), "Postgres {version}:\n{}", wrong.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_may_be_renamed_moved_or_dropped_after_use() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client
            .run(
                "CREATE SCHEMA elsewhere; CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE gone AS ENUM ('x');
                 CREATE DOMAIN word AS varchar(9);
                 CREATE TABLE t (id int PRIMARY KEY, a mood, b mood[], c word, d gone, e gone[]);
                 CREATE TABLE swapped (id int PRIMARY KEY, a mood);
                 INSERT INTO t VALUES (1, 'sad', '{happy,NULL}', 'w', 'x', '{x,NULL}'); INSERT INTO swapped VALUES (1, 'sad')",
            )
            .await;
        let pipeline = Pipeline::new(&database, &["public.*"]);
        pipeline.catch_up().await.unwrap();
        client
            .run(
                "INSERT INTO t VALUES (2, 'sad', '{}', 'w', 'x', '{}');
                 ALTER TYPE mood RENAME TO feeling; ALTER DOMAIN word SET SCHEMA elsewhere;
                 INSERT INTO t VALUES (3, 'happy', '{sad}', 'w', 'x', '{x}');
                 ALTER TABLE t ALTER d TYPE text, ALTER e TYPE text[]; DROP TYPE gone;
                 INSERT INTO t VALUES (4, 'happy', '{sad}', 'w', 'y', '{z}'); DELETE FROM t WHERE id = 2",
            )
            .await;
        // Another type has the name by now, and nobody can tell what became of the values.
        client
            .run(
                "CREATE TYPE mood AS ENUM ('happy', 'sad');
                 ALTER TABLE swapped ALTER a TYPE mood USING (CASE a WHEN 'sad' THEN 'happy' ELSE 'sad' END)::mood;
                 INSERT INTO swapped VALUES (2, 'sad')",
            )
            .await;
        pipeline.catch_up().await.unwrap();
        pipeline.assert_equal(&client, &["public.t"]).await;
        assert_eq!(stopped(&pipeline), ["public.swapped"], "Postgres {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_came_and_went_while_nobody_followed_stops_nothing() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client
            .run(
                "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT n, n FROM generate_series(1, 9) n;
                 CREATE TABLE dropped (id int PRIMARY KEY); INSERT INTO dropped VALUES (1)",
            )
            .await;
        let pipeline = Pipeline::new(&database, &["public.*"]);
        pipeline.catch_up().await.unwrap();
        for change in [
            "ALTER TABLE t ADD x float8 DEFAULT random()",
            "UPDATE t SET a = 'b', x = 7 WHERE id < 3",
            "INSERT INTO t VALUES (10, 'c', 8)",
            "ALTER TABLE t ALTER x TYPE text USING 'secret'",
            "INSERT INTO t VALUES (11, 'd', 'e')",
            "ALTER TABLE t DROP x",
            "UPDATE t SET a = 'f' WHERE id IN (4, 10)",
            "DELETE FROM t WHERE id = 1",
            "ALTER TABLE dropped ADD y uuid DEFAULT gen_random_uuid()",
            "INSERT INTO dropped VALUES (2)",
            "DROP TABLE dropped",
            "INSERT INTO t VALUES (12, 'g')",
        ] {
            client.run(change).await;
        }
        pipeline.catch_up().await.unwrap();
        pipeline.assert_equal(&client, &["public.t"]).await;
        assert_eq!(stopped(&pipeline), [""; 0], "Postgres {version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_dropped_during_an_interrupted_copy_is_not_kept() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE a (id int PRIMARY KEY, note text);
             INSERT INTO a SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 9000) n;
             CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1);
             CREATE TABLE c (id int PRIMARY KEY); INSERT INTO c VALUES (1)",
        )
        .await;
    let pipeline = Pipeline::new(&database, &["public.*"]);
    let state = || {
        let file =
            tailwater_duckdb::Database::open(&pipeline.file(), &[("access_mode", "read_only")]).unwrap();
        let sql = "SELECT source_name, state FROM tailwater.tables ORDER BY 1";
        tailwater_duckdb::dump(&file.connect().unwrap(), sql).unwrap()
    };
    let row = |name: &str, state: &str| vec![Some(name.to_owned()), Some(state.to_owned())];
    // The announcement, the start of every table, and three pieces of what is one of `b`, one of `c` and more of `a`.
    let sink = Failing { sink: pipeline.new_sink(), writes: 5, after_effect: false };
    assert_eq!(pipeline.catch_up_into(sink).await.unwrap_err().code(), PLANNED);
    assert!(!rows(&pipeline.file(), "a").is_empty());
    assert!(state().contains(&row("a", "copying")), "{:?}", state());
    client.run("DROP TABLE a; ALTER TABLE b RENAME TO d").await;
    pipeline.catch_up().await.unwrap();
    assert_eq!(state(), [row("c", "following"), row("d", "following")]);
    let file = tailwater_duckdb::Database::open(&pipeline.file(), &[("access_mode", "read_only")]).unwrap();
    let tables = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'public' ORDER BY 1";
    let tables = tailwater_duckdb::dump(&file.connect().unwrap(), tables).unwrap().concat();
    assert_eq!(tables, [Some("c".to_owned()), Some("d".to_owned())]);
    pipeline.assert_equal(&client, &["public.c", "public.d"]).await;
}
