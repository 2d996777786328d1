//! One authenticated session: simple queries, COPY out, and COPY both ways for replication. Frames are parsed in
//! place by `wire`; `connect` opens sessions; what copy data means is up to the caller (`stream`, `copy`, `setup`).

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use postgres_protocol::message::frontend;
use tailwater_core::{Error, Result};
use tailwater_transport::{Pace, Transport};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};

use crate::connect;
use crate::error;
use crate::url::Url;
use crate::wire::{Frame, Inbox};

/// A polite end takes no longer than this.
const FINISH_BOUND: Duration = Duration::from_secs(2);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// SQL alone.
    Sql,
    /// SQL and replication commands.
    Replication,
}

/// What the session is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two statements.
    Idle,
    /// In a statement or in COPY out: nothing else may be sent.
    Busy,
    /// In COPY both ways.
    CopyBoth,
}

/// One authenticated session with a server.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    inbox: Inbox,
    outbox: BytesMut,
    /// Bytes given to a TLS stream that it may still hold.
    unflushed: bool,
    /// Nothing can be sent any more, and why.
    send_failure: Option<Error>,
    pace: Pace,
    last_read_was_short: bool,
    parameters: BTreeMap<String, String>,
    state: State,
}

impl Connection {
    /// Opens a session to the first host of `url` that will do, with every setting pinned that changes how
    /// values print.
    ///
    /// # Errors
    /// `Transient` where no host answers, `Operator` where the server refuses the login.
    pub async fn open(url: &Url, mode: Mode) -> Result<Self> {
        Box::pin(connect::open(url, mode)).await
    }

    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            inbox: Inbox::new(),
            outbox: BytesMut::new(),
            unflushed: false,
            send_failure: None,
            pace: Pace::Eager,
            last_read_was_short: false,
            parameters: BTreeMap::new(),
            state: State::Idle,
        }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The server's version as a number: 170004 for 17.4; 0 where it does not say.
    #[must_use]
    pub fn server_version(&self) -> u32 {
        self.parameter("server_version").map_or(0, version_number)
    }

    /// What the server last said of a parameter it reports: `server_version`, `in_hot_standby`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// How eagerly the socket is read from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Runs one or more statements and returns the rows of the last result, as text. Not cancel-safe: a session
    /// whose query was dropped is of no use and says so.
    ///
    /// # Errors
    /// The first error of the server; the session stays usable after it unless the server ended it.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.send_query(sql)?;
        let mut rows = Vec::new();
        let mut failure = None;
        loop {
            let (tag, place) = self.receive_or(&mut failure).await?;
            let body = self.inbox.body(place);
            match tag {
                b'T' => rows.clear(),
                b'D' => rows.push(decode_row(body)?),
                b'E' => failure = failure.or(Some(error::from_server(body))),
                b'C' | b'I' => {}
                b'Z' => break,
                other => return Err(unexpected(other, "a query")),
            }
        }
        self.state = State::Idle;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(rows),
        }
    }

    /// Starts a `COPY … TO STDOUT`. After it, [`Connection::frame`] hands out `d`…, `c`, `C` and `Z`.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn copy_out(&mut self, sql: &str) -> Result<()> {
        self.start_copy(sql, b'H').await
    }

    /// Starts COPY both ways: `START_REPLICATION`.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn copy_both(&mut self, sql: &str) -> Result<()> {
        self.start_copy(sql, b'W').await?;
        self.state = State::CopyBoth;
        Ok(())
    }

    async fn start_copy(&mut self, sql: &str, expected: u8) -> Result<()> {
        self.send_query(sql)?;
        let mut failure = None;
        loop {
            let (tag, place) = self.receive_or(&mut failure).await?;
            match tag {
                b'E' => failure = failure.or(Some(error::from_server(self.inbox.body(place)))),
                b'Z' => {
                    self.state = State::Idle;
                    return Err(
                        failure.unwrap_or_else(|| error::protocol("the server did not begin to copy"))
                    );
                }
                tag if tag == expected && failure.is_none() => return Ok(()),
                other => return Err(unexpected(other, "the start of a copy")),
            }
        }
    }

    fn send_query(&mut self, sql: &str) -> Result<()> {
        if self.state != State::Idle {
            return Err(error::protocol("the session is still in an earlier statement"));
        }
        frontend::query(sql, &mut self.outbox).map_err(|error| error::from_io(&error))?;
        self.state = State::Busy;
        Ok(())
    }

    /// Sends what is queued and waits until at least one more byte has been read. Cancel-safe.
    ///
    /// # Errors
    /// `Transient` where the connection ends or breaks.
    pub async fn fill(&mut self) -> Result<()> {
        self.pace.before_read(self.transport.nap(), self.last_read_was_short);
        std::future::poll_fn(|context| self.poll_fill(context)).await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        // A failure to send is told only after all that arrived was read: a server that closes the connection has
        // mostly said why. The end of what can be read follows such a failure at once.
        let failed = match self.poll_send(context) {
            Poll::Ready(Err(failure)) => Some(failure),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        let mut room = ReadBuf::new(self.inbox.room());
        let space = room.remaining();
        let read = Pin::new(&mut self.transport).poll_read(context, &mut room);
        if let Err(error) = ready!(read) {
            return Poll::Ready(Err(failed.unwrap_or_else(|| error::from_io(&error))));
        }
        let count = room.filled().len();
        if count == 0 {
            return Poll::Ready(Err(failed.unwrap_or_else(error::ended)));
        }
        self.last_read_was_short = count < space;
        self.inbox.filled(count);
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(failure) = &self.send_failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let sent = ready!(self.poll_write_all(context)).map_err(|error| error::from_io(&error));
        if let Err(failure) = &sent {
            self.send_failure = Some(failure.clone());
        }
        Poll::Ready(sent)
    }

    fn poll_write_all(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let written = ready!(Pin::new(&mut self.transport).poll_write(context, &self.outbox))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outbox.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.transport).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The next complete message in the buffer, without any I/O; `None`: call [`Connection::fill`]. Notices and
    /// reported parameters are dealt with inside; an error of the server is an `Err`.
    ///
    /// # Errors
    /// What the server reports, or bytes that are no message.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>> {
        match self.next_frame()? {
            None => Ok(None),
            Some((b'E', place)) => Err(error::from_server(self.inbox.body(place))),
            Some((tag, place)) => {
                if tag == b'Z' {
                    self.state = State::Idle;
                }
                Ok(Some(Frame { tag, body: self.inbox.body(place) }))
            }
        }
    }

    /// As [`Connection::frame`], with errors of the server handed out as they are.
    fn next_frame(&mut self) -> Result<Option<(u8, Range<usize>)>> {
        while let Some((tag, place)) = self.inbox.next()? {
            match tag {
                b'S' => {
                    let (name, value) = decode_parameter(self.inbox.body(place))?;
                    self.parameters.insert(name, value);
                }
                b'N' => {
                    // A notice has the form of an error, and may quote a value as one does.
                    let notice = error::from_server(self.inbox.body(place));
                    tracing::debug!(notice = notice.message(), "the server sends a notice");
                }
                // Nobody here listens to channels.
                b'A' => {}
                _ => return Ok(Some((tag, place))),
            }
        }
        Ok(None)
    }

    /// The next message, however long it takes; errors of the server are handed out as they are.
    pub(crate) async fn receive(&mut self) -> Result<(u8, Range<usize>)> {
        loop {
            if let Some(frame) = self.next_frame()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// As [`Connection::receive`]; where the connection ends, the reason the server gave before is the error.
    async fn receive_or(&mut self, failure: &mut Option<Error>) -> Result<(u8, Range<usize>)> {
        self.receive().await.map_err(|error| failure.take().unwrap_or(error))
    }

    pub(crate) fn body(&self, place: Range<usize>) -> &[u8] {
        self.inbox.body(place)
    }

    /// Where messages wait to be sent by the next [`Connection::fill`] or [`Connection::flush`].
    pub(crate) fn outbox(&mut self) -> &mut BytesMut {
        &mut self.outbox
    }

    /// Queues copy data. It is sent by the next [`Connection::fill`] or [`Connection::flush`].
    ///
    /// # Panics
    /// Never in practice: the payload would have to exceed 2 GiB.
    pub fn send_copy_data(&mut self, payload: &[u8]) {
        let length = i32::try_from(payload.len() + 4).unwrap_or(i32::MAX);
        self.outbox.put_u8(b'd');
        self.outbox.put_i32(length);
        self.outbox.put_slice(payload);
    }

    /// Bytes queued and not yet sent.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.outbox.len()
    }

    /// Sends what is queued. Cancel-safe: what was sent stays sent, the rest stays queued.
    ///
    /// # Errors
    /// `Transient` where the connection breaks.
    pub async fn flush(&mut self) -> Result<()> {
        std::future::poll_fn(|context| self.poll_send(context)).await
    }

    /// Ends the session politely, within two seconds: what is queued is sent, COPY is ended, and what the server
    /// still sends is read and dropped, because closing a socket with unread bytes may cost it what we sent last.
    ///
    /// # Errors
    /// Where the server could not be told; it notices by itself that the connection is gone.
    pub async fn finish(mut self) -> Result<()> {
        match tokio::time::timeout(FINISH_BOUND, self.say_goodbye()).await {
            Ok(result) => result,
            Err(_elapsed) => {
                Err(Error::transient(error::UNREACHABLE, "the server does not take its leave in 2 s"))
            }
        }
        .map_err(|error| error.doing("end the session"))
    }

    async fn say_goodbye(&mut self) -> Result<()> {
        if self.state == State::CopyBoth {
            frontend::copy_done(&mut self.outbox);
            self.flush().await?;
            while self.receive().await?.0 != b'Z' {}
        }
        frontend::terminate(&mut self.outbox);
        self.flush().await?;
        self.transport.shutdown().await.map_err(|error| error::from_io(&error))
    }
}

