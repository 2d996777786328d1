//! The events inside of a TRANSACTION_PAYLOAD, one after the other in a buffer that is as large as the largest of them
//! at most: never the whole transaction. They have headers and no checksums; `decode` reads them like all others.

use tailwater_core::Result;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::event::{Header, Payload};
use crate::error::malformed;

/// What the buffer has at least, and what it goes back to after a large event.
const BUFFER: usize = 64 << 10;
/// A server's largest event (`max_allowed_packet`).
const EVENT_MAX: usize = 1 << 30;

/// Walks one payload after the other. It keeps no borrow between two events, so that whoever holds the payload's bytes
/// can stop in between: `content` is given again each time.
pub struct PayloadReader {
    decoder: Decoder<'static>,
    zstd: bool,
    /// Bytes of the content read so far.
    consumed: usize,
    /// The decoder has seen the end of a frame, and nothing of the next one.
    frame_ended: bool,
    /// Bytes of all events, as the payload says.
    expected: u64,
    /// Bytes that left the decoder.
    inflated: u64,
    buffer: Vec<u8>,
    /// What of the buffer is filled and not yet handed out.
    start: usize,
    end: usize,
}

impl std::fmt::Debug for PayloadReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadReader")
            .field("consumed", &self.consumed)
            .field("expected", &self.expected)
            .field("inflated", &self.inflated)
            .finish_non_exhaustive()
    }
}

impl PayloadReader {
    /// With no payload yet.
    ///
    /// # Errors
    /// No memory for zstd's state.
    pub fn new() -> Result<Self> {
        let decoder = Decoder::new().map_err(|error| malformed(format!("zstd: {error}")))?;
        Ok(Self {
            decoder,
            zstd: false,
            consumed: 0,
            frame_ended: true,
            expected: 0,
            inflated: 0,
            buffer: Vec::new(),
            start: 0,
            end: 0,
        })
    }

    /// Begins a payload; what was left of another is forgotten.
    ///
    /// # Errors
    /// zstd's state cannot be reset.
    pub fn begin(&mut self, payload: &Payload<'_>) -> Result<()> {
        self.decoder.reinit().map_err(|error| malformed(format!("zstd: {error}")))?;
        (self.zstd, self.consumed, self.frame_ended) = (payload.zstd, 0, true);
        (self.expected, self.inflated) = (payload.inflated_bytes, 0);
        (self.start, self.end) = (0, 0);
        if self.buffer.len() != BUFFER {
            self.buffer = vec![0; BUFFER];
        }
        Ok(())
    }

    /// The next event, with its header; `None` after the last one. `content` is that of the payload begun.
    ///
    /// # Errors
    /// Broken compression, or events that do not fill exactly what the payload says.
    pub fn next_event(&mut self, content: &[u8]) -> Result<Option<&[u8]>> {
        if !self.fill(content, Header::BYTES)? {
            return match self.end == self.start && self.inflated == self.expected && self.at_end(content) {
                true => Ok(None),
                false => Err(malformed(format!(
                    "a payload holds {} bytes, it says {}: its last event is cut short or more follows",
                    self.inflated, self.expected
                ))),
            };
        }
        let header = Header::parse(self.filled())?;
        let bytes = usize::try_from(header.bytes).unwrap_or(usize::MAX);
        if !(Header::BYTES..=EVENT_MAX).contains(&bytes) {
            return Err(malformed(format!("an event inside of a payload has {bytes} bytes")));
        }
        if !self.fill(content, bytes)? {
            return Err(malformed(format!("an event of {bytes} bytes inside of a payload is cut short")));
        }
        let event = self.start..self.start + bytes;
        self.start += bytes;
        Ok(self.buffer.get(event))
    }

