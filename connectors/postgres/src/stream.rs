//! Following the log: frames from the walsender into batches, and the status that lets it forget.
//!
//! `flush` and `apply` are only ever what the sink holds. Between transactions a keepalive moves the position too, at
//! most every [`Config::idle_position_interval`], so that a database whose changes are all foreign frees its WAL.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tailwater_core::error::Doing;
use tailwater_core::{Batch, Error, Position, Result};
use tailwater_transport::Pace;
use tokio::time::Instant;
use tracing::warn;

use crate::assemble::{Assembler, Relation, Step};
use crate::census::Register;
use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::continuity::{self, Identity};
use crate::drift::Drift;
use crate::envelope::{Replication, Status, decode_copy_data, status_update};
use crate::error;
use crate::lsn::Lsn;
use crate::pgoutput::{self, Message, ReplicaIdentity};
use crate::quote;
use crate::session::{Answer, Question, Session};
use crate::shapes;

/// A confirmed position is told to the server at most this often, unless it asks.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(100);
/// Answers to a server that asks are at least this far apart: one that shuts down asks after every answer.
const ANSWER_INTERVAL: Duration = Duration::from_millis(10);
/// While catching up and nothing comes, ask the server where it is this often.
const ASK_INTERVAL: Duration = Duration::from_millis(250);
/// A transaction that was committed longer before the server sent it means that there is a backlog.
const BEHIND_US: i64 = 100_000;
/// While there is one, a batch is filled for this long before the sink gets it.
const GATHER_INTERVAL: Duration = Duration::from_millis(50);
/// The catalogue is asked for changes that no row tells of this often.
const DRIFT_INTERVAL: Duration = Duration::from_secs(10);

/// A running `START_REPLICATION`.
pub(crate) struct Stream {
    connection: Connection,
    catalogue: Session,
    config: Arc<Config>,
    identity: String,
    assembler: Assembler,
    /// A relation message whose shape is being looked up.
    described: Option<Vec<u8>>,
    /// What the catalogue said has changed, until the stream has come that far.
    drift: Option<Drift>,
    /// The catalogue has not been read since the start.
    blind: bool,
    drift_due: Instant,
    /// While there is a backlog, when the batch goes to the sink at the earliest.
    gather_until: Instant,
    /// What the catalogue has shown so far of all tables.
    register: Register,
    /// Newest end of log the server told of.
    server_end: Lsn,
    /// End of log when the source was opened.
    head: Lsn,
    confirmed: Lsn,
    told: Lsn,
    status_interval: Duration,
    /// A server that says nothing for so long although it was asked is gone: twice its own patience, zero for ever.
    silence_max: Duration,
    /// When it last said something, or something else than its silence kept us from hearing it.
    heard: Instant,
    /// When it sent its last message, by its clock.
    sent_us: i64,
    status_due: Instant,
    status_sent: Instant,
    /// The server waits for an answer.
    asked: bool,
    /// Where the last batch was said to end: covered, and events after it.
    marked: (Lsn, u64),
    moved: Instant,
}

/// Where to start, and what was the end of the log when the source was opened.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// Whose log.
    pub(crate) identity: Identity,
    /// From where.
    pub(crate) position: Position,
    /// End of log at open.
    pub(crate) head: Lsn,
}

