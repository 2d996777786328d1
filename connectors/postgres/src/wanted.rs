//! Which tables of the database the configuration asks for, published or not, and what stands in the way of
//! publishing them. `setup` creates the publication from it, `check` reports it.

use std::collections::HashSet;

use tailwater_core::Result;

use crate::connection::Connection;
use crate::pattern::Patterns;
use crate::quote;

/// Tables that could be published. One that is part of a partitioned table names its ancestors.
const TABLES: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', pg_has_role(c.relowner, 'USAGE'),
           has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), row_security_active(c.oid),
           c.relreplident = 'f'
           OR c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index i
               WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate)
           OR c.relreplident = 'i' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident),
           coalesce(pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid), 0) > 0,
           (SELECT coalesce(string_agg(a.relid::oid::text, ' '), '') FROM pg_partition_ancestors(c.oid) a
            WHERE a.relid <> c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY n.nspname, c.relname";

/// A table that the patterns match and that no wanted table contains.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent answers of one query")]
pub(crate) struct Wanted {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) partitioned: bool,
    pub(crate) owned: bool,
    pub(crate) selectable: bool,
    /// A policy would hide rows from us.
    pub(crate) row_security: bool,
    /// Updates and deletes can name the row.
    pub(crate) identifiable: bool,
    /// Rows of it have been updated or deleted before.
    pub(crate) changes_rows: bool,
    pub(crate) oid: String,
    ancestors: Vec<String>,
}

impl Wanted {
    /// As SQL: `"public"."orders"`.
    pub(crate) fn sql_name(&self) -> String {
        quote::qualified(&self.schema, &self.name)
    }
}

/// Tables that cannot be published, and why.
const UNPUBLISHABLE: &str = "
    SELECT n.nspname, c.relname, CASE WHEN c.relkind = 'f' THEN 'foreign' ELSE 'unlogged' END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (c.relkind = 'f' OR c.relkind IN ('r', 'p') AND c.relpersistence = 'u') AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY n.nspname, c.relname";

/// Tables the patterns match that no publication can hold: name as SQL, and what they are.
pub(crate) async fn unpublishable(
    connection: &mut Connection,
    patterns: &Patterns,
) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for row in connection.query(UNPUBLISHABLE).await.map_err(|error| error.doing("list the tables"))? {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut text = || fields.next().unwrap_or_default();
        let (schema, name, kind) = (text(), text(), text());
        if patterns.matches(&schema, &name) {
            found.push((quote::qualified(&schema, &name), kind));
        }
    }
    Ok(found)
}

/// Schema and name of every table there is, partitions included.
pub(crate) async fn names(connection: &mut Connection) -> Result<Vec<(String, String)>> {
    let rows = connection.query(TABLES).await.map_err(|error| error.doing("list the tables"))?;
    Ok(rows.into_iter().map(read).map(|table| (table.schema, table.name)).collect())
}

/// The tables the patterns match. A partition is left out where a table above it is wanted: it is part of that.
pub(crate) async fn tables(connection: &mut Connection, patterns: &Patterns) -> Result<Vec<Wanted>> {
    let rows = connection.query(TABLES).await.map_err(|error| error.doing("list the tables"))?;
    let matching = rows.into_iter().map(read).filter(|table| patterns.matches(&table.schema, &table.name));
    Ok(without_parts(matching.collect()))
}

fn without_parts(tables: Vec<Wanted>) -> Vec<Wanted> {
    let oids: HashSet<String> = tables.iter().map(|table| table.oid.clone()).collect();
    tables.into_iter().filter(|table| !table.ancestors.iter().any(|oid| oids.contains(oid))).collect()
}

fn read(row: Vec<Option<String>>) -> Wanted {
    let mut fields = row.into_iter().map(Option::unwrap_or_default);
    let mut text = || fields.next().unwrap_or_default();
    let (oid, schema, name) = (text(), text(), text());
    let mut yes = || text() == "t";
    Wanted {
        partitioned: yes(),
        owned: yes(),
        selectable: yes(),
        row_security: yes(),
        identifiable: yes(),
        changes_rows: yes(),
        ancestors: text().split_whitespace().map(str::to_owned).collect(),
        oid,
        schema,
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: &str, ancestors: &str) -> Wanted {
        let row = [oid, "s", "t", "f", "t", "t", "f", "t", "f", ancestors];
        read(row.map(|field| Some(field.to_owned())).to_vec())
    }

    #[test]
    fn a_partition_is_left_out_where_a_table_above_it_is_wanted() {
        let kept = |tables: &[Wanted]| -> Vec<String> {
            without_parts(tables.to_vec()).into_iter().map(|table| table.oid).collect()
        };
        assert_eq!(kept(&[table("1", ""), table("2", "1"), table("3", "2 1"), table("4", "9")]), ["1", "4"]);
        assert_eq!(kept(&[table("3", "2 1")]), ["3"]);
    }
}
