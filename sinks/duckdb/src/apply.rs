//! Writes the changes of a batch into the target's tables, in the transaction that is open. Changes to one table
//! between two events that change the table itself are a run; a run is folded, then written with a few statements.

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::error::Doing;
use tailwater_core::{Batch, Change, Error, Result, Table, Value};
use tracing::warn;

use crate::append::{self, Misfit, Place};
use crate::fold::{Bag, Content, Fold, Image, row_missing};
use crate::keys::Keys;
use crate::shape::{Held, quote};
use crate::state::Target;
use crate::store::Store;
use crate::values::ColumnType;

/// Keys whose rows go.
const KEYS: &str = "tailwater_keys";
/// Rows that take some values from the rows they replace.
const PATCHES: &str = "tailwater_patches";
/// The same, each with the id of the row it replaces.
const LOCATED: &str = "tailwater_located";
/// Those rows, whole.
const PATCHED: &str = "tailwater_patched";
/// Rows to delete from tables without a key, and how many of each.
const ROWS: &str = "tailwater_rows";

/// Writes all events of a batch.
///
/// # Errors
/// Then the transaction must be rolled back: a part may have been written.
pub(crate) fn apply(store: &mut Store, batch: &Batch, keys: &mut Keys) -> Result<()> {
    let mut runs = Runs { store, keys, runs: Vec::new(), by_table: HashMap::new(), last: 0 };
    let mut begun = false;
    for event in batch.events() {
        let change = event.change;
        match change {
            Change::Insert { table, .. } | Change::Copied { table, .. } => runs.add(table, change, true)?,
            Change::Update { table, .. } | Change::Delete { table, .. } => runs.add(table, change, false)?,
            Change::Truncate { table } => {
                runs.end(table)?;
                runs.store.follow_shape(table)?;
                runs.store.truncate(table.id).doing(|| format!("truncate {}", table.full_name()))?;
            }
            Change::Shape { table } => {
                runs.end(table)?;
                runs.store.follow_shape(table)?;
            }
            Change::Drop { table } => {
                runs.end(table)?;
                runs.store.drop_table(table.id).doing(|| format!("drop {}", table.full_name()))?;
            }
            Change::Stop { table, reason } => {
                runs.end(table)?;
                runs.store.stop(table, String::from_utf8_lossy(reason).into_owned())?;
            }
            Change::CopyStart { table } => {
                runs.end(table)?;
                if !std::mem::replace(&mut begun, true) {
                    runs.store.clear_for_copy(batch)?;
                }
                runs.store.copy_start(table)?;
            }
            Change::CopyEnd { table } => runs.store.copy_end(table.id)?,
            // They are for their readers at the source.
            Change::Message { .. } | Change::Statement(_) => {}
        }
    }
    runs.end_all()
}

/// Changes to one table, not yet written.
struct Run<'b> {
    table: &'b Arc<Table>,
    changes: Vec<Change<'b>>,
    only_appends: bool,
}

struct Runs<'b, 's> {
    store: &'s mut Store,
    keys: &'s mut Keys,
    runs: Vec<Run<'b>>,
    by_table: HashMap<u64, usize>,
    /// The run of the event before: the next one is most likely to belong to it.
    last: usize,
}

