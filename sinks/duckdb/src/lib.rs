//! The embedded default target: a `DuckDB` file that holds the source's tables and, in the same transactions, the
//! position. No server, no second store.

pub mod chunk;
pub mod database;
mod error;
pub mod values;

pub use database::{Appender, Connection, Database};
