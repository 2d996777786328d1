//! Numbers for tuples of values: equal tuples have the same number. Its memory is reused from run to run, so that a
//! steady stream allocates nothing for its keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use tailwater_core::Value;

/// Tuples by number, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    tuples: Vec<Tuple>,
    /// Hash of a tuple to the number of the newest that has it.
    newest: HashMap<u64, usize>,
    hasher: RandomState,
    wanted: Vec<u8>,
}

#[derive(Debug)]
struct Tuple {
    /// Span of `Keys::bytes`: a length before each value.
    start: usize,
    end: usize,
    /// The number of the one before it that has the same hash.
    next: Option<usize>,
}

/// The length that stands for NULL.
const NULL: u32 = u32::MAX;

impl Keys {
    /// Forgets all tuples, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.tuples.clear();
        self.newest.clear();
    }

    /// The number of a tuple, which is how many there were where it is new; `None` where a value is unsent.
    pub(crate) fn number<'v>(&mut self, values: impl Iterator<Item = Value<'v>>) -> Option<usize> {
        self.wanted.clear();
        for value in values {
            match value {
                Value::Unsent => return None,
                Value::Null => self.wanted.extend_from_slice(&NULL.to_ne_bytes()),
                Value::Text(text) => {
                    // A batch holds less than 4 GiB in all.
                    let length = u32::try_from(text.len()).ok()?;
                    self.wanted.extend_from_slice(&length.to_ne_bytes());
                    self.wanted.extend_from_slice(text);
                }
            }
        }
        let hash = self.hasher.hash_one(self.wanted.as_slice());
        let newest = self.newest.get(&hash).copied();
        let mut candidate = newest;
        while let Some(number) = candidate {
            let tuple = self.tuples.get(number)?;
            if self.bytes.get(tuple.start..tuple.end) == Some(self.wanted.as_slice()) {
                return Some(number);
            }
            candidate = tuple.next;
        }
        let (start, number) = (self.bytes.len(), self.tuples.len());
        self.bytes.extend_from_slice(&self.wanted);
        self.tuples.push(Tuple { start, end: self.bytes.len(), next: newest });
        self.newest.insert(hash, number);
        Some(number)
    }

    /// Value `index` of a tuple.
    pub(crate) fn value(&self, number: usize, index: usize) -> Value<'_> {
        let span = self.tuples.get(number).and_then(|tuple| self.bytes.get(tuple.start..tuple.end));
        let mut rest = span.unwrap_or_default();
        for _ in 0..index {
            rest = split(rest).map_or(&[], |(_, rest)| rest);
        }
        split(rest).map_or(Value::Unsent, |(value, _)| value)
    }
}

fn split(tuple: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (length, rest) = tuple.split_first_chunk::<4>()?;
    match u32::from_ne_bytes(*length) {
        NULL => Some((Value::Null, rest)),
        length => rest.split_at_checked(length as usize).map(|(text, rest)| (Value::Text(text), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_apart_what_differs_and_knows_what_is_equal() {
        let mut keys = Keys::default();
        let tuples: [&[Value<'static>]; 6] = [
            &[Value::Text(b"a"), Value::Text(b"bc")],
            &[Value::Text(b"ab"), Value::Text(b"c")],
            &[Value::Text(b""), Value::Null],
            &[Value::Null, Value::Text(b"")],
            &[Value::Text(b"a"), Value::Text(b"bc")],
            &[Value::Text(b"a"), Value::Unsent],
        ];
        let numbers: Vec<_> = tuples.iter().map(|tuple| keys.number(tuple.iter().copied())).collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(0), None]);
        for (number, tuple) in tuples.iter().take(4).enumerate() {
            assert_eq!([keys.value(number, 0), keys.value(number, 1)], **tuple);
        }
    }
}
