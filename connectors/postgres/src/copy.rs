//! The first copy: one exported snapshot, several sessions, large tables in ranges of `ctid`.
//!
//! All sessions import the snapshot that `CREATE_REPLICATION_SLOT` exported, so what they read is exactly what the
//! stream continues from: no gap, no repeat. Every table stays locked in `ACCESS SHARE` until the copy ends, because
//! a rewriting `ALTER TABLE` would make it look empty to an older snapshot.

use std::sync::Arc;
use std::time::Duration;

use tailwater_core::copying::{self, Copied, Snapshot, Work};
use tailwater_core::error::Doing;
use tailwater_core::{Batch, CopyProgress, Error, Position, Result, Table};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::catalog::{self, Published};
use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::continuity;
use crate::copytext::Decoder;
use crate::error;
use crate::lsn::Lsn;
use crate::quote;
use crate::ranges::{self, Range};
use crate::stream::now_us;

/// A copy that an application's `TRUNCATE` or `ALTER TABLE` gets in the way of is begun so often without a pause.
const OPEN_ATTEMPTS_MAX: u32 = 20;
/// The codes that say so: a table was changed just then, or is locked.
const IN_THE_WAY: [&str; 2] = [error::CHANGED, error::IN_USE];
/// A slot that another session still uses is waited for: the session of an interrupted copy takes its time to end.
const SLOT_BOUND: Duration = Duration::from_secs(30);
const SLOT_PAUSE: Duration = Duration::from_millis(100);
/// Creating one waits for open transactions. A person is told of it this often.
const SLOT_SLOW: Duration = Duration::from_secs(10);

/// A copy under way.
pub(crate) struct Copying {
    /// The connection that created the slot, which will stream from it.
    connection: Connection,
    pieces: copying::Copying,
    /// Keeps the table locks; rolled back when dropped.
    guard: Connection,
}

/// The tables a copy will write, as the sink is told before anything is created at the server.
///
/// # Errors
/// Those of the connection, and `Operator` where the publication holds no wanted table.
pub(crate) async fn announce(connection: &mut Connection, config: &Config, source: &str) -> Result<Position> {
    let published = to_copy(connection, config).await?;
    let copies = published.iter().map(|one| (one.table.full_name(), progress(one))).collect();
    Ok(Position { source: source.to_owned(), copies, ..Position::default() })
}

async fn to_copy(connection: &mut Connection, config: &Config) -> Result<Vec<Published>> {
    let published = catalog::published(connection, config).await.doing(|| "list the tables to copy")?;
    if published.is_empty() {
        return Err(Error::operator(
            "TW-PG-070",
            "no published table matches `tables`: there is nothing to copy",
        )
        .remedy("correct [source.postgres] tables, or add the tables to the publication"));
    }
    Ok(published)
}

fn progress(published: &Published) -> CopyProgress {
    CopyProgress { rows_estimated: published.rows_estimated, ..CopyProgress::default() }
}

/// Creates the slot, imports its snapshot everywhere, and lets the sessions begin. A slot that an interrupted copy
/// left behind is dropped first: the sink's position says that it is ours.
///
/// # Errors
/// Those of the server; whatever was created is dropped by the next attempt.
pub(crate) async fn begin(
    mut connection: Connection,
    config: Arc<Config>,
    source: String,
) -> Result<Copying> {
    let mut attempts = 1;
    let Opened { consistent, guard, published, workers } = loop {
        match open(&mut connection, &config).await {
            // An application truncated or altered a table just then. The moment is short: it will do next time.
            Err(error) if IN_THE_WAY.contains(&error.code()) && attempts < OPEN_ATTEMPTS_MAX => attempts += 1,
            opened => break opened?,
        }
    };
    info!(slot = config.slot, position = %consistent, "created the slot; the copy begins");
    let ranges: Vec<Range> = published
        .iter()
        .enumerate()
        .flat_map(|(index, one)| ranges::cut(index, one, config.copy_range_bytes))
        .collect();
    let tables = published.iter().enumerate().map(|(index, one)| Copied {
        table: Arc::clone(&one.table),
        progress: progress(one),
        ranges_left: ranges.iter().filter(|range| range.table == index).count(),
    });
    let tables: Vec<Copied> = tables.collect();
    let stream = consistent.to_string();
    let (id, log_offset) = (stream.clone(), consistent.0);
    let snapshot = Snapshot {
        source,
        stream,
        notes: Arc::default(),
        id,
        log_file: String::new(),
        log_offset,
        time_us: now_us(),
    };
    let shapes: Vec<Arc<Table>> = tables.iter().map(|copied| Arc::clone(&copied.table)).collect();
    let sessions = workers.into_iter().map(|connection| (connection, shapes.clone())).collect();
    let pieces = copying::Copying::begin(snapshot, tables, ranges, sessions, |(connection, shapes), work| {
        Session { connection, decoder: Decoder::default(), shapes, work }.run()
    });
    Ok(Copying { connection, pieces, guard })
}

