//! Where Debezium stopped, by the offsets that Kafka Connect or Debezium Server keep of it: which entry is the
//! connector's, and what all connectors say alike. What else one says is read by that connector's own `offset`. Pure.

use std::collections::BTreeMap;

use serde_json::Value;
use tailwater_core::{Error, Result};

use super::{code, mysql, postgres};

/// What Debezium has left behind, and what it was told to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// The value of the connector's entry.
    pub(super) offset: Vec<u8>,
    /// `lsn.flush.mode` lets it confirm positions later than it notes them.
    pub(super) confirms_ahead: bool,
    /// It writes where transactions begin and end.
    pub(super) metadata: bool,
}

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

/// That the offset is not what it should be.
pub(super) fn wrong(connector: &str, what: &str) -> Error {
    Error::operator(
        code::OFFSETS,
        format!("the offset is not one of Debezium's {connector} connector: {what}"),
    )
    .remedy("name the newest offsets that the connector has written")
}

/// Refuses an offset with fields other than those `beside`, which say nothing of where it stopped.
///
/// # Errors
/// `Operator` for the first.
pub(super) fn known(connector: &str, others: &BTreeMap<String, Value>, beside: &[&str]) -> Result<()> {
    if let Some(name) = others.keys().find(|name| name.starts_with("incremental_snapshot")) {
        return Err(Error::operator(
            code::SNAPSHOT,
            format!("an incremental snapshot is under way (`{name}`)"),
        )
        .remedy("let Debezium finish it, or stop it with a signal, before it is shut down for good"));
    }
    let strange = |name: &&String| !beside.contains(&name.as_str()) && !name.starts_with("transaction_");
    match others.keys().find(strange) {
        Some(name) => Err(wrong(connector, &format!("it holds `{name}`"))
            .remedy("use the offsets of release 3.6.3, or one close to it")),
        None => Ok(()),
    }
}

/// Whether a snapshot was under way, whole or not.
pub(super) fn in_snapshot(snapshot: Option<&Value>) -> bool {
    snapshot.is_some_and(|snapshot| !matches!(snapshot, Value::Null | Value::Bool(false)))
}

/// That the snapshot was not whole.
pub(super) fn unfinished() -> Error {
    Error::operator(code::SNAPSHOT, "Debezium stopped before its snapshot was whole")
        .remedy("let it finish the snapshot, or start without offsets, with a first copy into new topics")
}

impl Left {
    /// Where a Postgres connector stopped, and when (ms since 1970).
    ///
    /// # Errors
    /// `Operator` where that is not understood, or nothing can go on from there.
    pub(crate) fn of_postgres(&self) -> Result<(tailwater_postgres::resume::Stopped, i64)> {
        Ok((postgres::offset::stopped(self)?, postgres::offset::commit_ms(self)))
    }

    /// Likewise of MySQL or MariaDB.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) fn of_mysql(&self) -> Result<(tailwater_mysql::resume::Stopped, i64)> {
        Ok((mysql::offset::stopped(self)?, mysql::offset::commit_ms(self)))
    }

    /// Refuses to go on inside a transaction whose END is waited for.
    ///
    /// # Errors
    /// `Operator`, with what to do.
    pub(super) fn ends(&self, inside: bool) -> Result<()> {
        if !(self.metadata && inside) {
            return Ok(());
        }
        let what = "Debezium stopped inside a transaction, whose END it has not written";
        Err(Error::operator(code::INSIDE, what)
            .remedy("start it again, and stop it once nothing has been written for a while; or remove provide.transaction.metadata"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
