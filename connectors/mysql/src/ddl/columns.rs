//! What the clauses of an `ALTER TABLE` do to columns, as far as the values of older rows go.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::tokens::Token;
use super::{Alter, Reader};

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new; older rows get what is given.
    Add(String, Given),
    /// It goes.
    Drop(String),
    /// It has another name.
    Rename(String, String),
}

/// What an added column's definition gives to older rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    /// No default: NULL, or where that is not allowed the type's own.
    Nothing,
    /// `DEFAULT NULL`
    Null,
    /// `DEFAULT 'x'`
    Text(String),
    /// `DEFAULT -1.5`
    Number(String),
    /// `DEFAULT X'00'`
    Hex(String),
    /// `DEFAULT B'01'`
    Bits(String),
    /// `DEFAULT CURRENT_TIMESTAMP`
    Now,
    /// A value per row, or one that cannot be told; says why.
    Unknown(Cow<'static, str>),
}

/// Splits at the commas outside of parentheses.
pub(super) fn clauses<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    let mut depth = 0_usize;
    tokens.split(move |token| {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth = depth.saturating_sub(1),
            Token::Mark(',') => return depth == 0,
            Token::Word(_) | Token::Quoted(_) | Token::Double(_) | Token::Text(_) => {}
            Token::Escaped | Token::Hex(_) | Token::Bits(_) | Token::Mark(_) => {}
        }
        false
    })
}

/// Clauses that neither move rows nor touch values of columns. What `MODIFY` and `CONVERT TO` do to a type, the log's
/// metadata tells.
const HARMLESS: [&str; 41] = [
    "MODIFY",
    "ALTER",
    "ALGORITHM",
    "LOCK",
    "NOWAIT",
    "WAIT",
    "COMMENT",
    "CHARACTER",
    "CHARSET",
    "DEFAULT",
    "COLLATE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "COMPRESSION",
    "CONNECTION",
    "DELAY_KEY_WRITE",
    "ENCRYPTED",
    "ENCRYPTION",
    "ENCRYPTION_KEY_ID",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "ROW_FORMAT",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLESPACE",
    "TRANSACTIONAL",
    "ORDER",
    "DISABLE",
    "ENABLE",
    "FORCE",
    "PARTITION",
    "REORGANIZE",
    "COALESCE",
    "REBUILD",
];

