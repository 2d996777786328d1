//! The messages of the `pgoutput` plugin, protocol versions 1 to 4, as pure borrowed data.
//!
//! No I/O, no allocation, no state: what a message means for the ones after it (open transactions, streamed chunks,
//! the shapes of relations) is the stream's affair, which calls [`decode`] for the payload of every
//! [`Replication::XLogData`](crate::envelope::Replication). Layouts: "Logical Replication Message Formats" of the
//! Postgres manual. An unknown tag, flag or trailing byte is an error, never skipped.

mod reader;
#[cfg(test)]
mod tests;
mod tuple;

use crate::lsn::Lsn;
use reader::{Reader, Result};

pub use reader::DecodeError;
pub(crate) use reader::{postgres_us, unix_us};
pub use tuple::{Relation, RelationColumn, ReplicaIdentity, Tuple, TupleValue, TupleValues};

/// What an update or a delete says about the row as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old<'a> {
    /// Its replica identity; every other value is [`TupleValue::Null`], whatever it was.
    Key(Tuple<'a>),
    /// All of it.
    Full(Tuple<'a>),
}

/// The commit of a transaction, streamed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit record starts.
    pub commit_lsn: Lsn,
    /// Where it ends: what may be confirmed once the transaction is durable.
    pub end_lsn: Lsn,
    /// When, µs since 1970.
    pub commit_time_us: i64,
}

/// The preparation of a two-phase transaction, or its begin, streamed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// Where the prepare record starts.
    pub prepare_lsn: Lsn,
    /// Where it ends.
    pub end_lsn: Lsn,
    /// When, µs since 1970.
    pub prepare_time_us: i64,
    /// The transaction.
    pub xid: u32,
    /// The name its user gave it.
    pub gid: &'a str,
}

