//! A source and a sink without a server: a log of transactions, a target that keeps rows and position together and
//! one that does not, and a plan of what fails when. Everything that must hold at every moment is asserted here,
//! inside the operations; what must hold at the end is asserted by the tests in `main.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tailwater_core::{
    Batch, Change, Column, CopyProgress, Declared, Error, ErrorKind, Fill, Guarantee, Position, Result, Sink,
    Source, Table, Type, Value,
};
use tokio_util::sync::CancellationToken;

/// Everything that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    SinkOpen,
    SourceOpen,
    Read,
    Write,
    /// Only of a sink that saves its position beside the rows.
    Save,
    Confirm,
    KeepAlive,
    SinkClose,
    SourceClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The operation returns an error of this kind.
    Error(ErrorKind),
    /// The process is gone: no operation has an effect from here on.
    Kill,
}

/// The `nth` time, from 0, that `step` is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) step: Step,
    pub(crate) when: When,
    pub(crate) how: How,
    pub(crate) nth: u32,
}

/// How the sink keeps its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    ExactlyOnce,
    AtLeastOnce,
}

/// Small, fast, the same everywhere (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A row of the log: which transaction, which event in it.
pub(crate) type Id = (u64, u64);

/// What the server, the target and the test know. One mutex: every operation is atomic to the others.
#[derive(Debug)]
pub(crate) struct World {
    /// Events per transaction.
    pub(crate) log: Vec<u64>,
    /// Rows of the first copy, before the log.
    pub(crate) copy_rows: u64,
    pub(crate) promise: Promise,
    pub(crate) fault: Option<Fault>,
    pub(crate) fault_fired: bool,
    pub(crate) killed: bool,
    /// An assertion failed in the sink's thread, where the loop takes a panic for a failure that may pass.
    pub(crate) broken: bool,
    /// Counts processes; an operation of an earlier one has no effect.
    pub(crate) epoch: u64,
    /// The target: rows of the copy, rows of the log, and the position.
    pub(crate) copied: Vec<u64>,
    pub(crate) rows: Vec<Id>,
    pub(crate) position: Option<Position>,
    /// The furthest place that any source put into a batch, and that the target held when it was confirmed.
    pub(crate) sent: Id,
    pub(crate) confirmed: Id,
    pub(crate) keep_alives: u32,
    pub(crate) sinks_open: u32,
    /// A source was asked to close.
    pub(crate) source_closed: bool,
    /// A write waits until the source was kept alive, once.
    pub(crate) write_waits: bool,
    pub(crate) operations: u64,
    /// The write, from 0, during which the process is told to stop.
    pub(crate) stop_in_write: Option<(u64, CancellationToken)>,
    /// Sinks that were dropped without being asked to close.
    pub(crate) left_open: u32,
}

/// The world, shared by the two ends.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<(Mutex<World>, Condvar)>);

impl Shared {
    pub(crate) fn new(random: &mut Random, promise: Promise) -> Self {
        let transactions = 12 + random.below(8);
        let log = (0..transactions)
            .map(|_| if random.below(4) == 0 { 1 + random.below(40) } else { 1 + random.below(4) });
        let log: Vec<_> = log.collect();
        Self::with_log(log, random.below(2) * 20, promise)
    }

    pub(crate) fn with_log(log: Vec<u64>, copy_rows: u64, promise: Promise) -> Self {
        let world = World {
            log,
            copy_rows,
            promise,
            fault: None,
            fault_fired: false,
            killed: false,
            broken: false,
            epoch: 0,
            copied: Vec::new(),
            rows: Vec::new(),
            position: None,
            sent: (0, 0),
            confirmed: (0, 0),
            keep_alives: 0,
            sinks_open: 0,
            source_closed: false,
            write_waits: false,
            operations: 0,
            stop_in_write: None,
            left_open: 0,
        };
        Self(Arc::new((Mutex::new(world), Condvar::new())))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A failed assertion in one thread must show as itself and not as a poisoned lock in another.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process: everything that was in memory before is gone.
    pub(crate) fn boot(&self) -> u64 {
        let mut world = self.lock();
        world.epoch += 1;
        world.killed = false;
        world.sinks_open = 0;
        world.epoch
    }

    pub(crate) fn source(&self, epoch: u64, seed: u64) -> FakeSource {
        let random = Random(seed);
        FakeSource { world: self.clone(), epoch, random, place: Place::Copy(0), began: false, table: table() }
    }

    pub(crate) fn sink(&self, epoch: u64) -> FakeSink {
        FakeSink {
            world: self.clone(),
            epoch,
            open: false,
            asked_to_close: false,
            pending: Vec::new(),
            end: None,
        }
    }

    /// Blocks a write until the source was kept alive, or failed at it.
    fn wait_for_keep_alive(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut world = self.lock();
        while world.write_waits && world.keep_alives == 0 && !world.fault_fired {
            assert!(Instant::now() < deadline, "nobody keeps the source alive while the sink is blocked");
            let (guard, _) = self
                .0
                .1
                .wait_timeout(world, Duration::from_millis(10))
                .unwrap_or_else(PoisonError::into_inner);
            world = guard;
        }
        world.write_waits = false;
    }
}

impl World {
    /// Whether everything is in the target.
    pub(crate) fn done(&self) -> bool {
        self.position
            .as_ref()
            .is_some_and(|position| place(position) == (self.log.len() as u64, 0) && !position.copying())
    }

