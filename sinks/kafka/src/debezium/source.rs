//! What tells Debezium's connectors apart, as data: their names, the fields of `source` in their order, how transactions
//! are called, what a type's spelling means. Nothing here knows a row.

use tailwater_core::{Change, Event, Table, Transaction};

use super::config::TimePrecision;
use super::envelope::{number, text_of};
use super::facts::{Fact, SNAPSHOTS};
use super::sql::Sql;

/// One of Debezium's connectors.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Connector {
    /// The first word of [`tailwater_core::Position::source`].
    kind: &'static str,
    /// What the connector calls itself.
    pub(crate) name: &'static str,
    /// Of `source`, in order.
    fields: &'static [Field],
    pub(crate) dialect: Dialect,
    /// `time.precision.mode`, where it is not set.
    pub(crate) time: TimePrecision,
}

/// A name in `source`, what stands there, and whether the schema calls it optional.
#[derive(Debug, PartialEq, Eq)]
struct Field(&'static str, Fact, bool);

/// Whose types and defaults they are, and whose habits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    MySql,
    MariaDb,
}

impl Dialect {
    /// That of MySQL and MariaDB both.
    pub(crate) fn is_binlog(self) -> bool {
        self != Self::Postgres
    }
}

macro_rules! fields {
    ($($more:expr),+ $(,)?) => {
        &[
            Field("version", Fact::Version, false),
            Field("connector", Fact::Connector, false),
            Field("name", Fact::Name, false),
            Field("ts_ms", Fact::SourceMillis, false),
            Field("snapshot", Fact::Snapshot, true),
            Field("db", Fact::Database, false),
            Field("sequence", Fact::Sequence, true),
            Field("ts_us", Fact::SourceMicros, true),
            Field("ts_ns", Fact::SourceNanos, true),
            $($more,)+
        ]
    };
}

static POSTGRES: Connector = Connector {
    kind: "postgres",
    name: "postgresql",
    fields: fields![
        Field("schema", Fact::Schema, false),
        Field("table", Fact::Table, false),
        Field("txId", Fact::Xid, true),
        Field("lsn", Fact::LogOffset, true),
        Field("xmin", Fact::Xmin, true),
        Field("origin", Fact::Origin, true),
        Field("origin_lsn", Fact::OriginOffset, true),
    ],
    dialect: Dialect::Postgres,
    time: TimePrecision::Adaptive,
};

macro_rules! binlog {
    ($kind:literal, $dialect:expr) => {
        Connector {
            kind: $kind,
            name: $kind,
            fields: fields![
                Field("table", Fact::Table, true),
                Field("server_id", Fact::Server, false),
                Field("gtid", Fact::Gtid, true),
                Field("file", Fact::LogFile, false),
                Field("pos", Fact::LogOffset, false),
                Field("row", Fact::LogRow, false),
                Field("thread", Fact::Thread, true),
                Field("query", Fact::Query, true),
            ],
            dialect: $dialect,
            time: TimePrecision::AdaptiveTimeMicroseconds,
        }
    };
}

static MYSQL: Connector = binlog!("mysql", Dialect::MySql);
static MARIADB: Connector = binlog!("mariadb", Dialect::MariaDb);

/// As long as nothing has told which it is.
impl Default for &'static Connector {
    fn default() -> Self {
        &POSTGRES
    }
}

/// Where a fact is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The same for all events of a transaction in a batch.
    Moment,
    /// The same for all events of a table.
    Table,
    Event,
}

/// What is put between two pieces of text that are the same for many events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hole {
    /// The marker of the first copy.
    Marker,
    /// The next of [`Connector::table_parts`].
    Table,
    LogOffset,
    LogRow,
}

