//! Numbers: binary ones in Java's notation, decimal ones in Connect's.

use super::text::{Alphabet, base64};

/// Buffers that are used again, so that a value is written without an allocation.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    limbs: Vec<u32>,
    bytes: Vec<u8>,
    /// For whoever makes a text out of several parts.
    pub(crate) text: Vec<u8>,
    /// For a part of such a text.
    pub(crate) element: Vec<u8>,
    /// For an element of an array.
    pub(crate) array: Vec<u8>,
}

/// Which binary number a text is of: they differ in where their shortest form has one digit only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Single,
    Double,
}

/// Writes the text of a binary number (shortest digits, as Postgres prints it) as `Double.toString` does since Java 19.
pub(crate) fn float(out: &mut Vec<u8>, width: Width, text: &[u8], scratch: &mut Scratch) -> bool {
    match text {
        b"NaN" => out.extend_from_slice(b"\"NaN\""),
        b"Infinity" => out.extend_from_slice(b"\"Infinity\""),
        b"-Infinity" => out.extend_from_slice(b"\"-Infinity\""),
        _ => {
            let Some((digits, exponent, negative)) = digits_of(text, &mut scratch.bytes) else {
                return false;
            };
            if negative {
                out.push(b'-');
            }
            // Java takes a bound between two numbers for the even one of them, so 1e23 is itself; Postgres does not.
            // Such bounds are short only where numbers are far apart.
            let (tiny, bound) = match width {
                Width::Single => (exponent < -40, digits >= 8 && exponent >= 6),
                Width::Double => (exponent < -310, digits >= 16 && exponent >= 15),
            };
            if bound || (tiny && digits == 1) {
                return shortest(out, width, text, digits, scratch);
            }
            java(out, scratch.bytes.get(..digits).unwrap_or_default(), exponent);
        }
    }
    true
}

/// The significant digits of `-1.5e-05` into `bytes`, their number, the power of ten of the first, and the sign.
fn digits_of(text: &[u8], bytes: &mut Vec<u8>) -> Option<(usize, i32, bool)> {
    bytes.clear();
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    let (mantissa, power) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(place) => {
            let power = std::str::from_utf8(text.get(place + 1..)?).ok()?;
            (text.get(..place)?, power.parse::<i32>().ok()?)
        }
        None => (text, 0),
    };
    let (mut exponent, mut in_fraction) = (power - 1, false);
    for &byte in mantissa {
        match byte {
            b'.' => in_fraction = true,
            b'0' if bytes.is_empty() => exponent -= i32::from(in_fraction),
            b'0'..=b'9' => {
                bytes.push(byte);
                exponent += i32::from(!in_fraction);
            }
            _ => return None,
        }
    }
    while bytes.last() == Some(&b'0') {
        bytes.pop();
    }
    (!mantissa.is_empty()).then_some((bytes.len(), if bytes.is_empty() { 0 } else { exponent }, negative))
}

/// Digits in Java's layout: plain from 10⁻³ up to 10⁷, else with an exponent; always a digit after the point.
fn java(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if digits.is_empty() {
        out.extend_from_slice(b"0.0");
        return;
    }
    if !(-3..7).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first);
        out.push(b'.');
        out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
        out.push(b'E');
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
        return;
    }
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(digits);
        return;
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    let (before, after) = digits.split_at(whole.min(digits.len()));
    out.extend_from_slice(before);
    out.extend(std::iter::repeat_n(b'0', whole - before.len()));
    out.push(b'.');
    out.extend_from_slice(if after.is_empty() { b"0" } else { after });
}

/// The digits that Java finds: the fewest, or the nearest of two where one would do.
#[cold]
fn shortest(out: &mut Vec<u8>, width: Width, text: &[u8], digits: usize, scratch: &mut Scratch) -> bool {
    let Some(text) = std::str::from_utf8(text).ok() else { return false };
    let found = match (width, digits) {
        (Width::Single, 1) => text.parse::<f32>().map(|number| format!("{:.1e}", number.abs())),
        (Width::Single, _) => text.parse::<f32>().map(|number| format!("{:e}", number.abs())),
        (Width::Double, 1) => text.parse::<f64>().map(|number| format!("{:.1e}", number.abs())),
        (Width::Double, _) => text.parse::<f64>().map(|number| format!("{:e}", number.abs())),
    };
    let Some(found) = found.ok() else { return false };
    let Some((digits, exponent, _)) = digits_of(found.as_bytes(), &mut scratch.bytes) else { return false };
    java(out, scratch.bytes.get(..digits).unwrap_or_default(), exponent);
    true
}

