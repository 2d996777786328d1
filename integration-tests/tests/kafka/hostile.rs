//! Surroundings that nobody tidied up: brokers as they are delivered, names that meet, logins that are cut short.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tailwater_core::{ErrorKind, Sink as _};
use tailwater_integration_tests::kafka::Broker;
use tailwater_kafka::{Delivery, Kafka};

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
