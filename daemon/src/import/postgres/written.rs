//! What Debezium's Postgres connector wrote last, by its own records: it may be more than its offsets say, since it
//! notes them after the records, or not at all where it was killed. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use tailwater_kafka::Told;
use tailwater_kafka::debezium::Skipped;
use tailwater_postgres::lsn::Lsn;
use tailwater_postgres::resume::{Kind, Place, Written};

use crate::import::record::{Change, change};

/// Gathers what the records of one server tell.
pub(crate) struct Gathering<'c> {
    prefix: &'c str,
    /// End of the last transaction that is noted whole: what follows earlier ones is of no interest.
    whole: Option<Lsn>,
    places: HashMap<Place, u64>,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    lsn: Option<u64>,
    #[serde(rename = "txId")]
    tx_id: Option<u32>,
    /// `["end of the transaction before","place"]`, as text.
    sequence: Option<String>,
}

impl<'c> Gathering<'c> {
    pub(crate) fn new(prefix: &'c str, whole: Option<Lsn>) -> Self {
        Self { prefix, whole, places: HashMap::new() }
    }

    /// Takes in a record. Those that are no changes (of transactions, heartbeats, a snapshot) say nothing.
    pub(crate) fn record(&mut self, told: &Told<'_>) {
        let Some(Change::<Source> { op, source }) = change(told.value) else { return };
        let kind = match op.as_str() {
            "c" => Kind::Insert,
            "u" => Kind::Update,
            "d" => Kind::Delete,
            "t" => Kind::Truncate,
            "m" => Kind::Message,
            _ => return,
        };
        let Some(lsn) = source.lsn.filter(|_| source.name == self.prefix) else { return };
        let follows = source.sequence.as_deref().and_then(first).map(Lsn);
        if follows < self.whole {
            return;
        }
        let xid = if kind == Kind::Message { 0 } else { source.tx_id.unwrap_or_default() };
        *self.places.entry(Place { xid, lsn: Lsn(lsn), kind }).or_default() += 1;
    }

    /// Everything there is. A row whose key changed comes as a delete and an insert at one place.
    pub(crate) fn finish(mut self, skipped: Skipped) -> Written {
        let deletes: Vec<Place> =
            self.places.keys().filter(|place| place.kind == Kind::Delete).copied().collect();
        for delete in deletes {
            let insert = Place { kind: Kind::Insert, ..delete };
            if self.places.remove(&insert).is_some() {
                self.places.remove(&delete);
                self.places.insert(Place { kind: Kind::Update, ..delete }, 1);
            }
        }
        let Skipped { create, update, delete, truncate } = skipped;
        let never = [
            (create, Kind::Insert),
            (update, Kind::Update),
            (delete, Kind::Delete),
            (truncate, Kind::Truncate),
        ];
        let never = never.into_iter().filter(|(skipped, _)| *skipped).map(|(_, kind)| kind).collect();
        Written { places: self.places, never }
    }
}

/// The first number of a sequence.
fn first(sequence: &str) -> Option<u64> {
    let parts: Vec<Option<String>> = serde_json::from_str(sequence).ok()?;
    parts.into_iter().next()??.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(op: &str, sequence: &str, lsn: u64) -> String {
        format!(
            r#"{{"before":null,"after":{{"id":1}},"op":"{op}","source":{{"name":"shop","lsn":{lsn},"txId":7,"sequence":{sequence:?}}}}}"#
        )
    }

    #[test]
    fn gathers_what_follows_the_last_noted_transaction() {
        let mut gathering = Gathering::new("shop", Some(Lsn(50)));
        for value in [
            record("c", "[\"50\",\"60\"]", 60),
            format!(r#"{{"schema":{{}},"payload":{}}}"#, record("c", "[\"50\",\"60\"]", 60)),
            record("c", "[\"40\",\"61\"]", 61),
            record("u", "[\"70\",\"62\"]", 62),
            record("d", "[\"70\",\"63\"]", 63),
            record("c", "[\"70\",\"63\"]", 63),
            record("m", "[\"70\",\"64\"]", 64),
            record("r", "[\"70\",\"65\"]", 65),
            record("c", "[\"70\",\"66\"]", 66).replace("shop", "other"),
            r#"{"status":"END","id":"7:1"}"#.to_owned(),
            r#"{"ts_ms":1}"#.to_owned(),
            "plain".to_owned(),
        ] {
            gathering.record(&Told { value: value.as_bytes(), rekeyed: false, in_order: true });
        }
        let skipped = Skipped { create: false, update: false, delete: false, truncate: true };
        let written = gathering.finish(skipped);
        let place = |xid, lsn, kind| Place { xid, lsn: Lsn(lsn), kind };
        let expected = HashMap::from([
            (place(7, 60, Kind::Insert), 2),
            (place(7, 62, Kind::Update), 1),
            (place(7, 63, Kind::Update), 1),
            (place(0, 64, Kind::Message), 1),
        ]);
        assert_eq!((written.places, written.never), (expected, vec![Kind::Truncate]));
    }
}
