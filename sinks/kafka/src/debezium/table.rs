//! What is prepared once per shape of a table: columns, key, schemas, and the fixed parts of every record.

use std::sync::Arc;

use tailwater_core::{Result, Row, Table};

use super::column::Plan;
use super::config::Config;
use super::envelope::{self, text_of};
use super::names;
use super::number::Scratch;
use super::rows::Rows;
use super::source::Connector;
use crate::error;
use crate::routes::{Route, Routes};

/// A table, ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) table: Arc<Table>,
    pub(crate) route: Route,
    columns: Vec<Plan>,
    /// Empty where rows have no key.
    key: Vec<Plan>,
    /// `{"schema":{…},"payload":`, where schemas are asked for.
    key_head: Vec<u8>,
    /// Likewise, and of envelopes then `{"before":`.
    pub(crate) value_head: Vec<u8>,
    /// Of rows: the value that says null.
    pub(crate) null_value: Vec<u8>,
    /// Of rows: `,"name":` of each field behind the columns.
    pub(crate) more: Vec<Vec<u8>>,
    /// What the server is called.
    pub(crate) server: String,
    /// Whose table it is.
    pub(crate) connector: &'static Connector,
    /// What `source` says of it: [`Connector::table_parts`].
    pub(crate) source_parts: Vec<Vec<u8>>,
    /// `}` or `}}`
    pub(crate) value_end: &'static [u8],
    /// `schema.table`
    pub(crate) full_name: String,
}

/// What keys and values begin with, which is little unless schemas are asked for.
struct Heads {
    key: Vec<u8>,
    value: Vec<u8>,
    null: Vec<u8>,
}

impl Heads {
    /// Of rows, with names and schemas of the fields behind the columns, or else of events.
    fn new(
        (config, connector): (&Config, &Connector),
        topic: &str,
        (columns, key): (&[Plan], &[Plan]),
        rows: Option<&Vec<(String, String)>>,
    ) -> Self {
        let named = |name: &str| text_of(&names::schema(&format!("{topic}.{name}"), config.schema_names));
        let head = |schema: &str, start: &str| {
            let head =
                if config.schemas { format!("{{\"schema\":{schema},\"payload\":") } else { String::new() };
            (head + start).into_bytes()
        };
        let row = |optional, more: &[&str], field| {
            envelope::structure(columns, more, optional, &named("Value"), field)
        };
        let key = head(&envelope::structure(key, &[], false, &named("Key"), ""), "");
        let Some(more) = rows else {
            let (before, after) = (row(true, &[], "before"), row(true, &[], "after"));
            let schema = envelope::schema(&before, &after, &named("Envelope"), connector);
            return Self { key, value: head(&schema, "{\"before\":"), null: Vec::new() };
        };
        let more: Vec<&str> = more.iter().map(|(_, node)| node.as_str()).collect();
        let null = head(&row(true, &[], ""), if config.schemas { "null}" } else { "null" });
        Self { key, value: head(&row(false, &more, ""), ""), null }
    }
}

impl Prepared {
    pub(crate) fn new(
        table: &Arc<Table>,
        (config, connector): (&Config, &'static Connector),
        rows: Option<&Rows>,
        routes: &mut Routes,
        scratch: &mut Scratch,
    ) -> Result<Self> {
        let key = config.key_of(table)?;
        let route = routes.table(table, &key)?;
        let topic = routes.all().get(route.index()).map_or("", |target| target.topic.as_str());
        let mut plan =
            |index: usize| Plan::new(index, table.columns.get(index)?, (config, connector), scratch);
        let columns: Vec<Plan> = (0..table.columns.len()).filter_map(&mut plan).collect();
        let key: Vec<Plan> = key.into_iter().filter_map(&mut plan).collect();

        let more = rows.map(Rows::more).unwrap_or_default();
        if let Some(twice) =
            names::twice(columns.iter().map(Plan::name).chain(more.iter().map(|(name, _)| name.as_str())))
        {
            return Err(error::field_twice(&table.full_name(), twice));
        }
        let heads = Heads::new((config, connector), topic, (&columns, &key), rows.is_some().then_some(&more));
        let separator = |index: usize| if index == 0 && columns.is_empty() { "" } else { "," };
        let more = more.iter().enumerate();
        let more =
            more.map(|(index, (name, _))| format!("{}{}:", separator(index), text_of(name)).into_bytes());
        Ok(Self {
            table: Arc::clone(table),
            route,
            more: more.collect(),
            columns,
            key,
            key_head: heads.key,
            value_head: heads.value,
            null_value: heads.null,
            server: config.prefix.clone(),
            connector,
            source_parts: connector.table_parts(&table.schema, Some(&table.name)),
            value_end: if config.schemas { b"}}" } else { b"}" },
            full_name: table.full_name(),
        })
    }

    /// Whether rows have a key.
    pub(crate) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// The key of a row, without its schema: `{"id":1}`.
    pub(crate) fn bare_key(&self, out: &mut Vec<u8>, row: Row<'_>, old: bool, scratch: &mut Scratch) {
        object(out, &self.key, row, old, scratch);
    }

    /// Wraps what [`Prepared::bare_key`] wrote into its schema, where there is one.
    pub(crate) fn key(&self, out: &mut Vec<u8>, bare: &[u8]) {
        out.extend_from_slice(&self.key_head);
        out.extend_from_slice(bare);
        if !self.key_head.is_empty() {
            out.push(b'}');
        }
    }

    /// A row as an object. What an old row lacks is null or a zero, what a new row lacks is unavailable.
    pub(crate) fn row(&self, out: &mut Vec<u8>, row: Row<'_>, old: bool, scratch: &mut Scratch) {
        object(out, &self.columns, row, old, scratch);
    }
}

fn object(out: &mut Vec<u8>, columns: &[Plan], row: Row<'_>, old: bool, scratch: &mut Scratch) {
    let mut before = b'{';
    for column in columns {
        out.push(before);
        before = b',';
        column.write(out, row.get(column.index()), old, scratch);
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
