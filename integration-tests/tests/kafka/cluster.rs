//! Three brokers with three copies of everything, of which one after the other is killed, stopped, paused and relieved
//! of what it leads, while a pipeline of each delivery writes. Nothing is lost; exactly once nothing comes twice.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tailwater_integration_tests::kafka::cluster::Cluster;

use crate::feed::topic;
use crate::pipelines::Pipelines;

/// Its one partition is led by the coordinator of transactions.
const TRANSACTIONS: &str = "__transaction_state";

/// A pipeline of each delivery, with three copies of everything.
fn pipelines(cluster: &Cluster) -> Pipelines {
    Pipelines::new(cluster.client(), &cluster.address(), 3)
}

/// One after the other: the brokers fill the machine, and take long to start.
#[test]
fn nothing_is_lost_or_repeated_whatever_happens_to_one_of_three_brokers() {
    let mut cluster = Cluster::start();
    for trouble in [
        the_coordinator_moves_because_its_broker_is_killed_or_stopped,
        a_leader_is_moved_by_reassignment_and_by_election,
        a_broker_is_paused_for_longer_than_a_record_may_take,
        a_partition_has_no_leader_until_its_only_replica_in_sync_returns,
    ] {
        cluster.until_whole();
        trouble(&mut cluster);
    }
}

fn the_coordinator_moves_because_its_broker_is_killed_or_stopped(cluster: &mut Cluster) {
    pipelines(cluster).survive(|pipelines| {
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

fn a_leader_is_moved_by_reassignment_and_by_election(cluster: &mut Cluster) {
    pipelines(cluster).survive(|pipelines| {
        let address = cluster.address();
        let mut topics: Vec<String> = vec![TRANSACTIONS.to_owned()];
        for config in pipelines.configs() {
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

fn a_broker_is_paused_for_longer_than_a_record_may_take(cluster: &mut Cluster) {
    pipelines(cluster).hasty().survive(|pipelines| {
        for config in pipelines.configs() {
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

fn a_partition_has_no_leader_until_its_only_replica_in_sync_returns(cluster: &mut Cluster) {
    let pipelines = pipelines(cluster).hasty();
    // Two copies, of which one is enough.
    for config in pipelines.configs() {
        create(cluster, &topic(config), &[&[1, 2]]);
    }
    pipelines.survive(|pipelines| {
        cluster.broker(2).kill();
        for config in pipelines.configs() {
            cluster.until("one alone", &topic(config), |leader, in_sync| leader == Some(1) && in_sync == [1]);
        }
        pipelines.go_on();
        // Two of three are gone, so nobody can decide anything until one of them is back.
        cluster.broker(1).kill();
        cluster.broker(2).restart();
        for config in pipelines.configs() {
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
