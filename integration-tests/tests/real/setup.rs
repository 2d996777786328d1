//! What the source makes at the server, what it removes again, and what `check` says of a server, with the remedies
//! carried out as they are printed.

use std::collections::BTreeSet;
use std::time::Duration;

use tailwater_core::pattern::Patterns;
use tailwater_core::{ErrorKind, Finding, Severity};
use tailwater_integration_tests::servers::{self, Database, any_version};
use tailwater_integration_tests::{Client, wait_for};
use tailwater_postgres::check::check;
use tailwater_postgres::config::Config;
use tailwater_postgres::setup::{drop_made, ensure_no_slot, ensure_publication};
use tailwater_postgres::{Connection, Mode};

const PATIENCE: Duration = Duration::from_secs(60);
/// The comment of a publication that Tailwater made.
const MARK: &str = "made by Tailwater; removed by `tailwater drop`";
const TABLES: &str = r#"
    CREATE TABLE a (id int PRIMARY KEY, note text);
    CREATE TABLE "Odd ""T" (id int PRIMARY KEY);
    CREATE TABLE keyless (n int);
    CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
    CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
    CREATE SCHEMA other;
    CREATE TABLE other.t (id int PRIMARY KEY);"#;

fn config(database: &Database, url: &str, tables: &[&str]) -> Config {
    let patterns = Patterns::parse(tables.iter().copied()).unwrap();
    Config::new(&database.name, url.parse().unwrap(), patterns)
}

async fn ensure(config: &Config) -> tailwater_core::Result<()> {
    let mut connection = Connection::open(&config.url, Mode::Replication).await?;
    ensure_publication(&mut connection, config).await?;
    ensure_no_slot(&mut connection, config).await
}

async fn published(client: &Client, config: &Config) -> String {
    let sql =
        "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY schemaname, tablename COLLATE \"C\")
               FROM pg_publication_tables WHERE pubname = ";
    client.value(&format!("{sql}'{}'", config.publication)).await
}

/// A role of the database that may log in and nothing else, and its URL.
async fn weak_role(database: &Database, client: &Client) -> (String, String) {
    let role = format!("weak_{}", database.name);
    client.run(&format!("CREATE ROLE {role} LOGIN")).await;
    (role.clone(), database.url().replace("postgres@", &format!("{role}@")))
}

#[tokio::test]
async fn the_publication_is_made_grows_with_the_patterns_and_goes() {
    for version in servers::all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        client.run(TABLES).await;
        let narrow = config(&database, &database.url(), &["public.*", "!public.keyless"]);
        ensure(&narrow).await.unwrap();
        assert_eq!(published(&client, &narrow).await, "public.Odd \"T public.a public.parts", "{version}");
        let wide = config(&database, &database.url(), &["*.*", "!public.keyless"]);
        ensure(&wide).await.unwrap();
        ensure(&wide).await.unwrap();
        assert_eq!(published(&client, &wide).await, "other.t public.Odd \"T public.a public.parts");

        client.run(&format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", wide.slot)).await;
        let error = ensure(&wide).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("TW-PG-104", ErrorKind::Operator));
        let removed = drop_made(&wide).await.unwrap();
        assert_eq!(removed, [format!("slot {}", wide.slot), format!("publication {}", wide.publication)]);
        assert_eq!(drop_made(&wide).await.unwrap(), Vec::<String>::new());
        assert_eq!(client.value("SELECT count(*) FROM pg_publication").await, "0");
    }
}

#[tokio::test]
async fn what_somebody_else_made_stays_as_it_is() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run(TABLES).await;
    let mut config = config(&database, &database.url(), &["public.a", "other.t"]);
    client.run(&format!("CREATE PUBLICATION {} FOR TABLE a", config.publication)).await;
    ensure(&config).await.unwrap();
    assert_eq!(published(&client, &config).await, "public.a");
    client
        .run(&format!("SELECT pg_create_logical_replication_slot('{}', 'test_decoding')", config.slot))
        .await;
    assert_eq!(drop_made(&config).await.unwrap_err().code(), "TW-PG-104");
    client.run(&format!("SELECT pg_drop_replication_slot('{}')", config.slot)).await;
    assert_eq!(drop_made(&config).await.unwrap(), Vec::<String>::new());
    assert_eq!(published(&client, &config).await, "public.a");

    (config.publication, config.publication_is_given) = ("given".to_owned(), true);
    let error = ensure(&config).await.unwrap_err();
    assert_eq!(error.code(), "TW-PG-101");
    client.run(error.remedy_text().unwrap()).await;
    ensure(&config).await.unwrap();
    assert_eq!(drop_made(&config).await.unwrap(), Vec::<String>::new());
    assert_eq!(published(&client, &config).await, "other.t public.a");
}