/// One message. `xid` is there inside a streamed chunk only: the (sub)transaction that made the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are named as in the manual's message formats")]
pub enum Message<'a> {
    /// A transaction starts; `final_lsn` is the `commit_lsn` of its commit.
    Begin { final_lsn: Lsn, commit_time_us: i64, xid: u32 },
    /// The transaction is complete.
    Commit(Commit),
    /// The transaction was first committed at another server.
    Origin { origin_lsn: Lsn, name: &'a str },
    /// The shape of the rows that follow for a table.
    Relation { xid: Option<u32>, relation: Relation<'a> },
    /// The name of a type that is not built in; of a domain, the base type's.
    Type { xid: Option<u32>, oid: u32, schema: &'a str, name: &'a str },
    /// A new row.
    Insert { xid: Option<u32>, relation: u32, new: Tuple<'a> },
    /// A changed row.
    Update { xid: Option<u32>, relation: u32, old: Option<Old<'a>>, new: Tuple<'a> },
    /// A row that went.
    Delete { xid: Option<u32>, relation: u32, old: Old<'a> },
    /// Emptied tables.
    Truncate { xid: Option<u32>, relations: Relations<'a>, cascade: bool, restart_identity: bool },
    /// Something written with `pg_logical_emit_message`.
    Message { xid: Option<u32>, transactional: bool, lsn: Lsn, prefix: &'a [u8], content: &'a [u8] },
    /// A chunk of the transaction `xid`, which is not complete, starts.
    StreamStart { xid: u32, first_segment: bool },
    /// The chunk ends.
    StreamStop,
    /// A streamed transaction is complete.
    StreamCommit { xid: u32, commit: Commit },
    /// A streamed transaction, or where `subxid` differs one of its savepoints, is undone. `at` is sent with
    /// `streaming=parallel` only: where and when (µs since 1970).
    StreamAbort { xid: u32, subxid: u32, at: Option<(Lsn, i64)> },
    /// A two-phase transaction starts.
    BeginPrepare(Prepare<'a>),
    /// It is prepared.
    Prepare(Prepare<'a>),
    /// A prepared transaction is committed.
    CommitPrepared { commit: Commit, xid: u32, gid: &'a str },
    /// A prepared transaction is rolled back.
    RollbackPrepared {
        prepare_end_lsn: Lsn,
        rollback_end_lsn: Lsn,
        prepare_time_us: i64,
        rollback_time_us: i64,
        xid: u32,
        gid: &'a str,
    },
    /// A streamed two-phase transaction is prepared.
    StreamPrepare(Prepare<'a>),
}

/// The tables of a truncate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relations<'a>(&'a [u8]);

impl<'a> Relations<'a> {
    /// Their oids.
    pub fn oids(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// Reads one message. `in_stream`: it came between [`Message::StreamStart`] and [`Message::StreamStop`], where
/// changes carry the number of their transaction.
///
/// # Errors
/// Where the bytes are not exactly one message: says which tag, at which offset, and what is wrong.
#[inline]
pub fn decode(message: &[u8], in_stream: bool) -> Result<Message<'_>> {
    let mut reader = Reader::new(message);
    let decoded = match reader.u8()? {
        b'I' => insert(&mut reader, in_stream)?,
        b'U' => update(&mut reader, in_stream)?,
        b'D' => delete(&mut reader, in_stream)?,
        tag => rare(tag, &mut reader, in_stream)?,
    };
    reader.end()?;
    Ok(decoded)
}

/// Everything but rows.
fn rare<'a>(tag: u8, reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    match tag {
        b'B' => Ok(Message::Begin {
            final_lsn: reader.lsn()?,
            commit_time_us: reader.time_us()?,
            xid: reader.u32()?,
        }),
        b'C' => commit(reader).map(Message::Commit),
        b'O' => Ok(Message::Origin { origin_lsn: reader.lsn()?, name: reader.name()? }),
        b'R' => {
            Ok(Message::Relation { xid: change_xid(reader, in_stream)?, relation: Relation::read(reader)? })
        }
        b'Y' => named_type(reader, in_stream),
        b'T' => truncate(reader, in_stream),
        b'M' => logical_message(reader, in_stream),
        b'S' => Ok(Message::StreamStart {
            xid: reader.u32()?,
            first_segment: flag(reader, "unknown segment flag")?,
        }),
        b'E' => Ok(Message::StreamStop),
        b'c' => Ok(Message::StreamCommit { xid: reader.u32()?, commit: commit(reader)? }),
        b'A' => stream_abort(reader),
        b'b' => prepare(reader).map(Message::BeginPrepare),
        b'P' => {
            reader.no_flags()?;
            prepare(reader).map(Message::Prepare)
        }
        b'K' => {
            Ok(Message::CommitPrepared { commit: commit(reader)?, xid: reader.u32()?, gid: reader.name()? })
        }
        b'r' => rollback_prepared(reader),
        b'p' => {
            reader.no_flags()?;
            prepare(reader).map(Message::StreamPrepare)
        }
        0..=u8::MAX => Err(reader.wrong(1, "unknown message")),
    }
}

#[inline]
fn change_xid(reader: &mut Reader<'_>, in_stream: bool) -> Result<Option<u32>> {
    if in_stream { reader.u32().map(Some) } else { Ok(None) }
}

fn insert<'a>(reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    let (xid, relation) = (change_xid(reader, in_stream)?, reader.u32()?);
    match reader.u8()? {
        b'N' => Ok(Message::Insert { xid, relation, new: Tuple::read(reader)? }),
        0..=u8::MAX => Err(reader.wrong(1, "no new row where one must be")),
    }
}

fn update<'a>(reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    let (xid, relation) = (change_xid(reader, in_stream)?, reader.u32()?);
    let (old, then) = match reader.u8()? {
        b'K' => (Some(Old::Key(Tuple::read(reader)?)), reader.u8()?),
        b'O' => (Some(Old::Full(Tuple::read(reader)?)), reader.u8()?),
        other => (None, other),
    };
    match then {
        b'N' => Ok(Message::Update { xid, relation, old, new: Tuple::read(reader)? }),
        0..=u8::MAX => Err(reader.wrong(1, "no new row where one must be")),
    }
}

fn delete<'a>(reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    let (xid, relation) = (change_xid(reader, in_stream)?, reader.u32()?);
    let old = match reader.u8()? {
        b'K' => Old::Key(Tuple::read(reader)?),
        b'O' => Old::Full(Tuple::read(reader)?),
        0..=u8::MAX => return Err(reader.wrong(1, "no old row where one must be")),
    };
    Ok(Message::Delete { xid, relation, old })
}

fn truncate<'a>(reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    let (xid, count) = (change_xid(reader, in_stream)?, reader.u32()?);
    let flags = reader.u8()?;
    if flags > 3 {
        return Err(reader.wrong(1, "unknown truncate flags"));
    }
    let relations = match count.checked_mul(4) {
        Some(len) => Relations(reader.bytes(len)?),
        None => return Err(reader.wrong(5, "more tables than a message can hold")),
    };
    Ok(Message::Truncate { xid, relations, cascade: flags & 1 != 0, restart_identity: flags & 2 != 0 })
}

fn named_type<'a>(reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    let (xid, oid) = (change_xid(reader, in_stream)?, reader.u32()?);
    let schema = match reader.name()? {
        "" => "pg_catalog",
        schema => schema,
    };
    Ok(Message::Type { xid, oid, schema, name: reader.name()? })
}

fn logical_message<'a>(reader: &mut Reader<'a>, in_stream: bool) -> Result<Message<'a>> {
    let xid = change_xid(reader, in_stream)?;
    let transactional = flag(reader, "unknown message flags")?;
    let (lsn, prefix, len) = (reader.lsn()?, reader.terminated()?, reader.u32()?);
    Ok(Message::Message { xid, transactional, lsn, prefix, content: reader.bytes(len)? })
}

fn flag(reader: &mut Reader<'_>, wrong: &'static str) -> Result<bool> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        2.. => Err(reader.wrong(1, wrong)),
    }
}

fn commit(reader: &mut Reader<'_>) -> Result<Commit> {
    reader.no_flags()?;
    Ok(Commit { commit_lsn: reader.lsn()?, end_lsn: reader.lsn()?, commit_time_us: reader.time_us()? })
}

fn stream_abort<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    let (xid, subxid) = (reader.u32()?, reader.u32()?);
    let at = if reader.rest().is_empty() { None } else { Some((reader.lsn()?, reader.time_us()?)) };
    Ok(Message::StreamAbort { xid, subxid, at })
}

fn prepare<'a>(reader: &mut Reader<'a>) -> Result<Prepare<'a>> {
    Ok(Prepare {
        prepare_lsn: reader.lsn()?,
        end_lsn: reader.lsn()?,
        prepare_time_us: reader.time_us()?,
        xid: reader.u32()?,
        gid: reader.name()?,
    })
}

fn rollback_prepared<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>> {
    reader.no_flags()?;
    Ok(Message::RollbackPrepared {
        prepare_end_lsn: reader.lsn()?,
        rollback_end_lsn: reader.lsn()?,
        prepare_time_us: reader.time_us()?,
        rollback_time_us: reader.time_us()?,
        xid: reader.u32()?,
        gid: reader.name()?,
    })
}
