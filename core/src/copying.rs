//! A first copy that several sessions make at once: what they read becomes the batches of the loop, one piece each. How
//! a snapshot is taken and read is the source's; here is what all sources do with the pieces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::{Batch, CopyProgress, Error, Notes, Position, Result, Table};

/// Bytes of a batch that a session fills. Sessions + 1 of them exist at a time.
const PIECE_BYTES: usize = 2 << 20;

/// What all sessions read: the source as it was at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// [`Position::source`]
    pub source: String,
    /// [`Position::stream`] of what comes after it.
    pub stream: String,
    /// [`Position::notes`] there.
    pub notes: Arc<Notes>,
    /// What copied rows have for a [`Transaction::id`](crate::Transaction::id).
    pub id: String,
    /// The file of the log it stands in, where there is such a thing.
    pub log_file: String,
    /// Where that is in the log, as in [`Event::log_offset`](crate::Event::log_offset).
    pub log_offset: u64,
    /// When it was taken, µs since 1970.
    pub time_us: i64,
}

/// A table that is copied.
#[derive(Debug)]
pub struct Copied {
    /// Its shape.
    pub table: Arc<Table>,
    /// How far it is.
    pub progress: CopyProgress,
    /// Ranges that no session has finished yet.
    pub ranges_left: usize,
}

/// What a session hands over: rows of one table, and whether they are the last of a range.
#[derive(Debug)]
struct Piece {
    table: usize,
    rows: Batch,
    range_done: bool,
}

/// What a session takes its ranges from and hands its rows to.
#[derive(Debug)]
pub struct Work<R> {
    ranges: Arc<Mutex<VecDeque<R>>>,
    pieces: mpsc::Sender<Piece>,
    snapshot: Arc<Snapshot>,
}

/// A copy under way.
#[derive(Debug)]
pub struct Copying {
    snapshot: Arc<Snapshot>,
    tables: Vec<Copied>,
    pieces: mpsc::Receiver<Piece>,
    sessions: JoinSet<Result<()>>,
    started: bool,
    /// What is told before the first row.
    preface: Batch,
    waiting: Option<Piece>,
}

impl Snapshot {
    /// An empty batch for copied rows.
    ///
    /// # Errors
    /// As [`Batch::transaction`].
    fn batch(&self) -> Result<Batch> {
        let mut rows = Batch::default();
        rows.reset(&Position::default(), PIECE_BYTES);
        self.name(&mut rows)?;
        Ok(rows)
    }

    fn name(&self, batch: &mut Batch) -> Result<()> {
        batch.transaction(format_args!("{}", self.id), self.time_us, 0, 0)?;
        batch.log_file(&self.log_file)?;
        batch.set_log_offset(self.log_offset);
        Ok(())
    }
}

impl<R> Work<R> {
    /// The next range that nobody has taken.
    #[must_use]
    pub fn range(&self) -> Option<R> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// A batch to fill.
    ///
    /// # Errors
    /// As [`Batch::transaction`].
    pub fn batch(&self) -> Result<Batch> {
        self.snapshot.batch()
    }

    /// Hands rows of a table over; `range_done` with the last ones of a range. False where nobody wants them any more.
    pub async fn hand_over(&self, table: usize, rows: Batch, range_done: bool) -> bool {
        self.pieces.send(Piece { table, rows, range_done }).await.is_ok()
    }
}

impl Copying {
    /// Lets each of `sessions` begin, by `run`. The ranges are those of `tables`.
    pub fn begin<S, R, F>(
        snapshot: Snapshot,
        tables: Vec<Copied>,
        ranges: impl IntoIterator<Item = R>,
        sessions: Vec<S>,
        run: impl Fn(S, Work<R>) -> F,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let snapshot = Arc::new(snapshot);
        let ranges = Arc::new(Mutex::new(ranges.into_iter().collect()));
        let (sender, pieces) = mpsc::channel(1);
        let mut running = JoinSet::new();
        for session in sessions {
            let (ranges, snapshot) = (Arc::clone(&ranges), Arc::clone(&snapshot));
            running.spawn(run(session, Work { ranges, pieces: sender.clone(), snapshot }));
        }
        let preface = Batch::default();
        Self { snapshot, tables, pieces, sessions: running, started: false, preface, waiting: None }
    }

    /// Adds to what is told before the first row.
    ///
    /// # Errors
    /// Those of `add`, and as [`Batch::transaction`].
    pub fn tell(&mut self, add: impl FnOnce(&mut Batch) -> Result<()>) -> Result<()> {
        self.preface = self.snapshot.batch()?;
        add(&mut self.preface)
    }

    /// Adds what the sessions have read. True once the copy is whole, and `batch.to` is where the stream goes on.
    /// Cancel-safe.
    ///
    /// # Errors
    /// The first failure of any session.
    pub async fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        if !self.started {
            self.start(batch)?;
            return Ok(false);
        }
        if self.waiting.is_none() {
            self.waiting = self.next_piece().await?;
        }
        match self.waiting.take() {
            Some(piece) => {
                self.add(piece, batch);
                Ok(false)
            }
            None => {
                batch.to.copies.clear();
                batch.to.stream.clone_from(&self.snapshot.stream);
                batch.to.notes.clone_from(&self.snapshot.notes);
                batch.sealed = true;
                Ok(true)
            }
        }
    }

    /// Every table starts empty, whatever an interrupted copy left.
    fn start(&mut self, batch: &mut Batch) -> Result<()> {
        if self.preface.has_events() {
            batch.adopt(&mut self.preface);
        }
        self.snapshot.name(batch)?;
        batch.to.source.clone_from(&self.snapshot.source);
        batch.to.stream.clear();
        batch.to.notes = Arc::default();
        batch.to.copies.clear();
        for copied in &mut self.tables {
            batch.copy_start(&copied.table);
            if copied.ranges_left == 0 {
                copied.progress.done = true;
                batch.copy_end(&copied.table);
            }
            batch.to.copies.insert(copied.table.full_name(), copied.progress.clone());
        }
        batch.sealed = true;
        self.started = true;
        Ok(())
    }

    async fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            tokio::select! {
                biased;
                // First: a failure is told when it happens, not after all that the others have copied.
                Some(ended) = self.sessions.join_next() => session_ended(ended)?,
                piece = self.pieces.recv() => match piece {
                    Some(piece) => return Ok(Some(piece)),
                    None => return self.join().await.map(|()| None),
                },
            }
        }
    }

    async fn join(&mut self) -> Result<()> {
        while let Some(ended) = self.sessions.join_next().await {
            session_ended(ended)?;
        }
        Ok(())
    }

    fn add(&mut self, mut piece: Piece, batch: &mut Batch) {
        let Some(copied) = self.tables.get_mut(piece.table) else { return };
        copied.progress.rows += piece.rows.len() as u64;
        batch.adopt(&mut piece.rows);
        if piece.range_done {
            copied.ranges_left -= 1;
            if copied.ranges_left == 0 {
                copied.progress.done = true;
                batch.copy_end(&copied.table);
            }
        }
        batch.to.copies.insert(copied.table.full_name(), copied.progress.clone());
        batch.sealed = true;
    }
}

fn session_ended(ended: std::result::Result<Result<()>, JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| {
        Err(Error::transient("TW-CORE-008", format!("a copy session broke down: {error}")))
    })
}
