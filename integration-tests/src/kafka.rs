//! Apache Kafka itself for tests: one broker that is its own controller, from what `scripts/fetch-kafka` fetched; and a
//! consumer of ours to read topics with. Several of them are in `cluster`, one that asks for
//! logins and rights in `guarded`.

pub mod cluster;
pub mod guarded;

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

/// A broker with its data, on ports of its own.
pub struct Broker {
    folder: TempDir,
    port: u16,
    shell: Option<Child>,
    java: &'static [&'static str],
}

/// Starts fast and needs little.
const FOR_TESTS: &[&str] = &["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const FOR_TOOLS: &[&str] = &["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// As Kafka's own start script has it.
const FOR_LOAD: &[&str] = &["-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];

/// A record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say what they are")]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
}

/// The broker that the tests of this process share.
pub fn shared() -> Arc<Broker> {
    /// Ended with its last user, because nothing is dropped at the end of a process.
    static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(broker) = shared.upgrade() {
        return broker;
    }
    let broker = Arc::new(Broker::start(&[]));
    *shared = Arc::downgrade(&broker);
    broker
}

impl Broker {
    /// A broker that nobody else uses, with these settings besides the usual ones.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_with(|_| settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(), &[])
    }

    /// A broker to measure with: no limits for tests, and topics as clients ask for them.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_for_load() -> Self {
        let settings = vec![("auto.create.topics.enable".to_owned(), "true".to_owned())];
        let [port, controller] = free_ports();
        let mut broker = Self::prepare(port, controller, settings, &[]);
        broker.java = FOR_LOAD;
        broker.restart();
        broker
    }

    /// As [`Broker::start`], with settings that depend on the port, and more words for formatting its storage.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_with(settings: impl FnOnce(u16) -> Vec<(String, String)>, format: &[&str]) -> Self {
        let [port, controller] = free_ports();
        let mut broker = Self::prepare(port, controller, settings(port), format);
        broker.restart();
        broker
    }

    /// A broker on these ports that does not run yet.
    fn prepare(port: u16, controller: u16, settings: Vec<(String, String)>, format: &[&str]) -> Self {
        static FETCH: Mutex<()> = Mutex::new(());
        let fetch = FETCH.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let status = Command::new(top().join("scripts/fetch-kafka")).status().unwrap();
        assert!(status.success(), "scripts/fetch-kafka: {status}");
        drop(fetch);
        let folder = tempfile::tempdir().unwrap();
        let mut all: Vec<(String, String)> = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", "1".to_owned()),
            ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
            ("listeners", format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
            ("log.dirs", folder.path().join("data").display().to_string()),
            ("offsets.topic.replication.factor", "1".to_owned()),
            ("offsets.topic.num.partitions", "1".to_owned()),
            ("transaction.state.log.replication.factor", "1".to_owned()),
            ("transaction.state.log.num.partitions", "4".to_owned()),
            ("transaction.state.log.min.isr", "1".to_owned()),
            ("auto.create.topics.enable", "false".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in settings {
            let value = value.replace("CONTROLLER_PORT", &controller.to_string());
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => all.push((name, value)),
            }
        }
        let text: String = all.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(folder.path().join("server.properties"), text).unwrap();
        let broker = Self { folder, port, shell: None, java: FOR_TESTS };
        broker.format(format);
        broker
    }

    fn format(&self, more: &[&str]) {
        let mut command = self.java(FOR_TOOLS);
        command.args(["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]);
        let output = command.arg(self.folder.path().join("server.properties")).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A shell stands between, which ends the broker when this process ends, however it does.
    fn run(&mut self) {
        const SCRIPT: &str = r#""$@" </dev/null >>"$0/log" 2>&1 & echo $! >"$0/pid"; cat >/dev/null; kill -9 $! 2>/dev/null; wait"#;
        let java = self.java(self.java);
        let mut command = Command::new("sh");
        command.arg("-c").arg(SCRIPT).arg(self.folder.path()).arg(java.get_program()).args(java.get_args());
        command.arg("kafka.Kafka").arg(self.folder.path().join("server.properties"));
        self.shell = Some(command.stdin(Stdio::piped()).spawn().unwrap());
    }

    fn java(&self, options: &[&str]) -> Command {
        let kafka = top().join(".deps/kafka");
        let java = fs::read_to_string(kafka.join("java")).unwrap();
        let mut command = Command::new(java.trim());
        command.args(options).args(["-Dorg.apache.logging.log4j.level=WARN", "-cp"]);
        command.arg(format!("{}/jars/*", kafka.display()));
        command
    }

    fn answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the broker does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs one of Kafka's own commands, `tool.Class` of `org.apache.kafka.tools`, and returns what it says.
    ///
    /// # Panics
    /// Where it fails.
    pub fn tool(&self, class: &str, words: &[&str], input: &str) -> String {
        let mut command = self.java(FOR_TOOLS);
        command.arg(format!("org.apache.kafka.tools.{class}")).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{class} {words:?}: {said}");
        said
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What clients connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid.trim()).status().unwrap();
        assert!(status.success(), "kill -{name}: {status}");
    }

    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.gone();
    }

    /// Ends it the orderly way.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.gone();
    }

    /// Lets no file of it grow beyond so many bytes, as a full disk would.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn fill_disk(&self, bytes: u64) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let words = [format!("--pid={}", pid.trim()), format!("--fsize={bytes}:unlimited")];
        let status = Command::new("prlimit").args(words).status().unwrap();
        assert!(status.success(), "prlimit: {status}");
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn gone(&mut self) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let deadline = Instant::now() + PATIENCE;
        // Until the shell has waited for it the process is there still, but as a zombie.
        let running = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while running() {
            assert!(Instant::now() < deadline, "the broker does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.end_shell();
    }

    /// Starts it again on the same ports, and waits until it answers.
    pub fn restart(&mut self) {
        self.run();
        self.answers();
    }

    /// Halts it where it is.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn end_shell(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            shell.wait().ok();
        }
    }

    /// What a client of this broker is set to, with what readers of transactions need.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        reader(&self.address())
    }

    /// Everything that is committed in a topic: one partition after the other, each in order.
    #[must_use]
    pub fn read(&self, topic: &str) -> Vec<Record> {
        read(&self.client(), topic)
    }
}

