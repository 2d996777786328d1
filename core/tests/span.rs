//! What a sink logs on its own thread carries the span of its pipeline. Alone in its binary, as it sets the subscriber of
//! the whole process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};

use tailwater_core::pipeline::{self, Options};
use tailwater_core::{Batch, Guarantee, Position, Result, Sink, Source, status};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

/// Notes in which span it is called.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Noting {
    fn note(&self, call: &str) {
        let span = tracing::Span::current();
        let name = span.metadata().map_or("no span", tracing::Metadata::name);
        self.0.lock().unwrap().push(format!("{call} in {name}"));
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
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.note("close");
        Ok(())
    }
}

/// Moves the position once.
#[derive(Default)]
struct OneStep(bool);

impl Source for OneStep {
    async fn open(&mut self, _: Option<Position>) -> Result<Position> {
        Ok(Position::default())
    }

    async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        if self.0 {
            std::future::pending::<()>().await;
        }
        "1".clone_into(&mut batch.to.stream);
        self.0 = true;
        Ok(())
    }

    async fn keep_alive(&mut self) -> Result<()> {
        std::future::pending().await
    }

    async fn confirm(&mut self, _: &Position) -> Result<()> {
        Ok(())
    }

    fn caught_up(&self) -> bool {
        self.0
    }

    fn behind_bytes(&self) -> Option<u64> {
        None
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_sink_is_called_in_the_span_of_its_pipeline() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let noted = Arc::default();
    let options = Options { until_caught_up: true, ..Options::default() };
    let (publisher, _watcher) = status::channel();
    let sink = Noting(Arc::clone(&noted));
    pipeline::run(OneStep::default(), sink, &options, &CancellationToken::new(), &publisher)
        .instrument(info_span!("shop"))
        .await
        .unwrap();
    assert_eq!(*noted.lock().unwrap(), ["open in shop", "write in shop", "close in shop"]);
}
