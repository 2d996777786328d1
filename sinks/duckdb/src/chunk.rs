//! [`Chunk`], `DuckDB`'s unit of 2048 rows by columns, to be filled and appended. Every access checks its bounds and
//! its type first. What the values mean is the matter of [`values`](crate::values).

use libduckdb_sys as ffi;
use tailwater_core::{Error, Result};

pub use crate::layout::{Interval, Plain};
use crate::layout::{Layout, LogicalType};
use crate::values::ColumnType;

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
        let mut chunk = Self { raw, columns: Vec::new(), rows: 0 };
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
        let mut new =
            Self { raw, layout: Layout::of(column), data, validity, capacity, elements, elements_len: 0 };
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
        assert!(row < self.capacity && self.layout == Layout::Text, "text for another column");
        self.put_string(row, text.as_bytes());
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// When the row is none of this column, or the column does not hold bytes.
    #[inline]
    pub fn put_bytes(&mut self, row: usize, bytes: &[u8]) {
        assert!(row < self.capacity && self.layout == Layout::Bytes, "bytes for another column");
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
        let entry =
            ffi::duckdb_list_entry { offset: start as u64, length: (self.elements_len - start) as u64 };
        // SAFETY: the vector holds list entries and has the row.
        unsafe { self.data.cast::<ffi::duckdb_list_entry>().add(row).write_unaligned(entry) };
        self.set_valid(row);
    }

    /// Forgets the elements from `start` on, which belong to no list yet.
    pub fn drop_elements(&mut self, start: usize) {
        self.elements_len = self.elements_len.min(start);
    }
}
