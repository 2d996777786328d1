//! `format = "debezium"`: the records that Debezium's Postgres connector and Connect's JSON converter would write.
//! Pure. What is known per shape of a table is prepared once (`table`, `column`), what is known per transaction or
//! batch is kept as text (`envelope`), so that a row costs its own values and nothing else.
//!
//! | file | what it does |
//! |---|---|
//! | `config` | Debezium's options by name |
//! | `sql`, `column`, `default`, `names` | from a declared column to its form, schema and stand-ins |
//! | `value`, `number`, `time`, `text` | from the text of a value to JSON |
//! | `table`, `envelope`, `headers` | what surrounds a row |
//! | `snapshot`, `transactions` | markers of the first copy; metadata of transactions |
//! | `record` | a sink that keeps the records, for whoever compares them |
//!
//! How it is held against the real connector: `integration-tests/debezium`.

mod column;
pub mod config;
mod default;
mod envelope;
mod headers;
mod names;
mod number;
pub mod record;
mod snapshot;
mod sql;
mod table;
mod text;
mod time;
mod transactions;
mod value;

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::{Change, Event, Result, Row, Table, Transaction};

pub use config::{Config, Skipped};

use self::envelope::{End, Moment, number, text_of};
use self::headers::Headers;
use self::number::Scratch;
use self::snapshot::Copies;
use self::table::Prepared;
use self::transactions::Counts;
use crate::encode::{Encode, Place, Records, Span};
use crate::routes::{Route, Routes};

const NEW_KEY: &[u8] = b"__debezium.newkey";
const OLD_KEY: &[u8] = b"__debezium.oldkey";
const MESSAGE_KEY_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":true,"field":"prefix"}],"optional":false,"#,
    r#""name":"io.debezium.connector.postgresql.MessageKey","version":1}"#,
);
const HEARTBEAT_KEY_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"serverName"}],"optional":false,"#,
    r#""name":"io.debezium.connector.common.ServerNameKey","version":1}"#,
);
const HEARTBEAT_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,"#,
    r#""name":"io.debezium.connector.common.Heartbeat","version":1}"#,
);

/// The format.
#[derive(Debug)]
pub(crate) struct Debezium {
    config: Config,
    tables: Vec<Prepared>,
    /// Into `tables`, by [`Table::id`].
    index: HashMap<u64, usize>,
    /// The table of the event before: most events are of the same one.
    last: usize,
    moment: Moment,
    scratch: Scratch,
    copies: Copies,
    counts: Counts,
    /// Keys of the update under way: old and new.
    keys: (Vec<u8>, Vec<u8>),
    headers: Headers,
    /// `{"schema":{…},"payload":` of messages, where schemas are asked for.
    message_heads: (Vec<u8>, Vec<u8>),
    message_route: Option<Route>,
    /// As in [`Prepared`].
    source_head: Vec<u8>,
    last_heartbeat_us: i64,
}

/// One record of a table.
struct Outgoing<'a> {
    operation: u8,
    before: Option<Row<'a>>,
    after: Option<Row<'a>>,
    key: Option<Span>,
    /// The header of a changed key, and the other key.
    link: Option<(Span, Span)>,
}

impl Debezium {
    pub(crate) fn new(config: Config) -> Self {
        let head = |schema: &str| {
            let text = format!("{{\"schema\":{schema},\"payload\":");
            if config.schemas { text.into_bytes() } else { Vec::new() }
        };
        Self {
            message_heads: (head(MESSAGE_KEY_SCHEMA), head(&envelope::message_schema())),
            message_route: None,
            source_head: envelope::source_head(&config),
            config,
            tables: Vec::new(),
            index: HashMap::new(),
            last: usize::MAX,
            moment: Moment::default(),
            scratch: Scratch::default(),
            copies: Copies::default(),
            counts: Counts::default(),
            keys: (Vec::new(), Vec::new()),
            headers: Headers::default(),
            last_heartbeat_us: 0,
        }
    }

    /// Makes the table ready, and notes it as the last one.
    #[inline]
    fn enter_table(&mut self, table: &Arc<Table>, routes: &mut Routes) -> Result<()> {
        if self.tables.get(self.last).is_some_and(|last| Arc::ptr_eq(&last.table, table)) {
            return Ok(());
        }
        self.look_up(table, routes)
    }

