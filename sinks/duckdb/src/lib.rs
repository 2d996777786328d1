//! The embedded default target: a `DuckDB` file that holds the source's tables and, in the same transactions, the
//! position. No server, no second store.

mod append;
mod appender;
mod apply;
pub mod chunk;
pub mod database;
pub mod digest;
mod error;
mod fold;
mod inspect;
mod keys;
mod layout;
pub mod query;
mod rebuild;
mod retype;
pub mod rows;
mod shape;
pub mod sink;
mod state;
mod store;
pub mod values;

pub use database::{Appender, Connection, Database};
pub use digest::{digest, dump};
pub use inspect::{Stopped, check, position, stopped_tables};
pub use query::{Answer, query};
pub use sink::{Config, DuckDb};
