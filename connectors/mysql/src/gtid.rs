//! What a server has committed, as sets: MySQL's GTIDs with tags, MariaDB's last GTID of every domain. They are read from
//! the server's text, kept as the position's, and sent in the dump command. Who may go on from where is decided elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use tailwater_core::Result;

use crate::error::unreadable_gtids;

/// The largest number of a GTID.
const NUMBER_MAX: u64 = i64::MAX as u64 - 1;
/// Characters of a tag, at most.
const TAG_MAX: usize = 32;

/// A set of MySQL's GTIDs.
///
/// Every source keeps its text, so that the next transaction rewrites the last number of one and no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// By UUID and tag.
    sources: Vec<Source>,
}

/// The transactions of one server (or group) and one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uuid: [u8; 16],
    /// Empty for most.
    tag: String,
    /// First and last number of every interval; no two touch.
    intervals: BTreeMap<u64, u64>,
    /// `uuid:1-5:7`, as it stands in the set's text.
    text: String,
    /// Where the last interval begins in the text.
    last_at: usize,
}

impl GtidSet {
    /// Reads what a server prints, or another such text: white space, either case, any order and overlap are allowed.
    ///
    /// # Errors
    /// It is not a GTID set.
    pub fn parse(text: &str) -> Result<Self> {
        let mut set = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut parts = entry.split(':').map(str::trim);
            let uuid = parse_uuid(parts.next().unwrap_or_default())
                .ok_or_else(|| unreadable_gtids(format!("{entry} does not begin with a UUID")))?;
            let mut tag = String::new();
            for part in parts {
                if is_tag(part) {
                    tag = part.to_ascii_lowercase();
                    continue;
                }
                let (first, last) = parse_interval(part)
                    .ok_or_else(|| unreadable_gtids(format!("{part} in {entry} is no interval")))?;
                set.source_mut(&uuid, &tag).add(first, last);
            }
        }
        set.sources.iter_mut().for_each(Source::write);
        Ok(set)
    }

    /// No transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds one transaction.
    pub fn add(&mut self, uuid: &[u8; 16], tag: &str, number: u64) {
        let source = self.source_mut(uuid, tag);
        match source.intervals.last_entry() {
            Some(mut last) if last.get().checked_add(1) == Some(number) => {
                let first = *last.key();
                last.insert(number);
                source.write_last(first, number);
            }
            Some(_) | None => {
                source.add(number, number);
                source.write();
            }
        }
    }

    /// Whether it has one transaction.
    #[must_use]
    pub fn contains(&self, uuid: &[u8; 16], tag: &str, number: u64) -> bool {
        self.source(uuid, tag).is_some_and(|source| source.contains(number, number))
    }

    /// Whether `other` has all of its transactions.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.sources.iter().all(|source| {
            let theirs = other.source(&source.uuid, &source.tag);
            theirs.is_some_and(|theirs| source.intervals.iter().all(|(&a, &b)| theirs.contains(a, b)))
        })
    }

    /// What it has and `other` has not.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut left = Self::default();
        for source in &self.sources {
            let theirs = other.source(&source.uuid, &source.tag);
            let intervals = match theirs {
                Some(theirs) => without(&source.intervals, &theirs.intervals),
                None => source.intervals.clone(),
            };
            if !intervals.is_empty() {
                let mut source = Source { intervals, ..Source::new(source.uuid, &source.tag) };
                source.write();
                left.sources.push(source);
            }
        }
        left
    }

    /// Writes it behind what is there: `uuid:1-5:7,uuid:tag:1`. Copies; formats nothing.
    pub fn write_to(&self, out: &mut String) {
        out.reserve(self.sources.iter().map(|source| source.text.len() + 1).sum());
        for (index, source) in self.sources.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&source.text);
        }
    }

    /// As `COM_BINLOG_DUMP_GTID` sends it. Only a set with tags is written in the form of servers since 8.3, which those
    /// before do not know.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let tagged = self.sources.iter().any(|source| !source.tag.is_empty());
        let count = self.sources.len() as u64;
        let head = if tagged { 1 << 56 | count << 8 | 1 } else { count };
        let mut bytes = head.to_le_bytes().to_vec();
        for source in &self.sources {
            bytes.extend_from_slice(&source.uuid);
            if tagged {
                // A length of the serialization library: one byte up to 127, shifted by its mark.
                bytes.extend(u8::try_from(source.tag.len() << 1));
                bytes.extend_from_slice(source.tag.as_bytes());
            }
            bytes.extend_from_slice(&(source.intervals.len() as u64).to_le_bytes());
            for (first, last) in &source.intervals {
                bytes.extend_from_slice(&first.to_le_bytes());
                bytes.extend_from_slice(&(last + 1).to_le_bytes());
            }
        }
        bytes
    }

    fn find(&self, uuid: &[u8; 16], tag: &str) -> Result<usize, usize> {
        self.sources
            .binary_search_by(|source| source.uuid.cmp(uuid).then_with(|| source.tag.as_str().cmp(tag)))
    }

    fn source(&self, uuid: &[u8; 16], tag: &str) -> Option<&Source> {
        self.find(uuid, tag).ok().and_then(|index| self.sources.get(index))
    }

    #[allow(clippy::indexing_slicing, reason = "the index was found or has just been filled")]
    fn source_mut(&mut self, uuid: &[u8; 16], tag: &str) -> &mut Source {
        let index = self.find(uuid, tag).unwrap_or_else(|index| {
            self.sources.insert(index, Source::new(*uuid, tag));
            index
        });
        &mut self.sources[index]
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

impl Source {
    fn new(uuid: [u8; 16], tag: &str) -> Self {
        Self { uuid, tag: tag.to_owned(), intervals: BTreeMap::new(), text: String::new(), last_at: 0 }
    }

    fn contains(&self, first: u64, last: u64) -> bool {
        self.intervals.range(..=first).next_back().is_some_and(|(_, &end)| end >= last)
    }

    /// Adds an interval, joined with those that it touches. The text is left as it was.
    fn add(&mut self, mut first: u64, mut last: u64) {
        let before = self.intervals.range(..=first).next_back();
        if let Some((&start, &end)) = before.filter(|&(_, &end)| end.saturating_add(1) >= first) {
            (first, last) = (start, last.max(end));
        }
        while let Some((&start, &end)) = self.intervals.range(first..=last.saturating_add(1)).next() {
            self.intervals.remove(&start);
            last = last.max(end);
        }
        self.intervals.insert(first, last);
    }

    /// Writes the text afresh.
    fn write(&mut self) {
        self.text.clear();
        write_uuid(&self.uuid, &mut self.text);
        if !self.tag.is_empty() {
            self.text.push(':');
            self.text.push_str(&self.tag);
        }
        for (&first, &last) in &self.intervals {
            self.last_at = self.text.len();
            write_interval(first, last, &mut self.text);
        }
    }

    /// Writes the last interval only.
    fn write_last(&mut self, first: u64, last: u64) {
        self.text.truncate(self.last_at);
        write_interval(first, last, &mut self.text);
    }
}

/// The intervals of `ours` without those of `theirs`.
fn without(ours: &BTreeMap<u64, u64>, theirs: &BTreeMap<u64, u64>) -> BTreeMap<u64, u64> {
    let mut left = BTreeMap::new();
    for (&first, &last) in ours {
        let mut next = first;
        // One that begins before may reach into it.
        let begin = theirs.range(..=first).next_back().map_or(first, |(&start, _)| start);
        for (&start, &end) in theirs.range(begin..=last) {
            if start > next {
                left.insert(next, start - 1);
            }
            next = next.max(end.saturating_add(1));
        }
        if next <= last {
            left.insert(next, last);
        }
    }
    left
}

/// 32 hexadecimal digits, with or without the usual dashes.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let dashed = text.len() == 36;
    if !dashed && text.len() != 32 {
        return None;
    }
    let mut digits = text.bytes().enumerate().filter(|&(at, _)| !dashed || !matches!(at, 8 | 13 | 18 | 23));
    if dashed && [8, 13, 18, 23].iter().any(|&at| text.as_bytes().get(at) != Some(&b'-')) {
        return None;
    }
    let mut digit = || digits.next().and_then(|(_, byte)| hex_value(byte));
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digit()? << 4 | digit()?;
    }
    Some(uuid)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A UUID as the servers write it, behind what is there.
