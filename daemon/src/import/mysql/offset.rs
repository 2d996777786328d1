//! Where Debezium's MySQL or MariaDB connector, release 3.6.3, stopped. Pure.
//!
//! Of its fields, `gtids` are the transactions that it had whole, `file` and `pos` where it would read again: where the
//! next transaction begins (MySQL: its BEGIN; MariaDB: its GTID), or where the last one ended. `event` counts the events of the
//! log that it has done since there, that first one included, and `row` the rows of the event that follows. After the last row
//! of an event `row` is their number, and the event is counted once the next one comes; so most offsets stand inside a
//! transaction, at its last change.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tailwater_core::Result;
use tailwater_mysql::resume::{Inside, Stopped};

use super::super::offsets::{self, Left};

/// The value of an entry.
#[derive(Debug, Deserialize)]
struct Offset {
    file: Option<String>,
    pos: Option<u64>,
    gtids: Option<String>,
    #[serde(default)]
    event: u64,
    #[serde(default)]
    row: u64,
    snapshot: Option<Value>,
    #[serde(default)]
    snapshot_completed: bool,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Fields that say nothing of where it stopped.
const BESIDE: &[&str] = &["ts_sec", "server_id", "transaction_id"];

const CONNECTOR: &str = "MySQL or MariaDB";

/// When what it noted last was written, ms since 1970 by the server's clock; 0 where that is not said.
pub(crate) fn commit_ms(left: &Left) -> i64 {
    let offset: Option<Value> = serde_json::from_slice(&left.offset).ok();
    offset.and_then(|offset| offset.get("ts_sec")?.as_i64()).unwrap_or_default().saturating_mul(1000)
}

/// What an entry says.
///
/// # Errors
/// `Operator` where it is not understood, or where Debezium was not just streaming.
pub(crate) fn stopped(left: &Left) -> Result<Stopped> {
    let wrong = |what: &str| offsets::wrong(CONNECTOR, what);
    let offset: Offset = serde_json::from_slice(&left.offset).map_err(|error| wrong(&error.to_string()))?;
    offsets::known(CONNECTOR, &offset.others, BESIDE)?;
    if offsets::in_snapshot(offset.snapshot.as_ref()) && !offset.snapshot_completed {
        return Err(offsets::unfinished());
    }
    let file = offset.file.filter(|file| !file.is_empty()).ok_or_else(|| wrong("it has no `file`"))?;
    let at = offset.pos.ok_or_else(|| wrong("it has no `pos`"))?;
    let inside = Inside { events: offset.event, rows: offset.row };
    let inside = (inside != Inside { events: 0, rows: 0 }).then_some(inside);
    left.ends(inside.is_some())?;
    Stopped::new(offset.gtids.as_deref(), &file, at, inside).map_err(|error| wrong(&error.message()))
}

#[cfg(test)]
mod tests {
    use super::super::super::{code, java};
    use super::*;

    fn left(offset: &[u8]) -> Left {
        Left { offset: offset.to_vec(), confirms_ahead: false, metadata: false }
    }

    fn read(json: &str) -> Result<Stopped> {
        stopped(&left(json.as_bytes()))
    }

    const SET: &str = "90971498-e5c8-11f1-91c0-02fc00000001:1-7";

    #[test]
    fn tells_whether_it_stopped_between_transactions_or_inside_one() {
        let check = |more: &str, inside: Option<(u64, u64)>| {
            let json = format!(
                r#"{{"ts_sec":9,"file":"binlog.000001","pos":1770,"gtids":"{SET}","server_id":44970{more}}}"#
            );
            let inside = inside.map(|(events, rows)| Inside { events, rows });
            assert_eq!(read(&json).unwrap(), Stopped::new(Some(SET), "binlog.000001", 1770, inside).unwrap());
        };
        check("", None);
        check(r#","event":1"#, Some((1, 0)));
        check(r#","row":3,"event":2"#, Some((2, 3)));
        check(r#","snapshot":"INITIAL","snapshot_completed":true"#, None);
        check(r#","transaction_id":null,"transaction_data_collection_order_a":1"#, None);
    }

    #[test]
    fn refuses_what_is_under_way_or_not_understood() {
        let check = |json: &str, code: &str| assert_eq!(read(json).unwrap_err().code(), code, "{json}");
        check(r#"{"file":"b.1","pos":4,"snapshot":"INITIAL"}"#, code::SNAPSHOT);
        check(r#"{"file":"b.1","pos":4,"snapshot":true}"#, code::SNAPSHOT);
        check(r#"{"file":"b.1","pos":4,"incremental_snapshot_collections":"a"}"#, code::SNAPSHOT);
        check(r#"{"file":"b.1","pos":4,"lsn":1}"#, code::OFFSETS);
        check(r#"{"file":"b.1","pos":4,"gtids":"x"}"#, code::OFFSETS);
        check(r#"{"file":"b.1","gtids":"0-1-2"}"#, code::OFFSETS);
        check(r#"{"pos":4}"#, code::OFFSETS);
        check("null", code::OFFSETS);
        let offset = br#"{"file":"b.1","pos":4,"row":1,"event":2}"#;
        let left = Left { metadata: true, ..left(offset) };
        assert_eq!(stopped(&left).unwrap_err().code(), code::INSIDE);
    }

    /// Files that the real one left; `scripts/hand-over` gets such again.
    #[test]
    fn reads_what_debezium_leaves() {
        let check = |file: &[u8], prefix: &str, expected: &Stopped| {
            let held = java::map_of_bytes(file).unwrap();
            let left = left(&offsets::find(&held, prefix, None).unwrap());
            assert_eq!(stopped(&left).unwrap(), *expected, "{prefix}");
            assert!(commit_ms(&left) > 1_700_000_000_000, "{prefix}");
        };
        let inside = |gtids, at| {
            Stopped::new(gtids, "binlog.000001", at, Some(Inside { events: 2, rows: 1 })).unwrap()
        };
        let mysql = include_bytes!("../../../../integration-tests/debezium/offsets/mysql.dat");
        check(mysql, "g", &inside(Some("90971498-e5c8-11f1-91c0-02fc00000001:1-25"), 6629));
        let mariadb = include_bytes!("../../../../integration-tests/debezium/offsets/mariadb.dat");
        check(mariadb, "g", &inside(Some("0-44118-12"), 3371));
    }
}
