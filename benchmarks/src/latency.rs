//! From commit to queryable in DuckDB, open loop: every row carries the time it was due, so a stall is not forgiven.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tailwater_core::pipeline::Options;
use tailwater_core::supervise::supervise;
use tailwater_core::{Batch, Change, Guarantee, Position, Result, Sink, Value, status};
use tailwater_duckdb::DuckDb;
use tailwater_postgres::PostgresSource;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::drain::println_row;
use crate::measure;
use crate::server::Server;

/// A sink that notes, after each write, how long ago its rows were due: from then on a query sees them.
struct Timed {
    sink: DuckDb,
    latencies_ms: Arc<Mutex<Vec<f64>>>,
}

impl Sink for Timed {
    fn guarantee(&self) -> Guarantee {
        self.sink.guarantee()
    }

    fn open(&mut self) -> Result<Option<Position>> {
        self.sink.open()
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.sink.write(batch)?;
        let now = now_us();
        let mut latencies = self.latencies_ms.lock().unwrap_or_else(PoisonError::into_inner);
        for event in batch.events() {
            if let Change::Insert { new, .. } = event.change
                && let Value::Text(due) = new.get(1)
                && let Some(due) = std::str::from_utf8(due).ok().and_then(|text| text.parse::<i64>().ok())
            {
                #[allow(clippy::cast_precision_loss, reason = "a latency is far below 2^52 µs")]
                latencies.push((now - due) as f64 / 1e3);
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.sink.close()
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Sends `rate` single-row transactions a second for `seconds`, then is idle for as long, and prints both.
pub(crate) async fn commit_to_queryable(server: &Server, rate: u32, seconds: u32) -> Outcome<()> {
    server
        .execute("DROP TABLE IF EXISTS due; CREATE TABLE due (id bigint primary key, due_us bigint)")
        .await?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let url = server.postgres.socket_url("postgres", "postgres");
    let url = url.parse().map_err(|error: tailwater_core::Error| error.to_string())?;
    let tables = tailwater_postgres::Patterns::parse(["public.due"]).map_err(|error| error.to_string())?;
    let source = tailwater_postgres::Config::new("latency", url, tables);
    let sink = tailwater_duckdb::Config::new(folder.path().join("latency.duckdb"), "latency");
    let latencies_ms = Arc::new(Mutex::new(Vec::new()));
    let stop = CancellationToken::new();
    let (publisher, watcher) = status::channel();
    let mut tasks = JoinSet::new();
    let (stopped, noted) = (stop.clone(), Arc::clone(&latencies_ms));
    tasks.spawn(async move {
        let connect = || {
            let sink = Timed { sink: DuckDb::new(sink.clone()), latencies_ms: Arc::clone(&noted) };
            Ok((PostgresSource::new(source.clone()), sink))
        };
        supervise("latency", connect, &Options::default(), &stopped, &publisher).await
    });
    while watcher.borrow().phase != status::Phase::Streaming {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lateness_ms = send(server, rate, seconds).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (pid, idle_s) = (std::process::id(), f64::from(seconds));
    let before = measure::cpu_s(pid)?;
    tokio::time::sleep(Duration::from_secs_f64(idle_s)).await;
    let idle = (measure::cpu_s(pid)? - before) / idle_s * 100.0;
    stop.cancel();
    tasks.join_all().await;
    report(rate, &latencies_ms, lateness_ms, idle, u64::from(rate) * u64::from(seconds))
}

/// Inserts on the beat; returns how late the generator itself was at p99, in ms.
async fn send(server: &Server, rate: u32, seconds: u32) -> Outcome<f64> {
    let insert =
        server.client.prepare("INSERT INTO due VALUES ($1, $2)").await.map_err(|error| error.to_string())?;
    let mut beat = interval(Duration::from_secs_f64(1.0 / f64::from(rate)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (epoch, started) = (tokio::time::Instant::now(), now_us());
    let mut late = Vec::new();
    for id in 0..i64::from(rate) * i64::from(seconds) {
        let due = beat.tick().await.duration_since(epoch);
        let due_us = started + i64::try_from(due.as_micros()).unwrap_or(0);
        #[allow(clippy::cast_precision_loss, reason = "a lateness is far below 2^52 µs")]
        late.push((now_us() - due_us) as f64 / 1e3);
        server.client.execute(&insert, &[&id, &due_us]).await.map_err(|error| error.to_string())?;
    }
    Ok(percentile(&mut late, 0.99))
}

fn report(rate: u32, latencies_ms: &Mutex<Vec<f64>>, lateness_ms: f64, idle: f64, sent: u64) -> Outcome<()> {
    let mut latencies = latencies_ms.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if latencies.len() as u64 != sent {
        return Err(format!("{} of {sent} rows arrived", latencies.len()));
    }
    let mut at = |part| format!("{:.1}", percentile(&mut latencies, part));
    println_row(
        &format!("commit to queryable in DuckDB at {rate} changes/s"),
        &[
            ("p50 ms", at(0.5)),
            ("p99 ms", at(0.99)),
            ("max ms", at(1.0)),
            ("generator's own lateness, p99 ms", format!("{lateness_ms:.1}")),
            ("idle, % of a core", format!("{idle:.2}")),
        ],
    );
    Ok(())
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn percentile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let index = ((figures.len() as f64 * part).ceil() as usize).saturating_sub(1);
    figures.get(index).copied().unwrap_or(f64::NAN)
}
