//! What the `ALTER`s of a table since its last shape mean for the older values of its columns. Pure; `assemble` keeps one
//! per table that was altered.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a type without a rule of its own has no value that can be told"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tailwater_core::{Column, Fill, Table, Type};

use crate::binlog::columns::{Described, Stored};
use crate::binlog::temporal;
use crate::ddl::{Alter, Change, Given};
use crate::shapes::column_id;

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Origin {
    /// It was added, at that second.
    Added(Given, u32),
    /// It was this column in the last shape.
    Was(String),
}

/// See the module's description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Columns that are not what they were, by name in lower case.
    origins: BTreeMap<String, Origin>,
    /// Names of the last shape whose columns went or have another name now.
    freed: BTreeSet<String>,
    /// A clause was not understood.
    doubtful: bool,
}

impl Pending {
    /// Another `ALTER` ran, at that second.
    pub(crate) fn add(&mut self, alter: &Alter, time: u32) {
        self.doubtful |= !alter.understood;
        // The clauses of one ALTER all speak of the columns as they were before it.
        let before = self.clone();
        let origin =
            |name: &String| before.origins.get(name).cloned().unwrap_or_else(|| Origin::Was(name.clone()));
        for change in &alter.changes {
            match change {
                Change::Add(..) => {}
                Change::Drop(name) | Change::Rename(name, _) => self.free(&before, &name.to_lowercase()),
            }
        }
        for change in &alter.changes {
            match change {
                Change::Add(name, given) => {
                    self.origins.insert(name.to_lowercase(), Origin::Added(given.clone(), time));
                }
                Change::Rename(from, to) => {
                    self.origins.insert(to.to_lowercase(), origin(&from.to_lowercase()));
                }
                Change::Drop(_) => {}
            }
        }
    }

    fn free(&mut self, before: &Self, name: &String) {
        if !before.origins.contains_key(name) {
            self.freed.insert(name.clone());
        }
        self.origins.remove(name);
    }

    /// It was altered in ways that nobody saw.
    pub(crate) fn unseen() -> Self {
        Self { doubtful: true, ..Self::default() }
    }

    /// They were made in an empty copy, into which the rows came later: none has the moment of the statement.
    pub(crate) fn of_copy(mut self) -> Self {
        for origin in self.origins.values_mut() {
            if let Origin::Added(given @ Given::Now, _) = origin {
                *given = Given::Unknown("each row has the time at which it was copied".into());
            }
        }
        self
    }

    /// Whether every clause was understood.
    pub(crate) fn is_certain(&self) -> bool {
        !self.doubtful
    }

    /// Whether a given name is not one that a column had already: the log is behind where it is.
    pub(crate) fn is_new(&self, name: &str, columns: &[(String, String)]) -> bool {
        self.freed.contains(name) || !columns.iter().any(|(before, _)| before == name)
    }

    /// Names that an `ALTER` gave to a column, in lower case.
    pub(crate) fn given_names(&self) -> impl Iterator<Item = &String> {
        self.origins.keys()
    }

    /// Names that no column should have any more, unless given anew.
    pub(crate) fn freed_names(&self) -> impl Iterator<Item = &String> {
        self.freed.iter().filter(|name| !self.origins.contains_key(*name))
    }

    /// Says of each column of a new shape what older rows hold in it. Returns a shape that must come before, where a
    /// column has the name, and so the id, that another one had in the last shape.
    pub(crate) fn fill(&self, table: &mut Table, described: &[Described]) -> Option<Table> {
        for (column, described) in table.columns.iter_mut().zip(described) {
            column.fill = match self.origins.get(&column.name.to_lowercase()) {
                Some(Origin::Was(name)) => Fill::Renamed(column_id(name)),
                Some(Origin::Added(given, time)) => fill(column, described, given, *time),
                None if self.doubtful => {
                    Fill::Unknown("an ALTER TABLE before it has a clause that is not known here".to_owned())
                }
                None => continue,
            };
        }
        let exchanged = |column: &Column| {
            let name = column.name.to_lowercase();
            self.freed.contains(&name) && self.origins.contains_key(&name)
        };
        if !table.columns.iter().any(exchanged) {
            return None;
        }
        let mut before = table.clone();
        for (column, between) in table.columns.iter_mut().zip(&mut before.columns) {
            if exchanged(column) {
                between.name = format!("{}_tailwater_new", column.name);
                between.id = column_id(&between.name);
                column.fill = Fill::Renamed(between.id);
            }
        }
        Some(before)
    }
}

