//! `tailwater demo`: a throw-away database with a small shop and live traffic, copied and followed into a `DuckDB`
//! file by a pipeline that is killed once on the way, and a proof that both are equal in the end.
//!
//! The order of events is here; `server` and `session` are the database and the way to it, `shop` is what is said to it,
//! `traffic` when; `child` is the pipeline's process, `watch` measures, `display` draws, `proof` compares.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-DEMO-010 | operator | the throw-away server refuses what the demo does with it | see the message; report it |
//! | TW-DEMO-011 | operator | the pipeline's process does not start, run or stop as it should | see the message and `tailwater.log` |
//! | TW-DEMO-012 | data | source and target differ | report it |
//! | TW-DEMO-013 | operator | the target does not reach the source's last position | see `tailwater.log` |
//! | TW-DEMO-014 | operator | the folder for the demo's files cannot be used | `--folder` with another one |

mod child;
mod display;
mod proof;
mod server;
mod session;
mod shop;
mod traffic;
mod watch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tailwater_core::checkpoint::replace_file;
use tailwater_core::{Error, Position, Result};
use tailwater_duckdb::Answer;
use tokio_util::sync::CancellationToken;

use crate::cli::{Exit, complain};
use crate::config::{self, Pipeline};
use crate::progress::CopyTotals;
use crate::{kinds, signals};
use display::{Display, View};
use server::Server;
use session::Session;
use traffic::{Moment, Traffic};
use watch::Watch;

const TICK: Duration = Duration::from_millis(250);
/// Counting every row costs the source something, so it is done less often than drawing.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// What happens on the way can be told apart.
const MOMENTS_APART: Duration = Duration::from_secs(2);
/// From the end of traffic until the target has its last position.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(120);

/// From where the demo's rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// The newest Postgres on this machine; one is fetched where there is none
    Postgres,
    /// The newest MySQL on this machine
    Mysql,
    /// The newest MariaDB on this machine
    Mariadb,
}

/// Plays the demo. Ctrl-C ends it early and leaves nothing running.
///
/// # Errors
/// Those of the table above, and those of the throw-away servers.
pub(crate) async fn demo(source: Source, length: Duration, folder: &Path) -> Result<Exit> {
    let stop = CancellationToken::new();
    signals::cancel_on_signal(stop.clone())?;
    tokio::select! {
        outcome = Box::pin(play(source, length, folder)) => outcome,
        () = stop.cancelled() => Ok(Exit::Interrupted),
    }
}

async fn play(source: Source, length: Duration, folder: &Path) -> Result<Exit> {
    let mut display = Display::new(source.name());
    let files = Files::prepare(folder)?;
    let server = Server::start(source, |what| display.note(what)).await?;
    let url = server.url();
    files.write_pipeline(source, &url)?;
    let pipeline = config::read(&files.pipeline)?;
    let (release, file) = (server.release(), files.pipeline.display());
    display.note(&format!("{release} runs, for this demo only; {file} is the pipeline"));

    let mut session = Session::open(source, &url).await?;
    fill(source, &mut session, &display).await?;
    let mut stage = Stage { source, pipeline, session, length, started: Instant::now() };
    let compared = stage.run(&url, &files, &mut display).await;
    // After an error too, so that the error is the last thing on the terminal.
    display.end();
    let compared = compared?;
    display.note(&format!("{}\n", proof::describe(source, &compared)));
    if let Some(error) = proof::different(&compared) {
        complain(&error);
        return Ok(Exit::Different);
    }
    display.note(&files.farewell(source));
    Ok(Exit::Success)
}

/// The shop opens.
async fn fill(source: Source, session: &mut Session, display: &Display) -> Result<()> {
    display.note("Filling a small shop with 860,000 rows");
    let shop = source.shop();
    session.run(shop.tables).await.map_err(|error| error.doing("make the shop"))?;
    let steps = shop.fill.len() as u64;
    for (done, (table, sql)) in (0..).zip(shop.fill) {
        display.work(&format!("filling {table}"), done, steps);
        session.run(&[sql]).await.map_err(|error| error.doing(format!("fill {table}")))?;
    }
    display.work("filled", steps, steps);
    session.run(&[shop.analyse]).await.map_err(|error| error.doing("analyse the shop"))
}

/// Where the demo's files are.
struct Files {
    pipeline: PathBuf,
    target: PathBuf,
    log: PathBuf,
}

