//! `format = "json"`: one document per change, as `[sink.stdout]` writes it, with nothing left out: shapes, truncates
//! and the marks of a copy are records too. The key of a row's record is an object of its key columns, that of any
//! other record of a table names the table.

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::json::write_string;
use tailwater_core::line::{Format, Lines, Members};
use tailwater_core::{Change, Event, Result, Row, Table, Value};

use crate::encode::{Encode, Place, Records, Span};
use crate::error;
use crate::routes::{Naming, Route, Routes};

pub(crate) struct Json {
    lines: Lines,
    /// By [`Table::id`].
    tables: HashMap<u64, Prepared>,
    /// Where messages go.
    messages: String,
}

struct Prepared {
    table: Arc<Table>,
    route: Route,
    key: Members,
    /// `{"schema":"…","table":"…"}`
    name: Vec<u8>,
}

impl Json {
    pub(crate) fn new(naming: &Naming) -> Self {
        let messages = message_topic(naming);
        Self { lines: Lines::new(Format::Json), tables: HashMap::new(), messages }
    }

    fn prepare(&mut self, table: &Arc<Table>, routes: &mut Routes) -> Result<()> {
        if self.tables.get(&table.id).is_some_and(|known| Arc::ptr_eq(&known.table, table)) {
            return Ok(());
        }
        let mut name = b"{\"schema\":".to_vec();
        write_string(&mut name, table.schema.as_bytes());
        name.extend_from_slice(b",\"table\":");
        write_string(&mut name, table.name.as_bytes());
        name.push(b'}');
        let route = routes.table(table, &table.key)?;
        let key = Members::of_key(table);
        self.tables.insert(table.id, Prepared { table: Arc::clone(table), route, key, name });
        Ok(())
    }
}

/// Where messages go, which belong to no table.
pub(crate) fn message_topic(naming: &Naming) -> String {
    naming.topic("tailwater", "messages")
}

/// Writes the key of a row: `{"id":1}`.
///
/// # Errors
/// `Data` where a value of the key did not come.
fn write_key(key: &Members, table: &Table, row: Row<'_>, out: &mut Records) -> Result<Span> {
    if let Some(missing) = key.indexes().find(|&index| row.get(index) == Value::Unsent) {
        let column = table.columns.get(missing).map_or("", |column| &column.name);
        return Err(error::key_missing(&table.full_name(), column));
    }
    Ok(out.write(|out| key.object(out, row)))
}

impl Encode for Json {
    fn event(
        &mut self,
        event: &Event<'_>,
        place: Place<'_>,
        routes: &mut Routes,
        out: &mut Records,
    ) -> Result<()> {
        let (table, row): (&Arc<Table>, Option<Row<'_>>) = match event.change {
            Change::Insert { table, new }
            | Change::Update { table, new, .. }
            | Change::Copied { table, new } => (table, Some(new)),
            Change::Delete { table, old } => (table, Some(old)),
            Change::Truncate { table } | Change::Shape { table } | Change::Drop { table } => (table, None),
            Change::Stop { table, .. } => (table, None),
            Change::CopyStart { table } | Change::CopyEnd { table } => (table, None),
            Change::Message { .. } | Change::Statement(_) => {
                let value = self.line(event, place, out);
                let route = routes.other(&self.messages, "messages");
                out.add(route, None, Some(value));
                return Ok(());
            }
        };
        self.prepare(table, routes)?;
        let Some(known) = self.tables.get(&table.id) else { return Ok(()) };
        let key = match row {
            None => Some(out.write(|out| out.extend_from_slice(&known.name))),
            Some(_) if known.key.is_empty() => None,
            Some(row) => Some(write_key(&known.key, table, row, out)?),
        };
        let route = known.route;
        let value = self.line(event, place, out);
        out.add(route, key, Some(value));
        Ok(())
    }
}

impl Json {
    fn line(&mut self, event: &Event<'_>, place: Place<'_>, out: &mut Records) -> Span {
        self.lines.source(place.source);
        self.lines.enter(&event.transaction);
        out.write(|out| {
            self.lines.write(out, event);
            out.push(b'}');
        })
    }
}
