//! `format = "debezium"` and `format = "row"`: the records that Debezium's connectors for Postgres, MySQL and MariaDB and
//! Connect's JSON converter would write, without and with the transformation ExtractNewRecordState between them.
//! Pure. What is known per shape of a table is prepared once (`table`, `column`), what is known per transaction or
//! batch is kept as text (`envelope`), so that a row costs its own values and nothing else.
//!
//! | file | what it does |
//! |---|---|
//! | `config` | Debezium's options by name |
//! | `source` | what tells the connectors apart |
//! | `sql`, `column`, `default`, `names` | from a declared column to its form, schema and stand-ins |
//! | `binlog` | what is MySQL's and MariaDB's own in that and in values |
//! | `value`, `number`, `time`, `text` | from the text of a value to JSON |
//! | `table`, `envelope`, `headers` | what surrounds a row |
//! | `rows`, `facts` | the row alone, and what may be added to it |
//! | `snapshot`, `transactions`, `messages` | markers of the first copy; metadata of transactions; messages and heartbeats |
//! | `statements` | statements that change tables |
//! | `record` | a sink that keeps the records, for whoever compares them |
//!
//! How it is held against the real connector: `integration-tests/debezium`.

mod binlog;
mod column;
pub mod config;
mod default;
mod envelope;
mod facts;
mod headers;
mod messages;
mod names;
mod number;
pub mod record;
pub mod rows;
mod snapshot;
mod source;
mod sql;
mod statements;
mod table;
mod text;
mod time;
mod transactions;
mod value;

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::{Change, Event, Result, Row, Table, Transaction};

pub use config::{Config, Skipped};

use self::envelope::Moment;
use self::facts::Facts;
use self::headers::Headers;
use self::messages::Messages;
use self::number::Scratch;
use self::rows::Rows;
use self::snapshot::Copies;
use self::source::Connector;
use self::statements::Making;
use self::table::Prepared;
use self::transactions::{Counts, InTransaction};
use crate::encode::{Encode, Place, Records, Span};
use crate::routes::{Route, Routes};

pub(crate) const NEW_KEY: &[u8] = b"__debezium.newkey";
pub(crate) const OLD_KEY: &[u8] = b"__debezium.oldkey";
/// The format.
#[derive(Debug)]
pub(crate) struct Debezium {
    config: Config,
    connector: &'static Connector,
    /// Where rows are wanted in place of their envelopes.
    rows: Option<Rows>,
    tables: Vec<Prepared>,
    /// Into `tables`, by [`Table::id`].
    index: HashMap<u64, usize>,
    /// The table of the event before: most events are of the same one.
    last: usize,
    moment: Moment,
    scratch: Scratch,
    copies: Copies,
    counts: Counts,
    transaction_route: Option<Route>,
    /// Keys of the update under way: old and new.
    keys: (Vec<u8>, Vec<u8>),
    headers: Headers,
    messages: Messages,
}

/// One record of a table.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    operation: u8,
    before: Option<Row<'a>>,
    after: Option<Row<'a>>,
    key: Option<Span>,
    /// The header of a changed key, and the other key.
    link: Option<(Span, Span)>,
}

impl Debezium {
    /// Events with their envelope.
    pub(crate) fn events(config: Config) -> Self {
        Self::new(config, None)
    }

    /// The rows out of them.
    pub(crate) fn rows(config: Config) -> Self {
        let rows = config.rows.clone();
        Self::new(config, Some(rows))
    }

