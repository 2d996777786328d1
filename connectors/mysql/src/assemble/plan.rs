//! Rows are read by the binary log's own plan.

use tailwater_core::{Batch, Result, Type};

use super::{Images, ReadRow};
use crate::binlog::charset;
use crate::binlog::columns::Described;
use crate::binlog::event::{Columns, Format, Rows, TableMap};
use crate::binlog::plan::{Hint, Plan};
use crate::binlog::rows::{self, RowChange};

impl Images for Plan {
    fn describe(map: &TableMap<'_>, format: &Format) -> Result<Columns> {
        map.columns(format, &charset::to_utf8)
    }

    fn compile(columns: &[Described], hints: &[Hint]) -> Result<Self> {
        Self::new(columns, hints)
    }

    fn kinds(&self) -> impl Iterator<Item = &Type> {
        self.columns.iter().map(|column| &column.kind)
    }

    fn read(
        &self,
        rows: &Rows<'_>,
        batch: &mut Batch,
        each: &mut dyn FnMut(&mut Batch, ReadRow) -> Result<()>,
    ) -> Result<()> {
        let mut images = rows::Images::new(rows, self, rows.images)?;
        while let Some(change) = images.next(batch)? {
            let row = match change {
                RowChange::Insert(new) => ReadRow { old: None, new: Some(new) },
                RowChange::Update { old, new } => ReadRow { old: Some(old), new: Some(new) },
                RowChange::Delete(old) => ReadRow { old: Some(old), new: None },
            };
            each(batch, row)?;
        }
        Ok(())
    }
}
