//! The only list of what exists: every pair of a source and a sink, bound statically. A new connector or sink is
//! added to the two enums of `config` and to the matches here; the compiler names every place that lacks it.

use tailwater_core::pipeline::Options;
use tailwater_core::status::Publisher;
use tailwater_core::{Result, supervise};
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

/// Removes what the pipeline made at its source, and says what that was. The target is not touched.
///
/// # Errors
/// `Operator` while the pipeline runs, or where the source refuses.
pub(crate) async fn drop(pipeline: &Pipeline) -> Result<Vec<String>> {
    match &pipeline.source {
        Source::Postgres(source) => tailwater_postgres::setup::drop_made(source).await,
    }
}
