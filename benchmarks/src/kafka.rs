//! To a real Kafka broker on the same machine, as Debezium's JSON without schemas: Tailwater with both deliveries against
//! `pg_recvlogical` and against Debezium Server, on the same log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tailwater_integration_tests::kafka::Broker;
use tempfile::TempDir;

use crate::Outcome;
use crate::debezium::{self, Debezium, Run, Setting};
use crate::drain::{drop_pipeline, println_row, recvlogical, until_caught_up};
use crate::measure::{self, Cost, spread};
use crate::server::{self, Server, Workload};

/// Our two deliveries, by their names in a file.
const DELIVERIES: [&str; 2] = ["exactly-once", "at-least-once"];
const PATIENCE: Duration = Duration::from_secs(30);

/// What the rounds of all peers cost.
#[derive(Default)]
struct Costs {
    ours: [Vec<Cost>; 2],
    recvlogical: Vec<Cost>,
    debezium: [Vec<Run>; 3],
}

/// A pipeline of ours to the broker for each delivery, with topics of its own.
pub(crate) struct Pipelines {
    folder: TempDir,
    files: [PathBuf; 2],
}

impl Pipelines {
    /// Pipeline files for `tables`.
    pub(crate) fn new(server: &Server, broker: &Broker, name: &str, tables: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let url = server.postgres.url("postgres", "postgres");
        let file = |delivery: &str| {
            let name = format!("{}_{name}", delivery.replace('-', "_"));
            let sink = format!("[sink.kafka]\nbrokers = \"{}\"\ndelivery = \"{delivery}\"", broker.address());
            server::pipeline(folder.path(), &name, &url, tables, &sink)
        };
        let [one, other] = DELIVERIES;
        let files = [file(one)?, file(other)?];
        Ok(Self { folder, files })
    }

    /// Removes what they made at the server.
    pub(crate) fn drop_all(self) -> Outcome<()> {
        for file in &self.files {
            measure::run(drop_pipeline(file)?)?;
        }
        self.folder.close().map_err(|error| error.to_string())
    }
}

/// How many records a topic of one partition holds, control records included.
pub(crate) fn count(broker: &Broker, topic: &str) -> Outcome<u64> {
    let consumer: BaseConsumer = broker.client().create().map_err(|error| error.to_string())?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap_or((0, 0));
    u64::try_from(high - low).map_err(|error| error.to_string())
}

/// Drains `rounds` backlogs with everybody, in turn, and prints the ratios round by round.
pub(crate) async fn drain(
    server: &Server,
    broker: &Broker,
    workload: Workload,
    rows: u64,
    rounds: u32,
) -> Outcome<()> {
    let table = workload.table();
    server.create(workload).await?;
    server.execute(&format!("CREATE PUBLICATION debezium FOR TABLE {table}")).await?;
    let pipelines = Pipelines::new(server, broker, table, &format!("\"public.{table}\""))?;
    for file in &pipelines.files {
        measure::run(until_caught_up(file)?)?;
    }
    let peers = prepared(server, broker, table).await?;
    server.execute("SELECT pg_create_logical_replication_slot('recvlogical', 'pgoutput')").await?;
    let mut costs = Costs::default();
    for round in 0..rounds {
        server.load(workload, u64::from(round) * rows, rows, 100).await?;
        let end = server.value("SELECT pg_current_wal_flush_lsn()").await?;
        let url = server.postgres.url("postgres", "postgres");
        // In another order in each round.
        for turn in 0..6 {
            match (turn + round) % 6 {
                0 => costs.ours[0].push(measure::run(until_caught_up(&pipelines.files[0])?)?),
                1 => costs.ours[1].push(measure::run(until_caught_up(&pipelines.files[1])?)?),
                2 => {
                    let command = recvlogical(server, &url, &end, "debezium")?;
                    costs.recvlogical.push(measure::run(command)?);
                }
                one => {
                    let index = usize::try_from(one - 3).map_err(|error| error.to_string())?;
                    if let (Some(peer), Some(runs)) = (peers.get(index), costs.debezium.get_mut(index)) {
                        let topic = format!("{}.public.{table}", peer.name);
                        runs.push(peer.run(rows, || count(broker, &topic))?);
                    }
                }
            }
        }
    }
    for delivery in DELIVERIES {
        let topic = format!("{}_{table}.public.{table}", delivery.replace('-', "_"));
        holds_each_once(broker, &topic, u64::from(rounds) * rows)?;
    }
    report(table, rows, &costs);
    pipelines.drop_all()?;
    for name in peers.iter().map(|peer| peer.name.as_str()).chain(["recvlogical"]) {
        server.execute(&format!("SELECT pg_drop_replication_slot('{name}')")).await?;
    }
    server.execute("DROP PUBLICATION debezium").await
}

