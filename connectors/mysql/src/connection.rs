//! One authenticated session: statements, and the packets of the binary log. Packets are parsed in place by `wire`;
//! `connect` opens sessions; `rows` reads results and `dump` the log.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tailwater_core::{Error, Result};
use tailwater_transport::{Pace, Transport};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};

use crate::connect;
use crate::error;
use crate::greeting::{self, Greeting};
use crate::rows::{Rows, TextRow};
use crate::url::Url;
use crate::version::Version;
use crate::wire::{self, Inbox};

/// A polite end takes no longer than this.
const FINISH_BOUND: Duration = Duration::from_secs(2);

pub(crate) const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;

/// What the session is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Between two statements.
    Idle,
    /// In a statement: nothing else may be sent.
    Busy,
    /// The server sends its log, for ever.
    Dumping,
}

/// One authenticated session with a server.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    inbox: Inbox,
    pace: Pace,
    last_read_was_short: bool,
    state: State,
    version: Version,
    connection_id: u32,
    eof_is_deprecated: bool,
}

impl Connection {
    /// Opens a session, with every setting pinned that changes how values print.
    ///
    /// # Errors
    /// `Transient` where the server does not answer, `Operator` where it refuses the login.
    pub async fn open(url: &Url) -> Result<Self> {
        Box::pin(connect::open(url)).await
    }

    /// `sequence`: of the next packet, either way.
    pub(crate) fn new(transport: Transport, sequence: u8) -> Self {
        let mut inbox = Inbox::new();
        inbox.set_sequence(sequence);
        Self {
            transport,
            inbox,
            pace: Pace::Eager,
            last_read_was_short: false,
            state: State::Idle,
            version: Version::default(),
            connection_id: 0,
            eof_is_deprecated: false,
        }
    }

    /// Takes over what the server said of itself.
    pub(crate) fn describe(&mut self, greeting: &Greeting) {
        self.version = Version::parse(&greeting.version);
        self.connection_id = greeting.connection_id;
        self.eof_is_deprecated = greeting.has(greeting::DEPRECATE_EOF);
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The server's flavour and version.
    #[must_use]
    pub fn server_version(&self) -> &Version {
        &self.version
    }

    /// The server's number of this session, as `KILL` and the process list have it.
    #[must_use]
    pub fn connection_id(&self) -> u32 {
        self.connection_id
    }

    /// How eagerly the socket is read from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    pub(crate) fn set_state(&mut self, state: State) {
        self.state = state;
    }

    pub(crate) fn eof_is_deprecated(&self) -> bool {
        self.eof_is_deprecated
    }

    /// What changes how values print, how long the server waits for us, and in which language it complains.
    pub(crate) async fn pin_settings(&mut self) -> Result<()> {
        self.execute("SET NAMES utf8mb4").await?;
        self.execute(
            "SET SESSION time_zone = '+00:00', sql_mode = '', lc_messages = 'en_US', autocommit = 1, \
             sql_auto_is_null = 0, sql_safe_updates = 0, sql_big_selects = 1, sql_select_limit = 18446744073709551615, \
             net_write_timeout = 86400, net_read_timeout = 86400, wait_timeout = 604800, \
             group_concat_max_len = 1048576, lock_wait_timeout = 60",
        )
        .await?;
        match (self.version.is_mariadb(), self.version.number) {
            (true, _) => self.execute("SET SESSION max_statement_time = 0").await,
            (false, number) if number >= (5, 7, 8) => {
                self.execute("SET SESSION max_execution_time = 0").await
            }
            (false, _) => Ok(()),
        }
    }

