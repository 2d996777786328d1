//! `format = "row"`: what Debezium's ExtractNewRecordState makes of an event. The row in place of the envelope, with
//! facts of the event added to it or to the headers; and what becomes of deletes. Messages, heartbeats and the
//! metadata of transactions are no rows and stay as they are; truncates are dropped.

use super::config::{flag, mode, modes};
use super::envelope::text_of;
use super::facts::{self, Fact, Facts, Form};
use super::number::Scratch;
use super::{Outgoing, Written};
use crate::encode::Records;

/// The options of the transformation, in `[sink.kafka.debezium]` too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// `delete.tombstone.handling.mode`
    pub deletes: Deletes,
    /// `add.fields`
    fields: Vec<Added>,
    /// `add.fields.prefix`
    fields_prefix: String,
    /// `add.headers`
    headers: Vec<Added>,
    /// `add.headers.prefix`
    headers_prefix: String,
}

modes! {
    /// What becomes of a delete.
    Deletes {
        /// Nothing is written.
        Drop = "drop",
        /// A record whose value is null in JSON: the text `null`, or a schema with that as its payload.
        Tombstone = "tombstone",
        /// The old row, with `__deleted`, which every other row has too.
        Rewrite = "rewrite",
        /// The same, and then a tombstone.
        RewriteWithTombstone = "rewrite-with-tombstone",
        /// A tombstone: a record without a value.
        DeleteToTombstone = "delete-to-tombstone",
    }
}

/// A fact that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Added {
    fact: Fact,
    /// Without its prefix.
    name: String,
}

/// The transformation's options that change what is written.
pub(crate) const OPTIONS: &[&str] = &[
    "delete.tombstone.handling.mode",
    "add.fields",
    "add.fields.prefix",
    "add.headers",
    "add.headers.prefix",
    "replace.null.with.default",
    "route.by.field",
    "drop.fields.header.name",
    "drop.fields.from.key",
    "drop.fields.keep.schema.compatible",
];

const DELETED: &str = "__deleted";

impl Default for Rows {
    fn default() -> Self {
        Self {
            deletes: Deletes::Tombstone,
            fields: Vec::new(),
            fields_prefix: "__".to_owned(),
            headers: Vec::new(),
            headers_prefix: "__".to_owned(),
        }
    }
}

