//! What is known of an event besides its rows, by Debezium's names: `op`, `source.lsn`, `transaction.id`. Only
//! `rows` asks for single ones; the whole envelope has them in text that is made once for many events.

use super::envelope::{Moment, SNAPSHOTS, number, text_of};
use super::table::Prepared;
use super::text;
use super::transactions::InTransaction;

/// An event that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) table: &'a Prepared,
    pub(crate) moment: &'a Moment,
    pub(crate) transaction: InTransaction<'a>,
    /// The letter of `op`.
    pub(crate) operation: u8,
    /// Where it is in the log.
    pub(crate) log_offset: u64,
    /// It is of the first copy, and where in that is not known yet.
    pub(crate) copied: bool,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Operation,
    Millis,
    Micros,
    Nanos,
    Version,
    Connector,
    Name,
    SourceMillis,
    SourceMicros,
    SourceNanos,
    Snapshot,
    Database,
    Sequence,
    Schema,
    Table,
    Xid,
    LogOffset,
    Xmin,
    Origin,
    OriginOffset,
    TransactionId,
    TotalOrder,
    CollectionOrder,
}

/// The part of an envelope that it stands in, empty for the top; its name there; whether it is a number.
type Named = (&'static str, &'static str, Fact, bool);

const ALL: &[Named] = &[
    ("", "op", Fact::Operation, false),
    ("", "ts_ms", Fact::Millis, true),
    ("", "ts_us", Fact::Micros, true),
    ("", "ts_ns", Fact::Nanos, true),
    ("transaction", "id", Fact::TransactionId, false),
    ("transaction", "total_order", Fact::TotalOrder, true),
    ("transaction", "data_collection_order", Fact::CollectionOrder, true),
    ("source", "version", Fact::Version, false),
    ("source", "connector", Fact::Connector, false),
    ("source", "name", Fact::Name, false),
    ("source", "ts_ms", Fact::SourceMillis, true),
    ("source", "snapshot", Fact::Snapshot, false),
    ("source", "db", Fact::Database, false),
    ("source", "sequence", Fact::Sequence, false),
    ("source", "ts_us", Fact::SourceMicros, true),
    ("source", "ts_ns", Fact::SourceNanos, true),
    ("source", "schema", Fact::Schema, false),
    ("source", "table", Fact::Table, false),
    ("source", "txId", Fact::Xid, true),
    ("source", "lsn", Fact::LogOffset, true),
    ("source", "xmin", Fact::Xmin, true),
    ("source", "origin", Fact::Origin, false),
    ("source", "origin_lsn", Fact::OriginOffset, true),
];

/// As what a fact is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON.
    Json,
    /// Text without quotes, as headers have it.
    Plain,
}

impl Fact {
    /// By its part of the envelope and its name there. Without a part the top comes first, then `transaction`.
    pub(crate) fn find(part: Option<&str>, name: &str) -> Option<Self> {
        let fits = |fact: &&Named| fact.1 == name && part.is_none_or(|part| fact.0 == part);
        ALL.iter().find(fits).map(|fact| fact.2)
    }

    /// Its node in a schema, up to its name.
    pub(crate) fn schema(self) -> String {
        let number = ALL.iter().any(|fact| fact.2 == self && fact.3);
        let kind = if number { "int64" } else { "string" };
        let semantic = if self == Self::Snapshot { format!(",{SNAPSHOTS}") } else { String::new() };
        format!("{{\"type\":\"{kind}\",\"optional\":true{semantic}")
    }

    /// Appends it, unless it is null; says whether it did. The marker of a copied row is a byte that goes by its
    /// place into `gaps`.
    pub(crate) fn write(
        self,
        out: &mut Vec<u8>,
        form: Form,
        facts: &Facts<'_>,
        gaps: &mut Vec<usize>,
    ) -> bool {
        let (moment, table) = (facts.moment, &facts.table.table);
        match self {
            Self::Operation => form.text(out, &[facts.operation]),
            Self::Version => form.text(out, env!("CARGO_PKG_VERSION").as_bytes()),
            Self::Connector => form.text(out, b"postgresql"),
            Self::Name => form.text(out, facts.table.server.as_bytes()),
            Self::Database => form.text(out, moment.database().as_bytes()),
            Self::Schema => form.text(out, table.schema.as_bytes()),
            Self::Table => form.text(out, table.name.as_bytes()),
            Self::Millis => written(out, moment.now_ms()),
            Self::Micros => written(out, moment.now_us()),
            Self::Nanos => written(out, moment.now_us().saturating_mul(1000)),
            Self::SourceMillis => written(out, moment.source_us().div_euclid(1000)),
            Self::SourceMicros => written(out, moment.source_us()),
            Self::SourceNanos => written(out, moment.source_us().saturating_mul(1000)),
            Self::LogOffset => written(out, facts.log_offset),
            Self::Xid => moment.xid() != 0 && written(out, moment.xid()),
            Self::OriginOffset => moment.origin_offset() != 0 && written(out, moment.origin_offset()),
            Self::Origin => !moment.origin().is_empty() && form.text(out, moment.origin().as_bytes()),
            Self::Xmin => false,
            Self::Snapshot => facts.copied && form.gap(out, gaps),
            Self::Sequence => form.sequence(out, moment.follows(), facts.log_offset),
            Self::TransactionId => facts.transaction.order.is_some() && form.id(out, facts),
            Self::TotalOrder => facts.transaction.order.is_some_and(|(total, _)| written(out, total)),
            Self::CollectionOrder => facts.transaction.order.is_some_and(|(_, order)| written(out, order)),
        }
    }
}

fn written(out: &mut Vec<u8>, value: impl itoa::Integer) -> bool {
    number(out, value);
    true
}

impl Form {
    fn text(self, out: &mut Vec<u8>, value: &[u8]) -> bool {
        match self {
            Self::Json => text::string(out, value),
            Self::Plain => out.extend_from_slice(value),
        }
        true
    }

    fn quote(self, out: &mut Vec<u8>) {
        if self == Self::Json {
            out.push(b'"');
        }
    }

    fn gap(self, out: &mut Vec<u8>, gaps: &mut Vec<usize>) -> bool {
        self.quote(out);
        gaps.push(out.len());
        out.push(b'?');
        self.quote(out);
        true
    }

    /// `["N","N"]`, or `[null,"N"]`.
    fn sequence(self, out: &mut Vec<u8>, follows: u64, log_offset: u64) -> bool {
        let quote: &[u8] = if self == Self::Json { b"\\\"" } else { b"\"" };
        let quoted = |out: &mut Vec<u8>, value: u64| {
            out.extend_from_slice(quote);
            number(out, value);
            out.extend_from_slice(quote);
        };
        self.quote(out);
        out.push(b'[');
        if follows == 0 {
            out.extend_from_slice(b"null")
        } else {
            quoted(out, follows)
        }
        out.push(b',');
        quoted(out, log_offset);
        out.push(b']');
        self.quote(out);
        true
    }

    fn id(self, out: &mut Vec<u8>, facts: &Facts<'_>) -> bool {
        self.quote(out);
        number(out, facts.moment.xid());
        out.push(b':');
        number(out, facts.log_offset);
        self.quote(out);
        true
    }
}

/// `{…,"field":"…"}` of a fact under a name.
pub(crate) fn described(fact: Fact, name: &str) -> String {
    format!("{},\"field\":{}}}", fact.schema(), text_of(name))
}
