//! Taking over from another writer of the same topics: what Kafka Connect keeps of its connectors' offsets, and the first
//! position of a pipeline that is to go on from there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tailwater_core::error::Doing as _;
use tailwater_core::{Position, Result, Sink as _};

use crate::client::Noted;
use crate::sink::Kafka;
use crate::topics::{Found, PATIENCE, Topics};
use crate::{Config, error};

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
    let noted = Noted::default();
    let topics = Topics::new(config, &noted)?;
    let blame = |error: &KafkaError| noted.blame_for(error).doing(format!("read {topic}"));
    let partitions = match topics.find(&[topic])?.first() {
        Some((_, Found::Ready { partitions, .. })) => *partitions,
        Some((_, Found::NotReady)) => {
            return Err(blame(&KafkaError::MetadataFetch(Code::LeaderNotAvailable)));
        }
        Some((_, Found::Missing)) | None => {
            return Err(blame(&KafkaError::MetadataFetch(Code::UnknownTopic)));
        }
    };
    topics.log_in()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .map_err(|error| blame(&error))?;
    }
    topics.consumer.assign(&assignment).map_err(|error| blame(&error))?;
    let (mut held, mut ended, mut last) = (BTreeMap::new(), 0, Instant::now());
    while ended < partitions {
        match topics.consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                match (message.key(), message.payload()) {
                    (Some(key), Some(value)) => drop(held.insert(key.to_vec(), value.to_vec())),
                    (Some(key), None) => drop(held.remove(key)),
                    (None, _) => {}
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) => {}
            Some(Err(error)) if !error.rdkafka_error_code().is_some_and(error::is_unreachable) => {
                return Err(blame(&error));
            }
            Some(Err(_)) | None if last.elapsed() > PATIENCE => {
                return Err(noted.blame(Code::OperationTimedOut, "no answer").doing(format!("read {topic}")));
            }
            Some(Err(_)) | None => {}
        }
    }
    topics.consumer.unassign().map_err(|error| blame(&error))?;
    Ok(held)
}
