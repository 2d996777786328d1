//! From the server's error numbers and I/O errors to [`Error`] with its kind. The only file that knows error numbers;
//! every other file of this crate that meets an error of the server or the socket comes here.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-MY-040 | data | bytes of the binary log are not as known here | report it; look for a newer release |

use tailwater_core::Error;

/// Bytes of the log that cannot be read.
pub(crate) fn malformed(what: impl Into<String>) -> Error {
    Error::data("TW-MY-040", what)
}
