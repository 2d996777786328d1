//! The events that name a transaction: GTIDs of MySQL in both their forms, of MariaDB, and the names of XA
//! transactions. For `decode` alone.

use std::fmt;

use tailwater_core::Result;

use super::event::{Event, Gtid, MariaGtid, Xid};
use super::reader::Reader;
use crate::error::malformed;

/// Behind it stand a GTID's logical timestamps (MySQL 5.7 and later).
const LOGICAL_TIMESTAMPS: u8 = 2;
/// In a commit time: another one follows, of the server where the transaction was made.
const ORIGINAL_FOLLOWS: u64 = 1 << 55;

/// GTID and ANONYMOUS_GTID: every version of MySQL added something at the end.
pub(crate) fn gtid(body: &[u8]) -> Result<Gtid<'_>> {
    let mut reader = Reader::new(body, "a GTID event");
    let _flags = reader.u8()?;
    let mut gtid = Gtid {
        uuid: reader.array()?,
        tag: "",
        number: reader.u64()?,
        commit_time_us: 0,
        original_commit_time_us: 0,
        bytes: 0,
    };
    if reader.is_empty() || reader.u8()? != LOGICAL_TIMESTAMPS {
        return Ok(gtid);
    }
    let _last_committed = reader.u64()?;
    let _sequence = reader.u64()?;
    if reader.is_empty() {
        return Ok(gtid);
    }
    let committed = reader.u56()?;
    gtid.commit_time_us = committed & !ORIGINAL_FOLLOWS;
    gtid.original_commit_time_us =
        if committed & ORIGINAL_FOLLOWS == 0 { gtid.commit_time_us } else { reader.u56()? };
    if !reader.is_empty() {
        gtid.bytes = reader.packed()?;
    }
    Ok(gtid)
}

/// GTID_TAGGED: a message of MySQL's serialization library. Fields by number, in order, each as long as its type says;
/// one that is not known can therefore not be passed over, and ends the message where it may be.
pub(crate) fn tagged_gtid(body: &[u8]) -> Result<Gtid<'_>> {
    let mut reader = Reader::new(body, "a GTID_TAGGED event");
    let version = reader.u8()?;
    if version != 2 {
        return Err(malformed(format!("a GTID_TAGGED event is of version {}", version >> 1)));
    }
    let size = reader.varlen()?;
    if usize::try_from(size) != Ok(body.len()) {
        return Err(malformed(format!("a GTID_TAGGED event of {size} bytes has {}", body.len())));
    }
    let last_required = reader.varlen()?;
    let (mut uuid, mut tag, mut number) = (None, None, None);
    let (mut committed, mut original, mut bytes) = (0, None, 0);
    while !reader.is_empty() {
        match reader.varlen()? {
            // Flags, versions of servers, the ticket of a group commit.
            0 | 9..=11 => drop(reader.varlen()?),
            1 => uuid = Some(serialized_uuid(&mut reader)?),
            2 => number = Some(reader.varlen_signed()?),
            3 => tag = Some(serialized_tag(&mut reader)?),
            // Logical timestamps.
            4 | 5 => drop(reader.varlen_signed()?),
            6 => committed = reader.varlen()?,
            7 => original = Some(reader.varlen()?),
            8 => bytes = reader.varlen()?,
            unknown if unknown <= last_required => {
                return Err(malformed(format!("a GTID_TAGGED event has a field {unknown}")));
            }
            _optional => break,
        }
    }
    let number = number.and_then(|number| u64::try_from(number).ok());
    let (Some(uuid), Some(tag), Some(number)) = (uuid, tag, number) else {
        return Err(malformed("a GTID_TAGGED event lacks its GTID"));
    };
    Ok(Gtid {
        uuid,
        tag,
        number,
        commit_time_us: committed,
        original_commit_time_us: original.unwrap_or(committed),
        bytes,
    })
}

