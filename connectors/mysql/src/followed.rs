//! What is known of the tables that the pipeline wants, by id, and which tables are known to be empty. `assemble` alone
//! uses this.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tailwater_core::{Notes, Result, Table};

use crate::assemble::Shape;
use crate::binlog::columns::Described;
use crate::ddl::Name;
use crate::notes::{self, Note};
use crate::pending::Pending;
use crate::shapes::{ColumnFacts, Facts, Hint, bare, salted_id, spelled, table_id};

/// A wanted table.
#[derive(Debug)]
pub(crate) struct Followed<P> {
    pub(crate) name: Name,
    /// What the sink knows it by, whatever it is called now.
    pub(crate) id: u64,
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
    /// It had another name, under which the sink has it.
    pub(crate) renamed: bool,
    /// What it is like, where the log does not name its columns.
    pub(crate) known: Option<Arc<Facts>>,
    /// Why no more of it is carried.
    pub(crate) stopped: Option<String>,
}

impl<P> Followed<P> {
    fn new(name: &Name, id: u64) -> Self {
        Self {
            name: name.clone(),
            id,
            shape: None,
            told: false,
            between: None,
            pending: None,
            columns: Vec::new(),
            born: false,
            renamed: false,
            known: None,
            stopped: None,
        }
    }

    pub(crate) fn hear(&mut self, columns: &[Described]) {
        self.columns = columns.iter().map(heard).collect();
    }

    /// Whether the catalogue has exactly the columns as last heard of: then it is not ahead of the log.
    pub(crate) fn is_as_heard(&self, now: &[Described]) -> bool {
        self.pending.is_none() && now.iter().map(heard).eq(self.columns.iter().cloned())
    }

