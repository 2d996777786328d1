//! The one loop: read a batch while the sink writes the one before, confirm what became durable.
//!
//! `sent ≥ durable ≥ confirmed` holds at every moment: a position goes to [`Source::confirm`] only after
//! [`Sink::write`] returned for it. One batch is in flight at most, so the sink's pace sets the batch size.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::Doing;
use crate::status::{Phase, Publisher};
use crate::{Batch, Error, Position, Result, Sink, Source};

/// How the loop behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// A batch is full at this many bytes of memory. Two batches exist at a time, and one row may exceed it.
    pub batch_bytes: usize,
    /// End once everything that was committed at the source at the start is durable.
    pub until_caught_up: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch_bytes: 4 << 20, until_caught_up: false }
    }
}

/// Carries changes from `source` to `sink` until `stop`, until caught up where that is asked for, or until the first
/// failure. Either way the sink is closed when this returns.
///
/// # Errors
/// The first failure of either end. What the sink holds is right, and a new attempt may start from it.
pub async fn run<S: Source, K: Sink>(
    mut source: S,
    sink: K,
    options: &Options,
    stop: &CancellationToken,
    status: &Publisher,
) -> Result<()> {
    let (mut writer, held) = Writer::open(sink).await.doing(|| "open the sink")?;
    let outcome = drive(&mut source, &mut writer, held, options, stop, status).await;
    let closed = writer.close().await;
    outcome.and(closed)?;
    // The target is right, and a source that has not heard the last confirmation hears it at the next start.
    if let Err(error) = source.close().await {
        warn!("close the source: {error}");
    }
    Ok(())
}

async fn drive<S: Source>(
    source: &mut S,
    writer: &mut Writer,
    held: Option<Position>,
    options: &Options,
    stop: &CancellationToken,
    status: &Publisher,
) -> Result<()> {
    let start = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        start = source.open(held) => start.doing(|| "open the source")?,
    };
    status.send_modify(|status| status.start(&start));
    let mut batch = Batch::default();
    batch.reset(&start, options.batch_bytes);
    let mut spare = Some(Batch::default());

    while !stop.is_cancelled() {
        let full = batch.is_full();
        if !batch.is_empty()
            && (full || batch.to.at_boundary())
            && let Some(mut next) = spare.take()
        {
            next.reset(&batch.to, options.batch_bytes);
            writer.send(std::mem::replace(&mut batch, next)).await?;
            continue;
        }
        if options.until_caught_up && spare.is_some() && batch.is_empty() && source.caught_up() {
            break;
        }
        batch.cut_at_commit = spare.is_some();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            written = writer.written(), if spare.is_none() => {
                spare = Some(settle(source, written?, status).await?);
            }
            read = advance(source, &mut batch, full) => read.doing(|| "read from the source")?,
        }
    }
    if spare.is_none() {
        settle(source, writer.written().await?, status).await?;
    }
    Ok(())
}

/// Reads while there is room. Cancel-safe, as both of its halves are.
async fn advance<S: Source>(source: &mut S, batch: &mut Batch, full: bool) -> Result<()> {
    if full { source.keep_alive().await } else { source.read(batch).await }
}

/// After a write: the source may forget what is durable, and whoever watches may know.
async fn settle<S: Source>(source: &mut S, written: Batch, status: &Publisher) -> Result<Batch> {
    if written.to.at_boundary() {
        source.confirm(&written.to).await.doing(|| "confirm to the source")?;
    }
    let behind_bytes = source.behind_bytes();
    status.send_modify(|status| status.wrote(&written, behind_bytes));
    Ok(written)
}

impl crate::status::Status {
    fn start(&mut self, position: &Position) {
        self.phase =
            if position.copying() || position.source.is_empty() { Phase::Copying } else { Phase::Streaming };
        self.position.clone_from(position);
        self.error = None;
    }

    fn wrote(&mut self, batch: &Batch, behind_bytes: Option<u64>) {
        self.phase = if batch.to.copying() { Phase::Copying } else { Phase::Streaming };
        self.position.clone_from(&batch.to);
        self.events += batch.len() as u64;
        self.behind_bytes = behind_bytes;
        if let Some(commit_time_us) = batch.commit_time_us() {
            self.commit_time_us = commit_time_us;
        }
    }
}

/// The sink on a thread of its own, which may block. Batches go in and come back when they are written.
struct Writer {
    batches: Option<mpsc::Sender<Batch>>,
    written: mpsc::Receiver<Batch>,
    thread: Option<JoinHandle<Result<()>>>,
    end: Position,
}

impl Writer {
    async fn open<K: Sink>(mut sink: K) -> Result<(Self, Option<Position>)> {
        let (sink, held) = on_thread(move || {
            let held = sink.open();
            (sink, held)
        })
        .await?;
        let held = match held {
            Ok(held) => held,
            Err(error) => {
                on_thread(move || drop(sink)).await?;
                return Err(error);
            }
        };
        let (batches, to_write) = mpsc::channel(1);
        let (done, written) = mpsc::channel(1);
        let thread = spawn_in_span(move || write_all(sink, to_write, &done));
        let end = held.clone().unwrap_or_default();
        Ok((Self { batches: Some(batches), written, thread: Some(thread), end }, held))
    }

    /// # Panics
    /// When the batch does not start where the one before ended: a gap or a repeat.
    async fn send(&mut self, batch: Batch) -> Result<()> {
        assert!(batch.from == self.end, "a batch starts at {} but {} was sent before", batch.from, self.end);
        self.end.clone_from(&batch.to);
        let sent = match &self.batches {
            Some(batches) => batches.send(batch).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.failure().await) }
    }

    /// Cancel-safe.
    async fn written(&mut self) -> Result<Batch> {
        match self.written.recv().await {
            Some(batch) => Ok(batch),
            None => Err(self.failure().await),
        }
    }

    /// Why the thread ended although it was not told to.
    async fn failure(&mut self) -> Error {
        match self.close().await {
            Err(error) => error,
            Ok(()) => Error::transient("TW-CORE-004", "the sink ended without saying why"),
        }
    }

    /// Lets a write in flight finish, and closes the sink. Cancel-safe: the thread is kept until it has said how it ended.
    async fn close(&mut self) -> Result<()> {
        self.batches = None;
        let Some(thread) = &mut self.thread else { return Ok(()) };
        let ended = thread.await.unwrap_or_else(|error| Err(panicked(&error)));
        self.thread = None;
        ended
    }
}

fn write_all<K: Sink>(
    mut sink: K,
    mut batches: mpsc::Receiver<Batch>,
    done: &mpsc::Sender<Batch>,
) -> Result<()> {
    let mut outcome = Ok(());
    while let Some(batch) = batches.blocking_recv() {
        outcome = sink.write(&batch).doing(|| "write to the sink");
        if outcome.is_err() || done.blocking_send(batch).is_err() {
            break;
        }
    }
    let closed = sink.close().doing(|| "close the sink");
    outcome.and(closed)
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_in_span(work).await.map_err(|error| panicked(&error))
}

/// What the sink logs on its thread belongs to its pipeline, as what is logged here does.
fn spawn_in_span<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

fn panicked(error: &tokio::task::JoinError) -> Error {
    Error::transient("TW-CORE-005", format!("the sink's thread broke down: {error}"))
}
