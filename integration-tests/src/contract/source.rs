//! The contract of [`Source`], against a real server. Each case gets a database of its own, makes changes, and reads
//! them as the loop would.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use tailwater_core::{Batch, Change, ErrorKind, Position, Row, Source, Table, Value};
use tokio::time::timeout;

use crate::{Random, wait_for};

/// No case takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// A database that a source reads, and that can be changed. It starts empty.
pub trait Server {
    /// The source that is judged.
    type Source: Source;

    /// Another source of the table `notes`, and only of it, that is not open yet.
    fn source(&self) -> Self::Source;

    /// Whether the log tells all of an old row, and of every row; else its key, and only where that changes.
    const WHOLE_OLD_ROWS: bool;

    /// Runs SQL; each statement is a transaction unless it says otherwise.
    fn run(&self, sql: &str) -> impl Future<Output = ()>;

    /// Whether the server was told that everything up to `position` is durable elsewhere; `None` for one that does not
    /// want to know.
    fn confirmed(&self, position: &Position) -> impl Future<Output = Option<bool>>;

    /// The same position, but of another server.
    fn foreign(&self, position: &Position) -> Position;
}

/// Runs every case on a `server()` of its own, and says which ones fail.
///
/// # Panics
/// Where one fails.
pub async fn contract<V: Server>(server: impl AsyncFn() -> V) {
    let mut cases: Vec<(&str, LocalBoxFuture<'_, ()>)> = Vec::new();
    macro_rules! cases {
        ($($case:ident)*) => {$({
            let server = &server;
            let case = async move { timeout(PATIENCE, $case(prepared(server().await).await)).await.expect("in time") };
            cases.push((stringify!($case), Box::pin(case)));
        })*};
    }
    cases! {
        the_copy_is_announced_and_then_made
        a_copy_that_was_only_announced_is_made
        an_interrupted_copy_starts_afresh
        changes_come_in_order_with_their_ids
        what_is_rolled_back_does_not_come
        a_large_transaction_comes_in_pieces
        reading_resumes_from_any_boundary
        reading_may_be_cancelled_at_any_moment
        caught_up_means_everything_committed_before_open
        keep_alive_reads_nothing_and_never_returns
        nothing_is_confirmed_before_it_is_said_to_be_durable
        a_position_of_another_server_is_refused
        an_idle_source_moves_its_position
    }
    let judged = cases
        .into_iter()
        .map(async |(name, case)| (name, AssertUnwindSafe(case).catch_unwind().await.is_ok()));
    let judged = join_all(judged).await;
    let failed: Vec<&str> = judged.into_iter().filter(|(_, passed)| !passed).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{} cases fail: {failed:#?}", failed.len());
}

async fn prepared<V: Server>(server: V) -> V {
    server.run("CREATE TABLE notes (id int PRIMARY KEY, note text)").await;
    server.run("CREATE TABLE unwatched (id int PRIMARY KEY)").await;
    server.run("INSERT INTO notes VALUES (1, 'a'), (2, NULL), (3, '')").await;
    server
}

/// An event as a test wants to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    transaction: String,
    ordinal: u64,
    text: String,
}

/// The loop with a target in memory, which holds batches that end at a boundary.
struct Follower<S> {
    source: S,
    /// Where the last batch ended.
    end: Position,
    batch_bytes: usize,
    /// Whether the server is told what is durable once the copy is made.
    confirms: bool,
    events: Vec<Seen>,
    /// Every boundary, with the number of events before it.
    boundaries: Vec<(Position, usize)>,
}

impl<S: Source> Follower<S> {
    async fn open<V: Server<Source = S>>(server: &V, from: Option<Position>) -> Self {
        // A source before this one may not have been missed by the server yet.
        let (source, start) = wait_for("the source opens", PATIENCE, async || {
            let mut source = server.source();
            match source.open(from.clone()).await {
                Ok(start) => Some((source, start)),
                Err(error) if error.kind() == ErrorKind::Transient => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        assert_eq!(start, from.unwrap_or_default(), "reading starts where the target stands");
        let (events, boundaries) = (Vec::new(), Vec::new());
        Self { source, end: start, batch_bytes: 1 << 20, confirms: true, events, boundaries }
    }

    /// From nothing to the end of the copy.
    async fn copied<V: Server<Source = S>>(server: &V) -> Self {
        let mut follower = Self::open(server, None).await;
        follower.catch_up().await;
        follower.events.clear();
        follower.boundaries.clear();
        follower
    }

    fn fresh_batch(&self) -> Batch {
        let mut batch = Batch::default();
        batch.reset(&self.end, self.batch_bytes);
        batch
    }

    fn is_ready(batch: &Batch) -> bool {
        batch.is_full() || (!batch.is_empty() && batch.to.at_boundary())
    }

    /// Reads one batch and takes it for durable; false where all is read and there was none.
    async fn step(&mut self) -> bool {
        let mut batch = self.fresh_batch();
        while !Self::is_ready(&batch) {
            if batch.is_empty() && self.source.caught_up() {
                return false;
            }
            batch.cut_at_commit = true;
            self.source.read(&mut batch).await.unwrap();
        }
        self.take(&batch).await;
        true
    }

    async fn take(&mut self, batch: &Batch) {
        assert_eq!(batch.from, self.end, "batches chain");
        assert!(!batch.to.source.is_empty(), "a position names its source");
        self.end.clone_from(&batch.to);
        self.events.extend(batch.events().map(|event| Seen {
            transaction: event.transaction.id.to_owned(),
            ordinal: event.ordinal,
            text: text(&event.change),
        }));
        if batch.to.at_boundary() {
            self.boundaries.push((batch.to.clone(), self.changes().len()));
            if self.confirms || batch.from.copying() || batch.to.copying() {
                self.source.confirm(&batch.to).await.unwrap();
            }
        }
    }

    async fn catch_up(&mut self) {
        while self.step().await {}
        assert!(self.end.at_boundary(), "caught up in the middle of a transaction");
    }

    /// Reads until so many changes came.
    async fn read_changes(&mut self, count: usize) {
        let mut batch = self.fresh_batch();
        while self.changes().len() < count || !self.end.at_boundary() {
            batch.cut_at_commit = true;
            self.source.read(&mut batch).await.unwrap();
            if Self::is_ready(&batch) {
                self.take(&batch).await;
                batch = self.fresh_batch();
            }
        }
    }

    /// What happened to rows; the rest may come again after every start.
    fn changes(&self) -> Vec<Seen> {
        self.events.iter().filter(|seen| !seen.text.starts_with(['#'])).cloned().collect()
    }

    fn texts(&self) -> Vec<String> {
        self.changes().into_iter().map(|seen| seen.text).collect()
    }
}

/// `insert notes 1,a`; what has no ordinal of its own starts with `#`.
fn text(change: &Change<'_>) -> String {
    let line = |verb: &str, table: &Table, row: Row<'_>| format!("{verb} {} {}", table.name, cells(row));
    match change {
        Change::Insert { table, new } => line("insert", table, *new),
        Change::Update { table, old: None, new } => line("update", table, *new),
        Change::Update { table, old: Some(old), new } => {
            format!("{} from {}", line("update", table, *new), cells(*old))
        }
        Change::Delete { table, old } => line("delete", table, *old),
        Change::Truncate { table } => format!("truncate {}", table.name),
        Change::Copied { table, new } => line("copied", table, *new),
        Change::Shape { table } => format!("#shape {}", table.name),
        Change::Drop { table } => format!("#drop {}", table.name),
        Change::Stop { table, .. } => format!("#stop {}", table.name),
        Change::CopyStart { table } => format!("#start {}", table.name),
        Change::CopyEnd { table } => format!("#end {}", table.name),
        Change::Message { .. } => "message".to_owned(),
        Change::Statement(_) => "#statement".to_owned(),
    }
}

fn cells(row: Row<'_>) -> String {
    let cell = |value| match value {
        Value::Unsent => "~".to_owned(),
        Value::Null => "NULL".to_owned(),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
    };
    row.values().map(cell).collect::<Vec<_>>().join(",")
}

/// The copy is whole: these rows, between its two marks, each once.
fn assert_copied(events: &[Seen], rows: &[&str]) {
    let copy: Vec<&str> =
        events.iter().map(|seen| seen.text.as_str()).filter(|text| !text.starts_with("#shape")).collect();
    assert_eq!((copy.first(), copy.last()), (Some(&"#start notes"), Some(&"#end notes")), "{copy:?}");
    let mut found = copy[1..copy.len() - 1].to_vec();
    found.sort_unstable();
    assert_eq!(found, rows);
}

const COPIED: [&str; 3] = ["copied notes 1,a", "copied notes 2,NULL", "copied notes 3,"];

async fn the_copy_is_announced_and_then_made<V: Server>(server: V) {
    let mut follower = Follower::open(&server, None).await;
    assert!(follower.step().await);
    assert!(follower.end.copying() && follower.end.stream.is_empty(), "{:?}", follower.end);
    assert!(follower.changes().is_empty(), "no row comes before the announcement is durable");
    follower.catch_up().await;
    assert_copied(&follower.events, &COPIED);
    assert!(!follower.end.copying() && !follower.end.stream.is_empty(), "{:?}", follower.end);
    server.run("INSERT INTO notes VALUES (4, 'd')").await;
    follower.read_changes(4).await;
    assert_eq!(follower.texts()[3], "insert notes 4,d");
}

async fn interrupted_copy<V: Server>(server: V, batches: usize) {
    let mut follower = Follower::open(&server, None).await;
    follower.batch_bytes = 1;
    for _ in 0..batches {
        assert!(follower.step().await);
    }
    let held = follower.end.clone();
    assert!(held.copying(), "the copy must not be whole yet: {held:?}");
    drop(follower);
    let mut follower = Follower::open(&server, Some(held)).await;
    follower.catch_up().await;
    assert_copied(&follower.events, &COPIED);
}

async fn a_copy_that_was_only_announced_is_made<V: Server>(server: V) {
    interrupted_copy(server, 1).await;
}

async fn an_interrupted_copy_starts_afresh<V: Server>(server: V) {
    interrupted_copy(server, 2).await;
}

async fn changes_come_in_order_with_their_ids<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    server.run("INSERT INTO notes VALUES (4, 'd')").await;
    server
        .run("BEGIN; INSERT INTO notes VALUES (5, 'e'); UPDATE notes SET note = 'x' WHERE id = 1; DELETE FROM notes WHERE id = 2; COMMIT")
        .await;
    server.run("UPDATE notes SET id = 6 WHERE id = 5").await;
    server.run("TRUNCATE notes").await;
    follower.read_changes(6).await;
    let [updated, deleted, moved] = if V::WHOLE_OLD_ROWS {
        ["update notes 1,x from 1,a", "delete notes 2,NULL", "update notes 6,e from 5,e"]
    } else {
        ["update notes 1,x", "delete notes 2,~", "update notes 6,e from 5,~"]
    };
    let expected = ["insert notes 4,d", "insert notes 5,e", updated, deleted, moved, "truncate notes"];
    assert_eq!(follower.texts(), expected);
    let changes = follower.changes();
    assert_eq!(changes.iter().map(|seen| seen.ordinal).collect::<Vec<_>>(), [0, 0, 1, 2, 0, 0]);
    let transactions: Vec<&str> = changes.iter().map(|seen| seen.transaction.as_str()).collect();
    assert!(transactions[1] == transactions[2] && transactions[2] == transactions[3], "{transactions:?}");
    assert_eq!(transactions.iter().collect::<BTreeSet<_>>().len(), 4, "{transactions:?}");
}

async fn what_is_rolled_back_does_not_come<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    server.run("BEGIN; INSERT INTO notes VALUES (4, 'no'); ROLLBACK").await;
    let inner = "SAVEPOINT s; INSERT INTO notes VALUES (6, 'no'); ROLLBACK TO SAVEPOINT s";
    server
        .run(&format!(
            "BEGIN; INSERT INTO notes VALUES (5, 'yes'); {inner}; INSERT INTO notes VALUES (7, 'yes'); COMMIT"
        ))
        .await;
    follower.read_changes(2).await;
    assert_eq!(follower.texts(), ["insert notes 5,yes", "insert notes 7,yes"]);
}

/// Ten changes in four transactions, one of them with seven.
async fn make_changes<V: Server>(server: &V) {
    server.run("INSERT INTO notes VALUES (10, 'one')").await;
    let many: Vec<String> =
        (20..27).map(|id| format!("INSERT INTO notes VALUES ({id}, 'many {id}')")).collect();
    server.run(&format!("BEGIN; {}; COMMIT", many.join("; "))).await;
    server.run("UPDATE notes SET note = 'two' WHERE id = 10").await;
    server.run("DELETE FROM notes WHERE id = 20").await;
}

async fn a_large_transaction_comes_in_pieces<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    follower.confirms = false;
    make_changes(&server).await;
    let start = follower.end.clone();
    follower.batch_bytes = 1;
    let mut pieces = 0;
    while follower.changes().len() < 10 {
        assert!(timeout(PATIENCE, read_one(&mut follower)).await.is_ok());
        pieces += u64::from(!follower.end.at_boundary());
    }
    assert!(pieces >= 5, "a batch of one byte holds one event: {pieces} batches ended inside a transaction");
    let ordinals: Vec<u64> = follower.changes().iter().map(|seen| seen.ordinal).collect();
    assert_eq!(ordinals, [0, 0, 1, 2, 3, 4, 5, 6, 0, 0]);
    let pieces = follower.changes();
    drop(follower);
    let mut whole = Follower::open(&server, Some(start)).await;
    whole.read_changes(10).await;
    assert_eq!(whole.changes(), pieces, "the ids do not depend on how batches are cut");
}

/// One batch, whatever [`Source::caught_up`] says.
async fn read_one<S: Source>(follower: &mut Follower<S>) {
    let mut batch = follower.fresh_batch();
    while !Follower::<S>::is_ready(&batch) {
        batch.cut_at_commit = true;
        follower.source.read(&mut batch).await.unwrap();
    }
    follower.take(&batch).await;
}

async fn reading_resumes_from_any_boundary<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    follower.confirms = false;
    let start = (follower.end.clone(), 0);
    make_changes(&server).await;
    follower.read_changes(10).await;
    let (all, mut boundaries) = (follower.changes(), vec![start]);
    boundaries.append(&mut follower.boundaries);
    assert!(boundaries.len() >= 5, "each transaction ends at a boundary: {boundaries:?}");
    drop(follower);
    for (boundary, before) in boundaries {
        let mut again = Follower::open(&server, Some(boundary.clone())).await;
        again.confirms = false;
        again.read_changes(all.len() - before).await;
        assert_eq!(again.changes(), all[before..], "from {boundary}");
    }
}

