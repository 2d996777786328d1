//! Changes of tables that no row change has told of yet: dropped, renamed and altered tables, read from the catalogue.
//!
//! The stream describes a table only before its next row change, and never says that one was dropped. So the stream
//! asks [`read`] now and then. The catalogue is ahead of the stream, so what is found must wait for its turn:
//!
//! - First the catalogue is read, in one snapshot, then the end of the log, `as_of`. A change that the snapshot shows
//!   was committed before, so its commit record ends at or before `as_of`.
//! - A finding is applied once the stream has covered `as_of`, and is between two transactions: every row written
//!   before the change has then been passed on.
//! - In between the stream may describe the table itself, with this change or with a later one (made after the
//!   snapshot, before `as_of`). So a finding is applied only where the shape in force still is the one it was compared
//!   with (by address); otherwise it is forgotten, and the next reading finds what is left of it.
//!   A drop is for ever: it needs no such test.
//!
//! Row changes committed after `as_of` come with the table's description, so none is ever read under a wrong shape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Result, Table};
use tracing::warn;

use crate::answer::Fields;
use crate::assemble::Assembler;
use crate::catalog::{self, Part, TableRow};
use crate::census::{self, Census};
use crate::config::Config;
use crate::connection::Connection;
use crate::lsn::Lsn;
use crate::{setup, shapes};

/// What has changed beside the stream. Nothing here holds before the stream has covered `as_of`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// End of the log after the catalogue was read.
    pub as_of: Lsn,
    /// Tables that are gone.
    pub dropped: Vec<Arc<Table>>,
    /// Tables with another name, schema, column or key.
    pub reshaped: Vec<Reshaped>,
    /// Tables that nothing was known of: whatever happened to them while nobody followed is in their shape.
    pub unknown: Vec<Arc<Table>>,
    /// Tables that exist, but are no longer published, or have a name that is not wanted: nothing more comes of them.
    pub left: Vec<Arc<Table>>,
    /// Every table there is.
    pub census: Census,
}

/// A table with another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshaped {
    /// The shape it was compared with.
    pub was: Arc<Table>,
    /// The shape it has now.
    pub is: Arc<Table>,
}

impl Drift {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.reshaped.is_empty() && self.unknown.is_empty() && self.left.is_empty()
    }

    /// Passes on what has changed, now that it is its turn.
    ///
    /// # Errors
    /// `Data` where the batch's arena is full.
    pub fn apply(&self, assembler: &mut Assembler, batch: &mut Batch) -> Result<()> {
        let in_force = |assembler: &Assembler, was: &Arc<Table>| {
            assembler.shape_of(was.id).is_some_and(|now| Arc::ptr_eq(now, was))
        };
        for table in &self.dropped {
            assembler.forget(table, batch)?;
        }
        for reshaped in &self.reshaped {
            if in_force(assembler, &reshaped.was) {
                assembler.reshape(&reshaped.is, batch)?;
            }
        }
        for table in &self.unknown {
            match u32::try_from(table.id) {
                Ok(oid) if assembler.shape(oid).is_some() => assembler.announce(oid, batch)?,
                Ok(_) | Err(_) => assembler.reshape(table, batch)?,
            }
        }
        for table in self.left.iter().filter(|table| in_force(assembler, table)).collect::<Vec<_>>() {
            warn!(
                table = table.full_name(),
                "no longer published, or renamed so that `tables` does not match it: it is not followed any more"
            );
            assembler.leave(table);
        }
        assembler.sweep(&self.census.tables);
        Ok(())
    }
}

/// Compares the tables the stream knows with the catalogue.
///
/// # Errors
/// Those of the connection, which is then of no more use.
pub async fn read(connection: &mut Connection, config: &Config, known: &[Arc<Table>]) -> Result<Drift> {
    let oids = known.iter().filter_map(|table| u32::try_from(table.id).ok()).collect();
    let Reading { parts, rows, census, as_of } = Reading::of(connection, config, Some(oids)).await?;
    Ok(Drift { as_of, census, ..compare(known, &rows, &parts)? })
}

