//! Log files as real servers wrote them (see `fixtures/README.md`): what every event in them says, in readable text
//! beside each file; and that no cut or changed byte of them makes the decoder panic.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is a failed test"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tailwater_core::Result;
use tailwater_mysql::binlog::columns::Described;
use tailwater_mysql::binlog::compressed::Inflater;
use tailwater_mysql::binlog::decode::decode;
use tailwater_mysql::binlog::event::{Event, Format, Gtid, Header, Query, Rows, TableMap};
use tailwater_mysql::binlog::header::checked;
use tailwater_mysql::binlog::payload::PayloadReader;
use tailwater_mysql::gtid::{GtidSet, write_uuid};

const FILES: [&str; 5] = ["mysql56", "mysql56-unchecked", "mysql97", "mariadb1011", "mariadb118"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(file: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("{file}.binlog"))).unwrap()
}

/// Every event of a log file, whole.
fn events(file: &[u8]) -> Vec<&[u8]> {
    let mut left = file.strip_prefix(b"\xfebin").unwrap();
    let mut events = Vec::new();
    while !left.is_empty() {
        let bytes = Header::parse(left).unwrap().bytes as usize;
        events.push(&left[..bytes]);
        left = &left[bytes..];
    }
    events
}

/// The character sets that the fixtures use.
fn to_utf8(collation: u16, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match collation {
        8 => out.extend(bytes.iter().flat_map(|&byte| char::from(byte).to_string().into_bytes())),
        54 | 2816 => {
            let units: Vec<u16> =
                bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            out.extend(String::from_utf16(&units).unwrap().into_bytes());
        }
        _utf8 => out.extend_from_slice(bytes),
    }
    Ok(())
}

/// What is needed from one event to the next.
struct Dump {
    format: Format,
    inflater: Inflater,
    text: String,
    /// Names of the columns, by the table's number.
    tables: Vec<(u64, usize)>,
}

impl Dump {
    fn file(file: &[u8]) -> Self {
        let mut dump = Self {
            format: Format::unknown(),
            inflater: Inflater::default(),
            text: String::new(),
            tables: Vec::new(),
        };
        for (index, event) in events(file).into_iter().enumerate() {
            let content = checked(event, (index > 0).then_some(&dump.format)).unwrap();
            dump.event(content, "");
        }
        dump
    }

    fn event(&mut self, content: &[u8], indent: &str) {
        let format = self.format.clone();
        let (header, event) = decode(content, &format).unwrap();
        write!(self.text, "{indent}{:3} ", header.kind).unwrap();
        self.said(event);
        if let Ok((_, Event::Payload(payload))) = decode(content, &format) {
            let mut reader = PayloadReader::new().unwrap();
            reader.begin(&payload).unwrap();
            while let Some(inner) = reader.next_event(payload.content).unwrap() {
                self.event(inner, "    ");
            }
        }
    }

    fn said(&mut self, event: Event<'_>) {
        match event {
            Event::Format(format) => {
                let shown = (&format.server_version, format.checksummed, format.post_header_bytes.len());
                writeln!(self.text, "format {shown:?}").unwrap();
                self.format = format;
            }
            Event::Rotate { file, position } => {
                writeln!(self.text, "rotate {} {position}", text(file)).unwrap();
            }
            Event::Gtid(gtid) => self.gtid(&gtid),
            Event::MariaGtid(gtid) => {
                let xid = gtid.xid.map(|xid| xid.to_string());
                let shown = (gtid.domain, gtid.sequence, gtid.flags, xid);
                writeln!(self.text, "gtid {shown:?}").unwrap();
            }
            Event::Query(query) => self.query("query", &query),
            Event::CompressedQuery(body) => {
                let mut inflated = Vec::new();
                let mut inflater = std::mem::take(&mut self.inflater);
                let query = Query::inflated(body, &mut inflater, &mut inflated).unwrap();
                self.query("compressed query", &query);
                self.inflater = inflater;
            }
            Event::TableMap(map) => self.table_map(&map),
            Event::Rows(rows) => self.rows(rows),
            Event::Payload(payload) => {
                let ratio = (payload.zstd, payload.inflated_bytes, payload.content.len());
                writeln!(self.text, "payload {ratio:?}").unwrap();
            }
            Event::RowsQuery(query) => writeln!(self.text, "from {}", text(query)).unwrap(),
            Event::Heartbeat { file, position } => {
                writeln!(self.text, "heartbeat {} {position:?}", text(file)).unwrap();
            }
            Event::Incident { number, message } => {
                writeln!(self.text, "incident {number} {}", text(message)).unwrap();
            }
            Event::Xid(_) | Event::XaPrepare { .. } | Event::Bookkeeping => {
                writeln!(self.text, "{event:?}").unwrap();
            }
            Event::StatementPart | Event::Ignorable => writeln!(self.text, "{event:?}").unwrap(),
        }
    }

