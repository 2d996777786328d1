//! A pipeline of each delivery that writes while there is trouble, and what must have arrived in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use tailwater_kafka::{Config, Delivery, TopicSettings};

use crate::feed::{check_as, config_at, hasty, held_is_at_least, write_until, write_while};

const PATIENCE: Duration = Duration::from_secs(240);

/// The pipelines, and what their topics are read with.
pub(crate) struct Pipelines {
    configs: [Config; 2],
    client: ClientConfig,
}

impl Pipelines {
    /// At these brokers, with so many copies of every topic.
    pub(crate) fn new(client: ClientConfig, brokers: &str, replication: i32) -> Self {
        let configs = [Delivery::ExactlyOnce, Delivery::AtLeastOnce].map(|delivery| {
            let mut config = config_at(brokers.to_owned(), delivery);
            let (topic, partitions, replication) = ("*".to_owned(), Some(1), Some(replication));
            config.topics = vec![TopicSettings { topic, partitions, replication, configs: vec![] }];
            config
        });
        Self { configs, client }
    }

    /// Gives up on a record soon, so that a short trouble is a long one.
    pub(crate) fn hasty(mut self) -> Self {
        self.configs.iter_mut().for_each(hasty);
        self
    }

    pub(crate) fn configs(&self) -> &[Config] {
        &self.configs
    }

    /// Writes in the background until the trouble is over, and then some more; then looks at what has arrived.
    pub(crate) fn survive(self, trouble: impl FnOnce(&Self)) {
        let over = Arc::new(AtomicBool::new(false));
        let writers = self.configs.clone().map(|config| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let (end, _) = write_while(&config, |_| !over.load(Ordering::Relaxed), PATIENCE);
                write_until(&config, end + 20, PATIENCE);
                end + 20
            })
        });
        self.go_on();
        trouble(&self);
        over.store(true, Ordering::Relaxed);
        for (writer, config) in writers.into_iter().zip(&self.configs) {
            check_as(&self.client, config, writer.join().unwrap());
        }
    }

    /// Waits until some more is written by both.
    pub(crate) fn go_on(&self) {
        for config in &self.configs {
            let held = tailwater_kafka::position(config).ok().flatten();
            let done: u64 = held.map_or(0, |held| held.position.stream.parse().unwrap());
            held_is_at_least(config, done + 10);
        }
    }
}
