//! Rows of the first copy: which of them is the first and which the last is known only when the next one comes, so one
//! row per table is held back. Until the last table is done nothing that is held counts as copied: a copy that is
//! interrupted starts afresh.

use std::collections::HashMap;

use tailwater_core::Position;

use crate::encode::Records;

/// Memory that each table under way keeps for its row.
const KEEP_BYTES: usize = 1 << 20;

/// What is held back.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// By [`tailwater_core::Table::id`], the newest row of each table under way.
    tables: HashMap<u64, Held>,
    /// The last row of the last table that ended.
    ended: Option<Held>,
    /// Whether a row went out.
    begun: bool,
}

/// A row that is encoded except for its marker.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Its one record.
    pub(crate) records: Records,
    /// The places in there, in their order, that the marker belongs to.
    pub(crate) gaps: Vec<usize>,
    /// It came first of its table.
    first_of_table: bool,
    full: bool,
}

impl Copies {
    /// The table's copy begins, perhaps again.
    pub(crate) fn start(&mut self, table: u64) {
        self.tables.remove(&table);
    }

    /// Where to put the next row of a table; the row before goes out.
    pub(crate) fn next(&mut self, table: u64, out: &mut Records) -> &mut Held {
        let held = self.tables.entry(table).or_default();
        let first_of_table = !held.full;
        if held.full {
            let marker = if held.first_of_table { "first_in_data_collection" } else { "true" };
            held.send(first_or(&mut self.begun, marker), out);
        }
        held.records.clear(KEEP_BYTES);
        held.gaps.clear();
        (held.first_of_table, held.full) = (first_of_table, true);
        held
    }

    /// The table's copy is whole; with the last one, the whole copy.
    pub(crate) fn end(&mut self, table: u64, batch_end: &Position, out: &mut Records) {
        if let Some(held) = self.tables.remove(&table).filter(|held| held.full)
            && let Some(before) = self.ended.replace(held)
        {
            before.send(first_or(&mut self.begun, "last_in_data_collection"), out);
        }
        if batch_end.copies.values().all(|copy| copy.done) {
            if let Some(last) = self.ended.take() {
                last.send("last", out);
            }
            self.begun = false;
        }
    }
}

/// The marker of a row that goes out, which is another one for the very first.
fn first_or(begun: &mut bool, marker: &'static str) -> &'static str {
    if std::mem::replace(begun, true) { marker } else { "first" }
}

impl Held {
    fn send(&self, marker: &str, out: &mut Records) {
        out.add_filled(&self.records, &self.gaps, marker.as_bytes());
    }
}