impl<'b> Runs<'b, '_> {
    fn add(&mut self, table: &'b Arc<Table>, change: Change<'b>, append: bool) -> Result<()> {
        let last = self.runs.get(self.last);
        if !last.is_some_and(|run| Arc::ptr_eq(run.table, table)) {
            self.last = self.find(table)?;
        }
        if let Some(run) = self.runs.get_mut(self.last) {
            run.only_appends &= append;
            run.changes.push(change);
        }
        Ok(())
    }

    /// The run for rows of this shape.
    fn find(&mut self, table: &'b Arc<Table>) -> Result<usize> {
        if let Some(&index) = self.by_table.get(&table.id) {
            if self.runs.get(index).is_some_and(|run| Arc::ptr_eq(run.table, table)) {
                return Ok(index);
            }
            self.end(table)?;
        }
        self.store.follow_shape(table)?;
        let index = *self.by_table.entry(table.id).or_insert(self.runs.len());
        let run = Run { table, changes: Vec::new(), only_appends: true };
        match self.runs.get_mut(index) {
            Some(ended) => *ended = run,
            None => self.runs.push(run),
        }
        Ok(index)
    }

    /// Writes what there is for a table, because the table itself is about to change.
    fn end(&mut self, table: &Table) -> Result<()> {
        let Some(run) = self.by_table.get(&table.id).and_then(|&index| self.runs.get_mut(index)) else {
            return Ok(());
        };
        let ended = Run {
            table: run.table,
            changes: std::mem::take(&mut run.changes),
            only_appends: run.only_appends,
        };
        run.only_appends = true;
        self.write(&ended)
    }

    fn end_all(&mut self) -> Result<()> {
        let runs = std::mem::take(&mut self.runs);
        runs.iter().try_for_each(|run| self.write(run))
    }

    fn write(&mut self, run: &Run<'b>) -> Result<()> {
        if run.changes.is_empty() || self.store.writable(run.table.id).is_none() {
            return Ok(());
        }
        let written = if run.only_appends {
            self.append(run)
        } else if run.table.key.is_empty() {
            self.write_bag(run)
        } else {
            self.write_fold(run)
        };
        written.doing(|| format!("write {}", run.table.full_name()))
    }

    fn append(&mut self, run: &Run<'b>) -> Result<()> {
        append_rows(self.store, run.table, run.changes.len(), |row, column| match run.changes.get(row) {
            Some(Change::Insert { new, .. } | Change::Copied { new, .. }) => new.get(column),
            Some(_) | None => Value::Unsent,
        })
    }

    fn write_fold(&mut self, run: &Run<'b>) -> Result<()> {
        let fold = Fold::new(run.table, &run.changes, self.keys)?;
        let (deleted, patched, appended) = (fold.deleted(), fold.patched(), fold.appended());
        // What is staged has the types of the target's columns: when one is widened, all is staged anew.
        while stage_keys(self.store, run.table, &fold, &deleted)?
            | stage_patches(self.store, run.table, &fold, &patched)?
        {}
        take_patches(self.store, run.table, &fold, &patched)?;
        delete_keys(self.store, run.table, &fold, &deleted)?;
        insert_patched(self.store, run.table, &patched)?;
        append_rows(self.store, run.table, appended.len(), |row, column| {
            appended.get(row).map_or(Value::Unsent, |&image| fold.value(image, column))
        })
    }

    fn write_bag(&mut self, run: &Run<'b>) -> Result<()> {
        let bag = Bag::new(run.table, &run.changes, self.keys)?;
        delete_rows(self.store, run.table, &bag.shrunk())?;
        let grown = bag.grown();
        append_rows(self.store, run.table, grown.len(), |row, column| {
            grown.get(row).map_or(Value::Unsent, |content| content.value(column))
        })
    }
}

/// Appends rows to a target. A value that does not fit its column widens the column.
fn append_rows<'v>(
    store: &mut Store,
    table: &Table,
    rows: usize,
    value: impl Fn(usize, usize) -> Value<'v>,
) -> Result<()> {
    let mut from = 0;
    loop {
        let Some(target) = store.writable(table.id) else { return Ok(()) };
        let place = Place { catalog: &store.catalog, schema: &target.schema, table: &target.name };
        match append::append(&store.connection, place, &target.kinds, from..rows, &value)? {
            None => return Ok(()),
            Some(Misfit { row, column }) => {
                from = row;
                store.widen(table.id, column)?;
            }
        }
    }
}

/// Fills a temporary table. `columns` says which column of the target each of its columns is like; values of a
/// column of `None` are numbers. A value that does not fit widens the target's column, and the table is filled anew:
/// whether that happened is returned.
fn stage<'v>(
    store: &mut Store,
    table: &Table,
    name: &str,
    columns: &[Option<usize>],
    rows: usize,
    value: impl Fn(usize, usize) -> Value<'v>,
) -> Result<bool> {
    if rows == 0 {
        return Ok(false);
    }
    let mut widened = false;
    while let Some(target) = store.writable(table.id) {
        let kind = |column: &Option<usize>| match column {
            Some(column) => target.kinds.get(*column).cloned().unwrap_or(ColumnType::Varchar),
            None => ColumnType::BigInt,
        };
        let kinds: Vec<ColumnType> = columns.iter().map(kind).collect();
        let list: Vec<String> = kinds.iter().enumerate().map(|(at, kind)| format!("s{at} {kind}")).collect();
        store.connection.execute(&format!("CREATE OR REPLACE TEMP TABLE {name} ({})", list.join(", ")))?;
        match append::append(&store.connection, Place::temporary(name), &kinds, 0..rows, &value)? {
            None => break,
            Some(Misfit { column, .. }) => match columns.get(column) {
                Some(&Some(column)) => store.widen(table.id, column)?,
                Some(None) | None => return Err(Error::data("TW-DUCK-009", "a number does not fit")),
            },
        }
        widened = true;
    }
    Ok(widened)
}