/// Sixteen integers of one byte each.
fn serialized_uuid(reader: &mut Reader<'_>) -> Result<[u8; 16]> {
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let read = reader.varlen()?;
        *byte =
            u8::try_from(read).map_err(|error| malformed(format!("a byte of a UUID is {read}: {error}")))?;
    }
    Ok(uuid)
}

fn serialized_tag<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
    let bytes = usize::try_from(reader.varlen()?).unwrap_or(usize::MAX);
    let tag = reader.take(bytes)?;
    str::from_utf8(tag).map_err(|error| malformed(format!("a GTID's tag is not UTF-8: {error}")))
}

/// MariaDB's GTID.
pub(crate) fn maria_gtid(body: &[u8]) -> Result<MariaGtid> {
    let mut reader = Reader::new(body, "a GTID event");
    let sequence = reader.u64()?;
    let domain = reader.u32()?;
    let flags = reader.u8()?;
    if flags & MariaGtid::GROUP_COMMIT != 0 {
        let _group = reader.u64()?;
    }
    let named = flags & (MariaGtid::PREPARED_XA | MariaGtid::COMPLETED_XA) != 0;
    let xid = if named { Some(maria_xid(&mut reader)?) } else { None };
    Ok(MariaGtid { domain, sequence, flags, xid })
}

impl MariaGtid {
    /// `FL_STANDALONE`: one event, no COMMIT behind it.
    pub const STANDALONE: u8 = 1;
    /// `FL_GROUP_COMMIT_ID`
    pub const GROUP_COMMIT: u8 = 2;
    /// `FL_PREPARED_XA`: it ends in an XA PREPARE.
    pub const PREPARED_XA: u8 = 64;
    /// `FL_COMPLETED_XA`: it is an XA COMMIT or XA ROLLBACK.
    pub const COMPLETED_XA: u8 = 128;
}

fn maria_xid(reader: &mut Reader<'_>) -> Result<Xid> {
    let format = reader.u32()?;
    let global_bytes = reader.u8()?;
    let branch_bytes = reader.u8()?;
    let name = reader.take(usize::from(global_bytes) + usize::from(branch_bytes))?;
    Xid::new(format, global_bytes, branch_bytes, name)
}

/// XA_PREPARE of both servers.
pub(crate) fn xa_prepare(body: &[u8]) -> Result<Event<'_>> {
    let mut reader = Reader::new(body, "an XA_PREPARE event");
    let one_phase = reader.u8()? != 0;
    let format = reader.u32()?;
    let lengths = (reader.u32()?, reader.u32()?);
    let (Ok(global_bytes), Ok(branch_bytes)) = (u8::try_from(lengths.0), u8::try_from(lengths.1)) else {
        return Err(malformed("the name of an XA transaction is too long"));
    };
    let name = reader.take(usize::from(global_bytes) + usize::from(branch_bytes))?;
    let xid = Xid::new(format, global_bytes, branch_bytes, name)?;
    Ok(Event::XaPrepare { one_phase, xid: xid.to_string() })
}

impl Xid {
    fn new(format: u32, global_bytes: u8, branch_bytes: u8, name: &[u8]) -> Result<Self> {
        let mut data = [0; 128];
        let (Some(place), true) = (data.get_mut(..name.len()), global_bytes <= 64 && branch_bytes <= 64)
        else {
            return Err(malformed("the name of an XA transaction is too long"));
        };
        place.copy_from_slice(name);
        Ok(Self { format, global_bytes, branch_bytes, data })
    }
}

impl fmt::Display for Xid {
    /// As the servers write it in `XA COMMIT`: `X'6131',X'',1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (global, rest) = self.data.split_at_checked(self.global_bytes.into()).unwrap_or_default();
        let branch = rest.get(..self.branch_bytes.into()).unwrap_or_default();
        for part in [global, branch] {
            f.write_str("X'")?;
            part.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("',")?;
        }
        write!(f, "{}", self.format)
    }
}
