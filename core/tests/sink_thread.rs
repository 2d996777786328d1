//! The thread of the sink: what is logged there carries the span of its pipeline, and what ended it is never lost. Alone in
//! its binary, as it sets the subscriber of the whole process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};

use tailwater_core::pipeline::{self, Options};
use tailwater_core::{Batch, Error, Guarantee, Position, Result, Sink, Source, status};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// Notes in which span it is called.
#[derive(Clone, Default)]
struct Noting {
    calls: Arc<Mutex<Vec<String>>>,
    fails: bool,
}

impl Noting {
    fn note(&self, call: &str) {
        let span = Span::current();
        let name = span.metadata().map_or("no span", tracing::Metadata::name);
        self.calls.lock().unwrap().push(format!("{call} in {name}"));
    }
}

impl Sink for Noting {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self) -> Result<Option<Position>> {
        self.note("open");
        Ok(None)
    }

    fn write(&mut self, _: &Batch) -> Result<()> {
        self.note("write");
        if self.fails {
            EXIT.armed.store(true, Ordering::SeqCst);
            return Err(Error::operator("TW-TEST-001", "only a person can mend it"));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.note("close");
        Ok(())
    }
}

/// Moves the position at once, and where it is asked to once more: while the sink's thread ends.
#[derive(Default)]
struct Steps {
    read: u32,
    while_the_sink_ends: bool,
}

impl Source for Steps {
    async fn open(&mut self, _: Option<Position>) -> Result<Position> {
        Ok(Position::default())
    }

    async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        match (self.read, self.while_the_sink_ends) {
            (0, _) => {}
            (1, true) => {
                while !EXIT.reached.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
                // Once more, so that the loop has seen by now that the sink writes no longer.
                tokio::task::yield_now().await;
                EXIT.released.store(true, Ordering::SeqCst);
            }
            (_, _) => std::future::pending().await,
        }
        self.read += 1;
        batch.to.stream = self.read.to_string();
        Ok(())
    }

    async fn keep_alive(&mut self) -> Result<()> {
        std::future::pending().await
    }

    async fn confirm(&mut self, _: &Position) -> Result<()> {
        Ok(())
    }

    fn caught_up(&self) -> bool {
        self.read > 0
    }

    fn behind_bytes(&self) -> Option<u64> {
        None
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Holds up the thread of a sink that has failed on its way out of the span `slow`: all it had is dropped by then, but it
/// has not ended.
struct Exit {
    armed: AtomicBool,
    reached: AtomicBool,
    released: AtomicBool,
    of_the_loop: Mutex<Option<ThreadId>>,
}

static EXIT: Exit = Exit {
    armed: AtomicBool::new(false),
    reached: AtomicBool::new(false),
    released: AtomicBool::new(false),
    of_the_loop: Mutex::new(None),
};

struct HoldsUp;

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for HoldsUp {
    fn on_exit(&self, id: &tracing::Id, context: Context<'_, S>) {
        let slow = context.span(id).is_some_and(|span| span.name() == "slow");
        let elsewhere = *EXIT.of_the_loop.lock().unwrap() != Some(thread::current().id());
        if slow && elsewhere && EXIT.armed.load(Ordering::SeqCst) {
            EXIT.reached.store(true, Ordering::SeqCst);
            while !EXIT.released.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }
}

static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(HoldsUp)).unwrap();
});

async fn run(source: Steps, sink: Noting) -> Result<()> {
    let options = Options { until_caught_up: true, ..Options::default() };
    let (publisher, _watcher) = status::channel();
    pipeline::run(source, sink, &options, &CancellationToken::new(), &publisher).await
}

#[tokio::test]
async fn the_sink_is_called_in_the_span_of_its_pipeline() {
    LazyLock::force(&SUBSCRIBER);
    let sink = Noting::default();
    run(Steps::default(), sink.clone()).instrument(info_span!("shop")).await.unwrap();
    assert_eq!(*sink.calls.lock().unwrap(), ["open in shop", "write in shop", "close in shop"]);
}

#[tokio::test]
async fn why_the_sink_ended_is_told_though_the_source_reads_on() {
    LazyLock::force(&SUBSCRIBER);
    *EXIT.of_the_loop.lock().unwrap() = Some(thread::current().id());
    let source = Steps { while_the_sink_ends: true, ..Steps::default() };
    let sink = Noting { fails: true, ..Noting::default() };
    let error = run(source, sink).instrument(info_span!("slow")).await.unwrap_err();
    assert_eq!(error.code(), "TW-TEST-001", "{error}");
}