pub fn write_uuid(uuid: &[u8; 16], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or_default()));
        }
    }
}

fn is_tag(part: &str) -> bool {
    let begins = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins && part.len() <= TAG_MAX && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `5` or `5-9`.
fn parse_interval(part: &str) -> Option<(u64, u64)> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (1 <= first && first <= last && last <= NUMBER_MAX).then_some((first, last))
}

fn write_interval(first: u64, last: u64, out: &mut String) {
    let mut digits = itoa::Buffer::new();
    out.push(':');
    out.push_str(digits.format(first));
    if last > first {
        out.push('-');
        out.push_str(digits.format(last));
    }
}

/// MariaDB's: the last transaction of every domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MariaGtids {
    /// Server and sequence, by domain.
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaGtids {
    /// Reads `0-1-5,1-2-3`.
    ///
    /// # Errors
    /// It is not such a list, or a domain stands in it twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut list = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut parts = entry.split('-');
            let mut part = || parts.next().and_then(|part| part.parse::<u64>().ok());
            let read = (part(), part(), part(), parts.next());
            let (Some(domain), Some(server), Some(sequence), None) = read else {
                return Err(unreadable_gtids(format!("{entry} is no GTID of MariaDB")));
            };
            let (Ok(domain), Ok(server)) = (u32::try_from(domain), u32::try_from(server)) else {
                return Err(unreadable_gtids(format!("{entry} is no GTID of MariaDB")));
            };
            if list.domains.insert(domain, (server, sequence)).is_some() {
                return Err(unreadable_gtids(format!("domain {domain} stands twice in {text}")));
            }
        }
        Ok(list)
    }

    /// No transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Sets the last transaction of a domain.
    pub fn set(&mut self, domain: u32, server: u32, sequence: u64) {
        self.domains.insert(domain, (server, sequence));
    }

    /// Server and sequence of the last transaction of a domain.
    #[must_use]
    pub fn get(&self, domain: u32) -> Option<(u32, u64)> {
        self.domains.get(&domain).copied()
    }

    /// Domain, server and sequence, by domain.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.domains.iter().map(|(&domain, &(server, sequence))| (domain, server, sequence))
    }

    /// Writes it behind what is there: `0-1-5,1-2-3`.
    pub fn write_to(&self, out: &mut String) {
        let mut digits = itoa::Buffer::new();
        for (index, (domain, server, sequence)) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(digits.format(domain));
            out.push('-');
            out.push_str(digits.format(server));
            out.push('-');
            out.push_str(digits.format(sequence));
        }
    }
}

