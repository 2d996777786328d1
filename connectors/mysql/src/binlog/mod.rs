//! The binary log's events, decoded in place. Pure: bytes in, borrowed views out. Nothing here allocates per row or value.
//!
//! `header` and `event` take one event apart; `table_map` says what a table's columns are; `rows` walks the images of a
//! rows event; `value` writes one value as text, in the form of its [`Type`](tailwater_core::Type).

pub mod charset;
pub mod columns;
mod decimal;
pub mod event;
pub mod json;
pub mod json_diff;
pub mod plan;
pub mod rows;
mod temporal;
pub mod value;
