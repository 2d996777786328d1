//! The first copy: several sessions that see one and the same moment, large tables in ranges of their key.
//!
//! MariaDB tells each snapshot where it stands in the log, so several sessions are opened until they agree, and one is
//! used where they never do. MySQL tells nothing: there the wanted tables are locked against writing while the snapshots
//! are taken and the position is read, which is a matter of milliseconds once the lock is granted. Whatever the server,
//! each session then touches every table, so that none is altered before it has been read.
//!
//! An XA transaction that is prepared at that moment is neither in the snapshot nor behind its position. MySQL's lock waits
//! for it; with MariaDB the copy does.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tailwater_core::copying::{Copied, Copying, Snapshot, Work};
use tailwater_core::error::Doing as _;
use tailwater_core::pattern::Patterns;
use tailwater_core::{CopyProgress, Error, Fill, Result, Table};
use tracing::info;

use crate::binlog::plan::Plan;
use crate::catalog::{self, Wanted};
use crate::config::Config;
use crate::connection::Connection;
use crate::copytext::Printed;
use crate::ddl::Name;
use crate::error;
use crate::notes::{self, Note};
use crate::preface::Preface;
use crate::quote;
use crate::server::{FilePosition, Server};
use crate::shapes::{self, Facts};

/// So often sessions are opened anew that do not agree, before one is taken alone.
const AGREE_ATTEMPTS_MAX: u32 = 5;
/// Writers are kept waiting for the position no longer than this; then the lock is given up, and asked for anew.
const LOCK_SECONDS_MAX: u32 = 10;
/// A table with more rows is read in ranges of about so many.
const RANGE_ROWS: u64 = 500_000;

/// A part of a table.
struct Range {
    table: usize,
    /// Rows whose key is within: a condition, or nothing.
    condition: String,
}

/// A table as the snapshot has it.
#[derive(Clone)]
struct Source {
    table: Arc<Table>,
    facts: Arc<Facts>,
    /// As what each column is printed.
    printed: Vec<Printed>,
    /// `SELECT … FROM …`
    select: String,
    rows_estimated: u64,
}

/// Sessions that see the same moment, and where that is.
struct Opened {
    sessions: Vec<Connection>,
    sources: Vec<Source>,
    stream: String,
    at: FilePosition,
}

/// Takes the snapshot and lets the sessions begin.
///
/// # Errors
/// Those of the server; nothing is left behind.
pub(crate) async fn begin(config: &Config, server: &Server, source: String) -> Result<Copying> {
    let Opened { mut sessions, sources, stream, at } = match server.version.is_mariadb() {
        true => agreeing(config).await?,
        false => locked(config).await?,
    };
    info!(position = %stream, "took the snapshot; the copy begins");
    let mut ranges = Vec::new();
    for (index, one) in sources.iter().enumerate() {
        let Some(session) = sessions.first_mut() else { break };
        ranges.extend(cut(session, index, one).await?);
    }
    let preface = match sessions.first_mut().filter(|_| config.statements) {
        Some(session) => {
            let tables: Vec<_> = sources.iter().map(|one| &one.table).collect();
            Preface::read(session, &tables).await.doing(|| "look at what makes the tables")?
        }
        None => Preface::default(),
    };
    let tables = sources.iter().enumerate().map(|(index, one)| Copied {
        table: Arc::clone(&one.table),
        progress: CopyProgress { rows_estimated: one.rows_estimated, ..CopyProgress::default() },
        ranges_left: ranges.iter().filter(|range| range.table == index).count(),
    });
    let tables = tables.collect();
    let id = format!("{}:{}", at.file, at.position);
    let unnamed = sources.iter().filter(|_| !server.logs_full_metadata());
    let notes = notes::write(unnamed.map(|one| Note {
        known: Some(Arc::clone(&one.facts)),
        ..Note::of(&Name { schema: one.table.schema.clone(), table: one.table.name.clone() })
    }))?;
    let (log_file, log_offset) = (at.file, at.position);
    let snapshot = Snapshot { source, stream, notes, id, log_file, log_offset, time_us: now_us() };
    let sources: Arc<[Source]> = sources.into();
    let sessions = sessions.into_iter().map(|session| (session, Arc::clone(&sources))).collect();
    let mut copying = Copying::begin(snapshot, tables, ranges, sessions, |(session, sources), work| {
        run(session, sources, work)
    });
    copying.tell(|batch| preface.tell(batch))?;
    Ok(copying)
}

