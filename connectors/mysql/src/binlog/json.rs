//! MySQL's binary JSON as text, exactly as the server prints it: its spacing, its numbers, keys in the order in which
//! they are stored. Every offset is checked, depth is bounded as it is at the server, and a document whose parts
//! overlap, which could be printed for ever, is refused.

use std::io::Write;

use tailwater_core::Result;

use super::value::{Scientific, sized};
use super::{decimal, temporal};
use crate::error::malformed;

/// The server nests no deeper.
pub(super) const DEPTH_MAX: u32 = 100;

/// One value of a document, taken apart as far as its own header.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    String(&'a [u8]),
    /// A value of an SQL type that JSON has not.
    Opaque {
        kind: u8,
        data: &'a [u8],
    },
    Array(Container<'a>),
    Object(Container<'a>),
}

/// The values of an array, or the keys and values of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Container<'a> {
    bytes: &'a [u8],
    pub(super) count: usize,
    /// Numbers in it have four bytes rather than two.
    large: bool,
    object: bool,
}

/// Appends the document's text; of no bytes at all it is `null`.
///
/// # Errors
/// `Data` for what is not a document of MySQL.
pub fn write(document: &[u8], out: &mut Vec<u8>) -> Result<()> {
    Printer::new(document.len(), out).json(Json::document(document)?, 0)
}

impl<'a> Json<'a> {
    /// A whole document: its type, its value.
    pub(super) fn document(document: &'a [u8]) -> Result<Self> {
        match document.split_first() {
            Some((&kind, value)) => Self::value(kind, value),
            None => Ok(Self::Null),
        }
    }

    fn value(kind: u8, bytes: &'a [u8]) -> Result<Self> {
        Ok(match kind {
            0..=3 => {
                let (large, object) = (kind & 1 == 1, kind < 2);
                let container = Container::new(bytes, large, object)?;
                if object { Self::Object(container) } else { Self::Array(container) }
            }
            4 => match bytes.first() {
                Some(0) => Self::Null,
                Some(1) => Self::Bool(true),
                Some(2) => Self::Bool(false),
                other => return Err(malformed(format!("a JSON literal numbered {other:?}"))),
            },
            5 => Self::Signed(i16::from_le_bytes(first(bytes)?).into()),
            6 => Self::Unsigned(u16::from_le_bytes(first(bytes)?).into()),
            7 => Self::Signed(i32::from_le_bytes(first(bytes)?).into()),
            8 => Self::Unsigned(u32::from_le_bytes(first(bytes)?).into()),
            9 => Self::Signed(i64::from_le_bytes(first(bytes)?)),
            10 => Self::Unsigned(u64::from_le_bytes(first(bytes)?)),
            11 => Self::Double(f64::from_le_bytes(first(bytes)?)),
            12 => Self::String(counted(bytes)?),
            15 => match bytes.split_first() {
                Some((&kind, data)) => Self::Opaque { kind, data: counted(data)? },
                None => return Err(malformed("an opaque JSON value without its type")),
            },
            other => return Err(malformed(format!("a JSON value of type {other}"))),
        })
    }
}

impl<'a> Container<'a> {
    fn new(bytes: &'a [u8], large: bool, object: bool) -> Result<Self> {
        let mut container = Self { bytes, count: 0, large, object };
        let size = container.number(container.width())?;
        let Some(bytes) = bytes.get(..size) else {
            return Err(malformed("a JSON array or object longer than its document"));
        };
        container.count = container.number(0)?;
        container.bytes = bytes;
        if container.entry(container.count) > size {
            return Err(malformed("a JSON array or object shorter than its entries"));
        }
        Ok(container)
    }

    fn width(&self) -> usize {
        if self.large { 4 } else { 2 }
    }

    /// The number at an offset.
    fn number(&self, at: usize) -> Result<usize> {
        let bytes = self.bytes.get(at..).unwrap_or_default();
        Ok(if self.large {
            u32::from_le_bytes(first(bytes)?) as usize
        } else {
            u16::from_le_bytes(first(bytes)?).into()
        })
    }

