//! The transaction that the log is in the middle of, and how a batch is told of it. What belongs to it is known to
//! `assemble`, which alone uses this.

use std::sync::Arc;

use tailwater_core::{Batch, Result};

use crate::assemble::Shape;
use crate::binlog::event::{Rows, RowsKind};
use crate::place::Id;

/// The transaction being assembled.
#[derive(Debug)]
pub(crate) struct Open<P> {
    pub(crate) id: Id,
    pub(crate) commit_time_us: i64,
    /// The server that made it, and the connection to it, once a statement has told; 0 before.
    pub(crate) server: u32,
    pub(crate) thread: u32,
    /// Counted events so far, skipped ones included.
    pub(crate) ordinal: u64,
    /// Whether the target has all of it.
    pub(crate) skip: bool,
    /// Whether the current batch has been told of it.
    pub(crate) named: bool,
    /// More than one statement: it ends with a commit of its own.
    pub(crate) begun: bool,
    /// Rows of tables that roll back have come.
    pub(crate) may_roll_back: bool,
    /// Where it begins in the log.
    pub(crate) starts: u64,
    /// Where the one before ended.
    pub(crate) follows: u64,
    /// What an XA transaction changed so far.
    pub(crate) held: Option<Vec<Held<P>>>,
}

/// A rows event of an XA transaction, kept until it is known what becomes of it.
#[derive(Debug)]
pub(crate) struct Held<P> {
    pub(crate) shape: Arc<Shape<P>>,
    kind: RowsKind,
    first_present: Box<[u8]>,
    second_present: Box<[u8]>,
    images: Box<[u8]>,
    pub(crate) log_offset: u64,
}

impl<P> Held<P> {
    pub(crate) fn of(shape: Arc<Shape<P>>, rows: &Rows<'_>, log_offset: u64) -> Self {
        Self {
            shape,
            kind: rows.kind,
            first_present: rows.first_present.into(),
            second_present: rows.second_present.into(),
            images: rows.images.into(),
            log_offset,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.images.len() + self.first_present.len() + self.second_present.len()
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows {
            kind: self.kind,
            table: 0,
            ends_statement: false,
            columns: self.shape.columns.len(),
            first_present: &self.first_present,
            second_present: &self.second_present,
            images: &self.images,
            compressed: false,
        }
    }
}

impl<P> Open<P> {
    /// Tells the batch of it and of the `file` it stands in, unless it has been told; the next event has the number
    /// `first_ordinal`.
    ///
    /// # Errors
    /// `Data` where the batch is full.
    pub(crate) fn name(&mut self, first_ordinal: u64, file: &str, batch: &mut Batch) -> Result<()> {
        if self.named && batch.has_events() {
            return Ok(());
        }
        self.named = true;
        batch.transaction(format_args!("{}", self.id), self.commit_time_us, 0, first_ordinal)?;
        batch.starts(self.starts, self.follows);
        batch.log_file(file)?;
        batch.committed_by(self.server.into(), self.thread.into());
        Ok(())
    }
}
