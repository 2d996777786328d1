//! A content hash of a table that does not depend on the order of its rows: how a target is proved equal to its
//! source. What text a value is hashed as is the caller's matter; both sides must print it the same way.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// Number and content hash of rows. Equal digests mean equal multisets of rows, as far as 128 bits can say.
///
/// The hash is the wrapping sum of one 128-bit hash per row, so rows may come in any order and from several
/// readers; a row that comes twice counts twice. It is the same in every process and on every machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// Rows added.
    pub rows: u64,
    /// Sum of their hashes.
    pub hash: u128,
}

impl Digest {
    /// Adds a row; `None` is NULL, which differs from the empty text.
    pub fn add_row<'v>(&mut self, values: impl Iterator<Item = Option<&'v [u8]>>) {
        let mut hasher = Xxh3::new();
        for value in values {
            match value {
                // The length before each value keeps ("ab", "c") and ("a", "bc") apart.
                Some(text) => {
                    hasher.update(&(text.len() as u64).to_le_bytes());
                    hasher.update(text);
                }
                None => hasher.update(&u64::MAX.to_le_bytes()),
            }
        }
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hasher.digest128());
    }

    /// Adds the rows of another digest.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows {:032x}", self.rows, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Option<&str>]]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add_row(row.iter().map(|value| value.map(str::as_bytes)));
        }
        digest
    }

    #[test]
    fn depends_on_rows_and_not_on_their_order() {
        let (one, two): (&[_], &[_]) = (&[Some("1"), Some("x")], &[Some("2"), None]);
        assert_eq!(digest(&[one, two]), digest(&[two, one]));
        assert_ne!(digest(&[one, two]), digest(&[one]));
        assert_ne!(digest(&[one, one]), digest(&[two, two]));
        assert_ne!(digest(&[one, one]).hash, 0, "a row that comes twice must not cancel itself out");
        let mut merged = digest(&[one]);
        merged.merge(digest(&[two]));
        assert_eq!(merged, digest(&[one, two]));
    }

    #[test]
    fn keeps_null_empty_and_the_borders_between_values_apart() {
        let rows: [&[Option<&str>]; 7] = [
            &[],
            &[None],
            &[Some("")],
            &[Some("ab"), Some("c")],
            &[Some("a"), Some("bc")],
            &[Some("abc"), Some("")],
            &[Some("abc"), None],
        ];
        for (index, row) in rows.iter().enumerate() {
            for other in &rows[index + 1..] {
                assert_ne!(digest(&[row]), digest(&[other]), "{row:?} {other:?}");
            }
        }
    }

    #[test]
    fn is_the_same_in_every_process() {
        expect_test::expect!["1 rows c326e71f4fd9c23f97b4b91552ea37cb"]
            .assert_eq(&digest(&[&[Some("1"), None, Some("ä")]]).to_string());
    }
}
