//! Packets out of a receive buffer, in place. Pure: bytes come in through [`Inbox::room`], packets go out through
//! [`Inbox::next`]. Not here: the socket (`connection`), and what the packets mean.

use std::ops::Range;

use tailwater_core::Result;

use crate::error;

/// The buffer's size unless one packet needs more.
const START_BYTES: usize = 256 * 1024;

/// No read asks for less.
const ROOM_BYTES_MIN: usize = 64 * 1024;

/// A large buffer grows by so much at a time, so that a packet of 1 GiB does not take two.
const GROWTH_BYTES_MAX: usize = 64 << 20;

/// A packet of this length goes on in the next one.
const PIECE_BYTES: usize = 0xff_ffff;

/// No server sends more than 1 GiB as one packet; an event has a little beside its largest value.
const PACKET_BYTES_MAX: usize = (1 << 30) + (64 << 20);

/// So many reads in a row must have fitted into [`START_BYTES`] before a grown buffer shrinks.
const SMALL_READS_MAX: u32 = 64;

/// Three bytes of length and the sequence number.
const HEADER_BYTES: usize = 4;

/// Bytes received and not yet handed out: `bytes[start..end]`.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Of the packet at `start`: bytes of its joined pieces after the first header, none unless it has several.
    joined: usize,
    sequence: u8,
    small_reads: u32,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; START_BYTES], start: 0, end: 0, joined: 0, sequence: 0, small_reads: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The sequence number that the next packet must bear, either way.
    pub(crate) fn sequence(&self) -> u8 {
        self.sequence
    }

    /// A packet was sent, or with 0 a new command begins.
    pub(crate) fn set_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// Free space to read into, at least [`ROOM_BYTES_MIN`]. Packets handed out before are gone.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > START_BYTES && self.small_reads > SMALL_READS_MAX {
                self.bytes = vec![0; START_BYTES];
            }
        } else if self.bytes.len() - self.end < ROOM_BYTES_MIN && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < ROOM_BYTES_MIN {
            self.bytes.resize(self.bytes.len() + self.bytes.len().min(GROWTH_BYTES_MAX), 0);
            self.small_reads = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were read into [`Inbox::room`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        self.small_reads = if self.end <= START_BYTES { self.small_reads.saturating_add(1) } else { 0 };
    }

    /// The place of the next complete packet, which counts as handed out; its bytes stay until the next
    /// [`Inbox::room`]. Pieces of 16 MiB are joined where they lie.
    pub(crate) fn next(&mut self) -> Result<Option<Range<usize>>> {
        loop {
            // The pieces joined so far lie behind the first header; the next header follows them.
            let head = match self.joined {
                0 => self.start,
                joined => self.start + HEADER_BYTES + joined,
            };
            let unread = self.bytes.get(head..self.end).unwrap_or_default();
            let Some((&[a, b, c, sequence], rest)) = unread.split_first_chunk::<HEADER_BYTES>() else {
                return Ok(None);
            };
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            if sequence != self.sequence {
                let (is, wanted) = (sequence, self.sequence);
                return Err(error::protocol(format!("a packet bears the number {is} instead of {wanted}")));
            }
            if self.joined + length > PACKET_BYTES_MAX {
                return Err(error::protocol("a packet is longer than any server sends"));
            }
            if rest.len() < length {
                return Ok(None);
            }
            self.sequence = self.sequence.wrapping_add(1);
            if self.joined > 0 {
                // Over the header of this piece; what follows moves up as well.
                self.bytes.copy_within(head + HEADER_BYTES..self.end, head);
                self.end -= HEADER_BYTES;
            }
            self.joined += length;
            if length < PIECE_BYTES {
                let body = self.start + HEADER_BYTES..self.start + HEADER_BYTES + self.joined;
                (self.start, self.joined) = (body.end, 0);
                return Ok(Some(body));
            }
        }
    }

    /// The bytes of a place that [`Inbox::next`] named.
    pub(crate) fn body(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }
}

/// Appends `body` as packets, the first with number `sequence`; the number of the one that would follow comes back.
pub(crate) fn encode(body: &[u8], mut sequence: u8, into: &mut impl bytes::BufMut) -> u8 {
    let mut rest = body;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(PIECE_BYTES));
        into.put_uint_le(piece.len() as u64, 3);
        into.put_u8(sequence);
        into.put_slice(piece);
        sequence = sequence.wrapping_add(1);
        rest = after;
        if piece.len() < PIECE_BYTES {
            return sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sequence = 0;
        for body in bodies {
            sequence = encode(body, sequence, &mut bytes);
        }
        bytes
    }

    /// Feeds `bytes` in the given pieces and collects the packets.
    fn decoded(bytes: &[u8], mut piece: impl FnMut(usize) -> usize) -> Vec<Vec<u8>> {
        let mut inbox = Inbox::new();
        let mut bodies = Vec::new();
        let mut rest = bytes;
        let mut turn = 0;
        while !rest.is_empty() {
            let room = inbox.room();
            let count = piece(turn).clamp(1, room.len()).min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            inbox.filled(count);
            rest = &rest[count..];
            turn += 1;
            while let Some(place) = inbox.next().unwrap() {
                bodies.push(inbox.body(place).to_vec());
            }
        }
        assert!(inbox.is_empty());
        bodies
    }

    #[test]
    fn packets_split_at_every_position_are_whole_again() {
        let bodies = vec![b"hello".to_vec(), Vec::new(), vec![7; 300]];
        let bytes = encoded(&bodies);
        for split in 1..bytes.len() {
            assert_eq!(decoded(&bytes, |turn| if turn == 0 { split } else { usize::MAX }), bodies, "{split}");
        }
    }

    #[test]
    fn pieces_of_16_mib_are_joined() {
        let long = |length: usize| (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>();
        for length in
            [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 2 * PIECE_BYTES + 70_000]
        {
            let bodies = vec![b"before".to_vec(), long(length), b"after".to_vec()];
            assert!(decoded(&encoded(&bodies), |_| 1_000_003) == bodies, "{length}");
        }
    }

    #[test]
    fn a_wrong_number_is_an_error() {
        let mut inbox = Inbox::new();
        inbox.room()[..5].copy_from_slice(&[1, 0, 0, 3, 0]);
        inbox.filled(5);
        assert_eq!(inbox.next().unwrap_err().code(), error::PROTOCOL);
    }

    #[test]
    fn the_buffer_grows_for_a_large_packet_and_shrinks_back() {
        let mut inbox = Inbox::new();
        let mut feed = |bytes: &[u8]| {
            inbox.set_sequence(0);
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
        assert!(feed(&encoded(&[vec![7; 3_000_000]])) >= 3_000_000);
        let small = encoded(&[vec![1; 100]]);
        let sizes: Vec<usize> = (0..=SMALL_READS_MAX + 1).map(|_| feed(&small)).collect();
        assert!(sizes[0] >= 3_000_000);
        assert_eq!(*sizes.last().unwrap(), START_BYTES);
    }

    proptest! {
        #[test]
        fn any_packets_in_any_pieces_come_out_as_they_were(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..40),
            pieces in prop::collection::vec(1_usize..5000, 1..20),
        ) {
            prop_assert_eq!(decoded(&encoded(&bodies), |turn| pieces[turn % pieces.len()]), bodies);
        }

        #[test]
        fn any_bytes_are_packets_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut inbox = Inbox::new();
            inbox.room()[..bytes.len()].copy_from_slice(&bytes);
            inbox.filled(bytes.len());
            while let Ok(Some(place)) = inbox.next() {
                prop_assert!(place.end <= bytes.len());
            }
        }
    }
}
