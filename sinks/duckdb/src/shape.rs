//! What a new shape of a source table means for its target: names, types, and where each column's older values come
//! from. Pure; [`store`](crate::store) carries it out. What becomes of values whose type changes is the matter of
//! [`retype`](crate::retype).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tailwater_core::{Column, Fill, Table};

use crate::retype::{self, Characters, Conversion};
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
    /// The source's id of that type; 0 where it has none.
    #[serde(default)]
    pub(crate) type_id: u32,
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
        C::UBigInt,
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
    /// From column `0`, as characters.
    Characters(usize, Characters),
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
        type_id: column.type_id,
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
        let by_id = |id: u32| held.iter().enumerate().find(|(_, held)| held.id == id);
        let before = by_id(new.id).or_else(|| match column.fill {
            Fill::Renamed(former) => by_id(former),
            Fill::Null | Fill::Constant(_) | Fill::Unknown(_) | Fill::Gone => None,
        });
        let origin = match before {
            Some((index, old)) => retype(index, old, new),
            None => fill(&column.fill),
        };
        origins.push(match origin {
            Err(_) if empty || column.fill == Fill::Gone => Origin::Null,
            origin => origin.map_err(|why| format!("column {}: {why}", column.name))?,
        });
    }
    let plan = plan(held, &columns, &origins);
    Ok(Reshape { columns, origins, plan })
}

fn fill(fill: &Fill) -> Result<Origin, String> {
    match fill {
        Fill::Null | Fill::Gone => Ok(Origin::Null),
        Fill::Constant(text) => Ok(Origin::Constant(text.clone())),
        Fill::Renamed(_) => Err("the column whose new name it is was not held".to_owned()),
        Fill::Unknown(why) => Err(format!("what older rows hold in it is not known: {why}")),
    }
}

/// How the values of `old` become those of `new`. A widened column stays so where it can.
///
/// What `Fill` says is of no meaning here: it tells what a column held when it was added.
fn retype(index: usize, old: &Held, new: &mut Held) -> Result<Origin, String> {
    if retype::same_type(old, new) {
        return Ok(keep(index, old, new));
    }
    match retype::conversion(old, new) {
        Some(Conversion::Same) => {
            if old.widened && new.kind != old.kind {
                new.widen();
            }
            Ok(Origin::Keep(index))
        }
        Some(Conversion::Cast) => Ok(Origin::Cast(index)),
        Some(Conversion::Render) => Ok(Origin::Render(index)),
        Some(Conversion::Characters(way)) => Ok(Origin::Characters(index, way)),
        None => Err(format!(
            "its values do not survive the way from {} to {} here",
            old.source_type, new.source_type
        )),
    }
}

