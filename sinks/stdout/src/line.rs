//! Turns events into lines, in one buffer, from fragments prepared per table and per transaction. Pure: the bytes
//! go where [`Stdout`](crate::Stdout) takes them.

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::json::{write_string, write_value};
use tailwater_core::{Change, Event, Fill, Row, Table, Transaction, Type, Value};

use crate::Format;

/// Lines, the last of which may still lack its end.
#[derive(Debug)]
pub(crate) struct Encoder {
    format: Format,
    out: Vec<u8>,
    /// Where the last line starts while it is not known whether it is the last of its transaction.
    open_line: Option<OpenLine>,
    /// `"source":"…",`
    source: Vec<u8>,
    source_name: String,
    /// By [`Table::id`].
    tables: HashMap<u64, TableText>,
    transaction: TransactionText,
}

#[derive(Debug, Clone, Copy)]
struct OpenLine {
    start: usize,
    /// Whether it belongs to a transaction of the source: a copied row does not.
    streamed: bool,
}

#[derive(Debug)]
struct TableText {
    table: Arc<Table>,
    /// `"source":"…","schema":"…","table":"…",`
    head: Vec<u8>,
    columns: Vec<ColumnText>,
}

#[derive(Debug)]
struct ColumnText {
    /// `"name":`
    key: Vec<u8>,
    kind: Type,
}