/// `t."a" = s.s0 AND …` for the key of a table; `s0` is the first column of a key in the staged table.
fn same_key(target: &Target, table: &Table, first: usize, null_keys: bool) -> String {
    let equals = if null_keys { "IS NOT DISTINCT FROM" } else { "=" };
    let part = |(at, &column): (usize, &usize)| {
        let name = target.columns.get(column).map(|held| quote(&held.name)).unwrap_or_default();
        format!("t.{name} {equals} s.s{}", first + at)
    };
    table.key.iter().enumerate().map(part).collect::<Vec<_>>().join(" AND ")
}

fn any_null(fold: &Fold<'_, '_>, table: &Table, numbers: &[usize]) -> bool {
    let is_null =
        |&number: &usize| (0..table.key.len()).any(|part| fold.key_value(number, part) == Value::Null);
    numbers.iter().any(is_null)
}

fn stage_keys(store: &mut Store, table: &Table, fold: &Fold<'_, '_>, numbers: &[usize]) -> Result<bool> {
    let columns: Vec<Option<usize>> = table.key.iter().copied().map(Some).collect();
    stage(store, table, KEYS, &columns, numbers.len(), |row, part| {
        numbers.get(row).map_or(Value::Unsent, |&number| fold.key_value(number, part))
    })
}

/// Deletes the rows of the staged keys.
fn delete_keys(store: &mut Store, table: &Table, fold: &Fold<'_, '_>, numbers: &[usize]) -> Result<()> {
    let Some(target) = store.writable(table.id).filter(|_| !numbers.is_empty()) else { return Ok(()) };
    let condition = same_key(target, table, 0, any_null(fold, table, numbers));
    let name = store.sql_name(target);
    let deleted = store
        .connection
        .execute(&format!("DELETE FROM {name} AS t USING temp.main.{KEYS} AS s WHERE {condition}"))?;
    store.touch(table.id);
    let wanted = numbers.len() as u64;
    if deleted > wanted {
        let message =
            format!("the target holds more than one row with the same key: {deleted} rows for {wanted} keys");
        return Err(Error::data("TW-DUCK-030", message)
            .remedy("somebody else changed the table in the target: copy everything into a new file"));
    }
    if deleted < wanted {
        let missing = wanted - deleted;
        warn!(table = %table.full_name(), missing, "rows to be changed or deleted are not in the target");
    }
    Ok(())
}

