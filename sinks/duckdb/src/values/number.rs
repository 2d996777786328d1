//! Booleans, integers, decimals, floats, uuids and bytes: Postgres's text to numbers and back. Pure.
//!
//! Every `parse` takes exactly the text that its `render` gives, and nothing else: `None` says that the value would
//! come out as other text than went in.

use std::io::Write as _;
use std::num::FpCategory;

/// `t` or `f`.
pub(super) fn parse_bool(text: &[u8]) -> Option<u8> {
    match text {
        b"t" => Some(1),
        b"f" => Some(0),
        _ => None,
    }
}

/// Digits without leading zeros, perhaps after a minus.
pub(super) fn parse_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    let magnitude = parse_digits(digits)?;
    match (negative, magnitude) {
        (true, 0) => None,
        (true, _) => 0_i64.checked_sub_unsigned(magnitude),
        (false, _) => i64::try_from(magnitude).ok(),
    }
}

/// As [`parse_int`], up to 2^64 - 1.
pub(super) fn parse_unsigned(text: &[u8]) -> Option<u64> {
    parse_digits(text)
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

/// At least one digit, no leading zero but for 0 itself, no more than a `u64` holds.
fn parse_digits(digits: &[u8]) -> Option<u64> {
    match digits {
        // Rust would take a plus.
        [] | [b'0', _, ..] | [b'+', ..] => return None,
        _ => {}
    }
    // 19 digits cannot overflow a u64.
    if digits.len() <= 19 { fold_digits(digits) } else { std::str::from_utf8(digits).ok()?.parse().ok() }
}

/// The caller promises at most 19 digits.
#[inline]
fn fold_digits(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// A number with exactly `scale` digits after the point and at most `width` in all, times 10^scale.
pub(super) fn parse_decimal(text: &[u8], width: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = sign(text);
    let (width, scale) = (usize::from(width), usize::from(scale));
    let (whole, fraction) = if scale == 0 {
        (digits, [].as_slice())
    } else {
        let (whole, rest) = digits.split_at_checked(digits.len().checked_sub(scale + 1)?)?;
        (whole, rest.strip_prefix(b".")?)
    };
    // A declared numeric(2,2) prints its zero before the point all the same.
    let whole_digits = match whole {
        [] | [b'0', _, ..] => return None,
        b"0" => 0,
        _ => whole.len(),
    };
    if whole_digits + scale > width {
        return None;
    }
    let magnitude = if whole_digits + scale <= 18 {
        // 10^18 is below 2^63, so neither the shift nor the sum overflows.
        let (whole, fraction_value) = (fold_digits(whole)?, fold_digits(fraction)?);
        i128::from(whole * 10_u64.pow(u32::try_from(scale).ok()?) + fraction_value)
    } else {
        let mut magnitude = 0_i128;
        for part in whole.chunks(19).chain(fraction.chunks(19)) {
            let shift = 10_i128.pow(u32::try_from(part.len()).ok()?);
            magnitude = magnitude.checked_mul(shift)?.checked_add(i128::from(fold_digits(part)?))?;
        }
        magnitude
    };
    match (negative, magnitude) {
        (true, 0) => None,
        (true, _) => Some(-magnitude),
        (false, _) => Some(magnitude),
    }
}

/// A decimal as [`parse_decimal`] takes it.
pub(super) fn render_decimal(value: i128, scale: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let start = out.len();
    let scale = usize::from(scale);
    // One digit before the point at least.
    push(out, format_args!("{:0width$}", value.unsigned_abs(), width = scale + 1));
    if scale > 0 {
        let point = out.len() - scale;
        debug_assert!(point > start, "a digit before the point");
        out.insert(point, b'.');
    }
}

/// The two widths of floats.
pub(super) trait Float: Copy + std::str::FromStr + PartialEq + std::fmt::LowerExp {
    /// Smallest decimal exponent that is printed with an `e`.
    const EXPONENT_MIN: i32;
    /// Binary exponents for which a shortest decimal can lie exactly between two floats: it must have few digits, and
    /// its odd part one bit more than a float has.
    const MIDPOINTS: std::ops::Range<i32>;
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    const NAN: Self;
    /// Whether it is negative, and its magnitude.
    fn split(self) -> (bool, Self);
    fn exponent(self) -> i32;
    fn category(self) -> FpCategory;
}

macro_rules! float {
    ($float:ty, $exponent_min:literal, $midpoints:expr, $mantissa_bits:literal, $exponent_mask:literal, $bias:literal) => {
        impl Float for $float {
            const EXPONENT_MIN: i32 = $exponent_min;
            const MIDPOINTS: std::ops::Range<i32> = $midpoints;
            const INFINITY: Self = Self::INFINITY;
            const NEG_INFINITY: Self = Self::NEG_INFINITY;
            const NAN: Self = Self::NAN;
            fn split(self) -> (bool, Self) {
                (self.is_sign_negative(), self.abs())
            }
            fn exponent(self) -> i32 {
                i32::try_from(self.to_bits() >> $mantissa_bits & $exponent_mask).unwrap_or_default() - $bias
            }
            fn category(self) -> FpCategory {
                self.classify()
            }
        }
    };
}

float!(f64, 15, 50..140, 52, 0x7ff, 1023);
float!(f32, 6, 20..70, 23, 0xff, 127);

/// A float in the shortest form, as Postgres prints it. `scratch` is used to prove that it is.
pub(super) fn parse_float<T: Float>(text: &[u8], scratch: &mut Vec<u8>) -> Option<T> {
    match text {
        b"NaN" => return Some(T::NAN),
        b"Infinity" => return Some(T::INFINITY),
        b"-Infinity" => return Some(T::NEG_INFINITY),
        // DuckDB takes 0 and -0 for one value when it compresses a column that holds nothing else (seen on 1.5.6), and
        // gives either for both afterwards.
        b"-0" => return None,
        _ => {}
    }
    // Rust would take its own spellings of these three, too.
    let unsigned = sign(text).1;
    if !matches!(unsigned.first(), Some(b'0'..=b'9')) {
        return None;
    }
    let value: T = std::str::from_utf8(text).ok()?.parse().ok()?;
    if is_short::<T>(unsigned) {
        return Some(value);
    }
    scratch.clear();
    render_float(value, scratch);
    (scratch == text).then_some(value)
}

/// Whether a decimal is printed as it is without a proof: 15 digits (6 of a `float4`) always come back from a float,
/// and no such number is printed with an exponent.
fn is_short<T: Float>(unsigned: &[u8]) -> bool {
    let mut parts = unsigned.splitn(2, |&byte| byte == b'.');
    let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next());
    let usual = match (whole, fraction) {
        ([b'1'..=b'9', ..], fraction) => fraction.is_none_or(|digits| matches!(digits, [.., b'1'..=b'9'])),
        (b"0", Some(digits)) => matches!(digits, [b'1'..=b'9'] | [b'1'..=b'9', .., b'1'..=b'9']),
        _ => false,
    };
    let digits = unsigned.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
    usual && digits && i32::try_from(unsigned.len()).is_ok_and(|len| len <= T::EXPONENT_MIN)
}

/// Shortest text that reads back the same float and no other, not even one that is read by rounding a tie to it; of
/// several the nearest, of two as near the even one. `1e+22`, `1e-05`, `100000`.
pub(super) fn render_float<T: Float>(value: T, out: &mut Vec<u8>) {
    let (negative, value) = value.split();
    let category = value.category();
    if negative && category != FpCategory::Nan {
        out.push(b'-');
    }
    match category {
        FpCategory::Nan => return out.extend_from_slice(b"NaN"),
        FpCategory::Infinite => return out.extend_from_slice(b"Infinity"),
        FpCategory::Zero => return out.push(b'0'),
        FpCategory::Subnormal | FpCategory::Normal => {}
    }
    let decimal = Decimal::shortest(value);
    let (digits, exponent) = (decimal.digits(), decimal.exponent);
    if exponent < -4 || exponent >= T::EXPONENT_MIN {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        push(out, format_args!("e{sign}{:02}", exponent.unsigned_abs()));
    } else if let Ok(exponent) = usize::try_from(exponent) {
        let whole = exponent + 1;
        let (before, after) = digits.split_at_checked(whole).unwrap_or((digits, &[]));
        out.extend_from_slice(before);
        out.extend(std::iter::repeat_n(b'0', whole - before.len()));
        if !after.is_empty() {
            out.push(b'.');
            out.extend_from_slice(after);
        }
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', usize::try_from(-1 - exponent).unwrap_or(0)));
        out.extend_from_slice(digits);
    }
}

/// A positive float in decimal digits: `d.ddd` times ten to `exponent`.
struct Decimal {
    /// No float asks for more than 20 here.
    digits: [u8; 24],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// The shortest that reads back the same, or rounded to so many digits, ties to even.
    fn of<T: Float>(value: T, digits: Option<usize>) -> Self {
        let mut text = [0; 40];
        let mut rest = text.as_mut_slice();
        let written = match digits {
            Some(digits) => write!(rest, "{value:.after$e}", after = digits - 1),
            None => write!(rest, "{value:e}"),
        };
        debug_assert!(written.is_ok(), "a float longer than its room");
        let mut decimal = Self { digits: [0; 24], len: 0, exponent: 0 };
        let mut parts = text.splitn(2, |&byte| byte == b'e');
        let mantissa = parts.next().unwrap_or_default().iter().filter(|byte| byte.is_ascii_digit());
        for (to, from) in decimal.digits.iter_mut().zip(mantissa) {
            *to = *from;
            decimal.len += 1;
        }
        let exponent = parts.next().unwrap_or_default();
        let exponent = exponent.split(|&byte| byte == 0).next().unwrap_or_default();
        decimal.exponent =
            parse_int(exponent).and_then(|exponent| i32::try_from(exponent).ok()).unwrap_or_default();
        decimal
    }

    /// As Postgres chooses it; see [`render_float`].
    fn shortest<T: Float>(value: T) -> Self {
        let mut shortest = Self::of(value, None);
        // Of two that are as near, the shortest form of Rust takes the upper, the rounded one the even.
        let even = Self::of(value, Some(shortest.len));
        if even.reads_as(value, Step::None) {
            shortest = even;
        }
        // A decimal midway between two floats is read as the even one; Postgres does not rely on that.
        while T::MIDPOINTS.contains(&value.exponent()) && shortest.is_midpoint(value) {
            shortest = Self::of(value, Some(shortest.len + 1));
        }
        shortest
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    fn is_midpoint<T: Float>(&self, value: T) -> bool {
        !self.reads_as(value, Step::Up) || !self.reads_as(value, Step::Down)
    }

    /// Whether this, after the slightest step, reads as `value`.
    fn reads_as<T: Float>(&self, value: T, step: Step) -> bool {
        let mut text = [0; 96];
        let mut rest = text.as_mut_slice();
        let digits = std::str::from_utf8(self.digits()).unwrap_or_default();
        let zeros = self.exponent + 1 - i32::try_from(self.len).unwrap_or_default();
        let written = match step {
            Step::None => write!(rest, "{digits}e{zeros}"),
            Step::Up => write!(rest, "{digits}.{:030}1e{zeros}", 0),
            // The last digit of a shortest form is never 0, and one of a rounded form is not when this is asked.
            Step::Down => match digits.parse::<u64>() {
                Ok(number) => write!(rest, "{}.{:9<30}e{zeros}", number.saturating_sub(1), 9),
                Err(_) => return false,
            },
        };
        let len = 96 - rest.len();
        let text = text.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        written.is_ok() && text.parse().is_ok_and(|read: T| read == value)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    None,
    Up,
    Down,
}

/// 36 bytes, lower case, as the number that `DuckDB` keeps: the highest bit is turned so that it sorts.
pub(super) fn parse_uuid(text: &[u8]) -> Option<i128> {
    if text.len() != 36 {
        return None;
    }
    let mut value = 0_u128;
    for (index, &byte) in text.iter().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
        } else {
            value = value << 4 | u128::from(hex_digit(byte)?);
        }
    }
    Some((value ^ 1 << 127).cast_signed())
}

/// The inverse of [`parse_uuid`].
pub(super) fn render_uuid(value: i128, out: &mut Vec<u8>) {
    let value = value.cast_unsigned() ^ 1 << 127;
    for (index, &byte) in value.to_be_bytes().iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        push_hex(byte, out);
    }
}

