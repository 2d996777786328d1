//! Any bytes are a document of MySQL's binary JSON or an error, and any bytes are a diff of it or an error. The first
//! byte of an input says how many of the bytes behind it are the document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater_mysql::binlog::{json, json_diff};

fuzz_target!(|input: &[u8]| {
    let Some((&length, rest)) = input.split_first() else { return };
    let (document, diffs) = rest.split_at(usize::from(length).min(rest.len()));
    let (mut printed, mut changed) = (Vec::new(), Vec::new());
    if json::write(document, &mut printed).is_ok() && json_diff::write(document, &[], &mut changed).is_ok() {
        assert_eq!(printed, changed);
    }
    changed.clear();
    // Nothing is learnt from an error but that there is one.
    drop(json_diff::write(document, diffs, &mut changed));
});
