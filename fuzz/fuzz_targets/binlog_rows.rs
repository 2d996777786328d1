//! Any bytes are row images or an error: `plan` and `rows`. The first bytes of an input say what the event is, which
//! columns its images have, and of which types they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater_core::Batch;
use tailwater_mysql::binlog::columns::{Described, Stored};
use tailwater_mysql::binlog::event::{Rows, RowsKind};
use tailwater_mysql::binlog::plan::{Hint, Plan};
use tailwater_mysql::binlog::rows::Images;

fuzz_target!(|input: &[u8]| {
    let [kind, first, second, columns @ ..] = input else { return };
    let count = usize::from(kind >> 2 & 7) + 1;
    let Some((columns, images)) = columns.split_at_checked(4 * count) else { return };
    let kinds = [RowsKind::Write, RowsKind::Update, RowsKind::Delete, RowsKind::PartialUpdate];
    let (described, hints): (Vec<Described>, Vec<Hint>) =
        columns.chunks(4).map(|column| describe([column[0], column[1], column[2], column[3]])).unzip();
    let Ok(plan) = Plan::new(&described, &hints) else { return };
    let mask = if count == 8 { 0xFF } else { (1 << count) - 1 };
    let rows = Rows {
        kind: kinds[usize::from(kind & 3)],
        table: 1,
        ends_statement: true,
        columns: count,
        first_present: &[first & mask],
        second_present: &[second & mask],
        images,
        compressed: false,
    };
    let mut batch = Batch::default();
    let Ok(mut left) = Images::new(&rows, &plan, images) else { return };
    let mut changes = 0;
    while let Ok(Some(_)) = left.next(&mut batch) {
        changes += 1;
    }
    assert!(changes <= images.len(), "a change of no bytes");
});

/// A column of any type: the type, two bytes for what belongs to it, the collation.
fn describe([number, a, b, collation]: [u8; 4]) -> (Described, Hint) {
    let (bytes_max, length_bytes) = (u16::from_le_bytes([a, b]), a);
    let types = [
        Stored::Tiny,
        Stored::Short,
        Stored::Int24,
        Stored::Long,
        Stored::LongLong,
        Stored::Float,
        Stored::Double,
        Stored::NewDecimal { precision: a, scale: b },
        Stored::Year,
        Stored::Date,
        Stored::OldTime,
        Stored::OldDatetime,
        Stored::OldTimestamp,
        Stored::Time { digits: a },
        Stored::Datetime { digits: a },
        Stored::Timestamp { digits: a },
        Stored::Varchar { bytes_max },
        Stored::Char { bytes_max },
        Stored::Enum { bytes: a },
        Stored::Set { bytes: a },
        Stored::Bit { bits: a },
        Stored::Blob { length_bytes },
        Stored::Json { length_bytes },
        Stored::Geometry { length_bytes },
        Stored::Vector { length_bytes },
        Stored::CompressedBlob { length_bytes },
        Stored::CompressedVarchar { bytes_max },
    ];
    let described = Described {
        stored: types[usize::from(number & 31) % types.len()],
        nullable: true,
        name: None,
        unsigned: Some(number & 32 != 0),
        collation: Some(collation.into()),
        labels: vec!["a".into(), "b".into(), "c".into()],
        key: None,
        visible: true,
        geometry: None,
        dimensions: None,
    };
    let hints = [Hint::None, Hint::Uuid, Hint::Inet4, Hint::Inet6];
    (described, hints[usize::from(number >> 6)])
}