impl Connector {
    /// That of a source.
    pub(crate) fn of(source: &str) -> Option<&'static Self> {
        [&POSTGRES, &MYSQL, &MARIADB].into_iter().find(|connector| connector.is_of(source))
    }

    /// Whose types those of a table are, where nobody has said whose table it is.
    pub(crate) fn guess(table: &Table) -> &'static Self {
        let unknown = |connector: &&'static Self| {
            let types = table.columns.iter().map(|column| Sql::of(column, connector.dialect));
            types.filter(|sql| *sql == Sql::Unknown).count()
        };
        [&POSTGRES, &MYSQL].into_iter().min_by_key(unknown).unwrap_or_default()
    }

    /// Whether it fills `thread`: MariaDB's does not.
    pub(crate) fn tells_threads(&self) -> bool {
        self.dialect == Dialect::MySql
    }

    /// Whether it is that of a source.
    #[inline]
    pub(crate) fn is_of(&self, source: &str) -> bool {
        source.strip_prefix(self.kind).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    fn scope(&self, fact: Fact) -> Scope {
        // What is a database there is a schema here.
        let of_table = match self.dialect {
            Dialect::Postgres => matches!(fact, Fact::Schema | Fact::Table),
            Dialect::MySql | Dialect::MariaDb => matches!(fact, Fact::Database | Fact::Table),
        };
        let of_event = matches!(fact, Fact::Snapshot | Fact::LogOffset | Fact::LogRow)
            || (fact == Fact::Sequence && self.dialect == Dialect::Postgres);
        match (of_table, of_event) {
            (true, _) => Scope::Table,
            (false, true) => Scope::Event,
            (false, false) => Scope::Moment,
        }
    }

    /// The schema of `source`.
    pub(crate) fn schema(&self) -> String {
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|Field(name, fact, optional)| {
                let snapshot = if *fact == Fact::Snapshot {
                    format!(",{SNAPSHOTS},\"default\":\"false\"")
                } else {
                    String::new()
                };
                let kind = fact.kind();
                format!("{{\"type\":\"{kind}\",\"optional\":{optional}{snapshot},\"field\":\"{name}\"}}")
            })
            .collect();
        format!(
            "{{\"type\":\"struct\",\"fields\":[{}],\"optional\":false,\
             \"name\":\"io.debezium.connector.{}.Source\",\"version\":1,\"field\":\"source\"}}",
            fields.join(","),
            self.name
        )
    }

    /// What belongs to a table, in as many pieces as other fields stand between.
    pub(crate) fn table_parts(&self, schema: &str, table: Option<&str>) -> Vec<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut together = false;
        for Field(name, fact, _) in self.fields {
            let of_table = self.scope(*fact) == Scope::Table;
            if of_table {
                let value = if *fact == Fact::Table { table } else { Some(schema) };
                let value = value.map_or_else(|| "null".to_owned(), text_of);
                let text = format!(",\"{name}\":{value}").into_bytes();
                match parts.last_mut() {
                    Some(part) if together => part.extend(text),
                    Some(_) | None => parts.push(text),
                }
            }
            together = of_table;
        }
        parts
    }

    /// Writes what belongs to a moment, noting what goes between.
    pub(crate) fn lay_out(
        &self,
        out: &mut Vec<u8>,
        holes: &mut Vec<(usize, Hole)>,
        moment: impl Fn(Fact, &mut Vec<u8>),
        follows: u64,
    ) {
        let mut together = false;
        for Field(name, fact, _) in self.fields {
            let scope = self.scope(*fact);
            if scope == Scope::Table {
                if !together {
                    holes.push((out.len(), Hole::Table));
                }
                together = true;
                continue;
            }
            together = false;
            out.extend_from_slice(if *fact == Fact::Version { b"\"" } else { b",\"" });
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            match scope {
                Scope::Moment | Scope::Table => moment(*fact, out),
                Scope::Event => event_scoped(*fact, out, holes, follows),
            }
        }
    }

    /// The names of all fields of all connectors, with what they are.
    pub(crate) fn find(name: &str) -> Option<Fact> {
        let mut all = [&POSTGRES, &MYSQL].into_iter().flat_map(|connector| connector.fields);
        all.find(|field| field.0 == name).map(|field| field.1)
    }

    /// Whether an event counts in the metadata of its transaction.
    pub(crate) fn counts(&self, event: &Event<'_>) -> bool {
        match (self.dialect, event.change) {
            (Dialect::Postgres, _) => event.transaction.xid != 0,
            // A truncate is a statement there, and belongs to no transaction.
            (Dialect::MySql | Dialect::MariaDb, change) => {
                matches!(change, Change::Insert { .. } | Change::Update { .. } | Change::Delete { .. })
            }
        }
    }

    /// What a transaction is called in its metadata, at a place in the log.
    pub(crate) fn id<'t>(&self, transaction: &Transaction<'t>, log_offset: u64) -> Id<'t> {
        match (self.dialect.is_binlog(), gtid(transaction)) {
            (false, _) => Id::Numbered { xid: transaction.xid, log_offset },
            (true, Some(gtid)) => Id::Gtid(gtid),
            (true, None) => Id::Place { file: transaction.log_file, starts: transaction.starts },
        }
    }
}

/// What is known of an event before it is.
fn event_scoped(fact: Fact, out: &mut Vec<u8>, holes: &mut Vec<(usize, Hole)>, follows: u64) {
    let (before, hole, behind): (&[u8], Hole, &[u8]) = if fact == Fact::Snapshot {
        (b"\"", Hole::Marker, b"\"")
    } else if fact == Fact::Sequence {
        (b"\"[", Hole::LogOffset, b"\\\"]\"")
    } else {
        (b"", if fact == Fact::LogRow { Hole::LogRow } else { Hole::LogOffset }, b"")
    };
    out.extend_from_slice(before);
    if fact == Fact::Sequence {
        if follows == 0 {
            out.extend_from_slice(b"null,\\\"");
        } else {
            out.extend_from_slice(b"\\\"");
            number(out, follows);
            out.extend_from_slice(b"\\\",\\\"");
        }
    }
    holes.push((out.len(), hole));
    out.extend_from_slice(behind);
}

/// The GTID of a transaction; `None` where it is called by its place.
pub(crate) fn gtid<'t>(transaction: &Transaction<'t>) -> Option<&'t str> {
    let placed = transaction.id.strip_prefix(transaction.log_file).is_some_and(|rest| rest.starts_with(':'));
    (!transaction.id.is_empty() && !placed).then_some(transaction.id)
}

/// The name of a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Id<'t> {
    /// `571:24023128`: its number and a place in the log, which differs from event to event.
    Numbered {
        xid: u64,
        log_offset: u64,
    },
    Gtid(&'t str),
    /// `file=binlog.000003,pos=4567`
    Place {
        file: &'t str,
        starts: u64,
    },
}

impl Id<'_> {
    /// Appends it, without quotes. No name has anything in it that would have to be escaped.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Numbered { xid, log_offset } => {
                number(out, xid);
                out.push(b':');
                number(out, log_offset);
            }
            Self::Gtid(gtid) => out.extend_from_slice(gtid.as_bytes()),
            Self::Place { file, starts } => {
                out.extend_from_slice(b"file=");
                out.extend_from_slice(file.as_bytes());
                out.extend_from_slice(b",pos=");
                number(out, starts);
            }
        }
    }
}
