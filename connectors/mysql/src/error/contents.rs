//! Errors of what stands in the log and in tables. Each is made in one place here, so that it reads the same wherever it
//! is met.

use tailwater_core::Error;

use super::*;

/// Bytes of the log that cannot be read.
pub(crate) fn malformed(what: impl Into<String>) -> Error {
    Error::data("TW-MY-040", what)
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

/// A new row without what its columns have by default.
pub(crate) fn without_defaults(table: &str) -> Error {
    let what =
        format!("a row inserted into {table} comes without the columns that were left to their defaults");
    Error::operator("TW-MY-034", what).remedy(
        "SET GLOBAL binlog_row_image=FULL and let the sessions that write reconnect; then copy everything afresh",
    )
}

/// A prepared transaction that a restart could not go back to.
pub(crate) fn xa(xid: &str) -> Error {
    let what = format!("XA transaction {xid} changed captured tables and is prepared, not committed");
    Error::operator("TW-MY-052", what).remedy(
        "XA transactions are carried from MySQL with gtid_mode=ON only: do not use XA on these tables, then copy \
         everything afresh",
    )
}

/// What a lock waits for.
pub(crate) const HOLDS_A_LOCK: &str =
    "SHOW PROCESSLIST shows long transactions, XA RECOVER prepared ones: end them";

/// A prepared transaction that is neither in a snapshot nor behind it.
pub(crate) fn prepared() -> Error {
    let what = "an XA transaction is prepared, and a copy that began now would miss it";
    Error::transient("TW-MY-084", what).remedy("XA RECOVER lists it: commit it or roll it back")
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

/// A table that must be stopped in the middle of a transaction whose rows were counted before.
pub(crate) fn counted(table: &str, reason: &str) -> Error {
    let what = format!(
        "the target has a part of the next transaction, and {table} in it cannot be read any more: {reason}"
    );
    Error::operator(STOPPED, what).remedy("copy everything afresh")
}

/// Notes that are none of ours.
pub(crate) fn notes(why: &str) -> Error {
    Error::operator("TW-MY-065", format!("what the position remembers of tables cannot be read: {why}"))
        .remedy("the release of Tailwater that wrote it, or a later one")
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

/// MariaDB's `WITH SYSTEM VERSIONING`.
pub(crate) fn versioned(schema: &str, table: &str) -> Error {
    let message = format!("{schema}.{table} has system versioning, which is not carried");
    Error::operator(VERSIONED, message)
        .remedy(format!("\"!{schema}.{table}\" in tables, or ALTER TABLE … DROP SYSTEM VERSIONING"))
}

/// A time with a fraction whose bytes cannot be told from those of one without.
pub(crate) fn old_fraction() -> Error {
    Error::operator(
        "TW-MY-033",
        "a time with a fraction is in MariaDB's own layout, whose length the log does not tell",
    )
    .remedy("SET GLOBAL mysql56_temporal_format=ON, then ALTER TABLE … FORCE")
}
