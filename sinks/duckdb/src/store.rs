//! The tables of the file that is open, and what is done to them as a whole: made, emptied, dropped, renamed, written
//! anew under another shape. Rows are the matter of [`apply`](crate::apply), which calls this; what a new shape
//! means, of [`shape`](crate::shape).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tailwater_core::error::Doing;
use tailwater_core::{Batch, Change, Error, Result, Table};
use tracing::{error, info, warn};

use crate::database::Connection;
use crate::rebuild;
use crate::retype;
use crate::shape::{self, Held, Origin, Plan, literal, quote, same_name};
use crate::sink::modest_limit;
use crate::state::{self, Target};
use crate::values::ColumnType;

/// The open file and all it knows of its tables.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) connection: Connection,
    /// The name under which `DuckDB` knows the file.
    pub(crate) catalog: String,
    /// Our own schema in it, for SQL.
    pub(crate) own: String,
    pub(crate) pipeline: String,
    pub(crate) targets: HashMap<u64, Target>,
    /// The memory limit follows the widest table.
    adaptive: bool,
    widest: usize,
}

/// Why a table is stopped that first shows up in the stream, which does not carry it from its birth.
const NOT_COPIED: &str = "it was not part of the first copy: rows it held before would be missing here";

/// What becomes of a table of an older id that still has the name which a table needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Older {
    /// It is renamed: its own new name, or its end, comes later in the stream.
    Aside,
    /// It is dropped: a fresh copy takes its place.
    Replaced,
}

impl Store {
    /// Reads what the file knows; makes our schema where it is missing.
    pub(crate) fn load(connection: Connection, pipeline: &str, adaptive: bool) -> Result<Self> {
        let read = |sql: &str| state::text_rows(&connection, sql);
        let catalog = state::catalog(&read)?;
        let own = state::own_schema(&catalog);
        state::prepare(&connection, &own, pipeline)?;
        let targets: HashMap<u64, Target> =
            state::load_targets(&read, &own)?.into_iter().map(|target| (target.id, target)).collect();
        // Again at every start, because nobody reads last month's log.
        for target in targets.values() {
            if let Some(reason) = &target.stopped {
                error!(
                    table = format!("{}.{}", target.schema, target.name),
                    code = "TW-DUCK-027",
                    reason,
                    "the table is still stopped: its rows stay as they are; only a new copy starts it again"
                );
            }
        }
        let widest = targets.values().map(|target| target.columns.len()).max().unwrap_or(0);
        let mut store =
            Self { connection, catalog, own, pipeline: pipeline.to_owned(), targets, adaptive, widest: 0 };
        store.make_room(widest)?;
        Ok(store)
    }

    /// Lets DuckDB have the memory that a table of so many columns needs, where nobody has set it.
    fn make_room(&mut self, columns: usize) -> Result<()> {
        if self.adaptive && columns > self.widest {
            self.connection.execute(&format!("SET memory_limit = '{}'", modest_limit(columns)))?;
            self.widest = columns;
        }
        Ok(())
    }

    /// The target of a table, where rows are to be written to it.
    pub(crate) fn writable(&self, id: u64) -> Option<&Target> {
        self.targets.get(&id).filter(|target| target.stopped.is_none())
    }

    /// The full name of a target in SQL.
    pub(crate) fn sql_name(&self, target: &Target) -> String {
        state::full_name(&self.catalog, &target.schema, &target.name)
    }

