//! Folds a run of changes to one table until every row is touched at most once: with a key, at most one delete and one
//! append per key; without one, a count per content. Pure; [`apply`](crate::apply) writes what comes out.

use tailwater_core::{Change, Error, Result, Row, Table, Value};

use crate::keys::Keys;

/// A row, or what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Image<'a> {
    /// No row has this key (any more).
    Gone,
    /// The row that the target held before the run.
    Stored,
    /// All its values are in the batch, in one row.
    Whole(Row<'a>),
    /// Its values start at `first` of [`Fold::merged`]; unsent ones are those of the row that the target held
    /// under the key with the number `origin` before the run.
    Merged { first: usize, origin: Option<usize> },
}

/// A folded run of a table with a key. Keys go by their numbers in `keys`.
#[derive(Debug)]
pub(crate) struct Fold<'a, 'k> {
    keys: &'k mut Keys,
    table: &'a Table,
    slots: Vec<Slot<'a>>,
    merged: Vec<Value<'a>>,
}

/// What the run does to one key.
#[derive(Debug, Clone, Copy)]
struct Slot<'a> {
    /// The target may hold a row under this key, from before the run.
    stored: bool,
    image: Image<'a>,
}

impl<'a, 'k> Fold<'a, 'k> {
    /// Folds `changes`, which are inserts, updates and deletes of rows of `table`.
    ///
    /// # Errors
    /// `Data` where the changes contradict each other or lack their key.
    pub(crate) fn new(table: &'a Table, changes: &[Change<'a>], keys: &'k mut Keys) -> Result<Self> {
        keys.clear();
        let mut fold = Self { keys, table, slots: Vec::with_capacity(changes.len()), merged: Vec::new() };
        for &change in changes {
            fold.add(change)?;
        }
        Ok(fold)
    }

    /// Keys whose rows must go from the target.
    pub(crate) fn deleted(&self) -> Vec<usize> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.stored).map(|(number, _)| number).collect()
    }

    /// Rows to append, in the order in which their keys first appeared.
    pub(crate) fn appended(&self) -> Vec<Image<'a>> {
        self.slots.iter().map(|slot| slot.image).filter(|&image| is_whole(image)).collect()
    }

    /// Rows to append that take their unsent values from the target, with the key they are under there.
    pub(crate) fn patched(&self) -> Vec<(Image<'a>, usize)> {
        let patched = |slot: &Slot<'a>| match slot.image {
            Image::Merged { origin: Some(origin), .. } => Some((slot.image, origin)),
            Image::Merged { origin: None, .. } | Image::Gone | Image::Stored | Image::Whole(_) => None,
        };
        self.slots.iter().filter_map(patched).collect()
    }

    /// A value of a row to append.
    pub(crate) fn value(&self, image: Image<'a>, column: usize) -> Value<'a> {
        match image {
            Image::Whole(row) => row.get(column),
            Image::Merged { first, .. } => self.merged.get(first + column).copied().unwrap_or(Value::Unsent),
            Image::Gone | Image::Stored => Value::Unsent,
        }
    }

    /// Part `index` of a key.
    pub(crate) fn key_value(&self, number: usize, index: usize) -> Value<'_> {
        self.keys.value(number, index)
    }

    fn add(&mut self, change: Change<'a>) -> Result<()> {
        match change {
            Change::Insert { new, .. } | Change::Copied { new, .. } => {
                let to = self.slot(new, None, Image::Gone)?;
                if new.values().any(|value| value == Value::Unsent) {
                    return Err(row_missing(self.table));
                }
                self.put(to, Image::Whole(new))
            }
            Change::Delete { old, .. } => {
                let from = self.slot(old, None, Image::Stored)?;
                self.set(from, Image::Gone);
                Ok(())
            }
            Change::Update { old, new, .. } => self.update(old, new),
            Change::Truncate { .. }
            | Change::Shape { .. }
            | Change::Drop { .. }
            | Change::Stop { .. }
            | Change::CopyStart { .. }
            | Change::CopyEnd { .. }
            | Change::Message { .. }
            | Change::Statement(_) => Ok(()),
        }
    }

    fn update(&mut self, old: Option<Row<'a>>, new: Row<'a>) -> Result<()> {
        let from = self.slot(old.unwrap_or(new), None, Image::Stored)?;
        let whole = new.values().all(|value| value != Value::Unsent);
        let image = if whole { Image::Whole(new) } else { self.merge(from, old, new)? };
        self.set(from, Image::Gone);
        let to = if old.is_some() { self.slot(new, old, Image::Gone)? } else { from };
        self.put(to, image)
    }

    /// The row `new` with its unsent values from `old`, else from the row's image before.
    fn merge(&mut self, from: usize, old: Option<Row<'a>>, new: Row<'a>) -> Result<Image<'a>> {
        let before = self.slots.get(from).map_or(Image::Gone, |slot| slot.image);
        let first = self.merged.len();
        let mut missing = false;
        for column in 0..self.table.columns.len() {
            let value = [full_value(new, old, column), self.value(before, column)]
                .into_iter()
                .find(|&value| value != Value::Unsent)
                .unwrap_or(Value::Unsent);
            missing |= value == Value::Unsent;
            self.merged.push(value);
        }
        let origin = match (missing, before) {
            (false, _) => None,
            (true, Image::Stored) => Some(from),
            (true, Image::Merged { origin: Some(origin), .. }) => Some(origin),
            (true, Image::Merged { origin: None, .. } | Image::Gone | Image::Whole(_)) => {
                return Err(row_missing(self.table));
            }
        };
        Ok(Image::Merged { first, origin })
    }

    /// Sets the image of a key that no other row may have at this moment.
    fn put(&mut self, slot: usize, image: Image<'a>) -> Result<()> {
        match self.slots.get(slot).map(|slot| slot.image) {
            Some(Image::Gone) => {
                self.set(slot, image);
                Ok(())
            }
            Some(Image::Stored | Image::Whole(_) | Image::Merged { .. }) | None => {
                let name = self.table.full_name();
                Err(Error::data("TW-DUCK-021", format!("two rows of {name} have the same key at one moment"))
                    .remedy("give the table a key that is not DEFERRABLE"))
            }
        }
    }

    fn set(&mut self, slot: usize, image: Image<'a>) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.image = image;
        }
    }

    /// The slot of the key of `row`, with what it lacks from `other`; a key not seen before starts as `first`.
    fn slot(&mut self, row: Row<'a>, other: Option<Row<'a>>, first: Image<'a>) -> Result<usize> {
        let values = self.table.key.iter().map(|&column| full_value(row, other, column));
        let number = self.keys.number(values).ok_or_else(|| {
            let name = self.table.full_name();
            Error::data("TW-DUCK-020", format!("a change to {name} lacks a value of its key"))
        })?;
        if number == self.slots.len() {
            self.slots.push(Slot { stored: matches!(first, Image::Stored), image: first });
        }
        Ok(number)
    }
}

