//! What a server says its tables hold, value by value in the form in which values travel through a pipeline. Which form
//! that is follows from the type in `information_schema`; the server makes the text, but for floats, which no server
//! prints in full.

use std::collections::BTreeMap;

use super::{Row, Server};

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Its columns, invisible and generated ones too, in order.
    pub columns: Vec<Column>,
    /// Its rows in the order of the primary key, each with a value for every column.
    pub rows: Vec<Row>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the server writes it, `decimal(10,2) unsigned`.
    pub source_type: String,
    /// Whether it is computed from others: `VIRTUAL GENERATED`, `STORED GENERATED`. Otherwise other remarks or nothing.
    pub extra: String,
    /// The SQL expression of its text.
    expression: String,
    form: Form,
}

impl Column {
    /// A value without the zeros that end a fraction of a second: a target that keeps moments as moments has none.
    #[must_use]
    pub fn without_zeros(&self, value: Option<String>) -> Option<String> {
        let is_moment = ["time", "datetime"].iter().any(|kind| self.source_type.starts_with(kind));
        value.map(|text| {
            let (moment, zone) =
                text.strip_suffix("+00").map_or((text.as_str(), ""), |moment| (moment, "+00"));
            match moment.split_once('.') {
                Some((_, digits)) if is_moment && !digits.is_empty() => {
                    let shorter = moment.trim_end_matches('0').trim_end_matches('.');
                    format!("{shorter}{zone}")
                }
                _ => text,
            }
        })
    }
}

/// What is still to be done to the text that the server makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Done,
    /// Hexadecimal digits of UTF-8, because the client prints some control characters as others.
    Text,
    /// A double's digits, of which 32 bits are meant.
    Float4,
    /// A double's digits.
    Float8,
    /// Hexadecimal digits of little-endian floats.
    Vector,
}

/// What a table holds.
///
/// # Panics
/// Where there is no such table.
#[must_use]
pub fn table(server: &Server, schema: &str, table: &str) -> Truth {
    all(server, schema).remove(table).unwrap_or_else(|| panic!("there is no table {schema}.{table}"))
}

/// What all tables of a schema hold, by name.
///
/// # Panics
/// Where they cannot be read.
#[must_use]
pub fn all(server: &Server, schema: &str) -> BTreeMap<String, Truth> {
    let is_schema = format!("CAST(c.TABLE_SCHEMA AS BINARY) = CAST({} AS BINARY)", literal(schema));
    let described = server.query(&format!(
        "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.EXTRA, c.DATA_TYPE, c.NUMERIC_PRECISION
         FROM information_schema.COLUMNS c JOIN information_schema.TABLES t
           ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND CAST(t.TABLE_NAME AS BINARY) = CAST(c.TABLE_NAME AS BINARY)
              AND t.TABLE_TYPE = 'BASE TABLE'
         WHERE {is_schema} ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION"
    ));
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for row in described {
        let text = |index: usize| row[index].clone().unwrap_or_default();
        tables.entry(text(0)).or_default().push(column(&text(1), &text(2), &text(3), &text(4), &text(5)));
    }
    let keys = keys(server, &is_schema);
    let mut sql = "SET time_zone = '+00:00', sql_mode = '';\n".to_owned();
    for (name, columns) in &tables {
        let expressions: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
        let key = keys.get(name).map_or_else(String::new, |key| format!(" ORDER BY {}", key.join(", ")));
        // A row that says nothing makes a result of an empty table too: the client prints none for no rows.
        sql += &format!("SELECT {} FROM {}.{}{key};\n", expressions.join(", "), quoted(schema), quoted(name));
        sql += "SELECT 'end of a table';\n";
    }
    let end = vec![vec![Some("end of a table".to_owned())]];
    let results = server.results(&sql);
    let mut results = results.into_iter();
    let read = tables.into_iter().map(|(name, columns)| {
        let mut rows = results.next().unwrap();
        if rows == end {
            rows.clear();
        } else {
            assert_eq!(results.next().as_ref(), Some(&end));
        }
        for row in &mut rows {
            for (value, column) in row.iter_mut().zip(&columns) {
                *value = value.take().map(|text| column.form.finish(text));
            }
        }
        (name, Truth { columns, rows })
    });
    read.collect()
}

