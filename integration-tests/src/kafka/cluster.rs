//! Three real brokers, each a controller too, that keep three copies of everything and write to two at least.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::Metadata;

use super::{Broker, PATIENCE, Record, free_ports};

const NODES: usize = 3;

/// The brokers, in the order of their numbers, which start at 1.
pub struct Cluster {
    brokers: Vec<Broker>,
    /// Asks about leaders.
    observer: BaseConsumer,
}

impl Cluster {
    /// # Panics
    /// Where they do not start.
    #[must_use]
    pub fn start() -> Self {
        let ports: [u16; 2 * NODES] = free_ports();
        let (clients, controllers) = ports.split_at(NODES);
        let voters: Vec<String> =
            (1..).zip(controllers).map(|(node, port)| format!("{node}@127.0.0.1:{port}")).collect();
        let prepare = |index: usize| {
            let settings = [
                ("node.id", (index + 1).to_string()),
                ("controller.quorum.voters", voters.join(",")),
                ("default.replication.factor", "3".to_owned()),
                ("min.insync.replicas", "2".to_owned()),
                ("offsets.topic.replication.factor", "3".to_owned()),
                ("transaction.state.log.replication.factor", "3".to_owned()),
                ("transaction.state.log.min.isr", "2".to_owned()),
                // So that there is one coordinator of transactions.
                ("transaction.state.log.num.partitions", "1".to_owned()),
                // A broker that says nothing is given up soon.
                ("broker.session.timeout.ms", "4000".to_owned()),
                ("broker.heartbeat.interval.ms", "500".to_owned()),
                ("replica.lag.time.max.ms", "4000".to_owned()),
                ("auto.leader.rebalance.enable", "false".to_owned()),
                // Three of them share a small machine.
                ("log.cleaner.dedupe.buffer.size", "4194304".to_owned()),
                ("num.io.threads", "3".to_owned()),
                ("num.network.threads", "2".to_owned()),
            ];
            let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
            Broker::prepare(clients[index], controllers[index], settings, &[])
        };
        let mut brokers: Vec<Broker> = (0..NODES).map(prepare).collect();
        // None of them is ready before two are there.
        brokers.iter_mut().for_each(Broker::run);
        brokers.iter().for_each(Broker::answers);
        // A broker that is paused does not keep it waiting.
        let observer = super::reader(&address(&brokers)).set("socket.timeout.ms", "1000").create().unwrap();
        Self { brokers, observer }
    }

    /// What clients connect to.
    #[must_use]
    pub fn address(&self) -> String {
        address(&self.brokers)
    }

    /// As [`Broker::client`].
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        super::reader(&self.address())
    }

    /// As [`Broker::read`].
    #[must_use]
    pub fn read(&self, topic: &str) -> Vec<Record> {
        super::read(&self.client(), topic)
    }

    /// The broker with this number.
    pub fn broker(&mut self, node: i32) -> &mut Broker {
        &mut self.brokers[usize::try_from(node).unwrap() - 1]
    }

    /// What the brokers know, from one of them.
    fn metadata(&self, topic: Option<&str>) -> Metadata {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.observer.fetch_metadata(topic, Duration::from_secs(2)) {
                Ok(metadata) => return metadata,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        }
    }

    /// The leader of a topic's first partition, and its replicas that are in sync.
    #[must_use]
    pub fn leader(&self, topic: &str) -> (Option<i32>, Vec<i32>) {
        let metadata = self.metadata(Some(topic));
        let partition = metadata.topics().first().and_then(|topic| topic.partitions().first());
        partition.map_or((None, Vec::new()), |partition| {
            (Some(partition.leader()).filter(|&leader| leader > 0), partition.isr().to_vec())
        })
    }

    /// Waits for a leader and replicas in sync that are as they should be, and returns them.
    ///
    /// # Panics
    /// Where they do not become so; says `what` was waited for.
    pub fn until(
        &self,
        what: &str,
        topic: &str,
        as_it_should_be: impl Fn(Option<i32>, &[i32]) -> bool,
    ) -> (Option<i32>, Vec<i32>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (leader, in_sync) = self.leader(topic);
            if as_it_should_be(leader, &in_sync) {
                return (leader, in_sync);
            }
            assert!(Instant::now() < deadline, "{topic}: {what}: {leader:?}, in sync {in_sync:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until every broker is there, and every partition has a leader and all its replicas in sync.
    ///
    /// # Panics
    /// Where it does not become so.
    pub fn until_whole(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metadata = self.metadata(None);
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let mut incomplete = partitions.filter(|partition| {
                partition.leader() < 0 || partition.isr().len() < partition.replicas().len()
            });
            if metadata.brokers().len() == NODES && incomplete.next().is_none() {
                return;
            }
            assert!(Instant::now() < deadline, "the cluster does not become whole");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn address(brokers: &[Broker]) -> String {
    brokers.iter().map(Broker::address).collect::<Vec<_>>().join(",")
}
