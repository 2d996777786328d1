//! How far what a sink holds is behind its Postgres, asked over a short SQL connection of its own.

use std::time::Duration;

use tailwater_core::error::Doing as _;
use tailwater_core::{Error, Position, Result};
use tailwater_postgres::lsn::Lsn;
use tailwater_postgres::{Config, Connection, Mode};

/// A server that does not answer must not keep a person waiting who asked for a position.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The distance to the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Behind {
    /// Log between the position and its end.
    pub(crate) bytes: u64,
    /// What the server measured between writing its newest log and our confirming it; `None` while nobody follows
    /// the slot, and when it has been idle.
    pub(crate) seconds: Option<f64>,
}

/// Asks the server.
///
/// # Errors
/// Where it does not answer.
pub(crate) async fn behind(config: &Config, position: &Position) -> Result<Behind> {
    let asked = tokio::time::timeout(ANSWER_WITHIN, ask(config, position)).await;
    asked.unwrap_or_else(|_elapsed| {
        Err(Error::transient("TW-CLI-005", format!("the source does not answer within {ANSWER_WITHIN:?}")))
    })
}

async fn ask(config: &Config, position: &Position) -> Result<Behind> {
    let mut connection = Connection::open(&config.url, Mode::Sql).await.doing(|| "connect")?;
    // A standby has no end of its own to write to; what it has received is the newest it can pass on. Slot names
    // need no quoting: Postgres takes only a-z, 0-9 and _ in them.
    let sql = format!(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
                (SELECT extract(epoch FROM r.flush_lag)::text FROM pg_replication_slots s
                 JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = '{}')",
        config.slot
    );
    let rows = connection.query(&sql).await.doing(|| "ask for the end of the log")?;
    connection.finish().await?;
    let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
    let end = fields.next().flatten().unwrap_or_default();
    let lag = fields.next().flatten();
    let bytes = log_position(&end)?.0.saturating_sub(log_position(&position.stream)?.0);
    Ok(Behind { bytes, seconds: lag.and_then(|seconds| seconds.parse().ok()) })
}

fn log_position(text: &str) -> Result<Lsn> {
    // Before the first copy is whole the target holds nothing of the log.
    if text.is_empty() {
        return Ok(Lsn(0));
    }
    text.parse().map_err(|error| Error::data("TW-CLI-005", format!("{text}: {error}")))
}
