//! What Debezium's MySQL or MariaDB connector wrote last, by its own records: it may be more than its offsets say, since it
//! notes them after the records, or not at all where it was killed. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use tailwater_kafka::Told;
use tailwater_kafka::debezium::Skipped;
use tailwater_mysql::resume::{Held, Kind, Place, Stopped, Written};

use crate::import::record::{Change, change};

/// Gathers what the records of one server tell.
pub(crate) struct Gathering<'c> {
    prefix: &'c str,
    stopped: &'c Stopped,
    places: HashMap<Place, Held>,
    /// A row whose key changed comes as two records: how many of each.
    halves: HashMap<Place, (Held, Held)>,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    db: String,
    table: String,
    gtid: Option<String>,
    file: String,
    pos: u64,
    row: u64,
}

const NONE: Held = Held { changes: 0, in_order: true };

impl<'c> Gathering<'c> {
    pub(crate) fn new(prefix: &'c str, stopped: &'c Stopped) -> Self {
        Self { prefix, stopped, places: HashMap::new(), halves: HashMap::new() }
    }

    /// Takes in a record. Those that are no changes (of transactions, heartbeats, a snapshot) say nothing.
    pub(crate) fn record(&mut self, told: &Told<'_>) {
        let Some(Change::<Source> { op, source }) = change(told.value) else { return };
        let kind = match op.as_str() {
            "c" => Kind::Insert,
            "u" => Kind::Update,
            "d" => Kind::Delete,
            "t" => Kind::Truncate,
            _ => return,
        };
        let Source { name, db, table, gtid, file, pos, row } = &source;
        if name != self.prefix || self.stopped.includes(gtid.as_deref(), file, *pos) {
            return;
        }
        let place = |kind| Place::new(file, *pos, *row, (db, table), kind);
        let held = if told.rekeyed {
            let halves = self.halves.entry(place(Kind::Update)).or_insert((NONE, NONE));
            if kind == Kind::Delete { &mut halves.0 } else { &mut halves.1 }
        } else {
            self.places.entry(place(kind)).or_insert(NONE)
        };
        held.changes += 1;
        held.in_order &= told.in_order;
    }

    /// Everything there is. Of a row whose key changed, both records must be there.
    pub(crate) fn finish(mut self, skipped: Skipped) -> Written {
        let mut halves = HashMap::new();
        for (place, (old, new)) in self.halves {
            let changes = old.changes.min(new.changes);
            if old.changes != new.changes {
                halves.insert(place, old.changes.abs_diff(new.changes));
            }
            if changes > 0 {
                let held = self.places.entry(place).or_insert(NONE);
                held.changes += changes;
                held.in_order &= old.in_order && new.in_order;
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
        Written { places: self.places, halves, never }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(op: &str, number: u64, pos: u64, row: u64) -> String {
        format!(
            r#"{{"before":null,"after":{{"id":1}},"op":"{op}","source":{{"name":"shop","db":"s","table":"t","gtid":"0-1-{number}","file":"binlog.000002","pos":{pos},"row":{row}}}}}"#
        )
    }

    #[test]
    fn gathers_what_follows_the_last_noted_transaction() {
        let stopped = Stopped::new(Some("0-1-5"), "binlog.000002", 50, None).unwrap();
        let mut gathering = Gathering::new("shop", &stopped);
        let plain = |value: String| (value, false, true);
        for (value, rekeyed, in_order) in [
            plain(record("c", 6, 60, 0)),
            plain(format!(r#"{{"schema":{{}},"payload":{}}}"#, record("c", 6, 60, 0))),
            plain(record("c", 6, 60, 1)),
            plain(record("c", 5, 40, 0)),
            (record("u", 7, 70, 0), false, false),
            // Both records of a new key, and of another one the first alone.
            (record("d", 7, 80, 0), true, true),
            (record("c", 7, 80, 0), true, true),
            (record("d", 7, 80, 1), true, true),
            plain(record("d", 7, 90, 0)),
            plain(record("c", 7, 90, 0)),
            plain(record("r", 7, 95, 0)),
            plain(record("c", 7, 95, 0).replace("shop", "other")),
            plain(r#"{"status":"END","id":"7:1"}"#.to_owned()),
            plain(r#"{"ts_ms":1}"#.to_owned()),
            plain("plain".to_owned()),
        ] {
            gathering.record(&Told { value: value.as_bytes(), rekeyed, in_order });
        }
        let skipped = Skipped { create: false, update: false, delete: false, truncate: true };
        let written = gathering.finish(skipped);
        let place = |pos, row, kind| Place::new("binlog.000002", pos, row, ("s", "t"), kind);
        let held = |changes, in_order| Held { changes, in_order };
        let expected = HashMap::from([
            (place(60, 0, Kind::Insert), held(2, true)),
            (place(60, 1, Kind::Insert), held(1, true)),
            (place(70, 0, Kind::Update), held(1, false)),
            (place(80, 0, Kind::Update), held(1, true)),
            (place(90, 0, Kind::Delete), held(1, true)),
            (place(90, 0, Kind::Insert), held(1, true)),
        ]);
        assert_eq!((written.places, written.never), (expected, vec![Kind::Truncate]));
        assert_eq!(written.halves, HashMap::from([(place(80, 1, Kind::Update), 1)]));
    }
}
