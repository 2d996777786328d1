//! Row images out of the logs of real servers beside what `SELECT` printed of the same rows, in `fixtures.txt`: server
//! and column, the images in hexadecimal, a line per row between two `=`. Floats and vectors, which no server prints as we do, were
//! written by hand.

use proptest::prelude::*;
use tailwater_core::Value;

use super::*;
use crate::binlog::columns::{Described, Stored};
use crate::binlog::plan::Hint;
use crate::binlog::plan::tests::column;

/// A table of a key and a column of that name, as the fixtures have it.
fn described(name: &str) -> Vec<(Described, Hint)> {
    let int = || (Described { unsigned: Some(false), ..column(Stored::Long) }, Hint::None);
    let number = |stored, unsigned| Described { unsigned: Some(unsigned), ..column(stored) };
    let text = |stored, collation| Described { collation: Some(collation), ..column(stored) };
    let labels = |stored, labels: &str| Described {
        labels: labels.split(' ').map(Into::into).collect(),
        ..text(stored, 255)
    };
    let (blob, long) = (Stored::Blob { length_bytes: 2 }, Stored::Blob { length_bytes: 4 });
    let json = || column(Stored::Json { length_bytes: 4 });
    let mut hint = Hint::None;
    let described = match name {
        "tinyint" => number(Stored::Tiny, false),
        "mediumint" => number(Stored::Int24, false),
        "mediumint unsigned" => number(Stored::Int24, true),
        "bigint" => number(Stored::LongLong, false),
        "bigint unsigned" => number(Stored::LongLong, true),
        "decimal(10,2)" => column(Stored::NewDecimal { precision: 10, scale: 2 }),
        "decimal(65,30)" => column(Stored::NewDecimal { precision: 65, scale: 30 }),
        "decimal(5,5)" => column(Stored::NewDecimal { precision: 5, scale: 5 }),
        "year" => column(Stored::Year),
        "date" => column(Stored::Date),
        "time" => column(Stored::Time { digits: 0 }),
        "time(2)" => column(Stored::Time { digits: 2 }),
        "time(6)" => column(Stored::Time { digits: 6 }),
        "datetime" => column(Stored::Datetime { digits: 0 }),
        "datetime(3)" => column(Stored::Datetime { digits: 3 }),
        "datetime(6)" => column(Stored::Datetime { digits: 6 }),
        "timestamp" => column(Stored::Timestamp { digits: 0 }),
        "timestamp(5)" => column(Stored::Timestamp { digits: 5 }),
        "timestamp to 2106" => column(Stored::Timestamp { digits: 6 }),
        "bit(12)" => column(Stored::Bit { bits: 12 }),
        "bit(64)" => column(Stored::Bit { bits: 64 }),
        "enum" => labels(Stored::Enum { bytes: 1 }, "small gro\u{df}"),
        "set" => labels(Stored::Set { bytes: 2 }, "a b c d e f g h i"),
        "char(3) latin1" => text(Stored::Char { bytes_max: 3 }, 8),
        "char(100) utf8mb4" => text(Stored::Char { bytes_max: 400 }, 255),
        "binary(4)" => text(Stored::Char { bytes_max: 4 }, 63),
        "varchar(300) ucs2" => text(Stored::Varchar { bytes_max: 600 }, 35),
        "varbinary(9)" => text(Stored::Varchar { bytes_max: 9 }, 63),
        "text sjis" => text(blob, 13),
        "longblob" => text(long, 63),
        "double" => column(Stored::Double),
        "float" => column(Stored::Float),
        "point" => column(Stored::Geometry { length_bytes: 4 }),
        "vector" => column(Stored::Vector { length_bytes: 4 }),
        "json" => json(),
        "json in latin1 table" => text(long, 45),
        "compressed text" | "compressed text, zlib header" => {
            text(Stored::CompressedBlob { length_bytes: 2 }, 45)
        }
        "compressed varbinary" => text(Stored::CompressedVarchar { bytes_max: 1001 }, 63),
        "compressed varchar" => text(Stored::CompressedVarchar { bytes_max: 51 }, 8),
        "uuid" | "inet6" | "inet4" => {
            let (of, bytes_max) = match name {
                "uuid" => (Hint::Uuid, 16),
                "inet6" => (Hint::Inet6, 16),
                _ => (Hint::Inet4, 4),
            };
            hint = of;
            text(Stored::Char { bytes_max }, 63)
        }
        partial => {
            assert!(partial.starts_with("partial "), "{name}");
            return vec![int(), (json(), Hint::None), int(), (json(), Hint::None)];
        }
    };
    vec![int(), (described, hint)]
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn plan(name: &str) -> Plan {
    let (described, hints): (Vec<_>, Vec<_>) = described(name).into_iter().unzip();
    Plan::new(&described, &hints).unwrap()
}

fn rows(kind: RowsKind, columns: usize, present: [&'static [u8]; 2]) -> Rows<'static> {
    Rows {
        kind,
        table: 1,
        ends_statement: true,
        columns,
        first_present: present[0],
        second_present: present[1],
        images: &[],
        compressed: false,
    }
}

/// The values of every row in `batch`, old ones before new ones.
fn values(rows: &Rows<'_>, plan: &Plan, images: &[u8]) -> Result<Vec<Vec<String>>> {
    let (mut batch, mut printed) = (Batch::default(), Vec::new());
    let mut images = Images::new(rows, plan, images)?;
    while let Some(change) = images.next(&mut batch)? {
        let rows = match change {
            RowChange::Insert(row) | RowChange::Delete(row) => vec![row],
            RowChange::Update { old, new } => vec![old, new],
        };
        for row in rows {
            printed.push(batch.values_of(row).map(print).collect());
        }
    }
    Ok(printed)
}

fn print(value: Value<'_>) -> String {
    match value {
        Value::Unsent => "UNSENT".into(),
        Value::Null => "NULL".into(),
        Value::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
    }
}

#[test]
fn prints_what_real_servers_print() {
    let mut seen = 0;
    for fixture in include_str!("fixtures.txt").split_terminator("\n\n") {
        let mut lines = fixture.lines();
        let (_, name) = lines.next().unwrap().split_once('|').unwrap();
        let images = unhex(lines.next().unwrap());
        let expected: Vec<&str> = lines
            .map(|line| line.strip_prefix('=').and_then(|line| line.strip_suffix('=')).unwrap())
            .collect();
        let plan = plan(name);
        let columns = plan.columns.len();
        let (kind, present): (_, &[u8]) =
            if columns == 4 { (RowsKind::PartialUpdate, &[0b1111]) } else { (RowsKind::Write, &[0b11]) };
        let printed = values(&rows(kind, columns, [present; 2]), &plan, &images)
            .unwrap_or_else(|error| panic!("{fixture}: {error}"));
        let skipped = usize::from(kind == RowsKind::PartialUpdate);
        let printed: Vec<&String> = printed.iter().skip(skipped).map(|row| row.last().unwrap()).collect();
        assert_eq!(printed, expected, "{fixture}");
        seen += 1;
    }
    assert_eq!(seen, 122);
}

fn three_columns() -> Plan {
    let tiny = Described { unsigned: Some(false), ..column(Stored::Tiny) };
    Plan::new(&[tiny.clone(), tiny.clone(), tiny], &[]).unwrap()
}

#[test]
fn keeps_what_an_image_lacks_apart_from_null() {
    let plan = three_columns();
    // Minimal images: the key before; after it the second column, NULL, and nothing of the third.
    let update = rows(RowsKind::Update, 3, [&[0b001], &[0b010]]);
    let printed = values(&update, &plan, &[0, 7, 1]).unwrap();
    assert_eq!(printed, [["7", "UNSENT", "UNSENT"], ["7", "NULL", "UNSENT"]]);
    let delete = rows(RowsKind::Delete, 3, [&[0b101], &[0b101]]);
    let printed = values(&delete, &plan, &[0, 7, 0xFF, 0b10, 8]).unwrap();
    assert_eq!(printed, [["7", "UNSENT", "-1"], ["8", "UNSENT", "NULL"]]);
}

#[test]
fn names_the_column_that_cannot_be_read() {
    let plan = three_columns();
    let write = rows(RowsKind::Write, 3, [&[0b111], &[0b111]]);
    let message = |images: &[u8]| values(&write, &plan, images).unwrap_err().message();
    assert_eq!(message(&[0, 1]), "a row image that ends within column c");
    let short = rows(RowsKind::Write, 2, [&[0b11], &[0b11]]);
    assert!(Images::new(&short, &plan, &[]).is_err());
    let nothing = rows(RowsKind::Write, 3, [&[0], &[0]]);
    assert!(values(&nothing, &plan, &[0]).is_err(), "an image of no columns has no bytes");
    let labels = plan_of_enum();
    let write = rows(RowsKind::Write, 1, [&[1], &[1]]);
    let message = values(&write, &labels, &[0, 3]).unwrap_err().message();
    assert_eq!(message, "read column c: label 3 of an ENUM that has 2");
}

fn plan_of_enum() -> Plan {
    let labels = vec!["a".to_owned(), "b".to_owned()];
    Plan::new(&[Described { labels, ..column(Stored::Enum { bytes: 1 }) }], &[]).unwrap()
}

#[test]
fn a_diff_without_the_document_before_is_unsent() {
    let plan = plan("partial none");
    let json = Stored::Json { length_bytes: 4 };
    assert_eq!(plan.columns[1], Plan::new(&[column(json)], &[]).unwrap().columns[0]);
    let update = rows(RowsKind::PartialUpdate, 4, [&[0b0001], &[0b1000]]);
    // Options 1, the bits of both documents, no NULLs, a diff that removes `$.a`.
    let images = [0, 1, 0, 0, 0, 1, 0b10, 0, 5, 0, 0, 0, 2, 3, b'$', b'.', b'a'];
    let printed = values(&update, &plan, &images).unwrap();
    assert_eq!(printed, [["1", "UNSENT", "UNSENT", "UNSENT"]; 2]);
}

/// Columns of the fixtures.
static NAMES: std::sync::LazyLock<Vec<&str>> = std::sync::LazyLock::new(|| {
    include_str!("fixtures.txt").lines().filter_map(|line| Some(line.split_once('|')?.1)).collect()
});

proptest! {
    #[test]
    fn any_bytes_are_rows_or_an_error(pick: usize, images in proptest::collection::vec(any::<u8>(), 0..80)) {
        let name = NAMES[pick % NAMES.len()];
        let plan = plan(name);
        let columns = plan.columns.len();
        let kind = if columns == 4 { RowsKind::PartialUpdate } else { RowsKind::Write };
        let rows = rows(kind, columns, [if columns == 4 { &[0b1111] } else { &[0b11] }; 2]);
        let mut batch = Batch::default();
        let mut images = Images::new(&rows, &plan, &images).unwrap();
        while let Ok(Some(_)) = images.next(&mut batch) {}
    }
}
