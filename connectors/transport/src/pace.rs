//! How eagerly the socket is read. Called by the connection before each read; the stream sets it.
//!
//! The server does one send per change. A reader that takes each one at once wakes, and makes the server's kernel
//! deliver, once per change; one that leaves the socket alone for a while finds them joined together, which costs both
//! ends a fraction and lets the server run faster. A reader that has caught up wants every byte at once. So the pace
//! is one small thing that can be measured: `make bench`, and `docs/PERFORMANCE.md` for what was found.

use std::time::Duration;

/// What happens between two reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// Read as soon as there is a byte.
    #[default]
    Eager,
    /// After a read that emptied the socket, let more arrive: for as long as the transport can hold it.
    Gulps,
}

/// A TCP window grows to megabytes for a reader who takes that much at a time.
pub(crate) const TCP_NAP: Duration = Duration::from_millis(10);
/// A Unix socket holds some 200 messages, however small, before it stops the server.
pub(crate) const UNIX_NAP: Duration = Duration::from_micros(300);

impl Pace {
    /// Waits where the pace asks for it. Blocks the thread on purpose: the timer of the runtime cannot wait for less
    /// than a millisecond, and would be woken by everything that arrives meanwhile.
    pub fn before_read(self, nap: Duration, last_read_was_short: bool) {
        match self {
            Self::Gulps if last_read_was_short => std::thread::sleep(nap),
            Self::Gulps | Self::Eager => {}
        }
    }
}
