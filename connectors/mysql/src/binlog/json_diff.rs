//! What PARTIAL_UPDATE_ROWS says of a JSON column, applied to the document before: parts replaced, inserted, removed.
//! Only the containers on the way to a change are taken apart; what comes out is printed as the server prints it.
//!
//! A diff is one byte of what to do, a path and, unless it removes, a document, both behind their lengths.

use tailwater_core::Result;

use super::json::{Container, DEPTH_MAX, Json, Printer};
use crate::error::malformed;

/// Appends the text of the document that `before` becomes.
///
/// # Errors
/// `Data` for a diff that cannot be read, or that does not fit the document.
pub fn write(before: &[u8], diffs: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut root = Node::Stored(Json::document(before)?);
    let mut rest = diffs;
    while let Some((&operation, behind)) = rest.split_first() {
        let (path, behind) = counted(behind)?;
        let legs = legs(path)?;
        let operation = match operation {
            0 | 1 => {
                let (document, behind) = counted(behind)?;
                rest = behind;
                let new = Node::Stored(Json::document(document)?);
                if operation == 0 { Operation::Replace(new) } else { Operation::Insert(new) }
            }
            2 => {
                rest = behind;
                Operation::Remove
            }
            other => return Err(malformed(format!("a JSON diff of kind {other}"))),
        };
        apply(&mut root, &legs, operation)?;
    }
    root.print(&mut Printer::new(before.len() + diffs.len(), out), 0)
}

/// A part of the document: as it is stored until something in it changes.
enum Node<'a> {
    Stored(Json<'a>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Key<'a>, Node<'a>)>),
}

type Key<'a> = std::borrow::Cow<'a, [u8]>;

enum Operation<'a> {
    Replace(Node<'a>),
    Insert(Node<'a>),
    Remove,
}

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Leg<'a> {
    Member(Key<'a>),
    Cell(usize),
    /// So many before the last.
    FromEnd(usize),
}

fn apply<'a>(root: &mut Node<'a>, legs: &[Leg<'a>], operation: Operation<'a>) -> Result<()> {
    let Some((last, way)) = legs.split_last() else {
        return Err(malformed("a JSON diff of the whole document"));
    };
    let mut parent = root;
    for leg in way {
        parent = match (parent.opened()?, leg) {
            (Node::Array(cells), Leg::Cell(_) | Leg::FromEnd(_)) => {
                leg.place(cells.len()).and_then(|at| cells.get_mut(at))
            }
            (Node::Object(members), Leg::Member(name)) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
        .ok_or_else(misfit)?;
    }
    match (parent.opened()?, last) {
        (Node::Array(cells), Leg::Cell(_) | Leg::FromEnd(_)) => {
            let place = last.place(cells.len());
            match operation {
                Operation::Insert(new) => cells.insert(place.unwrap_or(cells.len()).min(cells.len()), new),
                Operation::Replace(new) => {
                    *place.and_then(|at| cells.get_mut(at)).ok_or_else(misfit)? = new;
                }
                Operation::Remove => {
                    let at = place.filter(|&at| at < cells.len()).ok_or_else(misfit)?;
                    cells.remove(at);
                }
            }
        }
        (Node::Object(members), Leg::Member(name)) => {
            // Keys are ordered by length, then by bytes.
            let found = members.binary_search_by(|(key, _)| (key.len(), key).cmp(&(name.len(), name)));
            match (operation, found) {
                (Operation::Insert(new), Err(at)) => members.insert(at, (name.clone(), new)),
                (Operation::Replace(new), Ok(at)) => {
                    members.get_mut(at).ok_or_else(misfit)?.1 = new;
                }
                (Operation::Remove, Ok(at)) => {
                    members.remove(at);
                }
                _ => return Err(misfit()),
            }
        }
        _ => return Err(misfit()),
    }
    Ok(())
}

fn misfit() -> tailwater_core::Error {
    malformed("a JSON diff that does not fit the document before")
}

impl Leg<'_> {
    /// Its place in an array of so many cells, which may be behind its end.
    fn place(&self, count: usize) -> Option<usize> {
        match self {
            Self::Cell(at) => Some(*at),
            Self::FromEnd(back) => count.checked_sub(back + 1),
            Self::Member(_) => None,
        }
    }
}

impl<'a> Node<'a> {
    /// Itself, its container taken apart by one level.
    fn opened(&mut self) -> Result<&mut Self> {
        match self {
            Self::Stored(Json::Array(array)) => {
                let cells = (0..array.count).map(|at| Ok(Self::Stored(array.value(at)?)));
                *self = Self::Array(cells.collect::<Result<_>>()?);
            }
            Self::Stored(Json::Object(object)) => *self = Self::Object(members(object)?),
            Self::Stored(_) | Self::Array(_) | Self::Object(_) => {}
        }
        Ok(self)
    }

    fn print(&self, printer: &mut Printer<'_>, depth: u32) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(malformed(format!("a JSON document deeper than {DEPTH_MAX}")));
        }
        match self {
            Self::Stored(json) => printer.json(*json, depth)?,
            Self::Array(cells) => {
                printer.open(b'[');
                for (index, cell) in cells.iter().enumerate() {
                    printer.separate(index);
                    cell.print(printer, depth + 1)?;
                }
                printer.close(b']');
            }
            Self::Object(members) => {
                printer.open(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    printer.separate(index);
                    printer.key(key, depth)?;
                    value.print(printer, depth + 1)?;
                }
                printer.close(b'}');
            }
        }
        Ok(())
    }
}

