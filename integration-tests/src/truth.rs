//! What a server's log holds, change by change in the order of the commits, as a slot of its own tells it; and what the
//! records in Debezium's topics tell of the same changes. Two such lists are equal where nothing is missing, repeated or
//! out of order.

use serde_json::Value;

use crate::Client;
use crate::kafka::Record;

/// A change, by its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `schema.table`; empty for a message.
    pub table: String,
    /// Debezium's letter: `c`, `u`, `d`, `t`, `m`.
    pub op: char,
    /// Where it stands.
    pub lsn: u64,
    /// Its transaction; 0 for a message.
    pub xid: u32,
}

/// A change, and the end of the last transaction before its own, or of the message before it.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The change.
    pub change: Change,
    /// Where what came before ended; `None` for the first.
    pub follows: Option<u64>,
}

/// Makes a slot from which [`changes`] are read later.
pub async fn slot(client: &Client, name: &str) {
    client.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
}

/// Everything that the slot holds of a publication; it keeps it.
///
/// # Panics
/// Where the server sends what was not asked for.
pub async fn changes(client: &Client, slot: &str, publication: &str) -> Vec<Placed> {
    let sql = format!(
        "SELECT lsn - '0/0', xid, chr(get_byte(data, 0)), get_byte(data, 1),
                CASE WHEN get_byte(data, 0) IN (73, 85, 68) THEN
                    (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE c.oid = ('x' || encode(substr(data, 2, 4), 'hex'))::bit(32)::bigint) END
         FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL,
                'proto_version', '1', 'publication_names', '{publication}', 'messages', 'true')"
    );
    let (mut all, mut follows) = (Vec::new(), None);
    for row in client.rows(&sql).await {
        let field = |index: usize| row[index].clone().unwrap_or_default();
        let (lsn, xid): (u64, u32) = (field(0).parse().unwrap(), field(1).parse().unwrap());
        let op = match field(2).as_str() {
            "I" => 'c',
            "U" => 'u',
            "D" => 'd',
            "M" => 'm',
            "C" => {
                follows = Some(lsn);
                continue;
            }
            "B" | "R" | "Y" => continue,
            other => panic!("a message {other}"),
        };
        let lone = op == 'm' && field(3) != "1";
        let change = Change { table: field(4), op, lsn, xid: if op == 'm' { 0 } else { xid } };
        all.push(Placed { change, follows });
        if lone {
            follows = Some(lsn);
        }
    }
    all
}

/// What the records of one topic tell, without those of a snapshot. Each delete must have its tombstone.
///
/// # Panics
/// Where a record is none of Debezium's.
#[must_use]
pub fn told(records: &[Record], table: &str) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    for record in records {
        let Some(value) = &record.value else {
            assert_eq!(all.last().map(|change| change.op), Some('d'), "a tombstone without its delete");
            continue;
        };
        let value: Value = serde_json::from_str(value).unwrap();
        let value = value.get("payload").unwrap_or(&value);
        let op = value["op"].as_str().unwrap().chars().next().unwrap();
        if op == 'r' {
            continue;
        }
        let lsn = value["source"]["lsn"].as_u64().unwrap();
        let xid = value["source"]["txId"].as_u64().unwrap_or_default();
        let xid = if op == 'm' { 0 } else { u32::try_from(xid).unwrap() };
        all.push(Change { table: table.to_owned(), op, lsn, xid });
    }
    all
}

/// Fails where what the topics tell is not what happened, in its order.
///
/// # Panics
/// There.
pub fn assert_same(happened: &[Change], told: &[Change], what: &str) {
    let first = (0..happened.len().max(told.len())).find(|&at| happened.get(at) != told.get(at));
    if let Some(at) = first {
        panic!(
            "{what}: {} changes happened, {} are told; at {at} happened {:?}, told is {:?}",
            happened.len(),
            told.len(),
            happened.get(at),
            told.get(at)
        );
    }
}
