//! The envelope around a row: its schema, the `source` block, the clock. What is the same for many events is made
//! once and kept as text.

use tailwater_core::{Change, Event, Transaction};

use super::Outgoing;
use super::column::Plan;
use super::config::Config;
use super::facts::{Fact, Facts};
use super::number::Scratch;
use super::source::{Connector, Hole, Id, gtid};
use super::text;

/// A JSON string.
pub(crate) fn text_of(value: &str) -> String {
    let mut out = Vec::new();
    text::string(&mut out, value.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// The schema of a row or key; `name` is JSON.
pub(crate) fn structure(columns: &[Plan], more: &[&str], optional: bool, name: &str, field: &str) -> String {
    let columns = columns.iter().map(|column| column.schema.as_str());
    let fields: Vec<&str> = columns.chain(more.iter().copied()).collect();
    let field = if field.is_empty() { String::new() } else { format!(",\"field\":{}", text_of(field)) };
    let fields = fields.join(",");
    format!("{{\"type\":\"struct\",\"fields\":[{fields}],\"optional\":{optional},\"name\":{name}{field}}}")
}

const TRANSACTION: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},"#,
    r#"{"type":"int64","optional":false,"field":"total_order"},"#,
    r#"{"type":"int64","optional":false,"field":"data_collection_order"}],"optional":true,"#,
    r#""name":"event.block","version":1,"field":"transaction"}"#,
);

/// The schema of the values of a table.
pub(crate) fn schema(before: &str, after: &str, name: &str, connector: &Connector) -> String {
    let source = connector.schema();
    format!(
        "{{\"type\":\"struct\",\"fields\":[{before},{after},{source},{TRANSACTION},\
         {{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"}}],\
         \"optional\":false,\"name\":{name},\"version\":2}}"
    )
}

/// The schema of the values of logical messages.
pub(crate) fn message_schema(connector: &Connector) -> String {
    let source = connector.schema();
    format!(
        "{{\"type\":\"struct\",\"fields\":[{{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}},{source},{TRANSACTION},\
         {{\"type\":\"struct\",\"fields\":[{{\"type\":\"string\",\"optional\":true,\"field\":\"prefix\"}},\
         {{\"type\":\"bytes\",\"optional\":true,\"field\":\"content\"}}],\"optional\":false,\
         \"name\":\"io.debezium.connector.postgresql.Message\",\"version\":1,\"field\":\"message\"}}],\
         \"optional\":false,\"name\":\"io.debezium.connector.postgresql.MessageValue\",\"version\":1}}"
    )
}

/// What comes behind the source block of an event.
const NEXT: &[u8] = b",\"transaction\":";

/// Text that is the same for all events of a transaction in a batch, made when it changes.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    /// What `source.name` says.
    server_name: String,
    /// What the text was made for.
    source: String,
    copied: bool,
    /// A statement, as a truncate is one in MySQL: no connection is told of it.
    statement: bool,
    id: String,
    commit_time_us: i64,
    follows: u64,
    starts: u64,
    xid: u64,
    origin: String,
    origin_offset: u64,
    log_file: String,
    server: u64,
    thread: u64,
    now_us: i64,
    /// `,"source":{…},"transaction":` without what differs from event to event.
    text: Vec<u8>,
    /// Where what is missing goes, in order.
    holes: Vec<(usize, Hole)>,
    /// `","ts_ms":N,"ts_us":N,"ts_ns":N}`
    clock: Vec<u8>,
    /// When the newest transaction was committed: messages that belong to none have its time.
    last_commit_us: i64,
}

/// What an event puts into the text of its moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) snapshot: &'a str,
    /// [`Connector::table_parts`]
    pub(crate) table: &'a [Vec<u8>],
    pub(crate) log_offset: u64,
    pub(crate) log_row: u32,
}

impl Moment {
    pub(crate) fn new(config: &Config) -> Self {
        Self { server_name: config.prefix.clone(), ..Self::default() }
    }

