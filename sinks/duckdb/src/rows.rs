//! [`Rows`] as a query gives them, chunk by chunk. Every access checks its bounds and its type first. What the values
//! mean is the matter of [`values`](crate::values).

use std::marker::PhantomData;
use std::ops::Range;

use libduckdb_sys as ffi;
use tailwater_core::{Error, Result};

use crate::layout::{Layout, LogicalType, Plain};
use crate::values::ColumnType;

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
                    (ffi::duckdb_list_vector_get_child(raw), ffi::duckdb_list_vector_get_size(raw))
                };
                // SAFETY: as above.
                Some(Box::new(unsafe { Self::from_raw(child, usize::try_from(len).unwrap_or(0))? }))
            }
            Layout::Fixed(_) | Layout::Text | Layout::Bytes => None,
        };
        // SAFETY: the vector is live.
        let data = unsafe { ffi::duckdb_vector_get_data(raw) }.cast_const().cast();
        // SAFETY: the vector is live; null where every row has a value.
        let validity = unsafe { ffi::duckdb_vector_get_validity(raw) }.cast_const();
        Ok(Self { kind, layout, data, validity, len, elements, _rows: PhantomData })
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
        assert!(row < self.len && self.layout == Layout::Fixed(size_of::<T>()), "a value of another column");
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
        let Some(elements) = &self.elements else { panic!("a list of a column that holds none") };
        assert!(row < self.len, "a row beyond the vector");
        // SAFETY: the vector holds `len` list entries.
        let entry = unsafe { self.data.cast::<ffi::duckdb_list_entry>().add(row).read_unaligned() };
        let start = usize::try_from(entry.offset).unwrap_or(usize::MAX);
        let len = usize::try_from(entry.length).unwrap_or(usize::MAX);
        (elements, start..start.saturating_add(len))
    }
}
