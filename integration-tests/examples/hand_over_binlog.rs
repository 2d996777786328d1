//! Debezium Server streams from a real MySQL or MariaDB into a real Kafka broker, is stopped or killed in the middle of
//! traffic, and Tailwater goes on from its offsets. Then every topic must hold every change once, in order, as the
//! server's own `mysqlbinlog` prints them; after a kill changes may come twice, as many as were announced. Several
//! rounds, with GTIDs and without. `scripts/hand-over` calls it.
//!
//!     hand_over_binlog JAVA HOME ROUNDS [FOLDER]    FOLDER gets the offsets files, as test data

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failure here ends the run"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tailwater_integration_tests::debezium_server::DebeziumServer;
use tailwater_integration_tests::kafka::{Broker, Record};
use tailwater_integration_tests::mysql::{Flavour, Installation, Server, Session};
use tailwater_integration_tests::{Random, child, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);
const TABLES: [&str; 3] = ["orders", "items", "notes"];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [java, home, rounds, ..] = arguments.as_slice() else {
        panic!("hand_over_binlog JAVA HOME ROUNDS [FOLDER]")
    };
    let broker = Broker::start(&[("auto.create.topics.enable", "true")]);
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let without: &[&str] = &["gtid_mode=OFF", "enforce_gtid_consistency=OFF"];
    for (name, installation, settings) in [
        ("mysql", Installation::mysql97(), &[] as &[&str]),
        ("files", Installation::mysql97(), without),
        ("packed", Installation::mysql97(), &["binlog_transaction_compression=ON"]),
        ("mariadb", Installation::mariadb118(), &[]),
    ] {
        let server = Server::start(installation, settings);
        for number in 0..rounds.parse().unwrap() {
            let name = format!("{name}{number}");
            let folder = tempfile::tempdir().unwrap();
            let round =
                Round { java, home: Path::new(home), name, number, server: &server, broker: &broker, folder };
            round.run(&mut random, arguments.get(3).map(Path::new)).await;
        }
    }
}

struct Round<'a> {
    java: &'a str,
    home: &'a Path,
    name: String,
    number: u64,
    server: &'a Server,
    broker: &'a Broker,
    folder: tempfile::TempDir,
}

