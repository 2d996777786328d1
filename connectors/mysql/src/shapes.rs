//! From what the log and the catalogue say of a table to a core [`Table`]. Pure: `assemble` and the first copy call it.
//!
//! The log is the truth for its place. The catalogue is as of now; from it comes only what the log cannot say and what
//! still agrees with it. So the spelling of a type can be told from the log alone, and is the same with and without a
//! catalogue, except for the types that MariaDB's log does not tell from others (UUID, INET4, INET6, JSON).

use tailwater_core::{Column, Declared, Error, Fill, Result, Table, Type};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::binlog::columns::{Described, Stored};
use crate::ddl::Name;
use crate::error;

mod catalogue;
pub(crate) mod collations;

pub use catalogue::{ColumnFacts, Facts};

pub use crate::binlog::plan::Hint;

/// What a table is known by: the server has no number that survives.
#[must_use]
pub fn table_id(name: &Name) -> u64 {
    xxh3_64(&id_bytes(name))
}

/// What a table is known by where another one, which had its name, has [`table_id`].
#[must_use]
pub(crate) fn salted_id(name: &Name, salt: u64) -> u64 {
    xxh3_64_with_seed(&id_bytes(name), salt)
}

/// A table of which only is said which it is.
#[must_use]
pub(crate) fn bare(name: &Name, id: u64) -> Table {
    Table {
        id,
        schema: name.schema.clone(),
        name: name.table.clone(),
        columns: Vec::new(),
        key: Vec::new(),
        declared_key: Vec::new(),
        streamed_from_birth: false,
    }
}

fn id_bytes(name: &Name) -> Vec<u8> {
    let mut id = Vec::with_capacity(name.schema.len() + name.table.len() + 1);
    id.extend_from_slice(name.schema.as_bytes());
    id.push(0);
    id.extend_from_slice(name.table.as_bytes());
    id
}

/// What a column is known by. Names of columns are the same in any case.
#[must_use]
pub fn column_id(name: &str) -> u32 {
    // The low half.
    u32::try_from(xxh3_64(name.to_lowercase().as_bytes()) & u64::from(u32::MAX)).unwrap_or_default()
}

/// Whether it is a sequence of MariaDB, which the log shows as a table: they all have the same columns.
#[must_use]
pub fn is_sequence(columns: &[Described]) -> bool {
    const COLUMNS: [&str; 8] = [
        "next_not_cached_value",
        "minimum_value",
        "maximum_value",
        "start_value",
        "increment",
        "cache_size",
        "cycle_option",
        "cycle_count",
    ];
    columns.iter().map(|column| column.name.as_deref()).eq(COLUMNS.map(Some))
}

/// What the catalogue says of each column in the log, where it still says it of that column.
#[must_use]
pub fn hints(columns: &[Described], facts: Option<&Facts>) -> Vec<Hint> {
    let hint = |column: &Described| {
        if has_untold_fraction(column, facts) {
            return Hint::Fraction;
        }
        agreeing(column, facts).map_or(Hint::None, ColumnFacts::hint)
    };
    columns.iter().map(hint).collect()
}

/// Whether the log gives a column in MariaDB's own layout of times, and the catalogue says that it has a fraction.
fn has_untold_fraction(column: &Described, facts: Option<&Facts>) -> bool {
    let old = matches!(column.stored, Stored::OldTime | Stored::OldDatetime | Stored::OldTimestamp);
    let columns = facts.iter().flat_map(|facts| &facts.columns);
    old && columns
        .filter(|facts| Some(&facts.name) == column.name.as_ref())
        .any(|facts| facts.column_type.contains('('))
}

/// A table as the log has it. `kinds` are the columns' types, in order.
///
/// # Errors
/// `Operator` where the log does not name the columns, or the table keeps what its rows were; `Data` where two of
/// them cannot be told apart.
pub fn table<'k>(
    name: &Name,
    columns: &[Described],
    kinds: impl Iterator<Item = &'k Type>,
    facts: Option<&Facts>,
) -> Result<Table> {
    if facts.is_some_and(|facts| facts.versioned) {
        return Err(error::versioned(&name.schema, &name.table));
    }
    let mut shaped: Vec<Column> = Vec::with_capacity(columns.len());
    for (column, kind) in columns.iter().zip(kinds) {
        let shape = shape_of(name, column, kind, facts)?;
        if let Some(twin) = shaped.iter().find(|other| other.id == shape.id) {
            let (one, two) = (&twin.name, &shape.name);
            let message = format!(
                "{}.{} has columns {one} and {two}, which have the same id here",
                name.schema, name.table
            );
            return Err(Error::data("TW-MY-050", message).remedy("rename one of the two columns"));
        }
        shaped.push(shape);
    }
    let mut primary: Vec<(u16, usize)> =
        columns.iter().enumerate().filter_map(|(index, column)| Some((column.key?, index))).collect();
    primary.sort_unstable();
    let mut declared_key: Vec<usize> = primary.iter().map(|&(_, index)| index).collect();
    let mut key = declared_key.clone();
    key.sort_unstable();
    if let (true, Some(facts)) = (declared_key.is_empty(), facts) {
        let place = |part: &String| shaped.iter().position(|column| column.name.eq_ignore_ascii_case(part));
        declared_key = facts.unique.iter().map(place).collect::<Option<_>>().unwrap_or_default();
    }
    Ok(Table {
        id: table_id(name),
        schema: name.schema.clone(),
        name: name.table.clone(),
        columns: shaped,
        key,
        declared_key,
        streamed_from_birth: false,
    })
}

