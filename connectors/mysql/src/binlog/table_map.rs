//! What a TABLE_MAP says of its columns: types with their metadata, NULL bits, and the blocks of optional metadata.
//! The assembler asks once per shape of a table, and keeps the answer by the event's bytes.

use tailwater_core::Result;

use super::columns::{Described, Stored};
use super::event::{Columns, Format, TableMap};
use super::reader::Reader;
use crate::error::{malformed, unknown_column_type};

/// Writes text of a collation as UTF-8 behind what is there.
pub type ToUtf8<'f> = &'f dyn Fn(u16, &[u8], &mut Vec<u8>) -> Result<()>;

/// Numbers of the blocks of optional metadata.
mod block {
    pub(super) const SIGNEDNESS: u8 = 1;
    pub(super) const DEFAULT_CHARSET: u8 = 2;
    pub(super) const COLUMN_CHARSET: u8 = 3;
    pub(super) const COLUMN_NAME: u8 = 4;
    pub(super) const SET_STR_VALUE: u8 = 5;
    pub(super) const ENUM_STR_VALUE: u8 = 6;
    pub(super) const GEOMETRY_TYPE: u8 = 7;
    pub(super) const SIMPLE_PRIMARY_KEY: u8 = 8;
    pub(super) const PRIMARY_KEY_WITH_PREFIX: u8 = 9;
    pub(super) const ENUM_AND_SET_DEFAULT_CHARSET: u8 = 10;
    pub(super) const ENUM_AND_SET_COLUMN_CHARSET: u8 = 11;
    pub(super) const COLUMN_VISIBILITY: u8 = 12;
    pub(super) const VECTOR_DIMENSIONALITY: u8 = 13;
}

impl TableMap<'_> {
    /// The columns, as the server of `format` lists them. Labels of ENUM and SET become UTF-8 through `to_utf8`.
    ///
    /// # Errors
    /// A type that is not known, metadata that does not fit the types, or labels whose character set is not known.
    pub fn columns(&self, format: &Format, to_utf8: ToUtf8<'_>) -> Result<Columns> {
        let mut metadata = Reader::new(self.metadata, "a table's column metadata");
        let mut columns = Vec::with_capacity(self.types.len());
        for (index, &type_number) in self.types.iter().enumerate() {
            columns.push(Described {
                stored: stored(type_number, &mut metadata)?,
                nullable: bit(self.nullable, index, false),
                name: None,
                unsigned: None,
                collation: None,
                labels: Vec::new(),
                key: None,
                visible: true,
                geometry: None,
                dimensions: None,
            });
        }
        if !metadata.is_empty() {
            return Err(malformed("a table's column metadata is longer than its columns"));
        }
        let is_text = if format.is_mariadb() { is_maria_text } else { is_mysql_text };
        let mut described = Optional { columns, is_text, labels: Vec::new() };
        let mut optional = Reader::new(self.optional, "a table's optional metadata");
        while !optional.is_empty() {
            let number = optional.u8()?;
            described.block(number, optional.packed_bytes()?)?;
        }
        Ok(Columns { columns: described.labelled(to_utf8)? })
    }
}

/// How values of a type stand in a row, with what belongs to the type taken from `metadata`.
fn stored(type_number: u8, metadata: &mut Reader<'_>) -> Result<Stored> {
    Ok(match type_number {
        1 => Stored::Tiny,
        2 => Stored::Short,
        3 => Stored::Long,
        4 => sized(metadata, 4, Stored::Float)?,
        5 => sized(metadata, 8, Stored::Double)?,
        7 => Stored::OldTimestamp,
        8 => Stored::LongLong,
        9 => Stored::Int24,
        10 | 14 => Stored::Date,
        11 => Stored::OldTime,
        12 => Stored::OldDatetime,
        13 => Stored::Year,
        15 => Stored::Varchar { bytes_max: metadata.u16()? },
        16 => {
            let (rest, bytes) = (metadata.u8()?, metadata.u8()?);
            let bits = u16::from(bytes) * 8 + u16::from(rest);
            match u8::try_from(bits) {
                Ok(bits @ 1..=64) if rest < 8 => Stored::Bit { bits },
                Ok(_) | Err(_) => return Err(malformed(format!("a column has {bits} bits"))),
            }
        }
        17 => Stored::Timestamp { digits: digits(metadata)? },
        18 => Stored::Datetime { digits: digits(metadata)? },
        19 => Stored::Time { digits: digits(metadata)? },
        140 => Stored::CompressedBlob { length_bytes: length_bytes(metadata)? },
        141 => Stored::CompressedVarchar { bytes_max: metadata.u16()? },
        242 => Stored::Vector { length_bytes: length_bytes(metadata)? },
        245 => Stored::Json { length_bytes: length_bytes(metadata)? },
        246 => {
            let (precision, scale) = (metadata.u8()?, metadata.u8()?);
            if !(1..=65).contains(&precision) || scale > precision.min(38) {
                return Err(malformed(format!("a column is DECIMAL({precision},{scale})")));
            }
            Stored::NewDecimal { precision, scale }
        }
        252 => Stored::Blob { length_bytes: length_bytes(metadata)? },
        254 => string(metadata.u8()?, metadata.u8()?)?,
        255 => Stored::Geometry { length_bytes: length_bytes(metadata)? },
        unknown => return Err(unknown_column_type(unknown)),
    })
}

