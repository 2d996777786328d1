//! From commit to queryable in DuckDB, and to acknowledged by other sinks, open loop: every row carries the time it
//! was due, so a stall is not forgiven.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tailwater_core::pipeline::Options;
use tailwater_core::supervise::supervise;
use tailwater_core::{Batch, Change, Guarantee, Position, Result, Sink, Value, status};
use tailwater_duckdb::DuckDb;
use tailwater_postgres::PostgresSource;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::drain::println_row;
use crate::measure;
use crate::server::Server;

/// What is sent: so many changes a second, for so long, in transactions of so many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    pub(crate) per_transaction: u32,
}

impl Load {
    /// How many rows that are.
    pub(crate) fn rows(self) -> u64 {
        u64::from(self.rate) * u64::from(self.seconds)
    }
}

/// What came of it.
pub(crate) struct Observed {
    pub(crate) latencies_ms: Vec<f64>,
    /// How late the generator itself was at p99.
    pub(crate) lateness_ms: f64,
    /// CPU of a pipeline that nothing comes to, in percent of a core.
    pub(crate) idle: f64,
}

/// A sink that notes, after each write, how long ago its rows were due: from then on the target has them.
struct Timed<S> {
    sink: S,
    latencies_ms: Arc<Mutex<Vec<f64>>>,
}

impl<S: Sink> Sink for Timed<S> {
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

/// µs since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Sends `rate` single-row transactions a second for `seconds`, then is idle for as long, and prints both.
pub(crate) async fn commit_to_queryable(server: &Server, rate: u32, seconds: u32) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let config = tailwater_duckdb::Config::new(folder.path().join("latency.duckdb"), "latency");
    let load = Load { rate, seconds, per_transaction: 1 };
    let observed = observe(server, "latency", || DuckDb::new(config.clone()), load).await?;
    report(&format!("commit to queryable in DuckDB at {rate} changes/s"), load, observed)
}

/// Follows the table `due` into a sink while the load is on it, and as long without any.
pub(crate) async fn observe<S: Sink + 'static>(
    server: &Server,
    name: &str,
    sink: impl Fn() -> S + Send + Sync,
    load: Load,
) -> Outcome<Observed> {
    create(server).await?;
    let url = server.postgres.socket_url("postgres", "postgres");
    let url = url.parse().map_err(|error: tailwater_core::Error| error.to_string())?;
    let tables =
        tailwater_core::pattern::Patterns::parse(["public.due"]).map_err(|error| error.to_string())?;
    let source = tailwater_postgres::Config::new(name, url, tables);
    let latencies_ms = Arc::new(Mutex::new(Vec::new()));
    let (stop, (publisher, watcher)) = (CancellationToken::new(), status::channel());
    let connect = || {
        let sink = Timed { sink: sink(), latencies_ms: Arc::clone(&latencies_ms) };
        Ok((PostgresSource::new(source.clone()), sink))
    };
    let options = Options::default();
    let pipeline = supervise(name, connect, &options, &stop, &publisher);
    let observer = async {
        while watcher.borrow().phase != status::Phase::Streaming {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let lateness_ms = send(server, load).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (pid, idle_s) = (std::process::id(), f64::from(load.seconds));
        let before = measure::cpu_s(pid)?;
        tokio::time::sleep(Duration::from_secs_f64(idle_s)).await;
        let idle = (measure::cpu_s(pid)? - before) / idle_s * 100.0;
        stop.cancel();
        Ok::<_, String>((lateness_ms, idle))
    };
    let (ended, observed) = tokio::join!(pipeline, observer);
    ended.map_err(|error| error.to_string())?;
    let (lateness_ms, idle) = observed?;
    tailwater_postgres::setup::drop_made(&source).await.map_err(|error| error.to_string())?;
    let latencies_ms = latencies_ms.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Observed { latencies_ms, lateness_ms, idle })
}

/// Makes the table `due`, empty.
pub(crate) async fn create(server: &Server) -> Outcome<()> {
    server.execute("DROP TABLE IF EXISTS due; CREATE TABLE due (id bigint primary key, due_us bigint)").await
}

/// Inserts on the beat; returns how late the generator itself was at p99, in ms.
pub(crate) async fn send(server: &Server, load: Load) -> Outcome<f64> {
    let Load { per_transaction, .. } = load;
    let insert = "INSERT INTO due SELECT i, $3 FROM generate_series($1::bigint, $2) i";
    let insert = server.client.prepare(insert).await.map_err(|error| error.to_string())?;
    let mut beat = interval(Duration::from_secs_f64(f64::from(per_transaction) / f64::from(load.rate)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (epoch, started) = (tokio::time::Instant::now(), now_us());
    let mut late = Vec::new();
    let rows = i64::try_from(load.rows()).map_err(|error| error.to_string())?;
    for first in (0..rows).step_by(usize::try_from(per_transaction).unwrap_or(1)) {
        let due = beat.tick().await.duration_since(epoch);
        let due_us = started + i64::try_from(due.as_micros()).unwrap_or(0);
        #[allow(clippy::cast_precision_loss, reason = "a lateness is far below 2^52 µs")]
        late.push((now_us() - due_us) as f64 / 1e3);
        let last = first + i64::from(per_transaction) - 1;
        let inserted = server.client.execute(&insert, &[&first, &last, &due_us]).await;
        inserted.map_err(|error| error.to_string())?;
    }
    Ok(percentile(&mut late, 0.99))
}

/// Prints what was observed, where every row arrived.
pub(crate) fn report(name: &str, load: Load, observed: Observed) -> Outcome<()> {
    let Observed { mut latencies_ms, lateness_ms, idle } = observed;
    if latencies_ms.len() as u64 != load.rows() {
        return Err(format!("{} of {} rows arrived", latencies_ms.len(), load.rows()));
    }
    let mut at = |part| format!("{:.1}", percentile(&mut latencies_ms, part));
    println_row(
        name,
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

/// The figure below which this part of all of them is.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
pub(crate) fn percentile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let index = ((figures.len() as f64 * part).ceil() as usize).saturating_sub(1);
    figures.get(index).copied().unwrap_or(f64::NAN)
}
