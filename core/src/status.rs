//! What a person may watch while a pipeline runs: plain numbers, published after every write.

use tokio::sync::watch;

use crate::Position;

/// What the loop is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Connecting, or waiting to try again.
    #[default]
    Starting,
    /// The first copy is under way; [`Position::copies`] tells how far.
    Copying,
    /// Following the log.
    Streaming,
    /// Ended, by wish or by an error nobody but a person can mend.
    Stopped,
}

/// A snapshot of a running pipeline.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// What the sink holds.
    pub position: Position,
    /// Events written since the start of the process, copied rows included.
    pub events: u64,
    /// Log bytes between what was read and the newest the server told of.
    pub behind_bytes: Option<u64>,
    /// When the newest written transaction was committed at the source, µs since 1970; 0 before the first.
    pub commit_time_us: i64,
    /// Attempts that failed and were tried again.
    pub retries: u64,
    /// The last failure, while the pipeline waits to try again or has stopped for it.
    pub error: Option<String>,
}

/// The writing end, owned by the pipeline.
pub type Publisher = watch::Sender<Status>;
/// The reading end, for whoever watches.
pub type Watcher = watch::Receiver<Status>;

/// A publisher and its watcher.
#[must_use]
pub fn channel() -> (Publisher, Watcher) {
    watch::channel(Status::default())
}

/// The distance between a position and its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind {
    /// Log between the position and its end.
    pub bytes: u64,
    /// What the server measured between writing its newest log and hearing that it is durable in the target; `None`
    /// where it measures nothing, or there was nothing to measure.
    pub seconds: Option<f64>,
}
