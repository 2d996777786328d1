//! Many changes and the range they cover, in one arena: no allocation per row or value.
//!
//! A source fills a batch through [`Batch::transaction`], [`Batch::add_row`] and the verbs named after changes; a
//! sink reads it through [`Batch::events`]. The loop recycles batches, so in a steady state nothing is allocated.

mod statement;
mod transaction;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use transaction::TransactionEntry;
pub use writer::RowWriter;

use crate::{Change, Error, Event, Position, Result, Table, Verb};

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// The source did not send it: unchanged TOAST, or not part of a key. Never to be written as NULL.
    Unsent,
    /// NULL.
    Null,
    /// Text in the form of the column's [`Type`](crate::Type). Bytes, because a database need not be UTF-8.
    Text(&'a [u8]),
}

/// A row under the shape of its table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    cells: &'a [Cell],
    bytes: &'a [u8],
}

/// A span of the arena, or a marker in `len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    start: u32,
    len: u32,
}

const EMPTY: Cell = Cell { start: 0, len: 0 };
const NULL: u32 = u32::MAX;
const UNSENT: u32 = u32::MAX - 1;
/// Spans must stay below the markers.
const ARENA_BYTES_MAX: usize = (u32::MAX - 2) as usize;

/// A row inside a batch that is being filled.
#[derive(Debug, Clone, Copy)]
pub struct RowId {
    first: u32,
    cells: u32,
}

const NO_ROW: RowId = RowId { first: 0, cells: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Insert,
    Update,
    UpdateWithOld,
    Delete,
    Truncate,
    Shape,
    Drop,
    Stop,
    CopyStart,
    Copied,
    CopyEnd,
    Message { transactional: bool },
    Statement { verb: Option<Verb>, copied: bool },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    op: Op,
    table: u32,
    transaction: u32,
    /// Counted from the transaction's `first_ordinal`.
    ordinal: u32,
    old: RowId,
    new: RowId,
    log_offset: u64,
    log_row: u32,
}

/// Changes in commit order, covering the source from `from` (exclusive) to `to` (inclusive).
#[derive(Debug, Default)]
pub struct Batch {
    /// Where it starts: the `to` of the batch before.
    pub from: Position,
    /// Where it ends; set by the source. At a boundary, or inside a transaction that later batches complete.
    pub to: Position,
    /// Set by the loop while the sink waits: the source returns after the next commit.
    pub cut_at_commit: bool,
    /// Set by the source: to be written before anything is added.
    pub sealed: bool,
    /// Set by the loop: the batch is full at this many bytes of memory; the event that reaches it is still added.
    pub bytes_max: usize,
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    entries: Vec<Entry>,
    transactions: Vec<TransactionEntry>,
    tables: Vec<Arc<Table>>,
    /// Index into `tables` by address; the tables are kept alive by `tables`.
    table_index: HashMap<usize, u32>,
    last_table: u32,
    /// Ordinal of the next event, counted from its transaction's first.
    next_ordinal: u32,
    /// Where the next event stands in the log.
    log_offset: u64,
    /// Its number among the rows there.
    log_row: u32,
}

impl Batch {
    /// Empties the batch for reuse and lets it start at `from`. Keeps its memory, up to `bytes_max`.
    pub fn reset(&mut self, from: &Position, bytes_max: usize) {
        self.from.clone_from(from);
        self.to.clone_from(from);
        self.cut_at_commit = false;
        self.sealed = false;
        self.bytes.clear();
        self.cells.clear();
        self.entries.clear();
        self.transactions.clear();
        self.tables.clear();
        self.table_index.clear();
        (self.log_offset, self.log_row) = (0, 0);
        self.bytes_max = bytes_max;
        self.bytes.shrink_to(bytes_max);
        self.cells.shrink_to(bytes_max / size_of::<Cell>());
        self.entries.shrink_to(bytes_max / size_of::<Entry>());
    }

