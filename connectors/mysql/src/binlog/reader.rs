//! Bytes of an event, taken from the front. Every read is bounded: what is missing is an error that names what was
//! being read. `decode`, `table_map` and `payload` read through it.

use tailwater_core::Result;

use crate::error::malformed;

/// What is left of an event's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    /// What an error says was being read.
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { left: bytes, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.left
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(bytes).ok_or_else(|| self.short())?;
        self.left = left;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk::<N>().ok_or_else(|| self.short())?;
        self.left = left;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u48(&mut self) -> Result<u64> {
        self.array().map(|[a, b, c, d, e, f]: [u8; 6]| u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    pub(crate) fn u56(&mut self) -> Result<u64> {
        self.array().map(|[a, b, c, d, e, f, g]: [u8; 7]| u64::from_le_bytes([a, b, c, d, e, f, g, 0]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length-encoded integer of the client protocol: one byte up to 250, otherwise 252, 253 or 254 and two, three
    /// or eight bytes.
    pub(crate) fn packed(&mut self) -> Result<u64> {
        Ok(match self.u8()? {
            0xFC => u64::from(self.u16()?),
            0xFD => self.array().map(|[a, b, c]: [u8; 3]| u64::from(u32::from_le_bytes([a, b, c, 0])))?,
            0xFE => self.u64()?,
            byte @ (0xFB | 0xFF) => {
                return Err(malformed(format!("{}: {byte} begins no integer", self.what)));
            }
            byte => u64::from(byte),
        })
    }

    /// A packed integer that counts bytes or things in memory.
    pub(crate) fn packed_size(&mut self) -> Result<usize> {
        let size = self.packed()?;
        usize::try_from(size)
            .ok()
            .filter(|&size| size <= isize::MAX.unsigned_abs())
            .ok_or_else(|| self.short())
    }

    /// Bytes behind their packed length.
    pub(crate) fn packed_bytes(&mut self) -> Result<&'a [u8]> {
        let size = self.packed_size()?;
        self.take(size)
    }

    /// An integer of MySQL's serialization library: as many ones at the low end of the first byte as bytes follow it.
    pub(crate) fn varlen(&mut self) -> Result<u64> {
        let first = self.u8()?;
        let following = first.trailing_ones() as usize;
        let mut bytes = [0; 8];
        for (byte, &read) in bytes.iter_mut().zip(self.take(following)?) {
            *byte = read;
        }
        let high = u64::from_le_bytes(bytes);
        if following >= 7 {
            return Ok(high);
        }
        let in_first = 7 - following;
        Ok((high << in_first) | u64::from(first >> (following + 1)))
    }

    /// Likewise with a sign, in the lowest bit.
    pub(crate) fn varlen_signed(&mut self) -> Result<i64> {
        let read = self.varlen()?;
        let magnitude = (read >> 1).cast_signed();
        Ok(if read & 1 == 0 { magnitude } else { !magnitude })
    }

    /// One byte that must be zero.
    pub(crate) fn zero(&mut self) -> Result<()> {
        match self.u8()? {
            0 => Ok(()),
            byte => Err(malformed(format!("{}: {byte} where a name ends", self.what))),
        }
    }

    fn short(&self) -> tailwater_core::Error {
        malformed(format!("{} is cut short", self.what))
    }
}
