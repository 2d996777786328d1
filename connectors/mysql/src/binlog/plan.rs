//! How to read the row images of a table: compiled once per shape from what the log says of its columns and what only
//! the catalogue knows, so that nothing is looked up per row. `rows` walks by it, `value` writes by it.

use tailwater_core::{Result, Type};

use super::charset::Charset;
use super::columns::{Described, Stored};
use super::{decimal, temporal};
use crate::error::{malformed, old_fraction, undecided};

/// What the catalogue knows of a MariaDB column and the log does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hint {
    /// UUID, which the log gives as BINARY(16).
    Uuid,
    /// INET4, which the log gives as BINARY(4).
    Inet4,
    /// INET6, which the log gives as BINARY(16).
    Inet6,
    /// JSON, which is LONGTEXT with a check.
    Json,
    /// VECTOR, which MariaDB's log gives as VARBINARY.
    Vector,
    /// TIME, DATETIME or TIMESTAMP with digits of a second's fraction. The log says so itself, unless the column has
    /// MariaDB's own layout (`mysql56_temporal_format=OFF`), which cannot be told from that without a fraction.
    Fraction,
    /// The log says it all.
    #[default]
    None,
}

/// The columns of a table, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the row images.
    pub columns: Vec<Planned>,
}

/// A column, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name, or its number from 1 where the log does not name it.
    pub name: String,
    /// What its text is.
    pub kind: Type,
    /// Where its bytes end.
    pub(super) frame: Frame,
    /// How they become text.
    pub(super) form: Form,
}

/// How many bytes a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// Always as many.
    Fixed(usize),
    /// As many as a little-endian number of so many bytes before them says.
    Prefixed(usize),
}

/// How bytes become text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Signed,
    Unsigned,
    Float4,
    Float8,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Date,
    OldTime,
    OldDatetime,
    OldTimestamp,
    Time {
        digits: u8,
    },
    Datetime {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Text(Charset),
    /// Cut-off zeros are put back up to so many bytes.
    Bytes {
        padded_to: usize,
    },
    CompressedText(Charset),
    CompressedBytes,
    Enum(Vec<String>),
    Set(Vec<String>),
    Bit {
        bits: u8,
    },
    Json,
    Vector,
    Uuid,
    Inet4,
    Inet6,
}

impl Plan {
    /// Compiles what the log says; `hints` are those of the catalogue, in the same order, and may be fewer.
    ///
    /// # Errors
    /// `Operator` where the log does not say enough, `Data` where it says what is not known here. Both name the column.
    pub fn new(described: &[Described], hints: &[Hint]) -> Result<Self> {
        let hints = hints.iter().copied().chain(std::iter::repeat(Hint::None));
        let planned = described.iter().zip(hints).enumerate().map(|(index, (column, hint))| {
            let name = column.name.clone().unwrap_or_else(|| (index + 1).to_string());
            let (frame, form, kind) =
                compile(column, hint).map_err(|error| error.doing(format!("plan column {name}")))?;
            Ok(Planned { name, kind, frame, form })
        });
        Ok(Self { columns: planned.collect::<Result<_>>()? })
    }
}

type Compiled = (Frame, Form, Type);