/// At the start of a stream, which knows no table yet: the shapes of all that are published. Also says what a person
/// should know of the publication.
///
/// # Errors
/// Those of the connection, which is then of no more use.
pub async fn since_unknown(connection: &mut Connection, config: &Config) -> Result<Drift> {
    setup::warn_of_publication(connection, config).await?;
    let Reading { parts, rows, census, as_of } = Reading::of(connection, config, None).await?;
    let mut unknown = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(part) = parts.get(&row.oid) {
            unknown.push(Arc::new(shapes::at_head(row, &part.columns)?));
        }
    }
    unknown.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Ok(Drift { as_of, census, unknown, ..Drift::default() })
}

/// The catalogue in one snapshot, and the end of the log after that.
struct Reading {
    parts: BTreeMap<u32, Part>,
    rows: Vec<TableRow>,
    census: Census,
    as_of: Lsn,
}

impl Reading {
    /// Of these tables, or else of all that are published.
    async fn of(connection: &mut Connection, config: &Config, oids: Option<Vec<u32>>) -> Result<Self> {
        connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let parts = catalog::published_parts(connection, config).await?;
        let oids = oids.unwrap_or_else(|| parts.keys().copied().collect());
        let rows = catalog::tables(connection, &oids, &BTreeSet::new()).await?;
        let census = census::read(connection, config, &parts).await?;
        connection.query("COMMIT").await?;
        let as_of = end_of_log(connection).await.doing(|| "ask for the end of the log")?;
        Ok(Self { parts, rows, census, as_of })
    }
}

/// The place that the stream's covered position reaches once it has read everything there is now.
async fn end_of_log(connection: &mut Connection) -> Result<Lsn> {
    let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
                      current_setting('wal_block_size')";
    let answer = connection.query(sql).await?;
    let row = Fields(answer.first().map(Vec::as_slice).unwrap_or_default());
    Ok(end_of_last_record(row.number(0)?, row.number(1)?))
}

/// At the start of a page the server names the place after the page's header, where the next record will start. The
/// last record ends before that header, and without another one the stream never gets beyond it. Headers have 24
/// bytes, or 40 on the first page of a file.
fn end_of_last_record(insert: Lsn, block: u64) -> Lsn {
    match insert.0.checked_rem(block) {
        Some(header @ (24 | 40)) => Lsn(insert.0 - header),
        Some(_) | None => insert,
    }
}

fn compare(known: &[Arc<Table>], rows: &[TableRow], parts: &BTreeMap<u32, Part>) -> Result<Drift> {
    let mut drift = Drift::default();
    for was in known {
        let Some(row) = rows.iter().find(|row| u64::from(row.oid) == was.id) else {
            drift.dropped.push(Arc::clone(was));
            continue;
        };
        let Some(part) = parts.get(&row.oid) else {
            drift.left.push(Arc::clone(was));
            continue;
        };
        let is = shapes::at_head(row, &part.columns)?;
        let is = Table { streamed_from_birth: was.streamed_from_birth, ..is };
        if !same_shape(was, &is) {
            drift.reshaped.push(Reshaped { was: Arc::clone(was), is: Arc::new(is) });
        }
    }
    Ok(drift)
}

/// Equal but for what older rows hold, which is of no meaning once a column is there.
fn same_shape(a: &Table, b: &Table) -> bool {
    let columns = a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(a, b)| {
            (a.id, &a.name, &a.kind, a.type_id, &a.source_type)
                == (b.id, &b.name, &b.kind, b.type_id, &b.source_type)
        });
    columns && (a.id, &a.schema, &a.name, &a.key) == (b.id, &b.schema, &b.name, &b.key)
}

#[cfg(test)]
mod tests {
    use tailwater_core::Fill;

    use super::*;
    use crate::catalog::{ColumnRow, DefaultValue, Missing};
    use crate::kinds::Types;
    use crate::pgoutput::ReplicaIdentity;

    fn row(oid: u32, name: &str, columns: &[&str]) -> TableRow {
        let columns = columns.iter().zip(1..).map(|(name, number)| ColumnRow {
            number,
            name: (!name.is_empty()).then(|| (*name).to_owned()),
            type_oid: 23,
            modifier: -1,
            not_null: false,
            default: DefaultValue::None,
            default_sql: None,
            missing: Missing::None,
        });
        TableRow {
            oid,
            schema: "public".into(),
            name: name.into(),
            partitioned: false,
            identity: ReplicaIdentity::Default,
            primary_key: vec![1],
            identity_index: vec![],
            declared_key: Vec::new(),
            rewritten: false,
            heaps: Vec::new(),
            all_tables: Vec::new(),
            listed: false,
            columns: columns.collect(),
            types: Arc::new(Types::default()),
        }
    }

