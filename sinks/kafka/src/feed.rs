//! A batch, event by event, into a format: knows when a source transaction is whole, which a format is told of even
//! where the transaction spans several batches. Used by the sink, and by `debezium::record`, which keeps the records.

use tailwater_core::{Batch, Change, Event, Result, Transaction};

use crate::encode::{Encode, Place, Records};
use crate::routes::Routes;

/// A format, and what it has to do with.
pub(crate) struct Feed {
    encoder: Box<dyn Encode>,
    pub(crate) routes: Routes,
    /// The source transaction of the last event.
    current: Current,
}

/// Where records go.
pub(crate) trait Outlet {
    /// The arena to add records to.
    ///
    /// # Errors
    /// Where there is none.
    fn records(&mut self) -> Result<&mut Records>;

    /// An event is encoded; the arena may be handed on.
    ///
    /// # Errors
    /// Where that fails.
    fn encoded(&mut self, routes: &Routes) -> Result<()>;
}

/// A [`Transaction`] that outlives its batch, in memory that is used again.
#[derive(Default)]
struct Current {
    /// It is not whole yet.
    open: bool,
    id: String,
    commit_time_us: i64,
    xid: u64,
    follows: u64,
    starts: u64,
    ends: u64,
    origin: String,
    origin_offset: u64,
    log_file: String,
    server: u64,
    thread: u64,
}

impl Feed {
    pub(crate) fn new(encoder: Box<dyn Encode>, routes: Routes) -> Self {
        Self { encoder, routes, current: Current::default() }
    }

    /// Encodes a batch.
    ///
    /// # Errors
    /// Those of the format, and of the outlet.
    pub(crate) fn batch(&mut self, batch: &Batch, now_us: i64, outlet: &mut impl Outlet) -> Result<()> {
        let place = Place { source: &batch.to.source, batch_end: &batch.to, now_us };
        for event in batch.events() {
            if self.current.open && self.current.id != event.transaction.id {
                self.leave(place, event.transaction.follows, outlet.records()?)?;
            }
            if counts(&event) {
                self.current.enter(&event.transaction);
            }
            self.encoder.event(&event, place, &mut self.routes, outlet.records()?)?;
            outlet.encoded(&self.routes)?;
        }
        if batch.to.at_boundary() {
            self.leave(place, 0, outlet.records()?)?;
            self.encoder.pause(place, &mut self.routes, outlet.records()?);
        }
        Ok(())
    }

    /// The source transaction of the events before is whole. Where none of them came with its end, it is at `ends`.
    fn leave(&mut self, place: Place<'_>, ends: u64, out: &mut Records) -> Result<()> {
        let current = &mut self.current;
        if !std::mem::take(&mut current.open) {
            return Ok(());
        }
        let transaction = Transaction {
            id: &current.id,
            commit_time_us: current.commit_time_us,
            xid: current.xid,
            follows: current.follows,
            starts: current.starts,
            ends: if current.ends == 0 { ends } else { current.ends },
            origin: &current.origin,
            origin_offset: current.origin_offset,
            log_file: &current.log_file,
            server: current.server,
            thread: current.thread,
        };
        self.encoder.commit(&transaction, place, &mut self.routes, out)
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Current {
    /// An event of it came; its end is known with the last one.
    fn enter(&mut self, transaction: &Transaction<'_>) {
        self.ends = transaction.ends;
        if std::mem::replace(&mut self.open, true) {
            return;
        }
        transaction.id.clone_into(&mut self.id);
        transaction.origin.clone_into(&mut self.origin);
        transaction.log_file.clone_into(&mut self.log_file);
        (self.server, self.thread) = (transaction.server, transaction.thread);
        (self.commit_time_us, self.origin_offset) = (transaction.commit_time_us, transaction.origin_offset);
        (self.xid, self.follows, self.starts) = (transaction.xid, transaction.follows, transaction.starts);
    }
}

/// Whether an event makes a transaction of the source that has an end.
fn counts(event: &Event<'_>) -> bool {
    match event.change {
        Change::Insert { .. } | Change::Update { .. } | Change::Delete { .. } | Change::Truncate { .. } => {
            true
        }
        Change::Message { transactional, .. } => transactional,
        Change::Shape { .. } | Change::Drop { .. } | Change::Stop { .. } | Change::Statement(_) => false,
        Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => false,
    }
}