    /// Runs one statement and returns the rows, as text; what is not UTF-8 is an error. Not cancel-safe: a session
    /// whose query was dropped is of no use and says so.
    ///
    /// # Errors
    /// What the server reports; the session stays usable after it.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = self.rows(sql).await?;
        let mut owned = Ok(Vec::new());
        // Read to the end even where a row is not text: the session stays usable.
        while let Some(row) = rows.next().await? {
            owned = owned.and_then(|mut rows| {
                rows.push(row.to_owned_text()?);
                Ok(rows)
            });
        }
        owned
    }

    /// Runs one statement and hands out its rows one by one. Where they are not read to the end, the session is of no
    /// use any more and says so. Not cancel-safe; [`Rows::next`] is.
    ///
    /// # Errors
    /// What the server reports; the session stays usable after it.
    pub async fn rows(&mut self, sql: &str) -> Result<Rows<'_>> {
        self.command(COM_QUERY, sql.as_bytes()).await?;
        Rows::begin(self).await
    }

    /// Runs one statement and drops its rows. Not cancel-safe.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn execute(&mut self, sql: &str) -> Result<()> {
        let mut rows = self.rows(sql).await?;
        while let Some(TextRow { .. }) = rows.next().await? {}
        Ok(())
    }

    /// Asks for a sign of life. Not cancel-safe.
    ///
    /// # Errors
    /// `Transient` where there is none.
    pub async fn ping(&mut self) -> Result<()> {
        self.command(COM_PING, &[]).await?;
        self.answered_ok("a sign of life").await
    }

    /// Begins a command; the session is busy until its answer was read.
    pub(crate) async fn command(&mut self, command: u8, argument: &[u8]) -> Result<()> {
        match self.state {
            State::Idle => {}
            State::Busy | State::Dumping => {
                return Err(error::protocol("the session is still in an earlier statement"));
            }
        }
        self.state = State::Busy;
        self.inbox.set_sequence(0);
        let mut body = Vec::with_capacity(argument.len() + 1);
        body.push(command);
        body.extend_from_slice(argument);
        self.send(&body).await
    }

    /// The answer of a command that returns no rows.
    pub(crate) async fn answered_ok(&mut self, to: &str) -> Result<()> {
        let place = self.receive().await?;
        let body = self.inbox.body(place);
        match body.first() {
            Some(0x00) => {
                self.state = State::Idle;
                Ok(())
            }
            Some(0xff) => {
                let failure = error::from_server(body);
                self.state = State::Idle;
                Err(failure)
            }
            Some(_) | None => Err(error::protocol(format!("the server does not answer {to}"))),
        }
    }

    /// Sends one packet. Not cancel-safe.
    pub(crate) async fn send(&mut self, body: &[u8]) -> Result<()> {
        let mut bytes = BytesMut::with_capacity(body.len() + 8);
        let sequence = wire::encode(body, self.inbox.sequence(), &mut bytes);
        self.inbox.set_sequence(sequence);
        let sent = async {
            self.transport.write_all(&bytes).await?;
            self.transport.flush().await
        };
        sent.await.map_err(|error| error::from_io(&error))
    }

    /// Waits until at least one more byte has been read. Cancel-safe.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        self.pace.before_read(self.transport.nap(), self.last_read_was_short);
        std::future::poll_fn(|context| self.poll_fill(context)).await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut room = ReadBuf::new(self.inbox.room());
        let space = room.remaining();
        let read = Pin::new(&mut self.transport).poll_read(context, &mut room);
        ready!(read).map_err(|error| error::from_io(&error))?;
        let count = room.filled().len();
        if count == 0 {
            return Poll::Ready(Err(error::ended()));
        }
        self.last_read_was_short = count < space;
        self.inbox.filled(count);
        Poll::Ready(Ok(()))
    }

    /// The next packet that was already read.
    pub(crate) fn buffered(&mut self) -> Result<Option<Range<usize>>> {
        self.inbox.next()
    }

    /// The next packet, however long it takes. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Range<usize>> {
        loop {
            if let Some(place) = self.inbox.next()? {
                return Ok(place);
            }
            self.fill().await?;
        }
    }

    pub(crate) fn body(&self, place: Range<usize>) -> &[u8] {
        self.inbox.body(place)
    }

    /// Ends the session politely, within two seconds. One that is in the middle of something is just closed: the server
    /// notices by itself.
    ///
    /// # Errors
    /// Where the server could not be told; it notices by itself that the connection is gone.
    pub async fn finish(mut self) -> Result<()> {
        if self.state != State::Idle {
            return Ok(());
        }
        let goodbye = async {
            self.command(COM_QUIT, &[]).await?;
            self.transport.shutdown().await.map_err(|error| error::from_io(&error))
        };
        match tokio::time::timeout(FINISH_BOUND, goodbye).await {
            Ok(result) => result,
            Err(_elapsed) => {
                Err(Error::transient(error::UNREACHABLE, "the server does not take its leave in 2 s"))
            }
        }
        .map_err(|error| error.doing("end the session"))
    }
}
