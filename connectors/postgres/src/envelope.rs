//! What travels inside CopyData while replicating: the server's data and keepalives, the client's status. Pure; the
//! stream reads and sends it. The payload of [`Replication::XLogData`] is for [`pgoutput`](crate::pgoutput).

use crate::lsn::Lsn;
use crate::pgoutput::{DecodeError, postgres_us, unix_us};

/// What the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication<'a> {
    /// A message of the plugin. Its positions say nothing about progress: for relations they are 0/0.
    XLogData {
        /// Where the record lies that caused it.
        start: Lsn,
        /// The newest position the server knew of; before Postgres 16 the same as `start`.
        end: Lsn,
        /// When it was sent, µs since 1970 by the server's clock.
        time_us: i64,
        /// The message.
        payload: &'a [u8],
    },
    /// A sign of life.
    Keepalive {
        /// How far the server has decoded.
        wal_end: Lsn,
        /// When it was sent, µs since 1970 by the server's clock.
        time_us: i64,
        /// The server hangs up soon unless a status comes.
        reply_requested: bool,
    },
}

/// Reads the contents of one CopyData message.
///
/// # Errors
/// Where it is neither of the two, or a keepalive is not exactly one.
#[inline]
pub fn decode_copy_data(message: &[u8]) -> Result<Replication<'_>, DecodeError> {
    let wrong = |offset, what| DecodeError { tag: message.first().copied(), offset, what };
    match message {
        [b'w', rest @ ..] => {
            let Some(([start, end, time], payload)) = numbers::<3>(rest) else {
                return Err(wrong(message.len(), "ends early"));
            };
            let time_us = unix_us(time.cast_signed());
            Ok(Replication::XLogData { start: Lsn(start), end: Lsn(end), time_us, payload })
        }
        [b'k', rest @ ..] => match numbers::<2>(rest) {
            Some(([wal_end, time], &[reply @ (0 | 1)])) => Ok(Replication::Keepalive {
                wal_end: Lsn(wal_end),
                time_us: unix_us(time.cast_signed()),
                reply_requested: reply == 1,
            }),
            Some((_, [_])) => Err(wrong(17, "unknown reply flag")),
            Some((_, [_, _, ..])) => Err(wrong(18, "goes on after its end")),
            Some((_, [])) | None => Err(wrong(message.len(), "ends early")),
        },
        [] | [_, ..] => Err(wrong(0, "unknown message")),
    }
}

/// `N` big-endian numbers and what follows them.
#[inline]
fn numbers<const N: usize>(bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let (mut numbers, mut rest) = ([0; N], bytes);
    for number in &mut numbers {
        let (chunk, then) = rest.split_first_chunk::<8>()?;
        (*number, rest) = (u64::from_be_bytes(*chunk), then);
    }
    Some((numbers, rest))
}

/// What the client tells the server: `write ≥ flush ≥ apply`. Everything up to `flush` is never sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Received.
    pub write: Lsn,
    /// Durable in the target, and the end of a transaction or of what the server has decoded without finding one.
    pub flush: Lsn,
    /// Visible in the target.
    pub apply: Lsn,
    /// The client's clock, µs since 1970.
    pub time_us: i64,
    /// Ask for a keepalive at once.
    pub reply_requested: bool,
}

/// The contents of the CopyData message that carries `status`.
#[must_use]
pub fn status_update(status: &Status) -> [u8; 34] {
    let mut message = [0; 34];
    let numbers =
        [status.write.0, status.flush.0, status.apply.0, postgres_us(status.time_us).cast_unsigned()];
    let bytes = std::iter::once(b'r')
        .chain(numbers.into_iter().flat_map(u64::to_be_bytes))
        .chain([u8::from(status.reply_requested)]);
    for (place, byte) in message.iter_mut().zip(bytes) {
        *place = byte;
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME_US: i64 = 1_795_000_000_000_000;

    fn message(kind: u8, numbers: &[u64], tail: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        message.extend_from_slice(tail);
        message
    }

    #[test]
    fn reads_data_and_keepalives() {
        let time = postgres_us(TIME_US).cast_unsigned();
        assert_eq!(
            decode_copy_data(&message(b'w', &[0x16_B374, 0x17_0000, time], b"payload")),
            Ok(Replication::XLogData {
                start: Lsn(0x16_B374),
                end: Lsn(0x17_0000),
                time_us: TIME_US,
                payload: b"payload"
            })
        );
        for (byte, reply_requested) in [(0, false), (1, true)] {
            assert_eq!(
                decode_copy_data(&message(b'k', &[0x20, time], &[byte])),
                Ok(Replication::Keepalive { wal_end: Lsn(0x20), time_us: TIME_US, reply_requested })
            );
        }
    }

    #[test]
    fn says_where_a_message_is_wrong() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(decode_copy_data(bytes).unwrap_err().to_string(), expected);
        };
        check(b"", "empty message: unknown message");
        check(b"s", "message 's' at byte 0: unknown message");
        check(b"w\0\0", "message 'w' at byte 3: ends early");
        check(&message(b'k', &[1, 2], &[]), "message 'k' at byte 17: ends early");
        check(&message(b'k', &[1, 2], &[2]), "message 'k' at byte 17: unknown reply flag");
        check(&message(b'k', &[1, 2], &[0, 0]), "message 'k' at byte 18: goes on after its end");
    }

    #[test]
    fn writes_a_status() {
        let status = Status {
            write: Lsn(3),
            flush: Lsn(2),
            apply: Lsn(1),
            time_us: 946_684_800_000_005,
            reply_requested: true,
        };
        assert_eq!(status_update(&status).as_slice(), message(b'r', &[3, 2, 1, 5], &[1]));
    }
}
