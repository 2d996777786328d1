//! The comparison. Text against text: what differs from run to run is replaced by what it has in common first.

use std::collections::BTreeMap;

use regex::{Captures, Regex};
use tailwater_kafka::debezium::record::Recorded;

use super::golden::Golden;

/// A record with its parts as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    topic: String,
    /// That of its key, where it is compared.
    partition: Option<i32>,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// Everything in which what Tailwater wrote differs from what Debezium did.
pub(super) fn differences(
    run: &str,
    golden: &[Golden],
    ours: &[Recorded],
    database: &str,
    schemas: bool,
) -> Vec<String> {
    let golden: Vec<Plain> = golden.iter().map(|record| plain_golden(record, schemas)).collect();
    let ours: Vec<Plain> = ours.iter().map(|record| plain_ours(record, database)).collect();
    let heartbeat = |records: &[Plain]| {
        let first = records.iter().find(|record| is_heartbeat(record)).cloned();
        first.map(|record| Seen::default().normal(record, run))
    };
    assert_eq!(heartbeat(&golden), heartbeat(&ours), "{run}");
    check_markers(&ours, run);
    let (golden, ours) = (normal(golden, run), normal(ours, run));
    unlike_pairs(run, &golden, &ours, if schemas { "with schemas" } else { "" })
}

/// The same of what was read from a broker, where there is an order in each partition only.
pub(super) fn differences_of_delivered(
    run: &str,
    golden: &[Golden],
    ours: &[(i32, Recorded)],
    database: &str,
) -> Vec<String> {
    // Keys of transactions hold numbers of the run, so that Debezium's partition tells nothing; and what has no key goes
    // where its client likes.
    let chosen = |plain: Plain, partition: Option<i32>| Plain {
        partition: partition.filter(|_| plain.key.is_some() && !plain.topic.ends_with(".transaction")),
        ..plain
    };
    let golden = golden.iter().map(|record| chosen(plain_golden(record, false), record.partition));
    let ours = ours.iter().map(|(partition, record)| chosen(plain_ours(record, database), Some(*partition)));
    let sorted = |records: Vec<Plain>| {
        let mut records: Vec<Plain> = records.into_iter().filter(|record| !is_heartbeat(record)).collect();
        records.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let mut seen = Seen::default();
        records.into_iter().map(|record| seen.normal(record, run)).collect::<Vec<Plain>>()
    };
    unlike_pairs(run, &sorted(golden.collect()), &sorted(ours.collect()), "as it was delivered")
}

fn unlike_pairs(run: &str, golden: &[Plain], ours: &[Plain], how: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, pair) in golden.iter().zip(ours).enumerate().filter(|(_, (golden, ours))| golden != ours) {
        wrong.push(format!("{run} record {index} {how}: {}", first(pair)));
    }
    if golden.len() != ours.len() {
        let topics =
            |records: &[Plain]| records.iter().map(|record| record.topic.clone()).collect::<Vec<_>>();
        wrong.push(format!("{run}: {:?}\n  and not {:?}", topics(ours), topics(golden)));
    }
    wrong
}

/// Where two records part.
fn first((golden, ours): (&Plain, &Plain)) -> String {
    let parts = |record: &Plain| {
        vec![
            record.topic.clone(),
            format!("partition {:?}", record.partition),
            record.key.clone().unwrap_or_default(),
            record.value.clone().unwrap_or_default(),
            format!("{:?}", record.headers),
        ]
    };
    for (golden, ours) in parts(golden).iter().zip(&parts(ours)) {
        if golden != ours {
            let place = golden.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
            let around = |text: &str| {
                let bytes = text.as_bytes();
                let end = (place + 120).min(bytes.len());
                String::from_utf8_lossy(&bytes[place.saturating_sub(60).min(end)..end]).into_owned()
            };
            return format!("\n  Debezium  …{}…\n  Tailwater …{}…", around(golden), around(ours));
        }
    }
    String::new()
}

fn plain_golden(record: &Golden, schemas: bool) -> Plain {
    let wrap = |text: &Option<String>, schema: &Option<String>| {
        text.as_ref().map(|text| match schema {
            Some(schema) if schemas => format!("{{\"schema\":{schema},\"payload\":{text}}}"),
            Some(_) | None => text.clone(),
        })
    };
    Plain {
        topic: record.topic.clone(),
        partition: None,
        key: wrap(&record.key, &record.key_schema),
        value: wrap(&record.value, &record.value_schema),
        headers: record.headers.clone(),
    }
}

fn plain_ours(record: &Recorded, database: &str) -> Plain {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let value = record.value.as_ref().map(text);
    Plain {
        topic: record.topic.clone(),
        partition: None,
        key: record.key.as_ref().map(text),
        // The database's own name.
        value: value.map(|value| value.replace(&format!("db\":\"{database}\""), "db\":\"golden\"")),
        headers: record
            .headers
            .iter()
            .map(|(name, value)| {
                let value = value.as_ref().map(text);
                (text(name), value.map(|value| if value == database { "golden".to_owned() } else { value }))
            })
            .collect(),
    }
}

