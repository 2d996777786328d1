//! Rows of the first copy: which of them is the first and which the last is known only when the next one comes, so one
//! row per table is held back. Until the last table is done nothing that is held counts as copied: a copy that is
//! interrupted starts afresh.

use std::collections::HashMap;

use tailwater_core::Position;

use super::headers::Headers;
use crate::encode::Records;
use crate::routes::Route;

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
    pub(crate) route: Option<Route>,
    /// Empty where it has none.
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// Where in `value` the marker belongs.
    pub(crate) marker: usize,
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
    pub(crate) fn next(&mut self, table: u64, headers: &Headers, out: &mut Records) -> &mut Held {
        let held = self.tables.entry(table).or_default();
        let first_of_table = !held.full;
        if held.full {
            let marker = if held.first_of_table { "first_in_data_collection" } else { "true" };
            held.send(first_or(&mut self.begun, marker), headers, out);
        }
        held.key.clear();
        held.value.clear();
        (held.first_of_table, held.full) = (first_of_table, true);
        held
    }

    /// The table's copy is whole; with the last one, the whole copy.
    pub(crate) fn end(&mut self, table: u64, batch_end: &Position, headers: &Headers, out: &mut Records) {
        if let Some(held) = self.tables.remove(&table).filter(|held| held.full)
            && let Some(before) = self.ended.replace(held)
        {
            before.send(first_or(&mut self.begun, "last_in_data_collection"), headers, out);
        }
        if batch_end.copies.values().all(|copy| copy.done) {
            if let Some(last) = self.ended.take() {
                last.send("last", headers, out);
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
    fn send(&self, marker: &str, headers: &Headers, out: &mut Records) {
        let Some(route) = self.route else { return };
        let key = (!self.key.is_empty()).then(|| out.write(|out| out.extend_from_slice(&self.key)));
        let (head, tail) = self.value.split_at_checked(self.marker).unwrap_or((&self.value, &[]));
        let value = out.write(|out| {
            out.extend_from_slice(head);
            out.extend_from_slice(marker.as_bytes());
            out.extend_from_slice(tail);
        });
        out.add(route, key, Some(value));
        headers.write(out);
    }
}