fn reader(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("group.id", "reader");
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    config.set("isolation.level", "read_committed").set("fetch.wait.max.ms", "10");
    config
}

/// Ports that nobody listens on.
fn free_ports<const N: usize>() -> [u16; N] {
    let sockets: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    std::array::from_fn(|index| sockets[index].local_addr().unwrap().port())
}

impl Broker {
    /// The first `count` committed records of a topic, as Kafka's own consumer prints them. Offsets are not told.
    ///
    /// # Panics
    /// Where there are fewer.
    #[must_use]
    pub fn read_with_java(&self, topic: &str, count: usize) -> Vec<Record> {
        let mut command = self.java(FOR_TOOLS);
        command.args([
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--from-beginning",
            "--topic",
            topic,
        ]);
        command.args(["--bootstrap-server", &self.address(), "--isolation-level", "read_committed"]);
        command.args(["--max-messages", &count.to_string()]);
        command.args(["--timeout-ms", &PATIENCE.as_millis().to_string()]);
        for property in ["partition", "headers", "key", "value"] {
            command.args(["--property", &format!("print.{property}=true")]);
        }
        for (property, text) in [
            ("key.separator", "\u{1f}"),
            ("headers.separator", "\u{1e}"),
            ("line.separator", "\u{1d}"),
            ("null.literal", "\u{1c}"),
        ] {
            command.args(["--property", &format!("{property}={text}")]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let records: Vec<Record> = text.split_terminator('\u{1d}').map(printed).collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(records.len(), count, "{topic}: {}: {errors}\n{text}", output.status);
        records
    }
}

/// `Partition:0`, headers, key and value, each but the last with its separator.
fn printed(line: &str) -> Record {
    let mut parts = line.split('\u{1f}');
    let mut part = || parts.next().unwrap_or_else(|| panic!("{line:?}"));
    let some = |text: &str| (text != "\u{1c}").then(|| text.to_owned());
    let partition = part().strip_prefix("Partition:").unwrap().parse().unwrap();
    let headers = match part() {
        "NO_HEADERS" => Vec::new(),
        headers => headers
            .split('\u{1e}')
            .map(|header| header.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), some(value)))
            .collect(),
    };
    Record { partition, offset: -1, headers, key: some(part()), value: some(part()) }
}

/// As [`Broker::read`], with a configuration of one's own.
///
/// # Panics
/// Where the topic cannot be read.
#[must_use]
pub fn read(config: &ClientConfig, topic: &str) -> Vec<Record> {
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    if partitions == 0 {
        return Vec::new();
    }
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        let partition = i32::try_from(partition).unwrap();
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let (mut records, mut ended, deadline) = (Vec::new(), 0, Instant::now() + PATIENCE);
    while ended < partitions {
        assert!(Instant::now() < deadline, "{topic} has no end");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => assert!(error.rdkafka_error_code().is_some(), "{error}"),
            Some(Ok(message)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers = message.headers().map(|headers| {
                    headers.iter().map(|header| (header.key.to_owned(), header.value.map(text))).collect()
                });
                records.push(Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(text),
                    value: message.payload().map(text),
                    headers: headers.unwrap_or_default(),
                });
            }
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end_shell();
    }
}
