//! The byte stream below a session with a database: TCP, TLS and Unix sockets, certificates, and how eagerly it is
//! read; and what the URLs that lead there have in common. Both connectors use it. It knows no protocol and no error
//! code: the caller says which code its errors carry.

pub mod endpoint;
pub mod pace;
mod socket;
pub mod tls;
mod transport;
pub mod url;

pub use pace::Pace;
pub use transport::Transport;
