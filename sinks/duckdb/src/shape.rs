//! What a new shape of a source table means for its target: names, types, and where each column's older values come
//! from. Pure; [`migrate`](crate::migrate) carries it out.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tailwater_core::{Column, Fill, Table};

use crate::values::ColumnType;

/// A column as the target has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    /// The source's id of the column.
    pub(crate) id: u32,
    /// Its name in the target.
    pub(crate) name: String,
    /// Its type in the target.
    #[serde(serialize_with = "write_kind", deserialize_with = "read_kind")]
    pub(crate) kind: ColumnType,
    /// The type in the source that it stands for.
    pub(crate) source_type: String,
    /// A value did not fit the type that `source_type` has here: it holds Postgres text since.
    pub(crate) widened: bool,
}

impl Held {
    /// Makes it text, because a value does not fit its type.
    pub(crate) fn widen(&mut self) {
        (self.kind, self.widened) = (ColumnType::Varchar, true);
    }
}

fn write_kind<S: Serializer>(kind: &ColumnType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

fn read_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ColumnType, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_kind(&text).ok_or_else(|| D::Error::custom(format!("{text} is not a type of a column")))
}

fn parse_kind(text: &str) -> Option<ColumnType> {
    use ColumnType as C;
    if let Some(element) = text.strip_suffix("[]") {
        return Some(C::List(Box::new(parse_kind(element)?)));
    }
    if let Some(limits) = text.strip_prefix("DECIMAL(") {
        let (width, scale) = limits.strip_suffix(')')?.split_once(',')?;
        return Some(C::Decimal { width: width.parse().ok()?, scale: scale.parse().ok()? });
    }
    let simple = [
        C::Boolean,
        C::SmallInt,
        C::Integer,
        C::BigInt,
        C::UInteger,
        C::Float,
        C::Double,
        C::Varchar,
        C::Blob,
        C::Date,
        C::Time,
        C::TimeTz,
        C::Timestamp,
        C::TimestampTz,
        C::Interval,
        C::Uuid,
        C::Json,
    ];
    simple.into_iter().find(|kind| kind.to_string() == text)
}

/// Where a column of the new shape gets the values of older rows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From column `0` of the target, as it is.
    Keep(usize),
    /// From column `0`, by a cast of `DuckDB` that must succeed for every value.
    Cast(usize),
    /// From column `0`, rendered as the text Postgres prints.
    Render(usize),
    /// From column `0`, without the blanks at its end.
    Trim(usize),
    /// NULL.
    Null,
    /// One value for all rows, in the source's text.
    Constant(String),
}

/// What has to be done to a target that holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing.
    Same,
    /// These `ALTER TABLE` clauses, in this order. Only where no committed row was touched in the transaction.
    Alter(Vec<String>),
    /// Write the table anew.
    Rebuild,
}

/// The columns that the target is to have, and the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reshape {
    pub(crate) columns: Vec<Held>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) plan: Plan,
}

/// The columns of a target for a table that it does not hold yet.
pub(crate) fn fresh(table: &Table) -> Vec<Held> {
    let names = column_names(table);
    let column = |(column, name): (&Column, String)| Held {
        id: column.id,
        name,
        kind: ColumnType::of(&column.kind),
        source_type: column.source_type.clone(),
        widened: false,
    };
    table.columns.iter().zip(names).map(column).collect()
}

/// Compares what the target holds with a new shape. `empty`: the target has no rows, so that anything can be done.
///
/// # Errors
/// Why the older values cannot be kept, naming the column.
pub(crate) fn reshape(held: &[Held], table: &Table, empty: bool) -> Result<Reshape, String> {
    let mut columns = fresh(table);
    let mut origins = Vec::with_capacity(columns.len());
    for (column, new) in table.columns.iter().zip(&mut columns) {
        let before = held.iter().enumerate().find(|(_, held)| held.id == new.id);
        let origin = match before {
            Some((index, old)) => retype(index, old, new, &column.fill),
            None => fill(&column.fill),
        };
        origins.push(match origin {
            Err(_) if empty => Origin::Null,
            origin => origin.map_err(|why| format!("column {}: {why}", column.name))?,
        });
    }
    let plan = plan(held, &columns, &origins);
    Ok(Reshape { columns, origins, plan })
}

