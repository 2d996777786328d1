//! The binary log of MySQL into DuckDB, beside Postgres's log into another file; and to Kafka, beside Debezium Server on
//! the same log.

use std::path::Path;
use std::time::Duration;

use tailwater_integration_tests::kafka::Broker;
use tailwater_integration_tests::mysql::Server as Mysql;

use crate::debezium::{self, Debezium, Run, Setting};
use crate::drain::{drop_pipeline, holds, holds_all, println_row, until_caught_up};
use crate::kafka::{beside, count, holds_each_once, peak, rates, ratios};
use crate::measure::{self, Cost};
use crate::server::{self, Server, Workload};
use crate::{Outcome, mysql};

const TABLE: &str = "narrow";

/// Drains backlogs of the same rows from both servers into DuckDB, in turn.
pub(crate) async fn duckdb(postgres: &Server, rows: u64, rounds: u32) -> Outcome<()> {
    let mysql = mysql::server();
    mysql::create(&mysql, TABLE);
    postgres.create(Workload::Narrow).await?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let sink = |name: &str| format!("[sink.duckdb]\npath = \"{name}.duckdb\"");
    let ours = mysql::pipeline(&mysql, folder.path(), "from_mysql", TABLE, &sink("from_mysql"))?;
    let url = postgres.postgres.url("postgres", "postgres");
    let theirs =
        server::pipeline(folder.path(), "from_postgres", &url, "\"public.narrow\"", &sink("from_postgres"))?;
    let files = [ours, theirs];
    for file in &files {
        measure::run(until_caught_up(file)?)?;
    }
    let mut costs: [Vec<Cost>; 2] = Default::default();
    for round in 0..rounds {
        mysql::load(&mysql, TABLE, u64::from(round) * rows, rows, 100);
        postgres.load(Workload::Narrow, u64::from(round) * rows, rows, 100).await?;
        let mut turns: Vec<_> = files.iter().zip(&mut costs).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (file, costs) in turns {
            costs.push(measure::run(until_caught_up(file)?)?);
        }
    }
    let [ours, theirs] = &files;
    holds(ours, "bench.narrow", &mysql::held(&mysql, TABLE))?;
    holds_all(postgres, theirs, TABLE).await?;
    measure::run(drop_pipeline(theirs)?)?;
    let [ours, theirs] = &costs;
    println_row(
        "narrow → DuckDB, 100/tx, tcp: MySQL's log beside Postgres's",
        &[
            ("thousand changes per CPU-second, MySQL's", rates(rows, ours, |cost| cost.cpu_s)),
            ("Postgres's", rates(rows, theirs, |cost| cost.cpu_s)),
            ("changes per CPU-second, MySQL's / Postgres's", ratios(ours, theirs, |cost| cost.cpu_s)),
            ("wall rate, MySQL's / Postgres's", ratios(ours, theirs, |cost| cost.wall_s)),
            ("peak MB, MySQL's", peak(ours)),
            ("peak MB, Postgres's", peak(theirs)),
        ],
    );
    Ok(())
}

/// Drains backlogs to Kafka with us, exactly once, and with Debezium in its settings, in another order each round.
pub(crate) fn kafka(broker: &Broker, rows: u64, rounds: u32) -> Outcome<()> {
    let server = mysql::server();
    mysql::create(&server, TABLE);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let sink = format!("[sink.kafka]\nbrokers = \"{}\"", broker.address());
    let file = mysql::pipeline(&server, folder.path(), "mysql_ours", TABLE, &sink)?;
    measure::run(until_caught_up(&file)?)?;
    let peers = prepared(&server, broker)?;
    let mut ours: Vec<Cost> = Vec::new();
    let mut theirs: [Vec<Run>; 3] = Default::default();
    for round in 0..rounds {
        mysql::load(&server, TABLE, u64::from(round) * rows, rows, 100);
        for turn in 0..4 {
            let turn = (turn + round) % 4;
            let Some(index) = usize::try_from(turn).ok().and_then(|turn| turn.checked_sub(1)) else {
                ours.push(measure::run(until_caught_up(&file)?)?);
                continue;
            };
            if let (Some(peer), Some(runs)) = (peers.get(index), theirs.get_mut(index)) {
                let topic = topic(&peer.name);
                runs.push(peer.run(rows, || count(broker, &topic))?);
            }
        }
    }
    holds_each_once(broker, &topic("mysql_ours"), u64::from(rounds) * rows)?;
    report(rows, &ours, &theirs);
    let large = large(&server, &file, rows)?;
    println_row(
        "MySQL → Kafka, exactly once",
        &[("peak MB, one transaction of all rows", format!("{large:.0}"))],
    );
    Ok(())
}