/// CHAR, BINARY, ENUM and SET share a number: the first byte tells them apart, and holds two bits of a CHAR's length,
/// inverted.
fn string(first: u8, second: u8) -> Result<Stored> {
    match (first | 0x30, second) {
        (247, bytes @ 1..=2) if first == 247 => Ok(Stored::Enum { bytes }),
        (248, bytes @ 1..=8) if first == 248 => Ok(Stored::Set { bytes }),
        (254, low) => {
            let high = u16::from((first & 0x30) ^ 0x30) << 4;
            Ok(Stored::Char { bytes_max: high | u16::from(low) })
        }
        (_, _) => Err(malformed(format!("a column is a string of type {first} with {second} bytes"))),
    }
}

fn sized(metadata: &mut Reader<'_>, bytes: u8, stored: Stored) -> Result<Stored> {
    match metadata.u8()? {
        found if found == bytes => Ok(stored),
        other => Err(malformed(format!("a floating-point column has {other} bytes"))),
    }
}

fn digits(metadata: &mut Reader<'_>) -> Result<u8> {
    match metadata.u8()? {
        digits @ 0..=6 => Ok(digits),
        other => Err(malformed(format!("a column has {other} digits of a second"))),
    }
}

fn length_bytes(metadata: &mut Reader<'_>) -> Result<u8> {
    match metadata.u8()? {
        bytes @ 1..=4 => Ok(bytes),
        other => Err(malformed(format!("a column's length has {other} bytes"))),
    }
}

/// The bit of `index`: from the lowest of each byte, or from the highest where `high_first`.
fn bit(bits: &[u8], index: usize, high_first: bool) -> bool {
    let place = if high_first { 7 - index % 8 } else { index % 8 };
    bits.get(index / 8).is_some_and(|byte| byte >> place & 1 == 1)
}

fn is_number(column: &Described) -> bool {
    matches!(
        column.stored,
        Stored::Tiny
            | Stored::Short
            | Stored::Int24
            | Stored::Long
            | Stored::LongLong
            | Stored::Float
            | Stored::Double
            | Stored::NewDecimal { .. }
            | Stored::Year
    )
}

fn is_text(column: &Described) -> bool {
    matches!(
        column.stored,
        Stored::Varchar { .. }
            | Stored::Char { .. }
            | Stored::Blob { .. }
            | Stored::CompressedVarchar { .. }
            | Stored::CompressedBlob { .. }
    )
}

/// MySQL counts its vectors among the texts when it lists collations, as bytes.
fn is_mysql_text(column: &Described) -> bool {
    is_text(column) || is_vector(column)
}

/// MariaDB its geometries.
fn is_maria_text(column: &Described) -> bool {
    is_text(column) || is_geometry(column)
}

fn is_enum(column: &Described) -> bool {
    matches!(column.stored, Stored::Enum { .. })
}

fn is_set(column: &Described) -> bool {
    matches!(column.stored, Stored::Set { .. })
}

fn is_labelled(column: &Described) -> bool {
    is_enum(column) || is_set(column)
}

fn is_geometry(column: &Described) -> bool {
    matches!(column.stored, Stored::Geometry { .. })
}

fn is_vector(column: &Described) -> bool {
    matches!(column.stored, Stored::Vector { .. })
}

/// The columns while the blocks are read.
struct Optional<'a> {
    columns: Vec<Described>,
    /// Which of them have a place in the lists of collations.
    is_text: fn(&Described) -> bool,
    /// Labels by column: their character set may be told after them.
    labels: Vec<(usize, Vec<&'a [u8]>)>,
}

