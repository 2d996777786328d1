//! Statements in their own words, where they are asked for: what is told of one goes out with its transaction, before the
//! rows of it. So it is told exactly as often as the transaction is.
//!
//! What a table is like after a statement the catalogue knows, if it is not ahead of the log. That is certain where nothing
//! was committed since; and after an `ALTER TABLE` where the catalogue has what that made of the columns. Otherwise the
//! table is told without columns, and nothing is guessed.

use std::sync::Arc;

use tailwater_core::pattern::Patterns;
use tailwater_core::{Batch, Result, Statement as Words, Table, Verb};

use super::tables::{alike, at_head};
use super::{Asked, Assembler, Images, Why};
use crate::ddl::{self, Captured, Name, Reading, Statement, Told};
use crate::place::Place;
use crate::shapes::{Facts, table_id};

/// So often the catalogue is asked that has not heard of a statement which is in the log.
const ASKS_MAX: u32 = 50;

/// What is to be told of the statement that is carried out.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The last one first.
    left: Vec<Told>,
    ready: Vec<Ready>,
    /// Where the log ended before and after the catalogue was asked.
    heads: Option<(Place, Place)>,
    asks: u32,
}

#[derive(Debug)]
struct Ready {
    told: Told,
    table: Option<Arc<Table>>,
    charset: String,
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
    pub(super) fn note(&mut self, text: &str, reading: Reading<'_>, statement: &Statement) {
        if !self.settings.statements || self.skip_events > 0 {
            return;
        }
        // Nothing comes of it where the table is there already.
        if let Statement::Create(create) = statement
            && create.perhaps
            && self.tables.get(&create.table).is_some_and(crate::followed::Followed::is_met)
        {
            return;
        }
        self.telling.left = ddl::told(text, statement, reading, &self.settings.tables);
        self.telling.left.reverse();
    }

    /// Makes ready what is told; true where the catalogue must be asked first.
    pub(super) fn must_ask(&mut self) -> bool {
        while let Some(told) = self.telling.left.last() {
            if let Some((Verb::Create | Verb::Alter, name)) = &told.table
                && self.settings.tables.matches(&name.schema, &name.table)
            {
                self.asked = Some(Asked { name: name.clone(), why: Why::Told });
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
            None => (told.table.as_ref().map(|(_, name)| Arc::new(unknown(name))), String::new()),
        };
        self.telling.asks = 0;
        self.telling.ready.push(Ready { told, table, charset });
    }

    /// Whether the question is for what a table is like after a statement: then the ends of the log matter too.
    #[must_use]
    pub fn asks_for_statement(&self) -> bool {
        matches!(&self.asked, Some(Asked { why: Why::Told, .. }))
    }

    /// Where the log ended before and after the catalogue was asked. To be said before the answer.
    pub fn hear_heads(&mut self, before: Place, after: Place) {
        self.telling.heads = Some((before, after));
    }

    /// The catalogue's answer about a table that a statement speaks of.
    pub(super) fn answer_statement(&mut self, name: &Name, facts: Option<&Facts>) {
        let here = self.open.as_ref().map(|open| {
            let mut here = self.place.clone();
            here.add(&open.id, &self.file, self.end);
            here
        });
        let (mut heard, mut exact) = (true, false);
        if let (Some(here), Some((before, after))) = (here, self.telling.heads.take()) {
            heard = before.includes(&here);
            exact = heard && here.includes(&after);
        }
        self.telling.asks += 1;
        if !heard && self.telling.asks < ASKS_MAX {
            return;
        }
        let columns = at_head(facts);
        let shape = columns.and_then(|columns| self.shaped(name, columns, &[], facts).ok());
        let verb = self.telling.left.last().and_then(|told| told.table.as_ref()).map(|(verb, _)| *verb);
        let settled = |table: &Table| {
            let followed = self.tables.get(name).filter(|followed| followed.pending.is_none());
            let in_force = followed.and_then(|followed| followed.shape.as_ref());
            verb == Some(Verb::Alter) && in_force.is_some_and(|shape| alike(&shape.table, table))
        };
        let known = shape
            .filter(|shape| exact || settled(&shape.table))
            .map(|shape| (shape.table, facts.map(|facts| facts.charset.clone()).unwrap_or_default()));
        self.make_ready(known);
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
        for Ready { told, table, charset } in &ready {
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

/// A table of which nothing but the name is known, or left.
pub(crate) fn unknown(name: &Name) -> Table {
    Table {
        id: table_id(name),
        schema: name.schema.clone(),
        name: name.table.clone(),
        columns: Vec::new(),
        key: Vec::new(),
        declared_key: Vec::new(),
        streamed_from_birth: false,
    }
}