/// A binary number itself.
pub(crate) fn double(out: &mut Vec<u8>, number: f64, scratch: &mut Scratch) {
    let mut text = std::mem::take(&mut scratch.text);
    text.clear();
    let special = if number.is_nan() {
        Some(&b"NaN"[..])
    } else if number.is_infinite() {
        Some(if number > 0.0 { &b"Infinity"[..] } else { &b"-Infinity"[..] })
    } else {
        None
    };
    match special {
        Some(special) => text.extend_from_slice(special),
        None => {
            use std::io::Write as _;
            let written = write!(text, "{number:e}");
            debug_assert!(written.is_ok(), "a vector takes everything");
        }
    }
    float(out, Width::Double, &text, scratch);
    scratch.text = text;
}

/// A decimal number as text, cut into its parts.
#[derive(Debug, Clone, Copy)]
struct DecimalText<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> DecimalText<'a> {
    /// `None` for NaN and the infinities.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
        let point = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
        let (whole, fraction) = (text.get(..point)?, text.get(point + 1..).unwrap_or_default());
        let valid = (!whole.is_empty() || !fraction.is_empty())
            && whole.iter().chain(fraction).all(u8::is_ascii_digit);
        valid.then_some(Self { negative, whole, fraction })
    }

    fn without_zeros(mut self) -> Self {
        while let [rest @ .., b'0'] = self.fraction {
            self.fraction = rest;
        }
        self
    }

    fn digits(self, scale: usize) -> impl Iterator<Item = u8> + Clone + use<'a> {
        let zeros = scale.saturating_sub(self.fraction.len());
        let fraction = self.fraction.iter().take(scale);
        self.whole.iter().chain(fraction).copied().chain(std::iter::repeat_n(b'0', zeros))
    }

    fn is_zero(self) -> bool {
        self.whole.iter().chain(self.fraction).all(|&digit| digit == b'0')
    }
}

/// Connect's Decimal: Base64 of the number without its point, big-endian, two's complement.
pub(crate) fn decimal(out: &mut Vec<u8>, text: &[u8], scale: usize, scratch: &mut Scratch) -> bool {
    let Some(number) = DecimalText::parse(text) else { return false };
    unscaled(out, number.negative, number.digits(scale), scratch);
    true
}

/// `{"scale":1,"value":"Cw=="}`, without zeros after the point.
pub(crate) fn variable_decimal(out: &mut Vec<u8>, text: &[u8], scratch: &mut Scratch) -> bool {
    let Some(number) = DecimalText::parse(text).map(DecimalText::without_zeros) else { return false };
    let scale = number.fraction.len();
    out.extend_from_slice(b"{\"scale\":");
    out.extend_from_slice(itoa::Buffer::new().format(scale).as_bytes());
    out.extend_from_slice(b",\"value\":");
    unscaled(out, number.negative, number.digits(scale), scratch);
    out.push(b'}');
    true
}

/// The digits of a decimal number as they are, with as many after the point as declared.
pub(crate) fn decimal_string(out: &mut Vec<u8>, text: &[u8], scale: Option<usize>) -> bool {
    let name = match text {
        b"NaN" => "\"NAN\"",
        b"Infinity" => "\"POSITIVE_INFINITY\"",
        b"-Infinity" => "\"NEGATIVE_INFINITY\"",
        _ => "",
    };
    if !name.is_empty() {
        out.extend_from_slice(name.as_bytes());
        return true;
    }
    let Some(number) = DecimalText::parse(text) else { return false };
    let scale = scale.unwrap_or(number.fraction.len());
    out.push(b'"');
    if number.negative && !number.is_zero() {
        out.push(b'-');
    }
    out.extend_from_slice(number.whole);
    if scale > 0 {
        out.push(b'.');
        out.extend(number.digits(scale).skip(number.whole.len()));
    }
    out.push(b'"');
    true
}

/// As the nearest binary number.
pub(crate) fn decimal_double(out: &mut Vec<u8>, text: &[u8], scratch: &mut Scratch) -> bool {
    let Some(number) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) else {
        return false;
    };
    // A decimal zero has no sign.
    double(out, if number == 0.0 { 0.0 } else { number }, scratch);
    true
}

/// `-$92,233,720,368,547,758.08` without currency and separators, into [`Scratch::text`].
pub(crate) fn money_text(text: &[u8], scratch: &mut Scratch) {
    scratch.text.clear();
    if matches!(text.first(), Some(b'-' | b'(')) {
        scratch.text.push(b'-');
    }
    scratch.text.extend(text.iter().filter(|byte| byte.is_ascii_digit() || **byte == b'.'));
}

