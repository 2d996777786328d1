//! The Postgres source: the write-ahead log through `pgoutput`, and the first copy.

pub mod envelope;
pub mod lsn;
pub mod pgoutput;