pub(crate) fn unexpected(tag: u8, place: &str) -> Error {
    error::protocol(format!("a message of type {:?} does not belong into {place}", char::from(tag)))
}

fn decode_parameter(body: &[u8]) -> Result<(String, String)> {
    let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    match (texts.next(), texts.next()) {
        (Some(name), Some(value)) => Ok((name, value)),
        (Some(_), None) | (None, _) => Err(error::protocol("a reported parameter has no value")),
    }
}

/// A DataRow with all columns as text.
fn decode_row(body: &[u8]) -> Result<Vec<Option<String>>> {
    let short = || error::protocol("a row is shorter than it says");
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
    let mut row = Vec::with_capacity(usize::from(u16::from_be_bytes(*count)));
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        rest = after;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            row.push(None);
            continue;
        };
        let (text, after) = rest.split_at_checked(length).ok_or_else(short)?;
        rest = after;
        let text =
            std::str::from_utf8(text).map_err(|error| error::protocol(format!("a column: {error}")))?;
        row.push(Some(text.to_owned()));
    }
    Ok(row)
}

/// `17.4 (Debian 17.4-1)` as 170004, `18beta1` as 180000.
fn version_number(text: &str) -> u32 {
    let digits = |text: &str| {
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0)
    };
    let minor = text.split_once('.').map_or(0, |(_, minor)| digits(minor));
    digits(text).saturating_mul(10_000).saturating_add(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, number) in [
            ("17.4", 170_004),
            ("15.14 (Debian 15.14-0+deb12u1)", 150_014),
            ("18beta1", 180_000),
            ("19devel", 190_000),
            ("", 0),
            ("strange", 0),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }

    #[test]
    fn rows() {
        let body = [0, 3, 0, 0, 0, 2, b'h', b'i', 255, 255, 255, 255, 0, 0, 0, 0];
        assert_eq!(decode_row(&body).unwrap(), [Some("hi".to_owned()), None, Some(String::new())]);
        for end in 0..body.len() {
            assert!(decode_row(&body[..end]).is_err(), "{end}");
        }
    }

    fn pair() -> (Connection, tokio::net::UnixStream) {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        (Connection::new(Transport::Unix(ours)), theirs)
    }

    #[tokio::test]
    async fn a_fill_that_is_dropped_loses_nothing() {
        let (mut connection, mut server) = pair();
        let bytes = [b"d\0\0\0\x07abc".as_slice(), b"c\0\0\0\x04"].concat();
        let mut frames = Vec::new();
        for byte in bytes {
            // Polled once while nothing is there, then dropped, before each byte.
            let dropped = tokio::time::timeout(Duration::ZERO, connection.fill()).await;
            assert!(dropped.is_err());
            server.write_all(&[byte]).await.unwrap();
            connection.fill().await.unwrap();
            while let Some(frame) = connection.frame().unwrap() {
                frames.push((frame.tag, frame.body.to_vec()));
            }
        }
        assert_eq!(frames, [(b'd', b"abc".to_vec()), (b'c', Vec::new())]);
    }

    #[tokio::test]
    async fn the_end_of_the_connection_is_transient_and_its_reason_is_heard_first() {
        let (mut connection, mut server) = pair();
        server.write_all(b"E\0\0\0\x1bC57P01\0Mterminating\0\0\0\0\0").await.unwrap();
        drop(server);
        connection.send_copy_data(b"status");
        connection.fill().await.unwrap();
        let error = connection.frame().unwrap_err();
        assert_eq!((error.code(), error.kind()), (error::UNAVAILABLE, tailwater_core::ErrorKind::Transient));
        assert_eq!(connection.fill().await.unwrap_err().code(), error::UNREACHABLE);
    }

    #[tokio::test]
    async fn a_query_that_was_dropped_makes_the_session_unusable() {
        let (mut connection, _server) = pair();
        assert!(tokio::time::timeout(Duration::ZERO, connection.query("SELECT 1")).await.is_err());
        assert_eq!(connection.query("SELECT 2").await.unwrap_err().code(), error::PROTOCOL);
    }

    #[tokio::test]
    async fn output_goes_on_where_a_dropped_flush_left_it() {
        use tokio::io::AsyncReadExt as _;
        let (mut connection, mut server) = pair();
        let payload: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_be_bytes).collect();
        connection.send_copy_data(&payload);
        let mut received = Vec::new();
        while connection.unsent_bytes() > 0 {
            // The socket takes a part only, so this is dropped half way.
            if tokio::time::timeout(Duration::ZERO, connection.flush()).await.is_ok() {
                break;
            }
            let mut piece = vec![0; 300_000];
            let count = server.read(&mut piece).await.unwrap();
            received.extend_from_slice(&piece[..count]);
        }
        drop(connection);
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), payload.len() + 5);
        assert!(received[5..] == payload[..]);
    }
}