/// Replaces what no two runs have in common, and brings the snapshot into one order.
fn normal(records: Vec<Plain>, run: &str) -> Vec<Plain> {
    let records: Vec<Plain> = records.into_iter().filter(|record| !is_heartbeat(record)).collect();
    // A row does not say that it is of the snapshot, unless it is asked to: then their order is that of each topic.
    let in_copy = |record: &Plain| run.starts_with("rows") || is_copied(record);
    let (mut copied, streamed): (Vec<Plain>, Vec<Plain>) = records.into_iter().partition(in_copy);
    copied.sort_by(|a, b| a.topic.cmp(&b.topic));
    let mut seen = Seen::default();
    copied.into_iter().chain(streamed).map(|record| seen.normal(record, run)).collect()
}

/// When heartbeats come is a matter of time: one is compared.
fn is_heartbeat(record: &Plain) -> bool {
    record.key.as_deref().is_some_and(|key| key.contains("serverName"))
}

fn is_copied(record: &Plain) -> bool {
    let of_snapshot = ["\"op\":\"r\"", "\"__op\":\"r\"", "\"$OP\":\"r\""];
    let asked = |(name, value): &(String, Option<String>)| name == "__op" && value.as_deref() == Some("r");
    record.value.as_deref().is_some_and(|value| of_snapshot.iter().any(|op| value.contains(op)))
        || record.headers.iter().any(asked)
}

