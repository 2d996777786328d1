//! Pure: what the partitions of a table send of old rows, where all are published under their root. The root's replica
//! identity says how an old row is labelled, but that of the partition decides what is in it. Learned from what the
//! stream describes, because the catalogue only says how it is now.

use tailwater_core::{Error, Result};

use crate::assemble::Relation;
use crate::quote;

/// What the partitions seen so far send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Parts {
    /// What the root says; or there are none.
    #[default]
    Alike,
    /// The root says whole old rows, and some send no more than a key that the root has too.
    KeysOnly,
    /// The one of this name, as SQL, does not send what the root is identified by.
    Unlike(String),
}

impl Parts {
    /// A row of `root` comes from `leaf`.
    pub(crate) fn meet(&mut self, root: &Relation, leaf: &Relation) {
        let sent = |name: &str| {
            let mut columns = leaf.table.columns.iter().zip(&leaf.identity);
            leaf.full || columns.any(|(column, &in_identity)| in_identity && column.name == name)
        };
        let mut key = root.table.key.iter().filter_map(|&index| root.table.columns.get(index));
        let mut identity = root.table.columns.iter().zip(&root.identity);
        let found = match root.full {
            true if leaf.full => Self::Alike,
            true if !root.table.key.is_empty() && key.all(|column| sent(&column.name)) => Self::KeysOnly,
            false if identity.all(|(column, &in_identity)| !in_identity || sent(&column.name)) => Self::Alike,
            true | false => Self::Unlike(quote::qualified(&leaf.table.schema, &leaf.table.name)),
        };
        // A row does not say which of the partitions it is from, so one that falls short counts for all.
        *self = match (&*self, found) {
            (Self::Unlike(_), _) | (Self::KeysOnly, Self::Alike) => return,
            (Self::Alike | Self::KeysOnly, found) => found,
        };
    }

    /// Whether NULL in a whole old row may stand for what was not sent.
    #[inline]
    pub(crate) fn some_send_keys_only(&self) -> bool {
        matches!(self, Self::KeysOnly)
    }

    /// Refuses an update or delete that may not say which row it is of.
    #[inline]
    pub(crate) fn refuse_unlike(&self, root: &Relation) -> Result<()> {
        match self {
            Self::Alike | Self::KeysOnly => Ok(()),
            Self::Unlike(leaf) => Err(unlike(root, leaf)),
        }
    }
}

fn unlike(root: &Relation, leaf: &str) -> Error {
    let name = quote::qualified(&root.table.schema, &root.table.name);
    let what = format!("partition {leaf} does not send what rows of {name} are identified by");
    let alter = |name: &str| format!("ALTER TABLE {name} REPLICA IDENTITY FULL;");
    Error::data("TW-PG-049", what).remedy(format!("{} {} then copy afresh", alter(&name), alter(leaf)))
}
