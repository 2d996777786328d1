//! What a source must do. One exists per database system; the loop in [`pipeline`](crate::pipeline) drives it.

use std::future::Future;

use crate::{Batch, Position, Result};

/// A reader of committed changes, in commit order, without a gap and without a repeat.
///
/// The loop calls `open` once, then any mix of `read`, `keep_alive` and `confirm`. After an error the source is
/// dropped and a new one is opened from the sink's position: there is no other way to recover.
pub trait Source: Send {
    /// Connects and proves that reading can go on from `from`, which is what the sink holds (`None`: nothing yet).
    /// Returns where the first batch starts: `from` itself, or an empty position before the first copy.
    ///
    /// # Errors
    /// `Operator` where continuity cannot be proved: it names what is missing and what heals it.
    fn open(&mut self, from: Option<Position>) -> impl Future<Output = Result<Position>> + Send;

    /// Adds what has arrived to `batch`, sets `batch.to`, and returns; waits while there is nothing. Returns too, with
    /// or without anything added, when [`Source::caught_up`] becomes true. Stops early when the batch is full, when
    /// it seals the batch, or, where `batch.cut_at_commit` is set, after a commit.
    ///
    /// Must be cancel-safe: the loop drops the future to serve the sink, and what was added stays added.
    fn read(&mut self, batch: &mut Batch) -> impl Future<Output = Result<()>> + Send;

    /// Keeps the server content while the loop cannot take more; never reads data, never returns without an error.
    fn keep_alive(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Tells the server that everything up to `position` is durable in the target. Always a position that this
    /// source put into a batch, always at a boundary, always in order. May only note it and send it with the next read.
    fn confirm(&mut self, position: &Position) -> impl Future<Output = Result<()>> + Send;

    /// Whether everything committed at the server when `open` was called has been read.
    fn caught_up(&self) -> bool;

    /// Bytes of log between what was read and the newest the server has told of; `None` before it told any.
    fn behind_bytes(&self) -> Option<u64>;

    /// Says goodbye. Called after the last confirm of a clean stop, not after an error.
    ///
    /// # Errors
    /// Where the last confirmed position could not be sent; the target is right all the same.
    fn close(&mut self) -> impl Future<Output = Result<()>> + Send;
}
