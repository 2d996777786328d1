//! Where transactions begin and end, in both servers' logs, with GTIDs and without; and XA.
//!
//! A prepared XA transaction is kept until it is known what becomes of it. Its GTID stays out of the position until then,
//! so that a restart reads it again: a set can lack one in the middle. MariaDB's position and a place in a file cannot, so
//! there such a transaction is refused.

use std::borrow::Cow;

use tailwater_core::{Batch, Result};

use super::{Assembler, Images, Step};
use crate::binlog::charset;
use crate::binlog::event::{Gtid, Header, MariaGtid, Query};
use crate::ddl::{Reading, Statement};
use crate::error::{self, out_of_place};
use crate::open::{Held, Open};
use crate::place::{Id, Place};

/// Of MariaDB's GTID event: one statement that ends by itself.
const STANDALONE: u8 = 1;
/// `LOG_EVENT_THREAD_SPECIFIC_F`: the statement is about a temporary table, which only its connection sees.
const THREAD_SPECIFIC: u16 = 4;
/// Of MariaDB's GTID event: an XA transaction up to its preparation.
const PREPARED_XA: u8 = 64;

impl<P: Images> Assembler<P> {
    pub(super) fn begin_mysql(&mut self, header: &Header, gtid: &Gtid<'_>) -> Result<Step> {
        let time = match gtid.commit_time_us {
            0 => i64::from(header.timestamp) * 1_000_000,
            time => i64::try_from(time).unwrap_or(i64::MAX),
        };
        let id = match (&self.place, gtid.number) {
            (Place::Gtids(_), 1..) => Id::of(gtid),
            (Place::Gtids(_), 0) => return Err(error::without_gtid()),
            (Place::Maria(_), _) => return Err(out_of_place("a GTID of MySQL")),
            // Its length counts from here.
            (Place::File { .. }, _) => Id::File { file: self.file.clone(), offset: self.offset + gtid.bytes },
        };
        self.begin(id, time, header.server_id)
    }

    pub(super) fn begin_maria(&mut self, header: &Header, gtid: &MariaGtid) -> Result<Step> {
        let id = match &self.place {
            Place::Gtids(_) => return Err(out_of_place("a GTID of MariaDB")),
            Place::Maria(_) | Place::File { .. } => Id::of_maria(gtid, header.server_id),
        };
        self.begin(id, i64::from(header.timestamp) * 1_000_000, header.server_id)?;
        if let Some(open) = &mut self.open {
            open.begun = gtid.flags & STANDALONE == 0;
            open.held = (gtid.flags & PREPARED_XA != 0).then(Vec::new);
        }
        Ok(Step::Continue)
    }

    fn begin(&mut self, id: Id, commit_time_us: i64, server: u32) -> Result<Step> {
        if self.open.is_some() {
            return Err(out_of_place("the beginning of a transaction"));
        }
        let skip = self.place.covers(&id);
        self.open = Some(Open {
            id,
            commit_time_us,
            server,
            thread: 0,
            ordinal: 0,
            skip,
            named: false,
            begun: false,
            may_roll_back: false,
            starts: self.offset,
            follows: self.last_end,
            held: None,
        });
        Ok(Step::Continue)
    }

    pub(super) fn query(&mut self, header: &Header, query: &Query<'_>, batch: &mut Batch) -> Result<Step> {
        let mut statement = statement(query, self.settings.lower_case)?;
        let temporary = header.flags & THREAD_SPECIFIC != 0;
        if temporary && matches!(statement, Statement::Truncate(_) | Statement::Alter(_)) {
            // One of the same name may be carried.
            statement = Statement::Other;
        }
        if self.open.is_none() {
            // A server that writes no GTID events.
            if !matches!(self.place, Place::File { .. }) {
                return if statement == Statement::Other {
                    Ok(Step::Continue)
                } else {
                    Err(error::without_gtid())
                };
            }
            let id = Id::File { file: self.file.clone(), offset: self.offset };
            self.begin(id, i64::from(self.timestamp) * 1_000_000, header.server_id)?;
        }
        let Some(open) = &mut self.open else { return Err(out_of_place("a statement")) };
        open.thread = query.thread;
        if open.skip && !ends(&statement) && (open.begun || begins(&statement)) {
            open.begun = true;
            return Ok(Step::Continue);
        }
        if open.skip {
            return self.commit(batch);
        }
        self.hear_words(query, &statement)?;
        let Some(open) = &mut self.open else { return Err(out_of_place("a statement")) };
        match statement {
            Statement::Begin => open.begun = true,
            Statement::XaStart => {
                open.begun = true;
                open.held.get_or_insert_with(Vec::new);
            }
            Statement::Commit => return self.commit(batch),
            Statement::Rollback if open.may_roll_back => return Err(error::rolled_back()),
            Statement::Rollback => return self.commit(batch),
            Statement::RollbackTo if open.may_roll_back => return Err(error::rolled_back()),
            Statement::XaCommit(xid) => return self.finish(&xid, true, batch),
            Statement::XaRollback(xid) => return self.finish(&xid, false, batch),
            Statement::Truncate(_) | Statement::Drop(_) | Statement::DropSchema(_) | Statement::Rename(_) => {
                return self.act(statement, batch);
            }
            Statement::Alter(_) | Statement::Create(_) | Statement::Rows(_) | Statement::RollbackTo => {
                return self.act(statement, batch);
            }
            Statement::Other => return self.after_statement(batch),
        }
        Ok(Step::Continue)
    }