/// The server goes on with the statement of a run that was killed; the next run comes to the same one meanwhile.
#[tokio::test]
async fn a_publication_that_is_made_at_the_same_moment_is_looked_at_again() {
    let database = servers::database(any_version()).await;
    let (client, killed) = (database.connect().await, database.connect().await);
    client.run(TABLES).await;
    for statement in ["CREATE PUBLICATION {} FOR TABLE a", "ALTER PUBLICATION {} ADD TABLE other.t"] {
        let config = config(&database, &database.url(), &["public.a", "other.t"]);
        killed.run(&format!("BEGIN; {}", statement.replace("{}", &config.publication))).await;
        let next = tokio::spawn(async move { ensure(&config).await });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event_type = 'Lock'";
        wait_for("the next run waits", PATIENCE, async || (client.value(waits).await == "1").then_some(()))
            .await;
        killed.run("COMMIT").await;
        let error = next.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.kind()), ("TW-PG-071", ErrorKind::Transient), "{error}");
        killed.run(&format!("COMMENT ON PUBLICATION tailwater_{} IS '{MARK}'", database.name)).await;
    }
    let config = config(&database, &database.url(), &["public.a", "other.t"]);
    ensure(&config).await.unwrap();
    assert_eq!(published(&client, &config).await, "other.t public.a");
}

#[tokio::test]
async fn where_rights_are_missing_the_printed_sql_mends_it() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run(TABLES).await;
    let (role, url) = weak_role(&database, &client).await;
    client.run(&format!("ALTER ROLE {role} REPLICATION")).await;
    let config = config(&database, &url, &["public.a"]);
    let error = ensure(&config).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("TW-PG-101", ErrorKind::Operator));
    let (_, sql) = error.remedy_text().unwrap().split_once(": ").unwrap();
    client.run(sql).await;
    ensure(&config).await.unwrap();
}

#[tokio::test]
async fn a_table_whose_updates_would_break_is_not_published() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run(TABLES).await;
    client.run("INSERT INTO keyless VALUES (1)").await;
    let config = config(&database, &database.url(), &["public.keyless"]);
    ensure(&config).await.unwrap();
    client.run("INSERT INTO keyless VALUES (2)").await;
    drop_made(&config).await.unwrap();

    client.run("UPDATE keyless SET n = 3; SELECT pg_stat_force_next_flush()").await;
    client.run("SELECT 1").await;
    let error = ensure(&config).await.unwrap_err();
    assert_eq!(error.code(), "TW-PG-103");
    let (sql, _) = error.remedy_text().unwrap().split_once(" (or").unwrap();
    client.run(sql).await;
    ensure(&config).await.unwrap();
    client.run("UPDATE keyless SET n = 4").await;
}

#[tokio::test]
async fn a_partitioned_table_whose_updates_would_break_is_not_published() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run(
            "CREATE TABLE root (n int) PARTITION BY RANGE (n);
             CREATE TABLE leaf_a PARTITION OF root FOR VALUES FROM (0) TO (10);
             CREATE TABLE middle PARTITION OF root FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (n);
             CREATE TABLE leaf_b PARTITION OF middle FOR VALUES FROM (10) TO (20);
             INSERT INTO root VALUES (1), (11); UPDATE root SET n = n + 1; SELECT pg_stat_force_next_flush()",
        )
        .await;
    client.run("SELECT 1").await;
    let config = config(&database, &database.url(), &["public.*"]);
    let findings = check(&config).await;
    assert_eq!(codes(&findings, Severity::Error), BTreeSet::from(["TW-PG-103"]), "{findings:#?}");
    let error = ensure(&config).await.unwrap_err();
    assert_eq!(error.code(), "TW-PG-103");
    let (sql, _) = error.remedy_text().unwrap().split_once(" (or").unwrap();
    client.run(sql).await;
    assert_eq!(codes(&check(&config).await, Severity::Error), BTreeSet::new());
    ensure(&config).await.unwrap();
    client.run("UPDATE root SET n = n + 1; DELETE FROM root").await;
}

#[tokio::test]
async fn a_partition_that_does_not_identify_rows_as_its_root_does_is_refused() {
    for alter in [
        "ALTER TABLE root REPLICA IDENTITY FULL",
        "CREATE UNIQUE INDEX by_code ON leaf (code, id); ALTER TABLE leaf REPLICA IDENTITY USING INDEX by_code",
    ] {
        let database = servers::database(any_version()).await;
        let client = database.connect().await;
        client
            .run(
                "CREATE TABLE root (id int PRIMARY KEY, code int NOT NULL) PARTITION BY RANGE (id);
                 CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
                 CREATE TABLE full_leaf PARTITION OF root FOR VALUES FROM (10) TO (20);
                 ALTER TABLE full_leaf REPLICA IDENTITY FULL",
            )
            .await;
        let config = config(&database, &database.url(), &["public.*"]);
        assert_eq!(codes(&check(&config).await, Severity::Error), BTreeSet::new());
        client.run(alter).await;
        let findings = check(&config).await;
        assert_eq!(codes(&findings, Severity::Error), BTreeSet::from(["TW-PG-127"]), "{findings:#?}");
        let error = ensure(&config).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("TW-PG-127", ErrorKind::Operator));
        let sql = error.remedy_text().unwrap();
        assert!(sql.contains("\"leaf\""), "{sql}");
        client.run(sql).await;
        assert_eq!(codes(&check(&config).await, Severity::Error), BTreeSet::new());
        ensure(&config).await.unwrap();
    }
}