/// Debezium in each setting, with its slot and its offsets at the end of the log.
async fn prepared(server: &Server, broker: &Broker, table: &str) -> Outcome<Vec<Debezium>> {
    let (mut peers, mut all_running) = (Vec::new(), Vec::new());
    for setting in Setting::ALL {
        let name = format!("{}_{table}", setting.name());
        let peer = Debezium::new(
            setting,
            &name,
            |_| debezium::of_postgres(&server.postgres, &name, table),
            &broker.address(),
            false,
        )?;
        let mut running = peer.start()?;
        let active =
            format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}' AND active");
        while server.value(&active).await? != "1" {
            running.until(|| Ok(true))?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        peers.push(peer);
        all_running.push(running);
    }
    // Without an offset it would begin anew: it stores one with the first record. What must come are the insert, the
    // delete and its tombstone.
    let probe = format!("INSERT INTO {table} (id) VALUES (-1); DELETE FROM {table} WHERE id = -1");
    server.execute(&probe).await?;
    for (peer, mut running) in peers.iter().zip(all_running) {
        let topic = format!("{}.public.{table}", peer.name);
        running.until(|| Ok(count(broker, &topic)? >= 3))?;
        running.end()?;
    }
    Ok(peers)
}

/// Whether each row is in the topic once, in order.
pub(crate) fn holds_each_once(broker: &Broker, topic: &str, rows: u64) -> Outcome<()> {
    let mut next = 0;
    for record in broker.read(topic) {
        let Some(value) = record.value else { continue };
        let value: serde_json::Value = serde_json::from_str(&value).map_err(|error| error.to_string())?;
        let id = value.get("after").and_then(|row| row.get("id")).and_then(serde_json::Value::as_u64);
        let created = value.get("op").and_then(serde_json::Value::as_str) == Some("c");
        match id {
            Some(id) if created && id == next => next += 1,
            Some(id) => return Err(format!("{topic}: row {id} instead of {next}")),
            None => {}
        }
    }
    if next == rows { Ok(()) } else { Err(format!("{topic} holds {next} of {rows} rows")) }
}

pub(crate) fn ratios(ours: &[Cost], theirs: &[Cost], figure: impl Fn(&Cost) -> f64) -> String {
    spread(&theirs.iter().zip(ours).map(|(theirs, ours)| figure(theirs) / figure(ours)).collect::<Vec<_>>())
}

