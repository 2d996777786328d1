//! Any bytes are a replication message or an error: `pgoutput::decode` and its envelope. The first byte of an input
//! says whether the message stands inside a streamed chunk. Everything borrowed from a message is walked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater_postgres::envelope::{Replication, decode_copy_data};
use tailwater_postgres::pgoutput::{Message, Old, Tuple, TupleValue, decode};

fuzz_target!(|input: &[u8]| {
    let Some((flag, message)) = input.split_first() else { return };
    look(message, flag & 1 == 1);
    if let Ok(Replication::XLogData { payload, .. }) = decode_copy_data(message) {
        look(payload, flag & 1 == 1);
    }
});

fn look(message: &[u8], in_stream: bool) {
    let error = match decode(message, in_stream) {
        Ok(decoded) => return walk(&decoded, message),
        Err(error) => error,
    };
    assert!(error.offset <= message.len(), "an error beyond the message");
}

fn walk(decoded: &Message<'_>, message: &[u8]) {
    match decoded {
        Message::Insert { new, .. } => row(*new, message),
        Message::Update { old, new, .. } => {
            row(*new, message);
            if let Some(Old::Key(old) | Old::Full(old)) = old {
                row(*old, message);
            }
        }
        Message::Delete { old: Old::Key(old) | Old::Full(old), .. } => row(*old, message),
        Message::Relation { relation, .. } => {
            assert_eq!(relation.columns().count(), relation.column_count());
        }
        Message::Truncate { relations, .. } => {
            assert!(relations.oids().count() * 4 <= message.len());
        }
        _ => assert!(!format!("{decoded:?}").is_empty()),
    }
}

fn row(tuple: Tuple<'_>, message: &[u8]) {
    let sizes = tuple.values().map(|value| match value {
        TupleValue::Null | TupleValue::Unchanged => 0,
        TupleValue::Text(bytes) | TupleValue::Binary(bytes) => bytes.len(),
    });
    let sizes: Vec<usize> = sizes.collect();
    assert_eq!(sizes.len(), tuple.len(), "values are missing");
    assert!(sizes.iter().sum::<usize>() <= message.len(), "values overlap");
}
