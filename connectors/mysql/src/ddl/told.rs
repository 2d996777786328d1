//! Which statements are told in their own words, and in which: one for each captured table that a statement speaks of.
//! Pure; `assemble` asks, where somebody wants to be told.
//!
//! What is told is what Debezium's connectors tell of captured tables: statements that make, change, rename or drop them, and
//! those that make or drop a database. `integration-tests/debezium/ALLOWED.md` says what is not.

use std::ops::Range;

use tailwater_core::Verb;

use super::tokens::{self, Token};
use super::{Name, Reading, Statement};
use crate::quote;

/// A statement, or what is told of it about one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) database: String,
    pub(crate) text: String,
    pub(crate) table: Option<(Verb, Name)>,
}

/// What is captured.
pub(crate) trait Captured {
    fn table(&self, name: &Name) -> bool;
    /// Whether any table of it may be.
    fn database(&self, name: &str) -> bool;
}

/// What is told of the statement `text`, which was read as `statement`.
pub(crate) fn told(
    text: &str,
    statement: &Statement,
    reading: Reading<'_>,
    captured: &impl Captured,
) -> Vec<Told> {
    let about = |verb, name: &Name| Told {
        database: name.schema.clone(),
        text: bare(text).to_owned(),
        table: Some((verb, name.clone())),
    };
    match statement {
        Statement::Create(create) if captured.table(&create.table) => {
            vec![about(Verb::Create, &create.table)]
        }
        // And not those that are about an index alone.
        Statement::Alter(alter) if tokens::tokens(text).first().is_some_and(|word| word.is("ALTER")) => {
            let name = alter.rename.as_ref().unwrap_or(&alter.table);
            let wanted = captured.table(name) || captured.table(&alter.table);
            if wanted { vec![about(Verb::Alter, name)] } else { Vec::new() }
        }
        Statement::Rename(pairs) => renamed(text, pairs, captured),
        Statement::Drop(names) => {
            let perhaps = tokens::tokens(text).get(2).is_some_and(|word| word.is("IF"));
            let wanted = names.iter().filter(|name| captured.table(name));
            wanted.map(|name| dropped(name, perhaps)).collect()
        }
        Statement::DropSchema(database) => of_database(text, database, captured),
        Statement::Other => {
            created_database(text, reading).map(|name| of_database(text, &name, captured)).unwrap_or_default()
        }
        Statement::Create(_) | Statement::Alter(_) | Statement::Truncate(_) | Statement::Rows(_) => {
            Vec::new()
        }
        Statement::Begin | Statement::Commit | Statement::Rollback | Statement::RollbackTo => Vec::new(),
        Statement::XaStart | Statement::XaCommit(_) | Statement::XaRollback(_) => Vec::new(),
    }
}

/// `DROP TABLE` of one table.
pub(crate) fn dropped(name: &Name, perhaps: bool) -> Told {
    let perhaps = if perhaps { "IF EXISTS " } else { "" };
    Told {
        database: name.schema.clone(),
        text: format!("DROP TABLE {perhaps}{}", quote::qualified(&name.schema, &name.table)),
        table: Some((Verb::Drop, name.clone())),
    }
}

fn of_database(text: &str, database: &str, captured: &impl Captured) -> Vec<Told> {
    let told = || Told { database: database.to_owned(), text: bare(text).to_owned(), table: None };
    if captured.database(database) { vec![told()] } else { Vec::new() }
}

/// Without what stands before its first word and behind its last.
fn bare(text: &str) -> &str {
    let words = tokens::placed(text);
    let (Some((_, first)), Some((_, last))) = (words.first(), words.last()) else { return text };
    let end = match text.get(last.end..).is_some_and(|rest| rest.trim_start().starts_with("*/")) {
        // It ends in a comment that is code.
        true => text.trim_end().len(),
        false => last.end,
    };
    text.get(first.start..end).unwrap_or(text)
}

/// `CREATE DATABASE`
fn created_database(text: &str, reading: Reading<'_>) -> Option<String> {
    let words = tokens::tokens(text);
    let [first, second, rest @ ..] = words.as_slice() else { return None };
    if !first.is("CREATE") || !(second.is("DATABASE") || second.is("SCHEMA")) {
        return None;
    }
    let name = rest.iter().find(|word| !["IF", "NOT", "EXISTS"].iter().any(|keyword| word.is(keyword)))?;
    let name = match name {
        Token::Word(name) => name,
        Token::Quoted(name) | Token::Double(name) => name.as_ref(),
        Token::Text(_) | Token::Escaped | Token::Hex(_) | Token::Bits(_) | Token::Mark(_) => return None,
    };
    Some(if reading.lower_case { name.to_lowercase() } else { name.to_owned() })
}