impl Rows {
    /// Sets an option by its name.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind its name.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "delete.tombstone.handling.mode" => self.deletes = mode(Deletes::ALL, value)?,
            "add.fields" => self.fields = added(value)?,
            "add.headers" => self.headers = added(value)?,
            "add.fields.prefix" => value.clone_into(&mut self.fields_prefix),
            "add.headers.prefix" => value.clone_into(&mut self.headers_prefix),
            // Connect's converter puts the default in place of null, whatever was done before it.
            "replace.null.with.default" => _ = flag(value)?,
            "route.by.field" => {
                return Err(
                    "is not supported: which topics there are would depend on the rows; set `topic` in [sink.kafka]"
                        .to_owned(),
                );
            }
            "drop.fields.header.name" | "drop.fields.from.key" | "drop.fields.keep.schema.compatible" => {
                return Err("is not supported: no record has a header that names fields to be dropped; \
                            leave columns out of the publication"
                    .to_owned());
            }
            _ => return Err("is not an option of this format".to_owned()),
        }
        Ok(())
    }

    fn marks_deletes(&self) -> bool {
        matches!(self.deletes, Deletes::Rewrite | Deletes::RewriteWithTombstone)
    }

    /// What stands behind the columns, as names in their order and as nodes of the schema.
    pub(crate) fn more(&self) -> Vec<(String, String)> {
        let deleted = format!("{{\"type\":\"string\",\"optional\":true,\"field\":\"{DELETED}\"}}");
        let deleted = self.marks_deletes().then(|| (DELETED.to_owned(), deleted));
        let fields = self.fields.iter().map(|added| {
            let name = format!("{}{}", self.fields_prefix, added.name);
            let node = facts::described(added.fact, &name);
            (name, node)
        });
        deleted.into_iter().chain(fields).collect()
    }

    /// The value of a record. `rows.more`, in [`super::table::Prepared`], has the names as JSON.
    pub(crate) fn value(
        &self,
        facts: &Facts<'_>,
        outgoing: &Outgoing<'_>,
        scratch: &mut Scratch,
        out: &mut Records,
        gaps: &mut Vec<usize>,
    ) -> Written {
        let table = facts.table;
        let (row, deleted) = match (outgoing.after, outgoing.before, self.deletes) {
            (Some(row), _, _) => (row, false),
            (None, None, _) | (None, Some(_), Deletes::Drop) => return Written::Nothing,
            (None, Some(_), Deletes::Tombstone) => {
                return Written::Record(Some(out.write(|out| out.extend_from_slice(&table.null_value))));
            }
            (None, Some(_), Deletes::DeleteToTombstone) => return Written::Record(None),
            (None, Some(row), Deletes::Rewrite | Deletes::RewriteWithTombstone) => (row, true),
        };
        let value = out.write(|out| {
            out.extend_from_slice(&table.value_head);
            table.row(out, row, deleted, scratch);
            let mut names = table.more.iter();
            out.pop();
            if self.marks_deletes() {
                out.extend_from_slice(names.next().map_or(&[], Vec::as_slice));
                out.extend_from_slice(if deleted { b"\"true\"" } else { b"\"false\"" });
            }
            for (added, name) in self.fields.iter().zip(names) {
                out.extend_from_slice(name);
                if !added.fact.write(out, Form::Json, facts, gaps) {
                    out.extend_from_slice(b"null");
                }
            }
            out.extend_from_slice(table.value_end);
        });
        Written::Record(Some(value))
    }

    /// Adds the headers that are asked for to the record that was added last.
    pub(crate) fn headers(&self, facts: &Facts<'_>, out: &mut Records, gaps: &mut Vec<usize>) {
        for added in &self.headers {
            let name = self.header_name(added, out);
            let mut written = false;
            let value = out.write(|out| written = added.fact.write(out, Form::Plain, facts, gaps));
            out.header(name, written.then_some(value));
        }
    }

    fn header_name(&self, added: &Added, out: &mut Records) -> crate::encode::Span {
        out.write(|out| {
            out.extend_from_slice(self.headers_prefix.as_bytes());
            out.extend_from_slice(added.name.as_bytes());
        })
    }

    /// Whether the tombstone behind a delete stays.
    pub(crate) fn keeps_tombstones(&self) -> bool {
        self.deletes == Deletes::RewriteWithTombstone
    }

    /// Adds the headers of a tombstone to the record that was added last. It shares its headers with the delete before
    /// it, and gets the one header that a tombstone gets behind them, so that `op` is there twice.
    pub(crate) fn tombstone_headers(&self, delete: &Facts<'_>, out: &mut Records) {
        self.headers(delete, out, &mut Vec::new());
        for added in self.headers.iter().filter(|added| added.fact == Fact::Operation) {
            let name = self.header_name(added, out);
            let value = out.write(|out| out.push(b'd'));
            out.header(name, Some(value));
        }
    }
}

/// `op,source.ts_ms,lsn:POSITION`: what is asked for, by the names it will have.
fn added(value: &str) -> Result<Vec<Added>, String> {
    let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| one(item).ok_or_else(|| refused(item))).collect()
}

fn one(item: &str) -> Option<Added> {
    let (path, renamed) = item.split_once(':').map_or((item, None), |(path, name)| (path, Some(name)));
    let (part, name) = path.split_once('.').map_or((None, path), |(part, name)| (Some(part), name));
    let fact = Fact::find(part, name)?;
    let name = renamed.map_or_else(|| path.replace('.', "_"), str::to_owned);
    (part != Some("") && !name.is_empty() && !name.contains(':')).then_some(Added { fact, name })
}

fn refused(item: &str) -> String {
    format!(
        "names {}, which is neither op, ts_ms, ts_us, ts_ns nor a field of source or transaction",
        text_of(item)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_added_fields_as_debezium_does() {
        let names = |value| {
            added(value)
                .map(|added| added.into_iter().map(|added| (added.name, added.fact)).collect::<Vec<_>>())
        };
        assert_eq!(
            names("op, source.ts_ms,ts_ms,id,lsn:POSITION").unwrap(),
            [
                ("op".to_owned(), Fact::Operation),
                ("source_ts_ms".to_owned(), Fact::SourceMillis),
                ("ts_ms".to_owned(), Fact::Millis),
                ("id".to_owned(), Fact::TransactionId),
                ("POSITION".to_owned(), Fact::LogOffset),
            ]
        );
        for wrong in ["files", "source.op", "after.id", "op:a:b", "op:", ".op"] {
            assert!(names(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }
}
