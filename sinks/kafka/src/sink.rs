//! The sink: a batch in, records and the position out, in one transaction where that is asked for.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Change, Event, Guarantee, Position, Result, Sink, Transaction};

use crate::client::Noted;
use crate::debezium::Debezium;
use crate::encode::{Encode, Place};
use crate::json::Json;
use crate::producer::Producer;
use crate::routes::{Route, Routes};
use crate::row::Rows;
use crate::topics::Topics;
use crate::{Config, Delivery, Format, PartitionChange, error, position};

/// Writes to Kafka.
pub struct Kafka {
    config: Config,
    open: Option<Open>,
}

/// What there is between `open` and `close`.
struct Open {
    config: Config,
    topics: Topics,
    producer: Producer,
    routes: Routes,
    encoder: Box<dyn Encode>,
    position_route: Route,
    /// How many partitions each topic had when it was first written.
    partitions: HashMap<String, i32>,
    /// The source transaction of the last event, until it is whole.
    transaction: Option<Current>,
    failed: bool,
}

/// A [`Transaction`] that outlives its batch.
struct Current {
    id: String,
    commit_time_us: i64,
    xid: u64,
    follows: u64,
    starts: u64,
    ends: u64,
    origin: String,
    origin_offset: u64,
}

impl Kafka {
    /// A sink that is not open yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, open: None }
    }
}

impl Kafka {
    /// Writes a position alone: where the pipeline begins.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub(crate) fn begin_at(&mut self, position: &Position) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(error::not_open)?;
        open.producer.begin()?;
        open.finish(position)
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Sink for Kafka {
    fn guarantee(&self) -> Guarantee {
        match self.config.delivery {
            Delivery::ExactlyOnce => Guarantee::ExactlyOnce,
            Delivery::AtLeastOnce => Guarantee::AtLeastOnce,
        }
    }

    /// The order matters: only after the producer has taken over can nobody move the position any more.
    fn open(&mut self) -> Result<Option<Position>> {
        let config = &self.config;
        let noted = Noted::default();
        let mut topics = Topics::new(config, &noted)?;
        topics
            .ensure(&[&config.position_topic], position::SETTINGS, &HashMap::new())
            .doing(|| "prepare the position topic")?;
        position::check_topic(config, &topics, topics.partitions(&config.position_topic))?;
        let mut producer = Producer::new(config, noted)?;
        producer.take_over().doing(|| "take over the pipeline's transactions")?;
        let stored = position::read_to_end(config, &topics)?;

        let mut routes = Routes::new(config.naming.clone());
        let position_route = routes.other(&config.position_topic, "the position");
        producer.add_route(&config.position_topic, "the position", 1)?;
        let encoder: Box<dyn Encode> = match config.format {
            Format::Debezium => Box::new(Debezium::new(config.debezium.clone())),
            Format::Row => Box::new(Rows::default()),
            Format::Json => Box::new(Json::new(config.naming.topic("tailwater", "messages"))),
        };
        self.open = Some(Open {
            config: config.clone(),
            topics,
            producer,
            routes,
            encoder,
            position_route,
            partitions: stored.partitions,
            transaction: None,
            failed: false,
        });
        Ok(stored.position)
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let open = self.open.as_mut().filter(|open| !open.failed).ok_or_else(error::not_open)?;
        let written = open.write(batch);
        open.failed = written.is_err();
        written
    }

    fn close(&mut self) -> Result<()> {
        if let Some(mut open) = self.open.take() {
            open.producer.give_up();
        }
        Ok(())
    }
}

impl Open {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        let now_us = now_us();
        self.producer.begin()?;
        let place = Place { source: &batch.to.source, batch_end: &batch.to, now_us };
        for event in batch.events() {
            let new = self.transaction.as_ref().is_some_and(|current| current.id != event.transaction.id);
            if new {
                self.leave(place, event.transaction.follows)?;
            }
            if counts(&event) {
                let current = self.transaction.get_or_insert_with(|| Current::from(&event.transaction));
                current.ends = event.transaction.ends;
            }
            self.encoder.event(&event, place, &mut self.routes, self.producer.records()?)?;
            if self.producer.is_full() {
                self.send()?;
            }
        }
        if batch.to.at_boundary() {
            self.leave(place, 0)?;
            self.encoder.pause(place, &mut self.routes, self.producer.records()?);
            self.finish(&batch.to)
        } else {
            self.send()
        }
    }