    /// Where the entry of a value stands: behind the count, the size and the entries of all keys.
    fn entry(&self, index: usize) -> usize {
        let keys = if self.object { self.count.saturating_mul(self.width() + 2) } else { 0 };
        keys.saturating_add(index.saturating_mul(self.width() + 1)).saturating_add(2 * self.width())
    }

    /// A key of an object.
    pub(super) fn key(&self, index: usize) -> Result<&'a [u8]> {
        let entry = 2 * self.width() + index * (self.width() + 2);
        let start = self.number(entry)?;
        let length = self.bytes.get(entry + self.width()..).unwrap_or_default();
        let length = usize::from(u16::from_le_bytes(first(length)?));
        let key = self.bytes.get(start..).and_then(|rest| rest.get(..length));
        key.ok_or_else(|| malformed("a JSON key outside of its object"))
    }

    /// A value, which stands in its entry where it is small enough.
    pub(super) fn value(&self, index: usize) -> Result<Json<'a>> {
        let entry = self.entry(index);
        let Some((&kind, inlined)) = self.bytes.get(entry..).and_then(<[u8]>::split_first) else {
            return Err(malformed("a JSON value without its entry"));
        };
        match kind {
            4..=6 => Json::value(kind, inlined),
            7 | 8 if self.large => Json::value(kind, inlined),
            _ => {
                let bytes = self.bytes.get(self.number(entry + 1)?..);
                Json::value(kind, bytes.ok_or_else(|| malformed("a JSON value outside of its container"))?)
            }
        }
    }
}

/// A length of seven bits a byte, the lowest first, and so many bytes.
fn counted(bytes: &[u8]) -> Result<&[u8]> {
    let mut length = 0_usize;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let text = bytes.get(index + 1..).and_then(|rest| rest.get(..length));
            return text.ok_or_else(|| malformed("a JSON string longer than its document"));
        }
    }
    Err(malformed("a JSON string without its length"))
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.first_chunk().copied().ok_or_else(|| malformed("a JSON number longer than its document"))
}

/// Writes values of one document, or of several that make one up.
pub(super) struct Printer<'o> {
    out: &'o mut Vec<u8>,
    /// Values and bytes of strings that can still come: no more than the documents have bytes.
    left: usize,
}

impl<'o> Printer<'o> {
    pub(super) fn new(document_bytes: usize, out: &'o mut Vec<u8>) -> Self {
        Self { out, left: document_bytes + 1 }
    }

    pub(super) fn json(&mut self, json: Json<'_>, depth: u32) -> Result<()> {
        self.charge(1, depth)?;
        match json {
            Json::Null => self.out.extend_from_slice(b"null"),
            Json::Bool(true) => self.out.extend_from_slice(b"true"),
            Json::Bool(false) => self.out.extend_from_slice(b"false"),
            Json::Signed(number) => self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
            Json::Unsigned(number) => {
                self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes())
            }
            Json::Double(number) => write_double(number, self.out)?,
            Json::String(text) => self.string(text, depth)?,
            Json::Opaque { kind, data } => {
                self.charge(data.len(), depth)?;
                write_opaque(kind, data, self.out)?;
            }
            Json::Array(array) => {
                self.open(b'[');
                for index in 0..array.count {
                    self.separate(index);
                    self.json(array.value(index)?, depth + 1)?;
                }
                self.out.push(b']');
            }
            Json::Object(object) => {
                self.open(b'{');
                for index in 0..object.count {
                    self.separate(index);
                    self.key(object.key(index)?, depth)?;
                    self.json(object.value(index)?, depth + 1)?;
                }
                self.out.push(b'}');
            }
        }
        Ok(())
    }

    pub(super) fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    pub(super) fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    pub(super) fn separate(&mut self, index: usize) {
        if index > 0 {
            self.out.extend_from_slice(b", ");
        }
    }

    pub(super) fn key(&mut self, key: &[u8], depth: u32) -> Result<()> {
        self.string(key, depth)?;
        self.out.extend_from_slice(b": ");
        Ok(())
    }

    fn string(&mut self, text: &[u8], depth: u32) -> Result<()> {
        self.charge(text.len(), depth)?;
        write_string(text, self.out);
        Ok(())
    }

    fn charge(&mut self, cost: usize, depth: u32) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(malformed(format!("a JSON document deeper than {DEPTH_MAX}")));
        }
        let left = self.left.checked_sub(cost);
        self.left = left.ok_or_else(|| malformed("a JSON document whose parts overlap"))?;
        Ok(())
    }
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        let letter = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0C => b'f',
            b'\r' => b'r',
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                super::value::write_hex(byte, out);
                continue;
            }
            plain => {
                out.push(plain);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
    out.push(b'"');
}