impl Stream {
    /// Starts replication on `connection` from `start`.
    ///
    /// # Errors
    /// Those of the server.
    pub(crate) async fn start(mut connection: Connection, config: Arc<Config>, start: Start) -> Result<Self> {
        let from = continuity::stream_lsn(&start.position)?;
        let timeout = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'";
        let timeout = connection.query(timeout).await?.into_iter().flatten().flatten().next();
        let timeout_ms: u64 = timeout.and_then(|text| text.parse().ok()).unwrap_or(0);
        let status_interval = match timeout_ms {
            0 => Duration::from_secs(10),
            _ => Duration::from_millis(timeout_ms / 3)
                .clamp(Duration::from_millis(20), Duration::from_secs(10)),
        };
        continuity::prove_slot(&mut connection, &config, from).await?;
        let catalogue =
            Connection::open(&config.url, Mode::Sql).await.doing(|| "open a catalogue session")?;
        let publication = quote::literal(&quote::identifier(&config.publication));
        let sql = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', publication_names {publication}, messages 'true')",
            quote::identifier(&config.slot)
        );
        let mut catalogue = Session::new(catalogue);
        catalogue.ask(Question::Drift(Arc::clone(&config), None));
        let drift = match catalogue.answer().await.doing(|| "read the published tables")? {
            Answer::Drift(drift) => drift,
            Answer::Shape(_) => None,
        };
        let mut register = Register::default();
        drift.iter().for_each(|drift| register.read(&drift.census, &config));
        connection.copy_both(&sql).await.doing(|| format!("stream from slot {} at {from}", config.slot))?;
        let now = Instant::now();
        Ok(Self {
            connection,
            catalogue,
            config,
            identity: start.identity.to_string(),
            assembler: Assembler::new(from, start.position.event),
            described: None,
            blind: drift.is_none(),
            drift,
            drift_due: now + DRIFT_INTERVAL,
            gather_until: now,
            register,
            server_end: start.head,
            head: start.head,
            confirmed: from,
            told: Lsn::default(),
            status_interval,
            silence_max: Duration::from_millis(timeout_ms * 2),
            heard: now,
            sent_us: 0,
            status_due: now,
            status_sent: now.checked_sub(CONFIRM_INTERVAL).unwrap_or(now),
            asked: false,
            marked: (from, start.position.event),
            moved: now.checked_sub(Duration::from_secs(3600)).unwrap_or(now),
        })
    }

    /// As [`Source::read`](tailwater_core::Source::read). Cancel-safe: what must outlive a dropped future is in `self`.
    pub(crate) async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        // Counted before a shape is added: one that fills the batch must end the read too.
        let events = batch.len();
        if events == 0 {
            self.gather_until = Instant::now() + GATHER_INTERVAL;
        }
        loop {
            if self.described.is_some() {
                self.look_up().await?;
            }
            let gathers = self.is_behind() && Instant::now() < self.gather_until;
            self.decode(batch, batch.cut_at_commit && !gathers)?;
            self.apply_drift(batch)?;
            let moved = self.mark(batch);
            let done = !gathers || batch.is_full() || !self.is_behind();
            if self.described.is_none() && done && (moved || batch.len() > events) {
                return Ok(());
            }
            if self.described.is_none() {
                self.wait().await?;
            }
        }
    }

    /// Decodes what has arrived, until there is no more, a shape must be looked up, or the batch is to be cut.
    fn decode(&mut self, batch: &mut Batch, cut_at_commit: bool) -> Result<()> {
        while self.described.is_none() && !batch.is_full() {
            let Some(frame) = self.connection.frame()? else { return Ok(()) };
            let payload = match frame.tag {
                b'd' => match decode_copy_data(frame.body)? {
                    Replication::XLogData { start, end, payload, time_us } => {
                        self.server_end = self.server_end.max(end);
                        self.sent_us = time_us;
                        batch.set_log_offset(start.0);
                        payload
                    }
                    Replication::Keepalive { wal_end, reply_requested, .. } => {
                        self.server_end = self.server_end.max(wal_end);
                        self.assembler.nothing_until(wal_end);
                        self.asked |= reply_requested;
                        continue;
                    }
                },
                b'c' | b'C' | b'Z' => {
                    return Err(Error::transient("TW-PG-044", "the server ended the stream"));
                }
                tag => {
                    let tag = char::from(tag);
                    return Err(Error::data(
                        "TW-PG-045",
                        format!("unexpected message {tag:?} in the stream"),
                    ));
                }
            };
            let message = pgoutput::decode(payload, false)?;
            match self.assembler.apply(&message, batch)? {
                Step::Continue => {}
                Step::Committed if is_ripe(self.drift.as_ref(), &self.assembler) => return Ok(()),
                Step::Committed if cut_at_commit && batch.has_events() => return Ok(()),
                Step::Committed => {}
                Step::Described => self.described = Some(payload.to_vec()),
            }
        }
        Ok(())
    }

    /// Sets where the batch ends; whether that moved. Without events the position moves only now and then, and once
    /// when caught up.
    fn mark(&mut self, batch: &mut Batch) -> bool {
        let (covered, event) = (self.assembler.covered(), self.assembler.event());
        if (covered, event) == self.marked {
            return false;
        }
        let catching_up = self.marked.0 < self.head && covered >= self.head;
        let due = self.moved.elapsed() >= self.config.idle_position_interval;
        if !batch.has_events() && !catching_up && !due {
            return false;
        }
        (self.marked, self.moved) = ((covered, event), Instant::now());
        batch.to.source.clone_from(&self.identity);
        batch.to.stream.clear();
        // Writing into a String cannot fail.
        if std::fmt::Write::write_fmt(&mut batch.to.stream, format_args!("{covered}")).is_ok() {
            batch.to.event = event;
        }
        true
    }

    /// The shape of the relation that was described last. Cancel-safe: the question is kept in the session.
    async fn look_up(&mut self) -> Result<()> {
        let Some(message) = &self.described else { return Ok(()) };
        let Message::Relation { relation, .. } = pgoutput::decode(message, false)? else { return Ok(()) };
        self.catalogue.ask(Question::Shape(relation.oid, shapes::types(&relation)));
        match self.catalogue.answer().await? {
            Answer::Drift(drift) => self.told(drift),
            Answer::Shape(row) => {
                let previous = self.assembler.shape(relation.oid).map(Arc::as_ref);
                let mut table = shapes::resolve(&relation, &row, previous);
                table.streamed_from_birth = self.register.proves_whole(&row, &self.assembler);
                let identity = relation.columns().map(|column| column.key).collect();
                let full = relation.identity == ReplicaIdentity::Full;
                let wanted = self.config.tables.matches(&table.schema, &table.name);
                if let (false, Some(was)) = (wanted, self.assembler.followed(relation.oid)) {
                    warn!(
                        table = was.full_name(),
                        "renamed to {}, which `tables` does not match: it is not followed any more",
                        table.full_name()
                    );
                }
                let relation_now = Relation { table: Arc::new(table), identity, full, wanted };
                self.assembler.describe(relation.oid, relation_now);
                self.described = None;
            }
        }
        Ok(())
    }

    fn told(&mut self, drift: Option<Drift>) {
        self.blind &= drift.is_none();
        drift.iter().for_each(|drift| self.register.read(&drift.census, &self.config));
        self.drift = drift;
    }

    /// Passes on what the catalogue told, once it is its turn.
    fn apply_drift(&mut self, batch: &mut Batch) -> Result<()> {
        if !is_ripe(self.drift.as_ref(), &self.assembler) {
            return Ok(());
        }
        let Some(drift) = self.drift.take() else { return Ok(()) };
        drift.apply(&mut self.assembler, batch)
    }

    /// Whether there is a backlog: then it is read in big gulps, which costs both sides far less per change.
    fn is_behind(&self) -> bool {
        !self.caught_up() || self.assembler.is_older_than(self.sent_us.saturating_sub(BEHIND_US))
    }

    /// Waits until more has arrived or a status is due, and sends it. Cancel-safe.
    async fn wait(&mut self) -> Result<()> {
        let behind = self.is_behind();
        self.connection.set_pace(if behind { Pace::Gulps } else { Pace::Eager });
        self.send_status_if_due();
        let now = Instant::now();
        if now >= self.drift_due && self.drift.is_none() && self.catalogue.is_idle() {
            self.drift_due = now + DRIFT_INTERVAL;
            let known = (!self.blind).then(|| self.assembler.shapes());
            self.catalogue.ask(Question::Drift(Arc::clone(&self.config), known));
        }
        let mut due = self.next_status().min(self.drift_due.max(now + ANSWER_INTERVAL));
        if behind && self.gather_until > now {
            due = due.min(self.gather_until);
        }
        tokio::select! {
            biased;
            filled = self.connection.fill() => {
                self.heard = Instant::now();
                filled
            }
            answer = self.catalogue.answer() => {
                if let Answer::Drift(drift) = answer? {
                    self.told(drift);
                }
                Ok(())
            }
            () = tokio::time::sleep_until(due) => self.prove_alive(),
        }
    }

    /// A network that swallows everything looks like a server with nothing to say. Statuses are due often enough for
    /// one that asks to go out, and be answered, before the silence is too long.
    fn prove_alive(&self) -> Result<()> {
        let silence = self.heard.elapsed();
        if self.silence_max.is_zero() || silence <= self.silence_max {
            return Ok(());
        }
        let what = format!("the server has said nothing for {} s, although it was asked", silence.as_secs());
        Err(Error::transient(error::UNREACHABLE, what))
    }

    fn next_status(&self) -> Instant {
        let mut due = self.status_due;
        if self.asked {
            due = due.min(self.status_sent + ANSWER_INTERVAL);
        }
        if self.confirmed > self.told {
            due = due.min(self.status_sent + CONFIRM_INTERVAL);
        }
        if !self.caught_up() {
            due = due.min(self.status_sent + ASK_INTERVAL);
        }
        let idle_move = self.moved + self.config.idle_position_interval;
        if self.assembler.covered() > self.confirmed {
            due.min(idle_move.max(Instant::now() + ANSWER_INTERVAL))
        } else {
            due
        }
    }

    /// Queues a status when one is due; the next flush or fill sends it.
    fn send_status_if_due(&mut self) {
        let now = Instant::now();
        let since = now.duration_since(self.status_sent);
        let due = now >= self.status_due
            || (self.asked && since >= ANSWER_INTERVAL)
            || (self.confirmed > self.told && since >= CONFIRM_INTERVAL)
            || (!self.caught_up() && since >= ASK_INTERVAL);
        if due {
            self.queue_status();
        }
    }

    fn queue_status(&mut self) {
        let now = Instant::now();
        let received = self.assembler.covered().max(self.confirmed);
        let status = Status {
            write: received,
            flush: self.confirmed,
            apply: self.confirmed,
            time_us: now_us(),
            reply_requested: !self.caught_up() || self.heard.elapsed() >= self.status_interval,
        };
        self.connection.send_copy_data(&status_update(&status));
        (self.told, self.asked) = (self.confirmed, false);
        (self.status_sent, self.status_due) = (now, now + self.status_interval);
    }

    /// As [`Source::keep_alive`](tailwater_core::Source::keep_alive).
    pub(crate) async fn keep_alive(&mut self) -> Result<()> {
        loop {
            self.send_status_if_due();
            self.connection.flush().await?;
            tokio::time::sleep_until(self.next_status()).await;
            // Nobody listens here.
            self.heard = Instant::now();
        }
    }

    /// The target holds everything up to `lsn`.
    pub(crate) fn confirm(&mut self, lsn: Lsn) {
        self.confirmed = lsn;
    }

    /// As [`Source::caught_up`](tailwater_core::Source::caught_up).
    #[must_use]
    pub(crate) fn caught_up(&self) -> bool {
        self.assembler.covered() >= self.head
    }

    /// As [`Source::behind_bytes`](tailwater_core::Source::behind_bytes).
    #[must_use]
    pub(crate) fn behind_bytes(&self) -> u64 {
        self.server_end.0.saturating_sub(self.assembler.covered().0)
    }

    /// Tells the last confirmed position and leaves.
    ///
    /// # Errors
    /// Where it could not be sent.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.queue_status();
        self.connection.flush().await?;
        self.connection.finish().await
    }
}

/// This machine's clock, µs since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Whether the stream has come as far as the catalogue was when it told of changes.
fn is_ripe(drift: Option<&Drift>, assembler: &Assembler) -> bool {
    assembler.between_transactions() && drift.is_some_and(|drift| drift.as_of <= assembler.covered())
}