    /// Makes the texts for an event, where they are not those of the event before.
    pub(crate) fn enter(&mut self, event: &Event<'_>, connector: &Connector, source: &str, now_us: i64) {
        let transaction = &event.transaction;
        let told = if let Change::Statement(statement) = event.change { Some(statement) } else { None };
        let copied =
            matches!(event.change, Change::Copied { .. }) || told.is_some_and(|statement| statement.copied);
        let statement = matches!(event.change, Change::Truncate { .. }) || told.is_some();
        let same = self.id == transaction.id
            && self.commit_time_us == transaction.commit_time_us
            && self.follows == transaction.follows
            && (self.copied, self.statement) == (copied, statement);
        if !same || self.source != source || self.text.is_empty() {
            (self.copied, self.statement) = (copied, statement);
            self.renew(transaction, connector, source);
        }
        if self.now_us != now_us || self.clock.is_empty() {
            self.now_us = now_us;
            self.clock.clear();
            let (out, ms) = (&mut self.clock, now_us.div_euclid(1000));
            out.extend_from_slice(b"\",\"ts_ms\":");
            number(out, ms);
            out.extend_from_slice(b",\"ts_us\":");
            number(out, now_us);
            out.extend_from_slice(b",\"ts_ns\":");
            number(out, now_us.saturating_mul(1000));
        }
    }

    fn renew(&mut self, transaction: &Transaction<'_>, connector: &Connector, source: &str) {
        transaction.id.clone_into(&mut self.id);
        source.clone_into(&mut self.source);
        transaction.origin.clone_into(&mut self.origin);
        transaction.log_file.clone_into(&mut self.log_file);
        (self.commit_time_us, self.follows) = (transaction.commit_time_us, transaction.follows);
        (self.xid, self.origin_offset) = (transaction.xid, transaction.origin_offset);
        (self.starts, self.server) = (transaction.starts, transaction.server);
        self.thread = if connector.tells_threads() { transaction.thread } else { 0 };
        if transaction.commit_time_us != 0 {
            self.last_commit_us = transaction.commit_time_us;
        }
        let (mut text, mut holes) = (std::mem::take(&mut self.text), std::mem::take(&mut self.holes));
        text.clear();
        holes.clear();
        text.extend_from_slice(b",\"source\":{");
        let fact = |fact, out: &mut Vec<u8>| self.fact(fact, connector, out);
        connector.lay_out(&mut text, &mut holes, fact, transaction.follows);
        text.push(b'}');
        text.extend_from_slice(NEXT);
        (self.text, self.holes) = (text, holes);
    }

    /// Appends a fact that is the same for the whole moment.
    fn fact(&self, fact: Fact, connector: &Connector, out: &mut Vec<u8>) {
        let text_or_null = |out: &mut Vec<u8>, text: &str| match text {
            "" => out.extend_from_slice(b"null"),
            text => text::string(out, text.as_bytes()),
        };
        match fact {
            Fact::Version => text::string(out, env!("CARGO_PKG_VERSION").as_bytes()),
            Fact::Connector => text::string(out, connector.name.as_bytes()),
            Fact::Name => text::string(out, self.server_name.as_bytes()),
            Fact::SourceMillis => number(out, self.last_commit_us.div_euclid(1000)),
            Fact::SourceMicros => number(out, self.last_commit_us),
            Fact::SourceNanos => number(out, self.last_commit_us.saturating_mul(1000)),
            Fact::Database => text::string(out, self.database().as_bytes()),
            Fact::Xid => number_or_null(out, self.xid),
            Fact::Origin => text_or_null(out, &self.origin),
            Fact::OriginOffset => number_or_null(out, self.origin_offset),
            Fact::Server => number(out, self.server()),
            Fact::Gtid => text_or_null(out, self.gtid().unwrap_or_default()),
            Fact::LogFile => text::string(out, self.log_file.as_bytes()),
            Fact::Thread => number_or_null(out, self.thread()),
            // What is never known, and what does not belong to a moment.
            Fact::Xmin | Fact::Query | Fact::Sequence | Fact::Schema | Fact::Table => {
                out.extend_from_slice(b"null");
            }
            Fact::Snapshot | Fact::LogOffset | Fact::LogRow | Fact::Operation | Fact::TransactionId => {
                out.extend_from_slice(b"null");
            }
            Fact::Millis | Fact::Micros | Fact::Nanos | Fact::TotalOrder | Fact::CollectionOrder => {
                out.extend_from_slice(b"null");
            }
        }
    }

