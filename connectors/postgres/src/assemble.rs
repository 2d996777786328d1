//! Pure: pgoutput messages in, events of a [`Batch`] out. Knows transactions, shapes and replica identities; no I/O.
//!
//! A relation is a table of its own where rows come under it. A partition that is published as part of its root is
//! described too, right after the root and before its row, which then comes under the root. So the sink is told of a
//! shape only with its first row, and what precedes a row tells from which partition it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tailwater_core::{Batch, Error, Result, Table};

use crate::lsn::Lsn;
use crate::open::Open;
use crate::parts::Parts;
use crate::pgoutput::{Message, Old, Relations, Tuple};
use crate::rows::{full_row, identified, old_row};

/// A relation the stream has described.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its shape.
    pub table: Arc<Table>,
    /// Per column: part of the replica identity.
    pub identity: Vec<bool>,
    /// Old rows are sent whole.
    pub full: bool,
    /// Whether the pipeline wants it; a publication may hold more.
    pub wanted: bool,
}

/// A relation, and what has been seen of it.
#[derive(Debug)]
struct Known {
    relation: Relation,
    /// Rows have come under it, or the catalogue says that it is published: it is no part of another one.
    stands_alone: bool,
    /// The sink has been told of this shape.
    told: bool,
    /// What its partitions send of old rows.
    parts: Parts,
    /// It was known when the catalogue was last compared.
    settled: bool,
}

/// What a message means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Continue,
    /// A transaction is whole.
    Committed,
    /// A relation was described: look its shape up, call [`Assembler::define`], go on.
    Described,
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Assembler {
    relations: Vec<Known>,
    by_oid: HashMap<u32, usize>,
    /// The relation of the event before: most events are of the same one.
    last: Option<(u32, usize)>,
    /// The last two relations described since the event before.
    described: (Option<u32>, Option<u32>),
    /// Relations of which rows were not passed on, and whether the sink holds a table of them.
    passed_over: HashMap<u32, bool>,
    open: Option<Open>,
    /// End of the last whole transaction, or later when the server said that nothing was committed since.
    covered: Lsn,
    /// End of the newest transaction that brought something, or message outside of any.
    last_end: Lsn,
    /// When the newest transaction was committed that has begun here; 0 once the server says that nothing follows.
    last_commit_us: i64,
    /// Where the stream starts; what was committed before is in the target.
    start: Lsn,
    /// Events of the first transaction that the target has.
    skip_events: u64,
}

impl Assembler {
    /// Assembles what comes after `start` and the first `skip_events` events of the transaction that follows.
    #[must_use]
    pub fn new(start: Lsn, skip_events: u64) -> Self {
        Self { covered: start, last_end: start, start, skip_events, ..Self::default() }
    }

    /// End of what has been assembled whole.
    #[must_use]
    pub fn covered(&self) -> Lsn {
        self.covered
    }

    /// Events of the transaction after [`Self::covered`] that have been assembled.
    #[must_use]
    pub fn event(&self) -> u64 {
        match &self.open {
            Some(open) if open.skip => 0,
            Some(open) => open.ordinal.max(self.skip_events),
            None => self.skip_events,
        }
    }

    /// Between transactions, the server says that it has read its log up to `lsn`: nothing up to there is missing.
    pub fn nothing_until(&mut self, lsn: Lsn) {
        if self.open.is_none() {
            self.last_commit_us = 0;
            self.covered = self.covered.max(lsn);
        }
    }

    /// The shape in force for a relation.
    #[must_use]
    pub fn shape(&self, oid: u32) -> Option<&Arc<Table>> {
        self.known(oid).map(|known| &known.relation.table)
    }

    /// As [`Assembler::shape`], by the id of the table.
    #[must_use]
    pub fn shape_of(&self, table_id: u64) -> Option<&Arc<Table>> {
        u32::try_from(table_id).ok().and_then(|oid| self.shape(oid))
    }

    /// The shape in force for a relation that is a wanted table.
    #[must_use]
    pub fn followed(&self, oid: u32) -> Option<&Arc<Table>> {
        self.known(oid).filter(|known| known.is_followed()).map(|known| &known.relation.table)
    }

    /// The shapes in force of all wanted tables.
    #[must_use]
    pub fn shapes(&self) -> Vec<Arc<Table>> {
        let followed = self.relations.iter().filter(|known| known.is_followed());
        followed.map(|known| Arc::clone(&known.relation.table)).collect()
    }