    fn known(oid: u32, name: &str, columns: &[&str]) -> Arc<Table> {
        let row = row(oid, name, columns);
        let published: Vec<u32> =
            row.columns.iter().filter(|column| column.name.is_some()).map(|column| column.number).collect();
        Arc::new(shapes::at_head(&row, &published).unwrap())
    }

    fn check(known: &[Arc<Table>], rows: &[TableRow], parts: &[(u32, &[u32])], expected: &str) {
        let parts =
            parts.iter().map(|&(oid, columns)| (oid, Part { columns: columns.to_vec(), row_filter: None }));
        let drift = compare(known, rows, &parts.collect()).unwrap();
        let mut text = String::new();
        drift.dropped.iter().for_each(|table| text += &format!("dropped {} ", table.name));
        drift.left.iter().for_each(|table| text += &format!("left {} ", table.name));
        for Reshaped { was, is } in &drift.reshaped {
            let columns: Vec<_> =
                is.columns.iter().map(|column| format!("{}:{}", column.id, column.name)).collect();
            text += &format!("{} is {}({}) key {:?} ", was.name, is.name, columns.join(","), is.key);
        }
        assert_eq!(text.trim_end(), expected);
        assert_eq!(drift.is_empty(), expected.is_empty());
    }

    #[test]
    fn finds_what_changed() {
        let t = || vec![known(7, "t", &["id", "a"])];
        check(&t(), &[row(7, "t", &["id", "a"])], &[(7, &[1, 2])], "");
        check(&t(), &[], &[], "dropped t");
        check(&t(), &[row(7, "t", &["id", "a"])], &[(8, &[1])], "left t");
        check(&t(), &[row(7, "u", &["id", "a"])], &[(7, &[1, 2])], "t is u(1:id,2:a) key [0]");
        check(&t(), &[row(7, "t", &["id", "b"])], &[(7, &[1, 2])], "t is t(1:id,2:b) key [0]");
        check(&t(), &[row(7, "t", &["id", "", "a"])], &[(7, &[1, 3])], "t is t(1:id,3:a) key [0]");
        check(&t(), &[row(7, "t", &["id", "a", "b"])], &[(7, &[1, 2, 3])], "t is t(1:id,2:a,3:b) key [0]");
        check(&t(), &[row(7, "t", &["id", "a", "b"])], &[(7, &[1, 2])], "");
        check(&t(), &[row(7, "t", &["id", "a"])], &[(7, &[2])], "t is t(2:a) key []");
        let mut retyped = row(7, "t", &["id", "a"]);
        retyped.columns[1].type_oid = 25;
        check(&t(), &[retyped], &[(7, &[1, 2])], "t is t(1:id,2:a) key [0]");
    }

    #[test]
    fn a_table_that_is_back_is_left_all_the_same() {
        let (mut assembler, mut batch) = (Assembler::new(Lsn(1), 0), Batch::default());
        let was = known(7, "t", &["id"]);
        let drift = Drift { left: vec![Arc::clone(&was)], ..Drift::default() };
        assembler.reshape(&was, &mut batch).unwrap();
        // Described again since the reading, under a name that is wanted.
        assembler.reshape(&known(7, "t", &["id"]), &mut batch).unwrap();
        drift.apply(&mut assembler, &mut batch).unwrap();
        assert_eq!(assembler.shapes().len(), 1);
        let now = assembler.shapes();
        Drift { left: now, ..Drift::default() }.apply(&mut assembler, &mut batch).unwrap();
        assert_eq!(assembler.shapes().len(), 0);
    }

    #[test]
    fn what_older_rows_hold_is_no_change() {
        let mut table = Table::clone(&known(7, "t", &["id"]));
        table.columns[0].fill = Fill::Constant("1".into());
        check(&[Arc::new(table)], &[row(7, "t", &["id"])], &[(7, &[1])], "");
    }

    #[test]
    fn a_page_header_is_not_waited_for() {
        for (insert, end) in
            [(8192 * 5 + 24, 8192 * 5), (8192 * 2048 + 40, 8192 * 2048), (8192 * 5 + 32, 8192 * 5 + 32)]
        {
            assert_eq!(end_of_last_record(Lsn(insert), 8192), Lsn(end));
        }
        assert_eq!(end_of_last_record(Lsn(24), 0), Lsn(24));
    }
}
