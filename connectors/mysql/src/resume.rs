//! Going on where another reader of the same log stopped: what it says of itself becomes a [`Position`], after the log
//! itself has been asked.
//!
//! Such a reader names what it had whole, and of the transaction after that how many events of the log it had done and how
//! many rows of the next one. A position counts changes of followed tables instead, so the events are read once and
//! counted, by the source itself, which therefore skips exactly these when the pipeline starts. The reader may have written
//! more than it noted; the target knows what.

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Change, Error, Event, Position, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::Config;
use crate::connection::Connection;
use crate::continuity;
use crate::error;
use crate::gtid::{GtidSet, MariaGtids};
use crate::place::{self, file_number};
use crate::server::{FilePosition, Server};
use crate::source::stream_from;
use crate::stream::Stream;

/// Where the other reader stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Everything that it had whole, where it noted GTIDs.
    pub gtids: Option<place::Place>,
    /// Where in the log it would begin to read again.
    pub at: FilePosition,
    /// What it had of the transaction there; `None`: nothing.
    pub inside: Option<Inside>,
}

/// How far it came inside a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside {
    /// Events of the log that it had done, from the one on with which the transaction begins: BEGIN, or MariaDB's GTID.
    pub events: u64,
    /// Rows of the next event that it had done.
    pub rows: u64,
}

/// Where a change stands. Some servers do not tell where an event inside of a transaction stands; then it is where the
/// transaction begins, and changes share a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    file: u64,
    offset: u64,
    row: u64,
    /// A hash of its name.
    table: u64,
    kind: Kind,
}

/// Kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say what they are")]
pub enum Kind {
    Insert,
    Update,
    Delete,
    Truncate,
}

/// What the target holds of changes at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// How many.
    pub changes: u64,
    /// They came in the order of the log: where some are missing, these are the last.
    pub in_order: bool,
}

/// What the target holds of changes after those that were noted whole.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// By place.
    pub places: HashMap<Place, Held>,
    /// Updates of keys, which are written as two records, of which one alone is there: how many, by place.
    pub halves: HashMap<Place, u64>,
    /// Kinds that are never written.
    pub never: Vec<Kind>,
}

impl Place {
    /// Of a change of the table `schema.table`: that row of what stands at `offset` of `file`.
    #[must_use]
    pub fn new(file: &str, offset: u64, row: u64, (schema, table): (&str, &str), kind: Kind) -> Self {
        let table = xxh3_64(format!("{schema}.{table}").as_bytes());
        Self { file: file_number(file), offset, row, table, kind }
    }
}

impl Stopped {
    /// Reads what was noted: MySQL's set or MariaDB's list of GTIDs, which may have several servers in a domain.
    ///
    /// # Errors
    /// `Data` where these are no GTIDs.
    pub fn new(gtids: Option<&str>, file: &str, offset: u64, inside: Option<Inside>) -> Result<Self> {
        let gtids = match gtids.map(str::trim).filter(|gtids| !gtids.is_empty()) {
            Some(set) if set.contains(':') => Some(place::Place::Gtids(GtidSet::parse(set)?)),
            Some(list) => Some(place::Place::Maria(last_of_domains(list)?)),
            None => None,
        };
        Ok(Self { gtids, at: FilePosition { file: file.to_owned(), position: offset }, inside })
    }

    /// Whether a transaction, or what stands at that place, was noted whole.
    #[must_use]
    pub fn includes(&self, gtid: Option<&str>, file: &str, offset: u64) -> bool {
        let parse = |gtid: &str, of: &place::Place| match of {
            place::Place::Gtids(_) => GtidSet::parse(gtid).map(place::Place::Gtids),
            place::Place::Maria(_) | place::Place::File { .. } => {
                MariaGtids::parse(gtid).map(place::Place::Maria)
            }
        };
        match (&self.gtids, gtid) {
            (Some(noted), Some(gtid)) => parse(gtid, noted).is_ok_and(|gtid| noted.includes(&gtid)),
            (_, _) => (file_number(file), offset) < (file_number(&self.at.file), self.at.position),
        }
    }