    /// Whether rows of a relation have gone by that were not passed on as its own.
    #[must_use]
    pub fn has_passed_over(&self, oid: u32) -> bool {
        self.passed_over.contains_key(&oid) || self.known(oid).is_some_and(|known| !known.stands_alone)
    }

    fn known(&self, oid: u32) -> Option<&Known> {
        self.by_oid.get(&oid).and_then(|&index| self.relations.get(index))
    }

    /// Whether the newest transaction was committed before `time_us` (since 1970).
    #[must_use]
    pub fn is_older_than(&self, time_us: i64) -> bool {
        self.last_commit_us != 0 && self.last_commit_us < time_us
    }

    /// Whether no transaction is open.
    #[must_use]
    pub fn between_transactions(&self) -> bool {
        self.open.is_none()
    }

    /// A wanted table has this shape, as the catalogue says and no message did. One will, before its next row.
    ///
    /// # Errors
    /// `Data` where the batch's arena is full.
    pub fn reshape(&mut self, table: &Arc<Table>, batch: &mut Batch) -> Result<()> {
        let identity = (0..table.columns.len()).map(|index| table.key.contains(&index)).collect();
        let oid = u32::try_from(table.id).unwrap_or_default();
        self.define(oid, Relation { table: Arc::clone(table), identity, full: false, wanted: true });
        self.announce(oid, batch)
    }

    /// The table is dropped: nothing more can come of it.
    ///
    /// # Errors
    /// `Data` where the batch's arena is full.
    pub fn forget(&mut self, table: &Arc<Table>, batch: &mut Batch) -> Result<()> {
        self.name_transaction(batch)?;
        batch.drop_table(table);
        if let Ok(oid) = u32::try_from(table.id) {
            self.free(oid);
            self.passed_over.remove(&oid);
        }
        Ok(())
    }

    /// The table is no longer ours to follow; should it be described again, rows of it may be missing.
    pub fn leave(&mut self, table: &Table) {
        if let Ok(oid) = u32::try_from(table.id) {
            self.free(oid);
            self.passed_over.insert(oid, true);
        }
    }

    /// Frees what is known of relations that are gone. `existing` is what there was at some time after the call before;
    /// wanted tables are left for [`Assembler::forget`].
    pub fn sweep(&mut self, existing: &BTreeSet<u32>) {
        let gone: Vec<u32> = self
            .by_oid
            .iter()
            .filter(|&(oid, &index)| {
                let known = self.relations.get(index);
                !existing.contains(oid) && known.is_some_and(|known| known.settled && !known.is_followed())
            })
            .map(|(&oid, _)| oid)
            .collect();
        gone.into_iter().for_each(|oid| self.free(oid));
        self.relations.iter_mut().for_each(|known| known.settled = true);
        let by_oid = &self.by_oid;
        self.passed_over.retain(|oid, _| existing.contains(oid) || by_oid.contains_key(oid));
    }

    fn free(&mut self, oid: u32) {
        self.last = None;
        let Some(index) = self.by_oid.remove(&oid) else { return };
        self.relations.swap_remove(index);
        let moved = self.relations.get(index).and_then(|known| u32::try_from(known.relation.table.id).ok());
        if let Some(moved) = moved {
            self.by_oid.insert(moved, index);
        }
    }

    /// A relation was described: this is what it is from here on. The sink is told with its next row.
    pub fn describe(&mut self, oid: u32, relation: Relation) {
        self.described = (self.described.1, Some(oid));
        self.define(oid, relation);
    }

    fn define(&mut self, oid: u32, relation: Relation) {
        self.last = None;
        let wanted = relation.wanted;
        let fresh =
            Known { relation, stands_alone: false, told: false, parts: Parts::default(), settled: false };
        let (mut missed, mut held) = (!wanted, false);
        match self.by_oid.get(&oid).and_then(|&index| self.relations.get_mut(index)) {
            Some(known) => {
                // Described before, and no row came: then it came as part of another relation.
                missed |= !known.stands_alone;
                held = !wanted && known.is_followed();
                let parts = std::mem::take(&mut known.parts);
                *known = Known { stands_alone: known.stands_alone, parts, ..fresh };
            }
            None => {
                self.by_oid.insert(oid, self.relations.len());
                self.relations.push(fresh);
            }
        }
        if missed {
            *self.passed_over.entry(oid).or_default() |= held;
        }
    }