    fn look_up(&mut self, table: &Arc<Table>, routes: &mut Routes) -> Result<()> {
        let known = self.index.get(&table.id).copied();
        let current = known.and_then(|index| self.tables.get(index));
        if !current.is_some_and(|known| Arc::ptr_eq(&known.table, table)) {
            let prepared = Prepared::new(table, &self.config, routes, &mut self.scratch)?;
            match known.and_then(|index| self.tables.get_mut(index)) {
                Some(slot) => *slot = prepared,
                None => {
                    self.index.insert(table.id, self.tables.len());
                    self.tables.push(prepared);
                }
            }
        }
        self.last = self.index.get(&table.id).copied().unwrap_or(usize::MAX);
        Ok(())
    }

    fn transaction_route(&self, routes: &mut Routes) -> Route {
        routes.other(&self.config.transactions_topic(), "transactions")
    }

    /// The key of a row as a span, or `None` where the table has none.
    fn key(&mut self, row: Row<'_>, old: bool, out: &mut Records) -> Option<Span> {
        let table = self.tables.get(self.last).filter(|table| table.has_key())?;
        let (bare, scratch) = (&mut self.keys.0, &mut self.scratch);
        bare.clear();
        table.bare_key(bare, row, old, scratch);
        Some(out.write(|out| table.key(out, bare)))
    }

    /// Writes a record of the last table.
    fn record(&mut self, event: &Event<'_>, outgoing: &Outgoing<'_>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        let (scratch, moment) = (&mut self.scratch, &self.moment);
        let transaction = if self.config.transactions {
            self.counts.count(&table.full_name, event.transaction.xid, event.log_offset)
        } else {
            b"null"
        };
        let value = out.write(|out| {
            rows(out, table, outgoing, scratch);
            let end = End { operation: outgoing.operation, transaction };
            moment.close(out, table, "false", event, end);
        });
        out.add(table.route, outgoing.key, Some(value));
        self.headers(outgoing.link, out);
    }

    fn tombstone(&self, key: Option<Span>, link: Option<(Span, Span)>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        out.add(table.route, key, None);
        self.headers(link, out);
    }

    fn headers(&self, link: Option<(Span, Span)>, out: &mut Records) {
        if let Some((name, key)) = link {
            out.header(name, Some(key));
        }
        self.headers.write(out);
    }

    fn insert(&mut self, event: &Event<'_>, new: Row<'_>, out: &mut Records) {
        if !self.config.skipped.create {
            let key = self.key(new, false, out);
            let outgoing = Outgoing { operation: b'c', before: None, after: Some(new), key, link: None };
            self.record(event, &outgoing, out);
        }
    }

