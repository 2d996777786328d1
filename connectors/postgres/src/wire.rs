//! Frames out of a receive buffer, in place. Pure: bytes come in through [`Inbox::room`], frames go out through
//! [`Inbox::next`]. Not here: the socket (`connection`), and what the frames mean.

use std::ops::Range;

use tailwater_core::Result;

use crate::error;

/// The buffer's size unless one frame needs more.
const START_BYTES: usize = 256 * 1024;

/// The server sends no value above 1 GiB; a row may hold a little more than its largest value.
const FRAME_BYTES_MAX: usize = (1 << 30) + (64 << 20);

/// So many reads in a row must have fitted into [`START_BYTES`] before a grown buffer shrinks.
const SMALL_READS_MAX: u32 = 64;

/// The tag and the four bytes of length.
const HEADER_BYTES: usize = 5;

/// One message of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is: `d` for copy data, and so on.
    pub tag: u8,
    /// All bytes after the length.
    pub body: &'a [u8],
}

/// Bytes received and not yet handed out: `bytes[start..end]`.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    small_reads: u32,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; START_BYTES], start: 0, end: 0, small_reads: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Free space to read into, at least one byte. Frames handed out before are gone.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > START_BYTES && self.small_reads > SMALL_READS_MAX {
                self.bytes = vec![0; START_BYTES];
            }
        } else if self.bytes.len() - self.end < self.bytes.len() / 4 && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
            self.small_reads = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were read into [`Inbox::room`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        self.small_reads = if self.end <= START_BYTES { self.small_reads.saturating_add(1) } else { 0 };
    }

    /// The tag and the place of the next complete frame, which counts as handed out; its bytes stay until the
    /// next [`Inbox::room`].
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Range<usize>)>> {
        let unread = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((&[tag, a, b, c, d], rest)) = unread.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=FRAME_BYTES_MAX).contains(&length) {
            return Err(error::protocol(format!("a message of type 0x{tag:02x} claims {length} bytes")));
        }
        let body_bytes = length - 4;
        if rest.len() < body_bytes {
            return Ok(None);
        }
        let body = self.start + HEADER_BYTES..self.start + HEADER_BYTES + body_bytes;
        self.start = body.end;
        Ok(Some((tag, body)))
    }

    /// The bytes of a place that [`Inbox::next`] named.
    pub(crate) fn body(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, body) in frames {
            bytes.push(*tag);
            bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    /// Feeds `bytes` in the given pieces and collects the frames.
    fn decode(bytes: &[u8], mut piece: impl FnMut(usize) -> usize) -> Vec<(u8, Vec<u8>)> {
        let mut inbox = Inbox::new();
        let mut frames = Vec::new();
        let mut rest = bytes;
        let mut turn = 0;
        while !rest.is_empty() {
            let room = inbox.room();
            let count = piece(turn).clamp(1, room.len()).min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            inbox.filled(count);
            rest = &rest[count..];
            turn += 1;
            while let Some((tag, place)) = inbox.next().unwrap() {
                frames.push((tag, inbox.body(place).to_vec()));
            }
        }
        assert!(inbox.is_empty());
        frames
    }

    #[test]
    fn frames_split_at_every_position_are_whole_again() {
        let frames = vec![(b'd', b"hello".to_vec()), (b'Z', Vec::new()), (b'C', vec![0; 300])];
        let bytes = encode(&frames);
        for split in 1..bytes.len() {
            assert_eq!(decode(&bytes, |turn| if turn == 0 { split } else { usize::MAX }), frames, "{split}");
        }
        assert_eq!(decode(&bytes, |_| 1), frames);
    }

    #[test]
    fn a_length_no_server_sends_is_an_error() {
        for length in [0_u32, 3, 0x5000_0000, u32::MAX] {
            let mut inbox = Inbox::new();
            let mut bytes = vec![b'd'];
            bytes.extend_from_slice(&length.to_be_bytes());
            inbox.room()[..5].copy_from_slice(&bytes);
            inbox.filled(5);
            assert_eq!(inbox.next().unwrap_err().code(), error::PROTOCOL, "{length}");
        }
    }

    #[test]
    fn the_buffer_grows_for_a_large_frame_and_shrinks_back() {
        let mut inbox = Inbox::new();
        let mut feed = |bytes: &[u8]| {
            let mut rest = bytes;
            while !rest.is_empty() {
                let room = inbox.room();
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                inbox.filled(count);
                rest = &rest[count..];
            }
            inbox.next().unwrap().unwrap();
            inbox.bytes.len()
        };
        assert!(feed(&encode(&[(b'd', vec![7; 3_000_000])])) >= 3_000_000);
        let small = encode(&[(b'd', vec![1; 100])]);
        let sizes: Vec<usize> = (0..=SMALL_READS_MAX + 1).map(|_| feed(&small)).collect();
        assert!(sizes[0] >= 3_000_000);
        assert_eq!(*sizes.last().unwrap(), START_BYTES);
    }

    proptest! {
        #[test]
        fn any_frames_in_any_pieces_come_out_as_they_were(
            frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..2000)), 0..40),
            pieces in prop::collection::vec(1_usize..5000, 1..20),
        ) {
            prop_assert_eq!(decode(&encode(&frames), |turn| pieces[turn % pieces.len()]), frames);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut inbox = Inbox::new();
            inbox.room()[..bytes.len()].copy_from_slice(&bytes);
            inbox.filled(bytes.len());
            while let Ok(Some((_, place))) = inbox.next() {
                prop_assert!(place.end <= bytes.len());
            }
        }
    }
}
