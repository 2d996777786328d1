//! Going on where another reader of the same slot stopped: what it says of itself becomes a [`Position`], after the log
//! itself has been asked. Nothing is taken on trust: the server, the slot and the transaction must be those it names.
//!
//! Such a reader names the last transaction that it had whole, and where in the log the last change stands that it passed
//! on of the one after that. A position counts the changes of that transaction instead, so they are read once and counted,
//! by the source itself, which therefore skips exactly these when the pipeline starts.

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
    /// What it passed on of the transaction after that; `None`: nothing.
    pub inside: Option<Inside>,
    /// It confirmed positions between transactions by itself, later than it noted them.
    pub confirms_ahead: bool,
}

/// How far it came inside a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside {
    /// Whose.
    pub xid: u32,
    /// Where the last change that it passed on stands in the log.
    pub lsn: Lsn,
    /// What it was; `None` where that is not known. A message and the row after it can share a place.
    pub kind: Option<Kind>,
    /// How many changes that stand there it passed on, where it says so: rows that were copied in share a place.
    pub changes: Option<u64>,
}

/// Kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what they are")]
pub enum Kind {
    Insert,
    Update,
    Delete,
    Truncate,
    Message,
}

/// Proves that the slot holds everything that comes after, and says where that begins. Only reads, but for confirming
/// to the server the transactions that the other reader had whole.
///
/// # Errors
/// `Operator` where it cannot be proved, or where the changes that were passed on cannot be told from those that were not.
pub async fn position(config: &Config, stopped: &Stopped) -> Result<Position> {
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
    source.open(Some(start.clone())).await?;
    let Some(inside) = stopped.inside else { return Ok(start) };
    let counted = count(&mut source, start, inside).await;
    source.close().await?;
    counted
}

/// What is known of the transaction so far.
#[derive(Debug, Default)]
struct Search {
    /// Changes up to the last one that was passed on.
    passed_on: u64,
    /// Changes that stand where that one does.
    there: u64,
    /// Where the transaction ends, once it is known that all of it was passed on.
    whole: Option<Lsn>,
    done: bool,
}

async fn count(source: &mut PostgresSource, start: Position, inside: Inside) -> Result<Position> {
    let mut search = Search::default();
    let (mut batch, mut at) = (Batch::default(), start.clone());
    while !search.done {
        batch.reset(&at, 1 << 20);
        batch.cut_at_commit = true;
        source.read(&mut batch).await.doing(|| "read what was passed on last")?;
        for event in batch.events().filter(counts) {
            if !search.done {
                search.meet(&event, inside, &start)?;
            }
        }
        at.clone_from(&batch.to);
        if !search.done && at.at_boundary() {
            search.done = search.there > 0;
            if !search.done && (source.caught_up() || batch.events().any(|event| counts(&event))) {
                return Err(missing(inside, &start, "it holds no such change"));
            }
        }
    }
    if search.there > 1 && inside.changes.is_none() {
        return Err(Error::operator(
            error::SHARED_PLACE,
            format!(
                "{} changes of transaction {} share the place {} in the log, and it is not known how many of them were passed on",
                search.there, inside.xid, inside.lsn
            ),
        )
        .remedy("let the other reader pass on one more change that is no COPY (an UPDATE of one row), and stop it again"));
    }
    Ok(match search.whole {
        Some(end) => Position { stream: end.to_string(), ..start },
        None => Position { event: search.passed_on, ..start },
    })
}

impl Search {
    fn meet(&mut self, event: &Event<'_>, inside: Inside, start: &Position) -> Result<()> {
        let lone = matches!(event.change, Change::Message { transactional: false, .. });
        let same = !lone && event.transaction.xid == u64::from(inside.xid);
        let same_kind = inside.kind.is_none_or(|wanted| kind(event) == Some(wanted));
        let here = same && event.log_offset == inside.lsn.0 && same_kind;
        self.whole = None;
        if here && inside.changes.is_none_or(|changes| self.there < changes) {
            self.there += 1;
            self.passed_on = event.ordinal + 1;
            self.whole = Some(Lsn(event.transaction.ends)).filter(|end| end.0 > 0);
        } else if self.there > 0 {
            self.done = true;
        } else if !same {
            return Err(missing(inside, start, "another transaction comes first"));
        }
        Ok(())
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
        Change::Shape { .. } | Change::Drop { .. } => None,
        Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => None,
    }
}

fn counts(event: &Event<'_>) -> bool {
    kind(event).is_some()
}

fn missing(inside: Inside, start: &Position, why: &str) -> Error {
    let Inside { xid, lsn, .. } = inside;
    let what = format!(
        "what was passed on last, the change at {lsn} of transaction {xid}, does not follow {} in the log: {why}",
        start.stream
    );
    Error::operator(error::NOT_THERE, what).remedy(
        "use the newest offsets, the same server, and the slot, publication and tables that were used until now; else copy afresh",
    )
}
