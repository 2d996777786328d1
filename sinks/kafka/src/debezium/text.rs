//! Strings, Base64 and binary forms, appended to a buffer as JSON the way Jackson writes it.

/// `"`, `\` and control characters are escaped, what lies beyond the basic plane too (as two surrogates); everything
/// else stays. What is not UTF-8 becomes U+FFFD as in Java.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    quoted_string(out, text, |byte| byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0xF0);
}

/// The same for JSON that is text itself and not yet bytes: then nothing else is escaped.
pub(crate) fn string_in_text(out: &mut Vec<u8>, text: &[u8]) {
    quoted_string(out, text, |byte| byte < 0x20 || byte == b'"' || byte == b'\\');
}

fn quoted_string(out: &mut Vec<u8>, text: &[u8], is_special: impl Fn(u8) -> bool) {
    out.push(b'"');
    match std::str::from_utf8(text) {
        Ok(text) => escape(out, text, is_special),
        Err(_invalid) => escape(out, &String::from_utf8_lossy(text), is_special),
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, mut text: &str, is_special: impl Fn(u8) -> bool) {
    while let Some(place) = text.bytes().position(&is_special) {
        let (plain, rest) = text.split_at_checked(place).unwrap_or((text, ""));
        out.extend_from_slice(plain.as_bytes());
        let mut rest = rest.chars();
        if let Some(character) = rest.next() {
            special(out, character);
        }
        text = rest.as_str();
    }
    out.extend_from_slice(text.as_bytes());
}

#[cold]
fn special(out: &mut Vec<u8>, character: char) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                out.extend([12, 8, 4, 0].map(|shift| hexadecimal(*unit >> shift)));
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn hexadecimal(digit: u16) -> u8 {
    b"0123456789ABCDEF".get(usize::from(digit & 15)).copied().unwrap_or(b'0')
}

/// The alphabets of Base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Plain,
    Url,
}

impl Alphabet {
    fn digits(self) -> &'static [u8; 64] {
        match self {
            Self::Plain => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            Self::Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        }
    }
}

/// `"AP8="`
pub(crate) fn base64(out: &mut Vec<u8>, alphabet: Alphabet, bytes: impl Iterator<Item = u8>) {
    out.push(b'"');
    let digits = alphabet.digits();
    let (mut held, mut count) = (0_u32, 0);
    let digit = |held: u32, shift: u32| digits.get((held >> shift) as usize & 63).copied().unwrap_or(b'=');
    for byte in bytes {
        held = held << 8 | u32::from(byte);
        count += 1;
        if count == 3 {
            out.extend_from_slice(&[digit(held, 18), digit(held, 12), digit(held, 6), digit(held, 0)]);
            (held, count) = (0, 0);
        }
    }
    match count {
        1 => out.extend_from_slice(&[digit(held << 16, 18), digit(held << 16, 12), b'=', b'=']),
        2 => {
            let held = held << 8;
            out.extend_from_slice(&[digit(held, 18), digit(held, 12), digit(held, 6), b'=']);
        }
        _ => {}
    }
    out.push(b'"');
}

/// The bytes of `\x00ff`. `None` where it is nothing of the kind.
pub(crate) fn bytea(text: &[u8]) -> Option<impl Iterator<Item = u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    let valid = digits.len() % 2 == 0 && digits.iter().all(u8::is_ascii_hexdigit);
    let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { (digit | 0x20) - b'a' + 10 };
    valid
        .then(|| digits.chunks_exact(2).map(move |pair| pair.iter().fold(0, |byte, &d| byte << 4 | value(d))))
}

/// Bits as text (`0101`), in bytes with the last bit as the lowest; without zeros at the end, or with them.
pub(crate) fn bits(out: &mut Vec<u8>, text: &[u8], all: bool) -> bool {
    if !text.iter().all(|bit| matches!(bit, b'0' | b'1')) {
        return false;
    }
    let highest = text.iter().position(|&bit| bit == b'1').unwrap_or(text.len());
    let set = text.get(if all { 0 } else { highest }..).unwrap_or_default();
    let bytes = set.rchunks(8).map(|chunk| chunk.iter().fold(0_u8, |byte, bit| byte << 1 | (bit - b'0')));
    base64(out, Alphabet::Plain, bytes);
    true
}

/// The pairs of an hstore (`"a"=>"1", "b"=>NULL`), with keys and values still in their quotes' escapes.
pub(crate) struct Pairs<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|&byte| byte == b'"')?;
        let (key, rest) = quoted(self.0.get(start..)?)?;
        let rest = rest.strip_prefix(b"=>")?;
        if let Some(rest) = rest.strip_prefix(b"NULL") {
            self.0 = rest;
            return Some((key, None));
        }
        let (value, rest) = quoted(rest)?;
        self.0 = rest;
        Some((key, Some(value)))
    }
}

/// What stands between quotes, and what follows them.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = inside.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((inside.get(..end)?, inside.get(end + 1..)?))
}

/// Appends text without the backslashes that escape the byte behind them.
pub(crate) fn unescape(out: &mut Vec<u8>, text: &[u8]) {
    let mut escaped = false;
    for &byte in text {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            out.push(byte);
            escaped = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_jackson_does() {
        let check = |text: &[u8], expected: &str| assert_eq!(written(|out| string(out, text)), expected);
        check(b"a\tb\n\r\x01\x1f\"\\/", "\"a\\tb\\n\\r\\u0001\\u001F\\\"\\\\/\"");
        check("größe \u{1F600}\u{2028}\u{7f}".as_bytes(), "\"größe \\uD83D\\uDE00\u{2028}\u{7f}\"");
        check(b"\xff", "\"\u{FFFD}\"");
    }

    #[test]
    fn writes_bytes_and_bits() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(written(|out| base64(out, Alphabet::Plain, bytes.iter().copied())), expected);
        };
        check(b"", "\"\"");
        check(b"\x00\xff", "\"AP8=\"");
        check(b"\xff", "\"/w==\"");
        check(b"\x00\xff\x10", "\"AP8Q\"");
        let check = |bits: &[u8], expected: &str| {
            assert_eq!(written(|out| assert!(super::bits(out, bits, false))), expected);
        };
        check(b"0101", "\"BQ==\"");
        check(b"11111111111111111111", "\"//8P\"");
        check(b"00000001000000010000", "\"EBA=\"");
        check(b"", "\"\"");
        assert_eq!(bytea(b"\\x00fF").unwrap().collect::<Vec<_>>(), [0, 255]);
        assert!(bytea(b"\\x0").is_none());
    }

    #[test]
    fn parts_an_hstore() {
        let pairs: Vec<_> = Pairs(br#""a"=>"1", "b \"c"=>NULL, "d"=>"\\""#).collect();
        assert_eq!(pairs[0], (&b"a"[..], Some(&b"1"[..])));
        assert_eq!(pairs[1], (&b"b \\\"c"[..], None));
        assert_eq!(written(|out| unescape(out, pairs[2].1.unwrap())), "\\");
    }
}
