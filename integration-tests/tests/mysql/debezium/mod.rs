//! The records of `format = "debezium"` and `"row"` for MySQL and MariaDB held against those of Debezium itself: the same
//! SQL (`integration-tests/debezium/binlog`), on a real server, against the golden files that `scripts/capture-debezium`
//! wrote. What may differ, and why, is in `debezium/ALLOWED.md`; each entry is a rule in [`compare`].

mod compare;
mod statements;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tailwater_core::pattern::Patterns;
use tailwater_core::pipeline::Options;
use tailwater_core::status;
use tailwater_core::supervise::supervise;
use tailwater_integration_tests::mysql::{Flavour, Installation, Server};
use tailwater_integration_tests::wait_for;
use tailwater_kafka::debezium::Config;
use tailwater_kafka::debezium::record::{Log, Recorded, Recorder};
use tailwater_mysql::MysqlSource;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(300);

/// SQL to run, and the runs it is for, each with its options.
struct Script {
    runs: Vec<(String, Vec<(String, String)>)>,
    setup: Vec<String>,
    steps: Vec<Vec<String>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("debezium")
}

impl Script {
    /// As `debezium/Capture.java` reads it, for the server `only`.
    fn read(name: &str, only: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("binlog/{name}.sql"))).unwrap();
        let mut script = Self { runs: Vec::new(), setup: Vec::new(), steps: Vec::new() };
        let mut statement = String::new();
        for line in text.lines() {
            let line = match line.rsplit_once(" -- m") {
                Some((line, server)) if only == format!("m{server}") => line,
                Some(_) => continue,
                None => line,
            };
            if let Some(run) = line.strip_prefix("-- run ") {
                let mut words = run.split_whitespace();
                let name = words.next().unwrap().to_owned();
                let option = |word: &str| {
                    let (name, value) = word.split_once('=').unwrap();
                    (name.to_owned(), value.to_owned())
                };
                script.runs.push((name, words.map(option).collect()));
            } else if line == "-- step" {
                script.steps.push(Vec::new());
            } else if !line.starts_with("--") && !line.trim().is_empty() {
                statement.push_str(line);
                statement.push('\n');
                if line.ends_with(';') {
                    script.steps.last_mut().unwrap_or(&mut script.setup).push(std::mem::take(&mut statement));
                }
            }
        }
        script
    }
}

/// What is Debezium's own, or said in another place here.
const ELSEWHERE: &[&str] =
    &["transforms", "table.include.list", "schema.history.internal.store.only.captured.tables.ddl"];

fn config(properties: &[(String, String)], schemas: bool) -> Config {
    let mut config = Config::new("golden");
    // Debezium's default.
    config.schema_changes = true;
    (config.extended_headers, config.schemas) = (false, schemas);
    for (name, value) in properties.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        let option = name.strip_prefix("transforms.unwrap.").unwrap_or(name);
        config.set(option, value).unwrap_or_else(|wrong| panic!("{name} = {value} {wrong}"));
    }
    config
}

/// What Tailwater makes of a script.
async fn record(
    server: &Server,
    script: &Script,
    properties: &[(String, String)],
    schemas: bool,
) -> Vec<Recorded> {
    let mut session = server.session();
    for statement in [
        "DROP DATABASE IF EXISTS golden",
        "DROP DATABASE IF EXISTS done",
        "CREATE DATABASE done",
        "CREATE DATABASE golden CHARACTER SET utf8mb4",
        "USE golden",
    ] {
        session.run(statement);
    }
    for statement in &script.setup {
        session.run(statement);
    }
    let (log, config) = (Log::default(), config(properties, schemas));
    let given =
        |option: &str| properties.iter().find(|(name, _)| name == option).map(|(_, value)| value.as_str());
    let tables = given("table.include.list").map(|tables| tables.replace(".*", "*").replace('\\', ""));
    let tables = tables.unwrap_or_else(|| "golden.*,done.*".to_owned());
    let patterns = Patterns::parse(tables.split(',')).unwrap();
    let mut source = tailwater_mysql::Config::new("golden", server.url().parse().unwrap(), patterns);
    source.statements = config.schema_changes;
    let of_rows = properties.iter().any(|(name, _)| name == "transforms");
    let recorder = if of_rows { Recorder::rows } else { Recorder::events };
    let (publisher, watcher) = status::channel();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (log, stop) = (Arc::clone(&log), stop.clone());
        async move {
            let connect =
                || Ok((MysqlSource::new(source.clone()), recorder(config.clone(), Arc::clone(&log), None)));
            supervise("golden", connect, &Options::default(), &stop, &publisher).await
        }
    });
    wait_for("it streams", PATIENCE, async || {
        let status = watcher.borrow().clone();
        assert!(status.error.is_none() && !running.is_finished(), "{status:?}");
        (status.phase == status::Phase::Streaming).then_some(())
    })
    .await;
    for (index, statements) in script.steps.iter().enumerate() {
        for statement in statements {
            session.run(statement);
        }
        session.run("CREATE TABLE IF NOT EXISTS done.done (id int PRIMARY KEY AUTO_INCREMENT)");
        session.run("INSERT INTO done.done VALUES ()");
        wait_for("the step arrives", PATIENCE, async || {
            let status = watcher.borrow().clone();
            assert!(status.error.is_none() && !running.is_finished(), "{status:?}");
            let log = log.lock().unwrap();
            (log.iter().filter(|record| record.topic.ends_with(".done.done")).count() > index).then_some(())
        })
        .await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    std::mem::take(&mut *log.lock().unwrap())
}

async fn check(installation: Installation, scripts: &[&str]) {
    let name = if installation.flavour() == Flavour::MySql { "mysql" } else { "mariadb" };
    let server = Server::start(installation, &[]);
    let mut wrong = Vec::new();
    for script in scripts {
        let script = Script::read(script, name);
        for (run, properties) in &script.runs {
            for schemas in [false, true] {
                let ours = record(&server, &script, properties, schemas).await;
                let golden = compare::golden(&folder().join(format!("golden/{name}/{run}.jsonl")), schemas);
                wrong.extend(compare::differences(run, golden, &ours));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! scripts {
    ($($name:ident: $($script:literal)+;)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn of_mysql_are_those_of_debezium() {
                check(Installation::mysql97(), &[$($script),+]).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn of_mariadb_are_those_of_debezium() {
                check(Installation::mariadb118(), &[$($script),+]).await;
            }
        }
    )+};
}

scripts! {
    keys: "keys" "snapshot";
    transactions: "transactions" "rows";
    values: "numbers" "texts";
    times: "times" "moderate" "nanoseconds";
    shapes: "shapes";
    of_tables: "statements";
}
