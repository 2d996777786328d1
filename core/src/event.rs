//! What a batch consists of: changes, each with the transaction and the place in the log that it belongs to.

use std::sync::Arc;

use crate::{Row, Table};

/// What happened.
#[allow(missing_docs, reason = "the fields say what they are: the table, its old and its new row")]
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// A row came to be.
    Insert { table: &'a Arc<Table>, new: Row<'a> },
    /// A row changed. `old` is there when the key changed (key values only, the others unsent) or when the table
    /// sends whole old rows; otherwise the key is the one in `new`.
    Update { table: &'a Arc<Table>, old: Option<Row<'a>>, new: Row<'a> },
    /// A row went; `old` holds its key at least.
    Delete { table: &'a Arc<Table>, old: Row<'a> },
    /// All rows went.
    Truncate { table: &'a Arc<Table> },
    /// From here on the table has this shape. Comes before the first change after every (re)start of the source too,
    /// so a sink compares it with what it has.
    Shape { table: &'a Arc<Table> },
    /// The table is gone.
    Drop { table: &'a Arc<Table> },
    /// The source gives the table up, and says why (UTF-8): no more of it comes. What the target has of it is not right any more.
    Stop { table: &'a Arc<Table>, reason: &'a [u8] },
    /// The first copy of the table starts: whatever an unfinished copy left in the target is to go. Where nothing has been
    /// streamed yet (`to.stream` is empty), that are also the tables that `to.copies` does not list.
    CopyStart { table: &'a Arc<Table> },
    /// A row as it was when the copy's snapshot was taken.
    Copied { table: &'a Arc<Table>, new: Row<'a> },
    /// The table's first copy is whole.
    CopyEnd { table: &'a Arc<Table> },
    /// A message somebody wrote into the log (`pg_logical_emit_message`).
    Message { prefix: &'a [u8], content: &'a [u8], transactional: bool },
    /// A statement that makes, changes or removes tables or databases, in its own words: for whoever hands those on. What it
    /// means for a table that is carried, [`Change::Shape`] and [`Change::Drop`] tell. Only from a source that is asked for it.
    Statement(Statement<'a>),
}

/// The words of a [`Change::Statement`], and what they do.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The database that it is about; empty where it is about none.
    pub database: &'a [u8],
    /// Its words; of a statement about several tables, those about one of them.
    pub text: &'a [u8],
    /// The table that it is about, as it is afterwards. One without columns is gone, or nobody can tell any more what they were.
    pub table: Option<(Verb, &'a Arc<Table>)>,
    /// The character set of the table's columns that have none of their own; empty where unknown.
    pub charset: &'a [u8],
    /// Nobody ran it: it would bring about what the first copy finds.
    pub copied: bool,
}

/// What a statement does to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It came to be.
    Create,
    /// It has other columns, another name, another key.
    Alter,
    /// It went.
    Drop,
}

/// The source transaction of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// Its commit position, in the notation of [`Position::stream`](crate::Position::stream); for a copied row, the snapshot's.
    pub id: &'a str,
    /// When it was committed, µs since 1970 by the source's clock.
    pub commit_time_us: i64,
    /// Its number at the source; 0 where there is none.
    pub xid: u64,
    /// Where in the log the transaction before it ended, as in [`Event::log_offset`]; 0 where none was streamed.
    pub follows: u64,
    /// Where in the log it begins; 0 where unknown.
    pub starts: u64,
    /// Where in the log it ends; 0 until the batch has been told so.
    pub ends: u64,
    /// The server that first committed it, where it came here by replication; empty where it was born here.
    pub origin: &'a str,
    /// Where in that server's log it ended.
    pub origin_offset: u64,
    /// The file of the log that it stands in, where a log has several and offsets count inside one (MySQL:
    /// `binlog.000003`); empty elsewhere.
    pub log_file: &'a str,
    /// The number of the server that first committed it; 0 where servers have none.
    pub server: u64,
    /// The number of the connection that made it; 0 where the log does not say.
    pub thread: u64,
}

/// A change with where it belongs. `(position.source, transaction.id, ordinal)` is its id, the same after any replay.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// What happened.
    pub change: Change<'a>,
    /// In which transaction.
    pub transaction: Transaction<'a>,
    /// Its number inside the transaction, from 0, counting rows, truncates and messages. Events that a restart may add
    /// (shapes, copy marks), and statements, have the number of the one that follows.
    pub ordinal: u64,
    /// Where in the source's log the change itself stands, in bytes (Postgres: the LSN; MySQL: the offset in the binlog
    /// file, which all rows of one log event share). For a copied row, where its snapshot stands; 0 where unknown.
    pub log_offset: u64,
    /// Its number among the rows of one event of the log, from 0; always 0 where those have one row each.
    pub log_row: u32,
}
