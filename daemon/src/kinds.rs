//! The only list of what exists: every pair of a source and a sink, bound statically. A new connector or sink is
//! added to the two enums of `config` and to the matches here; the compiler names every place that lacks it.

use tailwater_core::digest::Digest;
use tailwater_core::pipeline::Options;
use tailwater_core::status::Publisher;
use tailwater_core::{Error, Finding, Position, Result, supervise};
use tailwater_duckdb::DuckDb;
use tailwater_postgres::PostgresSource;
use tailwater_stdout::Stdout;
use tokio_util::sync::CancellationToken;

use crate::config::{Pipeline, Sink, Source};

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
        (Source::Postgres(source), Sink::Stdout(sink)) => {
            let connect = || Ok((PostgresSource::new(source.clone()), Stdout::new(sink.clone())));
            supervise::supervise(name, connect, options, stop, status).await
        }
    }
}

/// Everything a person should know before the pipeline runs. Changes nothing.
pub(crate) async fn check(pipeline: &Pipeline) -> Vec<Finding> {
    let mut findings = match &pipeline.source {
        Source::Postgres(source) => tailwater_postgres::check::check(source).await,
    };
    findings.extend(match &pipeline.sink {
        Sink::DuckDb(sink) => tailwater_duckdb::check(sink),
        Sink::Stdout(sink) => tailwater_stdout::check(sink),
    });
    findings
}

/// What the sink holds, also while a pipeline writes it.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn position(pipeline: &Pipeline) -> Result<Option<Position>> {
    match &pipeline.sink {
        Sink::DuckDb(sink) => tailwater_duckdb::position(sink),
        Sink::Stdout(sink) => tailwater_stdout::position(sink),
    }
}
