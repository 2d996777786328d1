//! The Postgres source: first announce the copy, then copy, then stream. Nothing else decides what happens when.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tailwater_core::error::Doing;
use tailwater_core::{Batch, Error, Position, Result, Source};
use tracing::info;

use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::continuity::{self, Server};
use crate::copy::{self, Copying};
use crate::error::UNREACHABLE;
use crate::setup;
use crate::stream::{Start, Stream};

/// From the first statement of a stream's connections to the server's word that it begins.
const START_BOUND: Duration = Duration::from_secs(60);

/// A step that must not be cut short, kept outside of `read`'s own future.
type Step = Pin<Box<dyn Future<Output = Result<State>> + Send>>;

enum State {
    Closed,
    /// The sink is told which tables will be copied; only when that is durable is the slot created.
    Announcing {
        connection: Box<Connection>,
        position: Position,
        sent: bool,
    },
    /// On the way from one state to the next.
    Changing(Step),
    Copying(Box<Copying>),
    Streaming(Box<Stream>),
}

/// Reads one database. See [`Config`].
pub struct PostgresSource {
    config: Arc<Config>,
    server: Option<Server>,
    state: State,
    /// The last position the target is known to hold, for the stream when it starts.
    confirmed: Option<Position>,
}

impl PostgresSource {
    /// A source that is not connected yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config), server: None, state: State::Closed, confirmed: None }
    }

    fn begin_copy(&self, connection: Connection, server: &Server) -> Step {
        let (config, source) = (Arc::clone(&self.config), server.identity.to_string());
        Box::pin(async move {
            let copying = copy::begin(connection, config, source).await.doing(|| "begin the copy")?;
            Ok(State::Copying(Box::new(copying)))
        })
    }

    fn begin_stream(&self, connection: Connection, server: &Server, position: Position) -> Step {
        let start = Start { identity: server.identity.clone(), position, head: server.head };
        Box::pin(start_stream(connection, Arc::clone(&self.config), start))
    }

    /// The copy is whole: stream from where its snapshot was taken.
    fn after_copy(&mut self, copying: Copying, position: Position) -> Result<()> {
        info!(position = %position, "the copy is whole; streaming");
        let server = self.server.clone().ok_or_else(not_open)?;
        let start = Start { identity: server.identity, position, head: server.head };
        let config = Arc::clone(&self.config);
        self.state = State::Changing(Box::pin(async move {
            let connection = copying.finish().await.doing(|| "end the copy")?;
            start_stream(connection, config, start).await
        }));
        Ok(())
    }
}

impl Source for PostgresSource {
    async fn open(&mut self, from: Option<Position>) -> Result<Position> {
        let mut connection =
            Connection::open(&self.config.url, Mode::Replication).await.doing(|| "connect")?;
        setup::supported(connection.server_version())?;
        let server = continuity::identify(&mut connection).await?;
        let start = match from {
            None => {
                setup::ensure_publication(&mut connection, &self.config).await?;
                setup::ensure_no_slot(&mut connection, &self.config).await?;
                let position =
                    copy::announce(&mut connection, &self.config, &server.identity.to_string()).await?;
                self.state = State::Announcing { connection: Box::new(connection), position, sent: false };
                Position::default()
            }
            Some(position) if position.copying() => {
                continuity::prove_same_database(&server, &position)?;
                setup::ensure_publication(&mut connection, &self.config).await?;
                info!("the target holds an unfinished copy: it is made afresh");
                self.state = State::Changing(self.begin_copy(connection, &server));
                position
            }
            Some(position) => {
                continuity::prove(&mut connection, &self.config, &server, &position).await?;
                info!(position = %position, "going on from what the target holds");
                self.state = State::Changing(self.begin_stream(connection, &server, position.clone()));
                position
            }
        };
        self.server = Some(server);
        Ok(start)
    }

    async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        match &mut self.state {
            State::Closed => Err(not_open()),
            State::Announcing { position, sent, .. } => {
                if *sent {
                    // Until the sink has stored it; the loop drops this future then.
                    std::future::pending::<()>().await;
                }
                *sent = true;
                batch.to.clone_from(position);
                batch.sealed = true;
                Ok(())
            }
            State::Changing(step) => {
                let next = step.as_mut().await;
                self.state = State::Closed;
                self.state = next?;
                // Even with nothing to add it returns: the loop may only wait to be told that all is read.
                self.tell_stream()
            }
            State::Copying(copying) => {
                let whole = copying.read(batch).await?;
                if whole && let State::Copying(copying) = std::mem::replace(&mut self.state, State::Closed) {
                    self.after_copy(*copying, batch.to.clone())?;
                }
                Ok(())
            }
            State::Streaming(stream) => stream.read(batch).await,
        }
    }

    async fn keep_alive(&mut self) -> Result<()> {
        match &mut self.state {
            State::Streaming(stream) => stream.keep_alive().await,
            State::Closed | State::Announcing { .. } | State::Changing(_) | State::Copying(_) => {
                std::future::pending().await
            }
        }
    }

    async fn confirm(&mut self, position: &Position) -> Result<()> {
        self.confirmed = Some(position.clone());
        if let State::Announcing { .. } = &self.state
            && let State::Announcing { connection, .. } = std::mem::replace(&mut self.state, State::Closed)
        {
            let server = self.server.clone().ok_or_else(not_open)?;
            self.state = State::Changing(self.begin_copy(*connection, &server));
        }
        self.tell_stream()
    }

    fn caught_up(&self) -> bool {
        matches!(&self.state, State::Streaming(stream) if stream.caught_up())
    }

    fn behind_bytes(&self) -> Option<u64> {
        match &self.state {
            State::Streaming(stream) => Some(stream.behind_bytes()),
            State::Closed | State::Announcing { .. } | State::Changing(_) | State::Copying(_) => None,
        }
    }

    async fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Streaming(stream) => stream.close().await,
            State::Closed | State::Announcing { .. } | State::Changing(_) | State::Copying(_) => Ok(()),
        }
    }
}

impl PostgresSource {
    /// Lets a running stream know what the target holds.
    fn tell_stream(&mut self) -> Result<()> {
        if let (State::Streaming(stream), Some(position)) = (&mut self.state, &self.confirmed)
            && !position.copying()
            && !position.stream.is_empty()
        {
            stream.confirm(continuity::stream_lsn(position)?);
        }
        Ok(())
    }
}

/// Bounded, because a network that stalls without closing would otherwise go unnoticed here.
async fn start_stream(connection: Connection, config: Arc<Config>, start: Start) -> Result<State> {
    match tokio::time::timeout(START_BOUND, Stream::start(connection, config, start)).await {
        Ok(stream) => Ok(State::Streaming(Box::new(stream?))),
        Err(_elapsed) => Err(Error::transient(UNREACHABLE, "the server does not start the stream in 60 s")),
    }
}

fn not_open() -> Error {
    Error::transient("TW-PG-047", "the source is not open")
}
