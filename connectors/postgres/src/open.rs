//! The transaction that the stream is in the middle of, and how a batch is told of it. What belongs to it is known to
//! `assemble`, which alone uses this.

use tailwater_core::{Batch, Result};

use crate::lsn::Lsn;

/// The transaction being assembled.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) commit: Lsn,
    pub(crate) commit_time_us: i64,
    pub(crate) xid: u32,
    /// Counted events so far, skipped ones included.
    pub(crate) ordinal: u64,
    /// Whether the target has all of it.
    pub(crate) skip: bool,
    /// Whether the current batch has been told of it.
    pub(crate) named: bool,
    /// Where it begins in the log.
    pub(crate) starts: Lsn,
    /// Where the one before ended.
    pub(crate) follows: Lsn,
    /// The server it came from, and where it ended there.
    pub(crate) origin: Option<(String, Lsn)>,
}

impl Open {
    /// Tells the batch of it; the next event has the number `first_ordinal`.
    ///
    /// # Errors
    /// `Data` where the batch is full.
    pub(crate) fn name(&mut self, first_ordinal: u64, batch: &mut Batch) -> Result<()> {
        self.named = true;
        let id = format_args!("{}", self.commit);
        batch.transaction(id, self.commit_time_us, u64::from(self.xid), first_ordinal)?;
        batch.starts(self.starts.0, self.follows.0);
        match &self.origin {
            Some((name, lsn)) => batch.origin(name, lsn.0),
            None => Ok(()),
        }
    }
}
