//! The envelope around a row: its schema, the `source` block, the clock. What is the same for many events is made
//! once and kept as text.

use tailwater_core::{Event, Transaction};

use super::Outgoing;
use super::column::Plan;
use super::config::Config;
use super::facts::Facts;
use super::number::Scratch;
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

macro_rules! snapshots {
    () => {
        concat!(
            r#""name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":"true,first,"#,
            r#"first_in_data_collection,last_in_data_collection,last,false,incremental"}"#,
        )
    };
}

/// The semantic type of `source.snapshot`.
pub(crate) const SNAPSHOTS: &str = snapshots!();

const SOURCE: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},"#,
    r#"{"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},"#,
    r#"{"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,"#,
    snapshots!(),
    r#","default":"false","field":"snapshot"},{"type":"string","optional":false,"field":"db"},{"type":"string","optional":true,"field":"sequence"},"#,
    r#"{"type":"int64","optional":true,"field":"ts_us"},{"type":"int64","optional":true,"field":"ts_ns"},"#,
    r#"{"type":"string","optional":false,"field":"schema"},{"type":"string","optional":false,"field":"table"},"#,
    r#"{"type":"int64","optional":true,"field":"txId"},{"type":"int64","optional":true,"field":"lsn"},"#,
    r#"{"type":"int64","optional":true,"field":"xmin"},{"type":"string","optional":true,"field":"origin"},"#,
    r#"{"type":"int64","optional":true,"field":"origin_lsn"}],"optional":false,"#,
    r#""name":"io.debezium.connector.postgresql.Source","version":1,"field":"source"}"#,
);

const TRANSACTION: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},"#,
    r#"{"type":"int64","optional":false,"field":"total_order"},"#,
    r#"{"type":"int64","optional":false,"field":"data_collection_order"}],"optional":true,"#,
    r#""name":"event.block","version":1,"field":"transaction"}"#,
);

/// The schema of the values of a table.
pub(crate) fn schema(before: &str, after: &str, name: &str) -> String {
    format!(
        "{{\"type\":\"struct\",\"fields\":[{before},{after},{SOURCE},{TRANSACTION},\
         {{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"}}],\
         \"optional\":false,\"name\":{name},\"version\":2}}"
    )
}

/// The schema of the values of logical messages.
pub(crate) fn message_schema() -> String {
    format!(
        "{{\"type\":\"struct\",\"fields\":[{{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}},\
         {{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}},{SOURCE},{TRANSACTION},\
         {{\"type\":\"struct\",\"fields\":[{{\"type\":\"string\",\"optional\":true,\"field\":\"prefix\"}},\
         {{\"type\":\"bytes\",\"optional\":true,\"field\":\"content\"}}],\"optional\":false,\
         \"name\":\"io.debezium.connector.postgresql.Message\",\"version\":1,\"field\":\"message\"}}],\
         \"optional\":false,\"name\":\"io.debezium.connector.postgresql.MessageValue\",\"version\":1}}"
    )
}

/// `,"source":{…,"name":"…","ts_ms":`
pub(crate) fn source_head(config: &Config) -> Vec<u8> {
    let (version, name) = (env!("CARGO_PKG_VERSION"), text_of(&config.prefix));
    let head = format!(
        ",\"source\":{{\"version\":\"{version}\",\"connector\":\"postgresql\",\"name\":{name},\"ts_ms\":"
    );
    head.into_bytes()
}

/// Text that is the same for all events of a transaction in a batch, made when it changes.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    /// What the texts were made for.
    id: String,
    commit_time_us: i64,
    follows: u64,
    xid: u64,
    source: String,
    origin: String,
    origin_offset: u64,
    now_us: i64,
    /// `N,"snapshot":"`
    time_ms: Vec<u8>,
    /// `","db":"…","sequence":"[\"N\",\"`
    sequence: Vec<u8>,
    /// `\"]","ts_us":N,"ts_ns":N,"schema":`
    times: Vec<u8>,
    /// `N,"lsn":`
    xid_text: Vec<u8>,
    /// `,"xmin":null,"origin":null,"origin_lsn":null},"transaction":`
    origin_text: Vec<u8>,
    /// `","ts_ms":N,"ts_us":N,"ts_ns":N}`
    clock: Vec<u8>,
    /// When the newest transaction was committed: messages that belong to none have its time.
    last_commit_us: i64,
}

