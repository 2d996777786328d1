//! Live traffic on the demo's shop: what customers and staff do all day, and the moments that break pipelines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tailwater_core::{Error, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Source;
use super::session::Session;

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
    pub(super) fn start(source: Source, url: &str) -> Self {
        let (mut writers, stop, committed) = (JoinSet::new(), CancellationToken::new(), Arc::default());
        for number in 0..WRITERS {
            let writer = write(source, url.to_owned(), number, stop.clone(), Arc::clone(&committed));
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

async fn write(
    source: Source,
    url: String,
    number: u64,
    stop: CancellationToken,
    committed: Arc<AtomicU64>,
) -> Result<()> {
    let mut session = Session::open(source, &url).await?;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number + 1));
    while !stop.is_cancelled() {
        for transaction in source.shop().work {
            let thrown = dice.throw().to_string();
            let statements: Vec<String> = transaction.iter().map(|sql| sql.replace("$1", &thrown)).collect();
            let rows = session.change(&statements).await.map_err(|error| error.doing("write traffic"))?;
            committed.fetch_add(rows, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Numbers without a pattern that matters here (xorshift).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // So that sums with it fit into what every server calculates with.
        self.0 >> 16
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
    pub(super) async fn happen(self, session: &mut Session) -> Result<u64> {
        let statements: &[&str] = match self {
            Self::RolledBack => &["BEGIN", "DELETE FROM customers WHERE id <= 1000", "ROLLBACK"],
            Self::ColumnAdded => &["ALTER TABLE orders ADD COLUMN gift boolean NOT NULL DEFAULT false"],
            Self::LargeTransaction => &["UPDATE orders SET total = total + 1, gift = true WHERE id <= 50000"],
            Self::Killed => return Ok(0),
            Self::Truncated => &["TRUNCATE carts"],
        };
        session.run(statements).await.map_err(|error| error.doing("play the script"))?;
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
