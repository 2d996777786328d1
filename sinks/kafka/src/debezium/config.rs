//! Debezium's options that change what is written, under Debezium's own names and with its defaults. Every other
//! option of a connector is refused by name: whoever sets it expects that it does something.

use std::fmt::Debug;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use tailwater_core::{Column, Result, Table};

use super::rows::{self, Rows};
use crate::error;

/// `[sink.kafka.debezium]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `topic.prefix`: the logical name of the server, which topics, schemas and `source.name` start with.
    pub prefix: String,
    /// `schemas.enable` of the JSON converter: every key and value carries its schema.
    pub schemas: bool,
    /// `decimal.handling.mode`
    pub decimal: Decimal,
    /// `time.precision.mode`; where it is not set, the default of the source's connector.
    pub time: Option<TimePrecision>,
    /// `bigint.unsigned.handling.mode`
    pub unsigned: Unsigned,
    /// `enable.time.adjuster`: years below 100 are meant to be of this or the last century.
    pub adjust_years: bool,
    /// `binary.handling.mode`
    pub binary: Binary,
    /// `hstore.handling.mode`
    pub hstore: Hstore,
    /// `interval.handling.mode`
    pub interval: Interval,
    /// `schema.name.adjustment.mode`
    pub schema_names: Adjustment,
    /// `field.name.adjustment.mode`
    pub field_names: Adjustment,
    /// `unavailable.value.placeholder`, as bytes.
    pub placeholder: Vec<u8>,
    /// `tombstones.on.delete`
    pub tombstones: bool,
    /// `message.key.columns`
    pub key_columns: Vec<KeyColumns>,
    /// `skipped.operations`
    pub skipped: Skipped,
    /// `provide.transaction.metadata`
    pub transactions: bool,
    /// `topic.transaction`: the last part of the name of the topic of transactions.
    pub transaction_topic: String,
    /// `topic.heartbeat.prefix`
    pub heartbeat_prefix: String,
    /// `heartbeat.interval.ms`; 0 is never.
    pub heartbeat_ms: u64,
    /// `extended.headers.enabled`: every record says in headers which connector wrote it.
    pub extended_headers: bool,
    /// `money.fraction.digits`
    pub money_digits: u16,
    /// `include.schema.changes`: the statements that change tables go to the topic `topic.prefix`. The source must be asked to
    /// tell them. Debezium has it where it is not set, too.
    pub schema_changes: bool,
    /// The options of `format = "row"`.
    pub rows: Rows,
}

/// One column of an entry of `message.key.columns`, which is a part of the key of the tables whose full name matches.
#[derive(Debug, Clone)]
pub struct KeyColumns {
    tables: Regex,
    /// The full name of the column, with that of its table.
    column: Regex,
    /// As it is written: `TABLES:COLUMN`.
    text: String,
}

/// Which kinds of change are not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "one flag per letter of the option")]
pub struct Skipped {
    pub create: bool,
    pub update: bool,
    pub delete: bool,
    pub truncate: bool,
}

macro_rules! modes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $spelling:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every mode by its spelling.
            pub const ALL: &[(&str, Self)] = &[$(($spelling, Self::$variant),)+];
        }
    };
}

pub(super) use modes;

modes! {
    /// How `numeric` and `money` are written.
    Decimal {
        /// Base64 of the unscaled number.
        Precise = "precise",
        /// A binary number.
        Double = "double",
        /// Text.
        Text = "string",
    }
}

modes! {
    /// How dates and times are written.
    TimePrecision {
        /// By the precision of the column, in ms or µs.
        Adaptive = "adaptive",
        /// The same, and times of day always in µs.
        AdaptiveTimeMicroseconds = "adaptive_time_microseconds",
        /// Kafka Connect's own types, in ms.
        Connect = "connect",
        /// Text by ISO 8601.
        IsoString = "isostring",
        /// In µs.
        Microseconds = "microseconds",
        /// In ns.
        Nanoseconds = "nanoseconds",
    }
}

modes! {
    /// How `bigint unsigned` is written.
    Unsigned {
        /// As a signed number of 64 bits: the upper half is negative.
        Long = "long",
        /// As a decimal number.
        Precise = "precise",
    }
}

modes! {
    /// How `bytea` and its like are written.
    Binary {
        /// Connect's bytes, which JSON has as Base64.
        Bytes = "bytes",
        /// A string of Base64.
        Base64 = "base64",
        /// A string of Base64 of the alphabet for urls.
        Base64UrlSafe = "base64-url-safe",
        /// A string of hexadecimal digits.
        Hex = "hex",
    }
}

modes! {
    /// How `hstore` is written.
    Hstore {
        /// A string of JSON.
        Json = "json",
        /// A map.
        Map = "map",
    }
}

