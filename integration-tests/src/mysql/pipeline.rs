//! A pipeline from a MySQL or MariaDB server to DuckDB inside the test's process, and the comparison of both ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tailwater_core::pattern::Patterns;
use tailwater_core::pipeline::{self, Options};
use tailwater_core::{Result, Sink, status};
use tailwater_duckdb::{Connection, DuckDb};
use tailwater_mysql::MysqlSource;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::truth::Truth;
use super::{Flavour, Row, Server, truth};
use crate::pipeline::Running;

/// What a pipeline file would say, with the DuckDB file in a folder of its own.
pub struct Pipeline {
    /// The source's side.
    pub source: tailwater_mysql::Config,
    /// The sink's side.
    pub sink: tailwater_duckdb::Config,
    folder: TempDir,
}

impl Pipeline {
    /// Of the tables `patterns` of a server.
    ///
    /// # Panics
    /// Where a pattern is wrong.
    #[must_use]
    pub fn new(server: &Server, name: &str, patterns: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tables = Patterns::parse(patterns.iter().copied()).unwrap();
        let mut source = tailwater_mysql::Config::new(name, server.url().parse().unwrap(), tables);
        source.idle_position_interval = Duration::from_millis(20);
        let sink = tailwater_duckdb::Config::new(folder.path().join("target.duckdb"), name);
        Self { source, sink, folder }
    }

    /// One attempt, until everything committed before is in the DuckDB file.
    ///
    /// # Errors
    /// The first failure; nothing is tried again.
    pub async fn catch_up(&self) -> Result<()> {
        self.catch_up_into(DuckDb::new(self.sink.clone())).await
    }

    /// As [`Pipeline::catch_up`], into another sink.
    ///
    /// # Errors
    /// The first failure; nothing is tried again.
    pub async fn catch_up_into<K: Sink>(&self, sink: K) -> Result<()> {
        let options = Options { until_caught_up: true, ..Options::default() };
        let (publisher, _watcher) = status::channel();
        let source = MysqlSource::new(self.source.clone());
        pipeline::run(source, sink, &options, &CancellationToken::new(), &publisher).await
    }

    /// Runs it in the background, with retries, until [`Running::stop`].
    #[must_use]
    pub fn start(&self) -> Running {
        let (source, sink) = (self.source.clone(), self.sink.clone());
        Running::start(Options::default(), move || {
            (MysqlSource::new(source.clone()), DuckDb::new(sink.clone()))
        })
    }

    /// The DuckDB file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("target.duckdb")
    }

    /// What a query of the DuckDB file says.
    ///
    /// # Panics
    /// Where it fails.
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Row> {
        query(&self.open(), sql)
    }

    fn open(&self) -> Connection {
        let settings = [("access_mode", "read_only")];
        tailwater_duckdb::Database::open(&self.file(), &settings).unwrap().connect().unwrap()
    }

    /// The names of the tables of a schema that the file has.
    #[must_use]
    pub fn tables(&self, schema: &str) -> Vec<String> {
        let schema = truth::literal(schema);
        let sql = format!("SELECT table_name FROM duckdb_tables() WHERE schema_name = {schema} ORDER BY 1");
        self.query(&sql).into_iter().flatten().flatten().collect()
    }

    /// The tables that are stopped, with the reasons.
    ///
    /// # Panics
    /// Where the file cannot be read.
    #[must_use]
    pub fn stopped(&self) -> Vec<(String, String)> {
        let stopped = tailwater_duckdb::stopped_tables(&self.sink).unwrap();
        stopped.into_iter().map(|stopped| (stopped.table, stopped.reason)).collect()
    }

    /// In what each table of a schema differs from what the server holds, by name: its columns in any order, or its
    /// rows.
    #[must_use]
    pub fn differences(&self, server: &Server, schema: &str) -> BTreeMap<String, String> {
        let connection = self.open();
        let compared = truth::all(server, schema).into_iter().filter_map(|(table, said)| {
            let difference = difference(&connection, schema, &table, said)?;
            Some((table, difference))
        });
        compared.collect()
    }
}

/// Waits until a pipeline holds everything that was committed.
///
/// # Panics
/// Where it does not within a minute; says what it does instead.
pub async fn holds_all(server: &Server, running: &Running) {
    let end = match server.installation().flavour() {
        Flavour::MySql => "SELECT @@GLOBAL.gtid_executed",
        Flavour::MariaDb => "SELECT @@gtid_binlog_pos",
    };
    let end = server.value(end);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = running.watcher.borrow().clone();
        if status.position.stream == end {
            return;
        }
        assert!(Instant::now() < deadline, "not up to {end}: {status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn query(connection: &Connection, sql: &str) -> Vec<Row> {
    tailwater_duckdb::dump(connection, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn difference(connection: &Connection, schema: &str, table: &str, said: Truth) -> Option<String> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let sql = format!(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = {} AND table_name = {}",
        truth::literal(schema),
        truth::literal(table)
    );
    let mut held: Vec<String> = query(connection, &sql).into_iter().flatten().flatten().collect();
    let mut names: Vec<String> = said.columns.iter().map(|column| column.name.clone()).collect();
    let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    held.sort();
    names.sort();
    if held != names {
        return Some(format!("columns {names:?} are {held:?}"));
    }
    let sql = format!("SELECT {} FROM {}.{}", list.join(", "), quoted(schema), quoted(table));
    let plain = |rows: Vec<Row>| -> Vec<Row> {
        let plain =
            |row: Row| row.into_iter().zip(&said.columns).map(|(value, c)| c.without_zeros(value)).collect();
        rows.into_iter().map(plain).collect()
    };
    let (mut held, mut rows) = (plain(query(connection, &sql)), plain(said.rows.clone()));
    held.sort();
    rows.sort();
    (held != rows).then(|| format!("the server has {rows:?}, DuckDB {held:?}"))
}
