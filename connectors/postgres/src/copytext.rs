//! Rows of `COPY … TO STDOUT` in text format. Pure; the first copy calls it for every row.
//!
//! Values stand between tabs, `\N` is NULL, and control characters and backslashes are escaped, so a tab in the row is
//! always a separator. A row without a backslash, or with `\N` alone, is never copied.

use memchr::{Memchr, memchr, memchr_iter};
use tailwater_core::batch::RowId;
use tailwater_core::{Batch, Error, Result, Value};

/// Reads rows; keeps the memory that unescaping needs.
#[derive(Debug, Default)]
pub struct Decoder {
    unescaped: Vec<u8>,
}

impl Decoder {
    /// Copies the values of one row, the contents of a CopyData message, into `batch`.
    ///
    /// # Errors
    /// `Data` where it is not a row of so many columns, or the batch is full.
    #[inline]
    pub fn add_row(&mut self, batch: &mut Batch, row: &[u8], columns: usize) -> Result<RowId> {
        batch.add_row(self.values(row, columns)?)
    }

    /// The values of one row.
    ///
    /// # Errors
    /// `Data` where it is not a row of so many columns.
    #[inline]
    pub fn values<'a>(&'a mut self, row: &'a [u8], columns: usize) -> Result<Values<'a>> {
        let Some((b'\n', row)) = row.split_last() else {
            return Err(wrong(row.len(), "does not end its line"));
        };
        if columns == 0 && row.is_empty() {
            return Ok(Values {
                row,
                next: None,
                tabs: memchr_iter(b'\t', row),
                escapes: false,
                free: &mut [],
            });
        }
        if memchr_iter(b'\t', row).count() + 1 != columns {
            return Err(wrong(0, "does not have the columns that were asked for"));
        }
        let escapes = memchr(b'\\', row).is_some();
        if escapes {
            check_escapes(row)?;
            // Unescaping only shortens.
            if self.unescaped.len() < row.len() {
                self.unescaped.resize(row.len(), 0);
            }
        }
        Ok(Values { row, next: Some(0), tabs: memchr_iter(b'\t', row), escapes, free: &mut self.unescaped })
    }
}

/// Iterates the values of a row.
#[derive(Debug)]
pub struct Values<'a> {
    row: &'a [u8],
    /// Where the next value starts; `None` after the last.
    next: Option<usize>,
    tabs: Memchr<'a>,
    /// Whether a backslash occurs in the row.
    escapes: bool,
    free: &'a mut [u8],
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let start = self.next?;
        let tab = self.tabs.next();
        self.next = tab.map(|tab| tab + 1);
        let field = self.row.get(start..tab.unwrap_or(self.row.len()))?;
        if !self.escapes {
            return Some(Value::Text(field));
        }
        match memchr(b'\\', field) {
            None => Some(Value::Text(field)),
            Some(_) if field == b"\\N" => Some(Value::Null),
            Some(first) => Some(Value::Text(self.unescape(field, first))),
        }
    }
}

impl<'a> Values<'a> {
    /// `first`: where the first backslash stands.
    fn unescape(&mut self, field: &[u8], first: usize) -> &'a [u8] {
        let (plain, escaped) = field.split_at_checked(first).unwrap_or((field, &[]));
        let free = std::mem::take(&mut self.free);
        let mut len = 0;
        let mut put = |byte: u8| {
            if let Some(place) = free.get_mut(len) {
                *place = byte;
                len += 1;
            }
        };
        plain.iter().for_each(|&byte| put(byte));
        let mut rest = escaped.iter();
        while let Some(&byte) = rest.next() {
            put(match byte {
                b'\\' => rest.next().copied().and_then(meaning).unwrap_or(b'\\'),
                0..=u8::MAX => byte,
            });
        }
        let (used, free) = free.split_at_mut(len);
        self.free = free;
        used
    }
}

/// What a backslash and this byte stand for; `None` where the server never writes them.
fn meaning(escaped: u8) -> Option<u8> {
    Some(match escaped {
        b'\\' => b'\\',
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0B,
        b'f' => 0x0C,
        b'r' => b'\r',
        0..=u8::MAX => return None,
    })
}

