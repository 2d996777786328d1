//! Writes values as JSON, straight from their text and without an allocation per value. What surrounds the values
//! (an envelope, the names of columns) is the caller's matter: a sink.
//!
//! | [`Type`] | JSON |
//! |---|---|
//! | `Bool` | `true`, `false` |
//! | `Int*`, `UInt*`, `Float*`, `Numeric` | a number with all digits that came; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `Json` | the document itself, without white space between its tokens |
//! | `Bytes` | a string in base64, as Debezium and Maxwell write it |
//! | `Array` | an array, nested as it came; a string with the literal where its bounds are not the usual ones |
//! | all others | a string with the text as it came |
//!
//! What comes out is valid JSON on one line, whatever goes in. A text that is not what its type promises (a bool that
//! is neither `t` nor `f`, a document that is not JSON or nests deeper than [`DEPTH_MAX`]) is written as a string, and
//! a string that is not UTF-8 as `{"base64":"…"}` with its bytes: nothing is replaced or dropped.

use crate::Type;
use crate::array::{Array, Element, Token};

/// A JSON document that nests deeper is written as a string.
pub const DEPTH_MAX: usize = 512;

/// Appends a value of `kind`.
pub fn write_value(out: &mut Vec<u8>, kind: &Type, text: &[u8]) {
    write_element(out, kind, Element::plain(text));
}

/// Appends a string, or the object that stands for one that is not UTF-8.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    write_text(out, Element::plain(text));
}

fn write_element(out: &mut Vec<u8>, kind: &Type, text: Element<'_>) {
    let start = out.len();
    let written = match kind {
        Type::Bool => write_bool(out, text),
        Type::Int2
        | Type::Int4
        | Type::Int8
        | Type::UInt4
        | Type::UInt8
        | Type::Float4
        | Type::Float8
        | Type::Numeric { .. } => write_number(out, text),
        Type::Bytes => write_bytes(out, text),
        Type::Json => Compactor::new(out, text.pieces().flatten().copied()).document(),
        Type::Array(kind) => write_array(out, kind, text),
        Type::Text
        | Type::Date
        | Type::Time
        | Type::TimeTz
        | Type::Timestamp
        | Type::TimestampTz
        | Type::Interval
        | Type::Uuid
        | Type::Other => false,
    };
    if !written {
        out.truncate(start);
        write_text(out, text);
    }
}

fn write_bool(out: &mut Vec<u8>, text: Element<'_>) -> bool {
    match text.as_plain() {
        Some(b"t") => out.extend_from_slice(b"true"),
        Some(b"f") => out.extend_from_slice(b"false"),
        _ => return false,
    }
    true
}

fn write_number(out: &mut Vec<u8>, text: Element<'_>) -> bool {
    match text.as_plain() {
        Some(text) if is_number(text) => out.extend_from_slice(text),
        _ => return false,
    }
    true
}

/// Whether it is a number by the grammar of JSON.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = digits(text);
    if whole == 0 || (whole > 1 && text.first() == Some(&b'0')) {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => match digits(fraction) {
            (0, _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    match rest.split_first() {
        None => true,
        Some((b'e' | b'E', exponent)) => {
            let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
            matches!(digits(exponent), (1.., []))
        }
        Some(_) => false,
    }
}

/// How many digits it starts with, and what follows them.
#[inline]
fn digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (count, text.get(count..).unwrap_or_default())
}

fn write_array(out: &mut Vec<u8>, kind: &Type, text: Element<'_>) -> bool {
    let Some(Ok(array)) = text.as_plain().map(Array::parse) else {
        return false;
    };
    if array.bounds.is_some() {
        return false;
    }
    for (index, token) in array.tokens().enumerate() {
        let Ok(token) = token else { return false };
        if index > 0 && token != Token::Close && out.last() != Some(&b'[') {
            out.push(b',');
        }
        match token {
            Token::Open => out.push(b'['),
            Token::Close => out.push(b']'),
            Token::Null => out.extend_from_slice(b"null"),
            Token::Element(element) => write_element(out, kind, element),
        }
    }
    true
}

fn write_text(out: &mut Vec<u8>, text: Element<'_>) {
    // Backslashes stand before whole characters, so a text is UTF-8 exactly when its pieces are.
    if text.pieces().all(|piece| std::str::from_utf8(piece).is_ok()) {
        out.push(b'"');
        text.pieces().for_each(|piece| escape(out, piece));
        out.push(b'"');
    } else {
        out.extend_from_slice(b"{\"base64\":\"");
        let mut base64 = Base64::new(out);
        text.pieces().flatten().for_each(|&byte| base64.push(byte));
        base64.finish();
        out.extend_from_slice(b"\"}");
    }
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let (clean, dirty) = rest.split_at_checked(clean_len(rest)).unwrap_or((rest, &[]));
        out.extend_from_slice(clean);
        let Some((&byte, tail)) = dirty.split_first() else {
            return;
        };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend(
                    [byte >> 4, byte & 15].map(
                        |digit| {
                            if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }
                        },
                    ),
                );
            }
        }
        rest = tail;
    }
}

