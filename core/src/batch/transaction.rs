//! What a batch holds of the transactions that its events belong to: named by the source, read with each event.

use std::fmt;

use super::{Batch, Cell, EMPTY, span};
use crate::{Error, Result, Transaction};

#[derive(Debug, Clone, Copy)]
pub(super) struct TransactionEntry {
    pub(super) id: Cell,
    pub(super) commit_time_us: i64,
    pub(super) xid: u64,
    pub(super) first_ordinal: u64,
    pub(super) follows: u64,
    pub(super) starts: u64,
    pub(super) ends: u64,
    pub(super) origin: Cell,
    pub(super) origin_offset: u64,
    pub(super) log_file: Cell,
    pub(super) server: u64,
    pub(super) thread: u64,
}

impl TransactionEntry {
    /// As readers see it; `bytes` is the arena.
    pub(super) fn told<'a>(&self, bytes: &'a [u8]) -> Transaction<'a> {
        let text = |cell| std::str::from_utf8(span(bytes, cell)).unwrap_or_default();
        Transaction {
            id: text(self.id),
            commit_time_us: self.commit_time_us,
            xid: self.xid,
            follows: self.follows,
            starts: self.starts,
            ends: self.ends,
            origin: text(self.origin),
            origin_offset: self.origin_offset,
            log_file: text(self.log_file),
            server: self.server,
            thread: self.thread,
        }
    }
}

impl Batch {
    /// Events from here on belong to the transaction `id`; `first_ordinal` > 0 where a batch before holds its start.
    ///
    /// # Errors
    /// `Data` where the arena is full.
    pub fn transaction(
        &mut self,
        id: fmt::Arguments<'_>,
        commit_time_us: i64,
        xid: u64,
        first_ordinal: u64,
    ) -> Result<()> {
        let start = self.bytes.len();
        std::io::Write::write_fmt(&mut self.bytes, id)
            .map_err(|error| Error::data("TW-CORE-001", format!("write a transaction id: {error}")))?;
        let id = self.cell(start)?;
        self.transactions.push(TransactionEntry {
            id,
            commit_time_us,
            xid,
            first_ordinal,
            follows: 0,
            starts: 0,
            ends: 0,
            origin: EMPTY,
            origin_offset: 0,
            log_file: EMPTY,
            server: 0,
            thread: 0,
        });
        self.next_ordinal = 0;
        Ok(())
    }

    /// The transaction that was named last begins there in the log, after one that ended at `follows`.
    pub fn starts(&mut self, log_offset: u64, follows: u64) {
        if let Some(last) = self.transactions.last_mut() {
            (last.starts, last.follows) = (log_offset, follows);
        }
    }

    /// The transaction that was named last ends there in the log.
    pub fn ends(&mut self, log_offset: u64) {
        if let Some(last) = self.transactions.last_mut() {
            last.ends = log_offset;
        }
    }

    /// The transaction that was named last came from the server `name`, and ended there in its log.
    ///
    /// # Errors
    /// `Data` where the arena is full.
    pub fn origin(&mut self, name: &str, log_offset: u64) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.as_bytes());
        let origin = self.cell(start)?;
        if let Some(last) = self.transactions.last_mut() {
            (last.origin, last.origin_offset) = (origin, log_offset);
        }
        Ok(())
    }

    /// The transaction that was named last stands in that file of the log: [`Transaction::log_file`].
    ///
    /// # Errors
    /// `Data` where the arena is full.
    pub fn log_file(&mut self, name: &str) -> Result<()> {
        // Mostly the same as that of the transaction before.
        let before = self.transactions.iter().rev().nth(1).map(|before| before.log_file);
        let known = before.filter(|&file| span(&self.bytes, file) == name.as_bytes());
        let file = match known {
            Some(file) => file,
            None => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(name.as_bytes());
                self.cell(start)?
            }
        };
        if let Some(last) = self.transactions.last_mut() {
            last.log_file = file;
        }
        Ok(())
    }

    /// The transaction that was named last was made by that connection to that server: [`Transaction::server`].
    pub fn committed_by(&mut self, server: u64, thread: u64) {
        if let Some(last) = self.transactions.last_mut() {
            (last.server, last.thread) = (server, thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_share_the_name_of_their_file() {
        let mut batch = Batch::default();
        for (number, file) in ["binlog.000001", "binlog.000001", "binlog.000002"].into_iter().enumerate() {
            batch.transaction(format_args!("{number}"), 0, 0, 0).unwrap();
            batch.log_file(file).unwrap();
            batch.committed_by(7, 8);
        }
        let told: Vec<Transaction<'_>> =
            batch.transactions.iter().map(|entry| entry.told(&batch.bytes)).collect();
        let files: Vec<&str> = told.iter().map(|transaction| transaction.log_file).collect();
        assert_eq!(files, ["binlog.000001", "binlog.000001", "binlog.000002"]);
        assert_eq!(batch.bytes, b"0binlog.00000112binlog.000002");
        assert_eq!((told[2].server, told[2].thread), (7, 8));
    }
}
