//! The Postgres source: the write-ahead log through `pgoutput`, and the first copy.

pub mod assemble;
pub mod catalog;
pub mod kinds;
pub mod shapes;
pub mod copytext;
pub mod drift;
pub mod envelope;
pub mod lsn;
pub mod pattern;
pub mod pgoutput;
pub mod config;
mod continuity;
mod copy;
mod source;
mod stream;
pub mod setup;
pub mod check;
pub mod connection;
pub mod error;
pub mod quote;
pub mod url;
mod answer;
mod auth;
mod connect;
mod endpoint;
mod pace;
mod tls;
mod transport;
mod wanted;
mod wire;

pub use config::Config;
pub use pattern::Patterns;
pub use source::PostgresSource;
pub use connection::{Connection, Mode};
pub use pace::Pace;
pub use wire::Frame;
