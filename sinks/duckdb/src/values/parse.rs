//! Postgres's text into the slots of a chunk: the way in. What each type's text looks like is in [`number`](super::number)
//! and [`calendar`](super::calendar).

use tailwater_core::array::{Array, Token};
use tailwater_core::{Error, Result};

use super::{ColumnType, calendar, number};
use crate::chunk::{Column, Plain};

/// Whether a value can be kept in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It was written.
    Yes,
    /// It would not come out as the text it is. Nothing was written; as `VARCHAR` every text but one that is not
    /// UTF-8 fits.
    No,
}

/// Writes values, keeping the memory that some need on the way.
#[derive(Debug, Default)]
pub struct Parser {
    /// For the bytes of a value, or its text again.
    scratch: Vec<u8>,
    /// For the text of an element that is not in one piece.
    element: Vec<u8>,
}

impl Parser {
    /// Writes `text`, as Postgres prints it, to `row` of a column of type `kind`.
    ///
    /// # Errors
    /// `Data` where text is not UTF-8: it cannot be kept as `VARCHAR` either.
    pub fn write(&mut self, kind: &ColumnType, text: &[u8], column: &mut Column, row: usize) -> Result<Fit> {
        let scratch = &mut self.scratch;
        let fit = match kind {
            ColumnType::Varchar | ColumnType::Json => {
                column
                    .put_text(row, std::str::from_utf8(text).map_err(|error| not_utf8(error.valid_up_to()))?);
                Fit::Yes
            }
            ColumnType::BigInt => put(column, row, number::parse_int(text)),
            ColumnType::Integer => {
                put(column, row, number::parse_int(text).and_then(|value| i32::try_from(value).ok()))
            }
            ColumnType::SmallInt => {
                put(column, row, number::parse_int(text).and_then(|value| i16::try_from(value).ok()))
            }
            ColumnType::UInteger => {
                put(column, row, number::parse_int(text).and_then(|value| u32::try_from(value).ok()))
            }
            ColumnType::UBigInt => put(column, row, number::parse_unsigned(text)),
            ColumnType::Boolean => put(column, row, number::parse_bool(text)),
            ColumnType::Decimal { width, scale } => {
                put_decimal(column, row, *width, number::parse_decimal(text, *width, *scale))
            }
            ColumnType::Timestamp => put(column, row, calendar::parse_timestamp(text, b"")),
            ColumnType::TimestampTz => put(column, row, calendar::parse_timestamp(text, b"+00")),
            ColumnType::Date => put(column, row, calendar::parse_date(text)),
            ColumnType::Time => put(column, row, calendar::parse_time(text)),
            ColumnType::TimeTz => put(column, row, calendar::parse_time_tz(text)),
            ColumnType::Interval => put(column, row, calendar::parse_interval(text, scratch)),
            ColumnType::Uuid => put(column, row, number::parse_uuid(text)),
            ColumnType::Double => put(column, row, number::parse_float::<f64>(text, scratch)),
            ColumnType::Float => put(column, row, number::parse_float::<f32>(text, scratch)),
            ColumnType::Blob => match number::parse_bytes(text, scratch) {
                Some(bytes) => {
                    column.put_bytes(row, bytes);
                    Fit::Yes
                }
                None => Fit::No,
            },
            ColumnType::List(element) => self.write_list(element, text, column, row)?,
            // No source type has these columns.
            ColumnType::HugeInt => Fit::No,
        };
        Ok(fit)
    }

    /// Writes an array of one dimension that starts at 1, which is all that a list can be.
    fn write_list(&mut self, kind: &ColumnType, text: &[u8], column: &mut Column, row: usize) -> Result<Fit> {
        let start = column.elements_len();
        let fit = self.write_elements(kind, text, column);
        match fit {
            Ok(Fit::Yes) => column.put_list(row, start),
            Ok(Fit::No) | Err(_) => column.drop_elements(start),
        }
        fit
    }

    fn write_elements(&mut self, kind: &ColumnType, text: &[u8], column: &mut Column) -> Result<Fit> {
        let Ok(array) = Array::parse(text) else {
            return Ok(Fit::No);
        };
        if array.bounds.is_some() || array.dimensions() != 1 {
            return Ok(Fit::No);
        }
        for token in array.tokens() {
            match token {
                Ok(Token::Open | Token::Close) => {}
                Ok(Token::Null) => {
                    let (elements, row) = column.push_element()?;
                    elements.put_null(row);
                }
                Ok(Token::Element(element)) => {
                    let mut text = std::mem::take(&mut self.element);
                    text.clear();
                    element.pieces().for_each(|piece| text.extend_from_slice(piece));
                    let (elements, row) = column.push_element()?;
                    let fit = self.write(kind, &text, elements, row);
                    self.element = text;
                    if fit? == Fit::No {
                        return Ok(Fit::No);
                    }
                }
                Err(_) => return Ok(Fit::No),
            }
        }
        Ok(Fit::Yes)
    }
}

#[inline]
fn put<T: Plain>(column: &mut Column, row: usize, value: Option<T>) -> Fit {
    match value {
        Some(value) => {
            column.put(row, value);
            Fit::Yes
        }
        None => Fit::No,
    }
}

/// Writes a decimal in the width that `DuckDB` keeps one of `width` digits in; it has no more, so it fits there.
fn put_decimal(column: &mut Column, row: usize, width: u8, value: Option<i128>) -> Fit {
    match width {
        0..=4 => put(column, row, value.and_then(|value| i16::try_from(value).ok())),
        5..=9 => put(column, row, value.and_then(|value| i32::try_from(value).ok())),
        10..=18 => put(column, row, value.and_then(|value| i64::try_from(value).ok())),
        _ => put(column, row, value),
    }
}

fn not_utf8(at: usize) -> Error {
    Error::data("TW-DUCK-014", format!("text is not UTF-8 at byte {at}, and DuckDB holds no other"))
        .remedy("leave the table out of the pipeline's `tables`, or move the source to a database in UTF-8")
}
