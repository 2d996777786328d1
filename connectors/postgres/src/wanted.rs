//! Which tables of the database the configuration asks for, published or not, and what stands in the way of
//! publishing them. `setup` creates the publication from it, `check` reports it.

use std::collections::{BTreeMap, HashSet};

use tailwater_core::Result;
use tailwater_core::error::Doing as _;
use tailwater_core::pattern::Patterns;

use crate::answer::Fields;
use crate::catalog::HEAPS_OF;
use crate::connection::Connection;
use crate::quote;

/// The columns of `c` by which its updates and deletes name a row, sorted: `*` is all, the empty text none.
const IDENTITY: &str = "
    CASE c.relreplident WHEN 'f' THEN '*' WHEN 'n' THEN '' ELSE coalesce(
        (SELECT string_agg(quote_ident(k.attname), ',' ORDER BY k.attname)
         FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY u(attnum, place)
         JOIN pg_attribute k ON k.attnum = u.attnum
         WHERE i.indrelid = c.oid AND k.attrelid = c.oid AND u.place <= i.indnkeyatts AND i.indimmediate
           AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indisvalid ELSE i.indisreplident END), '') END";

const CHANGES_ROWS: &str =
    "coalesce(pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid), 0) > 0";

/// Tables that could be published. One that is part of a partitioned table names its ancestors.
fn tables_sql() -> String {
    format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', pg_has_role(c.relowner, 'USAGE'),
                coalesce(has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), false),
                coalesce(row_security_active(c.oid), false),
                {IDENTITY}, {CHANGES_ROWS},
                (SELECT coalesce(string_agg(a.relid::oid::text, ','), '') FROM pg_partition_ancestors(c.oid) a
                 WHERE a.relid <> c.oid)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
           AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
         ORDER BY n.nspname, c.relname"
    )
}

/// The leaves below every partitioned table: root, schema, name, identity, whether rows of it were changed. The root
/// has no rows, so what counts of identities and changes is theirs.
fn leaves_sql() -> String {
    format!(
        "SELECT p.root, n.nspname, c.relname, {IDENTITY}, {CHANGES_ROWS}
         FROM (SELECT c.oid AS root, h.oid FROM pg_class c, LATERAL {HEAPS_OF} WHERE c.relkind = 'p') p
         JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace n ON n.oid = c.relnamespace
         ORDER BY n.nspname, c.relname"
    )
}

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
    /// As [`IDENTITY`].
    identity: String,
    /// Rows of it have been updated or deleted before.
    pub(crate) changes_rows: bool,
    pub(crate) oid: u32,
    ancestors: Vec<u32>,
    leaves: Vec<Leaf>,
}

/// Where rows of a partitioned table lie.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leaf {
    sql_name: String,
    identity: String,
}

impl Wanted {
    /// As SQL: `"public"."orders"`.
    pub(crate) fn sql_name(&self) -> String {
        quote::qualified(&self.schema, &self.name)
    }

    /// Whether updates and deletes can name the row: the server refuses them where the table is published and they
    /// cannot, and looks at the partition that holds the row.
    pub(crate) fn identifiable(&self) -> bool {
        match self.leaves.as_slice() {
            [] => !self.identity.is_empty(),
            leaves => leaves.iter().all(|leaf| !leaf.identity.is_empty()),
        }
    }

    /// The partitions, as SQL, whose updates and deletes do not name the row as those of the root must, where all are
    /// published as the root.
    pub(crate) fn unlike_leaves(&self) -> Vec<&str> {
        let alike = |leaf: &&Leaf| {
            leaf.identity == self.identity || (leaf.identity == "*" && !self.identity.is_empty())
        };
        let unlike = self.leaves.iter().filter(|leaf| !alike(leaf));
        unlike.map(|leaf| leaf.sql_name.as_str()).collect()
    }

