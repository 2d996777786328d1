//! One event's bytes, without checksum, to an [`Event`] that borrows from them: which event it is, and the ones that
//! change no rows. Rows, table maps and payloads are in `decode_rows`, GTIDs in `decode_gtid`.
//!
//! The assembler calls [`decode`] on every event of a dump and on those inside of a payload.

use tailwater_core::Result;

use super::compressed::Inflater;
use super::decode_gtid::{gtid, maria_gtid, tagged_gtid, xa_prepare};
use super::decode_rows::{payload, rows, table_map};
use super::event::{Event, Format, Header, Query, RowsKind};
use super::reader::Reader;
use crate::error::{malformed, unknown_event};

/// The number of a FORMAT_DESCRIPTION event.
pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
/// Of a QUERY event.
const QUERY: u8 = 2;
/// Bytes of the fixed part of a QUERY event, since MySQL 5.0.
const QUERY_FIXED: u8 = 13;
/// How many ways a rows event can say that it is one.
const ROWS_KINDS: [RowsKind; 3] = [RowsKind::Write, RowsKind::Update, RowsKind::Delete];

/// What `event` says. `format` is the one of the file it is of ([`Format::unknown`] before the first).
///
/// # Errors
/// An event that is not known and that the server does not allow to pass over, or bytes that are not as they should be.
pub fn decode<'a>(event: &'a [u8], format: &Format) -> Result<(Header, Event<'a>)> {
    let header = Header::parse(event)?;
    let body = event.get(Header::BYTES..).unwrap_or_default();
    Ok((header, body_of(&header, body, format)?))
}

fn body_of<'a>(header: &Header, body: &'a [u8], format: &Format) -> Result<Event<'a>> {
    let kind = header.kind;
    Ok(match kind {
        QUERY => Event::Query(query(body, format.fixed_bytes(kind)?)?),
        3 | 35 | 161 | 163 | 164 => Event::Bookkeeping,
        4 => rotate(body)?,
        5 | 6 | 8..=14 | 17 | 18 => Event::StatementPart,
        FORMAT_DESCRIPTION => Event::Format(format_description(body)?),
        16 => Event::Xid(Reader::new(body, "an XID event").u64()?),
        19 => Event::TableMap(table_map(body, format.fixed_bytes(kind)?)?),
        23..=25 => Event::Rows(rows(rows_kind(kind - 23), body, format.fixed_bytes(kind)?, false)?),
        26 => incident(body)?,
        27 => heartbeat(header, body, format)?,
        28 | 36 | 37 => Event::Ignorable,
        // A length that is cut off at 255 and that nobody reads.
        29 => Event::RowsQuery(body.get(1..).unwrap_or_default()),
        30..=32 => Event::Rows(rows(rows_kind(kind - 30), body, format.fixed_bytes(kind)?, false)?),
        33 | 34 => Event::Gtid(gtid(body)?),
        38 => xa_prepare(body)?,
        39 => Event::Rows(rows(RowsKind::PartialUpdate, body, format.fixed_bytes(kind)?, false)?),
        40 => Event::Payload(payload(body)?),
        41 => heartbeat_v2(body)?,
        42 => Event::Gtid(tagged_gtid(body)?),
        160 => Event::RowsQuery(body),
        162 => Event::MariaGtid(maria_gtid(body)?),
        165 => {
            // Read once here, so that what is broken is found where it is.
            query(body, format.fixed_bytes(kind)?)?;
            Event::CompressedQuery(body)
        }
        166..=168 => Event::Rows(rows(rows_kind(kind - 166), body, format.fixed_bytes(kind)?, true)?),
        169..=171 => Event::Rows(rows(rows_kind(kind - 169), body, format.fixed_bytes(kind)?, true)?),
        // Pieces of a rows event that is larger than a packet (MariaDB 12.3): they change rows, whatever their flags say.
        172 => return Err(unknown_event(kind)),
        _unknown if header.flags & Header::IGNORABLE != 0 => Event::Ignorable,
        unknown => return Err(unknown_event(unknown)),
    })
}

fn rows_kind(offset: u8) -> RowsKind {
    ROWS_KINDS.get(usize::from(offset)).copied().unwrap_or(RowsKind::Delete)
}

