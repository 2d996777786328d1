//! Which `DuckDB` column holds values of which source type. Pure; the sink makes its `CREATE TABLE` from it, and
//! [`Chunk`](crate::chunk::Chunk) its vectors.

use std::fmt;

use tailwater_core::Type;

/// The type of a `DuckDB` column that we write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are named as in SQL")]
pub enum ColumnType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    UInteger,
    /// Only in answers to queries, like the next.
    UBigInt,
    HugeInt,
    Float,
    Double,
    /// Digits in all, and after the point: `scale <= width <= 38`.
    Decimal {
        width: u8,
        scale: u8,
    },
    Varchar,
    Blob,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Json,
    List(Box<Self>),
}

/// Digits that a `DECIMAL` can hold.
const DECIMAL_WIDTH_MAX: u16 = 38;

impl ColumnType {
    /// The column for values of `kind`. Values that do not fit it widen it to [`ColumnType::Varchar`].
    #[must_use]
    pub fn of(kind: &Type) -> Self {
        match kind {
            Type::Bool => Self::Boolean,
            Type::Int2 => Self::SmallInt,
            Type::Int4 => Self::Integer,
            Type::Int8 => Self::BigInt,
            Type::UInt4 => Self::UInteger,
            Type::UInt8 => Self::UBigInt,
            Type::Float4 => Self::Float,
            Type::Float8 => Self::Double,
            Type::Numeric { limits } => decimal(*limits).unwrap_or(Self::Varchar),
            Type::Text | Type::Other => Self::Varchar,
            Type::Bytes => Self::Blob,
            Type::Date => Self::Date,
            Type::Time => Self::Time,
            Type::TimeTz => Self::TimeTz,
            Type::Timestamp => Self::Timestamp,
            Type::TimestampTz => Self::TimestampTz,
            Type::Interval => Self::Interval,
            Type::Uuid => Self::Uuid,
            Type::Json => Self::Json,
            // An array of arrays is one type to Postgres; the element type is never an array itself.
            Type::Array(element) if matches!(**element, Type::Array(_)) => Self::Varchar,
            Type::Array(element) => Self::List(Box::new(Self::of(element))),
        }
    }
}

/// `None` where the declared numbers are none that a `DECIMAL` knows.
fn decimal(limits: Option<(u16, i16)>) -> Option<ColumnType> {
    let (width, scale) = limits?;
    let scale = u16::try_from(scale).ok()?;
    if width > DECIMAL_WIDTH_MAX || scale > width {
        return None;
    }
    Some(ColumnType::Decimal { width: u8::try_from(width).ok()?, scale: u8::try_from(scale).ok()? })
}

impl fmt::Display for ColumnType {
    /// The type's name in SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "BOOLEAN",
            Self::SmallInt => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::UInteger => "UINTEGER",
            Self::UBigInt => "UBIGINT",
            Self::HugeInt => "HUGEINT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Decimal { width, scale } => return write!(f, "DECIMAL({width},{scale})"),
            Self::Varchar => "VARCHAR",
            Self::Blob => "BLOB",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::TimeTz => "TIMETZ",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampTz => "TIMESTAMPTZ",
            Self::Interval => "INTERVAL",
            Self::Uuid => "UUID",
            Self::Json => "JSON",
            Self::List(element) => return write!(f, "{element}[]"),
        })
    }
}
