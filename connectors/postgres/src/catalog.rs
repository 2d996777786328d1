//! What the catalogue says at this moment: published tables, their columns, keys, heaps and types. The SQL of reading
//! it lives here; what a table's rows mean at a point of the stream is decided by `shapes`.
//!
//! Every session has `search_path=pg_catalog`, so names print with their schema.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tailwater_core::error::Doing as _;
use tailwater_core::{Result, Table};

use crate::answer::Fields;
use crate::config::Config;
use crate::connection::Connection;
use crate::kinds::{Form, TypeRow, Types};
use crate::pgoutput::ReplicaIdentity;
use crate::{quote, shapes};

/// A published table that the pipeline wants.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its shape, with the published columns only.
    pub table: Arc<Table>,
    /// What its updates and deletes carry.
    pub identity: ReplicaIdentity,
    /// Whether it is the root of partitions, published as one table.
    pub partitioned: bool,
    /// Rows in it, from the server's statistics; 0 where it has none.
    pub rows_estimated: u64,
    /// Where its rows lie: itself, or the leaves of its partitions.
    pub heaps: Vec<Heap>,
    /// The publication's `WHERE`, as SQL over its columns.
    pub row_filter: Option<String>,
}

impl Published {
    /// Whether the other reading found the same table with the same columns in the same heaps.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let heaps =
            |of: &Self| of.heaps.iter().map(|heap| (heap.oid, heap.sql_name.clone())).collect::<Vec<_>>();
        self.table == other.table && self.row_filter == other.row_filter && heaps(self) == heaps(other)
    }
}

/// A table with storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heap {
    /// Which.
    pub oid: u32,
    /// Schema and name, quoted for SQL.
    pub sql_name: String,
    /// Its size, in blocks of the server.
    pub pages: u64,
}

/// A table as the catalogue has it.
#[derive(Debug, Clone)]
pub struct TableRow {
    /// Which.
    pub oid: u32,
    /// Its schema; empty where the table is gone.
    pub schema: String,
    /// Its name; likewise.
    pub name: String,
    /// The root of partitions.
    pub partitioned: bool,
    /// `relreplident`.
    pub identity: ReplicaIdentity,
    /// The columns (attnum) of the primary key, unless it is deferrable: such a key identifies nothing at once.
    pub primary_key: Vec<u32>,
    /// The columns of the index that `REPLICA IDENTITY USING INDEX` names.
    pub identity_index: Vec<u32>,
    /// The columns of the primary key in its order, deferrable or not; without one, of the first unique index by name.
    pub declared_key: Vec<u32>,
    /// Its file, or one of its partitions', is not the first: it was rewritten or truncated once.
    pub rewritten: bool,
    /// Where its rows lie: itself, or the leaves of its partitions.
    pub heaps: Vec<u32>,
    /// The publications that hold every table now: oid and row version, which any change of it makes another one.
    pub all_tables: Vec<String>,
    /// Some publication lists the columns it publishes of it.
    pub listed: bool,
    /// Every column there is or was, by attnum from 1.
    pub columns: Vec<ColumnRow>,
    /// Types of its columns, and those asked for beside them.
    pub types: Arc<Types>,
}

/// A column as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRow {
    /// `attnum`.
    pub number: u32,
    /// Its name; `None` where the column is dropped.
    pub name: Option<String>,
    /// `atttypid`.
    pub type_oid: u32,
    /// `atttypmod`.
    pub modifier: i32,
    /// NULL is not allowed.
    pub not_null: bool,
    /// What new rows get that do not name it.
    pub default: DefaultValue,
    /// The same, as SQL.
    pub default_sql: Option<String>,
    /// What rows older than the column hold.
    pub missing: Missing,
}

/// What a new row gets in a column that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// NULL.
    None,
    /// The same at least within one statement.
    Stable,
    /// A new value per row.
    Volatile,
    /// The next number.
    Identity,
    /// Computed from the row, and stored.
    Generated,
}

/// `attmissingval`: what the server shows for rows written before the column was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is kept.
    None,
    /// This value, as text.
    One(String),
    /// Partitions differ.
    Several,
}

