//! What a TABLE_MAP event says of a table's columns, owned: made once per shape and kept as long as it holds.

/// A column, as the log describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// How its values stand in the log.
    pub stored: Stored,
    /// NULL is allowed.
    pub nullable: bool,
    /// What `binlog_row_metadata=FULL` adds; `None` without it.
    pub name: Option<String>,
    /// An integer, decimal or float without a sign. `None`: the log does not say (MariaDB with NO_LOG, MySQL before 8.0).
    pub unsigned: Option<bool>,
    /// The collation of its text, which names the character set (63: bytes). `None`: the log does not say.
    pub collation: Option<u16>,
    /// The labels of an ENUM or SET, in order, as UTF-8.
    pub labels: Vec<String>,
    /// Its place in the primary key, from 0.
    pub key: Option<u16>,
    /// Whether `SELECT *` shows it.
    pub visible: bool,
    /// Of a geometry: which kind (0 any, 1 point, 2 linestring, 3 polygon, 4 multipoint, 5 multilinestring,
    /// 6 multipolygon, 7 collection).
    pub geometry: Option<u8>,
    /// Of a VECTOR: its dimensions.
    pub dimensions: Option<u32>,
}

/// How the values of a column stand in a row image. Numbers are those of the log's column metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// One byte.
    Tiny,
    /// Two bytes.
    Short,
    /// Three bytes.
    Int24,
    /// Four bytes.
    Long,
    /// Eight bytes.
    LongLong,
    /// Four bytes, IEEE 754.
    Float,
    /// Eight bytes, IEEE 754.
    Double,
    /// Packed decimal.
    NewDecimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// One byte, from 1900; 0 is 0000.
    Year,
    /// Three bytes.
    Date,
    /// Three bytes: before MySQL 5.6, or MariaDB with `mysql56_temporal_format=OFF`.
    OldTime,
    /// Eight bytes; likewise.
    OldDatetime,
    /// Four bytes; likewise.
    OldTimestamp,
    /// Big-endian, with `digits` of a second's fraction.
    Time {
        /// 0 to 6.
        digits: u8,
    },
    /// Likewise.
    Datetime {
        /// 0 to 6.
        digits: u8,
    },
    /// Likewise.
    Timestamp {
        /// 0 to 6.
        digits: u8,
    },
    /// VARCHAR, VARBINARY: one length byte up to 255, otherwise two.
    Varchar {
        /// Bytes at most.
        bytes_max: u16,
    },
    /// CHAR, BINARY (and MariaDB's UUID and INET): one length byte up to 255, otherwise two; trailing padding is cut off.
    Char {
        /// Bytes at most.
        bytes_max: u16,
    },
    /// An index into the labels from 1; 0 is the empty string of an invalid value.
    Enum {
        /// 1 or 2.
        bytes: u8,
    },
    /// A bit for each label.
    Set {
        /// 1 to 8.
        bytes: u8,
    },
    /// Big-endian.
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// BLOB and TEXT of all sizes.
    Blob {
        /// Bytes of its length, 1 to 4.
        length_bytes: u8,
    },
    /// MySQL's binary JSON.
    Json {
        /// Bytes of its length, 1 to 4.
        length_bytes: u8,
    },
    /// SRID and WKB.
    Geometry {
        /// Bytes of its length, 1 to 4.
        length_bytes: u8,
    },
    /// MySQL 9's VECTOR: little-endian floats.
    Vector {
        /// Bytes of its length, 1 to 4.
        length_bytes: u8,
    },
    /// MariaDB's COMPRESSED BLOB or TEXT (type 140).
    CompressedBlob {
        /// Bytes of its length, 1 to 4.
        length_bytes: u8,
    },
    /// MariaDB's COMPRESSED VARCHAR or VARBINARY (type 141).
    CompressedVarchar {
        /// Bytes at most.
        bytes_max: u16,
    },
}