    /// The source transaction of the events before is whole. Where none of them came with its end, it is at `ends`.
    fn leave(&mut self, place: Place<'_>, ends: u64) -> Result<()> {
        let Some(current) = self.transaction.take() else { return Ok(()) };
        let transaction = Transaction {
            id: &current.id,
            commit_time_us: current.commit_time_us,
            xid: current.xid,
            follows: current.follows,
            starts: current.starts,
            ends: if current.ends == 0 { ends } else { current.ends },
            origin: &current.origin,
            origin_offset: current.origin_offset,
        };
        self.encoder.commit(&transaction, place, &mut self.routes, self.producer.records()?)
    }

    /// Writes the position, so that it is durable if and only if (or, at least once, only if) everything before it is.
    fn finish(&mut self, to: &Position) -> Result<()> {
        let (key, value) = position::record(&self.config.pipeline, to)?;
        match self.config.delivery {
            Delivery::ExactlyOnce => {
                self.producer.add(self.position_route, &key, &value)?;
                self.send()?;
                self.producer.commit(&self.routes).doing(|| "commit the transaction")
            }
            Delivery::AtLeastOnce => {
                self.send()?;
                self.producer.flush(&self.routes)?;
                self.producer.add(self.position_route, &key, &value)?;
                self.send()?;
                self.producer.flush(&self.routes)
            }
        }
    }

    /// Hands over what is encoded so far, after making sure of topics that were not written before.
    fn send(&mut self) -> Result<()> {
        self.prepare_routes()?;
        self.producer.send(&self.routes)
    }

    fn prepare_routes(&mut self) -> Result<()> {
        let known = self.producer.known_routes();
        let new = self.routes.all().get(known..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = new.iter().map(|target| target.topic.as_str()).collect();
        self.topics.ensure(&names, &[], &self.partitions)?;
        for target in new {
            let now = self.topics.partitions(&target.topic);
            self.producer.add_route(&target.topic, &target.about, now)?;
            let before = self.partitions.insert(target.topic.clone(), now);
            match (before, self.config.partition_change) {
                (Some(before), _) if before == now => continue,
                (Some(before), PartitionChange::Stop) => {
                    return Err(error::partitions_changed(&target.topic, before, now));
                }
                (Some(before), PartitionChange::Accept) => {
                    tracing::warn!(topic = target.topic, before, now, "the number of partitions has changed");
                }
                (None, _) => {}
            }
            let (key, value) = position::partitions_record(&self.config.pipeline, &target.topic, now)?;
            self.producer.add(self.position_route, &key, &value)?;
        }
        Ok(())
    }
}

impl From<&Transaction<'_>> for Current {
    fn from(transaction: &Transaction<'_>) -> Self {
        let Transaction { id, commit_time_us, xid, follows, starts, ends, origin, origin_offset } =
            *transaction;
        let (id, origin) = (id.to_owned(), origin.to_owned());
        Self { id, commit_time_us, xid, follows, starts, ends, origin, origin_offset }
    }
}

/// Whether an event makes a transaction of the source that has an end.
fn counts(event: &Event<'_>) -> bool {
    match event.change {
        Change::Insert { .. } | Change::Update { .. } | Change::Delete { .. } | Change::Truncate { .. } => {
            true
        }
        Change::Message { transactional, .. } => transactional,
        Change::Shape { .. } | Change::Drop { .. } => false,
        Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => false,
    }
}

/// µs since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
