//! Where the log has been read to: in GTIDs of either server, or as a place in a file. Pure; `assemble` moves it after
//! each commit, and its text is [`Position::stream`](tailwater_core::Position).

use std::collections::BTreeMap;
use std::fmt;

use crate::binlog::event::{Gtid, MariaGtid};

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

/// Numbers from and to, by server and tag.
pub type Runs = BTreeMap<([u8; 16], String), Vec<(u64, u64)>>;

/// Everything up to and including the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// MySQL's executed set.
    Gtids(Runs),
    /// MariaDB's: the last server and number, by domain.
    Maria(BTreeMap<u32, (u32, u64)>),
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
    /// Whether the transaction has been read.
    #[must_use]
    pub fn covers(&self, id: &Id) -> bool {
        match (self, id) {
            (Self::Gtids(set), Id::Gtid { uuid, tag, number }) => set
                .get(&(*uuid, tag.clone()))
                .is_some_and(|runs| runs.iter().any(|(from, to)| (from..=to).contains(&number))),
            (Self::Maria(domains), Id::Maria { domain, sequence, .. }) => {
                domains.get(domain).is_some_and(|(_, last)| sequence <= last)
            }
            (Self::Gtids(_) | Self::Maria(_) | Self::File { .. }, _) => false,
        }
    }

    /// The transaction has been read, up to that place in a file.
    pub fn add(&mut self, id: &Id, in_file: &str, ends: u64) {
        match (self, id) {
            (Self::Gtids(set), Id::Gtid { uuid, tag, number }) => {
                insert(set.entry((*uuid, tag.clone())).or_default(), *number);
            }
            (Self::Maria(domains), Id::Maria { domain, server, sequence }) => {
                domains.insert(*domain, (*server, *sequence));
            }
            (Self::File { file, offset }, _) => {
                in_file.clone_into(file);
                *offset = ends;
            }
            (Self::Gtids(_) | Self::Maria(_), _) => {}
        }
    }
}

/// Keeps runs sorted, apart, and as few as can be.
fn insert(runs: &mut Vec<(u64, u64)>, number: u64) {
    let after = runs.partition_point(|&(from, _)| from <= number);
    if let Some((_, to)) = after.checked_sub(1).and_then(|before| runs.get_mut(before)) {
        if number <= *to {
            return;
        }
        if number == *to + 1 {
            *to = number;
            let (joined, next) = (number + 1, runs.get(after).copied());
            if let Some((_, end)) = next.filter(|&(from, _)| from == joined) {
                runs.remove(after);
                if let Some((_, to)) = runs.get_mut(after - 1) {
                    *to = end;
                }
            }
            return;
        }
    }
    match runs.get_mut(after) {
        Some((from, _)) if *from == number + 1 => *from = number,
        Some(_) | None => runs.insert(after, (number, number)),
    }
}

fn write_uuid(uuid: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid { uuid, tag, number } => {
                write_uuid(*uuid, f)?;
                if tag.is_empty() { write!(f, ":{number}") } else { write!(f, ":{tag}:{number}") }
            }
            Self::Maria { domain, server, sequence } => write!(f, "{domain}-{server}-{sequence}"),
            Self::File { file, offset } => write!(f, "{file}:{offset}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtids(set) => {
                for (index, ((uuid, tag), runs)) in set.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    write_uuid(*uuid, f)?;
                    if !tag.is_empty() {
                        write!(f, ":{tag}")?;
                    }
                    for (from, to) in runs {
                        if from == to { write!(f, ":{from}")? } else { write!(f, ":{from}-{to}")? }
                    }
                }
                Ok(())
            }
            Self::Maria(domains) => {
                for (index, (domain, (server, sequence))) in domains.iter().enumerate() {
                    write!(f, "{}{domain}-{server}-{sequence}", if index > 0 { "," } else { "" })?;
                }
                Ok(())
            }
            Self::File { file, offset } => write!(f, "{file}:{offset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_what_went_into_it(numbers in prop::collection::vec(1_u64..30, 0..40)) {
            let mut place = Place::Gtids(BTreeMap::new());
            let id = |number| Id::Gtid { uuid: [1; 16], tag: String::new(), number };
            for &number in &numbers {
                place.add(&id(number), "", 0);
            }
            let model: BTreeSet<u64> = numbers.into_iter().collect();
            for number in 1..30 {
                prop_assert_eq!(place.covers(&id(number)), model.contains(&number));
            }
            let Place::Gtids(set) = place else { panic!() };
            for runs in set.values() {
                prop_assert!(runs.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", runs);
            }
        }
    }
}
