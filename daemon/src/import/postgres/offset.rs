//! Where Debezium's Postgres connector, release 3.6.3, stopped. Pure.
//!
//! Of its fields, `lsn` is where the last message stands that it has handled, `txId`
//! the transaction of that, `messageType` what it was, `lsn_commit` where the last transaction ended whose COMMIT it has
//! handled. `lsn_events_processed` came with a later release. What comes after a COMMIT is not noted until the next record
//! is written, so most offsets stand inside a transaction, at its last change.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tailwater_core::Result;
use tailwater_postgres::lsn::Lsn;
use tailwater_postgres::resume::{Inside, Kind, Place, Stopped};

use super::super::offsets::{self, Left};

/// The value of an entry.
#[derive(Debug, Deserialize)]
struct Offset {
    lsn: Option<u64>,
    #[serde(rename = "txId")]
    tx_id: Option<u64>,
    lsn_commit: Option<u64>,
    lsn_events_processed: Option<u64>,
    #[serde(rename = "messageType")]
    message_type: Option<String>,
    snapshot: Option<Value>,
    #[serde(default)]
    last_snapshot_record: bool,
    #[serde(default)]
    snapshot_completed: bool,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Fields that say nothing of where it stopped.
const BESIDE: &[&str] = &["lsn_proc", "ts_usec", "xmin", "transaction_id"];

const CONNECTOR: &str = "Postgres";

/// When the transaction was committed at which it stopped, ms since 1970 by the server's clock; 0 where that is not said.
pub(crate) fn commit_ms(left: &Left) -> i64 {
    let offset: Option<Value> = serde_json::from_slice(&left.offset).ok();
    offset.and_then(|offset| offset.get("ts_usec")?.as_i64()).unwrap_or_default() / 1000
}

/// What an entry says.
///
/// # Errors
/// `Operator` where it is not understood, or where Debezium was not just streaming.
pub(crate) fn stopped(left: &Left) -> Result<Stopped> {
    let wrong = |what: &str| offsets::wrong(CONNECTOR, what);
    let offset: Offset = serde_json::from_slice(&left.offset).map_err(|error| wrong(&error.to_string()))?;
    offsets::known(CONNECTOR, &offset.others, BESIDE)?;
    let confirms_ahead = left.confirms_ahead;
    let lsn = Lsn(offset.lsn.ok_or_else(|| wrong("it has no `lsn`"))?);
    if offsets::in_snapshot(offset.snapshot.as_ref()) {
        if !(offset.last_snapshot_record || offset.snapshot_completed) {
            return Err(offsets::unfinished());
        }
        return Ok(Stopped { whole: Some(lsn), inside: None, confirms_ahead });
    }
    let whole = offset.lsn_commit.map(Lsn);
    let nothing_inside = Ok(Stopped { whole, inside: None, confirms_ahead });
    let kind = match offset.message_type.as_deref() {
        Some("BEGIN" | "COMMIT") => return nothing_inside,
        // A message outside of transactions counts as a commit.
        Some("MESSAGE") if whole == Some(lsn) => return nothing_inside,
        Some("INSERT") => Kind::Insert,
        Some("UPDATE") => Kind::Update,
        Some("DELETE") => Kind::Delete,
        Some("TRUNCATE") => Kind::Truncate,
        Some("MESSAGE") => Kind::Message,
        Some(other) => return Err(wrong(&format!("its `messageType` is {other:?}"))),
        None => return Err(wrong("it has no `messageType`")),
    };
    left.ends(true)?;
    let xid =
        offset.tx_id.and_then(|xid| u32::try_from(xid).ok()).ok_or_else(|| wrong("it has no `txId`"))?;
    let inside = Some(Inside { last: Place { xid, lsn, kind }, changes: offset.lsn_events_processed });
    Ok(Stopped { whole, inside, confirms_ahead })
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

    #[test]
    fn tells_whether_it_stopped_between_transactions_or_inside_one() {
        let check = |json: &str, whole: Option<u64>, inside: Option<(Kind, Option<u64>)>| {
            let last = |kind| Place { xid: 7, lsn: Lsn(9), kind };
            let inside = inside.map(|(kind, changes)| Inside { last: last(kind), changes });
            let expected = Stopped { whole: whole.map(Lsn), inside, confirms_ahead: false };
            assert_eq!(read(json).unwrap(), expected, "{json}");
        };
        let row = r#"{"lsn_proc":9,"messageType":"UPDATE","lsn_commit":5,"lsn":9,"txId":7,"ts_usec":1}"#;
        check(row, Some(5), Some((Kind::Update, None)));
        check(&row.replace("\"lsn_commit\":5,", ""), None, Some((Kind::Update, None)));
        check(
            &row.replace("\"txId\"", "\"lsn_events_processed\":2,\"txId\""),
            Some(5),
            Some((Kind::Update, Some(2))),
        );
        check(&row.replace("UPDATE", "COMMIT"), Some(5), None);
        check(&row.replace("UPDATE", "BEGIN"), Some(5), None);
        check(&row.replace("UPDATE", "MESSAGE"), Some(5), Some((Kind::Message, None)));
        check(r#"{"lsn_proc":9,"messageType":"MESSAGE","lsn_commit":9,"lsn":9,"ts_usec":1}"#, Some(9), None);
        check(r#"{"snapshot":"INITIAL","last_snapshot_record":true,"lsn":9,"txId":7}"#, Some(9), None);
        check(r#"{"snapshot":true,"snapshot_completed":true,"lsn":9}"#, Some(9), None);
    }

    #[test]
    fn refuses_what_is_under_way_or_not_understood() {
        let check = |json: &str, code: &str| assert_eq!(read(json).unwrap_err().code(), code, "{json}");
        check(r#"{"snapshot":"INITIAL","last_snapshot_record":false,"lsn":9,"txId":7}"#, code::SNAPSHOT);
        check(r#"{"lsn":9,"messageType":"COMMIT","incremental_snapshot_collections":"a"}"#, code::SNAPSHOT);
        check(r#"{"file":"binlog.1","pos":4}"#, code::OFFSETS);
        check(r#"{"lsn":9,"messageType":"NOOP","txId":1}"#, code::OFFSETS);
        check(r#"{"lsn":9,"messageType":"INSERT"}"#, code::OFFSETS);
        check(r#"{"lsn":9,"txId":1}"#, code::OFFSETS);
        check("null", code::OFFSETS);
    }

    /// Files that the real one left, on Connect and in Debezium Server; `scripts/hand-over 3 FOLDER` gets such again.
    #[test]
    fn reads_what_debezium_leaves() {
        let check = |file: &[u8], prefix: &str, expected: Stopped| {
            let held = java::map_of_bytes(file).unwrap();
            let left = left(&offsets::find(&held, prefix, None).unwrap());
            assert_eq!(stopped(&left).unwrap(), expected, "{prefix}");
            assert!(commit_ms(&left) > 1_700_000_000_000, "{prefix}");
        };
        let inside = |whole, xid, lsn, kind| {
            let last = Place { xid, lsn: Lsn(lsn), kind };
            let (whole, inside) = (Some(Lsn(whole)), Some(Inside { last, changes: None }));
            Stopped { whole, inside, confirms_ahead: false }
        };
        let insert = include_bytes!("../../../../integration-tests/debezium/offsets/insert.dat");
        check(insert, "test_6133_2", inside(41_711_992, 3000, 41_706_200, Kind::Insert));
        let message = include_bytes!("../../../../integration-tests/debezium/offsets/message.dat");
        check(message, "test_2483_2", inside(68_866_960, 12_658, 68_905_168, Kind::Message));
        let snapshot = include_bytes!("../../../../integration-tests/debezium/offsets/snapshot.dat");
        let whole = Stopped { whole: Some(Lsn(26_242_440)), inside: None, confirms_ahead: false };
        check(snapshot, "test_10442_0", whole);
    }
}
