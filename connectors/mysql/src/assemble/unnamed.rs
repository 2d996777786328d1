//! Tables whose columns the log does not name, because `binlog_row_metadata` is not FULL or the server knows no such thing.
//! What they are like is remembered with the position. It comes from the catalogue, and only where that is known to have
//! been true at the same place of the log: nothing altered the table between there and the log's end. Otherwise the
//! table is stopped: what a row means is not guessed.

use std::sync::Arc;

use tailwater_core::{Batch, Result};
use tracing::error;

use super::tables::at_head;
use super::{Answer, Assembler, Images, Numbered, Shape};
use crate::binlog::columns::{Described, Stored};
use crate::ddl::Name;
use crate::error;
use crate::shapes::{Facts, Hint, collations, is_vector, spelled};

impl<P: Images> Assembler<P> {
    /// Whether the log names no columns of a table: as it did last, or did not.
    pub(super) fn is_unnamed(&self, name: &Name) -> bool {
        self.settings.unnamed || self.tables.get(name).is_some_and(|followed| followed.known.is_some())
    }

    /// Whether no more of it is carried.
    pub(super) fn is_stopped(&self, name: &Name) -> bool {
        self.tables.get(name).is_some_and(|followed| followed.stopped.is_some())
    }

    /// Whether it is known without asking what the number of a table stands for.
    pub(super) fn is_known_to_be(
        &mut self,
        name: &Name,
        number: u64,
        columns: &[Described],
        body: &[u8],
    ) -> Result<bool> {
        let followed = self.tables.follow(name);
        let Some(known) = followed.known.clone().filter(|_| followed.pending.is_none()) else {
            return Ok(false);
        };
        let Ok(columns) = named(columns, &known) else { return Ok(false) };
        let shape = Some(self.define(name, columns, body, Some(&known))?);
        self.numbers.insert(number, Numbered { body: body.into(), shape });
        Ok(true)
    }

    /// What the number of a table stands for, by the catalogue.
    pub(super) fn learn_number(
        &mut self,
        name: &Name,
        (number, columns, body): (u64, &[Described], &[u8]),
        answer: Answer<'_>,
        batch: &mut Batch,
    ) -> Result<()> {
        let shape = match answer {
            Answer { proven: false, .. } => {
                let reason = "the log does not name its columns, and it was altered, renamed or dropped before anybody \
                              could ask what they were";
                self.stop(name, reason, batch)?;
                None
            }
            // A sequence of MariaDB, which the log shows as a table.
            Answer { facts: None, .. } => None,
            Answer { facts: Some(facts), .. } => match named(columns, facts) {
                Ok(columns) => {
                    let shape = self.define(name, columns, body, Some(facts))?;
                    self.tables.know(name, Some(Arc::new(facts.clone())));
                    Some(shape)
                }
                Err(reason) => {
                    self.stop(name, reason, batch)?;
                    None
                }
            },
        };
        self.numbers.insert(number, Numbered { body: body.into(), shape });
        Ok(())
    }

    /// What a table is like from here on, by the catalogue. Otherwise the next row asks.
    pub(super) fn learn(&mut self, name: &Name, answer: Answer<'_>) -> Result<Option<Arc<Shape<P>>>> {
        let facts = answer.facts.filter(|_| answer.proven);
        match (facts, at_head(facts)) {
            (Some(facts), Some(now)) => {
                let shape = self.define(name, now, &[], Some(facts))?;
                self.tables.know(name, Some(Arc::new(facts.clone())));
                Ok(Some(shape))
            }
            _ => {
                self.tables.know(name, None);
                Ok(None)
            }
        }
    }

    /// Gives a table up.
    ///
    /// # Errors
    /// `Operator` inside of a transaction of which the target has a part: its rows were counted then.
    pub(super) fn stop(&mut self, name: &Name, reason: &str, batch: &mut Batch) -> Result<()> {
        if self.skip_events > 0 {
            return Err(error::counted(&format!("{}.{}", name.schema, name.table), reason));
        }
        error!(
            table = %format_args!("{}.{}", name.schema, name.table), code = error::STOPPED, reason,
            "no more of the table is carried; the other tables go on. Copy everything afresh, or leave it out of `tables`"
        );
        self.tables.stop(name, reason.to_owned());
        self.tell_stopped(name, batch)
    }

    /// Tells the sink that a table is stopped, under the name that it has.
    pub(super) fn tell_stopped(&mut self, name: &Name, batch: &mut Batch) -> Result<()> {
        let reason = self.tables.get(name).and_then(|followed| followed.stopped.clone());
        if let (Some(table), Some(reason)) = (self.tables.bare(name), reason)
            && self.name_transaction(batch)?
        {
            batch.stop_table(&table, &reason)?;
        }
        Ok(())
    }

    /// Puts what changed of tables into the positions from here on.
    pub(super) fn note(&mut self) -> Result<()> {
        if let Some(notes) = self.tables.notes()? {
            self.notes = notes;
        }
        Ok(())
    }
}

const OTHERS: &str = "the log does not name its columns, and has others than the catalogue: it was altered behind the \
                      log's back";
const LABELS: &str = "neither the log nor the catalogue tells the labels of an ENUM or SET: for one with a character that \
                      takes four bytes in UTF-8 the catalogue has a question mark";

/// The columns of the log with what it does not say of them; or why they cannot be told.
fn named(columns: &[Described], facts: &Facts) -> std::result::Result<Vec<Described>, &'static str> {
    let known = at_head(Some(facts)).filter(|known| known.len() == columns.len()).ok_or(OTHERS)?;
    columns.iter().zip(known).map(|(column, known)| one_named(column, known)).collect()
}

fn one_named(column: &Described, known: Described) -> std::result::Result<Described, &'static str> {
    let merged = Described {
        stored: column.stored,
        nullable: column.nullable,
        name: known.name.clone(),
        unsigned: column.unsigned.or(known.unsigned),
        collation: column.collation.or(known.collation),
        labels: known.labels.clone(),
        key: known.key,
        visible: known.visible,
        geometry: column.geometry.or(known.geometry),
        dimensions: column.dimensions.or(known.dimensions),
    };
    let packed = |stored: Stored| matches!(stored, Stored::Enum { .. } | Stored::Set { .. });
    let same = spelled(&merged, Hint::None) == spelled(&known, Hint::None) || is_vector(&merged, &known);
    let fits = merged.nullable == known.nullable
        && packed(merged.stored) == packed(known.stored)
        && (!packed(merged.stored) || merged.stored == known.stored);
    let wide = merged.collation.is_some_and(|collation| collations::bytes_per_character(collation) > 3);
    if wide && merged.labels.iter().any(|label| label.contains('?')) {
        return Err(LABELS);
    }
    if same && fits { Ok(merged) } else { Err(OTHERS) }
}
