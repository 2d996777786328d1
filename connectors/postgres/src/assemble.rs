//! Pure: pgoutput messages in, events of a [`Batch`] out. Knows transactions, shapes and replica identities; no I/O.

use std::collections::HashMap;
use std::sync::Arc;

use tailwater_core::{Batch, Error, Result, Table, Value};

use crate::lsn::Lsn;
use crate::pgoutput::{Message, Old, Relations, Tuple, TupleValue};

/// A relation the stream has described.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its shape.
    pub table: Arc<Table>,
    /// Per column: part of the replica identity.
    pub identity: Vec<bool>,
    /// Whether the pipeline wants it; a publication may hold more.
    pub wanted: bool,
}

/// The transaction being assembled.
#[derive(Debug)]
struct Open {
    commit: Lsn,
    commit_time_us: i64,
    xid: u32,
    /// Counted events so far, skipped ones included.
    ordinal: u64,
    /// Whether the target has all of it.
    skip: bool,
    /// Whether the current batch has been told of it.
    named: bool,
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
    relations: Vec<Relation>,
    by_oid: HashMap<u32, usize>,
    /// The relation of the event before: most events are of the same one.
    last: Option<(u32, usize)>,
    open: Option<Open>,
    /// End of the last whole transaction, or later when the server said that nothing was committed since.
    covered: Lsn,
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
        Self { covered: start, start, skip_events, ..Self::default() }
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
        self.by_oid.get(&oid).and_then(|&index| self.relations.get(index)).map(|relation| &relation.table)
    }

    /// As [`Assembler::shape`], by the id of the table.
    #[must_use]
    pub fn shape_of(&self, table_id: u64) -> Option<&Arc<Table>> {
        u32::try_from(table_id).ok().and_then(|oid| self.shape(oid))
    }

    /// The shapes in force of all wanted relations.
    #[must_use]
    pub fn shapes(&self) -> Vec<Arc<Table>> {
        let known = self.by_oid.values().filter_map(|&index| self.relations.get(index));
        known.filter(|relation| relation.wanted).map(|relation| Arc::clone(&relation.table)).collect()
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
        self.define(oid, Relation { table: Arc::clone(table), identity, wanted: true }, batch)
    }

    /// The table is dropped: nothing more can come of it.
    ///
    /// # Errors
    /// `Data` where the batch's arena is full.
    pub fn forget(&mut self, table: &Arc<Table>, batch: &mut Batch) -> Result<()> {
        self.name_transaction(batch)?;
        batch.drop_table(table);
        self.leave(table);
        Ok(())
    }

    /// The table is no longer ours to follow; should it be described again, it is like new.
    pub fn leave(&mut self, table: &Table) {
        self.last = None;
        if let Ok(oid) = u32::try_from(table.id) {
            self.by_oid.remove(&oid);
        }
    }

    /// Sets the shape of a relation from here on, and tells the sink.
    ///
    /// # Errors
    /// `Data` where the batch's arena is full.
    pub fn define(&mut self, oid: u32, relation: Relation, batch: &mut Batch) -> Result<()> {
        if relation.wanted {
            self.name_transaction(batch)?;
            batch.shape(&relation.table);
        }
        self.last = None;
        match self.by_oid.get(&oid).and_then(|&index| self.relations.get_mut(index)) {
            Some(known) => *known = relation,
            None => {
                self.by_oid.insert(oid, self.relations.len());
                self.relations.push(relation);
            }
        }
        Ok(())
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
                self.open =
                    Some(Open { commit: final_lsn, commit_time_us, xid, ordinal: 0, skip, named: false });
            }
            Message::Commit(commit) => {
                let Some(open) = self.open.take() else { return Err(out_of_place("Commit")) };
                if !open.skip {
                    self.skip_events = 0;
                    self.covered = commit.end_lsn;
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
            // Not needed: types come from the catalogue, and where a change originated does not alter it.
            Message::Type { .. } | Message::Origin { .. } => {}
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
    fn begin_event(&mut self, oid: u32, batch: &mut Batch) -> Result<Option<&Relation>> {
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
        let wanted = self.relations.get(index).is_some_and(|relation| relation.wanted);
        if !wanted || !self.count_event(batch)? {
            return Ok(None);
        }
        Ok(self.relations.get(index))
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
            name(open, open.ordinal - 1, batch)?;
        }
        Ok(true)
    }

    /// Names the open transaction, or the place between two, for an event that is not counted.
    fn name_transaction(&mut self, batch: &mut Batch) -> Result<()> {
        match &mut self.open {
            Some(open) if open.named && batch.has_events() => Ok(()),
            Some(open) => name(open, open.ordinal, batch),
            None => batch.transaction(format_args!("{}", self.covered), 0, 0, 0),
        }
    }

    fn insert(&mut self, oid: u32, new: Tuple<'_>, batch: &mut Batch) -> Result<()> {
        if let Some(relation) = self.begin_event(oid, batch)? {
            let row = batch.add_row(full_row(relation, new, None)?)?;
            batch.insert(&relation.table, row);
        }
        Ok(())
    }

    fn update(&mut self, oid: u32, old: Option<Old<'_>>, new: Tuple<'_>, batch: &mut Batch) -> Result<()> {
        let Some(relation) = self.begin_event(oid, batch)? else { return Ok(()) };
        let old_row = match old {
            Some(old) => Some(batch.add_row(old_row(relation, old)?)?),
            None => {
                identified(relation, new)?;
                None
            }
        };
        let whole = match old {
            Some(Old::Full(old)) => Some(old),
            Some(Old::Key(_)) | None => None,
        };
        let row = batch.add_row(full_row(relation, new, whole)?)?;
        batch.update(&relation.table, old_row, row);
        Ok(())
    }

    fn delete(&mut self, oid: u32, old: Old<'_>, batch: &mut Batch) -> Result<()> {
        if let Some(relation) = self.begin_event(oid, batch)? {
            let row = batch.add_row(old_row(relation, old)?)?;
            batch.delete(&relation.table, row);
        }
        Ok(())
    }

    fn truncate(&mut self, relations: Relations<'_>, batch: &mut Batch) -> Result<()> {
        for oid in relations.oids() {
            if let Some(relation) = self.begin_event(oid, batch)? {
                batch.truncate(&relation.table);
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
        batch.message(prefix, content, false)?;
        if let Some(open) = &mut self.open {
            open.named = false;
        }
        Ok(())
    }
}

fn name(open: &mut Open, first_ordinal: u64, batch: &mut Batch) -> Result<()> {
    open.named = true;
    batch.transaction(
        format_args!("{}", open.commit),
        open.commit_time_us,
        u64::from(open.xid),
        first_ordinal,
    )
}

/// The values of a new row. What was not sent is taken from the whole old row where there is one.
fn full_row<'a>(
    relation: &Relation,
    new: Tuple<'a>,
    whole_old: Option<Tuple<'a>>,
) -> Result<impl Iterator<Item = Value<'a>>> {
    width(relation, new)?;
    let mut old = whole_old.map(|old| old.values());
    Ok(new.values().map(move |value| {
        let before = old.as_mut().and_then(Iterator::next);
        match value {
            TupleValue::Unchanged => before.map_or(Value::Unsent, plain),
            TupleValue::Null | TupleValue::Text(_) | TupleValue::Binary(_) => plain(value),
        }
    }))
}