/// Reads, and gives up after so many polls, or where nothing arrives.
async fn read_a_little(source: &mut impl Source, batch: &mut Batch, mut polls: u64) {
    let mut reading = std::pin::pin!(source.read(batch));
    let read = std::future::poll_fn(|context| match reading.as_mut().poll(context) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending => {
            polls -= 1;
            if polls == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    });
    match timeout(Duration::from_millis(20), read).await {
        Ok(Some(read)) => read.unwrap(),
        Ok(None) | Err(_) => tokio::task::yield_now().await,
    }
}

async fn reading_may_be_cancelled_at_any_moment<V: Server>(server: V) {
    let mut follower = Follower::open(&server, None).await;
    let mut random = Random::new(7);
    let mut batch = follower.fresh_batch();
    let mut made = false;
    while follower.changes().len() < COPIED.len() + 10 {
        if !made && !follower.end.copying() && !follower.end.stream.is_empty() {
            make_changes(&server).await;
            made = true;
        }
        batch.cut_at_commit = true;
        read_a_little(&mut follower.source, &mut batch, 1 + random.below(3)).await;
        if Follower::<V::Source>::is_ready(&batch) {
            follower.take(&batch).await;
            batch = follower.fresh_batch();
        }
    }
    let texts = follower.texts();
    let (copied, changes) = texts.split_at(COPIED.len());
    let mut copied = copied.to_vec();
    copied.sort_unstable();
    assert_eq!(copied, COPIED);
    let mut expected = vec!["insert notes 10,one".to_owned()];
    expected.extend((20..27).map(|id| format!("insert notes {id},many {id}")));
    let changed = if V::WHOLE_OLD_ROWS {
        ["update notes 10,two from 10,one", "delete notes 20,many 20"]
    } else {
        ["update notes 10,two", "delete notes 20,~"]
    };
    expected.extend(changed.map(str::to_owned));
    assert_eq!(changes, expected);
}

