//! What Kafka or its settings do not allow: stops with a code that says what mends it, and nothing is dropped.

use std::sync::Arc;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tailwater_core::{ErrorKind, Position, Sink as _, Table};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_kafka::{Config, Delivery, Kafka, PartitionChange, TopicSettings};

use crate::feed::{at, batch, check, config, fill, refused, set, table, topic, transaction, write_until};

const DELIVERIES: [Delivery; 2] = [Delivery::ExactlyOnce, Delivery::AtLeastOnce];

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    broker.client().create().unwrap()
}

async fn create(broker: &Broker, name: &str, configs: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    topic.config = configs.to_vec();
    admin(broker).create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
}

async fn more_partitions(broker: &Broker, name: &str, count: usize) {
    let partitions = NewPartitions::new(name, count);
    let answer = admin(broker).create_partitions([&partitions], &AdminOptions::new()).await.unwrap();
    answer[0].as_ref().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_names_table_and_key_but_no_value() {
    let broker = kafka::shared();
    for delivery in DELIVERIES {
        let (mut config, table) = (config(&broker, delivery), table());
        let key = if delivery == Delivery::ExactlyOnce { "id" } else { "note, id" };
        config.debezium.set("message.key.columns", &format!("public.rows:{key}")).unwrap();
        create(&broker, &topic(&config), &[("max.message.bytes", "10000")]).await;
        let mut sink = Kafka::new(config.clone());
        sink.open().unwrap();
        sink.write(&transaction(&Position::default(), &table, 1, 5)).unwrap();
        let large = batch(&at(1, 0), at(2, 0), |batch| {
            fill(batch, &table, 2, 0..2, "x");
            fill(batch, &table, 2, 2..3, &"secret".repeat(3000));
            fill(batch, &table, 2, 3..5, "x");
        });
        let error = sink.write(&large).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("TW-KAFKA-007", ErrorKind::Operator), "{error}");
        let text = error.to_string();
        assert!(text.contains("public.rows") && text.contains(&format!("with the key {key}, has")), "{text}");
        assert!(!text.contains("secret") && !text.contains("2002"), "{text}");
        sink.close().unwrap();
        let held = tailwater_kafka::position(&config).unwrap().unwrap();
        assert_eq!(held.position, at(1, 0), "the position does not pass it");
        if delivery == Delivery::ExactlyOnce {
            check(&broker, &config, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_stops_unless_it_is_accepted() {
    let broker = kafka::shared();
    for delivery in DELIVERIES {
        let mut config = config(&broker, delivery);
        write_until(&config, 1, std::time::Duration::from_secs(60));
        more_partitions(&broker, &topic(&config), 3).await;
        let error = write_two(&config).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("TW-KAFKA-014", ErrorKind::Operator), "{error}");
        let findings = tailwater_kafka::check(&config, &[table()]);
        assert!(findings.iter().any(|finding| finding.code == "TW-KAFKA-014"), "{findings:?}");
        config.partition_change = PartitionChange::Accept;
        write_two(&config).unwrap();
        config.partition_change = PartitionChange::Stop;
        let mut sink = Kafka::new(config.clone());
        assert_eq!(sink.open().unwrap(), Some(at(2, 0)));
        sink.write(&transaction(&at(2, 0), &table(), 3, 5)).unwrap();
        sink.close().unwrap();
    }
}

fn write_two(config: &Config) -> tailwater_core::Result<()> {
    let mut sink = Kafka::new(config.clone());
    let held = sink.open()?.unwrap();
    let outcome = sink.write(&transaction(&held, &table(), 2, 5));
    sink.close()?;
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_topic_that_would_lose_the_position_is_refused() {
    let broker = kafka::shared();
    for (configs, partitions, code) in [
        (&[("cleanup.policy", "delete")][..], 1, Err("TW-KAFKA-012")),
        (&[("cleanup.policy", "compact,delete")], 1, Err("TW-KAFKA-012")),
        (&[("cleanup.policy", "compact")], 2, Err("TW-KAFKA-012")),
        (&[("cleanup.policy", "compact")], 1, Ok(())),
    ] {
        let config = config(&broker, Delivery::ExactlyOnce);
        create(&broker, &config.position_topic, configs).await;
        if partitions > 1 {
            more_partitions(&broker, &config.position_topic, partitions).await;
        }
        let mut sink = Kafka::new(config.clone());
        assert_eq!(sink.open().map(drop).map_err(|error| error.code()), code, "{configs:?} {partitions}");
        let found = tailwater_kafka::check(&config, &[]).iter().any(|finding| finding.code == "TW-KAFKA-012");
        assert_eq!(found, code.is_err());
    }
}

#[test]
fn a_position_that_cannot_be_read_is_not_taken_for_none() {
    let broker = kafka::shared();
    let (mut config, other) =
        (config(&broker, Delivery::ExactlyOnce), config(&broker, Delivery::ExactlyOnce));
    write_until(&other, 1, std::time::Duration::from_secs(60));
    config.position_topic.clone_from(&other.position_topic);
    let error = refused(&config);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-013", ErrorKind::Operator), "{error}");
}

#[test]
fn a_timeout_beyond_what_the_brokers_allow_is_refused() {
    let broker = Broker::start(&[("transaction.max.timeout.ms", "60000")]);
    let mut config = config(&broker, Delivery::ExactlyOnce);
    let findings = tailwater_kafka::check(&config, &[table()]);
    assert!(findings.iter().any(|finding| finding.code == "TW-KAFKA-010"), "{findings:?}");
    let error = refused(&config);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-010", ErrorKind::Operator), "{error}");
    set(&mut config, "transaction.timeout.ms", "60000");
    set(&mut config, "socket.timeout.ms", "30000");
    write_until(&config, 2, std::time::Duration::from_secs(60));
    check(&broker, &config, 2);
}

#[test]
fn brokers_that_do_not_answer_are_waited_for() {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    "127.0.0.1:1".clone_into(&mut config.brokers);
    let error = refused(&config);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-001", ErrorKind::Transient), "{error}");
}

#[test]
fn check_says_everything_at_once_and_makes_nothing() {
    let broker = kafka::shared();
    let config = config(&broker, Delivery::ExactlyOnce);
    let codes = |config: &Config| -> Vec<&str> {
        tailwater_kafka::check(config, &[table()]).iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(&config), ["TW-KAFKA-033"]);
    assert_eq!(codes(&config), ["TW-KAFKA-033"], "the topics were made by the check");
    write_until(&config, 1, std::time::Duration::from_secs(60));
    assert_eq!(codes(&config), ["TW-KAFKA-033", "TW-KAFKA-030"], "one replica");
    let missing = |config: &Config| -> String {
        let findings = tailwater_kafka::check(config, &[table()]);
        findings.into_iter().find(|finding| finding.code == "TW-KAFKA-033").unwrap().message
    };
    let name = config.pipeline.clone();
    assert!(missing(&config).ends_with(&format!(": {name}.message")), "{}", missing(&config));
    let mut all = config;
    all.debezium.set("provide.transaction.metadata", "true").unwrap();
    all.debezium.set("heartbeat.interval.ms", "1000").unwrap();
    let others = format!(": {name}.message, __debezium-heartbeat.{name}, {name}.transaction");
    assert!(missing(&all).ends_with(&others), "{}", missing(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_does_not_fit_a_compacted_topic_made_or_not() {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    let mut keyless = table();
    Arc::make_mut(&mut keyless).declared_key.clear();
    let found = |config: &Config, table: &Arc<Table>| {
        let findings = tailwater_kafka::check(config, std::slice::from_ref(table));
        findings.iter().any(|finding| finding.code == "TW-KAFKA-018")
    };
    let name = topic(&config);
    let settings = |policy: &str| TopicSettings {
        topic: name.clone(),
        partitions: None,
        replication: None,
        configs: vec![("cleanup.policy".to_owned(), policy.to_owned())],
    };
    for (policy, refused) in [("delete", false), ("compact", true), ("compact,delete", true)] {
        config.topics = vec![settings(policy)];
        assert_eq!(found(&config, &keyless), refused, "{policy}");
        assert!(!found(&config, &table()), "{policy}");
    }
    config.topics.clear();
    create(&broker, &name, &[("cleanup.policy", "compact,delete")]).await;
    assert!(found(&config, &keyless) && !found(&config, &table()));
}

#[test]
fn a_key_of_columns_that_are_not_there_is_refused() {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    config.debezium.set("message.key.columns", "public.ROWS:id,nothing;public.other:id").unwrap();
    let findings = tailwater_kafka::check(&config, &[table()]);
    let found = |code| findings.iter().find(|finding| finding.code == code).unwrap().message.clone();
    let message = "`message.key.columns` asks for public.ROWS:nothing, but public.rows has no such column";
    assert_eq!(found("TW-KAFKA-023"), message);
    assert_eq!(found("TW-KAFKA-035"), "`message.key.columns` has public.other:id, but no table is called so");
    let error = refused(&config);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-023", ErrorKind::Operator), "{error}");
}

#[test]
fn an_added_field_with_the_name_of_a_column_is_refused() {
    let broker = kafka::shared();
    let mut config = config(&broker, Delivery::ExactlyOnce);
    config.debezium.set("add.fields", "op:note").unwrap();
    config.debezium.set("add.fields.prefix", "").unwrap();
    let findings = tailwater_kafka::check(&config, &[table()]);
    assert!(findings.iter().any(|finding| finding.code == "TW-KAFKA-024"), "{findings:?}");
    let error = refused(&config);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-024", ErrorKind::Operator), "{error}");
}
