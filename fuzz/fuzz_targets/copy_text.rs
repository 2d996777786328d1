//! Any bytes are a row of `COPY` or an error, and what was read is what is written again: `copytext::Decoder`. The
//! first byte of an input says how many columns are expected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater_core::Value;
use tailwater_postgres::copytext::Decoder;

fuzz_target!(|input: &[u8]| {
    let Some((&columns, row)) = input.split_first() else { return };
    let columns = usize::from(columns);
    let mut decoder = Decoder::default();
    let Ok(values) = decoder.values(row, columns) else { return };
    let values: Vec<Value<'_>> = values.collect();
    assert_eq!(values.len(), columns);
    // A newline inside a row never comes from a server, but does no harm; it is written escaped.
    if !row.strip_suffix(b"\n").is_some_and(|row| row.iter().any(|&byte| is_special(byte))) {
        assert_eq!(write(&values), row);
    }
});

fn is_special(byte: u8) -> bool {
    matches!(byte, 0x08 | b'\n' | 0x0B | 0x0C | b'\r')
}

fn write(values: &[Value<'_>]) -> Vec<u8> {
    let mut row = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            row.push(b'\t');
        }
        match value {
            Value::Null => row.extend_from_slice(b"\\N"),
            Value::Text(text) => text.iter().for_each(|&byte| escape(byte, &mut row)),
            Value::Unsent => panic!("a copied row has every value"),
        }
    }
    row.push(b'\n');
    row
}

fn escape(byte: u8, row: &mut Vec<u8>) {
    let letter = match byte {
        b'\\' => b'\\',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0B => b'v',
        0x0C => b'f',
        b'\r' => b'r',
        plain => return row.push(plain),
    };
    row.extend_from_slice(&[b'\\', letter]);
}