impl Format {
    /// What is known before the first FORMAT_DESCRIPTION: enough for the ROTATE that a dump begins with.
    #[must_use]
    pub fn unknown() -> Self {
        Self { server_version: String::new(), checksummed: false, post_header_bytes: Vec::new() }
    }

    /// The file was written by MariaDB, whose events differ.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.server_version.contains("MariaDB")
    }

    /// Bytes of the fixed part of events of `kind`.
    fn fixed_bytes(&self, kind: u8) -> Result<u8> {
        let index = usize::from(kind).wrapping_sub(1);
        let known = self.post_header_bytes.get(index).copied();
        known.ok_or_else(|| malformed(format!("the log does not say how an event of kind {kind} begins")))
    }
}

fn format_description(body: &[u8]) -> Result<Format> {
    let mut reader = Reader::new(body, "a FORMAT_DESCRIPTION event");
    let version = reader.u16()?;
    let server_version = reader.take(50)?;
    let _created = reader.u32()?;
    let header_bytes = reader.u8()?;
    if version != 4 || usize::from(header_bytes) != Header::BYTES {
        return Err(malformed(format!(
            "the log is of version {version} with headers of {header_bytes} bytes"
        )));
    }
    let server_version = server_version.split(|&byte| byte == 0).next().unwrap_or_default();
    let (_, post_header_bytes) = reader
        .rest()
        .split_last()
        .filter(|(_, lengths)| lengths.len() >= usize::from(FORMAT_DESCRIPTION))
        .ok_or_else(|| malformed("a FORMAT_DESCRIPTION event is cut short"))?;
    Ok(Format {
        server_version: String::from_utf8_lossy(server_version).into_owned(),
        checksummed: ends_in_checksum(body)?,
        post_header_bytes: post_header_bytes.to_vec(),
    })
}

/// The last byte of a FORMAT_DESCRIPTION event is the kind of checksum.
pub(crate) fn ends_in_checksum(format_description: &[u8]) -> Result<bool> {
    match format_description.last() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        other => {
            Err(malformed(format!("checksums of kind {} are not known", other.copied().unwrap_or_default())))
        }
    }
}

fn rotate(body: &[u8]) -> Result<Event<'_>> {
    let mut reader = Reader::new(body, "a ROTATE event");
    Ok(Event::Rotate { position: reader.u64()?, file: reader.rest() })
}

fn incident(body: &[u8]) -> Result<Event<'_>> {
    let mut reader = Reader::new(body, "an INCIDENT event");
    let number = reader.u16()?;
    let bytes = usize::from(reader.u8()?);
    Ok(Event::Incident { number, message: reader.take(bytes)? })
}

fn heartbeat<'a>(header: &Header, body: &'a [u8], format: &Format) -> Result<Event<'a>> {
    // MariaDB puts the position in front of the name where it does not fit into the header.
    if header.log_pos == 0 && format.is_mariadb() {
        let mut reader = Reader::new(body, "a HEARTBEAT event");
        let position = Some(reader.u64()?);
        return Ok(Event::Heartbeat { position, file: reader.rest() });
    }
    Ok(Event::Heartbeat { file: body, position: None })
}

fn heartbeat_v2(body: &[u8]) -> Result<Event<'_>> {
    let mut reader = Reader::new(body, "a HEARTBEAT_V2 event");
    let mut file: &[u8] = &[];
    let mut position = None;
    while !reader.is_empty() {
        let field = reader.u8()?;
        if field == 0 {
            break;
        }
        let value = reader.packed_bytes()?;
        match field {
            1 => file = value,
            2 => position = Some(Reader::new(value, "a HEARTBEAT_V2 event's position").packed()?),
            _added_later => {}
        }
    }
    Ok(Event::Heartbeat { file, position })
}

fn query(body: &[u8], fixed_bytes: u8) -> Result<Query<'_>> {
    if fixed_bytes != QUERY_FIXED {
        return Err(malformed(format!("a QUERY event begins with {fixed_bytes} bytes instead of 13")));
    }
    let mut reader = Reader::new(body, "a QUERY event");
    let thread = reader.u32()?;
    let _seconds = reader.u32()?;
    let schema_bytes = usize::from(reader.u8()?);
    let error = reader.u16()?;
    let status_bytes = usize::from(reader.u16()?);
    let status = reader.take(status_bytes)?;
    let schema = reader.take(schema_bytes)?;
    reader.zero()?;
    Ok(Query { thread, error, schema, text: reader.rest(), collation: client_collation(status)? })
}

