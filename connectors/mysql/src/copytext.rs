//! Values as `SELECT` prints them, and as the log's values are written: the same text for the same value. Pure; the first
//! copy asks for [`Printed::expression`] and writes what comes.

use tailwater_core::Result;

use crate::binlog::columns::{Described, Stored};
use crate::binlog::plan::Hint;
use crate::binlog::value::{write_bits, write_bytes, write_float4, write_float8, write_vector};
use crate::error;

/// The number of the collation of bytes.
const BINARY: u16 = 63;

/// What has to be done to what the server prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Printed {
    /// A whole number, without the zeros of ZEROFILL: the log does not have them.
    Integer,
    /// Likewise.
    Decimal,
    /// Nothing.
    Same,
    /// `0000` is a number too.
    Year,
    /// Six digits would be printed, which are not all.
    Float,
    /// The spelling of exponents is another one.
    Double,
    /// They come as they are.
    Bytes,
    /// So many bits, in bytes.
    Bits(u8),
    /// The sessions' time zone is UTC.
    Zoned,
    /// Floats, in bytes.
    Vector,
}

impl Printed {
    /// As what a column is printed.
    pub(crate) fn of(column: &Described, hint: Hint) -> Self {
        match column.stored {
            Stored::Tiny | Stored::Short | Stored::Int24 | Stored::Long | Stored::LongLong => Self::Integer,
            Stored::NewDecimal { .. } => Self::Decimal,
            Stored::Year => Self::Year,
            Stored::Float => Self::Float,
            Stored::Double => Self::Double,
            Stored::Bit { bits } => Self::Bits(bits),
            Stored::Timestamp { .. } | Stored::OldTimestamp => Self::Zoned,
            Stored::Geometry { .. } => Self::Bytes,
            Stored::Vector { .. } => Self::Vector,
            Stored::Varchar { .. }
            | Stored::Char { .. }
            | Stored::Blob { .. }
            | Stored::CompressedBlob { .. }
            | Stored::CompressedVarchar { .. }
                if hint == Hint::None && column.collation == Some(BINARY) =>
            {
                Self::Bytes
            }
            Stored::Varchar { .. }
            | Stored::Char { .. }
            | Stored::Blob { .. }
            | Stored::CompressedBlob { .. }
            | Stored::CompressedVarchar { .. }
            | Stored::Date
            | Stored::OldTime
            | Stored::OldDatetime
            | Stored::Time { .. }
            | Stored::Datetime { .. }
            | Stored::Enum { .. }
            | Stored::Set { .. }
            | Stored::Json { .. } => Self::Same,
        }
    }

    /// What to select.
    pub(crate) fn expression(self, column: &str) -> String {
        match self {
            // As a double it is printed with all the digits it has. Times one keeps the sign of zero, plus zero does not.
            Self::Float => format!("{column} * 1e0"),
            Self::Integer
            | Self::Decimal
            | Self::Same
            | Self::Year
            | Self::Double
            | Self::Bytes
            | Self::Bits(_) => column.to_owned(),
            Self::Zoned | Self::Vector => column.to_owned(),
        }
    }

    /// Appends the value that was printed.
    ///
    /// # Errors
    /// `Transient` for what no server prints.
    #[inline]
    pub(crate) fn write(self, printed: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Integer | Self::Decimal => out.extend_from_slice(without_filling(printed)),
            Self::Same => out.extend_from_slice(printed),
            Self::Year => match printed {
                b"0000" => out.push(b'0'),
                year => out.extend_from_slice(year),
            },
            #[allow(
                clippy::cast_possible_truncation,
                reason = "it was one before the server made a double of it"
            )]
            Self::Float => write_float4(number(printed)? as f32, out)?,
            Self::Double => write_float8(number(printed)?, out)?,
            Self::Bytes => write_bytes(printed, 0, out),
            Self::Bits(bits) => write_bits(printed, bits, out)?,
            Self::Zoned => {
                out.extend_from_slice(printed);
                out.extend_from_slice(b"+00");
            }
            Self::Vector => write_vector(printed, out)?,
        }
        Ok(())
    }
}

/// The number without zeros before its first digit, of which one stays before the point.
fn without_filling(mut printed: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = printed
        && rest.first().is_some_and(u8::is_ascii_digit)
    {
        printed = rest;
    }
    printed
}

fn number(printed: &[u8]) -> Result<f64> {
    let text = std::str::from_utf8(printed).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| error::protocol("a float that is none"))
}
