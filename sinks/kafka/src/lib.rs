//! `[sink.kafka]`: changes as records of Kafka topics, the position as a record of a compacted topic.
//!
//! With `delivery = "exactly-once"` the records of a batch and its position are in one Kafka transaction, and so are all
//! batches of a source transaction that spans several: a reader with `isolation.level=read_committed` sees every change
//! once, and source transactions whole. On start the producer takes over from any other of the same pipeline (which
//! aborts what that left open, and lets it write nothing any more), and then the position is read back. With
//! `delivery = "at-least-once"` the producer is idempotent, and the position is written after everything before it is
//! acknowledged.
//!
//! | file | what it does |
//! |---|---|
//! | `encode`, `routes` | the seam between formats and the producer: records in an arena, and where they go |
//! | `feed` | a batch, event by event, into a format |
//! | `debezium`, `json` | the formats |
//! | `partition` | which partition a key belongs to |
//! | `producer`, `native` | arenas in, records out; librdkafka's C interface made safe |
//! | `client`, `properties`, `token` | what librdkafka is set to, and by whom |
//! | `topics`, `reading`, `position` | topics at the brokers; what is in them; the position topic and reading it back |
//! | `handover` | the offsets that Kafka Connect keeps, and a pipeline's first position |
//! | `sink`, `check` | the [`Sink`](tailwater_core::Sink), and everything `tailwater check` finds |
//!
//! A Kafka transaction cannot be prolonged: the coordinator aborts it `transaction.timeout.ms` after it began, and allows
//! no more than the brokers' `transaction.max.timeout.ms`, 15 minutes unless set otherwise. So that is our default, and a
//! source transaction that takes longer than that to be written stops the pipeline with an error that names both.

mod check;
mod client;
pub mod debezium;
mod encode;
mod error;
mod feed;
mod handover;
mod json;
mod native;
mod partition;
mod position;
mod producer;
mod properties;
mod reading;
mod routes;
mod sink;
mod token;
mod topics;

use std::path::PathBuf;
use std::time::Duration;

use tailwater_core::{Position, Result};

pub use check::check;
pub use handover::{Told, begin_at, compacted, not_begun, written_since};
pub use partition::of_key as partition_of_key;
pub use properties::Properties;
pub use routes::Naming;
pub use sink::Kafka;
pub use topics::TopicSettings;

/// `[sink.kafka]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The pipeline's name: position topic and transactions are named after it.
    pub pipeline: String,
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// How topics are named.
    pub naming: Naming,
    /// How a record looks.
    pub format: Format,
    /// The options of [`Format::Debezium`] and [`Format::Row`].
    pub debezium: debezium::Config,
    /// What readers can rely on.
    pub delivery: Delivery,
    /// How missing topics are made; the first one that matches counts.
    pub topics: Vec<TopicSettings>,
    /// Where the position is.
    pub position_topic: String,
    /// What to do where a topic has another number of partitions than when it was first written.
    pub partition_change: PartitionChange,
    /// Memory for what waits to be sent; one row may exceed it.
    pub buffer_bytes: usize,
    /// Where the token of SASL OAUTHBEARER is.
    pub oauth_token_file: Option<PathBuf>,
    /// What else librdkafka is set to.
    pub properties: Properties,
}

/// How a record looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `"debezium"`: what Debezium's connector and the JSON converter of Kafka Connect would write.
    #[default]
    Debezium,
    /// `"row"`: what Debezium's transformation ExtractNewRecordState makes of that.
    Row,
    /// `"json"`: a document per change, as `[sink.stdout]` writes it.
    Json,
}

/// What readers can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// `"exactly-once"`: records and position in one Kafka transaction.
    #[default]
    ExactlyOnce,
    /// `"at-least-once"`: a crash between records and position repeats records.
    AtLeastOnce,
}

/// What to do where a topic has another number of partitions than when it was first written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartitionChange {
    /// `"stop"`
    #[default]
    Stop,
    /// `"accept"`: from then on a key may be in another partition than before.
    Accept,
}

