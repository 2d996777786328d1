//! The contract of [`Sink`]. A target is made for each case; the case writes batches as a source would, reopens,
//! and compares what a reader of the target sees. The cases themselves are in `cases`.
//!
//! They use integers and text only: which types a sink keeps, and how, is its own matter.

mod cases;

use std::sync::Arc;

use tailwater_core::{Batch, Column, CopyProgress, Declared, Fill, Position, Sink, Table, Type, Value};

/// A row as a reader sees it: `None` is NULL.
pub type Row = Vec<Option<String>>;

/// A place that a sink writes to.
pub trait Target {
    /// The sink that is judged.
    type Sink: Sink;

    /// Another sink of the same configuration, not opened yet.
    fn sink(&self) -> Self::Sink;

    /// The rows of a table that a reader sees, in any order; none where there is no such table. `open` is the sink
    /// that has the target open, if one has.
    fn rows(&self, open: Option<&Self::Sink>, table: &Table) -> Vec<Row>;
}

/// Runs `target()` through one case of the contract.
pub type Case<T> = fn(Session<T>);

/// Runs every case, and says which ones fail.
///
/// # Panics
/// Where one fails.
pub fn contract<T: Target + 'static>(target: impl Fn() -> T) {
    let mut failed = Vec::new();
    for (name, case) in cases::all::<T>() {
        let session = Session::new(target());
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(session))).is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{} cases fail: {failed:#?}", failed.len());
}

/// A source that writes to a target, transaction by transaction.
pub struct Session<T: Target> {
    target: T,
    sink: Option<T::Sink>,
    /// Where the last batch ended.
    end: Position,
    transactions: u64,
}

impl<T: Target> Session<T> {
    fn new(target: T) -> Self {
        let mut session = Self { target, sink: None, end: Position::default(), transactions: 0 };
        session.open();
        session
    }

    fn open(&mut self) -> Option<Position> {
        let mut sink = self.target.sink();
        let held = sink.open().unwrap();
        self.sink = Some(sink);
        self.end = held.clone().unwrap_or_default();
        held
    }

    fn close(&mut self) {
        self.sink.take().unwrap().close().unwrap();
    }

    fn reopen(&mut self) -> Option<Position> {
        self.close();
        self.open()
    }

    /// Writes a batch that ends at `to`.
    fn write(&mut self, to: Position, fill: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::default();
        batch.reset(&self.end, 1 << 20);
        fill(&mut batch);
        batch.to = to;
        self.sink.as_mut().unwrap().write(&batch).unwrap();
        self.end = batch.to;
    }

