//! What an event says, borrowed from its bytes. `decode` makes these; `assemble` acts on them.

use super::columns::Described;

/// The 19 bytes before every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Seconds since 1970, of the server that first wrote it; 0 on events that the dump makes up.
    pub timestamp: u32,
    /// The event's number.
    pub kind: u8,
    /// The server that first wrote it.
    pub server_id: u32,
    /// Header, body and checksum.
    pub bytes: u32,
    /// Where the next event begins in the file, modulo 2^32; 0 where the server does not say (MariaDB 11.4 inside of
    /// transactions, inside of a compressed payload).
    pub log_pos: u32,
    /// `LOG_EVENT_*_F`.
    pub flags: u16,
}

/// One event of the log. Numbers of events are those of the servers' sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// FORMAT_DESCRIPTION (15): how to read what follows in this file.
    Format(Format),
    /// ROTATE (4): what follows is of that file. Artificial ones (header `timestamp` 0 or `log_pos` 0) name the file
    /// the dump is in.
    Rotate {
        /// `binlog.000002`
        file: &'a [u8],
        /// Where in it.
        position: u64,
    },
    /// GTID (33), GTID_TAGGED (42), ANONYMOUS_GTID (34): a transaction begins.
    Gtid(Gtid<'a>),
    /// MariaDB's GTID (162): a transaction begins.
    MariaGtid(MariaGtid),
    /// PREVIOUS_GTIDS (35), MariaDB's GTID_LIST (163), BINLOG_CHECKPOINT (161), STOP (3): they tell of other events or of the
    /// server's own recovery.
    Bookkeeping,
    /// QUERY (2), and MariaDB's QUERY_COMPRESSED (165) once inflated: BEGIN, COMMIT, DDL, XA, or a statement in statement format.
    Query(Query<'a>),
    /// MariaDB's QUERY_COMPRESSED (165), to be inflated by [`Query::inflated`].
    CompressedQuery(&'a [u8]),
    /// XID (16): the transaction is committed.
    Xid(u64),
    /// XA_PREPARE (38): what was written since the last GTID is prepared, not committed, unless `one_phase`.
    XaPrepare {
        /// `XA COMMIT … ONE PHASE`: it is committed.
        one_phase: bool,
        /// The transaction's name, as `XA COMMIT` spells it: `X'…',X'…',1`.
        xid: String,
    },
    /// TABLE_MAP (19): what the number of a table in the rows events that follow means.
    TableMap(TableMap<'a>),
    /// WRITE/UPDATE/DELETE_ROWS v1 (23–25) and v2 (30–32), PARTIAL_UPDATE_ROWS (39), MariaDB's compressed ones (166–171).
    Rows(Rows<'a>),
    /// TRANSACTION_PAYLOAD (40): the events of a transaction, compressed.
    Payload(Payload<'a>),
    /// HEARTBEAT (27) and HEARTBEAT_V2 (41): nothing happened; the dump stands there.
    Heartbeat {
        /// `binlog.000002`
        file: &'a [u8],
        /// Where in it; `None` where only the header tells.
        position: Option<u64>,
    },
    /// ROWS_QUERY (29), MariaDB's ANNOTATE_ROWS (160): the statement that the rows which follow are from.
    RowsQuery(&'a [u8]),
    /// INCIDENT (26): the log lacks something from here on.
    Incident {
        /// 1: lost events.
        number: u16,
        /// What the server says of it.
        message: &'a [u8],
    },
    /// INTVAR (5), RAND (13), USER_VAR (14), and those of LOAD DATA (6, 8–12, 17, 18): parts of a statement in statement format.
    StatementPart,
    /// Marked by the server as one that may be passed over (`LOG_EVENT_IGNORABLE_F`), IGNORABLE (28); and the ones of group
    /// replication, TRANSACTION_CONTEXT (36), VIEW_CHANGE (37), which carry no change.
    Ignorable,
}

/// FORMAT_DESCRIPTION.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// `9.7.4`, `11.8.6-MariaDB-log`.
    pub server_version: String,
    /// Every event ends in four bytes of CRC-32.
    pub checksummed: bool,
    /// Bytes of the fixed part of each kind of event, by its number less one.
    pub post_header_bytes: Vec<u8>,
}

/// GTID of MySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gtid<'a> {
    /// The server (or group) that committed it first; all zero where GTIDs are off.
    pub uuid: [u8; 16],
    /// Empty for most.
    pub tag: &'a str,
    /// From 1; 0 where GTIDs are off (ANONYMOUS).
    pub number: u64,
    /// Commit at the server we read, µs since 1970; 0 where it does not say (before 8.0).
    pub commit_time_us: u64,
    /// Commit at the server where it was made.
    pub original_commit_time_us: u64,
    /// Bytes of all its events; 0 where it does not say.
    pub bytes: u64,
}

/// GTID of MariaDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MariaGtid {
    /// Its own order.
    pub domain: u32,
    /// Within the domain.
    pub sequence: u64,
    /// `FL_*`: 1 standalone, 2 group commit, 4 transactional, 8 allows parallel, 16 waited, 32 DDL, 64 prepared XA,
    /// 128 completed XA.
    pub flags: u8,
    /// Of a prepared or completed XA transaction: its name, as `XA COMMIT` spells it.
    pub xid: Option<Xid>,
}

/// The name of an XA transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xid {
    /// `formatID`
    pub format: u32,
    /// Bytes of the global part.
    pub global_bytes: u8,
    /// Bytes of the branch.
    pub branch_bytes: u8,
    /// Both parts, and zeros.
    pub data: [u8; 128],
}

/// A statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The connection that ran it.
    pub thread: u32,
    /// The error it ended with at the server; 0 for none.
    pub error: u16,
    /// The default database.
    pub schema: &'a [u8],
    /// The statement, in the client's character set.
    pub text: &'a [u8],
    /// Collation of the text (`@@character_set_client`), where told.
    pub collation: Option<u16>,
}

/// TABLE_MAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableMap<'a> {
    /// What rows events call it, until it changes.
    pub number: u64,
    /// `TM_*`.
    pub flags: u16,
    /// The database, UTF-8.
    pub schema: &'a [u8],
    /// The table, UTF-8.
    pub table: &'a [u8],
    /// Everything after the table's number: equal bytes, equal table. What a cache goes by.
    pub body: &'a [u8],
    /// One type number per column.
    pub types: &'a [u8],
    /// What belongs to the types, packed.
    pub metadata: &'a [u8],
    /// One bit per column.
    pub nullable: &'a [u8],
    /// Blocks of a type, a length and what the server says besides.
    pub optional: &'a [u8],
}

/// The columns of a [`TableMap`] and whether the log names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// In the order of the row images.
    pub columns: Vec<Described>,
}

/// What rows events do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    /// One image per row: the new one.
    Write,
    /// Two: the old and the new one.
    Update,
    /// One: the old one.
    Delete,
    /// Two, and of JSON columns perhaps only what changed.
    PartialUpdate,
}

/// A rows event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<'a> {
    /// What it does.
    pub kind: RowsKind,
    /// The number of its table in the last TABLE_MAP.
    pub table: u64,
    /// The statement ends with it (`STMT_END_F`).
    pub ends_statement: bool,
    /// Columns of the table.
    pub columns: usize,
    /// One bit per column: whether the first image has it.
    pub first_present: &'a [u8],
    /// Likewise of the second image; the same as the first where there is only one.
    pub second_present: &'a [u8],
    /// The images, one after the other; compressed where `compressed`.
    pub images: &'a [u8],
    /// MariaDB's: to be inflated first.
    pub compressed: bool,
}

/// TRANSACTION_PAYLOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// zstd, or the events as they are.
    pub zstd: bool,
    /// Bytes of the events.
    pub inflated_bytes: u64,
    /// What is compressed.
    pub content: &'a [u8],
}
