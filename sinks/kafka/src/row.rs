//! `format = "row"`: the row itself, flat, under an object of its key columns; a tombstone where it goes. For readers
//! that keep the last row of each key: a compacted topic, a table.
//!
//! - An update leaves out what did not change and did not come (unchanged TOAST).
//! - Where the key changes, the old key gets a tombstone before the new key gets its row.
//! - A table without a key has records without one. What goes comes as the old row with `"__deleted":true`, and so does
//!   the old row of an update, before the new one.
//! - What is no row is not told: shapes, truncates (which a warning tells of), messages.

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::line::Members;
use tailwater_core::{Change, Event, Result, Row, Table, Value};

use crate::encode::{Encode, Place, Records, Span};
use crate::error;
use crate::routes::{Route, Routes};

#[derive(Default)]
pub(crate) struct Rows {
    /// By [`Table::id`].
    tables: HashMap<u64, Prepared>,
}

struct Prepared {
    table: Arc<Table>,
    route: Route,
    key: Members,
    columns: Members,
}

/// Writes the key of a row: `{"id":1}`.
///
/// # Errors
/// `Data` where a value of the key did not come.
pub(crate) fn write_key(key: &Members, table: &Table, row: Row<'_>, out: &mut Records) -> Result<Span> {
    if let Some(missing) = key.indexes().find(|&index| row.get(index) == Value::Unsent) {
        let column = table.columns.get(missing).map_or("", |column| &column.name);
        return Err(error::key_missing(&table.full_name(), column));
    }
    Ok(out.write(|out| key.object(out, row)))
}

impl Rows {
    fn prepare(&mut self, table: &Arc<Table>, routes: &mut Routes) -> Result<()> {
        if self.tables.get(&table.id).is_some_and(|known| Arc::ptr_eq(&known.table, table)) {
            return Ok(());
        }
        let (key, columns) = (Members::of_key(table), Members::new(&table.columns));
        let route = routes.table(table)?;
        self.tables.insert(table.id, Prepared { table: Arc::clone(table), route, key, columns });
        Ok(())
    }
}

impl Encode for Rows {
    fn event(
        &mut self,
        event: &Event<'_>,
        _: Place<'_>,
        routes: &mut Routes,
        out: &mut Records,
    ) -> Result<()> {
        let (table, old, new) = match event.change {
            Change::Insert { table, new } | Change::Copied { table, new } => (table, None, Some(new)),
            Change::Update { table, old, new } => (table, old, Some(new)),
            Change::Delete { table, old } => (table, Some(old), None),
            Change::Truncate { table } => {
                tracing::warn!(table = table.full_name(), "format \"row\" cannot tell of a TRUNCATE");
                return Ok(());
            }
            Change::Shape { .. } | Change::Drop { .. } | Change::Message { .. } => return Ok(()),
            Change::CopyStart { .. } | Change::CopyEnd { .. } => return Ok(()),
        };
        self.prepare(table, routes)?;
        match self.tables.get(&table.id) {
            Some(known) if known.key.is_empty() => known.keyless(old, new, out),
            Some(known) => known.keyed(old, new, out)?,
            None => {}
        }
        Ok(())
    }
}

impl Prepared {
    fn keyed(&self, old: Option<Row<'_>>, new: Option<Row<'_>>, out: &mut Records) -> Result<()> {
        let same =
            |old: Row<'_>, new: Row<'_>| self.key.indexes().all(|index| old.get(index) == new.get(index));
        if let Some(old) = old
            && !new.is_some_and(|new| same(old, new))
        {
            let key = write_key(&self.key, &self.table, old, out)?;
            out.add(self.route, Some(key), None);
        }
        if let Some(new) = new {
            let key = write_key(&self.key, &self.table, new, out)?;
            let value = out.write(|out| self.columns.object(out, new));
            out.add(self.route, Some(key), Some(value));
        }
        Ok(())
    }

    fn keyless(&self, old: Option<Row<'_>>, new: Option<Row<'_>>, out: &mut Records) {
        if let Some(old) = old {
            let value = out.write(|out| {
                out.push(b'{');
                if self.columns.members(out, old) {
                    out.push(b',');
                }
                out.extend_from_slice(b"\"__deleted\":true}");
            });
            out.add(self.route, None, Some(value));
        }
        if let Some(new) = new {
            let value = out.write(|out| self.columns.object(out, new));
            out.add(self.route, None, Some(value));
        }
    }
}
