//! Values on their way between Postgres's text and `DuckDB`'s columns.
//!
//! [`kind`] says which column holds which type. Nothing is changed in silence on the way: a value that would not
//! come out as the text that went in does not fit, and the sink widens its column to `VARCHAR`.

pub mod kind;

pub use kind::ColumnType;
