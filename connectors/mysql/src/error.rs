//! From the server's error numbers and I/O errors to [`Error`] with its kind. The only file that knows error numbers;
//! every other file of this crate that meets an error of the server or the socket comes here.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-MY-040 | data | bytes of the binary log are not as known here | report it; look for a newer release |
//! | TW-MY-041 | data | an event of the binary log has a number that is not known here | report it; look for a newer release |
//! | TW-MY-042 | data | a GTID set or list cannot be read | correct it where it was given; otherwise report it |
//! | TW-MY-043 | data | an event's checksum does not match its bytes | look for a broken disk or memory at the server: `mysqlbinlog --verify-binlog-checksum` |
//! | TW-MY-044 | data | a column has a type that is not known here | leave the table out; look for a newer release |
//! | TW-MY-045 | data | an event stands where the log has no place for it | report it |
//! | TW-MY-046 | data | rows of a table that was not described before | report it |
//! | TW-MY-047 | data | a row does not have the shape that was described | report it |
//! | TW-MY-048 | operator | a captured table was changed by a statement instead of rows, or it cannot be told which was | `SET GLOBAL binlog_format=ROW`, then copy everything afresh |
//! | TW-MY-049 | operator | the server lost a part of its log (INCIDENT) | copy everything afresh |
//! | TW-MY-050 | data | two columns of a table have the same id here | rename one of them |
//! | TW-MY-051 | operator | a change of a table without a primary key does not carry the whole old row | a primary key, or `binlog_row_image=FULL`; then copy everything afresh |
//! | TW-MY-052 | operator | an XA transaction is prepared where a restart could not go back to it | XA needs MySQL with `gtid_mode=ON` |
//! | TW-MY-053 | operator | XA transactions that are not committed hold too many rows | `XA RECOVER`, then commit them or roll them back |
//! | TW-MY-054 | data | a transaction with rows was rolled back, and which of them stayed cannot be told | copy everything afresh |
//! | TW-MY-055 | operator | the log does not say what a column is | `SET GLOBAL binlog_row_metadata=FULL`, then reconnect the writers and copy everything afresh |
//! | TW-MY-056 | data | a text has bytes that mean nothing in its character set | correct the value at the source, or leave the column out |
//! | TW-MY-057 | data | a collation or character set that is not known here | report it; convert the column to utf8mb4 |
//! | TW-MY-058 | operator | a transaction has no GTID, and the position is made of them | `gtid_mode=ON`, then copy everything afresh |
//! | TW-MY-059 | data | a statement about tables is in a character set that is not decoded here | `SET NAMES utf8mb4`, then copy everything afresh |

use tailwater_core::Error;

/// Bytes of the log that cannot be read.
pub(crate) fn malformed(what: impl Into<String>) -> Error {
    Error::data("TW-MY-040", what)
}

/// What cannot stand there.
pub(crate) fn out_of_place(what: &str) -> Error {
    Error::data("TW-MY-045", format!("{what} where the log has no place for it"))
}

/// Rows of a table that was not described.
pub(crate) fn undescribed(number: u64) -> Error {
    Error::data("TW-MY-046", format!("rows of table number {number}, which was not described before"))
}

/// Rows that do not have the shape that the log told.
pub(crate) fn not_of_shape(table: &str) -> Error {
    Error::data("TW-MY-047", format!("a row of {table} does not have its shape"))
}

/// A statement where rows were expected; of which table, where that can be told.
pub(crate) fn statement(table: Option<&str>) -> Error {
    let what = match table {
        Some(table) => format!("{table} was changed by a statement that the log holds instead of its rows"),
        None => {
            "the log holds a statement instead of rows, and which tables it changed cannot be told".to_owned()
        }
    };
    Error::operator("TW-MY-048", what).remedy(
        "SET GLOBAL binlog_format=ROW, let the sessions that write reconnect, then copy everything afresh: what the \
         statement did is not in the log",
    )
}

/// INCIDENT
pub(crate) fn incident(number: u16, message: &str) -> Error {
    let what = format!("the server says that its log lacks something here: incident {number} {message}");
    Error::operator("TW-MY-049", what).remedy("copy everything afresh")
}

