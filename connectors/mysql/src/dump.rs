//! The binary log as the server sends it: from where, and one event after the other. Not here: what is in an event.

use std::ops::Range;
use std::time::Duration;

use bytes::BufMut as _;
use tailwater_core::error::Doing as _;
use tailwater_core::{Error, Result};
use tokio::time::Instant;

use crate::connection::{Connection, State};
use crate::error;
use crate::quote;

const COM_BINLOG_DUMP: u8 = 0x12;
const COM_REGISTER_SLAVE: u8 = 0x15;
const COM_BINLOG_DUMP_GTID: u8 = 0x1e;

/// `BINLOG_DUMP_NON_BLOCK`
const NON_BLOCK: u16 = 1;

/// The first event of a log file begins here.
const FIRST_EVENT: u64 = 4;

/// What is asked of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// Ours, unlike that of any other reader or server of the topology.
    pub server_id: u32,
    /// Likewise: the server ends an earlier dump with the same one.
    pub uuid: String,
    /// From where.
    pub start: Start,
    /// A silent server shows that it is there this often.
    pub heartbeat: Duration,
    /// Only up to where the log ends when all of it is sent, and as a passer-by: without a number of its own.
    pub to_end: bool,
}

/// Where the log begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// MySQL: after these transactions, encoded as the server wants the set, tagged or not.
    Executed(Vec<u8>),
    /// MariaDB: after these, `0-1-5,1-2-3`.
    After(String),
    /// At this place of this file.
    File {
        /// The file.
        name: String,
        /// Of an event in it.
        position: u64,
    },
}

/// A session that receives the log.
#[derive(Debug)]
pub struct Log {
    connection: Connection,
    silence_max: Duration,
    /// Since when nothing has come.
    waiting_since: Option<Instant>,
    checksums: bool,
    /// The packet that was handed out last.
    last: Range<usize>,
}

impl Connection {
    /// Makes this session receive the log, for ever.
    ///
    /// # Errors
    /// What the server reports; that it cannot send the log from there is told by the first event.
    pub async fn dump(mut self, dump: &Dump) -> Result<Log> {
        let checksums = self.announce(dump).await.doing(|| "register for the log")?;
        let mut body = Vec::new();
        let command = match &dump.start {
            Start::Executed(set) => {
                body.put_u16_le(0);
                body.put_u32_le(dump.server_id);
                body.put_u32_le(0);
                body.put_u64_le(FIRST_EVENT);
                body.put_u32_le(
                    u32::try_from(set.len()).map_err(|error| error::protocol(error.to_string()))?,
                );
                body.put_slice(set);
                COM_BINLOG_DUMP_GTID
            }
            Start::After(_) => {
                put_file(&mut body, (dump.server_id, 0), "", FIRST_EVENT)?;
                COM_BINLOG_DUMP
            }
            Start::File { name, position } => {
                let (number, flags) = if dump.to_end { (0, NON_BLOCK) } else { (dump.server_id, 0) };
                put_file(&mut body, (number, flags), name, *position)?;
                COM_BINLOG_DUMP
            }
        };
        self.command(command, &body).await.doing(|| "ask for the log")?;
        self.set_state(State::Dumping);
        Ok(Log {
            connection: self,
            silence_max: dump.heartbeat * 2,
            waiting_since: None,
            checksums,
            last: 0..0,
        })
    }

    /// Everything before the command itself; returns whether events bear checksums.
    async fn announce(&mut self, dump: &Dump) -> Result<bool> {
        let row = self.query("SELECT @@GLOBAL.binlog_checksum").await?.into_iter().next();
        let checksum = row.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default();
        let checksums = !checksum.eq_ignore_ascii_case("NONE");
        let checksum = quote::literal(if checksums { "CRC32" } else { "NONE" });
        let heartbeat = dump.heartbeat.as_nanos();
        self.execute(&format!(
            "SET @master_binlog_checksum = {checksum}, @source_binlog_checksum = {checksum}, \
             @master_heartbeat_period = {heartbeat}, @source_heartbeat_period = {heartbeat}"
        ))
        .await?;
        if self.server_version().is_mariadb() {
            // Four: events that only MariaDB has come as they are.
            self.execute("SET @mariadb_slave_capability = 4").await?;
            if let Start::After(gtids) = &dump.start {
                self.execute(&format!(
                    "SET @slave_connect_state = {}, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0",
                    quote::literal(gtids)
                ))
                .await?;
            }
        } else if !dump.to_end {
            let uuid = quote::literal(&dump.uuid);
            self.execute(&format!("SET @slave_uuid = {uuid}, @replica_uuid = {uuid}")).await?;
        }
        if dump.to_end {
            return Ok(checksums);
        }
        let mut body = Vec::new();
        body.put_u32_le(dump.server_id);
        // Host, user, password: each with its length before it, none told.
        body.put_bytes(0, 3);
        body.put_u16_le(0);
        body.put_u32_le(0);
        body.put_u32_le(0);
        self.command(COM_REGISTER_SLAVE, &body).await?;
        // Without the right to it, the server says what it says to a wrong password.
        self.answered_ok("the registration").await.map_err(|error| match error.code() {
            error::LOGIN => Error::operator(error::NO_RIGHT, error.message())
                .remedy("GRANT REPLICATION SLAVE ON *.* TO the user in the URL"),
            _ => error,
        })?;
        Ok(checksums)
    }
}

