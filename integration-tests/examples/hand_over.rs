//! Debezium itself streams from a real Postgres into a real Kafka broker, is stopped in the middle of traffic, and
//! Tailwater goes on from its offsets. Then every topic must hold every change once, in order. Several rounds, on Connect
//! with a file of offsets and with a topic of them, and in Debezium Server; and back again to Debezium.
//! `scripts/hand-over` calls it.
//!
//!     hand_over JAVA LIBS ROUNDS [FOLDER]    FOLDER gets the offsets files, as test data

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failure here ends the run"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tailwater_integration_tests::kafka::Broker;
use tailwater_integration_tests::servers::{self, Database};
use tailwater_integration_tests::truth::{self, Change};
use tailwater_integration_tests::{Client, Random, child, debezium_server, wait_for};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);
const TABLES: [&str; 3] = ["orders", "lines", "notes"];

/// How Connect runs, which decides where it keeps offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Standalone,
    Distributed,
    /// Debezium Server, where `DEBEZIUM_SERVER` names the folder of its distribution.
    Server,
}

struct Connect {
    child: Child,
    log: PathBuf,
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [java, libs, rounds, ..] = arguments.as_slice() else {
        panic!("hand_over JAVA LIBS ROUNDS [FOLDER]")
    };
    let server = Arc::new(servers::own(servers::any_version(), &[]).await);
    let broker = Broker::start(&[("auto.create.topics.enable", "true")]);
    let mut modes = vec![Mode::Standalone, Mode::Distributed];
    modes.extend(std::env::var_os("DEBEZIUM_SERVER").map(|_| Mode::Server));
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for number in 0..rounds.parse().unwrap() {
        for mode in modes.clone() {
            let database = Database::create(Arc::clone(&server)).await;
            let round = Round {
                java,
                libs,
                mode,
                number,
                database: &database,
                broker: &broker,
                folder: tempfile::tempdir().unwrap(),
            };
            round.run(&mut random, arguments.get(3).map(Path::new)).await;
        }
    }
}

struct Round<'a> {
    java: &'a str,
    libs: &'a str,
    mode: Mode,
    number: u64,
    database: &'a Database,
    broker: &'a Broker,
    folder: tempfile::TempDir,
}