    /// In the notation of positions of that server.
    fn place(&self, server: &Server) -> Result<place::Place> {
        let by_file = || place::Place::File { file: self.at.file.clone(), offset: self.at.position };
        match (&self.gtids, server.version.is_mariadb()) {
            (Some(noted @ place::Place::Maria(_)), true) => Ok(noted.clone()),
            (Some(noted @ place::Place::Gtids(_)), false) if server.has_gtids() => Ok(noted.clone()),
            (Some(place::Place::Gtids(_)), false) | (None, _) => Ok(by_file()),
            (Some(noted), _) => {
                let what =
                    format!("{noted:?} was noted, and the url leads to {}", continuity::identity(server));
                Err(Error::operator(error::OTHER_SOURCE, what).remedy("the offsets of this server"))
            }
        }
    }
}

/// The last number of each domain, whichever server wrote it.
fn last_of_domains(list: &str) -> Result<MariaGtids> {
    let mut last = MariaGtids::default();
    for gtid in list.split(',') {
        for (domain, server, sequence) in MariaGtids::parse(gtid)?.iter() {
            if last.get(domain).is_none_or(|(_, known)| known < sequence) {
                last.set(domain, server, sequence);
            }
        }
    }
    Ok(last)
}

/// Proves that the log holds everything that comes after, and says where that begins; and how many of the changes in
/// `written` come after that all the same, because something before them is missing. Only reads.
///
/// # Errors
/// `Operator` where it cannot be proved.
pub async fn position(config: &Config, stopped: &Stopped, written: Written) -> Result<(Position, u64)> {
    let mut connection = Connection::open(&config.url).await.doing(|| "connect")?;
    let server = Server::read(&mut connection).await?;
    continuity::prove_readable(&server)?;
    let place = stopped.place(&server)?;
    let mut start = Position { source: continuity::identity(&server), ..Position::default() };
    place.write_to(&mut start.stream);
    let files = server.log_files(&mut connection).await?;
    continuity::prove(&server, &files, &start).map_err(|error| {
        // There is no target yet that could be given up.
        error.remedy(
            "name the newest offsets; if what comes after them is gone, start without, with a first copy",
        )
    })?;
    let head = continuity::head(&server, &place)?;
    connection.finish().await?;
    if stopped.inside.is_none() && written.places.is_empty() && written.halves.is_empty() {
        return Ok((start, 0));
    }
    let stream = stream_from(Arc::new(config.clone()), start.clone()).await?;
    let mut search = Search {
        stream,
        head,
        head_in_file: server.head.clone(),
        counts_gtids: server.version.is_mariadb(),
        inside: stopped.inside,
        written,
        position: start.clone(),
        events: 0,
        passed_on: PassedOn::default(),
        ended: false,
    };
    search.run().await.doing(|| format!("find what was passed on after {}", start.stream))?;
    let beyond = search.beyond();
    Ok((search.position, beyond))
}

/// What is known of the log after the start so far.
struct Search {
    stream: Stream,
    head: place::Place,
    head_in_file: Option<FilePosition>,
    /// Events of a transaction are counted from its GTID on.
    counts_gtids: bool,
    /// What has been noted and was not met yet.
    inside: Option<Inside>,
    written: Written,
    /// Where everything up to the last change that was passed on ends.
    position: Position,
    /// Events of the log in the open transaction.
    events: u64,
    passed_on: PassedOn,
    /// A change was met that has not been passed on.
    ended: bool,
}

/// Whether a change was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    No,
    /// As the last one.
    Last,
    Before,
}

/// Changes of the open transaction that are in the target, beyond those that were noted.
#[derive(Debug, Default)]
struct PassedOn {
    /// Their numbers.
    ordinals: Vec<u64>,
    /// The first at each place where it is not certain which of several changes came.
    unsure: HashMap<Place, u64>,
    /// Whether there were changes at all.
    any: bool,
}

