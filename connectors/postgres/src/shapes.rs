//! From a Relation message and the catalogue to a [`Table`]. [`resolve`] is pure; [`fetch`] reads what it needs.
//!
//! A Relation message gives the names and types that hold at that point of the stream, but no attnum; the catalogue
//! gives attnums, but as of now. Both list columns in the order of attnum, which never changes and is never used
//! again in a table. So a column's attnum is found, in this order:
//!
//! 1. by its name in the catalogue, or in the previous shape where only that one has the type of the message too;
//! 2. by its name in the previous shape: the column was renamed or dropped since;
//! 3. by its place: when there are as many unknown columns between two found ones as there are free attnums, or after
//!    the last found one, where all attnums are published and later ones were added since.
//!
//! The outcome must rise from column to column; where it does not, names whose type differs are looked for by place
//! instead. Whatever is left open is never guessed: see [`resolve`].

use std::collections::BTreeSet;

use tailwater_core::error::Doing as _;
use tailwater_core::{Column, Declared, Error, Fill, Result, Table};

use crate::catalog::{self, ColumnRow, DefaultValue, Missing, TableRow};
use crate::connection::Connection;
use crate::pgoutput::{Relation, RelationColumn, ReplicaIdentity};

/// The types a relation mentions, for [`fetch`].
#[must_use]
pub fn types(relation: &Relation<'_>) -> BTreeSet<(u32, i32)> {
    relation.columns().map(|column| (column.type_oid, column.type_modifier)).collect()
}

/// Reads what [`resolve`] needs to know of a relation. `types` are those the message mentions.
///
/// # Errors
/// Those of the connection.
pub async fn fetch(connection: &mut Connection, oid: u32, types: &BTreeSet<(u32, i32)>) -> Result<TableRow> {
    catalog::table(connection, oid, types).await.doing(|| format!("look up relation {oid}"))
}

/// The shape of a relation at this point of the stream. `previous` is the one it had before, where it is known.
///
/// A table that is gone has no attnums any more; unless `previous` gives them, its columns are numbered as they come.
/// Its rows are still to be carried, up to the drop. Where an attnum cannot be found without a guess, the columns are
/// new ones whose older values nobody knows: a target that holds rows stops that table, and no other.
#[must_use]
pub fn resolve(relation: &Relation<'_>, row: &TableRow, previous: Option<&Table>) -> Table {
    let described: Vec<RelationColumn<'_>> = relation.columns().collect();
    let ids = find(&described, row, previous).unwrap_or_else(|| (UNTOLD..).take(described.len()).collect());
    let columns = described.iter().zip(&ids).map(|(column, &id)| Column {
        id,
        name: column.name.to_owned(),
        kind: row.types.kind(column.type_oid, column.type_modifier),
        source_type: row.types.source_type(column.type_oid, column.type_modifier),
        type_id: column.type_oid,
        fill: fill_of(row, id),
        declared: declared(row, id, column.type_oid, column.type_modifier),
    });
    let flagged = described.iter().enumerate().filter(|(_, column)| column.key).map(|(index, _)| index);
    let key = match relation.identity {
        ReplicaIdentity::Default | ReplicaIdentity::Index => flagged.collect(),
        ReplicaIdentity::Full | ReplicaIdentity::Nothing => key_among(&row.primary_key, &ids),
    };
    Table {
        id: u64::from(relation.oid),
        schema: relation.schema.to_owned(),
        name: relation.name.to_owned(),
        columns: columns.collect(),
        key,
        declared_key: declared_key(row, &ids),
        streamed_from_birth: false,
    }
}

/// Beyond every attnum: columns of which it cannot be told which of the table's columns they are.
const UNTOLD: u32 = 10_000;

/// The shape of a table now, with the columns of these attnums only.
///
/// The key is what updates and deletes will carry: the columns of the index that `REPLICA IDENTITY USING INDEX` names,
/// even where there is a primary key too, since changes of that one would not be seen; else the primary key.
///
/// # Errors
/// `Data` where the catalogue contradicts itself.
pub fn at_head(row: &TableRow, published: &[u32]) -> Result<Table> {
    let mut columns = Vec::with_capacity(published.len());
    for &number in published {
        let column = column_row(row, number).and_then(|column| Some((column, column.name.as_ref()?)));
        let Some((column, name)) = column else {
            let what = format!("{}.{} publishes a column that it does not have", row.schema, row.name);
            return Err(Error::transient("TW-PG-083", what));
        };
        columns.push(Column {
            id: number,
            name: name.clone(),
            kind: row.types.kind(column.type_oid, column.modifier),
            source_type: row.types.source_type(column.type_oid, column.modifier),
            type_id: column.type_oid,
            fill: fill(row, column),
            declared: declared(row, number, column.type_oid, column.modifier),
        });
    }
    let by_index = row.identity == ReplicaIdentity::Index && !row.identity_index.is_empty();
    let key = key_among(if by_index { &row.identity_index } else { &row.primary_key }, published);
    let (schema, name) = (row.schema.clone(), row.name.clone());
    let declared_key = declared_key(row, published);
    Ok(Table { id: u64::from(row.oid), schema, name, columns, key, declared_key, streamed_from_birth: false })
}

