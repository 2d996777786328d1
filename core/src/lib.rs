//! The data, the traits and the one loop of Tailwater. No driver, no broker, no socket lives here.
//!
//! ```text
//!  server ─▶ Source::read ─▶ Batch ─▶ ║one in flight║ ─▶ Sink::write ─▶ target
//!    ▲                                                        │
//!    └──── Source::confirm ◀──── position, durable with the rows ┘
//! ```
//!
//! A newcomer needs these names, in this order:
//! [`Position`] (where a pipeline stands), [`Table`] and [`Column`] (a shape), [`Value`], [`Row`] and
//! [`Change`] (what happened), [`Batch`] (many of them, with the range they cover), [`Error`] with its
//! [`ErrorKind`], [`Source`], [`Sink`], and [`pipeline::run`], the loop that joins the last two.
//! [`supervise`] starts that loop again after a failure; [`status`] is what a person may watch.

pub mod array;
pub mod batch;
pub mod checkpoint;
pub mod copying;
pub mod digest;
pub mod error;
mod event;
mod finding;
pub mod json;
pub mod line;
pub mod pattern;
pub mod pipeline;
pub mod position;
mod retry;
pub mod sink;
pub mod source;
pub mod status;
pub mod supervise;
pub mod table;

pub use batch::{Batch, Row, RowId, RowWriter, Value};
pub use error::{Error, ErrorKind, Result};
pub use event::{Change, Event, Statement, Transaction, Verb};
pub use finding::{Finding, Severity};
pub use position::{CopyProgress, Notes, Position};
pub use sink::{Guarantee, Sink};
pub use source::Source;
pub use table::{Column, Declared, Fill, Table, Type};