fn shape_of(name: &Name, column: &Described, kind: &Type, facts: Option<&Facts>) -> Result<Column> {
    let Some(column_name) = &column.name else { return Err(unnamed(name)) };
    let facts = agreeing(column, facts);
    let source_type = spelled(column, facts.map_or(Hint::None, ColumnFacts::hint));
    let base_type = facts.map_or_else(|| source_type.clone(), |facts| facts.column_type.clone());
    Ok(Column {
        id: column_id(column_name),
        name: column_name.clone(),
        kind: kind.clone(),
        source_type,
        type_id: 0,
        fill: Fill::Unknown("the log does not tell how the column came to be".to_owned()),
        declared: Declared {
            not_null: !column.nullable,
            default: facts.and_then(|facts| facts.default.clone()),
            base_type,
            labels: column.labels.clone(),
            charset: facts.map(|facts| facts.charset.clone()).unwrap_or_default(),
            numbered: facts.is_some_and(|facts| facts.numbered),
        },
    })
}

/// The remedy for a log that does not say what its columns are.
fn unnamed(name: &Name) -> Error {
    let message = format!("the log does not name the columns of {}.{}", name.schema, name.table);
    Error::operator("TW-MY-055", message)
        .remedy("SET GLOBAL binlog_row_metadata=FULL, then copy everything afresh")
}

/// What the catalogue says of a column, where that is still what the log has.
fn agreeing<'f>(column: &Described, facts: Option<&'f Facts>) -> Option<&'f ColumnFacts> {
    let name = column.name.as_ref()?;
    let facts = facts?.columns.iter().find(|facts| facts.name.eq_ignore_ascii_case(name))?;
    let now = facts.described()?;
    (spelled(&now, Hint::None) == spelled(column, Hint::None) || is_vector(column, &now)).then_some(facts)
}

/// Whether the log has bytes where MariaDB's catalogue has a VECTOR of as many.
pub(crate) fn is_vector(column: &Described, now: &Described) -> bool {
    let Stored::Varchar { bytes_max } = column.stored else { return false };
    let bytes = now.dimensions.and_then(|dimensions| dimensions.checked_mul(4));
    column.collation == Some(collations::BINARY) && bytes == Some(bytes_max.into())
}

/// The type in the server's words, as far as the log tells them.
#[must_use]
pub fn spelled(column: &Described, hint: Hint) -> String {
    match hint {
        Hint::Uuid => return "uuid".to_owned(),
        Hint::Inet4 => return "inet4".to_owned(),
        Hint::Inet6 => return "inet6".to_owned(),
        Hint::Json => return "json".to_owned(),
        Hint::Vector => {
            if let Stored::Varchar { bytes_max } = column.stored {
                return format!("vector({})", bytes_max / 4);
            }
        }
        Hint::Fraction | Hint::None => {}
    }
    let number = |name: &str| {
        if column.unsigned == Some(true) { format!("{name} unsigned") } else { name.to_owned() }
    };
    let fraction =
        |name: &str, digits: u8| if digits == 0 { name.to_owned() } else { format!("{name}({digits})") };
    let is_bytes = column.collation == Some(collations::BINARY);
    let sized = |text: &str, bytes: &str, bytes_max: u16| {
        if is_bytes {
            return format!("{bytes}({bytes_max})");
        }
        let per_character = column.collation.map_or(1, collations::bytes_per_character);
        format!("{text}({})", bytes_max / per_character)
    };
    match column.stored {
        Stored::Tiny => number("tinyint"),
        Stored::Short => number("smallint"),
        Stored::Int24 => number("mediumint"),
        Stored::Long => number("int"),
        Stored::LongLong => number("bigint"),
        Stored::Float => number("float"),
        Stored::Double => number("double"),
        Stored::NewDecimal { precision, scale } => number(&format!("decimal({precision},{scale})")),
        Stored::Year => "year".to_owned(),
        Stored::Date => "date".to_owned(),
        Stored::OldTime => "time".to_owned(),
        Stored::OldDatetime => "datetime".to_owned(),
        Stored::OldTimestamp => "timestamp".to_owned(),
        Stored::Time { digits } => fraction("time", digits),
        Stored::Datetime { digits } => fraction("datetime", digits),
        Stored::Timestamp { digits } => fraction("timestamp", digits),
        Stored::Varchar { bytes_max } => sized("varchar", "varbinary", bytes_max),
        // One byte says how it is packed.
        Stored::CompressedVarchar { bytes_max } => sized("varchar", "varbinary", bytes_max.saturating_sub(1)),
        Stored::Char { bytes_max } => sized("char", "binary", bytes_max),
        Stored::Enum { .. } => labelled("enum", &column.labels),
        Stored::Set { .. } => labelled("set", &column.labels),
        Stored::Bit { bits } => format!("bit({bits})"),
        Stored::Blob { length_bytes } | Stored::CompressedBlob { length_bytes } => {
            let size = match length_bytes {
                1 => "tiny",
                2 => "",
                3 => "medium",
                _ => "long",
            };
            format!("{size}{}", if is_bytes { "blob" } else { "text" })
        }
        Stored::Json { .. } => "json".to_owned(),
        Stored::Geometry { .. } => catalogue::geometry(column.geometry).to_owned(),
        Stored::Vector { .. } => format!("vector({})", column.dimensions.unwrap_or_default()),
    }
}

fn labelled(name: &str, labels: &[String]) -> String {
    let quoted: Vec<String> = labels.iter().map(|label| format!("'{}'", label.replace('\'', "''"))).collect();
    format!("{name}({})", quoted.join(","))
}

#[cfg(test)]
pub(crate) mod tests;
