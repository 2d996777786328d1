//! Surroundings that nobody tidied up: brokers as they are delivered, names that meet, logins that are cut short.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tailwater_core::{ErrorKind, Sink as _};
use tailwater_integration_tests::Proxy;
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_kafka::{Config, Delivery, Kafka};

use crate::feed::{at, config, hasty, set, topic, transaction, write_until};

const PATIENCE: Duration = Duration::from_secs(240);

/// Brokers make topics by themselves unless they are told not to.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_not_made_anew_by_brokers_that_make_topics_by_themselves() {
    let broker = Broker::start(&[("auto.create.topics.enable", "true")]);
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let mut config = config(&broker, delivery);
        hasty(&mut config);
        for name in ["topic.metadata.propagation.max.ms", "topic.metadata.refresh.interval.ms"] {
            set(&mut config, name, "1000");
        }
        write_until(&config, 2, PATIENCE);
        let mut sink = Kafka::new(config.clone());
        let mut done = 2;
        assert_eq!(sink.open().unwrap(), Some(at(done, 0)));
        let mut write = |sink: &mut Kafka| {
            let batch = transaction(&at(done, 0), &crate::feed::table(), done + 1, 5);
            sink.write(&batch).map(|()| done += 1)
        };
        write(&mut sink).unwrap();
        let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
        let name = topic(&config);
        admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        // Longer than the producer takes to look at its topics again.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let deadline = Instant::now() + PATIENCE;
        let error = loop {
            match write(&mut sink) {
                Ok(()) => assert!(Instant::now() < deadline, "it goes on writing"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        sink.close().unwrap();
        let mut sink = Kafka::new(config.clone());
        sink.open().unwrap();
        let error = write(&mut sink).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("TW-KAFKA-006", ErrorKind::Operator), "{error}");
        sink.close().unwrap();
        let topics = admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        assert!(topics.topics().iter().all(|found| found.name() != name), "{name} was made anew");
    }
}

/// A broker that asks for a password, as it is reached through a proxy.
fn behind(proxy: &mut Option<Proxy>) -> Broker {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let users = format!("{module} required username=\"admin\" password=\"secret\" user_admin=\"secret\";");
    Broker::start_with(
        |port| {
            let started = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(Proxy::start(format!("127.0.0.1:{port}")))
            });
            let advertised = format!("SASL_PLAINTEXT://{}", started.address());
            *proxy = Some(started);
            [
                (
                    "listeners",
                    format!("SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:CONTROLLER_PORT"),
                ),
                ("advertised.listeners", advertised),
                (
                    "listener.security.protocol.map",
                    "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT".to_owned(),
                ),
                ("inter.broker.listener.name", "SASL_PLAINTEXT".to_owned()),
                ("sasl.enabled.mechanisms", "PLAIN".to_owned()),
                ("sasl.mechanism.inter.broker.protocol", "PLAIN".to_owned()),
                ("listener.name.sasl_plaintext.plain.sasl.jaas.config", users),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        },
        &[],
    )
}

/// librdkafka says of a connection that breaks while it logs in that the login failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_cut_short_is_no_refused_login() {
    let mut proxy = None;
    let _broker = behind(&mut proxy);
    let proxy = proxy.unwrap();
    let mut config = crate::feed::config_at(proxy.address(), Delivery::ExactlyOnce);
    hasty(&mut config);
    for (name, value) in [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "admin"),
        ("sasl.password", "secret"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "50"),
    ] {
        set(&mut config, name, value);
    }
    write_until(&config, 2, PATIENCE);
    let mut sink = Kafka::new(config.clone());
    assert_eq!(sink.open().unwrap(), Some(at(2, 0)));
    sink.write(&transaction(&at(2, 0), &crate::feed::table(), 3, 5)).unwrap();
    // Wherever a connection breaks, from its first byte to after the login.
    for bytes in (1..900).step_by(6) {
        proxy.cut();
        proxy.cut_after(bytes);
        let deadline = Instant::now() + Duration::from_secs(2);
        while proxy.will_cut() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    proxy.refuse(true);
    proxy.cut();
    let error = sink.write(&transaction(&at(3, 0), &crate::feed::table(), 4, 5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    sink.close().unwrap();
    proxy.refuse(false);
    write_until(&config, 6, PATIENCE);
}

#[test]
fn the_position_stands_alone_and_check_asks_for_no_name_twice() {
    let broker = kafka::shared();
    let (mut config, table) = (config(&broker, Delivery::ExactlyOnce), crate::feed::table());
    // A table and the metadata of transactions in one topic, as Debezium has it then. What check asked for twice made
    // librdkafka break down.
    config.naming.pattern = "{prefix}.{table}".to_owned();
    for (name, value) in [("provide.transaction.metadata", "true"), ("topic.transaction", "rows")] {
        config.debezium.set(name, value).unwrap();
    }
    let codes = |config: &Config| -> Vec<&str> {
        let findings = tailwater_kafka::check(config, &[Arc::clone(&table)]);
        findings.into_iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(&config), ["TW-KAFKA-033"]);
    let mut among_transactions = config.clone();
    among_transactions.position_topic = format!("{}.rows", config.pipeline);
    assert!(codes(&among_transactions).contains(&"TW-KAFKA-016"));
    assert_eq!(crate::feed::refused(&among_transactions).code(), "TW-KAFKA-016");
    config.debezium.set("provide.transaction.metadata", "false").unwrap();
    config.position_topic = among_transactions.position_topic;
    assert!(codes(&config).contains(&"TW-KAFKA-016"));
    let error = crate::feed::refused(&config);
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-016", ErrorKind::Operator), "{error}");
}

/// Some properties are refused only when a producer is made of them.
#[test]
fn check_finds_properties_that_do_not_fit_a_producer() {
    let broker = kafka::shared();
    for (name, value) in [("queuing.strategy", "lifo"), ("delivery.timeout.ms", "100")] {
        let mut config = config(&broker, Delivery::ExactlyOnce);
        set(&mut config, name, value);
        let findings = tailwater_kafka::check(&config, &[]);
        assert!(findings.iter().any(|finding| finding.code == "TW-KAFKA-009"), "{findings:?}");
        assert_eq!(crate::feed::refused(&config).code(), "TW-KAFKA-009");
    }
}