#[inline]
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    for nibble in [byte >> 4, byte & 15] {
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

/// `\x` and lower-case digits; the bytes are left in `scratch`.
pub(super) fn parse_bytes<'s>(text: &[u8], scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
    let digits = text.strip_prefix(b"\\x")?;
    scratch.clear();
    scratch.reserve(digits.len() / 2);
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    for [high, low] in pairs {
        scratch.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
    }
    Some(scratch)
}

/// The inverse of [`parse_bytes`].
pub(super) fn render_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    out.reserve(bytes.len() * 2);
    for &byte in bytes {
        push_hex(byte, out);
    }
}

/// Writes formatted text. Writes into a vector cannot fail.
pub(super) fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a vector takes every write");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(render: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        render(&mut out);
        out
    }

    /// Some float of the range in which decimals can lie midway between two of them.
    fn midway_floats() -> impl Strategy<Value = f64> {
        (0_u64..1 << 53, -3_i32..90).prop_map(|(mantissa, exponent)| mantissa as f64 * 2_f64.powi(exponent))
    }

    proptest! {
        #[test]
        fn every_float8_comes_back(bits: u64, midway in midway_floats()) {
            for value in [f64::from_bits(bits), midway] {
                let text = text(|out| render_float(value, out));
                let back: Option<f64> = parse_float(&text, &mut Vec::new());
                prop_assert!(back == Some(value) || text == b"-0" || (value.is_nan() && text == b"NaN"), "{value:e}");
            }
        }

        #[test]
        fn every_float4_comes_back(bits: u32) {
            let value = f32::from_bits(bits);
            let text = text(|out| render_float(value, out));
            let back: Option<f32> = parse_float(&text, &mut Vec::new());
            prop_assert!(back == Some(value) || text == b"-0" || (value.is_nan() && text == b"NaN"), "{value:e}");
        }

        #[test]
        fn every_integer_comes_back(value: i64) {
            prop_assert_eq!(parse_int(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn every_decimal_comes_back(value: i128, digits in 1_u8..=38, scale in 0_u8..=38) {
            let (value, scale) = (value % 10_i128.pow(digits.into()), scale.min(digits));
            let text = text(|out| render_decimal(value, scale, out));
            prop_assert_eq!(parse_decimal(&text, digits, scale), Some(value));
        }

        #[test]
        fn every_uuid_comes_back(value: i128) {
            prop_assert_eq!(parse_uuid(&text(|out| render_uuid(value, out))), Some(value));
        }

        #[test]
        fn all_bytes_come_back(bytes: Vec<u8>) {
            let mut scratch = Vec::new();
            prop_assert_eq!(parse_bytes(&text(|out| render_bytes(&bytes, out)), &mut scratch), Some(&*bytes));
        }

        /// Whatever the text, what is taken comes out as it went in.
        #[test]
        fn nothing_is_changed(text_in in "-?[0-9]{1,8}([.][0-9]{1,8})?|[-+]?[0-9]{0,22}[.]?[0-9]{0,22}(e[-+]?[0-9]{1,3})?|[a-z0-9-]{36}|\\\\x[0-9a-f]*") {
            let (given, mut scratch) = (text_in.as_bytes(), Vec::new());
            if let Some(value) = parse_int(given) {
                prop_assert_eq!(value.to_string(), text_in.clone());
            }
            for (width, scale) in [(38, 0), (38, 10), (18, 2), (4, 4), (38, 38)] {
                if let Some(value) = parse_decimal(given, width, scale) {
                    prop_assert_eq!(text(|out| render_decimal(value, scale, out)), given);
                }
            }
            if let Some(value) = parse_float::<f64>(given, &mut scratch) {
                prop_assert_eq!(text(|out| render_float(value, out)), given);
            }
            if let Some(value) = parse_float::<f32>(given, &mut scratch) {
                prop_assert_eq!(text(|out| render_float(value, out)), given);
            }
            if let Some(value) = parse_uuid(given) {
                prop_assert_eq!(text(|out| render_uuid(value, out)), given);
            }
        }
    }
}
