//! The only list of what exists: every pair of a source and a sink, bound statically. A new connector or sink is
//! added to the two enums of `config` and to the matches here; the compiler names every place that lacks it.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tailwater_core::digest::Digest;
use tailwater_core::pipeline::Options;
use tailwater_core::status::{Behind, Publisher};
use tailwater_core::{Error, Finding, Position, Result, supervise};
use tailwater_duckdb::{Answer, DuckDb};
use tailwater_kafka::Kafka;
use tailwater_mysql::MysqlSource;
use tailwater_postgres::PostgresSource;
use tailwater_stdout::Stdout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::check;
use crate::config::{Pipeline, Sink, Source};
use crate::import::{GatheringOfMysql, GatheringOfPostgres, Left};

/// Runs a pipeline until it is stopped, caught up, or in need of a person.
///
/// # Errors
/// The first error of kind `Operator` or `Data`.
pub(crate) async fn supervise(
    pipeline: &Pipeline,
    options: &Options,
    stop: &CancellationToken,
    status: &Publisher,
) -> Result<()> {
    let name = &pipeline.name;
    match (&pipeline.source, &pipeline.sink) {
        (Source::Postgres(source), Sink::DuckDb(sink)) => {
            let connect = || Ok((PostgresSource::new(source.clone()), DuckDb::new(sink.clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
        (Source::Postgres(source), Sink::Kafka(sink)) => {
            let connect = || Ok((PostgresSource::new(source.clone()), Kafka::new((**sink).clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
        (Source::Postgres(source), Sink::Stdout(sink)) => {
            let connect = || Ok((PostgresSource::new(source.clone()), Stdout::new(sink.clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
        (Source::Mysql(source), Sink::DuckDb(sink)) => {
            let connect = || Ok((MysqlSource::new(source.clone()), DuckDb::new(sink.clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
        (Source::Mysql(source), Sink::Kafka(sink)) => {
            let connect = || Ok((MysqlSource::new(source.clone()), Kafka::new((**sink).clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
        (Source::Mysql(source), Sink::Stdout(sink)) => {
            let connect = || Ok((MysqlSource::new(source.clone()), Stdout::new(sink.clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
    }
}

/// Everything a person should know before the pipeline runs. Changes nothing.
pub(crate) async fn check(pipeline: &Pipeline) -> Vec<Finding> {
    let (mut findings, tables) = match &pipeline.source {
        Source::Postgres(source) => {
            let findings = tailwater_postgres::check::check(source).await;
            // A source that does not answer has said so among its findings.
            (findings, tailwater_postgres::inspect::tables(source).await.unwrap_or_default())
        }
        Source::Mysql(source) => {
            let findings = tailwater_mysql::check::check(source).await;
            (findings, tailwater_mysql::inspect::tables(source).await.unwrap_or_default())
        }
    };
    findings.extend(match &pipeline.sink {
        Sink::DuckDb(sink) => tailwater_duckdb::check(sink, &tables),
        Sink::Kafka(sink) => {
            let sink = (**sink).clone();
            let check = move || tailwater_kafka::check(&sink, &tables);
            tokio::task::spawn_blocking(check).await.unwrap_or_default()
        }
        Sink::Stdout(sink) => check::writable(&sink.position).into_iter().collect(),
    });
    findings
}

/// What the sink holds, and since when; also while a pipeline writes it.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn position(pipeline: &Pipeline) -> Result<Option<Held>> {
    match &pipeline.sink {
        Sink::DuckDb(sink) => duckdb_position(sink),
        Sink::Kafka(sink) => {
            let held = tailwater_kafka::position(sink)?;
            Ok(held.map(|held| Held { position: held.position, age: held.age }))
        }
        Sink::Stdout(sink) => Ok(tailwater_stdout::position(sink)?.map(|position| {
            let written = std::fs::metadata(&sink.position).and_then(|file| file.modified());
            Held { position, age: written.ok().and_then(|written| written.elapsed().ok()) }
        })),
    }
}

/// A stored position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) position: Position,
    /// Since it was stored.
    pub(crate) age: Option<Duration>,
}

/// Asked like any other question, so that whoever has the file open answers it.
fn duckdb_position(sink: &tailwater_duckdb::Config) -> Result<Option<Held>> {
    let ask = |sql: &str| tailwater_duckdb::query(&sink.path, sql).map(|answer| answer.rows);
    let made = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'tailwater' AND table_name = 'position'";
    if !sink.path.exists() || ask(made)?.is_empty() {
        return Ok(None);
    }
    let rows = ask(&format!(
        "SELECT position, epoch(now() - written_at) FROM tailwater.position WHERE pipeline = '{}'",
        sink.pipeline
    ))?;
    let Some(mut fields) = rows.into_iter().next().map(Vec::into_iter) else { return Ok(None) };
    let text = fields.next().flatten().unwrap_or_default();
    let position = serde_json::from_str(&text).map_err(|error| {
        Error::operator("TW-CLI-003", format!("the stored position cannot be read: {error}"))
    })?;
    let age = fields.next().flatten().and_then(|text| text.parse().ok());
    Ok(Some(Held { position, age: age.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) }))
}

/// How far the source is beyond `position`.
///
/// # Errors
/// Where the source does not answer.
pub(crate) async fn behind(pipeline: &Pipeline, position: &Position) -> Result<Behind> {
    match &pipeline.source {
        Source::Postgres(source) => tailwater_postgres::inspect::behind(source, position).await,
        Source::Mysql(source) => tailwater_mysql::inspect::behind(source, position).await,
    }
}

/// Tables that the target is not written with any more, and why: because of the sink, or of the source.
///
/// # Errors
/// Where the target cannot be read.
pub(crate) fn stopped_tables(pipeline: &Pipeline, held: &Position) -> Result<Vec<(String, String)>> {
    match (&pipeline.sink, &pipeline.source) {
        // It has been told of the source's too.
        (Sink::DuckDb(sink), _) if sink.path.exists() => {
            let stopped = tailwater_duckdb::stopped_tables(sink)?;
            Ok(stopped.into_iter().map(|stopped| (stopped.table, stopped.reason)).collect())
        }
        (Sink::DuckDb(_) | Sink::Kafka(_) | Sink::Stdout(_), Source::Mysql(_)) => {
            tailwater_mysql::stopped_tables(held)
        }
        (Sink::DuckDb(_) | Sink::Kafka(_) | Sink::Stdout(_), Source::Postgres(_)) => Ok(Vec::new()),
    }
}

/// Asks the target a question, also while a pipeline writes it.
///
/// # Errors
/// `Operator` where the target answers none, or not this one.
pub(crate) fn query(pipeline: &Pipeline, sql: &str) -> Result<Answer> {
    match &pipeline.sink {
        Sink::DuckDb(sink) => tailwater_duckdb::query(&sink.path, sql),
        Sink::Kafka(_) | Sink::Stdout(_) => {
            Err(Error::operator("TW-CLI-005", "this sink keeps nothing that could be asked"))
        }
    }
}

/// Whether some process runs the pipeline.
pub(crate) fn runs(pipeline: &Pipeline) -> bool {
    match &pipeline.sink {
        Sink::DuckDb(sink) => UnixStream::connect(tailwater_duckdb::query::socket_path(&sink.path)).is_ok(),
        Sink::Stdout(sink) => tailwater_stdout::is_running(sink),
        // The broker knows no reader of a transactional id; the source refuses while the slot is in use.
        Sink::Kafka(_) => false,
    }
}

/// Number and content hash of a table of the target, which nobody may be writing.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn digest(pipeline: &Pipeline, schema: &str, table: &str) -> Result<Digest> {
    match &pipeline.sink {
        Sink::DuckDb(sink) => {
            let database = tailwater_duckdb::Database::open(&sink.path, &[("access_mode", "read_only")])?;
            tailwater_duckdb::digest(&database.connect()?, &format!("FROM \"{schema}\".\"{table}\""))
        }
        Sink::Kafka(_) | Sink::Stdout(_) => {
            Err(Error::operator("TW-CLI-005", "this sink keeps nothing that could be hashed"))
        }
    }
}

/// Removes what the pipeline made at its source, and says what that was. The target is not touched.
///
/// # Errors
/// `Operator` while the pipeline runs, or where the source refuses.
pub(crate) async fn drop(pipeline: &Pipeline) -> Result<Vec<String>> {
    match &pipeline.source {
        Source::Postgres(source) => tailwater_postgres::setup::drop_made(source).await,
        // A server of MySQL's kind keeps nothing for its readers.
        Source::Mysql(_) => Ok(Vec::new()),
    }
}

/// What a compacted topic at the sink's brokers holds, by key.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn compacted(pipeline: &Pipeline, topic: &str) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    match &pipeline.sink {
        Sink::Kafka(sink) => tailwater_kafka::compacted(sink, topic),
        Sink::DuckDb(_) | Sink::Stdout(_) => Err(no_brokers()),
    }
}

/// Whoever wrote records may have another clock than the source: this much slower at most.
const CLOCKS_MS: i64 = 5 * 60 * 1000;

/// Lets the pipeline begin where Debezium stopped, which has been writing the sink's topics. Nothing is written where that
/// cannot be proved.
///
/// # Errors
/// `Operator` where it has a position already, or the log does not hold everything that comes after.
pub(crate) async fn begin(pipeline: &Pipeline, left: &Left) -> Result<Position> {
    let Sink::Kafka(sink) = &pipeline.sink else { return Err(no_brokers()) };
    tailwater_kafka::not_begun(sink)?;
    let (prefix, skipped) = (&sink.naming.prefix, sink.debezium.skipped);
    let since = |commit_ms: i64| commit_ms.saturating_sub(CLOCKS_MS).max(0);
    let (position, beyond) = match &pipeline.source {
        Source::Postgres(source) => {
            let (stopped, commit_ms) = left.of_postgres()?;
            let mut gathering = GatheringOfPostgres::new(prefix, stopped.whole);
            tailwater_kafka::written_since(sink, since(commit_ms), |told| gathering.record(told))?;
            tailwater_postgres::resume::position(source, &stopped, gathering.finish(skipped)).await?
        }
        Source::Mysql(source) => {
            let (stopped, commit_ms) = left.of_mysql()?;
            let mut gathering = GatheringOfMysql::new(prefix, &stopped);
            tailwater_kafka::written_since(sink, since(commit_ms), |told| gathering.record(told))?;
            tailwater_mysql::resume::position(source, &stopped, gathering.finish(skipped)).await?
        }
    };
    if beyond > 0 {
        warn!("{beyond} changes come twice: Debezium wrote them before others that it did not write");
    }
    let (sink, first) = ((**sink).clone(), position.clone());
    let written = tokio::task::spawn_blocking(move || tailwater_kafka::begin_at(&sink, &first)).await;
    written.map_err(|error| Error::transient("TW-CLI-006", format!("the sink breaks down: {error}")))??;
    Ok(position)
}

fn no_brokers() -> Error {
    Error::operator("TW-CLI-005", "this sink has no brokers")
}
