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

use tailwater_core::Error;

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