fn check_escapes(row: &[u8]) -> Result<()> {
    let mut at = 0;
    while let Some(found) = row.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let backslash = at + found;
        at = backslash + 2;
        let alone = || {
            (backslash == 0 || row.get(backslash - 1) == Some(&b'\t'))
                && row.get(at).is_none_or(|&after| after == b'\t')
        };
        match row.get(backslash + 1) {
            Some(b'N') if alone() => {}
            Some(&escaped) if meaning(escaped).is_some() => {}
            Some(_) | None => return Err(wrong(backslash, "holds an unknown escape")),
        }
    }
    Ok(())
}

#[cold]
fn wrong(offset: usize, what: &str) -> Error {
    Error::data("TW-PG-081", format!("a copied row, at byte {offset}: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(row: &str, columns: usize, expected: &str) {
        let mut decoder = Decoder::default();
        let text = match decoder.values(row.as_bytes(), columns) {
            Ok(values) => {
                values.map(|value| format!("{value:?}\n").replace("Text(", "").replace(')', "")).collect()
            }
            Err(error) => error.message(),
        };
        let bytes = |part: &str| {
            if part == "∅" { "Null".to_owned() } else { format!("{:?}", part.as_bytes()) }
        };
        let expected = match expected.strip_prefix("error: ") {
            Some(error) => format!("a copied row, at byte {error}"),
            None if columns == 0 => String::new(),
            None => expected.split('|').map(|part| bytes(part) + "\n").collect(),
        };
        assert_eq!(text, expected, "{row:?}");
    }

    #[test]
    fn reads_rows() {
        check("1\tab\t\n", 3, "1|ab|");
        check("\\N\tN\t\\N\n", 3, "∅|N|∅");
        check("\\\\N\t\\\\\n", 2, "\\N|\\");
        check("a\\tb\\nc\\rd\\be\\ff\\vg\t1\n", 2, "a\tb\nc\rd\u{8}e\u{c}f\u{b}g|1");
        check("ü\\\\ß\t\\\\x00ff\tplain\n", 3, "ü\\ß|\\x00ff|plain");
        check("\n", 1, "");
        check("\n", 0, "");
    }

    #[test]
    fn refuses_what_is_no_row() {
        check("", 1, "error: 0: does not end its line");
        check("a", 1, "error: 1: does not end its line");
        check("a\n", 2, "error: 0: does not have the columns that were asked for");
        check("a\tb\n", 1, "error: 0: does not have the columns that were asked for");
        check("a\n", 0, "error: 0: does not have the columns that were asked for");
        check("\\.\n", 1, "error: 0: holds an unknown escape");
        check("a\\\n", 1, "error: 1: holds an unknown escape");
        check("a\t\\Nb\n", 2, "error: 2: holds an unknown escape");
        check("a\\N\n", 1, "error: 1: holds an unknown escape");
        check("\\x41\n", 1, "error: 0: holds an unknown escape");
    }

    /// As `CopyAttributeOutText` writes it.
    fn escape(value: &[u8], row: &mut Vec<u8>) {
        for &byte in value {
            match b"\\\x08\t\n\x0b\x0c\r".iter().position(|&special| special == byte) {
                Some(index) => row.extend([b'\\', b"\\btnvfr"[index]]),
                None => row.push(byte),
            }
        }
    }

    proptest! {
        #[test]
        fn any_row_survives_the_round_trip(
            values in proptest::collection::vec(
                proptest::option::of("[a-z\\\\\t\n\r\u{8}\u{b}\u{c}ü]{0,9}"), 1..6),
        ) {
            let mut row = Vec::new();
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    row.push(b'\t');
                }
                match value {
                    Some(value) => escape(value.as_bytes(), &mut row),
                    None => row.extend(b"\\N"),
                }
            }
            row.push(b'\n');
            let expected = values.iter().map(|value| match value {
                Some(value) => Value::Text(value.as_bytes()),
                None => Value::Null,
            });
            let mut decoder = Decoder::default();
            prop_assert!(decoder.values(&row, values.len()).unwrap().eq(expected));
        }

        #[test]
        fn any_bytes_end_in_values_or_an_error(row: Vec<u8>, columns in 0_usize..5) {
            let mut decoder = Decoder::default();
            if let Ok(values) = decoder.values(&row, columns) {
                prop_assert_eq!(values.count(), columns);
            }
        }
    }
}
