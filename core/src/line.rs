//! One change as one JSON object on one line, and the columns of a row as members of one: what sinks that write JSON
//! have in common. Fragments are prepared once per shape of a table and per transaction, so that nothing is allocated
//! per row. What ends a line, and where it goes, is the sink's matter.

use std::collections::HashMap;
use std::sync::Arc;

use crate::json::{write_string, write_value};
use crate::{Change, Column, Event, Fill, Row, Statement, Table, Transaction, Value};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `"json"`: columns inside `data`, what is known about the change beside it.
    #[default]
    Json,
    /// `"row"`: columns at the top, what is known about the change beside them with `_` before its name. Easy to load into a
    /// table; a column called like one of these (`_type`) comes second.
    Row,
}

/// Writes lines, up to the brace that closes them.
#[derive(Debug)]
pub struct Lines {
    format: Format,
    /// `"source":"…",`
    source: Vec<u8>,
    source_name: String,
    /// By [`Table::id`].
    tables: HashMap<u64, TableText>,
    transaction: TransactionText,
}

/// The names of columns as JSON, ready to be written with the values of rows.
#[derive(Debug, Clone, Default)]
pub struct Members(Vec<Member>);

#[derive(Debug, Clone)]
struct Member {
    /// Its place in the row.
    index: usize,
    /// `"name":`
    key: Vec<u8>,
    kind: crate::Type,
}

#[derive(Debug)]
struct TableText {
    table: Arc<Table>,
    /// `"source":"…","schema":"…","table":"…",`
    head: Vec<u8>,
    columns: Members,
}

#[derive(Debug, Default)]
struct TransactionText {
    id: String,
    commit_time_us: i64,
    xid: u64,
    /// `"ts_us":…,"xid":…,"position":"…","ordinal":`
    text: Vec<u8>,
}

impl Format {
    /// Every format by its spelling in a configuration.
    pub const ALL: &[(&str, Self)] = &[("json", Self::Json), ("row", Self::Row)];
}

impl Lines {
    /// Lines of this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            source: Vec::new(),
            source_name: String::new(),
            tables: HashMap::new(),
            transaction: TransactionText::default(),
        }
    }

    /// The source of the events that follow.
    pub fn source(&mut self, name: &str) {
        if self.source_name != name || self.source.is_empty() {
            name.clone_into(&mut self.source_name);
            self.tables.clear();
            self.source.clear();
            let format = self.format;
            key(&mut self.source, format, "source");
            write_string(&mut self.source, name.as_bytes());
            self.source.push(b',');
        }
    }

    /// Notes the transaction of the next event; whether it is that of the event before.
    pub fn enter(&mut self, next: &Transaction<'_>) -> bool {
        let now = &mut self.transaction;
        let same = now.id == next.id && now.commit_time_us == next.commit_time_us && now.xid == next.xid;
        if !same || now.text.is_empty() {
            next.id.clone_into(&mut now.id);
            (now.commit_time_us, now.xid) = (next.commit_time_us, next.xid);
            now.text.clear();
            let (text, format) = (&mut now.text, self.format);
            key(text, format, "ts_us");
            number(text, next.commit_time_us);
            text.push(b',');
            key(text, format, "xid");
            number(text, next.xid);
            text.push(b',');
            key(text, format, "position");
            write_string(text, next.id.as_bytes());
            text.push(b',');
            key(text, format, "ordinal");
        }
        same
    }

    /// Appends the line of an event whose transaction was entered, without its closing brace.
    pub fn write(&mut self, out: &mut Vec<u8>, event: &Event<'_>) {
        match event.change {
            Change::Insert { table, new } => {
                self.start(out, "insert", table, event);
                self.row(out, table, None, new);
            }
            Change::Update { table, old, new } => {
                self.start(out, "update", table, event);
                self.row(out, table, old, new);
            }
            Change::Delete { table, old } => {
                self.start(out, "delete", table, event);
                self.row(out, table, None, old);
            }
            Change::Copied { table, new } => {
                self.start(out, "snapshot", table, event);
                self.row(out, table, None, new);
            }
            Change::Truncate { table } => self.start(out, "truncate", table, event),
            Change::Drop { table } => self.start(out, "drop", table, event),
            Change::Stop { table, reason } => {
                self.start(out, "stop", table, event);
                out.push(b',');
                key(out, self.format, "reason");
                write_string(out, reason);
            }
            Change::CopyEnd { table } => self.start(out, "snapshot-end", table, event),
            Change::CopyStart { table } => {
                self.start(out, "snapshot-start", table, event);
                self.columns(out, table);
            }
            Change::Shape { table } => {
                self.start(out, "schema", table, event);
                self.columns(out, table);
            }
            Change::Message { prefix, content, transactional: _ } => {
                self.words(out, "message", [("prefix", prefix), ("content", content)], event)
            }
            Change::Statement(Statement { database, text, .. }) => {
                self.words(out, "statement", [("schema", database), ("text", text)], event)
            }
        }
    }

    /// `{"type":"insert","source":"…","schema":"…","table":"…","ts_us":…,"xid":…,"position":"…","ordinal":3`
    fn start(&mut self, out: &mut Vec<u8>, kind: &str, table: &Arc<Table>, event: &Event<'_>) {
        if !self.tables.get(&table.id).is_some_and(|known| Arc::ptr_eq(&known.table, table)) {
            let text = TableText::new(self.format, &self.source, table);
            self.tables.insert(table.id, text);
        }
        self.open(out, kind);
        if let Some(known) = self.tables.get(&table.id) {
            out.extend_from_slice(&known.head);
        }
        self.place(out, event.ordinal);
    }

    fn open(&self, out: &mut Vec<u8>, kind: &str) {
        out.push(b'{');
        key(out, self.format, "type");
        out.push(b'"');
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",");
    }

    fn place(&self, out: &mut Vec<u8>, ordinal: u64) {
        out.extend_from_slice(&self.transaction.text);
        number(out, ordinal);
    }

    fn row(&self, out: &mut Vec<u8>, table: &Table, old: Option<Row<'_>>, new: Row<'_>) {
        let format = self.format;
        let Some(TableText { columns, .. }) = self.tables.get(&table.id) else {
            return;
        };
        match format {
            Format::Json => {
                out.push(b',');
                key(out, format, "data");
                columns.object(out, new);
            }
            Format::Row => {
                out.push(b',');
                // Without any value the comma goes again.
                if !columns.members(out, new) {
                    out.pop();
                }
            }
        }
        if let Some(old) = old {
            out.push(b',');
            key(out, format, "old");
            columns.object(out, old);
        }
        let mut unsent = columns.0.iter().filter(|column| new.get(column.index) == Value::Unsent).peekable();
        if unsent.peek().is_some() {
            out.push(b',');
            key(out, format, "unsent");
            out.push(b'[');
            for column in unsent {
                // A key without its colon is the name.
                out.extend_from_slice(column.key.strip_suffix(b":").unwrap_or_default());
                out.push(b',');
            }
            close(out, b']');
        }
    }

    /// `"id"` tells a table or a column that is renamed from one that is dropped and another that is added; `"fill"` is
    /// what the rows from before the column hold in it, where that is not NULL, and `"former_id"` the column whose new name it is
    /// where the source's ids do not survive one.
    fn columns(&self, out: &mut Vec<u8>, table: &Table) {
        let format = self.format;
        out.push(b',');
        key(out, format, "id");
        number(out, table.id);
        out.push(b',');
        key(out, format, "columns");
        out.push(b'[');
        for (index, column) in table.columns.iter().enumerate() {
            out.extend_from_slice(b"{\"id\":");
            number(out, column.id);
            out.extend_from_slice(b",\"name\":");
            write_string(out, column.name.as_bytes());
            out.extend_from_slice(b",\"type\":");
            write_string(out, column.source_type.as_bytes());
            let in_key: &[u8] = if table.key.contains(&index) { b",\"key\":true" } else { b",\"key\":false" };
            out.extend_from_slice(in_key);
            match &column.fill {
                Fill::Null => {}
                Fill::Constant(text) => {
                    out.extend_from_slice(b",\"fill\":");
                    write_value(out, &column.kind, text.as_bytes());
                }
                Fill::Renamed(former) => {
                    out.extend_from_slice(b",\"former_id\":");
                    number(out, *former);
                }
                Fill::Unknown(why) => {
                    out.extend_from_slice(b",\"fill_unknown\":");
                    write_string(out, why.as_bytes());
                }
                Fill::Gone => {
                    out.extend_from_slice(b",\"fill_unknown\":\"the column has been dropped since\"")
                }
            }
            out.extend_from_slice(b"},");
        }
        close(out, b']');
    }

    fn words(&self, out: &mut Vec<u8>, kind: &str, words: [(&str, &[u8]); 2], event: &Event<'_>) {
        self.open(out, kind);
        out.extend_from_slice(&self.source);
        self.place(out, event.ordinal);
        for (name, text) in words {
            out.push(b',');
            key(out, self.format, name);
            write_string(out, text);
        }
    }
}