impl<'a> Optional<'a> {
    fn block(&mut self, number: u8, value: &'a [u8]) -> Result<()> {
        let mut reader = Reader::new(value, "a block of a table's optional metadata");
        match number {
            block::SIGNEDNESS => {
                self.bits(&mut reader, is_number, |column, set| column.unsigned = Some(set))?
            }
            block::DEFAULT_CHARSET => self.default_collation(&mut reader, self.is_text)?,
            block::COLUMN_CHARSET => self.collations(&mut reader, self.is_text)?,
            block::ENUM_AND_SET_DEFAULT_CHARSET => self.default_collation(&mut reader, is_labelled)?,
            block::ENUM_AND_SET_COLUMN_CHARSET => self.collations(&mut reader, is_labelled)?,
            block::COLUMN_NAME => self.names(&mut reader)?,
            block::SET_STR_VALUE => self.labels(&mut reader, is_set)?,
            block::ENUM_STR_VALUE => self.labels(&mut reader, is_enum)?,
            block::GEOMETRY_TYPE => self.those(is_geometry).try_for_each(|column| {
                column.geometry = Some(narrow(reader.packed()?)?);
                Ok(())
            })?,
            block::SIMPLE_PRIMARY_KEY => self.key(&mut reader, false)?,
            block::PRIMARY_KEY_WITH_PREFIX => self.key(&mut reader, true)?,
            block::COLUMN_VISIBILITY => {
                self.bits(&mut reader, |_| true, |column, set| column.visible = set)?
            }
            block::VECTOR_DIMENSIONALITY => self.those(is_vector).try_for_each(|column| {
                column.dimensions = Some(narrow(reader.packed()?)?);
                Ok(())
            })?,
            // Optional by its name: it says more about the columns, and changes nothing of what the others say.
            _added_later => return Ok(()),
        }
        // What a server counts otherwise than we do must not shift one column's property to the next.
        match reader.is_empty() {
            true => Ok(()),
            false => {
                Err(malformed(format!("block {number} of a table's metadata is longer than its columns")))
            }
        }
    }

    /// One bit for each, from the highest of every byte.
    fn bits(
        &mut self,
        reader: &mut Reader<'_>,
        which: fn(&Described) -> bool,
        set: fn(&mut Described, bool),
    ) -> Result<()> {
        let bits = reader.take(self.those(which).count().div_ceil(8))?;
        self.those(which).enumerate().for_each(|(index, column)| set(column, bit(bits, index, true)));
        Ok(())
    }

    fn those(&mut self, which: fn(&Described) -> bool) -> impl Iterator<Item = &mut Described> {
        self.columns.iter_mut().filter(move |column| which(column))
    }

    /// One collation for all, and pairs of a place among them and another collation.
    fn default_collation(&mut self, reader: &mut Reader<'_>, which: fn(&Described) -> bool) -> Result<()> {
        let default = narrow(reader.packed()?)?;
        self.those(which).for_each(|column| column.collation = Some(default));
        while !reader.is_empty() {
            let place = reader.packed_size()?;
            let collation = narrow(reader.packed()?)?;
            let column = self.those(which).nth(place).ok_or_else(no_such_column)?;
            column.collation = Some(collation);
        }
        Ok(())
    }

    fn collations(&mut self, reader: &mut Reader<'_>, which: fn(&Described) -> bool) -> Result<()> {
        self.those(which).try_for_each(|column| {
            column.collation = Some(narrow(reader.packed()?)?);
            Ok(())
        })
    }

    fn names(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        self.columns.iter_mut().try_for_each(|column| {
            let name = reader.packed_bytes()?;
            let name = str::from_utf8(name);
            let name = name.map_err(|error| malformed(format!("a column's name is not UTF-8: {error}")))?;
            column.name = Some(name.to_owned());
            Ok(())
        })
    }

    fn labels(&mut self, reader: &mut Reader<'a>, which: fn(&Described) -> bool) -> Result<()> {
        for (index, _) in self.columns.iter().enumerate().filter(|(_, column)| which(column)) {
            let count = reader.packed_size()?;
            let mut labels = Vec::new();
            for _ in 0..count {
                labels.push(reader.packed_bytes()?);
            }
            self.labels.push((index, labels));
        }
        Ok(())
    }

    /// Places of columns, in the key's order, with the length of a prefix each where `prefixed`.
    fn key(&mut self, reader: &mut Reader<'_>, prefixed: bool) -> Result<()> {
        for place in 0.. {
            if reader.is_empty() {
                break;
            }
            let index = reader.packed_size()?;
            if prefixed {
                let _characters = reader.packed()?;
            }
            self.columns.get_mut(index).ok_or_else(no_such_column)?.key = Some(place);
        }
        Ok(())
    }

    /// The columns, with their labels as UTF-8.
    fn labelled(mut self, to_utf8: ToUtf8<'_>) -> Result<Vec<Described>> {
        for (index, labels) in self.labels {
            let column = self.columns.get_mut(index).ok_or_else(no_such_column)?;
            let collation = column
                .collation
                .ok_or_else(|| malformed("labels are in a character set that is not told"))?;
            for label in labels {
                let mut text = Vec::with_capacity(label.len());
                to_utf8(collation, label, &mut text)?;
                let text = String::from_utf8(text);
                column.labels.push(text.map_err(|error| malformed(format!("a label is not text: {error}")))?);
            }
        }
        Ok(self.columns)
    }
}

/// A number of a block, in the size it has here.
fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T> {
    T::try_from(number).ok().ok_or_else(|| malformed(format!("{number} is too large in a table's metadata")))
}

fn no_such_column() -> tailwater_core::Error {
    malformed("a table's metadata names a column that it does not have")
}
