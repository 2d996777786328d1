//! The `tables = […]` patterns of a pipeline file: which tables a pipeline wants. Pure. The configuration parses
//! them, everything that lists or meets tables asks them.
//!
//! A pattern is `schema.table`. Names are spelled exactly as the database stores them: nothing is folded to lower
//! case, so `Public.T` is not `public.t`. `*` stands for any characters, also none, and `?` for one. `!` before a
//! pattern takes tables out, wherever in the list it stands; a list of nothing but such patterns takes every other
//! table. Names that hold anything but letters, digits, `_`, `$` and `-` are written in double quotes (`""` for a
//! quote), where `*` and `?` stand for themselves; parts may be mixed: `sales."Q*"_??`.

use crate::{Error, Result};

/// Which tables a pipeline wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

/// One pattern of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    excludes: bool,
    schema: Vec<Piece>,
    table: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// This character.
    One(char),
    /// `?`
    AnyOne,
    /// `*`
    AnyMany,
}

impl Patterns {
    /// Reads a list of patterns.
    ///
    /// # Errors
    /// `Operator` with the pattern and the column (in characters, from 1) where it goes wrong; also for an empty list.
    pub fn parse<'p>(list: impl IntoIterator<Item = &'p str>) -> Result<Self> {
        let patterns = list.into_iter().map(Pattern::parse).collect::<Result<Vec<_>>>()?;
        if patterns.is_empty() {
            return Err(bad("an empty list of tables takes none").remedy(r#"tables = ["public.*"]"#));
        }
        Ok(Self(patterns))
    }

    /// Whether the table is wanted.
    #[must_use]
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        let hit = |excludes: bool| {
            self.0.iter().any(|pattern| pattern.excludes == excludes && pattern.matches(schema, table))
        };
        (hit(false) || self.0.iter().all(|pattern| pattern.excludes)) && !hit(true)
    }

    /// Whether a table of that schema may be wanted.
    #[must_use]
    pub fn may_match(&self, schema: &str) -> bool {
        let speaks = |pattern: &&Pattern| glob(&pattern.schema, schema);
        let all = |pattern: &Pattern| pattern.table == [Piece::AnyMany];
        let mut taken_in = self.0.iter().filter(|pattern| !pattern.excludes).peekable();
        (taken_in.peek().is_none() || taken_in.any(|pattern| speaks(&pattern)))
            && !self.0.iter().filter(speaks).any(|pattern| pattern.excludes && all(pattern))
    }

    /// The patterns, as written.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }
}

impl Pattern {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it takes tables out.
    #[must_use]
    pub fn excludes(&self) -> bool {
        self.excludes
    }

    /// Whether it speaks of the table, to take it in or out.
    #[must_use]
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        glob(&self.schema, schema) && glob(&self.table, table)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader { text, rest: text.char_indices().collect(), at: 0 };
        let excludes = reader.take('!');
        let schema = reader.name()?;
        if !reader.take('.') {
            let remedy = format!(
                "write schema and table: \"{}public.{}\"",
                if excludes { "!" } else { "" },
                text.trim_start_matches('!')
            );
            return Err(reader.wrong("the schema is missing: no `.` follows").remedy(remedy));
        }
        let table = reader.name()?;
        if reader.peek().is_some() {
            return Err(reader.wrong("nothing may follow schema and table"));
        }
        Ok(Self { text: text.to_owned(), excludes, schema, table })
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Vec<(usize, char)>,
    /// Characters read.
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).map(|&(_, character)| character)
    }

    fn take(&mut self, wanted: char) -> bool {
        let taken = self.peek() == Some(wanted);
        self.at += usize::from(taken);
        taken
    }

    fn wrong(&self, what: &str) -> Error {
        bad(format!("table pattern {:?}, column {}: {what}", self.text, self.at + 1))
    }

    fn name(&mut self) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        loop {
            match self.peek() {
                Some('"') => self.quoted(&mut pieces)?,
                Some('*') => pieces.push(Piece::AnyMany),
                Some('?') => pieces.push(Piece::AnyOne),
                Some(plain) if plain.is_alphanumeric() || matches!(plain, '_' | '$' | '-') => {
                    pieces.push(Piece::One(plain));
                }
                Some('.') | None => break,
                Some(odd) => {
                    let what = format!("{odd:?} must stand in double quotes");
                    return Err(self
                        .wrong(&what)
                        .remedy("put the name into double quotes: 'sales.\"odd name\"'"));
                }
            }
            self.at += 1;
        }
        if pieces.is_empty() { Err(self.wrong("a name is missing")) } else { Ok(pieces) }
    }

    /// From the opening quote up to the closing one.
    fn quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<()> {
        let opening = self.at;
        loop {
            self.at += 1;
            match self.peek() {
                Some('"') if self.rest.get(self.at + 1).is_some_and(|&(_, next)| next == '"') => {
                    self.at += 1;
                    pieces.push(Piece::One('"'));
                }
                Some('"') => return Ok(()),
                Some(character) => pieces.push(Piece::One(character)),
                None => {
                    self.at = opening;
                    return Err(self.wrong("this quote is never closed"));
                }
            }
        }
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::operator("TW-CORE-007", message)
}

