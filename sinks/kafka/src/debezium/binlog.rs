//! What is MySQL's and MariaDB's own: their spellings of types, their defaults, and values that Postgres does not have.
//! Everything else they share with Postgres.

use super::config::Config;
use super::number::{self, Scratch, Width};
use super::source::Dialect;
use super::sql::{Sql, limits, split};
use super::text::{self, Alphabet};
use super::value::Form;

/// What a type is, by its spelling.
pub(crate) fn parse(spelled: &str, dialect: Dialect) -> Sql {
    let (name, arguments) = split(spelled);
    let unsigned = name.contains(" unsigned") || name.contains(" zerofill");
    let word = name.split(' ').next().unwrap_or_default();
    let digits = || Some(arguments.parse::<u8>().unwrap_or(0));
    match word {
        "tinyint" | "smallint" if !unsigned || word == "tinyint" => Sql::Int2,
        "smallint" | "mediumint" => Sql::Int4,
        "int" => {
            if unsigned {
                Sql::Int8
            } else {
                Sql::Int4
            }
        }
        "bigint" => {
            if unsigned {
                Sql::UInt8
            } else {
                Sql::Int8
            }
        }
        "year" => Sql::Year,
        "float" => {
            if arguments.contains(',') {
                Sql::WideFloat
            } else {
                Sql::Float4
            }
        }
        "double" => Sql::Float8,
        "decimal" => Sql::Numeric(limits(arguments)),
        "bit" => Sql::Bits(arguments.parse().unwrap_or(1)),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Sql::Text { default: true },
        "inet4" | "inet6" => Sql::Text { default: true },
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Sql::Bytes,
        "enum" => Sql::Enum,
        "set" => Sql::Set,
        // MariaDB's is a text that is checked.
        "json" => match dialect {
            Dialect::MariaDb => Sql::Text { default: true },
            Dialect::MySql | Dialect::Postgres => Sql::Json,
        },
        "uuid" => Sql::Uuid,
        "date" => Sql::Date,
        "time" => Sql::Time { digits: digits() },
        "datetime" => Sql::Timestamp { digits: digits() },
        "timestamp" => Sql::TimestampTz { digits: digits() },
        "point" => Sql::Place,
        "geometry" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" => {
            Sql::Geometry
        }
        "geometrycollection" | "geomcollection" => Sql::Geometry,
        "vector" => Sql::FloatVector,
        _ => Sql::Unknown,
    }
}

/// The form of a type's values, where it is another one than Postgres' of the same name.
pub(crate) fn form(sql: &Sql, form: Form, config: &Config, dialect: Dialect) -> Form {
    match (sql, form) {
        (Sql::Date | Sql::Timestamp { .. } | Sql::TimestampTz { .. }, form) => {
            Form::Civil { form: Box::new(form), adjust: config.adjust_years }
        }
        (Sql::Time { .. }, Form::Time(form)) => Form::Duration(form),
        (Sql::Json, _) if dialect == Dialect::MySql => Form::CompactJson,
        (_, form) => form,
    }
}