/// The wanted tables of the publication, by schema and name.
///
/// # Errors
/// Those of the connection.
pub async fn published(connection: &mut Connection, config: &Config) -> Result<Vec<Published>> {
    let mut parts = published_parts(connection, config).await?;
    let oids: Vec<u32> = parts.keys().copied().collect();
    let mut heaps = heaps(connection, &oids).await.doing(|| "measure the tables")?;
    let mut published = Vec::with_capacity(oids.len());
    for row in tables(connection, &oids, &BTreeSet::new()).await? {
        let Some(Part { columns, row_filter }) = parts.remove(&row.oid) else { continue };
        let (heaps, rows_estimated) = heaps.remove(&row.oid).unwrap_or_default();
        let table = Arc::new(shapes::at_head(&row, &columns)?);
        let (identity, partitioned) = (row.identity, row.partitioned);
        published.push(Published { table, identity, partitioned, rows_estimated, heaps, row_filter });
    }
    published.sort_by(|a, b| (&a.table.schema, &a.table.name).cmp(&(&b.table.schema, &b.table.name)));
    Ok(published)
}

/// What of a table is published.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its columns, by attnum.
    pub columns: Vec<u32>,
    /// The publication's `WHERE`, as SQL over its columns.
    pub row_filter: Option<String>,
}

/// What is published of each wanted table, by oid.
///
/// # Errors
/// Those of the connection.
pub async fn published_parts(connection: &mut Connection, config: &Config) -> Result<BTreeMap<u32, Part>> {
    let sql = published_sql(&config.publication, connection.server_version());
    let answer = connection.query(&sql).await.doing(|| "read the publication")?;
    let mut parts = BTreeMap::new();
    for row in &answer {
        let row = Fields(row);
        if config.tables.matches(row.text(1)?, row.text(2)?) {
            let row_filter = row.optional(4).map(str::to_owned);
            parts.insert(row.number(0)?, Part { columns: row.numbers(3)?, row_filter });
        }
    }
    Ok(parts)
}

/// One table, with the types of its columns and `types` (oid and modifier) beside them. A table that is gone has no
/// columns and no name.
///
/// # Errors
/// Those of the connection.
pub async fn table(connection: &mut Connection, oid: u32, types: &BTreeSet<(u32, i32)>) -> Result<TableRow> {
    let rows = tables(connection, &[oid], types).await?;
    if let Some(row) = rows.into_iter().next() {
        return Ok(row);
    }
    let types = Arc::new(read_types(connection, types).await?);
    let all_tables =
        connection.query(&format!("SELECT {ALL_TABLES}")).await.doing(|| "read the publications")?;
    let all_tables = all_tables.iter().flat_map(|row| names(row.first().and_then(Option::as_deref)));
    Ok(TableRow {
        oid,
        schema: String::new(),
        name: String::new(),
        partitioned: false,
        identity: ReplicaIdentity::Nothing,
        primary_key: Vec::new(),
        identity_index: Vec::new(),
        declared_key: Vec::new(),
        rewritten: false,
        heaps: Vec::new(),
        all_tables: all_tables.collect(),
        listed: false,
        columns: Vec::new(),
        types,
    })
}

/// As [`table`], for those of `oids` that exist.
///
/// # Errors
/// Those of the connection.
pub async fn tables(
    connection: &mut Connection,
    oids: &[u32],
    types: &BTreeSet<(u32, i32)>,
) -> Result<Vec<TableRow>> {
    if oids.is_empty() {
        return Ok(Vec::new());
    }
    let answer = connection.query(&tables_sql(oids)).await.doing(|| "read the catalogue")?;
    let mut columns = columns(connection, oids).await.doing(|| "read the catalogue")?;
    let used = columns.values().flatten().filter(|column| column.name.is_some());
    let mut wanted: BTreeSet<(u32, i32)> = used.map(|column| (column.type_oid, column.modifier)).collect();
    wanted.extend(types);
    let types = Arc::new(read_types(connection, &wanted).await?);
    let row = |row: &Vec<Option<String>>| {
        let row = Fields(row);
        let oid = row.number(0)?;
        Ok(TableRow {
            oid,
            schema: row.text(1)?.to_owned(),
            name: row.text(2)?.to_owned(),
            partitioned: row.text(3)? == "p",
            identity: row.identity(4)?,
            rewritten: row.flag(5)?,
            primary_key: row.numbers(6)?,
            identity_index: row.numbers(7)?,
            declared_key: row.numbers(8)?,
            heaps: row.numbers(9)?,
            all_tables: names(row.optional(10)).collect(),
            listed: row.flag(11)?,
            columns: columns.remove(&oid).unwrap_or_default(),
            types: Arc::clone(&types),
        })
    };
    answer.iter().map(row).collect()
}

