//! What statements and the catalogue's answers do to tables.
//!
//! A table that is renamed stays the same table for the sink, where both names are wanted. What comes under a wanted name
//! from elsewhere was never carried: the sink is told that the table of that name is gone, and that the one which shows up
//! next is not whole, so that it stops that table and no other. There are two exceptions: a table that was created in the
//! stream and had no row yet takes that with it, so that exchanging a table for a new one is carried; and what gh-ost and
//! pt-online-schema-change put in the place of a table has its rows, so it is that table, altered.

use std::collections::BTreeMap;
use std::sync::Arc;

use tailwater_core::{Batch, Column, Fill, Result, Table};
use tracing::warn;

use super::{Answer, Asked, Assembler, Images, Numbered, Shape, Step, Why};
use crate::binlog::columns::Described;
use crate::ddl::{Alter, Create, Name, Statement};
use crate::error::{self, out_of_place};
use crate::pending::Pending;
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
            Statement::Rename(pairs) => return self.rename_all(&pairs, batch),
            Statement::Alter(alter) => return self.alter(&alter, batch),
            Statement::Create(create) => return self.create(create, batch),
            Statement::Rows(Some(name)) => {
                self.tables.set_empty(&name, false);
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
        self.tables.set_empty(name, false);
        if !self.is_wanted(name) {
            self.tables.take_ghost(name);
            return Ok(());
        }
        let table = self.tables.bare(name);
        self.tables.forget(name);
        // A number may stand for the shape that is forgotten here.
        self.numbers.clear();
        if let Some(table) = table
            && self.name_transaction(batch)?
        {
            batch.drop_table(&table);
        }
        Ok(())
    }

    fn rename_all(&mut self, pairs: &[(Name, Name)], batch: &mut Batch) -> Result<Step> {
        let replaced: Vec<&Name> =
            pairs.iter().filter(|pair| self.replaces(pair, pairs)).map(|(_, to)| to).collect();
        for pair @ (from, to) in pairs {
            if replaced.contains(&to) {
                self.replace(from, to);
            } else if replaced.contains(&from) && !self.is_wanted(to) {
                // What it was goes; what it is follows.
            } else {
                self.rename(pair, batch)?;
            }
        }
        self.asks_or_ends(batch)
    }

    /// A statement has been carried out, but for what is asked.
    fn asks_or_ends(&mut self, batch: &mut Batch) -> Result<Step> {
        if self.asked.is_empty() { self.after_statement(batch) } else { Ok(Step::Asks) }
    }

    /// Whether a table takes the place of a wanted one as the tools do it that alter tables in a copy: gh-ost renames `t` to
    /// `_t_del` and `_t_gho` to `t` at once, pt-online-schema-change `t` to `_t_old` and `_t_new` to `t`.
    fn replaces(&self, (from, to): &(Name, Name), pairs: &[(Name, Name)]) -> bool {
        let goes_aside = |(other, aside): &(Name, Name)| {
            let name = aside.table.trim_start_matches('_');
            let of_it = name.starts_with(to.table.trim_start_matches('_'))
                && (name.ends_with("_del") || name.ends_with("_old"));
            other == to && !self.is_wanted(aside) && aside.schema == to.schema && of_it
        };
        // An empty one was made to begin anew, whatever its name.
        let known = is_made_for(from, to) && self.tables.is_ghost(from) && !self.tables.is_empty(from);
        known && self.is_wanted(to) && !self.is_wanted(from) && pairs.iter().any(goes_aside)
    }

    fn replace(&mut self, ghost: &Name, name: &Name) {
        let altered = self.tables.take_ghost(ghost).unwrap_or_default().of_copy();
        if self.is_stopped(name) {
            return;
        }
        let followed = self.tables.follow(name);
        match &mut followed.pending {
            Some(pending) => *pending = Pending::unseen(),
            None => followed.pending = Some(altered),
        }
        followed.told = false;
        self.tables.changed();
        self.numbers.clear();
        self.tables.set_empty(name, false);
        let unnamed = self.is_unnamed(name);
        self.ask(name.clone(), Why::Altered, unnamed);
    }

    fn rename(&mut self, (from, to): &(Name, Name), batch: &mut Batch) -> Result<()> {
        let empty = self.tables.take_empty(from);
        if self.is_wanted(from) && self.is_wanted(to) {
            self.tables.rename(from, to);
            self.tables.set_empty(to, empty);
            self.numbers.clear();
            return self.renamed(to, batch);
        }
        self.forget(from, batch)?;
        self.forget(to, batch)?;
        self.tables.set_empty(to, empty);
        if !self.is_wanted(to) {
            return Ok(());
        }
        let (old, table) = (format!("{}.{}", from.schema, from.table), format!("{}.{}", to.schema, to.table));
        if empty {
            self.tables.follow(to).born = true;
            self.tables.changed();
        } else {
            warn!(table, from = old, "a table was renamed to it: its rows were not carried under this name");
        }
        let unnamed = self.is_unnamed(to);
        self.ask(to.clone(), Why::Created, unnamed);
        Ok(())
    }

    /// A table has this name now.
    fn renamed(&mut self, name: &Name, batch: &mut Batch) -> Result<()> {
        if self.is_stopped(name) {
            return self.tell_stopped(name, batch);
        }
        let unnamed = self.is_unnamed(name);
        let followed = self.tables.follow(name);
        match followed.known.clone().filter(|_| followed.pending.is_none()) {
            Some(known) => {
                let shape = self.learn(name, Answer { facts: Some(&known), proven: true })?;
                shape.map_or(Ok(()), |shape| self.tell_at_once(&shape, batch))
            }
            None => {
                self.ask(name.clone(), Why::Renamed, unnamed);
                Ok(())
            }
        }
    }

    fn tell_at_once(&mut self, shape: &Arc<Shape<P>>, batch: &mut Batch) -> Result<()> {
        if self.name_transaction(batch)? {
            self.tell(shape, batch);
        }
        Ok(())
    }

    fn alter(&mut self, alter: &Alter, batch: &mut Batch) -> Result<Step> {
        let mut name = &alter.table;
        if let (Some(clause), true) = (alter.moves_rows, self.is_wanted(name)) {
            self.stop(name, &format!("{clause}: rows came or went that the log does not carry"), batch)?;
        }
        if let Some(other) = alter.exchanges.as_ref().filter(|other| self.is_wanted(other)) {
            self.stop(other, "EXCHANGE PARTITION: rows came or went that the log does not carry", batch)?;
        }
        let time = self.timestamp;
        if !self.is_wanted(name) && self.is_ghost(name) {
            self.tables.ghost(name).add(alter, time);
        }
        if let Some(to) = &alter.rename {
            self.rename(&(name.clone(), to.clone()), batch)?;
            if !self.is_wanted(name) || alter.keeps_columns {
                return self.asks_or_ends(batch);
            }
            self.asked.clear();
            name = to;
        }
        let unnamed = self.is_unnamed(name);
        let nothing = alter.moves_rows.is_some() || (unnamed && alter.keeps_columns);
        if !self.is_wanted(name) || self.is_stopped(name) || nothing {
            return self.after_statement(batch);
        }
        let followed = self.tables.follow(name);
        followed.pending.get_or_insert_default().add(alter, time);
        followed.told = false;
        self.tables.changed();
        self.numbers.clear();
        self.ask(name.clone(), Why::Altered, unnamed);
        Ok(Step::Asks)
    }

    /// Whether a tool makes it to put it in the place of a wanted table.
    fn is_ghost(&self, name: &Name) -> bool {
        made_for(&name.table).any(|table| self.settings.tables.matches(&name.schema, table))
    }

    fn create(&mut self, create: Create, batch: &mut Batch) -> Result<Step> {
        let name = create.table;
        if create.opens
            && let Some(open) = &mut self.open
        {
            open.begun = true;
        }
        let wanted = self.is_wanted(&name);
        // It was there already; or it came to be while nobody looked, which cannot be told from that.
        if create.perhaps && wanted && self.tables.get(&name).is_some() {
            return self.after_statement(batch);
        }
        if create.replaces {
            self.forget(&name, batch)?;
        }
        self.tables.set_empty(&name, !create.perhaps);
        if !wanted {
            if self.is_ghost(&name) {
                self.tables.take_ghost(&name);
                self.tables.ghost(&name);
            }
            return self.after_statement(batch);
        }
        let unnamed = self.is_unnamed(&name);
        let followed = self.tables.follow(&name);
        followed.born = true;
        (followed.pending, followed.told) = (None, false);
        self.tables.changed();
        self.ask(name, Why::Created, unnamed);
        Ok(Step::Asks)
    }

    fn truncate(&mut self, name: Name, batch: &mut Batch) -> Result<Step> {
        if !self.is_wanted(&name) || self.is_stopped(&name) {
            return self.after_statement(batch);
        }
        let unnamed = self.is_unnamed(&name);
        let settled = self.tables.get(&name).filter(|followed| followed.pending.is_none());
        let (shape, known) = settled.map_or((None, None), |table| (table.shape.clone(), table.known.clone()));
        let shape = match (shape, known) {
            (None, Some(known)) => self.learn(&name, Answer { facts: Some(&known), proven: true })?,
            (shape, _) => shape,
        };
        match shape {
            Some(shape) => {
                self.emptied(&shape, batch)?;
                self.after_statement(batch)
            }
            None => {
                self.ask(name, Why::Truncated, unnamed);
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

    /// What the catalogue has of the table in [`Assembler::asked`].
    ///
    /// # Errors
    /// As [`Assembler::apply`].
    pub fn answer(&mut self, answer: Answer<'_>, batch: &mut Batch) -> Result<Step> {
        let Some(Asked { name, why, since }) = self.asked.pop_front() else {
            return Err(out_of_place("an answer"));
        };
        let now = at_head(answer.facts);
        let shape = match why {
            Why::Described { number, columns, body } if since.is_some() => {
                self.learn_number(&name, (number, &columns, &body), answer, batch)?;
                return Ok(Step::Continue);
            }
            Why::Described { number, columns, body } => {
                let shape = self.define(&name, columns, &body, answer.facts)?;
                self.tables.know(&name, None);
                self.numbers.insert(number, Numbered { body, shape: Some(shape) });
                return Ok(Step::Continue);
            }
            Why::Truncated => {
                let facts = answer.facts.filter(|_| since.is_none() || answer.proven);
                self.emptied_unseen(&name, facts, batch)?;
                None
            }
            Why::Altered | Why::Created | Why::Renamed if since.is_some() => self.learn(&name, answer)?,
            Why::Altered => {
                let followed = self.tables.follow(&name);
                let now = now.filter(|now| followed.is_just_altered(now));
                now.map(|now| self.define(&name, now, &[], answer.facts)).transpose()?
            }
            Why::Renamed => {
                let followed = self.tables.follow(&name);
                let now = now.filter(|now| followed.is_as_heard(now));
                now.map(|now| self.define(&name, now, &[], answer.facts)).transpose()?
            }
            Why::Told => {
                self.answer_statement(&name, answer);
                None
            }
            Why::Created => now.map(|now| self.define(&name, now, &[], answer.facts)).transpose()?,
        };
        if let Some(shape) = shape {
            self.tell_at_once(&shape, batch)?;
        }
        self.asks_or_ends(batch)
    }

    /// A table was emptied whose shape is not known, but as the catalogue has it now.
    fn emptied_unseen(&mut self, name: &Name, facts: Option<&Facts>, batch: &mut Batch) -> Result<()> {
        let Some(now) = at_head(facts) else {
            self.forget(name, batch)?;
            self.tables.follow(name).born = true;
            self.tables.changed();
            return Ok(());
        };
        let mut shape = self.shaped(name, now, &[], facts)?;
        // Whatever older rows held, they went.
        Arc::make_mut(&mut shape.table).columns.iter_mut().for_each(|column| column.fill = Fill::Gone);
        self.tables.follow(name).told = false;
        self.emptied(&Arc::new(shape), batch)?;
        let followed = self.tables.follow(name);
        (followed.told, followed.pending) = (false, None);
        self.tables.changed();
        Ok(())
    }

    /// Whether a table was altered or came to be, and the sink could not be told yet of what it is: the catalogue may have
    /// been ahead.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.open.is_none() && !self.tables.untold().is_empty()
    }

    /// Which ones these are.
    #[must_use]
    pub fn untold(&self) -> Vec<Name> {
        self.tables.untold()
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
            if self.is_unnamed(&name) {
                self.tables.know(&name, facts.cloned().map(Arc::new));
            }
            let mut place = String::new();
            self.place.write_to(&mut place);
            batch.transaction(format_args!("{place}"), i64::from(self.timestamp) * 1_000_000, 0, 0)?;
            batch.set_log_offset(self.end);
            self.tell(&shape, batch);
        }
        self.note()
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
        if let Some(followed) = self.tables.get(name) {
            (table.id, table.streamed_from_birth) = (followed.id, followed.born);
        }
        let transactional = facts.is_none_or(|facts| facts.transactional);
        Ok(Shape { table: Arc::new(table), images, columns, body: body.into(), transactional })
    }

    /// From here on the table has this shape.
    pub(super) fn define(
        &mut self,
        name: &Name,
        columns: Vec<Described>,
        body: &[u8],
        facts: Option<&Facts>,
    ) -> Result<Arc<Shape<P>>> {
        let mut shape = self.shaped(name, columns, body, facts)?;
        let followed = self.tables.follow(name);
        if let Some(pending) = &followed.pending {
            // It stays until the sink is told.
            let between = pending.fill(Arc::make_mut(&mut shape.table), &shape.columns);
            followed.between = between.map(Arc::new);
            followed.told = false;
        } else {
            followed.hear(&shape.columns);
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
fn alike(one: &Table, other: &Table) -> bool {
    let alike = |(one, other): (&Column, &Column)| {
        let other = Column { fill: one.fill.clone(), ..other.clone() };
        *one == other
    };
    let names = (&one.schema, &one.name) == (&other.schema, &other.name);
    let keys = (&one.key, &one.declared_key) == (&other.key, &other.declared_key);
    let columns = one.columns.len() == other.columns.len();
    names && keys && columns && one.columns.iter().zip(&other.columns).all(alike)
}

/// The tables that a table is made for by its name, should it be one of the tools' that alter tables in a copy.
fn made_for(table: &str) -> impl Iterator<Item = &str> {
    let one = table.strip_prefix('_');
    let gh_ost = one.and_then(|name| name.strip_suffix("_gho"));
    // It puts more before it where the name is taken.
    let named = table.strip_suffix("_new").unwrap_or_default();
    let underscores = named.len() - named.trim_start_matches('_').len();
    gh_ost.into_iter().chain((1..=underscores).filter_map(move |count| named.get(count..)))
}

fn is_made_for(ghost: &Name, name: &Name) -> bool {
    ghost.schema == name.schema && made_for(&ghost.table).any(|table| table == name.table)
}