/// An old row by which nobody can find it.
pub(crate) fn unidentified(table: &str) -> Error {
    let what = format!(
        "a change of {table} does not say which row it changed: the log does not hold whole rows, and the table has no primary key"
    );
    Error::operator("TW-MY-051", what).remedy(format!(
        "ALTER TABLE {table} ADD PRIMARY KEY (…), or SET GLOBAL binlog_row_image=FULL and let the sessions that write \
         reconnect; then copy everything afresh"
    ))
}

/// A prepared transaction that a restart could not go back to.
pub(crate) fn xa(xid: &str) -> Error {
    let what = format!("XA transaction {xid} changed captured tables and is prepared, not committed");
    Error::operator("TW-MY-052", what).remedy(
        "XA transactions are carried from MySQL with gtid_mode=ON only: do not use XA on these tables, then copy \
         everything afresh",
    )
}

/// Prepared transactions that do not fit into memory.
pub(crate) fn xa_too_large() -> Error {
    let what = "XA transactions that are not committed yet hold more than 64 MiB of rows";
    Error::operator("TW-MY-053", what)
        .remedy("XA RECOVER lists them: commit or roll them back; change fewer rows in one XA transaction")
}

/// Rows that the server took back, perhaps.
pub(crate) fn rolled_back() -> Error {
    let what = "the log holds a transaction that changed captured tables and was rolled back: which rows stayed depends on their engines";
    Error::data("TW-MY-054", what)
        .remedy("copy everything afresh; do not change tables of InnoDB and of MyISAM in one transaction")
}

/// A transaction without a GTID where the position is made of them.
pub(crate) fn without_gtid() -> Error {
    let what = "a transaction in the log has no GTID, and the position is made of GTIDs";
    Error::operator("TW-MY-058", what).remedy("set gtid_mode=ON again, then copy everything afresh")
}

/// A statement in a character set that is not decoded here.
pub(crate) fn foreign_text(collation: Option<u16>) -> Error {
    let what = match collation {
        Some(collation) => {
            format!("a statement about tables is in the character set of collation {collation}")
        }
        None => "a statement about tables is not UTF-8".to_owned(),
    };
    Error::data("TW-MY-059", what)
        .remedy("run such statements with SET NAMES utf8mb4, then copy everything afresh")
}

/// A column of which the log does not say enough.
pub(crate) fn undecided(what: &str) -> Error {
    Error::operator("TW-MY-055", format!("the binary log does not say {what}"))
        .remedy("SET GLOBAL binlog_row_metadata=FULL")
}

/// Text that its own character set has no meaning for.
pub(crate) fn unmapped(charset: &str) -> Error {
    Error::data("TW-MY-056", format!("a text has bytes that mean nothing in the character set {charset}"))
        .remedy("correct the value at the source, or leave the column out")
}

/// A collation without a known character set.
pub(crate) fn unknown_collation(collation: u16) -> Error {
    Error::data("TW-MY-057", format!("collation {collation} is not known here"))
        .remedy("convert the column to the character set utf8mb4")
}

/// An event that may change rows, for all that is known.
pub(crate) fn unknown_event(kind: u8) -> Error {
    Error::data("TW-MY-041", format!("an event of kind {kind} is not known here"))
}

/// Text that is not a GTID set of MySQL, or not a list of MariaDB.
pub(crate) fn unreadable_gtids(what: impl Into<String>) -> Error {
    Error::data("TW-MY-042", what)
}

/// The bytes are not those that the server wrote.
pub(crate) fn wrong_checksum(kind: u8) -> Error {
    Error::data("TW-MY-043", format!("the checksum of an event of kind {kind} does not match its bytes"))
        .remedy("look for a broken disk or memory: mysqlbinlog --verify-binlog-checksum, at the server")
}

/// A column whose values cannot be told apart from those that follow.
pub(crate) fn unknown_column_type(type_number: u8) -> Error {
    Error::data("TW-MY-044", format!("a column of type {type_number} is not known here"))
}