impl Round<'_> {
    async fn run(&self, random: &mut Random, keep: Option<&Path>) {
        let client = self.database.connect().await;
        for table in TABLES {
            let sql = format!(
                "CREATE TABLE {table} (id bigint PRIMARY KEY, writer int, text text); INSERT INTO {table} VALUES (-1, 0, 'before')"
            );
            client.run(&sql).await;
        }
        let debezium = self.start(&self.connector());
        debezium
            .until("Debezium streams", async || {
                client.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").await
                    == "1"
            })
            .await;
        if let (Some(folder), Mode::Standalone) = (keep, self.mode) {
            let noted = async || fs::read(self.path("offsets")).is_ok_and(|file| file.len() > 200);
            debezium.until("Debezium notes its snapshot", noted).await;
            let name = format!("{:?}-{}-snapshot.dat", self.mode, self.number);
            fs::copy(self.path("offsets"), folder.join(name)).unwrap();
        }
        truth::slot(&client, &format!("truth_{}", self.database.name)).await;
        // Every third time Connect stops with its snapshot, before anything has been streamed; Debezium Server might not
        // have noted that.
        let debezium = if self.number % 3 == 1 && self.mode != Mode::Server {
            debezium.stop();
            None
        } else {
            Some(debezium)
        };
        let stop = CancellationToken::new();
        let mut writers = JoinSet::new();
        for writer in 0..3 {
            let (url, stop, random) = (self.database.url(), stop.clone(), Random::new(random.draw()));
            writers.spawn(write(url, writer, stop, random));
        }
        if let Some(debezium) = debezium {
            let orders = format!("{}.public.orders", self.database.name);
            debezium.until("Debezium has written some", async || self.broker.read(&orders).len() > 50).await;
            tokio::time::sleep(Duration::from_millis(random.within(0..2000))).await;
            debezium.stop();
        }
        let pipeline = self.import(keep);
        let by_debezium: usize = self.told().await.values().map(Vec::len).sum();
        let mut tailwater = child::command(&["run", &pipeline]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(random.within(500..2000))).await;
        if self.mode == Mode::Distributed {
            stop.cancel();
            while writers.join_next().await.is_some() {}
        }
        signal(&tailwater, "TERM");
        assert!(tailwater.wait().unwrap().success());
        let by_tailwater: usize = self.told().await.values().map(Vec::len).sum::<usize>() - by_debezium;
        if self.mode == Mode::Distributed {
            run(&mut child::command(&["run", "--until-caught-up", &pipeline]));
        } else {
            self.go_back(&client, &stop, writers).await;
        }
        let all = self.compare(&client).await;
        println!(
            "round {} {:?}: {by_debezium} changes by Debezium, {by_tailwater} by Tailwater while others wrote, {} after that, each once and in order",
            self.number,
            self.mode,
            all - by_debezium - by_tailwater
        );
        for slot in ["truth_", "dbz_"] {
            client.run(&format!("SELECT pg_drop_replication_slot('{slot}{}')", self.database.name)).await;
        }
    }

    /// Debezium once more, as docs/FROM-DEBEZIUM.md says, until it has written everything.
    async fn go_back(&self, client: &Client, stop: &CancellationToken, mut writers: JoinSet<()>) {
        fs::remove_file(self.path("offsets")).unwrap();
        let mut connector = self.connector();
        connector["snapshot.mode"] = json!("no_data");
        let debezium = self.start(&connector);
        debezium
            .until("Debezium streams again", async || {
                let sql = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
                client.value(sql).await == "1"
            })
            .await;
        stop.cancel();
        while writers.join_next().await.is_some() {}
        let happened = self.happened(client).await.len();
        debezium
            .until("Debezium has written everything", async || {
                self.told().await.values().map(Vec::len).sum::<usize>() >= happened
            })
            .await;
        debezium.stop();
    }

    /// The properties of the connector.
    fn connector(&self) -> serde_json::Value {
        let address = self.database.server.address();
        let (host, port) = address.rsplit_once(':').unwrap();
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "database.hostname": host, "database.port": port, "database.user": "postgres",
            "database.password": "postgres", "database.dbname": self.database.name,
            "topic.prefix": self.database.name, "plugin.name": "pgoutput",
            "slot.name": format!("dbz_{}", self.database.name),
            "table.include.list": "public\\.(orders|lines|notes)",
            "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
            // Heartbeats are noted between transactions; without, offsets stand inside of one.
            "heartbeat.interval.ms": if self.number % 3 == 2 { "50" } else { "0" },
            "poll.interval.ms": "20", "max.batch.size": "64", "max.queue.size": "128",
        })
    }

    fn worker(&self) -> String {
        let name = &self.database.name;
        let mut text = format!(
            "bootstrap.servers={}\nplugin.discovery=service_load\nlisteners=http://127.0.0.1:{}\noffset.flush.interval.ms=500\n",
            self.broker.address(),
            free_port()
        );
        for kind in ["key", "value"] {
            text += &format!(
                "{kind}.converter=org.apache.kafka.connect.json.JsonConverter\n{kind}.converter.schemas.enable=false\n"
            );
        }
        text += &match self.mode {
            Mode::Standalone => format!("offset.storage.file.filename={}\n", self.path("offsets")),
            Mode::Distributed | Mode::Server => {
                ["config", "offset", "status"]
                    .map(|kind| {
                        format!("{kind}.storage.topic={name}-{kind}s\n{kind}.storage.replication.factor=1\n")
                    })
                    .concat()
                    + &format!("group.id={name}\noffset.storage.partitions=3\nstatus.storage.partitions=1\n")
            }
        };
        text
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, connector: &serde_json::Value) -> Connect {
        if self.mode == Mode::Server {
            let home = PathBuf::from(std::env::var_os("DEBEZIUM_SERVER").unwrap());
            let brokers = self.broker.address();
            let (child, log) =
                debezium_server::spawn(self.java, &home, self.folder.path(), connector, &brokers);
            return Connect { child, log };
        }
        let connector = json!({ "name": "shop", "config": connector });
        fs::write(self.path("connector.json"), connector.to_string()).unwrap();
        fs::write(self.path("worker.properties"), self.worker()).unwrap();
        let (class, more) = match self.mode {
            Mode::Standalone => ("ConnectStandalone", Some(self.path("connector.json"))),
            Mode::Distributed | Mode::Server => ("ConnectDistributed", None),
        };
        let log = self.folder.path().join("log");
        let file = File::create(&log).unwrap();
        let child = Command::new(self.java)
            .args([
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            ])
            .args(["-cp", &format!("{}/*", self.libs), &format!("org.apache.kafka.connect.cli.{class}")])
            .arg(self.path("worker.properties"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let connect = Connect { child, log };
        if self.mode == Mode::Distributed {
            let worker = fs::read_to_string(self.path("worker.properties")).unwrap();
            let address = worker.split("http://").nth(1).unwrap().lines().next().unwrap();
            let body = connector.to_string();
            let request = format!(
                "POST /connectors HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let deadline = std::time::Instant::now() + PATIENCE;
            while !post(address, &request).is_some_and(|answer| answer.starts_with("HTTP/1.1 201")) {
                assert!(
                    std::time::Instant::now() < deadline,
                    "{}",
                    fs::read_to_string(&connect.log).unwrap()
                );
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        connect
    }

    /// Makes the pipeline, as a person would.
    fn import(&self, keep: Option<&Path>) -> String {
        let (pipeline, offsets) = (self.path(&format!("{}.toml", self.database.name)), self.path("offsets"));
        let topic = format!("{}-offsets", self.database.name);
        let offsets = match self.mode {
            Mode::Standalone | Mode::Server => ["--offsets", &offsets],
            Mode::Distributed => ["--offsets-topic", &topic],
        };
        if let (Some(folder), Mode::Standalone | Mode::Server) = (keep, self.mode) {
            fs::copy(self.path("offsets"), folder.join(format!("{:?}-{}.dat", self.mode, self.number)))
                .unwrap();
        }
        let (connector, worker) = (self.path("connector.json"), self.path("worker.properties"));
        let server = self.path("config/application.properties");
        let mut command = match self.mode {
            Mode::Server => child::command(&["import-debezium", &server, "--output", &pipeline]),
            Mode::Standalone | Mode::Distributed => {
                child::command(&["import-debezium", &connector, "--worker", &worker, "--output", &pipeline])
            }
        };
        run(command.args(offsets).env("PGPASSWORD", "postgres"));
        let text = fs::read_to_string(&pipeline).unwrap().replace("${env:PGPASSWORD}", "postgres");
        fs::write(&pipeline, text).unwrap();
        pipeline
    }

    /// By table, what its topic tells.
    async fn told(&self) -> BTreeMap<String, Vec<Change>> {
        let topics =
            TABLES.map(|table| (format!("public.{table}"), format!("{}.public.{table}", self.database.name)));
        let message = (String::new(), format!("{}.message", self.database.name));
        let told = |(table, topic): (String, String)| {
            let records = self.broker.read(&topic);
            (table.clone(), truth::told(&records, &table))
        };
        topics.into_iter().chain([message]).map(told).collect()
    }

    async fn happened(&self, client: &Client) -> Vec<truth::Placed> {
        truth::changes(client, &format!("truth_{}", self.database.name), "dbz_publication").await
    }

    async fn compare(&self, client: &Client) -> usize {
        let happened = self.happened(client).await;
        let told = self.told().await;
        for (table, told) in &told {
            let happened: Vec<Change> = happened
                .iter()
                .map(|placed| placed.change.clone())
                .filter(|change| change.table == *table)
                .collect();
            truth::assert_same(&happened, told, table);
        }
        told.values().map(Vec::len).sum()
    }
}

/// Transactions of one row and of many, messages inside and outside of them, several sessions at a time.
async fn write(url: String, writer: u64, stop: CancellationToken, mut random: Random) {
    let client = Client::connect(&url).await;
    let mut id = writer << 32;
    while !stop.is_cancelled() {
        let rows = if random.within(0..10) == 0 { random.within(1..400) } else { random.within(1..8) };
        client.run("BEGIN").await;
        for _ in 0..rows {
            let table = TABLES[usize::try_from(random.within(0..3)).unwrap()];
            id += 1;
            let sql = match random.within(0..10) {
                0 => format!(
                    "DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table} WHERE writer = {writer})"
                ),
                1..=3 => format!(
                    "UPDATE {table} SET text = text || '.' WHERE id = (SELECT max(id) FROM {table} WHERE writer = {writer})"
                ),
                4 => "SELECT pg_logical_emit_message(true, 'inside', 'x')".to_owned(),
                _ => format!("INSERT INTO {table} VALUES ({id}, {writer}, 'new')"),
            };
            client.run(&sql).await;
        }
        client.run(if random.within(0..10) == 0 { "ROLLBACK" } else { "COMMIT" }).await;
        if random.within(0..5) == 0 {
            client.run("SELECT pg_logical_emit_message(false, 'outside', 'x')").await;
        }
    }
}

impl Connect {
    async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let log = &self.log;
        let waiting = wait_for(what, PATIENCE, async || {
            let said = fs::read_to_string(log).unwrap();
            assert!(!said.contains("unrecoverable exception"), "{said}");
            condition().await.then_some(())
        });
        waiting.await;
    }

    /// The orderly way: it writes what it has, and notes its offsets. Debezium Server may not note the last ones.
    fn stop(mut self) {
        signal(&self.child, "TERM");
        self.child.wait().unwrap();
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success(), "kill: {status}");
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn post(address: &str, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