async fn columns(connection: &mut Connection, oids: &[u32]) -> Result<BTreeMap<u32, Vec<ColumnRow>>> {
    let mut columns: BTreeMap<u32, Vec<ColumnRow>> = BTreeMap::new();
    for row in &connection.query(&columns_sql(oids)).await? {
        let row = Fields(row);
        let default = match (row.text(6)?, row.text(7)?, row.flag(8)?, row.flag(9)?) {
            // A virtual one ("v") is computed on reading and is never published.
            ("s" | "v", _, _, _) => DefaultValue::Generated,
            ("", "a" | "d", _, _) => DefaultValue::Identity,
            ("", "", true, true) => DefaultValue::Volatile,
            ("", "", true, false) => DefaultValue::Stable,
            ("", "", false, _) => DefaultValue::None,
            _ => return Err(row.strange(6)),
        };
        let missing = match (row.optional(10), row.optional(11)) {
            (Some(low), Some(high)) if low == high => {
                Missing::One(sole_element(low).ok_or_else(|| row.strange(10))?)
            }
            (Some(_), Some(_)) => Missing::Several,
            (None | Some(_), None | Some(_)) => Missing::None,
        };
        columns.entry(row.number(0)?).or_default().push(ColumnRow {
            number: row.number(1)?,
            name: row.optional(2).map(str::to_owned),
            type_oid: row.number(3)?,
            modifier: row.number(4)?,
            not_null: row.flag(5)?,
            default,
            default_sql: row.optional(12).map(str::to_owned),
            missing,
        });
    }
    Ok(columns)
}

async fn heaps(connection: &mut Connection, oids: &[u32]) -> Result<BTreeMap<u32, (Vec<Heap>, u64)>> {
    let mut heaps: BTreeMap<u32, (Vec<Heap>, u64)> = BTreeMap::new();
    if oids.is_empty() {
        return Ok(heaps);
    }
    for row in &connection.query(&heaps_sql(oids)).await? {
        let row = Fields(row);
        let sql_name = quote::qualified(row.text(2)?, row.text(3)?);
        let (of_table, rows) = heaps.entry(row.number(0)?).or_default();
        of_table.push(Heap { oid: row.number(1)?, sql_name, pages: row.number(4)? });
        *rows += row.number::<u64>(5)?;
    }
    Ok(heaps)
}

/// The types, with everything they are made of.
async fn read_types(connection: &mut Connection, wanted: &BTreeSet<(u32, i32)>) -> Result<Types> {
    let mut types = Types::default();
    if wanted.is_empty() {
        return Ok(types);
    }
    for row in &connection.query(&types_sql(wanted)).await.doing(|| "read types")? {
        let row = Fields(row);
        let form = match (row.text(2)?, row.optional(5)) {
            (_, Some(_)) => Form::Array { element: row.number(5)? },
            ("e", None) => Form::Enum,
            ("d", None) => Form::Domain { base: row.number(3)?, modifier: row.number(4)? },
            ("b" | "c" | "p" | "r" | "m", None) => Form::Plain,
            (_, None) => return Err(row.strange(2)),
        };
        let labels = row.elements(6)?;
        types.insert(row.number(0)?, TypeRow { name: row.text(1)?.to_owned(), form, labels });
    }
    let mut wanted = wanted.clone();
    wanted.extend(types.below_domains());
    for row in &connection.query(&spelling_sql(&wanted)).await.doing(|| "read the names of types")? {
        let row = Fields(row);
        types.spell(row.number(0)?, row.number(1)?, row.text(2)?.to_owned());
    }
    Ok(types)
}

