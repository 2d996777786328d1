//! A row written value by value straight into a batch's arena: for sources that make the text themselves. Sources that
//! have it already use [`Batch::add_row`].

use super::{Batch, Cell, NULL, RowId, UNSENT, Value, full};
use crate::Result;

/// A row being written. Dropped unfinished it leaves nothing but unused memory behind.
#[derive(Debug)]
pub struct RowWriter<'b> {
    batch: &'b mut Batch,
    first: usize,
}

impl Batch {
    /// Begins a row. One value per column of the table that the row is then used with.
    pub fn row_writer(&mut self) -> RowWriter<'_> {
        let first = self.cells.len();
        RowWriter { batch: self, first }
    }

    /// The values of a row that was added to this batch, for its source to look at again.
    pub fn values_of(&self, row: RowId) -> impl ExactSizeIterator<Item = Value<'_>> + Clone {
        self.row(row).values()
    }
}

impl RowWriter<'_> {
    /// Adds [`Value::Unsent`].
    #[inline]
    pub fn unsent(&mut self) {
        self.batch.cells.push(Cell { start: 0, len: UNSENT });
    }

    /// Adds [`Value::Null`].
    #[inline]
    pub fn null(&mut self) {
        self.batch.cells.push(Cell { start: 0, len: NULL });
    }

    /// Adds the text that `write` appends to what it is given. It must do no more than append.
    ///
    /// # Errors
    /// Those of `write`; `Data` where the arena is full.
    #[inline]
    pub fn text(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let start = self.batch.bytes.len();
        write(&mut self.batch.bytes)?;
        debug_assert!(self.batch.bytes.len() >= start, "a value took text of others away");
        let cell = self.batch.cell(start)?;
        self.batch.cells.push(cell);
        Ok(())
    }

    /// Adds the value that `row` of the same batch has in that column, without another copy of its text.
    #[inline]
    pub fn repeat(&mut self, row: RowId, index: usize) {
        let cell =
            (index < row.cells as usize).then(|| self.batch.cells.get(row.first as usize + index)).flatten();
        let cell = cell.copied().unwrap_or(Cell { start: 0, len: UNSENT });
        self.batch.cells.push(cell);
    }

    /// Ends the row.
    ///
    /// # Errors
    /// `Data` where the batch is full.
    pub fn finish(self) -> Result<RowId> {
        match (u32::try_from(self.first), u32::try_from(self.batch.cells.len() - self.first)) {
            (Ok(first), Ok(cells)) => Ok(RowId { first, cells }),
            _ => Err(full()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Batch, Error, Value};

    #[test]
    fn writes_what_add_row_copies() {
        let mut batch = Batch::default();
        let mut row = batch.row_writer();
        row.text(|out| {
            out.extend_from_slice(b"12");
            Ok(())
        })
        .unwrap();
        row.null();
        row.unsent();
        row.text(|_| Ok(())).unwrap();
        let written = row.finish().unwrap();
        let values = [Value::Text(b"12"), Value::Null, Value::Unsent, Value::Text(b"")];
        let mut row = batch.row_writer();
        (0..5).for_each(|index| row.repeat(written, index));
        let repeated = row.finish().unwrap();
        let copied = batch.add_row(values).unwrap();
        assert_eq!(batch.row(written).values().collect::<Vec<_>>(), values);
        assert_eq!(batch.row(copied).values().collect::<Vec<_>>(), values);
        let beyond = [&values[..], &[Value::Unsent]].concat();
        assert_eq!(batch.row(repeated).values().collect::<Vec<_>>(), beyond);
    }

    #[test]
    fn hands_on_the_error_of_a_value() {
        let mut batch = Batch::default();
        let mut row = batch.row_writer();
        let error = row.text(|_| Err(Error::data("TW-CORE-001", "no"))).unwrap_err();
        assert_eq!(error.message(), "no");
        let empty = batch.row_writer().finish().unwrap();
        assert_eq!(batch.row(empty).values().count(), 0);
    }
}