impl TableText {
    fn new(format: Format, source: &[u8], table: &Arc<Table>) -> Self {
        let mut head = source.to_vec();
        for (name, text) in [("schema", &table.schema), ("table", &table.name)] {
            key(&mut head, format, name);
            write_string(&mut head, text.as_bytes());
            head.push(b',');
        }
        Self { table: Arc::clone(table), head, columns: Members::new(&table.columns) }
    }
}

impl Members {
    /// All of these columns.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        let member = |(index, column): (usize, &Column)| {
            let mut key = Vec::new();
            write_string(&mut key, column.name.as_bytes());
            key.push(b':');
            Member { index, key, kind: column.kind.clone() }
        };
        Self(columns.iter().enumerate().map(member).collect())
    }

    /// The columns of the table's key.
    #[must_use]
    pub fn of_key(table: &Table) -> Self {
        let mut all = Self::new(&table.columns);
        all.0.retain(|member| table.key.contains(&member.index));
        all
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places of the columns in a row.
    pub fn indexes(&self) -> impl Iterator<Item = usize> + Clone {
        self.0.iter().map(|member| member.index)
    }

    /// Appends `{"a":1,"b":null}` with the values of `row` that were sent.
    #[inline]
    pub fn object(&self, out: &mut Vec<u8>, row: Row<'_>) {
        out.push(b'{');
        self.members(out, row);
        out.push(b'}');
    }

    /// Appends `"a":1,"b":null` for the values of `row` that were sent; whether there was one.
    #[inline]
    pub fn members(&self, out: &mut Vec<u8>, row: Row<'_>) -> bool {
        let start = out.len();
        for member in &self.0 {
            match row.get(member.index) {
                Value::Unsent => continue,
                Value::Null => {
                    out.extend_from_slice(&member.key);
                    out.extend_from_slice(b"null");
                }
                Value::Text(text) => {
                    out.extend_from_slice(&member.key);
                    write_value(out, &member.kind, text);
                }
            }
            out.push(b',');
        }
        let any = out.len() > start;
        if any {
            out.pop();
        }
        any
    }
}

/// The key of something that is known about a change.
fn key(out: &mut Vec<u8>, format: Format, name: &str) {
    out.extend_from_slice(match format {
        Format::Json => b"\"",
        Format::Row => b"\"_",
    });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Closes a list whose every element ended with a comma.
fn close(out: &mut Vec<u8>, bracket: u8) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}