impl Round<'_> {
    async fn run(&self, random: &mut Random, keep: Option<&Path>) {
        let mut session = self.server.session();
        session.run(&format!("CREATE DATABASE {}", self.name));
        session.run(&format!("USE {}", self.name));
        for table in TABLES {
            session
                .run(&format!("CREATE TABLE {table} (id BIGINT PRIMARY KEY, writer INT, text VARCHAR(999))"));
            session.run(&format!("INSERT INTO {table} VALUES (-1, 0, 'before')"));
        }
        let start = self.log().pop().unwrap();
        let brokers = self.broker.address();
        let debezium =
            DebeziumServer::start(self.java, self.home, self.folder.path(), &self.connector(), &brokers);
        let streams = "SELECT count(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
        wait_for("Debezium streams", PATIENCE, async || {
            assert!(!debezium.log().contains("Engine has failed"), "{}", debezium.log());
            (self.server.value(streams) == "1").then_some(())
        })
        .await;
        let stop = AtomicBool::new(false);
        // One of three is killed, one notes a heartbeat between transactions now and then.
        let signal = if self.number % 3 == 1 { "KILL" } else { "TERM" };
        let (pause, run) = (random.within(0..2000), random.within(500..2000));
        let writers: Vec<(Session, Random)> =
            (0..3).map(|_| (self.server.session(), Random::new(random.draw()))).collect();
        let (by_debezium, twice) = std::thread::scope(|scope| {
            for (writer, (session, random)) in writers.into_iter().enumerate() {
                let stop = &stop;
                scope.spawn(move || write(session, &self.name, writer as u64 + 1, stop, random));
            }
            let stopped = Ended(&stop);
            let deadline = std::time::Instant::now() + PATIENCE;
            while self.told("orders").len() < 50 {
                assert!(std::time::Instant::now() < deadline, "{}", debezium.log());
                std::thread::sleep(Duration::from_millis(50));
            }
            std::thread::sleep(Duration::from_millis(pause));
            debezium.end(signal);
            let twice = self.import(keep);
            let by_debezium: usize = TABLES.iter().map(|table| self.told(table).len()).sum();
            let mut tailwater = child::command(&["run", self.pipeline().to_str().unwrap()]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(run));
            let pid = tailwater.id().to_string();
            assert!(Command::new("kill").arg(pid).status().unwrap().success());
            assert!(tailwater.wait().unwrap().success());
            drop(stopped);
            (by_debezium, twice)
        });
        output(&mut child::command(&["run", "--until-caught-up", self.pipeline().to_str().unwrap()]));
        let (all, again) = self.compare(&start);
        assert_eq!(again, twice, "changes that come twice");
        assert!(again == 0 || signal == "KILL", "after an orderly end {again} come twice");
        println!(
            "{} {signal}: {by_debezium} changes by Debezium, {} by Tailwater; {again} twice, as announced, the others once; in order",
            self.name,
            all + again - by_debezium
        );
    }

    fn connector(&self) -> Value {
        let (class, ssl) = match self.server.installation().flavour() {
            Flavour::MySql => ("mysql.MySqlConnector", "disabled"),
            Flavour::MariaDb => ("mariadb.MariaDbConnector", "disable"),
        };
        json!({
            "connector.class": format!("io.debezium.connector.{class}"),
            "database.hostname": "127.0.0.1", "database.port": self.server.port().to_string(),
            "database.user": "root", "database.password": "", "database.ssl.mode": ssl,
            "database.server.id": "4711",
            "topic.prefix": self.name,
            "database.include.list": self.name,
            "include.schema.changes": "false",
            "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
            "schema.history.internal.file.filename": self.folder.path().join("history").display().to_string(),
            "heartbeat.interval.ms": if self.number % 3 == 2 { "50" } else { "0" },
            "poll.interval.ms": "20", "max.batch.size": "64", "max.queue.size": "128",
        })
    }

    fn pipeline(&self) -> PathBuf {
        self.folder.path().join(format!("{}.toml", self.name))
    }

    /// Makes the pipeline, as a person would; how many changes are said to come twice.
    fn import(&self, keep: Option<&Path>) -> usize {
        let [offsets, config] =
            ["offsets", "config/application.properties"].map(|name| self.folder.path().join(name));
        if let Some(folder) = keep {
            fs::copy(&offsets, folder.join(format!("{}.dat", self.name))).unwrap();
        }
        let pipeline = self.pipeline();
        let [offsets, config, pipeline] = [&offsets, &config, &pipeline].map(|path| path.to_str().unwrap());
        let words = ["import-debezium", config, "--offsets", offsets, "--output", pipeline];
        let said = output(child::command(&words).env("MYSQL_PWD", ""));
        let text = fs::read_to_string(pipeline).unwrap().replace(":${env:MYSQL_PWD}", "");
        fs::write(pipeline, text).unwrap();
        let line = said.lines().find_map(|line| line.split_once(" changes come twice"));
        line.map_or(0, |(before, _)| {
            before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        })
    }

    /// What the topic of a table tells, without the copy.
    fn told(&self, table: &str) -> Vec<String> {
        let records = self.broker.read(&format!("{0}.{0}.{table}", self.name));
        records.iter().filter_map(told).collect()
    }

    /// The files of the log with their bytes.
    fn log(&self) -> Vec<(String, String)> {
        let files = self.server.query("SHOW BINARY LOGS").into_iter();
        files.map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
    }

    /// What happened since then, by the server's own program: table and change.
    fn happened(&self, (file, from): &(String, String)) -> Vec<(String, String)> {
        let mut reader = self.server.program(self.server.installation().log_reader());
        reader.args(["--read-from-remote-server", "-v", "--base64-output=DECODE-ROWS"]);
        reader.arg(format!("--start-position={from}"));
        reader.args(self.log().into_iter().map(|(name, _)| name).filter(|name| name >= file));
        let printed = reader.output().unwrap();
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let (mut all, mut change) = (Vec::new(), None::<(String, char, String)>);
        let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
        for line in printed.lines().filter_map(|line| line.strip_prefix("### ")).chain(["end"]) {
            let begins = [("INSERT INTO ", 'c'), ("UPDATE ", 'u'), ("DELETE FROM ", 'd')];
            let begins = begins.iter().find_map(|(words, op)| Some((line.strip_prefix(words)?, *op)));
            if begins.is_some() || line == "end" {
                let done = change.take().filter(|(table, ..)| table.starts_with(&format!("{}.", self.name)));
                all.extend(done.map(|(table, op, row)| (table, format!("{op} {row}"))));
                change = begins.map(|(table, op)| (table.replace('`', ""), op, String::new()));
            } else if let Some((_, _, row)) = &mut change {
                match line.trim().split_once('=') {
                    Some(("@1", id)) => *row = id.split(' ').next().unwrap().to_owned(),
                    Some(("@3", text)) => *row += &format!(" {}", text.trim_matches('\'')),
                    Some(_) | None => {}
                }
            }
        }
        all
    }

    /// How many changes there were, and how many came twice.
    fn compare(&self, start: &(String, String)) -> (usize, usize) {
        let all = self.happened(start);
        let mut twice = 0;
        for table in TABLES {
            let of_table = format!("{}.{table}", self.name);
            let happened: Vec<&String> =
                all.iter().filter(|(name, _)| *name == of_table).map(|(_, change)| change).collect();
            let told = self.told(table);
            let again =
                told.len().checked_sub(happened.len()).unwrap_or_else(|| panic!("{table}: some are missing"));
            // What came twice begins again somewhere.
            let ends = (again..=happened.len()).find(|&end| {
                let first = told[..end].iter().eq(happened[..end].iter().copied());
                first && told[end..].iter().eq(happened[end - again..].iter().copied())
            });
            assert!(
                ends.is_some(),
                "{of_table}: {} happened, {} are told, in another order",
                happened.len(),
                told.len()
            );
            twice += again;
        }
        (all.len(), twice)
    }
}

