//! Where the log has been read to: in GTIDs of either server, or as a place in a file. Pure; `assemble` moves it after
//! each commit, and its text is [`Position::stream`](tailwater_core::Position).

use std::fmt;

use tailwater_core::Result;

use crate::binlog::event::{Gtid, MariaGtid};
use crate::error;
use crate::gtid::{GtidSet, MariaGtids, write_uuid};

/// A place in the log: its file, and where an event begins there.
pub type Spot = (String, u64);

/// What one transaction is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// MySQL's GTID.
    Gtid {
        /// The server that committed it first.
        uuid: [u8; 16],
        /// Empty for most.
        tag: String,
        /// From 1.
        number: u64,
    },
    /// MariaDB's GTID.
    Maria {
        /// Its own order.
        domain: u32,
        /// The server that committed it first.
        server: u32,
        /// Within the domain.
        sequence: u64,
    },
    /// Where it ends, or where the log does not say that, begins.
    File {
        /// `binlog.000003`
        file: String,
        /// In bytes.
        offset: u64,
    },
}

/// Everything up to and including the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// MySQL's executed set.
    Gtids(GtidSet),
    /// MariaDB's: the last server and number, by domain.
    Maria(MariaGtids),
    /// GTIDs are off.
    File {
        /// `binlog.000003`
        file: String,
        /// In bytes.
        offset: u64,
    },
}

impl Id {
    /// MySQL's.
    #[must_use]
    pub fn of(gtid: &Gtid<'_>) -> Self {
        Self::Gtid { uuid: gtid.uuid, tag: gtid.tag.to_owned(), number: gtid.number }
    }

    /// MariaDB's.
    #[must_use]
    pub fn of_maria(gtid: &MariaGtid, server: u32) -> Self {
        Self::Maria { domain: gtid.domain, server, sequence: gtid.sequence }
    }
}

impl Place {
    /// Reads what [`Place::write_to`] wrote. MariaDB's lists and MySQL's sets have no dot in them, files do.
    ///
    /// # Errors
    /// `Data` where it is none.
    pub fn parse(text: &str, mariadb: bool) -> Result<Self> {
        if let Some((file, offset)) = text.rsplit_once(':').filter(|(file, _)| file.contains('.')) {
            let offset = offset.parse().map_err(|error| {
                error::unreadable_gtids(format!("`{text}` is no place in a log file: {error}"))
            })?;
            return Ok(Self::File { file: file.to_owned(), offset });
        }
        match mariadb {
            true => MariaGtids::parse(text).map(Self::Maria),
            false => GtidSet::parse(text).map(Self::Gtids),
        }
    }

    /// Whether everything up to `other` has been read. What cannot be compared is not included.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Gtids(all), Self::Gtids(some)) => some.is_subset(all),
            (Self::Maria(all), Self::Maria(some)) => some
                .iter()
                .all(|(domain, _, sequence)| all.get(domain).is_some_and(|(_, last)| last >= sequence)),
            (Self::File { file, offset }, Self::File { file: other, offset: to }) => {
                (file_number(file), *offset) >= (file_number(other), *to)
            }
            (Self::Gtids(_) | Self::Maria(_) | Self::File { .. }, _) => false,
        }
    }

    /// Whether the transaction has been read.
    #[must_use]
    pub fn covers(&self, id: &Id) -> bool {
        match (self, id) {
            (Self::Gtids(set), Id::Gtid { uuid, tag, number }) => set.contains(uuid, tag, *number),
            (Self::Maria(list), Id::Maria { domain, sequence, .. }) => {
                list.get(*domain).is_some_and(|(_, last)| *sequence <= last)
            }
            (Self::Gtids(_) | Self::Maria(_) | Self::File { .. }, _) => false,
        }
    }

    /// The transaction has been read, up to that place in a file.
    pub fn add(&mut self, id: &Id, in_file: &str, ends: u64) {
        match (self, id) {
            (Self::Gtids(set), Id::Gtid { uuid, tag, number }) => set.add(uuid, tag, *number),
            (Self::Maria(list), Id::Maria { domain, server, sequence }) => {
                list.set(*domain, *server, *sequence);
            }
            (Self::File { file, offset }, _) => {
                in_file.clone_into(file);
                *offset = ends;
            }
            (Self::Gtids(_) | Self::Maria(_), _) => {}
        }
    }

    /// Writes it behind what is there.
    pub fn write_to(&self, out: &mut String) {
        match self {
            Self::Gtids(set) => set.write_to(out),
            Self::Maria(list) => list.write_to(out),
            Self::File { file, offset } => {
                out.push_str(file);
                out.push(':');
                out.push_str(itoa::Buffer::new().format(*offset));
            }
        }
    }
}

/// Files are numbered behind their last dot; beyond 999999 with more digits.
pub(crate) fn file_number(file: &str) -> u64 {
    file.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid { uuid, tag, number } => {
                let mut text = String::with_capacity(36);
                write_uuid(uuid, &mut text);
                f.write_str(&text)?;
                if tag.is_empty() { write!(f, ":{number}") } else { write!(f, ":{tag}:{number}") }
            }
            Self::Maria { domain, server, sequence } => write!(f, "{domain}-{server}-{sequence}"),
            Self::File { file, offset } => write!(f, "{file}:{offset}"),
        }
    }
}
