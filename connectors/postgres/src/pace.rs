//! How eagerly the socket is read. Called by the connection before each read; the stream sets it.
//!
//! The server's sender does one send per change and runs up to twice as fast when its reader takes big gulps;
//! a reader that has caught up wants every byte at once. So the pace is one small thing that can be measured.

use std::time::Duration;

/// What happens between two reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// Read as soon as there is a byte.
    #[default]
    Eager,
    /// After a read that emptied the socket, let more arrive for this long. Meant for well under a millisecond.
    Nap(Duration),
}

impl Pace {
    /// Waits where the pace asks for it. Blocks the thread on purpose: the timer of the runtime cannot wait for
    /// less than a millisecond.
    pub(crate) fn before_read(self, last_read_was_short: bool) {
        match self {
            Self::Nap(nap) if last_read_was_short => std::thread::sleep(nap),
            Self::Nap(_) | Self::Eager => {}
        }
    }
}
