//! Rows events into the batch: which rows the target has already, which are held back, and whether each can be found there.

use std::sync::Arc;

use tailwater_core::{Batch, Position, Result, Table};

use super::{Assembler, Images, ReadRow, Shape};
use crate::binlog::event::{Rows, RowsKind};
use crate::error::{self, out_of_place};
use crate::open::Held;

impl<P: Images> Assembler<P> {
    pub(super) fn rows(&mut self, rows: &Rows<'_>, batch: &mut Batch) -> Result<()> {
        let Some(numbered) = self.numbers.get(&rows.table) else {
            // The end of a statement that changed nothing.
            if rows.images.is_empty() {
                return Ok(());
            }
            return Err(error::undescribed(rows.table));
        };
        let Some(shape) = &numbered.shape else { return Ok(()) };
        let shape = Arc::clone(shape);
        let Some(open) = &mut self.open else { return Err(out_of_place("a row")) };
        if rows.columns != shape.columns.len() || rows.compressed {
            return Err(error::not_of_shape(&shape.table.full_name()));
        }
        identified(rows, &shape.table)?;
        if open.skip {
            return Ok(());
        }
        open.may_roll_back |= shape.transactional;
        if let Some(held) = &mut open.held {
            let event = Held::of(shape, rows, self.offset);
            self.held_bytes += event.bytes();
            held.push(event);
            return if self.held_bytes > HELD_BYTES_MAX { Err(error::xa_too_large()) } else { Ok(()) };
        }
        self.tell_statements(batch)?;
        self.emit(rows, &shape, self.offset, batch)
    }

    /// The rows of one event.
    pub(super) fn emit(
        &mut self,
        rows: &Rows<'_>,
        shape: &Arc<Shape<P>>,
        offset: u64,
        batch: &mut Batch,
    ) -> Result<()> {
        let skip = self.skip_events;
        let Some(open) = &mut self.open else { return Err(out_of_place("a row")) };
        if open.ordinal < skip {
            // The target has these, or some of them.
            let mut passed = open.ordinal;
            self.aside.reset(&Position::default(), ASIDE_BYTES);
            shape.images.read(rows, &mut self.aside, &mut |_, _| {
                passed += 1;
                Ok(())
            })?;
            if passed <= skip {
                open.ordinal = passed;
                return Ok(());
            }
        }
        let first = open.ordinal.max(skip);
        open.name(first, &self.file, batch)?;
        let (mut ordinal, mut log_row) = (open.ordinal, 0);
        batch.set_log_offset(offset);
        self.tell(shape, batch);
        shape.images.read(rows, batch, &mut |batch, row| {
            ordinal += 1;
            batch.set_log_row(log_row);
            log_row += 1;
            if ordinal <= skip { Ok(()) } else { push(rows.kind, shape, row, batch) }
        })?;
        if let Some(open) = &mut self.open {
            open.ordinal = ordinal;
        }
        Ok(())
    }
}

fn push<P>(kind: RowsKind, shape: &Shape<P>, row: ReadRow, batch: &mut Batch) -> Result<()> {
    match (kind, row.old, row.new) {
        (RowsKind::Write, _, Some(new)) => batch.insert(&shape.table, new),
        (RowsKind::Delete, Some(old), _) => batch.delete(&shape.table, old),
        (RowsKind::Update | RowsKind::PartialUpdate, old, Some(new)) => batch.update(&shape.table, old, new),
        (_, _, None) | (RowsKind::Delete, None, _) => {
            return Err(error::not_of_shape(&shape.table.full_name()));
        }
    }
    Ok(())
}

/// What is kept of the memory that rows were read into which the target has.
const ASIDE_BYTES: usize = 1 << 20;

/// Rows that are kept of XA transactions that are neither committed nor rolled back yet.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Without a key a row is found by all of its values; and a new row has nothing to take what it lacks from.
fn identified(rows: &Rows<'_>, table: &Table) -> Result<()> {
    let has =
        |index: usize| rows.first_present.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0);
    if rows.kind == RowsKind::Write {
        let whole = (0..table.columns.len()).all(has);
        return if whole { Ok(()) } else { Err(error::without_defaults(&table.full_name())) };
    }
    let found = if table.key.is_empty() {
        (0..table.columns.len()).all(has)
    } else {
        table.key.iter().all(|&index| has(index))
    };
    if found { Ok(()) } else { Err(error::unidentified(&table.full_name())) }
}