impl Moment {
    /// Makes the texts for an event, where they are not those of the event before.
    pub(crate) fn enter(&mut self, event: &Event<'_>, source: &str, now_us: i64) {
        let transaction = &event.transaction;
        let same = self.id == transaction.id
            && self.commit_time_us == transaction.commit_time_us
            && self.follows == transaction.follows;
        if !same || self.source != source || self.times.is_empty() {
            self.renew(transaction, source);
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

    fn renew(&mut self, transaction: &Transaction<'_>, source: &str) {
        transaction.id.clone_into(&mut self.id);
        source.clone_into(&mut self.source);
        transaction.origin.clone_into(&mut self.origin);
        (self.commit_time_us, self.follows) = (transaction.commit_time_us, transaction.follows);
        (self.xid, self.origin_offset) = (transaction.xid, transaction.origin_offset);
        if transaction.commit_time_us != 0 {
            self.last_commit_us = transaction.commit_time_us;
        }
        let time_us = self.last_commit_us;
        let database = database_of(source);
        refill(&mut self.time_ms, |out| {
            number(out, time_us.div_euclid(1000));
            out.extend_from_slice(b",\"snapshot\":\"");
        });
        refill(&mut self.sequence, |out| {
            out.extend_from_slice(b"\",\"db\":");
            text::string(out, database.as_bytes());
            out.extend_from_slice(b",\"sequence\":\"[");
            if transaction.follows == 0 {
                out.extend_from_slice(b"null,\\\"");
            } else {
                out.extend_from_slice(b"\\\"");
                number(out, transaction.follows);
                out.extend_from_slice(b"\\\",\\\"");
            }
        });
        refill(&mut self.times, |out| {
            out.extend_from_slice(b"\\\"]\",\"ts_us\":");
            number(out, time_us);
            out.extend_from_slice(b",\"ts_ns\":");
            number(out, time_us.saturating_mul(1000));
            out.extend_from_slice(b",\"schema\":");
        });
        refill(&mut self.xid_text, |out| {
            number_or_null(out, transaction.xid);
            out.extend_from_slice(b",\"lsn\":");
        });
        refill(&mut self.origin_text, |out| {
            out.extend_from_slice(b",\"xmin\":null,\"origin\":");
            if transaction.origin.is_empty() {
                out.extend_from_slice(b"null");
            } else {
                text::string(out, transaction.origin.as_bytes());
            }
            out.extend_from_slice(b",\"origin_lsn\":");
            number_or_null(out, transaction.origin_offset);
            out.extend_from_slice(b"},\"transaction\":");
        });
    }

    /// Appends the source block up to and with `"transaction":`. Returns where the snapshot marker stands.
    pub(crate) fn source(
        &self,
        out: &mut Vec<u8>,
        head: &[u8],
        snapshot: &str,
        tail: &[u8],
        lsn: u64,
    ) -> usize {
        out.extend_from_slice(head);
        out.extend_from_slice(&self.time_ms);
        let marker = out.len();
        out.extend_from_slice(snapshot.as_bytes());
        out.extend_from_slice(&self.sequence);
        let mut digits = itoa::Buffer::new();
        let lsn = digits.format(lsn).as_bytes();
        out.extend_from_slice(lsn);
        out.extend_from_slice(&self.times);
        out.extend_from_slice(tail);
        out.extend_from_slice(&self.xid_text);
        out.extend_from_slice(lsn);
        out.extend_from_slice(&self.origin_text);
        marker
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
    let place = moment.source(out, &table.source_head, marker, &table.source_tail, facts.log_offset);
    if facts.copied {
        gaps.push(place);
    }
    out.extend_from_slice(facts.transaction.block);
    out.extend_from_slice(b",\"op\":\"");
    out.push(facts.operation);
    out.extend_from_slice(&moment.clock);
    out.extend_from_slice(table.value_end);
}

fn refill(text: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    text.clear();
    fill(text);
}

pub(crate) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn number_or_null(out: &mut Vec<u8>, value: u64) {
    if value == 0 { out.extend_from_slice(b"null") } else { number(out, value) }
}
