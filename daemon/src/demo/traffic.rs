//! Live traffic on the demo's shop: what customers and staff do all day, and the moments that break pipelines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tailwater_core::{Error, Result};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, Statement};
use tokio_util::sync::CancellationToken;

const WRITERS: u64 = 2;
/// Between two transactions of a writer: a shop, not a benchmark.
const PAUSE: Duration = Duration::from_millis(2);
const LARGE: &str = "50,000";

/// Writers that work until they are stopped.
pub(super) struct Traffic {
    writers: JoinSet<Result<()>>,
    stop: CancellationToken,
    committed: Arc<AtomicU64>,
}

impl Traffic {
    /// Starts writing to the shop at `url`.
    pub(super) fn start(url: &str) -> Self {
        let (mut writers, stop, committed) = (JoinSet::new(), CancellationToken::new(), Arc::default());
        for number in 0..WRITERS {
            let writer = write(url.to_owned(), number, stop.clone(), Arc::clone(&committed));
            writers.spawn(writer);
        }
        Self { writers, stop, committed }
    }

    /// Rows changed and committed so far.
    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Counts changes that were made beside the writers.
    pub(super) fn add(&self, changes: u64) {
        self.committed.fetch_add(changes, Ordering::Relaxed);
    }

    /// Lets every writer finish its transaction, and returns the changes they made.
    ///
    /// # Errors
    /// The first thing that went wrong in a writer.
    pub(super) async fn stop(mut self) -> Result<u64> {
        self.stop.cancel();
        while let Some(ended) = self.writers.join_next().await {
            ended
                .map_err(|error| Error::operator("TW-DEMO-010", format!("a writer broke down: {error}")))??;
        }
        Ok(self.committed())
    }
}

/// A connection for the demo's own SQL.
///
/// # Errors
/// `Operator` where the server does not take it.
pub(super) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|error| failed("connect", &error))?;
    #[allow(clippy::disallowed_methods, reason = "it ends with the client, which owns the other half of it")]
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection of the demo ended: {error}");
        }
    });
    Ok(client)
}

pub(super) fn failed(doing: &str, error: &tokio_postgres::Error) -> Error {
    let why = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    Error::operator("TW-DEMO-010", format!("{doing} the throw-away Postgres: {why}"))
}

/// What a writer does, with the rows that one run of it changes. `$1` is a random number.
const WORK: [(&str, u64); 7] = [
    (
        "WITH placed AS (
             INSERT INTO orders (customer_id, total, note)
             VALUES (1 + abs($1::bigint) % 50000, abs($1::bigint) % 100000 / 7.0, 'fresh from the traffic')
             RETURNING id)
         INSERT INTO order_lines
         SELECT id, line, 1 + (abs($1::bigint) + line) % 4000, 1 + line, line + 0.5
         FROM placed, generate_series(1, 3) line",
        4,
    ),
    (
        "UPDATE stock SET on_hand = on_hand - 1, counted_at = now() WHERE product_id = 1 + abs($1::bigint) % 4000",
        1,
    ),
    (
        "UPDATE orders SET status = 'shipped', shipped_at = clock_timestamp()
         WHERE id = 1 + abs($1::bigint) % 200000",
        1,
    ),
    // The long description is not part of what the server sends.
    ("UPDATE products SET price = price + 0.01 WHERE id = 1 + abs($1::bigint) % 4000", 1),
    (
        "UPDATE customers SET credit = credit + 1.25, profile = jsonb_build_object('last', $1::bigint)
         WHERE id = 1 + abs($1::bigint) % 50000",
        1,
    ),
    ("DELETE FROM order_lines WHERE order_id = 1 + abs($1::bigint) % 200000 AND line = 3", 1),
    (
        "INSERT INTO carts (customer_id, items)
         VALUES (1 + abs($1::bigint) % 50000, jsonb_build_array($1::bigint, 'and more'))",
        1,
    ),
];

async fn write(url: String, number: u64, stop: CancellationToken, committed: Arc<AtomicU64>) -> Result<()> {
    let client = connect(&url).await?;
    let mut work: Vec<(Statement, bool)> = Vec::new();
    for (sql, rows) in WORK {
        let statement = client.prepare(sql).await.map_err(|error| failed("prepare traffic on", &error))?;
        work.push((statement, rows > 1));
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number + 1));
    while !stop.is_cancelled() {
        for (statement, places_order) in &work {
            let rows = client
                .execute(statement, &[&dice.throw()])
                .await
                .map_err(|error| failed("write traffic to", &error))?;
            // The order itself is not among the rows that its statement counts.
            committed.fetch_add(rows + u64::from(*places_order), Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Numbers without a pattern that matters here (xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::from_ne_bytes((self.0 >> 1).to_ne_bytes())
    }
}

/// What happens once on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// A transaction that is given up after it has deleted rows.
    RolledBack,
    /// A column with a default.
    ColumnAdded,
    /// Many rows in one transaction.
    LargeTransaction,
    /// The pipeline's process is killed and started again.
    Killed,
    /// A table is emptied at one stroke.
    Truncated,
}

impl Moment {
    /// When, in percent of the time that traffic runs.
    pub(super) const SCRIPT: [(u32, Self); 5] = [
        (25, Self::RolledBack),
        (35, Self::ColumnAdded),
        (45, Self::LargeTransaction),
        (60, Self::Killed),
        (75, Self::Truncated),
    ];

    /// What a person reads.
    pub(super) fn describe(self) -> String {
        match self {
            Self::RolledBack => {
                "a transaction deletes 1,000 customers and is rolled back: nothing may arrive".to_owned()
            }
            Self::ColumnAdded => {
                "ALTER TABLE orders ADD COLUMN gift boolean NOT NULL DEFAULT false".to_owned()
            }
            Self::LargeTransaction => {
                format!("one transaction changes {LARGE} orders: they appear all at once")
            }
            Self::Killed => "kill -9 of the pipeline, which starts again where its target stands".to_owned(),
            Self::Truncated => "TRUNCATE carts".to_owned(),
        }
    }

    /// Lets it happen at the source; returns the rows it changed.
    ///
    /// # Errors
    /// `Operator` where the server refuses.
    pub(super) async fn happen(self, client: &Client) -> Result<u64> {
        let sql = match self {
            Self::RolledBack => "BEGIN; DELETE FROM customers WHERE id <= 1000; ROLLBACK",
            Self::ColumnAdded => "ALTER TABLE orders ADD COLUMN gift boolean NOT NULL DEFAULT false",
            Self::LargeTransaction => "UPDATE orders SET total = total + 1, gift = true WHERE id <= 50000",
            Self::Killed => return Ok(0),
            Self::Truncated => "TRUNCATE carts",
        };
        client.batch_execute(sql).await.map_err(|error| failed("play the script on", &error))?;
        Ok(if self == Self::LargeTransaction { 50_000 } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_runs_forwards_and_ends_before_the_traffic() {
        let times: Vec<u32> = Moment::SCRIPT.iter().map(|(percent, _)| *percent).collect();
        assert!(times.is_sorted() && times.iter().all(|percent| *percent < 100));
    }
}