/// How many bytes need no escape. Sixteen at a time without a branch between them, which the compiler turns into
/// vector instructions.
#[inline]
fn clean_len(text: &[u8]) -> usize {
    let (chunks, _) = text.as_chunks::<16>();
    let clean =
        chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |dirty, &byte| dirty | is_dirty(byte)));
    let start = clean.count() * 16;
    let tail = text.get(start..).unwrap_or_default();
    start + tail.iter().position(|&byte| is_dirty(byte)).unwrap_or(tail.len())
}

#[inline]
fn is_dirty(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// `\x616263` as base64.
fn write_bytes(out: &mut Vec<u8>, text: Element<'_>) -> bool {
    let mut hex = text.pieces().flatten().copied();
    if (hex.next(), hex.next()) != (Some(b'\\'), Some(b'x')) {
        return false;
    }
    out.push(b'"');
    let mut base64 = Base64::new(out);
    while let Some(high) = hex.next() {
        let (Some(high), Some(low)) = (nibble(high), hex.next().and_then(nibble)) else {
            return false;
        };
        base64.push(high << 4 | low);
    }
    base64.finish();
    out.push(b'"');
    true
}

#[inline]
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Base64 (RFC 4648, padded), a byte at a time.
struct Base64<'o> {
    out: &'o mut Vec<u8>,
    bits: u32,
    bytes: u32,
}

impl<'o> Base64<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, bits: 0, bytes: 0 }
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.bits = self.bits << 8 | u32::from(byte);
        self.bytes += 1;
        if self.bytes == 3 {
            let [_, a, b, c] = self.bits.to_be_bytes();
            self.out.extend([a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63].map(digit));
            (self.bits, self.bytes) = (0, 0);
        }
    }

    fn finish(self) {
        let [.., a, b] = self.bits.to_be_bytes();
        match self.bytes {
            1 => self.out.extend([digit(b >> 2), digit((b & 3) << 4), b'=', b'=']),
            2 => self.out.extend([digit(a >> 2), digit((a & 3) << 4 | b >> 4), digit((b & 15) << 2), b'=']),
            _ => {}
        }
    }
}

#[inline]
fn digit(value: u8) -> u8 {
    match value {
        0..26 => b'A' + value,
        26..52 => b'a' - 26 + value,
        52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    }
}

/// Copies a JSON document without the white space between its tokens, which may hold line breaks, and says whether
/// it was one. What a server of type json holds is one; the check keeps a mistake from breaking the whole line.
struct Compactor<'o, I: Iterator<Item = u8>> {
    out: &'o mut Vec<u8>,
    bytes: std::iter::Peekable<I>,
    /// For each level whether it is an object, one bit each.
    objects: [u64; DEPTH_MAX / 64],
    depth: usize,
}

impl<'o, I: Iterator<Item = u8>> Compactor<'o, I> {
    fn new(out: &'o mut Vec<u8>, bytes: I) -> Self {
        Self { out, bytes: bytes.peekable(), objects: [0; DEPTH_MAX / 64], depth: 0 }
    }

