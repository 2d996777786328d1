//! What is prepared once per shape of a table: columns, key, schemas, and the fixed parts of every record.

use std::sync::Arc;

use tailwater_core::{Result, Row, Table};

use super::column::Plan;
use super::config::Config;
use super::envelope::{self, text_of};
use super::names;
use super::number::Scratch;
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
    /// Likewise, and then `{"before":`.
    pub(crate) value_head: Vec<u8>,
    /// `,"source":{…,"name":"…","ts_ms":`
    pub(crate) source_head: Vec<u8>,
    /// `"public","table":"t","txId":`
    pub(crate) source_tail: Vec<u8>,
    /// `}` or `}}`
    pub(crate) value_end: &'static [u8],
    /// `schema.table`
    pub(crate) full_name: String,
}

impl Prepared {
    pub(crate) fn new(
        table: &Arc<Table>,
        config: &Config,
        routes: &mut Routes,
        scratch: &mut Scratch,
    ) -> Result<Self> {
        let route = routes.table(table)?;
        let topic = routes.all().get(route.index()).map_or("", |target| target.topic.as_str());
        let mut plan = |index: usize| Plan::new(index, table.columns.get(index)?, config, scratch);
        let columns: Vec<Plan> = (0..table.columns.len()).filter_map(&mut plan).collect();
        let key: Vec<Plan> = config.key_of(table).into_iter().filter_map(&mut plan).collect();

        let (mut key_head, mut value_head) = (Vec::new(), Vec::new());
        if config.schemas {
            let schema =
                |name: &str| text_of(&names::schema(&format!("{topic}.{name}"), config.schema_names));
            let key = envelope::structure(&key, false, &schema("Key"), "");
            key_head = format!("{{\"schema\":{key},\"payload\":").into_bytes();
            let row = |field| envelope::structure(&columns, true, &schema("Value"), field);
            let value = envelope::schema(&row("before"), &row("after"), &schema("Envelope"));
            value_head = format!("{{\"schema\":{value},\"payload\":").into_bytes();
        }
        value_head.extend_from_slice(b"{\"before\":");
        let (schema, name) = (text_of(&table.schema), text_of(&table.name));
        Ok(Self {
            table: Arc::clone(table),
            route,
            columns,
            key,
            key_head,
            value_head,
            source_head: envelope::source_head(config),
            source_tail: format!("{schema},\"table\":{name},\"txId\":").into_bytes(),
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
