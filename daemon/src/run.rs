//! `tailwater run`: every pipeline for itself, until it ends, fails, or a signal stops them all.

use tailwater_core::pipeline::Options;
use tailwater_core::{Error, Result, status};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info_span};

use crate::cli::Exit;
use crate::config::Pipeline;
use crate::{kinds, progress, signals};

/// Runs the pipelines. One that fails does not disturb the others; the exit code tells of it in the end.
///
/// # Errors
/// `Transient` where the process cannot listen to signals.
pub(crate) async fn run(pipelines: Vec<Pipeline>, until_caught_up: bool) -> Result<Exit> {
    let stop = CancellationToken::new();
    signals::cancel_on_signal(stop.clone())?;
    let mut running = JoinSet::new();
    let mut watchers = Vec::new();
    for pipeline in pipelines {
        let (publisher, watcher) = status::channel();
        watchers.push((pipeline.name.clone(), watcher));
        let options = Options { until_caught_up, ..pipeline.options.clone() };
        running.spawn(on_a_thread(pipeline, options, stop.clone(), publisher));
    }
    let mut shown = JoinSet::new();
    shown.spawn(progress::show(watchers));

    let mut exit = Exit::Success;
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            // The supervisor has logged why.
            Ok(Err(_logged)) => exit = Exit::Failed,
            Err(panicked) => {
                error!("a pipeline broke down: {panicked}");
                exit = Exit::Failed;
            }
        }
    }
    shown.shutdown().await;
    Ok(exit)
}

/// A pipeline has a thread and a runtime of its own, beside the sink's thread. Its source may nap on it while there is
/// a backlog, and nothing else wakes it then: with the sockets of a busy server in a shared runtime, every message
/// would wake some idle worker.
async fn on_a_thread(
    pipeline: Pipeline,
    options: Options,
    stop: CancellationToken,
    publisher: status::Publisher,
) -> Result<()> {
    let trouble = |what: &dyn std::fmt::Display| {
        Error::transient("TW-CLI-001", format!("run the pipeline's thread: {what}"))
    };
    let span = info_span!("pipeline", name = pipeline.name);
    let (sender, ended) = oneshot::channel();
    let name = pipeline.name.clone();
    let run = move || {
        let supervised = async { Box::pin(kinds::supervise(&pipeline, &options, &stop, &publisher)).await };
        let outcome = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(supervised.instrument(span.clone())),
            Err(error) => Err(trouble(&error)),
        };
        let outcome = outcome.and_then(|()| match options.until_caught_up {
            true => span.in_scope(|| whole(&pipeline)),
            false => Ok(()),
        });
        // Whoever waited is gone only when the process ends.
        drop(sender.send(outcome));
    };
    std::thread::Builder::new().name(name).spawn(run).map_err(|error| trouble(&error))?;
    ended.await.unwrap_or_else(|_closed| Err(trouble(&"it broke down")))
}

/// Whoever waits for the end, like cron, must hear of tables that were left behind.
fn whole(pipeline: &Pipeline) -> Result<()> {
    let Some(held) = kinds::position(pipeline)? else { return Ok(()) };
    let stopped = kinds::stopped_tables(pipeline, &held.position)?;
    if stopped.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = stopped.into_iter().map(|(table, _)| table).collect();
    let failure = Error::data("TW-CLI-009", format!("stopped tables are left behind: {}", names.join(", ")))
        .remedy(
            "see `tailwater position` for the reasons; copy into a new file, or leave them out of `tables`",
        );
    error!("{failure}");
    Err(failure)
}
