//! What can go wrong at standard output, and who must act. Errors of the position file itself are core's.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-OUT-001 | operator | whatever read standard output has gone | start it again, then the pipeline |
//! | TW-OUT-002 | transient | standard output does not take what is written | wait; free space where it is a file |
//! | TW-OUT-003 | operator | another process uses the position file | stop it, or name another file with `position` |
//! | TW-OUT-004 | operator | the folder of the position file cannot be written | create it, or give the right to write it |

use std::io;
use std::path::Path;

use tailwater_core::Error;

pub(crate) fn output(error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Error::operator("TW-OUT-001", "whatever read standard output has gone")
            .remedy("start it again, then the pipeline; it goes on behind the last position that was saved");
    }
    Error::transient("TW-OUT-002", format!("standard output: {error}"))
}

pub(crate) fn in_use(path: &Path) -> Error {
    Error::operator("TW-OUT-003", format!("another process uses {}", path.display()))
        .remedy("stop the other process, or name another file with `position` in [sink.stdout]")
}

pub(crate) fn not_writable(path: &Path, error: &io::Error) -> Error {
    Error::operator("TW-OUT-004", format!("{}: {error}", path.display()))
        .remedy("give the right to write there, or name another file with `position` in [sink.stdout]")
}
