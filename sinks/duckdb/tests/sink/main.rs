//! The sink against real `DuckDB` files, with batches made by hand. `support` makes batches and reads tables back;
//! `cases` holds one test per trap, `model` random changes against a naive model in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod cases;
mod disk;
mod inspect;
mod model;
mod support;
