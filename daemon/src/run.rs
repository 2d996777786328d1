//! `tailwater run`: every pipeline for itself, until it ends, fails, or a signal stops them all.

use std::time::Duration;

use tailwater_core::pipeline::Options;
use tailwater_core::{Error, Result, status};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cli::Exit;
use crate::config::Pipeline;
use crate::{kinds, progress};

/// A clean stop takes no longer: whoever sent the signal may be about to send a harder one.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Runs the pipelines. One that fails does not disturb the others; the exit code tells of it in the end.
///
/// # Errors
/// `Transient` where the process cannot listen to signals.
pub(crate) async fn run(pipelines: Vec<Pipeline>, until_caught_up: bool) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    let mut watchers = Vec::new();
    for pipeline in pipelines {
        let (publisher, watcher) = status::channel();
        watchers.push((pipeline.name.clone(), watcher));
        let options = Options {
            until_caught_up,
            ..pipeline.options.clone()
        };
        let stop = stop.clone();
        running
            .spawn(async move { Box::pin(kinds::supervise(&pipeline, &options, &stop, &publisher)).await });
    }
    let mut shown = JoinSet::new();
    shown.spawn(progress::show(watchers));

    let mut exit = Exit::Success;
    let interrupted = tokio::select! {
        () = wait(&mut running, &mut exit) => false,
        () = signals.next() => true,
    };
    if interrupted {
        info!("stopping; a second signal stops at once");
        stop.cancel();
        tokio::select! {
            () = wait(&mut running, &mut exit) => {}
            () = signals.next() => exit = Exit::Interrupted,
            () = tokio::time::sleep(STOP_WITHIN) => {
                warn!("a write did not end within {STOP_WITHIN:?}; the target keeps what it holds, and the next run goes on from there");
                exit = Exit::GaveUp;
            }
        }
    }
    shown.shutdown().await;
    Ok(exit)
}

/// Until the last pipeline has ended. The supervisor has logged why one failed.
async fn wait(running: &mut JoinSet<Result<()>>, exit: &mut Exit) {
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(_logged)) => *exit = Exit::Failed,
            Err(panicked) => {
                error!("a pipeline broke down: {panicked}");
                *exit = Exit::Failed;
            }
        }
    }
}

/// SIGTERM and Ctrl-C.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// `Transient` where the process cannot listen to signals.
    pub(crate) fn listen() -> Result<Self> {
        let on = |kind| {
            signal(kind)
                .map_err(|error| Error::transient("TW-CLI-001", format!("listen to signals: {error}")))
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    /// Waits for either of them. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
