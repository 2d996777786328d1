//! Text of any character set of MySQL and MariaDB becomes UTF-8, as `CONVERT(… USING utf8mb4)` does it at the server.
//!
//! Three data files, all made from what MySQL 9.7, MariaDB 10.11 and MariaDB 11.8 answered:
//! - `collations.txt`: first and last collation number, character set (`information_schema.COLLATIONS` and MariaDB's
//!   `COLLATION_CHARACTER_SET_APPLICABILITY`, which has the numbers of uca1400).
//! - `single_byte.txt`: per character set, ranges of bytes and the character the first of each becomes.
//! - `multi_byte.txt`: likewise, but only where the server differs from the tables of `encoding_rs`. Left out are six
//!   characters of big5 for which the server has only U+FFFD.

use std::sync::LazyLock;

use encoding_rs::{BIG5, DecoderResult, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS};
use tailwater_core::Result;

use crate::error::{unknown_collation, unmapped};

/// How the bytes of a text are to be read.
#[derive(Debug, Clone, Copy)]
pub struct Charset(&'static Known);

#[derive(Debug)]
struct Known {
    name: &'static str,
    scheme: Scheme,
}

#[derive(Debug)]
enum Scheme {
    /// UTF-8 already. ASCII too, whose bytes above 127 have no meaning anyhow; what is invalid goes through as it is.
    Utf8,
    Utf16 {
        little_endian: bool,
    },
    /// Without surrogates: an odd half is an error there, as it is in UTF-16.
    Ucs2,
    Utf32,
    /// The character of each byte; `?`, as at the server, where it has none.
    Single {
        characters: Box<[char; 256]>,
        over_ascii: bool,
    },
    Multi {
        encoding: &'static Encoding,
        /// Ranges of codes that the server reads in its own way, by the first: first, last, first character.
        own: Vec<(u32, u32, u32)>,
        lead: Lead,
    },
}

/// What tells how many bytes a character has.
#[derive(Debug, Clone, Copy)]
enum Lead {
    /// Two from 0x81 on.
    Double,
    /// Two, except for the katakana of one byte.
    ShiftJis,
    /// Three behind 0x8F.
    EucJp,
    /// Four where the second is a digit.
    Gb18030,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let utf = [
        ("ascii", Scheme::Utf8),
        ("utf8mb3", Scheme::Utf8),
        ("utf8mb4", Scheme::Utf8),
        ("ucs2", Scheme::Ucs2),
        ("utf16", Scheme::Utf16 { little_endian: false }),
        ("utf16le", Scheme::Utf16 { little_endian: true }),
        ("utf32", Scheme::Utf32),
    ];
    let multi = [
        ("big5", BIG5, Lead::Double),
        ("sjis", SHIFT_JIS, Lead::ShiftJis),
        ("cp932", SHIFT_JIS, Lead::ShiftJis),
        ("ujis", EUC_JP, Lead::EucJp),
        ("eucjpms", EUC_JP, Lead::EucJp),
        ("euckr", EUC_KR, Lead::Double),
        ("gb2312", GBK, Lead::Double),
        ("gbk", GBK, Lead::Double),
        ("gb18030", GB18030, Lead::Gb18030),
    ];
    let multi = multi.into_iter().map(|(name, encoding, lead)| {
        let own = lines(include_str!("charset/multi_byte.txt")).find(|(charset, _)| *charset == name);
        let own = own.map(|(_, ranges)| ranges.collect()).unwrap_or_default();
        Known { name, scheme: Scheme::Multi { encoding, own, lead } }
    });
    let single = lines(include_str!("charset/single_byte.txt")).map(|(name, ranges)| {
        let mut characters = Box::new(['?'; 256]);
        for (first, last, character) in ranges {
            for byte in first..=last {
                if let (Some(place), Some(character)) =
                    (characters.get_mut(byte as usize), char::from_u32(character + (byte - first)))
                {
                    *place = character;
                }
            }
        }
        let over_ascii = (0_u8..128).zip(characters.iter()).all(|(byte, at)| *at == char::from(byte));
        Known { name, scheme: Scheme::Single { characters, over_ascii } }
    });
    utf.into_iter().map(|(name, scheme)| Known { name, scheme }).chain(multi).chain(single).collect()
});

/// Lines of a name and ranges `first-last:character`, in hexadecimal.
fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, impl Iterator<Item = (u32, u32, u32)>)> {
    text.lines().filter_map(|line| line.split_once(' ')).map(|(name, ranges)| {
        let ranges = ranges.split(' ').filter_map(|range| {
            let (codes, character) = range.split_once(':')?;
            let (first, last) = codes.split_once('-').unwrap_or((codes, codes));
            let number = |digits| u32::from_str_radix(digits, 16).ok();
            Some((number(first)?, number(last)?, number(character)?))
        });
        (name, ranges)
    })
}

