//! Once the buffers have grown, an event is checked, decoded and inflated without an allocation, and the next GTID is added
//! to a set and written without one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is a failed test"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use tailwater_mysql::binlog::compressed::Inflater;
use tailwater_mysql::binlog::decode::decode;
use tailwater_mysql::binlog::event::{Event, Format, Header, Query};
use tailwater_mysql::binlog::header::checked;
use tailwater_mysql::binlog::payload::PayloadReader;
use tailwater_mysql::gtid::GtidSet;

/// Counts what a thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator is unsafe by its signature; this one only counts")]
// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn allocations(during: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    during();
    ALLOCATIONS.get() - before
}

/// What a source keeps from event to event.
struct Kept {
    inflater: Inflater,
    reader: PayloadReader,
    buffer: Vec<u8>,
    set: GtidSet,
    text: String,
}

impl Kept {
    fn event(&mut self, event: &[u8], format: &Format) {
        let content = checked(event, Some(format)).unwrap();
        match decode(content, format).unwrap().1 {
            Event::CompressedQuery(body) => {
                let query = Query::inflated(body, &mut self.inflater, &mut self.buffer).unwrap();
                assert!(!query.text.is_empty());
            }
            Event::Rows(rows) => {
                assert!(!rows.inflated(&mut self.inflater, &mut self.buffer).unwrap().compressed)
            }
            Event::Payload(payload) => {
                self.reader.begin(&payload).unwrap();
                while let Some(inner) = self.reader.next_event(payload.content).unwrap() {
                    assert!(decode(inner, format).is_ok());
                }
            }
            Event::Gtid(gtid) => {
                self.set.add(&gtid.uuid, gtid.tag, gtid.number);
                self.text.clear();
                self.set.write_to(&mut self.text);
            }
            _said_in_place => {}
        }
    }
}

#[test]
fn events_are_read_in_place() {
    let mut kept = Kept {
        inflater: Inflater::default(),
        reader: PayloadReader::new().unwrap(),
        buffer: Vec::new(),
        set: GtidSet::default(),
        text: String::with_capacity(1000),
    };
    for file in ["mysql56", "mysql97", "mariadb1011", "mariadb118"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{file}.binlog"));
        let bytes = std::fs::read(path).unwrap();
        let mut events = Vec::new();
        let mut left = &bytes[4..];
        while !left.is_empty() {
            let (event, rest) = left.split_at(Header::parse(left).unwrap().bytes as usize);
            events.push(event);
            left = rest;
        }
        let Event::Format(format) = decode(checked(events[0], None).unwrap(), &Format::unknown()).unwrap().1
        else {
            panic!("a log file begins with its format");
        };
        events.iter().for_each(|event| kept.event(event, &format));
        for event in events {
            let made = allocations(|| kept.event(event, &format));
            // FORMAT_DESCRIPTION and XA_PREPARE own what they say.
            assert!(
                made == 0 || matches!(event[4], 15 | 38),
                "{file}: an event of kind {} made {made}",
                event[4]
            );
        }
    }
}

#[test]
fn the_next_gtid_is_written_in_place() {
    let uuid = [0x3E; 16];
    let mut set = GtidSet::parse("3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e:1-5:1000000-1000001").unwrap();
    let mut text = String::with_capacity(1000);
    let made = allocations(|| {
        for number in 1_000_002..1_001_000 {
            set.add(&uuid, "", number);
            text.clear();
            set.write_to(&mut text);
        }
    });
    assert_eq!((made, text.as_str()), (0, "3e3e3e3e-3e3e-3e3e-3e3e-3e3e3e3e3e3e:1-5:1000000-1000999"));
}