fn fill(column: &Column, described: &Described, given: &Given, time: u32) -> Fill {
    let unknown = |why: &str| Fill::Unknown(why.to_owned());
    let constant = |text: Option<String>| match text {
        Some(text) => Fill::Constant(text),
        None => unknown("its default cannot be told from the statement that added it"),
    };
    match given {
        Given::Unknown(why) => unknown(why),
        Given::Nothing if described.nullable => Fill::Null,
        Given::Null => Fill::Null,
        Given::Nothing => constant(implicit(column, described)),
        Given::Now => constant(now(described, time)),
        Given::Number(text) | Given::Text(text) => {
            let is_number = matches!(given, Given::Number(_));
            constant(literal(column, described, text, is_number))
        }
        Given::Hex(digits) => constant(bytes(column, described, digits)),
        Given::Bits(digits) => match described.stored {
            Stored::Bit { bits } if digits.len() <= usize::from(bits) => {
                Fill::Constant(format!("{digits:0>width$}", width = usize::from(bits)))
            }
            _ => unknown("its default is given in bits"),
        },
    }
}

/// The value that a type gives where NULL is not allowed and no default is given.
fn implicit(column: &Column, described: &Described) -> Option<String> {
    match described.stored {
        Stored::Enum { .. } => described.labels.first().cloned(),
        Stored::Set { .. } => Some(String::new()),
        Stored::Date => Some("0000-00-00".to_owned()),
        Stored::Datetime { digits } => Some(format!("0000-00-00 00:00:00{}", zeros(digits))),
        Stored::Time { digits } => Some(format!("00:00:00{}", zeros(digits))),
        // The first TIMESTAMP of a table has a default of its own under some settings.
        Stored::Timestamp { .. } => None,
        Stored::Bit { bits } => Some("0".repeat(bits.into())),
        Stored::Json { .. } | Stored::Geometry { .. } | Stored::Vector { .. } => None,
        _ => match &column.kind {
            Type::Text => Some(String::new()),
            Type::Bytes => bytes(column, described, ""),
            Type::Int2 | Type::Int4 | Type::Int8 | Type::UInt4 | Type::UInt8 => Some("0".to_owned()),
            Type::Float4 | Type::Float8 => Some("0".to_owned()),
            Type::Numeric { .. } => literal(column, described, "0", true),
            _ => None,
        },
    }
}

fn zeros(digits: u8) -> String {
    if digits == 0 { String::new() } else { format!(".{}", "0".repeat(digits.into())) }
}

/// A plain literal in the form of the type; `None` where the server might make something else of it.
fn literal(column: &Column, described: &Described, text: &str, is_number: bool) -> Option<String> {
    match &column.kind {
        // Some numbers stand for others: 99 for 1999.
        Type::Int2 if described.stored == Stored::Year => {
            text.parse().ok().filter(|year| (1901..=2155).contains(year)).map(|year: u16| year.to_string())
        }
        Type::Int2 | Type::Int4 | Type::Int8 | Type::UInt4 | Type::UInt8 => {
            text.parse::<i128>().ok().map(|number| number.to_string())
        }
        Type::Numeric { limits } => decimal(text, usize::try_from((*limits)?.1).ok()?),
        Type::Float4 | Type::Float8 => {
            let whole = text.parse::<i32>().ok()?;
            // Beyond it, digits might be rounded, or an exponent be printed.
            (whole.abs() < 1_000_000).then(|| whole.to_string())
        }
        Type::Text => match described.stored {
            Stored::Enum { .. } if is_number => None,
            Stored::Enum { .. } => described.labels.iter().find(|label| *label == text).cloned(),
            Stored::Set { .. } if is_number => None,
            Stored::Set { .. } => (text.is_empty() || described.labels.iter().any(|label| label == text))
                .then(|| text.to_owned()),
            Stored::Char { .. } => Some(text.trim_end_matches(' ').to_owned()),
            _ => Some(text.to_owned()),
        },
        Type::Bytes if !is_number && text.is_ascii() => bytes(column, described, &hex(text)),
        Type::Date => like(text, "0000-00-00").then(|| text.to_owned()),
        Type::Timestamp => match described.stored {
            Stored::Datetime { digits } => {
                like(text, "0000-00-00 00:00:00").then(|| text.to_owned() + &zeros(digits))
            }
            _ => None,
        },
        Type::Time => match described.stored {
            Stored::Time { digits } => like(text, "00:00:00").then(|| text.to_owned() + &zeros(digits)),
            _ => None,
        },
        _ => None,
    }
}

/// Digits where the pattern has them, and its marks.
fn like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, pattern)| match pattern {
            b'0' => byte.is_ascii_digit(),
            mark => byte == mark,
        })
}