    fn gtid(&mut self, gtid: &Gtid<'_>) {
        let mut uuid = String::new();
        write_uuid(&gtid.uuid, &mut uuid);
        let mut of = GtidSet::default();
        of.add(&gtid.uuid, gtid.tag, gtid.number);
        assert!(of.to_string().starts_with(&uuid));
        assert_eq!(gtid.commit_time_us, gtid.original_commit_time_us, "a single server");
        writeln!(self.text, "gtid {of}, {} bytes at {}", gtid.bytes, gtid.commit_time_us).unwrap();
    }

    fn query(&mut self, what: &str, query: &Query<'_>) {
        let collation = query.collation.map_or("?".to_owned(), |collation| collation.to_string());
        let (schema, said) = (text(query.schema), text(query.text));
        writeln!(self.text, "{what} [{schema}, {collation}, {}] {said}", query.error).unwrap();
    }

    fn table_map(&mut self, map: &TableMap<'_>) {
        writeln!(self.text, "table {}.{} flags {}", text(map.schema), text(map.table), map.flags).unwrap();
        let columns = map.columns(&self.format, &to_utf8).unwrap().columns;
        if self.tables.iter().all(|&(number, _)| number != map.number) {
            columns.iter().for_each(|column| self.column(column));
        }
        self.tables.push((map.number, columns.len()));
    }

    fn column(&mut self, column: &Described) {
        write!(self.text, "        {} {:?}", column.name.as_deref().unwrap_or("?"), column.stored).unwrap();
        let marks = [(!column.nullable, " not null"), (!column.visible, " hidden")];
        marks.iter().filter(|(set, _)| *set).for_each(|(_, mark)| self.text.push_str(mark));
        let numbers = [
            ("unsigned", column.unsigned.map(u32::from)),
            ("collation", column.collation.map(u32::from)),
            ("key", column.key.map(u32::from)),
            ("geometry", column.geometry.map(u32::from)),
            ("dimensions", column.dimensions),
        ];
        for (name, number) in numbers {
            number.iter().for_each(|number| write!(self.text, " {name}={number}").unwrap());
        }
        if !column.labels.is_empty() {
            write!(self.text, " {:?}", column.labels).unwrap();
        }
        self.text.push('\n');
    }

    fn rows(&mut self, rows: Rows<'_>) {
        let mut images = Vec::new();
        let compressed = rows.compressed;
        let rows = rows.inflated(&mut self.inflater, &mut images).unwrap();
        let known = self.tables.iter().rev().find(|(number, _)| *number == rows.table);
        assert_eq!(known.map(|&(_, columns)| columns), Some(rows.columns), "the table's columns");
        let end = if rows.ends_statement { " and ends the statement" } else { "" };
        let size = (rows.images.len(), compressed);
        let present = (bits(rows.first_present), bits(rows.second_present));
        writeln!(self.text, "{:?} {size:?} {present:?}{end}", rows.kind).unwrap();
    }
}

fn bits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}