fn members<'a>(object: &Container<'a>) -> Result<Vec<(Key<'a>, Node<'a>)>> {
    (0..object.count).map(|at| Ok((object.key(at)?.into(), Node::Stored(object.value(at)?)))).collect()
}

/// A length as the protocol writes it, and so many bytes; what follows them.
fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let short = || malformed("a JSON diff shorter than its lengths");
    let (length, rest) = length(bytes).ok_or_else(short)?;
    usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)).ok_or_else(short)
}

/// A number as the protocol writes it: one byte below 251, otherwise how many bytes it has.
pub(super) fn length(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let width = match first {
        0..251 => return Some((first.into(), rest)),
        252 => 2,
        253 => 3,
        254 => 8,
        251 | 255 => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    Some((number.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)), rest))
}

/// `$.name."a b"[3][last-1]`
fn legs(path: &[u8]) -> Result<Vec<Leg<'_>>> {
    let unreadable = || malformed("a path of a JSON diff that cannot be read");
    let mut rest = path.strip_prefix(b"$").ok_or_else(unreadable)?;
    let mut legs = Vec::new();
    while let Some((&first, behind)) = rest.split_first() {
        let (leg, behind) = match first {
            b'.' => member(behind),
            b'[' => cell(behind),
            _ => None,
        }
        .ok_or_else(unreadable)?;
        legs.push(leg);
        rest = behind;
    }
    Ok(legs)
}

fn member(rest: &[u8]) -> Option<(Leg<'_>, &[u8])> {
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let end = rest.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(rest.len());
        let (name, rest) = rest.split_at_checked(end)?;
        return (!name.is_empty()).then_some((Leg::Member(name.into()), rest));
    };
    let mut name = Vec::new();
    let mut rest = quoted;
    loop {
        match *rest {
            [b'"', ref behind @ ..] => return Some((Leg::Member(name.into()), behind)),
            [b'\\', b'u', ref behind @ ..] => {
                let (character, behind) = escaped(behind)?;
                name.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = behind;
            }
            [b'\\', letter, ref behind @ ..] => {
                name.push(match letter {
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'f' => 0x0C,
                    b'r' => b'\r',
                    plain => plain,
                });
                rest = behind;
            }
            [byte, ref behind @ ..] => {
                name.push(byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

/// Four hexadecimal digits, or twice four of a pair of surrogates.
fn escaped(rest: &[u8]) -> Option<(char, &[u8])> {
    let unit = |rest| -> Option<(u16, &[u8])> {
        let (digits, rest) = <[u8]>::split_at_checked(rest, 4)?;
        Some((u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, rest))
    };
    let (high, rest) = unit(rest)?;
    match char::from_u32(high.into()) {
        Some(character) => Some((character, rest)),
        None => {
            let (low, rest) = unit(rest.strip_prefix(b"\\u")?)?;
            Some((char::decode_utf16([high, low]).next()?.ok()?, rest))
        }
    }
}

fn cell(rest: &[u8]) -> Option<(Leg<'_>, &[u8])> {
    let end = rest.iter().position(|&byte| byte == b']')?;
    let inside = std::str::from_utf8(rest.get(..end)?).ok()?;
    let leg = match inside.strip_prefix("last") {
        None => Leg::Cell(inside.trim().parse().ok()?),
        Some("") => Leg::FromEnd(0),
        Some(back) => Leg::FromEnd(back.trim_start().strip_prefix('-')?.trim().parse::<u32>().ok()? as usize),
    };
    Some((leg, rest.get(end + 1..)?))
}

#[cfg(test)]
mod tests;