/// With exactly so many decimals; `None` where it has more.
fn decimal(text: &str, scale: usize) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if !plain(whole)
        || !plain(fraction)
        || fraction.len() > scale
        || (whole.is_empty() && fraction.is_empty())
    {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let is_zero = whole == "0" && fraction.bytes().all(|digit| digit == b'0');
    let sign = if is_zero { "" } else { sign };
    if scale == 0 {
        Some(format!("{sign}{whole}"))
    } else {
        Some(format!("{sign}{whole}.{fraction:0<scale$}"))
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits as bytes; BINARY is filled up with zeros.
fn bytes(column: &Column, described: &Described, digits: &str) -> Option<String> {
    if column.kind != Type::Bytes || digits.len() % 2 == 1 {
        return None;
    }
    let digits = match described.stored {
        Stored::Char { bytes_max } => format!("{digits:0<width$}", width = usize::from(bytes_max) * 2),
        _ => digits.to_owned(),
    };
    Some(format!("\\x{digits}"))
}

/// The second of the statement: exact where the column holds whole seconds in UTC.
fn now(described: &Described, time: u32) -> Option<String> {
    if described.stored != (Stored::Timestamp { digits: 0 }) || time == 0 {
        return None;
    }
    let mut text = Vec::new();
    temporal::write_timestamp(time, &[], 0, &mut text).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddl::{Reading, Statement};
    use crate::shapes::{self, ColumnFacts};

    /// What older rows hold in a column of that type that this definition added.
    fn older(definition: &str, column_type: &str, kind: &Type) -> String {
        let statement = Statement::read(&format!("ALTER TABLE t ADD x {definition}"), Reading::default());
        let Statement::Alter(alter) = statement else { panic!("{statement:?}") };
        let mut pending = Pending::default();
        pending.add(&alter, 951_782_400);
        let facts = ColumnFacts {
            name: "X".to_owned(),
            column_type: column_type.to_owned(),
            nullable: !definition.contains("NOT NULL"),
            collation: Some(8),
            octets: Some(4),
            ..ColumnFacts::default()
        };
        let mut described = facts.described().unwrap();
        if *kind == Type::Bytes {
            described.collation = Some(63);
        }
        let columns = [described];
        let name = crate::ddl::Name { schema: "s".to_owned(), table: "t".to_owned() };
        let mut table = shapes::table(&name, &columns, std::iter::once(kind), None).unwrap();
        assert_eq!(pending.fill(&mut table, &columns), None);
        match table.columns.remove(0).fill {
            Fill::Constant(text) => text,
            Fill::Unknown(_) => "?".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn defaults_take_the_form_of_their_type() {
        let money = Type::Numeric { limits: Some((10, 2)) };
        for (definition, column_type, kind, expected) in [
            ("INT", "int", Type::Int4, "Null"),
            ("INT DEFAULT NULL", "int", Type::Int4, "Null"),
            ("INT NOT NULL", "int", Type::Int4, "0"),
            ("INT DEFAULT '007'", "int", Type::Int4, "7"),
            ("INT DEFAULT 1.5", "int", Type::Int4, "?"),
            ("INT DEFAULT TRUE", "int", Type::Int4, "1"),
            ("DECIMAL(10,2) DEFAULT -1.5", "decimal(10,2)", money.clone(), "-1.50"),
            ("DECIMAL(10,2) DEFAULT 1.555", "decimal(10,2)", money.clone(), "?"),
            ("DECIMAL(10,2) NOT NULL", "decimal(10,2)", money, "0.00"),
            ("DOUBLE DEFAULT 5", "double", Type::Float8, "5"),
            ("DOUBLE DEFAULT 0.1", "double", Type::Float8, "?"),
            ("VARCHAR(4) NOT NULL", "varchar(4)", Type::Text, ""),
            ("VARCHAR(4) DEFAULT 5", "varchar(4)", Type::Text, "5"),
            ("CHAR(4) DEFAULT 'a '", "char(4)", Type::Text, "a"),
            ("ENUM('a','b') NOT NULL", "enum('a','b')", Type::Text, "a"),
            ("ENUM('a','b') DEFAULT 'b'", "enum('a','b')", Type::Text, "b"),
            ("ENUM('a','b') DEFAULT 2", "enum('a','b')", Type::Text, "?"),
            ("BINARY(4) NOT NULL", "binary(4)", Type::Bytes, "\\x00000000"),
            ("BINARY(4) DEFAULT X'0A0B'", "binary(4)", Type::Bytes, "\\x0a0b0000"),
            ("BIT(4) DEFAULT b'11'", "bit(4)", Type::Other, "0011"),
            ("DATE DEFAULT '2026-11-21'", "date", Type::Date, "2026-11-21"),
            ("DATE DEFAULT '2026-1-1'", "date", Type::Date, "?"),
            ("DATE NOT NULL", "date", Type::Date, "0000-00-00"),
            ("DATETIME(2) NOT NULL", "datetime(2)", Type::Timestamp, "0000-00-00 00:00:00.00"),
            ("DATETIME DEFAULT NOW()", "datetime", Type::Timestamp, "?"),
            ("TIMESTAMP DEFAULT NOW()", "timestamp", Type::TimestampTz, "2000-02-29 00:00:00+00"),
            ("TIMESTAMP NOT NULL", "timestamp", Type::TimestampTz, "?"),
            ("INT AS (1) STORED", "int", Type::Int4, "?"),
            ("INT NOT NULL AUTO_INCREMENT", "int", Type::Int4, "?"),
            ("JSON NOT NULL", "json", Type::Json, "?"),
        ] {
            assert_eq!(older(definition, column_type, &kind), expected, "{definition}");
        }
    }
}
