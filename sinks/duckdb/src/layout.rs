//! How values lie in `DuckDB`'s memory, and its name for each of our column types. Used by [`chunk`](crate::chunk) and
//! [`rows`](crate::rows) alone.

use libduckdb_sys as ffi;

use crate::values::ColumnType;

/// A value that lies in a vector as it is in memory.
///
/// # Safety
/// Implementors have no padding that would be read, and every bit pattern of theirs is valid.
pub unsafe trait Plain: Copy {}
// SAFETY: integers and floats are what the trait asks for.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for i16 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for i128 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for f64 {}
// SAFETY: three integers without padding, laid out as in C.
unsafe impl Plain for Interval {}

/// An interval as it lies in a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// How the values of a type lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// That many bytes each.
    Fixed(usize),
    /// `duckdb_string_t`, UTF-8.
    Text,
    /// `duckdb_string_t`, any bytes.
    Bytes,
    /// Spans of a child vector.
    List,
}

impl Layout {
    pub(crate) fn of(column: &ColumnType) -> Self {
        match column {
            ColumnType::Boolean => Self::Fixed(1),
            ColumnType::SmallInt => Self::Fixed(2),
            ColumnType::Integer | ColumnType::UInteger | ColumnType::Float | ColumnType::Date => {
                Self::Fixed(4)
            }
            ColumnType::BigInt | ColumnType::UBigInt | ColumnType::Double => Self::Fixed(8),
            ColumnType::Time | ColumnType::TimeTz | ColumnType::Timestamp | ColumnType::TimestampTz => {
                Self::Fixed(8)
            }
            ColumnType::Interval | ColumnType::Uuid | ColumnType::HugeInt => Self::Fixed(16),
            ColumnType::Decimal { width, .. } => Self::Fixed(decimal_bytes(*width)),
            ColumnType::Varchar | ColumnType::Json => Self::Text,
            ColumnType::Blob => Self::Bytes,
            ColumnType::List(_) => Self::List,
        }
    }
}

/// Bytes of a `DECIMAL` of that many digits.
fn decimal_bytes(width: u8) -> usize {
    match width {
        0..=4 => 2,
        5..=9 => 4,
        10..=18 => 8,
        _ => 16,
    }
}

/// A logical type of the library.
pub(crate) struct LogicalType(pub(crate) ffi::duckdb_logical_type);

impl LogicalType {
    pub(crate) fn new(column: &ColumnType) -> Self {
        let id = match column {
            ColumnType::Boolean => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
            ColumnType::SmallInt => ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT,
            ColumnType::Integer => ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER,
            ColumnType::BigInt => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
            ColumnType::UInteger => ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER,
            ColumnType::UBigInt => ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT,
            ColumnType::HugeInt => ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT,
            ColumnType::Float => ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT,
            ColumnType::Double => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
            ColumnType::Varchar | ColumnType::Json => ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
            ColumnType::Blob => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB,
            ColumnType::Date => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE,
            ColumnType::Time => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME,
            ColumnType::TimeTz => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME_TZ,
            ColumnType::Timestamp => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
            ColumnType::TimestampTz => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ,
            ColumnType::Interval => ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL,
            ColumnType::Uuid => ffi::DUCKDB_TYPE_DUCKDB_TYPE_UUID,
            ColumnType::Decimal { width, scale } => {
                // SAFETY: makes a new type from numbers.
                return Self(unsafe { ffi::duckdb_create_decimal_type(*width, *scale) });
            }
            ColumnType::List(element) => {
                let element = Self::new(element);
                // SAFETY: the element's type is live; DuckDB copies it.
                return Self(unsafe { ffi::duckdb_create_list_type(element.0) });
            }
        };
        // SAFETY: makes a new type from a constant.
        let logical = Self(unsafe { ffi::duckdb_create_logical_type(id) });
        if *column == ColumnType::Json {
            // SAFETY: the type is live and the name ends with NUL. JSON is VARCHAR under this name.
            unsafe { ffi::duckdb_logical_type_set_alias(logical.0, c"JSON".as_ptr()) };
        }
        logical
    }

    /// The column type that this is; `None` for those we neither write nor render.
    pub(crate) fn column_type(&self) -> Option<ColumnType> {
        // SAFETY: the type is live, here and below.
        let column = match unsafe { ffi::duckdb_get_type_id(self.0) } {
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => ColumnType::Boolean,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => ColumnType::SmallInt,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => ColumnType::Integer,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => ColumnType::BigInt,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER => ColumnType::UInteger,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT => ColumnType::UBigInt,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT => ColumnType::HugeInt,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => ColumnType::Float,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => ColumnType::Double,
            // JSON too: both are rendered as the text they are.
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => ColumnType::Varchar,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => ColumnType::Blob,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE => ColumnType::Date,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME => ColumnType::Time,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME_TZ => ColumnType::TimeTz,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => ColumnType::Timestamp,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => ColumnType::TimestampTz,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL => ColumnType::Interval,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_UUID => ColumnType::Uuid,
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => ColumnType::Decimal {
                // SAFETY: the type is a live decimal.
                width: unsafe { ffi::duckdb_decimal_width(self.0) },
                // SAFETY: the same.
                scale: unsafe { ffi::duckdb_decimal_scale(self.0) },
            },
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_LIST => {
                // SAFETY: the type is a live list; the element's type is ours to destroy.
                let element = Self(unsafe { ffi::duckdb_list_type_child_type(self.0) });
                ColumnType::List(Box::new(element.column_type()?))
            }
            _ => return None,
        };
        Some(column)
    }
}

impl Drop for LogicalType {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once; null is permitted.
        unsafe { ffi::duckdb_destroy_logical_type(&raw mut self.0) }
    }
}
