//! The comparison. Text against text: what differs from run to run is replaced by what it has in common first.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use regex::{Captures, Regex};
use serde_json::value::RawValue;
use tailwater_kafka::debezium::record::Recorded;

use super::statements;

/// A record with its parts as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    topic: String,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    topic: Option<String>,
    schemas: Option<String>,
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    headers: Vec<(String, serde_json::Value, Option<String>)>,
    #[serde(default)]
    text: Option<String>,
}

/// The records of a run, with their schemas where those are wanted.
pub(super) fn golden(path: &Path, schemas: bool) -> Vec<Plain> {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut known, mut records) = (HashMap::new(), Vec::new());
    let some = |raw: &RawValue| (raw.get() != "null").then(|| raw.get().to_owned());
    for line in text.lines() {
        let line: Line<'_> = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(topic) = line.schemas {
            known.insert(topic, (some(line.key), some(line.value)));
            continue;
        }
        let topic = line.topic.unwrap();
        let (key_schema, value_schema): (Option<String>, Option<String>) =
            known.get(&topic).cloned().unwrap_or_default();
        let wrap = |text: Option<String>, schema: Option<String>| match schema {
            Some(schema) if schemas => text.map(|text| format!("{{\"schema\":{schema},\"payload\":{text}}}")),
            Some(_) | None => text,
        };
        records.push(Plain {
            key: wrap(some(line.key), key_schema),
            value: wrap(some(line.value).or(line.text), value_schema),
            headers: line.headers.into_iter().map(|(name, _, plain)| (name, plain)).collect(),
            topic,
        });
    }
    records
}