fn fill(fill: &Fill) -> Result<Origin, String> {
    match fill {
        Fill::Null => Ok(Origin::Null),
        Fill::Constant(text) => Ok(Origin::Constant(text.clone())),
        Fill::Unknown(why) => Err(format!("what older rows hold in it is not known: {why}")),
    }
}

/// How the values of `old` become those of `new`. A widened column stays so where it can.
fn retype(index: usize, old: &Held, new: &mut Held, fill: &Fill) -> Result<Origin, String> {
    if old.source_type == new.source_type {
        if old.widened {
            new.widen();
        }
        return if old.kind == new.kind { Ok(Origin::Keep(index)) } else { Ok(Origin::Cast(index)) };
    }
    if let Fill::Unknown(why) = fill {
        return Err(format!("what older rows hold in it is not known: {why}"));
    }
    let refuse = || {
        Err(format!("its values do not survive the way from {} to {} here", old.source_type, new.source_type))
    };
    if old.widened {
        return if is_text(&new.source_type) && prints_alike(&old.source_type) {
            Ok(Origin::Keep(index))
        } else {
            refuse()
        };
    }
    match conversion(old, new) {
        Some(Conversion::Same) => Ok(Origin::Keep(index)),
        Some(Conversion::Cast) => Ok(Origin::Cast(index)),
        Some(Conversion::Render) => Ok(Origin::Render(index)),
        Some(Conversion::Trim) => Ok(Origin::Trim(index)),
        None => refuse(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conversion {
    Same,
    Cast,
    Render,
    Trim,
}

/// The conversion that gives exactly what Postgres' own cast gives; `None` where there is none, or none is known.
fn conversion(old: &Held, new: &Held) -> Option<Conversion> {
    if is_text(&new.source_type) {
        return match (&old.kind, old.source_type.as_str()) {
            // What Postgres makes of these depends on the session that altered the table, or adds to the text.
            (_, from) if !prints_alike(from) => None,
            (_, from) if from.starts_with("character(") => Some(Conversion::Trim),
            (ColumnType::Varchar, _) => Some(Conversion::Same),
            // The cast to text says `true` where the output function says `t`; that of DuckDB does, too.
            (ColumnType::Boolean | ColumnType::Json, _) => Some(Conversion::Cast),
            (_, _) => Some(Conversion::Render),
        };
    }
    // Both are rendered with the digits they have.
    if new.source_type == "numeric" && new.kind == ColumnType::Varchar {
        let exact = is_integer(&old.kind) || matches!(old.kind, ColumnType::Decimal { .. });
        return exact.then_some(Conversion::Render);
    }
    if is_text(&old.source_type) && new.source_type == "json" {
        return Some(Conversion::Cast);
    }
    casts(&old.kind, &new.kind).then_some(Conversion::Cast)
}

/// Whether `DuckDB`'s cast from `old` to `new` gives what Postgres' gives, for every value that Postgres let pass.
fn casts(old: &ColumnType, new: &ColumnType) -> bool {
    use ColumnType as C;
    match (old, new) {
        (C::List(old), C::List(new)) => old == new || casts(old, new),
        (C::Decimal { scale: old, .. }, C::Decimal { scale: new, .. }) => new >= old,
        (old, C::Decimal { .. }) => is_integer(old),
        (C::Decimal { scale: 0, .. }, new) => is_integer(new),
        (C::UInteger, C::BigInt) | (C::Double, C::Float) | (C::Float, C::Double) => true,
        (old, C::Double) => is_integer(old),
        (old, new) => is_integer(old) && is_integer(new),
    }
}

fn is_integer(kind: &ColumnType) -> bool {
    matches!(kind, ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt)
}

fn is_text(source_type: &str) -> bool {
    let name = source_type.split('(').next().unwrap_or_default();
    matches!(name, "text" | "character varying" | "citext" | "public.citext")
}

/// Whether a cast to text gives what the type's output function gives (or what [`conversion`] makes good).
fn prints_alike(source_type: &str) -> bool {
    let zoned = source_type.starts_with("timestamp") && source_type.contains("with time zone");
    !zoned && !source_type.starts_with("inet") && !source_type.starts_with("tstz")
}

fn plan(held: &[Held], columns: &[Held], origins: &[Origin]) -> Plan {
    let same_columns = held.len() == columns.len()
        && origins.iter().enumerate().all(|(index, origin)| *origin == Origin::Keep(index))
        && held.iter().zip(columns).all(|(old, new)| old.name == new.name);
    if same_columns {
        return Plan::Same;
    }
    alter(held, columns, origins).map_or(Plan::Rebuild, Plan::Alter)
}

/// The clauses that do it in place; `None` where they cannot: values change, the order would be another, or names
/// would clash on the way.
fn alter(held: &[Held], columns: &[Held], origins: &[Origin]) -> Option<Vec<String>> {
    let kept: Vec<usize> = origins
        .iter()
        .map_while(|origin| if let Origin::Keep(index) = origin { Some(*index) } else { None })
        .collect();
    let added = columns.get(kept.len()..)?;
    let only_nulls = origins.get(kept.len()..)?.iter().all(|origin| *origin == Origin::Null);
    if kept.is_empty() || !kept.is_sorted() || !only_nulls {
        return None;
    }
    let mut clauses = Vec::new();
    for (index, old) in held.iter().enumerate() {
        if !kept.contains(&index) {
            clauses.push(format!("DROP COLUMN {}", quote(&old.name)));
        }
    }
    for (&index, new) in kept.iter().zip(columns) {
        let old = held.get(index)?;
        if old.name != new.name {
            if kept.iter().filter_map(|&kept| held.get(kept)).any(|other| same_name(&other.name, &new.name)) {
                return None;
            }
            clauses.push(format!("RENAME COLUMN {} TO {}", quote(&old.name), quote(&new.name)));
        }
    }
    for (offset, new) in added.iter().enumerate() {
        let before = columns.get(..kept.len() + offset)?;
        let old_names = kept.iter().filter_map(|&kept| held.get(kept));
        if old_names.chain(before).any(|other| same_name(&other.name, &new.name)) {
            return None;
        }
        clauses.push(format!("ADD COLUMN {} {}", quote(&new.name), new.kind));
    }
    Some(clauses)
}

/// The names of the columns in the target. `DuckDB` does not tell `Id` from `id`: of columns that differ in nothing else, the
/// first keeps its name and each other gets its id behind it, `Id_4`. So does `rowid`, which is a column of every table.
pub(crate) fn column_names(table: &Table) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        let taken = |name: &str, names: &[String]| {
            let others = table.columns.iter().enumerate().filter(|(other, _)| *other > index);
            same_name(name, "rowid")
                || names.iter().any(|taken| same_name(taken, name))
                || (name != column.name && others.into_iter().any(|(_, other)| same_name(&other.name, name)))
        };
        let mut name = column.name.clone();
        while taken(&name, &names) {
            name = format!("{name}_{}", column.id);
        }
        names.push(name);
    }
    names
}

/// Whether `DuckDB` takes two names for the same.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// An identifier for SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal for SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailwater_core::Type;

    fn table(columns: &[(u32, &str, &str)]) -> Table {
        let columns = columns
            .iter()
            .map(|&(id, name, source_type)| Column {
                id,
                name: name.into(),
                kind: kind(source_type),
                source_type: source_type.into(),
                fill: Fill::Null,
            })
            .collect();
        Table {
            id: 1,
            schema: "public".into(),
            name: "t".into(),
            columns,
            key: vec![],
            streamed_from_birth: true,
        }
    }

    fn kind(source_type: &str) -> Type {
        let numeric = |width, scale| Type::Numeric { limits: Some((width, scale)) };
        match source_type {
            "integer" => Type::Int4,
            "bigint" => Type::Int8,
            "boolean" => Type::Bool,
            "numeric" => Type::Numeric { limits: None },
            "numeric(10,2)" => numeric(10, 2),
            "numeric(12,4)" => numeric(12, 4),
            "numeric(10,0)" => numeric(10, 0),
            "date" => Type::Date,
            "double precision" => Type::Float8,
            "timestamp with time zone" => Type::TimestampTz,
            "json" | "jsonb" => Type::Json,
            "inet" => Type::Other,
            _ => Type::Text,
        }
    }

    fn check(old: &[(u32, &str, &str)], new: &[(u32, &str, &str)], expected: &str) {
        let held = fresh(&table(old));
        let seen = match reshape(&held, &table(new), false) {
            Ok(Reshape { plan: Plan::Alter(clauses), .. }) => clauses.join("; "),
            Ok(Reshape { plan: Plan::Same, .. }) => "same".to_owned(),
            Ok(Reshape { plan: Plan::Rebuild, origins, .. }) => format!("{origins:?}"),
            Err(why) => format!("stop: {why}"),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn columns_come_go_and_change_names() {
        let old = &[(1, "a", "integer"), (2, "b", "text")];
        check(old, old, "same");
        check(old, &[(1, "a", "integer"), (2, "b", "text"), (3, "C", "integer")], "ADD COLUMN \"C\" INTEGER");
        check(old, &[(2, "a", "text")], "DROP COLUMN \"a\"; RENAME COLUMN \"b\" TO \"a\"");
        check(old, &[(1, "a", "integer"), (3, "b", "text")], "DROP COLUMN \"b\"; ADD COLUMN \"b\" VARCHAR");
        check(old, &[(1, "b", "integer"), (2, "a", "text")], "[Keep(0), Keep(1)]");
        check(old, &[(1, "A", "integer"), (2, "b", "text")], "[Keep(0), Keep(1)]");
        check(old, &[(2, "b", "text"), (1, "a", "integer")], "[Keep(1), Keep(0)]");
        check(old, &[(3, "a", "integer")], "[Null]");
    }

    #[test]
    fn types_change_without_loss_or_not_at_all() {
        let pairs = [
            ("integer", "bigint", "[Cast(0)]"),
            ("bigint", "integer", "[Cast(0)]"),
            ("integer", "numeric(10,2)", "[Cast(0)]"),
            ("numeric(10,2)", "numeric(12,4)", "[Cast(0)]"),
            ("numeric(10,0)", "integer", "[Cast(0)]"),
            ("numeric(10,2)", "numeric", "[Render(0)]"),
            ("integer", "text", "[Render(0)]"),
            ("boolean", "text", "[Cast(0)]"),
            ("character(3)", "text", "[Trim(0)]"),
            ("date", "character varying(20)", "[Render(0)]"),
            ("jsonb", "text", "[Cast(0)]"),
            ("text", "json", "[Cast(0)]"),
            ("text", "character varying(4)", "same"),
        ];
        for (old, new, expected) in pairs {
            check(&[(1, "a", old)], &[(1, "a", new)], expected);
        }
        let refused = [
            ("numeric(12,4)", "numeric(10,2)"),
            ("numeric(10,2)", "integer"),
            ("numeric(10,2)", "double precision"),
            ("text", "integer"),
            ("text", "jsonb"),
            ("timestamp with time zone", "text"),
            ("inet", "text"),
            ("date", "timestamp with time zone"),
        ];
        for (old, new) in refused {
            let why = format!("stop: column a: its values do not survive the way from {old} to {new} here");
            check(&[(1, "a", old)], &[(1, "a", new)], &why);
        }
    }

    #[test]
    fn tells_apart_what_differs_in_case_only() {
        let names = |columns| column_names(&table(columns)).join(" ");
        assert_eq!(
            names(&[(1, "id", "integer"), (2, "Id", "integer"), (3, "ID", "integer")]),
            "id Id_2 ID_3"
        );
        assert_eq!(
            names(&[(1, "id", "integer"), (2, "Id", "integer"), (3, "id_2", "integer")]),
            "id Id_2_2 id_2"
        );
    }
}