impl fmt::Display for MariaGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(text).unwrap()
    }

    fn uuid() -> [u8; 16] {
        parse_uuid(A).unwrap()
    }

    #[test]
    fn any_text_of_a_set_becomes_the_one_form() {
        for (text, form) in [
            ("", String::new()),
            (&format!("{A}:1"), format!("{A}:1")),
            (&format!(" {B}:1-5 ,\n{A}:7-9:1-3:4,\r\n{A}:9-12"), format!("{A}:1-4:7-12,{B}:1-5")),
            (&format!("{}:2 - 3", A.to_uppercase().replace('-', "")), format!("{A}:2-3")),
            (&format!("{A}:1-5:TAG:1-2:_t:9:3,{A}:tag:3"), format!("{A}:1-5,{A}:_t:3:9,{A}:tag:1-3")),
        ] {
            assert_eq!(set(text).to_string(), form);
            assert_eq!(set(&form), set(text));
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "x",
            "3e11fa47:1",
            &format!("{A}:0"),
            &format!("{A}:5-4"),
            &format!("{A}:1-"),
            &format!("{A}:9t:1"),
        ] {
            assert_eq!(GtidSet::parse(text).unwrap_err().code(), "TW-MY-042", "{text}");
        }
        assert!(GtidSet::parse(&format!("{A}:1-9223372036854775807")).is_err());
        assert!(GtidSet::parse(&format!("{A}:{}:1", "t".repeat(33))).is_err());
    }

    #[test]
    fn the_next_number_moves_one_end() {
        let mut all = set(&format!("{A}:1-5:8-9,{A}:t:1,{B}:1"));
        all.add(&uuid(), "", 10);
        assert_eq!(all.to_string(), format!("{A}:1-5:8-10,{A}:t:1,{B}:1"));
        all.add(&uuid(), "", 7);
        all.add(&uuid(), "", 6);
        all.add(&uuid(), "", 6);
        assert_eq!(all.to_string(), format!("{A}:1-10,{A}:t:1,{B}:1"));
        all.add(&uuid(), "new", 3);
        assert_eq!(all.to_string(), format!("{A}:1-10,{A}:new:3,{A}:t:1,{B}:1"));
        assert!(all.contains(&uuid(), "new", 3) && !all.contains(&uuid(), "new", 4));
        assert_eq!(all, set(&all.to_string()));
    }

    #[test]
    fn an_untagged_set_is_sent_in_the_old_form() {
        let bytes = set(&format!("{A}:1-5:7")).encode();
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0];
        expected.extend_from_slice(&uuid());
        for number in [2_u64, 1, 6, 7, 8] {
            expected.extend_from_slice(&number.to_le_bytes());
        }
        assert_eq!(bytes, expected);
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(
            ours in prop::collection::vec((1_u64..60, 0_u64..9), 0..12),
            theirs in prop::collection::vec((1_u64..60, 0_u64..9), 0..12),
        ) {
            let numbers = |of: &[(u64, u64)]| -> BTreeSet<u64> { of.iter().flat_map(|&(a, n)| a..=a + n).collect() };
            let text = |of: &[(u64, u64)]| {
                of.iter().map(|(a, n)| format!("{A}:{a}-{}", a + n)).collect::<Vec<_>>().join(",")
            };
            let of = |numbers: &BTreeSet<u64>| {
                let mut set = GtidSet::default();
                numbers.iter().for_each(|&number| set.add(&uuid(), "", number));
                set
            };
            let (a, b) = (numbers(&ours), numbers(&theirs));
            let (left, right) = (set(&text(&ours)), set(&text(&theirs)));
            prop_assert_eq!(&left, &of(&a));
            prop_assert_eq!(left.is_subset(&right), a.is_subset(&b));
            prop_assert_eq!(left.subtract(&right), of(&(&a - &b)));
            prop_assert!((1..70).all(|number| left.contains(&uuid(), "", number) == a.contains(&number)));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-f:, -]{0,60}") {
            drop(GtidSet::parse(&text));
            drop(MariaGtids::parse(&text));
        }
    }

    #[test]
    fn mariadbs_list_is_sorted_by_domain() {
        let mut list = MariaGtids::parse(" 1-2-3,\n0-1-5").unwrap();
        list.set(0, 7, 6);
        list.set(3, 1, 18_446_744_073_709_551_615);
        assert_eq!(list.to_string(), "0-7-6,1-2-3,3-1-18446744073709551615");
        assert_eq!(list.get(1), Some((2, 3)));
        for text in ["1", "1-2", "1-2-3-4", "a-1-2", "4294967296-1-1", "0-1-1,0-2-2"] {
            assert_eq!(MariaGtids::parse(text).unwrap_err().code(), "TW-MY-042", "{text}");
        }
    }
}