modes! {
    /// How `interval` is written.
    Interval {
        /// µs, with a month as a twelfth of 365.25 days.
        Numeric = "numeric",
        /// Text by ISO 8601.
        Text = "string",
    }
}

modes! {
    /// How names are made fit for Avro.
    Adjustment {
        /// Not at all.
        None = "none",
        /// `_` for what does not fit.
        Avro = "avro",
        /// `_u` and four hexadecimal digits for what does not fit.
        AvroUnicode = "avro_unicode",
    }
}

impl PartialEq for KeyColumns {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for KeyColumns {}

impl Config {
    /// The options of `format = "row"` alone, by Debezium's name.
    pub const ROW_OPTIONS: &[&str] = rows::OPTIONS;

    /// Every other option.
    pub const OPTIONS: &[&str] = &[
        "topic.prefix",
        "schemas.enable",
        "decimal.handling.mode",
        "time.precision.mode",
        "binary.handling.mode",
        "hstore.handling.mode",
        "interval.handling.mode",
        "schema.name.adjustment.mode",
        "field.name.adjustment.mode",
        "unavailable.value.placeholder",
        "tombstones.on.delete",
        "message.key.columns",
        "skipped.operations",
        "provide.transaction.metadata",
        "topic.transaction",
        "topic.heartbeat.prefix",
        "heartbeat.interval.ms",
        "extended.headers.enabled",
        "money.fraction.digits",
        "bigint.unsigned.handling.mode",
        "enable.time.adjuster",
        "include.schema.changes",
    ];

    /// Debezium's defaults, for a connector of this `topic.prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            schemas: false,
            decimal: Decimal::Precise,
            time: None,
            unsigned: Unsigned::Long,
            adjust_years: true,
            binary: Binary::Bytes,
            hstore: Hstore::Json,
            interval: Interval::Numeric,
            schema_names: Adjustment::None,
            field_names: Adjustment::None,
            placeholder: b"__debezium_unavailable_value".to_vec(),
            tombstones: true,
            key_columns: Vec::new(),
            skipped: Skipped { create: false, update: false, delete: false, truncate: true },
            transactions: false,
            transaction_topic: "transaction".to_owned(),
            heartbeat_prefix: "__debezium-heartbeat".to_owned(),
            heartbeat_ms: 0,
            extended_headers: true,
            money_digits: 2,
            schema_changes: false,
            rows: Rows::default(),
        }
    }

    /// Sets an option by Debezium's name.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind its name.
    pub fn set(&mut self, name: &str, value: &str) -> std::result::Result<(), String> {
        match name {
            "topic.prefix" => value.clone_into(&mut self.prefix),
            "schemas.enable" => self.schemas = flag(value)?,
            "decimal.handling.mode" => self.decimal = mode(Decimal::ALL, value)?,
            "time.precision.mode" => self.time = Some(mode(TimePrecision::ALL, value)?),
            "bigint.unsigned.handling.mode" => self.unsigned = mode(Unsigned::ALL, value)?,
            "enable.time.adjuster" => self.adjust_years = flag(value)?,
            "binary.handling.mode" => self.binary = mode(Binary::ALL, value)?,
            "hstore.handling.mode" => self.hstore = mode(Hstore::ALL, value)?,
            "interval.handling.mode" => self.interval = mode(Interval::ALL, value)?,
            "schema.name.adjustment.mode" => self.schema_names = mode(Adjustment::ALL, value)?,
            "field.name.adjustment.mode" => self.field_names = mode(Adjustment::ALL, value)?,
            "unavailable.value.placeholder" => self.placeholder = placeholder(value)?,
            "tombstones.on.delete" => self.tombstones = flag(value)?,
            "message.key.columns" => self.key_columns = key_columns(value)?,
            "skipped.operations" => self.skipped = skipped(value)?,
            "provide.transaction.metadata" => self.transactions = flag(value)?,
            "topic.transaction" => value.clone_into(&mut self.transaction_topic),
            "topic.heartbeat.prefix" => value.clone_into(&mut self.heartbeat_prefix),
            "heartbeat.interval.ms" => self.heartbeat_ms = number(value)?,
            "extended.headers.enabled" => self.extended_headers = flag(value)?,
            "money.fraction.digits" => self.money_digits = number(value)?,
            "include.schema.changes" => self.schema_changes = flag(value)?,
            _ => self.rows.set(name, value)?,
        }
        Ok(())
    }

    /// The topics of records that belong to no table: of messages, and where they are asked for of heartbeats, transactions
    /// and statements.
    pub(crate) fn other_topics(&self) -> impl Iterator<Item = String> {
        let heartbeats = (self.heartbeat_ms > 0).then(|| self.heartbeat_topic());
        let transactions = self.transactions.then(|| self.transactions_topic());
        let statements = self.schema_changes.then(|| self.statements_topic());
        [self.message_topic()].into_iter().chain(heartbeats).chain(transactions).chain(statements)
    }

    pub(crate) fn message_topic(&self) -> String {
        format!("{}.message", self.prefix)
    }

    pub(crate) fn heartbeat_topic(&self) -> String {
        format!("{}.{}", self.heartbeat_prefix, self.prefix)
    }

    pub(crate) fn statements_topic(&self) -> String {
        self.prefix.clone()
    }

    pub(crate) fn transactions_topic(&self) -> String {
        format!("{}.{}", self.prefix, self.transaction_topic)
    }

    /// The columns of the key: those that `message.key.columns` names for the table, else the declared key.
    ///
    /// # Errors
    /// `Operator` where it names one that the table does not have.
    pub(crate) fn key_of(&self, table: &Table) -> Result<Vec<usize>> {
        let name = table.full_name();
        let (mut key, mut named) = (Vec::new(), false);
        for entry in self.key_columns.iter().filter(|entry| entry.tables.is_match(&name)) {
            named = true;
            let fits = |column: &Column| entry.column.is_match(&format!("{name}.{}", column.name));
            if !table.columns.iter().any(fits) {
                return Err(error::key_column_unknown(&name, &entry.text));
            }
            for (index, column) in table.columns.iter().enumerate() {
                if fits(column) && !key.contains(&index) {
                    key.push(index);
                }
            }
        }
        Ok(if named { key } else { table.declared_key.clone() })
    }

    /// What `message.key.columns` says of tables that are none of these.
    pub(crate) fn idle_key_columns<'c>(&'c self, tables: &[Arc<Table>]) -> impl Iterator<Item = &'c str> {
        let names: Vec<String> = tables.iter().map(|table| table.full_name()).collect();
        let idle = move |entry: &&KeyColumns| !names.iter().any(|name| entry.tables.is_match(name));
        self.key_columns.iter().filter(idle).map(|entry| entry.text.as_str())
    }
}