#[test]
fn every_recorded_event_reads_as_written() {
    for file in FILES {
        expect_test::expect_file![fixture(&format!("{file}.txt"))].assert_eq(&Dump::file(&read(file)).text);
    }
}

/// Everything that can be asked of an event's bytes; errors are welcome, panics are not.
fn walk(content: &[u8], format: &Format, inflater: &mut Inflater, reader: &mut PayloadReader) {
    let Ok((_, event)) = decode(content, format) else { return };
    let mut buffer = Vec::new();
    match event {
        Event::TableMap(map) => {
            let as_is = |_, bytes: &[u8], out: &mut Vec<u8>| {
                out.extend_from_slice(bytes);
                Ok(())
            };
            drop(map.columns(format, &as_is));
        }
        Event::CompressedQuery(body) => drop(Query::inflated(body, inflater, &mut buffer)),
        Event::Rows(rows) => drop(rows.inflated(inflater, &mut buffer)),
        Event::Payload(payload) => {
            reader.begin(&payload).unwrap();
            while let Ok(Some(inner)) = reader.next_event(payload.content) {
                drop(decode(inner, format));
            }
        }
        other => drop(format!("{other:?}")),
    }
}

#[test]
fn no_prefix_of_an_event_panics() {
    let (mut inflater, mut reader) = (Inflater::default(), PayloadReader::new().unwrap());
    for file in FILES {
        let bytes = read(file);
        let format = Dump::file(&bytes).format;
        for event in events(&bytes) {
            for end in 0..event.len() {
                drop(checked(&event[..end], Some(&format)));
                walk(&event[..end], &format, &mut inflater, &mut reader);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_changed_byte_panics(
        file in prop::sample::select(FILES.to_vec()),
        at in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let bytes = read(file);
        let format = Dump::file(&bytes).format;
        let mut event = at.get(&events(&bytes)).to_vec();
        let whole = event.clone();
        for (place, byte) in changes {
            let place = place.index(event.len());
            event[place] = byte;
        }
        let in_use = u16::from_le_bytes([event[17], event[18]]) ^ u16::from_le_bytes([whole[17], whole[18]]);
        if format.checksummed && event != whole && !(whole[4] == 15 && in_use == 1) {
            prop_assert!(checked(&event, Some(&format)).is_err(), "the checksum tells");
        }
        walk(&event, &format, &mut Inflater::default(), &mut PayloadReader::new().unwrap());
    }
}

/// PREVIOUS_GTIDS of the file that follows is the set of all that came before, in the form of the dump command.
#[test]
fn a_set_is_encoded_as_the_server_encodes_it() {
    let bytes = read("mysql97");
    let format = Dump::file(&bytes).format;
    let mut set = GtidSet::default();
    for event in events(&bytes) {
        match decode(checked(event, Some(&format)).unwrap(), &format).unwrap().1 {
            Event::Bookkeeping => {
                set = GtidSet::parse("29E7FF11-e5ad-11f1-bb46-02fc00000001: 1-9\n").unwrap()
            }
            Event::Gtid(gtid) => set.add(&gtid.uuid, gtid.tag, gtid.number),
            _ => {}
        }
        if event[4] == 35 {
            assert_eq!(set.encode(), event[Header::BYTES..event.len() - 4]);
        }
    }
    let expected = "11111111-2222-3333-4444-555555555555:17,29e7ff11-e5ad-11f1-bb46-02fc00000001:1-47,\
        29e7ff11-e5ad-11f1-bb46-02fc00000001:blue_1:1";
    assert_eq!(set.to_string(), expected);
    let next = read("mysql97-next");
    let previous = events(&next)[1];
    assert_eq!(set.encode(), previous[Header::BYTES..previous.len() - 4]);
}

/// A file that is still written is marked so, without a new checksum.
#[test]
fn a_file_in_use_has_its_checksum() {
    let next = read("mysql97-next");
    let format_description = events(&next)[0];
    assert_eq!(format_description[17] & 1, 1);
    checked(format_description, None).unwrap();
}
