//! What a batch holds of statements: their words are values of a row that has no table.

use std::sync::Arc;

use super::{Batch, NO_ROW, Op, Row, Value, span};
use crate::{Result, Statement, Table, Verb};

impl Batch {
    /// Adds [`Change::Statement`](crate::Change::Statement).
    ///
    /// # Errors
    /// `Data` where the arena is full.
    pub fn statement(&mut self, statement: &Statement<'_>) -> Result<()> {
        let Statement { database, text, charset, copied, .. } = *statement;
        let words = self.add_row([database, text, charset].map(Value::Text))?;
        let verb = statement.table.map(|(verb, _)| verb);
        let table = statement.table.map_or(u32::MAX, |(_, table)| self.intern(table));
        self.push_entry(Op::Statement { verb, copied }, table, NO_ROW, words);
        Ok(())
    }
}

/// The same, read.
#[allow(clippy::indexing_slicing, reason = "the cells are those that `statement` added")]
pub(super) fn told<'a>(words: Row<'a>, table: Option<(Verb, &'a Arc<Table>)>, copied: bool) -> Statement<'a> {
    let word = |index: usize| span(words.bytes, words.cells[index]);
    Statement { database: word(0), text: word(1), charset: word(2), table, copied }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;

    #[test]
    fn words_come_back_and_are_not_counted() {
        let mut batch = Batch::default();
        batch.transaction(format_args!("1"), 0, 0, 0).unwrap();
        let (database, text, charset) =
            (b"shop".as_slice(), b"DROP DATABASE shop".as_slice(), b"".as_slice());
        batch.statement(&Statement { database, text, table: None, charset, copied: false }).unwrap();
        let table = Table {
            id: 1,
            schema: "shop".into(),
            name: "t".into(),
            columns: Vec::new(),
            key: Vec::new(),
            declared_key: Vec::new(),
            streamed_from_birth: false,
        };
        let (table, text) = (Arc::new(table), b"DROP TABLE t".as_slice());
        let about = Some((Verb::Drop, &table));
        batch
            .statement(&Statement { database, text, table: about, charset: b"latin1", copied: true })
            .unwrap();
        assert_eq!(batch.next_ordinal(), 0);
        let told: Vec<Statement<'_>> = batch
            .events()
            .filter_map(
                |event| if let Change::Statement(statement) = event.change { Some(statement) } else { None },
            )
            .collect();
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].database, told[0].text), (database, b"DROP DATABASE shop".as_slice()));
        assert!(told[0].table.is_none() && !told[0].copied);
        assert_eq!((told[1].text, told[1].charset, told[1].copied), (text, b"latin1".as_slice(), true));
        let (verb, found) = told[1].table.unwrap();
        assert_eq!((verb, found), (Verb::Drop, &table));
    }
}