fn put_file(body: &mut Vec<u8>, (server_id, flags): (u32, u16), name: &str, position: u64) -> Result<()> {
    let Ok(position) = u32::try_from(position) else {
        let message = format!("a dump cannot begin beyond 4 GiB: {name}:{position}");
        return Err(Error::operator(error::LOG_UNREADABLE, message)
            .remedy("on the server: gtid_mode=ON, and max_binlog_size of 1 GiB; then copy afresh"));
    };
    body.put_u32_le(position);
    body.put_u16_le(flags);
    body.put_u32_le(server_id);
    body.put_slice(name.as_bytes());
    Ok(())
}

impl Log {
    /// Whether the last four bytes of each event are its checksum, as far as the server's setting tells; each file says
    /// so itself in its first event.
    #[must_use]
    pub fn has_checksums(&self) -> bool {
        self.checksums
    }

    /// How eagerly the socket is read from now on.
    pub fn set_pace(&mut self, pace: tailwater_transport::Pace) {
        self.connection.set_pace(pace);
    }

    /// The next event among the bytes already read: header, body and checksum, in place.
    ///
    /// # Errors
    /// What the server reports, or the end of the log.
    pub fn event(&mut self) -> Result<Option<&[u8]>> {
        match self.connection.buffered()? {
            Some(place) => {
                self.last = place.clone();
                read(self.connection.body(place)).map(Some)
            }
            None => Ok(None),
        }
    }

    /// What [`Log::event`] returned last. It is there until more is read.
    #[must_use]
    pub fn last(&self) -> &[u8] {
        self.connection.body(self.last.clone()).get(1..).unwrap_or_default()
    }

    /// Waits until more bytes were read. Cancel-safe.
    ///
    /// # Errors
    /// `Transient` where the connection ends, or is silent for twice the time of a heartbeat.
    pub async fn fill(&mut self) -> Result<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        // What came while nobody waited is noticed within the moment more.
        let until = (since + self.silence_max).max(Instant::now() + Duration::from_millis(200));
        match tokio::time::timeout_at(until, self.connection.fill()).await {
            Ok(filled) => {
                self.waiting_since = None;
                filled
            }
            Err(_elapsed) => {
                let seconds = self.silence_max.as_secs_f32();
                Err(Error::transient(error::LOG_ENDED, format!("the server is silent for {seconds} s")))
            }
        }
    }

    /// The next event of a log that is read to its end, however long it takes; `None` there. Cancel-safe.
    ///
    /// # Errors
    /// As [`Log::event`] and [`Log::fill`].
    pub async fn next_or_end(&mut self) -> Result<Option<&[u8]>> {
        loop {
            let Some(place) = self.connection.buffered()? else {
                self.fill().await?;
                continue;
            };
            let packet = self.connection.body(place);
            return if is_end(packet) { Ok(None) } else { read(packet).map(Some) };
        }
    }
}

/// How the server says that there is no more: not an event, which would be longer.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// The event in a packet.
fn read(packet: &[u8]) -> Result<&[u8]> {
    match packet.split_first() {
        Some((0x00, event)) => Ok(event),
        Some((0xff, _)) => Err(error::from_server(packet)),
        Some((0xfe, _)) => Err(Error::transient(error::LOG_ENDED, "the server ended the log")),
        Some(_) | None => Err(error::protocol("a packet of the log is none")),
    }
}

#[cfg(test)]
mod tests {
    use tailwater_transport::Transport;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;

    use super::*;

    fn log(stream: UnixStream) -> Log {
        let connection = Connection::new(Transport::Unix(stream), 1);
        Log {
            connection,
            silence_max: Duration::from_secs(60),
            waiting_since: None,
            checksums: true,
            last: 0..0,
        }
    }

    #[tokio::test]
    async fn an_event_whose_wait_was_dropped_comes_whole_later() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut log = log(ours);
        let packet = b"\x06\0\0\x01\0event";
        for end in 1..packet.len() {
            theirs.write_all(&packet[end - 1..end]).await.unwrap();
            let waiting = tokio::time::timeout(Duration::from_millis(2), log.next_or_end());
            assert!(waiting.await.is_err(), "{end}");
        }
        assert_eq!(log.event().unwrap(), None);
        theirs.write_all(b"t").await.unwrap();
        assert_eq!(log.next_or_end().await.unwrap(), Some(&b"event"[..]));
    }

    #[tokio::test]
    async fn the_log_ends_in_an_error_that_passes() {
        for (bytes, code) in [
            (&b"\x05\0\0\x01\xfe\0\0\0\0"[..], error::LOG_ENDED),
            (b"\x03\0\0\x01\xff\xd4\x04", error::LOG_UNREADABLE),
            (b"\x01\0\0\x01\x07", error::PROTOCOL),
            (b"", error::UNREACHABLE),
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(bytes).await.unwrap();
            drop(theirs);
            let mut log = log(ours);
            let ended = loop {
                match log.event() {
                    Ok(None) => {}
                    Ok(Some(event)) => panic!("{event:?}"),
                    Err(error) => break error,
                }
                if let Err(error) = log.fill().await {
                    break error;
                }
            };
            assert_eq!(ended.code(), code);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_left() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut log = log(ours);
        let begun = Instant::now();
        // Waits that are dropped do not begin the time anew.
        for _ in 0..59 {
            assert!(tokio::time::timeout(Duration::from_secs(1), log.fill()).await.is_err());
        }
        let error = log.fill().await.unwrap_err();
        assert!(error.to_string().contains("silent for 60 s"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(61));
    }
}
