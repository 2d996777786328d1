//! Every source through the contract of sources.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tailwater_core::Position;
use tailwater_core::pattern::Patterns;
use tailwater_integration_tests::contract::source::{Server, contract};
use tailwater_integration_tests::mysql::{self, Flavour, Installation};
use tailwater_integration_tests::{Client, servers};
use tailwater_mysql::MysqlSource;
use tailwater_postgres::{Config, PostgresSource};

struct Postgres {
    database: servers::Database,
    client: Client,
}

impl Server for Postgres {
    type Source = PostgresSource;

    fn source(&self) -> PostgresSource {
        let tables = Patterns::parse(["public.notes"]).unwrap();
        PostgresSource::new(Config::new(&self.database.name, self.database.url().parse().unwrap(), tables))
    }

    async fn run(&self, sql: &str) {
        self.client.run(sql).await;
    }

    const WHOLE_OLD_ROWS: bool = false;

    async fn confirmed(&self, position: &Position) -> Option<bool> {
        let slot = format!("tailwater_{}", self.database.name);
        let reached = format!(
            "SELECT confirmed_flush_lsn >= '{}' FROM pg_replication_slots WHERE slot_name = '{slot}'",
            position.stream
        );
        Some(self.client.value(&reached).await == "t")
    }

    fn foreign(&self, position: &Position) -> Position {
        let source = position.source.replacen("postgres ", "postgres 1", 1);
        assert_ne!(source, position.source);
        Position { source, ..position.clone() }
    }
}

#[tokio::test]
async fn every_postgres_keeps_the_contract() {
    for version in servers::all_versions() {
        contract(async || {
            let database = servers::database(version).await;
            let client = database.connect().await;
            Postgres { database, client }
        })
        .await;
    }
}

/// A database of its own at a server that the cases share.
struct Mysql {
    server: Arc<mysql::Server>,
    database: String,
}

impl Server for Mysql {
    type Source = MysqlSource;

    fn source(&self) -> MysqlSource {
        let tables = Patterns::parse([format!("{}.notes", self.database).as_str()]).unwrap();
        let url = self.server.url().parse().unwrap();
        MysqlSource::new(tailwater_mysql::Config::new(&self.database, url, tables))
    }

    const WHOLE_OLD_ROWS: bool = true;

    async fn run(&self, sql: &str) {
        let (server, sql) = (Arc::clone(&self.server), format!("USE {}; {sql}", self.database));
        tokio::task::spawn_blocking(move || server.execute(&sql)).await.unwrap();
    }

    async fn confirmed(&self, _: &Position) -> Option<bool> {
        None
    }

    fn foreign(&self, position: &Position) -> Position {
        let stream = match self.server.installation().flavour() {
            Flavour::MySql => "11111111-2222-3333-4444-555555555555:1-9",
            Flavour::MariaDb => "0-1-999999",
        };
        Position { stream: stream.to_owned(), ..position.clone() }
    }
}

async fn kept_by(installation: Installation, settings: &[&str]) {
    let server = Arc::new(mysql::Server::start(installation, settings));
    let number = AtomicU32::new(0);
    contract(async || {
        let database = format!("contract_{}", number.fetch_add(1, Ordering::Relaxed));
        server.execute(&format!("CREATE DATABASE {database}"));
        Mysql { server: Arc::clone(&server), database }
    })
    .await;
}

#[tokio::test]
async fn mysql_9_7_keeps_the_contract() {
    kept_by(Installation::mysql97(), &[]).await;
}

#[tokio::test]
async fn mariadb_10_11_with_nothing_of_its_columns_keeps_the_contract() {
    kept_by(Installation::mariadb1011(), &["binlog_row_metadata=NO_LOG"]).await;
}

#[tokio::test]
async fn mysql_5_6_keeps_the_contract() {
    kept_by(Installation::mysql56(), &[]).await;
}

#[tokio::test]
async fn mariadb_11_8_keeps_the_contract() {
    kept_by(Installation::mariadb118(), &[]).await;
}
