//! Debezium Server itself, from what `scripts/fetch-debezium` fetched, writing to a Kafka broker. For the examples that hand
//! over from it.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running one. Dropping it kills it.
pub struct DebeziumServer {
    child: Child,
    log: PathBuf,
}

/// Starts it in a folder, where it finds `config/application.properties` and leaves `offsets`: the process, and where its log is.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn spawn(java: &str, home: &Path, folder: &Path, connector: &Value, brokers: &str) -> (Child, PathBuf) {
    let offsets = folder.join("offsets").display().to_string();
    let mut text: String = connector
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !name.starts_with("topic.creation"))
        .map(|(name, value)| {
            format!("debezium.source.{name}={}\n", value.as_str().unwrap().replace('\\', "\\\\"))
        })
        .collect();
    let serializer = "org.apache.kafka.common.serialization.StringSerializer";
    for (name, value) in [
        ("source.offset.storage.file.filename", offsets.as_str()),
        ("source.offset.flush.interval.ms", "500"),
        ("sink.type", "kafka"),
        ("sink.kafka.producer.bootstrap.servers", brokers),
        ("sink.kafka.producer.key.serializer", serializer),
        ("sink.kafka.producer.value.serializer", serializer),
        ("format.schemas.enable", "false"),
    ] {
        text += &format!("debezium.{name}={value}\n");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    text += &format!("quarkus.http.port={port}\nquarkus.http.host=127.0.0.1\nquarkus.log.level=WARN\n");
    fs::create_dir_all(folder.join("config")).unwrap();
    fs::write(folder.join("config/application.properties"), text).unwrap();
    let runner = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    let runner = runner.filter(|path| path.display().to_string().ends_with("-runner.jar")).last().unwrap();
    let log = folder.join("log");
    let file = File::create(&log).unwrap();
    let child = Command::new(java)
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}:config:{}/lib/*", runner.display(), home.display()))
        .arg("io.debezium.server.Main")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    (child, log)
}

impl DebeziumServer {
    /// As [`spawn`].
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(java: &str, home: &Path, folder: &Path, connector: &Value, brokers: &str) -> Self {
        let (child, log) = spawn(java, home, folder, connector, brokers);
        Self { child, log }
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it with a signal, and waits.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn end(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").arg(format!("-{signal}")).arg(pid).status().unwrap();
        assert!(status.success(), "kill: {status}");
        self.child.wait().unwrap();
    }
}

impl Drop for DebeziumServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
