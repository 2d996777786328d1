//! Any bytes are an event of the binary log or an error: `binlog::decode` and everything that can be asked of what it
//! says. The first byte of an input says whether the file is MariaDB's and how its rows events begin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater_mysql::binlog::compressed::Inflater;
use tailwater_mysql::binlog::decode::decode;
use tailwater_mysql::binlog::event::{Event, Format, Header, Payload, Query, Rows, TableMap};
use tailwater_mysql::binlog::header::checked;
use tailwater_mysql::binlog::payload::PayloadReader;

fuzz_target!(|input: &[u8]| {
    let Some((flags, event)) = input.split_first() else { return };
    let format = format(*flags);
    if let Ok(content) = checked(event, Some(&format)) {
        assert!(content.len() <= event.len() && content.len() >= Header::BYTES);
    }
    let Ok((_, said)) = decode(event, &format) else { return };
    look(said, &format);
});

/// As the servers announce: rows events begin with 8 bytes or 10, and all others as they have since 5.6.
fn format(flags: u8) -> Format {
    let mut post_header_bytes = vec![if flags & 2 == 0 { 8 } else { 10 }; 171];
    post_header_bytes[1] = 13;
    post_header_bytes[164] = 13;
    post_header_bytes[18] = 8;
    let server_version = if flags & 1 == 0 { "9.7.4" } else { "11.8.6-MariaDB" };
    Format { server_version: server_version.to_owned(), checksummed: flags & 4 != 0, post_header_bytes }
}

fn look(said: Event<'_>, format: &Format) {
    let mut buffer = Vec::new();
    match said {
        Event::TableMap(map) => columns(&map, format),
        Event::Rows(rows) => images(rows, &mut buffer),
        Event::Payload(payload) => events(&payload, format),
        Event::CompressedQuery(body) => {
            if let Ok(query) = Query::inflated(body, &mut Inflater::default(), &mut buffer) {
                assert!(query.schema.len() < 256);
            }
        }
        other => assert!(!format!("{other:?}").is_empty()),
    }
}

fn columns(map: &TableMap<'_>, format: &Format) {
    let as_is = |_, bytes: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let Ok(described) = map.columns(format, &as_is) else { return };
    assert_eq!(described.columns.len(), map.types.len());
    let named = described.columns.iter().filter(|column| column.name.is_some()).count();
    assert!(named == 0 || named == map.types.len(), "all columns have a name, or none");
}

fn images(rows: Rows<'_>, buffer: &mut Vec<u8>) {
    assert_eq!(rows.first_present.len(), rows.columns.div_ceil(8));
    if let Ok(inflated) = rows.inflated(&mut Inflater::default(), buffer) {
        assert!(!inflated.compressed);
    }
}

fn events(payload: &Payload<'_>, format: &Format) {
    let mut reader = PayloadReader::new().expect("memory for zstd");
    reader.begin(payload).expect("zstd begins afresh");
    let mut bytes = 0;
    loop {
        match reader.next_event(payload.content) {
            Ok(Some(event)) => {
                bytes += event.len() as u64;
                drop(decode(event, format));
            }
            Ok(None) => break assert_eq!(bytes, payload.inflated_bytes),
            Err(_) => break assert!(bytes <= payload.inflated_bytes),
        }
    }
}
