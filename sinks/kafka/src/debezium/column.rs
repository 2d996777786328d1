//! What is decided once per column: its form, its part of the schema, and what stands for a value that is not there.

use md5::{Digest as _, Md5};
use tailwater_core::{Column, Value};

use super::binlog;
use super::config::{Binary, Config, Decimal, Hstore, Interval, TimePrecision, Unsigned};
use super::default;
use super::names;
use super::number::{Scratch, Width};
use super::source::{Connector, Dialect};
use super::sql::Sql;
use super::text::{self, Alphabet};
use super::time::{DateForm, TimeForm};
use super::value::Form;

/// A column of rows or keys.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where its value is in a row.
    index: usize,
    name: String,
    /// `"name":`
    key: Vec<u8>,
    form: Form,
    /// What is written for NULL and for what an old row lacks: the default, or a zero where NULL is not allowed.
    null: Vec<u8>,
    /// What is written for unchanged TOAST in a new row.
    unavailable: Vec<u8>,
    /// The node of Connect's schema.
    pub(crate) schema: String,
}

/// What a type is in Connect's terms.
struct Meaning {
    form: Form,
    /// `"type":"int32"`, with what else stands before `optional`.
    head: String,
    /// `,"name":"…","version":1`, with what else stands before `default`.
    tail: String,
    /// What a column that must not be NULL gets where it has no value, as JSON.
    zero: String,
}

impl Plan {
    /// `None` where the format leaves the column out.
    pub(crate) fn new(
        index: usize,
        column: &Column,
        (config, connector): (&Config, &Connector),
        scratch: &mut Scratch,
    ) -> Option<Self> {
        let dialect = connector.dialect;
        let sql = Sql::of(column, dialect);
        let mut meaning = meaning(&sql, (config, connector))?;
        if dialect.is_binlog() {
            meaning.form = binlog::form(&sql, meaning.form, config, dialect);
        }
        let optional = !column.declared.not_null || sql == Sql::Geometry;
        let labels = || labels(&sql, &column.declared.labels, dialect);
        let tail = if matches!(sql, Sql::Enum | Sql::Set) { labels() } else { meaning.tail };
        let head = if sql == Sql::Array(Box::new(Sql::Enum)) {
            format!("\"type\":\"array\",\"items\":{{\"type\":\"string\",\"optional\":false{}}}", labels())
        } else {
            meaning.head
        };
        let default = match &column.declared.default {
            Some(expression) if dialect.is_binlog() => {
                let zero = (!optional).then_some(meaning.zero.as_str());
                binlog::default(expression, (&sql, &meaning.form, dialect), zero, scratch)
            }
            Some(_) | None => default::of(column, &sql, &meaning.form, scratch),
        };
        let name = names::field(&column.name, config.field_names);
        let mut schema = format!("{{{head},\"optional\":{optional}{tail}");
        if let Some(default) = &default {
            schema.push_str(",\"default\":");
            schema.push_str(&String::from_utf8_lossy(default));
        }
        schema.push_str(",\"field\":");
        schema.push_str(&json(&name));
        schema.push('}');

        let null = match (default, optional) {
            (Some(default), _) => default,
            (None, true) => b"null".to_vec(),
            (None, false) => meaning.zero.into_bytes(),
        };
        let unavailable = unavailable(&sql, &meaning.form, config).unwrap_or_else(|| null.clone());
        let mut key = json(&name).into_bytes();
        key.push(b':');
        Some(Self { index, name, key, form: meaning.form, null, unavailable, schema })
    }

    /// Appends the member of an object.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, value: Value<'_>, old: bool, scratch: &mut Scratch) {
        out.extend_from_slice(&self.key);
        match value {
            Value::Text(text) => {
                let start = out.len();
                if !self.form.write(out, text, scratch) {
                    out.truncate(start);
                    out.extend_from_slice(&self.null);
                }
            }
            Value::Null => out.extend_from_slice(&self.null),
            Value::Unsent => out.extend_from_slice(if old { &self.null } else { &self.unavailable }),
        }
    }

    /// Its name as a field.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its value is in a row.
    pub(crate) fn index(&self) -> usize {
        self.index
    }
}