    fn filled(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn at_end(&self, content: &[u8]) -> bool {
        self.consumed == content.len() && self.frame_ended
    }

    /// Whether the next `bytes` are in the buffer, read from `content` where they were not.
    fn fill(&mut self, content: &[u8], bytes: usize) -> Result<bool> {
        while self.end - self.start < bytes {
            self.make_room(bytes);
            if !self.inflate(content)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves what is left to the front, and grows the buffer by no more than has proved to be there: a header that
    /// lies about its event's length costs nothing.
    fn make_room(&mut self, bytes: usize) {
        if self.end < self.buffer.len() && self.start + bytes <= self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            let grown = bytes.min(self.buffer.len() * 2);
            self.buffer.resize(grown, 0);
        }
    }

    /// Reads some more; whether there was any.
    fn inflate(&mut self, content: &[u8]) -> Result<bool> {
        let before = self.end;
        let source = content.get(self.consumed..).unwrap_or_default();
        let into = self.buffer.get_mut(self.end..).unwrap_or_default();
        if !self.zstd {
            let bytes = source.len().min(into.len());
            if let (Some(into), Some(source)) = (into.get_mut(..bytes), source.get(..bytes)) {
                into.copy_from_slice(source);
            }
            self.consumed += bytes;
            self.end += bytes;
            return self.count(before);
        }
        let (mut input, mut output) = (InBuffer::around(source), OutBuffer::around(into));
        loop {
            let (read, written) = (input.pos(), output.pos());
            // Between two frames nothing is asked of the decoder: it would want the next one's header.
            if self.frame_ended && read == source.len() {
                break;
            }
            let hint = self.decoder.run(&mut input, &mut output);
            let hint =
                hint.map_err(|error| malformed(format!("a payload's compression is broken: {error}")))?;
            self.frame_ended = hint == 0;
            if output.pos() > 0 || (read, written) == (input.pos(), output.pos()) {
                break;
            }
        }
        let (read, written) = (input.pos(), output.pos());
        self.consumed += read;
        self.end += written;
        self.count(before)
    }

    /// Counts what was read since the buffer was filled up to `before`.
    fn count(&mut self, before: usize) -> Result<bool> {
        self.inflated += (self.end - before) as u64;
        if self.inflated > self.expected {
            return Err(malformed(format!("a payload holds more than the {} bytes it says", self.expected)));
        }
        Ok(self.end > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event of `bytes` in all, of a kind nobody reads.
    fn event(bytes: usize, fill: u8) -> Vec<u8> {
        let mut event = vec![0, 0, 0, 0, 2, 1, 0, 0, 0];
        event.extend_from_slice(&u32::try_from(bytes).unwrap().to_le_bytes());
        event.extend_from_slice(&[0; 6]);
        event.resize(bytes, fill);
        event
    }

    fn read(payload: &Payload<'_>) -> Result<Vec<Vec<u8>>> {
        let mut reader = PayloadReader::new()?;
        // What another payload left behind must not matter.
        reader.begin(&Payload { zstd: false, inflated_bytes: 100, content: &[0; 100] })?;
        drop(reader.next_event(&[0; 50]));
        reader.begin(payload)?;
        let mut events = Vec::new();
        while let Some(event) = reader.next_event(payload.content)? {
            events.push(event.to_vec());
            assert!(reader.buffer.len() <= BUFFER.max(2 << 20), "the buffer is bounded");
        }
        Ok(events)
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    fn events() -> Vec<Vec<u8>> {
        let sizes = [19, 20, BUFFER - 1, BUFFER, BUFFER + 1, 1 << 20, 19, 3000];
        sizes.iter().zip(1..).map(|(&bytes, fill)| event(bytes, fill)).chain([event(19, 0)]).collect()
    }

    #[test]
    fn events_of_every_size_come_whole() {
        let all = events().concat();
        let inflated_bytes = all.len() as u64;
        let compressed = zstd(&all);
        assert_eq!(read(&Payload { zstd: true, inflated_bytes, content: &compressed }).unwrap(), events());
        assert_eq!(read(&Payload { zstd: false, inflated_bytes, content: &all }).unwrap(), events());
        // Several frames, cut in the middle of an event.
        let frames = [zstd(&all[..30]), zstd(&[]), zstd(&all[30..])].concat();
        assert_eq!(read(&Payload { zstd: true, inflated_bytes, content: &frames }).unwrap(), events());
        assert!(read(&Payload { zstd: true, inflated_bytes: 0, content: &[] }).unwrap().is_empty());
    }

    #[test]
    fn a_payload_that_is_not_what_it_says_is_an_error() {
        let all = [event(100, 1), event(100, 2)].concat();
        let compressed = zstd(&all);
        let refused = |inflated_bytes, content: &[u8], zstd| {
            let error = read(&Payload { zstd, inflated_bytes, content }).unwrap_err();
            assert_eq!(error.code(), "TW-MY-040", "{error}");
        };
        for (content, zstd) in [(&all, false), (&compressed, true)] {
            refused(199, content, zstd);
            refused(201, content, zstd);
            (0..content.len()).for_each(|end| refused(200, &content[..end], zstd));
            refused(200, &[content.as_slice(), &[0]].concat(), zstd);
        }
        // A frame that nobody asked for behind the last one.
        refused(200, &[compressed.clone(), zstd(&[1])].concat(), true);
        let liar = [event(100, 1), event(100, 2)[..50].to_vec()].concat();
        refused(150, &zstd(&liar), true);
        let mut huge = event(30, 1);
        huge[9..13].fill(0xFF);
        refused(30, &huge, false);
        huge[9..13].copy_from_slice(&18_u32.to_le_bytes());
        refused(30, &huge, false);
    }
}
