//! Values of `DuckDB` as the text that Postgres prints for them: the way out, for proofs, dumps, widened columns and
//! answers to queries. The inverse of [`parse`](super::parse) for every type.

use super::number::push;
use super::{ColumnType, calendar, number};
use crate::rows::Vector;

/// Appends the text of a row to `out`; says `false`, and appends nothing, where it is NULL.
///
/// # Panics
/// When there is no such row.
pub fn render(vector: &Vector<'_>, row: usize, out: &mut Vec<u8>) -> bool {
    if vector.is_null(row) {
        return false;
    }
    match vector.kind() {
        ColumnType::Boolean => out.push(if vector.get::<u8>(row) == 0 { b'f' } else { b't' }),
        ColumnType::SmallInt => push(out, format_args!("{}", vector.get::<i16>(row))),
        ColumnType::Integer => push(out, format_args!("{}", vector.get::<i32>(row))),
        ColumnType::BigInt => push(out, format_args!("{}", vector.get::<i64>(row))),
        ColumnType::UInteger => push(out, format_args!("{}", vector.get::<u32>(row))),
        ColumnType::UBigInt => push(out, format_args!("{}", vector.get::<u64>(row))),
        ColumnType::HugeInt => push(out, format_args!("{}", vector.get::<i128>(row))),
        ColumnType::Float => number::render_float(vector.get::<f32>(row), out),
        ColumnType::Double => number::render_float(vector.get::<f64>(row), out),
        ColumnType::Decimal { width, scale } => {
            let value = match width {
                0..=4 => i128::from(vector.get::<i16>(row)),
                5..=9 => i128::from(vector.get::<i32>(row)),
                10..=18 => i128::from(vector.get::<i64>(row)),
                _ => vector.get::<i128>(row),
            };
            number::render_decimal(value, *scale, out);
        }
        ColumnType::Varchar | ColumnType::Json => out.extend_from_slice(vector.bytes(row)),
        ColumnType::Blob => number::render_bytes(vector.bytes(row), out),
        ColumnType::Date => calendar::render_date(vector.get(row), out),
        ColumnType::Time => calendar::render_time(vector.get(row), out),
        ColumnType::TimeTz => calendar::render_time_tz(vector.get(row), out),
        ColumnType::Timestamp => calendar::render_timestamp(vector.get(row), b"", out),
        ColumnType::TimestampTz => calendar::render_timestamp(vector.get(row), b"+00", out),
        ColumnType::Interval => calendar::render_interval(vector.get(row), out),
        ColumnType::Uuid => number::render_uuid(vector.get(row), out),
        ColumnType::List(_) => render_list(vector, row, out),
    }
    true
}

/// One row as text, in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct RowText {
    bytes: Vec<u8>,
    /// Where each value ends in `bytes`; `None` for NULL.
    ends: Vec<Option<usize>>,
}

impl RowText {
    /// Takes the values of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn render(&mut self, columns: &[Vector<'_>], row: usize) {
        self.bytes.clear();
        self.ends.clear();
        for column in columns {
            let end = render(column, row, &mut self.bytes).then_some(self.bytes.len());
            self.ends.push(end);
        }
    }

    /// The values, in order; `None` for NULL.
    pub fn values(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let value = self.bytes.get(start..(*end)?);
            start = end.unwrap_or(start);
            value
        })
    }
}

fn render_list(vector: &Vector<'_>, row: usize, out: &mut Vec<u8>) {
    let (elements, range) = vector.list(row);
    let mut text = Vec::new();
    out.push(b'{');
    for (index, element) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text.clear();
        if !render(elements, element, &mut text) {
            out.extend_from_slice(b"NULL");
        } else if matches!(elements.kind(), ColumnType::List(_)) || !must_be_quoted(&text) {
            out.extend_from_slice(&text);
        } else {
            out.push(b'"');
            for &byte in &text {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
    }
    out.push(b'}');
}

/// Whether Postgres puts an element in quotes.
fn must_be_quoted(text: &[u8]) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text.iter().any(|byte| {
            matches!(
                byte,
                b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c'
            )
        })
}
