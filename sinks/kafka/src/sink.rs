//! The sink: a batch in, records and the position out, in one transaction where that is asked for.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Guarantee, Position, Result, Sink};

use crate::client::Noted;
use crate::debezium::Debezium;
use crate::encode::{Encode, Records};
use crate::feed::{Feed, Outlet};
use crate::json::Json;
use crate::producer::Producer;
use crate::routes::{Route, Routes};
use crate::topics::Topics;
use crate::{Config, Delivery, Format, PartitionChange, error, position};

/// Writes to Kafka.
pub struct Kafka {
    config: Config,
    open: Option<Open>,
}

/// What there is between `open` and `close`.
struct Open {
    feed: Feed,
    target: Target,
    failed: bool,
}

/// The other side of the format.
struct Target {
    config: Config,
    topics: Topics,
    producer: Producer,
    position_route: Route,
    /// How many partitions each topic had when it was first written.
    partitions: HashMap<String, i32>,
}

impl Kafka {
    /// A sink that is not open yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, open: None }
    }

    /// Writes a position alone: where the pipeline begins.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub(crate) fn begin_at(&mut self, position: &Position) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(error::not_open)?;
        open.target.producer.begin()?;
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
        config.position_alone()?;
        topics
            .ensure(&[&config.position_topic], position::SETTINGS, &HashMap::new())
            .doing(|| "prepare the position topic")?;
        position::check_topic(config, &topics, topics.partitions(&config.position_topic))?;
        let mut producer = Producer::new(config, noted)?;
        producer.take_over().doing(|| "take over the pipeline's transactions")?;
        let stored = position::read_to_end(config, &topics)?;

        let mut routes = Routes::new(config.naming.clone());
        let position_route = routes.position(&config.position_topic);
        routes.keep_for_statements(config.statements_topic());
        producer.add_route(&config.position_topic, "the position", 1)?;
        let encoder: Box<dyn Encode> = match config.format {
            Format::Debezium => Box::new(Debezium::events(config.debezium.clone())),
            Format::Row => Box::new(Debezium::rows(config.debezium.clone())),
            Format::Json => Box::new(Json::new(&config.naming)),
        };
        let (config, partitions) = (config.clone(), stored.partitions);
        let target = Target { config, topics, producer, position_route, partitions };
        self.open = Some(Open { feed: Feed::new(encoder, routes), target, failed: false });
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
            open.target.producer.give_up();
        }
        Ok(())
    }
}

impl Open {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.target.producer.begin()?;
        self.feed.batch(batch, now_us(), &mut self.target)?;
        if batch.to.at_boundary() { self.finish(&batch.to) } else { self.target.send(&self.feed.routes) }
    }

    /// Writes the position, so that it is durable if and only if (or, at least once, only if) everything before it is.
    fn finish(&mut self, to: &Position) -> Result<()> {
        let Self { feed: Feed { routes, .. }, target, .. } = self;
        let (key, value) = position::record(&target.config.pipeline, to)?;
        match target.config.delivery {
            Delivery::ExactlyOnce => {
                target.producer.add(target.position_route, &key, &value)?;
                target.send(routes)?;
                target.producer.commit(routes).doing(|| "commit the transaction")
            }
            Delivery::AtLeastOnce => {
                target.send(routes)?;
                target.producer.flush(routes)?;
                target.producer.add(target.position_route, &key, &value)?;
                target.send(routes)?;
                target.producer.flush(routes)
            }
        }
    }
}

impl Outlet for Target {
    fn records(&mut self) -> Result<&mut Records> {
        self.producer.records()
    }

    fn encoded(&mut self, routes: &Routes) -> Result<()> {
        if self.producer.is_full() { self.send(routes) } else { Ok(()) }
    }
}

impl Target {
    /// Hands over what is encoded so far, after making sure of topics that were not written before.
    fn send(&mut self, routes: &Routes) -> Result<()> {
        self.prepare_routes(routes)?;
        self.producer.send(routes)
    }

    fn prepare_routes(&mut self, routes: &Routes) -> Result<()> {
        let known = self.producer.known_routes();
        let new = routes.all().get(known..).unwrap_or_default();
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

/// µs since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
