//! Lines in one buffer. Pure: what a line says is core's [`Lines`], the bytes go where [`Stdout`](crate::Stdout) takes
//! them, and this says which one is the last of its transaction.

use tailwater_core::line::Lines;
use tailwater_core::{Change, Event};

use crate::Format;

/// Lines, the last of which may still lack its end.
#[derive(Debug)]
pub(crate) struct Encoder {
    lines: Lines,
    /// `,"commit":true`, or its like in another format.
    commit: &'static [u8],
    out: Vec<u8>,
    /// Where the last line starts while it is not known whether it is the last of its transaction.
    open_line: Option<OpenLine>,
}

#[derive(Debug, Clone, Copy)]
struct OpenLine {
    start: usize,
    /// Whether it belongs to a transaction of the source: a copied row does not.
    streamed: bool,
}

impl Encoder {
    pub(crate) fn new(format: Format) -> Self {
        let commit: &[u8] = match format {
            Format::Json => b",\"commit\":true",
            Format::Row => b",\"_commit\":true",
        };
        Self { lines: Lines::new(format), commit, out: Vec::new(), open_line: None }
    }

    /// The source of the events that follow.
    pub(crate) fn source(&mut self, name: &str) {
        self.lines.source(name);
    }

    /// Adds the line of an event. When it is of another transaction, the open line was the last of its own.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        let same = self.lines.enter(&event.transaction);
        self.end_line(!same);
        let streamed = match event.change {
            Change::CopyStart { .. } | Change::Copied { .. } | Change::CopyEnd { .. } => false,
            Change::Message { transactional, .. } => transactional,
            Change::Insert { .. } | Change::Update { .. } | Change::Delete { .. } => true,
            Change::Truncate { .. } | Change::Shape { .. } => true,
            Change::Drop { .. } | Change::Stop { .. } => true,
            Change::Statement(statement) => !statement.copied,
        };
        self.open_line = Some(OpenLine { start: self.out.len(), streamed });
        self.lines.write(&mut self.out, event);
    }

    /// What came last is the end of a transaction.
    pub(crate) fn boundary(&mut self) {
        self.end_line(true);
    }

    /// The lines that have their end.
    pub(crate) fn complete_lines(&self) -> &[u8] {
        let end = self.open_line.map_or(self.out.len(), |line| line.start);
        self.out.get(..end).unwrap_or_default()
    }

    /// Drops the lines that have their end. Keeps the buffer's memory, up to `keep_bytes` or so.
    pub(crate) fn forget_complete_lines(&mut self, keep_bytes: usize) {
        let end = self.complete_lines().len();
        self.out.drain(..end);
        if let Some(line) = &mut self.open_line {
            line.start = 0;
        }
        self.out.shrink_to(2 * keep_bytes);
    }

    /// Memory of the buffer.
    #[cfg(test)]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.out.capacity()
    }

    fn end_line(&mut self, of_transaction: bool) {
        if let Some(line) = self.open_line.take() {
            if of_transaction && line.streamed {
                self.out.extend_from_slice(self.commit);
            }
            self.out.extend_from_slice(b"}\n");
        }
    }
}
