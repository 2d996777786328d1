//! The rows of a result, as the server prints them, read where they lie in the receive buffer. `Connection::rows` makes
//! them. Not here: what the text of a column means.

use tailwater_core::Result;

use crate::connection::{Connection, State};
use crate::error;

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the statement names it.
    pub name: String,
    /// The number of its collation: 63 where it holds bytes and not text.
    pub collation: u16,
    /// The protocol's type.
    pub kind: u8,
    /// The protocol's flags.
    pub flags: u16,
}

/// A result, row by row. Dropped before its end, it leaves a session that is of no use.
#[derive(Debug)]
pub struct Rows<'c> {
    connection: &'c mut Connection,
    columns: Vec<Column>,
    /// Rows the statement changed, where it returns none.
    changed: u64,
    at_end: bool,
}

/// One row, gone with the next one.
#[derive(Debug, Clone, Copy)]
pub struct TextRow<'a> {
    bytes: &'a [u8],
    columns: usize,
}

impl<'c> Rows<'c> {
    /// Reads up to the first row.
    pub(crate) async fn begin(connection: &'c mut Connection) -> Result<Self> {
        let place = connection.receive().await?;
        let body = connection.body(place);
        let count = match body.first() {
            Some(0xff) => {
                let failure = error::from_server(body);
                connection.set_state(State::Idle);
                return Err(failure);
            }
            Some(0x00) => {
                let changed = Reader(body.get(1..).unwrap_or_default()).number()?;
                connection.set_state(State::Idle);
                return Ok(Self { connection, columns: Vec::new(), changed, at_end: true });
            }
            Some(0xfb) => return Err(error::protocol("the server asks for a local file")),
            Some(_) | None => Reader(body).number()?,
        };
        let count = usize::from(
            u16::try_from(count)
                .map_err(|error| error::protocol(format!("a result of {count} columns: {error}")))?,
        );
        let mut columns = Vec::with_capacity(count);
        while columns.len() < count {
            let place = connection.receive().await?;
            columns.push(read_column(connection.body(place))?);
        }
        if !connection.eof_is_deprecated() {
            let place = connection.receive().await?;
            if connection.body(place).first() != Some(&0xfe) {
                return Err(error::protocol("the columns of a result have no end"));
            }
        }
        Ok(Self { connection, columns, changed: 0, at_end: false })
    }

    /// The columns; none where the statement returns no rows.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many rows the statement changed, where it returns none.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// The next row. Cancel-safe.
    ///
    /// # Errors
    /// What the server reports, or bytes that are no row.
    pub async fn next(&mut self) -> Result<Option<TextRow<'_>>> {
        if self.at_end {
            return Ok(None);
        }
        let place = self.connection.receive().await?;
        // A row that begins with 0xfe has a value of 16 MiB or more, and so is longer than any end.
        let is_short = place.len() < 0xff_ffff;
        match self.connection.body(place.clone()).first() {
            Some(0xfe) if is_short => {
                self.at_end = true;
                self.connection.set_state(State::Idle);
                Ok(None)
            }
            Some(0xff) => {
                self.at_end = true;
                self.connection.set_state(State::Idle);
                Err(error::from_server(self.connection.body(place)))
            }
            Some(_) => Ok(Some(TextRow { bytes: self.connection.body(place), columns: self.columns.len() })),
            None => Err(error::protocol("a row is empty")),
        }
    }
}

impl<'a> TextRow<'a> {
    /// The fields, in order; NULL is `None`.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields { reader: Reader(self.bytes), left: self.columns }
    }

    pub(crate) fn to_owned_text(self) -> Result<Vec<Option<String>>> {
        let mut owned = Vec::with_capacity(self.columns);
        for field in self.fields() {
            owned.push(match field? {
                None => None,
                Some(bytes) => Some(
                    std::str::from_utf8(bytes)
                        .map_err(|error| error::protocol(format!("a column: {error}")))?
                        .to_owned(),
                ),
            });
        }
        Ok(owned)
    }
}

/// The fields of one row. A row that is shorter or longer than its columns ends in an error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Option<&'a [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return match self.reader.0 {
                [] => None,
                [..] => {
                    self.reader = Reader(&[]);
                    Some(Err(error::protocol("a row is longer than its columns")))
                }
            };
        }
        self.left -= 1;
        let field = self.reader.field();
        if field.is_err() {
            (self.left, self.reader) = (0, Reader(&[]));
        }
        Some(field)
    }
}

fn read_column(body: &[u8]) -> Result<Column> {
    let mut reader = Reader(body);
    // Catalogue, schema, table, its real name; then the name, and the real name.
    for _ in 0..4 {
        reader.field()?;
    }
    let name = String::from_utf8_lossy(reader.field()?.unwrap_or_default()).into_owned();
    reader.field()?;
    reader.number()?;
    match reader.0 {
        [collation_low, collation_high, _, _, _, _, kind, flags_low, flags_high, ..] => Ok(Column {
            name,
            collation: u16::from_le_bytes([*collation_low, *collation_high]),
            kind: *kind,
            flags: u16::from_le_bytes([*flags_low, *flags_high]),
        }),
        [..] => Err(short()),
    }
}

fn short() -> tailwater_core::Error {
    error::protocol("a packet of a result is shorter than it says")
}

/// Numbers and texts with their length before them.
#[derive(Debug, Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u64> {
        let (number, rest) = match self.0 {
            [small @ 0..=0xfa, rest @ ..] => (u64::from(*small), rest),
            [0xfc, a, b, rest @ ..] => (u64::from(u16::from_le_bytes([*a, *b])), rest),
            [0xfd, a, b, c, rest @ ..] => (u64::from(u32::from_le_bytes([*a, *b, *c, 0])), rest),
            [0xfe, rest @ ..] => {
                let (number, rest) = rest.split_first_chunk().ok_or_else(short)?;
                (u64::from_le_bytes(*number), rest)
            }
            [..] => return Err(short()),
        };
        self.0 = rest;
        Ok(number)
    }

    fn field(&mut self) -> Result<Option<&'a [u8]>> {
        if let [0xfb, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(None);
        }
        let length = usize::try_from(self.number()?).map_err(|error| error::protocol(error.to_string()))?;
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(Some(field))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_a_row() {
        let mut bytes = b"\x02hi\xfb\x00\xfc\x2c\x01".to_vec();
        bytes.extend_from_slice(&[b'x'; 300]);
        let row = TextRow { bytes: &bytes, columns: 4 };
        let long = "x".repeat(300);
        let expected = [Some("hi".to_owned()), None, Some(String::new()), Some(long)];
        assert_eq!(row.to_owned_text().unwrap(), expected);
        for end in 0..bytes.len() {
            assert!(TextRow { bytes: &bytes[..end], columns: 4 }.to_owned_text().is_err(), "{end}");
        }
        assert!(TextRow { bytes: &bytes, columns: 3 }.to_owned_text().is_err());
        assert!(TextRow { bytes: b"\x01\xff", columns: 1 }.to_owned_text().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_fields_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60), columns in 0_usize..9) {
            let fields: Vec<_> = TextRow { bytes: &bytes, columns }.fields().collect();
            prop_assert!(fields.len() <= columns + 1);
            prop_assert!(read_column(&bytes).is_err() || bytes.len() > 9);
        }
    }
}
