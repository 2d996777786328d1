//! The binary as a library: configuration, the command line, and what each command does.
//!
//! `config` reads pipeline files; `kinds` binds sources to sinks and is the only list of what exists; `cli` is what
//! may be typed, with one module per command beside it. The throw-away Postgres is here for the demo and the tests.

pub mod cli;
pub mod config;
mod drop;
mod kinds;
mod logs;
mod progress;
mod run;
pub mod throwaway;