/// The default of a column as JSON; `None` where there is none that Debezium tells. `zero` is what stands for a date that
/// is none where NULL is not allowed.
pub(crate) fn default(
    expression: &str,
    (sql, form, dialect): (&Sql, &Form, Dialect),
    zero: Option<&str>,
    scratch: &mut Scratch,
) -> Option<Vec<u8>> {
    let literal = Literal::of(expression, sql)?;
    let mut out = Vec::new();
    let text = match (sql, literal) {
        // A default that is now is told as 1970; and 1970 is told as none, in a `timestamp` that may be NULL.
        (Sql::Timestamp { .. }, Literal::Now) => "1970-01-01 00:00:00".to_owned(),
        (Sql::TimestampTz { .. }, Literal::Now) => return zero.map(|zero| zero.as_bytes().to_vec()),
        (_, Literal::Now) => return None,
        (Sql::TimestampTz { .. }, Literal::Text(text)) => format!("{text}+00"),
        (Sql::Year, Literal::Text(text)) => century(text.parse().ok()?).to_string(),
        (Sql::Bits(1), Literal::Text(text)) => {
            text.trim_start_matches('0').chars().next().unwrap_or('0').to_string()
        }
        (Sql::Bits(length), Literal::Text(text)) => {
            format!("{text:0>length$}", length = usize::try_from(*length).ok()?)
        }
        (Sql::Int2 | Sql::Int4 | Sql::Int8, Literal::Text(text)) => text.parse::<i64>().ok()?.to_string(),
        // Debezium takes the largest there is for what is larger.
        (Sql::UInt8, Literal::Text(text)) if *form == Form::Signed => {
            text.parse::<u64>().ok()?.min(i64::MAX.unsigned_abs()).to_string()
        }
        (Sql::UInt8, Literal::Text(text)) => text.parse::<u64>().ok()?.to_string(),
        (Sql::Bytes, _) if dialect == Dialect::MariaDb => return None,
        (Sql::Bytes, Literal::Text(text)) => hexadecimal(text.bytes()),
        (Sql::Json | Sql::Geometry | Sql::Place | Sql::FloatVector, _) => return None,
        (_, Literal::Text(text)) => text,
        (Sql::Bytes, Literal::Hex(digits)) => format!("\\x{}", digits.to_ascii_lowercase()),
        (_, Literal::Hex(_)) => return None,
    };
    if form.write(&mut out, text.as_bytes(), scratch) {
        return Some(out);
    }
    let dated = matches!(sql, Sql::Date | Sql::Timestamp { .. } | Sql::TimestampTz { .. });
    zero.filter(|_| dated).map(|zero| zero.as_bytes().to_vec())
}

/// The default of a column as text, as records of statements have it; `None` likewise.
pub(crate) fn default_text(expression: &str, sql: &Sql, dialect: Dialect) -> Option<String> {
    match (sql, Literal::of(expression, sql)?) {
        (Sql::Timestamp { .. } | Sql::TimestampTz { .. }, Literal::Now) => {
            Some("1970-01-01 00:00:00".to_owned())
        }
        (_, Literal::Now) => None,
        (Sql::Bytes, _) if dialect == Dialect::MariaDb => None,
        (Sql::Json | Sql::Geometry | Sql::Place | Sql::FloatVector, _) => None,
        (_, Literal::Text(text)) => Some(text),
        (Sql::Bytes, Literal::Hex(digits)) => String::from_utf8(
            text::bytea(format!("\\x{}", digits.to_ascii_lowercase()).as_bytes())?.collect(),
        )
        .ok(),
        (_, Literal::Hex(_)) => None,
    }
}

/// A default, as far as it can be told without computing it.
enum Literal {
    Text(String),
    /// Hexadecimal digits.
    Hex(String),
    /// `CURRENT_TIMESTAMP`, `current_timestamp(3)`
    Now,
}

impl Literal {
    /// Of an expression: `'it''s'`, `b'0101'`, `0x6162`, `-1.5`, `2026-11-21`. Text must be quoted, because what is not
    /// may be computed.
    fn of(expression: &str, sql: &Sql) -> Option<Self> {
        let lower = expression.to_ascii_lowercase();
        if lower.starts_with("current_timestamp") || lower.starts_with("now(") {
            return Some(Self::Now);
        }
        if let Some(bits) = lower.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\'')) {
            return Some(Self::Text(bits.to_owned()));
        }
        if let Some(digits) = lower.strip_prefix("0x") {
            return Some(Self::Hex(digits.to_owned()));
        }
        if let Some(quoted) = expression.strip_prefix('\'') {
            return unquoted(quoted).map(Self::Text);
        }
        let computed = lower == "null" || lower.contains('(');
        let text =
            matches!(sql, Sql::Text { .. } | Sql::Enum | Sql::Set | Sql::Bytes | Sql::Uuid | Sql::Json);
        (!computed && !text).then(|| Self::Text(expression.to_owned()))
    }
}

/// The text up to the closing quote, which must end it.
fn unquoted(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = quoted.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' if characters.peek() == Some(&'\'') => text.extend(characters.next()),
            '\'' => return characters.next().is_none().then_some(text),
            '\\' => text.push(match characters.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                other => other,
            }),
            other => text.push(other),
        }
    }
    None
}

