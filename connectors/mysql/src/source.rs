//! The MySQL and MariaDB source: first copy, then stream. Nothing else decides what happens when.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tailwater_core::copying::Copying;
use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Error, Position, Result, Source};
use tracing::info;

use crate::config::Config;
use crate::connection::Connection;
use crate::continuity;
use crate::copy;
use crate::error;
use crate::place::Place;
use crate::server::Server;
use crate::stream::{From, Stream};

/// From the first statement of a stream's connections to the server's word that it begins.
const START_BOUND: Duration = Duration::from_secs(60);

/// A step that must not be cut short, kept outside of `read`'s own future.
type Step = Pin<Box<dyn Future<Output = Result<State>> + Send>>;

enum State {
    Closed,
    /// On the way from one state to the next.
    Changing(Step),
    Copying(Box<Copying>),
    Streaming(Box<Stream>),
}

/// Reads one server. See [`Config`].
pub struct MysqlSource {
    config: Arc<Config>,
    state: State,
}

impl MysqlSource {
    /// A source that is not connected yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config), state: State::Closed }
    }

    fn begin_copy(&self, server: Server) -> Step {
        let config = Arc::clone(&self.config);
        Box::pin(async move {
            let source = continuity::identity(&server);
            let copying = copy::begin(&config, &server, source).await.doing(|| "begin the copy")?;
            Ok(State::Copying(Box::new(copying)))
        })
    }

    fn begin_stream(&self, position: Position) -> Step {
        Box::pin(start_stream(Arc::clone(&self.config), position))
    }
}

impl Source for MysqlSource {
    async fn open(&mut self, from: Option<Position>) -> Result<Position> {
        let mut connection = Connection::open(&self.config.url).await.doing(|| "connect")?;
        let server = Server::read(&mut connection).await?;
        continuity::prove_readable(&server)?;
        match from {
            None => {
                self.state = State::Changing(self.begin_copy(server));
                Ok(Position::default())
            }
            Some(position) if position.copying() || position.stream.is_empty() => {
                continuity::prove_same(&server, &position)?;
                info!("the target holds an unfinished copy: it is made afresh");
                self.state = State::Changing(self.begin_copy(server));
                Ok(position)
            }
            Some(position) => {
                let files = server.log_files(&mut connection).await?;
                continuity::prove(&server, &files, &position)?;
                info!(position = %position, "going on from what the target holds");
                self.state = State::Changing(self.begin_stream(position.clone()));
                Ok(position)
            }
        }
    }

    async fn read(&mut self, batch: &mut Batch) -> Result<()> {
        match &mut self.state {
            State::Closed => Err(not_open()),
            State::Changing(step) => {
                let next = step.as_mut().await;
                self.state = State::Closed;
                self.state = next?;
                // Even with nothing to add it returns: the loop may only wait to be told that all is read.
                Ok(())
            }
            State::Copying(copying) => {
                if copying.read(batch).await? {
                    info!(position = %batch.to, "the copy is whole; streaming");
                    self.state = State::Changing(self.begin_stream(batch.to.clone()));
                }
                Ok(())
            }
            State::Streaming(stream) => stream.read(batch).await,
        }
    }

    /// A server whose reader takes nothing waits for as long as the session's `net_write_timeout` says: a day.
    async fn keep_alive(&mut self) -> Result<()> {
        std::future::pending().await
    }

    /// The server keeps nothing for us.
    async fn confirm(&mut self, _position: &Position) -> Result<()> {
        Ok(())
    }

    fn caught_up(&self) -> bool {
        matches!(&self.state, State::Streaming(stream) if stream.caught_up())
    }

    fn behind_bytes(&self) -> Option<u64> {
        match &self.state {
            State::Streaming(stream) => stream.behind_bytes(),
            State::Closed | State::Changing(_) | State::Copying(_) => None,
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.state = State::Closed;
        Ok(())
    }
}

async fn start_stream(config: Arc<Config>, position: Position) -> Result<State> {
    Ok(State::Streaming(Box::new(stream_from(config, position).await?)))
}

/// Bounded, because a network that stalls without closing would otherwise go unnoticed here.
pub(crate) async fn stream_from(config: Arc<Config>, position: Position) -> Result<Stream> {
    let started = async {
        let mut catalogue = Connection::open(&config.url).await.doing(|| "open a catalogue session")?;
        let server = Server::read(&mut catalogue).await?;
        let files = server.log_files(&mut catalogue).await?;
        let place = Place::parse(&position.stream, server.version.is_mariadb())?;
        let head = continuity::head(&server, &place)?;
        let lower_case = server.setting("lower_case_table_names").is_some_and(|names| names != "0");
        let unnamed = !server.logs_full_metadata();
        let (source, event, notes) = (position.source, position.event, position.notes);
        let from = From { source, place, event, head, files, lower_case, unnamed, notes };
        Stream::start(catalogue, config, from).await
    };
    tokio::time::timeout(START_BOUND, started).await.unwrap_or_else(|_elapsed| {
        Err(Error::transient(error::UNREACHABLE, "the server does not start the log in 60 s"))
    })
}

fn not_open() -> Error {
    Error::transient("TW-MY-082", "the source is not open")
}
