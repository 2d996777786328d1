//! How the text of one value becomes JSON. Chosen once per column by `column`, used for every row.

use tailwater_core::array::{Array, Token};

use super::binlog;
use super::number::{self, Scratch, Width};
use super::text::{self, Alphabet, Pairs};
use super::time::{self, DateForm, IntervalParts, TimeForm};

/// A form of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// Digits that are JSON already.
    Integer,
    Bool,
    Float(Width),
    Decimal {
        scale: usize,
    },
    VariableDecimal,
    DecimalString {
        scale: Option<usize>,
    },
    DecimalDouble,
    /// Money, in any form of decimals.
    Money(Box<Form>),
    /// One bit.
    Bit,
    /// Bits; all of them, or from the highest that is set.
    Bits {
        all: bool,
    },
    String,
    Base64(Alphabet),
    Hex,
    Date(DateForm),
    Time(TimeForm),
    TimeTz,
    Timestamp(TimeForm),
    TimestampTz {
        digits: u8,
    },
    IntervalMicros,
    IntervalIso,
    HstoreJson,
    HstoreMap,
    Point,
    /// Numbers with blanks between them.
    Vector,
    Array(Box<Form>),
    /// A date that may be none: `0000-00-00`.
    Civil {
        form: Box<Form>,
        adjust: bool,
    },
    /// Hours beyond a day, and before it.
    Duration(TimeForm),
    /// 64 bits without a sign, as if with one.
    Signed,
    WideFloat,
    Year,
    CompactJson,
    Geometry {
        of_point: bool,
    },
    /// In the schema, but without a value.
    Nothing,
}

impl Form {
    /// Appends the value; false where it has none in this form, and then anything may have been appended.
    pub(crate) fn write(&self, out: &mut Vec<u8>, text: &[u8], scratch: &mut Scratch) -> bool {
        match self {
            Self::Integer => out.extend_from_slice(text),
            Self::Bool => match text {
                b"t" | b"true" => out.extend_from_slice(b"true"),
                b"f" | b"false" => out.extend_from_slice(b"false"),
                _ => return false,
            },
            Self::Float(width) => return number::float(out, *width, text, scratch),
            Self::Decimal { scale } => return number::decimal(out, text, *scale, scratch),
            Self::VariableDecimal => return number::variable_decimal(out, text, scratch),
            Self::DecimalString { scale } => return number::decimal_string(out, text, *scale),
            Self::DecimalDouble => return number::decimal_double(out, text, scratch),
            Self::Money(form) => return money(out, form, text, scratch),
            Self::Bit => match text {
                b"0" => out.extend_from_slice(b"false"),
                b"1" => out.extend_from_slice(b"true"),
                _ => return false,
            },
            Self::Bits { all } => return text::bits(out, text, *all),
            Self::String => text::string(out, text),
            Self::Base64(alphabet) => match text::bytea(text) {
                Some(bytes) => text::base64(out, *alphabet, bytes),
                None => return false,
            },
            Self::Hex => text::string(out, text.strip_prefix(b"\\x").unwrap_or(text)),
            Self::Date(form) => return time::date(out, *form, text),
            Self::Time(form) => return time::time(out, *form, text),
            Self::TimeTz => return time::time_tz(out, text),
            Self::Timestamp(form) => return time::timestamp(out, *form, text),
            Self::TimestampTz { digits } => return time::timestamp_tz(out, *digits, text),
            Self::IntervalMicros | Self::IntervalIso => return self.interval(out, text),
            Self::HstoreJson => hstore_json(out, text, scratch),
            Self::HstoreMap => hstore_map(out, text, text::string, &mut scratch.element),
            Self::Point => return point(out, text, scratch),
            Self::Vector => vector(out, text),
            Self::Array(form) => return array(out, form, text, scratch),
            Self::Civil { form, adjust } => return binlog::civil(out, form, *adjust, text, scratch),
            Self::Duration(form) => return time::duration(out, *form, text),
            Self::Signed => return binlog::signed(out, text),
            Self::WideFloat => return binlog::wide(out, text, scratch),
            Self::Year => binlog::year(out, text),
            Self::CompactJson => binlog::compact_json(out, text, scratch),
            Self::Geometry { of_point } => return binlog::geometry(out, text, *of_point, scratch),
            Self::Nothing => return false,
        }
        true
    }