impl Files {
    /// Makes the folder, and removes what an earlier demo left in it. Anything else in it is a reason to stop.
    fn prepare(folder: &Path) -> Result<Self> {
        let trouble = |doing: &str, error: &std::io::Error| {
            Error::operator("TW-DEMO-014", format!("{doing} {}: {error}", folder.display()))
                .remedy("--folder DIR")
        };
        std::fs::create_dir_all(folder).map_err(|error| trouble("make", &error))?;
        let ours = ["shop.toml", "shop.duckdb", "shop.duckdb.wal", "tailwater.log"];
        let entries = std::fs::read_dir(folder).map_err(|error| trouble("read", &error))?;
        for entry in entries {
            let path = entry.map_err(|error| trouble("read", &error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !ours.contains(&name.as_ref()) {
                let message = format!("{} holds {name}, which is not of a demo", folder.display());
                return Err(Error::operator("TW-DEMO-014", message).remedy("--folder DIR"));
            }
        }
        for name in ours {
            match std::fs::remove_file(folder.join(name)) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(trouble("clean", &error)),
            }
        }
        Ok(Self {
            pipeline: folder.join("shop.toml"),
            target: folder.join("shop.duckdb"),
            log: folder.join("tailwater.log"),
        })
    }

    fn write_pipeline(&self, source: Source, url: &str) -> Result<()> {
        let (key, schema) = (source.key(), source.shop().schema);
        let text = format!(
            "# Written by `tailwater demo`. The server behind the url is gone when the demo is over.\n\
             [source.{key}]\nurl = \"{url}\"\ntables = [\"{schema}.*\"]\n\n\
             [sink.duckdb]\npath = \"shop.duckdb\"\n"
        );
        replace_file(&self.pipeline, text.as_bytes())
    }

    fn farewell(&self, source: Source) -> String {
        let schema = source.shop().schema;
        let (pipeline, target) = (self.pipeline.display(), self.target.display());
        format!(
            "Every table is equal. The copy is {target}; its log is {}. To ask it something:\n\n  \
             tailwater query {pipeline} \"SELECT status, count(*), sum(total) FROM {schema}.orders GROUP BY ALL\"\n  \
             duckdb {target}\n",
            self.log.display()
        )
    }
}

/// Everything that runs between the opening of the shop and the proof.
struct Stage {
    source: Source,
    pipeline: Pipeline,
    session: Session,
    length: Duration,
    started: Instant,
}

impl Stage {
    async fn run(&mut self, url: &str, files: &Files, display: &mut Display) -> Result<Vec<proof::Compared>> {
        let mut process = child::Pipeline::start(&files.pipeline, &files.log)?;
        display.note("The pipeline copies while customers buy");
        let traffic = Traffic::start(self.source, url);
        let mut script = Moment::SCRIPT.into_iter().peekable();
        let (mut observed, mut last) = (Observed::default(), None);
        let mut tick = tokio::time::interval(TICK);
        while self.started.elapsed() < self.length || script.peek().is_some() {
            tick.tick().await;
            process.still_runs()?;
            self.observe(&mut observed, traffic.committed()).await?;
            display.show(&observed.view);
            if let Some((_, moment)) = script.next_if(|(percent, _)| self.is_time(*percent, last, &observed))
            {
                display.note(&format!("* {}", moment.describe()));
                if moment == Moment::Killed {
                    process.kill_and_restart().await?;
                }
                traffic.add(moment.happen(&mut self.session).await?);
                last = Some(Instant::now());
            }
        }
        let changes = traffic.stop().await?;
        display.note(&format!(
            "Traffic stops after {changes} changes; waiting until DuckDB has the last of them"
        ));
        self.catch_up(&mut process, &mut observed, changes, display).await?;
        process.stop().await?;
        display.end();
        display.note("Everything is read again on both sides and compared:\n");
        proof::compare(self.source, &mut self.session, &self.pipeline).await
    }

    /// The script is for the stream: during the copy, ALTER TABLE and TRUNCATE would wait for its locks and everybody
    /// else behind them, and a kill would start it afresh. Both are right, but nothing to watch.
    fn is_time(&self, percent: u32, last: Option<Instant>, observed: &Observed) -> bool {
        let elapsed = self.started.elapsed();
        let copying = observed.view.copy.is_some() || observed.held.is_none();
        let due =
            elapsed >= self.length * percent / 100 && last.is_none_or(|at| at.elapsed() >= MOMENTS_APART);
        due && (!copying || elapsed > self.length + CATCH_UP_WITHIN)
    }

