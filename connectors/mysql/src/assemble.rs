//! Pure: events of the log in, events of a [`Batch`] out. Knows transactions, shapes, and what becomes of tables; no I/O.
//!
//! What it cannot know from the log it asks: [`Step::Asks`] makes the caller look the table in [`Assembler::asked`] up in the
//! catalogue and hand what is there to [`Assembler::answer`] before anything else. Transaction payloads and compressed
//! queries and rows come here unpacked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tailwater_core::batch::RowId;
use tailwater_core::pattern::Patterns;
use tailwater_core::{Batch, Notes, Position, Result, Table, Type};

use crate::binlog::columns::Described;
use crate::binlog::event::{Columns, Event, Format, Header, Rows, TableMap};
use crate::ddl::Name;
use crate::error::{self, out_of_place};
use crate::followed::Tables;
use crate::open::{Held, Open};
use crate::place::{Id, Place, Spot};
use crate::shapes::{self, Facts, Hint};

mod plan;
mod rows;
mod statements;
mod tables;
#[cfg(test)]
mod tests;
mod transactions;
mod unnamed;

pub(crate) use transactions::statement;

/// What reads the row images of a table.
pub trait Images: Sized {
    /// Made once per shape.
    ///
    /// # Errors
    /// Where the log does not say enough, or what is not known here.
    fn compile(columns: &[Described], hints: &[Hint]) -> Result<Self>;

    /// What the log says of the columns.
    ///
    /// # Errors
    /// `Data` for bytes that cannot be.
    fn describe(map: &TableMap<'_>, format: &Format) -> Result<Columns>;

    /// The types of the columns, in order.
    fn kinds(&self) -> impl Iterator<Item = &Type>;

    /// Reads every row of an event into the batch and hands it to `each`. What the second image of an update lacks is taken
    /// from the first, where it has it.
    ///
    /// # Errors
    /// `Data` for bytes that cannot be, and those of `each`.
    fn read(
        &self,
        rows: &Rows<'_>,
        batch: &mut Batch,
        each: &mut dyn FnMut(&mut Batch, ReadRow) -> Result<()>,
    ) -> Result<()>;
}

/// A row in the batch: both where it was updated.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadRow {
    /// As it was.
    pub old: Option<RowId>,
    /// As it is.
    pub new: Option<RowId>,
}

/// A wanted table at a point of the log, and how to read its rows.
#[derive(Debug)]
pub struct Shape<P> {
    /// As the sink is told.
    pub table: Arc<Table>,
    pub(crate) images: P,
    pub(crate) columns: Vec<Described>,
    /// What the log said: equal bytes, equal shape. Empty where the catalogue alone told it.
    pub(crate) body: Box<[u8]>,
    pub(crate) transactional: bool,
}

/// What a number of a table stands for.
#[derive(Debug)]
struct Numbered<P> {
    body: Box<[u8]>,
    /// `None` where it is not wanted.
    shape: Option<Arc<Shape<P>>>,
}

/// What an event means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Continue,
    /// A transaction is whole.
    Committed,
    /// Look [`Assembler::asked`] up in the catalogue and call [`Assembler::answer`].
    Asks,
}

/// What the catalogue is asked for.
#[derive(Debug)]
struct Asked {
    name: Name,
    why: Why,
    /// The answer counts only if it held there already, because the log will not tell.
    since: Option<Spot>,
}

#[derive(Debug)]
enum Why {
    /// The log described it, with names or without.
    Described { number: u64, columns: Vec<Described>, body: Box<[u8]> },
    /// It was altered.
    Altered,
    /// It got this name.
    Renamed,
    /// It was emptied, and its shape is not known.
    Truncated,
    /// It was created.
    Created,
    /// What is told of the statement: what the table is like after it.
    Told,
}

/// What the catalogue has of a table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// `None` where it has no such table.
    pub facts: Option<&'a Facts>,
    /// It held already where [`Assembler::asked`] wanted to know that.
    pub proven: bool,
}

/// What to assemble.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which tables are wanted.
    pub tables: Patterns,
    /// `lower_case_table_names` is not 0.
    pub lower_case: bool,
    /// Who the server is: [`Position::source`].
    pub source: String,
    /// Statements are told in their own words.
    pub statements: bool,
    /// The log does not name columns, as far as the server's setting tells.
    pub unnamed: bool,
}

/// See the module's description.
#[derive(Debug)]
pub struct Assembler<P> {
    settings: Settings,
    tables: Tables<P>,
    numbers: HashMap<u64, Numbered<P>>,
    telling: statements::Telling,
    /// What is to be looked up, one after the other.
    asked: VecDeque<Asked>,
    /// What the position after the last commit has to remember.
    notes: Arc<Notes>,
    open: Option<Open<P>>,
    /// XA transactions that are prepared, by name: what they are called in the log, and what they changed.
    prepared: HashMap<String, (Id, Vec<Held<P>>)>,
    held_bytes: usize,
    place: Place,
    /// Events of the transaction after `place` that the target has.
    skip_events: u64,
    /// Rows that the target has are read into it.
    aside: Batch,
    /// Of the file that is read.
    format: Option<Format>,
    file: String,
    /// Where the event that is applied begins in the file, and where it ends.
    offset: u64,
    end: u64,
    last_end: u64,
    /// Second of the event that is applied.
    timestamp: u32,
}

