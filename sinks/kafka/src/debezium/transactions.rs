//! `provide.transaction.metadata`: the block in each event, and the records at the start and end of a transaction.

use tailwater_core::Transaction;

use super::config::Config;
use super::envelope::number;
use super::source::{Connector, Id};
use super::text;
use crate::encode::Records;
use crate::routes::Route;

const KEY_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"}],"optional":false,"#,
    r#""name":"io.debezium.connector.common.TransactionMetadataKey","version":1}"#,
);
const VALUE_SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"status"},"#,
    r#"{"type":"string","optional":false,"field":"id"},{"type":"int64","optional":true,"field":"event_count"},"#,
    r#"{"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,"field":"data_collection"},"#,
    r#"{"type":"int64","optional":false,"field":"event_count"}],"optional":true,"name":"event.collection","version":1},"#,
    r#""optional":true,"field":"data_collections"},{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,"#,
    r#""name":"io.debezium.connector.common.TransactionMetadataValue","version":1}"#,
);

/// What is counted of the transaction under way.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: bool,
    total: u64,
    /// Per table, in the order of their first event; memory of transactions before lies behind `used`.
    tables: Vec<(String, u64)>,
    used: usize,
    /// The block of the event that was counted last, and its number among those of its table.
    block: Vec<u8>,
    of_collection: u64,
}

/// The place of an event in its transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InTransaction<'a> {
    /// The block of `transaction`, or `null`.
    pub(crate) block: &'a [u8],
    /// Its number among all events, and among those of its table.
    pub(crate) order: Option<(u64, u64)>,
}

impl InTransaction<'_> {
    /// Not told: not asked for, or the event belongs to none.
    pub(crate) const UNTOLD: InTransaction<'static> = InTransaction { block: b"null", order: None };
}

impl Counts {
    /// Begins a transaction, with a record that says so, unless it is the one under way.
    pub(crate) fn begin(
        &mut self,
        (transaction, connector): (&Transaction<'_>, &Connector),
        route: Route,
        config: &Config,
        out: &mut Records,
    ) {
        if self.open {
            return;
        }
        self.open = true;
        self.total = 0;
        self.used = 0;
        let id = connector.id(transaction, transaction.starts);
        let begin =
            Boundary { status: "BEGIN", id, time_us: transaction.commit_time_us, schemas: config.schemas };
        begin.write(out, route, |value| {
            value.extend_from_slice(b"\"event_count\":null,\"data_collections\":null");
        });
    }

    /// Counts an event of a table, and makes its block.
    pub(crate) fn count(&mut self, table: &str, id: Id<'_>) -> InTransaction<'_> {
        let known = self.tables.iter_mut().take(self.used).find(|(name, _)| name == table);
        let of_collection = known.map(|(_, count)| {
            *count += 1;
            *count
        });
        self.block(of_collection, table, id)
    }

    /// Counts a message: each is a collection of its own.
    pub(crate) fn count_message(&mut self, id: Id<'_>) -> InTransaction<'_> {
        self.block(None, "message", id)
    }

    fn block(&mut self, of_collection: Option<u64>, collection: &str, id: Id<'_>) -> InTransaction<'_> {
        self.total += 1;
        if of_collection.is_none() {
            match self.tables.get_mut(self.used) {
                Some((name, count)) => {
                    collection.clone_into(name);
                    *count = 1;
                }
                None => self.tables.push((collection.to_owned(), 1)),
            }
            self.used += 1;
        }
        let of_collection = of_collection.unwrap_or(1);
        self.block.clear();
        let block = &mut self.block;
        block.extend_from_slice(b"{\"id\":\"");
        id.write(block);
        block.extend_from_slice(b"\",\"total_order\":");
        number(block, self.total);
        block.extend_from_slice(b",\"data_collection_order\":");
        number(block, of_collection);
        block.push(b'}');
        self.of_collection = of_collection;
        self.last()
    }

    /// The place of the event that was counted last.
    pub(crate) fn last(&self) -> InTransaction<'_> {
        match self.total {
            0 => InTransaction::UNTOLD,
            total => InTransaction { block: &self.block, order: Some((total, self.of_collection)) },
        }
    }

    /// Ends the transaction under way.
    pub(crate) fn end(
        &mut self,
        (transaction, connector): (&Transaction<'_>, &Connector),
        route: Route,
        config: &Config,
        out: &mut Records,
    ) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let id = connector.id(transaction, transaction.ends);
        let (total, tables) = (self.total, self.tables.iter().take(self.used));
        let end =
            Boundary { status: "END", id, time_us: transaction.commit_time_us, schemas: config.schemas };
        end.write(out, route, |value| {
            value.extend_from_slice(b"\"event_count\":");
            number(value, total);
            value.extend_from_slice(b",\"data_collections\":[");
            for (index, (name, count)) in tables.enumerate() {
                if index > 0 {
                    value.push(b',');
                }
                value.extend_from_slice(b"{\"data_collection\":");
                text::string(value, name.as_bytes());
                value.extend_from_slice(b",\"event_count\":");
                number(value, *count);
                value.push(b'}');
            }
            value.push(b']');
        });
    }
}

/// The start or the end of a transaction.
#[derive(Debug, Clone, Copy)]
struct Boundary<'t> {
    status: &'static str,
    id: Id<'t>,
    time_us: i64,
    schemas: bool,
}

impl Boundary<'_> {
    fn write(self, out: &mut Records, route: Route, counts: impl FnOnce(&mut Vec<u8>)) {
        let key = out.write(|key| {
            self.head(key, KEY_SCHEMA);
            key.extend_from_slice(b"{\"id\":\"");
            self.id.write(key);
            key.push(b'"');
            self.end(key);
        });
        let value = out.write(|value| {
            self.head(value, VALUE_SCHEMA);
            value.extend_from_slice(b"{\"status\":\"");
            value.extend_from_slice(self.status.as_bytes());
            value.extend_from_slice(b"\",\"id\":\"");
            self.id.write(value);
            value.extend_from_slice(b"\",");
            counts(value);
            value.extend_from_slice(b",\"ts_ms\":");
            number(value, self.time_us.div_euclid(1000));
            self.end(value);
        });
        out.add(route, Some(key), Some(value));
    }

    fn head(self, out: &mut Vec<u8>, schema: &str) {
        if self.schemas {
            out.extend_from_slice(b"{\"schema\":");
            out.extend_from_slice(schema.as_bytes());
            out.extend_from_slice(b",\"payload\":");
        }
    }

    fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.schemas { b"}}" } else { b"}" });
    }
}
