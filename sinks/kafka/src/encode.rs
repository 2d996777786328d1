//! The seam between formats and the producer: a format turns events into [`Records`], the producer takes them from
//! there without a copy. Pure: no socket, no clock. Each format lives in a file or folder of its own.

use tailwater_core::{Event, Position, Result, Transaction};

use crate::routes::{Route, Routes};

/// A format.
pub(crate) trait Encode: Send {
    /// Adds the records of an event to `out`: none, one or several, in the order in which they are to be written.
    /// Nothing is allocated in a steady state; what belongs to a table's shape, its [`Route`] from
    /// [`Routes::table`] above all, is prepared when the shape is first seen (compare the `Arc<Table>` by address: a
    /// new shape is a new one).
    ///
    /// # Errors
    /// `Data` where the event cannot be encoded; nothing of it may be in `out` then.
    fn event(
        &mut self,
        event: &Event<'_>,
        place: Place<'_>,
        routes: &mut Routes,
        out: &mut Records,
    ) -> Result<()>;

    /// The source transaction of the events before is whole. Not called for one that brought no event, nor for
    /// copied rows. [`Transaction::ends`] is 0 where it is whole with the batch and no event of it is in there; then it
    /// ends where the batch does.
    ///
    /// # Errors
    /// As for `event`.
    fn commit(
        &mut self,
        transaction: &Transaction<'_>,
        place: Place<'_>,
        routes: &mut Routes,
        out: &mut Records,
    ) -> Result<()> {
        let _unused = (transaction, place, routes, out);
        Ok(())
    }

    /// A batch that ends between source transactions was taken in, perhaps an empty one.
    fn pause(&mut self, place: Place<'_>, routes: &mut Routes, out: &mut Records) {
        let _unused = (place, routes, out);
    }
}

/// What surrounds an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Who issued it, [`Position::source`].
    pub(crate) source: &'a str,
    /// Where the batch of the event ends; tells which copies are under way.
    pub(crate) batch_end: &'a Position,
    /// When the batch was taken in hand, µs since 1970.
    pub(crate) now_us: i64,
}

/// Outgoing records in order, in one arena that is reused.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    records: Vec<Record>,
    headers: Vec<Header>,
}

/// Bytes inside [`Records`]. Several records may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: usize,
    len: usize,
}

/// One record; what it consists of is in the arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) route: Route,
    pub(crate) key: Option<Span>,
    /// `None` is a tombstone.
    pub(crate) value: Option<Span>,
    /// End of its headers; they start where those of the record before end.
    headers_end: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) name: Span,
    /// `None` is a header whose value is null.
    pub(crate) value: Option<Span>,
}

impl Records {
    /// Appends bytes to the arena: a key, a value, the value of a header.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.bytes.len();
        write(&mut self.bytes);
        Span { start, len: self.bytes.len() - start }
    }

    /// Adds a record. Without a key it goes to the one partition that all keyless records of its route go to.
    pub(crate) fn add(&mut self, route: Route, key: Option<Span>, value: Option<Span>) {
        self.records.push(Record { route, key, value, headers_end: self.headers.len() });
    }

    /// Adds a header to the record that was added last.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn header(&mut self, name: Span, value: Option<Span>) {
        self.headers.push(Header { name, value });
        match self.records.last_mut() {
            Some(record) => record.headers_end = self.headers.len(),
            None => panic!("a header before the first record"),
        }
    }

    /// Adds the records of `other`, with `text` in place of the bytes at `gaps`, which are in order.
    pub(crate) fn add_filled(&mut self, other: &Self, gaps: &[usize], text: &[u8]) {
        for (index, record) in other.records.iter().enumerate() {
            let mut fill = |span: Span| self.write(|out| other.fill(span, gaps, text, out));
            let (key, value) = (record.key.map(&mut fill), record.value.map(&mut fill));
            self.add(record.route, key, value);
            for header in other.headers(index) {
                let mut fill = |span: Span| self.write(|out| other.fill(span, gaps, text, out));
                let (name, value) = (fill(header.name), header.value.map(fill));
                self.header(name, value);
            }
        }
    }

    fn fill(&self, span: Span, gaps: &[usize], text: &[u8], out: &mut Vec<u8>) {
        let (mut from, end) = (span.start, span.start + span.len);
        for &gap in gaps.iter().filter(|gap| (span.start..end).contains(gap)) {
            out.extend_from_slice(self.bytes.get(from..gap).unwrap_or_default());
            out.extend_from_slice(text);
            from = gap + 1;
        }
        out.extend_from_slice(self.bytes.get(from..end).unwrap_or_default());
    }

    /// Forgets the records and keeps the memory, up to `keep_bytes`.
    pub(crate) fn clear(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
        self.bytes.shrink_to(keep_bytes);
        self.records.shrink_to(keep_bytes / size_of::<Record>());
        self.headers.shrink_to(keep_bytes / size_of::<Header>());
    }

    /// The records, in order.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes of a span of this arena.
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start..span.start + span.len).unwrap_or_default()
    }

    /// Bytes of key and value of record `index`.
    pub(crate) fn record_bytes(&self, index: usize) -> usize {
        let record = self.records.get(index);
        record.map_or(0, |record| [record.key, record.value].into_iter().flatten().map(|span| span.len).sum())
    }

    /// The headers of record `index`.
    pub(crate) fn headers(&self, index: usize) -> &[Header] {
        let start =
            index.checked_sub(1).and_then(|before| self.records.get(before)).map_or(0, |r| r.headers_end);
        let end = self.records.get(index).map_or(start, |record| record.headers_end);
        self.headers.get(start..end).unwrap_or_default()
    }

    /// Bytes of memory its contents take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Record>() + self.headers.len() * size_of::<Header>()
    }
}
