//! From the server's error numbers and I/O errors to [`Error`] with its kind. The only file that knows error numbers;
//! every other file of this crate that meets an error of the server or the socket comes here.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-MY-040 | data | bytes of the binary log are not as known here | report it; look for a newer release |
//! | TW-MY-055 | operator | the binary log does not say what a column is | `SET GLOBAL binlog_row_metadata=FULL`, then reconnect the writers or wait for a new log |
//! | TW-MY-056 | data | a text has bytes that mean nothing in its character set | correct the value at the source, or leave the column out |
//! | TW-MY-057 | data | a collation or character set that is not known here | report it; convert the column to utf8mb4 |
//! | TW-MY-058 | operator | a time with a fraction in MariaDB's own layout, whose length the log does not tell | `SET GLOBAL mysql56_temporal_format=ON`, then `ALTER TABLE … FORCE` |

use tailwater_core::Error;

/// Bytes of the log that cannot be read.
pub(crate) fn malformed(what: impl Into<String>) -> Error {
    Error::data("TW-MY-040", what)
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

/// A time with a fraction whose bytes cannot be told from those of one without.
pub(crate) fn old_fraction() -> Error {
    Error::operator(
        "TW-MY-058",
        "a time with a fraction is in MariaDB's own layout, whose length the log does not tell",
    )
    .remedy("SET GLOBAL mysql56_temporal_format=ON, then ALTER TABLE … FORCE")
}