    /// Whether there is nothing to write: no event, and no position to move.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.from == self.to
    }

    /// Whether it holds any event; without one it may still move the position.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of memory its contents take.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
            + self.cells.len() * size_of::<Cell>()
            + self.entries.len() * size_of::<Entry>()
            + self.transactions.len() * size_of::<TransactionEntry>()
    }

    /// Whether nothing more may be added before it is written. An empty one never is: it would never be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.is_empty() && (self.sealed || self.size_bytes() >= self.bytes_max)
    }

    /// Takes over the events of `other`, which a copy worker filled, and leaves it empty. Positions stay.
    ///
    /// # Panics
    /// When this batch already has events: they would lose their order.
    pub fn adopt(&mut self, other: &mut Self) {
        assert!(self.entries.is_empty(), "a batch with events adopts another");
        std::mem::swap(self, other);
        std::mem::swap(&mut self.from, &mut other.from);
        std::mem::swap(&mut self.to, &mut other.to);
        (self.cut_at_commit, self.bytes_max) = (other.cut_at_commit, other.bytes_max);
    }

    /// The events that follow stand there in the log: [`Event::log_offset`]. The first of them is row 0.
    #[inline]
    pub fn set_log_offset(&mut self, log_offset: u64) {
        (self.log_offset, self.log_row) = (log_offset, 0);
    }

    /// The next event is that row of what stands there: [`Event::log_row`].
    #[inline]
    pub fn set_log_row(&mut self, log_row: u32) {
        self.log_row = log_row;
    }

    /// What was set last.
    #[must_use]
    pub fn log_offset(&self) -> u64 {
        self.log_offset
    }

    /// Copies values into the arena. One per column of the table that the row is then used with.
    ///
    /// # Errors
    /// `Data` where the arena is full: rows beyond 4 GiB.
    pub fn add_row<'v>(&mut self, values: impl IntoIterator<Item = Value<'v>>) -> Result<RowId> {
        let first = self.cells.len();
        for value in values {
            let cell = match value {
                Value::Unsent => Cell { start: 0, len: UNSENT },
                Value::Null => Cell { start: 0, len: NULL },
                Value::Text(text) => {
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(text);
                    self.cell(start)?
                }
            };
            self.cells.push(cell);
        }
        match (u32::try_from(first), u32::try_from(self.cells.len() - first)) {
            (Ok(first), Ok(cells)) => Ok(RowId { first, cells }),
            _ => Err(full()),
        }
    }

    fn cell(&self, start: usize) -> Result<Cell> {
        if self.bytes.len() > ARENA_BYTES_MAX {
            return Err(full());
        }
        match (u32::try_from(start), u32::try_from(self.bytes.len() - start)) {
            (Ok(start), Ok(len)) => Ok(Cell { start, len }),
            _ => Err(full()),
        }
    }

    /// Adds [`Change::Insert`].
    pub fn insert(&mut self, table: &Arc<Table>, new: RowId) {
        self.push(Op::Insert, table, NO_ROW, new);
    }

    /// Adds [`Change::Update`].
    pub fn update(&mut self, table: &Arc<Table>, old: Option<RowId>, new: RowId) {
        match old {
            Some(old) => self.push(Op::UpdateWithOld, table, old, new),
            None => self.push(Op::Update, table, NO_ROW, new),
        }
    }

    /// Adds [`Change::Delete`].
    pub fn delete(&mut self, table: &Arc<Table>, old: RowId) {
        self.push(Op::Delete, table, old, NO_ROW);
    }

    /// Adds [`Change::Truncate`].
    pub fn truncate(&mut self, table: &Arc<Table>) {
        self.push(Op::Truncate, table, NO_ROW, NO_ROW);
    }

    /// Adds [`Change::Shape`].
    pub fn shape(&mut self, table: &Arc<Table>) {
        self.push(Op::Shape, table, NO_ROW, NO_ROW);
    }

    /// Adds [`Change::Drop`].
    pub fn drop_table(&mut self, table: &Arc<Table>) {
        self.push(Op::Drop, table, NO_ROW, NO_ROW);
    }

    /// Adds [`Change::Stop`].
    ///
    /// # Errors
    /// `Data` where the arena is full.
    pub fn stop_table(&mut self, table: &Arc<Table>, reason: &str) -> Result<()> {
        let row = self.add_row([Value::Text(reason.as_bytes())])?;
        let table = self.intern(table);
        self.push_entry(Op::Stop, table, NO_ROW, row);
        Ok(())
    }

    /// Adds [`Change::CopyStart`].
    pub fn copy_start(&mut self, table: &Arc<Table>) {
        self.push(Op::CopyStart, table, NO_ROW, NO_ROW);
    }

    /// Adds [`Change::Copied`].
    pub fn copied(&mut self, table: &Arc<Table>, new: RowId) {
        self.push(Op::Copied, table, NO_ROW, new);
    }

    /// Adds [`Change::CopyEnd`].
    pub fn copy_end(&mut self, table: &Arc<Table>) {
        self.push(Op::CopyEnd, table, NO_ROW, NO_ROW);
    }

    /// Adds [`Change::Message`].
    ///
    /// # Errors
    /// `Data` where the arena is full.
    pub fn message(&mut self, prefix: &[u8], content: &[u8], transactional: bool) -> Result<()> {
        let row = self.add_row([Value::Text(prefix), Value::Text(content)])?;
        self.push_entry(Op::Message { transactional }, u32::MAX, NO_ROW, row);
        Ok(())
    }

    fn push(&mut self, op: Op, table: &Arc<Table>, old: RowId, new: RowId) {
        for row in [old, new] {
            debug_assert!(
                row.cells == 0 || row.cells as usize == table.columns.len(),
                "a row of another shape"
            );
        }
        let table = self.intern(table);
        self.push_entry(op, table, old, new);
    }

    /// # Panics
    /// When no transaction was named before: an event without one has no id.
    fn push_entry(&mut self, op: Op, table: u32, old: RowId, new: RowId) {
        assert!(!self.transactions.is_empty(), "an event outside a transaction");
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a batch is bounded in bytes far below u32::MAX entries"
        )]
        let transaction = (self.transactions.len() - 1) as u32;
        let (ordinal, log_offset, log_row) = (self.next_ordinal, self.log_offset, self.log_row);
        self.entries.push(Entry { op, table, transaction, ordinal, old, new, log_offset, log_row });
        self.next_ordinal += match op {
            Op::Insert | Op::Update | Op::UpdateWithOld | Op::Delete => 1,
            Op::Truncate | Op::Copied | Op::Message { .. } => 1,
            Op::Shape | Op::Drop | Op::Stop | Op::Statement { .. } | Op::CopyStart | Op::CopyEnd => 0,
        };
    }

    fn intern(&mut self, table: &Arc<Table>) -> u32 {
        if self.tables.get(self.last_table as usize).is_some_and(|last| Arc::ptr_eq(last, table)) {
            return self.last_table;
        }
        let address = Arc::as_ptr(table) as usize;
        self.last_table = match self.table_index.get(&address) {
            Some(&index) => index,
            None => {
                #[allow(clippy::cast_possible_truncation, reason = "no server has 2^32 tables in one batch")]
                let index = self.tables.len() as u32;
                self.tables.push(Arc::clone(table));
                self.table_index.insert(address, index);
                index
            }
        };
        self.last_table
    }

    /// The events, in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> + Clone {
        (0..self.entries.len()).map(|index| self.event(index))
    }

    /// Ordinal that the next counted event of the current transaction will have; 0 before any transaction.
    #[must_use]
    pub fn next_ordinal(&self) -> u64 {
        self.transactions.last().map_or(0, |last| last.first_ordinal + u64::from(self.next_ordinal))
    }

    /// The commit time of the newest transaction in the batch, µs since 1970.
    #[must_use]
    pub fn commit_time_us(&self) -> Option<i64> {
        self.transactions.last().map(|transaction| transaction.commit_time_us)
    }

    #[allow(
        clippy::indexing_slicing,
        reason = "the indexes were made by the verbs above, from these same vectors"
    )]
    fn event(&self, index: usize) -> Event<'_> {
        let entry = &self.entries[index];
        let transaction = &self.transactions[entry.transaction as usize];
        let table = || &self.tables[entry.table as usize];
        let (old, new) = (self.row(entry.old), self.row(entry.new));
        let change = match entry.op {
            Op::Insert => Change::Insert { table: table(), new },
            Op::Update => Change::Update { table: table(), old: None, new },
            Op::UpdateWithOld => Change::Update { table: table(), old: Some(old), new },
            Op::Delete => Change::Delete { table: table(), old },
            Op::Truncate => Change::Truncate { table: table() },
            Op::Shape => Change::Shape { table: table() },
            Op::Drop => Change::Drop { table: table() },
            Op::Stop => Change::Stop { table: table(), reason: span(&self.bytes, new.cells[0]) },
            Op::CopyStart => Change::CopyStart { table: table() },
            Op::Copied => Change::Copied { table: table(), new },
            Op::CopyEnd => Change::CopyEnd { table: table() },
            Op::Message { transactional } => Change::Message {
                prefix: span(&self.bytes, new.cells[0]),
                content: span(&self.bytes, new.cells[1]),
                transactional,
            },
            Op::Statement { verb, copied } => {
                Change::Statement(statement::told(new, verb.map(|verb| (verb, table())), copied))
            }
        };
        let ordinal = transaction.first_ordinal + u64::from(entry.ordinal);
        let transaction = transaction.told(&self.bytes);
        Event { change, transaction, ordinal, log_offset: entry.log_offset, log_row: entry.log_row }
    }

    #[allow(clippy::indexing_slicing, reason = "a RowId is made by add_row from this batch")]
    fn row(&self, row: RowId) -> Row<'_> {
        let first = row.first as usize;
        Row { cells: &self.cells[first..first + row.cells as usize], bytes: &self.bytes }
    }
}

