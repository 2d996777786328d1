//! The position topic: what stands in it, and reading it back. It is compacted and belongs to one pipeline. One record
//! holds the position, others hold how many partitions each topic had when it was first written, by which a change is
//! noticed: it would send the changes of one key to two partitions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use tailwater_core::error::Doing as _;
use tailwater_core::{Error, Position, Result};

use crate::native;
use crate::topics::{PATIENCE, Topics};
use crate::{Config, error};

/// How the topic is made. Small segments, as only whole ones are compacted, and all of it is read at a start.
pub(crate) const SETTINGS: &[(&str, &str)] =
    &[("cleanup.policy", "compact"), ("segment.bytes", "16777216"), ("min.cleanable.dirty.ratio", "0.1")];
/// How long to wait for a transaction to end.
const HIDDEN: Duration = Duration::from_secs(2);

/// What the topic holds.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) position: Option<Position>,
    /// When it was written, ms since 1970 by the producer's clock.
    pub(crate) written_ms: Option<i64>,
    /// By topic.
    pub(crate) partitions: HashMap<String, i32>,
    /// Where the partition ends, with what is not committed yet.
    end: Option<i64>,
}

/// The key of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    pipeline: String,
    /// `None`: the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
}

/// The value of a record whose key names a topic.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partitions {
    partitions: i32,
}

/// Key and value of the record that holds a position.
///
/// # Errors
/// Never in practice: a position is plain data.
pub(crate) fn record(pipeline: &str, position: &Position) -> Result<(Vec<u8>, Vec<u8>)> {
    encode(&Key { pipeline: pipeline.to_owned(), topic: None }, position)
}

/// Key and value of the record that holds how many partitions a topic has.
///
/// # Errors
/// As [`record`].
pub(crate) fn partitions_record(pipeline: &str, topic: &str, partitions: i32) -> Result<(Vec<u8>, Vec<u8>)> {
    let key = Key { pipeline: pipeline.to_owned(), topic: Some(topic.to_owned()) };
    encode(&key, &Partitions { partitions })
}

fn encode(key: &Key, value: &impl Serialize) -> Result<(Vec<u8>, Vec<u8>)> {
    let json = |result: serde_json::Result<Vec<u8>>| {
        result.map_err(|error| Error::data("TW-CORE-003", format!("encode a position: {error}")))
    };
    Ok((json(serde_json::to_vec(key))?, json(serde_json::to_vec(value))?))
}

/// Refuses a topic of so many partitions that would lose the position, or hold it in several places.
///
/// # Errors
/// `Operator`, with the command that mends it.
pub(crate) fn check_topic(config: &Config, topics: &Topics, partitions: i32) -> Result<()> {
    let topic = &config.position_topic;
    if partitions != 1 {
        let what = format!("has {partitions} partitions, and must have one");
        let remedy = "write another name below [sink.kafka]: position_topic = \"…\"".to_owned();
        return Err(error::position_topic(topic, &what, remedy));
    }
    let described = topics.describe(&[ResourceSpecifier::Topic(topic)]);
    let described = match described.map(|mut all| all.pop()) {
        Ok(Some(Ok(described))) => described,
        Ok(None) => return Ok(()),
        Ok(Some(Err(error))) | Err(error) if error.code() == "TW-KAFKA-005" => {
            tracing::warn!(
                topic,
                "whether the position topic is compacted cannot be seen: no right to describe it"
            );
            return Ok(());
        }
        Ok(Some(Err(error))) | Err(error) => {
            return Err(error.doing(format!("look at the settings of {topic}")));
        }
    };
    let policy = described.entry_map().get("cleanup.policy").and_then(|entry| entry.value.clone());
    match policy.as_deref() {
        Some("compact") | None => Ok(()),
        Some(policy) => {
            let what = format!("has cleanup.policy={policy}: Kafka would delete the position after a while");
            let remedy = format!(
                "kafka-configs --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=compact"
            );
            Err(error::position_topic(topic, &what, remedy))
        }
    }
}

/// Reads the topic, up to its end: a transaction that hides the end is waited for. To be called after the producer has
/// taken over, so that none of ours is open.
///
/// # Errors
/// `Operator` where a record cannot be read; `Transient` where the end cannot be reached.
pub(crate) fn read_to_end(config: &Config, topics: &Topics) -> Result<Stored> {
    let started = Instant::now();
    loop {
        let stored = read(config, topics)?;
        let topic = &config.position_topic;
        let visible = topics.consumer.fetch_watermarks(topic, 0, PATIENCE);
        let (_, visible) = visible.map_err(|error| topics.noted.blame_for(&error))?;
        // Less is visible than there is behind an open transaction; more, where a new leader had not told all of it yet.
        if stored.end == Some(visible) {
            return Ok(stored);
        }
        if started.elapsed() > HIDDEN {
            return Err(error::position_hidden(topic));
        }
    }
}

/// Reads what is committed; to be asked for also while a pipeline runs.
///
/// # Errors
/// As [`read_to_end`].
pub(crate) fn read(config: &Config, topics: &Topics) -> Result<Stored> {
    let topic = &config.position_topic;
    let reading = || format!("read {topic}");
    topics.log_in()?;
    let mut partition = TopicPartitionList::new();
    let added = partition.add_partition_offset(topic, 0, Offset::Beginning);
    added.map_err(|error| topics.noted.blame_for(&error)).doing(reading)?;
    let mut stored = Stored::default();
    topics.read_to_ends(&partition, |message| stored.take(config, message)).doing(reading)?;
    stored.end = native::high_watermark(&topics.consumer, topic, 0);
    topics.end_reading().doing(reading)?;
    Ok(stored)
}

impl Stored {
    fn take(&mut self, config: &Config, message: &rdkafka::message::BorrowedMessage<'_>) -> Result<()> {
        let topic = &config.position_topic;
        let wrong = |why: String| error::position_unreadable(topic, &why);
        let key = message.key().ok_or_else(|| wrong("it has no key".to_owned()))?;
        let key: Key = serde_json::from_slice(key).map_err(|error| wrong(error.to_string()))?;
        if key.pipeline != config.pipeline {
            return Err(wrong(format!("it belongs to the pipeline {}", key.pipeline)));
        }
        let parse = |error: serde_json::Error| wrong(error.to_string());
        match (key.topic, message.payload()) {
            (None, None) => (self.position, self.written_ms) = (None, None),
            (None, Some(value)) => {
                self.position = Some(serde_json::from_slice(value).map_err(parse)?);
                self.written_ms = message.timestamp().to_millis();
            }
            (Some(topic), None) => drop(self.partitions.remove(&topic)),
            (Some(topic), Some(value)) => {
                let value: Partitions = serde_json::from_slice(value).map_err(parse)?;
                self.partitions.insert(topic, value.partitions);
            }
        }
        Ok(())
    }
}
