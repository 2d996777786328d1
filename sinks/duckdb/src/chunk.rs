//! Data chunks, `DuckDB`'s unit of 2048 rows by columns: [`Chunk`] to be filled and appended, [`Rows`] as a query
//! gives them. With [`database`](crate::database) the only place with `unsafe`; every access checks its bounds and
//! its type first. What the values mean is the matter of [`values`](crate::values).

use std::marker::PhantomData;
use std::ops::Range;

use libduckdb_sys as ffi;
use tailwater_core::{Error, Result};

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
enum Layout {
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
    fn of(column: &ColumnType) -> Self {
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
pub(crate) fn decimal_bytes(width: u8) -> usize {
    match width {
        0..=4 => 2,
        5..=9 => 4,
        10..=18 => 8,
        _ => 16,
    }
}

/// A logical type of the library.
struct LogicalType(ffi::duckdb_logical_type);

impl LogicalType {
    fn new(column: &ColumnType) -> Self {
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
    fn column_type(&self) -> Option<ColumnType> {
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

/// Rows to be appended: filled column by column or row by row, then given a length.
#[derive(Debug)]
pub struct Chunk {
    raw: ffi::duckdb_data_chunk,
    columns: Vec<Column>,
    rows: usize,
}

// SAFETY: the chunk and its vectors are owned by this value alone, and not bound to a thread.
unsafe impl Send for Chunk {}

impl Chunk {
    /// Rows that it holds.
    pub const CAPACITY: usize = 2048;

    /// An empty chunk with these columns.
    ///
    /// # Errors
    /// Where `DuckDB` has no memory for it.
    pub fn new(types: &[ColumnType]) -> Result<Self> {
        let logical: Vec<LogicalType> = types.iter().map(LogicalType::new).collect();
        let mut raw_types: Vec<ffi::duckdb_logical_type> = logical.iter().map(|logical| logical.0).collect();
        // SAFETY: the types are live and counted; DuckDB copies them.
        let raw =
            unsafe { ffi::duckdb_create_data_chunk(raw_types.as_mut_ptr(), raw_types.len() as ffi::idx_t) };
        if raw.is_null() {
            return Err(Error::transient("TW-DUCK-007", "DuckDB makes no data chunk"));
        }
        let mut chunk = Self {
            raw,
            columns: Vec::new(),
            rows: 0,
        };
        for (index, column) in (0..).zip(types) {
            // SAFETY: the chunk is live and has as many columns as there are types.
            let vector = unsafe { ffi::duckdb_data_chunk_get_vector(raw, index) };
            chunk.columns.push(Column::new(vector, column, Self::CAPACITY));
        }
        Ok(chunk)
    }

    /// The columns, to be written to.
    pub fn columns(&mut self) -> &mut [Column] {
        &mut self.columns
    }

    /// Rows it has been given.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Says how many rows have been written. Every column of them must have been given a value.
    ///
    /// # Panics
    /// When there is no room for so many.
    pub fn set_len(&mut self, rows: usize) {
        assert!(rows <= Self::CAPACITY, "a chunk of {rows} rows");
        self.rows = rows;
        // SAFETY: the chunk is live and has room.
        unsafe { ffi::duckdb_data_chunk_set_size(self.raw, rows as ffi::idx_t) };
        for column in &mut self.columns {
            column.publish_len();
        }
    }

    /// Empties it for new rows.
    pub fn reset(&mut self) {
        // SAFETY: the chunk is live; the pointers into it are fetched anew below.
        unsafe { ffi::duckdb_data_chunk_reset(self.raw) };
        self.rows = 0;
        for column in &mut self.columns {
            column.refresh(Self::CAPACITY);
        }
    }

    pub(crate) fn raw(&self) -> ffi::duckdb_data_chunk {
        self.raw
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once.
        unsafe { ffi::duckdb_destroy_data_chunk(&raw mut self.raw) }
    }
}

/// Bytes of text that lie inside a `duckdb_string_t`.
const INLINE_MAX: usize = 12;

/// One column of a [`Chunk`], or the elements of a list column.
#[derive(Debug)]
pub struct Column {
    raw: ffi::duckdb_vector,
    layout: Layout,
    /// Where the values lie; room for `capacity` of them.
    data: *mut u8,
    /// One bit per row, set where there is a value; null while all rows have one.
    validity: *mut u64,
    capacity: usize,
    /// The elements of a list column.
    elements: Option<Box<Self>>,
    /// Elements in use.
    elements_len: usize,
}

impl Column {
    fn new(raw: ffi::duckdb_vector, column: &ColumnType, capacity: usize) -> Self {
        let elements = if let ColumnType::List(element) = column {
            // SAFETY: the vector is a live list; its child lives as long.
            let child = unsafe { ffi::duckdb_list_vector_get_child(raw) };
            Some(Box::new(Self::new(child, element, 0)))
        } else {
            None
        };
        let (data, validity) = (std::ptr::null_mut(), std::ptr::null_mut());
        let mut new = Self {
            raw,
            layout: Layout::of(column),
            data,
            validity,
            capacity,
            elements,
            elements_len: 0,
        };
        new.refresh(capacity);
        new
    }

    /// Fetches the pointers, which `DuckDB` may have moved.
    fn refresh(&mut self, capacity: usize) {
        self.locate(capacity);
        self.elements_len = 0;
        if let Some(elements) = &mut self.elements {
            // SAFETY: the vector is a live list.
            elements.raw = unsafe { ffi::duckdb_list_vector_get_child(self.raw) };
            // Its capacity is told by the next reservation.
            elements.refresh(0);
        }
    }

    fn locate(&mut self, capacity: usize) {
        self.capacity = capacity;
        // SAFETY: the vector is live; it has room for `capacity` values.
        self.data = unsafe { ffi::duckdb_vector_get_data(self.raw) }.cast();
        // SAFETY: the vector is live; null where every row is valid.
        self.validity = unsafe { ffi::duckdb_vector_get_validity(self.raw) };
    }

    /// Tells `DuckDB` how many elements the lists have.
    fn publish_len(&mut self) {
        if let Some(elements) = &mut self.elements {
            // SAFETY: the vector is a live list with room for so many elements.
            let state =
                unsafe { ffi::duckdb_list_vector_set_size(self.raw, self.elements_len as ffi::idx_t) };
            assert!(state == ffi::DuckDBSuccess, "a list column without elements");
            elements.publish_len();
        }
    }

    /// Writes a value of a type that lies in the vector as it is.
    ///
    /// # Panics
    /// When the row or the size of the value is not one of this column.
    #[inline]
    pub fn put<T: Plain>(&mut self, row: usize, value: T) {
        assert!(
            row < self.capacity && self.layout == Layout::Fixed(size_of::<T>()),
            "a value of another column"
        );
        // SAFETY: the vector has room for `capacity` values of this size, and the row is below.
        unsafe { self.data.cast::<T>().add(row).write_unaligned(value) };
        self.set_valid(row);
    }

    /// Writes text.
    ///
    /// # Panics
    /// When the row is none of this column, or the column is not text.
    #[inline]
    pub fn put_text(&mut self, row: usize, text: &str) {
        assert!(
            row < self.capacity && self.layout == Layout::Text,
            "text for another column"
        );
        self.put_string(row, text.as_bytes());
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// When the row is none of this column, or the column does not hold bytes.
    #[inline]
    pub fn put_bytes(&mut self, row: usize, bytes: &[u8]) {
        assert!(
            row < self.capacity && self.layout == Layout::Bytes,
            "bytes for another column"
        );
        self.put_string(row, bytes);
    }

    /// The row and the layout have been checked.
    #[inline]
    fn put_string(&mut self, row: usize, bytes: &[u8]) {
        if bytes.len() <= INLINE_MAX {
            // Length, then the bytes, then zeros: what DuckDB itself would make of it, without the call.
            let mut string = [0_u8; 4 + INLINE_MAX];
            let (head, tail) = string.split_at_mut(4);
            #[allow(clippy::cast_possible_truncation, reason = "at most 12")]
            head.copy_from_slice(&(bytes.len() as u32).to_ne_bytes());
            for (to, from) in tail.iter_mut().zip(bytes) {
                *to = *from;
            }
            // SAFETY: a duckdb_string_t is 16 bytes; the vector has room for `capacity` of them.
            unsafe { self.data.cast::<[u8; 16]>().add(row).write_unaligned(string) };
        } else {
            let length = bytes.len() as ffi::idx_t;
            // SAFETY: the vector holds strings and has the row; the bytes are copied, and are UTF-8 where it is text.
            unsafe {
                ffi::duckdb_unsafe_vector_assign_string_element_len(
                    self.raw,
                    row as ffi::idx_t,
                    bytes.as_ptr().cast(),
                    length,
                );
            }
        }
        self.set_valid(row);
    }

    /// Writes NULL.
    ///
    /// # Panics
    /// When the row is none of this column.
    #[inline]
    pub fn put_null(&mut self, row: usize) {
        assert!(row < self.capacity, "a row beyond the column");
        if self.layout == Layout::List {
            self.put_list(row, self.elements_len);
        }
        if self.validity.is_null() {
            // SAFETY: the vector is live; afterwards there is a bit for every row of its capacity.
            unsafe { ffi::duckdb_vector_ensure_validity_writable(self.raw) };
            // SAFETY: as above.
            self.validity = unsafe { ffi::duckdb_vector_get_validity(self.raw) };
        }
        // SAFETY: the row is below the capacity, so its word is inside the mask.
        unsafe { *self.validity.add(row / 64) &= !(1 << (row % 64)) };
    }

    #[inline]
    fn set_valid(&mut self, row: usize) {
        if !self.validity.is_null() {
            // SAFETY: as in `put_null`; the callers have checked the row.
            unsafe { *self.validity.add(row / 64) |= 1 << (row % 64) };
        }
    }

    /// Elements in all lists of this list column so far.
    #[must_use]
    pub fn elements_len(&self) -> usize {
        self.elements_len
    }

    /// Makes room for one more element and gives where to write it.
    ///
    /// # Errors
    /// Where `DuckDB` has no memory for it.
    ///
    /// # Panics
    /// When this is not a list column.
    pub fn push_element(&mut self) -> Result<(&mut Self, usize)> {
        let row = self.elements_len;
        let Some(elements) = &mut self.elements else {
            panic!("an element for a column that holds no lists")
        };
        if row >= elements.capacity {
            let capacity = (elements.capacity * 2).max(Chunk::CAPACITY);
            // SAFETY: the vector is a live list; its child's pointers are fetched anew below.
            let state = unsafe { ffi::duckdb_list_vector_reserve(self.raw, capacity as ffi::idx_t) };
            if state != ffi::DuckDBSuccess {
                return Err(Error::transient(
                    "TW-DUCK-004",
                    "DuckDB has no memory for the elements of a list",
                ));
            }
            elements.locate(capacity);
        }
        self.elements_len += 1;
        Ok((elements, row))
    }

    /// Makes the elements from `start` on the list of `row`.
    ///
    /// # Panics
    /// When the row is none of this column, this is not a list column, or there are no such elements.
    pub fn put_list(&mut self, row: usize, start: usize) {
        assert!(
            row < self.capacity && self.layout == Layout::List && start <= self.elements_len,
            "a list for another column"
        );
        let entry = ffi::duckdb_list_entry {
            offset: start as u64,
            length: (self.elements_len - start) as u64,
        };
        // SAFETY: the vector holds list entries and has the row.
        unsafe {
            self.data
                .cast::<ffi::duckdb_list_entry>()
                .add(row)
                .write_unaligned(entry)
        };
        self.set_valid(row);
    }

    /// Forgets the elements from `start` on, which belong to no list yet.
    pub fn drop_elements(&mut self, start: usize) {
        self.elements_len = self.elements_len.min(start);
    }
}

/// Rows that a query gave.
#[derive(Debug)]
pub struct Rows {
    raw: ffi::duckdb_data_chunk,
}

impl Rows {
    /// # Safety
    /// `raw` is a live chunk that nobody else has, and flat, as duckdb_fetch_chunk gives it.
    pub(crate) unsafe fn from_raw(raw: ffi::duckdb_data_chunk) -> Self {
        Self { raw }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        // SAFETY: the chunk is live.
        let rows = unsafe { ffi::duckdb_data_chunk_get_size(self.raw) };
        usize::try_from(rows).unwrap_or(0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns.
    ///
    /// # Errors
    /// `Data` where a column has a type that we neither write nor render.
    pub fn columns(&self) -> Result<Vec<Vector<'_>>> {
        // SAFETY: the chunk is live.
        let count = unsafe { ffi::duckdb_data_chunk_get_column_count(self.raw) };
        (0..count)
            .map(|column| {
                // SAFETY: the chunk is live and has the column.
                let raw = unsafe { ffi::duckdb_data_chunk_get_vector(self.raw, column) };
                // SAFETY: the vector lives as long as the chunk, has its rows, and is flat.
                unsafe { Vector::from_raw(raw, self.len()) }
            })
            .collect()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once.
        unsafe { ffi::duckdb_destroy_data_chunk(&raw mut self.raw) }
    }
}

/// One column of [`Rows`], or the elements of a list column.
#[derive(Debug)]
pub struct Vector<'r> {
    kind: ColumnType,
    layout: Layout,
    data: *const u8,
    validity: *const u64,
    len: usize,
    elements: Option<Box<Self>>,
    _rows: PhantomData<&'r Rows>,
}

impl<'r> Vector<'r> {
    /// # Safety
    /// The vector is flat, has `len` values, and lives for `'r`.
    unsafe fn from_raw(raw: ffi::duckdb_vector, len: usize) -> Result<Self> {
        // SAFETY: the vector is live; the type is ours to destroy.
        let logical = LogicalType(unsafe { ffi::duckdb_vector_get_column_type(raw) });
        let kind = logical
            .column_type()
            .ok_or_else(|| Error::data("TW-DUCK-019", "a column has a type that is not rendered"))?;
        let layout = Layout::of(&kind);
        let elements = match layout {
            Layout::List => {
                // SAFETY: a live list vector; its child lives as long and has that many elements.
                let (child, len) = unsafe {
                    (
                        ffi::duckdb_list_vector_get_child(raw),
                        ffi::duckdb_list_vector_get_size(raw),
                    )
                };
                // SAFETY: as above.
                Some(Box::new(unsafe {
                    Self::from_raw(child, usize::try_from(len).unwrap_or(0))?
                }))
            }
            Layout::Fixed(_) | Layout::Text | Layout::Bytes => None,
        };
        // SAFETY: the vector is live.
        let data = unsafe { ffi::duckdb_vector_get_data(raw) }.cast_const().cast();
        // SAFETY: the vector is live; null where every row has a value.
        let validity = unsafe { ffi::duckdb_vector_get_validity(raw) }.cast_const();
        Ok(Self {
            kind,
            layout,
            data,
            validity,
            len,
            elements,
            _rows: PhantomData,
        })
    }

    /// The type of the values. Of JSON it says `VARCHAR`, as which it is stored.
    #[must_use]
    pub fn kind(&self) -> &ColumnType {
        &self.kind
    }

    /// Whether the row is NULL.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        assert!(row < self.len, "a row beyond the vector");
        // SAFETY: the mask, where there is one, has a bit for every row.
        !self.validity.is_null() && unsafe { *self.validity.add(row / 64) >> (row % 64) & 1 == 0 }
    }

    /// The value of a row that is not NULL.
    ///
    /// # Panics
    /// When the row or the size of the value is not one of this column.
    #[must_use]
    pub fn get<T: Plain>(&self, row: usize) -> T {
        assert!(
            row < self.len && self.layout == Layout::Fixed(size_of::<T>()),
            "a value of another column"
        );
        // SAFETY: the vector has `len` values of this size, and any bits are a T.
        unsafe { self.data.cast::<T>().add(row).read_unaligned() }
    }

    /// The bytes or the text of a row that is not NULL.
    ///
    /// # Panics
    /// When the row is none of this column, or the column holds neither.
    #[must_use]
    pub fn bytes(&self, row: usize) -> &'r [u8] {
        assert!(
            row < self.len && matches!(self.layout, Layout::Text | Layout::Bytes),
            "bytes of another column"
        );
        // SAFETY: the vector holds `len` strings, which live as long as the rows. The bytes of a short one lie in the
        // string itself, whence the pointer into the vector.
        unsafe {
            let string = self.data.cast::<ffi::duckdb_string_t>().add(row).cast_mut();
            let len = ffi::duckdb_string_t_length(*string) as usize;
            std::slice::from_raw_parts(ffi::duckdb_string_t_data(string).cast(), len)
        }
    }

    /// The elements of all lists of a list column, and which of them belong to a row that is not NULL.
    ///
    /// # Panics
    /// When the row is none of this column, or the column holds no lists.
    #[must_use]
    pub fn list(&self, row: usize) -> (&Self, Range<usize>) {
        let Some(elements) = &self.elements else {
            panic!("a list of a column that holds none")
        };
        assert!(row < self.len, "a row beyond the vector");
        // SAFETY: the vector holds `len` list entries.
        let entry = unsafe {
            self.data
                .cast::<ffi::duckdb_list_entry>()
                .add(row)
                .read_unaligned()
        };
        let start = usize::try_from(entry.offset).unwrap_or(usize::MAX);
        let len = usize::try_from(entry.length).unwrap_or(usize::MAX);
        (elements, start..start.saturating_add(len))
    }
}
