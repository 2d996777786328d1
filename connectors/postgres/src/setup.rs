//! What Tailwater makes at the server and removes again: the publication, and the name of the slot (`copy` creates
//! the slot itself, with the snapshot it exports). What the rights do not allow is an error with the exact SQL.
//!
//! A publication that Tailwater made carries a comment that says so. Only such a one is ever altered or dropped; one
//! that the configuration names, or that a person made under the same name, is left as it is.

use std::collections::HashSet;

use tailwater_core::error::Doing as _;
use tailwater_core::{Error, ErrorKind, Result};
use tracing::{info, warn};

use crate::answer::Fields;
use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::error;
use crate::quote;
use crate::slot::{self, Slot};
use crate::wanted::{self, Wanted};

/// The comment of a publication that is ours.
const MARK: &str = "made by Tailwater; removed by `tailwater drop`";

/// The oldest version that is tested.
const OLDEST: u32 = 140_000;

/// Whether Tailwater works with a server of this version.
///
/// # Errors
/// `Operator` for one older than 14.
pub fn supported(version: u32) -> Result<()> {
    if version >= OLDEST {
        return Ok(());
    }
    let what = if version == 0 { "unknown".to_owned() } else { format!("{}", version / 10_000) };
    Err(Error::operator(
        error::VERSION,
        format!("the server's version is {what}; Tailwater needs 14 or later"),
    )
    .remedy("upgrade the server"))
}

/// What is known of a publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) ours: bool,
    pub(crate) owned: bool,
    pub(crate) everything: bool,
    /// Partitions are published as their root.
    pub(crate) via_root: bool,
    /// Of insert, update, delete and truncate: those it leaves out.
    pub(crate) left_out: Vec<&'static str>,
    tables: HashSet<u32>,
}

impl Publication {
    /// Whether changes of the table are published.
    pub(crate) fn covers(&self, table: &Wanted) -> bool {
        self.everything || self.tables.contains(&table.oid)
    }
}

/// Reads a publication, or `None` where there is none of that name.
pub(crate) async fn publication(connection: &mut Connection, name: &str) -> Result<Option<Publication>> {
    let literal = quote::literal(name);
    let sql = format!(
        "SELECT coalesce(obj_description(oid, 'pg_publication') = {mark}, false), pg_has_role(pubowner, 'USAGE'),
                puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate
         FROM pg_publication WHERE pubname = {literal}",
        mark = quote::literal(MARK)
    );
    let rows = connection.query(&sql).await.doing(|| format!("look up publication {name}"))?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut yes = row.into_iter().map(|field| field.as_deref() == Some("t"));
    let mut yes = || yes.next().unwrap_or_default();
    let (ours, owned, everything, via_root) = (yes(), yes(), yes(), yes());
    let mut found = Publication { ours, owned, everything, via_root, ..Publication::default() };
    found.left_out = ["insert", "update", "delete", "truncate"].into_iter().filter(|_| !yes()).collect();
    // A partitioned table may be listed by its partitions alone in the first; it is in the second.
    let sql = format!(
        "SELECT c.oid FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename WHERE t.pubname = {literal}
         UNION SELECT r.prrelid FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
         WHERE p.pubname = {literal}"
    );
    for row in &connection.query(&sql).await.doing(|| format!("look up publication {name}"))? {
        found.tables.insert(Fields(row).number(0)?);
    }
    Ok(Some(found))
}

