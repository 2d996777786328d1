//! `tailwater run`: every pipeline for itself, until it ends, fails, or a signal stops them all.

use tailwater_core::pipeline::Options;
use tailwater_core::{Result, status};
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
        let stop = stop.clone();
        let span = info_span!("pipeline", name = pipeline.name);
        let run = async move { Box::pin(kinds::supervise(&pipeline, &options, &stop, &publisher)).await };
        running.spawn(run.instrument(span));
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
