//! The 19 bytes before every event, and the four of its checksum. The source calls [`checked`] on every packet, then
//! `decode` on what that returns.

use tailwater_core::Result;

use super::decode::{FORMAT_DESCRIPTION, ends_in_checksum};
use super::event::{Format, Header};
use super::reader::Reader;
use crate::error::{malformed, wrong_checksum};

/// `LOG_EVENT_BINLOG_IN_USE_F`: the file was not closed. Set and cleared without a new checksum.
const IN_USE: u8 = 1;
/// Where the flags' low byte is.
const FLAGS_AT: usize = 17;

impl Header {
    /// Bytes of every header.
    pub const BYTES: usize = 19;
    /// `LOG_EVENT_ARTIFICIAL_F`: made up by the dump, not in the file.
    pub const ARTIFICIAL: u16 = 0x20;
    /// `LOG_EVENT_IGNORABLE_F`: whoever does not know the event may pass over it.
    pub const IGNORABLE: u16 = 0x80;

    /// The header in front of `event`.
    ///
    /// # Errors
    /// Fewer than 19 bytes.
    pub fn parse(event: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(event, "an event's header");
        Ok(Self {
            timestamp: reader.u32()?,
            kind: reader.u8()?,
            server_id: reader.u32()?,
            bytes: reader.u32()?,
            log_pos: reader.u32()?,
            flags: reader.u16()?,
        })
    }

    /// Where the event ends in its file, of which the last event ended at `before`; `None` for one that is not in the file,
    /// because the dump made it up.
    #[must_use]
    pub fn ends(&self, before: u64) -> Option<u64> {
        // Descriptions of the file in its middle, heartbeats.
        let made_up = self.log_pos == 0 && (self.timestamp == 0 || self.kind == FORMAT_DESCRIPTION);
        if self.flags & Self::ARTIFICIAL != 0 || made_up || matches!(self.kind, 27 | 41) {
            return None;
        }
        let summed = before + u64::from(self.bytes);
        if self.log_pos == 0 {
            return Some(summed);
        }
        // The header's is modulo 2^32.
        let told = (summed & !u64::from(u32::MAX)) | u64::from(self.log_pos);
        Some(if told + (1 << 31) < summed { told + (1 << 32) } else { told })
    }
}

/// `event` without its checksum, which matches. `format` is that of the file, `None` before the first
/// FORMAT_DESCRIPTION: a dump begins with a ROTATE of its own making, whose checksum is there if it matches.
///
/// Not for events inside of a TRANSACTION_PAYLOAD: they have none.
///
/// # Errors
/// The checksum does not match, or the event has another length than its header says.
pub fn checked<'a>(event: &'a [u8], format: Option<&Format>) -> Result<&'a [u8]> {
    let header = Header::parse(event)?;
    if u32::try_from(event.len()) != Ok(header.bytes) {
        return Err(malformed(format!(
            "an event of kind {} has {} bytes, its header says {}",
            header.kind,
            event.len(),
            header.bytes
        )));
    }
    let Some((content, checksum)) =
        event.split_last_chunk::<4>().filter(|(rest, _)| rest.len() >= Header::BYTES)
    else {
        return Ok(event);
    };
    let matches = || crc32(content, header.kind) == u32::from_le_bytes(*checksum);
    if header.kind == FORMAT_DESCRIPTION {
        // It always has the four bytes; they hold a checksum if the byte before them says so.
        return match ends_in_checksum(content)? {
            true if !matches() => Err(wrong_checksum(header.kind)),
            true | false => Ok(content),
        };
    }
    match format.map(|format| format.checksummed) {
        Some(true) if !matches() => Err(wrong_checksum(header.kind)),
        Some(true) => Ok(content),
        None if matches() => Ok(content),
        Some(false) | None => Ok(event),
    }
}

/// As the server computed it: over everything before it, with the file marked as closed.
fn crc32(content: &[u8], kind: u8) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    match content.split_at_checked(FLAGS_AT) {
        Some((before, [flags, after @ ..])) if kind == FORMAT_DESCRIPTION => {
            hasher.update(before);
            hasher.update(&[flags & !IN_USE]);
            hasher.update(after);
        }
        Some(_) | None => hasher.update(content),
    }
    hasher.finalize()
}