impl<'a> Query<'a> {
    /// The statement of an [`Event::CompressedQuery`], its text in `text`.
    ///
    /// # Errors
    /// What is compressed cannot be read.
    pub fn inflated(body: &'a [u8], inflater: &mut Inflater, text: &'a mut Vec<u8>) -> Result<Self> {
        let query = query(body, QUERY_FIXED)?;
        inflater.inflate(query.text, text)?;
        Ok(Self { text, ..query })
    }
}

/// The collation of the statement's text, from the status variables in front of it: a number each, and a value whose
/// length only the number tells. So one that is not known ends the walk, which does no harm: the servers write the
/// collation before all that they added since.
fn client_collation(status: &[u8]) -> Result<Option<u16>> {
    let mut reader = Reader::new(status, "a QUERY event's status");
    while !reader.is_empty() {
        match reader.u8()? {
            // Flags, replica's bookkeeping.
            0 | 3 | 10 => skip(&mut reader, 4)?,
            // SQL mode, tables for update, XIDs.
            1 | 9 | 17 | 129 => skip(&mut reader, 8)?,
            // Catalog, with a zero behind it.
            2 => {
                let bytes = usize::from(reader.u8()?);
                skip(&mut reader, bytes + 1)?;
            }
            4 => return Ok(Some(reader.u16()?)),
            // Time zone, catalog.
            5 | 6 => skip_short(&mut reader)?,
            // Language of dates, the schema's collation, that of utf8mb4, MariaDB's flags of its GTID.
            7 | 8 | 18 | 130 => skip(&mut reader, 2)?,
            // Who is invoking: user and host.
            11 => {
                skip_short(&mut reader)?;
                skip_short(&mut reader)?;
            }
            12 => skip_schemas(&mut reader)?,
            // Microseconds.
            13 | 128 => skip(&mut reader, 3)?,
            16 | 19 | 20 => skip(&mut reader, 1)?,
            // MariaDB's default collations of character sets.
            131 => {
                let count = usize::from(reader.u8()?);
                skip(&mut reader, count * 4)?;
            }
            _unknown => break,
        }
    }
    Ok(None)
}

fn skip(reader: &mut Reader<'_>, bytes: usize) -> Result<()> {
    reader.take(bytes).map(|_| ())
}

/// Bytes behind one that counts them.
fn skip_short(reader: &mut Reader<'_>) -> Result<()> {
    let bytes = usize::from(reader.u8()?);
    skip(reader, bytes)
}

