//! Three brokers with three copies of everything, of which one after the other is killed, stopped, paused and relieved
//! of what it leads, while a pipeline of each delivery writes. Nothing is lost; exactly once nothing comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tailwater_integration_tests::kafka::cluster::{self, Cluster};
use tailwater_kafka::{Config, Delivery, TopicSettings};

use crate::feed::{self, held_is_at_least, topic, write_until, write_while};

const PATIENCE: Duration = Duration::from_secs(240);
/// Its one partition is led by the coordinator of transactions.
const TRANSACTIONS: &str = "__transaction_state";

/// A pipeline of each delivery.
struct Pipelines([Config; 2]);

impl Pipelines {
    fn new(cluster: &Cluster) -> Self {
        Self([Delivery::ExactlyOnce, Delivery::AtLeastOnce].map(|delivery| {
            let mut config = feed::config_at(cluster.address(), delivery);
            let all = "*".to_owned();
            config.topics = vec![TopicSettings {
                topic: all,
                partitions: Some(1),
                replication: Some(3),
                configs: vec![],
            }];
            config
        }))
    }

    /// Gives up on a record soon, so that a short trouble is a long one.
    fn hasty(mut self) -> Self {
        self.0.iter_mut().for_each(feed::hasty);
        self
    }

    /// Writes in the background until the trouble is over, and then some more; then looks at what has arrived.
    fn survive(self, cluster: &mut Cluster, trouble: impl FnOnce(&mut Cluster, &Self)) {
        let over = Arc::new(AtomicBool::new(false));
        let writers = self.0.clone().map(|config| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let (end, _) = write_while(&config, |_| !over.load(Ordering::Relaxed), PATIENCE);
                write_until(&config, end + 20, PATIENCE);
                end + 20
            })
        });
        self.go_on();
        trouble(cluster, &self);
        over.store(true, Ordering::Relaxed);
        for (writer, config) in writers.into_iter().zip(&self.0) {
            feed::check_as(&cluster.client(), config, writer.join().unwrap());
        }
        cluster.until_whole();
    }

    /// Waits until some more is written by both.
    fn go_on(&self) {
        for config in &self.0 {
            let held = tailwater_kafka::position(config).ok().flatten();
            let done: u64 = held.map_or(0, |held| held.position.stream.parse().unwrap());
            held_is_at_least(config, done + 10);
        }
    }
}

#[test]
fn the_coordinator_moves_because_its_broker_is_killed_or_stopped() {
    let cluster = cluster::shared();
    let mut cluster = cluster::turn(&cluster);
    Pipelines::new(&cluster).survive(&mut cluster, |cluster, pipelines| {
        for killed in [true, false] {
            let node = cluster.until("a coordinator", TRANSACTIONS, |leader, _| leader.is_some()).0.unwrap();
            let broker = cluster.broker(node);
            if killed {
                broker.kill()
            } else {
                broker.stop()
            }
            let moved = |leader: Option<i32>, _: &[i32]| leader.is_some_and(|leader| leader != node);
            cluster.until("another coordinator", TRANSACTIONS, moved);
            pipelines.go_on();
            cluster.broker(node).restart();
            cluster.until_whole();
            pipelines.go_on();
        }
    });
}

#[test]
fn a_leader_is_moved_by_reassignment_and_by_election() {
    let cluster = cluster::shared();
    let mut cluster = cluster::turn(&cluster);
    Pipelines::new(&cluster).survive(&mut cluster, |cluster, pipelines| {
        let address = cluster.address();
        let mut topics: Vec<String> = vec![TRANSACTIONS.to_owned()];
        for config in &pipelines.0 {
            topics.extend([topic(config), config.position_topic.clone()]);
        }
        for round in 0..2 {
            let places: Vec<(String, i32, Vec<i32>)> = topics
                .iter()
                .map(|topic| {
                    let leader = cluster.until("a leader", topic, |leader, _| leader.is_some()).0.unwrap();
                    // The leader goes: first from the replicas altogether, then to their end.
                    let mut replicas: Vec<i32> = (1..=3).filter(|&node| node != leader).collect();
                    replicas.extend((round == 1).then_some(leader));
                    (topic.clone(), leader, replicas)
                })
                .collect();
            reassign(cluster, &places);
            if round == 1 {
                let words = [
                    "--bootstrap-server",
                    &address,
                    "--election-type",
                    "PREFERRED",
                    "--all-topic-partitions",
                ];
                cluster.broker(1).tool("LeaderElectionCommand", &words, "");
            }
            for (topic, before, replicas) in &places {
                cluster.until("another leader", topic, |leader, in_sync| {
                    leader.is_some_and(|leader| leader != *before) && in_sync.len() == replicas.len()
                });
            }
            pipelines.go_on();
        }
    });
}

/// Gives each topic's one partition these replicas, the first of which is to lead it.
fn reassign(cluster: &mut Cluster, places: &[(String, i32, Vec<i32>)]) {
    let partitions: Vec<serde_json::Value> = places
        .iter()
        .map(|(topic, _, replicas)| serde_json::json!({"topic": topic, "partition": 0, "replicas": replicas}))
        .collect();
    let plan = serde_json::json!({"version": 1, "partitions": partitions}).to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    std::fs::write(&file, plan).unwrap();
    let address = cluster.address();
    let words = ["--bootstrap-server", &address, "--reassignment-json-file", &file, "--execute"];
    cluster.broker(1).tool("reassign.ReassignPartitionsCommand", &words, "");
}

#[test]
fn a_broker_is_paused_for_longer_than_a_record_may_take() {
    let cluster = cluster::shared();
    let mut cluster = cluster::turn(&cluster);
    Pipelines::new(&cluster).hasty().survive(&mut cluster, |cluster, pipelines| {
        for config in &pipelines.0 {
            let topic = topic(config);
            let node = cluster.until("a leader", &topic, |leader, _| leader.is_some()).0.unwrap();
            cluster.broker(node).pause();
            let moved = |leader: Option<i32>, _: &[i32]| leader.is_some_and(|leader| leader != node);
            cluster.until("another leader", &topic, moved);
            pipelines.go_on();
            cluster.broker(node).resume();
            cluster.until_whole();
            pipelines.go_on();
        }
    });
}

#[test]
fn a_partition_has_no_leader_until_its_only_replica_in_sync_returns() {
    let cluster = cluster::shared();
    let mut cluster = cluster::turn(&cluster);
    let pipelines = Pipelines::new(&cluster).hasty();
    // Two copies, of which one is enough.
    for config in &pipelines.0 {
        create(&cluster, &topic(config), &[&[1, 2]]);
    }
    pipelines.survive(&mut cluster, |cluster, pipelines| {
        cluster.broker(2).kill();
        for config in &pipelines.0 {
            cluster.until("one alone", &topic(config), |leader, in_sync| leader == Some(1) && in_sync == [1]);
        }
        pipelines.go_on();
        // Two of three are gone, so nobody can decide anything until one of them is back.
        cluster.broker(1).kill();
        cluster.broker(2).restart();
        for config in &pipelines.0 {
            cluster.until("no leader", &topic(config), |leader, _| leader.is_none());
        }
        // Longer than a record may take.
        std::thread::sleep(Duration::from_secs(3));
        cluster.broker(1).restart();
        cluster.until_whole();
        pipelines.go_on();
    });
}

fn create(cluster: &Cluster, name: &str, replicas: &[&[i32]]) {
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().unwrap();
    let mut topic = NewTopic::new(name, 1, TopicReplication::Variable(replicas));
    topic.config = vec![("min.insync.replicas", "1")];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    answer[0].as_ref().unwrap();
}