/// Appends a text of that collation as UTF-8.
///
/// # Errors
/// `Data` for a collation that is not known, and for bytes that mean nothing in its character set.
pub fn to_utf8(collation: u16, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    Charset::of(collation)?.append(bytes, out)
}

/// Whether text of that character set can be read, or is bytes.
#[must_use]
pub fn is_known(charset: &str) -> bool {
    // Its older name, of MySQL before 8.0.29 and of MariaDB under some settings.
    charset == "utf8" || charset == "binary" || KNOWN.iter().any(|known| known.name == charset)
}

impl Charset {
    /// The character set of a collation. `binary` (63) has none.
    ///
    /// # Errors
    /// `Data` for a collation that is not known.
    pub fn of(collation: u16) -> Result<Self> {
        let charset = include_str!("charset/collations.txt").lines().find_map(|line| {
            let mut words = line.split(' ');
            let (first, last): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            if (first..=last).contains(&collation) { words.next() } else { None }
        });
        let known = KNOWN.iter().find(|known| Some(known.name) == charset);
        known.map(Self).ok_or_else(|| unknown_collation(collation))
    }

    /// The server's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Appends a text as UTF-8.
    ///
    /// # Errors
    /// `Data` for bytes that mean nothing in the character set.
    #[inline]
    pub fn append(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        append(&self.0.scheme, bytes, out).ok_or_else(|| unmapped(self.0.name))
    }
}

impl PartialEq for Charset {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Charset {}

/// `None` for bytes that mean nothing.
#[inline]
fn append(scheme: &Scheme, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match scheme {
        Scheme::Utf8 => out.extend_from_slice(bytes),
        Scheme::Utf16 { little_endian } => {
            let from: fn([u8; 2]) -> u16 =
                if *little_endian { u16::from_le_bytes } else { u16::from_be_bytes };
            let (units, []) = bytes.as_chunks::<2>() else { return None };
            for character in char::decode_utf16(units.iter().map(|&unit| from(unit))) {
                push(character.ok()?, out);
            }
        }
        Scheme::Ucs2 => {
            let (units, []) = bytes.as_chunks::<2>() else { return None };
            for &unit in units {
                push(char::from_u32(u16::from_be_bytes(unit).into())?, out);
            }
        }
        Scheme::Utf32 => {
            let (units, []) = bytes.as_chunks::<4>() else { return None };
            for &unit in units {
                push(char::from_u32(u32::from_be_bytes(unit))?, out);
            }
        }
        Scheme::Single { over_ascii: true, .. } | Scheme::Multi { .. } if bytes.is_ascii() => {
            out.extend_from_slice(bytes);
        }
        Scheme::Single { characters, .. } => {
            for &byte in bytes {
                push(*characters.get(usize::from(byte))?, out);
            }
        }
        Scheme::Multi { encoding, own, lead } => append_multi(encoding, own, *lead, bytes, out)?,
    }
    Some(())
}

#[inline]
fn push(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Stretches between characters of the server's own go to the decoder as a whole.
fn append_multi(
    encoding: &'static Encoding,
    own: &[(u32, u32, u32)],
    lead: Lead,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let (mut stretch, mut at) = (0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !own.is_empty() && !rest.is_empty()) {
        let character = rest.get(..lead.bytes(rest))?;
        let code = character.iter().fold(0, |code: u32, &byte| code << 8 | u32::from(byte));
        let range = own.partition_point(|&(first, ..)| first <= code).checked_sub(1);
        let range = range.and_then(|range| own.get(range)).filter(|&&(_, last, _)| code <= last);
        if let Some(&(first, _, becomes)) = range {
            decode(encoding, bytes.get(stretch..at)?, out)?;
            push(char::from_u32(becomes + (code - first))?, out);
            stretch = at + character.len();
        }
        at += character.len();
    }
    decode(encoding, bytes.get(stretch..)?, out)
}

impl Lead {
    /// Bytes of the character that `rest` begins with.
    fn bytes(self, rest: &[u8]) -> usize {
        let Some(&first) = rest.first() else { return 0 };
        match (self, first) {
            (_, 0..=0x80) | (Self::ShiftJis, 0xA0..=0xDF) => 1,
            (Self::EucJp, 0x8F) => 3,
            (Self::Gb18030, _) if rest.get(1).is_some_and(u8::is_ascii_digit) => 4,
            _ => 2,
        }
    }
}

fn decode(encoding: &'static Encoding, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let start = out.len();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len())?;
    out.resize(start + room, 0);
    let target = out.get_mut(start..)?;
    let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, target, true);
    out.truncate(start + written);
    (result == DecoderResult::InputEmpty && read == bytes.len()).then_some(())
}

#[cfg(test)]
mod tests;