/// MariaDB: sessions whose snapshots stand at the same place.
async fn agreeing(config: &Config) -> Result<Opened> {
    let count = config.copy_workers.max(1);
    let mut guard = Connection::open(&config.url).await.doing(|| "open a session")?;
    nothing_prepared(&mut guard).await?;
    let (mut sessions, mut at) = (Vec::new(), None);
    for attempt in 0..=AGREE_ATTEMPTS_MAX {
        sessions.clear();
        let mut places = Vec::new();
        let wanted = if attempt == AGREE_ATTEMPTS_MAX { 1 } else { count };
        for _ in 0..wanted {
            sessions.push(Connection::open(&config.url).await.doing(|| "open a copy session")?);
        }
        for session in &mut sessions {
            take_snapshot(session).await?;
            places.push(stands_at(session).await?);
        }
        if places.iter().all(|place| Some(place) == places.first()) {
            at = places.into_iter().next();
            break;
        }
    }
    let Some(at) = at else { return Err(error::protocol("no snapshot tells where it stands")) };
    nothing_prepared(&mut guard).await?;
    let sources = touch(&mut sessions, config).await?;
    let sql = format!("SELECT BINLOG_GTID_POS({}, {})", quote::literal(&at.file), at.position);
    let session = sessions.first_mut().ok_or_else(|| error::protocol("no copy session"))?;
    let stream = session.query(&sql).await?.into_iter().flatten().flatten().next().unwrap_or_default();
    let stream = if stream.is_empty() { format!("{}:{}", at.file, at.position) } else { stream };
    guard.finish().await?;
    Ok(Opened { sessions, sources, stream, at })
}

/// Asked before the snapshots and after them. One that is prepared and committed in between is not seen; where such ones
/// are common the stream soon meets another, and stops.
async fn nothing_prepared(session: &mut Connection) -> Result<()> {
    let rows = session.query("XA RECOVER").await.doing(|| "look for prepared XA transactions")?;
    if rows.is_empty() { Ok(()) } else { Err(error::prepared()) }
}