    /// Fails where the plan says so, and always in a process that is gone.
    fn step(&mut self, epoch: u64, step: Step, when: When) -> Result<()> {
        self.operations += 1;
        if self.killed || self.epoch != epoch {
            return Err(gone());
        }
        let Some(fault) = &mut self.fault else {
            return Ok(());
        };
        if fault.step != step || fault.when != when {
            return Ok(());
        }
        if fault.nth > 0 {
            fault.nth -= 1;
            return Ok(());
        }
        let how = fault.how;
        self.fault = None;
        self.fault_fired = true;
        match how {
            How::Error(kind) => Err(Error::new(kind, "TW-TEST-001", format!("{step:?} fails"))),
            How::Kill => {
                self.killed = true;
                Err(gone())
            }
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        let durable = self.position.as_ref().map_or((0, 0), place);
        assert!(self.sent >= durable, "durable {durable:?} was never sent: {:?}", self.sent);
        assert!(durable >= self.confirmed, "confirmed {:?} but durable is {durable:?}", self.confirmed);
        let copying = self.position.as_ref().is_none_or(Position::copying);
        if !copying {
            assert_eq!(self.copied, (0..self.copy_rows).collect::<Vec<_>>(), "the first copy");
        }
        let (whole, _) = durable;
        let expected = self
            .log
            .iter()
            .zip(0..whole)
            .flat_map(|(&events, index)| (0..events).map(move |event| (index, event)));
        match self.promise {
            // Every row of whole transactions, once, in order, and no row of any other.
            Promise::ExactlyOnce => {
                assert!(expected.eq(self.rows.iter().copied()), "{:?} at {durable:?}", self.rows)
            }
            // The same, once repeats are dropped; rows behind the position may be there already.
            Promise::AtLeastOnce => {
                let mut seen = std::collections::BTreeSet::new();
                let once: Vec<_> = self.rows.iter().copied().filter(|&id| seen.insert(id)).collect();
                assert!(once.is_sorted(), "out of order: {once:?}");
                assert!(expected.eq(once.into_iter().filter(|&(index, _)| index < whole)), "{:?}", self.rows);
            }
        }
    }
}

fn gone() -> Error {
    Error::operator("TW-TEST-002", "the process is gone")
}

/// Transactions and events covered. The copy comes before all of them.
fn place(position: &Position) -> Id {
    (position.stream.parse().unwrap_or(0), position.event)
}

fn table() -> Arc<Table> {
    let kind = Type::Text;
    let id = Column {
        id: 1,
        name: "id".into(),
        kind,
        source_type: "text".into(),
        type_id: 25,
        fill: Fill::Null,
        declared: Declared::default(),
    };
    Arc::new(Table {
        id: 1,
        schema: "public".into(),
        name: "t".into(),
        columns: vec![id],
        key: vec![0],
        declared_key: Vec::new(),
        streamed_from_birth: true,
    })
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Rows copied.
    Copy(u64),
    /// Transactions covered, and events of the next one.
    Log(u64, u64),
}

impl Place {
    fn position(self) -> Position {
        let mut position = Position { source: "fake".into(), ..Position::default() };
        match self {
            Self::Copy(rows) => {
                position.copies =
                    BTreeMap::from([("public.t".into(), CopyProgress { rows, ..CopyProgress::default() })]);
            }
            Self::Log(whole, event) => (position.stream, position.event) = (whole.to_string(), event),
        }
        position
    }
}

#[derive(Debug)]
pub(crate) struct FakeSource {
    world: Shared,
    epoch: u64,
    random: Random,
    place: Place,
    /// Whether the position was announced to the sink before the copy.
    began: bool,
    table: Arc<Table>,
}

impl FakeSource {
    fn rest(&self, world: &World) -> u64 {
        match self.place {
            Place::Copy(_) => 1,
            Place::Log(whole, _) => world.log.len() as u64 - whole,
        }
    }

