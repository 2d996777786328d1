//! Following the log: events from the server into batches. The server keeps nothing for us and is told nothing; where to
//! go on from is only in the target.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Notes, Result};
use tailwater_transport::Pace;
use tokio::time::Instant;

use crate::assemble::{Answer, Assembler, Settings, Step};
use crate::binlog::plan::Plan;
use crate::catalog;
use crate::config::Config;
use crate::connection::Connection;
use crate::continuity;
use crate::ddl::Name;
use crate::dump::{Dump, Log, Start};
use crate::error;
use crate::place::{Place, Spot, file_number};
use crate::scout::Scout;
use crate::server::Server;
use crate::shapes::Facts;
use crate::unpack::Unpacker;

/// An event that was written longer before it came means that there is a backlog. The log has whole seconds.
const BEHIND_SECONDS: u64 = 2;
/// While there is one, a batch is filled for this long before the sink gets it.
const GATHER_INTERVAL: Duration = Duration::from_millis(50);

/// Who is asked about tables.
struct Guide {
    connection: Connection,
    scout: Scout,
}

/// The answer comes with who was asked.
type Question<A> = Pin<Box<dyn Future<Output = (Box<Guide>, Result<A>)> + Send>>;

/// Whom to ask about tables, or the question that is asked.
enum Catalogue {
    Idle(Box<Guide>),
    Asked(Question<(Option<Facts>, bool)>),
    AskedAll(Question<(BTreeMap<Name, Facts>, Place)>),
    /// A question failed, and the attempt with it.
    Gone,
}

/// Where to start.
pub(crate) struct From {
    /// What the target has been told of the source.
    pub(crate) source: String,
    pub(crate) place: Place,
    /// Events of the transaction after it that the target has.
    pub(crate) event: u64,
    /// The end of the log when the source was opened.
    pub(crate) head: Place,
    /// The log files then, with their bytes.
    pub(crate) files: Vec<(String, u64)>,
    /// Names of tables are folded to lower case.
    pub(crate) lower_case: bool,
    /// The log does not name columns.
    pub(crate) unnamed: bool,
    /// What the target remembers of tables.
    pub(crate) notes: Arc<Notes>,
}

/// A running dump of the log.
pub(crate) struct Stream {
    log: Log,
    catalogue: Catalogue,
    config: Arc<Config>,
    lower_case: bool,
    assembler: Assembler<Plan>,
    unpacker: Unpacker,
    head: Place,
    files: Vec<(String, u64)>,
    caught_up: bool,
    /// Everything up to `head` is read.
    at_head: bool,
    /// How often a moving head is followed before that is enough.
    settlings_left: u32,
    /// Transactions read so far.
    commits: u64,
    /// What the last batch was said to end with: commits, and events after the last one.
    marked: (u64, u64),
    /// The same, when a read returned last.
    shown: (u64, u64),
    /// That the head was reached is in a position.
    arrival_marked: bool,
    moved: Instant,
    /// While there is a backlog, when the batch goes to the sink at the earliest.
    gather_until: Instant,
}

impl Stream {
    /// Asks the server for its log. `catalogue` is a session of its own.
    ///
    /// # Errors
    /// Those of the server.
    pub(crate) async fn start(mut catalogue: Connection, config: Arc<Config>, from: From) -> Result<Self> {
        let From { source, place, event, head, files, lower_case, unnamed, notes } = from;
        let start = match &place {
            Place::Gtids(set) => Start::Executed(set.encode()),
            Place::Maria(list) => Start::After(list.to_string()),
            Place::File { file, offset } => Start::File { name: file.clone(), position: *offset },
        };
        let dump = Dump {
            server_id: config.server_id,
            uuid: config.uuid.clone(),
            start,
            heartbeat: config.heartbeat,
            to_end: false,
        };
        let connection = Connection::open(&config.url).await.doing(|| "open a session for the log")?;
        let log = connection.dump(&dump).await?;
        let caught_up = event == 0 && place.includes(&head);
        let (tables, statements) = (config.tables.clone(), config.statements);
        let settings = Settings { tables, lower_case, source, unnamed, statements };
        let mut assembler = Assembler::new(settings, place, event);
        for (name, facts) in catalog::all_facts(&mut catalogue, &config.tables).await? {
            assembler.prime(&name, &facts);
        }
        assembler.restore(&notes)?;
        let now = Instant::now();
        Ok(Self {
            log,
            catalogue: Catalogue::Idle(Box::new(Guide { connection: catalogue, scout: Scout::default() })),
            config,
            lower_case,
            assembler,
            unpacker: Unpacker::new()?,
            head,
            files,
            caught_up,
            at_head: caught_up,
            settlings_left: 5,
            commits: 0,
            marked: (0, event),
            shown: (0, event),
            arrival_marked: caught_up,
            moved: now,
            gather_until: now,
        })
    }