/// One first, one last, and between them each table's own, in whichever order the tables come.
/// (Debezium has no first where the first table is empty.)
fn check_markers(records: &[Plain], run: &str) {
    let marker = Regex::new(r#"[_$]*snapshot":"([a-z_]+)"[,}]"#).unwrap();
    let marked = |record: &&Plain| Some(marker.captures(record.value.as_ref()?)?[1].to_owned());
    let copied = records.iter().filter(|record| is_copied(record));
    let markers: Vec<(String, String)> =
        copied.filter_map(|record| Some((record.topic.clone(), marked(&record)?))).collect();
    assert!(run.starts_with("rows") || markers.len() == records.iter().filter(|r| is_copied(r)).count());
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (topic, marker) in &markers {
        tables.entry(topic).or_default().push(marker);
    }
    if let [(_, first), .., (_, last)] = markers.as_slice() {
        assert_eq!((first.as_str(), last.as_str()), ("first", "last"), "{run}: {markers:?}");
    }
    for (topic, markers) in tables {
        let last = *markers.last().unwrap();
        assert!(["last", "last_in_data_collection", "first"].contains(&last), "{run} {topic}: {markers:?}");
        if let [first, between @ .., last] = markers.as_slice() {
            assert!(["first", "first_in_data_collection"].contains(first), "{run} {topic}: {markers:?}");
            assert!(between.iter().all(|marker| *marker == "true"), "{run} {topic}: {markers:?}");
            assert_ne!(*last, "first", "{run} {topic}: {markers:?}");
        }
    }
}

/// The metadata of a transaction that ends.
const ENDS: &str = "\"status\":\"END\"";

/// Numbers in the order in which they are first seen.
#[derive(Default)]
struct Seen {
    lsns: Vec<String>,
    commits: Vec<String>,
    xids: Vec<String>,
}

impl Seen {
    fn normal(&mut self, record: Plain, run: &str) -> Plain {
        let copied = is_copied(&record);
        let value = record.value.map(|value| self.value(value, copied, run));
        let ends = value.as_ref().is_some_and(|value| value.contains(ENDS));
        let key = record.key.map(|key| self.ids(&key, ends));
        let mut headers = record.headers;
        for (name, value) in &mut headers {
            if let (true, Some(value)) = (name.ends_with(".runId"), value.as_mut()) {
                *value = value.len().to_string();
            } else if name.starts_with("__") && !name.starts_with("__debezium") {
                // As it would stand in a value: `"__lsn":123`.
                let number = value.as_ref().is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit()));
                let text = value.take().map_or("null".to_owned(), |text| {
                    if number { text } else { serde_json::Value::from(text).to_string() }
                });
                *value = Some(self.value(format!("\"{name}\":{text}"), copied, run));
            }
        }
        Plain { key, value, headers, ..record }
    }

    fn value(&mut self, mut value: String, copied: bool, run: &str) -> String {
        for (pattern, replacement) in [
            // What is only known while it runs: the connector's clock, the server's.
            (r#"ts_(ms|us|ns)":\d+"#, r#"ts_$1":0"#),
            (r#"version":"[^"]+""#, r#"version":"0""#),
            (r#"snapshot":"[a-z_]+""#, r#"snapshot":"""#),
            // Debezium calls a message by the address of an object.
            (
                r"io\.debezium\.connector\.postgresql\.LogicalDecodingMessageMonitor\$LogicalDecodingMessageId@[0-9a-f]+",
                "message",
            ),
            // And knows the labels of an enum as they were when it started.
            (r#""allowed":"sad,happy""#, r#""allowed":"sad""#),
        ] {
            value = Regex::new(pattern).unwrap().replace_all(&value, replacement).into_owned();
        }
        value = unlike(&value, copied, run);
        value = sorted_collections(&value);
        let sequence = Regex::new(r#"sequence":"\[(null|\\"\d+\\"),\\"(\d+)\\"\]""#).unwrap();
        value = sequence
            .replace(&value, |found: &Captures<'_>| {
                let lsn = self.lsn(&found[2], copied);
                // The first transaction after the copy follows none for Debezium, and the copy for Tailwater.
                let commit = if copied { found[1].to_owned() } else { rank(&mut self.commits, &found[1]) };
                format!("sequence\":\"{commit} {lsn}\"")
            })
            .into_owned();
        let lsn = Regex::new(r#"([_$"]lsn)":(\d+)"#).unwrap();
        value = lsn
            .replace_all(&value, |found: &Captures<'_>| {
                format!("{}\":{}", &found[1], self.lsn(&found[2], copied))
            })
            .into_owned();
        let xid = Regex::new(r#"txId":(\d+|null)"#).unwrap();
        value = xid
            .replace(&value, |found: &Captures<'_>| match (&found[1], copied) {
                // Tailwater's snapshot takes no number.
                (_, true) => "txId\":0".to_owned(),
                ("null", false) => "txId\":null".to_owned(),
                (xid, false) => format!("txId\":X{}", rank(&mut self.xids, xid)),
            })
            .into_owned();
        let ends = value.contains(ENDS);
        self.ids(&value, ends)
    }

    /// Where a snapshot stands may be where the first transaction begins, or not.
    fn lsn(&mut self, lsn: &str, copied: bool) -> String {
        if copied { "S".to_owned() } else { format!("L{}", rank(&mut self.lsns, lsn)) }
    }

    /// The ids of transactions, `571:24023128`. Where one ends the next one begins, unless the server had something to
    /// write in between.
    fn ids(&mut self, text: &str, ends: bool) -> String {
        let id = Regex::new(r#"id":"(\d+):(\d+)""#).unwrap();
        id.replace_all(text, |found: &Captures<'_>| {
            let place = if ends { "end".to_owned() } else { self.lsn(&found[2], false) };
            format!("id\":\"X{}:{place}\"", rank(&mut self.xids, &found[1]))
        })
        .into_owned()
    }
}

fn rank(seen: &mut Vec<String>, number: &str) -> String {
    let place = seen.iter().position(|known| known == number);
    let place = place.unwrap_or_else(|| {
        seen.push(number.to_owned());
        seen.len() - 1
    });
    place.to_string()
}

/// Columns that are written otherwise on purpose: run, column, whether only in rows of the snapshot, and why.
pub(super) const UNLIKE: &[(&str, &str, bool, &str)] = &[
    ("arrays", "tz", false, "Debezium cuts the fraction of a second off in arrays of `timetz`"),
    (
        "texts",
        "n",
        false,
        "Debezium streams `name` as null, and copies it as text; Tailwater has the text in both",
    ),
    ("texts", "iv", false, "Debezium has no elements of int2vector; Tailwater has them"),
    ("texts", "ov", false, "the same of oidvector"),
    ("texts", "h", false, "the keys of an hstore: Java's hash order, or Postgres' own"),
    (
        "times",
        "d",
        true,
        "Debezium copies infinite dates and those before Christ otherwise than it streams them",
    ),
];

/// The collections at the end of a transaction come in the order of a hash map.
fn sorted_collections(value: &str) -> String {
    let list = Regex::new(r#"("data_collections":\[)([^\]]+)\]"#).unwrap();
    list.replace(value, |found: &Captures<'_>| {
        let mut collections: Vec<&str> =
            found[2].split("},").map(|text| text.trim_end_matches('}')).collect();
        collections.sort_unstable();
        format!("{}{}]", &found[1], collections.join("},"))
    })
    .into_owned()
}

/// Blanks the columns of [`UNLIKE`].
fn unlike(value: &str, copied: bool, run: &str) -> String {
    let mut value = value.to_owned();
    for (_, column, only_copied, _) in UNLIKE.iter().filter(|(of, ..)| run.starts_with(of)) {
        if !only_copied || copied {
            let member = format!(
                r#"("(?:before|after)":\{{[^\n]*?"{column}":)("(?:[^"\\]|\\.)*"|\{{[^}}]*\}}|\[[^\]]*\]|[^,}}]+)"#
            );
            value = Regex::new(&member).unwrap().replace_all(&value, "${1}-").into_owned();
        }
    }
    value
}