/// What a copy needs before its first row.
struct Opened {
    consistent: Lsn,
    guard: Connection,
    published: Vec<Published>,
    workers: Vec<Connection>,
}

/// Creates the slot, and opens sessions that see its snapshot and hold the tables' locks.
async fn open(connection: &mut Connection, config: &Config) -> Result<Opened> {
    let (consistent, snapshot) = fresh_slot(connection, config).await?;
    let mut guard = session(config, &snapshot).await?;
    let published = to_copy(&mut guard, config).await?;
    lock(&mut guard, &published, "").await.doing(|| "lock the tables against rewriting")?;
    prove_unchanged(&mut guard, &published, config).await?;
    let mut workers = Vec::new();
    for _ in 0..config.copy_workers.max(1) {
        let mut worker = session(config, &snapshot).await?;
        // Not waiting: behind an application's TRUNCATE that waits for the guard it would wait for ever, in a circle
        // that the server cannot see. The next attempt lets the TRUNCATE go first.
        lock(&mut worker, &published, " NOWAIT").await.doing(|| "lock the tables for a copy session")?;
        workers.push(worker);
    }
    Ok(Opened { consistent, guard, published, workers })
}

/// Drops what an interrupted copy left behind and creates the slot. The server's session of that copy may live on for a
/// moment, and drop or create the slot between our look and our step.
async fn fresh_slot(connection: &mut Connection, config: &Config) -> Result<(Lsn, String)> {
    let slot = &config.slot;
    let until = Instant::now() + SLOT_BOUND;
    loop {
        if continuity::prove_ours(connection, config).await? {
            info!(slot, "drop the slot of an interrupted copy");
            // Without WAIT: a server's session that waits would go on waiting after we are gone, and drop a later slot.
            match connection.query(&format!("DROP_REPLICATION_SLOT {}", quote::identifier(slot))).await {
                Err(error) if error.code() == error::MISSING => {}
                Err(error) if error.code() == error::IN_USE && Instant::now() < until => {
                    tokio::time::sleep(SLOT_PAUSE).await;
                    continue;
                }
                dropped => drop(dropped.doing(|| format!("drop slot {slot}"))?),
            }
        }
        match create_slot(connection, slot).await {
            Err(error) if error.code() == error::EXISTS => {}
            created => return created.doing(|| format!("create slot {slot}")),
        }
    }
}

async fn create_slot(connection: &mut Connection, slot: &str) -> Result<(Lsn, String)> {
    let options =
        if connection.server_version() >= 150_000 { "(SNAPSHOT 'export')" } else { "EXPORT_SNAPSHOT" };
    let sql = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput {options}", quote::identifier(slot));
    let rows = {
        let mut created = std::pin::pin!(connection.query(&sql));
        loop {
            tokio::select! {
                rows = &mut created => break rows?,
                () = tokio::time::sleep(SLOT_SLOW) => warn!(
                    slot,
                    "the server creates the slot once every transaction has ended that is open now, in any database; \
                     to see which: SELECT pid, datname, xact_start FROM pg_stat_activity WHERE backend_xid IS NOT NULL; \
                     SELECT gid, database, prepared FROM pg_prepared_xacts"
                ),
            }
        }
    };
    let field = |index: usize| rows.first().and_then(|row| row.get(index)).cloned().flatten();
    match (field(1), field(2)) {
        (Some(consistent), Some(snapshot)) => Ok((continuity::lsn(&consistent)?, snapshot)),
        _ => Err(Error::transient("TW-PG-061", "CREATE_REPLICATION_SLOT does not answer as documented")),
    }
}

/// A session that sees exactly the slot's snapshot.
async fn session(config: &Config, snapshot: &str) -> Result<Connection> {
    let mut connection = Connection::open(&config.url, Mode::Sql).await.doing(|| "open a copy session")?;
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        quote::literal(snapshot)
    );
    connection.query(&sql).await.doing(|| "import the snapshot")?;
    Ok(connection)
}