    /// Marks a target of which rows were deleted: `ALTER TABLE` would fail when this transaction commits.
    pub(crate) fn touch(&mut self, id: u64) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.touched = true;
        }
    }

    /// To be called after each commit.
    pub(crate) fn committed(&mut self) {
        self.targets.values_mut().for_each(|target| target.touched = false);
    }

    /// Makes the target have the shape of `table`, or stops it where its rows cannot be kept.
    pub(crate) fn follow_shape(&mut self, table: &Arc<Table>) -> Result<()> {
        let stopped = match self.targets.get_mut(&table.id) {
            Some(target) if target.has_shape(table) => return Ok(()),
            Some(target) if target.stopped.is_some() => {
                target.shape = Some(Arc::clone(table));
                // Its rows stay where they are; it is shown under the name that it has in the source.
                let renamed = target.source_full_name() != table.full_name();
                target.call_as(table);
                return if renamed { self.save(table.id) } else { Ok(()) };
            }
            Some(_) => self.reshape(table),
            None if !table.streamed_from_birth => Ok(Some(NOT_COPIED.to_owned())),
            None => self.create(table, Older::Aside),
        };
        let stopped = stopped.doing(|| format!("give {} its shape", table.full_name()))?;
        match stopped {
            Some(why) => self.stop(table, why),
            None => Ok(()),
        }
    }

    /// The batch begins the first copy, perhaps not for the first time. What an interrupted one left behind goes, even
    /// where this one does not have the table: it was dropped or renamed in between, and no stream will tell of it.
    pub(crate) fn clear_for_copy(&mut self, batch: &Batch) -> Result<()> {
        if !batch.to.copying() || !batch.to.stream.is_empty() {
            return Ok(());
        }
        let begins: HashSet<String> = batch
            .events()
            .filter_map(|event| {
                if let Change::CopyStart { table } = event.change { Some(table.full_name()) } else { None }
            })
            .collect();
        let copied = |name: &String| batch.to.copies.contains_key(name) && !begins.contains(name);
        let left_behind: Vec<(u64, String)> = self
            .targets
            .values()
            .map(|target| (target.id, target.source_full_name()))
            .filter(|(_, name)| !copied(name))
            .collect();
        for (id, name) in left_behind {
            info!(table = %name, "an interrupted copy left it behind: it is dropped");
            self.drop_table(id).doing(|| format!("drop {name}"))?;
        }
        Ok(())
    }

    /// Starts the copy of a table: whatever the target holds of it goes.
    pub(crate) fn copy_start(&mut self, table: &Arc<Table>) -> Result<()> {
        self.drop_table(table.id)?;
        match self.create(table, Older::Replaced).doing(|| format!("make {}", table.full_name()))? {
            Some(why) => self.stop(table, why),
            None => self.set_copying(table.id, true),
        }
    }

    /// The copy of a table is whole.
    pub(crate) fn copy_end(&mut self, id: u64) -> Result<()> {
        self.set_copying(id, false)
    }

    fn set_copying(&mut self, id: u64, copying: bool) -> Result<()> {
        match self.targets.get_mut(&id) {
            Some(target) if target.copying != copying => {
                target.copying = copying;
                self.save(id)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Empties a target.
    pub(crate) fn truncate(&mut self, id: u64) -> Result<()> {
        let Some(target) = self.writable(id) else { return Ok(()) };
        let name = self.sql_name(target);
        let columns = column_list(&target.columns);
        // Dropped and made anew, it leaves no dead rows, and the shape may still change in this transaction.
        self.connection.execute(&format!("DROP TABLE {name}"))?;
        self.connection.execute(&format!("CREATE TABLE {name} ({columns})"))?;
        if let Some(target) = self.targets.get_mut(&id) {
            target.touched = false;
        }
        Ok(())
    }

    /// Drops a target and forgets it.
    pub(crate) fn drop_table(&mut self, id: u64) -> Result<()> {
        let Some(target) = self.targets.remove(&id) else { return Ok(()) };
        if !target.columns.is_empty() {
            self.connection.execute(&format!("DROP TABLE {}", self.sql_name(&target)))?;
        }
        state::forget_target(&self.connection, &self.own, id)
    }

    /// A value did not fit column `index`: it becomes text, for all rows, losing nothing.
    pub(crate) fn widen(&mut self, id: u64, index: usize) -> Result<()> {
        let Some(target) = self.targets.get_mut(&id) else { return Ok(()) };
        let name = target.source_full_name();
        let mut origins: Vec<Origin> = (0..target.columns.len()).map(Origin::Keep).collect();
        let mut columns = target.columns.clone();
        if let (Some(column), Some(origin)) = (columns.get_mut(index), origins.get_mut(index)) {
            warn!(
                table = %name, column = %column.name, kind = %column.kind,
                "a value does not fit the column's type in the target: the column becomes text"
            );
            *origin = Origin::Render(index);
            column.widen();
        }
        let place = (target.schema.clone(), target.name.clone());
        let columns =
            self.rebuild(id, columns, &origins, &place).doing(|| format!("widen a column of {name}"))?;
        if let Some(target) = self.targets.get_mut(&id)
            && let Some(table) = target.shape.clone()
        {
            target.adopt(&table, columns);
        }
        self.save(id)
    }

    /// Gives up a table: its rows stay as they are, the others go on.
    pub(crate) fn stop(&mut self, table: &Arc<Table>, why: String) -> Result<()> {
        error!(
            table = %table.full_name(), code = "TW-DUCK-027", reason = %why,
            "the table is stopped: its rows stay as they are, the other tables go on"
        );
        let target = self.targets.entry(table.id).or_insert_with(|| Target::new(table));
        (target.stopped, target.shape) = (Some(why), Some(Arc::clone(table)));
        target.call_as(table);
        self.save(table.id)
    }

    fn save(&self, id: u64) -> Result<()> {
        match self.targets.get(&id) {
            Some(target) => state::save_target(&self.connection, &self.own, &self.pipeline, target),
            None => Ok(()),
        }
    }

    /// Makes an empty target. Says why where that cannot be.
    fn create(&mut self, table: &Arc<Table>, older: Older) -> Result<Option<String>> {
        if let Some(why) = self.claim_name(table, older)? {
            return Ok(Some(why));
        }
        let mut target = Target::new(table);
        target.adopt(table, shape::fresh(table));
        let name = self.sql_name(&target);
        self.make_room(target.columns.len())?;
        self.make_schema(&target.schema)?;
        self.connection.execute(&format!("CREATE TABLE {name} ({})", column_list(&target.columns)))?;
        self.targets.insert(table.id, target);
        self.save(table.id)?;
        Ok(None)
    }

    fn make_schema(&self, schema: &str) -> Result<()> {
        let schema = format!("{}.{}", quote(&self.catalog), quote(schema));
        self.connection.execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).map(|_| ())
    }

    /// Makes the name of `table` free for its target. Says why where that cannot be.
    fn claim_name(&mut self, table: &Table, older: Older) -> Result<Option<String>> {
        if same_name(&table.schema, state::SCHEMA) {
            let message =
                format!("{} cannot be written: the schema tailwater is the sink's own", table.full_name());
            return Err(Error::operator("TW-DUCK-028", message).remedy(format!(
                "tables = [..., \"!{}.*\"], or rename the schema in the source",
                table.schema
            )));
        }
        if table.columns.is_empty() {
            return Ok(Some("it has no columns, which DuckDB cannot hold".to_owned()));
        }
        let holder = self.targets.values().find(|other| {
            other.id != table.id
                && !other.columns.is_empty()
                && same_name(&other.schema, &table.schema)
                && same_name(&other.name, &table.name)
        });
        let Some(holder) = holder else { return self.refuse_stranger(table).map(|()| None) };
        let (id, other) = (holder.id, holder.source_full_name());
        let still =
            same_name(&holder.source_schema, &table.schema) && same_name(&holder.source_name, &table.name);
        if still && other != table.full_name() {
            return Ok(Some(format!("DuckDB does not tell its name from that of {other}")));
        }
        match older {
            Older::Replaced => self.drop_table(id).map(|()| None),
            Older::Aside => self.move_aside(id).map(|()| None),
        }
    }

    /// Renames a table whose name another one has in the source by now.
    fn move_aside(&mut self, id: u64) -> Result<()> {
        let Some(target) = self.targets.get(&id) else { return Ok(()) };
        let aside = format!("{}_tailwater_{id}", target.name);
        warn!(table = %target.source_full_name(), aside = %aside, "another table has its name now: it is moved aside");
        self.rename(id, &aside)?;
        self.save(id)
    }

    /// A table or view that is not ours is never touched.
    fn refuse_stranger(&self, table: &Table) -> Result<()> {
        let of_kind = |kind: &str| {
            let catalog = literal(&self.catalog);
            format!("SELECT schema_name, {kind}_name FROM duckdb_{kind}s() WHERE database_name = {catalog}")
        };
        let sql = format!("{} UNION ALL {}", of_kind("table"), of_kind("view"));
        // Compared here, because DuckDB's own lower() knows more letters than its names do.
        let is = |schema: &str, name: &str| same_name(schema, &table.schema) && same_name(name, &table.name);
        let taken = state::text_rows(&self.connection, &sql)?.iter().any(|row| {
            let mut names = row.iter().map(|name| name.as_deref().unwrap_or_default());
            is(names.next().unwrap_or_default(), names.next().unwrap_or_default())
        });
        if !taken || self.targets.get(&table.id).is_some_and(|own| is(&own.schema, &own.name)) {
            return Ok(());
        }
        let name = table.full_name();
        Err(Error::operator(
            "TW-DUCK-029",
            format!("{name} is in the file already, and not written by this pipeline"),
        )
        .remedy(format!("DROP TABLE {name} in the DuckDB file, or rename it, or set another path")))
    }

    /// Brings an existing target to the shape of `table`. Says why where its rows cannot be kept.
    fn reshape(&mut self, table: &Arc<Table>) -> Result<Option<String>> {
        self.make_room(table.columns.len())?;
        let Some(target) = self.targets.get(&table.id) else { return Ok(None) };
        let place = (table.schema.clone(), table.name.clone());
        let moved = (&target.schema, &target.name) != (&place.0, &place.1);
        let held = target.columns.clone();
        let planned = match shape::reshape(&held, table, false) {
            Err(_) if self.is_empty(target)? => shape::reshape(&held, table, true),
            planned => planned,
        };
        let reshape = match planned {
            Ok(reshape) => reshape,
            Err(why) => return Ok(Some(why)),
        };
        if let Some(why) = self.refused_cast(target, &reshape.columns, &reshape.origins)? {
            return Ok(Some(why));
        }
        if let Some(why) = self.doubtful_blanks(target, &reshape.columns)? {
            return Ok(Some(why));
        }
        let (touched, in_place) = (target.touched, same_name(&target.schema, &place.0));
        let changed =
            moved || held != reshape.columns || target.key != state::key_names(table, &reshape.columns);
        if moved && let Some(why) = self.claim_name(table, Older::Aside)? {
            return Ok(Some(why));
        }
        let case_only = moved
            && in_place
            && self.targets.get(&table.id).is_some_and(|own| same_name(&own.name, &place.1));
        let columns = match reshape.plan {
            Plan::Same if !moved => reshape.columns,
            Plan::Alter(clauses) if !touched && in_place && !case_only => {
                self.alter(table.id, &clauses)?;
                self.rename(table.id, &place.1)?;
                reshape.columns
            }
            Plan::Same if in_place => {
                self.rename(table.id, &place.1)?;
                reshape.columns
            }
            Plan::Same | Plan::Alter(_) | Plan::Rebuild => {
                self.rebuild(table.id, reshape.columns, &reshape.origins, &place)?
            }
        };
        if let Some(target) = self.targets.get_mut(&table.id) {
            target.adopt(table, columns);
        }
        if changed {
            info!(table = %table.full_name(), "the table has a new shape");
            self.save(table.id)?;
        }
        Ok(None)
    }

    fn is_empty(&self, target: &Target) -> Result<bool> {
        let sql = format!("SELECT 'row' FROM {} LIMIT 1", self.sql_name(target));
        Ok(state::text_rows(&self.connection, &sql)?.is_empty())
    }

    /// Names a column with a value that its new type would lose.
    fn refused_cast(&self, target: &Target, columns: &[Held], origins: &[Origin]) -> Result<Option<String>> {
        for (column, origin) in columns.iter().zip(origins) {
            let Origin::Cast(index) = origin else { continue };
            let Some(old) = target.columns.get(*index) else { continue };
            let (from, kind) = (quote(&old.name), &column.kind);
            let name = self.sql_name(target);
            let sql = format!(
                "SELECT 'row' FROM {name} WHERE {from} IS NOT NULL AND TRY_CAST({from} AS {kind}) IS NULL LIMIT 1"
            );
            if !state::text_rows(&self.connection, &sql)?.is_empty() {
                return Ok(Some(format!("column {}: not all of its values are {kind}", column.name)));
            }
        }
        Ok(None)
    }

    /// Names a column with a value of which nobody can tell whether it lost the blanks at its end.
    fn doubtful_blanks(&self, target: &Target, columns: &[Held]) -> Result<Option<String>> {
        for new in columns {
            let Some(old) = target.columns.iter().find(|old| old.id == new.id) else { continue };
            if !retype::may_trim(old, new) {
                continue;
            }
            let column = quote(&old.name);
            let blank = if let ColumnType::List(_) = &old.kind {
                format!("len(list_filter({column}, lambda x: suffix(x, ' '))) > 0")
            } else if old.widened {
                format!("contains({column}, ' ')")
            } else {
                format!("suffix({column}, ' ')")
            };
            let sql = format!("SELECT 'row' FROM {} WHERE {blank} LIMIT 1", self.sql_name(target));
            if !state::text_rows(&self.connection, &sql)?.is_empty() {
                let (from, to) = (&old.source_type, &new.source_type);
                return Ok(Some(format!(
                    "column {}: the blanks at the end of its values may not survive the way from {from} to {to}",
                    new.name
                )));
            }
        }
        Ok(None)
    }

    fn alter(&self, id: u64, clauses: &[String]) -> Result<()> {
        let Some(target) = self.targets.get(&id) else { return Ok(()) };
        let name = self.sql_name(target);
        clauses.iter().try_for_each(|clause| {
            self.connection.execute(&format!("ALTER TABLE {name} {clause}")).map(|_| ())
        })
    }

    fn rename(&mut self, id: u64, to: &str) -> Result<()> {
        let Some(target) = self.targets.get(&id).filter(|target| target.name != to) else { return Ok(()) };
        // DuckDB's log calls a table by the last name it has in a transaction. Rows deleted before a renaming would
        // be looked for under a name that is not there yet when the log is read again after a crash, and everything
        // from there on would be lost without a word. A table that is written anew has no such rows.
        if target.touched || same_name(&target.name, to) {
            let place = (target.schema.clone(), to.to_owned());
            let origins: Vec<Origin> = (0..target.columns.len()).map(Origin::Keep).collect();
            return self.rebuild(id, target.columns.clone(), &origins, &place).map(|_| ());
        }
        let from = self.sql_name(target);
        self.connection.execute(&format!("ALTER TABLE {from} RENAME TO {}", quote(to)))?;
        if let Some(target) = self.targets.get_mut(&id) {
            to.clone_into(&mut target.name);
        }
        Ok(())
    }

    /// Writes a target anew, with other columns, at `(schema, name)`. Gives the columns it has then.
    fn rebuild(
        &mut self,
        id: u64,
        columns: Vec<Held>,
        origins: &[Origin],
        (schema, name): &(String, String),
    ) -> Result<Vec<Held>> {
        let Some(target) = self.targets.get(&id) else { return Ok(columns) };
        self.make_schema(schema)?;
        let old = self.sql_name(target);
        let under_way = state::full_name(&self.catalog, schema, &format!("tailwater_new_{id}"));
        let columns = rebuild::copy_rows(&self.connection, target, (&old, &under_way), columns, origins)?;
        self.connection.execute(&format!("DROP TABLE {old}"))?;
        self.connection.execute(&format!("ALTER TABLE {under_way} RENAME TO {}", quote(name)))?;
        if let Some(target) = self.targets.get_mut(&id) {
            target.schema.clone_from(schema);
            target.name.clone_from(name);
            target.touched = false;
        }
        Ok(columns)
    }
}

fn column_list(columns: &[Held]) -> String {
    columns
        .iter()
        .map(|column| format!("{} {}", quote(&column.name), column.kind))
        .collect::<Vec<_>>()
        .join(", ")
}
