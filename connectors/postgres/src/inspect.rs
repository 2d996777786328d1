//! What a person may ask about a source without running a pipeline, each over a short SQL session of its own: which
//! tables there are now, and how far a position is behind. Changes nothing. The daemon's commands call it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tailwater_core::error::Doing as _;
use tailwater_core::status::Behind;
use tailwater_core::{Error, Position, Result, Table};

use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::continuity;
use crate::error;
use crate::lsn::Lsn;
use crate::{catalog, quote, shapes, wanted};

/// A person waits for the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Asks the server how far it is beyond `position`.
///
/// # Errors
/// Where it does not answer in time, or `position` is of another database.
pub async fn behind(config: &Config, position: &Position) -> Result<Behind> {
    within(measure(config, position)).await
}

/// The tables that the patterns match, published or not, with all of their columns.
///
/// # Errors
/// Where the server does not answer in time.
pub async fn tables(config: &Config) -> Result<Vec<Arc<Table>>> {
    within(list(config)).await
}

async fn within<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, question).await;
    answer.unwrap_or_else(|_elapsed| {
        Err(Error::transient(
            error::UNREACHABLE,
            format!("the server does not answer within {ANSWER_WITHIN:?}"),
        ))
    })
}

async fn measure(config: &Config, position: &Position) -> Result<Behind> {
    let mut connection = Connection::open(&config.url, Mode::Sql).await.doing(|| "connect")?;
    // A standby writes no log of its own; what it has replayed is the newest it can pass on.
    let sql = format!(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
                (SELECT extract(epoch FROM r.flush_lag)::text FROM pg_replication_slots s
                 JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = {})",
        quote::literal(&config.slot)
    );
    let rows = connection.query(&sql).await.doing(|| "ask for the end of the log")?;
    connection.finish().await?;
    let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
    let end = continuity::lsn(&fields.next().flatten().unwrap_or_default())?;
    let seconds = fields.next().flatten().and_then(|text| text.parse().ok());
    // Before the first copy is whole the target holds nothing of the log.
    let held = if position.stream.is_empty() { Lsn(0) } else { continuity::stream_lsn(position)? };
    Ok(Behind { bytes: end.0.saturating_sub(held.0), seconds })
}

async fn list(config: &Config) -> Result<Vec<Arc<Table>>> {
    let mut connection = Connection::open(&config.url, Mode::Sql).await.doing(|| "connect")?;
    let wanted = wanted::tables(&mut connection, &config.tables).await?;
    let oids: Vec<u32> = wanted.iter().map(|table| table.oid).collect();
    let mut tables = Vec::with_capacity(oids.len());
    for row in catalog::tables(&mut connection, &oids, &BTreeSet::new()).await? {
        let named = row.columns.iter().filter(|column| column.name.is_some());
        let columns: Vec<u32> = named.map(|column| column.number).collect();
        tables.push(Arc::new(shapes::at_head(&row, &columns)?));
    }
    connection.finish().await?;
    Ok(tables)
}