impl Format {
    /// Every format by its spelling in a configuration.
    pub const ALL: &[(&str, Self)] =
        &[("debezium", Self::Debezium), ("row", Self::Row), ("json", Self::Json)];
}

impl Delivery {
    /// Every delivery by its spelling in a configuration.
    pub const ALL: &[(&str, Self)] =
        &[("exactly-once", Self::ExactlyOnce), ("at-least-once", Self::AtLeastOnce)];
}

impl PartitionChange {
    /// Every answer by its spelling in a configuration.
    pub const ALL: &[(&str, Self)] = &[("stop", Self::Stop), ("accept", Self::Accept)];
}

impl Config {
    /// The defaults for a pipeline.
    #[must_use]
    pub fn new(pipeline: &str, brokers: impl Into<String>) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            brokers: brokers.into(),
            naming: Naming { pattern: "{prefix}.{schema}.{table}".to_owned(), prefix: pipeline.to_owned() },
            format: Format::default(),
            debezium: debezium::Config::new(pipeline),
            delivery: Delivery::default(),
            topics: Vec::new(),
            position_topic: format!("tailwater-position-{pipeline}"),
            partition_change: PartitionChange::default(),
            buffer_bytes: 8 << 20,
            oauth_token_file: None,
            properties: Properties::default(),
        }
    }

    /// What `{prefix}` stands for in names of topics, and what Debezium's records call the server.
    pub fn set_prefix(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.naming.prefix);
        prefix.clone_into(&mut self.debezium.prefix);
    }

    fn transactional_id(&self) -> String {
        format!("tailwater-{}", self.pipeline)
    }

    /// The longest that brokers allow, unless they are set otherwise.
    fn transaction_timeout(&self) -> Duration {
        let set = self.properties.get("transaction.timeout.ms").and_then(|text| text.parse().ok());
        Duration::from_millis(set.unwrap_or(15 * 60 * 1000))
    }

    /// The topics of records that belong to no table.
    fn other_topics(&self) -> Vec<String> {
        match self.format {
            Format::Debezium | Format::Row => self.debezium.other_topics().collect(),
            Format::Json => vec![json::message_topic(&self.naming)],
        }
    }

    /// Whether the source is to tell the statements that change tables.
    #[must_use]
    pub fn wants_statements(&self) -> bool {
        match self.format {
            Format::Debezium | Format::Row => self.debezium.schema_changes,
            Format::Json => false,
        }
    }

    fn statements_topic(&self) -> Option<String> {
        self.wants_statements().then(|| self.debezium.statements_topic())
    }

    /// Refuses a position topic that is meant for other records too.
    fn position_alone(&self) -> Result<()> {
        if self.other_topics().contains(&self.position_topic) {
            return Err(error::position_not_alone(&self.position_topic, "what belongs to no table"));
        }
        Ok(())
    }

    fn token_file(&self) -> Option<token::TokenFile> {
        self.oauth_token_file.clone().map(token::TokenFile)
    }
}

/// A stored position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The position itself.
    pub position: Position,
    /// Since it was written, by this machine's clock.
    pub age: Option<Duration>,
}

/// What the position topic holds, also while a pipeline writes it; `None` where there is nothing yet.
///
/// # Errors
/// Where the brokers do not answer, or a record cannot be read.
pub fn position(config: &Config) -> Result<Option<Held>> {
    let noted = client::Noted::default();
    let topics = topics::Topics::new(config, &noted)?;
    let found = topics.find(&[&config.position_topic])?;
    if found.iter().any(|(_, found)| *found == topics::Found::Missing) {
        return Ok(None);
    }
    let stored = position::read(config, &topics)?;
    let age = stored.written_ms.and_then(|written| u64::try_from(sink::now_us() / 1000 - written).ok());
    let held = |position| Held { position, age: age.map(Duration::from_millis) };
    Ok(stored.position.map(held))
}
