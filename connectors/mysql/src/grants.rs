//! What `SHOW GRANTS` says we may do. Pure but for the question itself. `check` asks.

use tailwater_core::Result;
use tailwater_core::error::Doing as _;

use crate::connection::Connection;

/// One line: rights, and on what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    rights: Vec<String>,
    /// `None` is every schema; a pattern of LIKE otherwise.
    schema: Option<String>,
    /// `None` is every table.
    table: Option<String>,
}

/// Everything that is granted, directly or by active roles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grants(Vec<Grant>);

impl Grants {
    pub(crate) async fn read(connection: &mut Connection) -> Result<Self> {
        let version = connection.server_version();
        let has_roles = !version.is_mariadb() && version.number >= (8, 0, 0);
        let mut sql = "SHOW GRANTS".to_owned();
        if has_roles {
            let row = connection.query("SELECT CURRENT_ROLE()").await?.into_iter().next();
            let roles = row.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default();
            if roles != "NONE" && !roles.is_empty() {
                sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
            }
        }
        let rows = connection.query(&sql).await.doing(|| "read what is granted")?;
        Ok(Self::parse(rows.iter().filter_map(|row| row.first()?.as_deref())))
    }

    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        Self(lines.filter_map(parse_line).collect())
    }

    /// Whether one of the rights is granted for the whole server.
    pub(crate) fn globally(&self, rights: &[&str]) -> bool {
        self.0.iter().any(|grant| grant.schema.is_none() && grant.has(rights))
    }

    /// Whether the right is granted for a table.
    pub(crate) fn on_table(&self, right: &str, schema: &str, table: &str) -> bool {
        self.0.iter().any(|grant| {
            grant.has(&[right])
                && grant.schema.as_deref().is_none_or(|pattern| like(pattern, schema))
                && grant.table.as_deref().is_none_or(|name| name == table)
        })
    }
}

impl Grant {
    fn has(&self, rights: &[&str]) -> bool {
        self.rights.iter().any(|have| have == "ALL PRIVILEGES" || rights.contains(&have.as_str()))
    }
}

/// ``GRANT SELECT, INSERT ON `shop`.* TO …``; lines about roles and proxies are none.
fn parse_line(line: &str) -> Option<Grant> {
    let (rights, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let (object, _) = rest.split_once(" TO ")?;
    let (schema, table) = object
        .split_once("`.")
        .map_or_else(|| object.split_once('.'), |(schema, table)| Some((schema, table)))?;
    let name = |text: &str| {
        let text = text.strip_prefix('`').unwrap_or(text);
        let text = text.strip_suffix('`').unwrap_or(text).replace("``", "`");
        (text != "*").then_some(text)
    };
    let rights = rights.split(", ").map(str::to_owned).collect();
    Some(Grant { rights, schema: name(schema), table: name(table) })
}

/// LIKE, without regard to case, as rights on schemas have it.
fn like(pattern: &str, text: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = letters.as_str();
            (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| like(rest, text))
        }
        Some(letter) => {
            let (letter, any) = match letter {
                '\\' => (letters.next().unwrap_or('\\'), false),
                '_' => ('_', true),
                other => (other, false),
            };
            let mut rest = text.chars();
            rest.next().is_some_and(|first| any || first.eq_ignore_ascii_case(&letter))
                && like(letters.as_str(), rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants() {
        let grants = Grants::parse(
            [
                "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `cdc`@`%` IDENTIFIED BY PASSWORD '*x'",
                "GRANT SELECT ON `my\\_shop`.* TO `cdc`@`%`",
                "GRANT SELECT, UPDATE ON `a.b`.`t``x` TO `cdc`@`%`",
                "GRANT `reader`@`%` TO `cdc`@`%`",
                "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
            ]
            .into_iter(),
        );
        assert!(grants.globally(&["REPLICATION CLIENT", "BINLOG MONITOR"]) && !grants.globally(&["SELECT"]));
        assert!(grants.on_table("SELECT", "my_shop", "t") && !grants.on_table("SELECT", "myxshop", "t"));
        assert!(grants.on_table("SELECT", "a.b", "t`x") && !grants.on_table("SELECT", "a.b", "u"));
        let all = Grants::parse(
            ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"].into_iter(),
        );
        assert!(all.globally(&["RELOAD"]) && all.on_table("SELECT", "s", "t"));
        for (pattern, text, expected) in [
            ("%", "x", true),
            ("a%", "ab", true),
            ("a_", "a", false),
            ("A", "a", true),
            ("a\\%", "ab", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