    async fn catch_up(
        &mut self,
        process: &mut child::Pipeline,
        observed: &mut Observed,
        changes: u64,
        display: &mut Display,
    ) -> Result<()> {
        let end = self.source_end().await?;
        let deadline = Instant::now() + CATCH_UP_WITHIN;
        let mut tick = tokio::time::interval(TICK);
        while observed.held < Some(end) || observed.view.copy.is_some() {
            if Instant::now() > deadline {
                let message = format!("the target holds {}, the source is at {end}", observed.view.position);
                return Err(
                    Error::operator("TW-DEMO-013", message).remedy("see tailwater.log in the demo's folder")
                );
            }
            tick.tick().await;
            process.still_runs()?;
            self.observe(observed, changes).await?;
            display.show(&observed.view);
        }
        Ok(())
    }

    async fn source_end(&mut self) -> Result<u64> {
        let text = self.session.value(self.source.shop().end).await?;
        let unknown =
            || Error::operator("TW-DEMO-010", format!("the source is at {text}, which is no position"));
        self.source.point(&text).ok_or_else(unknown)
    }

    /// Looks at both sides.
    async fn observe(&mut self, observed: &mut Observed, changes: u64) -> Result<()> {
        let end = self.source_end().await?;
        observed.watch.source(Instant::now(), end, changes);
        let counting = observed.counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY);
        if counting {
            observed.counted_at = Some(Instant::now());
            observed.view.tables = self.count().await?;
        }
        // While the pipeline is being restarted there is nobody to ask; the next look will tell.
        if let Ok(Some(held)) = self.ask(kinds::position).await {
            observed.target(self.source, &held.position);
        }
        observed.view.rates = observed.watch.rates(Instant::now());
        (observed.view.elapsed, observed.view.length) = (self.started.elapsed(), self.length);
        Ok(())
    }

    async fn count(&mut self) -> Result<Vec<(&'static str, Option<u64>, Option<u64>)>> {
        let mut tables = Vec::new();
        for table in shop::TABLES {
            let sql = format!("SELECT count(*) FROM {}.{table}", self.source.shop().schema);
            let source = self.session.value(&sql).await?;
            // Before its copy has begun the target has no such table.
            let target = self.ask(move |pipeline| kinds::query(pipeline, &sql)).await;
            tables.push((table, source.parse().ok(), target.ok().and_then(first_number)));
        }
        Ok(tables)
    }

    /// Asks the target on a thread that may block. Only while the pipeline answers: otherwise the question would open
    /// the file, and keep the pipeline from opening it.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Pipeline) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pipeline = self.pipeline.clone();
        let answer = tokio::task::spawn_blocking(move || {
            if !kinds::runs(&pipeline) {
                return Err(Error::transient("TW-DEMO-011", "the pipeline does not answer"));
            }
            ask(&pipeline)
        })
        .await;
        answer
            .unwrap_or_else(|error| Err(Error::transient("TW-DEMO-011", format!("ask the target: {error}"))))
    }
}

fn first_number(answer: Answer) -> Option<u64> {
    answer.rows.into_iter().next()?.into_iter().next()??.parse().ok()
}

/// What has been seen so far.
#[derive(Default)]
struct Observed {
    view: View,
    watch: Watch,
    counted_at: Option<Instant>,
    /// What the target holds of the stream.
    held: Option<u64>,
    copy_seen: Option<(Instant, u64)>,
}

impl Observed {
    fn target(&mut self, source: Source, position: &Position) {
        self.view.position = position.to_string();
        if position.copying() {
            let totals = CopyTotals::of(position);
            let (since, before) = *self.copy_seen.get_or_insert((Instant::now(), totals.rows));
            self.view.copy = Some((totals, totals.rate(before, since.elapsed())));
            return;
        }
        (self.view.copy, self.copy_seen) = (None, None);
        if let Some(held) = source.point(&position.stream) {
            self.held = Some(held);
            let lag = self.watch.target(Instant::now(), held);
            self.view.lag = lag.map(|lag| (source.distance(lag.distance), lag.age));
        }
    }
}
