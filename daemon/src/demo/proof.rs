//! The proof at the end of the demo: each table hashed on both sides, from the same text of the same values.

use tailwater_core::digest::Digest;
use tailwater_core::{Error, Result};

use super::Source;
use super::session::Session;
use super::shop::TABLES;
use crate::config::Pipeline;
use crate::kinds;

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
pub(super) async fn compare(
    source: Source,
    session: &mut Session,
    pipeline: &Pipeline,
) -> Result<Vec<Compared>> {
    let shop = source.shop();
    let mut compared = Vec::new();
    for (table, sql) in TABLES.into_iter().zip(shop.rows) {
        let source = session.digest(sql).await.map_err(|error| error.doing(format!("read {table}")))?;
        let target = kinds::digest(pipeline, shop.schema, table)?;
        compared.push(Compared { table, source, target });
    }
    Ok(compared)
}

/// The verdict, side by side.
pub(super) fn describe(source: Source, compared: &[Compared]) -> String {
    let side = |digest: &Digest| format!("{:>9} rows {:032x}", digest.rows, digest.hash);
    let line = |compared: &Compared| {
        let verdict = if compared.equal() { "equal" } else { "DIFFERENT" };
        format!("{:<12} {}  {}  {verdict}", compared.table, side(&compared.source), side(&compared.target))
    };
    let of = |name: &str| format!("{name:>13}, content hash");
    let head = format!("{:<12} {:<47}  {:<47}", "table", of(source.name()), of("DuckDB"));
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
        .assert_eq(&describe(Source::Postgres, &[same, content]));
    }
}
