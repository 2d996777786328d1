//! What `information_schema` says: which tables are wanted, and what one of them is like. Only asked for what the log
//! cannot tell, and by the first copy. What the answers mean for a table's shape is known to `shapes`.

use std::collections::{BTreeMap, HashMap};

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

/// Neither views nor sequences.
pub(crate) const TABLE_TYPES: &str = "'BASE TABLE', 'SYSTEM VERSIONED'";

/// Every wanted table, in the order of their names.
///
/// # Errors
/// As [`Connection::query`].
pub(crate) async fn wanted(connection: &mut Connection, tables: &Patterns) -> Result<Vec<Wanted>> {
    let sql = format!(
        "SELECT table_schema, table_name, coalesce(table_rows, 0) FROM information_schema.tables \
         WHERE table_type IN ({TABLE_TYPES}) AND table_schema NOT IN ({OWN_SCHEMAS}) ORDER BY 1, 2"
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

/// Waits until a statement on a table has been carried out that the log has already: some servers write the log first, and
/// the catalogue shows the table as it was until they are done. They hold the table until then.
///
/// # Errors
/// As [`Connection::query`].
pub(crate) async fn carried_out(connection: &mut Connection, name: &Name) -> Result<()> {
    let sql = format!("SELECT 1 FROM {} LIMIT 0", qualified(&name.schema, &name.table));
    match connection.query(&sql).await {
        Ok(_) => Ok(()),
        // It went, or went out of sight.
        Err(error) if [error::MISSING, error::NO_RIGHT, error::NO_DATABASE].contains(&error.code()) => Ok(()),
        Err(error) => Err(error.doing(format!("wait for {}.{}", name.schema, name.table))),
    }
}

/// What is known of one table; `None` where there is none of that name.
///
/// # Errors
/// As [`Connection::query`].
pub(crate) async fn facts(connection: &mut Connection, name: &Name) -> Result<Option<Facts>> {
    let is_it = format!("= {} AND table_name = {}", literal(&name.schema), literal(&name.table));
    // The server may find others too, whose names differ in case.
    let found = read(connection, &is_it).await;
    Ok(found.doing(|| format!("look up {}.{}", name.schema, name.table))?.remove(name))
}

/// What is known of every wanted table.
///
/// # Errors
/// As [`Connection::query`].
pub(crate) async fn all_facts(
    connection: &mut Connection,
    tables: &Patterns,
) -> Result<BTreeMap<Name, Facts>> {
    let all = read(connection, &format!("NOT IN ({OWN_SCHEMAS})")).await;
    let mut all = all.doing(|| "look up the tables")?;
    all.retain(|name, _| tables.matches(&name.schema, &name.table));
    Ok(all)
}

/// A row that begins with a table's name.
fn named(row: Vec<Option<String>>) -> Option<(Name, Vec<Option<String>>)> {
    let mut row = row.into_iter();
    Some((Name { schema: row.next()??, table: row.next()?? }, row.collect()))
}

/// A few questions, however many tables there are. `which` goes on after the name of a schema's column.
async fn read(connection: &mut Connection, which: &str) -> Result<BTreeMap<Name, Facts>> {
    let sql = format!(
        "SELECT t.table_schema, t.table_name, e.transactions, t.table_type, t.table_collation FROM information_schema.tables t \
         LEFT JOIN information_schema.engines e ON e.engine = t.engine \
         WHERE t.table_type IN ({TABLE_TYPES}) AND t.table_schema {which}"
    );
    let rows = connection.query(&sql).await?;
    let table = |row| {
        let (name, rest) = named(row)?;
        let [transactions, kind, collation] = <[_; 3]>::try_from(rest).ok()?;
        let transactional = transactions.as_deref() == Some("YES");
        let versioned = kind.as_deref() == Some("SYSTEM VERSIONED");
        // The name of a collation begins with that of its character set.
        let charset =
            collation.and_then(|name| name.split('_').next().map(str::to_owned)).unwrap_or_default();
        Some((name, Facts { transactional, versioned, charset, ..Facts::default() }))
    };
    let mut found: BTreeMap<Name, Facts> = rows.into_iter().filter_map(table).collect();
    let collations = collations(connection).await?;
    let sql = format!(
        "SELECT table_schema, table_name, column_name, column_type, is_nullable, column_default, \
         character_set_name, character_octet_length, extra, column_key FROM information_schema.columns \
         WHERE table_schema {which} ORDER BY table_schema, table_name, ordinal_position"
    );
    for row in connection.query(&sql).await? {
        let Some((name, rest)) = named(row) else { continue };
        if let Some(facts) = found.get_mut(&name) {
            facts.columns.extend(column(rest, &collations));
        }
    }
    if !connection.server_version().is_mariadb() {
        found.values_mut().flat_map(|facts| &mut facts.columns).for_each(quote_default);
    }
    let sql = format!(
        "SELECT table_schema, table_name, index_name, column_name, sub_part FROM information_schema.statistics \
         WHERE non_unique = 0 AND table_schema {which} ORDER BY table_schema, table_name, index_name, seq_in_index"
    );
    let mut indexes: BTreeMap<Name, Vec<Part>> = BTreeMap::new();
    for (name, rest) in connection.query(&sql).await?.into_iter().filter_map(named) {
        if let Ok([Some(index), column, sub_part]) = <[_; 3]>::try_from(rest) {
            // An index over an expression names no column.
            let part = Part { index, column: column.unwrap_or_default(), is_cut: sub_part.is_some() };
            indexes.entry(name).or_default().push(part);
        }
    }
    for (name, parts) in indexes {
        if let Some(facts) = found.get_mut(&name) {
            keys(&parts, facts);
        }
    }
    if connection.server_version().is_mariadb() {
        mark_json(connection, which, &mut found).await?;
    }
    found.retain(|_, facts| !facts.columns.is_empty());
    Ok(found)
}

/// A collation of each character set: any of them tells how a column's text is stored.
async fn collations(connection: &mut Connection) -> Result<HashMap<String, u16>> {
    let sql = "SELECT character_set_name, min(id) FROM information_schema.collations \
               WHERE character_set_name IS NOT NULL GROUP BY character_set_name";
    let rows = connection.query(sql).await?.into_iter();
    let pair = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        Some((row.next()??, row.next()??.parse().ok()?))
    };
    Ok(rows.filter_map(pair).collect())
}

fn column(row: Vec<Option<String>>, collations: &HashMap<String, u16>) -> Option<ColumnFacts> {
    let [name, column_type, nullable, default, charset, octets, extra, key] = <[_; 8]>::try_from(row).ok()?;
    let extra = extra.unwrap_or_default().to_ascii_uppercase();
    Some(ColumnFacts {
        name: name?,
        column_type: column_type?,
        nullable: nullable.as_deref() == Some("YES"),
        default,
        collation: charset.as_ref().and_then(|charset| collations.get(charset).copied()),
        charset: charset.unwrap_or_default(),
        numbered: extra.contains("AUTO_INCREMENT"),
        octets: octets.and_then(|octets| octets.parse().ok()),
        // Its place follows from the index.
        key: (key.as_deref() == Some("PRI")).then_some(0),
        computed_default: extra.contains("DEFAULT_GENERATED"),
        visible: !extra.contains("INVISIBLE"),
        json: false,
    })
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

/// A column of an index.
struct Part {
    index: String,
    column: String,
    /// Only the beginnings of values are in it.
    is_cut: bool,
}

/// Puts the key's columns into its order, and notes the first other unique index. Without a primary key the server
/// takes another one for it, and names it so in the log as here: the first it made of a unique index without NULLs. An
/// index over the beginnings of values, or over values that may be NULL, identifies no row.
fn keys(parts: &[Part], facts: &mut Facts) {
    let mut indexes: Vec<&[Part]> = parts.chunk_by(|one, other| one.index == other.index).collect();
    // Else by name.
    indexes.sort_by_key(|index| index.first().is_none_or(|part| part.index != "PRIMARY"));
    let place = |index: &[Part], name: &str| index.iter().position(|part| part.column == name);
    let key: Vec<&str> = facts
        .columns
        .iter()
        .filter(|column| column.key.is_some())
        .map(|column| column.name.as_str())
        .collect();
    let is_key =
        |index: &&&[Part]| index.len() == key.len() && key.iter().all(|name| place(index, name).is_some());
    if let Some(index) = indexes.iter().find(is_key).copied() {
        for column in facts.columns.iter_mut().filter(|column| column.key.is_some()) {
            column.key = place(index, &column.name).and_then(|place| u16::try_from(place).ok());
        }
    }
    let may_be_null = |name: &str| facts.columns.iter().any(|column| column.name == name && column.nullable);
    let identifies = |part: &Part| !part.is_cut && !part.column.is_empty() && !may_be_null(&part.column);
    let whole =
        indexes.iter().find(|index| index.iter().all(|part| part.index != "PRIMARY" && identifies(part)));
    facts.unique =
        whole.map(|index| index.iter().map(|part| part.column.clone()).collect()).unwrap_or_default();
}

/// MariaDB keeps JSON as LONGTEXT with a check of that name.
async fn mark_json(
    connection: &mut Connection,
    which: &str,
    found: &mut BTreeMap<Name, Facts>,
) -> Result<()> {
    let sql = format!(
        "SELECT constraint_schema, table_name, constraint_name, check_clause \
         FROM information_schema.check_constraints WHERE constraint_schema {which}"
    );
    for (name, rest) in connection.query(&sql).await?.into_iter().filter_map(named) {
        let ([Some(check), Some(clause)], Some(facts)) = (rest.as_slice(), found.get_mut(&name)) else {
            continue;
        };
        let clause = clause.to_ascii_lowercase();
        for column in facts.columns.iter_mut().filter(|column| column.name == *check) {
            column.json = column.column_type == "longtext" && clause.starts_with("json_valid(");
        }
    }
    Ok(())
}