impl Search {
    async fn run(&mut self) -> Result<()> {
        let mut batch = Batch::default();
        while !self.is_done() {
            batch.reset(&self.position, 1 << 20);
            let (was_inside, mut before) = (self.is_inside(), String::new());
            self.stream.assembler().place().write_to(&mut before);
            let whole = self.stream.step(&mut batch).await?;
            let number = (was_inside || self.is_inside()).then_some(self.events);
            self.event(number, &batch, &before)?;
            self.events += u64::from(number.is_some());
            if whole {
                self.whole()?;
            }
        }
        match self.inside {
            Some(_) => Err(self.missing("the log ends before it")),
            None => Ok(()),
        }
    }

    /// Whether the events that are read are counted.
    fn is_inside(&self) -> bool {
        self.stream.assembler().begun().is_some_and(|begun| begun || self.counts_gtids)
    }

    fn is_done(&self) -> bool {
        let assembler = self.stream.assembler();
        if self.ended {
            return self.passed_on.unsure.is_empty() || assembler.between_transactions();
        }
        let all_met = self.inside.is_none() && self.written.places.is_empty();
        assembler.between_transactions() && (all_met || self.is_at_head())
    }

    fn is_at_head(&self) -> bool {
        let assembler = self.stream.assembler();
        let read = assembler.log_end().map(|(file, offset)| (file_number(file), offset));
        let end = self.head_in_file.as_ref().map(|end| (file_number(&end.file), end.position));
        assembler.place().includes(&self.head) || end.is_some_and(|end| read >= Some(end))
    }

    /// Takes in what an event of the log brought: the one of that number in its transaction, which follows `before`.
    fn event(&mut self, number: Option<u64>, batch: &Batch, before: &str) -> Result<()> {
        let noted = match (self.inside, number) {
            (Some(inside), Some(number)) if number < inside.events => u64::MAX,
            (Some(inside), Some(number)) if number == inside.events => inside.rows,
            (_, _) => 0,
        };
        let mut changes = 0;
        for event in batch.events() {
            let Some((kind, table)) = kind(&event) else { continue };
            let noted = match noted.saturating_sub(changes) {
                0 => Noted::No,
                1 => Noted::Last,
                _ => Noted::Before,
            };
            self.change(&event, kind, table, (before, noted));
            changes += 1;
        }
        self.passed_on.any |= changes > 0;
        if let (Some(inside), Some(number)) = (self.inside, number) {
            if number == inside.events && changes < inside.rows {
                return Err(self.missing(&format!("there are {changes} rows of followed tables")));
            }
            if (number + 1, inside.rows) == (inside.events, 0) || number == inside.events {
                self.inside = None;
            }
        }
        Ok(())
    }

    fn change(&mut self, event: &Event<'_>, kind: Kind, table: (&str, &str), (before, noted): (&str, Noted)) {
        let at = |offset| Place::new(event.transaction.log_file, offset, event.log_row.into(), table, kind);
        // The server may not say where the event stands; we count.
        let exact = at(event.log_offset);
        let known = self.written.knows(&exact) || self.passed_on.unsure.contains_key(&exact);
        let place = if known { exact } else { at(event.transaction.starts) };
        let held = self.written.take(place);
        // What is noted with the first record of an update of a key holds for both.
        let is_half = held.is_none() && self.written.halves.contains_key(&place);
        let noted = match noted {
            Noted::No => false,
            Noted::Last => !is_half,
            Noted::Before => {
                self.written.halves.remove(&place);
                true
            }
        };
        let passed_on = noted || held.is_some() || self.written.never.contains(&kind);
        if let Some(held) = held.filter(|_| !noted) {
            self.passed_on.ordinals.push(event.ordinal);
            if !(held.in_order || self.ended) {
                self.passed_on.unsure.entry(place).or_insert(event.ordinal);
            }
        }
        if passed_on && !self.ended {
            before.clone_into(&mut self.position.stream);
            self.position.event = event.ordinal + 1;
        } else if !passed_on {
            self.ended = true;
            // It may be that an earlier one at this place is the one that is missing.
            if let Some(&first) = self.passed_on.unsure.get(&place) {
                self.position.event = self.position.event.min(first);
            }
        }
    }