/// What the catalogue says of a column now, and of a type that it has or had.
fn declared(row: &TableRow, number: u32, type_oid: u32, modifier: i32) -> Declared {
    let now = column_row(row, number);
    Declared {
        not_null: now.is_some_and(|now| now.not_null),
        default: now.and_then(|now| now.default_sql.clone()),
        base_type: row.types.base_type(type_oid, modifier),
        labels: row.types.labels(type_oid),
        // Nobody asks for them.
        charset: String::new(),
        numbered: false,
    }
}

/// Where the declared key's columns stand among `ids`, in the key's order; none unless all are there.
fn declared_key(row: &TableRow, ids: &[u32]) -> Vec<usize> {
    let place = |part: &u32| ids.iter().position(|id| id == part);
    row.declared_key.iter().map(place).collect::<Option<_>>().unwrap_or_default()
}

/// Where the key's columns stand among `ids`, in column order as in Relation messages; none unless all are there.
fn key_among(key: &[u32], ids: &[u32]) -> Vec<usize> {
    let places: BTreeSet<usize> =
        key.iter().filter_map(|part| ids.iter().position(|id| id == part)).collect();
    if places.len() == key.len() { places.into_iter().collect() } else { Vec::new() }
}

fn column_row(row: &TableRow, number: u32) -> Option<&ColumnRow> {
    row.columns.iter().find(|column| column.number == number)
}

fn fill_of(row: &TableRow, number: u32) -> Fill {
    match column_row(row, number) {
        None if number >= UNTOLD => Fill::Unknown(
            "columns were renamed, added or dropped since, and the log alone does not say which is which"
                .into(),
        ),
        Some(column) if column.name.is_some() => fill(row, column),
        Some(_) | None => Fill::Gone,
    }
}

/// What rows held in a column when it was added. Only of use for a column that the target does not have yet.
///
/// Rows older than a column hold its missing value, or NULL where none is recorded, unless the table was rewritten:
/// then they may hold what the default gave them at that time, and nothing records what that was.
fn fill(row: &TableRow, column: &ColumnRow) -> Fill {
    let unknown = |why: &str| Fill::Unknown(format!("the table was rewritten, and {why}"));
    match (&column.missing, column.default) {
        (Missing::One(value), _) => Fill::Constant(value.clone()),
        (Missing::Several, _) => {
            Fill::Unknown("its partitions filled older rows with different values".into())
        }
        (Missing::None, _) if !row.rewritten => Fill::Null,
        (Missing::None, DefaultValue::Generated) => unknown("it is a generated column"),
        (Missing::None, DefaultValue::Identity) => unknown("it is an identity column"),
        (Missing::None, DefaultValue::Volatile) => unknown("its default differs from row to row"),
        (Missing::None, DefaultValue::Stable) => unknown("its default may stand in older rows"),
        (Missing::None, DefaultValue::None) if column.not_null => unknown("it is NOT NULL without a default"),
        (Missing::None, DefaultValue::None) => Fill::Null,
    }
}

