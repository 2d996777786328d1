//! What a position remembers of tables ([`Position::notes`](tailwater_core::Position::notes)), because neither the log nor
//! the catalogue will tell it at the next start. `followed` keeps it up to date.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tailwater_core::{Notes, Position, Result};

use crate::ddl::Name;
use crate::error;
use crate::pending::Pending;
use crate::quote;
use crate::shapes::Facts;

/// What is remembered of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) schema: String,
    pub(crate) table: String,
    /// Its id, where that is not the one of its name: it had another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    /// What it is like, where the log does not name its columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) known: Option<Arc<Facts>>,
    /// Why no more of it is carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stopped: Option<String>,
    /// It was altered since the sink was told of it last: what that means for its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<Pending>,
    /// The sink has not been told yet that it was created; of one in the making: it has no row yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) born: bool,
    /// It is another table in the making: how that one's columns were altered in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ghost: Option<Pending>,
}

impl Note {
    /// Of a table, with nothing in it.
    pub(crate) fn of(name: &Name) -> Self {
        Self { schema: name.schema.clone(), table: name.table.clone(), ..Self::default() }
    }

    pub(crate) fn name(&self) -> Name {
        Name { schema: self.schema.clone(), table: self.table.clone() }
    }

    /// Whether there is anything to be remembered.
    fn says_something(&self) -> bool {
        *self != Self::of(&self.name())
    }
}

/// As a position has them.
///
/// # Errors
/// Never in practice: they are plain data.
pub(crate) fn write(notes: impl Iterator<Item = Note>) -> Result<Arc<Notes>> {
    let text = |note: Note| {
        let name = quote::qualified(&note.schema, &note.table);
        Ok((name, serde_json::to_string(&note).map_err(|error| error::notes(&error.to_string()))?))
    };
    notes.filter(Note::says_something).map(text).collect::<Result<Notes>>().map(Arc::new)
}

/// From a position.
///
/// # Errors
/// `Operator` where a later release wrote them.
pub(crate) fn read(notes: &Notes) -> Result<Vec<Note>> {
    let note = |text: &String| serde_json::from_str(text).map_err(|error| error::notes(&error.to_string()));
    notes.values().map(note).collect()
}

/// Tables of which no more is carried since a position or before, and why.
///
/// # Errors
/// `Operator` where a later release wrote the position.
pub fn stopped_tables(position: &Position) -> Result<Vec<(String, String)>> {
    let stopped = |note: Note| Some((format!("{}.{}", note.schema, note.table), note.stopped?));
    Ok(read(&position.notes)?.into_iter().filter_map(stopped).collect())
}
