//! Everything a person should know before the pipeline runs. Changes nothing: what would be made is only asked for, and
//! nobody is taken over from. So whether transactions may be used is seen at the start only.

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::admin::{ConfigResource, ResourceSpecifier};
use tailwater_core::{Finding, Result, Table};

use crate::client::{BATCH_BYTES, Noted};
use crate::debezium::Debezium;
use crate::producer::Producer;
use crate::routes::Routes;
use crate::topics::{Found, Topics};
use crate::{Config, Delivery, Format, PartitionChange, error, position};

/// All findings in one pass. `tables` are those that the source would send.
#[must_use]
pub fn check(config: &Config, tables: &[Arc<Table>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    encryption(config, &mut findings);
    let topics = wanted(config, tables, &mut findings);
    idle_key_columns(config, tables, &mut findings);
    // Made and dropped: some properties do not fit together for a producer alone.
    findings.extend(Producer::new(config, Noted::default()).err().as_ref().map(Finding::from));
    let asked = Topics::new(config, &Noted::default()).and_then(|brokers| {
        let found = brokers.find(&topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>())?;
        Ok((brokers, found))
    });
    match asked {
        // Without an answer there is nothing more to be found.
        Err(error) => {
            let finding = Finding::from(&error);
            // What the producer is refused for, the clients that ask mostly are too.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Ok((brokers, found)) => {
            let written = position_topic(config, &brokers, &found, &mut findings);
            missing(&brokers, &found, &written, &mut findings);
            compacted_when_made(config, &topics, &found, &mut findings);
            settings(config, &brokers, &topics, &found, &mut findings);
            timeout(config, &brokers, &mut findings);
        }
    }
    findings
}

/// A topic that is to be written.
struct Wanted {
    name: String,
    /// A table without a key that goes to it.
    keyless: Option<String>,
}

fn encryption(config: &Config, findings: &mut Vec<Finding>) {
    let protocol = config.properties.get("security.protocol").unwrap_or("plaintext");
    let local =
        |broker: &str| ["127.", "localhost", "[::1]"].iter().any(|host| broker.trim().starts_with(host));
    if !protocol.to_ascii_lowercase().contains("ssl") && !config.brokers.split(',').all(local) {
        let message = "the connection to Kafka is not encrypted";
        let remedy = "write below [sink.kafka.properties]: \"security.protocol\" = \"SASL_SSL\", or \"SSL\"";
        findings.push(Finding::warning("TW-KAFKA-034", message).remedy(remedy));
    }
}

/// The topics of the tables; those whose names cannot be used are findings.
fn wanted(config: &Config, tables: &[Arc<Table>], findings: &mut Vec<Finding>) -> Vec<Wanted> {
    let mut routes = Routes::new(config.naming.clone());
    routes.position(&config.position_topic);
    routes.keep_for_statements(config.statements_topic());
    let mut topics: Vec<Wanted> = Vec::new();
    let mut encoder = match config.format {
        Format::Debezium => Some(Debezium::events(config.debezium.clone())),
        Format::Row => Some(Debezium::rows(config.debezium.clone())),
        Format::Json => None,
    };
    for table in tables {
        let has_key = match &mut encoder {
            Some(encoder) => encoder.check(table, &mut routes),
            None => routes.table(table, &table.key).map(|_route| !table.key.is_empty()),
        };
        match has_key {
            Err(error) => findings.push(Finding::from(&error)),
            Ok(has_key) => {
                let name = config.naming.topic(&table.schema, &table.name);
                let keyless = (!has_key).then(|| table.full_name());
                match topics.iter_mut().find(|topic| topic.name == name) {
                    Some(topic) => topic.keyless = topic.keyless.take().or(keyless),
                    None => topics.push(Wanted { name, keyless }),
                }
            }
        }
    }
    findings.extend(config.position_alone().err().as_ref().map(Finding::from));
    for name in config.other_topics().into_iter().chain([config.position_topic.clone()]) {
        // The brokers are asked for each name once: librdkafka breaks down over an answer without the second one.
        if topics.iter().all(|topic| topic.name != name) {
            topics.push(Wanted { name, keyless: None });
        }
    }
    topics
}

fn idle_key_columns(config: &Config, tables: &[Arc<Table>], findings: &mut Vec<Finding>) {
    // Without any table it is the source that has a finding.
    if tables.is_empty() || config.format == Format::Json {
        return;
    }
    for entry in config.debezium.idle_key_columns(tables) {
        let message = format!("`message.key.columns` has {entry}, but no table is called so");
        findings.push(Finding::warning("TW-KAFKA-035", message).remedy("correct or remove it"));
    }
}

fn missing(
    brokers: &Topics,
    found: &[(&str, Found)],
    written: &HashMap<String, i32>,
    findings: &mut Vec<Finding>,
) {
    let missing = found.iter().filter(|(_, found)| *found == Found::Missing).map(|(topic, _)| *topic);
    let (gone, missing): (Vec<&str>, Vec<&str>) = missing.partition(|topic| written.contains_key(*topic));
    findings.extend(gone.iter().map(|topic| Finding::from(&error::topic_gone(topic))));
    if missing.is_empty() {
        return;
    }
    findings.push(match brokers.could_create(&missing) {
        Err(error) => Finding::from(&error),
        Ok(()) => {
            let message =
                format!("topics are missing, and made with their first record: {}", missing.join(", "));
            Finding::warning("TW-KAFKA-033", message).remedy(
                "nothing, or create them as they are to be; [[sink.kafka.topics]] says how they are made",
            )
        }
    });
}

/// Where the position topic is there: whether it can hold a position, and what it knows of the other topics, which is
/// also returned.
fn position_topic(
    config: &Config,
    brokers: &Topics,
    found: &[(&str, Found)],
    findings: &mut Vec<Finding>,
) -> HashMap<String, i32> {
    let partitions = |topic: &str| {
        found.iter().find_map(|(name, found)| match found {
            Found::Ready { partitions, .. } if *name == topic => Some(*partitions),
            Found::Ready { .. } | Found::Missing | Found::NotReady => None,
        })
    };
    let Some(own) = partitions(&config.position_topic) else { return HashMap::new() };
    let stored = position::check_topic(config, brokers, own).and_then(|()| position::read(config, brokers));
    match stored {
        Err(error) => {
            findings.push(Finding::from(&error));
            HashMap::new()
        }
        Ok(stored) => {
            for (topic, &before) in &stored.partitions {
                let now = partitions(topic).unwrap_or(before);
                if now != before && config.partition_change == PartitionChange::Stop {
                    findings.push(Finding::from(&error::partitions_changed(topic, before, now)));
                }
            }
            stored.partitions
        }
    }
}

/// Topics that are not there yet, and would be made so that they do not take what is written to them.
fn compacted_when_made(
    config: &Config,
    topics: &[Wanted],
    found: &[(&str, Found)],
    findings: &mut Vec<Finding>,
) {
    for (topic, (name, _)) in topics.iter().zip(found).filter(|(_, (_, found))| *found == Found::Missing) {
        let made = config.topics.iter().find(|settings| settings.matches(name));
        let policy = made.and_then(|made| made.configs.iter().find(|(name, _)| name == "cleanup.policy"));
        keyless_in(topic, policy.map(|(_, policy)| policy.as_str()), findings);
    }
}

/// Brokers refuse records without a key in a topic that is compacted, be it `compact,delete`.
fn keyless_in(topic: &Wanted, policy: Option<&str>, findings: &mut Vec<Finding>) {
    let compacted = policy.is_some_and(|policy| policy.split(',').any(|word| word.trim() == "compact"));
    if let (Some(table), true) = (&topic.keyless, compacted) {
        let message = format!(
            "{table} has no key, but its topic {} is compacted, which takes no such record",
            topic.name
        );
        let remedy = "give the table a primary key, or name columns of it in `message.key.columns`; or give the topic cleanup.policy=delete";
        findings.push(Finding::error("TW-KAFKA-018", message).remedy(remedy));
    }
}

fn settings(
    config: &Config,
    brokers: &Topics,
    topics: &[Wanted],
    found: &[(&str, Found)],
    findings: &mut Vec<Finding>,
) {
    let ready: Vec<(&Wanted, usize)> = topics
        .iter()
        .zip(found)
        .filter_map(|(topic, (_, found))| match found {
            Found::Ready { replicas, .. } => Some((topic, *replicas)),
            Found::Missing | Found::NotReady => None,
        })
        .collect();
    if ready.is_empty() {
        return;
    }
    let resources: Vec<_> = ready.iter().map(|(topic, _)| ResourceSpecifier::Topic(&topic.name)).collect();
    let described = match brokers.describe(&resources) {
        Ok(described) => described,
        Err(error) => return findings.push(unseen("topics", &error)),
    };
    let batch = config.properties.get("batch.size").unwrap_or(BATCH_BYTES);
    let batch: u64 = batch.parse().unwrap_or(u64::MAX);
    let (mut unsafe_topics, mut small) = (Vec::new(), Vec::new());
    for ((topic, replicas), described) in ready.iter().zip(described) {
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                findings.push(unseen(&topic.name, &error));
                continue;
            }
        };
        let number = |name: &str| setting(&described, name).and_then(|text| text.parse::<u64>().ok());
        if *replicas < 2 || number("min.insync.replicas").is_some_and(|minimum| minimum < 2) {
            unsafe_topics.push(topic.name.as_str());
        }
        if number("max.message.bytes").is_some_and(|most| most < batch) {
            small.push(topic.name.as_str());
        }
        keyless_in(topic, setting(&described, "cleanup.policy"), findings);
    }
    if !unsafe_topics.is_empty() {
        let message = format!("acknowledged records are on one broker only: {}", unsafe_topics.join(", "));
        let remedy = "three replicas and min.insync.replicas=2";
        findings.push(Finding::warning("TW-KAFKA-030", message).remedy(remedy));
    }
    if !small.is_empty() {
        let message = format!("`batch.size` is more than max.message.bytes of: {}", small.join(", "));
        let remedy = "write below [sink.kafka.properties]: \"batch.size\" = \"…\" with less";
        findings.push(Finding::warning("TW-KAFKA-032", message).remedy(remedy));
    }
}