    /// Tells the sink the shape of a relation, where it is wanted and the sink does not know it yet.
    ///
    /// # Errors
    /// `Data` where the batch's arena is full.
    pub fn announce(&mut self, oid: u32, batch: &mut Batch) -> Result<()> {
        let Some(&index) = self.by_oid.get(&oid) else { return Ok(()) };
        if self.relations.get(index).is_some_and(|known| !known.told && known.relation.wanted) {
            self.name_transaction(batch)?;
            self.tell(oid, index, batch);
        }
        Ok(())
    }

    /// As [`Assembler::announce`], in the transaction that the batch has been told of.
    fn tell(&mut self, oid: u32, index: usize, batch: &mut Batch) {
        let Some(known) = self.relations.get_mut(index) else { return };
        (known.told, known.stands_alone) = (true, true);
        // What the sink holds of a table that was away for a while lacks rows: it must not go on from there.
        if self.passed_over.remove(&oid) == Some(true) {
            batch.drop_table(&known.relation.table);
        }
        batch.shape(&known.relation.table);
    }

    /// Applies one message.
    ///
    /// # Errors
    /// `Data` for what cannot be: a message out of place, a relation that was never described, a row that cannot be
    /// identified.
    pub fn apply(&mut self, message: &Message<'_>, batch: &mut Batch) -> Result<Step> {
        match *message {
            Message::Begin { final_lsn, commit_time_us, xid } => {
                if self.open.is_some() {
                    return Err(out_of_place("Begin"));
                }
                let skip = final_lsn < self.start;
                self.last_commit_us = commit_time_us;
                self.open = Some(Open {
                    commit: final_lsn,
                    commit_time_us,
                    xid,
                    ordinal: 0,
                    skip,
                    named: false,
                    starts: Lsn(batch.log_offset()),
                    follows: self.last_end,
                    origin: None,
                });
            }
            Message::Commit(commit) => {
                let Some(open) = self.open.take() else { return Err(out_of_place("Commit")) };
                if !open.skip {
                    self.skip_events = 0;
                    self.covered = commit.end_lsn;
                    self.last_end = commit.end_lsn;
                    if open.named && batch.has_events() {
                        batch.ends(commit.end_lsn.0);
                    }
                }
                return Ok(Step::Committed);
            }
            Message::Relation { .. } => return Ok(Step::Described),
            Message::Insert { relation, new, .. } => self.insert(relation, new, batch)?,
            Message::Update { relation, old, new, .. } => self.update(relation, old, new, batch)?,
            Message::Delete { relation, old, .. } => self.delete(relation, old, batch)?,
            Message::Truncate { relations, .. } => self.truncate(relations, batch)?,
            Message::Message { transactional: true, prefix, content, .. } => {
                if self.count_event(batch)? {
                    batch.message(prefix, content, true)?;
                }
            }
            Message::Message { transactional: false, lsn, prefix, content, .. } => {
                self.lone_message(lsn, prefix, content, batch)?;
            }
            Message::Origin { origin_lsn, name } => {
                if let Some(open) = &mut self.open {
                    open.origin = Some((name.to_owned(), origin_lsn));
                }
            }
            // Not needed: types come from the catalogue.
            Message::Type { .. } => {}
            Message::StreamStart { .. }
            | Message::StreamStop
            | Message::StreamCommit { .. }
            | Message::StreamAbort { .. }
            | Message::StreamPrepare(_)
            | Message::BeginPrepare(_)
            | Message::Prepare(_)
            | Message::CommitPrepared { .. }
            | Message::RollbackPrepared { .. } => {
                return Err(out_of_place("a streamed or two-phase message"));
            }
        }
        Ok(Step::Continue)
    }

    /// The relation of the next counted event, or `None` where the event is not to be emitted.
    fn begin_event(&mut self, oid: u32, batch: &mut Batch) -> Result<Option<&Known>> {
        let index = match self.last {
            Some((last, index)) if last == oid => index,
            Some(_) | None => {
                let index = *self.by_oid.get(&oid).ok_or_else(|| {
                    Error::data("TW-PG-041", format!("a change of relation {oid}, which was never described"))
                })?;
                self.last = Some((oid, index));
                index
            }
        };
        let (wanted, told) = match self.relations.get_mut(index) {
            Some(known) => {
                known.stands_alone = true;
                (known.relation.wanted, known.told)
            }
            None => (false, false),
        };
        if !wanted || !self.count_event(batch)? {
            return Ok(None);
        }
        if !told {
            self.tell(oid, index, batch);
        }
        Ok(self.relations.get(index))
    }

