//! What the tests against real systems share: servers, a client, a proxy that misbehaves, a workload. The tests
//! themselves are in `tests/`. Nothing here is part of the product, so a failure here is a failed test and panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "everything here runs inside tests, where a failure is a panic"
)]

pub mod child;
pub mod client;
pub mod contract;
pub mod counting;
pub mod debezium_server;
pub mod edge_values;
pub mod faults;
pub mod kafka;
pub mod lines;
pub mod mysql;
pub mod offsets;
pub mod pipeline;
pub mod proxy;
pub mod random;
pub mod servers;
pub mod truth;
pub mod wait;
pub mod warnings;
pub mod workload;

pub use child::{Process, Program};
pub use client::Client;
pub use proxy::Proxy;
pub use random::Random;
pub use wait::wait_for;
pub use workload::Workload;
