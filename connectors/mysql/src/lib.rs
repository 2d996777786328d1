//! The MySQL and MariaDB sources: the binary log, and the first copy.
//!
//! ```text
//! server ─packets─▶ wire, connection ─▶ dump ─events─▶ unpack ─▶ binlog (decoders) ─▶ assemble ─▶ Batch
//!                        │                                                 ▲
//!                        ├─▶ copy (first copy)          catalog, scout ────┘ what the log does not say
//!                        └─▶ server, continuity, check
//! ```
//!
//! `source` decides what happens when; `stream` follows the log; `assemble` is pure.

pub mod assemble;
mod auth;
pub mod binlog;
mod catalog;
pub mod check;
pub mod config;
mod connect;
pub mod connection;
mod continuity;
mod copy;
mod copytext;
pub mod ddl;
pub mod dump;
pub mod error;
mod followed;
mod grants;
mod greeting;
pub mod gtid;
pub mod inspect;
mod notes;
mod open;
mod pending;
pub mod place;
mod preface;
pub mod quote;
pub mod resume;
pub mod rows;
mod scout;
pub mod server;
pub mod shapes;
mod source;
mod stream;
mod unpack;
pub mod url;
pub mod version;
mod wire;

pub use config::Config;
pub use connection::Connection;
pub use dump::{Dump, Log, Start};
pub use notes::stopped_tables;
pub use server::Server;
pub use source::MysqlSource;
pub use tailwater_transport::Pace;
pub use url::Url;
pub use version::{Flavour, Version};
