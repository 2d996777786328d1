//! The shape rows are written under: tables, columns, and types that no source or sink owns alone.

/// One table at one point of the stream. A schema change makes a new `Table` with the same `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What stays the same when the table is renamed: the source's own number (Postgres: the oid).
    pub id: u64,
    /// The schema, exactly as the source spells it.
    pub schema: String,
    /// The name, exactly as the source spells it.
    pub name: String,
    /// The columns, in the order in which rows carry their values.
    pub columns: Vec<Column>,
    /// Indexes into `columns` of the key that identifies a row; empty where nothing does.
    pub key: Vec<usize>,
    /// Indexes into `columns` of the key as declared, in its own order: the primary key, or where there is none the
    /// first unique index by name. Unlike `key`, old rows need not carry it, and its columns may be NULL in an index.
    pub declared_key: Vec<usize>,
    /// Whether it is proven that the stream carries every row since the table was created. Where it is not, a table
    /// that was never copied may lack rows, and a sink that first hears of it in the stream must not pretend that it is
    /// whole.
    pub streamed_from_birth: bool,
}

/// One column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What stays the same when the column is renamed (Postgres: attnum). Never reused within a table.
    pub id: u32,
    /// The name, exactly as the source spells it.
    pub name: String,
    /// What its values are.
    pub kind: Type,
    /// The source's own spelling of the type: `numeric(10,2)`, `public.mood`.
    pub source_type: String,
    /// What stays the same when the type is renamed (Postgres: its oid); 0 where the source has no such number.
    pub type_id: u32,
    /// What the rows that existed before this column did hold in it.
    pub fill: Fill,
    /// What else the source says of it.
    pub declared: Declared,
}

/// What a source declares of a column beyond what its values are, for sinks that hand the declaration on. It is as of
/// when the shape was looked up: a change of it alone makes no new shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// NULL is not allowed.
    pub not_null: bool,
    /// What a row gets that does not name the column, as an expression of the source: `'x'::text`, `now()`.
    pub default: Option<String>,
    /// [`Column::source_type`] with domains replaced by what they are over.
    pub base_type: String,
    /// The labels of an enumerated type, or of the elements of an array of one, in order.
    pub labels: Vec<String>,
    /// The character set of text, by the source's name for it; empty where it has none, or the source tells none.
    pub charset: String,
    /// A row that does not name the column gets the next number.
    pub numbered: bool,
}

/// What older rows hold in a column that has been added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// NULL.
    Null,
    /// The same value for all of them, as text in the form of [`Type`].
    Constant(String),
    /// What the column of that [`Column::id`] held: this is its new name. For sources whose ids do not survive one.
    Renamed(u32),
    /// A value per row that the stream does not carry (a volatile default, a rewritten table); says why.
    Unknown(String),
    /// Nobody can tell any more, and nobody will ask: the column has been dropped since, further on in the stream. A
    /// sink may put NULL.
    Gone,
}

/// What the values of a column are. Values travel as text in the form named here, which for all of them is the
/// form Postgres prints with `DateStyle=ISO`, `IntervalStyle=postgres`, `TimeZone=UTC`, `bytea_output=hex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `t` or `f`.
    Bool,
    /// 16 bits, signed.
    Int2,
    /// 32 bits, signed.
    Int4,
    /// 64 bits, signed.
    Int8,
    /// 32 bits, unsigned.
    UInt4,
    /// 64 bits, unsigned.
    UInt8,
    /// Binary, 32 bits: shortest text that reads back the same; `NaN`, `Infinity`, `-Infinity`.
    Float4,
    /// Binary, 64 bits; likewise.
    Float8,
    /// Exact. Digits in all and after the point, where declared; `NaN`, `Infinity`, `-Infinity` may occur.
    Numeric {
        /// Declared digits and scale (the scale may be negative or exceed the digits), or `None` for any number.
        limits: Option<(u16, i16)>,
    },
    /// Characters, any length.
    Text,
    /// Bytes, as `\x` and hexadecimal digits.
    Bytes,
    /// `2026-11-21`, `0044-03-15 BC`, `infinity`.
    Date,
    /// `24:00:00`, `04:05:06.789`.
    Time,
    /// `04:05:06.789+02`, `04:05:06-07:30:15`.
    TimeTz,
    /// `2026-11-21 04:05:06.789`, with ` BC` and `infinity` as in dates.
    Timestamp,
    /// `2026-11-21 04:05:06.789+00`, always in UTC.
    TimestampTz,
    /// `1 year 2 mons -3 days 04:05:06.789`.
    Interval,
    /// `0d2f…`, lower case with hyphens.
    Uuid,
    /// JSON text as the server prints it.
    Json,
    /// An array literal, `{1,NULL,"a b"}`, of any dimensions and lower bounds.
    Array(Box<Type>),
    /// Anything else, as the server prints it.
    Other,
}

impl Table {
    /// `schema.name`, for messages and for keys of [`Position::copies`](crate::Position).
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}