fn json(text: &str) -> String {
    let mut out = Vec::new();
    text::string(&mut out, text.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// `,"name":"…","version":1,"parameters":{…}`
fn named(name: &str, parameters: &[(&str, &str)]) -> String {
    let mut tail = format!(",\"name\":{},\"version\":1", json(name));
    if !parameters.is_empty() {
        let members: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}:{}", json(name), json(value))).collect();
        tail.push_str(&format!(",\"parameters\":{{{}}}", members.join(",")));
    }
    tail
}

/// The semantic type of an enumerated type, with its labels.
fn labels(sql: &Sql, labels: &[String], dialect: Dialect) -> String {
    let labels = match dialect {
        Dialect::Postgres => labels.join(","),
        Dialect::MySql | Dialect::MariaDb => {
            labels.iter().map(|label| label.replace(',', "\\,")).collect::<Vec<_>>().join(",")
        }
    };
    let name = if *sql == Sql::Set { "io.debezium.data.EnumSet" } else { "io.debezium.data.Enum" };
    named(name, &[("allowed", &labels)])
}

fn plain(form: Form, kind: &str, zero: &str) -> Meaning {
    Meaning { form, head: format!("\"type\":\"{kind}\""), tail: String::new(), zero: zero.into() }
}

fn semantic(form: Form, kind: &str, name: &str, zero: &str) -> Meaning {
    Meaning { tail: named(name, &[]), ..plain(form, kind, zero) }
}

fn meaning(sql: &Sql, (config, connector): (&Config, &Connector)) -> Option<Meaning> {
    let string = |name| Some(semantic(Form::String, "string", name, "\"\""));
    match sql {
        Sql::Bool => Some(plain(Form::Bool, "boolean", "false")),
        Sql::Int2 => Some(plain(Form::Integer, "int16", "0")),
        Sql::Int4 => Some(plain(Form::Integer, "int32", "0")),
        Sql::Int8 | Sql::Oid => Some(plain(Form::Integer, "int64", "0")),
        Sql::Float4 => Some(plain(Form::Float(Width::Single), "float", "0.0")),
        Sql::Float8 => Some(plain(Form::Float(Width::Double), "double", "0.0")),
        Sql::Numeric(limits) => Some(numeric(*limits, config)),
        Sql::Money => Some(money(config)),
        Sql::Bits(1) => Some(plain(Form::Bit, "boolean", "false")),
        Sql::Bits(length) => {
            let bits = plain(Form::Bits { all: connector.dialect.is_binlog() }, "bytes", "\"\"");
            let tail = named("io.debezium.data.Bits", &[("length", &length.to_string())]);
            Some(Meaning { tail, ..bits })
        }
        Sql::Text { .. } | Sql::Enum | Sql::Set => Some(plain(Form::String, "string", "\"\"")),
        Sql::Bytes => Some(bytes(config)),
        Sql::Uuid => string("io.debezium.data.Uuid"),
        Sql::Json => string("io.debezium.data.Json"),
        Sql::Xml => string("io.debezium.data.Xml"),
        Sql::Ltree => string("io.debezium.data.Ltree"),
        Sql::Tsvector => string("io.debezium.data.Tsvector"),
        Sql::Date | Sql::Time { .. } | Sql::Timestamp { .. } => {
            Some(temporal(sql, config.time.unwrap_or(connector.time)))
        }
        Sql::TimeTz => Some(semantic(Form::TimeTz, "string", "io.debezium.time.ZonedTime", "\"00:00:00Z\"")),
        Sql::TimestampTz { digits } => {
            let form = Form::TimestampTz { digits: digits.unwrap_or(6) };
            let name = "io.debezium.time.ZonedTimestamp";
            Some(semantic(form, "string", name, "\"1970-01-01T00:00:00Z\""))
        }
        Sql::Interval => Some(match config.interval {
            Interval::Numeric => {
                semantic(Form::IntervalMicros, "int64", "io.debezium.time.MicroDuration", "0")
            }
            Interval::Text => {
                semantic(Form::IntervalIso, "string", "io.debezium.time.Interval", "\"P0Y0M0DT0H0M0S\"")
            }
        }),
        Sql::Hstore => Some(hstore(config)),
        Sql::Point => Some(point()),
        Sql::Vector(element) => {
            items(element, false, (config, connector)).map(|array| Meaning { form: Form::Vector, ..array })
        }
        Sql::Array(element) => array(element, (config, connector)),
        Sql::UInt8 => Some(match config.unsigned {
            Unsigned::Long => plain(Form::Signed, "int64", "0"),
            Unsigned::Precise => scaled(20, 0),
        }),
        Sql::WideFloat => Some(plain(Form::WideFloat, "double", "0.0")),
        Sql::Year => Some(semantic(Form::Year, "int32", "io.debezium.time.Year", "0")),
        Sql::Geometry => Some(geometry()),
        Sql::Place => Some(Meaning { form: Form::Geometry { of_point: true }, ..point() }),
        Sql::FloatVector => items(&Sql::Float4, false, (config, connector))
            .map(|array| Meaning { tail: named("io.debezium.data.FloatVector", &[]), ..array }),
        Sql::Unknown => None,
    }
}

/// Connect's Decimal.
fn scaled(digits: u32, scale: u32) -> Meaning {
    let parameters = [("scale", &*scale.to_string()), ("connect.decimal.precision", &digits.to_string())];
    let tail = named("org.apache.kafka.connect.data.Decimal", &parameters);
    let form = Form::Decimal { scale: usize::try_from(scale).unwrap_or(0) };
    Meaning { tail, ..plain(form, "bytes", "\"AA==\"") }
}

fn geometry() -> Meaning {
    Meaning {
        form: Form::Geometry { of_point: false },
        head: "\"type\":\"struct\",\"fields\":[{\"type\":\"bytes\",\"optional\":false,\"field\":\"wkb\"},\
               {\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}]"
            .into(),
        tail: ",\"name\":\"io.debezium.data.geometry.Geometry\",\"version\":1,\"doc\":\"Geometry\"".into(),
        zero: "null".into(),
    }
}

fn numeric(limits: Option<(u32, u32)>, config: &Config) -> Meaning {
    let scale = limits.and_then(|(_, scale)| usize::try_from(scale).ok());
    match (config.decimal, limits) {
        (Decimal::Double, _) => plain(Form::DecimalDouble, "double", "0.0"),
        (Decimal::Text, _) => {
            let zeros = "0".repeat(scale.unwrap_or(0));
            let zero = if zeros.is_empty() { "\"0\"".to_owned() } else { format!("\"0.{zeros}\"") };
            plain(Form::DecimalString { scale }, "string", &zero)
        }
        (Decimal::Precise, None) => Meaning {
            form: Form::VariableDecimal,
            head:
                "\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"},\
                   {\"type\":\"bytes\",\"optional\":false,\"field\":\"value\"}]"
                    .into(),
            tail: ",\"name\":\"io.debezium.data.VariableScaleDecimal\",\"version\":1,\
                   \"doc\":\"Variable scaled decimal\""
                .into(),
            zero: "{\"scale\":0,\"value\":\"AA==\"}".into(),
        },
        (Decimal::Precise, Some((digits, scale))) => scaled(digits, scale),
    }
}

fn money(config: &Config) -> Meaning {
    let scale = usize::from(config.money_digits);
    let (form, kind, zero) = match config.decimal {
        Decimal::Double => (Form::DecimalDouble, "double", "0.0".to_owned()),
        Decimal::Text => (Form::DecimalString { scale: None }, "string", format!("\"{:.scale$}\"", 0.0)),
        Decimal::Precise => (Form::Decimal { scale }, "bytes", "\"AA==\"".to_owned()),
    };
    let tail = match config.decimal {
        Decimal::Precise => named("org.apache.kafka.connect.data.Decimal", &[("scale", &scale.to_string())]),
        Decimal::Double | Decimal::Text => String::new(),
    };
    Meaning { tail, ..plain(Form::Money(Box::new(form)), kind, &zero) }
}

fn bytes(config: &Config) -> Meaning {
    match config.binary {
        Binary::Bytes => plain(Form::Base64(Alphabet::Plain), "bytes", "\"\""),
        Binary::Base64 => plain(Form::Base64(Alphabet::Plain), "string", "\"\""),
        Binary::Base64UrlSafe => plain(Form::Base64(Alphabet::Url), "string", "\"\""),
        Binary::Hex => plain(Form::Hex, "string", "\"\""),
    }
}

fn hstore(config: &Config) -> Meaning {
    match config.hstore {
        Hstore::Json => semantic(Form::HstoreJson, "string", "io.debezium.data.Json", "\"{}\""),
        Hstore::Map => Meaning {
            form: Form::HstoreMap,
            head: "\"type\":\"map\",\"keys\":{\"type\":\"string\",\"optional\":false},\
                   \"values\":{\"type\":\"string\",\"optional\":true}"
                .into(),
            tail: String::new(),
            zero: "{}".into(),
        },
    }
}

fn point() -> Meaning {
    Meaning {
        form: Form::Point,
        head: "\"type\":\"struct\",\"fields\":[{\"type\":\"double\",\"optional\":false,\"field\":\"x\"},\
               {\"type\":\"double\",\"optional\":false,\"field\":\"y\"},\
               {\"type\":\"bytes\",\"optional\":true,\"field\":\"wkb\"},\
               {\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}]"
            .into(),
        tail: ",\"name\":\"io.debezium.data.geometry.Point\",\"version\":1,\"doc\":\"Geometry (POINT)\""
            .into(),
        zero: "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}".into(),
    }
}

fn array(element: &Sql, whose: (&Config, &Connector)) -> Option<Meaning> {
    if matches!(element, Sql::Bits(_)) {
        // Debezium describes these as if they were no arrays, and then has no value for them.
        return meaning(element, whose).map(|bits| Meaning { form: Form::Nothing, ..bits });
    }
    items(element, true, whose)
}

fn items(element: &Sql, optional: bool, whose: (&Config, &Connector)) -> Option<Meaning> {
    let Meaning { form, head, tail, zero: _ } = meaning(element, whose)?;
    Some(Meaning {
        form: Form::Array(Box::new(form)),
        head: format!("\"type\":\"array\",\"items\":{{{head},\"optional\":{optional}{tail}}}"),
        tail: String::new(),
        zero: "[]".into(),
    })
}

/// Dates and times without a zone.
fn temporal(sql: &Sql, precision: TimePrecision) -> Meaning {
    let short = |digits: &Option<u8>| digits.is_some_and(|digits| digits <= 3);
    match (sql, precision) {
        (Sql::Date, TimePrecision::IsoString) => {
            semantic(Form::Date(DateForm::Iso), "string", "io.debezium.time.IsoDate", "\"1970-01-01Z\"")
        }
        (Sql::Date, TimePrecision::Connect) => {
            semantic(Form::Date(DateForm::Days), "int32", "org.apache.kafka.connect.data.Date", "0")
        }
        (Sql::Date, _) => semantic(Form::Date(DateForm::Days), "int32", "io.debezium.time.Date", "0"),
        (Sql::Time { .. }, TimePrecision::IsoString) => {
            semantic(Form::Time(TimeForm::Iso), "string", "io.debezium.time.IsoTime", "\"00:00:00Z\"")
        }
        (Sql::Time { .. }, TimePrecision::Connect) => {
            semantic(Form::Time(TimeForm::Millis), "int32", "org.apache.kafka.connect.data.Time", "0")
        }
        (Sql::Time { .. }, TimePrecision::Nanoseconds) => {
            semantic(Form::Time(TimeForm::Nanos), "int64", "io.debezium.time.NanoTime", "0")
        }
        (Sql::Time { digits }, TimePrecision::Adaptive) if short(digits) => {
            semantic(Form::Time(TimeForm::Millis), "int32", "io.debezium.time.Time", "0")
        }
        (Sql::Time { .. }, _) => {
            semantic(Form::Time(TimeForm::Micros), "int64", "io.debezium.time.MicroTime", "0")
        }
        (_, TimePrecision::IsoString) => {
            let name = "io.debezium.time.IsoTimestamp";
            semantic(Form::Timestamp(TimeForm::Iso), "string", name, "\"1970-01-01T00:00:00Z\"")
        }
        (_, TimePrecision::Connect) => semantic(
            Form::Timestamp(TimeForm::Millis),
            "int64",
            "org.apache.kafka.connect.data.Timestamp",
            "0",
        ),
        (_, TimePrecision::Nanoseconds) => {
            semantic(Form::Timestamp(TimeForm::Nanos), "int64", "io.debezium.time.NanoTimestamp", "0")
        }
        (Sql::Timestamp { digits }, TimePrecision::Adaptive | TimePrecision::AdaptiveTimeMicroseconds)
            if short(digits) =>
        {
            semantic(Form::Timestamp(TimeForm::Millis), "int64", "io.debezium.time.Timestamp", "0")
        }
        (_, _) => {
            semantic(Form::Timestamp(TimeForm::Micros), "int64", "io.debezium.time.MicroTimestamp", "0")
        }
    }
}

/// What stands for a value that Postgres did not send because it is TOASTed and did not change; `None` where Debezium
/// has nothing for the type and writes what it writes for NULL.
fn unavailable(sql: &Sql, form: &Form, config: &Config) -> Option<Vec<u8>> {
    let placeholder = config.placeholder.as_slice();
    let mut out = Vec::new();
    match (sql, form) {
        (Sql::Numeric(_) | Sql::Money, _) if config.decimal != Decimal::Text => return None,
        (Sql::Bytes, Form::Base64(_)) if config.binary == Binary::Bytes => {
            text::base64(&mut out, Alphabet::Plain, placeholder.iter().copied());
        }
        (Sql::Bytes, Form::Base64(_)) => return None,
        (_, Form::String | Form::Hex | Form::DecimalString { .. }) => text::string(&mut out, placeholder),
        (_, Form::HstoreMap | Form::HstoreJson) => {
            let mut map = b"{".to_vec();
            text::string(&mut map, placeholder);
            map.push(b':');
            text::string(&mut map, placeholder);
            map.push(b'}');
            if *form == Form::HstoreMap { out = map } else { text::string(&mut out, &map) }
        }
        (Sql::Array(element), _) => return unavailable_array(element, placeholder, config),
        _ => return None,
    }
    Some(out)
}

/// The same in an array: once, or as the number of each of its bytes.
fn unavailable_array(element: &Sql, placeholder: &[u8], config: &Config) -> Option<Vec<u8>> {
    let mut out = vec![b'['];
    if matches!(element, Sql::Json | Sql::Text { default: true }) {
        text::string(&mut out, placeholder);
    } else if *element == Sql::Bytes && config.binary == Binary::Bytes {
        text::base64(&mut out, Alphabet::Plain, placeholder.iter().copied());
    } else if matches!(element, Sql::Int4 | Sql::Int8 | Sql::Date) {
        let numbers: Vec<String> = placeholder.iter().map(|&byte| byte.cast_signed().to_string()).collect();
        out.extend_from_slice(numbers.join(",").as_bytes());
    } else if *element == Sql::Uuid {
        text::string(&mut out, name_uuid(placeholder).as_bytes());
    } else {
        return None;
    }
    out.push(b']');
    Some(out)
}

/// `UUID.nameUUIDFromBytes`: version 3 without a namespace.
pub(crate) fn name_uuid(name: &[u8]) -> String {
    let mut digest: [u8; 16] = Md5::digest(name).into();
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut digest;
    *version = (*version & 0x0F) | 0x30;
    *variant = (*variant & 0x3F) | 0x80;
    dashed(digest)
}

/// `0d2f…`, with hyphens.
pub(crate) fn dashed(bytes: [u8; 16]) -> String {
    let mut uuid = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        uuid.push_str(&format!("{byte:02x}"));
    }
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_uuid_as_java_does() {
        assert_eq!(name_uuid(b"gone"), "50c1f58b-e7f5-347e-8f53-d64c094783c2");
        assert_eq!(name_uuid(b"__debezium_unavailable_value"), "b68a35a7-17ad-35b3-af2a-ae46edb4545a");
    }
}