async fn caught_up_means_everything_committed_before_open<V: Server>(server: V) {
    let follower = Follower::copied(&server).await;
    let held = follower.end.clone();
    drop(follower);
    make_changes(&server).await;
    let mut follower = Follower::open(&server, Some(held)).await;
    follower.catch_up().await;
    assert_eq!(follower.changes().len(), 10);
    assert!(
        follower.source.behind_bytes().is_some(),
        "a source that has caught up knows how far it is behind"
    );
    let held = follower.end.clone();
    follower.source.close().await.unwrap();
    drop(follower);
    let mut follower = Follower::open(&server, Some(held)).await;
    follower.catch_up().await;
    assert_eq!(follower.changes(), [], "nothing is left");
}

async fn keep_alive_reads_nothing_and_never_returns<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    server.run("INSERT INTO notes VALUES (4, 'd')").await;
    let kept = timeout(Duration::from_millis(500), follower.source.keep_alive()).await;
    assert!(kept.is_err(), "it returned");
    follower.read_changes(1).await;
    assert_eq!(follower.texts(), ["insert notes 4,d"]);
}

async fn nothing_is_confirmed_before_it_is_said_to_be_durable<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    follower.confirms = false;
    make_changes(&server).await;
    follower.read_changes(10).await;
    let end = follower.end.clone();
    assert!(timeout(Duration::from_millis(300), follower.source.keep_alive()).await.is_err());
    let told = server.confirmed(&end).await;
    follower.source.confirm(&end).await.unwrap();
    let Some(told) = told else { return };
    assert!(!told, "the server was told by nobody");
    let mut batch = follower.fresh_batch();
    wait_for("the server is told", PATIENCE, async || {
        // What is confirmed may be sent with the next read.
        if let Ok(read) = timeout(Duration::from_millis(50), follower.source.read(&mut batch)).await {
            read.unwrap();
        }
        server.confirmed(&end).await.filter(|told| *told)
    })
    .await;
}

async fn a_position_of_another_server_is_refused<V: Server>(server: V) {
    let follower = Follower::copied(&server).await;
    let foreign = server.foreign(&follower.end);
    drop(follower);
    let error = server.source().open(Some(foreign)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Operator, "{error}");
}

async fn an_idle_source_moves_its_position<V: Server>(server: V) {
    let mut follower = Follower::copied(&server).await;
    let before = follower.end.clone();
    let rows: Vec<String> = (1..=1000).map(|id| format!("({id})")).collect();
    server.run(&format!("INSERT INTO unwatched VALUES {}", rows.join(", "))).await;
    while follower.end == before {
        read_one(&mut follower).await;
    }
    assert_eq!(follower.changes(), [], "nobody asked for that table");
    assert!(follower.end.at_boundary());
}
