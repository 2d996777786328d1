//! Statements in their own words, where they are asked for: what is told of one goes out with its transaction, before the
//! rows of it. So it is told exactly as often as the transaction is.
//!
//! What a table is like after a statement the catalogue knows, where nothing further on in the log makes another table of
//! it. Otherwise the table is told without columns, and nothing is guessed.

use std::sync::Arc;

use tailwater_core::pattern::Patterns;
use tailwater_core::{Batch, Result, Statement as Words, Table, Verb};

use super::tables::at_head;
use super::transactions::text_of;
use super::{Answer, Assembler, Images, Why};
use crate::binlog::event::Query;
use crate::ddl::{self, Captured, Name, Reading, Statement, Told};
use crate::shapes::{bare, table_id};

/// What is to be told of the statement that is carried out.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The last one first.
    left: Vec<Told>,
    ready: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    told: Told,
    table: Option<Arc<Table>>,
    charset: String,
    /// Where the statement stands.
    log_offset: u64,
}

impl Captured for Patterns {
    fn table(&self, name: &Name) -> bool {
        self.matches(&name.schema, &name.table)
    }

    fn database(&self, name: &str) -> bool {
        self.may_match(name)
    }
}

impl<P: Images> Assembler<P> {
    /// Notes what is to be told of a statement, before it is carried out.
    pub(super) fn hear_words(&mut self, query: &Query<'_>, statement: &Statement) -> Result<()> {
        let ends_or_begins = matches!(statement, Statement::Begin | Statement::Commit);
        if !self.settings.statements || self.skip_events > 0 || ends_or_begins {
            return Ok(());
        }
        // Nothing comes of it where the table is there already.
        if let Statement::Create(create) = statement
            && create.perhaps
            && self.tables.get(&create.table).is_some()
        {
            return Ok(());
        }
        let (text, schema) = (text_of(query)?, String::from_utf8_lossy(query.schema));
        let reading = Reading { schema: &schema, lower_case: self.settings.lower_case };
        self.telling.left = ddl::told(&text, statement, reading, &self.settings.tables);
        self.telling.left.reverse();
        Ok(())
    }

    /// Makes ready what is told; true where the catalogue must be asked first.
    pub(super) fn must_ask(&mut self) -> bool {
        while let Some(told) = self.telling.left.last() {
            if let Some((Verb::Create | Verb::Alter, name)) = &told.table
                && self.settings.tables.matches(&name.schema, &name.table)
            {
                self.ask(name.clone(), Why::Told, true);
                return true;
            }
            self.make_ready(None);
        }
        false
    }

    fn make_ready(&mut self, known: Option<(Arc<Table>, String)>) {
        let Some(told) = self.telling.left.pop() else { return };
        let (table, charset) = match known {
            Some((table, charset)) => (Some(table), charset),
            None => {
                (told.table.as_ref().map(|(_, name)| Arc::new(bare(name, table_id(name)))), String::new())
            }
        };
        self.telling.ready.push(Ready { told, table, charset, log_offset: self.offset });
    }

    /// The catalogue's answer about a table that a statement speaks of.
    pub(super) fn answer_statement(&mut self, name: &Name, answer: Answer<'_>) {
        let facts = answer.facts.filter(|_| answer.proven);
        let known = at_head(facts).and_then(|columns| self.shaped(name, columns, &[], facts).ok());
        let charset = answer.facts.map(|facts| facts.charset.clone()).unwrap_or_default();
        self.make_ready(known.map(|shape| (shape.table, charset)));
    }

    /// Adds what is ready: with the first row of its transaction, or with its end.
    pub(super) fn tell_statements(&mut self, batch: &mut Batch) -> Result<()> {
        if self.telling.ready.is_empty() {
            return Ok(());
        }
        let ready = std::mem::take(&mut self.telling.ready);
        if !self.name_transaction(batch)? {
            return Ok(());
        }
        for Ready { told, table, charset, log_offset } in &ready {
            batch.set_log_offset(*log_offset);
            let verb = told.table.as_ref().map(|(verb, _)| *verb);
            batch.statement(&Words {
                database: told.database.as_bytes(),
                text: told.text.as_bytes(),
                table: verb.zip(table.as_ref()),
                charset: charset.as_bytes(),
                copied: false,
            })?;
        }
        Ok(())
    }
}