    /// Whether the catalogue has exactly what the pending changes made of the columns as last heard of: then it is not
    /// ahead of the log.
    pub(crate) fn is_just_altered(&self, now: &[Described]) -> bool {
        let Some(pending) = self.pending.as_ref().filter(|pending| pending.is_certain()) else {
            return false;
        };
        let given: HashSet<&String> = pending.given_names().collect();
        let gone: HashSet<&String> = pending.freed_names().collect();
        let had = |name: &&String| self.columns.iter().any(|(column, _)| column == *name);
        // Otherwise the columns were heard of from a catalogue that was ahead already.
        if !gone.iter().all(had) {
            return false;
        }
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

/// Its name in lower case, and its type.
fn heard(column: &Described) -> (String, String) {
    (column.name.as_deref().unwrap_or_default().to_lowercase(), spelled(column, Hint::None))
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Tables<P> {
    by_id: HashMap<u64, Followed<P>>,
    /// Ids that are not those of the names: of tables that had another name, or whose id one of those has.
    ids: HashMap<Name, u64>,
    /// How tables in the making are altered that will take the place of wanted ones.
    ghosts: HashMap<Name, Pending>,
    /// What is remembered of tables is not as last written.
    noted_anew: bool,
    /// Created in the stream, and no row since; wanted or not.
    empty: HashSet<Name>,
}

impl<P> Default for Tables<P> {
    fn default() -> Self {
        Self {
            by_id: HashMap::new(),
            ids: HashMap::new(),
            ghosts: HashMap::new(),
            noted_anew: false,
            empty: HashSet::new(),
        }
    }
}

impl<P> Tables<P> {
    pub(crate) fn get(&self, name: &Name) -> Option<&Followed<P>> {
        self.by_id.get(&self.id(name)).filter(|followed| followed.name == *name)
    }

    fn id(&self, name: &Name) -> u64 {
        self.ids.get(name).copied().unwrap_or_else(|| table_id(name))
    }

    /// By its id.
    pub(crate) fn by_id(&mut self, id: u64) -> Option<&mut Followed<P>> {
        self.by_id.get_mut(&id)
    }

    /// As it is known, or as new.
    pub(crate) fn follow(&mut self, name: &Name) -> &mut Followed<P> {
        let mut id = self.id(name);
        let mut salt = 0;
        while self.by_id.get(&id).is_some_and(|other| other.name != *name) {
            salt += 1;
            id = salted_id(name, salt);
        }
        if salt > 0 {
            self.ids.insert(name.clone(), id);
            self.noted_anew = true;
        }
        self.by_id.entry(id).or_insert_with(|| Followed::new(name, id))
    }

    /// Both names are wanted: it stays the same table for the sink.
    pub(crate) fn rename(&mut self, from: &Name, to: &Name) {
        let id = self.follow(from).id;
        let Some(mut followed) = self.by_id.remove(&id) else { return };
        self.ids.remove(from);
        // As the catalogue has it already, ahead of the log.
        self.forget(to);
        (followed.name, followed.renamed, followed.told) = (to.clone(), true, false);
        followed.shape = None;
        if id != table_id(to) {
            self.ids.insert(to.clone(), id);
        }
        self.by_id.insert(id, followed);
        self.noted_anew = true;
    }

    /// Takes over what a position remembers.
    ///
    /// # Errors
    /// As [`notes::read`].
    pub(crate) fn restore(&mut self, notes: &Notes) -> Result<()> {
        let notes = notes::read(notes)?;
        let primed = self.by_id.values().map(|table| (table.name.clone(), table.columns.clone()));
        let mut primed: HashMap<Name, Vec<(String, String)>> = primed.collect();
        for (name, id) in notes.iter().filter_map(|note| Some((note.name(), note.id?))) {
            // Somebody else may have been given it just now.
            self.by_id.remove(&id);
            self.forget(&name);
            self.ids.insert(name, id);
        }
        for note in notes {
            let name = note.name();
            if let Some(ghost) = note.ghost {
                if note.born {
                    self.empty.insert(name.clone());
                }
                self.ghosts.insert(name, ghost);
                continue;
            }
            let followed = self.follow(&name);
            if let Some(columns) = primed.remove(&name) {
                followed.columns = columns;
            }
            if let Some(known) = &note.known {
                let columns = known.columns.iter().filter_map(ColumnFacts::described);
                followed.columns = columns.map(|column| heard(&column)).collect();
            }
            (followed.known, followed.stopped) = (note.known, note.stopped);
            (followed.pending, followed.born) = (note.pending, note.born);
        }
        self.noted_anew = false;
        Ok(())
    }

    /// Something that is remembered of a table is another.
    pub(crate) fn changed(&mut self) {
        self.noted_anew = true;
    }

    /// What is to be remembered of tables, where that changed since it was asked last.
    ///
    /// # Errors
    /// As [`notes::write`].
    pub(crate) fn notes(&mut self) -> Result<Option<Arc<Notes>>> {
        if !std::mem::take(&mut self.noted_anew) {
            return Ok(None);
        }
        let tables = self.by_id.values().map(|table| Note {
            id: (table.id != table_id(&table.name)).then_some(table.id),
            known: table.known.clone(),
            stopped: table.stopped.clone(),
            pending: table.pending.clone(),
            born: table.born && !table.told,
            ..Note::of(&table.name)
        });
        let ghosts = self.ghosts.iter();
        let ghosts = ghosts.map(|(name, ghost)| Note {
            ghost: Some(ghost.clone()),
            born: self.empty.contains(name),
            ..Note::of(name)
        });
        notes::write(tables.chain(ghosts)).map(Some)
    }

    /// From here on the table is known to be like that, or not known any more.
    pub(crate) fn know(&mut self, name: &Name, known: Option<Arc<Facts>>) {
        let followed = self.follow(name);
        if followed.known != known {
            followed.known = known;
            self.noted_anew = true;
        }
    }

    /// No more of it is carried.
    pub(crate) fn stop(&mut self, name: &Name, reason: String) {
        let followed = self.follow(name);
        (followed.stopped, followed.known, followed.pending) = (Some(reason), None, None);
        followed.shape = None;
        self.noted_anew = true;
    }

    /// How a table in the making is altered.
    pub(crate) fn ghost(&mut self, name: &Name) -> &mut Pending {
        self.noted_anew = true;
        self.ghosts.entry(name.clone()).or_default()
    }

    /// Whether it was seen to be made.
    pub(crate) fn is_ghost(&self, name: &Name) -> bool {
        self.ghosts.contains_key(name)
    }

    /// It is in the making no more.
    pub(crate) fn take_ghost(&mut self, name: &Name) -> Option<Pending> {
        let ghost = self.ghosts.remove(name);
        self.noted_anew |= ghost.is_some();
        ghost
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

    /// The names of the tables that were altered, born or renamed, of which the sink has not been told.
    pub(crate) fn untold(&self) -> Vec<Name> {
        let is_untold = |table: &&Followed<P>| {
            let differs = table.pending.is_some() || table.born || table.renamed;
            table.stopped.is_none() && !table.told && differs
        };
        self.by_id.values().filter(is_untold).map(|table| table.name.clone()).collect()
    }

    /// Nothing is known any more of a table of that name.
    pub(crate) fn forget(&mut self, name: &Name) {
        if self.get(name).is_some() {
            let gone = self.by_id.remove(&self.id(name));
            self.noted_anew |= gone.is_some_and(|gone| gone.known.is_some() || gone.stopped.is_some());
        }
        self.noted_anew |= self.ids.remove(name).is_some();
    }

    /// A table of which only is said which it is. `None` where the sink has another one under the id of the name.
    pub(crate) fn bare(&self, name: &Name) -> Option<Arc<Table>> {
        let id = self.id(name);
        let another = self.by_id.get(&id).is_some_and(|followed| followed.name != *name);
        (!another).then(|| Arc::new(bare(name, id)))
    }

    /// Whether it is known to be empty from here on.
    pub(crate) fn set_empty(&mut self, name: &Name, empty: bool) {
        let changed = if empty {
            self.empty.insert(name.clone())
        } else {
            !self.empty.is_empty() && self.empty.remove(name)
        };
        self.noted_anew |= changed && self.ghosts.contains_key(name);
    }

    /// Whether it is known to be empty.
    pub(crate) fn is_empty(&self, name: &Name) -> bool {
        self.empty.contains(name)
    }

    /// Whether it was known to be empty; not any more.
    pub(crate) fn take_empty(&mut self, name: &Name) -> bool {
        self.empty.remove(name)
    }
}
