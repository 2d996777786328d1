//! Starts the loop again after a failure that may pass. Crash, restart, shutdown and retry are one path: a new
//! source and a new sink, from the position the sink holds.

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::pipeline::{self, Options};
use crate::retry::Retry;
use crate::status::{Phase, Publisher};
use crate::{Error, ErrorKind, Position, Result, Sink, Source};

/// Runs `connect()`'s source and sink until `stop`, until caught up where that is asked for, or until an error that
/// only a person can mend.
///
/// # Errors
/// The first error of kind `Operator` or `Data`.
pub async fn supervise<S: Source, K: Sink>(
    name: &str,
    mut connect: impl FnMut() -> Result<(S, K)>,
    options: &Options,
    stop: &CancellationToken,
    status: &Publisher,
) -> Result<()> {
    let mut retry = Retry::new();
    while !stop.is_cancelled() {
        let before = status.borrow().position.clone();
        let outcome = match connect() {
            Ok((source, sink)) => pipeline::run(source, sink, options, stop, status).await,
            Err(error) => Err(error),
        };
        let Err(failure) = outcome else { break };
        if is_progress(&before, &status.borrow().position) {
            retry.reset();
        }
        match failure.kind() {
            ErrorKind::Transient => wait(name, &failure, &mut retry, stop, status).await,
            ErrorKind::Operator | ErrorKind::Data => {
                status.send_modify(|status| {
                    status.phase = Phase::Stopped;
                    status.error = Some(failure.to_string());
                });
                error!(pipeline = name, "{failure}");
                return Err(failure);
            }
        }
    }
    status.send_modify(|status| status.phase = Phase::Stopped);
    info!(pipeline = name, "stopped");
    Ok(())
}

/// Whether an attempt came further for good. Parts of a transaction, or of a table that is still being copied, are not:
/// the next attempt reads them again.
fn is_progress(before: &Position, after: &Position) -> bool {
    let whole = |position: &Position| position.copies.values().filter(|copy| copy.done).count();
    (before.stream != after.stream && after.at_boundary()) || whole(before) < whole(after)
}

/// Until the next attempt, or until `stop`.
async fn wait(name: &str, failure: &Error, retry: &mut Retry, stop: &CancellationToken, status: &Publisher) {
    let pause = retry.next_wait();
    status.send_modify(|status| {
        status.phase = Phase::Starting;
        status.retries += 1;
        status.error = Some(failure.to_string());
    });
    let retries = status.borrow().retries;
    warn!(pipeline = name, retries, wait_ms = pause.as_millis(), "{failure}");
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}
