//! Every source through the contract of sources.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use tailwater_core::Position;
use tailwater_core::pattern::Patterns;
use tailwater_integration_tests::contract::source::{Server, contract};
use tailwater_integration_tests::{Client, servers};
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

    async fn confirmed(&self, position: &Position) -> bool {
        let slot = format!("tailwater_{}", self.database.name);
        let reached = format!(
            "SELECT confirmed_flush_lsn >= '{}' FROM pg_replication_slots WHERE slot_name = '{slot}'",
            position.stream
        );
        self.client.value(&reached).await == "t"
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