    /// After a statement: whether the transaction ends with it.
    pub(super) fn after_statement(&mut self, batch: &mut Batch) -> Result<Step> {
        if self.must_ask() {
            return Ok(Step::Asks);
        }
        match &self.open {
            Some(open) if !open.begun => self.commit(batch),
            Some(_) | None => Ok(Step::Continue),
        }
    }

    pub(super) fn commit(&mut self, batch: &mut Batch) -> Result<Step> {
        self.tell_statements(batch)?;
        let Some(open) = self.open.take() else { return Err(out_of_place("a commit")) };
        if open.held.as_ref().is_some_and(|held| !held.is_empty()) {
            return Err(out_of_place("a plain commit of an XA transaction"));
        }
        self.last_end = self.end;
        if open.skip {
            return Ok(Step::Committed);
        }
        if open.named && batch.has_events() {
            batch.ends(self.end);
        }
        self.skip_events = 0;
        self.place.add(&open.id, &self.file, self.end);
        self.note()?;
        Ok(Step::Committed)
    }

    /// XA_PREPARE
    pub(super) fn prepare(&mut self, one_phase: bool, xid: &str, batch: &mut Batch) -> Result<Step> {
        let Some(open) = &mut self.open else { return Err(out_of_place("a prepared transaction")) };
        let held = open.held.take().unwrap_or_default();
        if one_phase || held.is_empty() || open.skip {
            self.release(&held, batch)?;
            return self.commit(batch);
        }
        let open = self.open.take();
        if !matches!(self.place, Place::Gtids(_)) {
            return Err(error::xa(xid));
        }
        if let Some(open) = open {
            self.prepared.insert(plain(xid), (open.id, held));
        }
        self.last_end = self.end;
        Ok(Step::Committed)
    }

    /// `XA COMMIT`, `XA ROLLBACK`. One that is not known changed nothing that is captured.
    fn finish(&mut self, xid: &str, commits: bool, batch: &mut Batch) -> Result<Step> {
        if let Some((id, held)) = self.prepared.remove(xid) {
            if commits {
                self.release(&held, batch)?;
            } else {
                self.held_bytes = self.held_bytes.saturating_sub(held.iter().map(Held::bytes).sum());
            }
            self.place.add(&id, &self.file, self.end);
        }
        self.commit(batch)
    }

    /// Rows that were held go into the open transaction.
    fn release(&mut self, held: &[Held<P>], batch: &mut Batch) -> Result<()> {
        for event in held {
            self.held_bytes = self.held_bytes.saturating_sub(event.bytes());
            self.emit(&event.rows(), &event.shape, event.log_offset, batch)?;
        }
        Ok(())
    }
}

/// What a statement means.
///
/// # Errors
/// `Data` where it cannot be decoded and may concern us.
pub(crate) fn statement(query: &Query<'_>, lower_case: bool) -> Result<Statement> {
    let text = text_of(query)?;
    let schema = String::from_utf8_lossy(query.schema);
    Ok(Statement::read(&text, Reading { schema: &schema, lower_case }))
}

/// The statement as UTF-8.
pub(super) fn text_of<'q>(query: &Query<'q>) -> Result<Cow<'q, str>> {
    // What is not ASCII counts only where it names a table or a column.
    if query.text.is_ascii() {
        return Ok(String::from_utf8_lossy(query.text));
    }
    let mut text = Vec::new();
    let told = query.collation.filter(|&collation| collation != BYTES);
    let decoded = told.map(|collation| charset::to_utf8(collation, query.text, &mut text));
    match decoded {
        Some(Ok(())) => Ok(Cow::Owned(String::from_utf8_lossy(&text).into_owned())),
        Some(Err(_)) | None => {
            let lossy = String::from_utf8_lossy(query.text);
            let concerns_us = || Statement::read(&lossy, Reading::default()) != Statement::Other;
            if matches!(lossy, Cow::Owned(_)) && concerns_us() {
                return Err(error::foreign_text(query.collation));
            }
            Ok(lossy)
        }
    }
}

/// The collation `binary`: the statement is as its client wrote it.
const BYTES: u16 = 63;

/// The name of an XA transaction in the form in which statements are read.
fn plain(xid: &str) -> String {
    let read = Statement::read(&format!("XA COMMIT {xid}"), Reading::default());
    if let Statement::XaCommit(xid) = read { xid } else { xid.to_owned() }
}

fn begins(statement: &Statement) -> bool {
    let opens = matches!(statement, Statement::Create(create) if create.opens);
    opens || matches!(statement, Statement::Begin | Statement::XaStart)
}

fn ends(statement: &Statement) -> bool {
    matches!(statement, Statement::Commit | Statement::Rollback)
}
