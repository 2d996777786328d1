//! Decoding of messages recorded from real servers: version 1, also binary, and 3 from Postgres 15; version 4 with
//! `streaming=parallel` from Postgres 18. Each file in `recorded/` is the answer of
//! `pg_logical_slot_peek_binary_changes` in order, one message per line, with repetitions of long inserts left out.

use std::fmt::Write as _;

use expect_test::expect_file;
use proptest::prelude::*;

use super::*;

const RECORDED: [&str; 4] = [
    include_str!("recorded/v1.hex"),
    include_str!("recorded/v1-binary.hex"),
    include_str!("recorded/v3.hex"),
    include_str!("recorded/v4.hex"),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Messages with whether they stand inside a streamed chunk.
fn recorded(text: &str) -> Vec<(Vec<u8>, bool)> {
    let mut in_stream = false;
    text.lines()
        .map(|line| {
            let message = unhex(line);
            in_stream &= message[0] != b'E';
            let inside = in_stream;
            in_stream |= message[0] == b'S';
            (message, inside)
        })
        .collect()
}

fn decode_tag(line: &str) -> u8 {
    unhex(&line[..2])[0]
}

fn render_bytes(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=40 => format!("\"{}\"", bytes.escape_ascii()),
        len => format!("\"{}…\" {len} bytes", bytes[..4].escape_ascii()),
    }
}

fn render_tuple(tuple: Tuple<'_>) -> String {
    let values = tuple.values().map(|value| match value {
        TupleValue::Null => "∅".to_owned(),
        TupleValue::Unchanged => "unchanged".to_owned(),
        TupleValue::Text(text) => render_bytes(text),
        TupleValue::Binary(bytes) => format!("binary {}", render_bytes(bytes)),
    });
    format!("({})", values.collect::<Vec<_>>().join(", "))
}

fn render_old(old: Old<'_>) -> String {
    match old {
        Old::Key(tuple) => format!("key {}", render_tuple(tuple)),
        Old::Full(tuple) => format!("old {}", render_tuple(tuple)),
    }
}