/// The values of an old row. In a key tuple, NULL outside the key means "not sent".
fn old_row<'a>(relation: &'a Relation, old: Old<'a>) -> Result<impl Iterator<Item = Value<'a>>> {
    let (tuple, key_only) = match old {
        Old::Key(tuple) => (tuple, true),
        Old::Full(tuple) => (tuple, false),
    };
    width(relation, tuple)?;
    let values = tuple.values().zip(&relation.identity);
    Ok(values.map(move |(value, &in_key)| if key_only && !in_key { Value::Unsent } else { plain(value) }))
}

fn plain(value: TupleValue<'_>) -> Value<'_> {
    match value {
        TupleValue::Null => Value::Null,
        TupleValue::Unchanged => Value::Unsent,
        // `START_REPLICATION` never asks for binary, and the server sends none unasked.
        TupleValue::Text(text) | TupleValue::Binary(text) => Value::Text(text),
    }
}

fn width(relation: &Relation, tuple: Tuple<'_>) -> Result<()> {
    if tuple.len() == relation.table.columns.len() {
        return Ok(());
    }
    Err(Error::data("TW-PG-042", format!("a row of {} does not have its shape", relation.table.full_name())))
}

/// An update without an old row is found by the key in the new one, which must then be there.
fn identified(relation: &Relation, new: Tuple<'_>) -> Result<()> {
    let unsent = |(value, &in_key): (TupleValue<'_>, &bool)| in_key && value == TupleValue::Unchanged;
    if !new.values().zip(&relation.identity).any(unsent) {
        return Ok(());
    }
    let name = relation.table.full_name();
    Err(Error::data("TW-PG-043", format!("an update of {name} does not carry its key: the key is TOASTed"))
        .remedy(format!("ALTER TABLE {name} REPLICA IDENTITY FULL, then copy afresh")))
}

fn out_of_place(what: &str) -> Error {
    Error::data("TW-PG-048", format!("{what} where the protocol has no place for it"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::wildcard_enum_match_arm, reason = "a rendering for tests")]

    use tailwater_core::{Change, Column, Fill, Position, Type};

    use super::*;
    use crate::pgoutput::decode;

    fn table(name: &str) -> Arc<Table> {
        let column = |id, name: &str| Column {
            id,
            name: name.into(),
            kind: Type::Text,
            source_type: "text".into(),
            type_id: 25,
            fill: Fill::Null,
        };
        let columns = vec![column(1, "id"), column(2, "note")];
        Arc::new(Table {
            id: 9,
            schema: "public".into(),
            name: name.into(),
            columns,
            key: vec![0],
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
        let relation = Relation { table: table("t"), identity: identity.to_vec(), wanted: true };
        assembler.define(9, relation, &mut batch).unwrap();
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
