//! A sink that encodes into memory: what would be written to Kafka, in order. For the tests that hold the encoder
//! against the real connector, and for measuring it alone.

use std::sync::{Arc, Mutex};

use tailwater_core::{Batch, Guarantee, Position, Result, Sink};

use super::{Config, Debezium};
use crate::encode::{Records, Span};
use crate::feed::{Feed, Outlet};
use crate::routes::{Naming, Routes};
use crate::sink::now_us;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Where it would go.
    pub topic: String,
    /// `None` where it has none.
    pub key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// In order.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What a [`Recorder`] has written, shared with whoever reads it.
pub type Log = Arc<Mutex<Vec<Recorded>>>;

/// The sink.
#[derive(Debug)]
pub struct Recorder {
    feed: Feed,
    out: Arena,
    log: Log,
    position: Option<Position>,
}

#[derive(Debug, Default)]
struct Arena(Records);

impl Outlet for Arena {
    fn records(&mut self) -> Result<&mut Records> {
        Ok(&mut self.0)
    }

    fn encoded(&mut self, _: &Routes) -> Result<()> {
        Ok(())
    }
}

impl Recorder {
    /// Whole events, in topics as Debezium names them. Goes on from `position`.
    #[must_use]
    pub fn events(config: Config, log: Log, position: Option<Position>) -> Self {
        let prefix = config.prefix.clone();
        Self::new(&prefix, Debezium::events(config), log, position)
    }

    /// The same of rows.
    #[must_use]
    pub fn rows(config: Config, log: Log, position: Option<Position>) -> Self {
        let prefix = config.prefix.clone();
        Self::new(&prefix, Debezium::rows(config), log, position)
    }

    fn new(prefix: &str, encoder: Debezium, log: Log, position: Option<Position>) -> Self {
        let naming = Naming { pattern: "{prefix}.{schema}.{table}".into(), prefix: prefix.to_owned() };
        let feed = Feed::new(Box::new(encoder), Routes::new(naming));
        Self { feed, out: Arena::default(), log, position }
    }

    /// Encodes a batch and forgets it; the number of bytes. For measuring.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&mut self, batch: &Batch) -> Result<usize> {
        self.feed.batch(batch, now_us(), &mut self.out)?;
        let bytes = self.out.0.size_bytes();
        self.out.0.clear(64 << 20);
        Ok(bytes)
    }

    /// Moves what is encoded into the log.
    fn hand_on(&mut self) {
        let out = &mut self.out.0;
        let bytes = |span: Span| out.bytes(span).to_vec();
        let records = out.records().iter().enumerate().map(|(index, record)| {
            let target = self.feed.routes.all().get(record.route.index());
            let headers = out.headers(index).iter();
            Recorded {
                topic: target.map(|target| target.topic.clone()).unwrap_or_default(),
                key: record.key.map(bytes),
                value: record.value.map(bytes),
                headers: headers.map(|header| (bytes(header.name), header.value.map(bytes))).collect(),
            }
        });
        if let Ok(mut log) = self.log.lock() {
            log.extend(records);
        }
        out.clear(1 << 20);
    }
}

impl Sink for Recorder {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn open(&mut self) -> Result<Option<Position>> {
        Ok(self.position.clone())
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.feed.batch(batch, now_us(), &mut self.out)?;
        self.position = Some(batch.to.clone());
        self.hand_on();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