    /// A transaction is whole.
    fn whole(&mut self) -> Result<()> {
        self.events = 0;
        if self.ended {
            return Ok(());
        }
        if let Some(inside) = self.inside {
            // Of a statement that changes no rows, MariaDB's reader may count what comes after it.
            if self.passed_on.any || inside.rows > 0 {
                return Err(self.missing("the transaction ends before it"));
            }
            self.inside = None;
        }
        self.passed_on = PassedOn::default();
        self.position.stream.clear();
        self.stream.assembler().place().write_to(&mut self.position.stream);
        self.position.event = 0;
        Ok(())
    }

    /// Changes that are in the target and come again.
    fn beyond(&self) -> u64 {
        let again = self.passed_on.ordinals.iter().filter(|&&ordinal| ordinal >= self.position.event).count();
        let left: u64 = self.written.places.values().map(|held| held.changes).sum();
        let halves: u64 = self.written.halves.values().sum();
        left + again as u64 + halves
    }

    fn missing(&self, why: &str) -> Error {
        let Inside { events, rows } = self.inside.unwrap_or(Inside { events: 0, rows: 0 });
        let what = format!(
            "{events} events and {rows} rows were noted of the transaction after {}, but do not stand there in the log: {why}",
            self.position.stream
        );
        Error::operator(error::NOT_THERE, what).remedy(
            "use the newest offsets, the same server, and the tables that were used until now; after an XA transaction or CREATE TABLE … SELECT let the other reader pass on one more change, and stop it again; else copy afresh",
        )
    }
}

impl Written {
    fn knows(&self, place: &Place) -> bool {
        self.places.contains_key(place) || self.halves.contains_key(place)
    }

    /// Takes one change at this place out of what is left; what there was.
    fn take(&mut self, place: Place) -> Option<Held> {
        let held = self.places.get_mut(&place)?;
        let there = *held;
        held.changes = held.changes.saturating_sub(1);
        if held.changes == 0 {
            self.places.remove(&place);
        }
        Some(there)
    }
}

/// What a change is, and of which table; `None` for events that a restart may add, which do not count.
fn kind<'e>(event: &Event<'e>) -> Option<(Kind, (&'e str, &'e str))> {
    let (kind, table) = match event.change {
        Change::Insert { table, .. } => (Kind::Insert, table),
        Change::Update { table, .. } => (Kind::Update, table),
        Change::Delete { table, .. } => (Kind::Delete, table),
        Change::Truncate { table } => (Kind::Truncate, table),
        Change::Message { .. } | Change::Shape { .. } | Change::Drop { .. } => return None,
        Change::Stop { .. } | Change::Statement(_) => return None,
        Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => return None,
    };
    Some((kind, (&table.schema, &table.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn tells_what_was_noted_whole() {
        let by_set = Stopped::new(Some(&format!("{UUID}:1-5")), "binlog.000009", 400, None).unwrap();
        for (number, noted) in [(5, true), (6, false)] {
            // The files are those of another server.
            assert_eq!(
                by_set.includes(Some(&format!("{UUID}:{number}")), "binlog.000001", 4),
                noted,
                "{number}"
            );
        }
        let by_list = Stopped::new(Some("0-1-5,0-2-9,7-1-2"), "binlog.000009", 400, None).unwrap();
        for (gtid, noted) in [("0-1-9", true), ("0-2-10", false), ("7-1-2", true), ("8-1-1", false)] {
            assert_eq!(by_list.includes(Some(gtid), "binlog.000001", 4), noted, "{gtid}");
        }
        let by_file = Stopped::new(Some(" "), "binlog.000009", 400, None).unwrap();
        assert_eq!(by_file.gtids, None);
        for (file, offset, noted) in
            [("binlog.000009", 399, true), ("binlog.000009", 400, false), ("binlog.000010", 4, false)]
        {
            assert_eq!(by_file.includes(None, file, offset), noted, "{file}:{offset}");
        }
        assert!(Stopped::new(Some("x"), "binlog.000009", 400, None).is_err());
    }
}
