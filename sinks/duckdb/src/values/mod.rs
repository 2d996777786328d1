//! Values on their way between Postgres's text and `DuckDB`'s columns.
//!
//! [`kind`] says which column holds which type, [`parse`] is the way in, [`mod@render`] the way out. Nothing is changed
//! in silence on the way: a value that would not come out as the text that went in does not fit, and the sink widens
//! its column to `VARCHAR`, through [`render`](render::render), because `DuckDB`'s own casts print otherwise.

mod calendar;
pub mod kind;
mod number;
pub mod parse;
pub mod render;

pub use kind::ColumnType;
pub use parse::{Fit, Parser};
pub use render::{RowText, render};

#[cfg(test)]
mod tests;