fn render_relation(relation: &Relation<'_>) -> String {
    let columns = relation.columns().map(|column| {
        let key = if column.key { " key" } else { "" };
        format!("{} {}/{}{key}", column.name, column.type_oid, column.type_modifier)
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    assert_eq!(relation.columns().count(), relation.column_count());
    format!("{} {}.{} {:?} ({columns})", relation.oid, relation.schema, relation.name, relation.identity)
}

/// Compact text of a row, a relation or a list of tables; the rest as `Debug` prints it.
fn render(message: &Message<'_>) -> String {
    let (xid, text) = match message {
        Message::Insert { xid, relation, new } => (*xid, format!("insert {relation} {}", render_tuple(*new))),
        Message::Update { xid, relation, old, new } => {
            let old = old.map_or_else(String::new, |old| render_old(old) + " ");
            (*xid, format!("update {relation} {old}{}", render_tuple(*new)))
        }
        Message::Delete { xid, relation, old } => (*xid, format!("delete {relation} {}", render_old(*old))),
        Message::Relation { xid, relation } => (*xid, format!("relation {}", render_relation(relation))),
        Message::Type { xid, oid, schema, name } => (*xid, format!("type {oid} {schema}.{name}")),
        Message::Truncate { xid, relations, cascade, restart_identity } => {
            let oids: Vec<u32> = relations.oids().collect();
            (*xid, format!("truncate {oids:?} cascade={cascade} restart={restart_identity}"))
        }
        Message::Message { xid, transactional, lsn, prefix, content } => {
            let (prefix, content) = (render_bytes(prefix), render_bytes(content));
            (*xid, format!("message {prefix} {content} transactional={transactional} @{lsn}"))
        }
        Message::Begin { .. }
        | Message::Commit(_)
        | Message::Origin { .. }
        | Message::StreamStart { .. }
        | Message::StreamStop
        | Message::StreamCommit { .. }
        | Message::StreamAbort { .. }
        | Message::BeginPrepare(_)
        | Message::Prepare(_)
        | Message::CommitPrepared { .. }
        | Message::RollbackPrepared { .. }
        | Message::StreamPrepare(_) => (None, format!("{message:?}")),
    };
    xid.map_or(text.clone(), |xid| format!("{xid}: {text}"))
}

#[test]
fn decodes_what_real_servers_sent() {
    for (text, expected) in RECORDED.into_iter().zip([
        expect_file!["recorded/v1.txt"],
        expect_file!["recorded/v1-binary.txt"],
        expect_file!["recorded/v3.txt"],
        expect_file!["recorded/v4.txt"],
    ]) {
        let mut rendered = String::new();
        for (message, in_stream) in recorded(text) {
            writeln!(rendered, "{}", render(&decode(&message, in_stream).unwrap())).unwrap();
        }
        expected.assert_eq(&rendered);
    }
}

#[test]
fn recordings_hold_every_message() {
    let tags: std::collections::BTreeSet<char> =
        RECORDED.iter().flat_map(|text| text.lines()).map(|line| char::from(decode_tag(line))).collect();
    assert_eq!(tags.iter().collect::<String>(), "ABCDEIKMOPRSTUYbcpr");
}

/// The values a decoded message offers must be reachable without a panic, whatever the bytes were.
fn decode_and_walk(message: &[u8], in_stream: bool) -> bool {
    match decode(message, in_stream) {
        Ok(message) => !render(&message).is_empty(),
        Err(error) => {
            assert!(error.offset <= message.len(), "{error}");
            false
        }
    }
}

#[test]
fn every_prefix_is_an_error_and_no_corruption_panics() {
    for (message, in_stream) in RECORDED.iter().flat_map(|text| recorded(text)) {
        for len in 0..message.len() {
            let ok = decode_and_walk(&message[..len], in_stream);
            assert!(
                !ok || (message[0] == b'A' && len == 9),
                "a prefix of {len} bytes was taken for a message"
            );
        }
        let mut longer = message.clone();
        longer.push(0);
        assert!(!decode_and_walk(&longer, in_stream), "a trailing byte was taken");
        // Long values make most offsets of a long message alike.
        for offset in (0..message.len()).filter(|&offset| offset < 200 || offset + 50 > message.len()) {
            let mut corrupt = message.clone();
            for byte in [0, 1, 0x7F, 0xFF, message[offset] ^ 1, message[offset] ^ 0x80, b'n', b't'] {
                corrupt[offset] = byte;
                decode_and_walk(&corrupt, in_stream);
                decode_and_walk(&corrupt, !in_stream);
            }
        }
    }
}

#[test]
fn errors_name_tag_and_offset() {
    for (hex, expected) in [
        ("", "empty message: ends early"),
        ("7a00", "message 'z' at byte 0: unknown message"),
        ("49 00000001", "message 'I' at byte 5: ends early"),
        ("49 00000001 4f0000", "message 'I' at byte 5: no new row where one must be"),
        ("49 00000001 4e0001 78", "message 'I' at byte 8: unknown kind of value"),
        ("49 00000001 4e0001 7400000005ab", "message 'I' at byte 13: ends early"),
        ("49 00000001 4e0001 74ffffffffab", "message 'I' at byte 13: ends early"),
        ("55 00000001 4b0000 4b0000", "message 'U' at byte 8: no new row where one must be"),
        ("44 00000001 4e0000", "message 'D' at byte 5: no old row where one must be"),
        ("45 00", "message 'E' at byte 1: goes on after its end"),
        ("54 ffffffff 00", "message 'T' at byte 1: more tables than a message can hold"),
        ("54 00000000 04", "message 'T' at byte 5: unknown truncate flags"),
        ("43 01", "message 'C' at byte 1: unknown flags"),
        ("53 00000001 02", "message 'S' at byte 5: unknown segment flag"),
        ("4f 0000000000000000 61", "message 'O' at byte 9: text without its end"),
        ("4f 0000000000000000 61ff00", "message 'O' at byte 9: name that is not UTF-8"),
        ("52 00000001 00 7400 78 0000", "message 'R' at byte 8: unknown replica identity"),
        ("52 00000001 00 7400 64 0001 02", "message 'R' at byte 11: unknown column flags"),
        ("4d 02", "message 'M' at byte 1: unknown message flags"),
        ("41 00000001 00000001 00", "message 'A' at byte 9: ends early"),
    ] {
        assert_eq!(decode(&unhex(hex), false).unwrap_err().to_string(), expected, "{hex}");
    }
}

#[test]
fn an_empty_schema_is_the_catalogue() {
    for (hex, in_stream, expected) in [
        ("52 00000001 00 7400 6e 0000", false, "relation 1 pg_catalog.t Nothing ()"),
        ("59 00000009 00000001 00 7400", true, "9: type 1 pg_catalog.t"),
    ] {
        assert_eq!(render(&decode(&unhex(hex), in_stream).unwrap()), expected);
    }
}

#[derive(Debug, Clone)]
enum AnyValue {
    Null,
    Unchanged,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

impl AnyValue {
    fn borrowed(&self) -> TupleValue<'_> {
        match self {
            Self::Null => TupleValue::Null,
            Self::Unchanged => TupleValue::Unchanged,
            Self::Text(bytes) => TupleValue::Text(bytes),
            Self::Binary(bytes) => TupleValue::Binary(bytes),
        }
    }

    fn encode(&self, message: &mut Vec<u8>) {
        let (kind, bytes) = match self {
            Self::Null => return message.push(b'n'),
            Self::Unchanged => return message.push(b'u'),
            Self::Text(bytes) => (b't', bytes),
            Self::Binary(bytes) => (b'b', bytes),
        };
        message.push(kind);
        message.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        message.extend(bytes);
    }
}

fn encode_tuple(kind: u8, values: &[AnyValue], message: &mut Vec<u8>) {
    message.push(kind);
    message.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        value.encode(message);
    }
}

fn any_row() -> impl Strategy<Value = Vec<AnyValue>> {
    let value = prop_oneof![
        Just(AnyValue::Null),
        Just(AnyValue::Unchanged),
        any::<Vec<u8>>().prop_map(AnyValue::Text),
        any::<Vec<u8>>().prop_map(AnyValue::Binary),
    ];
    proptest::collection::vec(value, 0..8)
}

fn same(tuple: Tuple<'_>, values: &[AnyValue]) -> bool {
    tuple.len() == values.len() && tuple.values().eq(values.iter().map(AnyValue::borrowed))
}

proptest! {
    #[test]
    fn any_update_survives_the_round_trip(
        (xid, relation, full) in (any::<Option<u32>>(), any::<u32>(), any::<Option<bool>>()),
        before in any_row(),
        after in any_row(),
    ) {
        let mut message = vec![b'U'];
        message.extend(xid.into_iter().flat_map(u32::to_be_bytes));
        message.extend(relation.to_be_bytes());
        if let Some(full) = full {
            encode_tuple(if full { b'O' } else { b'K' }, &before, &mut message);
        }
        encode_tuple(b'N', &after, &mut message);
        let decoded = decode(&message, xid.is_some()).unwrap();
        let Message::Update { xid: got_xid, relation: got_relation, old, new } = decoded else {
            panic!("{decoded:?}")
        };
        prop_assert_eq!((got_xid, got_relation), (xid, relation));
        prop_assert!(same(new, &after));
        match (full, old) {
            (None, None) => {}
            (Some(true), Some(Old::Full(tuple))) | (Some(false), Some(Old::Key(tuple))) => {
                prop_assert!(same(tuple, &before));
            }
            (None | Some(_), _) => panic!("{old:?}"),
        }
    }

    #[test]
    fn any_relation_survives_the_round_trip(
        oid: u32,
        schema in "[^\0]{1,9}",
        name in "[^\0]{0,9}",
        columns in proptest::collection::vec((any::<bool>(), "[^\0]{0,9}", any::<u32>(), any::<i32>()), 0..9),
    ) {
        let mut message = vec![b'R'];
        message.extend(oid.to_be_bytes());
        message.extend(format!("{schema}\0{name}\0f").as_bytes());
        message.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
        for (key, name, type_oid, modifier) in &columns {
            message.push(u8::from(*key));
            message.extend(format!("{name}\0").as_bytes());
            message.extend(type_oid.to_be_bytes());
            message.extend(modifier.to_be_bytes());
        }
        let decoded = decode(&message, false).unwrap();
        let Message::Relation { xid: None, relation } = decoded else { panic!("{decoded:?}") };
        prop_assert_eq!((relation.oid, relation.schema, relation.name), (oid, &*schema, &*name));
        let got: Vec<_> = relation
            .columns()
            .map(|column| (column.key, column.name.to_owned(), column.type_oid, column.type_modifier))
            .collect();
        prop_assert_eq!(got, columns);
    }

    #[test]
    fn any_bytes_end_in_a_message_or_an_error(
        tag in proptest::sample::select(b"BCORYIUDTMSEcAbPKrp".to_vec()),
        rest: Vec<u8>,
        in_stream: bool,
    ) {
        let mut message = vec![tag];
        message.extend(rest);
        decode_and_walk(&message, in_stream);
    }
}
