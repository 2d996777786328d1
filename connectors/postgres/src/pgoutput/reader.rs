//! Checked big-endian reads over one message. Used by the decoders beside it; knows no message.

use std::fmt;

use tailwater_core::Error;

use crate::lsn::Lsn;

/// A message that does not follow the protocol. Never holds a byte of the message other than its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// The first byte of the message; `None` when it was empty.
    pub tag: Option<u8>,
    /// Offset into the message of what could not be read.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for DecodeError {
    /// `message 'I' at byte 5: ends early`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            Some(tag) => write!(f, "message '{}' at byte {}: {}", tag.escape_ascii(), self.offset, self.what),
            None => write!(f, "empty message: {}", self.what),
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::data("TW-PG-040", error.to_string()).doing("decode what the server sent")
    }
}

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// Microseconds between the epoch of Postgres (2000) and the one of Unix (1970).
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// A place inside a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    message: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { message, rest: message }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error at the place that was read last, `back` bytes ago.
    #[cold]
    pub(super) fn wrong(&self, back: usize, what: &'static str) -> DecodeError {
        let offset = self.message.len().saturating_sub(self.rest.len()).saturating_sub(back);
        DecodeError { tag: self.message.first().copied(), offset, what }
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(self.wrong(0, "ends early")),
        }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8> {
        self.chunk().map(u8::from_be_bytes)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16> {
        self.chunk().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32> {
        self.chunk().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.chunk().map(i32::from_be_bytes)
    }

    pub(super) fn lsn(&mut self) -> Result<Lsn> {
        self.chunk().map(u64::from_be_bytes).map(Lsn)
    }

    /// A time of Postgres as µs since 1970.
    pub(super) fn time_us(&mut self) -> Result<i64> {
        Ok(unix_us(i64::from_be_bytes(self.chunk()?)))
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: u32) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(len as usize) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.wrong(0, "ends early")),
        }
    }

    /// Bytes up to a zero byte, which is consumed.
    pub(super) fn terminated(&mut self) -> Result<&'a [u8]> {
        let Some(len) = self.rest.iter().position(|&byte| byte == 0) else {
            return Err(self.wrong(0, "text without its end"));
        };
        let (text, rest) = self.rest.split_at(len);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(text)
    }

    /// A name, which the connection's `client_encoding` makes UTF-8.
    pub(super) fn name(&mut self) -> Result<&'a str> {
        let bytes = self.terminated()?;
        let Ok(name) = std::str::from_utf8(bytes) else {
            return Err(self.wrong(bytes.len() + 1, "name that is not UTF-8"));
        };
        Ok(name)
    }

    /// A byte whose value the protocol fixes to 0.
    pub(super) fn no_flags(&mut self) -> Result<()> {
        match self.u8()? {
            0 => Ok(()),
            1.. => Err(self.wrong(1, "unknown flags")),
        }
    }

    /// That nothing is left.
    #[inline]
    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong(0, "goes on after its end")) }
    }
}

/// A time of Postgres as µs since 1970.
pub(crate) fn unix_us(postgres_us: i64) -> i64 {
    postgres_us.saturating_add(POSTGRES_EPOCH_US)
}

/// µs since 1970 as a time of Postgres.
pub(crate) fn postgres_us(unix_us: i64) -> i64 {
    unix_us.saturating_sub(POSTGRES_EPOCH_US)
}
