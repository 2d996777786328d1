//! The MySQL and MariaDB sources: the binary log, and the first copy.

pub mod assemble;
mod auth;
pub mod binlog;
mod catalog;
pub mod check;
pub mod config;
mod connect;
pub mod connection;
mod copy;
mod copytext;
pub mod ddl;
pub mod dump;
pub mod error;
mod followed;
mod grants;
mod greeting;
pub mod gtid;
mod open;
mod pending;
pub mod place;
pub mod quote;
pub mod rows;
pub mod server;
pub mod shapes;
pub mod url;
pub mod version;
mod wire;

pub use config::Config;
pub use connection::Connection;
pub use dump::{Dump, Log, Start};
pub use server::Server;
pub use tailwater_transport::Pace;
pub use url::Url;
pub use version::{Flavour, Version};
