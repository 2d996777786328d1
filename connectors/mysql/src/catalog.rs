//! What `information_schema` says: which tables are wanted, and what one of them is like. Only asked for what the log
//! cannot tell, and by the first copy. What the answers mean for a table's shape is known to `shapes`.

use tailwater_core::Result;
use tailwater_core::error::Doing as _;
use tailwater_core::pattern::Patterns;

use crate::connection::Connection;
use crate::ddl::Name;
use crate::error;
use crate::quote::{literal, qualified};
use crate::shapes::{ColumnFacts, Facts};

/// A table that the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: Name,
    /// From the server's statistics; 0 where it has none.
    pub(crate) rows_estimated: u64,
}

/// Schemas of the server itself.
pub(crate) const OWN_SCHEMAS: &str = "'mysql', 'sys', 'information_schema', 'performance_schema'";

/// Every wanted table, in the order of their names.
///
/// # Errors
/// As [`Connection::query`].
pub(crate) async fn wanted(connection: &mut Connection, tables: &Patterns) -> Result<Vec<Wanted>> {
    let sql = format!(
        "SELECT table_schema, table_name, coalesce(table_rows, 0) FROM information_schema.tables \
         WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_schema NOT IN ({OWN_SCHEMAS}) ORDER BY 1, 2"
    );
    let rows = connection.query(&sql).await.doing(|| "list the tables")?;
    let wanted = rows.into_iter().filter_map(|row| {
        let mut fields = row.into_iter().flatten();
        let name = Name { schema: fields.next()?, table: fields.next()? };
        let rows_estimated = fields.next().and_then(|rows| rows.parse().ok()).unwrap_or(0);
        tables.matches(&name.schema, &name.table).then_some(Wanted { name, rows_estimated })
    });
    Ok(wanted.collect())
}

/// What is known of one table; `None` where there is none of that name.
///
/// # Errors
/// As [`Connection::query`].
pub(crate) async fn facts(connection: &mut Connection, name: &Name) -> Result<Option<Facts>> {
    let is_it = format!("table_schema = {} AND table_name = {}", literal(&name.schema), literal(&name.table));
    let doing = || format!("look up {}.{}", name.schema, name.table);
    // Any collation of a column's character set tells how its text is stored.
    let sql = format!(
        "SELECT c.column_name, c.column_type, c.is_nullable, c.column_default, \
         (SELECT min(k.id) FROM information_schema.collations k WHERE k.character_set_name = c.character_set_name), \
         c.character_octet_length, c.extra FROM information_schema.columns c WHERE {is_it} ORDER BY c.ordinal_position"
    );
    let mut columns: Vec<ColumnFacts> =
        connection.query(&sql).await.doing(doing)?.into_iter().filter_map(column).collect();
    if !connection.server_version().is_mariadb() {
        columns.iter_mut().for_each(quote_default);
    }
    if columns.is_empty() {
        return Ok(None);
    }
    // In the order in which the server tries them, which information_schema does not tell.
    let sql = format!("SHOW INDEX FROM {}", qualified(&name.schema, &name.table));
    let indexes = match connection.query(&sql).await {
        Ok(indexes) => indexes,
        // It went since.
        Err(error) if error.code() == error::MISSING => return Ok(None),
        Err(error) => return Err(error).doing(doing),
    };
    let unique = keys(indexes, &mut columns);
    if connection.server_version().is_mariadb() {
        mark_json(connection, name, &mut columns).await.doing(doing)?;
    }
    let sql = format!(
        "SELECT e.transactions FROM information_schema.tables t \
         JOIN information_schema.engines e ON e.engine = t.engine WHERE {is_it}"
    );
    let engine = connection.query(&sql).await.doing(doing)?.into_iter().flatten().flatten().next();
    Ok(Some(Facts { columns, unique, transactional: engine.as_deref() == Some("YES") }))
}

/// MySQL tells the text of a default that is a literal, where MariaDB tells the literal.
fn quote_default(column: &mut ColumnFacts) {
    let quoted = ["char", "varchar", "enum", "set"];
    let word = column.column_type.split(['(', ' ']).next().unwrap_or_default();
    if let (Some(default), false, true) =
        (&mut column.default, column.computed_default, quoted.contains(&word))
    {
        *default = format!("'{}'", default.replace('\\', "\\\\").replace('\'', "''"));
    }
}

fn column(row: Vec<Option<String>>) -> Option<ColumnFacts> {
    let [name, column_type, nullable, default, collation, octets, extra] = <[_; 7]>::try_from(row).ok()?;
    let extra = extra.unwrap_or_default().to_ascii_uppercase();
    Some(ColumnFacts {
        name: name?,
        column_type: column_type?,
        nullable: nullable.as_deref() == Some("YES"),
        default,
        collation: collation.and_then(|id| id.parse().ok()),
        octets: octets.and_then(|octets| octets.parse().ok()),
        key: None,
        computed_default: extra.contains("DEFAULT_GENERATED"),
        visible: !extra.contains("INVISIBLE"),
        json: false,
    })
}

/// Notes the primary key, and returns the columns of the first other unique index. One over the beginnings of values, or
/// over values that may be NULL, identifies no row.
fn keys(indexes: Vec<Vec<Option<String>>>, columns: &mut [ColumnFacts]) -> Vec<String> {
    let parts: Vec<(String, String, bool)> = indexes
        .into_iter()
        .filter_map(|row| {
            let [_, non_unique, index, _, column, _, _, sub_part, ..] = row.as_slice() else { return None };
            if non_unique.as_deref() != Some("0") {
                return None;
            }
            // An index over an expression names no column.
            Some((index.clone()?, column.clone().unwrap_or_default(), sub_part.is_some()))
        })
        .collect();
    let whole =
        |index: &str| !parts.iter().any(|(name, column, cut)| name == index && (*cut || column.is_empty()));
    let of = |index: &str| {
        let mine = parts.iter().filter(|(name, ..)| name == index);
        mine.map(|(_, column, _)| column.clone()).collect::<Vec<_>>()
    };
    for (place, part) in of("PRIMARY").iter().enumerate() {
        if let Some(column) = columns.iter_mut().find(|column| column.name == *part) {
            column.key = u16::try_from(place).ok();
        }
    }
    let may_be_null = |part: &String| columns.iter().any(|column| column.name == *part && column.nullable);
    let fits = |name: &str| name != "PRIMARY" && whole(name) && !of(name).iter().any(may_be_null);
    let first = parts.iter().find(|(name, ..)| fits(name));
    first.map(|(name, ..)| of(name)).unwrap_or_default()
}

/// MariaDB keeps JSON as LONGTEXT with a check of that name.
async fn mark_json(connection: &mut Connection, name: &Name, columns: &mut [ColumnFacts]) -> Result<()> {
    let sql = format!(
        "SELECT constraint_name, check_clause FROM information_schema.check_constraints \
         WHERE constraint_schema = {} AND table_name = {}",
        literal(&name.schema),
        literal(&name.table)
    );
    for row in connection.query(&sql).await? {
        let [Some(check), Some(clause)] = row.as_slice() else { continue };
        let clause = clause.to_ascii_lowercase();
        for column in columns.iter_mut().filter(|column| column.name == *check) {
            column.json = column.column_type == "longtext" && clause.starts_with("json_valid(");
        }
    }
    Ok(())
}
