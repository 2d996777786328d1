//! A source with a target in memory, which can be stopped and gone on with anywhere: what the tests of trouble share.

use std::time::{Duration, Instant};

use tailwater_core::pattern::Patterns;
use tailwater_core::{Batch, Error, ErrorKind, Result, Source as _};
use tailwater_integration_tests::mysql::Server;
use tailwater_mysql::{Config, MysqlSource};

use crate::types::Held;

/// No change comes later than this.
const PATIENCE: Duration = Duration::from_secs(120);
/// What [`Followed::everything`] waits for goes into this schema.
const MARKS: &str = "marks";

/// See the module's description. Every change goes into `held` at once and with its position, as into a target that
/// is durable.
pub(crate) struct Followed {
    pub(crate) config: Config,
    pub(crate) held: Held,
    /// Of a batch: 1 is one event.
    pub(crate) bytes: usize,
    /// So often it was begun anew because of an error that passes.
    pub(crate) retries: u64,
    source: MysqlSource,
}

/// A configuration for tests.
pub(crate) fn config(url: &str) -> Config {
    let tables = Patterns::parse(["shop.*", "marks.*"]).unwrap();
    let mut config = Config::new("followed", url.parse().unwrap(), tables);
    config.heartbeat = Duration::from_secs(2);
    // After every transaction, so that every position is gone on from.
    config.idle_position_interval = Duration::ZERO;
    config
}

/// The schema `shop`, and what `sql` puts into it.
pub(crate) fn prepare(server: &Server, sql: &str) {
    server.execute(&format!(
        "CREATE DATABASE {MARKS}; CREATE TABLE {MARKS}.t (id INT PRIMARY KEY AUTO_INCREMENT);
         CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; {sql}"
    ));
}

impl Followed {
    /// Not opened yet.
    pub(crate) fn new(config: Config) -> Self {
        let source = MysqlSource::new(config.clone());
        Self { config, held: Held::default(), bytes: 1 << 20, retries: 0, source }
    }

    /// Copied, and streaming.
    pub(crate) async fn start(server: &Server) -> Self {
        let mut followed = Self::new(config(&server.url()));
        followed.copy().await.unwrap_or_else(|error| panic!("{error}"));
        followed
    }

    /// Opens it and reads until the copy is whole.
    pub(crate) async fn copy(&mut self) -> Result<()> {
        self.open().await?;
        while self.held.end.copying() || !self.source.caught_up() {
            self.step().await?;
        }
        Ok(())
    }

    /// What was read is forgotten but for what the target holds: as after a kill.
    pub(crate) async fn open(&mut self) -> Result<()> {
        self.source = MysqlSource::new(self.config.clone());
        let from = Some(self.held.end.clone()).filter(|end| !end.source.is_empty());
        self.held.end = self.source.open(from).await?;
        Ok(())
    }

    /// The next batch.
    pub(crate) async fn step(&mut self) -> Result<()> {
        let mut batch = Batch::default();
        batch.reset(&self.held.end, self.bytes);
        let read = tokio::time::timeout(PATIENCE, self.source.read(&mut batch)).await.expect("a batch comes");
        // What was added before a failure is whole all the same, but the loop throws it away.
        read?;
        self.held.apply(&batch);
        Ok(())
    }

    /// Reads until everything that is committed by now is held.
    pub(crate) async fn everything(&mut self, server: &Server) {
        self.try_everything(server).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Likewise, where that may fail.
    pub(crate) async fn try_everything(&mut self, server: &Server) -> Result<()> {
        let marks = mark(server);
        while self.held.count(MARKS, "t") < marks {
            self.step().await?;
        }
        Ok(())
    }

    /// Likewise, killed and opened again after each batch. Returns how often.
    pub(crate) async fn everything_in_pieces(&mut self, server: &Server) -> u64 {
        let marks = mark(server);
        let (mut pieces, deadline) = (0, Instant::now() + PATIENCE);
        while self.held.count(MARKS, "t") < marks {
            let before = self.held.end.clone();
            self.open().await.unwrap_or_else(|error| panic!("from {before}: {error}"));
            while self.held.end == before {
                self.step().await.unwrap_or_else(|error| panic!("from {before}: {error}"));
                assert!(Instant::now() < deadline, "still at {before}");
            }
            pieces += 1;
        }
        pieces
    }

    /// Likewise, trying again after every error that passes by itself.
    pub(crate) async fn everything_at_last(&mut self, server: &Server) {
        let marks = mark(server);
        self.go_on_until(|held| held.count(MARKS, "t") >= marks).await;
    }

    /// Reads until `done`, trying again after every error that passes by itself.
    pub(crate) async fn go_on_until(&mut self, mut done: impl FnMut(&Held) -> bool) {
        let deadline = Instant::now() + PATIENCE * 2;
        while !done(&self.held) {
            let Err(error) = self.step().await else { continue };
            self.passes(&error, deadline);
            while let Err(error) = self.open().await {
                self.passes(&error, deadline);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn passes(&mut self, error: &Error, deadline: Instant) {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
        assert!(Instant::now() < deadline, "it fails for too long: {error}");
        self.retries += 1;
    }

    /// The error that keeps it from going on.
    pub(crate) async fn stopped_by(&mut self, server: &Server) -> Error {
        match self.open().await {
            Err(error) => error,
            Ok(()) => {
                let before = self.held.end.clone();
                let error = self.try_everything(server).await.err();
                let name = server.installation().name();
                error.unwrap_or_else(|| panic!("{name} goes on from {before} to {}", self.held.end))
            }
        }
    }

    /// That it holds what the server does.
    pub(crate) fn assert_same(&self, server: &Server) {
        let differences = self.held.differences(server, "shop");
        assert!(differences.is_empty(), "ours is the server's:\n{}", differences.join("\n"));
    }
}

/// How many marks there are with one more.
fn mark(server: &Server) -> usize {
    let count = server.value(&format!("INSERT INTO {MARKS}.t VALUES (NULL); SELECT COUNT(*) FROM {MARKS}.t"));
    count.parse().unwrap()
}

/// That an error is this one, and says how it is healed.
pub(crate) fn assert_error(error: &Error, code: &str, remedy: &str) {
    assert_eq!(error.code(), code, "{error}");
    let told = error.remedy_text().unwrap_or_default();
    assert!(told.contains(remedy), "{error}: {told}");
}
