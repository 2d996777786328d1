//! The proof at the end of the demo: each table hashed on both sides, from the same text of the same values.

use tailwater_core::digest::Digest;
use tailwater_core::{Error, Result};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::shop::TABLES;
use super::traffic::failed;
use crate::config::Pipeline;
use crate::kinds;

/// Rows fetched at a time, so that no table need fit into memory.
const FETCH: &str = "FETCH 20000 FROM all_rows";
/// The session settings under which text is the same wherever it is printed; the pipeline uses the same.
const PLAIN_TEXT: &str = "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
    SET extra_float_digits = 1; SET bytea_output = 'hex'";

/// What was found about one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) table: &'static str,
    pub(super) source: Digest,
    pub(super) target: Digest,
}

impl Compared {
    pub(super) fn equal(&self) -> bool {
        self.source == self.target
    }
}

/// Reads every table whole, on both sides.
///
/// # Errors
/// Where one of them cannot be read.
pub(super) async fn compare(source: &Client, pipeline: &Pipeline) -> Result<Vec<Compared>> {
    source.batch_execute(PLAIN_TEXT).await.map_err(|error| failed("prepare the proof on", &error))?;
    let mut compared = Vec::new();
    for table in TABLES {
        let source = digest_source(source, table).await?;
        let target = kinds::digest(pipeline, "public", table)?;
        compared.push(Compared { table, source, target });
    }
    Ok(compared)
}

/// Over the simple protocol, in which the server prints every value by itself; a cast to text would print some
/// types in another way.
async fn digest_source(client: &Client, table: &str) -> Result<Digest> {
    let trouble = |error: tokio_postgres::Error| failed(&format!("read {table} from"), &error);
    let open = format!("BEGIN; DECLARE all_rows CURSOR FOR SELECT * FROM {table}");
    client.batch_execute(&open).await.map_err(trouble)?;
    let mut digest = Digest::default();
    loop {
        let before = digest.rows;
        for message in client.simple_query(FETCH).await.map_err(trouble)? {
            if let SimpleQueryMessage::Row(row) = message {
                digest.add_row((0..row.len()).map(|column| row.get(column).map(str::as_bytes)));
            }
        }
        if digest.rows == before {
            break;
        }
    }
    client.batch_execute("COMMIT").await.map_err(trouble)?;
    Ok(digest)
}

/// The verdict, side by side.
pub(super) fn describe(compared: &[Compared]) -> String {
    let side = |digest: &Digest| format!("{:>9} rows {:032x}", digest.rows, digest.hash);
    let line = |compared: &Compared| {
        let verdict = if compared.equal() { "equal" } else { "DIFFERENT" };
        format!("{:<12} {}  {}  {verdict}", compared.table, side(&compared.source), side(&compared.target))
    };
    let head = format!(
        "{:<12} {:<47}  {:<47}",
        "table", "     Postgres, content hash", "       DuckDB, content hash"
    );
    std::iter::once(head.trim_end().to_owned())
        .chain(compared.iter().map(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The error when anything differs.
pub(super) fn different(compared: &[Compared]) -> Option<Error> {
    let tables: Vec<&str> =
        compared.iter().filter(|compared| !compared.equal()).map(|compared| compared.table).collect();
    (!tables.is_empty()).then(|| {
        let message = format!("source and target differ in {}", tables.join(", "));
        Error::data("TW-DEMO-012", message).remedy("please report it with demo-data/tailwater.log")
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_difference_is_seen_in_rows_and_in_content() {
        let digest = |rows, hash| Digest { rows, hash };
        let same =
            Compared { table: "orders", source: digest(200_000, 0xabc), target: digest(200_000, 0xabc) };
        let content = Compared { table: "stock", source: digest(2, 1), target: digest(2, 2) };
        assert!(different(&[same]).is_none());
        assert!(
            different(&[same, content]).is_some_and(|error| error.message().ends_with("differ in stock"))
        );
        expect![[r#"
            table             Postgres, content hash                             DuckDB, content hash
            orders          200000 rows 00000000000000000000000000000abc     200000 rows 00000000000000000000000000000abc  equal
            stock                2 rows 00000000000000000000000000000001          2 rows 00000000000000000000000000000002  DIFFERENT"#]]
        .assert_eq(&describe(&[same, content]));
    }
}