/// Lets the writers end, also where something fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A record in one line; nothing for a tombstone, and for a row of the copy.
fn told(record: &Record) -> Option<String> {
    let value: Value = serde_json::from_str(record.value.as_ref()?).unwrap();
    let op = value["op"].as_str().filter(|op| *op != "r")?;
    let row = if op == "d" { &value["before"] } else { &value["after"] };
    Some(format!("{op} {} {}", row["id"], row["text"].as_str().unwrap()))
}

/// Transactions of one row and of many, and statements of several rows, in several sessions at a time.
fn write(mut session: Session, database: &str, writer: u64, stop: &AtomicBool, mut random: Random) {
    session.run(&format!("USE {database}"));
    session.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    let mut id = writer << 32;
    while !stop.load(Ordering::Relaxed) {
        let statements = if random.one_in(10) { random.within(1..300) } else { random.within(1..8) };
        session.run("BEGIN");
        for _ in 0..statements {
            let table = random.pick(&TABLES);
            id += 3;
            let sql = match random.within(0..10) {
                0 => format!("DELETE FROM {table} WHERE id = {id} - 3"),
                // Rows that this session has inserted last, so that none waits for another.
                1..=3 => format!(
                    "UPDATE {table} SET text = concat(text, '.') WHERE id BETWEEN {id} - 6 AND {id} - 1"
                ),
                4..=5 => format!(
                    "INSERT INTO {table} VALUES ({id}, {writer}, 'new'), ({id} + 1, {writer}, 'new'), ({id} + 2, {writer}, 'new')"
                ),
                _ => format!("INSERT INTO {table} VALUES ({id}, {writer}, 'new')"),
            };
            session.run(&sql);
        }
        session.run(if random.one_in(10) { "ROLLBACK" } else { "COMMIT" });
    }
}

/// Runs it to its end; what it says of itself.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}