/// A folded run of a table without a key: how many rows of each content come and go.
#[derive(Debug)]
pub(crate) struct Bag<'a> {
    contents: Vec<Content<'a>>,
}

/// One content, and by how many rows it grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    row: Row<'a>,
    /// Has the values that `row` leaves unsent.
    old: Option<Row<'a>>,
    pub(crate) growth: i64,
}

impl<'a> Content<'a> {
    pub(crate) fn value(&self, column: usize) -> Value<'a> {
        full_value(self.row, self.old, column)
    }
}

impl<'a> Bag<'a> {
    /// Counts `changes`, which are inserts, updates and deletes of rows of `table`.
    ///
    /// # Errors
    /// `Operator` where an old row is not sent whole.
    pub(crate) fn new(table: &Table, changes: &[Change<'a>], keys: &mut Keys) -> Result<Self> {
        keys.clear();
        let mut bag = Self { contents: Vec::with_capacity(changes.len()) };
        let whole = |old: Option<Row<'a>>| old.ok_or_else(|| no_identity(table));
        for &change in changes {
            match change {
                Change::Insert { new, .. } | Change::Copied { new, .. } => {
                    bag.add(table, keys, (new, None), 1)?
                }
                Change::Delete { old, .. } => bag.add(table, keys, (old, None), -1)?,
                Change::Update { old, new, .. } => {
                    let old = whole(old)?;
                    bag.add(table, keys, (old, None), -1)?;
                    bag.add(table, keys, (new, Some(old)), 1)?;
                }
                Change::Truncate { .. }
                | Change::Shape { .. }
                | Change::Drop { .. }
                | Change::Stop { .. }
                | Change::CopyStart { .. }
                | Change::CopyEnd { .. }
                | Change::Message { .. }
                | Change::Statement(_) => {}
            }
        }
        Ok(bag)
    }

    /// Contents of which rows must go from the target.
    pub(crate) fn shrunk(&self) -> Vec<Content<'a>> {
        self.contents.iter().filter(|content| content.growth < 0).copied().collect()
    }

    /// Rows to append, each as often as it is to be.
    pub(crate) fn grown(&self) -> Vec<Content<'a>> {
        let times = |content: &Content<'a>| usize::try_from(content.growth).unwrap_or(0);
        self.contents.iter().flat_map(|content| std::iter::repeat_n(*content, times(content))).collect()
    }

    fn add(
        &mut self,
        table: &Table,
        keys: &mut Keys,
        (row, old): (Row<'a>, Option<Row<'a>>),
        growth: i64,
    ) -> Result<()> {
        let values = (0..table.columns.len()).map(|column| full_value(row, old, column));
        let number = keys.number(values).ok_or_else(|| no_identity(table))?;
        match self.contents.get_mut(number) {
            Some(content) => content.growth += growth,
            None => self.contents.push(Content { row, old, growth }),
        }
        Ok(())
    }
}

/// The value in `row`, or where that is not sent, in `other`.
fn full_value<'a>(row: Row<'a>, other: Option<Row<'a>>, column: usize) -> Value<'a> {
    match (row.get(column), other) {
        (Value::Unsent, Some(other)) => other.get(column),
        (value, _) => value,
    }
}

fn is_whole(image: Image<'_>) -> bool {
    match image {
        Image::Whole(_) => true,
        Image::Merged { origin, .. } => origin.is_none(),
        Image::Gone | Image::Stored => false,
    }
}

/// An update needs values of a row that is not there.
pub(crate) fn row_missing(table: &Table) -> Error {
    let name = table.full_name();
    Error::data(
        "TW-DUCK-022",
        format!("a change to {name} leaves values unsent, and there is no such row in the target"),
    )
    .remedy(format!("{name} was changed in the target by somebody else: copy everything into a new file"))
}

/// A row to update or delete cannot be located.
fn no_identity(table: &Table) -> Error {
    let name = table.full_name();
    Error::operator("TW-DUCK-026", format!("an update or delete of {name} does not say which row: it has no key"))
        .remedy(format!(
            "ALTER TABLE {name} REPLICA IDENTITY FULL, or give it a primary key; then copy everything into a new file"
        ))
}
