//! What the server knows of a replication slot. Asked by `continuity`, which proves that it holds what is needed, by
//! `check`, which says what a person should know of it, and by `setup`, which removes it.

use tailwater_core::Result;

use crate::connection::Connection;
use crate::continuity;
use crate::lsn::Lsn;
use crate::quote;

/// A replication slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    /// Made by `pgoutput`, in this database.
    pub(crate) ours: bool,
    pub(crate) plugin: String,
    pub(crate) database: String,
    pub(crate) active: bool,
    pub(crate) two_phase: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`; empty where the server does not say.
    pub(crate) wal_status: String,
    /// Why the server has given it up; empty where it has not, or does not say.
    pub(crate) invalid: String,
    /// What was committed up to there is not to be had any more.
    pub(crate) confirmed: Lsn,
}

/// Reads the slot of this name, or `None` where there is none. `to_jsonb` reads what only some versions have without
/// naming a column that the others lack.
///
/// # Errors
/// Those of the connection.
pub(crate) async fn read(connection: &mut Connection, name: &str) -> Result<Option<Slot>> {
    let sql = format!(
        "SELECT coalesce(plugin = 'pgoutput' AND database = current_database(), false),
                coalesce(plugin, 'none'), coalesce(database, 'none'), active,
                coalesce(to_jsonb(s)->>'two_phase', 'false') = 'true', coalesce(wal_status, ''),
                coalesce(to_jsonb(s)->>'invalidation_reason', ''), coalesce(confirmed_flush_lsn, '0/0')
         FROM pg_catalog.pg_replication_slots s WHERE slot_name = {}",
        quote::literal(name)
    );
    let Some(row) = connection.query(&sql).await?.into_iter().next() else { return Ok(None) };
    let mut row = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || row.next().unwrap_or_default();
    let (ours, plugin, database) = (next() == "t", next(), next());
    let (active, two_phase, wal_status, invalid) = (next() == "t", next() == "t", next(), next());
    let confirmed = continuity::lsn(&next())?;
    Ok(Some(Slot { ours, plugin, database, active, two_phase, wal_status, invalid, confirmed }))
}

impl Slot {
    /// `lost`, with the reason where the server says it; `None` where it is not.
    pub(crate) fn lost(&self) -> Option<String> {
        match (self.invalid.as_str(), self.wal_status.as_str()) {
            ("", "lost") => Some("lost".to_owned()),
            ("", _) => None,
            (reason, _) => Some(format!("lost ({reason})")),
        }
    }
}
