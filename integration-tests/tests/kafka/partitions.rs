//! Which partition a key goes to, against Kafka's own Java client: the same keys, written by its console producer.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tailwater_integration_tests::{Random, kafka};
use tailwater_kafka::partition_of_key;

const PARTITIONS: i32 = 7;

/// Keys of every length that the hash tells apart, of one to four bytes a character, empty and long ones.
fn keys() -> Vec<String> {
    let mut keys: Vec<String> =
        ["", " ", "0", "\u{7f}", "é", "ß€", "💧", "{\"id\":1}", "{\"id\":\"Öl 油 🛢\"}", "\u{fffd}"]
            .map(str::to_owned)
            .into();
    keys.extend([255, 256, 65_535, 300_000].map(|length| "k".repeat(length)));
    keys.extend([1_000, 50_001].map(|length| "油🛢é".repeat(length)));
    let mut random = Random::new(1);
    let alphabet: Vec<char> = "aZ9 .-_{}\":éñ€油💧\u{80}\u{7ff}\u{ffff}\u{10ffff}".chars().collect();
    for length in 0..200_usize {
        let mut character = || alphabet[usize::try_from(random.within(0..alphabet.len() as u64)).unwrap()];
        keys.push((0..length % 40).map(|_| character()).collect());
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_where_the_java_client_sends_it() {
    let broker = kafka::shared();
    let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
    let topic = NewTopic::new("by_the_java_client", PARTITIONS, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();

    let keys = keys();
    let lines: String = keys.iter().map(|key| format!("{key}\tx\n")).collect();
    let address = broker.address();
    let words = ["--bootstrap-server", &address, "--topic", "by_the_java_client"];
    broker.tool("ConsoleProducer", &[&words[..], &["--property", "parse.key=true"]].concat(), &lines);

    let records = broker.read("by_the_java_client");
    assert_eq!(records.len(), keys.len());
    for record in records {
        let key = record.key.unwrap();
        assert!(keys.contains(&key), "the tool has changed a key: {key:?}");
        assert_eq!(partition_of_key(key.as_bytes(), PARTITIONS), record.partition, "{key:?}");
    }
}