    fn update(&mut self, event: &Event<'_>, old: Option<Row<'_>>, new: Row<'_>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        if let (Some(old), true) = (old, table.has_key()) {
            let (old_key, new_key) = (&mut self.keys.0, &mut self.keys.1);
            old_key.clear();
            new_key.clear();
            table.bare_key(old_key, old, true, &mut self.scratch);
            table.bare_key(new_key, new, false, &mut self.scratch);
            if old_key != new_key {
                self.change_key(event, old, new, out);
                return;
            }
        }
        if !self.config.skipped.update {
            let key = self.key(new, false, out);
            let outgoing = Outgoing { operation: b'u', before: old, after: Some(new), key, link: None };
            self.record(event, &outgoing, out);
        }
    }

    /// A changed key is a delete and an insert, each naming the other's key in a header.
    fn change_key(&mut self, event: &Event<'_>, old: Row<'_>, new: Row<'_>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        let (bare_old, bare_new) = (&self.keys.0, &self.keys.1);
        let old_value = out.write(|out| out.extend_from_slice(bare_old));
        let new_value = out.write(|out| out.extend_from_slice(bare_new));
        let old_key = out.write(|out| table.key(out, bare_old));
        let new_key = out.write(|out| table.key(out, bare_new));
        let name = |out: &mut Records, name: &[u8]| out.write(|out| out.extend_from_slice(name));
        if !self.config.skipped.delete {
            let link = Some((name(out, NEW_KEY), new_value));
            let outgoing =
                Outgoing { operation: b'd', before: Some(old), after: None, key: Some(old_key), link };
            self.record(event, &outgoing, out);
            if self.config.tombstones {
                self.tombstone(Some(old_key), link, out);
            }
        }
        if !self.config.skipped.create {
            let link = Some((name(out, OLD_KEY), old_value));
            let outgoing =
                Outgoing { operation: b'c', before: None, after: Some(new), key: Some(new_key), link };
            self.record(event, &outgoing, out);
        }
    }

    fn delete(&mut self, event: &Event<'_>, old: Row<'_>, out: &mut Records) {
        if self.config.skipped.delete {
            return;
        }
        let key = self.key(old, true, out);
        let outgoing = Outgoing { operation: b'd', before: Some(old), after: None, key, link: None };
        self.record(event, &outgoing, out);
        if self.config.tombstones {
            self.tombstone(key, None, out);
        }
    }

    fn truncate(&mut self, event: &Event<'_>, out: &mut Records) {
        if !self.config.skipped.truncate {
            let outgoing = Outgoing { operation: b't', before: None, after: None, key: None, link: None };
            self.record(event, &outgoing, out);
        }
    }

    fn copied(&mut self, event: &Event<'_>, new: Row<'_>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        let held = self.copies.next(table.table.id, &self.headers, out);
        held.route = Some(table.route);
        if table.has_key() {
            let bare = &mut self.keys.0;
            bare.clear();
            table.bare_key(bare, new, false, &mut self.scratch);
            table.key(&mut held.key, bare);
        }
        let outgoing = Outgoing { operation: b'r', before: None, after: Some(new), key: None, link: None };
        rows(&mut held.value, table, &outgoing, &mut self.scratch);
        let end = End { operation: b'r', transaction: b"null" };
        held.marker = self.moment.close(&mut held.value, table, "", event, end);
    }

    fn message(&mut self, event: &Event<'_>, prefix: &[u8], content: &[u8], route: Route, out: &mut Records) {
        let schemas = self.config.schemas;
        let (key_head, value_head) = &self.message_heads;
        let key = out.write(|out| {
            out.extend_from_slice(key_head);
            out.extend_from_slice(b"{\"prefix\":");
            text::string(out, prefix);
            out.extend_from_slice(if schemas { b"}}" } else { b"}" });
        });
        let transaction = if self.config.transactions && event.transaction.xid != 0 {
            self.counts.count_message(event.transaction.xid, event.log_offset)
        } else {
            b"null"
        };
        let (moment, head) = (&self.moment, &self.source_head);
        let value = out.write(|out| {
            out.extend_from_slice(value_head);
            out.extend_from_slice(b"{\"op\":\"m\",\"ts_ms\":");
            number(out, moment.now_ms());
            moment.source(out, head, "false", b"\"\",\"table\":\"\",\"txId\":", event.log_offset);
            out.extend_from_slice(transaction);
            out.extend_from_slice(b",\"message\":{\"prefix\":");
            text::string(out, prefix);
            out.extend_from_slice(b",\"content\":");
            text::base64(out, text::Alphabet::Plain, content.iter().copied());
            out.extend_from_slice(if schemas { b"}}}" } else { b"}}" });
        });
        out.add(route, Some(key), Some(value));
        self.headers(None, out);
    }

    /// Writes a heartbeat, where one is due.
    fn heartbeat(&mut self, now_us: i64, routes: &mut Routes, out: &mut Records) {
        let interval_us = i64::try_from(self.config.heartbeat_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        if interval_us == 0 || now_us - self.last_heartbeat_us < interval_us {
            return;
        }
        self.last_heartbeat_us = now_us;
        let name = &self.config.prefix;
        let route = routes.other(&self.config.heartbeat_topic(), "heartbeats");
        let wrapped = |schema: &str, payload: String| {
            if self.config.schemas {
                format!("{{\"schema\":{schema},\"payload\":{payload}}}")
            } else {
                payload
            }
        };
        let key = wrapped(HEARTBEAT_KEY_SCHEMA, format!("{{\"serverName\":{}}}", text_of(name)));
        let value = wrapped(HEARTBEAT_SCHEMA, format!("{{\"ts_ms\":{}}}", now_us.div_euclid(1000)));
        let key = out.write(|out| out.extend_from_slice(key.as_bytes()));
        let value = out.write(|out| out.extend_from_slice(value.as_bytes()));
        out.add(route, Some(key), Some(value));
        self.headers(None, out);
    }

    /// Opens the transaction's metadata with the first record of it.
    fn begin(&mut self, event: &Event<'_>, routes: &mut Routes, out: &mut Records) {
        if self.config.transactions && event.transaction.xid != 0 {
            let route = self.transaction_route(routes);
            self.counts.begin(&event.transaction, route, &self.config, out);
        }
    }
}

