//! Log files as real servers wrote them (see `fixtures/README.md`), through the assembler: the changes in them, in readable
//! text beside each file, without a catalogue, as if every table were gone by now. And: cut between any two events and
//! begun again, the same changes come.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is a failed test"
)]

use std::path::{Path, PathBuf};

use tailwater_core::pattern::Patterns;
use tailwater_core::{Batch, Change, Fill, Position, Result, Row, Table, Value};
use tailwater_mysql::assemble::{Answer, Assembler, Settings, Step};
use tailwater_mysql::binlog::compressed::Inflater;
use tailwater_mysql::binlog::decode::decode;
use tailwater_mysql::binlog::event::{Event, Format, Header, Query, Rows};
use tailwater_mysql::binlog::header::checked;
use tailwater_mysql::binlog::payload::PayloadReader;
use tailwater_mysql::binlog::plan::Plan;
use tailwater_mysql::gtid::{GtidSet, MariaGtids};
use tailwater_mysql::place::Place;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(file: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("{file}.binlog"))).unwrap()
}

/// Every event of a log file, whole.
fn events(file: &[u8]) -> Vec<&[u8]> {
    let mut left = file.strip_prefix(b"\xfebin").unwrap();
    let mut events = Vec::new();
    while !left.is_empty() {
        let bytes = Header::parse(left).unwrap().bytes as usize;
        events.push(&left[..bytes]);
        left = &left[bytes..];
    }
    events
}

struct Reading {
    assembler: Assembler<Plan>,
    batch: Batch,
    format: Format,
    lines: Vec<String>,
    /// As a pipeline does at the first error.
    stops: bool,
    failed: bool,
}

impl Reading {
    fn new(place: Place, skip: u64) -> Self {
        let tables = Patterns::parse(["*.*"]).unwrap();
        let settings = Settings {
            tables,
            lower_case: false,
            source: "test".to_owned(),
            unnamed: false,
            statements: false,
        };
        let mut batch = Batch::default();
        batch.reset(&Position::default(), 1 << 24);
        Self {
            assembler: Assembler::new(settings, place, skip),
            batch,
            format: Format::unknown(),
            lines: Vec::new(),
            stops: false,
            failed: false,
        }
    }

    fn file(&mut self, events: &[&[u8]]) {
        for (index, event) in events.iter().enumerate() {
            let content = checked(event, (index > 0).then_some(&self.format)).unwrap();
            self.event(content, true);
            self.flush();
        }
    }

    fn event(&mut self, content: &[u8], outer: bool) {
        if self.stops && self.failed {
            return;
        }
        let format = self.format.clone();
        let (header, event) = decode(content, &format).unwrap();
        if let Event::Format(format) = &event {
            self.format = format.clone();
        }
        if outer {
            self.assembler.at(&header);
        }
        if let Event::Payload(payload) = &event {
            let mut reader = PayloadReader::new().unwrap();
            reader.begin(payload).unwrap();
            while let Some(inner) = reader.next_event(payload.content).unwrap() {
                self.event(inner, false);
            }
            return;
        }
        if let Err(error) = self.unpacked(&header, &event) {
            self.flush();
            self.lines.push(format!("    {error}"));
            self.failed = true;
        }
    }

    fn unpacked(&mut self, header: &Header, event: &Event<'_>) -> Result<()> {
        let (mut inflater, mut bytes) = (Inflater::default(), Vec::new());
        let step = match event {
            Event::CompressedQuery(body) => {
                let query = Query::inflated(body, &mut inflater, &mut bytes)?;
                self.assembler.apply(header, &Event::Query(query), &mut self.batch)?
            }
            Event::Rows(rows) if rows.compressed => {
                inflater.inflate(rows.images, &mut bytes)?;
                let rows = Rows { images: &bytes, compressed: false, ..*rows };
                self.assembler.apply(header, &Event::Rows(rows), &mut self.batch)?
            }
            event => self.assembler.apply(header, event, &mut self.batch)?,
        };
        if step == Step::Asks {
            self.assembler.answer(Answer::default(), &mut self.batch)?;
        }
        Ok(())
    }