    fn interval(&self, out: &mut Vec<u8>, text: &[u8]) -> bool {
        let Some(parts) = IntervalParts::parse(text) else { return false };
        if *self == Self::IntervalIso {
            out.push(b'"');
            parts.iso(out);
            out.push(b'"');
        } else {
            out.extend_from_slice(itoa::Buffer::new().format(parts.micros()).as_bytes());
        }
        true
    }
}

fn money(out: &mut Vec<u8>, form: &Form, text: &[u8], scratch: &mut Scratch) -> bool {
    number::money_text(text, scratch);
    let text = std::mem::take(&mut scratch.text);
    let written = form.write(out, &text, scratch);
    scratch.text = text;
    written
}

/// `{"a":"1","b":null}`, in Postgres' order of keys; `element` is a buffer.
fn hstore_map(out: &mut Vec<u8>, text: &[u8], write: fn(&mut Vec<u8>, &[u8]), element: &mut Vec<u8>) {
    let mut string = |out: &mut Vec<u8>, escaped: &[u8]| {
        element.clear();
        text::unescape(element, escaped);
        write(out, element);
    };
    out.push(b'{');
    for (index, (key, value)) in Pairs(text).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, key);
        out.push(b':');
        match value {
            Some(value) => string(out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}

/// The same inside a string.
fn hstore_json(out: &mut Vec<u8>, text: &[u8], scratch: &mut Scratch) {
    let mut json = std::mem::take(&mut scratch.text);
    json.clear();
    hstore_map(&mut json, text, text::string_in_text, &mut scratch.element);
    text::string(out, &json);
    scratch.text = json;
}

/// `(1.5,-2)`, with the same once more as well-known binary.
fn point(out: &mut Vec<u8>, text: &[u8], scratch: &mut Scratch) -> bool {
    let parse = || {
        let (x, y) = std::str::from_utf8(text).ok()?.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
        Some((x.parse::<f64>().ok()?, y.parse::<f64>().ok()?))
    };
    let Some((x, y)) = parse() else { return false };
    out.extend_from_slice(b"{\"x\":");
    number::double(out, x, scratch);
    out.extend_from_slice(b",\"y\":");
    number::double(out, y, scratch);
    out.extend_from_slice(b",\"wkb\":");
    // Little-endian, kind 1.
    let head = [1_u8, 1, 0, 0, 0];
    text::base64(out, Alphabet::Plain, head.into_iter().chain(x.to_le_bytes()).chain(y.to_le_bytes()));
    out.extend_from_slice(b",\"srid\":null}");
    true
}

fn vector(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'[');
    out.extend(text.iter().map(|&byte| if byte == b' ' { b',' } else { byte }));
    out.push(b']');
}

/// Arrays of one dimension; Connect's schema has no room for more, and Debezium gives null.
fn array(out: &mut Vec<u8>, form: &Form, text: &[u8], scratch: &mut Scratch) -> bool {
    let Ok(array) = Array::parse(text) else { return false };
    let mut opened = false;
    for token in array.tokens() {
        let Ok(token) = token else { return false };
        if opened && token != Token::Close && out.last() != Some(&b'[') {
            out.push(b',');
        }
        match token {
            Token::Open if opened => return false,
            Token::Open => {
                out.push(b'[');
                opened = true;
            }
            Token::Close => out.push(b']'),
            Token::Null => out.extend_from_slice(b"null"),
            Token::Element(element) => {
                let start = out.len();
                let written = match element.as_plain() {
                    Some(plain) => form.write(out, plain, scratch),
                    None => {
                        let mut whole = std::mem::take(&mut scratch.array);
                        whole.clear();
                        element.pieces().for_each(|piece| whole.extend_from_slice(piece));
                        let written = form.write(out, &whole, scratch);
                        scratch.array = whole;
                        written
                    }
                };
                if !written {
                    out.truncate(start);
                    out.extend_from_slice(b"null");
                }
            }
        }
    }
    true
}
