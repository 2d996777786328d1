//! Where a pipeline stands. The sink stores it with the rows; the source proves it can go on from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A committed transaction of one source, the event inside the next one, and the copies still under way.
///
/// `stream` is written in the source's own notation and only the source compares it. Two positions are equal or
/// they are not; nobody takes the larger of two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Who issued it: kind, server identity, timeline, database. Empty before the first start.
    pub source: String,
    /// End of the last transaction that is wholly covered: an LSN (`0/16B3748`), a GTID set.
    pub stream: String,
    /// Events of the transaction after `stream` that are covered too; 0 at a transaction boundary.
    pub event: u64,
    /// Tables whose first copy is not finished, by `schema.table`; empty once the pipeline only streams.
    pub copies: BTreeMap<String, CopyProgress>,
    /// What the source must know of tables to go on from here and its log will not tell, by `schema.table`, in its own
    /// notation; empty for most. Shared, because it seldom changes and every batch has it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub notes: Arc<Notes>,
}

/// [`Position::notes`]
pub type Notes = BTreeMap<String, String>;

fn is_empty(notes: &Notes) -> bool {
    notes.is_empty()
}

/// How far the copy of one table has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyProgress {
    /// Rows written so far.
    pub rows: u64,
    /// Rows the source expects, from its statistics; 0 where it has none.
    pub rows_estimated: u64,
    /// The whole table is written.
    pub done: bool,
    /// Where inside the table a copy can go on (a key, a chunk's watermarks); `None`: from the start.
    pub resume: Option<String>,
}

impl Position {
    /// Whether it lies between two transactions: only such a position may be confirmed to the source.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.event == 0
    }

    /// Whether a first copy is still under way.
    #[must_use]
    pub fn copying(&self) -> bool {
        !self.copies.is_empty()
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.stream.is_empty(), self.event) {
            (true, _) => f.write_str("start"),
            (false, 0) => f.write_str(&self.stream),
            (false, event) => write!(f, "{}+{event}", self.stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_through_json_and_refuses_unknown_fields() {
        let mut position =
            Position { source: "postgres 7/1".into(), stream: "0/10".into(), ..Position::default() };
        position.copies.insert("public.t".into(), CopyProgress { rows: 3, ..CopyProgress::default() });
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        assert!(serde_json::from_str::<Position>(&text.replace("stream", "streams")).is_err());
    }
}
