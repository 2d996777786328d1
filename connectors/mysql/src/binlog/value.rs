//! One value as text, in the form of its [`Type`](tailwater_core::Type). `plan` says how, `rows` where the bytes are.

use std::io::{Read, Write};

use flate2::read::{DeflateDecoder, ZlibDecoder};
use tailwater_core::Result;

use super::charset::Charset;
use super::plan::Form;
use super::{json, temporal};
use crate::error::malformed;

/// A value of MariaDB's compressed columns is no longer than the longest of LONGTEXT.
const INFLATED_MAX: u64 = u32::MAX as u64;

/// Appends the value that `bytes` are.
pub(super) fn write(form: &Form, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match form {
        Form::Signed => {
            let shift = 64 - 8 * bytes.len().clamp(1, 8);
            let number = (little_endian(bytes)?.cast_signed() << shift) >> shift;
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Form::Unsigned => {
            out.extend_from_slice(itoa::Buffer::new().format(little_endian(bytes)?).as_bytes());
        }
        Form::Float4 => write_float4(f32::from_le_bytes(sized(bytes)?), out)?,
        Form::Float8 => write_float8(f64::from_le_bytes(sized(bytes)?), out)?,
        Form::Decimal { precision, scale } => super::decimal::write(bytes, *precision, *scale, out)?,
        Form::Year => {
            let [year] = sized(bytes)?;
            let year = if year == 0 { 0 } else { 1900 + u16::from(year) };
            out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
        }
        Form::Date | Form::OldTime | Form::OldDatetime | Form::OldTimestamp => {
            write_old_temporal(form, bytes, out)?;
        }
        Form::Time { digits } => temporal::write_time(bytes, *digits, out)?,
        Form::Datetime { digits } => temporal::write_datetime(bytes, *digits, out)?,
        Form::Timestamp { digits } => {
            let Some((seconds, fraction)) = bytes.split_first_chunk() else {
                return Err(malformed("a TIMESTAMP of less than four bytes"));
            };
            temporal::write_timestamp(u32::from_be_bytes(*seconds), fraction, *digits, out)?;
        }
        Form::Text(charset) => charset.append(bytes, out)?,
        Form::Bytes { padded_to } => write_bytes(bytes, *padded_to, out),
        Form::CompressedText(charset) => write_compressed(bytes, Some(*charset), out)?,
        Form::CompressedBytes => write_compressed(bytes, None, out)?,
        Form::Enum(labels) => write_enum(labels, little_endian(bytes)?, out)?,
        Form::Set(labels) => write_set(labels, little_endian(bytes)?, out)?,
        Form::Bit { bits } => write_bits(bytes, *bits, out)?,
        Form::Json => json::write(bytes, out)?,
        Form::Vector => write_vector(bytes, out)?,
        Form::Uuid => write_uuid(padded(bytes)?, out),
        Form::Inet4 => write_inet4(padded(bytes)?, out),
        Form::Inet6 => write_inet6(padded(bytes)?, out),
    }
    Ok(())
}

/// Shortest text that reads back the same, in Postgres's spelling: an exponent below 0.0001 and from seven digits on.
///
/// # Errors
/// `Data` for what is not a number: no server stores that.
pub fn write_float4(number: f32, out: &mut Vec<u8>) -> Result<()> {
    write_float(format_args!("{number:e}"), number.is_finite(), 6, out)
}

/// Likewise, an exponent from sixteen digits on.
///
/// # Errors
/// `Data` for what is not a number: no server stores that.
pub fn write_float8(number: f64, out: &mut Vec<u8>) -> Result<()> {
    write_float(format_args!("{number:e}"), number.is_finite(), 15, out)
}

fn write_float(
    scientific: std::fmt::Arguments<'_>,
    finite: bool,
    fixed_below: i32,
    out: &mut Vec<u8>,
) -> Result<()> {
    if !finite {
        return Err(malformed("a float that is infinite or not a number"));
    }
    let number = Scientific::new(scientific)?;
    if number.negative {
        out.push(b'-');
    }
    if (-4..fixed_below).contains(&number.exponent) {
        number.write_fixed(out);
    } else {
        number.write_mantissa(out);
        let sign = if number.exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", number.exponent.unsigned_abs())
            .map_err(|error| malformed(format!("write a float: {error}")))?;
    }
    Ok(())
}

/// The digits of a float and where its point stands.
pub(super) struct Scientific {
    pub(super) negative: bool,
    /// At most 17.
    digits: [u8; 24],
    pub(super) count: usize,
    /// Ten to its power is the place of the first digit.
    pub(super) exponent: i32,
}

impl Scientific {
    /// Takes what `{:e}` prints apart: shortest digits that read back the same.
    pub(super) fn new(printed: std::fmt::Arguments<'_>) -> Result<Self> {
        let mut text = [0; 32];
        let mut rest = text.as_mut_slice();
        rest.write_fmt(printed).map_err(|error| malformed(format!("write a float: {error}")))?;
        let left = rest.len();
        let text = text.get(..32 - left).unwrap_or_default();
        let mut number = Self { negative: false, digits: [b'0'; 24], count: 0, exponent: 0 };
        let mut bytes = text.iter();
        for &byte in bytes.by_ref() {
            match byte {
                b'-' => number.negative = true,
                b'.' => {}
                b'e' => break,
                digit => {
                    if let Some(place) = number.digits.get_mut(number.count) {
                        *place = digit;
                        number.count += 1;
                    }
                }
            }
        }
        let exponent = std::str::from_utf8(bytes.as_slice()).ok().and_then(|text| text.parse().ok());
        number.exponent = exponent.ok_or_else(|| malformed("a float without an exponent"))?;
        Ok(number)
    }

    /// `1.25`, `1`.
    pub(super) fn write_mantissa(&self, out: &mut Vec<u8>) {
        for (index, &digit) in self.digits.iter().take(self.count).enumerate() {
            if index == 1 {
                out.push(b'.');
            }
            out.push(digit);
        }
    }

    /// Without an exponent; a point only where there are digits behind it.
    pub(super) fn write_fixed(&self, out: &mut Vec<u8>) {
        let digits = self.digits.get(..self.count).unwrap_or_default();
        match usize::try_from(self.exponent) {
            Ok(exponent) => {
                let whole = exponent + 1;
                out.extend(digits.iter().copied().chain(std::iter::repeat(b'0')).take(whole));
                if let Some(fraction @ [_, ..]) = digits.get(whole..) {
                    out.push(b'.');
                    out.extend_from_slice(fraction);
                }
            }
            Err(_) => {
                out.extend_from_slice(b"0.");
                out.extend((self.exponent + 1..0).map(|_| b'0'));
                out.extend_from_slice(digits);
            }
        }
    }
}

fn write_old_temporal(form: &Form, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match (form, bytes) {
        (Form::Date, &[a, b, c]) => temporal::write_date(u32::from_le_bytes([a, b, c, 0]), out),
        (Form::OldTime, &[a, b, c]) => temporal::write_old_time(i32::from_le_bytes([0, a, b, c]) >> 8, out),
        (Form::OldDatetime, _) => temporal::write_old_datetime(little_endian(bytes)?, out),
        (Form::OldTimestamp, _) => temporal::write_timestamp(u32::from_le_bytes(sized(bytes)?), &[], 0, out),
        _ => Err(malformed("a date or time of another length than its type's")),
    }
}

pub(crate) fn write_bytes(bytes: &[u8], padded_to: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    out.reserve(2 * bytes.len().max(padded_to));
    for &byte in bytes {
        write_hex(byte, out);
    }
    for _ in bytes.len()..padded_to {
        out.extend_from_slice(b"00");
    }
}

#[inline]
pub(super) fn write_hex(byte: u8, out: &mut Vec<u8>) {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
}

/// MariaDB's COMPRESSED: nothing for an empty value; a 0 before one that is not compressed after all; otherwise 0x80,
/// 8 where zlib's own header is left out, and how many bytes tell the inflated length; that length; the stream.
fn write_compressed(bytes: &[u8], charset: Option<Charset>, out: &mut Vec<u8>) -> Result<()> {
    let mut inflated = Vec::new();
    let plain = match bytes.split_first() {
        None => bytes,
        Some((0, plain)) => plain,
        Some((&header, rest)) if header & 0xF0 == 0x80 => {
            let Some((length, stream)) = rest.split_at_checked(usize::from(header & 7)) else {
                return Err(malformed("a compressed value shorter than its header"));
            };
            let length = length.iter().fold(0_u64, |length, &byte| length << 8 | u64::from(byte));
            let read = if length > INFLATED_MAX {
                return Err(malformed("a compressed value of more than 4 GiB"));
            } else if header & 8 == 0 {
                ZlibDecoder::new(stream).take(length + 1).read_to_end(&mut inflated)
            } else {
                DeflateDecoder::new(stream).take(length + 1).read_to_end(&mut inflated)
            };
            let read = read.map_err(|error| malformed(format!("inflate a compressed value: {error}")))?;
            if read as u64 != length {
                return Err(malformed("a compressed value with another length than its header says"));
            }
            &inflated
        }
        Some((header, _)) => {
            return Err(malformed(format!("a compressed value with the header {header:#04x}")));
        }
    };
    match charset {
        Some(charset) => charset.append(plain, out),
        None => {
            write_bytes(plain, 0, out);
            Ok(())
        }
    }
}

/// 0 is what an invalid value becomes: the empty string.
fn write_enum(labels: &[String], index: u64, out: &mut Vec<u8>) -> Result<()> {
    let Some(index) = index.checked_sub(1) else { return Ok(()) };
    let label = usize::try_from(index).ok().and_then(|index| labels.get(index));
    let Some(label) = label else {
        let (index, labels) = (index + 1, labels.len());
        return Err(malformed(format!("label {index} of an ENUM that has {labels}")));
    };
    out.extend_from_slice(label.as_bytes());
    Ok(())
}

fn write_set(labels: &[String], bits: u64, out: &mut Vec<u8>) -> Result<()> {
    if bits.checked_shr(u32::try_from(labels.len()).unwrap_or(64)).unwrap_or(0) != 0 {
        return Err(malformed(format!("a SET with a bit beyond its {} labels", labels.len())));
    }
    let mut first = true;
    for (bit, label) in labels.iter().enumerate().take(64) {
        if bits >> bit & 1 == 1 {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(label.as_bytes());
        }
    }
    Ok(())
}

pub(crate) fn write_bits(bytes: &[u8], bits: u8, out: &mut Vec<u8>) -> Result<()> {
    let mut number = 0_u64;
    for &byte in bytes {
        number = number << 8 | u64::from(byte);
    }
    if bits < 64 && number >> bits != 0 {
        return Err(malformed(format!("a BIT({bits}) with more bits")));
    }
    out.extend((0..bits).rev().map(|bit| b'0' + u8::from(number >> bit & 1 == 1)));
    Ok(())
}

pub(crate) fn write_vector(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (floats, []) = bytes.as_chunks::<4>() else {
        return Err(malformed("a VECTOR with a part of a float"));
    };
    out.push(b'{');
    for (index, &float) in floats.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_float4(f32::from_le_bytes(float), out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_uuid(bytes: [u8; 16], out: &mut Vec<u8>) {
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        write_hex(byte, out);
    }
}

fn write_inet4(bytes: [u8; 4], out: &mut Vec<u8>) {
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(itoa::Buffer::new().format(byte).as_bytes());
    }
}

/// As MariaDB prints it: `::` for the first of the longest runs of zeros, even of one alone, and the last four bytes
/// like an IPv4 address behind six words of zeros, or five and ffff.
fn write_inet6(bytes: [u8; 16], out: &mut Vec<u8>) {
    let words: [u16; 8] = std::array::from_fn(|word| {
        let byte = |index| bytes.get(index).copied().unwrap_or(0);
        u16::from_be_bytes([byte(2 * word), byte(2 * word + 1)])
    });
    let run = |from: usize| words.iter().skip(from).take_while(|&&word| word == 0).count();
    let longest = (0..8).map(run).max().unwrap_or(0);
    let gap = if longest == 0 { 8 } else { (0..8).find(|&from| run(from) == longest).unwrap_or(8) };
    let [.., fifth, _, _] = words;
    let mut word = 0;
    while word < 8 {
        if word == gap {
            out.extend_from_slice(if word == 0 { b"::" } else { b":" });
            word += longest;
        } else if word == 6 && gap == 0 && (longest == 6 || (longest == 5 && fifth == 0xFFFF)) {
            let [.., a, b, c, d] = bytes;
            return write_inet4([a, b, c, d], out);
        } else {
            let number = words.get(word).copied().unwrap_or(0);
            let text = number.to_be_bytes();
            let start = out.len();
            text.into_iter().for_each(|byte| write_hex(byte, out));
            let zeros = out.iter().skip(start).take(3).take_while(|&&byte| byte == b'0').count();
            out.drain(start..start + zeros);
            if word < 7 {
                out.push(b':');
            }
            word += 1;
        }
    }
}

/// Cut-off zeros put back.
fn padded<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    let mut padded = [0; N];
    match padded.get_mut(..bytes.len()) {
        Some(place) => place.copy_from_slice(bytes),
        None => return Err(malformed(format!("{} bytes where {N} are the most", bytes.len()))),
    }
    Ok(padded)
}

pub(super) fn sized<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    <[u8; N]>::try_from(bytes)
        .map_err(|_wrong| malformed(format!("{} bytes where {N} were expected", bytes.len())))
}

/// At most eight bytes.
#[inline]
pub(super) fn little_endian(bytes: &[u8]) -> Result<u64> {
    Ok(match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ if bytes.len() > 8 => return Err(malformed("a number of more than eight bytes")),
        _ => bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)),
    })
}

#[cfg(test)]
mod tests;