    /// Writes a whole transaction.
    fn transaction(&mut self, changes: &[Do<'_>]) {
        self.transactions += 1;
        let number = self.transactions;
        self.write(at(number, 0), |batch| {
            begin(batch, number, 0);
            changes.iter().for_each(|change| change.add(batch));
        });
    }

    /// Writes a transaction in pieces: a batch for each. The last one completes it unless `half`.
    fn pieces(&mut self, pieces: &[&[Do<'_>]], half: bool) {
        let before = self.transactions;
        let (mut covered, mut ordinal) = (0, 0);
        for (index, changes) in pieces.iter().enumerate() {
            let last = index + 1 == pieces.len() && !half;
            let first = ordinal;
            covered += changes.len() as u64;
            ordinal += changes.iter().filter(|change| change.has_ordinal()).count() as u64;
            let to = if last { at(before + 1, 0) } else { at(before, covered) };
            self.write(to, |batch| {
                if !changes.is_empty() {
                    begin(batch, before + 1, first);
                }
                changes.iter().for_each(|change| change.add(batch));
            });
        }
        self.transactions += u64::from(!half);
    }

    /// What a reader sees, now and after the sink is opened again.
    #[track_caller]
    fn check(&mut self, table: &Table, expected: &[&[&str]]) {
        self.check_now(table, expected);
        let end = self.end.clone();
        assert_eq!(self.reopen(), Some(end), "the position after reopening");
        self.check_now(table, expected);
    }

    #[track_caller]
    fn check_now(&self, table: &Table, expected: &[&[&str]]) {
        let mut found = self.target.rows(self.sink.as_ref(), table);
        let text = |cell: &&str| (*cell != "NULL").then(|| (*cell).to_owned());
        let mut expected: Vec<Row> = expected.iter().map(|row| row.iter().map(text).collect()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "the rows of {}", table.full_name());
    }
}

fn begin(batch: &mut Batch, number: u64, first_ordinal: u64) {
    let time = 1_700_000_000_000_000 + i64::try_from(number).unwrap();
    batch.transaction(format_args!("{number:08}"), time, 700 + number, first_ordinal).unwrap();
}

/// The end of transaction `number`, or the middle of the one after it.
fn at(number: u64, event: u64) -> Position {
    Position { source: "contract".into(), stream: format!("{number:08}"), event, ..Position::default() }
}

/// While the copy of `table` is under way.
fn copying(table: &Table, rows: u64, done: bool) -> Position {
    let progress = CopyProgress { rows, done, ..CopyProgress::default() };
    Position {
        source: "contract".into(),
        copies: [(table.full_name(), progress)].into(),
        ..Position::default()
    }
}

/// A change in short. In a row `NULL` is NULL and `~` was not sent.
#[derive(Clone, Copy)]
enum Do<'a> {
    Insert(&'a Arc<Table>, &'a [&'a str]),
    Update(&'a Arc<Table>, &'a [&'a str]),
    /// With the old key, or the whole old row.
    UpdateFrom(&'a Arc<Table>, &'a [&'a str], &'a [&'a str]),
    Delete(&'a Arc<Table>, &'a [&'a str]),
    Truncate(&'a Arc<Table>),
    Shape(&'a Arc<Table>),
    Drop(&'a Arc<Table>),
    CopyStart(&'a Arc<Table>),
    Copied(&'a Arc<Table>, &'a [&'a str]),
    CopyEnd(&'a Arc<Table>),
    Message,
}

use Do::{Copied, CopyEnd, CopyStart, Delete, Drop, Insert, Message, Shape, Truncate, Update, UpdateFrom};

impl Do<'_> {
    /// Whether it is counted inside its transaction: what a restart may add is not.
    fn has_ordinal(&self) -> bool {
        match self {
            Insert(..) | Update(..) | UpdateFrom(..) | Delete(..) | Truncate(_) | Copied(..) | Message => {
                true
            }
            Shape(_) | Drop(_) | CopyStart(_) | CopyEnd(_) => false,
        }
    }

    fn add(&self, batch: &mut Batch) {
        let row = |batch: &mut Batch, cells: &[&str]| {
            let value = |cell: &&'_ str| match *cell {
                "~" => None,
                text => Some(text.to_owned()),
            };
            let cells: Vec<Option<String>> = cells.iter().map(value).collect();
            let values = cells.iter().map(|cell| match cell.as_deref() {
                None => Value::Unsent,
                Some("NULL") => Value::Null,
                Some(text) => Value::Text(text.as_bytes()),
            });
            batch.add_row(values).unwrap()
        };
        match *self {
            Insert(table, new) => {
                let new = row(batch, new);
                batch.insert(table, new);
            }
            Update(table, new) => {
                let new = row(batch, new);
                batch.update(table, None, new);
            }
            UpdateFrom(table, old, new) => {
                let (old, new) = (row(batch, old), row(batch, new));
                batch.update(table, Some(old), new);
            }
            Delete(table, old) => {
                let old = row(batch, old);
                batch.delete(table, old);
            }
            Copied(table, new) => {
                let new = row(batch, new);
                batch.copied(table, new);
            }
            Truncate(table) => batch.truncate(table),
            Shape(table) => batch.shape(table),
            Drop(table) => batch.drop_table(table),
            CopyStart(table) => batch.copy_start(table),
            CopyEnd(table) => batch.copy_end(table),
            Message => batch.message(b"prefix", b"\x00content\xff", true).unwrap(),
        }
    }
}

/// `table(1, "t", "1 id int, 2 note text", 1)`: the last number says how many columns are the key.
fn table(id: u64, name: &str, columns: &str, key: usize) -> Arc<Table> {
    let columns = columns.split(", ").map(|text| {
        let words: Vec<&str> = text.split(' ').collect();
        column(words[0].parse().unwrap(), words[1], words[2])
    });
    let (schema, columns) = ("public".into(), columns.collect());
    Arc::new(Table {
        id,
        schema,
        name: name.into(),
        columns,
        key: (0..key).collect(),
        declared_key: Vec::new(),
        streamed_from_birth: true,
    })
}

fn column(id: u32, name: &str, kind: &str) -> Column {
    let (kind, source_type) = match kind {
        "int" => (Type::Int4, "integer"),
        "bigint" => (Type::Int8, "bigint"),
        _ => (Type::Text, "text"),
    };
    Column {
        id,
        name: name.into(),
        kind,
        source_type: source_type.into(),
        type_id: 0,
        fill: Fill::Null,
        declared: Declared::default(),
    }
}

/// What most cases use.
fn notes() -> Arc<Table> {
    table(16384, "notes", "1 id int, 2 note text, 3 long text", 1)
}

/// The table with a change to its shape.
fn altered(table: &Arc<Table>, alter: impl FnOnce(&mut Table)) -> Arc<Table> {
    let mut table = Table::clone(table);
    alter(&mut table);
    Arc::new(table)
}