    fn new(config: Config, rows: Option<Rows>) -> Self {
        Self {
            messages: Messages::new(&config),
            moment: Moment::new(&config),
            connector: <&Connector>::default(),
            config,
            rows,
            tables: Vec::new(),
            index: HashMap::new(),
            last: usize::MAX,
            scratch: Scratch::default(),
            copies: Copies::default(),
            counts: Counts::default(),
            transaction_route: None,
            keys: (Vec::new(), Vec::new()),
            headers: Headers::default(),
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

    /// Whether the records of a table have a key.
    ///
    /// # Errors
    /// `Operator` where it cannot be written as it is asked for.
    pub(crate) fn check(&mut self, table: &Arc<Table>, routes: &mut Routes) -> Result<bool> {
        self.connector = Connector::guess(table);
        self.enter_table(table, routes)?;
        Ok(self.tables.get(self.last).is_some_and(Prepared::has_key))
    }

    fn look_up(&mut self, table: &Arc<Table>, routes: &mut Routes) -> Result<()> {
        let known = self.index.get(&table.id).copied();
        let current = known.and_then(|index| self.tables.get(index));
        if !current.is_some_and(|known| Arc::ptr_eq(&known.table, table)) {
            let whose = (&self.config, self.connector);
            let prepared = Prepared::new(table, whose, self.rows.as_ref(), routes, &mut self.scratch)?;
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

    /// Which connector's records are written says the position's first word. It is known with the first event, and a
    /// pipeline has one source.
    #[inline]
    fn enter_source(&mut self, source: &str) {
        let is_of = |connector: &Connector| connector.is_of(source);
        if let Some(connector) = (!is_of(self.connector)).then(|| Connector::of(source)).flatten() {
            self.connector = connector;
            self.tables.clear();
            self.index.clear();
            self.last = usize::MAX;
        }
    }

    fn transaction_route(&mut self, routes: &mut Routes) -> Route {
        let config = &self.config;
        let route = || routes.other(&config.transactions_topic(), "transactions");
        *self.transaction_route.get_or_insert_with(route)
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
        let transaction = if self.config.transactions && self.connector.counts(event) {
            self.counts.count(&table.full_name, self.connector.id(&event.transaction, event.log_offset))
        } else {
            InTransaction::UNTOLD
        };
        let moment = &self.moment;
        let (operation, log_offset, log_row) = (outgoing.operation, event.log_offset, event.log_row);
        let facts = Facts { table, moment, transaction, operation, log_offset, log_row, copied: false };
        let frame = (self.rows.as_ref(), &self.headers);
        write(&facts, outgoing, frame, &mut self.scratch, out, &mut Vec::new());
    }

    /// The tombstone behind a delete that was written just now.
    fn tombstone(&self, event: &Event<'_>, delete: &Outgoing<'_>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        if !self.config.tombstones || self.rows.as_ref().is_some_and(|rows| !rows.keeps_tombstones()) {
            return;
        }
        out.add(table.route, delete.key, None);
        if let Some((name, key)) = delete.link {
            out.header(name, Some(key));
        }
        self.headers.write(out);
        if let Some(rows) = &self.rows {
            let (transaction, moment) = (self.counts.last(), &self.moment);
            let (operation, log_offset, log_row) = (delete.operation, event.log_offset, event.log_row);
            let facts = Facts { table, moment, transaction, operation, log_offset, log_row, copied: false };
            rows.tombstone_headers(&facts, out);
        }
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
            self.tombstone(event, &outgoing, out);
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
        self.tombstone(event, &outgoing, out);
    }

    fn truncate(&mut self, event: &Event<'_>, out: &mut Records) {
        if !self.config.skipped.truncate {
            let outgoing = Outgoing { operation: b't', before: None, after: None, key: None, link: None };
            self.record(event, &outgoing, out);
        }
    }

    fn copied(&mut self, event: &Event<'_>, new: Row<'_>, out: &mut Records) {
        let Some(table) = self.tables.get(self.last) else { return };
        let held = self.copies.next(table.table.id, out);
        let key = table.has_key().then(|| {
            let bare = &mut self.keys.0;
            bare.clear();
            table.bare_key(bare, new, false, &mut self.scratch);
            held.records.write(|out| table.key(out, bare))
        });
        let outgoing = Outgoing { operation: b'r', before: None, after: Some(new), key, link: None };
        let (moment, transaction, log_offset) = (&self.moment, InTransaction::UNTOLD, event.log_offset);
        let log_row = event.log_row;
        let facts = Facts { table, moment, transaction, operation: b'r', log_offset, log_row, copied: true };
        let frame = (self.rows.as_ref(), &self.headers);
        write(&facts, &outgoing, frame, &mut self.scratch, &mut held.records, &mut held.gaps);
    }

    /// Opens the transaction's metadata with the first record of it.
    fn begin(&mut self, event: &Event<'_>, routes: &mut Routes, out: &mut Records) {
        if self.config.transactions && self.connector.counts(event) {
            let route = self.transaction_route(routes);
            self.counts.begin((&event.transaction, self.connector), route, &self.config, out);
        }
    }
}

/// A position of Postgres, `0/16B3748`, as a number.
fn offset_of(position: &str) -> u64 {
    let half = |digits: &str| u64::from_str_radix(digits, 16).unwrap_or(0);
    position.split_once('/').map_or(0, |(high, low)| half(high) << 32 | half(low))
}

/// What became of an event.
pub(crate) enum Written {
    /// No record.
    Nothing,
    /// A record of this value.
    Record(Option<Span>),
}

/// Adds the record of an event, whole or as a row.
fn write(
    facts: &Facts<'_>,
    outgoing: &Outgoing<'_>,
    (rows, headers): (Option<&Rows>, &Headers),
    scratch: &mut Scratch,
    out: &mut Records,
    gaps: &mut Vec<usize>,
) {
    let written = match rows {
        Some(rows) => rows.value(facts, outgoing, scratch, out, gaps),
        None => Written::Record(Some(out.write(|out| envelope::write(out, facts, outgoing, scratch, gaps)))),
    };
    let Written::Record(value) = written else { return };
    out.add(facts.table.route, outgoing.key, value);
    if let Some((name, key)) = outgoing.link {
        out.header(name, Some(key));
    }
    headers.write(out);
    if let Some(rows) = rows {
        rows.headers(facts, out, gaps);
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
        self.enter_source(place.source);
        self.headers.name_run(&self.config, self.connector, place.now_us);
        let table = match event.change {
            Change::Insert { table, .. }
            | Change::Update { table, .. }
            | Change::Delete { table, .. }
            | Change::Truncate { table }
            | Change::Copied { table, .. } => Some(table),
            Change::Shape { .. } | Change::Drop { .. } | Change::Stop { .. } => return Ok(()),
            Change::CopyStart { table } => {
                self.copies.start(table.id);
                return Ok(());
            }
            Change::CopyEnd { table } => {
                self.copies.end(table.id, place.batch_end, out);
                return Ok(());
            }
            // Told to one who asked, and perhaps not for us.
            Change::Statement(_) if !self.config.schema_changes => return Ok(()),
            Change::Message { .. } | Change::Statement(_) => None,
        };
        if let Some(table) = table {
            self.enter_table(table, routes)?;
        }
        self.moment.enter(event, self.connector, place.source, place.now_us);
        self.begin(event, routes, out);
        match event.change {
            Change::Insert { new, .. } => self.insert(event, new, out),
            Change::Update { old, new, .. } => self.update(event, old, new, out),
            Change::Delete { old, .. } => self.delete(event, old, out),
            Change::Truncate { .. } => self.truncate(event, out),
            Change::Copied { new, .. } => self.copied(event, new, out),
            Change::Message { prefix, content, transactional: _ } => {
                let transaction = if self.config.transactions && event.transaction.xid != 0 {
                    self.counts.count_message(self.connector.id(&event.transaction, event.log_offset))
                } else {
                    InTransaction::UNTOLD
                };
                let facts = (&self.moment, transaction, event.log_offset);
                self.messages.message(facts, (prefix, content), &self.config, routes, out);
            }
            Change::Statement(statement) => {
                let route = routes.other(&self.config.statements_topic(), "statements");
                let (config, connector) = (&self.config, self.connector);
                let making =
                    Making { config, connector, moment: &self.moment, headers: &self.headers, route };
                making.record(event, &statement, out);
            }
            Change::Shape { .. }
            | Change::Drop { .. }
            | Change::Stop { .. }
            | Change::CopyStart { .. }
            | Change::CopyEnd { .. } => {}
        }
        self.messages.heartbeat(place.now_us, &self.config, routes, out);
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
            let transaction = Transaction { ends, ..*transaction };
            self.counts.end((&transaction, self.connector), route, &self.config, out);
        }
        Ok(())
    }

    fn pause(&mut self, place: Place<'_>, routes: &mut Routes, out: &mut Records) {
        self.enter_source(place.source);
        self.headers.name_run(&self.config, self.connector, place.now_us);
        self.messages.heartbeat(place.now_us, &self.config, routes, out);
    }
}