pub(super) fn mode<M: Copy>(all: &[(&str, M)], value: &str) -> std::result::Result<M, String> {
    let found = all.iter().find(|(spelling, _)| *spelling == value);
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        let all: Vec<&str> = all.iter().map(|(spelling, _)| *spelling).collect();
        format!("is none of {}", all.join(", "))
    })
}

pub(super) fn flag(value: &str) -> std::result::Result<bool, String> {
    value.parse().map_err(|_error| "is neither true nor false".to_owned())
}

fn number<N: std::str::FromStr>(value: &str) -> std::result::Result<N, String> {
    value.parse().map_err(|_error| "is not a number, or too large".to_owned())
}

/// Text, or bytes in hexadecimal digits behind `hex:`.
fn placeholder(value: &str) -> std::result::Result<Vec<u8>, String> {
    let Some(digits) = value.strip_prefix("hex:") else { return Ok(value.as_bytes().to_vec()) };
    let pairs = digits.as_bytes().chunks(2);
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = pairs.map(|pair| if pair.len() == 2 { byte(pair) } else { None }).collect();
    bytes.ok_or_else(|| "has no pairs of hexadecimal digits behind `hex:`".to_owned())
}

fn key_columns(value: &str) -> std::result::Result<Vec<KeyColumns>, String> {
    let mut parsed = Vec::new();
    for entry in value.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (tables, columns) =
            entry.rsplit_once(':').ok_or_else(|| format!("{entry:?} lacks `:` before its columns"))?;
        let tables = tables.trim();
        for column in columns.split(',').map(str::trim) {
            if tables.is_empty() || column.is_empty() {
                return Err(format!("{entry:?} lacks a table or a column"));
            }
            parsed.push(KeyColumns {
                tables: whole(tables)?,
                column: whole(&format!("{tables}.{column}"))?,
                text: format!("{tables}:{column}"),
            });
        }
    }
    Ok(parsed)
}

/// The regular expression for a whole name.
fn whole(pattern: &str) -> std::result::Result<Regex, String> {
    let built = RegexBuilder::new(&format!("^(?:{pattern})$")).case_insensitive(true).build();
    built.map_err(|error| format!("{pattern:?} is not a regular expression: {error}"))
}

fn skipped(value: &str) -> std::result::Result<Skipped, String> {
    let mut skipped = Skipped { create: false, update: false, delete: false, truncate: false };
    for letter in value.split(',').map(str::trim).filter(|letter| !letter.is_empty() && *letter != "none") {
        match letter {
            "c" => skipped.create = true,
            "u" => skipped.update = true,
            "d" => skipped.delete = true,
            "t" => skipped.truncate = true,
            _ => return Err(format!("{letter:?} is none of c, u, d, t, none")),
        }
    }
    Ok(skipped)
}
