//! What is known of an event besides its rows, by Debezium's names: `op`, `source.lsn`, `transaction.id`. Only
//! `rows` asks for single ones; the whole envelope has them in text that is made once for many events.

use super::envelope::{Moment, number, text_of};
use super::source::Connector;
use super::table::Prepared;
use super::text;
use super::transactions::InTransaction;

/// The semantic type of `source.snapshot`.
pub(crate) const SNAPSHOTS: &str = concat!(
    r#""name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":"true,first,"#,
    r#"first_in_data_collection,last_in_data_collection,last,false,incremental"}"#,
);

/// An event that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) table: &'a Prepared,
    pub(crate) moment: &'a Moment,
    pub(crate) transaction: InTransaction<'a>,
    /// The letter of `op`.
    pub(crate) operation: u8,
    /// Where it is in the log, and its number among the rows there.
    pub(crate) log_offset: u64,
    pub(crate) log_row: u32,
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
    Server,
    Gtid,
    LogFile,
    LogRow,
    Thread,
    Query,
    TransactionId,
    TotalOrder,
    CollectionOrder,
}

/// What stands outside of `source`: the part of an envelope, empty for the top, and the name there.
const OTHERS: &[(&str, &str, Fact)] = &[
    ("", "op", Fact::Operation),
    ("", "ts_ms", Fact::Millis),
    ("", "ts_us", Fact::Micros),
    ("", "ts_ns", Fact::Nanos),
    ("transaction", "id", Fact::TransactionId),
    ("transaction", "total_order", Fact::TotalOrder),
    ("transaction", "data_collection_order", Fact::CollectionOrder),
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
        let other = OTHERS.iter().find(|fact| fact.1 == name && part.is_none_or(|part| fact.0 == part));
        let of_source = || part.is_none_or(|part| part == "source").then(|| Connector::find(name)).flatten();
        other.map(|fact| fact.2).or_else(of_source)
    }

    /// Its type in Connect's schemas.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Millis | Self::Micros | Self::Nanos => "int64",
            Self::SourceMillis | Self::SourceMicros | Self::SourceNanos => "int64",
            Self::Xid | Self::LogOffset | Self::Xmin | Self::OriginOffset => "int64",
            Self::TotalOrder | Self::CollectionOrder | Self::Server | Self::Thread => "int64",
            Self::LogRow => "int32",
            Self::Operation | Self::Version | Self::Connector | Self::Name | Self::Snapshot => "string",
            Self::Database | Self::Sequence | Self::Schema | Self::Table | Self::Origin => "string",
            Self::TransactionId | Self::Gtid | Self::LogFile | Self::Query => "string",
        }
    }

    /// Its node in a schema, up to its name.
    pub(crate) fn schema(self) -> String {
        let semantic = if self == Self::Snapshot { format!(",{SNAPSHOTS}") } else { String::new() };
        format!("{{\"type\":\"{}\",\"optional\":true{semantic}", self.kind())
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
            Self::Connector => form.text(out, facts.table.connector.name.as_bytes()),
            Self::Name => form.text(out, facts.table.server.as_bytes()),
            Self::Database if facts.table.connector.dialect.is_binlog() => {
                form.text(out, table.schema.as_bytes())
            }
            Self::Database => form.text(out, moment.database().as_bytes()),
            Self::Schema => form.text(out, table.schema.as_bytes()),
            Self::Table => form.text(out, table.name.as_bytes()),
            Self::Millis => written(out, moment.now_ms()),
            Self::Micros => written(out, moment.now_us()),
            Self::Nanos => written(out, moment.now_us().saturating_mul(1000)),
            Self::SourceMillis => written(out, moment.source_us().div_euclid(1000)),
            Self::SourceMicros => written(out, moment.source_us()),
            Self::SourceNanos => written(out, moment.source_us().saturating_mul(1000)),
            Self::LogOffset => written(out, moment.offset(facts.log_offset)),
            Self::Xid => moment.xid() != 0 && written(out, moment.xid()),
            Self::OriginOffset => moment.origin_offset() != 0 && written(out, moment.origin_offset()),
            Self::Origin => !moment.origin().is_empty() && form.text(out, moment.origin().as_bytes()),
            Self::Server => written(out, moment.server()),
            Self::Gtid => moment.gtid().is_some_and(|gtid| form.text(out, gtid.as_bytes())),
            Self::LogFile => form.text(out, moment.log_file().as_bytes()),
            Self::LogRow => written(out, facts.log_row),
            Self::Thread => moment.thread() != 0 && written(out, moment.thread()),
            Self::Xmin | Self::Query => false,
            Self::Snapshot => facts.copied && form.gap(out, gaps),
            Self::Sequence if facts.table.connector.dialect.is_binlog() => false,
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
        facts.moment.id(facts.table.connector, facts.log_offset).write(out);
        self.quote(out);
        true
    }
}

/// `{…,"field":"…"}` of a fact under a name.
pub(crate) fn described(fact: Fact, name: &str) -> String {
    format!("{},\"field\":{}}}", fact.schema(), text_of(name))
}
