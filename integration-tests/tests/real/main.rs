//! Tests against real servers, in one binary so that they share servers. One module per theme.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod catalogue;
mod connection;
mod debezium;
mod handover;
mod kill;
mod kill_kafka;
mod load;
mod reshaped;
mod servers;
mod setup;
mod silent_loss;
mod trouble;
mod types;
