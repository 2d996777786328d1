//! The sink: one `DuckDB` transaction per batch, or per source transaction where that spans several batches, with rows
//! and position in it. What is written in it is the matter of [`apply`](crate::apply).

use std::path::PathBuf;

use tailwater_core::error::Doing;
use tailwater_core::{Batch, Error, Guarantee, Position, Result, Sink};
use tracing::warn;

use crate::apply;
use crate::database::Database;
use crate::keys::Keys;
use crate::query::server::QueryServer;
use crate::state;
use crate::store::Store;

/// A checkpoint holds up the batch in which it falls due, the longer the larger the tables are. So it is made four times
/// as seldom as `DuckDB` itself would: measured, that takes a third off the cost of a first copy and half off that of
/// large batches of updates, while opening the file after a crash still takes less than a second.
const CHECKPOINT_THRESHOLD: &str = "64MB";

/// What a person may set about the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The `DuckDB` file; made where it does not exist.
    pub path: PathBuf,
    /// The memory that `DuckDB` may take before it writes to disk, in its own notation: `1GB`. `None`: 256 MB and
    /// 1 MB per column of the widest table.
    pub memory_limit: Option<String>,
    /// Threads of `DuckDB`; `None`: half as many as there are cores, the rest being for the source.
    pub threads: Option<usize>,
    /// The pipeline's name: the file belongs to it.
    pub pipeline: String,
}

impl Config {
    /// The settings that are good for most.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, pipeline: impl Into<String>) -> Self {
        Self { path: path.into(), memory_limit: None, threads: None, pipeline: pipeline.into() }
    }

    fn open(&self) -> Result<Database> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or_else(|| (cores / 2).max(1)).to_string();
        let modest = modest_limit(0);
        Database::open(
            &self.path,
            &[
                ("memory_limit", self.memory_limit.as_deref().unwrap_or(&modest)),
                ("threads", threads.as_str()),
                ("checkpoint_threshold", CHECKPOINT_THRESHOLD),
            ],
        )
    }
}

/// What is taken unless the configuration says otherwise. DuckDB keeps blocks of every column of what a transaction
/// writes, so a table of 400 columns does not get through with what is plenty for one of 20.
pub(crate) fn modest_limit(columns: usize) -> String {
    format!("{}MB", 256 + columns)
}

/// The `DuckDB` target of one pipeline.
#[derive(Debug)]
pub struct DuckDb {
    config: Config,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Answers `tailwater query` while this process has the file.
    _queries: Option<QueryServer>,
    database: Database,
    store: Store,
    keys: Keys,
    transaction: Transaction,
    /// There is a position in the file already.
    positioned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// Holds batches of a source transaction that is not complete.
    Open,
    /// A write failed: nothing more may be written through this connection.
    Failed,
}

impl DuckDb {
    /// A target that is not open yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, open: None }
    }

    /// The database while the sink is open: within this process others may read it at the same time.
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        self.open.as_ref().map(|open| &open.database)
    }
}

impl Sink for DuckDb {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self) -> Result<Option<Position>> {
        let database = self.config.open()?;
        let connection = database.connect()?;
        let store = Store::load(connection, &self.config.pipeline, self.config.memory_limit.is_none())
            .doing(|| format!("open {}", self.config.path.display()))?;
        let read = |sql: &str| state::text_rows(&store.connection, sql);
        let position = state::load_position(&read, &store.own, &self.config.pipeline)?;
        let positioned = position.is_some();
        let queries = match QueryServer::start(&database, &self.config.path) {
            Ok(server) => Some(server),
            Err(error) => {
                warn!("nobody can query the file while the pipeline runs: {error}");
                None
            }
        };
        self.open = Some(Open {
            _queries: queries,
            database,
            store,
            keys: Keys::default(),
            transaction: Transaction::None,
            positioned,
        });
        Ok(position)
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let Some(open) = &mut self.open else { return Err(not_open()) };
        if open.transaction == Transaction::Failed {
            return Err(not_open());
        }
        open.write(batch).inspect_err(|_| open.fail())
    }

    fn close(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        if open.transaction == Transaction::Open {
            open.fail();
        }
        Ok(())
    }
}

impl Open {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        if self.transaction == Transaction::None {
            self.store.connection.execute("BEGIN")?;
            self.transaction = Transaction::Open;
        }
        apply::apply(&mut self.store, batch, &mut self.keys)?;
        if !batch.to.at_boundary() {
            return Ok(());
        }
        let Store { connection, own, pipeline, .. } = &self.store;
        state::save_position(connection, own, pipeline, &batch.to, self.positioned)?;
        connection.execute("COMMIT").doing(|| "commit")?;
        (self.transaction, self.positioned) = (Transaction::None, true);
        self.store.committed();
        Ok(())
    }

    /// Takes back what is not committed. What is remembered of the tables is no longer true then.
    fn fail(&mut self) {
        if self.transaction == Transaction::Open
            && let Err(error) = self.store.connection.execute("ROLLBACK")
        {
            // A failed commit has rolled back already; and whatever else it is, closing the file forgets the rest.
            tracing::debug!("roll back: {error}");
        }
        self.transaction = Transaction::Failed;
    }
}

fn not_open() -> Error {
    Error::transient("TW-DUCK-032", "the DuckDB sink is not open")
}