    /// As [`Source::read`](tailwater_core::Source::read). Cancel-safe: what must outlive a dropped future is in `self`.
    pub(crate) async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        // Counted before a shape is added: one that fills the batch must end the read too.
        let (events, was_caught_up) = (batch.len(), self.caught_up);
        if events == 0 {
            self.gather_until = Instant::now() + GATHER_INTERVAL;
        }
        loop {
            self.look_up(batch).await?;
            self.settle(batch).await?;
            let gathers = self.is_behind() && Instant::now() < self.gather_until;
            self.decode(batch, batch.cut_at_commit && !gathers)?;
            self.mark(batch);
            // Whenever that was: a read that marked it may have been dropped.
            let moved = self.marked != self.shown;
            let done = !gathers || batch.is_full() || !self.is_behind();
            if self.is_asking() || self.is_settling() {
                continue;
            }
            if done && (moved || batch.len() > events || self.caught_up != was_caught_up) {
                self.shown = self.marked;
                return Ok(());
            }
            self.wait().await?;
        }
    }

    fn is_asking(&self) -> bool {
        self.assembler.asked().is_some()
    }

    /// Decodes what has arrived, until there is no more, a table must be looked up, or the batch is to be cut.
    fn decode(&mut self, batch: &mut Batch, cut_at_commit: bool) -> Result<()> {
        while !self.is_asking() && !batch.is_full() {
            match self.apply_next(batch)? {
                None => return Ok(()),
                Some(Step::Continue | Step::Asks) => {}
                Some(Step::Committed) => {
                    self.committed();
                    // Tables are told of between transactions.
                    if self.is_settling() || (cut_at_commit && batch.has_events()) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies the next event that has arrived; `None` where there is none.
    fn apply_next(&mut self, batch: &mut Batch) -> Result<Option<Step>> {
        let doing = |assembler: &Assembler<Plan>| format!("read the log at {}", assembler.whereabouts());
        let inner = self.unpacker.apply_inner(self.log.last(), &mut self.assembler, batch);
        if let Some(step) = inner.doing(|| doing(&self.assembler))? {
            return Ok(Some(step));
        }
        let Some(event) = self.log.event()? else { return Ok(None) };
        let step = self.unpacker.apply(event, &mut self.assembler, batch);
        step.doing(|| doing(&self.assembler)).map(Some)
    }

    /// Applies one event of the log, with what the catalogue says to it, and no more: for `resume`, which counts them.
    /// Whether a transaction is whole then. Not to be mixed with [`Stream::read`].
    pub(crate) async fn step(&mut self, batch: &mut Batch) -> Result<bool> {
        let before = self.commits;
        let step = loop {
            match self.apply_next(batch)? {
                Some(step) => break step,
                None => self.log.fill().await?,
            }
        };
        if step == Step::Committed {
            self.committed();
        }
        self.look_up(batch).await?;
        Ok(self.commits != before)
    }

    /// What has been read so far.
    pub(crate) fn assembler(&self) -> &Assembler<Plan> {
        &self.assembler
    }

    /// Another transaction is whole.
    fn committed(&mut self) {
        self.commits += 1;
        self.at_head = self.caught_up || self.assembler.has_read(&self.head);
        if !self.assembler.is_unsettled() {
            self.caught_up = self.at_head;
        }
    }

    fn is_settling(&self) -> bool {
        self.at_head && !self.caught_up
    }

    /// At the head, tells the sink of tables that were altered on the way: a restart would not know any more how. What
    /// the catalogue says is exact where nothing was committed meanwhile; otherwise it is asked again a little later, and
    /// in the end left to the tables' next rows. Cancel-safe: the question is kept.
    async fn settle(&mut self, batch: &mut Batch) -> Result<()> {
        if !self.is_settling() || self.is_asking() {
            return Ok(());
        }
        self.catalogue = match std::mem::replace(&mut self.catalogue, Catalogue::Gone) {
            Catalogue::Idle(guide) => {
                let (config, here) = (Arc::clone(&self.config), self.assembler.place().clone());
                let untold = self.assembler.untold();
                Catalogue::AskedAll(Box::pin(ask_all(guide, config, here, untold)))
            }
            Catalogue::AskedAll(question) => Catalogue::AskedAll(question),
            Catalogue::Asked(_) | Catalogue::Gone => return Err(error::ended()),
        };
        let Catalogue::AskedAll(question) = &mut self.catalogue else { return Ok(()) };
        let (guide, answer) = question.as_mut().await;
        self.catalogue = Catalogue::Idle(guide);
        let (catalogue, head) = answer?;
        self.settlings_left = self.settlings_left.saturating_sub(1);
        if self.assembler.has_read(&head) {
            self.assembler.settle(&catalogue, batch)?;
            self.assembler.mark(&mut batch.to);
            self.caught_up = true;
        } else if self.settlings_left == 0 {
            self.caught_up = true;
        } else {
            (self.head, self.at_head) = (head, false);
        }
        Ok(())
    }

    /// Sets where the batch ends. Without events the position moves only now and then, and once
    /// when caught up.
    fn mark(&mut self, batch: &mut Batch) {
        let marked = (self.commits, self.assembler.event());
        if marked == self.marked {
            return;
        }
        let due = self.moved.elapsed() >= self.config.idle_position_interval;
        let arrives = self.caught_up && !self.arrival_marked;
        if !batch.has_events() && !arrives && !due {
            return;
        }
        (self.marked, self.moved, self.arrival_marked) = (marked, Instant::now(), self.caught_up);
        self.assembler.mark(&mut batch.to);
    }

    /// Answers what the assembler asks. Cancel-safe: the question is kept.
    async fn look_up(&mut self, batch: &mut Batch) -> Result<()> {
        while let Some((name, since)) = self.assembler.asked() {
            self.catalogue = match std::mem::replace(&mut self.catalogue, Catalogue::Gone) {
                Catalogue::Idle(guide) => {
                    let (config, lower_case) = (Arc::clone(&self.config), self.lower_case);
                    let asked = (name.clone(), since.cloned());
                    Catalogue::Asked(Box::pin(ask(guide, config, asked, lower_case)))
                }
                Catalogue::Asked(question) => Catalogue::Asked(question),
                Catalogue::AskedAll(_) | Catalogue::Gone => return Err(error::ended()),
            };
            let Catalogue::Asked(question) = &mut self.catalogue else { continue };
            let (guide, answer) = question.as_mut().await;
            self.catalogue = Catalogue::Idle(guide);
            let (facts, proven) = answer?;
            let answer = Answer { facts: facts.as_ref(), proven };
            if self.assembler.answer(answer, batch)? == Step::Committed {
                self.committed();
                // Before anything that may be dropped: what was added must not go without the position behind it.
                self.mark(batch);
            }
        }
        Ok(())
    }

    /// Whether there is a backlog: then it is read in big gulps, which costs both sides far less per change.
    fn is_behind(&self) -> bool {
        !self.caught_up || self.assembler.seconds().is_some_and(|second| second + BEHIND_SECONDS < now_s())
    }

    /// Waits until more has arrived, or the position is due. Cancel-safe.
    async fn wait(&mut self) -> Result<()> {
        if self.unpacker.is_walking() {
            return Ok(());
        }
        let behind = self.is_behind();
        self.log.set_pace(if behind { Pace::Gulps } else { Pace::Eager });
        let now = Instant::now();
        let mut due = now + self.config.heartbeat;
        if (self.commits, self.assembler.event()) != self.marked {
            due = (self.moved + self.config.idle_position_interval).max(now + Duration::from_millis(10));
        }
        if behind && self.gather_until > now {
            due = due.min(self.gather_until);
        }
        tokio::select! {
            biased;
            filled = self.log.fill() => filled,
            () = tokio::time::sleep_until(due) => Ok(()),
        }
    }

    /// As [`Source::caught_up`](tailwater_core::Source::caught_up).
    pub(crate) fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// As [`Source::behind_bytes`](tailwater_core::Source::behind_bytes): of the log as it was when the source was opened.
    pub(crate) fn behind_bytes(&self) -> Option<u64> {
        if self.caught_up {
            return Some(0);
        }
        let (file, offset) = self.assembler.log_end()?;
        let here = file_number(file);
        let left = self.files.iter().filter(|(name, _)| file_number(name) >= here).map(|(_, bytes)| *bytes);
        Some(left.sum::<u64>().saturating_sub(offset))
    }
}

/// What the catalogue has of a table, and whether it held `since` that place already, where that matters.
async fn ask(
    mut guide: Box<Guide>,
    config: Arc<Config>,
    (name, since): (Name, Option<Spot>),
    lower_case: bool,
) -> (Box<Guide>, Result<(Option<Facts>, bool)>) {
    let answer = async {
        if since.is_some() {
            catalog::carried_out(&mut guide.connection, &name).await?;
        }
        let facts = catalog::facts(&mut guide.connection, &name).await?;
        let proven = match since {
            Some(since) => guide.scout.is_settled(&config, &since, &name, lower_case).await?,
            None => false,
        };
        Ok((facts, proven))
    };
    let answer = answer.await;
    (guide, answer)
}

/// What the catalogue has of every wanted table, and where the log ended after that.
async fn ask_all(
    mut guide: Box<Guide>,
    config: Arc<Config>,
    here: Place,
    untold: Vec<Name>,
) -> (Box<Guide>, Result<(BTreeMap<Name, Facts>, Place)>) {
    let answer = async {
        for name in &untold {
            catalog::carried_out(&mut guide.connection, name).await?;
        }
        let catalogue = catalog::all_facts(&mut guide.connection, &config.tables).await?;
        let server = Server::read(&mut guide.connection).await?;
        Ok((catalogue, continuity::head(&server, &here)?))
    };
    let answer = answer.await;
    (guide, answer)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
