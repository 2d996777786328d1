//! Taking over from another writer of the same topics: what Kafka Connect keeps of its connectors' offsets, what was
//! written last, and the first position of a pipeline that is to go on from there.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tailwater_core::error::Doing as _;
use tailwater_core::{Error, Position, Result, Sink as _};

use crate::client::Noted;
use crate::debezium::{NEW_KEY, OLD_KEY};
use crate::sink::Kafka;
use crate::topics::{PATIENCE, Topics};
use crate::{Config, error};

/// Refuses a pipeline that has a position already. Writes nothing.
///
/// # Errors
/// `Operator` where it has one; those of the brokers.
pub fn not_begun(config: &Config) -> Result<()> {
    match crate::position(config)? {
        Some(held) => Err(error::position_exists(&config.position_topic, &held.position)),
        None => Ok(()),
    }
}

/// Writes the position at which a pipeline is to begin that has none yet.
///
/// # Errors
/// `Operator` where it has one: it is never replaced. Those of the brokers.
pub fn begin_at(config: &Config, position: &Position) -> Result<()> {
    let mut sink = Kafka::new(config.clone());
    let begun = match sink.open()? {
        Some(held) => Err(error::position_exists(&config.position_topic, &held)),
        None => sink.begin_at(position),
    };
    sink.close()?;
    begun.doing(|| "write the first position")
}

/// Everything that a compacted topic holds: the last value of each key that has one, as bytes. For the topic that
/// Connect keeps its connectors' offsets in.
///
/// # Errors
/// `Operator` where there is no such topic; those of the brokers.
pub fn compacted(config: &Config, topic: &str) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let reading = Reading::new(config)?;
    let partitions = reading.partitions(|name| name == topic)?;
    if partitions.count() == 0 {
        return Err(reading
            .blame(&KafkaError::MetadataFetch(Code::UnknownTopic))
            .remedy("name the topic that the worker's offset.storage.topic names, at the same brokers")
            .doing(format!("read {topic}")));
    }
    let mut held = BTreeMap::new();
    reading.read(&partitions, |message| match (message.key(), message.payload()) {
        (Some(key), Some(value)) => drop(held.insert(key.to_vec(), value.to_vec())),
        (Some(key), None) => drop(held.remove(key)),
        (None, _) => {}
    })?;
    Ok(held)
}

/// A record with a value.
#[derive(Debug, Clone, Copy)]
pub struct Told<'r> {
    /// The value.
    pub value: &'r [u8],
    /// It is one of the two records of a row whose key changed.
    pub rekeyed: bool,
    /// Its topic has one partition: everything in it came in the order in which it was written.
    pub in_order: bool,
}

/// Shows every record with a value that was written since a time (ms since 1970, by the clock of whoever wrote it) to
/// the topics whose names begin with the prefix and a dot.
///
/// # Errors
/// Those of the brokers.
pub fn written_since(config: &Config, since_ms: i64, mut show: impl FnMut(&Told<'_>)) -> Result<()> {
    let reading = Reading::new(config)?;
    let start = format!("{}.", config.naming.prefix);
    let mut partitions = reading.partitions(|name| name.starts_with(&start))?;
    if partitions.count() == 0 {
        tracing::warn!(
            "no topic's name begins with {start}: what was written after the offsets were noted cannot be told"
        );
        return Ok(());
    }
    let several: BTreeSet<String> = partitions
        .elements()
        .iter()
        .filter(|partition| partition.partition() > 0)
        .map(|partition| partition.topic().to_owned())
        .collect();
    partitions.set_all_offsets(Offset::Offset(since_ms)).map_err(|error| reading.blame(&error))?;
    let asked = reading.topics.consumer.offsets_for_times(partitions, PATIENCE);
    let partitions = asked.map_err(|error| reading.blame(&error))?;
    reading.read(&partitions, |message| {
        let Some(value) = message.payload() else { return };
        let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let rekeyed = headers.any(|header| [NEW_KEY, OLD_KEY].contains(&header.key.as_bytes()));
        show(&Told { value, rekeyed, in_order: !several.contains(message.topic()) });
    })
}

struct Reading {
    topics: Topics,
}

impl Reading {
    fn new(config: &Config) -> Result<Self> {
        let topics = Topics::new(config, &Noted::default())?;
        topics.log_in()?;
        Ok(Self { topics })
    }

    fn blame(&self, error: &KafkaError) -> Error {
        self.topics.noted.blame_for(error)
    }

    /// Every partition of the topics of these names, from its beginning.
    fn partitions(&self, wanted: impl Fn(&str) -> bool) -> Result<TopicPartitionList> {
        let mut partitions = TopicPartitionList::new();
        for topic in self.topics.metadata(None)?.topics().iter().filter(|topic| wanted(topic.name())) {
            for partition in topic.partitions() {
                let added = partitions.add_partition_offset(topic.name(), partition.id(), Offset::Beginning);
                added.map_err(|error| self.blame(&error))?;
            }
        }
        Ok(partitions)
    }

    /// Shows what there is up to the end of each partition.
    fn read(
        &self,
        partitions: &TopicPartitionList,
        mut show: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<()> {
        self.topics.read_to_ends(partitions, |message| {
            show(message);
            Ok(())
        })?;
        self.topics.end_reading()
    }
}
