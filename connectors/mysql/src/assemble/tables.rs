//! What statements and the catalogue's answers do to tables.
//!
//! A table's id is that of its name, so a renamed table is another one. What comes under a wanted name by a renaming was
//! never carried under it: the sink is told that the table of that name is gone, and that the one which shows up next is
//! not whole, so that it stops that table and no other. Only a table that was created in the stream and had no row yet
//! takes that with it, so that exchanging a table for a new one is carried.

use std::collections::BTreeMap;
use std::sync::Arc;

use tailwater_core::{Batch, Column, Fill, Result, Table};
use tracing::warn;

use super::{Asked, Assembler, Images, Numbered, Shape, Step, Why};
use crate::binlog::columns::Described;
use crate::ddl::{Alter, Create, Name, Statement};
use crate::error::{self, out_of_place};
use crate::followed::{Followed, Tables};
use crate::shapes::{self, ColumnFacts, Facts};

impl<P: Images> Assembler<P> {
    /// Carries a statement out that is not about transactions.
    pub(super) fn act(&mut self, statement: Statement, batch: &mut Batch) -> Result<Step> {
        match statement {
            Statement::Truncate(name) => return self.truncate(name, batch),
            Statement::Drop(names) => names.iter().try_for_each(|name| self.forget(name, batch))?,
            Statement::DropSchema(schema) => {
                let names = self.tables.of_schema(&schema);
                names.iter().try_for_each(|name| self.forget(name, batch))?;
            }
            Statement::Rename(pairs) => {
                pairs.iter().try_for_each(|(from, to)| self.rename(from, to, batch))?;
                let born = |name: &&Name| self.tables.get(name).is_some_and(Followed::is_untold_birth);
                if let Some(name) = pairs.iter().map(|(_, to)| to).find(born) {
                    self.asked = Some(Asked { name: name.clone(), why: Why::Created });
                    return Ok(Step::Asks);
                }
            }
            Statement::Alter(alter) => return self.alter(&alter, batch),
            Statement::Create(create) => return self.create(create, batch),
            Statement::Rows(Some(name)) => {
                self.tables.is_empty(&name, false);
                if self.is_wanted(&name) {
                    return Err(error::statement(Some(&format!("{}.{}", name.schema, name.table))));
                }
            }
            Statement::Rows(None) => return Err(error::statement(None)),
            Statement::Begin | Statement::Commit | Statement::Rollback | Statement::RollbackTo => {}
            Statement::XaStart | Statement::XaCommit(_) | Statement::XaRollback(_) | Statement::Other => {}
        }
        self.after_statement(batch)
    }

    /// A table of that name is gone, as far as the sink is concerned.
    fn forget(&mut self, name: &Name, batch: &mut Batch) -> Result<()> {
        self.tables.is_empty(name, false);
        if !self.is_wanted(name) {
            return Ok(());
        }
        self.tables.forget(name);
        // A number may stand for the shape that is forgotten here.
        self.numbers.clear();
        if self.name_transaction(batch)? {
            Tables::<P>::drop_at(name, batch);
        }
        Ok(())
    }

    fn rename(&mut self, from: &Name, to: &Name, batch: &mut Batch) -> Result<()> {
        let empty = self.tables.take_empty(from);
        self.forget(from, batch)?;
        self.forget(to, batch)?;
        self.tables.is_empty(to, empty);
        if !self.is_wanted(to) {
            return Ok(());
        }
        let (from, table) =
            (format!("{}.{}", from.schema, from.table), format!("{}.{}", to.schema, to.table));
        if empty {
            self.tables.follow(to).born = true;
        } else {
            warn!(table, from, "a table was renamed to it: its rows were not carried under this name");
        }
        Ok(())
    }

