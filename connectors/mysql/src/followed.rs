//! What is known of the tables that the pipeline wants, by id, and which tables are known to be empty. `assemble` alone
//! uses this.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tailwater_core::{Batch, Table};

use crate::assemble::Shape;
use crate::binlog::columns::Described;
use crate::ddl::Name;
use crate::pending::Pending;
use crate::shapes::{Hint, spelled, table_id};

/// A wanted table.
#[derive(Debug)]
pub(crate) struct Followed<P> {
    pub(crate) name: Name,
    /// The shape in force, once the log or the catalogue has told it.
    pub(crate) shape: Option<Arc<Shape<P>>>,
    /// The sink has been told of it.
    pub(crate) told: bool,
    /// To be told before it.
    pub(crate) between: Option<Arc<Table>>,
    /// What it has been altered by since that shape.
    pub(crate) pending: Option<Pending>,
    /// Its columns as last heard of, with their types: name in lower case, spelling.
    pub(crate) columns: Vec<(String, String)>,
    /// Its birth was in the stream.
    pub(crate) born: bool,
}

impl<P> Followed<P> {
    fn new(name: &Name) -> Self {
        Self {
            name: name.clone(),
            shape: None,
            told: false,
            between: None,
            pending: None,
            columns: Vec::new(),
            born: false,
        }
    }

    /// Whether the log has spoken of it: the catalogue alone may be ahead of it.
    pub(crate) fn is_met(&self) -> bool {
        self.shape.is_some() || self.pending.is_some() || self.born
    }

    /// Whether its birth was in the stream, and it has no shape yet.
    pub(crate) fn is_untold_birth(&self) -> bool {
        self.born && self.shape.is_none()
    }

    pub(crate) fn hear(&mut self, columns: &[Described]) {
        let column = |column: &Described| {
            (column.name.as_deref().unwrap_or_default().to_lowercase(), spelled(column, Hint::None))
        };
        self.columns = columns.iter().map(column).collect();
    }

    /// Whether the catalogue has exactly what the pending changes made of the columns as last heard of: then it is not
    /// ahead of the log.
    pub(crate) fn is_just_altered(&self, now: &[Described]) -> bool {
        let Some(pending) = self.pending.as_ref().filter(|pending| pending.is_certain()) else {
            return false;
        };
        let given: HashSet<&String> = pending.given_names().collect();
        let gone: HashSet<&String> = pending.freed_names().collect();
        let kept = self.columns.iter().filter(|(name, _)| !gone.contains(name) && !given.contains(name));
        let mut expected: HashMap<&str, Option<&str>> =
            kept.map(|(name, spelled)| (name.as_str(), Some(spelled.as_str()))).collect();
        expected.extend(given.iter().map(|name| (name.as_str(), None)));
        !self.columns.is_empty()
            && now.len() == expected.len()
            && now.iter().all(|column| {
                let name = column.name.as_deref().unwrap_or_default().to_lowercase();
                match expected.get(name.as_str()) {
                    Some(Some(before)) => *before == spelled(column, Hint::None),
                    Some(None) => pending.is_new(&name, &self.columns),
                    None => false,
                }
            })
    }
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Tables<P> {
    by_id: HashMap<u64, Followed<P>>,
    /// Created in the stream, and no row since; wanted or not.
    empty: HashSet<Name>,
}

impl<P> Default for Tables<P> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), empty: HashSet::new() }
    }
}

impl<P> Tables<P> {
    pub(crate) fn get(&self, name: &Name) -> Option<&Followed<P>> {
        self.by_id.get(&table_id(name))
    }

    /// By its id.
    pub(crate) fn by_id(&mut self, id: u64) -> Option<&mut Followed<P>> {
        self.by_id.get_mut(&id)
    }

    /// As it is known, or as new. Two names with one id are two of 2^64: the first keeps it.
    pub(crate) fn follow(&mut self, name: &Name) -> &mut Followed<P> {
        self.by_id.entry(table_id(name)).or_insert_with(|| Followed::new(name))
    }

    /// The names of a schema's tables.
    pub(crate) fn of_schema(&self, schema: &str) -> Vec<Name> {
        let mut names: Vec<Name> = self
            .by_id
            .values()
            .map(|table| &table.name)
            .filter(|name| name.schema == schema)
            .cloned()
            .collect();
        names.sort_unstable();
        names
    }

    /// The names of the tables that were altered since their last shape, or have none yet since their birth.
    pub(crate) fn untold(&self) -> Vec<Name> {
        let untold = self.by_id.values().filter(|table| table.pending.is_some() || table.is_untold_birth());
        untold.map(|table| table.name.clone()).collect()
    }

    /// Nothing is known any more of a table of that name.
    pub(crate) fn forget(&mut self, name: &Name) {
        self.by_id.remove(&table_id(name));
    }

    /// The table of that name is gone for the sink.
    pub(crate) fn drop_at(name: &Name, batch: &mut Batch) {
        batch.drop_table(&Arc::new(Table {
            id: table_id(name),
            schema: name.schema.clone(),
            name: name.table.clone(),
            columns: Vec::new(),
            key: Vec::new(),
            declared_key: Vec::new(),
            streamed_from_birth: false,
        }));
    }

    pub(crate) fn is_empty(&mut self, name: &Name, empty: bool) {
        if empty {
            self.empty.insert(name.clone());
        } else if !self.empty.is_empty() {
            self.empty.remove(name);
        }
    }

    /// Whether it was known to be empty; not any more.
    pub(crate) fn take_empty(&mut self, name: &Name) -> bool {
        self.empty.remove(name)
    }
}