/// The schemas a statement changes, each with a zero behind it; 254 of them are too many to be named.
fn skip_schemas(reader: &mut Reader<'_>) -> Result<()> {
    let count = reader.u8()?;
    for _ in 0..if count == 254 { 0 } else { count } {
        while reader.u8()? != 0 {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event with that number, `log_pos` and flags.
    fn event(kind: u8, log_pos: u32, flags: u16, body: &[u8]) -> Vec<u8> {
        let bytes = u32::try_from(Header::BYTES + body.len()).unwrap();
        let mut event = vec![0, 0, 0, 0, kind, 1, 0, 0, 0];
        event.extend_from_slice(&bytes.to_le_bytes());
        event.extend_from_slice(&log_pos.to_le_bytes());
        event.extend_from_slice(&flags.to_le_bytes());
        event.extend_from_slice(body);
        event
    }

    fn mariadb() -> Format {
        Format { server_version: "11.8.6-MariaDB".into(), ..Format::unknown() }
    }

    fn says<'a>(event: &'a [u8], format: &Format) -> Event<'a> {
        decode(event, format).unwrap().1
    }

    #[test]
    fn an_unknown_event_stops_unless_it_may_be_passed_over() {
        for kind in [0, 1, 7, 20, 43, 159, 172, 255] {
            let error = decode(&event(kind, 9, 0, b"?"), &Format::unknown()).unwrap_err();
            assert_eq!(error.code(), "TW-MY-041");
            assert!(error.to_string().contains(&format!("kind {kind} ")), "{error}");
            let passed = decode(&event(kind, 9, Header::IGNORABLE, b"?"), &Format::unknown()).map(|_| ());
            assert_eq!(passed.is_ok(), kind != 172, "MariaDB's pieces of a rows event");
        }
    }

    #[test]
    fn heartbeats_say_where_the_dump_stands() {
        let v1 = event(27, 9, 0, b"binlog.000002");
        let expected = Event::Heartbeat { file: b"binlog.000002", position: None };
        assert_eq!(says(&v1, &mariadb()), expected);
        assert_eq!(says(&v1, &Format::unknown()), expected);
        let far = [&(1_u64 << 33).to_le_bytes()[..], b"binlog.000002"].concat();
        let expected = Event::Heartbeat { file: b"binlog.000002", position: Some(1 << 33) };
        assert_eq!(says(&event(27, 0, 0, &far), &mariadb()), expected);
        let v2 =
            [b"\x01\x0dbinlog.000002\x02\x09\xFE".as_slice(), &(1_u64 << 33).to_le_bytes(), &[0]].concat();
        assert_eq!(says(&event(41, 9, 0, &v2), &Format::unknown()), expected);
    }

    #[test]
    fn an_incident_says_what_is_lost() {
        let lost = event(26, 9, 0, b"\x01\x00\x04lost");
        assert_eq!(says(&lost, &Format::unknown()), Event::Incident { number: 1, message: b"lost" });
    }

    #[test]
    fn gtids_of_every_version_are_read() {
        let gtid = |body: &[u8]| {
            let event = event(33, 9, 0, body);
            let Event::Gtid(gtid) = says(&event, &Format::unknown()) else { panic!("a GTID") };
            (gtid.number, gtid.commit_time_us, gtid.original_commit_time_us, gtid.bytes)
        };
        let v56 = [&[1][..], &[7; 16], &5_u64.to_le_bytes()].concat();
        assert_eq!(gtid(&v56), (5, 0, 0, 0));
        let v57 = [&v56[..], &[2], &[0; 16]].concat();
        assert_eq!(gtid(&v57), (5, 0, 0, 0));
        let alone = [&v57[..], &[3, 0, 0, 0, 0, 0, 0], &[0xFC, 0, 1], &[0; 4]].concat();
        assert_eq!(gtid(&alone), (5, 3, 3, 256));
        let replica = [&v57[..], &[3, 0, 0, 0, 0, 0, 0x80, 2, 0, 0, 0, 0, 0, 0], &[77], &[0; 4]].concat();
        assert_eq!(gtid(&replica), (5, 3, 2, 77));
    }

    #[test]
    fn the_clients_collation_is_found_behind_other_variables() {
        let names = [12, 2, b'a', 0, b'b', 0];
        let before =
            [&[0, 1, 2, 3, 4][..], &[2, 1, b's', 0], &names, &[12, 254], &[11, 1, b'u', 0], &[5, 1, b'Z']];
        let status = [before.concat(), vec![4, 8, 0, 9, 0, 9, 0]].concat();
        assert_eq!(client_collation(&status).unwrap(), Some(8));
        assert_eq!(client_collation(&[99, 4, 8, 0]).unwrap(), None);
        assert_eq!(client_collation(&[]).unwrap(), None);
        for end in [1, 6, 8, status.len() - 5] {
            client_collation(&status[..end]).unwrap_err();
        }
    }

    #[test]
    fn rows_of_version_2_skip_what_ndb_adds() {
        let format = Format { post_header_bytes: vec![10; 40], ..Format::unknown() };
        let body = [&[7, 0, 0, 0, 0, 0, 1, 0][..], &[5, 0, 9, 9, 9], &[2, 3, 1], b"images"].concat();
        let update = event(31, 9, 0, &body);
        let Event::Rows(rows) = says(&update, &format) else { panic!("rows") };
        assert_eq!((rows.table, rows.ends_statement, rows.columns), (7, true, 2));
        assert_eq!(
            (rows.first_present, rows.second_present, rows.images),
            (&[3][..], &[1][..], &b"images"[..])
        );
        let before_any_format = decode(&update, &Format::unknown()).unwrap_err();
        assert_eq!(before_any_format.code(), "TW-MY-040");
    }
}