    fn alter(&mut self, alter: &Alter, batch: &mut Batch) -> Result<Step> {
        let name = &alter.table;
        if let (Some(clause), true) = (alter.moves_rows, self.is_wanted(name)) {
            let table = format!("{}.{}", name.schema, name.table);
            warn!(
                table,
                clause,
                "rows came or went that the log does not carry: what the target has is not right any more"
            );
            self.forget(name, batch)?;
        }
        if let Some(to) = &alter.rename {
            self.rename(name, to, batch)?;
            return self.after_statement(batch);
        }
        if !self.is_wanted(name) || alter.moves_rows.is_some() {
            return self.after_statement(batch);
        }
        let time = self.timestamp;
        self.tables.follow(name).pending.get_or_insert_default().add(alter, time);
        self.asked = Some(Asked { name: name.clone(), why: Why::Altered });
        Ok(Step::Asks)
    }

    fn create(&mut self, create: Create, batch: &mut Batch) -> Result<Step> {
        let name = create.table;
        if create.opens
            && let Some(open) = &mut self.open
        {
            open.begun = true;
        }
        let wanted = self.is_wanted(&name);
        if create.perhaps && wanted && self.tables.get(&name).is_some_and(Followed::is_met) {
            return self.after_statement(batch);
        }
        if create.replaces {
            self.forget(&name, batch)?;
        }
        self.tables.is_empty(&name, !create.perhaps);
        if !wanted {
            return self.after_statement(batch);
        }
        let followed = self.tables.follow(&name);
        followed.born = true;
        (followed.pending, followed.told) = (None, false);
        self.asked = Some(Asked { name, why: Why::Created });
        Ok(Step::Asks)
    }

    fn truncate(&mut self, name: Name, batch: &mut Batch) -> Result<Step> {
        if !self.is_wanted(&name) {
            return self.after_statement(batch);
        }
        let followed = self.tables.follow(&name);
        match followed.shape.clone().filter(|_| followed.pending.is_none()) {
            Some(shape) => {
                self.emptied(&shape, batch)?;
                self.after_statement(batch)
            }
            None => {
                self.asked = Some(Asked { name, why: Why::Truncated });
                Ok(Step::Asks)
            }
        }
    }

    fn emptied(&mut self, shape: &Arc<Shape<P>>, batch: &mut Batch) -> Result<()> {
        let Some(open) = &mut self.open else { return Err(out_of_place("a statement")) };
        open.ordinal += 1;
        if open.ordinal > self.skip_events {
            let first = open.ordinal - 1;
            open.name(first, &self.file, batch)?;
            batch.set_log_offset(self.offset);
            self.tell(shape, batch);
            batch.truncate(&shape.table);
        }
        Ok(())
    }

    /// What the catalogue has of the table in [`Assembler::asked`]: `None` where it has no such table.
    ///
    /// # Errors
    /// As [`Assembler::apply`].
    pub fn answer(&mut self, facts: Option<&Facts>, batch: &mut Batch) -> Result<Step> {
        let Some(Asked { name, why }) = self.asked.take() else { return Err(out_of_place("an answer")) };
        match why {
            Why::Described { number, columns, body } => {
                let shape = self.define(&name, columns, &body, facts)?;
                self.numbers.insert(number, Numbered { body, shape: Some(shape) });
                return Ok(Step::Continue);
            }
            Why::Altered => {
                let now = at_head(facts);
                let followed = self.tables.follow(&name);
                if let Some(now) = now.filter(|now| followed.is_just_altered(now)) {
                    let shape = self.define(&name, now, &[], facts)?;
                    if self.name_transaction(batch)? {
                        self.tell(&shape, batch);
                    }
                }
            }
            Why::Created => {
                if let Some(now) = at_head(facts) {
                    let shape = self.define(&name, now, &[], facts)?;
                    if self.name_transaction(batch)? {
                        self.tell(&shape, batch);
                    }
                }
            }
            Why::Told => self.answer_statement(&name, facts),
            Why::Truncated => match at_head(facts) {
                Some(now) => {
                    let mut shape = self.shaped(&name, now, &[], facts)?;
                    // Whatever older rows held, they went.
                    Arc::make_mut(&mut shape.table)
                        .columns
                        .iter_mut()
                        .for_each(|column| column.fill = Fill::Gone);
                    self.tables.follow(&name).told = false;
                    self.emptied(&Arc::new(shape), batch)?;
                    let followed = self.tables.follow(&name);
                    (followed.told, followed.pending) = (false, None);
                }
                None => {
                    self.forget(&name, batch)?;
                    self.tables.follow(&name).born = true;
                }
            },
        }
        self.after_statement(batch)
    }