fn names(field: Option<&str>) -> impl Iterator<Item = String> {
    field.into_iter().flat_map(|field| field.split(',')).map(str::to_owned)
}

fn list(oids: &[u32]) -> String {
    oids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// oid, schema, name, published attnums, row filter. Column lists and filters came with Postgres 15; generated columns
/// are published from 18 on only, where `attnames` says so.
fn published_sql(publication: &str, server_version: u32) -> String {
    let (listed, filter) = match server_version {
        180_000.. => ("a.attname = ANY (t.attnames)", "t.rowfilter"),
        150_000.. => ("a.attname = ANY (t.attnames) AND a.attgenerated = ''", "t.rowfilter"),
        0.. => ("a.attgenerated = ''", "NULL"),
    };
    format!(
        "SELECT c.oid, t.schemaname, t.tablename,
                (SELECT string_agg(a.attnum::text, ',' ORDER BY a.attnum) FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND {listed}),
                {filter}
         FROM pg_publication_tables t
         JOIN pg_namespace n ON n.nspname = t.schemaname
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
         WHERE t.pubname = {}",
        quote::literal(publication)
    )
}

/// A table and the leaves below it. Not with `pg_partition_tree`, which waits for whoever alters one of them.
pub(crate) const HEAPS_OF: &str = "(WITH RECURSIVE below(relid) AS (
         SELECT c.oid UNION ALL
         SELECT i.inhrelid FROM below JOIN pg_inherits i ON i.inhparent = below.relid
         JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p')
     SELECT relid FROM below) l
     JOIN pg_class h ON h.oid = l.relid AND h.relkind = 'r'";

/// The publications that hold every table, and send what is inserted, each with its row version.
const ALL_TABLES: &str = "(SELECT string_agg(p.oid || ' ' || p.xmin, ',') FROM pg_publication p
      WHERE p.puballtables AND p.pubinsert)";

/// The index that tells rows apart for whoever reads the declaration: without expressions, the primary key first.
const DECLARED_KEY: &str = "i.indexrelid = (
    SELECT u.indexrelid FROM pg_index u JOIN pg_class x ON x.oid = u.indexrelid
    WHERE u.indrelid = c.oid AND u.indisunique AND u.indexprs IS NULL ORDER BY NOT u.indisprimary, x.relname LIMIT 1)";

/// oid, schema, name, kind, replica identity, rewritten, primary key, identity index, declared key, heaps, publications
/// of all, listed.
fn tables_sql(oids: &[u32]) -> String {
    let key = |condition: &str| {
        format!(
            "(SELECT string_agg(k.attnum::text, ',' ORDER BY k.place)
              FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
              WHERE i.indrelid = c.oid AND {condition} AND k.place <= i.indnkeyatts)"
        )
    };
    format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident,
                EXISTS (SELECT FROM {HEAPS_OF} WHERE pg_relation_filenode(h.oid) <> h.oid),
                {}, {}, {}, (SELECT string_agg(h.oid::text, ',') FROM {HEAPS_OF}), {ALL_TABLES},
                EXISTS (SELECT FROM pg_publication_rel r
                        WHERE r.prrelid = c.oid AND to_jsonb(r) ->> 'prattrs' IS NOT NULL)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid IN ({})",
        key("i.indisprimary AND i.indimmediate"),
        key("i.indisreplident"),
        key(DECLARED_KEY),
        list(oids)
    )
}