/// The type is the same one, under the same name or another.
fn keep(index: usize, old: &Held, new: &mut Held) -> Origin {
    if old.widened {
        new.widen();
    }
    if old.kind == new.kind {
        return Origin::Keep(index);
    }
    if old.source_type == new.source_type {
        return Origin::Cast(index);
    }
    // A type that the source has dropped since is unknown there, but not here.
    new.kind.clone_from(&old.kind);
    new.source_type.clone_from(&old.source_type);
    Origin::Keep(index)
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
    use tailwater_core::{Declared, Type};

    fn table(columns: &[(u32, &str, &str)]) -> Table {
        let columns = columns
            .iter()
            .map(|&(id, name, source_type)| Column {
                id,
                name: name.into(),
                kind: kind(source_type),
                source_type: source_type.into(),
                type_id: type_id(source_type),
                fill: Fill::Null,
                declared: Declared::default(),
            })
            .collect();
        Table {
            id: 1,
            schema: "public".into(),
            name: "t".into(),
            columns,
            key: vec![],
            declared_key: Vec::new(),
            streamed_from_birth: true,
        }
    }

    fn kind(source_type: &str) -> Type {
        let numeric = |width, scale| Type::Numeric { limits: Some((width, scale)) };
        if let Some(element) = source_type.strip_suffix("[]") {
            return Type::Array(Box::new(kind(element)));
        }
        match source_type {
            "integer" | "public.count" => Type::Int4,
            "bigint" => Type::Int8,
            "boolean" => Type::Bool,
            "numeric" => Type::Numeric { limits: None },
            "numeric(10,2)" => numeric(10, 2),
            "numeric(12,2)" => numeric(12, 2),
            "numeric(12,4)" => numeric(12, 4),
            "numeric(10,0)" => numeric(10, 0),
            "numeric(50,2)" => numeric(50, 2),
            "numeric(60,2)" => numeric(60, 2),
            "numeric(60,3)" => numeric(60, 3),
            "date" => Type::Date,
            "double precision" => Type::Float8,
            "json" | "jsonb" => Type::Json,
            name if name.starts_with("interval") => Type::Interval,
            name if name.starts_with("timestamp") && name.ends_with("with time zone") => Type::TimestampTz,
            name if name.starts_with("timestamp") => Type::Timestamp,
            name if name.starts_with("inet") || name.starts_with("bit") || name.starts_with("type ") => {
                Type::Other
            }
            _ => Type::Text,
        }
    }

    /// One type has two names, and one name two types.
    fn type_id(source_type: &str) -> u32 {
        match source_type {
            "public.mood" | "public.feeling" | "type 20001, dropped since" => 20_001,
            "public.mood[]" | "public.feeling[]" => 20_002,
            "public.other" => 20_003,
            name if name.starts_with("interval") => 1186,
            "public.place(Point)" | "public.place(Line)" | "other.place(Point)" => 20_004,
            name => name.bytes().fold(30_000, |id, byte| id.wrapping_mul(31).wrapping_add(byte.into())),
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
    fn types_change_without_loss() {
        let characters = |rendered, trimmed, length| {
            format!(
                "[Characters(0, Characters {{ rendered: {rendered}, trimmed: {trimmed}, length: {length} }})]"
            )
        };
        let pairs = [
            ("integer", "bigint", "[Cast(0)]".to_owned()),
            ("bigint", "integer", "[Cast(0)]".to_owned()),
            ("integer", "numeric(10,2)", "[Cast(0)]".to_owned()),
            ("integer", "numeric", "[Render(0)]".to_owned()),
            ("numeric(10,2)", "numeric(12,4)", "[Cast(0)]".to_owned()),
            ("numeric(10,2)", "numeric(12,2)", "[Cast(0)]".to_owned()),
            ("numeric(10,0)", "integer", "[Cast(0)]".to_owned()),
            ("numeric(10,2)", "numeric", "[Render(0)]".to_owned()),
            ("numeric(10,2)", "numeric(50,2)", "[Render(0)]".to_owned()),
            ("integer[]", "bigint[]", "[Cast(0)]".to_owned()),
            ("jsonb", "text", characters(false, false, "Any")),
            ("text", "json", "[Cast(0)]".to_owned()),
            ("boolean", "text", characters(false, false, "Any")),
            ("integer", "text", characters(true, false, "Any")),
            ("date", "character varying(20)", characters(true, false, "Most(20)")),
            ("text", "character varying(4)", characters(false, false, "Most(4)")),
            ("character varying(5)", "character varying(4)", characters(false, false, "Most(4)")),
            ("character(3)", "text", characters(false, true, "Any")),
            ("bpchar", "character varying(9)", characters(false, true, "Most(9)")),
            ("character(5)", "character(10)", characters(false, false, "Exactly(10)")),
            ("text", "character(5)", characters(false, false, "Exactly(5)")),
        ];
        for (old, new, expected) in pairs {
            check(&[(1, "a", old)], &[(1, "a", new)], &expected);
        }
    }

    #[test]
    fn what_is_printed_alike_is_kept() {
        let pairs = [
            ("character varying(5)", "character varying(10)"),
            ("character varying(5)", "text"),
            ("character varying(5)[]", "character varying(10)[]"),
            ("text", "public.citext"),
            ("character(5)", "bpchar"),
            ("numeric(50,2)", "numeric(60,2)"),
            ("numeric(50,2)", "numeric"),
            ("timestamp(3) without time zone", "timestamp without time zone"),
            ("timestamp(3) without time zone", "timestamp(5) without time zone"),
            ("timestamp without time zone", "timestamp(6) without time zone"),
            ("timestamp(0) with time zone", "timestamp with time zone"),
            ("timestamp(3) without time zone[]", "timestamp without time zone[]"),
            ("interval day to second(3)", "interval"),
            ("interval(2)", "interval(4)"),
            ("bit(4)", "bit varying"),
            ("bit varying(4)", "bit varying(5)"),
            ("jsonb", "json"),
            ("integer", "public.count"),
            ("public.mood", "public.feeling"),
            ("public.mood[]", "public.feeling[]"),
            ("public.mood", "type 20001, dropped since"),
            ("public.mood", "text"),
            ("public.mood[]", "text[]"),
            ("public.place(Point)", "other.place(Point)"),
        ];
        for (old, new) in pairs {
            check(&[(1, "a", old)], &[(1, "a", new)], "same");
        }
    }

    #[test]
    fn types_do_not_change_where_values_would() {
        let refused = [
            ("numeric(12,4)", "numeric(10,2)"),
            ("numeric(50,2)", "numeric(60,3)"),
            ("numeric(10,2)", "integer"),
            ("numeric(10,2)", "double precision"),
            ("numeric(10,2)[]", "numeric[]"),
            ("text", "integer"),
            ("text", "jsonb"),
            ("json", "jsonb"),
            ("text[]", "character varying(4)[]"),
            ("character(3)[]", "text[]"),
            ("json[]", "jsonb[]"),
            ("timestamp without time zone", "timestamp(3) without time zone"),
            ("timestamp(3) without time zone[]", "timestamp(2) without time zone[]"),
            ("timestamp without time zone", "timestamp with time zone"),
            ("timestamp with time zone", "text"),
            ("timestamp with time zone[]", "text"),
            ("interval", "interval day to second"),
            ("interval(3)", "interval day to second(3)"),
            ("interval[]", "interval day to second[]"),
            ("interval(3)", "interval(2)"),
            ("bit varying", "bit varying(5)"),
            ("inet", "text"),
            ("date", "timestamp with time zone"),
            ("public.mood", "public.other"),
            ("text", "public.mood"),
            ("public.place(Point)", "public.place(Line)"),
        ];
        for (old, new) in refused {
            let why = format!("stop: column a: its values do not survive the way from {old} to {new} here");
            check(&[(1, "a", old)], &[(1, "a", new)], &why);
        }
    }

    #[test]
    fn a_type_that_took_the_name_of_another_is_another() {
        let (held, mut now) = (fresh(&table(&[(1, "a", "public.mood")])), table(&[(1, "a", "public.mood")]));
        now.columns[0].type_id += 1;
        assert!(reshape(&held, &now, false).is_err());
    }

    #[test]
    fn a_retype_does_not_ask_what_the_column_held_when_it_was_added() {
        let (held, mut now) = (fresh(&table(&[(1, "a", "integer")])), table(&[(1, "a", "bigint")]));
        now.columns[0].fill = Fill::Unknown("the table was rewritten, and it has a default".into());
        assert_eq!(reshape(&held, &now, false).unwrap().origins, [Origin::Cast(0)]);
    }

    #[test]
    fn what_a_dropped_column_held_does_not_matter() {
        let held = fresh(&table(&[(1, "a", "text"), (2, "b", "text")]));
        let mut now = table(&[(1, "a", "integer"), (2, "b", "text"), (3, "c", "text")]);
        (now.columns[0].fill, now.columns[2].fill) = (Fill::Gone, Fill::Gone);
        assert_eq!(
            reshape(&held, &now, false).unwrap().origins,
            [Origin::Null, Origin::Keep(1), Origin::Null]
        );
    }

    #[test]
    fn a_widened_column_stays_so_where_its_text_does() {
        let check = |old: &str, new: &str, expected: Option<bool>| {
            let mut held = fresh(&table(&[(1, "a", old)]));
            held[0].widen();
            let reshaped = reshape(&held, &table(&[(1, "a", new)]), false).ok();
            let widened = reshaped.map(|reshape| {
                assert_eq!(
                    (&reshape.plan, &reshape.origins[0]),
                    (&Plan::Same, &Origin::Keep(0)),
                    "{old} {new}"
                );
                reshape.columns[0].widened
            });
            assert_eq!(widened, expected, "{old} {new}");
        };
        check("numeric(10,2)", "numeric(12,2)", Some(true));
        check("integer[]", "bigint[]", Some(true));
        check("timestamp(3) with time zone", "timestamp with time zone", Some(true));
        check("numeric(10,2)", "text", Some(false));
        check("numeric(10,2)", "numeric(12,4)", None);
        check("timestamp with time zone", "text", None);
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