fn hexadecimal(bytes: impl Iterator<Item = u8>) -> String {
    bytes.fold("\\x".to_owned(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// Years of two digits are of the last century from 70 on.
fn century(year: u16) -> u16 {
    match year {
        0..70 => 2000 + year,
        70..100 => 1900 + year,
        year => year,
    }
}

/// A date, alone or before a time: none where the year, the month or the day is zero. Years below 100 lack their century,
/// where that is asked for.
pub(crate) fn civil(
    out: &mut Vec<u8>,
    form: &Form,
    adjust: bool,
    text: &[u8],
    scratch: &mut Scratch,
) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = text else { return false };
    let zero = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
    if zero(&[*y1, *y2, *y3, *y4]) || zero(&[*m1, *m2]) || zero(&[*d1, *d2]) {
        return false;
    }
    if !adjust || (*y1, *y2) != (b'0', b'0') {
        return form.write(out, text, scratch);
    }
    let first: &[u8] = if *y3 < b'7' { b"20" } else { b"19" };
    let mut whole = std::mem::take(&mut scratch.element);
    whole.clear();
    whole.extend_from_slice(first);
    whole.extend_from_slice(&[*y3, *y4, b'-', *m1, *m2, b'-', *d1, *d2]);
    whole.extend_from_slice(rest);
    let written = form.write(out, &whole, scratch);
    scratch.element = whole;
    written
}

/// A number of 64 bits without a sign as one with a sign.
pub(crate) fn signed(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let Some(number) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()) else {
        return false;
    };
    out.extend_from_slice(itoa::Buffer::new().format(number.cast_signed()).as_bytes());
    true
}

/// A number of 32 bits with all the digits it has in 64.
pub(crate) fn wide(out: &mut Vec<u8>, text: &[u8], scratch: &mut Scratch) -> bool {
    let Some(number) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f32>().ok()) else {
        return number::float(out, Width::Double, text, scratch);
    };
    number::double(out, f64::from(number), scratch);
    true
}

/// A year. That of 0000 is 1900, because Debezium's log reader counts from there.
pub(crate) fn year(out: &mut Vec<u8>, text: &[u8]) {
    let zero = text.iter().all(|digit| *digit == b'0');
    out.extend_from_slice(if zero { b"1900" } else { text });
}

/// JSON without the blanks that the server puts between its parts.
pub(crate) fn compact_json(out: &mut Vec<u8>, json: &[u8], scratch: &mut Scratch) {
    let mut compact = std::mem::take(&mut scratch.text);
    compact.clear();
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b' ' {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    text::string(out, &compact);
    scratch.text = compact;
}

/// `{"wkb":"…","srid":N}` of the system's number and well-known binary; of a point its place first.
pub(crate) fn geometry(out: &mut Vec<u8>, text: &[u8], of_point: bool, scratch: &mut Scratch) -> bool {
    let Some(bytes) = text::bytea(text) else { return false };
    let mut value = std::mem::take(&mut scratch.element);
    value.clear();
    value.extend(bytes);
    let written = geometry_of(out, &value, of_point, scratch);
    scratch.element = value;
    written
}

fn geometry_of(out: &mut Vec<u8>, value: &[u8], of_point: bool, scratch: &mut Scratch) -> bool {
    let Some((srid, wkb)) = value.split_first_chunk::<4>() else { return false };
    out.push(b'{');
    if of_point {
        // The order of bytes, the kind, and two numbers.
        let Some((x, y)) = wkb.get(5..).and_then(|place| {
            let (x, rest) = place.split_first_chunk::<8>()?;
            Some((f64::from_le_bytes(*x), f64::from_le_bytes(*rest.first_chunk::<8>()?)))
        }) else {
            return false;
        };
        out.extend_from_slice(b"\"x\":");
        number::double(out, x, scratch);
        out.extend_from_slice(b",\"y\":");
        number::double(out, y, scratch);
        out.push(b',');
    }
    out.extend_from_slice(b"\"wkb\":");
    text::base64(out, Alphabet::Plain, wkb.iter().copied());
    out.extend_from_slice(b",\"srid\":");
    match u32::from_le_bytes(*srid) {
        0 => out.extend_from_slice(b"null"),
        srid => out.extend_from_slice(itoa::Buffer::new().format(srid).as_bytes()),
    }
    out.push(b'}');
    true
}