#[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
pub(crate) fn rates(rows: u64, costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> String {
    spread(&costs.iter().map(|cost| rows as f64 / figure(cost) / 1e3).collect::<Vec<_>>())
}

pub(crate) fn peak(costs: &[Cost]) -> String {
    format!("{:.0}", costs.iter().map(|cost| cost.peak_mb).fold(0.0, f64::max))
}

/// Ours as times of Debezium's under one setting.
pub(crate) fn beside(ours: &[Cost], setting: Setting, runs: &[Run]) -> [(String, String); 3] {
    let name = setting.name();
    let (cpu, wall) = (|cost: &Cost| cost.cpu_s, |cost: &Cost| cost.wall_s);
    let whole: Vec<Cost> = runs.iter().map(|run| run.whole).collect();
    let warm: Vec<Cost> = runs.iter().map(Run::scaled_warm).collect();
    [
        (format!("changes per CPU-second / Debezium {name}"), ratios(ours, &whole, cpu)),
        ("… once it is warm".to_owned(), ratios(ours, &warm, cpu)),
        (format!("wall rate / Debezium {name}, once it is warm"), ratios(ours, &warm, wall)),
    ]
}

fn report(table: &str, rows: u64, costs: &Costs) {
    let cpu = |cost: &Cost| cost.cpu_s;
    let wall = |cost: &Cost| cost.wall_s;
    for (delivery, ours) in DELIVERIES.into_iter().zip(&costs.ours) {
        let mut lines = vec![
            ("thousand changes per CPU-second".to_owned(), rates(rows, ours, cpu)),
            ("thousand changes per second".to_owned(), rates(rows, ours, wall)),
            ("changes per CPU-second / pg_recvlogical".to_owned(), ratios(ours, &costs.recvlogical, cpu)),
            ("wall rate / pg_recvlogical".to_owned(), ratios(ours, &costs.recvlogical, wall)),
            ("peak MB".to_owned(), peak(ours)),
        ];
        for (setting, runs) in Setting::ALL.into_iter().zip(&costs.debezium) {
            lines.extend(beside(ours, setting, runs));
        }
        let lines: Vec<(&str, String)> =
            lines.iter().map(|(name, figure)| (name.as_str(), figure.clone())).collect();
        println_row(&format!("{table} → Kafka, {delivery}, 100/tx, tcp"), &lines);
    }
    let [exactly, at_least] = &costs.ours;
    println_row(
        &format!("{table} → Kafka, exactly once for at least once"),
        &[("CPU, times", ratios(at_least, exactly, cpu)), ("wall, times", ratios(at_least, exactly, wall))],
    );
    for (setting, runs) in Setting::ALL.into_iter().zip(&costs.debezium) {
        let whole: Vec<Cost> = runs.iter().map(|run| run.whole).collect();
        println_row(
            &format!("{table} → Kafka, Debezium Server {}", setting.name()),
            &[
                ("thousand changes per CPU-second", rates(rows, &whole, cpu)),
                ("thousand changes per second", rates(rows, &whole, wall)),
                ("peak MB", peak(&whole)),
            ],
        );
    }
}

/// The most memory we take for one transaction of `rows` rows, and for as many rows in a thousand tables.
pub(crate) async fn memory(server: &Server, broker: &Broker, rows: u64) -> Outcome<()> {
    const TABLES: u64 = 1000;
    server.create(Workload::Narrow).await?;
    let pipelines = Pipelines::new(server, broker, "large", "\"public.narrow\"")?;
    let one = peak_of_drain(&pipelines, async || server.load(Workload::Narrow, 0, rows, rows).await).await?;
    pipelines.drop_all()?;
    let each = |sql: &str| {
        format!("DO $$ BEGIN FOR n IN 1..{TABLES} LOOP EXECUTE format('{sql}', n); COMMIT; END LOOP; END $$")
    };
    server.execute("CREATE SCHEMA many").await?;
    server.execute(&each("CREATE TABLE many.t%s (id bigint PRIMARY KEY, note text)")).await?;
    let pipelines = Pipelines::new(server, broker, "many", "\"many.*\"")?;
    let some = rows / TABLES / 10;
    let insert = format!(
        "INSERT INTO many.t%s SELECT coalesce(max(id), 0) + i, md5(i::text) FROM many.t%1$s, generate_series(1, {some}) i GROUP BY i"
    );
    let load = async || {
        for _ in 0..10 {
            server.execute(&each(&insert)).await?;
        }
        Ok(())
    };
    let many = peak_of_drain(&pipelines, load).await?;
    pipelines.drop_all()?;
    server.execute("DROP SCHEMA many CASCADE").await?;
    println_row(
        "→ Kafka, peak MB (exactly once, at least once)",
        &[
            ("one transaction of all rows", format!("{:.0}, {:.0}", one[0], one[1])),
            ("as many rows in 1,000 tables", format!("{:.0}, {:.0}", many[0], many[1])),
        ],
    );
    Ok(())
}

async fn peak_of_drain(pipelines: &Pipelines, load: impl AsyncFn() -> Outcome<()>) -> Outcome<[f64; 2]> {
    for file in &pipelines.files {
        measure::run(until_caught_up(file)?)?;
    }
    load().await?;
    let peak = |file: &Path| -> Outcome<f64> { Ok(measure::run(until_caught_up(file)?)?.peak_mb) };
    let [one, other] = &pipelines.files;
    Ok([peak(one)?, peak(other)?])
}

/// The first copy of `rows` orders, against Debezium's initial snapshot.
pub(crate) async fn copy(server: &Server, broker: &Broker, rows: u64, rounds: u32) -> Outcome<()> {
    server.create(Workload::Orders).await?;
    server.load(Workload::Orders, 0, rows, 100_000).await?;
    server.execute("ANALYZE orders; CREATE PUBLICATION debezium FOR TABLE orders").await?;
    let (mut ours, mut debezium) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let name = format!("copied_{round}");
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let url = server.postgres.url("postgres", "postgres");
        let sink = format!("[sink.kafka]\nbrokers = \"{}\"", broker.address());
        let file =
            server::pipeline(folder.path(), &format!("{name}_ours"), &url, "\"public.orders\"", &sink)?;
        ours.push(measure::run(until_caught_up(&file)?)?);
        let held = broker.read(&format!("{name}_ours.public.orders")).len() as u64;
        if held != rows {
            return Err(format!("{held} of {rows} rows were copied"));
        }
        measure::run(drop_pipeline(&file)?)?;
        let peer = Debezium::new(
            Setting::Tuned,
            &name,
            |_| debezium::of_postgres(&server.postgres, &name, "orders"),
            &broker.address(),
            true,
        )?;
        let topic = format!("{name}.public.orders");
        debezium.push(peer.run(rows, || count(broker, &topic))?.whole);
        server.execute(&format!("SELECT pg_drop_replication_slot('{name}')")).await?;
    }
    server.execute("DROP PUBLICATION debezium").await?;
    println_row(
        &format!("first copy of {rows} orders → Kafka, exactly once"),
        &[
            ("thousand rows per CPU-second", rates(rows, &ours, |cost| cost.cpu_s)),
            ("Debezium's, tuned", rates(rows, &debezium, |cost| cost.cpu_s)),
            ("rows per CPU-second / Debezium", ratios(&ours, &debezium, |cost| cost.cpu_s)),
            ("wall rate / Debezium", ratios(&ours, &debezium, |cost| cost.wall_s)),
            ("peak MB", peak(&ours)),
        ],
    );
    Ok(())
}