/// The quoted columns of the primary keys, by table.
fn keys(server: &Server, is_schema: &str) -> BTreeMap<String, Vec<String>> {
    let rows = server.query(&format!(
        "SELECT c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.STATISTICS c
         WHERE {is_schema} AND c.INDEX_NAME = 'PRIMARY' ORDER BY c.TABLE_NAME, c.SEQ_IN_INDEX"
    ));
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let [Some(table), Some(column)] = row.as_slice() else { panic!("{row:?}") };
        keys.entry(table.clone()).or_default().push(quoted(column));
    }
    keys
}

fn column(name: &str, source_type: &str, extra: &str, data_type: &str, precision: &str) -> Column {
    let q = quoted(name);
    let (expression, form) = match data_type {
        // Without the zeros of ZEROFILL, which the log does not know; and with 0 for the year 0000.
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => {
            (format!("CAST({q} + 0 AS CHAR)"), Form::Done)
        }
        "decimal" if source_type.contains("zerofill") => (format!("CAST({q} + 0 AS CHAR)"), Form::Done),
        // Times one, which keeps the sign of zero, is a double; and no number of decimals holds for it.
        "float" => (format!("{q} * 1e0"), Form::Float4),
        "double" => (format!("{q} * 1e0"), Form::Float8),
        "timestamp" => (format!("CONCAT(CAST({q} AS CHAR), '+00')"), Form::Done),
        "bit" => (format!("LPAD(BIN({q} + 0), {precision}, '0')"), Form::Done),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            (format!("HEX(CONVERT({q} USING utf8mb4))"), Form::Text)
        }
        "decimal" | "date" | "time" | "datetime" | "json" | "uuid" | "inet4" | "inet6" => {
            (format!("CAST({q} AS CHAR)"), Form::Done)
        }
        "vector" => (format!("HEX({q})"), Form::Vector),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" | "point"
        | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => {
            (format!("CONCAT('\\\\x', LOWER(HEX({q})))"), Form::Done)
        }
        other => panic!("nobody has said how {other} travels ({name} {source_type})"),
    };
    let (name, source_type, extra) = (name.to_owned(), source_type.to_owned(), extra.to_owned());
    Column { name, source_type, extra, expression, form }
}

impl Form {
    fn finish(self, text: String) -> String {
        match self {
            Self::Done => text,
            Self::Text => String::from_utf8(bytes(&text)).unwrap(),
            Self::Float8 => float8(text.parse().unwrap()),
            Self::Float4 => {
                let double: f64 = text.parse().unwrap();
                #[allow(clippy::cast_possible_truncation, reason = "the server widened 32 bits")]
                let single = double as f32;
                assert!(f64::from(single).to_bits() == double.to_bits(), "{text} is not of 32 bits");
                float4(single)
            }
            Self::Vector => {
                let bytes = bytes(&text);
                let numbers =
                    bytes.chunks(4).map(|four| float4(f32::from_le_bytes(four.try_into().unwrap())));
                format!("{{{}}}", numbers.collect::<Vec<_>>().join(","))
            }
        }
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    let pair = |index| u8::from_str_radix(&digits[index..index + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// As Postgres spells a `real`.
fn float4(number: f32) -> String {
    spelled(&format!("{number:e}"), number == 0.0, 6)
}

/// As Postgres spells a `double precision`.
fn float8(number: f64) -> String {
    spelled(&format!("{number:e}"), number == 0.0, 15)
}

/// Rust has the shortest digits that read back the same; how they are laid out is Postgres's way: plainly from 0.0001
/// up to so many digits before the point, else with an exponent of at least two digits.
fn spelled(scientific: &str, zero: bool, digits: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if zero || (-4..digits).contains(&exponent) {
        let number: f64 = scientific.parse().unwrap();
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A name in SQL.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in SQL.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