fn find(described: &[RelationColumn<'_>], row: &TableRow, previous: Option<&Table>) -> Option<Vec<u32>> {
    let named: Vec<Option<Named>> = described.iter().map(|column| by_name(column, row, previous)).collect();
    let all = named.iter().map(|named| named.as_ref().map(|named| named.id)).collect();
    complete(all, row).or_else(|| {
        // A column of the same name and another type may be another column: then places alone must tell.
        let alike =
            named.iter().map(|named| named.as_ref().filter(|named| named.same_type).map(|named| named.id));
        complete(alike.collect(), row)
    })
}

/// Gives every column its attnum, where those that are found leave no choice.
fn complete(mut found: Vec<Option<u32>>, row: &TableRow) -> Option<Vec<u32>> {
    let rises = |found: &[Option<u32>]| found.iter().flatten().is_sorted_by(|a, b| a < b);
    if !rises(&found) {
        return None;
    }
    if row.columns.is_empty() {
        number_freely(&mut found)?;
    } else {
        fill_gaps(&mut found, row)?;
    }
    let ids: Vec<u32> = found.iter().flatten().copied().collect();
    (ids.len() == found.len() && rises(&found)).then_some(ids)
}

/// A column that has the name looked for.
struct Named {
    id: u32,
    /// It has the type looked for too.
    same_type: bool,
}

fn by_name(column: &RelationColumn<'_>, row: &TableRow, previous: Option<&Table>) -> Option<Named> {
    let (oid, modifier) = (column.type_oid, column.type_modifier);
    let now = row
        .columns
        .iter()
        .find(|now| now.name.as_deref() == Some(column.name))
        .map(|now| Named { id: now.number, same_type: (now.type_oid, now.modifier) == (oid, modifier) });
    let before = previous.and_then(|table| table.columns.iter().find(|before| before.name == column.name));
    let before = before.map(|before| Named {
        id: before.id,
        same_type: before.source_type == row.types.source_type(oid, modifier),
    });
    match (now, before) {
        (Some(now), Some(before)) => Some(if before.same_type && !now.same_type { before } else { now }),
        (now, before) => now.or(before),
    }
}

/// Numbers the columns of a table that is gone: after those that are known, in order. `None` where one comes after
/// them that is known too: the numbers between are gone with the table.
fn number_freely(found: &mut [Option<u32>]) -> Option<()> {
    let mut last = 0;
    let mut open = false;
    for place in found {
        match place {
            Some(_) if open => return None,
            Some(id) => last = *id,
            None => {
                open = last > 0;
                last += 1;
                *place = Some(last);
            }
        }
    }
    Some(())
}

/// Gives runs of unknown columns the attnums between their neighbours, where these leave no choice.
fn fill_gaps(found: &mut [Option<u32>], row: &TableRow) -> Option<()> {
    let end = row.columns.iter().map(|column| column.number).max().unwrap_or(0) + 1;
    let mut after = 0;
    let mut rest = found;
    while let Some(start) = rest.iter().position(Option::is_none) {
        after = rest.iter().take(start).flatten().last().copied().unwrap_or(after);
        let run = rest.iter().skip(start).take_while(|place| place.is_none()).count();
        let before = rest.iter().skip(start).find_map(|place| *place).unwrap_or(end);
        let mut free: Vec<u32> = (after + 1..before).collect();
        // Columns are added at the end, so the first ones were there, unless some of them are not published.
        if before == end && free.len() > run && free.iter().all(|&number| is_published(row, number)) {
            free.truncate(run);
        }
        if free.len() != run {
            return None;
        }
        let (_, from_run) = rest.split_at_mut(start);
        let (places, beyond) = from_run.split_at_mut(run);
        for (place, number) in places.iter_mut().zip(&free) {
            (*place, after) = (Some(*number), *number);
        }
        rest = beyond;
    }
    Some(())
}

/// Whether a message about the table would have the column, were it sent now.
fn is_published(row: &TableRow, number: u32) -> bool {
    let column = column_row(row, number).filter(|column| column.name.is_some());
    !row.listed && column.is_some_and(|column| column.default != DefaultValue::Generated)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tailwater_core::Type;

    use super::*;
    use crate::kinds::Types;
    use crate::pgoutput::{Message, decode};

    /// `id int4 key, note text`: a Relation message of public.t with this identity.
    fn message(identity: char, columns: &str) -> Vec<u8> {
        let columns: Vec<Vec<&str>> = columns
            .split(", ")
            .filter(|column| !column.is_empty())
            .map(|column| column.split(' ').collect())
            .collect();
        let mut message = b"R\0\0\0\x07public\0t\0".to_vec();
        message.push(u8::try_from(identity).unwrap());
        message.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
        for column in columns {
            message.push(u8::from(column.get(2) == Some(&"key")));
            message.extend(column[0].as_bytes());
            message.push(0);
            message.extend(type_oid(column[1]).to_be_bytes());
            message.extend((-1_i32).to_be_bytes());
        }
        message
    }

    fn type_oid(name: &str) -> u32 {
        match name {
            "int4" => 23,
            "text" => 25,
            "bool" => 16,
            other => panic!("{other}"),
        }
    }

    fn types() -> Types {
        let mut types = Types::default();
        for name in ["int4", "text", "bool"] {
            types.spell(type_oid(name), -1, name.to_owned());
        }
        types
    }

    /// `id int4 not null, -, note text missing=x`: `-` is a dropped column.
    fn row(columns: &str, primary_key: &[u32]) -> TableRow {
        let columns = columns.split(", ").filter(|column| !column.is_empty()).enumerate();
        let columns = columns.map(|(index, column)| {
            let words: Vec<&str> = column.split(' ').collect();
            let has = |word: &str| words.contains(&word);
            let default = match () {
                () if has("volatile") => DefaultValue::Volatile,
                () if has("default") => DefaultValue::Stable,
                () if has("identity") => DefaultValue::Identity,
                () if has("generated") => DefaultValue::Generated,
                () => DefaultValue::None,
            };
            let missing = words.iter().find_map(|word| word.strip_prefix("missing="));
            ColumnRow {
                number: u32::try_from(index).unwrap() + 1,
                name: (words[0] != "-").then(|| words[0].to_owned()),
                type_oid: words.get(1).map_or(0, |name| type_oid(name)),
                modifier: -1,
                not_null: has("not_null"),
                default,
                default_sql: None,
                missing: match missing {
                    Some("several") => Missing::Several,
                    Some(value) => Missing::One(value.to_owned()),
                    None => Missing::None,
                },
            }
        });
        TableRow {
            oid: 7,
            schema: "public".into(),
            name: "t".into(),
            partitioned: false,
            identity: ReplicaIdentity::Default,
            primary_key: primary_key.to_vec(),
            identity_index: Vec::new(),
            declared_key: primary_key.to_vec(),
            rewritten: false,
            heaps: Vec::new(),
            all_tables: Vec::new(),
            listed: false,
            columns: columns.collect(),
            types: Arc::new(types()),
        }
    }

    fn resolved(message: &[u8], row: &TableRow, previous: Option<&Table>) -> Table {
        let Ok(Message::Relation { relation, .. }) = decode(message, false) else { panic!("no relation") };
        resolve(&relation, row, previous)
    }

    fn ids(message: &str, catalogue: &str, previous: Option<&str>) -> String {
        let row = row(catalogue, &[]);
        let previous = previous.map(|previous| {
            let columns = previous.split(", ").map(|column| {
                let words: Vec<&str> = column.split(' ').collect();
                Column {
                    id: words[0].parse().unwrap(),
                    name: words[1].to_owned(),
                    kind: Type::Other,
                    source_type: words[2].to_owned(),
                    type_id: type_oid(words[2]),
                    fill: Fill::Null,
                    declared: Declared::default(),
                }
            });
            Table {
                id: 7,
                schema: "public".into(),
                name: "t".into(),
                columns: columns.collect(),
                key: vec![],
                declared_key: Vec::new(),
                streamed_from_birth: false,
            }
        });
        let table = resolved(&self::message('d', message), &row, previous.as_ref());
        table.columns.iter().map(|column| column.id.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn finds_attnums() {
        let check = |message, catalogue, previous: Option<&str>, expected: &str| {
            assert_eq!(ids(message, catalogue, previous), expected, "{message} | {catalogue} | {previous:?}");
        };
        // The catalogue has not moved on.
        check("id int4, note text", "id int4, note text", None, "1 2");
        check("id int4, note text", "id int4, -, note text", None, "1 3");
        check("", "-", None, "");
        // Published columns only.
        check("id int4, note text", "id int4, hidden text, note text, later text", None, "1 3");
        // Renamed since.
        check("id int4, old text", "id int4, new text", None, "1 2");
        check("old int4, note text", "new int4, note text", None, "1 2");
        check("a int4, b int4, c int4", "x int4, y int4, c int4", None, "1 2 3");
        check("id int4, old text", "id int4, new text, more text", Some("1 id int4, 2 old text"), "1 2");
        check("id int4, old text", "id int4, new text, more text", None, "1 2");
        check("id int4, old text, note text", "id int4, new text, renamed text, more text", None, "1 2 3");
        // Dropped since.
        check("id int4, gone int4, note text", "id int4, -, note text", None, "1 2 3");
        check("id int4, gone int4", "id int4, -, -", Some("1 id int4, 2 gone int4"), "1 2");
        check("a int4, b int4", "-, -", None, "1 2");
        // Dropped and added again under the same name: the type tells.
        check("id int4, x int4", "id int4, -, x text", Some("1 id int4, 2 x int4"), "1 2");
        check("id int4, x text", "id int4, -, x text", Some("1 id int4, 2 x int4"), "1 3");
        check("id int4, x int4", "id int4, -, x int4", Some("1 id int4, 2 x int4"), "1 3");
        check("id int4, x int4, y int4", "id int4, -, y int4, x text", None, "1 2 3");
        // Retyped since.
        check("id int4, x int4, y int4", "id int4, x text, y int4", None, "1 2 3");
        // The table is gone.
        check("id int4, x int4", "", None, "1 2");
        check("id int4, x int4", "", Some("1 id int4, 3 x int4"), "1 3");
        check("id int4, x int4, y int4", "", Some("1 id int4, 3 x int4"), "1 3 4");
    }

    #[test]
    fn never_guesses() {
        let check = |message, catalogue, previous: Option<&str>| {
            let outcome = ids(message, catalogue, previous);
            assert!(outcome.split(' ').all(|id| id.len() == 5), "{outcome}");
        };
        // Renamed or dropped, with more places than names.
        check("id int4, old text", "id int4, generated int4 generated, new text", None);
        check("id int4, old text", "id int4, -, new text", None);
        check("id int4, gone int4, note text", "id int4, -, other int4, note text", None);
        // More names than places.
        check("id int4, a int4, b int4, note text", "id int4, -, note text", None);
        // Names were exchanged.
        check("a int4, b int4", "b int4, a int4", None);
        check("id int4, a int4, b int4", "id int4, -, b int4, a int4", None);
        // Two claims for one place.
        check("old int4, new int4", "-, new int4", Some("1 id int4, 2 old int4"));
        check("id int4, new int4, x int4", "", Some("1 id int4, 3 x int4"));
    }

    #[test]
    fn finds_the_key() {
        let check = |identity, message: &str, primary_key: &[u32], expected: &[usize]| {
            let row = row("id int4, -, a int4, b int4", primary_key);
            let table = resolved(&self::message(identity, message), &row, None);
            assert_eq!(table.key, expected, "{identity} {message}");
        };
        check('d', "id int4 key, a int4, b int4", &[1], &[0]);
        check('d', "id int4, a int4, b int4", &[], &[]);
        // The message is right for its point of the stream, whatever the catalogue says now.
        check('d', "id int4, a int4 key, b int4 key", &[1], &[1, 2]);
        check('i', "id int4, a int4 key, b int4", &[1], &[1]);
        check('f', "id int4 key, a int4 key, b int4 key", &[4, 1], &[0, 2]);
        check('f', "id int4 key, a int4 key, b int4 key", &[], &[]);
        check('n', "id int4, a int4, b int4", &[3], &[1]);
        // A column list without all of the key.
        check('f', "id int4 key, a int4 key", &[1, 4], &[]);
    }

    #[test]
    fn at_head_takes_the_published_columns_and_the_key_that_changes_carry() {
        let check = |identity, index: &[u32], published: &[u32], expected: &str| {
            let mut row = row("id int4, -, a text, b bool", &[1]);
            (row.identity, row.identity_index) = (identity, index.to_vec());
            let table = at_head(&row, published).unwrap();
            let columns =
                table.columns.iter().map(|column| format!("{}:{} {:?}", column.id, column.name, column.kind));
            assert_eq!(format!("{} key {:?}", columns.collect::<Vec<_>>().join(", "), table.key), expected);
        };
        check(ReplicaIdentity::Default, &[], &[1, 3, 4], "1:id Int4, 3:a Text, 4:b Bool key [0]");
        check(ReplicaIdentity::Full, &[], &[3, 4], "3:a Text, 4:b Bool key []");
        check(ReplicaIdentity::Index, &[3], &[1, 3], "1:id Int4, 3:a Text key [1]");
        check(ReplicaIdentity::Index, &[], &[1, 3], "1:id Int4, 3:a Text key [0]");
        assert_eq!(at_head(&row("id int4, -", &[]), &[2]).unwrap_err().code(), "TW-PG-083");
    }

    #[test]
    fn says_what_older_rows_hold() {
        let check = |column: &str, rewritten: bool, expected: Fill| {
            let mut row = row(&format!("{column}, -"), &[]);
            row.rewritten = rewritten;
            let name = column.split(' ').next().unwrap();
            let table = resolved(&message('d', &format!("{name} text")), &row, None);
            match (&table.columns[0].fill, &expected) {
                (Fill::Unknown(_), Fill::Unknown(_)) => {}
                (got, expected) => assert_eq!(got, expected, "{column}"),
            }
        };
        let unknown = || Fill::Unknown(String::new());
        check("x text", false, Fill::Null);
        check("x text", true, Fill::Null);
        for added_later in ["x text default", "x text not_null", "x text volatile", "x text identity"] {
            check(added_later, false, Fill::Null);
            check(added_later, true, unknown());
        }
        check("x text generated", true, unknown());
        check("x text default missing=5", true, Fill::Constant("5".into()));
        check("x text not_null missing=5", false, Fill::Constant("5".into()));
        check("x text volatile missing=5", false, Fill::Constant("5".into()));
        check("x text missing=several", false, unknown());
        assert_eq!(fill_of(&row("-", &[]), 1), Fill::Gone);
    }
}
