//! Going on where another reader of the same slot stopped: what it says of itself becomes a [`Position`], after the log
//! itself has been asked. Nothing is taken on trust: the server, the slot and the transaction must be those it names.
//!
//! Such a reader names the last transaction that it had whole, and where in the log the last change stands that it noted
//! of the one after that. It may have written more than it noted; the target knows what. A position counts the changes of
//! a transaction instead, so they are read once and counted, by the source itself, which therefore skips exactly these
//! when the pipeline starts.

use std::collections::HashMap;

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Change, Error, Event, Position, Result, Source as _};

use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::continuity;
use crate::error;
use crate::lsn::Lsn;
use crate::setup;
use crate::source::PostgresSource;

/// Where the other reader stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// End of the last transaction it had whole; `None` where it had none since its slot was made.
    pub whole: Option<Lsn>,
    /// What it noted of the transaction after that; `None`: nothing.
    pub inside: Option<Inside>,
    /// It confirmed positions between transactions by itself, later than it noted them.
    pub confirms_ahead: bool,
}

/// How far it came inside a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside {
    /// The last change that it noted.
    pub last: Place,
    /// How many changes at this place it noted, where it says so: rows that were copied in share one.
    pub changes: Option<u64>,
}

/// Where a change stands. A message and the row after it can have the same place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Whose it is; 0 for a message.
    pub xid: u32,
    /// In the log.
    pub lsn: Lsn,
    /// What it is.
    pub kind: Kind,
}

/// Kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say what they are")]
pub enum Kind {
    Insert,
    Update,
    Delete,
    Truncate,
    Message,
}

/// What the target holds of changes after the last transaction that was noted whole.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// How many changes, by place.
    pub places: HashMap<Place, u64>,
    /// Kinds that are never written.
    pub never: Vec<Kind>,
}

/// Proves that the slot holds everything that comes after, and says where that begins; and how many of the changes in
/// `written` come after that all the same, because something before them is missing. Only reads, but for confirming to the
/// server the transactions that the other reader noted whole.
///
/// # Errors
/// `Operator` where it cannot be proved, or where the changes that were passed on cannot be told from those that were not.
pub async fn position(config: &Config, stopped: &Stopped, written: Written) -> Result<(Position, u64)> {
    let mut connection = Connection::open(&config.url, Mode::Replication).await.doing(|| "connect")?;
    setup::supported(connection.server_version())?;
    let server = continuity::identify(&mut connection).await?;
    let confirmed = continuity::confirmed(&mut connection, config).await?;
    connection.finish().await?;
    let whole = match stopped.whole {
        Some(whole) if stopped.confirms_ahead && stopped.inside.is_none() => whole.max(confirmed),
        Some(whole) => whole,
        None => confirmed,
    };
    let (source, stream) = (server.identity.to_string(), whole.to_string());
    let start = Position { source, stream, ..Position::default() };
    let mut source = PostgresSource::new(config.clone());
    source.open(Some(start.clone())).await.map_err(|error| {
        if error.code() != "TW-PG-068" {
            return error;
        }
        // There is no target yet that could be given up.
        error.remedy(format!(
            "name the newest offsets; if something else has read slot {} since, what it read cannot be had again: start \
             without offsets, with a first copy and another slot",
            config.slot
        ))
    })?;
    let mut search = Search::new(start.clone(), stopped.inside, written);
    let found = search.run(&mut source).await.doing(|| format!("find what was passed on after {whole}"));
    source.close().await?;
    found.map(|position| (position, search.written.places.values().sum()))
}

/// What is known of the changes after the start so far.
struct Search {
    start: Position,
    inside: Option<Inside>,
    written: Written,
    /// Where everything up to the last change that was passed on ends.
    position: Position,
    /// The transaction of the change before.
    transaction: String,
    /// Changes met that stand where the last one stands that was noted.
    there: u64,
    /// Whether the topics know of that one.
    known: bool,
}

impl Search {
    fn new(start: Position, inside: Option<Inside>, written: Written) -> Self {
        let (position, transaction) = (start.clone(), String::new());
        Self { start, inside, written, position, transaction, there: 0, known: false }
    }

    /// Whether everything that was noted has been met.
    fn has_met_all(&self) -> bool {
        self.inside.is_none() || self.there > 0
    }