fn topic(prefix: &str) -> String {
    format!("{prefix}.bench.{TABLE}")
}

/// Debezium in each setting, with its offset at the end of the log.
fn prepared(server: &Mysql, broker: &Broker) -> Outcome<Vec<Debezium>> {
    let (mut peers, mut all_running) = (Vec::new(), Vec::new());
    for (number, setting) in Setting::ALL.into_iter().enumerate() {
        let name = format!("mysql_{}", setting.name());
        let source = |folder: &Path| debezium::of_mysql(server.port(), TABLE, 4711 + number, folder);
        let peer = Debezium::new(setting, &name, source, &broker.address(), false)?;
        let mut running = peer.start()?;
        let reading = "SELECT count(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
        running.until(|| {
            std::thread::sleep(Duration::from_millis(100));
            Ok(server.value(reading) == (number + 1).to_string())
        })?;
        peers.push(peer);
        all_running.push(running);
    }
    // Without an offset it would begin anew: it stores one with the first record. One that has only just asked for the log
    // may miss the first change, so there are several.
    for (peer, running) in peers.iter().zip(&mut all_running) {
        running.until(|| {
            server.execute(
                "INSERT INTO bench.narrow VALUES (-1, 0, 0, '', NULL); DELETE FROM bench.narrow WHERE id = -1",
            );
            std::thread::sleep(Duration::from_secs(1));
            Ok(count(broker, &topic(&peer.name))? > 0)
        })?;
    }
    for (peer, mut running) in peers.iter().zip(all_running) {
        // Until nothing more comes: what it stores at its end is all that it has seen.
        let mut before = 0;
        running.until(|| {
            std::thread::sleep(Duration::from_secs(2));
            let now = count(broker, &topic(&peer.name))?;
            Ok(std::mem::replace(&mut before, now) == now)
        })?;
        running.end()?;
    }
    Ok(peers)
}

/// The most memory we take for one transaction of that many rows.
fn large(server: &Mysql, file: &Path, rows: u64) -> Outcome<f64> {
    server.execute(&format!("UPDATE bench.narrow SET a = a + 1 WHERE id < {rows}"));
    Ok(measure::run(until_caught_up(file)?)?.peak_mb)
}

fn report(rows: u64, ours: &[Cost], theirs: &[Vec<Run>; 3]) {
    let (cpu, wall) = (|cost: &Cost| cost.cpu_s, |cost: &Cost| cost.wall_s);
    let mut lines = vec![
        ("thousand changes per CPU-second".to_owned(), rates(rows, ours, cpu)),
        ("thousand changes per second".to_owned(), rates(rows, ours, wall)),
        ("peak MB".to_owned(), peak(ours)),
    ];
    for (setting, runs) in Setting::ALL.into_iter().zip(theirs) {
        let name = setting.name();
        let whole: Vec<Cost> = runs.iter().map(|run| run.whole).collect();
        let warm: Vec<Cost> = runs.iter().map(Run::scaled_warm).collect();
        lines.extend(beside(ours, setting, runs));
        lines.push((format!("Debezium {name}: thousand per CPU-second"), rates(rows, &whole, cpu)));
        lines.push(("… once it is warm".to_owned(), rates(rows, &warm, cpu)));
        lines.push(("… peak MB".to_owned(), peak(&whole)));
    }
    let lines: Vec<(&str, String)> =
        lines.iter().map(|(name, figure)| (name.as_str(), figure.clone())).collect();
    println_row("narrow, MySQL → Kafka, exactly once, 100/tx, tcp", &lines);
}