/// Shortest digits that read back the same; an exponent for whole numbers of more than fifteen digits and below
/// 10^-15; always with a point or an exponent.
fn write_double(number: f64, out: &mut Vec<u8>) -> Result<()> {
    if !number.is_finite() {
        return Err(malformed("a JSON number that is infinite or not a number"));
    }
    let number = Scientific::new(format_args!("{number:e}"))?;
    if number.negative {
        out.push(b'-');
    }
    let has_fraction = usize::try_from(number.exponent).is_ok_and(|exponent| number.count > exponent + 1);
    if number.exponent >= -15 && (number.exponent < 15 || has_fraction) {
        number.write_fixed(out);
        if number.exponent >= 0 && !has_fraction {
            out.extend_from_slice(b".0");
        }
        return Ok(());
    }
    number.write_mantissa(out);
    write!(out, "e{}", number.exponent).map_err(|error| malformed(format!("write a double: {error}")))
}

/// Numbers of the kinds are those of the server's column types.
fn write_opaque(kind: u8, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match kind {
        246 => {
            let Some((&[precision, scale], number)) = data.split_first_chunk() else {
                return Err(malformed("a JSON decimal without its precision"));
            };
            if decimal::bytes(precision, scale) != Some(number.len()) {
                return Err(malformed("a JSON decimal of another length than its precision's"));
            }
            decimal::write(number, precision, scale, out)
        }
        7 | 10 | 11 | 12 => {
            let packed = i64::from_le_bytes(sized(data)?);
            let packed_bytes = packed.unsigned_abs().to_be_bytes();
            out.push(b'"');
            match kind {
                10 => temporal::write_date(date_of(packed), out)?,
                11 => {
                    if packed < 0 {
                        out.push(b'-');
                    }
                    temporal::write_packed_time(packed.wrapping_abs(), 6, out)?;
                }
                _ => {
                    let [sign, rest @ ..] = packed_bytes;
                    let [a, b, c, d, e, f, g] = rest;
                    // Here without the offset that lets the bytes of a column compare.
                    temporal::write_datetime(&[sign | 0x80, a, b, c, d, e, f, g], 6, out)?;
                }
            }
            out.push(b'"');
            Ok(())
        }
        other => {
            write!(out, "\"base64:type{other}:")
                .map_err(|error| malformed(format!("write JSON: {error}")))?;
            write_base64(data, out);
            out.push(b'"');
            Ok(())
        }
    }
}

/// As DATE packs it: year, four bits of month, five of day.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked to what is wanted of it")]
fn date_of(packed: i64) -> u32 {
    let date = (packed >> 41) as u32 & 0x3F_FFFF;
    let months = date >> 5;
    (months / 13) << 9 | (months % 13) << 5 | (date & 31)
}

/// In lines of 76 digits: the server escapes the ends of lines, too.
fn write_base64(data: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (index, chunk) in data.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.extend_from_slice(b"\\n");
        }
        let byte = |index| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests;