/// Faults of Debezium's that are not repeated.
const FAULTS: &[(&str, &str)] = &[
    (r#""e":"b\\,c""#, r#""e":"b,c""#),
    ("123456789012345677877719597056", "1.2345678901234568e29"),
    (r#"04:05:06.5\",\"x\":\"12:00:01\""#, r#"04:05:06.500000\",\"x\":\"12:00:01.000000\""#),
    (r#"it''s \"ok\""#, r#"it's \"ok\""#),
    (r#""ab\\0\\0\\0""#, r#""ab""#),
    ("YWJcMFwwXDA=", "YWI="),
    ("61625c305c305c30", "6162"),
    ("00ffffff-ffff-ffff-ffff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffff00"),
];

/// Everything in which what Tailwater wrote differs from what Debezium did.
pub(super) fn differences(run: &str, golden: Vec<Plain>, ours: &[Recorded]) -> Vec<String> {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let ours = ours.iter().map(|record| Plain {
        topic: record.topic.clone(),
        key: record.key.as_ref().map(text),
        value: record.value.as_ref().map(text),
        headers: record.headers.iter().map(|(name, value)| (text(name), value.as_ref().map(text))).collect(),
    });
    let ours: Vec<Plain> = ours.collect();
    check_markers(&ours, run);
    let (golden, ours) = (normal(golden, run), normal(ours, run));
    let mut wrong = Vec::new();
    for (index, (golden, ours)) in golden.iter().zip(&ours).enumerate() {
        if golden != ours {
            wrong.push(format!("{run} record {index} of {}: {}", golden.topic, first(golden, ours)));
        }
    }
    if golden.len() != ours.len() {
        let topics =
            |records: &[Plain]| records.iter().map(|record| record.topic.clone()).collect::<Vec<_>>();
        wrong.push(format!("{run}: {:?}\n  and not {:?}", topics(&ours), topics(&golden)));
    }
    wrong
}

/// Where two records part.
fn first(golden: &Plain, ours: &Plain) -> String {
    let parts = |record: &Plain| {
        let texts = [Some(record.topic.clone()), record.key.clone(), record.value.clone()];
        texts
            .map(Option::unwrap_or_default)
            .into_iter()
            .chain([format!("{:?}", record.headers)])
            .collect::<Vec<_>>()
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

/// Whether it is of the first copy. A row tells that only where it is asked to.
fn is_copied(record: &Plain) -> bool {
    let marks = ["\"op\":\"r\"", "\"__op\":\"r\""];
    record.value.as_deref().is_some_and(|value| marks.iter().any(|mark| value.contains(mark)))
}

/// One first, one last, and between them each table's own, in whichever order the tables come.
fn check_markers(records: &[Plain], run: &str) {
    let marker = Regex::new(r#"snapshot":"([a-z_]+)"[,}]"#).unwrap();
    let copied = records.iter().filter(|record| is_copied(record));
    let marked = |record: &Plain| Some(marker.captures(record.value.as_ref()?)?[1].to_owned());
    let markers: Vec<(&str, String)> =
        copied.filter_map(|record| Some((record.topic.as_str(), marked(record)?))).collect();
    if let [(_, first), .., (_, last)] = markers.as_slice() {
        assert_eq!((first.as_str(), last.as_str()), ("first", "last"), "{run}: {markers:?}");
    }
    let mut tables: HashMap<&str, Vec<&str>> = HashMap::new();
    for (topic, marker) in &markers {
        tables.entry(topic).or_default().push(marker);
    }
    for (topic, markers) in tables {
        let last = *markers.last().unwrap();
        assert!(["last", "last_in_data_collection", "first"].contains(&last), "{run} {topic}: {markers:?}");
        if let [first, between @ .., _] = markers.as_slice() {
            assert!(["first", "first_in_data_collection"].contains(first), "{run} {topic}: {markers:?}");
            assert!(between.iter().all(|marker| *marker == "true"), "{run} {topic}: {markers:?}");
        }
    }
}

/// Leaves out what has no counterpart, brings the copy into one order, and replaces what no two runs have in common.
fn normal(records: Vec<Plain>, run: &str) -> Vec<Plain> {
    let id = Regex::new(r#""id":"([^"]+)""#).unwrap();
    let id_of = |record: &Plain| {
        id.captures(record.key.as_deref().unwrap_or_default()).map(|found| found[1].to_owned())
    };
    let is_metadata = |record: &Plain| record.topic.ends_with(".transaction");
    let value = |record: &Plain| record.value.clone().unwrap_or_default();
    // Transactions that only tell that a step is done; and those that MariaDB's connector begins and never ends.
    let mut ended: HashSet<String> = HashSet::new();
    for record in records.iter().filter(|record| is_metadata(record)) {
        if value(record).contains("\"END\"") && !value(record).contains("done.done") {
            ended.extend(id_of(record));
        }
    }
    let counts = |record: &Plain| {
        let done = record.topic.ends_with(".done.done");
        !done
            && (!statements::is_one(&record.topic) || statements::counts(&value(record), run))
            && (!is_metadata(record) || id_of(record).is_some_and(|id| ended.contains(&id)))
    };
    let records = records.into_iter().filter(counts);
    let in_copy = |record: &Plain| is_copied(record);
    let (mut copied, streamed): (Vec<Plain>, Vec<Plain>) = records.partition(in_copy);
    copied.sort_by(|a, b| a.topic.cmp(&b.topic));
    let mut gtids = Vec::new();
    let copied = copied.into_iter().map(|record| (record, true));
    let all = copied.chain(streamed.into_iter().map(|record| (record, false)));
    all.map(|(record, copied)| plain(record, copied, run, &mut gtids)).collect()
}

fn plain(record: Plain, copied: bool, run: &str, gtids: &mut Vec<String>) -> Plain {
    let key = record.key.map(|key| text(key, copied, run, gtids));
    let value = record.value.map(|value| text(value, copied, run, gtids));
    let value = if statements::is_one(&record.topic) { value.map(statements::plain) } else { value };
    let headers = record.headers.into_iter().map(|(name, value)| {
        let varies = name.ends_with(".runId") || name == "__pos" || name == "__file";
        (name, value.map(|value| if varies { "-".to_owned() } else { value }))
    });
    Plain { topic: record.topic, key, value, headers: headers.collect() }
}

fn text(mut text: String, copied: bool, run: &str, gtids: &mut Vec<String>) -> String {
    let mut replace = |pattern: &str, by: &str| {
        text = Regex::new(pattern).unwrap().replace_all(&text, by).into_owned();
    };
    replace(r#"ts_(ms|us|ns)":\d+"#, r#"ts_$1":0"#);
    replace(r#"version":"[^"]+""#, r#"version":"0""#);
    replace(r#"snapshot":"[a-z_]+""#, r#"snapshot":"-""#);
    // Where it stands is another place in another run; and MariaDB's connector has that of the transaction.
    replace(r#"server_id":[1-9]\d*"#, r#"server_id":1"#);
    replace(r#"thread":\d+"#, r#"thread":1"#);
    replace(r#"file":"[^"]+""#, r#"file":"f""#);
    replace(r#"pos":\d+"#, r#"pos":1"#);
    // Comments of columns, which MariaDB's connector puts into schemas whether it is asked to or not.
    replace(r#","doc":"[^"]*""#, "");
    replace(r#""transaction":\{[^}]*\},"op":"t""#, r#""transaction":null,"op":"t""#);
    if copied {
        // Debezium copies with as few digits as there are.
        replace(r#"(:\d\d\.\d*[1-9])0+Z""#, r#"${1}Z""#);
        replace(r#"(:\d\d)\.0+Z""#, r#"${1}Z""#);
        if run.starts_with("texts") {
            // And JSON as the server prints it.
            replace(r#""(j|je)":"(?:[^"\\]|\\.)*""#, r#""$1":"-""#);
        }
    }
    for (fault, right) in FAULTS {
        text = text.replace(fault, right);
    }
    let gtid = Regex::new(r#""((?:__)?gtid|id)":"([0-9a-f-]{36}:\d+|\d+-\d+-\d+)""#).unwrap();
    let named = |found: &Captures<'_>| {
        let place = gtids.iter().position(|known| *known == found[2]).unwrap_or_else(|| {
            gtids.push(found[2].to_owned());
            gtids.len() - 1
        });
        format!("\"{}\":\"G{place}\"", &found[1])
    };
    gtid.replace_all(&text, named).into_owned()
}