    /// Whether a table was altered or came to be, and the sink could not be told yet of what it is: the catalogue may have
    /// been ahead.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.open.is_none() && !self.tables.untold().is_empty()
    }

    /// Tells the sink of every table that was altered or came to be. To be called with what the catalogue has exactly at
    /// [`Assembler::place`].
    ///
    /// # Errors
    /// As [`Assembler::apply`].
    pub fn settle(&mut self, catalogue: &BTreeMap<Name, Facts>, batch: &mut Batch) -> Result<()> {
        for name in self.tables.untold() {
            let facts = catalogue.get(&name);
            let Some(now) = at_head(facts) else { continue };
            let shape = self.define(&name, now, &[], facts)?;
            let mut place = String::new();
            self.place.write_to(&mut place);
            batch.transaction(format_args!("{place}"), i64::from(self.timestamp) * 1_000_000, 0, 0)?;
            batch.set_log_offset(self.end);
            self.tell(&shape, batch);
        }
        Ok(())
    }

    pub(super) fn shaped(
        &self,
        name: &Name,
        columns: Vec<Described>,
        body: &[u8],
        facts: Option<&Facts>,
    ) -> Result<Shape<P>> {
        let images = P::compile(&columns, &shapes::hints(&columns, facts))?;
        let mut table = shapes::table(name, &columns, images.kinds(), facts)?;
        table.streamed_from_birth = self.tables.get(name).is_some_and(|followed| followed.born);
        let transactional = facts.is_none_or(|facts| facts.transactional);
        Ok(Shape { table: Arc::new(table), images, columns, body: body.into(), transactional })
    }

    /// From here on the table has this shape.
    fn define(
        &mut self,
        name: &Name,
        columns: Vec<Described>,
        body: &[u8],
        facts: Option<&Facts>,
    ) -> Result<Arc<Shape<P>>> {
        let mut shape = self.shaped(name, columns, body, facts)?;
        let followed = self.tables.follow(name);
        followed.hear(&shape.columns);
        if let Some(pending) = followed.pending.take() {
            let between = pending.fill(Arc::make_mut(&mut shape.table), &shape.columns);
            followed.between = between.map(Arc::new);
            followed.told = false;
        }
        let same = |before: &&Arc<Shape<P>>| alike(&before.table, &shape.table);
        let told = followed.told && followed.shape.as_ref().filter(same).is_some();
        followed.told = told;
        let shape = Arc::new(shape);
        followed.shape = Some(Arc::clone(&shape));
        Ok(shape)
    }
}

/// The columns of a table now; `None` where it is gone, or has what is not known here, which the log will tell better.
pub(super) fn at_head(facts: Option<&Facts>) -> Option<Vec<Described>> {
    facts?.columns.iter().map(ColumnFacts::described).collect()
}

/// Whether a sink need not be told of the second after the first. What older rows held in a column it knows from before.
pub(super) fn alike(one: &Table, other: &Table) -> bool {
    let alike = |(one, other): (&Column, &Column)| {
        let other = Column { fill: one.fill.clone(), ..other.clone() };
        *one == other
    };
    let names = (&one.schema, &one.name) == (&other.schema, &other.name);
    let keys = (&one.key, &one.declared_key) == (&other.key, &other.declared_key);
    let columns = one.columns.len() == other.columns.len();
    names && keys && columns && one.columns.iter().zip(&other.columns).all(alike)
}