impl<P: Images> Assembler<P> {
    /// Assembles what comes after `place` and the first `skip_events` events of the transaction that follows.
    #[must_use]
    pub fn new(settings: Settings, place: Place, skip_events: u64) -> Self {
        let (file, end) = match &place {
            Place::File { file, offset } => (file.clone(), *offset),
            Place::Gtids(_) | Place::Maria(_) => (String::new(), 0),
        };
        Self {
            settings,
            tables: Tables::default(),
            numbers: HashMap::new(),
            telling: statements::Telling::default(),
            asked: VecDeque::new(),
            notes: Arc::default(),
            open: None,
            prepared: HashMap::new(),
            held_bytes: 0,
            place,
            skip_events,
            aside: Batch::default(),
            format: None,
            file,
            offset: end,
            end,
            last_end: end,
            timestamp: 0,
        }
    }

    /// What a wanted table is like when reading begins, as the catalogue has it: what the log says later is compared with it.
    pub fn prime(&mut self, name: &Name, facts: &Facts) {
        let columns: Option<Vec<Described>> =
            facts.columns.iter().map(shapes::ColumnFacts::described).collect();
        self.tables.follow(name).hear(&columns.unwrap_or_default());
    }

    /// Takes over what the position remembers of tables. To be called after [`Assembler::prime`].
    ///
    /// # Errors
    /// `Operator` where it cannot be read.
    pub fn restore(&mut self, notes: &Arc<Notes>) -> Result<()> {
        self.notes = Arc::clone(notes);
        self.tables.restore(notes)
    }

    /// Everything up to there is assembled whole.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether everything up to there has been read. What is prepared is, though it is not in [`Self::place`].
    #[must_use]
    pub fn has_read(&self, there: &Place) -> bool {
        if self.prepared.is_empty() {
            return self.place.includes(there);
        }
        let mut read = self.place.clone();
        self.prepared.values().for_each(|(id, _)| read.add(id, &self.file, self.end));
        read.includes(there)
    }

    /// Events of the transaction after [`Self::place`] that have been assembled.
    #[must_use]
    pub fn event(&self) -> u64 {
        match &self.open {
            Some(open) if open.skip => 0,
            Some(open) => open.ordinal.max(self.skip_events),
            None => self.skip_events,
        }
    }

    /// Writes where it stands.
    pub fn mark(&self, position: &mut Position) {
        position.source.clone_from(&self.settings.source);
        position.stream.clear();
        self.place.write_to(&mut position.stream);
        position.event = self.event();
        position.notes.clone_from(&self.notes);
    }

    /// Where the event that is applied stands, for messages.
    #[must_use]
    pub fn whereabouts(&self) -> String {
        format!("{}:{}", self.file, self.offset)
    }

    /// The file that is read, and where in it the last event ends; `None` until the log tells.
    #[must_use]
    pub fn log_end(&self) -> Option<(&str, u64)> {
        (!self.file.is_empty()).then_some((self.file.as_str(), self.end))
    }

    /// When the last event was written, in seconds since 1970; `None` before the first.
    #[must_use]
    pub fn seconds(&self) -> Option<u64> {
        (self.timestamp > 0).then_some(u64::from(self.timestamp))
    }

    /// Whether a transaction is open that ends with a commit of its own; `None`: there is none.
    #[must_use]
    pub fn begun(&self) -> Option<bool> {
        self.open.as_ref().map(|open| open.begun)
    }

    /// Whether no transaction is open.
    #[must_use]
    pub fn between_transactions(&self) -> bool {
        self.open.is_none()
    }

    /// The table to be looked up after [`Step::Asks`], and since where the answer must hold, if it must.
    #[must_use]
    pub fn asked(&self) -> Option<(&Name, Option<&Spot>)> {
        self.asked.front().map(|asked| (&asked.name, asked.since.as_ref()))
    }

    fn ask(&mut self, name: Name, why: Why, unnamed: bool) {
        // Inside of a transaction of rows, MariaDB says too little of where its events stand.
        let inside = matches!(why, Why::Described { .. });
        let offset = self.open.as_ref().filter(|_| inside).map_or(self.end, |open| open.starts);
        let since = unnamed.then(|| (self.file.clone(), offset));
        self.asked.push_back(Asked { name, why, since });
    }

    /// The shapes in force of all wanted tables that have been met.
    #[must_use]
    pub fn shape(&self, name: &Name) -> Option<&Arc<Table>> {
        self.tables.get(name)?.shape.as_ref().map(|shape| &shape.table)
    }

    /// The next event of the file is that one. Not to be called for what a payload holds.
    pub fn at(&mut self, header: &Header) {
        let Some(end) = header.ends(self.end) else { return };
        (self.timestamp, self.end) = (header.timestamp, end);
        self.offset = self.end.saturating_sub(u64::from(header.bytes));
    }