fn compile(column: &Described, hint: Hint) -> Result<Compiled> {
    use Frame::Fixed;
    Ok(match column.stored {
        Stored::OldTime | Stored::OldDatetime | Stored::OldTimestamp if hint == Hint::Fraction => {
            return Err(old_fraction());
        }
        Stored::Tiny => integer(column, 1, Type::Int2, Type::Int2)?,
        Stored::Short => integer(column, 2, Type::Int2, Type::Int4)?,
        Stored::Int24 => integer(column, 3, Type::Int4, Type::Int4)?,
        Stored::Long => integer(column, 4, Type::Int4, Type::UInt4)?,
        Stored::LongLong => integer(column, 8, Type::Int8, Type::UInt8)?,
        Stored::Float => (Fixed(4), Form::Float4, Type::Float4),
        Stored::Double => (Fixed(8), Form::Float8, Type::Float8),
        Stored::NewDecimal { precision, scale } => match decimal::bytes(precision, scale) {
            Some(bytes @ 1..) => {
                let limits = Some((u16::from(precision), i16::from(scale)));
                (Fixed(bytes), Form::Decimal { precision, scale }, Type::Numeric { limits })
            }
            _ => return Err(malformed(format!("a DECIMAL({precision},{scale})"))),
        },
        Stored::Year => (Fixed(1), Form::Year, Type::Int2),
        Stored::Date => (Fixed(3), Form::Date, Type::Date),
        Stored::OldTime => (Fixed(3), Form::OldTime, Type::Time),
        Stored::OldDatetime => (Fixed(8), Form::OldDatetime, Type::Timestamp),
        Stored::OldTimestamp => (Fixed(4), Form::OldTimestamp, Type::TimestampTz),
        Stored::Time { digits } => (fraction(3, digits)?, Form::Time { digits }, Type::Time),
        Stored::Datetime { digits } => (fraction(5, digits)?, Form::Datetime { digits }, Type::Timestamp),
        Stored::Timestamp { digits } => (fraction(4, digits)?, Form::Timestamp { digits }, Type::TimestampTz),
        Stored::Enum { bytes: bytes @ 1..=2 } => {
            (Fixed(bytes.into()), Form::Enum(labels(column)?), Type::Text)
        }
        Stored::Set { bytes: bytes @ 1..=8 } => (Fixed(bytes.into()), Form::Set(labels(column)?), Type::Text),
        Stored::Enum { bytes } | Stored::Set { bytes } => {
            return Err(malformed(format!("an ENUM or SET of {bytes} bytes")));
        }
        Stored::Bit { bits: bits @ 1..=64 } => {
            (Fixed(usize::from(bits).div_ceil(8)), Form::Bit { bits }, Type::Other)
        }
        Stored::Bit { bits } => return Err(malformed(format!("a BIT({bits})"))),
        Stored::Char { bytes_max } => {
            prefixed(length_of(bytes_max), char_or_binary(column, hint, bytes_max)?)?
        }
        Stored::Varchar { bytes_max } => prefixed(length_of(bytes_max), text_or_bytes(column, hint)?)?,
        Stored::Blob { length_bytes } => prefixed(length_bytes, text_or_bytes(column, hint)?)?,
        Stored::CompressedVarchar { bytes_max } => prefixed(length_of(bytes_max), compressed(column, hint)?)?,
        Stored::CompressedBlob { length_bytes } => prefixed(length_bytes, compressed(column, hint)?)?,
        Stored::Json { length_bytes } => prefixed(length_bytes, (Form::Json, Type::Json))?,
        Stored::Geometry { length_bytes } => {
            prefixed(length_bytes, (Form::Bytes { padded_to: 0 }, Type::Bytes))?
        }
        Stored::Vector { length_bytes } => {
            prefixed(length_bytes, (Form::Vector, Type::Array(Box::new(Type::Float4))))?
        }
    })
}

fn integer(column: &Described, bytes: usize, signed: Type, unsigned: Type) -> Result<Compiled> {
    Ok(match column.unsigned {
        Some(false) => (Frame::Fixed(bytes), Form::Signed, signed),
        Some(true) => (Frame::Fixed(bytes), Form::Unsigned, unsigned),
        None => return Err(undecided("whether it is unsigned")),
    })
}

/// Of a time that has so many bytes without its fraction.
fn fraction(bytes: usize, digits: u8) -> Result<Frame> {
    match digits {
        0..=6 => Ok(Frame::Fixed(bytes + temporal::fraction_bytes(digits))),
        _ => Err(malformed(format!("a time with {digits} digits of a second's fraction"))),
    }
}

fn prefixed(length_bytes: u8, (form, kind): (Form, Type)) -> Result<Compiled> {
    match length_bytes {
        1..=4 => Ok((Frame::Prefixed(length_bytes.into()), form, kind)),
        _ => Err(malformed(format!("a length of {length_bytes} bytes"))),
    }
}

fn char_or_binary(column: &Described, hint: Hint, bytes_max: u16) -> Result<(Form, Type)> {
    Ok(match (hint, bytes_max) {
        (Hint::Uuid, 16) => (Form::Uuid, Type::Uuid),
        (Hint::Inet6, 16) => (Form::Inet6, Type::Other),
        (Hint::Inet4, 4) => (Form::Inet4, Type::Other),
        _ => match charset(column)? {
            Some(charset) => (Form::Text(charset), Type::Text),
            None => (Form::Bytes { padded_to: bytes_max.into() }, Type::Bytes),
        },
    })
}