fn codes(findings: &[Finding], severity: Severity) -> BTreeSet<&'static str> {
    findings.iter().filter(|finding| finding.severity == severity).map(|finding| finding.code).collect()
}

#[tokio::test]
async fn one_pass_finds_everything_and_its_sql_mends_every_error() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run(TABLES).await;
    client.run("ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a USING (id > 0)").await;
    client
        .run("INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2; SELECT pg_stat_force_next_flush()")
        .await;
    let (role, url) = weak_role(&database, &client).await;
    client.run(&format!("GRANT SELECT ON a TO {role}; REVOKE ALL ON SCHEMA public FROM public")).await;
    let config = config(&database, &url, &["public.*", "other.*", "typo.t"]);

    let findings = check(&config).await;
    let errors = ["TW-PG-101", "TW-PG-103", "TW-PG-113", "TW-PG-114"];
    assert_eq!(codes(&findings, Severity::Error), BTreeSet::from(errors), "{findings:#?}");
    let warnings = ["TW-PG-116", "TW-PG-117", "TW-PG-121", "TW-PG-122"];
    assert_eq!(codes(&findings, Severity::Warning), BTreeSet::from(warnings), "{findings:#?}");

    // A second round, because who may not read a table is not told of its row security.
    for _ in 0..2 {
        for finding in check(&config).await.iter().filter(|finding| finding.severity == Severity::Error) {
            let remedy = finding.remedy.as_deref().unwrap();
            client.run(remedy.trim_start_matches("as a superuser: ")).await;
        }
    }
    let findings = check(&config).await;
    assert_eq!(codes(&findings, Severity::Error), BTreeSet::new(), "{findings:#?}");
    ensure(&config).await.unwrap();
}

#[tokio::test]
async fn the_state_of_slot_and_publication_is_found() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run(TABLES).await;
    let config = config(&database, &database.url(), &["public.a", "other.t"]);
    let (slot, publication) = (&config.slot, &config.publication);
    client.run(&format!("CREATE PUBLICATION {publication} FOR TABLE a WITH (publish = 'insert')")).await;
    client
        .run(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput', false, true)"))
        .await;
    let findings = check(&config).await;
    assert_eq!(codes(&findings, Severity::Error), BTreeSet::from(["TW-PG-066"]), "{findings:#?}");
    let warnings = BTreeSet::from(["TW-PG-118", "TW-PG-119", "TW-PG-122"]);
    assert_eq!(codes(&findings, Severity::Warning), warnings, "{findings:#?}");

    client.run(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
    client.run(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')")).await;
    assert!(codes(&check(&config).await, Severity::Error).contains("TW-PG-104"));
    client.run(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
}

#[tokio::test]
async fn the_settings_of_the_server_are_found() {
    let settings = [
        ("wal_level", "replica"),
        ("max_replication_slots", "0"),
        ("max_wal_senders", "0"),
        ("max_slot_wal_keep_size", "64MB"),
        ("idle_replication_slot_timeout", "10min"),
    ];
    let server = servers::own(18, &settings).await;
    server.connect("postgres").await.run("CREATE TABLE public.a (id int PRIMARY KEY)").await;
    let patterns = Patterns::parse(["public.a"]).unwrap();
    let findings = check(&Config::new("shop", server.url("postgres").parse().unwrap(), patterns)).await;
    let errors = BTreeSet::from(["TW-PG-110", "TW-PG-111", "TW-PG-112"]);
    assert_eq!(codes(&findings, Severity::Error), errors, "{findings:#?}");
    assert_eq!(
        codes(&findings, Severity::Warning),
        BTreeSet::from(["TW-PG-122", "TW-PG-123"]),
        "{findings:#?}"
    );
}

#[tokio::test]
async fn a_lost_slot_is_found() {
    let server =
        servers::own(any_version(), &[("max_slot_wal_keep_size", "1MB"), ("max_wal_size", "32MB")]).await;
    let client = server.connect("postgres").await;
    client.run("CREATE TABLE a (id int PRIMARY KEY, note text)").await;
    client.run("SELECT pg_create_logical_replication_slot('tailwater_shop', 'pgoutput')").await;
    for _ in 0..4 {
        client
            .run("INSERT INTO a SELECT n, repeat('x', 500) FROM generate_series(1, 40000) n; TRUNCATE a")
            .await;
        client.run("SELECT pg_switch_wal()").await;
        client.run("CHECKPOINT").await;
    }
    let patterns = Patterns::parse(["public.a"]).unwrap();
    let findings = check(&Config::new("shop", server.url("postgres").parse().unwrap(), patterns)).await;
    assert_eq!(codes(&findings, Severity::Error), BTreeSet::from(["TW-PG-067"]), "{findings:#?}");
}