/// Locks every heap against everything but reading and writing rows.
async fn lock(session: &mut Connection, published: &[Published], wait: &str) -> Result<()> {
    let heaps: Vec<&str> =
        published.iter().flat_map(|one| &one.heaps).map(|heap| heap.sql_name.as_str()).collect();
    if !heaps.is_empty() {
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE{wait}", heaps.join(", "));
        session.query(&sql).await.map_err(|failure| match failure.code() {
            error::MISSING => Error::transient(
                error::CHANGED,
                format!("renamed or dropped just then: {}", failure.message()),
            ),
            _ => failure,
        })?;
    }
    Ok(())
}

/// Proves that the locked tables are still what the snapshot says. Rewritten rows are invisible to it, and a table or
/// column renamed since would be looked for under its old name, or found where another one has it now.
async fn prove_unchanged(guard: &mut Connection, published: &[Published], config: &Config) -> Result<()> {
    let changed = |name: &str| {
        Error::transient(error::CHANGED, format!("{name} was altered or rewritten while the copy began"))
    };
    let oids: Vec<String> =
        published.iter().flat_map(|one| &one.heaps).map(|heap| heap.oid.to_string()).collect();
    if !oids.is_empty() {
        let sql = format!(
            "SELECT oid::regclass FROM pg_catalog.pg_class
             WHERE oid IN ({}) AND relfilenode <> pg_catalog.pg_relation_filenode(oid)",
            oids.join(", ")
        );
        if let Some(name) = guard.query(&sql).await?.into_iter().flatten().flatten().next() {
            return Err(changed(&name));
        }
    }
    let mut present = Connection::open(&config.url, Mode::Sql).await.doing(|| "look at the tables again")?;
    // As little waiting as for the locks of a copy session, and for the same reason.
    present.query("SET lock_timeout = 100").await?;
    let now = catalog::published(&mut present, config).await.doing(|| "look at the tables again")?;
    present.finish().await?;
    for before in published {
        if !now.iter().any(|now| before.is_like(now)) {
            return Err(changed(&before.table.full_name()));
        }
    }
    Ok(())
}

/// One session: takes ranges from the queue until it is empty.
struct Session {
    connection: Connection,
    decoder: Decoder,
    shapes: Vec<Arc<Table>>,
    work: Work<Range>,
}

impl Session {
    async fn run(mut self) -> Result<()> {
        while let Some(range) = self.work.range() {
            self.copy(&range).await.doing(|| format!("copy {}", range.what))?;
        }
        self.connection.query("COMMIT").await?;
        self.connection.finish().await
    }

    async fn copy(&mut self, range: &Range) -> Result<()> {
        let Some(table) = self.shapes.get(range.table).map(Arc::clone) else { return Ok(()) };
        self.connection.copy_out(&range.sql).await?;
        let mut rows = self.work.batch()?;
        loop {
            let more = self.take_rows(&table, &mut rows)?;
            if rows.is_full() {
                let full = std::mem::replace(&mut rows, self.work.batch()?);
                if !self.work.hand_over(range.table, full, false).await {
                    return Ok(());
                }
            } else if !more {
                break;
            } else {
                self.connection.fill().await?;
            }
        }
        self.work.hand_over(range.table, rows, true).await;
        Ok(())
    }

    /// Decodes the rows that have arrived. False once the server has ended the copy.
    fn take_rows(&mut self, table: &Arc<Table>, rows: &mut Batch) -> Result<bool> {
        while !rows.is_full() {
            let Some(frame) = self.connection.frame()? else { return Ok(true) };
            match frame.tag {
                b'd' => {
                    let row = self.decoder.add_row(rows, frame.body, table.columns.len())?;
                    rows.copied(table, row);
                }
                b'c' | b'C' => {}
                b'Z' => return Ok(false),
                tag => {
                    let tag = char::from(tag);
                    return Err(Error::data("TW-PG-072", format!("unexpected message {tag:?} in a copy")));
                }
            }
        }
        Ok(true)
    }
}

impl Copying {
    /// As [`copying::Copying::read`].
    ///
    /// # Errors
    /// Likewise.
    pub(crate) async fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        self.pieces.read(batch).await
    }

    /// Releases the table locks and gives the connection that streams on.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) async fn finish(mut self) -> Result<Connection> {
        self.guard.query("COMMIT").await?;
        self.guard.finish().await?;
        Ok(self.connection)
    }
}
