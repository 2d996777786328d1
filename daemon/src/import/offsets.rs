//! Where Debezium stopped, by the offsets that Kafka Connect or Debezium Server keep of it: which entry is the
//! connector's, and what it means. Pure.
//!
//! The fields of Debezium 3.6.3's Postgres connector: `lsn` is where the last message stands that it has handled, `txId`
//! the transaction of that, `messageType` what it was, `lsn_commit` where the last transaction ended whose COMMIT it has
//! handled. `lsn_events_processed` came with a later release. What comes after a COMMIT is not noted until the next record
//! is written, so most offsets stand inside a transaction, at its last change.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tailwater_core::{Error, Result};
use tailwater_postgres::lsn::Lsn;
use tailwater_postgres::resume::{Inside, Kind, Place, Stopped};

use super::code;

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

/// The entry of the connector, by the logical name of its server; its own name counts where several have that.
///
/// # Errors
/// `Operator` where there is none, or not one alone.
pub(super) fn find(held: &BTreeMap<Vec<u8>, Vec<u8>>, prefix: &str, name: Option<&str>) -> Result<Vec<u8>> {
    let mut found: Vec<(String, &Vec<u8>)> = Vec::new();
    for (key, value) in held {
        let Ok((connector, partition)) = serde_json::from_slice::<(String, BTreeMap<String, Value>)>(key)
        else {
            continue;
        };
        if partition.get("server").and_then(Value::as_str) == Some(prefix) {
            found.push((connector, value));
        }
    }
    if found.len() > 1 {
        found.retain(|(connector, _)| name == Some(connector));
    }
    match found.as_slice() {
        [(_, value)] => Ok((*value).clone()),
        [] => Err(Error::operator(
            code::NO_OFFSET,
            format!("of {} offsets there, none is that of topic.prefix {prefix:?}", held.len()),
        )
        .remedy("name the offsets of this connector; where it never wrote any, start without them, with a first copy")),
        [..] => Err(Error::operator(code::NO_OFFSET, format!("several offsets are of topic.prefix {prefix:?}"))
            .remedy("give the connector's JSON with its `name`")),
    }
}

/// When the transaction was committed at which it stopped, ms since 1970 by the server's clock; 0 where that is not said.
pub(super) fn commit_ms(value: &[u8]) -> i64 {
    let offset: Option<Value> = serde_json::from_slice(value).ok();
    offset.and_then(|offset| offset.get("ts_usec")?.as_i64()).unwrap_or_default() / 1000
}

/// What an entry says.
///
/// # Errors
/// `Operator` where it is not understood, or where Debezium was not just streaming.
pub(super) fn stopped(value: &[u8], confirms_ahead: bool) -> Result<Stopped> {
    let wrong = |what: &str| {
        Error::operator(
            code::OFFSETS,
            format!("the offset is not one of Debezium's Postgres connector: {what}"),
        )
        .remedy("name the newest offsets that the connector has written")
    };
    let offset: Offset = serde_json::from_slice(value).map_err(|error| wrong(&error.to_string()))?;
    if let Some(name) = offset.others.keys().find(|name| name.starts_with("incremental_snapshot")) {
        return Err(Error::operator(
            code::SNAPSHOT,
            format!("an incremental snapshot is under way (`{name}`)"),
        )
        .remedy("let Debezium finish it, or stop it with a signal, before it is shut down for good"));
    }
    let strange = |name: &&String| !BESIDE.contains(&name.as_str()) && !name.starts_with("transaction_");
    if let Some(name) = offset.others.keys().find(strange) {
        return Err(wrong(&format!("it holds `{name}`"))
            .remedy("use the offsets of release 3.6.3, or one close to it"));
    }
    let lsn = Lsn(offset.lsn.ok_or_else(|| wrong("it has no `lsn`"))?);
    if offset.snapshot.as_ref().is_some_and(|snapshot| !matches!(snapshot, Value::Null | Value::Bool(false)))
    {
        if !(offset.last_snapshot_record || offset.snapshot_completed) {
            return Err(Error::operator(code::SNAPSHOT, "Debezium stopped before its snapshot was whole")
                .remedy(
                    "let it finish the snapshot, or start without offsets, with a first copy into new topics",
                ));
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
    let xid =
        offset.tx_id.and_then(|xid| u32::try_from(xid).ok()).ok_or_else(|| wrong("it has no `txId`"))?;
    let inside = Some(Inside { last: Place { xid, lsn, kind }, changes: offset.lsn_events_processed });
    Ok(Stopped { whole, inside, confirms_ahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Stopped> {
        stopped(json.as_bytes(), false)
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
            let held = super::super::java::map_of_bytes(file).unwrap();
            let offset = find(&held, prefix, None).unwrap();
            assert_eq!(stopped(&offset, false).unwrap(), expected, "{prefix}");
            assert!(commit_ms(&offset) > 1_700_000_000_000, "{prefix}");
        };
        let inside = |whole, xid, lsn, kind| {
            let last = Place { xid, lsn: Lsn(lsn), kind };
            let (whole, inside) = (Some(Lsn(whole)), Some(Inside { last, changes: None }));
            Stopped { whole, inside, confirms_ahead: false }
        };
        let insert = include_bytes!("../../../integration-tests/debezium/offsets/insert.dat");
        check(insert, "test_6133_2", inside(41_711_992, 3000, 41_706_200, Kind::Insert));
        let message = include_bytes!("../../../integration-tests/debezium/offsets/message.dat");
        check(message, "test_2483_2", inside(68_866_960, 12_658, 68_905_168, Kind::Message));
        let snapshot = include_bytes!("../../../integration-tests/debezium/offsets/snapshot.dat");
        let whole = Stopped { whole: Some(Lsn(26_242_440)), inside: None, confirms_ahead: false };
        check(snapshot, "test_10442_0", whole);
    }

    #[test]
    fn finds_the_entry_of_the_connector() {
        let entry =
            |name: &str, server: &str| format!("[\"{name}\",{{\"server\":\"{server}\"}}]").into_bytes();
        let mut held =
            BTreeMap::from([(entry("a", "shop"), b"1".to_vec()), (entry("b", "other"), b"2".to_vec())]);
        held.insert(b"task-a-0".to_vec(), b"3".to_vec());
        assert_eq!(find(&held, "shop", None).unwrap(), b"1");
        assert_eq!(find(&held, "none", None).unwrap_err().code(), code::NO_OFFSET);
        held.insert(entry("c", "shop"), b"4".to_vec());
        assert_eq!(find(&held, "shop", None).unwrap_err().code(), code::NO_OFFSET);
        assert_eq!(find(&held, "shop", Some("c")).unwrap(), b"4");
    }
}