/// Whether the whole name fits. Goes back to the last `*` only, which is enough: at most pieces × characters steps.
fn glob(pieces: &[Piece], name: &str) -> bool {
    let (mut left, mut name) = (pieces, name.chars());
    let mut retry: Option<(&[Piece], std::str::Chars<'_>)> = None;
    loop {
        if let Some((Piece::AnyMany, after)) = left.split_first() {
            retry = Some((after, name.clone()));
            left = after;
            continue;
        }
        let character = name.next();
        match (left.split_first(), character) {
            (None, None) => return true,
            (Some((piece, after)), Some(character)) if fits(*piece, character) => left = after,
            (_, None) => return false,
            (_, Some(_)) => {
                let Some((after, from)) = &mut retry else {
                    return false;
                };
                from.next();
                (left, name) = (after, from.clone());
            }
        }
    }
}

fn fits(piece: Piece, character: char) -> bool {
    match piece {
        Piece::One(wanted) => wanted == character,
        Piece::AnyOne | Piece::AnyMany => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_in_and_out() {
        let check = |list: &[&str], schema: &str, table: &str, expected: bool| {
            let patterns = Patterns::parse(list.iter().copied()).unwrap();
            assert_eq!(patterns.matches(schema, table), expected, "{list:?} on {schema}.{table}");
        };
        check(&["public.*"], "public", "t", true);
        check(&["public.*"], "publica", "t", false);
        check(&["public.t"], "public", "T", false);
        check(&["Public.t"], "public", "t", false);
        check(&["public.*", "!public.audit_*"], "public", "audit_log", false);
        check(&["!public.audit_*", "public.*"], "public", "audit_log", false);
        check(&["!public.audit_*", "public.*"], "public", "orders", true);
        check(&["!public.audit_*"], "sales", "orders", true);
        check(&["!public.audit_*"], "public", "audit_", false);
        check(&["*.*"], "any", "thing", true);
        check(&["p?b*.o*r*s"], "public", "orders", true);
        check(&["p?b*.o*r*s"], "public", "order", false);
        check(&["s.a*b*c"], "s", "aXbYbZc", true);
        check(&["s.a**c"], "s", "ac", true);
        check(&["s.?"], "s", "ü", true);
        check(&["s.?"], "s", "", false);
        check(&["Sales.\"Odd.Name\""], "Sales", "Odd.Name", true);
        check(&["s.\"a*\"*"], "s", "a*b", true);
        check(&["s.\"a*\"*"], "s", "ab", false);
        check(&["\"we\"\"ird\".\" \""], "we\"ird", " ", true);
        check(&["s.a-b$1_ä"], "s", "a-b$1_ä", true);
    }

    #[test]
    fn says_where_a_pattern_is_wrong() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                Patterns::parse([text]).unwrap_err().message(),
                format!("table pattern {text:?}, {expected}")
            );
        };
        check("orders", "column 7: the schema is missing: no `.` follows");
        check("", "column 1: a name is missing");
        check("!", "column 2: a name is missing");
        check("public.", "column 8: a name is missing");
        check(".t", "column 1: a name is missing");
        check("a.b.c", "column 4: nothing may follow schema and table");
        check("public.odd name", "column 11: ' ' must stand in double quotes");
        check("public.!t", "column 8: '!' must stand in double quotes");
        check("ü.\"never", "column 3: this quote is never closed");
        check("s.\"\"", "column 5: a name is missing");
        assert_eq!(
            Patterns::parse(["!orders"]).unwrap_err().remedy_text(),
            Some("write schema and table: \"!public.orders\"")
        );
        assert!(Patterns::parse([]).is_err());
    }

    #[test]
    fn many_wildcards_do_not_take_for_ever() {
        let pattern = format!("s.{}b", "a*".repeat(30));
        assert!(!Patterns::parse([&*pattern]).unwrap().matches("s", &"a".repeat(63)));
    }
}