async fn stands_at(session: &mut Connection) -> Result<FilePosition> {
    let rows = session.query("SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
    let value = |name: &str| {
        let row = rows.iter().find(|row| {
            row.first().and_then(Option::as_deref).is_some_and(|found| found.eq_ignore_ascii_case(name))
        });
        row.and_then(|row| row.get(1)).cloned().flatten()
    };
    let file = value("binlog_snapshot_file").filter(|file| !file.is_empty());
    let position = value("binlog_snapshot_position").and_then(|position| position.parse().ok());
    match (file, position) {
        (Some(file), Some(position)) => Ok(FilePosition { file, position }),
        _ => Err(Error::operator(
            error::NO_LOG,
            "the snapshot does not tell where it stands in the binary log",
        )
        .remedy("log_bin in the server's configuration, and a restart")),
    }
}

/// MySQL: nobody writes the wanted tables between the snapshots and the position.
async fn locked(config: &Config) -> Result<Opened> {
    let mut guard = Connection::open(&config.url).await.doing(|| "open a session")?;
    let wanted = to_copy(&mut guard, config).await?;
    let tables: Vec<String> = wanted.iter().map(|one| format!("{} READ", sql_name(&one.name))).collect();
    guard.execute(&format!("SET SESSION lock_wait_timeout = {LOCK_SECONDS_MAX}")).await?;
    let mut sessions = Vec::new();
    for _ in 0..config.copy_workers.max(1) {
        sessions.push(Connection::open(&config.url).await.doing(|| "open a copy session")?);
    }
    guard
        .execute(&format!("LOCK TABLES {}", tables.join(", ")))
        .await
        .map_err(|error| match error.code() {
            error::UNAVAILABLE => error.remedy(error::HOLDS_A_LOCK),
            // So the server says that the right is missing.
            error::NO_DATABASE => Error::operator(error::NO_RIGHT, error.message())
                .remedy("GRANT LOCK TABLES on the databases to the account; `tailwater check` names them"),
            _ => error,
        })
        .doing(|| "lock the tables against writing, for the moment in which the snapshot is taken")?;
    for session in &mut sessions {
        take_snapshot(session).await?;
    }
    let server = Server::read(&mut guard).await?;
    guard.execute("UNLOCK TABLES").await?;
    let at = server.head.clone().ok_or_else(|| {
        Error::operator(error::NO_RIGHT, "the account may not see where the binary log ends")
            .remedy("GRANT REPLICATION CLIENT ON *.* TO …")
    })?;
    let stream = match server.has_gtids() {
        true => crate::gtid::GtidSet::parse(server.gtid_executed())?.to_string(),
        false => format!("{}:{}", at.file, at.position),
    };
    let sources = touch(&mut sessions, config).await?;
    guard.finish().await?;
    // What was written into a table that came in between may lie between the snapshot and the position.
    let is_locked = |one: &Source| {
        wanted
            .iter()
            .any(|locked| locked.name.schema == one.table.schema && locked.name.table == one.table.name)
    };
    match sources.iter().find(|one| !is_locked(one)) {
        None => Ok(Opened { sessions, sources, stream, at }),
        Some(new) => {
            let what = format!("{} was created while the copy began", new.table.full_name());
            Err(Error::transient(error::CHANGED, what))
        }
    }
}

async fn take_snapshot(session: &mut Connection) -> Result<()> {
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    session
        .execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        .await
        .doing(|| "take the snapshot")
}

async fn to_copy(session: &mut Connection, config: &Config) -> Result<Vec<Wanted>> {
    let wanted = catalog::wanted(session, &config.tables).await?;
    if wanted.is_empty() {
        return Err(Error::operator(error::NO_TABLE, "no table matches `tables`: there is nothing to copy")
            .remedy("correct `tables`, or GRANT SELECT on the tables"));
    }
    Ok(wanted)
}

/// Reads of each table what it is like, after making sure in every session that nobody alters it until its end.
async fn touch(sessions: &mut [Connection], config: &Config) -> Result<Vec<Source>> {
    let Some((first, others)) = sessions.split_first_mut() else { return Ok(Vec::new()) };
    let wanted = to_copy(first, config).await?;
    let mut sources = Vec::new();
    for one in wanted {
        let look = format!("SELECT 1 FROM {} LIMIT 0", sql_name(&one.name));
        let doing = || format!("open {}.{}", one.name.schema, one.name.table);
        first.query(&look).await.doing(doing)?;
        for session in others.iter_mut() {
            session.query(&look).await.doing(doing)?;
        }
        let facts = catalog::facts(first, &one.name).await?;
        // Dropped just then, or not ours to see any more: the next attempt knows.
        let facts = facts.ok_or_else(|| {
            Error::transient(error::CHANGED, format!("{}.{} is gone", one.name.schema, one.name.table))
        })?;
        sources.push(source(&one, &facts).doing(doing)?);
    }
    Ok(sources)
}

/// The wanted tables as they are now.
///
/// # Errors
/// Those of the server, and a type that is not known here.
pub(crate) async fn shapes(session: &mut Connection, tables: &Patterns) -> Result<Vec<Arc<Table>>> {
    let mut shapes = Vec::new();
    for one in catalog::wanted(session, tables).await? {
        if let Some(facts) = catalog::facts(session, &one.name).await? {
            shapes.push(source(&one, &facts)?.table);
        }
    }
    Ok(shapes)
}

fn source(wanted: &Wanted, facts: &Facts) -> Result<Source> {
    let name = &wanted.name;
    let unknown = |column: &shapes::ColumnFacts| {
        let what = format!("column {} has type {}, which is not known here", column.name, column.column_type);
        Error::data(error::COLUMN_TYPE, what)
            .remedy("take the table out of `tables`; look for a newer release")
    };
    let columns = facts.columns.iter().map(|column| column.described().ok_or_else(|| unknown(column)));
    let columns: Vec<_> = columns.collect::<Result<_>>()?;
    let hints = shapes::hints(&columns, Some(facts));
    let plan = Plan::new(&columns, &hints)?;
    let mut table =
        shapes::table(name, &columns, plan.columns.iter().map(|column| &column.kind), Some(facts))?;
    // Nothing is older than the copy.
    table.columns.iter_mut().for_each(|column| column.fill = Fill::Null);
    let printed: Vec<Printed> =
        columns.iter().zip(&hints).map(|(column, hint)| Printed::of(column, *hint)).collect();
    let list: Vec<String> = table
        .columns
        .iter()
        .zip(&printed)
        .map(|(column, printed)| printed.expression(&quote::identifier(&column.name)))
        .collect();
    let select = format!("SELECT {} FROM {}", list.join(", "), sql_name(name));
    let (table, facts) = (Arc::new(table), Arc::new(facts.clone()));
    Ok(Source { table, facts, printed, select, rows_estimated: wanted.rows_estimated })
}

fn sql_name(name: &Name) -> String {
    quote::qualified(&name.schema, &name.table)
}

/// The ranges of a table: several where it is large and its key one whole number.
async fn cut(session: &mut Connection, table: usize, source: &Source) -> Result<Vec<Range>> {
    let whole = || vec![Range { table, condition: String::new() }];
    let [key] = source.table.key.as_slice() else { return Ok(whole()) };
    let integer = source.printed.get(*key).is_some_and(|printed| *printed == Printed::Integer);
    let Some(column) = source.table.columns.get(*key).filter(|_| integer) else { return Ok(whole()) };
    let parts = source.rows_estimated / RANGE_ROWS;
    if parts < 2 {
        return Ok(whole());
    }
    let key = quote::identifier(&column.name);
    let name = quote::qualified(&source.table.schema, &source.table.name);
    let ends = session.query(&format!("SELECT min({key}), max({key}) FROM {name}")).await?;
    let mut ends = ends.into_iter().flatten().map(|end| end?.parse::<i128>().ok());
    let (Some(Some(least)), Some(Some(most))) = (ends.next(), ends.next()) else { return Ok(whole()) };
    let width = (most - least) / i128::from(parts) + 1;
    let mut ranges = Vec::new();
    let mut from = least;
    while from <= most {
        let below = from + width;
        ranges.push(Range { table, condition: format!(" WHERE {key} >= {from} AND {key} < {below}") });
        from = below;
    }
    Ok(ranges)
}

/// One session: takes ranges until there are none.
async fn run(mut session: Connection, sources: Arc<[Source]>, work: Work<Range>) -> Result<()> {
    while let Some(range) = work.range() {
        let Some(source) = sources.get(range.table) else { continue };
        if !copy(&mut session, source, &range, &work)
            .await
            .doing(|| format!("copy {}{}", source.table.full_name(), range.condition))?
        {
            return Ok(());
        }
    }
    session.execute("COMMIT").await?;
    session.finish().await
}

/// Whether anybody still wants rows.
async fn copy(session: &mut Connection, source: &Source, range: &Range, work: &Work<Range>) -> Result<bool> {
    let mut rows = session.rows(&format!("{}{}", source.select, range.condition)).await?;
    let mut batch = work.batch()?;
    while let Some(row) = rows.next().await? {
        let mut fields = row.fields();
        let mut writer = batch.row_writer();
        for printed in &source.printed {
            let field = fields.next().ok_or_else(|| error::protocol("a row has too few fields"))??;
            match field {
                None => writer.null(),
                Some(text) => writer.text(|out| printed.write(text, out))?,
            }
        }
        let row = writer.finish()?;
        batch.copied(&source.table, row);
        if batch.is_full() {
            let full = std::mem::replace(&mut batch, work.batch()?);
            if !work.hand_over(range.table, full, false).await {
                return Ok(false);
            }
        }
    }
    Ok(work.hand_over(range.table, batch, true).await)
}

/// This machine's clock, µs since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
