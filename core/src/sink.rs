//! What a sink must do. One exists per target system; it runs on a thread of its own and may block.

use crate::{Batch, Position, Result};

/// What a target can promise. A configuration that asks for more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Rows and position are durable in one transaction of the target.
    ExactlyOnce,
    /// The position is kept beside the target: a crash between the two repeats changes, with the same ids.
    AtLeastOnce,
}

/// A writer of batches that owns the checkpoint.
///
/// ```
/// use tailwater_core::{Batch, Guarantee, Position, Result, Sink};
///
/// /// Counts changes and forgets them: the smallest sink there is.
/// #[derive(Default)]
/// struct Counter { changes: u64, position: Option<Position> }
///
/// impl Sink for Counter {
///     fn guarantee(&self) -> Guarantee { Guarantee::AtLeastOnce }
///     fn open(&mut self) -> Result<Option<Position>> { Ok(self.position.clone()) }
///     fn write(&mut self, batch: &Batch) -> Result<()> {
///         self.changes += batch.events().count() as u64;
///         self.position = Some(batch.to.clone());
///         Ok(())
///     }
///     fn close(&mut self) -> Result<()> { Ok(()) }
/// }
/// ```
pub trait Sink: Send + 'static {
    /// What this target, as configured, can promise.
    fn guarantee(&self) -> Guarantee;

    /// Opens the target and returns the position it holds; `None` where it has never been written to.
    ///
    /// # Errors
    /// `Operator` where the stored position cannot be read: it is never taken for none.
    fn open(&mut self) -> Result<Option<Position>>;

    /// Writes the batch. When it returns and `batch.to` is at a boundary, rows and position up to `batch.to` are
    /// durable. A batch that ends inside a transaction may stay invisible until the one that completes it; the
    /// sink must then not let anybody see the half, and forget it when it is closed or killed.
    ///
    /// # Errors
    /// After any error nothing of the batch, and of the open transaction it belongs to, may become visible.
    fn write(&mut self, batch: &Batch) -> Result<()>;

    /// Lets go of the target, forgetting an unfinished transaction. Called once, after success and failure alike.
    ///
    /// # Errors
    /// Where the target reports one; everything written before is durable all the same.
    fn close(&mut self) -> Result<()>;
}
