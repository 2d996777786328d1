//! The envelope around a row: its schema, the `source` block, the clock. What is the same for many events is made
//! once and kept as text.

use tailwater_core::{Event, Transaction};

use super::column::Plan;
use super::config::Config;
use super::table::Prepared;
use super::text;

/// A JSON string.
pub(crate) fn text_of(value: &str) -> String {
    let mut out = Vec::new();
    text::string(&mut out, value.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// The schema of a row or key; `name` is JSON.
pub(crate) fn structure(columns: &[Plan], optional: bool, name: &str, field: &str) -> String {
    let fields: Vec<&str> = columns.iter().map(|column| column.schema.as_str()).collect();
    let field = if field.is_empty() { String::new() } else { format!(",\"field\":{}", text_of(field)) };
    let fields = fields.join(",");
    format!("{{\"type\":\"struct\",\"fields\":[{fields}],\"optional\":{optional},\"name\":{name}{field}}}")
}

const SOURCE: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},"#,
    r#"{"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},"#,
    r#"{"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,"#,
    r#""name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":"true,first,first_in_data_collection,"#,
    r#"last_in_data_collection,last,false,incremental"},"default":"false","field":"snapshot"},"#,
    r#"{"type":"string","optional":false,"field":"db"},{"type":"string","optional":true,"field":"sequence"},"#,
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
    source: String,
    now_us: i64,
    /// `N,"snapshot":"`
    time_ms: Vec<u8>,
    /// `","db":"…","sequence":"[\"N\",\"`
    sequence: Vec<u8>,
    /// `\"]","ts_us":N,"ts_ns":N,"schema":`
    times: Vec<u8>,
    /// `N,"lsn":`
    xid: Vec<u8>,
    /// `,"xmin":null,"origin":null,"origin_lsn":null},"transaction":`
    origin: Vec<u8>,
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
        (self.commit_time_us, self.follows) = (transaction.commit_time_us, transaction.follows);
        if transaction.commit_time_us != 0 {
            self.last_commit_us = transaction.commit_time_us;
        }
        let time_us = self.last_commit_us;
        // As `postgres` has it: `postgres 7… timeline 1 database app`.
        let database = source.split_once(" database ").map_or("", |(_, database)| database);
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
        refill(&mut self.xid, |out| {
            number_or_null(out, transaction.xid);
            out.extend_from_slice(b",\"lsn\":");
        });
        refill(&mut self.origin, |out| {
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
        out.extend_from_slice(&self.xid);
        out.extend_from_slice(lsn);
        out.extend_from_slice(&self.origin);
        marker
    }

    /// Appends what follows the rows: source, transaction, operation, clock. Returns where the snapshot marker stands.
    pub(crate) fn close(
        &self,
        out: &mut Vec<u8>,
        table: &Prepared,
        snapshot: &str,
        event: &Event<'_>,
        end: End<'_>,
    ) -> usize {
        let marker = self.source(out, &table.source_head, snapshot, &table.source_tail, event.log_offset);
        out.extend_from_slice(end.transaction);
        out.extend_from_slice(b",\"op\":\"");
        out.push(end.operation);
        out.extend_from_slice(&self.clock);
        out.extend_from_slice(table.value_end);
        marker
    }

    /// The connector's clock, in ms.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_us.div_euclid(1000)
    }
}

/// What ends an envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    /// The letter of `op`.
    pub(crate) operation: u8,
    /// The block of `transaction`, or `null`.
    pub(crate) transaction: &'a [u8],
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