#[derive(Debug, Default)]
struct TransactionText {
    id: String,
    commit_time_us: i64,
    xid: u64,
    /// `"ts_us":…,"xid":…,"position":"…","ordinal":`
    text: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            out: Vec::new(),
            open_line: None,
            source: Vec::new(),
            source_name: String::new(),
            tables: HashMap::new(),
            transaction: TransactionText::default(),
        }
    }

    /// The source of the events that follow.
    pub(crate) fn source(&mut self, name: &str) {
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

    /// Adds the line of an event.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        self.enter(&event.transaction);
        match event.change {
            Change::Insert { table, new } => self.row("insert", table, None, new, event),
            Change::Update { table, old, new } => self.row("update", table, old, new, event),
            Change::Delete { table, old } => self.row("delete", table, None, old, event),
            Change::Copied { table, new } => self.row("snapshot", table, None, new, event),
            Change::Truncate { table } => self.start("truncate", table, event),
            Change::Drop { table } => self.start("drop", table, event),
            Change::CopyEnd { table } => self.start("snapshot-end", table, event),
            Change::CopyStart { table } => {
                self.start("snapshot-start", table, event);
                self.columns(table);
            }
            Change::Shape { table } => {
                self.start("schema", table, event);
                self.columns(table);
            }
            Change::Message { prefix, content, transactional: _ } => self.message(prefix, content, event),
        }
    }

    /// What came last is the end of a transaction.
    pub(crate) fn boundary(&mut self) {
        self.end_line(true);
    }

    /// The lines that have their end.
    pub(crate) fn complete_lines(&self) -> &[u8] {
        let end = self.open_line.map_or(self.out.len(), |line| line.start);
        self.out.get(..end).unwrap_or_default()
    }

    /// Drops the lines that have their end. Keeps the buffer's memory, up to `keep_bytes` or so.
    pub(crate) fn forget_complete_lines(&mut self, keep_bytes: usize) {
        let end = self.complete_lines().len();
        self.out.drain(..end);
        if let Some(line) = &mut self.open_line {
            line.start = 0;
        }
        self.out.shrink_to(2 * keep_bytes);
    }

    /// Memory of the buffer.
    #[cfg(test)]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.out.capacity()
    }

    /// Notes the transaction of the next event; when it is another one, the open line was the last of its own.
    fn enter(&mut self, next: &Transaction<'_>) {
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
        self.end_line(!same);
    }

    fn end_line(&mut self, of_transaction: bool) {
        if let Some(line) = self.open_line.take() {
            if of_transaction && line.streamed {
                self.out.push(b',');
                key(&mut self.out, self.format, "commit");
                self.out.extend_from_slice(b"true");
            }
            self.out.extend_from_slice(b"}\n");
        }
    }

    /// `{"type":"insert","source":"…","schema":"…","table":"…","ts_us":…,"xid":…,"position":"…","ordinal":3`
    fn start(&mut self, kind: &str, table: &Arc<Table>, event: &Event<'_>) {
        if !self.tables.get(&table.id).is_some_and(|known| Arc::ptr_eq(&known.table, table)) {
            let text = TableText::new(self.format, &self.source, table);
            self.tables.insert(table.id, text);
        }
        self.open(kind, event);
        if let Some(known) = self.tables.get(&table.id) {
            self.out.extend_from_slice(&known.head);
        }
        self.place(event.ordinal);
    }

    fn open(&mut self, kind: &str, event: &Event<'_>) {
        let streamed = match event.change {
            Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => false,
            Change::Message { transactional, .. } => transactional,
            Change::Insert { .. } | Change::Update { .. } | Change::Delete { .. } => true,
            Change::Truncate { .. } | Change::Shape { .. } | Change::Drop { .. } => true,
        };
        self.open_line = Some(OpenLine { start: self.out.len(), streamed });
        self.out.push(b'{');
        key(&mut self.out, self.format, "type");
        self.out.push(b'"');
        self.out.extend_from_slice(kind.as_bytes());
        self.out.extend_from_slice(b"\",");
    }

    fn place(&mut self, ordinal: u64) {
        self.out.extend_from_slice(&self.transaction.text);
        number(&mut self.out, ordinal);
    }

    fn row(&mut self, kind: &str, table: &Arc<Table>, old: Option<Row<'_>>, new: Row<'_>, event: &Event<'_>) {
        self.start(kind, table, event);
        let (out, format) = (&mut self.out, self.format);
        let Some(TableText { columns, .. }) = self.tables.get(&table.id) else {
            return;
        };
        match format {
            Format::Json => {
                out.push(b',');
                key(out, format, "data");
                object(out, columns, new);
            }
            Format::Row => {
                out.push(b',');
                // Without any value the comma goes again.
                if !members(out, columns, new) {
                    out.pop();
                }
            }
        }
        if let Some(old) = old {
            out.push(b',');
            key(out, format, "old");
            object(out, columns, old);
        }
        let mut unsent =
            columns.iter().zip(new.values()).filter(|(_, value)| *value == Value::Unsent).peekable();
        if unsent.peek().is_some() {
            out.push(b',');
            key(out, format, "unsent");
            out.push(b'[');
            for (column, _) in unsent {
                // A key without its colon is the name.
                out.extend_from_slice(column.key.strip_suffix(b":").unwrap_or_default());
                out.push(b',');
            }
            close(out, b']');
        }
    }

    /// `"id"` tells a table or a column that is renamed from one that is dropped and another that is added; `"fill"` is
    /// what the rows from before the column hold in it, where that is not NULL.
    fn columns(&mut self, table: &Table) {
        let (out, format) = (&mut self.out, self.format);
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

    fn message(&mut self, prefix: &[u8], content: &[u8], event: &Event<'_>) {
        self.open("message", event);
        self.out.extend_from_slice(&self.source);
        self.place(event.ordinal);
        for (name, text) in [("prefix", prefix), ("content", content)] {
            self.out.push(b',');
            key(&mut self.out, self.format, name);
            write_string(&mut self.out, text);
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
        let column = |column: &tailwater_core::Column| {
            let mut key = Vec::new();
            write_string(&mut key, column.name.as_bytes());
            key.push(b':');
            ColumnText { key, kind: column.kind.clone() }
        };
        Self { table: Arc::clone(table), head, columns: table.columns.iter().map(column).collect() }
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

fn object(out: &mut Vec<u8>, columns: &[ColumnText], row: Row<'_>) {
    out.push(b'{');
    members(out, columns, row);
    out.push(b'}');
}

/// `"a":1,"b":null` for the values that were sent; whether there was one.
#[inline]
fn members(out: &mut Vec<u8>, columns: &[ColumnText], row: Row<'_>) -> bool {
    let start = out.len();
    for (column, value) in columns.iter().zip(row.values()) {
        match value {
            Value::Unsent => continue,
            Value::Null => {
                out.extend_from_slice(&column.key);
                out.extend_from_slice(b"null");
            }
            Value::Text(text) => {
                out.extend_from_slice(&column.key);
                write_value(out, &column.kind, text);
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

/// Closes a list whose every element ended with a comma.
fn close(out: &mut Vec<u8>, bracket: u8) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}
