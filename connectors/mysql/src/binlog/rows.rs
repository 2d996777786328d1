//! Walks the images of a rows event and writes their values straight into a batch. `event` says which columns are
//! there, `plan` what they are, `value` how they are written.

use tailwater_core::{Batch, Result, RowId, RowWriter};

use super::event::{Rows, RowsKind};
use super::plan::{Form, Frame, Plan, Planned};
use super::{json_diff, value};
use crate::error::malformed;

/// What happened to one row. A value that an image lacks is [`Unsent`](tailwater_core::Value::Unsent).
#[derive(Debug, Clone, Copy)]
pub enum RowChange {
    /// It is new.
    Insert(RowId),
    /// It changed from the one to the other. What the new image lacks is unchanged, and taken over from the old one.
    Update {
        /// What it was.
        old: RowId,
        /// What it is.
        new: RowId,
    },
    /// It is gone.
    Delete(RowId),
}

/// The images of a rows event that are still to be read.
#[derive(Debug)]
pub struct Images<'a> {
    plan: &'a Plan,
    kind: RowsKind,
    first_present: Present<'a>,
    second_present: Present<'a>,
    rest: &'a [u8],
    /// Of the image before, of a partial update: the documents of its JSON columns, in their order.
    documents: Vec<Option<&'a [u8]>>,
}

/// Which columns an image has.
#[derive(Debug, Clone, Copy)]
struct Present<'a> {
    bitmap: &'a [u8],
    /// Columns that are there.
    count: usize,
}

/// What stands before the values of the image after of a partial update.
struct Partial<'a> {
    before: RowId,
    /// One bit per JSON column of the table, whether it is in the image or not: what stands there is a diff.
    diffs: Option<&'a [u8]>,
}

impl<'a> Images<'a> {
    /// The images of `rows`, whose bytes are `images`: its own, or what they were inflated to.
    ///
    /// # Errors
    /// `Data` where the event has another number of columns than the plan.
    pub fn new(rows: &Rows<'a>, plan: &'a Plan, images: &'a [u8]) -> Result<Self> {
        let columns = plan.columns.len();
        if rows.columns != columns {
            return Err(malformed(format!("rows of {} columns for a table of {columns}", rows.columns)));
        }
        let first_present = Present::new(rows.first_present, columns)?;
        let second_present = Present::new(rows.second_present, columns)?;
        Ok(Self { plan, kind: rows.kind, first_present, second_present, rest: images, documents: Vec::new() })
    }

    /// Writes the rows of the next change into `batch`; `None` after the last.
    ///
    /// # Errors
    /// `Data` for bytes that are not images of the plan, naming the column.
    pub fn next(&mut self, batch: &mut Batch) -> Result<Option<RowChange>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let before = self.rest;
        let change = match self.kind {
            RowsKind::Write => RowChange::Insert(self.image(self.first_present, None, batch)?),
            RowsKind::Delete => RowChange::Delete(self.image(self.first_present, None, batch)?),
            RowsKind::Update | RowsKind::PartialUpdate => {
                let old = self.image(self.first_present, None, batch)?;
                let diffs = if self.kind == RowsKind::PartialUpdate { self.diffs()? } else { None };
                let partial = Partial { before: old, diffs };
                RowChange::Update { old, new: self.image(self.second_present, Some(partial), batch)? }
            }
        };
        if self.rest.len() == before.len() {
            return Err(malformed("a row image of no bytes with more bytes behind it"));
        }
        Ok(Some(change))
    }

    /// The options before the image after: 1 says that diffs are in it, and a bit for each JSON column, which.
    fn diffs(&mut self) -> Result<Option<&'a [u8]>> {
        let (options, rest) =
            json_diff::length(self.rest).ok_or_else(|| malformed("a partial update without its options"))?;
        self.rest = rest;
        match options {
            0 => Ok(None),
            1 => {
                let documents = self.plan.columns.iter().filter(|column| column.form == Form::Json).count();
                self.take(documents.div_ceil(8)).map(Some)
            }
            other => Err(malformed(format!("a partial update with the options {other}"))),
        }
    }

    /// Writes one image. `after` is given for the second one of an update.
    fn image(
        &mut self,
        present: Present<'a>,
        after: Option<Partial<'a>>,
        batch: &mut Batch,
    ) -> Result<RowId> {
        let plan = self.plan;
        let nulls = self.take(present.count.div_ceil(8))?;
        let keep = self.kind == RowsKind::PartialUpdate && after.is_none();
        if keep {
            self.documents.clear();
        }
        let mut row = batch.row_writer();
        let (mut sent, mut document) = (0, 0);
        for (index, column) in plan.columns.iter().enumerate() {
            let is_json = column.form == Form::Json;
            let mut bytes = None;
            if !present.has(index) {
                match &after {
                    Some(after) => row.repeat(after.before, index),
                    None => row.unsent(),
                }
            } else if bit(nulls, sent) {
                row.null();
                sent += 1;
            } else {
                sent += 1;
                let taken = self.bytes(column)?;
                bytes = Some(taken);
                let diffs = after.as_ref().and_then(|after| after.diffs);
                if is_json && diffs.is_some_and(|diffs| bit(diffs, document)) {
                    let before = self.documents.get(document).copied().flatten();
                    write_diff(column, before, taken, &mut row)?;
                } else {
                    row.text(|out| value::write(&column.form, taken, out))
                        .map_err(|error| error.doing(format!("read column {}", column.name)))?;
                }
            }
            if is_json {
                document += 1;
                if keep {
                    self.documents.push(bytes);
                }
            }
        }
        row.finish()
    }

    /// The bytes of the next value.
    #[inline]
    fn bytes(&mut self, column: &Planned) -> Result<&'a [u8]> {
        let count = match column.frame {
            Frame::Fixed(count) => Some(count),
            Frame::Prefixed(width) => match self.rest.split_at_checked(width) {
                Some((length, rest)) => {
                    self.rest = rest;
                    usize::try_from(value::little_endian(length)?).ok()
                }
                None => None,
            },
        };
        match count.and_then(|count| self.rest.split_at_checked(count)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(malformed(format!("a row image that ends within column {}", column.name))),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((bytes, rest)) = self.rest.split_at_checked(count) else {
            return Err(malformed("a row image that ends before its values"));
        };
        self.rest = rest;
        Ok(bytes)
    }
}

/// Without the document before, nobody can tell what it is now.
fn write_diff(column: &Planned, before: Option<&[u8]>, diffs: &[u8], row: &mut RowWriter<'_>) -> Result<()> {
    match before {
        Some(before) => row
            .text(|out| json_diff::write(before, diffs, out))
            .map_err(|error| error.doing(format!("change column {}", column.name))),
        None => {
            row.unsent();
            Ok(())
        }
    }
}

impl<'a> Present<'a> {
    fn new(bitmap: &'a [u8], columns: usize) -> Result<Self> {
        if bitmap.len() != columns.div_ceil(8) {
            return Err(malformed(format!(
                "{} bytes that say which of {columns} columns are there",
                bitmap.len()
            )));
        }
        let count = (0..columns).filter(|&index| bit(bitmap, index)).count();
        Ok(Self { bitmap, count })
    }

    #[inline]
    fn has(self, index: usize) -> bool {
        bit(self.bitmap, index)
    }
}

#[inline]
fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

#[cfg(test)]
mod tests;