/// Makes sure that the publication exists and covers the wanted tables. Runs before the slot is created: a slot
/// that is older than its publication fails for ever.
///
/// # Errors
/// `Operator` with the SQL that a person with more rights must run.
pub async fn ensure_publication(connection: &mut Connection, config: &Config) -> Result<()> {
    let name = &config.publication;
    let found = publication(connection, name).await?;
    let tables = wanted::tables(connection, &config.tables).await?;
    if found.as_ref().is_none_or(|publication| publication.via_root) {
        refuse_unlike_leaves(&tables)?;
    }
    let missing: Vec<Wanted> = match &found {
        Some(publication) => tables.into_iter().filter(|table| !publication.covers(table)).collect(),
        None => tables,
    };
    let ours = found.as_ref().is_none_or(|publication| publication.ours) && !config.publication_is_given;
    let sql = match &found {
        Some(_) if missing.is_empty() => return Ok(()),
        Some(_) if !ours => {
            warn!(publication = %name, "the publication lacks tables that `tables` asks for: {}", names(&missing));
            return Ok(());
        }
        Some(_) => add_sql(name, &sql_names(&missing)),
        None if missing.is_empty() => return Err(nothing_matches(config)),
        None if !ours => {
            return Err(Error::operator(error::NO_PUBLICATION, format!("publication {name} does not exist"))
                .remedy(format!("{};", create_sql(name, &missing))));
        }
        None => create_sql(name, &missing),
    };
    spare_the_application(&missing)?;
    let run =
        format!("{sql}; COMMENT ON PUBLICATION {} IS {}", quote::identifier(name), quote::literal(MARK));
    let Err(failure) = connection.query(&run).await else {
        info!(publication = %name, "published {}", names(&missing));
        return Ok(());
    };
    if failure.kind() == ErrorKind::Transient {
        return Err(failure);
    }
    // The statement of a run that was killed a moment ago may still be carried out: it has done our work then.
    if failure.code() == error::MISSING || publication(connection, name).await? != found {
        return Err(Error::transient(error::CHANGED, failure.message()));
    }
    Err(Error::operator(error::NO_PUBLICATION, failure.message())
        .remedy(format!("as a superuser, or the owner of the tables: {sql};"))
        .doing(format!("make publication {name}")))
}

/// Once published, an update or delete in a table without replica identity fails in the application. A table that is
/// only ever inserted into may be published all the same; one that is known to change may not.
fn spare_the_application(tables: &[Wanted]) -> Result<()> {
    let keyless = || tables.iter().filter(|table| !table.identifiable());
    let changing: Vec<Wanted> = keyless().filter(|table| table.changes_rows).cloned().collect();
    if changing.is_empty() {
        for table in keyless() {
            warn!(
                table = %table.sql_name(),
                "no replica identity: from now on the server refuses updates and deletes in it; to allow them: {}",
                identity_sql(table)
            );
        }
        return Ok(());
    }
    let sql: Vec<String> = changing.iter().map(identity_sql).collect();
    let message = format!(
        "without a replica identity, publishing them makes every update and delete fail in the application: {}",
        names(&changing)
    );
    Err(Error::operator(error::NO_IDENTITY, message)
        .remedy(format!("{} (or add a primary key, or take them out of `tables`)", sql.join(" "))))
}

/// A partition published as part of its root must identify its rows as the root does: its changes would be taken for
/// others, and values that it does not send for NULL.
fn refuse_unlike_leaves(tables: &[Wanted]) -> Result<()> {
    let unlike: Vec<&Wanted> = tables.iter().filter(|table| !table.unlike_leaves().is_empty()).collect();
    let Some(first) = unlike.first() else { return Ok(()) };
    let sql: Vec<String> = unlike.iter().map(|table| identity_sql(table)).collect();
    Err(Error::operator(error::UNLIKE_PARTITION, unlike_leaves(first)).remedy(sql.join(" ")))
}

/// What is wrong with such a table.
pub(crate) fn unlike_leaves(table: &Wanted) -> String {
    format!(
        "partitions of {} do not identify rows as it does, so their changes cannot be followed: {}",
        table.sql_name(),
        table.unlike_leaves().join(", ")
    )
}

/// Says, at each start, what a person should know of the publication although nothing stops for it.
///
/// # Errors
/// Those of the connection.
pub(crate) async fn warn_of_publication(connection: &mut Connection, config: &Config) -> Result<()> {
    let name = &config.publication;
    let Some(found) = publication(connection, name).await? else { return Ok(()) };
    if !found.left_out.is_empty() {
        warn!(
            "publication {name} leaves out every {}: the target does not follow these [{}]; to have them: {}",
            found.left_out.join(", "),
            error::OPERATIONS_LEFT_OUT,
            publish_sql(name)
        );
    }
    if found.via_root {
        let tables = wanted::tables(connection, &config.tables).await?;
        for table in tables.iter().filter(|table| !table.unlike_leaves().is_empty()) {
            let (what, code, sql) = (unlike_leaves(table), error::UNLIKE_PARTITION, identity_sql(table));
            warn!("{what} [{code}]; from here on, this mends it: {sql}");
        }
    }
    Ok(())
}

/// What makes a publication send every change.
pub(crate) fn publish_sql(name: &str) -> String {
    let name = quote::identifier(name);
    format!("ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');")
}

