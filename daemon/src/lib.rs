//! The binary as a library: configuration, the command line, and what each command does.
//!
//! `config` reads pipeline files; `kinds` binds sources to sinks and is the only list of what exists; `cli` is what
//! may be typed, with one module per command beside it. The throw-away servers are here for the demo and the tests.

mod check;
pub mod cli;
pub mod config;
mod demo;
mod drop;
mod import;
mod kinds;
mod logs;
mod position;
mod progress;
mod query;
mod run;
mod signals;
pub mod throwaway;