    /// Appends the source block up to and with `"transaction":`. Returns where the snapshot marker stands.
    pub(crate) fn source(&self, out: &mut Vec<u8>, filling: &Filling<'_>) -> usize {
        let (mut done, mut marker) = (0, 0);
        let mut parts = filling.table.iter();
        for &(place, hole) in &self.holes {
            out.extend_from_slice(self.text.get(done..place).unwrap_or_default());
            done = place;
            match hole {
                Hole::Marker => {
                    marker = out.len();
                    out.extend_from_slice(filling.snapshot.as_bytes());
                }
                Hole::Table => out.extend_from_slice(parts.next().map_or(&[], Vec::as_slice)),
                Hole::LogOffset => number(out, self.offset(filling.log_offset)),
                Hole::LogRow => number(out, filling.log_row),
            }
        }
        out.extend_from_slice(self.text.get(done..).unwrap_or_default());
        marker
    }

    /// Appends an object that begins with the source block, and with nothing else yet.
    pub(crate) fn source_alone(&self, out: &mut Vec<u8>, filling: &Filling<'_>) {
        let start = out.len();
        self.source(out, filling);
        out.truncate(out.len() - NEXT.len());
        // In place of the comma.
        if let Some(first) = out.get_mut(start) {
            *first = b'{';
        }
    }

    /// Where a log does not say where a change stands, it is where its transaction begins.
    pub(crate) fn offset(&self, log_offset: u64) -> u64 {
        if log_offset == 0 { self.starts } else { log_offset }
    }

    /// What its transaction is called at a place in the log.
    pub(crate) fn id(&self, connector: &Connector, log_offset: u64) -> Id<'_> {
        connector.id(&self.transaction(), log_offset)
    }

    fn transaction(&self) -> Transaction<'_> {
        Transaction {
            id: &self.id,
            commit_time_us: self.commit_time_us,
            xid: self.xid,
            follows: self.follows,
            starts: self.starts,
            ends: 0,
            origin: &self.origin,
            origin_offset: self.origin_offset,
            log_file: &self.log_file,
            server: self.server,
            thread: self.thread,
        }
    }

    /// The connector's clock, in ms.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_us.div_euclid(1000)
    }

    /// The same in µs.
    pub(crate) fn now_us(&self) -> i64 {
        self.now_us
    }

    /// When the transaction was committed, µs since 1970.
    pub(crate) fn source_us(&self) -> i64 {
        self.last_commit_us
    }

    pub(crate) fn database(&self) -> &str {
        database_of(&self.source)
    }

    pub(crate) fn follows(&self) -> u64 {
        self.follows
    }

    pub(crate) fn xid(&self) -> u64 {
        self.xid
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn origin_offset(&self) -> u64 {
        self.origin_offset
    }

    pub(crate) fn log_file(&self) -> &str {
        &self.log_file
    }

    /// Nobody's, of a copied row.
    pub(crate) fn server(&self) -> u64 {
        if self.copied { 0 } else { self.server }
    }

    /// Likewise.
    pub(crate) fn thread(&self) -> u64 {
        if self.copied || self.statement { 0 } else { self.thread }
    }

    /// `None` of a copied row too.
    pub(crate) fn gtid(&self) -> Option<&str> {
        if self.copied { None } else { gtid(&self.transaction()) }
    }
}

/// As `postgres` has it: `postgres 7… timeline 1 database app`.
fn database_of(source: &str) -> &str {
    source.split_once(" database ").map_or("", |(_, database)| database)
}

/// Appends an event of a table. The marker of a copied row is a byte that goes by its place into `gaps`.
pub(crate) fn write(
    out: &mut Vec<u8>,
    facts: &Facts<'_>,
    outgoing: &Outgoing<'_>,
    scratch: &mut Scratch,
    gaps: &mut Vec<usize>,
) {
    let (moment, table) = (facts.moment, facts.table);
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
    let marker = if facts.copied { "?" } else { "false" };
    let (log_offset, log_row) = (facts.log_offset, facts.log_row);
    let filling = Filling { snapshot: marker, table: &table.source_parts, log_offset, log_row };
    let place = moment.source(out, &filling);
    if facts.copied {
        gaps.push(place);
    }
    out.extend_from_slice(facts.transaction.block);
    out.extend_from_slice(b",\"op\":\"");
    out.push(facts.operation);
    out.extend_from_slice(&moment.clock);
    out.extend_from_slice(table.value_end);
}

pub(crate) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn number_or_null(out: &mut Vec<u8>, value: u64) {
    if value == 0 { out.extend_from_slice(b"null") } else { number(out, value) }
}