    /// As [`Assembler::begin_event`], for an event of one row: from which partition it is, the descriptions before say.
    fn begin_row(&mut self, oid: u32, batch: &mut Batch) -> Result<Option<&Known>> {
        if let (Some(root), Some(leaf)) = std::mem::take(&mut self.described)
            && root == oid
            && leaf != oid
            && let Some(leaf) = self.known(leaf).map(|leaf| leaf.relation.clone())
            && let Some(root) = self.by_oid.get(&oid).and_then(|&index| self.relations.get_mut(index))
        {
            root.parts.meet(&root.relation, &leaf);
        }
        self.begin_event(oid, batch)
    }

    /// Counts an event of the open transaction; whether it is to be emitted.
    #[inline]
    fn count_event(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some(open) = &mut self.open else { return Err(out_of_place("a change")) };
        open.ordinal += 1;
        if open.skip || open.ordinal <= self.skip_events {
            return Ok(false);
        }
        if !open.named || !batch.has_events() {
            open.name(open.ordinal - 1, batch)?;
        }
        Ok(true)
    }

    /// Names the open transaction, or the place between two, for an event that is not counted.
    fn name_transaction(&mut self, batch: &mut Batch) -> Result<()> {
        match &mut self.open {
            Some(open) if open.named && batch.has_events() => Ok(()),
            Some(open) => open.name(open.ordinal, batch),
            None => batch.transaction(format_args!("{}", self.covered), 0, 0, 0),
        }
    }

    fn insert(&mut self, oid: u32, new: Tuple<'_>, batch: &mut Batch) -> Result<()> {
        if let Some(known) = self.begin_row(oid, batch)? {
            let row = batch.add_row(full_row(&known.relation, &known.parts, new, None)?)?;
            batch.insert(&known.relation.table, row);
        }
        Ok(())
    }

    fn update(&mut self, oid: u32, old: Option<Old<'_>>, new: Tuple<'_>, batch: &mut Batch) -> Result<()> {
        let Some(known) = self.begin_row(oid, batch)? else { return Ok(()) };
        known.parts.refuse_unlike(&known.relation)?;
        let old_row = match old {
            Some(old) => Some(batch.add_row(old_row(&known.relation, &known.parts, old)?)?),
            None => {
                identified(&known.relation, &known.parts, new)?;
                None
            }
        };
        let whole = match old {
            Some(Old::Full(old)) => Some(old),
            Some(Old::Key(_)) | None => None,
        };
        let row = batch.add_row(full_row(&known.relation, &known.parts, new, whole)?)?;
        batch.update(&known.relation.table, old_row, row);
        Ok(())
    }

    fn delete(&mut self, oid: u32, old: Old<'_>, batch: &mut Batch) -> Result<()> {
        if let Some(known) = self.begin_row(oid, batch)? {
            known.parts.refuse_unlike(&known.relation)?;
            let row = batch.add_row(old_row(&known.relation, &known.parts, old)?)?;
            batch.delete(&known.relation.table, row);
        }
        Ok(())
    }

    fn truncate(&mut self, relations: Relations<'_>, batch: &mut Batch) -> Result<()> {
        self.described = (None, None);
        for oid in relations.oids() {
            if let Some(known) = self.begin_event(oid, batch)? {
                batch.truncate(&known.relation.table);
            }
        }
        Ok(())
    }

    /// A message that belongs to no transaction stands at its own position. The position in the target does not
    /// cover it, so a restart may repeat it.
    fn lone_message(&mut self, lsn: Lsn, prefix: &[u8], content: &[u8], batch: &mut Batch) -> Result<()> {
        if lsn < self.start {
            return Ok(());
        }
        batch.transaction(format_args!("{lsn}"), 0, 0, 0)?;
        self.last_end = lsn;
        batch.starts(lsn.0, lsn.0);
        batch.message(prefix, content, false)?;
        if let Some(open) = &mut self.open {
            open.named = false;
        }
        Ok(())
    }
}

