//! Tests against real MySQL and MariaDB servers, of what is theirs alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod continuity;
mod debezium;
mod demo;
mod followed;
mod handover;
mod kafka;
mod load;
mod renamed;
mod reshaped;
mod servers;
mod silent_loss;
mod statements;
mod tables;
mod trouble;
mod truth;
mod types;