    fn flush(&mut self) {
        let lines: Vec<String> = self.batch.events().map(|event| render(&event)).collect();
        self.lines.extend(lines);
        self.batch.reset(&Position::default(), 1 << 24);
    }
}

fn render(event: &tailwater_core::Event<'_>) -> String {
    let row = |row: Row<'_>| {
        let values = row.values().map(|value| match value {
            Value::Unsent => "?".to_owned(),
            Value::Null => "∅".to_owned(),
            Value::Text(text) => String::from_utf8_lossy(text).chars().take(60).collect(),
        });
        values.collect::<Vec<String>>().join("|")
    };
    let what = match event.change {
        Change::Insert { table, new } => format!("insert {} {}", table.full_name(), row(new)),
        Change::Update { table, old, new } => {
            format!("update {} {} -> {}", table.full_name(), old.map(row).unwrap_or_default(), row(new))
        }
        Change::Delete { table, old } => format!("delete {} {}", table.full_name(), row(old)),
        Change::Truncate { table } => format!("truncate {}", table.full_name()),
        Change::Drop { table } => format!("drop {}", table.full_name()),
        Change::Shape { table } => shape(table),
        other => format!("{other:?}"),
    };
    format!("{}#{} @{} {what}", event.transaction.id, event.ordinal, event.log_offset)
}

fn shape(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| {
        let fill = match &column.fill {
            Fill::Unknown(_) => String::new(),
            fill => format!(" {fill:?}"),
        };
        format!("\n    {} {}{fill}", column.name, column.source_type)
    });
    let born = if table.streamed_from_birth { " from birth" } else { "" };
    format!("shape {}{born} key {:?}{}", table.full_name(), table.key, columns.collect::<String>())
}

fn start(file: &str) -> Place {
    match file {
        "mysql97" => Place::Gtids(GtidSet::default()),
        _ => Place::Maria(MariaGtids::default()),
    }
}

fn changes(file: &str, stops: bool) -> Vec<String> {
    let bytes = read(file);
    let mut reading = Reading { stops, ..Reading::new(start(file), 0) };
    reading.file(&events(&bytes));
    reading.lines
}

#[test]
fn recorded_logs_become_changes() {
    for file in ["mysql97", "mariadb1011", "mariadb118"] {
        let text = changes(file, false).join("\n") + "\n";
        expect_test::expect_file![fixture(&format!("{file}.changes.txt"))].assert_eq(&text);
    }
}

/// Rows, and nothing of what a restart may add. A table that is gone and whose shape was not told since the restart is
/// dropped where it was emptied.
fn counted(lines: &[String]) -> Vec<String> {
    let skip = |line: &&String| {
        ![" shape ", " drop ", " truncate "].iter().any(|verb| line.contains(verb)) && !line.starts_with(' ')
    };
    lines.iter().filter(skip).cloned().collect()
}

#[test]
fn recorded_logs_go_on_from_between_any_two_events() {
    for file in ["mysql97", "mariadb1011"] {
        let bytes = read(file);
        let events = events(&bytes);
        let whole = counted(&changes(file, true));
        for cut in 1..events.len() {
            let mut before = Reading { stops: true, ..Reading::new(start(file), 0) };
            before.file(&events[..cut]);
            let (place, skip) = (before.assembler.place().clone(), before.assembler.event());
            let mut after = Reading { stops: true, ..Reading::new(place, skip) };
            after.file(&events);
            let all = [counted(&before.lines), counted(&after.lines)].concat();
            let differs = all.iter().zip(&whole).find(|(one, other)| one != other);
            assert!(
                all == whole,
                "{file} cut after {cut} events: {differs:?}, {} of {}",
                all.len(),
                whole.len()
            );
        }
    }
}