impl Known {
    fn is_followed(&self) -> bool {
        self.relation.wanted && self.stands_alone
    }
}

fn out_of_place(what: &str) -> Error {
    Error::data("TW-PG-048", format!("{what} where the protocol has no place for it"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::wildcard_enum_match_arm, reason = "a rendering for tests")]

    use tailwater_core::{Change, Column, Declared, Fill, Position, Type, Value};

    use super::*;
    use crate::pgoutput::decode;

    fn relation(oid: u32, identity: &[bool], wanted: bool) -> Relation {
        let mut table = table("t");
        Arc::make_mut(&mut table).id = u64::from(oid);
        Relation { table, identity: identity.to_vec(), full: identity == [true, true], wanted }
    }

    fn table(name: &str) -> Arc<Table> {
        let column = |id, name: &str| Column {
            id,
            name: name.into(),
            kind: Type::Text,
            source_type: "text".into(),
            type_id: 25,
            fill: Fill::Null,
            declared: Declared::default(),
        };
        let columns = vec![column(1, "id"), column(2, "note")];
        Arc::new(Table {
            id: 9,
            schema: "public".into(),
            name: name.into(),
            columns,
            key: vec![0],
            declared_key: Vec::new(),
            streamed_from_birth: true,
        })
    }

    fn begin(lsn: u64) -> Vec<u8> {
        [&b"B"[..], &lsn.to_be_bytes(), &0u64.to_be_bytes(), &7u32.to_be_bytes()].concat()
    }

    fn commit(lsn: u64, end: u64) -> Vec<u8> {
        [&b"C\0"[..], &lsn.to_be_bytes(), &end.to_be_bytes(), &0u64.to_be_bytes()].concat()
    }

    fn tuple(values: &[&str]) -> Vec<u8> {
        let mut bytes = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            match *value {
                "NULL" => bytes.push(b'n'),
                "SAME" => bytes.push(b'u'),
                text => {
                    bytes.push(b't');
                    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
        bytes
    }

    fn row_message(tag: u8, parts: &[(u8, &[&str])]) -> Vec<u8> {
        let mut bytes = vec![tag, 0, 0, 0, 9];
        for (kind, values) in parts {
            bytes.push(*kind);
            bytes.extend(tuple(values));
        }
        bytes
    }

    fn assembler(start: u64, skip: u64, identity: [bool; 2]) -> (Assembler, Batch) {
        let (mut assembler, mut batch) = (Assembler::new(Lsn(start), skip), Batch::default());
        assembler.describe(9, relation(9, &identity, true));
        assembler.announce(9, &mut batch).unwrap();
        batch.reset(&Position::default(), 1 << 20);
        (assembler, batch)
    }

    fn render(batch: &Batch) -> Vec<String> {
        let row = |row: tailwater_core::Row<'_>| {
            let values = row.values().map(|value| match value {
                Value::Unsent => "?".to_owned(),
                Value::Null => "∅".to_owned(),
                Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            });
            values.collect::<Vec<_>>().join(",")
        };
        let events = batch.events().map(|event| {
            let what = match event.change {
                Change::Insert { new, .. } => format!("insert {}", row(new)),
                Change::Update { old: None, new, .. } => format!("update {}", row(new)),
                Change::Update { old: Some(old), new, .. } => format!("update {} -> {}", row(old), row(new)),
                Change::Delete { old, .. } => format!("delete {}", row(old)),
                Change::Shape { table } => format!("shape {}", table.id),
                Change::Drop { table } => format!("drop {}", table.id),
                Change::Truncate { table } => format!("truncate {}", table.id),
                other => format!("{other:?}"),
            };
            format!("{}#{} {what}", event.transaction.id, event.ordinal)
        });
        events.collect()
    }

    #[test]
    fn replica_identities_say_what_is_null_and_what_is_not_sent() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        for message in [
            begin(5),
            row_message(b'I', &[(b'N', &["1", "NULL"])]),
            row_message(b'U', &[(b'N', &["1", "SAME"])]),
            row_message(b'U', &[(b'K', &["1", "NULL"]), (b'N', &["2", "SAME"])]),
            row_message(b'U', &[(b'O', &["2", "long"]), (b'N', &["2", "SAME"])]),
            row_message(b'D', &[(b'K', &["2", "NULL"])]),
            row_message(b'D', &[(b'O', &["3", "NULL"])]),
            commit(5, 8),
        ] {
            assembler.apply(&decode(&message, false).unwrap(), &mut batch).unwrap();
        }
        assert_eq!(
            render(&batch),
            [
                "0/5#0 insert 1,∅",
                "0/5#1 update 1,?",
                "0/5#2 update 1,? -> 2,?",
                "0/5#3 update 2,long -> 2,long",
                "0/5#4 delete 2,?",
                "0/5#5 delete 3,∅",
            ]
        );
        assert_eq!((assembler.covered(), assembler.event()), (Lsn(8), 0));
    }

    fn apply(assembler: &mut Assembler, batch: &mut Batch, messages: &[Vec<u8>]) -> Result<()> {
        messages
            .iter()
            .try_for_each(|message| assembler.apply(&decode(message, false).unwrap(), batch).map(drop))
    }

    #[test]
    fn a_partition_that_is_described_beside_its_root_becomes_a_table_of_its_own() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        apply(&mut assembler, &mut batch, &[begin(5)]).unwrap();
        assembler.describe(9, relation(9, &[true, false], true));
        assembler.describe(8, relation(8, &[true, false], true));
        apply(&mut assembler, &mut batch, &[row_message(b'I', &[(b'N', &["1", "a"])]), commit(5, 6)])
            .unwrap();
        assert_eq!(render(&batch), ["0/5#0 shape 9", "0/5#0 insert 1,a"]);
        assert_eq!(assembler.shapes().len(), 1);
        // Detached, it is one, but the sink has none of its rows.
        assert!(assembler.has_passed_over(8));
    }

    #[test]
    fn nulls_of_a_partition_that_sends_keys_only_are_taken_for_values() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, true]);
        let messages = || {
            [
                begin(5),
                row_message(b'U', &[(b'O', &["1", "NULL"]), (b'N', &["1", "SAME"])]),
                row_message(b'D', &[(b'O', &["1", "NULL"])]),
                commit(5, 6),
            ]
        };
        apply(&mut assembler, &mut batch, &messages()).unwrap();
        assert_eq!(render(&batch), ["0/5#0 update 1,∅ -> 1,∅", "0/5#1 delete 1,∅"]);
        batch.reset(&Position::default(), 1 << 20);
        assembler.describe(9, relation(9, &[true, true], true));
        assembler.describe(8, relation(8, &[true, false], true));
        apply(&mut assembler, &mut batch, &messages()).unwrap();
        assert_eq!(render(&batch), ["0/5#0 shape 9", "0/5#0 update 1,? -> 1,?", "0/5#1 delete 1,?"]);
        // No old row, because its key stays the same; the value outside of the key may be missing then.
        batch.reset(&Position::default(), 1 << 20);
        let update = row_message(b'U', &[(b'N', &["1", "SAME"])]);
        apply(&mut assembler, &mut batch, &[begin(7), update]).unwrap();
        assert_eq!(render(&batch), ["0/7#0 update 1,?"]);
    }

    #[test]
    fn a_partition_with_another_identity_changes_the_wrong_row() {
        for root in [[true, false], [true, true]] {
            let (mut assembler, mut batch) = assembler(1, 0, root);
            assembler.describe(9, relation(9, &root, true));
            assembler.describe(8, relation(8, &[false, true], true));
            let insert = row_message(b'I', &[(b'N', &["1", "a"])]);
            apply(&mut assembler, &mut batch, &[begin(5), insert]).unwrap();
            for change in
                [row_message(b'U', &[(b'N', &["2", "a"])]), row_message(b'D', &[(b'K', &["NULL", "a"])])]
            {
                assert_eq!(apply(&mut assembler, &mut batch, &[change]).unwrap_err().code(), "TW-PG-049");
            }
        }
    }

    #[test]
    fn a_table_that_was_away_goes_on_as_if_nothing_were_missing() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        let insert = |id| row_message(b'I', &[(b'N', &[id, "x"])]);
        apply(&mut assembler, &mut batch, &[begin(5), insert("1")]).unwrap();
        assembler.describe(9, relation(9, &[true, false], false));
        apply(&mut assembler, &mut batch, &[insert("2"), commit(5, 6), begin(7)]).unwrap();
        assert!(assembler.has_passed_over(9) && assembler.shapes().is_empty());
        assembler.describe(9, relation(9, &[true, false], true));
        apply(&mut assembler, &mut batch, &[insert("3")]).unwrap();
        assert_eq!(render(&batch), ["0/5#0 insert 1,x", "0/7#0 drop 9", "0/7#0 shape 9", "0/7#0 insert 3,x"]);
    }

    #[test]
    fn tables_that_are_gone_are_kept_for_ever() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        let nothing = BTreeSet::new();
        for oid in 100..200 {
            // One that is followed and dropped, one that is not wanted, one that is part of another.
            assembler.describe(oid, relation(oid, &[true, false], true));
            assembler.announce(oid, &mut batch).unwrap();
            assembler.describe(oid + 1000, relation(oid + 1000, &[true, false], false));
            assembler.describe(oid + 2000, relation(oid + 2000, &[true, false], true));
            assembler.describe(oid + 2000, relation(oid + 2000, &[true, false], true));
            assembler.sweep(&nothing);
            let table = Arc::clone(assembler.shape(oid).unwrap());
            if oid % 2 == 0 {
                assembler.leave(&table);
            } else {
                assembler.forget(&table, &mut batch).unwrap();
            }
            // What was described only since the last time may be newer than what is compared with.
            assert!(assembler.shape(oid + 1000).is_some() && assembler.shape(oid + 2000).is_some());
        }
        assembler.sweep(&nothing);
        assert_eq!((assembler.relations.len(), assembler.by_oid.len()), (1, 1));
        assert_eq!(assembler.passed_over.len(), 0);
        apply(&mut assembler, &mut batch, &[begin(5), row_message(b'I', &[(b'N', &["1", "x"])])]).unwrap();
    }

    #[test]
    fn what_the_target_has_is_skipped_and_ids_stay_the_same() {
        let (mut assembler, mut batch) = assembler(6, 1, [true, false]);
        assert_eq!(assembler.event(), 1);
        let insert = |id| row_message(b'I', &[(b'N', &[id, "x"])]);
        for message in [begin(5), insert("old"), commit(5, 6), begin(6), insert("a"), insert("b")] {
            assembler.apply(&decode(&message, false).unwrap(), &mut batch).unwrap();
        }
        assert_eq!(render(&batch), ["0/6#1 insert b,x"]);
        assert_eq!((assembler.covered(), assembler.event()), (Lsn(6), 2));
        batch.reset(&Position::default(), 1 << 20);
        assembler.apply(&decode(&insert("c"), false).unwrap(), &mut batch).unwrap();
        assert_eq!(render(&batch), ["0/6#2 insert c,x"]);
    }

    #[test]
    fn an_update_that_cannot_be_identified_stops() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        assembler.apply(&decode(&begin(5), false).unwrap(), &mut batch).unwrap();
        let update = row_message(b'U', &[(b'N', &["SAME", "x"])]);
        let error = assembler.apply(&decode(&update, false).unwrap(), &mut batch).unwrap_err();
        assert_eq!(error.code(), "TW-PG-043");
        assert!(error.remedy_text().is_some_and(|remedy| remedy.contains("REPLICA IDENTITY FULL")));
    }

    #[test]
    fn a_keepalive_moves_the_position_only_between_transactions() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        assembler.nothing_until(Lsn(4));
        assert_eq!(assembler.covered(), Lsn(4));
        assembler.apply(&decode(&begin(5), false).unwrap(), &mut batch).unwrap();
        assembler.nothing_until(Lsn(9));
        assert_eq!(assembler.covered(), Lsn(4));
    }

    #[test]
    fn streamed_and_misplaced_messages_are_refused() {
        let (mut assembler, mut batch) = assembler(1, 0, [true, false]);
        let insert = row_message(b'I', &[(b'N', &["1", "x"])]);
        for message in [&b"E"[..], &insert, &commit(5, 6)] {
            let error = assembler.apply(&decode(message, false).unwrap(), &mut batch).unwrap_err();
            assert_eq!(error.code(), "TW-PG-048");
        }
        let other = [&b"I"[..], &[0, 0, 0, 8, b'N'], &tuple(&["1", "x"])].concat();
        assembler.apply(&decode(&begin(5), false).unwrap(), &mut batch).unwrap();
        let error = assembler.apply(&decode(&other, false).unwrap(), &mut batch).unwrap_err();
        assert_eq!(error.code(), "TW-PG-041");
    }
}