/// Stages rows of which some values are those of the rows they replace: first the values, then the key under which the
/// target has the older row, then a mark for each column whose value is to be taken from it.
fn stage_patches(
    store: &mut Store,
    table: &Table,
    fold: &Fold<'_, '_>,
    patched: &[(Image<'_>, usize)],
) -> Result<bool> {
    let (width, key) = (table.columns.len(), table.key.len());
    let mut columns: Vec<Option<usize>> = (0..width).map(Some).collect();
    columns.extend(table.key.iter().copied().map(Some));
    columns.extend((0..width).map(|_| None));
    stage(store, table, PATCHES, &columns, patched.len(), |row, at| {
        let Some(&(image, origin)) = patched.get(row) else { return Value::Unsent };
        if at < width {
            match fold.value(image, at) {
                Value::Unsent => Value::Null,
                value @ (Value::Null | Value::Text(_)) => value,
            }
        } else if at < width + key {
            fold.key_value(origin, at - width)
        } else {
            match fold.value(image, at - width - key) {
                Value::Unsent => Value::Text(b"1"),
                Value::Null | Value::Text(_) => Value::Null,
            }
        }
    })
}

/// Makes the staged rows whole, before the rows they replace go.
fn take_patches(
    store: &Store,
    table: &Table,
    fold: &Fold<'_, '_>,
    patched: &[(Image<'_>, usize)],
) -> Result<()> {
    let Some(target) = store.writable(table.id).filter(|_| !patched.is_empty()) else { return Ok(()) };
    let (width, key) = (table.columns.len(), table.key.len());
    let taken = |(at, held): (usize, &Held)| {
        let name = quote(&held.name);
        format!("CASE WHEN s.s{} = 1 THEN t.{name} ELSE s.s{at} END AS {name}", width + key + at)
    };
    let values: Vec<String> = target.columns.iter().enumerate().map(taken).collect();
    let origins: Vec<usize> = patched.iter().map(|&(_, origin)| origin).collect();
    let condition = same_key(target, table, width, any_null(fold, table, &origins));
    let name = store.sql_name(target);
    // Located by their keys first, then read by their row ids: else the large columns of all rows would be read.
    store.connection.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE {LOCATED} AS \
         SELECT t.rowid AS id, s.* FROM temp.main.{PATCHES} s JOIN {name} t ON {condition}"
    ))?;
    store.connection.execute(&format!(
        "CREATE OR REPLACE TEMP TABLE {PATCHED} AS \
         SELECT {} FROM temp.main.{LOCATED} s JOIN {name} t ON t.rowid = s.id",
        values.join(", ")
    ))?;
    Ok(())
}

fn insert_patched(store: &Store, table: &Table, patched: &[(Image<'_>, usize)]) -> Result<()> {
    let Some(target) = store.writable(table.id).filter(|_| !patched.is_empty()) else { return Ok(()) };
    let name = store.sql_name(target);
    let inserted =
        store.connection.execute(&format!("INSERT INTO {name} SELECT * FROM temp.main.{PATCHED}"))?;
    if inserted == patched.len() as u64 { Ok(()) } else { Err(row_missing(table)) }
}

/// Deletes as many rows of each content as it says, from a table without a key.
fn delete_rows(store: &mut Store, table: &Table, shrunk: &[Content<'_>]) -> Result<()> {
    if shrunk.is_empty() {
        return Ok(());
    }
    let width = table.columns.len();
    let mut columns: Vec<Option<usize>> = (0..width).map(Some).collect();
    columns.extend([None, None]);
    let numbers: Vec<[String; 2]> = shrunk
        .iter()
        .enumerate()
        .map(|(number, content)| [number.to_string(), content.growth.unsigned_abs().to_string()])
        .collect();
    let value =
        |row: usize, at: usize| match numbers.get(row).and_then(|pair| pair.get(at.wrapping_sub(width))) {
            Some(number) => Value::Text(number.as_bytes()),
            None => shrunk.get(row).map_or(Value::Unsent, |content| content.value(at)),
        };
    stage(store, table, ROWS, &columns, shrunk.len(), value)?;
    let Some(target) = store.writable(table.id) else { return Ok(()) };
    let name = store.sql_name(target);
    let same = |(at, held): (usize, &Held)| same_content(&quote(&held.name), at, &held.kind);
    let condition = target.columns.iter().enumerate().map(same).collect::<Vec<_>>().join(" AND ");
    let (number, wanted) = (width, width + 1);
    let deleted = store.connection.execute(&format!(
        "DELETE FROM {name} WHERE rowid IN (SELECT id FROM (SELECT t.rowid AS id, s.s{wanted} AS wanted, \
         row_number() OVER (PARTITION BY s.s{number} ORDER BY t.rowid) AS nth \
         FROM {name} t JOIN temp.main.{ROWS} s ON {condition}) WHERE nth <= wanted)"
    ))?;
    store.touch(table.id);
    let wanted: u64 = shrunk.iter().map(|content| content.growth.unsigned_abs()).sum();
    if deleted == wanted {
        return Ok(());
    }
    let name = table.full_name();
    Err(Error::data(
        "TW-DUCK-031",
        format!("{} rows to be changed or deleted are not in the target", wanted - deleted),
    )
    .remedy(format!("somebody else changed {name} in the target: copy everything into a new file")))
}

/// Whether a column holds exactly the staged value, also where `DuckDB` takes different values for equal: `1 mon` and
/// `30 days`, `0` and `-0`.
fn same_content(name: &str, at: usize, kind: &ColumnType) -> String {
    match kind {
        ColumnType::Float
        | ColumnType::Double
        | ColumnType::Interval
        | ColumnType::TimeTz
        | ColumnType::List(_) => format!("t.{name}::VARCHAR IS NOT DISTINCT FROM s.s{at}::VARCHAR"),
        ColumnType::Boolean
        | ColumnType::SmallInt
        | ColumnType::Integer
        | ColumnType::BigInt
        | ColumnType::UInteger
        | ColumnType::UBigInt
        | ColumnType::HugeInt
        | ColumnType::Decimal { .. }
        | ColumnType::Varchar
        | ColumnType::Blob
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::TimestampTz
        | ColumnType::Uuid
        | ColumnType::Json => format!("t.{name} IS NOT DISTINCT FROM s.s{at}"),
    }
}