/// `RENAME TABLE` of each pair, as it was written.
fn renamed(text: &str, pairs: &[(Name, Name)], captured: &impl Captured) -> Vec<Told> {
    let words = tokens::placed(text);
    let keywords = ["RENAME", "TABLE", "TABLES", "IF", "EXISTS"];
    let names = words.iter().skip_while(|(word, _)| keywords.iter().any(|keyword| word.is(keyword)));
    let names: Vec<&(Token<'_>, Range<usize>)> = names.collect();
    let clauses = names.split(|(word, _)| *word == Token::Mark(','));
    let clause = |words: &[&(Token<'_>, Range<usize>)]| {
        let (first, last) = (words.first()?, words.last()?);
        text.get(first.1.start..last.1.end)
    };
    let told = clauses.zip(pairs).filter_map(|(words, (from, to))| {
        let wanted = captured.table(from) || captured.table(to);
        let text = format!("RENAME TABLE {}", clause(words)?);
        let table = Some((Verb::Alter, to.clone()));
        wanted.then(|| Told { database: to.schema.clone(), text, table })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shop;

    impl Captured for Shop {
        fn table(&self, name: &Name) -> bool {
            name.schema == "shop" && name.table != "other"
        }

        fn database(&self, name: &str) -> bool {
            name == "shop"
        }
    }

    fn check(text: &str, expected: &[(&str, &str)]) {
        let reading = Reading { schema: "shop", lower_case: false };
        let told = told(text, &Statement::read(text, reading), reading, &Shop);
        let told: Vec<(String, &str)> = told
            .iter()
            .map(|told| {
                let about = |(verb, name): &(Verb, Name)| format!("{verb:?} {}.{}", name.schema, name.table);
                (told.table.as_ref().map(about).unwrap_or_default(), told.text.as_str())
            })
            .collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(about, text)| (about.as_str(), *text)).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn tells_what_was_written_of_captured_tables() {
        let create = "CREATE TABLE t (a int) -- b";
        check(create, &[("Create shop.t", "CREATE TABLE t (a int)")]);
        check(
            "/* why */ ALTER TABLE\n`t` ADD b int, -- x\n DROP c /* y */",
            &[("Alter shop.t", "ALTER TABLE\n`t` ADD b int, -- x\n DROP c")],
        );
        check("ALTER TABLE t RENAME TO other", &[("Alter shop.other", "ALTER TABLE t RENAME TO other")]);
        check("ALTER TABLE other RENAME TO elsewhere.t", &[]);
        check(
            "CREATE TABLE t (a int) /*!50100 PARTITION BY HASH (a) */",
            &[("Create shop.t", "CREATE TABLE t (a int) /*!50100 PARTITION BY HASH (a) */")],
        );
        for not_told in [
            "CREATE TABLE other (a int)",
            "TRUNCATE t",
            "CREATE INDEX i ON t (a)",
            "DROP INDEX i ON t",
            "CREATE UNIQUE INDEX i ON t (a)",
            "CREATE VIEW v AS SELECT 1",
            "CREATE TEMPORARY TABLE t (a int)",
            "CREATE USER u",
            "DROP VIEW v",
            "CREATE DATABASE elsewhere",
            "BEGIN",
            "",
        ] {
            check(not_told, &[]);
        }
    }

    #[test]
    fn tells_of_each_table_alone() {
        check(
            "DROP TABLE IF EXISTS `t`,`other`,elsewhere.u,`u` /* generated by server */",
            &[
                ("Drop shop.t", "DROP TABLE IF EXISTS `shop`.`t`"),
                ("Drop shop.u", "DROP TABLE IF EXISTS `shop`.`u`"),
            ],
        );
        check("DROP TABLE `a``b`", &[("Drop shop.a`b", "DROP TABLE `shop`.`a``b`")]);
        check(
            "RENAME TABLE shop.t  TO `u,v`, /* and */ other TO w, other TO elsewhere.w",
            &[
                ("Alter shop.u,v", "RENAME TABLE shop.t  TO `u,v`"),
                ("Alter shop.w", "RENAME TABLE other TO w"),
            ],
        );
    }

    #[test]
    fn tells_of_databases() {
        check(
            "create schema if not exists `shop` charset latin1",
            &[("", "create schema if not exists `shop` charset latin1")],
        );
        check("DROP DATABASE shop", &[("", "DROP DATABASE shop")]);
        check("DROP DATABASE elsewhere", &[]);
    }
}
