//! What MariaDB compresses with `log_bin_compress`: images of rows and text of statements. Not TRANSACTION_PAYLOAD of
//! MySQL (see `payload`), not MariaDB's compressed columns.

use flate2::{Decompress, FlushDecompress, Status};
use tailwater_core::Result;

use super::reader::Reader;
use crate::error::malformed;

/// How many bytes zlib makes of one, at most; a length beyond that is a lie that would cost memory.
const RATIO_MAX: usize = 1032;

/// zlib's state, kept from one event to the next.
#[derive(Debug)]
pub struct Inflater {
    zlib: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { zlib: Decompress::new(true) }
    }
}

impl Inflater {
    /// Fills `into` with what `source` holds: a byte that says the method and the bytes of the length, the length
    /// (big-endian), zlib's stream.
    ///
    /// # Errors
    /// Another method, another length, or a broken stream.
    pub fn inflate(&mut self, source: &[u8], into: &mut Vec<u8>) -> Result<()> {
        let mut reader = Reader::new(source, "compressed data");
        let head = reader.u8()?;
        let length_bytes = usize::from(head & 7);
        if head & 0xF0 != 0x80 || !(1..=4).contains(&length_bytes) {
            return Err(malformed(format!("compressed data begins with {head}")));
        }
        let length =
            reader.take(length_bytes)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let stream = reader.rest();
        if length > stream.len().saturating_mul(RATIO_MAX) {
            return Err(malformed(format!("{} compressed bytes cannot be {length}", stream.len())));
        }
        into.clear();
        into.reserve(length);
        self.zlib.reset(true);
        let mut status = Status::Ok;
        // An empty text needs a call too; a full buffer is only known to be at its end by one more.
        while status != Status::StreamEnd {
            let before = (self.zlib.total_in(), self.zlib.total_out());
            let left = stream.get(self.consumed()..).unwrap_or_default();
            status = self
                .zlib
                .decompress_vec(left, into, FlushDecompress::Finish)
                .map_err(|error| malformed(format!("compressed data: {error}")))?;
            if before == (self.zlib.total_in(), self.zlib.total_out()) && status != Status::StreamEnd {
                break;
            }
        }
        match status == Status::StreamEnd && into.len() == length && self.consumed() == stream.len() {
            true => Ok(()),
            false => Err(malformed(format!("compressed data of {length} bytes has another length"))),
        }
    }

    fn consumed(&self) -> usize {
        usize::try_from(self.zlib.total_in()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn deflated(text: &[u8], length: usize) -> Vec<u8> {
        let mut zlib = flate2::write::ZlibEncoder::new(vec![0x82], flate2::Compression::default());
        zlib.get_mut().extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        zlib.write_all(text).unwrap();
        zlib.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let (mut inflater, mut into) = (Inflater::default(), vec![9; 3]);
        for text in [vec![b'x'; 60_000], Vec::new(), b"short".to_vec(), (0..=255).collect()] {
            inflater.inflate(&deflated(&text, text.len()), &mut into).unwrap();
            assert_eq!(into, text);
        }
    }

    #[test]
    fn what_is_not_as_it_says_is_an_error() {
        let (mut inflater, mut into) = (Inflater::default(), Vec::new());
        let text = vec![b'x'; 1000];
        let whole = deflated(&text, 1000);
        let mut other_method = whole.clone();
        other_method[0] = 0x92;
        let longer = [whole.clone(), vec![0]].concat();
        let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
        let wrong =
            [deflated(&text, 999), deflated(&text, 1001), deflated(&text, 60_000), other_method, longer];
        for source in cut.chain(wrong) {
            assert_eq!(inflater.inflate(&source, &mut into).unwrap_err().code(), "TW-MY-040");
        }
        inflater.inflate(&whole, &mut into).unwrap();
        assert_eq!(into, text);
    }
}
