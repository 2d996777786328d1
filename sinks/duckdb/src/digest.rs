//! Rows of a query as the text that Postgres prints: as a digest, by which a target is proved equal to its source, or
//! whole, for tests and answers. The query names the columns and their order, so that both sides agree on them.

use tailwater_core::Result;
use tailwater_core::digest::Digest;

use crate::database::{Connection, QueryResult};
use crate::values::RowText;

/// Number and content hash of the rows that `query` gives, in any order.
///
/// # Errors
/// What is wrong with the query, or a column of a type that is not rendered.
pub fn digest(connection: &Connection, query: &str) -> Result<Digest> {
    let mut digest = Digest::default();
    let mut result = connection.query(query)?;
    each_row(&mut result, |row| {
        digest.add_row(row.values());
        Ok(())
    })?;
    Ok(digest)
}

/// The rows that `query` gives, in its order; `None` is NULL.
///
/// # Errors
/// As [`digest`].
pub fn dump(connection: &Connection, query: &str) -> Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    let mut result = connection.query(query)?;
    each_row(&mut result, |row| {
        let text = |value: Option<&[u8]>| value.map(|text| String::from_utf8_lossy(text).into_owned());
        rows.push(row.values().map(text).collect());
        Ok(())
    })?;
    Ok(rows)
}

/// Calls `visit` with every row; ends with its first error.
pub(crate) fn each_row(
    result: &mut QueryResult<'_>,
    mut visit: impl FnMut(&RowText) -> Result<()>,
) -> Result<()> {
    let mut text = RowText::default();
    while let Some(rows) = result.next_rows()? {
        let columns = rows.columns()?;
        for row in 0..rows.len() {
            text.render(&columns, row);
            visit(&text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Database;

    #[test]
    fn says_what_is_there_and_not_in_which_order() {
        let connection = Database::open(Path::new(":memory:"), &[]).unwrap().connect().unwrap();
        connection
            .execute(
                "CREATE TABLE t (a INTEGER, b VARCHAR, c DOUBLE[], d TIMESTAMPTZ);
                 INSERT INTO t VALUES (1, 'x', [1, NULL], '2026-11-21 00:00:00+00'), (2, '', NULL, 'infinity'), (3, NULL, [], NULL)",
            )
            .unwrap();
        let rows = dump(&connection, "SELECT * FROM t ORDER BY a").unwrap();
        let text = rows.iter().map(|row| {
            let values: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or("∅")).collect();
            values.join(" | ")
        });
        expect_test::expect![[r#"
            1 | x | {1,NULL} | 2026-11-21 00:00:00+00
            2 |  | ∅ | infinity
            3 | ∅ | {} | ∅"#]]
        .assert_eq(&text.collect::<Vec<_>>().join("\n"));

        let whole = digest(&connection, "SELECT * FROM t ORDER BY a").unwrap();
        assert_eq!(whole, digest(&connection, "SELECT * FROM t ORDER BY a DESC").unwrap());
        assert_eq!(whole.rows, 3);
        assert_ne!(whole, digest(&connection, "SELECT * REPLACE (coalesce(b, '') AS b) FROM t").unwrap());
        assert_ne!(whole, digest(&connection, "SELECT * FROM t WHERE a > 1").unwrap());
        let mut expected = Digest::default();
        for row in &rows {
            expected.add_row(row.iter().map(|value| value.as_ref().map(String::as_bytes)));
        }
        assert_eq!(whole, expected);
    }

    #[test]
    fn names_what_it_cannot_render() {
        let connection = Database::open(Path::new(":memory:"), &[]).unwrap().connect().unwrap();
        assert_eq!(digest(&connection, "SELECT {'a': 1} AS s").unwrap_err().code(), "TW-DUCK-019");
        assert_eq!(digest(&connection, "SELECT * FROM nowhere").unwrap_err().code(), "TW-DUCK-008");
        let late = "SELECT CASE WHEN i = 5000 THEN 'x' ELSE i::VARCHAR END::INTEGER FROM range(10000) r(i)";
        assert_eq!(digest(&connection, late).unwrap_err().code(), "TW-DUCK-009");
    }
}