    fn document(mut self) -> bool {
        let start = self.out.len();
        let whole = self.value().is_some() && self.peek().is_none();
        whole && self.out.get(start..).is_some_and(|written| std::str::from_utf8(written).is_ok())
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.next_if(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).is_some() {}
        self.bytes.peek().copied()
    }

    /// Copies the next byte that is not white space if it is `byte`.
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.bytes.next();
        self.out.push(byte);
        Some(())
    }

    /// One value with everything in it; a loop and not a recursion, so that no document exhausts the stack.
    fn value(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.take(open)?;
                    self.enter(open == b'{')?;
                    if self.take(open + 2).is_none() {
                        self.key()?;
                        continue;
                    }
                    self.depth -= 1;
                }
                b'"' => self.string()?,
                _ => self.scalar()?,
            }
            // A value is complete: close what ends with it, or go on behind the comma.
            loop {
                if self.depth == 0 {
                    return Some(());
                }
                if self.take(b',').is_some() {
                    self.key()?;
                    break;
                }
                self.take(if self.in_object() { b'}' } else { b']' })?;
                self.depth -= 1;
            }
        }
    }

    fn enter(&mut self, object: bool) -> Option<()> {
        let word = self.objects.get_mut(self.depth / 64)?;
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Some(())
    }

    fn in_object(&self) -> bool {
        let level = self.depth.wrapping_sub(1);
        self.objects.get(level / 64).is_some_and(|word| word >> (level % 64) & 1 == 1)
    }

    /// The key before a value, inside an object.
    fn key(&mut self) -> Option<()> {
        if self.in_object() {
            self.peek()?;
            self.string()?;
            self.take(b':')?;
        }
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let byte = self.bytes.next()?;
            if byte < 0x20 {
                return None;
            }
            self.out.push(byte);
            match byte {
                b'"' => return Some(()),
                b'\\' => {
                    let escape = self.bytes.next_if(|byte| b"\"\\/bfnrtu".contains(byte))?;
                    self.out.push(escape);
                    let hex_digits = if escape == b'u' { 4 } else { 0 };
                    for _ in 0..hex_digits {
                        self.out.push(self.bytes.next_if(u8::is_ascii_hexdigit)?);
                    }
                }
                _ => {}
            }
        }
    }

    fn scalar(&mut self) -> Option<()> {
        let start = self.out.len();
        let within = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        while let Some(byte) = self.bytes.next_if(within) {
            self.out.push(byte);
        }
        let scalar = self.out.get(start..)?;
        (matches!(scalar, b"true" | b"false" | b"null") || is_number(scalar)).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn written(kind: &Type, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_value(&mut out, kind, text);
        out
    }

    fn check(kind: &Type, texts: &[&str], expected: &Expect) {
        let line = |text: &str| {
            let json = String::from_utf8(written(kind, text.as_bytes())).unwrap();
            serde_json::from_str::<IgnoredAny>(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
            format!("{text:?} → {json}\n")
        };
        expected.assert_eq(&texts.iter().map(|text| line(text)).collect::<String>());
    }

    #[test]
    fn numbers_keep_all_digits() {
        let digits = "123456789012345678901234567890.1234567890123456789012345678901234567890";
        let texts = ["0", "-1", "9223372036854775807", "1.10", "1e+20", "1.5e-05", digits];
        check(
            &Type::Numeric { limits: None },
            &texts,
            &expect![[r#"
            "0" → 0
            "-1" → -1
            "9223372036854775807" → 9223372036854775807
            "1.10" → 1.10
            "1e+20" → 1e+20
            "1.5e-05" → 1.5e-05
            "123456789012345678901234567890.1234567890123456789012345678901234567890" → 123456789012345678901234567890.1234567890123456789012345678901234567890
        "#]],
        );
        let texts =
            ["NaN", "Infinity", "-Infinity", "-0", "", "-", "01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1 "];
        check(
            &Type::Float8,
            &texts,
            &expect![[r#"
            "NaN" → "NaN"
            "Infinity" → "Infinity"
            "-Infinity" → "-Infinity"
            "-0" → -0
            "" → ""
            "-" → "-"
            "01" → "01"
            "1." → "1."
            ".5" → ".5"
            "1e" → "1e"
            "1e+" → "1e+"
            "+1" → "+1"
            "0x1" → "0x1"
            "1 " → "1 "
        "#]],
        );
    }

    #[test]
    fn bools_are_bools_and_anything_else_is_kept() {
        check(
            &Type::Bool,
            &["t", "f", "true"],
            &expect![[r#"
            "t" → true
            "f" → false
            "true" → "true"
        "#]],
        );
    }

    #[test]
    fn strings_are_escaped() {
        let texts = [
            "",
            "ä€🦆",
            "a\"b\\c/d",
            "\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}",
            "0123456789abcdef0123456789abcde\"f",
        ];
        check(
            &Type::Text,
            &texts,
            &expect![[r#"
            "" → ""
            "ä€🦆" → "ä€🦆"
            "a\"b\\c/d" → "a\"b\\c/d"
            "\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}" → "\n\r\t\u0008\u000c\u0001\u001f"
            "0123456789abcdef0123456789abcde\"f" → "0123456789abcdef0123456789abcde\"f"
        "#]],
        );
        check(
            &Type::TimestampTz,
            &["2026-11-21 04:05:06.789+00", "infinity"],
            &expect![[r#"
                "2026-11-21 04:05:06.789+00" → "2026-11-21 04:05:06.789+00"
                "infinity" → "infinity"
            "#]],
        );
    }

    #[test]
    fn bytes_are_base64() {
        let texts = ["\\x", "\\x61", "\\x6162", "\\x616263", "\\xfffefd00", "\\x6", "\\xgg", "abc"];
        check(
            &Type::Bytes,
            &texts,
            &expect![[r#"
            "\\x" → ""
            "\\x61" → "YQ=="
            "\\x6162" → "YWI="
            "\\x616263" → "YWJj"
            "\\xfffefd00" → "//79AA=="
            "\\x6" → "\\x6"
            "\\xgg" → "\\xgg"
            "abc" → "abc"
        "#]],
        );
    }

    #[test]
    fn json_is_embedded_on_one_line() {
        let texts = [
            "{\"a\": [1, 2.50, {\"b\\n \\u00e4\": null}],\n \"c\": {}, \"d\":[ ]}",
            " true ",
            "\"a  b\"",
            "[[], [[]]]",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{1:2}",
            "[1}",
            "]",
            "",
            "tru",
            "\"\\x\"",
            "1 2",
            "{\"a\":1}}",
        ];
        check(
            &Type::Json,
            &texts,
            &expect![[r#"
            "{\"a\": [1, 2.50, {\"b\\n \\u00e4\": null}],\n \"c\": {}, \"d\":[ ]}" → {"a":[1,2.50,{"b\n \u00e4":null}],"c":{},"d":[]}
            " true " → true
            "\"a  b\"" → "a  b"
            "[[], [[]]]" → [[],[[]]]
            "[1,]" → "[1,]"
            "[1 2]" → "[1 2]"
            "{\"a\"}" → "{\"a\"}"
            "{\"a\":1,}" → "{\"a\":1,}"
            "{1:2}" → "{1:2}"
            "[1}" → "[1}"
            "]" → "]"
            "" → ""
            "tru" → "tru"
            "\"\\x\"" → "\"\\x\""
            "1 2" → "1 2"
            "{\"a\":1}}" → "{\"a\":1}}"
        "#]],
        );
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(written(&Type::Json, nested(DEPTH_MAX).as_bytes()), nested(DEPTH_MAX).as_bytes());
        let deeper = nested(DEPTH_MAX + 1);
        assert_eq!(written(&Type::Json, deeper.as_bytes()), format!("\"{deeper}\"").as_bytes());
    }

    #[test]
    fn arrays_are_arrays() {
        let array = |kind| Type::Array(Box::new(kind));
        check(
            &array(Type::Int4),
            &["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{1"],
            &expect![[r#"
                "{}" → []
                "{1,NULL,-3}" → [1,null,-3]
                "{{1,2},{3,4}}" → [[1,2],[3,4]]
                "[0:1]={1,2}" → "[0:1]={1,2}"
                "{1" → "{1"
            "#]],
        );
        check(
            &array(Type::Text),
            &[r#"{a,"b c","say \"hi\" \\o/",NULL,"NULL",""}"#],
            &expect![[r#"
                "{a,\"b c\",\"say \\\"hi\\\" \\\\o/\",NULL,\"NULL\",\"\"}" → ["a","b c","say \"hi\" \\o/",null,"NULL",""]
            "#]],
        );
        check(
            &array(Type::Json),
            &[r#"{"{\"a\": \"b\\\"c\"}",1}"#],
            &expect![[r#"
                "{\"{\\\"a\\\": \\\"b\\\\\\\"c\\\"}\",1}" → [{"a":"b\"c"},1]
            "#]],
        );
        check(
            &array(Type::Bytes),
            &[r#"{"\\x616263",NULL}"#],
            &expect![[r#"
            "{\"\\\\x616263\",NULL}" → ["YWJj",null]
        "#]],
        );
        check(
            &array(Type::Bool),
            &["{t,f}"],
            &expect![[r#"
            "{t,f}" → [true,false]
        "#]],
        );
        check(
            &array(Type::Numeric { limits: None }),
            &["{1.00,NaN}"],
            &expect![[r#"
                "{1.00,NaN}" → [1.00,"NaN"]
            "#]],
        );
    }

    #[test]
    fn what_is_not_utf8_keeps_its_bytes() {
        assert_eq!(written(&Type::Text, b"a\xff"), br#"{"base64":"Yf8="}"#);
        assert_eq!(written(&Type::Json, b"\"a\xff\""), br#"{"base64":"ImH/Ig=="}"#);
        let texts = Type::Array(Box::new(Type::Text));
        assert_eq!(written(&texts, b"{ok,\"\\\\\xff\"}"), br#"["ok",{"base64":"XP8="}]"#);
    }

    fn kind() -> impl Strategy<Value = Type> {
        let scalar = prop_oneof![
            Just(Type::Bool),
            Just(Type::Int8),
            Just(Type::Float8),
            Just(Type::Text),
            Just(Type::Bytes),
            Just(Type::Json),
        ];
        scalar.prop_flat_map(|kind| prop_oneof![Just(kind.clone()), Just(Type::Array(Box::new(kind)))])
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_line_of_valid_json(
            kind in kind(),
            text in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "[\\[\\]{}\",:\\\\ \n0-9tfx.eE+-]{0,30}".prop_map(String::into_bytes),
            ],
        ) {
            let json = String::from_utf8(written(&kind, &text)).unwrap();
            prop_assert!(serde_json::from_str::<IgnoredAny>(&json).is_ok(), "{}", json);
            prop_assert!(!json.contains(['\n', '\r']), "{}", json);
        }

        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let json = written(&Type::Text, text.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_document_reads_back(
            keys in proptest::collection::vec(any::<String>(), 0..5),
            number in any::<i64>(),
        ) {
            let inner: serde_json::Map<_, _> = keys.iter().map(|key| (key.clone(), key.as_str().into())).collect();
            let value = serde_json::json!([inner, [number, null, true], {"k": {}}]);
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let json = written(&Type::Json, pretty.as_bytes());
            prop_assert_eq!(String::from_utf8(json).unwrap(), value.to_string());
        }

        #[test]
        fn any_bytes_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let json = written(&Type::Bytes, format!("\\x{hex}").as_bytes());
            let text: String = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(decoded(&text), bytes);
        }
    }

    /// Slow and obvious, to check the fast one against.
    fn decoded(base64: &str) -> Vec<u8> {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = base64.trim_end_matches('=').chars().map(|char| ALPHABET.find(char).unwrap());
        let bits: String = digits.map(|value| format!("{value:06b}")).collect();
        let bytes = bits.as_bytes().chunks_exact(8).map(|byte| std::str::from_utf8(byte).unwrap());
        bytes.map(|byte| u8::from_str_radix(byte, 2).unwrap()).collect()
    }
}