    /// The table and its leaves, as SQL: those of them whose old rows are not sent whole.
    pub(crate) fn not_full(&self) -> Vec<String> {
        let leaves = self.leaves.iter().map(|leaf| (leaf.sql_name.clone(), leaf.identity.as_str()));
        let all = std::iter::once((self.sql_name(), self.identity.as_str())).chain(leaves);
        all.filter(|(_, identity)| *identity != "*").map(|(name, _)| name).collect()
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
    for row in connection.query(UNPUBLISHABLE).await.doing(|| "list the tables")? {
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
    let rows = connection.query(&tables_sql()).await.doing(|| "list the tables")?;
    rows.iter().map(|row| read(row).map(|table| (table.schema, table.name))).collect()
}

/// The tables the patterns match. A partition is left out where a table above it is wanted: it is part of that.
pub(crate) async fn tables(connection: &mut Connection, patterns: &Patterns) -> Result<Vec<Wanted>> {
    let rows = connection.query(&tables_sql()).await.doing(|| "list the tables")?;
    let mut leaves: BTreeMap<u32, Vec<(Leaf, bool)>> = BTreeMap::new();
    for row in &connection.query(&leaves_sql()).await.doing(|| "list the partitions")? {
        let row = Fields(row);
        let sql_name = quote::qualified(row.text(1)?, row.text(2)?);
        let leaf = Leaf { sql_name, identity: row.text(3)?.to_owned() };
        leaves.entry(row.number(0)?).or_default().push((leaf, row.flag(4)?));
    }
    let mut matching = Vec::new();
    for row in &rows {
        let mut table = read(row)?;
        if patterns.matches(&table.schema, &table.name) {
            for (leaf, changes_rows) in leaves.remove(&table.oid).unwrap_or_default() {
                table.changes_rows |= changes_rows;
                table.leaves.push(leaf);
            }
            matching.push(table);
        }
    }
    Ok(without_parts(matching))
}

fn without_parts(tables: Vec<Wanted>) -> Vec<Wanted> {
    let oids: HashSet<u32> = tables.iter().map(|table| table.oid).collect();
    tables.into_iter().filter(|table| !table.ancestors.iter().any(|oid| oids.contains(oid))).collect()
}

fn read(row: &[Option<String>]) -> Result<Wanted> {
    let row = Fields(row);
    Ok(Wanted {
        oid: row.number(0)?,
        schema: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        partitioned: row.flag(3)?,
        owned: row.flag(4)?,
        selectable: row.flag(5)?,
        row_security: row.flag(6)?,
        identity: row.text(7)?.to_owned(),
        changes_rows: row.flag(8)?,
        ancestors: row.numbers(9)?,
        leaves: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: &str, identity: &str, ancestors: &str) -> Wanted {
        let row = [oid, "s", "t", "f", "t", "t", "f", identity, "f", ancestors];
        read(&row.map(|field| Some(field.to_owned()))).unwrap()
    }

    #[test]
    fn a_partition_is_left_out_where_a_table_above_it_is_wanted() {
        let kept = |tables: &[(&str, &str)]| -> Vec<u32> {
            let tables = tables.iter().map(|(oid, ancestors)| table(oid, "id", ancestors)).collect();
            without_parts(tables).into_iter().map(|table| table.oid).collect()
        };
        assert_eq!(kept(&[("1", ""), ("2", "1"), ("3", "2,1"), ("4", "9")]), [1, 4]);
        assert_eq!(kept(&[("3", "2,1")]), [3]);
    }

    #[test]
    fn leaves_decide_what_can_be_named() {
        let check = |root: &str, leaves: &[&str], identifiable: bool, unlike: &[&str], not_full: &[&str]| {
            let mut table = table("1", root, "");
            table.leaves =
                leaves.iter().map(|&leaf| Leaf { sql_name: leaf.into(), identity: leaf.into() }).collect();
            assert_eq!(
                (table.identifiable(), table.unlike_leaves()),
                (identifiable, unlike.to_vec()),
                "{root} {leaves:?}"
            );
            assert_eq!(table.not_full(), not_full, "{root} {leaves:?}");
        };
        check("id", &[], true, &[], &["\"s\".\"t\""]);
        check("", &[], false, &[], &["\"s\".\"t\""]);
        check("id", &["id", "*"], true, &[], &["\"s\".\"t\"", "id"]);
        check("id", &["id", "code"], true, &["code"], &["\"s\".\"t\"", "id", "code"]);
        check("*", &["*", "id"], true, &["id"], &["id"]);
        check("*", &["*", ""], false, &[""], &[""]);
        check("", &["", "*"], false, &["*"], &["\"s\".\"t\"", ""]);
    }
}