fn timeout(config: &Config, brokers: &Topics, findings: &mut Vec<Finding>) {
    if config.delivery != Delivery::ExactlyOnce {
        return;
    }
    match transaction_max(brokers) {
        Err(error) => findings.push(unseen("the brokers", &error)),
        Ok(Some(most)) if u128::from(most) < config.transaction_timeout().as_millis() => {
            let message = format!(
                "`transaction.timeout.ms` is more than the brokers' transaction.max.timeout.ms, {most}"
            );
            let remedy =
                format!("write below [sink.kafka.properties]: \"transaction.timeout.ms\" = \"{most}\"");
            findings.push(Finding::error("TW-KAFKA-010", message).remedy(remedy));
        }
        Ok(_) => {}
    }
}

fn transaction_max(brokers: &Topics) -> Result<Option<u64>> {
    let metadata = brokers.metadata(None)?;
    let Some(broker) = metadata.brokers().first() else { return Ok(None) };
    let described = brokers.describe(&[ResourceSpecifier::Broker(broker.id())])?.pop().transpose()?;
    let most = described.as_ref().and_then(|described| setting(described, "transaction.max.timeout.ms"));
    Ok(most.and_then(|text| text.parse().ok()))
}

fn setting<'r>(described: &'r ConfigResource, name: &str) -> Option<&'r str> {
    described.entries.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.as_deref())
}

fn unseen(what: &str, error: &tailwater_core::Error) -> Finding {
    Finding::warning("TW-KAFKA-031", format!("the settings of {what} cannot be read: {}", error.message()))
        .remedy("give the right DescribeConfigs, or look at them yourself")
}
