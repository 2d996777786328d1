//! DECIMAL: nine digits to four big-endian bytes, fewer digits at both ends in fewer bytes, the sign in the first bit
//! and negative numbers inverted. Written as `SELECT` prints it, digit by digit, without a number type in between.

use tailwater_core::Result;

use crate::error::malformed;

/// Digits that four bytes hold.
const GROUP: usize = 9;
/// Bytes that hold so many digits.
const BYTES: [usize; GROUP + 1] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Bytes of a value.
pub(super) fn bytes(precision: u8, scale: u8) -> Option<usize> {
    let whole = usize::from(precision).checked_sub(usize::from(scale))?;
    Some(part_bytes(whole) + part_bytes(usize::from(scale)))
}

fn part_bytes(digits: usize) -> usize {
    digits / GROUP * 4 + BYTES.get(digits % GROUP).copied().unwrap_or(0)
}

/// Appends the number.
pub(super) fn write(bytes: &[u8], precision: u8, scale: u8, out: &mut Vec<u8>) -> Result<()> {
    let whole = usize::from(precision.saturating_sub(scale));
    let Some((&first, rest)) = bytes.split_first() else {
        return Err(malformed("a decimal without bytes"));
    };
    // The sign's bit is inverted, so that bytes compare as numbers do.
    let negative = first & 0x80 == 0;
    let mut groups = Groups { first: Some(first ^ 0x80), rest, flip: if negative { 0xFF } else { 0 } };
    if negative {
        out.push(b'-');
    }
    let start = out.len();
    groups.append(whole % GROUP, out)?;
    for _ in 0..whole / GROUP {
        groups.append(GROUP, out)?;
    }
    strip_zeros(out, start);
    if scale > 0 {
        let scale = usize::from(scale);
        out.push(b'.');
        for _ in 0..scale / GROUP {
            groups.append(GROUP, out)?;
        }
        groups.append(scale % GROUP, out)?;
    }
    if negative && !out.iter().skip(start).any(|byte| matches!(byte, b'1'..=b'9')) {
        // The servers know no negative zero.
        out.remove(start - 1);
    }
    Ok(())
}

/// Leaves at least one digit.
fn strip_zeros(out: &mut Vec<u8>, start: usize) {
    let zeros = out.iter().skip(start).take_while(|&&byte| byte == b'0').count();
    if start + zeros == out.len() {
        out.truncate(start);
        out.push(b'0');
    } else if zeros > 0 {
        out.drain(start..start + zeros);
    }
}

struct Groups<'a> {
    /// The first byte, its sign's bit put right.
    first: Option<u8>,
    rest: &'a [u8],
    flip: u8,
}

impl Groups<'_> {
    fn byte(&mut self) -> Result<u8> {
        let byte = match self.first.take() {
            Some(first) => first,
            None => {
                let Some((&byte, rest)) = self.rest.split_first() else {
                    return Err(malformed("a decimal shorter than its digits"));
                };
                self.rest = rest;
                byte
            }
        };
        Ok(byte ^ self.flip)
    }

    /// Appends so many digits, of the bytes that hold them.
    #[inline]
    fn append(&mut self, digits: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut number: u32 = 0;
        for _ in 0..BYTES.get(digits).copied().unwrap_or(0) {
            number = number << 8 | u32::from(self.byte()?);
        }
        let mut text = [b'0'; GROUP];
        for place in text.iter_mut().take(digits).rev() {
            *place = digit(number % 10);
            number /= 10;
        }
        if number > 0 {
            return Err(malformed(format!("a decimal with more than {digits} digits in a group of as many")));
        }
        out.extend_from_slice(text.get(..digits).unwrap_or_default());
        Ok(())
    }
}

/// The character of a digit.
#[allow(clippy::cast_possible_truncation, reason = "below ten")]
pub(super) fn digit(number: u32) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8], precision: u8, scale: u8) -> String {
        let mut out = Vec::new();
        write(bytes, precision, scale, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What the server does the other way round.
    fn pack(negative: bool, whole: &str, fraction: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let (head, groups) = whole.split_at(whole.len() % GROUP);
        let mut parts = vec![head];
        parts.extend(groups.as_bytes().chunks(GROUP).map(|part| std::str::from_utf8(part).unwrap()));
        parts.extend(fraction.as_bytes().chunks(GROUP).map(|part| std::str::from_utf8(part).unwrap()));
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let number: u32 = part.parse().unwrap();
            out.extend_from_slice(&number.to_be_bytes()[4 - BYTES[part.len()]..]);
        }
        if negative {
            out.iter_mut().for_each(|byte| *byte ^= 0xFF);
        }
        out[0] ^= 0x80;
        out
    }

    #[test]
    fn prints_as_select_does() {
        assert_eq!(text(&[0x80, 0x32], 3, 2), "0.50");
        assert_eq!(text(&pack(true, "1", "20"), 3, 2), "-1.20");
        assert_eq!(text(&pack(false, "0", ""), 1, 0), "0");
        assert_eq!(text(&pack(false, "", "5"), 1, 1), "0.5");
        assert_eq!(text(&pack(true, "", "0"), 1, 1), "0.0");
        // The manual's own example.
        let bytes = [0x81, 0x0D, 0xFB, 0x38, 0xD2, 0x04, 0xD2];
        assert_eq!(text(&bytes, 14, 4), "1234567890.1234");
        assert_eq!(text(&bytes.map(|byte| !byte), 14, 4), "-1234567890.1234");
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        let mut out = Vec::new();
        for (bytes, precision, scale) in [(&[0xFF][..], 1, 0), (&[], 1, 0), (&[0x80], 9, 0)] {
            assert!(write(bytes, precision, scale, &mut out).is_err(), "{bytes:?}");
        }
        assert_eq!(super::bytes(2, 3), None);
    }

    proptest! {
        #[test]
        fn reads_back_every_number(negative: bool, whole in "[0-9]{0,35}", fraction in "[0-9]{0,30}") {
            prop_assume!(whole.len() + fraction.len() > 0);
            let packed = pack(negative, &whole, &fraction);
            let digits = |count| u8::try_from(count).unwrap();
            let (precision, scale) = (digits(whole.len() + fraction.len()), digits(fraction.len()));
            prop_assert_eq!(bytes(precision, scale), Some(packed.len()));
            let significant = whole.trim_start_matches('0');
            let zero = !whole.bytes().chain(fraction.bytes()).any(|byte| byte != b'0');
            let expected = format!(
                "{}{}{}{}",
                if negative && !zero { "-" } else { "" },
                if significant.is_empty() { "0" } else { significant },
                if fraction.is_empty() { "" } else { "." },
                fraction
            );
            prop_assert_eq!(text(&packed, precision, scale), expected);
        }
    }
}