    /// One event, or one row of the copy. Whether that ended a transaction.
    fn add(&mut self, world: &World, batch: &mut Batch) -> Result<bool> {
        let text = |first: u64, second: u64| format!("{first}:{second}");
        match self.place {
            Place::Copy(_) if !self.began => self.began = true,
            Place::Copy(rows) => {
                batch.transaction(format_args!("copy"), 0, 0, rows)?;
                if rows == 0 {
                    batch.copy_start(&self.table);
                }
                if rows < world.copy_rows {
                    let row = batch.add_row([Value::Text(text(0, rows).as_bytes())])?;
                    batch.copied(&self.table, row);
                    self.place = Place::Copy(rows + 1);
                } else {
                    batch.copy_end(&self.table);
                    self.place = Place::Log(0, 0);
                }
            }
            Place::Log(whole, event) => {
                batch.transaction(format_args!("{whole}"), 0, whole, event)?;
                let row = batch.add_row([Value::Text(text(whole, event).as_bytes())])?;
                batch.insert(&self.table, row);
                let last = event + 1 == world.log[usize::try_from(whole).unwrap()];
                self.place = if last { Place::Log(whole + 1, 0) } else { Place::Log(whole, event + 1) };
                return Ok(last);
            }
        }
        Ok(true)
    }
}

impl Source for FakeSource {
    async fn open(&mut self, from: Option<Position>) -> Result<Position> {
        self.world.lock().step(self.epoch, Step::SourceOpen, When::Before)?;
        tokio::task::yield_now().await;
        let mut world = self.world.lock();
        assert_eq!(from, world.position, "the source starts where the sink stands");
        let start = from.unwrap_or_default();
        if !start.copying() && !start.source.is_empty() {
            assert!(start.at_boundary(), "started inside a transaction");
            self.place = Place::Log(place(&start).0, 0);
            // What the sink holds is durable, so the server may know at once.
            world.confirmed = place(&start);
            world.check();
        }
        world.step(self.epoch, Step::SourceOpen, When::After)?;
        Ok(start)
    }

    async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        self.world.lock().step(self.epoch, Step::Read, When::Before)?;
        for _ in 0..self.random.below(4) {
            tokio::task::yield_now().await;
        }
        if self.rest(&self.world.lock()) == 0 {
            std::future::pending::<()>().await;
        }
        let shared = self.world.clone();
        let mut world = shared.lock();
        if world.killed || world.epoch != self.epoch {
            return Err(gone());
        }
        for _ in 0..=self.random.below(12) {
            if self.rest(&world) == 0 || batch.is_full() {
                break;
            }
            let whole = self.add(&world, batch)?;
            if whole && batch.cut_at_commit {
                break;
            }
        }
        batch.to = self.place.position();
        world.sent = world.sent.max(place(&batch.to));
        world.step(self.epoch, Step::Read, When::After)
    }

    async fn keep_alive(&mut self) -> Result<()> {
        {
            let mut world = self.world.lock();
            world.step(self.epoch, Step::KeepAlive, When::Before)?;
            world.keep_alives += 1;
            self.world.0.1.notify_all();
            world.step(self.epoch, Step::KeepAlive, When::After)?;
        }
        std::future::pending().await
    }

    async fn confirm(&mut self, position: &Position) -> Result<()> {
        self.world.lock().step(self.epoch, Step::Confirm, When::Before)?;
        tokio::task::yield_now().await;
        let mut world = self.world.lock();
        if world.killed || world.epoch != self.epoch {
            return Err(gone());
        }
        assert!(position.at_boundary(), "confirmed inside a transaction");
        assert!(place(position) >= world.confirmed, "confirmed backwards");
        world.confirmed = place(position);
        world.check();
        world.step(self.epoch, Step::Confirm, When::After)
    }

    fn caught_up(&self) -> bool {
        self.rest(&self.world.lock()) == 0
    }

    fn behind_bytes(&self) -> Option<u64> {
        Some(self.rest(&self.world.lock()))
    }