/// What gives a table a replica identity, and its partitions the same: it is not handed down.
pub(crate) fn identity_sql(table: &Wanted) -> String {
    let alter = |name: &String| format!("ALTER TABLE {name} REPLICA IDENTITY FULL;");
    table.not_full().iter().map(alter).collect::<Vec<_>>().join(" ")
}

/// The error where no table is there to publish.
pub(crate) fn nothing_matches(config: &Config) -> Error {
    let patterns: Vec<&str> = config.tables.iter().map(tailwater_core::pattern::Pattern::text).collect();
    Error::operator(error::NO_TABLE, format!("no table matches {}", patterns.join(", ")))
        .remedy("correct [source.postgres] tables: schema.table, spelled as in the database")
}

/// Partitioned tables are published as one: their partitions are storage, not tables of the target.
pub(crate) fn create_sql(name: &str, tables: &[Wanted]) -> String {
    format!(
        "CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)",
        quote::identifier(name),
        names(tables)
    )
}

/// What adds tables to a publication.
pub(crate) fn add_sql(name: &str, sql_names: &[String]) -> String {
    format!("ALTER PUBLICATION {} ADD TABLE {}", quote::identifier(name), sql_names.join(", "))
}

fn sql_names(tables: &[Wanted]) -> Vec<String> {
    tables.iter().map(Wanted::sql_name).collect()
}

fn names(tables: &[Wanted]) -> String {
    sql_names(tables).join(", ")
}

/// Refuses to begin a first copy where a slot of our name exists: it may be another target's.
///
/// # Errors
/// `Operator`.
pub async fn ensure_no_slot(connection: &mut Connection, config: &Config) -> Result<()> {
    let slot = &config.slot;
    if slot::read(connection, slot).await.doing(|| format!("look up slot {slot}"))?.is_none() {
        return Ok(());
    }
    Err(Error::operator(
        error::FOREIGN_SLOT,
        format!("the target holds no position, but slot {slot} exists: it belongs to another target"),
    )
    .remedy(format!(
        "if nothing else uses it: SELECT pg_drop_replication_slot({}); else set another name: [source.postgres] slot",
        quote::literal(slot)
    )))
}

/// Removes the slot, and the publication if Tailwater made it. Returns what was removed.
///
/// The slot is removed whoever created it, because no two things can use one slot; the publication only with our
/// comment on it.
///
/// # Errors
/// `Transient` while the slot is in use; `Operator` where it is not of this database, or a right is missing.
pub async fn drop_made(config: &Config) -> Result<Vec<String>> {
    let mut connection = Connection::open(&config.url, Mode::Sql).await.doing(|| "connect")?;
    let mut removed = Vec::new();
    if drop_slot(&mut connection, &config.slot).await.doing(|| format!("drop slot {}", config.slot))? {
        removed.push(format!("slot {}", config.slot));
    }
    let name = &config.publication;
    let found = publication(&mut connection, name).await?;
    if !config.publication_is_given && found.is_some_and(|publication| publication.ours) {
        let sql = format!("DROP PUBLICATION {}", quote::identifier(name));
        connection.query(&sql).await.doing(|| format!("drop publication {name}"))?;
        removed.push(format!("publication {name}"));
    }
    connection.finish().await?;
    Ok(removed)
}

async fn drop_slot(connection: &mut Connection, name: &str) -> Result<bool> {
    let Some(Slot { ours, plugin, database, .. }) = slot::read(connection, name).await? else {
        return Ok(false);
    };
    if !ours {
        return Err(Error::operator(
            error::FOREIGN_SLOT,
            format!("it is of plugin {plugin} and database {database}: not Tailwater's"),
        ));
    }
    let dropped =
        connection.query(&format!("SELECT pg_drop_replication_slot({})", quote::literal(name))).await;
    if let Err(error) = dropped {
        let in_use = error.code() == error::IN_USE;
        return Err(if in_use {
            error.remedy("stop the pipeline, or whatever else reads the slot, first")
        } else {
            error
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(supported(140_000).is_ok() && supported(180_001).is_ok());
        let message = |version| supported(version).unwrap_err().message();
        assert_eq!(message(130_022), "the server's version is 13; Tailwater needs 14 or later");
        assert_eq!(message(0), "the server's version is unknown; Tailwater needs 14 or later");
    }
}