fn unscaled(
    out: &mut Vec<u8>,
    negative: bool,
    digits: impl Iterator<Item = u8> + Clone,
    scratch: &mut Scratch,
) {
    let bytes = &mut scratch.bytes;
    bytes.clear();
    let mut small = 0_u64;
    // 19 digits fit into 64 bits.
    if digits.clone().count() <= 19 {
        for digit in digits {
            small = small * 10 + u64::from(digit - b'0');
        }
        bytes.extend_from_slice(&small.to_be_bytes());
    } else {
        big(digits, &mut scratch.limbs);
        bytes.extend(scratch.limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()));
    }
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let start = zeros.min(bytes.len() - 1);
    let high = |bytes: &[u8]| bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let Some(number) = bytes.get_mut(start..) else { return };
    let mut lead = None;
    if negative {
        let mut carry = true;
        for byte in number.iter_mut().rev() {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, over);
        }
        // Zero stays zero: its carry runs out of the top.
        if !high(number) && !carry {
            lead = Some(0xFF);
        }
    } else if high(number) {
        lead = Some(0);
    }
    // Two's complement needs no further byte that only repeats the sign.
    let number = match number {
        [0xFF, rest @ ..] if negative && high(rest) && lead.is_none() => rest,
        number => number,
    };
    base64(out, Alphabet::Plain, lead.into_iter().chain(number.iter().copied()));
}

/// The limbs of a number of any length, lowest first.
fn big(digits: impl Iterator<Item = u8>, limbs: &mut Vec<u32>) {
    limbs.clear();
    limbs.push(0);
    let (mut chunk, mut factor) = (0_u64, 1_u64);
    let mut add = |chunk: u64, factor: u64| {
        let mut carry = chunk;
        for limb in limbs.iter_mut() {
            let sum = u64::from(*limb) * factor + carry;
            (*limb, carry) = (low(sum), sum >> 32);
        }
        if carry > 0 {
            limbs.push(low(carry));
        }
    };
    for digit in digits {
        (chunk, factor) = (chunk * 10 + u64::from(digit - b'0'), factor * 10);
        if factor == 1_000_000_000 {
            add(chunk, factor);
            (chunk, factor) = (0, 1);
        }
    }
    if factor > 1 {
        add(chunk, factor);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>, &mut Scratch) -> bool) -> String {
        let (mut out, mut scratch) = (Vec::new(), Scratch::default());
        assert!(write(&mut out, &mut scratch));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_binary_numbers_as_java_does() {
        let check = |text: &str, expected: &str| {
            assert_eq!(written(|out, s| float(out, Width::Double, text.as_bytes(), s)), expected, "{text}");
        };
        check("0", "0.0");
        check("-0", "-0.0");
        check("1e+22", "1.0E22");
        check("0.001", "0.001");
        check("0.0001", "1.0E-4");
        check("1e-05", "1.0E-5");
        check("9999999", "9999999.0");
        check("10000000", "1.0E7");
        check("123456789012345680", "1.2345678901234568E17");
        check("9.999999999999999e+22", "1.0E23");
        check("-9.999999999999999e+22", "-1.0E23");
        check("5e-324", "4.9E-324");
        check("1.7976931348623157e+308", "1.7976931348623157E308");
        check("NaN", "\"NaN\"");
        check("100.25", "100.25");
        check("20", "20.0");
        let single = |text: &str| written(|out, s| float(out, Width::Single, text.as_bytes(), s));
        assert_eq!(single("1e-45"), "1.4E-45");
        assert_eq!(single("1.6777216e+07"), "1.6777216E7");
    }

    #[test]
    fn writes_decimals_as_connect_does() {
        let check = |text: &str, scale, expected: &str| {
            assert_eq!(written(|out, s| decimal(out, text.as_bytes(), scale, s)), expected, "{text}");
        };
        check("0", 2, "\"AA==\"");
        check("-1", 0, "\"/w==\"");
        check("128", 0, "\"AIA=\"");
        check("-128", 0, "\"gA==\"");
        check("-129", 0, "\"/38=\"");
        check("-256", 0, "\"/wA=\"");
        check("-32769", 0, "\"/3//\"");
        check("-1.28", 2, "\"gA==\"");
        check("1.5", 2, "\"AJY=\"");
        check("99999999999999999999999999999999999999", 0, "\"SztMqFqGxHoJiiI//////w==\"");
        check("-9999999999999999999999999999.9999999999", 10, "\"tMSzV6V5O4X2dd3AAAAAAQ==\"");
        check("-92233720368547758.08", 2, "\"gAAAAAAAAAA=\"");
        check("-0.0000", 4, "\"AA==\"");
        let variable = |text: &str| written(|out, s| variable_decimal(out, text.as_bytes(), s));
        assert_eq!(variable("1.10"), "{\"scale\":1,\"value\":\"Cw==\"}");
        assert_eq!(variable("100"), "{\"scale\":0,\"value\":\"ZA==\"}");
        let string = |text: &str, scale| written(|out, _| decimal_string(out, text.as_bytes(), scale));
        assert_eq!(string("1.1", Some(2)), "\"1.10\"");
        assert_eq!(string("-0.0000", None), "\"0.0000\"");
        assert_eq!(string("NaN", None), "\"NAN\"");
    }
}
