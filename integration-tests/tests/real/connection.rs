//! How a session is opened: every login, every `sslmode` against a server with and without TLS, client certificates,
//! Unix sockets, several hosts. Each case is a URL and what comes of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P384_SHA384,
};
use tailwater_integration_tests::servers::{self, Server, any_version};
use tailwater_integration_tests::{Client, wait_for};
use tailwater_postgres::url::Url;
use tailwater_postgres::{Connection, Mode};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

const ROLES: &str = "
    CREATE ROLE scram LOGIN REPLICATION PASSWORD 'pä/ss@1';
    CREATE ROLE scram_tls LOGIN PASSWORD 'x';
    CREATE ROLE scram_plain LOGIN PASSWORD 'x';
    CREATE ROLE clear LOGIN PASSWORD 'x';
    CREATE ROLE by_certificate LOGIN;
    SET password_encryption = 'md5';
    CREATE ROLE md5 LOGIN PASSWORD 'pä/ss@1';";

const ACCESS: &str = "
    local all all trust
    host all postgres all trust
    host all scram all scram-sha-256
    hostssl all scram_tls all scram-sha-256
    hostnossl all scram_plain all scram-sha-256
    host all clear all password
    hostssl all by_certificate all cert
    host all md5 all md5";

/// `pä/ss@1` as a URL writes it.
const PASSWORD: &str = "p%C3%A4%2Fss%401";

/// Writes a file that only the server's own account can read, as text tools of the server's machine do.
async fn write_at_server(client: &Client, path: &str, text: &str) {
    let lines: Vec<String> = text.lines().map(|line| format!("('{}')", line.trim())).collect();
    let command = format!("umask 077; cat > \"{path}\"");
    client.run(&format!("COPY (VALUES {}) TO PROGRAM '{command}'", lines.join(", "))).await;
}

/// A server with those roles and rules, and nobody else's.
async fn guarded() -> Server {
    let server = servers::own(any_version(), &[]).await;
    let client = server.connect("postgres").await;
    client.run(ROLES).await;
    write_at_server(&client, &client.value("SHOW hba_file").await, ACCESS).await;
    client.run("SELECT pg_reload_conf()").await;
    wait_for("the rules hold", PATIENCE, async || {
        let strict = format!("postgres://scram:wrong@{}/postgres?sslmode=disable", server.address());
        Client::open(&strict).await.err()
    })
    .await;
    server
}