/// A position of Postgres, `0/16B3748`, as a number.
fn offset_of(position: &str) -> u64 {
    let half = |digits: &str| u64::from_str_radix(digits, 16).unwrap_or(0);
    position.split_once('/').map_or(0, |(high, low)| half(high) << 32 | half(low))
}

/// The rows of an envelope, from its start.
fn rows(out: &mut Vec<u8>, table: &Prepared, outgoing: &Outgoing<'_>, scratch: &mut Scratch) {
    out.extend_from_slice(&table.value_head);
    match outgoing.before {
        Some(row) => table.row(out, row, true, scratch),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"after\":");
    match outgoing.after {
        Some(row) => table.row(out, row, false, scratch),
        None => out.extend_from_slice(b"null"),
    }
}

impl Encode for Debezium {
    fn event(
        &mut self,
        event: &Event<'_>,
        place: Place<'_>,
        routes: &mut Routes,
        out: &mut Records,
    ) -> Result<()> {
        self.headers.name_run(&self.config, place.now_us);
        let table = match event.change {
            Change::Insert { table, .. }
            | Change::Update { table, .. }
            | Change::Delete { table, .. }
            | Change::Truncate { table }
            | Change::Copied { table, .. } => Some(table),
            Change::Shape { .. } | Change::Drop { .. } => return Ok(()),
            Change::CopyStart { table } => {
                self.copies.start(table.id);
                return Ok(());
            }
            Change::CopyEnd { table } => {
                self.copies.end(table.id, place.batch_end, &self.headers, out);
                return Ok(());
            }
            Change::Message { .. } => None,
        };
        if let Some(table) = table {
            self.enter_table(table, routes)?;
        }
        self.moment.enter(event, place.source, place.now_us);
        self.begin(event, routes, out);
        match event.change {
            Change::Insert { new, .. } => self.insert(event, new, out),
            Change::Update { old, new, .. } => self.update(event, old, new, out),
            Change::Delete { old, .. } => self.delete(event, old, out),
            Change::Truncate { .. } => self.truncate(event, out),
            Change::Copied { new, .. } => self.copied(event, new, out),
            Change::Message { prefix, content, transactional: _ } => {
                let prefix_of_topic = &self.config.prefix;
                let route = *self
                    .message_route
                    .get_or_insert_with(|| routes.other(&format!("{prefix_of_topic}.message"), "messages"));
                self.message(event, prefix, content, route, out);
            }
            Change::Shape { .. }
            | Change::Drop { .. }
            | Change::CopyStart { .. }
            | Change::CopyEnd { .. } => {}
        }
        self.heartbeat(place.now_us, routes, out);
        Ok(())
    }

    fn commit(
        &mut self,
        transaction: &Transaction<'_>,
        place: Place<'_>,
        routes: &mut Routes,
        out: &mut Records,
    ) -> Result<()> {
        if self.config.transactions {
            let route = self.transaction_route(routes);
            // Its end may have come in a batch without an event of it: then that batch ends with it.
            let ends =
                if transaction.ends == 0 { offset_of(&place.batch_end.stream) } else { transaction.ends };
            self.counts.end(&Transaction { ends, ..*transaction }, route, &self.config, out);
        }
        Ok(())
    }

    fn pause(&mut self, place: Place<'_>, routes: &mut Routes, out: &mut Records) {
        self.headers.name_run(&self.config, place.now_us);
        self.heartbeat(place.now_us, routes, out);
    }
}