fn text_or_bytes(column: &Described, hint: Hint) -> Result<(Form, Type)> {
    Ok(match charset(column)? {
        Some(charset) => (Form::Text(charset), text_type(hint)),
        None if hint == Hint::Vector => (Form::Vector, Type::Array(Box::new(Type::Float4))),
        None => (Form::Bytes { padded_to: 0 }, Type::Bytes),
    })
}

fn compressed(column: &Described, hint: Hint) -> Result<(Form, Type)> {
    Ok(match charset(column)? {
        Some(charset) => (Form::CompressedText(charset), text_type(hint)),
        None => (Form::CompressedBytes, Type::Bytes),
    })
}

fn text_type(hint: Hint) -> Type {
    if hint == Hint::Json { Type::Json } else { Type::Text }
}

fn length_of(bytes_max: u16) -> u8 {
    if bytes_max > 255 { 2 } else { 1 }
}

/// `None` for bytes.
fn charset(column: &Described) -> Result<Option<Charset>> {
    match column.collation {
        Some(63) => Ok(None),
        Some(collation) => Charset::of(collation).map(Some),
        None => Err(undecided("its character set")),
    }
}

fn labels(column: &Described) -> Result<Vec<String>> {
    if column.labels.is_empty() { Err(undecided("its labels")) } else { Ok(column.labels.clone()) }
}

#[cfg(test)]
pub(super) mod tests {
    use tailwater_core::Error;

    use super::*;

    /// A column of which the log says no more than how it is stored.
    pub(in crate::binlog) fn column(stored: Stored) -> Described {
        Described {
            stored,
            nullable: true,
            name: Some("c".into()),
            unsigned: None,
            collation: None,
            labels: Vec::new(),
            key: None,
            visible: true,
            geometry: None,
            dimensions: None,
        }
    }

    fn error(column: Described) -> Error {
        Plan::new(&[column], &[]).unwrap_err()
    }

    #[test]
    fn says_what_the_log_does_not_say() {
        for (stored, what) in [
            (Stored::Long, "whether it is unsigned"),
            (Stored::Varchar { bytes_max: 9 }, "its character set"),
            (Stored::Enum { bytes: 1 }, "its labels"),
        ] {
            let error = error(column(stored));
            let expected = format!("plan column c: the binary log does not say {what}");
            assert_eq!(error.message(), expected);
            assert_eq!(error.remedy_text(), Some("SET GLOBAL binlog_row_metadata=FULL"));
        }
    }

    #[test]
    fn refuses_what_no_server_writes() {
        for stored in [
            Stored::NewDecimal { precision: 2, scale: 3 },
            Stored::NewDecimal { precision: 0, scale: 0 },
            Stored::Bit { bits: 65 },
            Stored::Set { bytes: 9 },
            Stored::Enum { bytes: 0 },
            Stored::Time { digits: 7 },
            Stored::Json { length_bytes: 5 },
        ] {
            assert_eq!(error(column(stored)).code(), "TW-MY-040", "{stored:?}");
        }
        let strange = Described { collation: Some(9999), ..column(Stored::Blob { length_bytes: 1 }) };
        assert_eq!(error(strange).message(), "plan column c: collation 9999 is not known here");
    }

    #[test]
    fn refuses_layouts_that_the_log_does_not_tell_apart() {
        for stored in [Stored::OldTime, Stored::OldDatetime, Stored::OldTimestamp] {
            assert!(Plan::new(&[column(stored)], &[Hint::None]).is_ok());
            assert_eq!(Plan::new(&[column(stored)], &[Hint::Fraction]).unwrap_err().code(), "TW-MY-033");
        }
        assert!(Plan::new(&[column(Stored::Time { digits: 3 })], &[Hint::Fraction]).is_ok());
    }

    #[test]
    fn takes_hints_only_where_they_fit() {
        let binary = |bytes_max| Described { collation: Some(63), ..column(Stored::Char { bytes_max }) };
        let kinds = |hint| -> Vec<Type> {
            let plan = Plan::new(&[binary(16), binary(4)], &[hint, hint]).unwrap();
            plan.columns.into_iter().map(|column| column.kind).collect()
        };
        assert_eq!(kinds(Hint::Uuid), [Type::Uuid, Type::Bytes]);
        assert_eq!(kinds(Hint::Inet4), [Type::Bytes, Type::Other]);
        assert_eq!(kinds(Hint::Inet6), [Type::Other, Type::Bytes]);
        assert_eq!(kinds(Hint::None), [Type::Bytes, Type::Bytes]);
    }
}