/// Certificates in a folder: `ca.pem` signed `server` and `client.pem`; `other.pem` signed nothing.
fn certificates(folder: &Path) -> (String, String) {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()).unwrap()
    };
    let (ca, other) = (authority("test authority"), authority("another authority"));
    write(&folder.join("ca.pem"), &ca.pem());
    write(&folder.join("other.pem"), &other.pem());

    let key = KeyPair::generate().unwrap();
    let mut client = CertificateParams::new(Vec::new()).unwrap();
    client.distinguished_name.push(DnType::CommonName, "by_certificate");
    write(&folder.join("client.pem"), &client.signed_by(&key, &ca).unwrap().pem());
    write(&folder.join("client.key"), &key.serialize_pem());
    write(&folder.join("open.key"), &key.serialize_pem());
    std::fs::set_permissions(folder.join("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();

    // Signed with SHA-384, so that channel binding must look at the signature.
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    (server.pem(), key.serialize_pem())
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

async fn start_tls(server: &Server, folder: &Path) {
    let (certificate, key) = certificates(folder);
    let client = server.connect("postgres").await;
    let home = client.value("SHOW data_directory").await;
    let authority = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
    for (name, text) in [("tls.crt", certificate), ("tls.key", key), ("tls_ca.crt", authority)] {
        write_at_server(&client, &format!("{home}/{name}"), &text).await;
    }
    for setting in
        ["ssl_cert_file = 'tls.crt'", "ssl_key_file = 'tls.key'", "ssl_ca_file = 'tls_ca.crt'", "ssl = on"]
    {
        client.run(&format!("ALTER SYSTEM SET {setting}")).await;
    }
    client.run("SELECT pg_reload_conf()").await;
    wait_for("the server offers TLS", PATIENCE, async || {
        let url = format!("postgres://postgres@{}/postgres?sslmode=require", server.address());
        (outcome(&url, Mode::Sql).await == "tls").then_some(())
    })
    .await;
}

/// `tls` or `plain`, or the code of the error.
async fn outcome(url: &str, mode: Mode) -> String {
    let opened = async {
        let mut connection = Connection::open(&url.parse::<Url>()?, mode).await?;
        let rows = connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await?;
        if mode == Mode::Replication {
            connection.query("IDENTIFY_SYSTEM").await?;
        }
        connection.finish().await?;
        Ok::<_, tailwater_core::Error>(if rows[0][0].as_deref() == Some("t") { "tls" } else { "plain" })
    };
    match opened.await {
        Ok(outcome) => outcome.to_owned(),
        Err(error) => {
            assert!(!error.to_string().contains("pä/ss"), "{error}");
            error.code().to_owned()
        }
    }
}

async fn check(cases: &[(&str, &str)], fill_in: impl Fn(&str) -> String) {
    let mut wrong = Vec::new();
    for (url, expected) in cases {
        let found = outcome(&fill_in(url), Mode::Sql).await;
        if found != *expected {
            wrong.push(format!("{url}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_login_and_sslmode_with_a_server_that_offers_tls() {
    let server = guarded().await;
    let folder = tempfile::tempdir().unwrap();
    start_tls(&server, folder.path()).await;
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();
    let fill_in = |case: &str| {
        let host = format!("localhost:{port}");
        let folder = folder.path().display().to_string();
        format!("postgres://{case}")
            .replace("PASSWORD", PASSWORD)
            .replace("@NUMBER", &format!("@127.0.0.1:{port}/postgres"))
            .replace("@HOST", &format!("@{host}/postgres"))
            .replace("DIR", &folder)
    };
    let cases = [
        // SCRAM, with and without channel binding.
        ("scram:PASSWORD@HOST?sslmode=require&channel_binding=require", "tls"),
        ("scram:PASSWORD@HOST?sslmode=require&channel_binding=disable", "tls"),
        ("scram:PASSWORD@HOST?sslmode=disable", "plain"),
        ("scram:PASSWORD@HOST?sslmode=disable&channel_binding=require", "TW-PG-004"),
        ("scram:wrong@HOST", "TW-PG-004"),
        ("scram@HOST?sslmode=require", "TW-PG-004"),
        // The other ways to show a password.
        ("md5:PASSWORD@HOST?sslmode=disable", "plain"),
        ("md5:PASSWORD@HOST?sslmode=require", "tls"),
        ("md5:PASSWORD@HOST?sslmode=require&channel_binding=require", "TW-PG-004"),
        ("clear:x@HOST?sslmode=require", "tls"),
        ("clear:x@HOST?sslmode=disable", "TW-PG-004"),
        ("clear:x@HOST?sslmode=require&channel_binding=require", "TW-PG-004"),
        // Each mode, where the server would take both, TLS only, plain only.
        ("postgres@HOST?sslmode=disable", "plain"),
        ("postgres@HOST?sslmode=allow", "plain"),
        ("postgres@HOST?sslmode=prefer", "tls"),
        ("postgres@HOST?sslmode=require", "tls"),
        ("scram_tls:x@HOST?sslmode=disable", "TW-PG-004"),
        ("scram_tls:x@HOST?sslmode=allow", "tls"),
        ("scram_tls:x@HOST?sslmode=prefer", "tls"),
        ("scram_plain:x@HOST?sslmode=prefer", "plain"),
        ("scram_plain:x@HOST?sslmode=require", "TW-PG-004"),
        // Which certificate will do.
        ("postgres@HOST?sslmode=verify-ca", "TW-PG-003"),
        ("postgres@HOST?sslmode=verify-ca&sslrootcert=DIR/ca.pem", "tls"),
        ("postgres@HOST?sslmode=verify-ca&sslrootcert=DIR/other.pem", "TW-PG-003"),
        ("postgres@HOST?sslmode=verify-ca&sslrootcert=DIR/missing.pem", "TW-PG-003"),
        ("postgres@HOST?sslmode=require&sslrootcert=DIR/other.pem", "TW-PG-003"),
        ("postgres@HOST?sslmode=verify-full&sslrootcert=DIR/ca.pem", "tls"),
        ("postgres@HOST?sslmode=verify-full&sslrootcert=system", "TW-PG-003"),
        ("postgres@NUMBER?sslmode=verify-full&sslrootcert=DIR/ca.pem", "TW-PG-003"),
        ("postgres@NUMBER?sslmode=verify-ca&sslrootcert=DIR/ca.pem", "tls"),
        ("scram:PASSWORD@HOST?sslmode=verify-full&sslrootcert=DIR/ca.pem&channel_binding=require", "tls"),
        ("scram:PASSWORD@HOST?sslmode=require&sslnegotiation=direct", "tls"),
        // Certificates of ours.
        ("by_certificate@HOST?sslmode=require&sslcert=DIR/client.pem&sslkey=DIR/client.key", "tls"),
        ("by_certificate@HOST?sslmode=require&sslcert=DIR/client.pem&sslkey=DIR/open.key", "TW-PG-003"),
        ("by_certificate@HOST?sslmode=require&sslcert=DIR/other.pem&sslkey=DIR/client.key", "TW-PG-003"),
        ("by_certificate@HOST?sslmode=require", "TW-PG-004"),
        // What is not there.
        ("postgres@HOST?dbname=nowhere", "TW-PG-008"),
        ("nobody:x@HOST?sslmode=require", "TW-PG-004"),
    ];
    check(&cases, &fill_in).await;
    let replication = fill_in("scram:PASSWORD@HOST?sslmode=require&channel_binding=require");
    assert_eq!(outcome(&replication, Mode::Replication).await, "tls");
}

#[tokio::test]
async fn every_sslmode_with_a_server_without_tls() {
    let server = guarded().await;
    let cases = [
        ("postgres@HOST?sslmode=disable", "plain"),
        ("postgres@HOST?sslmode=allow", "plain"),
        ("postgres@HOST?sslmode=prefer", "plain"),
        ("postgres@HOST?sslmode=require", "TW-PG-003"),
        ("postgres@HOST?sslmode=verify-full", "TW-PG-003"),
        ("scram:PASSWORD@HOST?channel_binding=require", "TW-PG-004"),
        ("clear:x@HOST", "TW-PG-004"),
    ];
    let host = format!("@{}/postgres", server.address());
    check(&cases, |case| format!("postgres://{case}").replace("PASSWORD", PASSWORD).replace("@HOST", &host))
        .await;
}

#[tokio::test]
async fn a_unix_socket_takes_no_part_in_tls() {
    let server = servers::own(any_version(), &[]).await;
    // That of a container is out of reach.
    let Some(url) = server.socket_url("postgres") else { return };
    for mode in ["disable", "require", "verify-full"] {
        let separator = if url.contains('?') { '&' } else { '?' };
        assert_eq!(outcome(&format!("{url}{separator}sslmode={mode}"), Mode::Replication).await, "plain");
    }
}

#[tokio::test]
async fn of_several_hosts_the_first_that_will_do_is_taken() {
    let database = servers::database(any_version()).await;
    let read_only = Database::read_only(&database).await;
    let address = database.server.address();
    // Port 1 is nobody's.
    let cases = [
        ("HOST", "any", "plain"),
        ("127.0.0.1:1,HOST", "any", "plain"),
        ("127.0.0.1:1", "any", "TW-PG-002"),
        ("127.0.0.1:1,HOST", "primary", "plain"),
        ("127.0.0.1:1,HOST", "standby", "TW-PG-005"),
        ("127.0.0.1:1,HOST", "prefer-standby", "plain"),
        ("HOST", "read-write", "plain"),
        ("HOST", "read-only", "TW-PG-005"),
    ];
    for (hosts, target, expected) in cases {
        let hosts = hosts.replace("HOST", &address);
        let url = format!(
            "postgres://postgres@{hosts}/{}?sslmode=disable&target_session_attrs={target}",
            database.name
        );
        assert_eq!(outcome(&url, Mode::Sql).await, expected, "{url}");
    }
    for (target, expected) in [("read-only", "plain"), ("read-write", "TW-PG-005"), ("primary", "plain")] {
        let url = format!(
            "postgres://postgres@{address}/{read_only}?sslmode=disable&target_session_attrs={target}"
        );
        assert_eq!(outcome(&url, Mode::Sql).await, expected, "{url}");
    }
}

/// A second database, whose sessions are read-only.
struct Database;

impl Database {
    async fn read_only(database: &servers::Database) -> String {
        let second = servers::Database::create(std::sync::Arc::clone(&database.server)).await;
        let client = second.connect().await;
        client.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", second.name)).await;
        second.name
    }
}

#[tokio::test]
async fn settings_that_change_how_values_print_are_ours_whatever_the_database_says() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    for setting in [
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "TimeZone = 'Asia/Kathmandu'",
        "bytea_output = 'escape'",
        "extra_float_digits = -3",
        "statement_timeout = '1min'",
        "idle_session_timeout = '1min'",
        "transaction_timeout = '1min'",
        "search_path = 'public'",
    ] {
        client.run(&format!("ALTER DATABASE {} SET {setting}", database.name)).await;
    }
    let url: Url = database.url().parse().unwrap();
    for mode in [Mode::Sql, Mode::Replication] {
        let mut connection = Connection::open(&url, mode).await.unwrap();
        let rows = connection
            .query(
                "SELECT '2026-11-21 04:05:06+05:45'::timestamptz, '1 mon -2 days'::interval, '\\x00ff'::bytea,
                        0.1::float8 + 0.2::float8, current_setting('search_path'),
                        (SELECT string_agg(setting, ' ') FROM pg_settings WHERE name LIKE '%\\_timeout' AND context = 'user'
                         AND name NOT LIKE 'tcp%' AND name NOT LIKE 'wal%' AND name NOT LIKE 'deadlock%')",
            )
            .await
            .unwrap();
        let texts: Vec<&str> = rows[0].iter().map(|text| text.as_deref().unwrap()).collect();
        let expected = [
            "2026-11-20 22:20:06+00",
            "1 mon -2 days",
            "\\x00ff",
            "0.30000000000000004",
            "pg_catalog",
            "0 0 0 0 0",
        ];
        assert_eq!(texts, expected, "{mode:?}");
    }
}

#[tokio::test]
async fn an_error_leaves_the_session_usable_and_shows_no_value() {
    let database = servers::database(any_version()).await;
    let mut connection = Connection::open(&database.url().parse().unwrap(), Mode::Replication).await.unwrap();
    let error = connection.query("SELECT 'secret'::int4").await.unwrap_err();
    assert_eq!(error.code(), "TW-PG-013");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(connection.copy_out("COPY nowhere TO STDOUT").await.unwrap_err().code(), "TW-PG-010");
    assert_eq!(connection.query("SELECT 1; SELECT 2, NULL").await.unwrap(), [[Some("2".to_owned()), None]]);
    assert_eq!(connection.server_version() / 10_000, u32::from(any_version()));
}

#[tokio::test]
async fn a_copy_hands_out_every_row_as_one_frame() {
    let database = servers::database(any_version()).await;
    let mut connection = Connection::open(&database.url().parse().unwrap(), Mode::Sql).await.unwrap();
    // The last row does not fit into the buffer the connection begins with.
    let rows =
        "SELECT n, repeat('x', CASE n WHEN 5000 THEN 3000000 ELSE 10 END) FROM generate_series(1, 5000) n";
    connection.copy_out(&format!("COPY ({rows}) TO STDOUT")).await.unwrap();
    let (mut count, mut longest, mut ended) = (0, 0, false);
    while !ended {
        match connection.frame().unwrap() {
            Some(frame) if frame.tag == b'd' => {
                count += 1;
                longest = longest.max(frame.body.len());
            }
            Some(frame) => ended = frame.tag == b'Z',
            None => connection.fill().await.unwrap(),
        }
    }
    assert_eq!((count, longest), (5000, "5000\t\n".len() + 3_000_000));
    assert_eq!(connection.query("SELECT 1").await.unwrap(), [[Some("1".to_owned())]]);
}

#[tokio::test]
async fn what_is_confirmed_last_reaches_the_server_although_data_is_still_coming() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    let name = &database.name;
    client.run(&format!("CREATE TABLE t (n int); CREATE PUBLICATION {name} FOR TABLE t")).await;
    client.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    client.run("INSERT INTO t VALUES (1)").await;
    let confirmed = client.value("SELECT pg_current_wal_lsn()").await;
    let (high, low) = confirmed.split_once('/').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let lsn = number(high) << 32 | number(low);
    client.run("INSERT INTO t SELECT n FROM generate_series(1, 100000) n").await;

    let mut connection = Connection::open(&database.url().parse().unwrap(), Mode::Replication).await.unwrap();
    let start =
        format!("START_REPLICATION SLOT {name} LOGICAL 0/0 (proto_version '1', publication_names '{name}')");
    connection.copy_both(&start).await.unwrap();
    connection.fill().await.unwrap();
    let mut status = vec![b'r'];
    for position in [lsn, lsn, lsn, 0] {
        status.extend_from_slice(&position.to_be_bytes());
    }
    status.push(0);
    connection.send_copy_data(&status);
    connection.finish().await.unwrap();

    let sql = format!(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{name}' AND NOT active"
    );
    wait_for("the slot is free", PATIENCE, async || {
        Some(client.value(&sql).await).filter(|at| *at == confirmed)
    })
    .await;
    client.run(&format!("SELECT pg_drop_replication_slot('{name}')")).await;
}
