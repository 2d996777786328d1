//! The events that change rows, and what says how to read them: TABLE_MAP, rows events of every version and the fields
//! of a TRANSACTION_PAYLOAD. For `decode` alone; what is in the images is read by `rows`.

use tailwater_core::Result;

use super::compressed::Inflater;
use super::event::{Payload, Rows, RowsKind, TableMap};
use super::reader::Reader;
use crate::error::malformed;

/// `STMT_END_F`
const STATEMENT_END: u16 = 1;
/// The fixed part of a rows event: the table's number and flags, and in version 2 the bytes of more.
const ROWS_V1: u8 = 8;
const ROWS_V2: u8 = 10;

pub(crate) fn table_map(body: &[u8], fixed_bytes: u8) -> Result<TableMap<'_>> {
    if fixed_bytes != ROWS_V1 {
        return Err(malformed(format!("a TABLE_MAP event begins with {fixed_bytes} bytes instead of 8")));
    }
    let mut reader = Reader::new(body, "a TABLE_MAP event");
    let number = reader.u48()?;
    let body = reader.rest();
    let flags = reader.u16()?;
    let schema = name(&mut reader)?;
    let table = name(&mut reader)?;
    let columns = reader.packed_size()?;
    let types = reader.take(columns)?;
    let metadata = reader.packed_bytes()?;
    let nullable = reader.take(columns.div_ceil(8))?;
    Ok(TableMap { number, flags, schema, table, body, types, metadata, nullable, optional: reader.rest() })
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let name = reader.packed_bytes()?;
    reader.zero()?;
    Ok(name)
}

pub(crate) fn rows(kind: RowsKind, body: &[u8], fixed_bytes: u8, compressed: bool) -> Result<Rows<'_>> {
    let mut reader = Reader::new(body, "a rows event");
    let table = reader.u48()?;
    let flags = reader.u16()?;
    match fixed_bytes {
        ROWS_V1 => {}
        ROWS_V2 => {
            // NDB's own, partitions, and how much that is: it counts itself.
            let more = usize::from(reader.u16()?);
            reader.take(more.checked_sub(2).ok_or_else(|| malformed("a rows event is cut short"))?)?;
        }
        other => return Err(malformed(format!("a rows event begins with {other} bytes"))),
    }
    let columns = reader.packed_size()?;
    let first_present = reader.take(columns.div_ceil(8))?;
    let second_present = match kind {
        RowsKind::Update | RowsKind::PartialUpdate => reader.take(columns.div_ceil(8))?,
        RowsKind::Write | RowsKind::Delete => first_present,
    };
    Ok(Rows {
        kind,
        table,
        ends_statement: flags & STATEMENT_END != 0,
        columns,
        first_present,
        second_present,
        images: reader.rest(),
        compressed,
    })
}

impl<'a> Rows<'a> {
    /// The same with its images as they are, in `images` if they were compressed.
    ///
    /// # Errors
    /// What is compressed cannot be read.
    pub fn inflated(self, inflater: &mut Inflater, images: &'a mut Vec<u8>) -> Result<Self> {
        if !self.compressed {
            return Ok(self);
        }
        inflater.inflate(self.images, images)?;
        Ok(Self { images, compressed: false, ..self })
    }
}

pub(crate) fn payload(body: &[u8]) -> Result<Payload<'_>> {
    let mut reader = Reader::new(body, "a TRANSACTION_PAYLOAD event");
    let (mut size, mut compression, mut inflated) = (None, None, None);
    loop {
        let field = reader.packed()?;
        if field == 0 {
            break;
        }
        let mut value = Reader::new(reader.packed_bytes()?, "a TRANSACTION_PAYLOAD event's field");
        match field {
            1 => size = Some(value.packed()?),
            2 => compression = Some(value.packed()?),
            3 => inflated = Some(value.packed()?),
            _added_later => {}
        }
    }
    let content = reader.rest();
    if size.is_some_and(|size| usize::try_from(size) != Ok(content.len())) {
        return Err(malformed("a TRANSACTION_PAYLOAD event has not the length it says"));
    }
    let zstd = match compression {
        Some(0) => true,
        Some(255) => false,
        other => {
            return Err(malformed(format!(
                "a payload is compressed by method {}",
                other.unwrap_or_default()
            )));
        }
    };
    // What is not compressed may not say how long it is.
    let own = (!zstd).then_some(content.len() as u64);
    let inflated_bytes =
        inflated.or(own).ok_or_else(|| malformed("a TRANSACTION_PAYLOAD event does not say its length"))?;
    Ok(Payload { zstd, inflated_bytes, content })
}
