//! A sink that encodes into memory: what would be written to Kafka, in order. For the tests that hold the encoder
//! against the real connector, and for measuring it alone.

use std::sync::{Arc, Mutex};

use tailwater_core::{Batch, Change, Guarantee, Position, Result, Sink, Transaction};

use super::{Config, Debezium};
use crate::encode::{Encode as _, Place, Records, Span};
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
    encoder: Debezium,
    routes: Routes,
    out: Records,
    log: Log,
    transaction: Option<Last>,
    position: Option<Position>,
}

/// A transaction that outlives its batch.
#[derive(Debug)]
struct Last {
    id: String,
    commit_time_us: i64,
    xid: u64,
    starts: u64,
    ends: u64,
}

impl Recorder {
    /// With topics as Debezium names them. Goes on from `position`.
    #[must_use]
    pub fn new(config: Config, log: Log, position: Option<Position>) -> Self {
        let naming = Naming { pattern: "{prefix}.{schema}.{table}".into(), prefix: config.prefix.clone() };
        Self {
            encoder: Debezium::new(config),
            routes: Routes::new(naming),
            out: Records::default(),
            log,
            transaction: None,
            position,
        }
    }

    /// Encodes a batch and forgets it; the number of bytes. For measuring.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&mut self, batch: &Batch) -> Result<usize> {
        let place = Place { source: &batch.to.source, batch_end: &batch.to, now_us: now_us() };
        for event in batch.events() {
            self.encoder.event(&event, place, &mut self.routes, &mut self.out)?;
        }
        let bytes = self.out.size_bytes();
        self.out.clear(64 << 20);
        Ok(bytes)
    }

    fn leave(&mut self, place: Place<'_>) -> Result<()> {
        let Some(last) = self.transaction.take() else { return Ok(()) };
        let transaction = Transaction {
            id: &last.id,
            commit_time_us: last.commit_time_us,
            xid: last.xid,
            follows: 0,
            starts: last.starts,
            ends: last.ends,
            origin: "",
            origin_offset: 0,
        };
        self.encoder.commit(&transaction, place, &mut self.routes, &mut self.out)
    }

    /// Moves what is encoded into the log.
    fn hand_on(&mut self) {
        let bytes = |span: Span| self.out.bytes(span).to_vec();
        let records = self.out.records().iter().enumerate().map(|(index, record)| {
            let target = self.routes.all().get(record.route.index());
            let headers = self.out.headers(index).iter();
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
        self.out.clear(1 << 20);
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
        let place = Place { source: &batch.to.source, batch_end: &batch.to, now_us: now_us() };
        for event in batch.events() {
            let transaction = &event.transaction;
            if self.transaction.as_ref().is_some_and(|last| last.id != transaction.id) {
                self.leave(place)?;
            }
            let copies = matches!(
                event.change,
                Change::Copied { .. } | Change::CopyStart { .. } | Change::CopyEnd { .. }
            );
            if !copies && transaction.xid != 0 {
                self.transaction = Some(Last {
                    id: transaction.id.to_owned(),
                    commit_time_us: transaction.commit_time_us,
                    xid: transaction.xid,
                    starts: transaction.starts,
                    ends: transaction.ends,
                });
            }
            self.encoder.event(&event, place, &mut self.routes, &mut self.out)?;
        }
        if batch.to.at_boundary() {
            self.leave(place)?;
            self.encoder.pause(place, &mut self.routes, &mut self.out);
        }
        self.position = Some(batch.to.clone());
        self.hand_on();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