/// Whether a clause that is understood leaves columns and keys as they are.
fn keeps_columns(clause: &[Token<'_>]) -> bool {
    let is_any = |index: usize, words: &[&str]| {
        clause.get(index).is_some_and(|token| words.iter().any(|word| token.is(word)))
    };
    let kept: &[&str] = if is_any(0, &["ADD"]) {
        &["INDEX", "KEY", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK", "PARTITION"]
    } else if is_any(0, &["DROP"]) {
        &["FOREIGN", "CHECK", "PARTITION"]
    } else if is_any(0, &["RENAME"]) {
        &["INDEX", "KEY"]
    } else {
        return !is_any(0, &["MODIFY", "ALTER", "CHANGE", "CONVERT"]);
    };
    is_any(1, kept)
}

/// Reads one clause.
pub(super) fn clause(mut reader: Reader<'_, '_>, alter: &mut Alter) {
    let keeps_columns = keeps_columns(reader.rest);
    let understood = match reader.rest.first() {
        None => Some(()),
        Some(Token::Word(word)) => {
            let word = word.to_ascii_uppercase();
            reader.step();
            match word.as_str() {
                "ADD" => add(reader, alter),
                "DROP" => drop(reader, alter),
                "CHANGE" => change(reader, alter),
                "RENAME" => rename(reader, alter),
                "CONVERT" if reader.take("TO") => Some(()),
                "CONVERT" => moves(alter, "CONVERT PARTITION"),
                "TRUNCATE" => moves(alter, "TRUNCATE PARTITION"),
                "EXCHANGE" => exchange(reader, alter),
                "DISCARD" => moves(alter, "DISCARD TABLESPACE"),
                "IMPORT" => moves(alter, "IMPORT TABLESPACE"),
                "ENGINE" | "TYPE" => engine(reader, alter),
                "REMOVE" if reader.take("PARTITIONING") => Some(()),
                "WITH" | "WITHOUT" if reader.take("VALIDATION") => Some(()),
                "ANALYZE" | "CHECK" | "OPTIMIZE" | "REPAIR" if reader.take("PARTITION") => Some(()),
                word => HARMLESS.contains(&word).then_some(()),
            }
        }
        Some(_) => None,
    };
    alter.understood &= understood.is_some();
    alter.keeps_columns &= keeps_columns && understood.is_some();
}

fn engine(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    reader.take_mark('=');
    if reader.take("BLACKHOLE") { moves(alter, "ENGINE = BLACKHOLE") } else { Some(()) }
}

fn exchange(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    while !reader.rest.is_empty() && !reader.take("WITH") {
        reader.step();
    }
    reader.take("TABLE");
    alter.exchanges = reader.name();
    moves(alter, "EXCHANGE PARTITION")
}

fn moves(alter: &mut Alter, clause: &'static str) -> Option<()> {
    alter.moves_rows = Some(clause);
    Some(())
}

/// Whether the words say that no column is meant.
fn no_column(reader: &Reader<'_, '_>) -> bool {
    let words =
        ["INDEX", "KEY", "PRIMARY", "UNIQUE", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK"];
    let next_is = |word: &str| reader.rest.get(1).is_some_and(|next| next.is(word));
    reader.rest.first().is_some_and(|first| {
        words.iter().any(|word| first.is(word))
            || (first.is("VECTOR") && (next_is("INDEX") || next_is("KEY")))
    })
}

/// System versioning adds columns that nobody names.
fn versioning(reader: &Reader<'_, '_>) -> bool {
    let next_is = |word: &str| reader.rest.get(1).is_some_and(|next| next.is(word));
    reader.rest.first().is_some_and(|first| {
        (first.is("SYSTEM") && next_is("VERSIONING")) || (first.is("PERIOD") && next_is("FOR"))
    })
}

fn add(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    if !reader.take("COLUMN") {
        if versioning(&reader) {
            return None;
        }
        if no_column(&reader) || reader.take("PARTITION") {
            return Some(());
        }
    }
    reader.if_exists();
    if !reader.take_mark('(') {
        return add_one(reader, alter);
    }
    let inside = reader.rest.strip_suffix(&[Token::Mark(')')])?;
    for definition in clauses(inside) {
        let reader = Reader { rest: definition, ..reader };
        if !no_column(&reader) {
            add_one(reader, alter)?;
        }
    }
    Some(())
}

fn add_one(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    let name = reader.part()?.to_owned();
    alter.changes.push(Change::Add(name, given(reader)));
    Some(())
}

fn drop(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    if !reader.take("COLUMN") {
        if versioning(&reader) {
            return None;
        }
        if no_column(&reader) {
            return Some(());
        }
        if reader.take("PARTITION") {
            return moves(alter, "DROP PARTITION");
        }
    }
    reader.if_exists();
    alter.changes.push(Change::Drop(reader.part()?.to_owned()));
    Some(())
}

fn change(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    reader.take("COLUMN");
    reader.if_exists();
    let (from, to) = (reader.part()?, reader.part()?);
    renamed(from, to, alter);
    Some(())
}

fn rename(mut reader: Reader<'_, '_>, alter: &mut Alter) -> Option<()> {
    if reader.take("COLUMN") {
        reader.if_exists();
        let from = reader.part()?;
        if !reader.take("TO") {
            return None;
        }
        renamed(from, reader.part()?, alter);
        return Some(());
    }
    if reader.take("INDEX") || reader.take("KEY") {
        return Some(());
    }
    let _ = reader.take("TO") || reader.take("AS") || reader.take_mark('=');
    alter.rename = Some(reader.name()?);
    Some(())
}

/// Names of columns are the same in any case.
fn renamed(from: &str, to: &str, alter: &mut Alter) {
    if from.to_lowercase() != to.to_lowercase() {
        alter.changes.push(Change::Rename(from.to_owned(), to.to_owned()));
    }
}

/// What a column's definition, from its type on, gives to older rows.
fn given(mut reader: Reader<'_, '_>) -> Given {
    let mut given = Given::Nothing;
    if reader.take("SERIAL") {
        return Given::Unknown("it is AUTO_INCREMENT: each row has a number of its own".into());
    }
    let mut depth = 0_usize;
    while let Some(token) = reader.rest.first() {
        reader.step();
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            token if token.is("AUTO_INCREMENT") => {
                return Given::Unknown("it is AUTO_INCREMENT: each row has a number of its own".into());
            }
            token if token.is("GENERATED") || token.is("AS") => {
                return Given::Unknown("it is generated: its values follow from other columns".into());
            }
            token if token.is("DEFAULT") => given = default(&mut reader),
            token if token.is("COMMENT") || token.is("AFTER") => reader.step(),
            token if token.is("ON") => {
                reader.step();
                reader.step();
            }
            token if token.is("REFERENCES") => break,
            Token::Word(_) | Token::Quoted(_) | Token::Double(_) | Token::Text(_) => {}
            Token::Escaped | Token::Hex(_) | Token::Bits(_) | Token::Mark(_) => {}
        }
    }
    given
}

fn default(reader: &mut Reader<'_, '_>) -> Given {
    let negative = reader.take_mark('-');
    if !negative {
        reader.take_mark('+');
    }
    let Some(token) = reader.rest.first() else {
        return Given::Unknown("its default is not understood".into());
    };
    let before = *reader;
    reader.step();
    let is_now = ["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"].iter().any(|now| token.is(now));
    match token {
        Token::Text(text) | Token::Double(text) => Given::Text(text.clone().into_owned()),
        Token::Hex(digits) => Given::Hex(digits.to_ascii_lowercase()),
        Token::Bits(digits) => Given::Bits((*digits).to_owned()),
        token if token.is("NULL") => Given::Null,
        token if token.is("TRUE") => Given::Number("1".to_owned()),
        token if token.is("FALSE") => Given::Number("0".to_owned()),
        _ if is_now => Given::Now,
        // An introducer, `_utf8mb4'x'`, says in which bytes the text is written.
        Token::Word(word) if word.starts_with(|first: char| first.is_ascii_digit()) => {
            number(negative, word, reader)
        }
        Token::Mark('.') => {
            *reader = before;
            number(negative, "0", reader)
        }
        Token::Mark('(') => {
            *reader = before;
            Given::Unknown("its default is an expression".into())
        }
        Token::Escaped => {
            Given::Unknown("its default holds a backslash, which sql_mode gives its meaning".into())
        }
        Token::Word(_) | Token::Quoted(_) | Token::Mark(_) => {
            Given::Unknown("its default is not a literal".into())
        }
    }
}

fn number(negative: bool, whole: &str, reader: &mut Reader<'_, '_>) -> Given {
    let mut text = if negative { format!("-{whole}") } else { whole.to_owned() };
    if reader.take_mark('.')
        && let Some(Token::Word(fraction)) = reader.rest.first()
        && fraction.starts_with(|first: char| first.is_ascii_digit())
    {
        text.push('.');
        text.push_str(fraction);
        reader.step();
    }
    let digits = text.trim_start_matches('-').chars().all(|digit| digit.is_ascii_digit() || digit == '.');
    if digits { Given::Number(text) } else { Given::Unknown("its default is not a plain number".into()) }
}