impl<'a> Row<'a> {
    /// The value of column `index`; `Unsent` beyond the last column.
    #[must_use]
    pub fn get(&self, index: usize) -> Value<'a> {
        self.cells.get(index).map_or(Value::Unsent, |&cell| value(self.bytes, cell))
    }

    /// The values, in column order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value<'a>> + Clone + use<'a> {
        let bytes = self.bytes;
        self.cells.iter().map(move |&cell| value(bytes, cell))
    }
}

#[inline]
fn value(bytes: &[u8], cell: Cell) -> Value<'_> {
    match cell.len {
        NULL => Value::Null,
        UNSENT => Value::Unsent,
        _ => Value::Text(span(bytes, cell)),
    }
}

#[inline]
#[allow(clippy::indexing_slicing, reason = "a cell is made from the arena it points into")]
fn span(bytes: &[u8], cell: Cell) -> &[u8] {
    let start = cell.start as usize;
    &bytes[start..start + cell.len as usize]
}

fn full() -> Error {
    Error::data("TW-CORE-001", "a batch would exceed 4 GiB: one row is too large to be carried")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Declared, Fill, Type};

    fn table() -> Arc<Table> {
        let column = |id, name: &str| Column {
            id,
            name: name.into(),
            kind: Type::Text,
            source_type: "text".into(),
            type_id: 25,
            fill: Fill::Null,
            declared: Declared::default(),
        };
        let columns = vec![column(1, "id"), column(2, "note")];
        Arc::new(Table {
            id: 1,
            schema: "public".into(),
            name: "t".into(),
            columns,
            key: vec![0],
            declared_key: Vec::new(),
            streamed_from_birth: true,
        })
    }

    fn render(batch: &Batch) -> String {
        batch
            .events()
            .map(|event| format!("{} {} {:?}\n", event.transaction.id, event.ordinal, event.change))
            .collect()
    }

    #[test]
    fn a_sealed_batch_is_full_only_with_something_to_write() {
        let mut batch = Batch { sealed: true, bytes_max: 1, ..Batch::default() };
        batch.transaction(format_args!("0/1"), 5, 7, 0).unwrap();
        assert!(batch.is_empty() && !batch.is_full());
        batch.truncate(&table());
        assert!(!batch.is_empty() && batch.is_full());
    }

    #[test]
    fn keeps_null_unsent_and_empty_apart() {
        let (mut batch, table) = (Batch::default(), table());
        batch.transaction(format_args!("0/{}", 1), 5, 7, 3).unwrap();
        let row = batch.add_row([Value::Text(b""), Value::Null]).unwrap();
        batch.insert(&table, row);
        let row = batch.add_row([Value::Text(b"1"), Value::Unsent]).unwrap();
        batch.update(&table, None, row);
        let events: Vec<_> = batch.events().collect();
        let Change::Insert { new, .. } = events[0].change else { panic!("{}", render(&batch)) };
        assert_eq!(new.values().collect::<Vec<_>>(), [Value::Text(b""), Value::Null]);
        let Change::Update { old: None, new, .. } = events[1].change else { panic!("{}", render(&batch)) };
        assert_eq!(new.get(1), Value::Unsent);
        assert_eq!((events[1].ordinal, events[1].transaction.id, events[1].transaction.xid), (4, "0/1", 7));
    }

    #[test]
    fn is_empty_only_without_events_and_without_progress() {
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        batch.to.stream.push('1');
        assert!(!batch.is_empty());
        let to = batch.to.clone();
        batch.reset(&to, 1);
        assert!(batch.is_empty() && !batch.is_full());
    }

    #[test]
    fn adopts_events_and_keeps_positions() {
        let (mut batch, mut worker, table) = (Batch::default(), Batch::default(), table());
        batch.to.stream.push('9');
        worker.transaction(format_args!("0/1"), 0, 0, 0).unwrap();
        let row = worker.add_row([Value::Null, Value::Null]).unwrap();
        worker.copied(&table, row);
        batch.adopt(&mut worker);
        assert_eq!((batch.len(), worker.len(), batch.to.stream.as_str()), (1, 0, "9"));
    }
}