    /// Applies one event.
    ///
    /// # Errors
    /// `Data` for what cannot be, `Operator` for what is not carried and can be mended.
    pub fn apply(&mut self, header: &Header, event: &Event<'_>, batch: &mut Batch) -> Result<Step> {
        if !self.asked.is_empty() {
            return Err(out_of_place("an event before the catalogue was asked"));
        }
        match event {
            Event::Rows(rows) => {
                self.rows(rows, batch)?;
                Ok(Step::Continue)
            }
            Event::TableMap(map) => self.table_map(map),
            Event::Gtid(gtid) => self.begin_mysql(header, gtid),
            Event::MariaGtid(gtid) => self.begin_maria(header, gtid),
            Event::Xid(_) => self.commit(batch),
            Event::Query(query) => self.query(header, query, batch),
            Event::XaPrepare { one_phase, xid } => self.prepare(*one_phase, xid, batch),
            Event::Rotate { file, position } => {
                self.file = String::from_utf8_lossy(file).into_owned();
                (self.offset, self.end) = (*position, *position);
                Ok(Step::Continue)
            }
            Event::Format(format) => {
                self.format = Some(format.clone());
                // A server that was started again counts its tables anew.
                self.numbers.clear();
                Ok(Step::Continue)
            }
            Event::Incident { number, message } => {
                Err(error::incident(*number, &String::from_utf8_lossy(message)))
            }
            // INTVAR, RAND and USER_VAR say nothing alone; the others are LOAD DATA.
            Event::StatementPart if matches!(header.kind, 5 | 13 | 14) => Ok(Step::Continue),
            Event::StatementPart => Err(error::statement(None)),
            Event::Payload(_) | Event::CompressedQuery(_) => Err(out_of_place("a packed event")),
            Event::Bookkeeping | Event::Heartbeat { .. } | Event::RowsQuery(_) | Event::Ignorable => {
                Ok(Step::Continue)
            }
        }
    }

    fn table_map(&mut self, map: &TableMap<'_>) -> Result<Step> {
        if self.numbers.get(&map.number).is_some_and(|known| *known.body == *map.body) {
            return Ok(Step::Continue);
        }
        let (Ok(schema), Ok(table)) = (std::str::from_utf8(map.schema), std::str::from_utf8(map.table))
        else {
            return Err(out_of_place("a name that is not UTF-8"));
        };
        self.numbers.remove(&map.number);
        let name = Name { schema: schema.to_owned(), table: table.to_owned() };
        self.tables.set_empty(&name, false);
        let body: Box<[u8]> = map.body.into();
        if !self.is_wanted(&name) || self.is_stopped(&name) {
            self.numbers.insert(map.number, Numbered { body, shape: None });
            return Ok(Step::Continue);
        }
        let followed = self.tables.follow(&name);
        let same = followed.shape.as_ref().filter(|shape| followed.pending.is_none() && shape.body == body);
        if let Some(shape) = same {
            let shape = Some(Arc::clone(shape));
            self.numbers.insert(map.number, Numbered { body, shape });
            return Ok(Step::Continue);
        }
        let Some(format) = &self.format else { return Err(out_of_place("a table before the log's format")) };
        let columns = P::describe(map, format)?.columns;
        if shapes::is_sequence(&columns) {
            self.numbers.insert(map.number, Numbered { body, shape: None });
            return Ok(Step::Continue);
        }
        self.settings.unnamed = columns.iter().any(|column| column.name.is_none());
        if self.settings.unnamed && self.is_known_to_be(&name, map.number, &columns, &body)? {
            return Ok(Step::Continue);
        }
        let why = Why::Described { number: map.number, columns, body };
        self.ask(name, why, self.settings.unnamed);
        Ok(Step::Asks)
    }

    fn is_wanted(&self, name: &Name) -> bool {
        self.settings.tables.matches(&name.schema, &name.table)
    }

    /// Tells the sink of a shape, where it does not know it yet.
    fn tell(&mut self, shape: &Arc<Shape<P>>, batch: &mut Batch) {
        let Some(followed) = self.tables.by_id(shape.table.id).filter(|followed| !followed.told) else {
            return;
        };
        followed.told = true;
        if let Some(between) = followed.between.take() {
            batch.shape(&between);
        }
        batch.shape(&shape.table);
        if followed.shape.as_ref().is_some_and(|in_force| Arc::ptr_eq(in_force, shape)) {
            followed.hear(&shape.columns);
            let settled = followed.pending.take().is_some() || followed.born || followed.renamed;
            followed.renamed = false;
            if settled {
                self.tables.changed();
            }
        }
    }

    /// The name of the open transaction, for events that are not counted; `false` where they are not to be sent.
    fn name_transaction(&mut self, batch: &mut Batch) -> Result<bool> {
        match &mut self.open {
            Some(open) if open.skip || open.ordinal < self.skip_events => Ok(false),
            Some(open) => {
                let ordinal = open.ordinal;
                open.name(ordinal, &self.file, batch)?;
                batch.set_log_offset(self.offset);
                Ok(true)
            }
            None => Err(out_of_place("a statement")),
        }
    }
}