    async fn close(&mut self) -> Result<()> {
        let mut world = self.world.lock();
        let closes = world.step(self.epoch, Step::SourceClose, When::Before);
        // Whether it succeeds or not: nothing hangs on it.
        world.source_closed = !world.killed;
        closes?;
        world.step(self.epoch, Step::SourceClose, When::After)
    }
}

#[derive(Debug)]
pub(crate) struct FakeSink {
    world: Shared,
    epoch: u64,
    open: bool,
    asked_to_close: bool,
    /// Rows of the transaction that is not whole yet.
    pending: Vec<Id>,
    /// Where the last batch ended.
    end: Option<Position>,
}

impl FakeSink {
    fn add(&mut self, world: &mut World, batch: &Batch) {
        for event in batch.events() {
            match event.change {
                Change::CopyStart { .. } => world.copied.clear(),
                Change::Copied { new, .. } => {
                    assert_eq!(new.get(0), Value::Text(format!("0:{}", event.ordinal).as_bytes()));
                    world.copied.push(event.ordinal);
                }
                Change::CopyEnd { .. } => {}
                Change::Insert { new, .. } => {
                    let id = (event.transaction.id.parse().unwrap(), event.ordinal);
                    assert_eq!(
                        new.get(0),
                        Value::Text(format!("{}:{}", id.0, id.1).as_bytes()),
                        "the id is not its own"
                    );
                    match world.promise {
                        Promise::ExactlyOnce => self.pending.push(id),
                        Promise::AtLeastOnce => world.rows.push(id),
                    }
                }
                Change::Update { .. }
                | Change::Delete { .. }
                | Change::Truncate { .. }
                | Change::Shape { .. }
                | Change::Drop { .. }
                | Change::Stop { .. }
                | Change::Message { .. }
                | Change::Statement(_) => panic!("the source sends no such thing: {event:?}"),
            }
        }
    }
}

impl Sink for FakeSink {
    fn guarantee(&self) -> Guarantee {
        match self.world.lock().promise {
            Promise::ExactlyOnce => Guarantee::ExactlyOnce,
            Promise::AtLeastOnce => Guarantee::AtLeastOnce,
        }
    }

    fn open(&mut self) -> Result<Option<Position>> {
        let mut world = self.world.lock();
        world.step(self.epoch, Step::SinkOpen, When::Before)?;
        assert_eq!(world.sinks_open, 0, "two sinks are open at once");
        self.open = true;
        world.sinks_open += 1;
        self.end.clone_from(&world.position);
        world.step(self.epoch, Step::SinkOpen, When::After)?;
        Ok(world.position.clone())
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.world.wait_for_keep_alive();
        let shared = self.world.clone();
        let mut world = shared.lock();
        match &mut world.stop_in_write {
            Some((0, stop)) => stop.cancel(),
            Some((writes, _)) => *writes -= 1,
            None => {}
        }
        world.step(self.epoch, Step::Write, When::Before)?;
        assert_eq!(batch.from, self.end.clone().unwrap_or_default(), "batches do not chain");
        assert!(!batch.is_empty(), "an empty batch is written");
        self.end = Some(batch.to.clone());
        self.add(&mut world, batch);
        if world.promise == Promise::AtLeastOnce {
            world.check();
            world.step(self.epoch, Step::Save, When::Before)?;
        }
        if batch.to.at_boundary() {
            world.rows.append(&mut self.pending);
            world.position = Some(batch.to.clone());
        }
        world.check();
        if world.promise == Promise::AtLeastOnce {
            world.step(self.epoch, Step::Save, When::After)?;
        }
        world.step(self.epoch, Step::Write, When::After)
    }

    fn close(&mut self) -> Result<()> {
        let mut world = self.world.lock();
        assert!(self.open && !self.asked_to_close, "closed without being open, or twice");
        self.asked_to_close = true;
        world.step(self.epoch, Step::SinkClose, When::Before)?;
        self.open = false;
        self.pending.clear();
        world.sinks_open -= 1;
        world.step(self.epoch, Step::SinkClose, When::After)
    }
}

impl Drop for FakeSink {
    fn drop(&mut self) {
        // What a target does when its client has gone without a word.
        let mut world = self.world.lock();
        world.broken |= std::thread::panicking();
        if self.open && world.epoch == self.epoch {
            world.left_open += u32::from(!self.asked_to_close && !world.killed);
            world.sinks_open -= 1;
        }
    }
}