/// table, attnum, name, type, modifier, not null, generated, identity, has default, volatile, least and greatest
/// missing value, default as SQL. The volatility of a default is that of the functions its expression calls. A
/// partitioned table has no missing values of its own: those of its partitions count.
fn columns_sql(oids: &[u32]) -> String {
    format!(
        "SELECT a.attrelid, a.attnum, CASE WHEN NOT a.attisdropped THEN a.attname END, a.atttypid, a.atttypmod,
                a.attnotnull OR coalesce(t.typnotnull, false), a.attgenerated, a.attidentity,
                coalesce(d.adbin, t.typdefaultbin) IS NOT NULL,
                EXISTS (SELECT
                        FROM regexp_matches(coalesce(d.adbin, t.typdefaultbin)::text, ':(?:op)?funcid (\\d+)', 'g') f(oid)
                        JOIN pg_proc p ON p.oid = f.oid[1]::oid WHERE p.provolatile = 'v'),
                m.low, m.high, CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END
         FROM pg_attribute a
         JOIN pg_class c ON c.oid = a.attrelid
         LEFT JOIN pg_type t ON t.oid = a.atttypid
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         LEFT JOIN LATERAL (
             SELECT min(f.attmissingval::text) AS low, max(f.attmissingval::text) AS high
             FROM {HEAPS_OF} JOIN pg_attribute f ON f.attrelid = h.oid
             WHERE f.atthasmissing AND f.attname = a.attname
         ) m ON NOT a.attisdropped
         WHERE a.attrelid IN ({}) AND a.attnum > 0
         ORDER BY a.attrelid, a.attnum",
        list(oids)
    )
}

/// table, heap, its schema and name, pages, rows as the planner would reckon them.
fn heaps_sql(oids: &[u32]) -> String {
    format!(
        "SELECT c.oid, h.oid, n.nspname, h.relname, s.pages,
                CASE WHEN h.reltuples > 0 AND h.relpages > 0
                     THEN (h.reltuples::float8 / h.relpages * s.pages)::int8 ELSE 0 END
         FROM pg_class c, LATERAL {HEAPS_OF}
         JOIN pg_namespace n ON n.oid = h.relnamespace,
         LATERAL (SELECT ceil(pg_relation_size(h.oid)::numeric / current_setting('block_size')::int)::int8 AS pages) s
         WHERE c.oid IN ({})
         ORDER BY c.oid, n.nspname, h.relname",
        list(oids)
    )
}

/// oid, name, kind, base, base modifier, element (of arrays), labels (of enums).
fn types_sql(wanted: &BTreeSet<(u32, i32)>) -> String {
    let mut oids: Vec<u32> = wanted.iter().map(|&(oid, _)| oid).collect();
    oids.dedup();
    format!(
        "WITH RECURSIVE wanted(oid) AS (
             SELECT oid FROM pg_type WHERE oid IN ({})
             UNION
             SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE e.oid END
             FROM wanted w JOIN pg_type t ON t.oid = w.oid LEFT JOIN pg_type e ON e.typarray = t.oid
             WHERE t.typtype = 'd' OR e.oid IS NOT NULL)
         SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, e.oid,
                (SELECT array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid)
         FROM wanted w JOIN pg_type t ON t.oid = w.oid LEFT JOIN pg_type e ON e.typarray = t.oid",
        list(&oids)
    )
}

/// oid, modifier, spelling.
fn spelling_sql(wanted: &BTreeSet<(u32, i32)>) -> String {
    let pairs: Vec<String> =
        wanted.iter().map(|(oid, modifier)| format!("({oid}::oid, {modifier})")).collect();
    format!(
        "SELECT w.oid, w.modifier, format_type(w.oid, w.modifier)
         FROM (VALUES {}) w(oid, modifier) JOIN pg_type t ON t.oid = w.oid",
        pairs.join(",")
    )
}

/// The text of the only element of an array literal: `{5}`, `{"a b"}`.
fn sole_element(literal: &str) -> Option<String> {
    let body = literal.strip_prefix('{')?.strip_suffix('}')?;
    let Some(quoted) = body.strip_prefix('"') else {
        return Some(body.to_owned());
    };
    let mut text = String::with_capacity(body.len());
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_element_of_a_missing_value() {
        let check = |literal, expected: Option<&str>| assert_eq!(sole_element(literal).as_deref(), expected);
        check("{5}", Some("5"));
        check("{\"a \\\"b\\\\\"}", Some("a \"b\\"));
        check("{\"{1,2}\"}", Some("{1,2}"));
        check("{(1,1),(0,0)}", Some("(1,1),(0,0)"));
        check("{\"\"}", Some(""));
        check("5", None);
        check("{\"a\\\"}", None);
    }
}
