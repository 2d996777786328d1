//! The Kafka sink against Apache Kafka itself. One module per theme; what they share is in `feed`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test"
)]

mod cluster;
mod feed;
mod formats;
mod hostile;
mod partitions;
mod pipelines;
mod refusals;
mod security;
mod taken_away;
mod trouble;
