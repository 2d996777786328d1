//! A pipeline from Postgres to DuckDB inside the test's process, and the comparison of both ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tailwater_core::pipeline::{self, Options};
use tailwater_core::status::{self, Phase, Watcher};
use tailwater_core::supervise::supervise;
use tailwater_core::{Position, Result, Sink};
use tailwater_duckdb::DuckDb;
use tailwater_postgres::PostgresSource;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Client;
use crate::servers::Database;

/// What a pipeline file would say, with the DuckDB file in a folder of its own.
pub struct Pipeline {
    /// The source's side.
    pub source: tailwater_postgres::Config,
    /// The sink's side.
    pub sink: tailwater_duckdb::Config,
    /// The loop's.
    pub options: Options,
    folder: TempDir,
}

impl Pipeline {
    /// Of the tables `patterns` of a database; named after the database, so that nobody else has its slot.
    ///
    /// # Panics
    /// Where a pattern is wrong.
    #[must_use]
    pub fn new(database: &Database, patterns: &[&str]) -> Self {
        Self::at(&database.url(), &database.name, patterns)
    }

    /// Of the tables `patterns` at `url`, under a name.
    ///
    /// # Panics
    /// Where the url or a pattern is wrong.
    #[must_use]
    pub fn at(url: &str, name: &str, patterns: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tables = tailwater_core::pattern::Patterns::parse(patterns.iter().copied()).unwrap();
        let source = tailwater_postgres::Config::new(name, url.parse().unwrap(), tables);
        let sink = tailwater_duckdb::Config::new(folder.path().join("target.duckdb"), name);
        Self { source, sink, options: Options::default(), folder }
    }

    /// The DuckDB file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("target.duckdb")
    }

    /// A source of this configuration, not connected yet.
    #[must_use]
    pub fn new_source(&self) -> PostgresSource {
        PostgresSource::new(self.source.clone())
    }

    /// A sink of this configuration, not opened yet.
    #[must_use]
    pub fn new_sink(&self) -> DuckDb {
        DuckDb::new(self.sink.clone())
    }

    /// One attempt, until everything committed before is in the target.
    ///
    /// # Errors
    /// The first failure; nothing is tried again.
    pub async fn catch_up(&self) -> Result<()> {
        self.catch_up_into(self.new_sink()).await
    }

    /// As [`Pipeline::catch_up`], into a sink that may misbehave.
    ///
    /// # Errors
    /// The first failure; nothing is tried again.
    pub async fn catch_up_into<K: Sink>(&self, sink: K) -> Result<()> {
        let options = Options { until_caught_up: true, ..self.options.clone() };
        let (publisher, _watcher) = status::channel();
        pipeline::run(self.new_source(), sink, &options, &CancellationToken::new(), &publisher).await
    }

    /// Runs it in the background, with retries, until [`Running::stop`].
    #[must_use]
    pub fn start(&self) -> Running {
        let (source, sink) = (self.source.clone(), self.sink.clone());
        self.start_with(move || (PostgresSource::new(source.clone()), DuckDb::new(sink.clone())))
    }

    /// As [`Pipeline::start`], with ends that may misbehave.
    pub fn start_with<S, K>(&self, connect: impl FnMut() -> (S, K) + Send + 'static) -> Running
    where
        S: tailwater_core::Source + 'static,
        K: Sink,
    {
        Running::start(self.options.clone(), connect)
    }

    /// The position in the target, which nobody may be writing to.
    ///
    /// # Panics
    /// Where the target cannot be read.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        position(&self.sink)
    }

    /// As [`assert_equal`], of this target.
    ///
    /// # Panics
    /// Where they differ.
    pub async fn assert_equal(&self, client: &Client, tables: &[&str]) {
        assert_equal(&self.file(), client, tables).await;
    }
}

/// A pipeline in the background.
pub struct Running {
    /// What it says of itself.
    pub watcher: Watcher,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Running {
    /// Runs a pipeline in the background, with retries, until [`Running::stop`].
    pub fn start<S, K>(options: Options, mut connect: impl FnMut() -> (S, K) + Send + 'static) -> Self
    where
        S: tailwater_core::Source + 'static,
        K: Sink,
    {
        let (publisher, watcher) = status::channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { supervise("test", || Ok(connect()), &options, &stopped, &publisher).await });
        Self { watcher, stop, tasks }
    }

    /// Stops it cleanly, or gives the error that had stopped it.
    ///
    /// # Errors
    /// The one nobody but a person can mend.
    ///
    /// # Panics
    /// Where it panicked.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// What ended it.
    ///
    /// # Panics
    /// Where it panicked.
    pub async fn ended(&mut self) -> Result<()> {
        self.tasks.join_next().await.unwrap().unwrap()
    }

    /// Waits until it streams and has written more than `events`; `None` where it is enough that the copy is whole.
    ///
    /// # Panics
    /// Where it stopped, or does not get there within `bound`; says what it was doing and what had failed.
    pub async fn streams(&self, events: Option<u64>, bound: Duration) {
        let (deadline, mut failures) = (Instant::now() + bound, Vec::new());
        loop {
            let status = self.watcher.borrow().clone();
            if status.error.is_some() && status.error.as_ref() != failures.last() {
                failures.extend(status.error.clone());
            }
            if status.phase == Phase::Streaming && events.is_none_or(|events| status.events > events) {
                return;
            }
            assert!(status.phase != Phase::Stopped, "the pipeline stopped: {status:?}");
            assert!(Instant::now() < deadline, "not within {bound:?}: {status:?}, failures: {failures:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it where it stands, as a kill would: nothing is flushed, closed or confirmed any more.
    pub async fn abort(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The rows of a table of a DuckDB file, as Postgres would print them. Without a schema it is one of `public`.
///
/// # Panics
/// Where they cannot be read.
#[must_use]
pub fn rows(file: &Path, table: &str) -> Vec<Vec<Option<String>>> {
    let database = tailwater_duckdb::database::Database::open(file, &[("access_mode", "read_only")]).unwrap();
    let connection = database.connect().unwrap();
    let schema = if table.contains('.') { "" } else { "public." };
    tailwater_duckdb::dump(&connection, &format!("SELECT * FROM {schema}{table}")).unwrap()
}

/// The position in a target that nobody is writing to.
///
/// # Panics
/// Where the target cannot be read.
#[must_use]
pub fn position(config: &tailwater_duckdb::Config) -> Option<Position> {
    let mut sink = DuckDb::new(config.clone());
    let position = sink.open().unwrap();
    sink.close().unwrap();
    position
}

/// Panics unless the tables (as SQL) hold the same rows on both sides.
///
/// # Panics
/// Where they do not: with the first rows that differ.
pub async fn assert_equal(file: &Path, client: &Client, tables: &[&str]) {
    client.run("SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET DateStyle = 'ISO'").await;
    client.run("SET bytea_output = 'hex'; SET extra_float_digits = 1").await;
    for table in tables {
        let mut wanted = client.rows(&format!("SELECT * FROM {table}")).await;
        let mut held = rows(file, table);
        wanted.sort_unstable();
        held.sort_unstable();
        if wanted != held {
            let missing: Vec<_> =
                wanted.iter().filter(|row| held.binary_search(row).is_err()).take(3).collect();
            let excess: Vec<_> =
                held.iter().filter(|row| wanted.binary_search(row).is_err()).take(3).collect();
            panic!(
                "{table}: {} rows in Postgres, {} in DuckDB\nmissing or different: {missing:#?}\ninstead: {excess:#?}",
                wanted.len(),
                held.len()
            );
        }
    }
}
