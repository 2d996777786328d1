//! What is taken away while the sink writes: its topic, its rights, the broker's disk.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tailwater_core::{Error, ErrorKind, Sink as _};
use tailwater_integration_tests::kafka::Broker;
use tailwater_integration_tests::kafka::guarded::ADMINISTRATOR;
use tailwater_kafka::{Config, Delivery, Kafka};
use tempfile::TempDir;

use crate::feed::{at, config, hasty, ids, set, table, topic, transaction, write_until};
use crate::pipelines::Pipelines;

const PATIENCE: Duration = Duration::from_secs(240);
const DELIVERIES: [Delivery; 2] = [Delivery::ExactlyOnce, Delivery::AtLeastOnce];

/// A sink that has written one transaction, and goes on until it fails.
struct Writing {
    sink: Kafka,
    done: u64,
}

impl Writing {
    fn begin(config: &Config) -> Self {
        let mut sink = Kafka::new(config.clone());
        let held = sink.open().unwrap().unwrap_or_default();
        let done = if held.stream.is_empty() { 0 } else { held.stream.parse().unwrap() };
        let mut writing = Self { sink, done };
        writing.next().unwrap();
        writing
    }

    fn next(&mut self) -> tailwater_core::Result<()> {
        let from = if self.done == 0 { Default::default() } else { at(self.done, 0) };
        self.sink.write(&transaction(&from, &table(), self.done + 1, 5))?;
        self.done += 1;
        Ok(())
    }

    fn until_it_fails(mut self) -> Error {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next() {
                Ok(()) => assert!(Instant::now() < deadline, "it goes on writing"),
                Err(error) => {
                    self.sink.close().unwrap();
                    return error;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_deleted() {
    // Brokers make what they are asked about, unless told otherwise: that is not to happen either.
    let broker = Broker::start(&[("auto.create.topics.enable", "true")]);
    for delivery in DELIVERIES {
        let mut config = config(&broker, delivery);
        // In a transaction it is sought for as long as a record may take; else for as long as a topic may be unknown to
        // a broker that has not heard of it yet.
        hasty(&mut config);
        set(&mut config, "topic.metadata.propagation.max.ms", "1000");
        let writing = Writing::begin(&config);
        let admin: AdminClient<DefaultClientContext> = broker.client().create().unwrap();
        let name = topic(&config);
        admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        // Whether the topic is gone, or one broker has not heard of it yet, is for the next start to find out.
        let error = writing.until_it_fails();
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        let (held, error) = refused_later(&config);
        assert_eq!((error.code(), error.kind()), ("TW-KAFKA-006", ErrorKind::Operator), "{error}");
        assert!(error.to_string().contains(&name), "{error}");
        let codes = tailwater_kafka::check(&config, &[table()]).into_iter().map(|finding| finding.code);
        assert_eq!(codes.filter(|code| *code == "TW-KAFKA-006").count(), 1);

        // Made by hand, it is written again, from where the pipeline stands.
        let made = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
        admin.create_topics([&made], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        write_until(&config, held + 4, PATIENCE);
        let wanted: Vec<u64> =
            (held + 1..held + 5).flat_map(|number| (0..5).map(move |row| number * 1000 + row)).collect();
        assert_eq!(ids(&broker, &config), wanted);
    }
}

/// The last transaction that is durable when another one is refused, and the error.
fn refused_later(config: &Config) -> (u64, Error) {
    let mut sink = Kafka::new(config.clone());
    let held = sink.open().unwrap().unwrap();
    let number: u64 = held.stream.parse().unwrap();
    let error = sink.write(&transaction(&held, &table(), number + 1, 5)).unwrap_err();
    sink.close().unwrap();
    (number, error)
}

#[test]
fn a_disk_is_full() {
    let mut broker = Broker::start(&[]);
    let pipelines = Pipelines::new(broker.client(), &broker.address(), 1).hasty();
    pipelines.survive(|pipelines| {
        broker.fill_disk(100_000);
        // It ends itself.
        broker.gone();
        broker.restart();
        pipelines.go_on();
    });
}

/// A broker that asks for rights, and how its administrator logs in.
struct Guarded {
    broker: Broker,
    folder: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let broker = Broker::start_guarded(&[]);
        let folder = tempfile::tempdir().unwrap();
        let login = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={ADMINISTRATOR};\n"
        );
        std::fs::write(folder.path().join("admin.properties"), login).unwrap();
        Self { broker, folder }
    }

    /// Gives (`--add`) or takes (`--remove`) a right of the guest.
    fn acl(&self, what: &str, words: &[&str]) {
        let address = self.broker.address();
        let login = self.folder.path().join("admin.properties").display().to_string();
        let common = [
            "--bootstrap-server",
            &address,
            "--command-config",
            &login,
            what,
            "--force",
            "--allow-principal",
            "User:guest",
        ];
        self.broker.tool("AclCommand", &[&common[..], words].concat(), "");
    }
}

#[test]
fn a_right_is_revoked() {
    let guarded = Guarded::start();
    for delivery in DELIVERIES {
        let mut config = config(&guarded.broker, delivery);
        for (name, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", "guest"),
            ("sasl.password", "guest"),
        ] {
            set(&mut config, name, value);
        }
        let rows = topic(&config);
        let transactions = format!("tailwater-{}", config.pipeline);
        let write_rows = ["--topic", &rows, "--operation", "Write"];
        let write_position = ["--topic", &config.position_topic, "--operation", "Write"];
        let write_transactions = ["--transactional-id", &transactions, "--operation", "Write"];
        guarded.acl("--add", &["--topic", &rows, "--operation", "Write", "--operation", "Create"]);
        guarded.acl(
            "--add",
            &[
                "--topic",
                &config.position_topic,
                "--operation",
                "Write",
                "--operation",
                "Create",
                "--operation",
                "Read",
            ],
        );
        guarded.acl("--add", &write_transactions);
        let mut revoked = vec![&write_rows, &write_position];
        if delivery == Delivery::ExactlyOnce {
            revoked.push(&write_transactions)
        }
        for right in revoked {
            let writing = Writing::begin(&config);
            guarded.acl("--remove", right);
            let error = writing.until_it_fails();
            assert_eq!((error.code(), error.kind()), ("TW-KAFKA-005", ErrorKind::Operator), "{error}");
            assert!(error.to_string().contains(right[1]), "{error}");
            guarded.acl("--add", right);
        }
        write_until(&config, 20, PATIENCE);
    }
}