    async fn run(&mut self, source: &mut PostgresSource) -> Result<Position> {
        let (mut batch, mut at) = (Batch::default(), self.start.clone());
        while !(self.has_met_all() && self.written.places.is_empty() && at.at_boundary()) {
            batch.reset(&at, 1 << 20);
            batch.cut_at_commit = true;
            source.read(&mut batch).await?;
            for event in batch.events() {
                if let Some(kind) = kind(&event)
                    && !self.passed_on(&event, kind)?
                {
                    return Ok(self.position.clone());
                }
            }
            at.clone_from(&batch.to);
            if at.at_boundary() && source.caught_up() {
                break;
            }
        }
        if self.has_met_all() { Ok(at) } else { Err(self.missing("it holds no such change")) }
    }

    /// Whether a change was passed on; then everything up to it was.
    fn passed_on(&mut self, event: &Event<'_>, kind: Kind) -> Result<bool> {
        let lone = matches!(event.change, Change::Message { transactional: false, .. });
        // A message outside of transactions does not tell where the one before it ended: all of that is counted then.
        if self.transaction != event.transaction.id && !lone {
            if !self.transaction.is_empty() {
                self.position.stream = Lsn(event.transaction.follows).to_string();
                self.position.event = 0;
            }
            event.transaction.id.clone_into(&mut self.transaction);
        }
        let xid = u32::try_from(event.transaction.xid).unwrap_or_default();
        let xid = if kind == Kind::Message { 0 } else { xid };
        let place = Place { xid, lsn: Lsn(event.log_offset), kind };
        let written = self.written.take(place);
        let noted = match self.inside {
            Some(inside)
                if self.there == 0 && (lone || event.transaction.xid != u64::from(inside.last.xid)) =>
            {
                return Err(self.missing("another transaction comes first"));
            }
            Some(inside) if inside.last.lsn == place.lsn && inside.last.kind == kind && !lone => {
                self.note(inside, written)?
            }
            Some(_) => self.there == 0,
            None => false,
        };
        if !(noted || written || self.written.never.contains(&kind)) {
            return Ok(false);
        }
        let Position { stream, event: passed_on, .. } = &mut self.position;
        if lone {
            (*stream, *passed_on) = (place.lsn.to_string(), 0);
            self.transaction.clear();
        } else {
            *passed_on = event.ordinal + 1;
        }
        Ok(true)
    }

    /// A change at the place of the last one that was noted: whether it was, too.
    fn note(&mut self, inside: Inside, written: bool) -> Result<bool> {
        self.there += 1;
        match inside.changes {
            Some(changes) => Ok(self.there <= changes),
            None if self.there == 1 => {
                self.known = written;
                Ok(true)
            }
            None if self.known => Ok(written),
            None => Err(self.shared(inside)),
        }
    }

    fn missing(&self, why: &str) -> Error {
        let what = match self.inside {
            Some(Inside { last: Place { xid, lsn, .. }, .. }) => {
                format!("the change at {lsn} of transaction {xid}")
            }
            None => "the last change".to_owned(),
        };
        let what =
            format!("{what} was noted last, but does not follow {} in the log: {why}", self.start.stream);
        Error::operator(error::NOT_THERE, what).remedy(
            "use the newest offsets, the same server, and the slot, publication and tables that were used until now; else copy afresh",
        )
    }

    fn shared(&self, inside: Inside) -> Error {
        let Inside { last: Place { xid, lsn, .. }, .. } = inside;
        Error::operator(
            error::SHARED_PLACE,
            format!("several changes of transaction {xid} share the place {lsn} in the log, and neither the offsets nor the target tell how many of them were passed on"),
        )
        .remedy("let the other reader pass on one more change that is no COPY (an UPDATE of one row), and stop it again")
    }
}

impl Written {
    /// Whether one more change at this place is in the target.
    fn take(&mut self, place: Place) -> bool {
        let Some(left) = self.places.get_mut(&place) else { return false };
        *left -= 1;
        if *left == 0 {
            self.places.remove(&place);
        }
        true
    }
}

/// What a change is; `None` for events that a restart may add, which do not count.
fn kind(event: &Event<'_>) -> Option<Kind> {
    match event.change {
        Change::Insert { .. } => Some(Kind::Insert),
        Change::Update { .. } => Some(Kind::Update),
        Change::Delete { .. } => Some(Kind::Delete),
        Change::Truncate { .. } => Some(Kind::Truncate),
        Change::Message { .. } => Some(Kind::Message),
        Change::Shape { .. } | Change::Drop { .. } | Change::Stop { .. } | Change::Statement(_) => None,
        Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => None,
    }
}
