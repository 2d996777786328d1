//! What the catalogue says of a table, and its types in the terms of the log.

use serde::{Deserialize, Serialize};

use super::Hint;
use crate::binlog::columns::{Described, Stored};

/// A table, as `information_schema` has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// In order of `ORDINAL_POSITION`.
    pub columns: Vec<ColumnFacts>,
    /// The columns of the first unique index by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<String>,
    /// Its engine rolls back: not MyISAM, Aria, MEMORY, CSV, ARCHIVE, MERGE.
    pub transactional: bool,
    /// MariaDB: `WITH SYSTEM VERSIONING`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub versioned: bool,
    /// Of columns that do not say another.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub charset: String,
}

/// A column, as `information_schema.COLUMNS` has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnFacts {
    /// `COLUMN_NAME`
    pub name: String,
    /// `COLUMN_TYPE`: `int(10) unsigned`, `enum('a','b')`
    pub column_type: String,
    /// `IS_NULLABLE`
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nullable: bool,
    /// `COLUMN_DEFAULT` as SQL, with text in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// `EXTRA` says `DEFAULT_GENERATED`: what is told is an expression.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub computed_default: bool,
    /// `ID` of `COLLATION_NAME` in `information_schema.COLLATIONS`; `None` for what has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<u16>,
    /// `CHARACTER_SET_NAME`; empty for what has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub charset: String,
    /// `CHARACTER_OCTET_LENGTH`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub octets: Option<u64>,
    /// Its place in the primary key, or in the unique index that the server takes for one, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u16>,
    /// `EXTRA` says `AUTO_INCREMENT`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub numbered: bool,
    /// `EXTRA` does not say `INVISIBLE`.
    pub visible: bool,
    /// MariaDB: LONGTEXT with a check that it is JSON.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json: bool,
}

impl ColumnFacts {
    /// What the log does not say of it.
    #[must_use]
    pub fn hint(&self) -> Hint {
        match self.column_type.as_str() {
            "uuid" => Hint::Uuid,
            "inet4" => Hint::Inet4,
            "inet6" => Hint::Inet6,
            _ if self.json => Hint::Json,
            vector if vector.starts_with("vector(") => Hint::Vector,
            _ => Hint::None,
        }
    }

    /// What the log would say of it; `None` for a type not known here.
    #[must_use]
    pub fn described(&self) -> Option<Described> {
        let spelled = self.column_type.as_str();
        let (word, rest) = spelled.split_at(spelled.find(['(', ' ']).unwrap_or(spelled.len()));
        let labels = if matches!(word, "enum" | "set") { labels(rest) } else { Vec::new() };
        let stored = self.stored(word, rest, labels.len())?;
        let is_number = matches!(
            stored,
            Stored::Tiny
                | Stored::Short
                | Stored::Int24
                | Stored::Long
                | Stored::LongLong
                | Stored::Float
                | Stored::Double
                | Stored::NewDecimal { .. }
        );
        let is_string = matches!(
            stored,
            Stored::Char { .. }
                | Stored::Varchar { .. }
                | Stored::Blob { .. }
                | Stored::Enum { .. }
                | Stored::Set { .. }
        );
        Some(Described {
            stored,
            nullable: self.nullable,
            name: Some(self.name.clone()),
            unsigned: is_number.then(|| rest.contains("unsigned") || rest.contains("zerofill")),
            collation: is_string.then(|| self.collation.unwrap_or(super::collations::BINARY)),
            labels,
            key: self.key,
            visible: self.visible,
            geometry: GEOMETRIES
                .iter()
                .position(|name| *name == word)
                .and_then(|kind| u8::try_from(kind).ok()),
            dimensions: matches!(stored, Stored::Vector { .. }).then(|| first_number(rest)).flatten(),
        })
    }

    fn stored(&self, word: &str, rest: &str, labels: usize) -> Option<Stored> {
        let small = |or: u8| first_number(rest).map_or(Some(or), |number| u8::try_from(number).ok());
        let bytes_max = || u16::try_from(self.octets.or(first_number(rest).map(u64::from))?).ok();
        Some(match word {
            "tinyint" => Stored::Tiny,
            "smallint" => Stored::Short,
            "mediumint" => Stored::Int24,
            "int" => Stored::Long,
            "bigint" => Stored::LongLong,
            "float" => Stored::Float,
            "double" => Stored::Double,
            "decimal" => {
                let scale = rest.split_once(',').and_then(|(_, scale)| scale.split_once(')'));
                let scale = scale.map_or(Some(0), |(scale, _)| scale.trim().parse().ok())?;
                Stored::NewDecimal { precision: small(10)?, scale }
            }
            "year" => Stored::Year,
            "date" => Stored::Date,
            "time" => Stored::Time { digits: small(0)? },
            "datetime" => Stored::Datetime { digits: small(0)? },
            "timestamp" => Stored::Timestamp { digits: small(0)? },
            "varchar" | "varbinary" => Stored::Varchar { bytes_max: bytes_max()? },
            "char" | "binary" => Stored::Char { bytes_max: bytes_max()? },
            "uuid" | "inet6" => Stored::Char { bytes_max: 16 },
            "inet4" => Stored::Char { bytes_max: 4 },
            "enum" => Stored::Enum { bytes: if labels > 255 { 2 } else { 1 } },
            "set" => Stored::Set { bytes: set_bytes(labels) },
            "bit" => Stored::Bit { bits: small(1)? },
            "tinyblob" | "tinytext" => Stored::Blob { length_bytes: 1 },
            "blob" | "text" => Stored::Blob { length_bytes: 2 },
            "mediumblob" | "mediumtext" => Stored::Blob { length_bytes: 3 },
            "longblob" | "longtext" => Stored::Blob { length_bytes: 4 },
            "json" => Stored::Json { length_bytes: 4 },
            "vector" => Stored::Vector { length_bytes: 4 },
            word if GEOMETRIES.contains(&word) => Stored::Geometry { length_bytes: 4 },
            _ => return None,
        })
    }
}

/// By their numbers in the log; the last is another name of the one before.
const GEOMETRIES: [&str; 9] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
];

/// The name of a kind of geometry; the general one where the log does not tell.
pub(super) fn geometry(kind: Option<u8>) -> &'static str {
    GEOMETRIES
        .get(usize::from(kind.unwrap_or(0)))
        .map_or("geometry", |name| if *name == "geomcollection" { "geometrycollection" } else { name })
}

fn set_bytes(labels: usize) -> u8 {
    match labels.div_ceil(8) {
        0 | 1 => 1,
        2 => 2,
        3 => 3,
        4 => 4,
        _ => 8,
    }
}

/// `20` of `(20) unsigned`
fn first_number(rest: &str) -> Option<u32> {
    let inside = rest.strip_prefix('(')?;
    let end = inside.find(|digit: char| !digit.is_ascii_digit())?;
    inside.get(..end)?.parse().ok()
}

/// `'a','it''s'` in parentheses.
fn labels(rest: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut characters = rest.chars().peekable();
    let mut label: Option<String> = None;
    while let Some(character) = characters.next() {
        match (&mut label, character) {
            (None, '\'') => label = Some(String::new()),
            (None, _) => {}
            (Some(text), '\'') if characters.next_if_eq(&'\'').is_some() => text.push('\''),
            (Some(_), '\'') => labels.extend(label.take()),
            (Some(text), '\\') => text.extend(characters.next()),
            (Some(text), character) => text.push(character),
        }
    }
    labels
}
