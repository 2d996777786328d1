//! Debezium's lists of regular expressions of tables, as patterns of `tables`. Only what is exactly the same can be
//! had: plain names, `.*` and alternatives in parentheses. Pure.

/// A piece of a regular expression that can be carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    One(char),
    /// `\.`, or a `.` alone: between schema and table it stands for itself.
    Dot,
    AnyMany,
}

/// Splits a list at its commas, as Debezium does: one behind a backslash is part of an expression.
pub(super) fn list(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        if character == ',' && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
        escaped = character == '\\' && !escaped;
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The patterns `schema.table` that match what an expression of full names matches; `None` where there are none.
pub(super) fn of_tables(expression: &str) -> Option<Vec<String>> {
    let mut patterns = Vec::new();
    for pieces in alternatives(expression)? {
        let dots = pieces.iter().filter(|piece| **piece == Piece::Dot).count();
        match (dots, pieces.iter().position(|piece| *piece == Piece::Dot)) {
            (1, Some(dot)) => {
                let (schema, table) = (name(pieces.get(..dot)?)?, name(pieces.get(dot + 1..)?)?);
                patterns.push(format!("{schema}.{table}"));
            }
            // Somewhere in what `.*` stands for is the dot.
            (0, None) => {
                let stars = (0..pieces.len()).filter(|&at| pieces.get(at) == Some(&Piece::AnyMany));
                for star in stars {
                    patterns.push(format!("{}.{}", name(pieces.get(..=star)?)?, name(pieces.get(star..)?)?));
                }
            }
            (_, _) => return None,
        }
    }
    (!patterns.is_empty()).then_some(patterns)
}

/// The same for names of schemas alone.
pub(super) fn of_schemas(expression: &str) -> Option<Vec<String>> {
    let names = alternatives(expression)?.into_iter().map(|pieces| name(&pieces));
    names.collect()
}

/// A name as a pattern has it, without a dot.
fn name(pieces: &[Piece]) -> Option<String> {
    let mut name = String::new();
    for piece in pieces {
        match *piece {
            Piece::One(character) => name.push(character),
            Piece::AnyMany => name.push('*'),
            Piece::Dot => return None,
        }
    }
    (!name.is_empty()).then_some(name)
}

/// What an expression stands for, with its alternatives one by one.
fn alternatives(expression: &str) -> Option<Vec<Vec<Piece>>> {
    let mut rest = expression.strip_prefix('^').unwrap_or(expression).chars().peekable();
    let mut all = vec![Vec::new()];
    let add = |all: &mut Vec<Vec<Piece>>, pieces: &[Piece]| {
        all.iter_mut().for_each(|alternative| alternative.extend_from_slice(pieces));
    };
    while let Some(character) = rest.next() {
        let piece = match character {
            '(' => {
                let inside: String = rest.by_ref().take_while(|&c| c != ')').collect();
                let inside = inside.strip_prefix("?:").unwrap_or(&inside).to_owned();
                let choices: Option<Vec<_>> = inside.split('|').map(alternatives).collect();
                let choices: Vec<Vec<Piece>> = choices?.into_iter().flatten().collect();
                let joined = |before: &Vec<Piece>| {
                    let before = before.clone();
                    choices
                        .iter()
                        .map(move |choice| [before.as_slice(), choice.as_slice()].concat())
                        .collect()
                };
                all = all.iter().flat_map(|before| -> Vec<Vec<Piece>> { joined(before) }).collect();
                if is_quantified(rest.peek().copied()) {
                    return None;
                }
                continue;
            }
            '.' => match rest.peek() {
                Some('*') => {
                    rest.next();
                    if is_quantified(rest.peek().copied()) {
                        return None;
                    }
                    Piece::AnyMany
                }
                Some(next) if is_quantified(Some(*next)) => return None,
                Some(_) | None => Piece::Dot,
            },
            '\\' => match rest.next()? {
                '.' => Piece::Dot,
                escaped @ ('$' | '-') => Piece::One(escaped),
                _ => return None,
            },
            '$' if rest.peek().is_none() => continue,
            plain if plain.is_alphanumeric() || plain == '_' || plain == '-' => Piece::One(plain),
            _ => return None,
        };
        if piece != Piece::AnyMany && is_quantified(rest.peek().copied()) {
            return None;
        }
        add(&mut all, &[piece]);
        if all.len() > 1000 {
            return None;
        }
    }
    Some(all)
}

fn is_quantified(next: Option<char>) -> bool {
    matches!(next, Some('*' | '+' | '?' | '{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_commas_that_are_not_escaped() {
        assert_eq!(list(" a.b , c\\.d,,e\\,f "), ["a.b", "c\\.d", "e\\,f"]);
        assert_eq!(list("  "), Vec::<String>::new());
    }

    #[test]
    fn carries_over_what_is_exactly_the_same() {
        let check = |expression: &str, expected: &[&str]| {
            assert_eq!(of_tables(expression).unwrap_or_default(), expected, "{expression}");
        };
        check("public.orders", &["public.orders"]);
        check("public\\.orders", &["public.orders"]);
        check("^public\\.orders$", &["public.orders"]);
        check("public\\..*", &["public.*"]);
        check("public.order_.*", &["public.order_*"]);
        check(".*\\.audit", &["*.audit"]);
        check("(public|sales)\\.(a|b.*)", &["public.a", "public.b*", "sales.a", "sales.b*"]);
        // The dot may be in what the stars stand for.
        check(".*", &["*.*"]);
        check("public.*", &["public*.*"]);
        check(".*log.*", &["*.*log*", "*log*.*"]);
    }

    #[test]
    fn leaves_alone_what_is_not() {
        for expression in [
            "public",
            "public.a?",
            "public.[ab]",
            "public\\.\\w+",
            "public.t.",
            "a.b.c",
            "public.(a|b)*",
            "public.a{2}",
            "public\\..+",
            "(?!x)y.z",
            "public.a|public.b",
            ".*?",
            "",
        ] {
            assert_eq!(of_tables(expression), None, "{expression}");
        }
        assert_eq!(of_schemas("sales_.*"), Some(vec!["sales_*".to_owned()]));
        assert_eq!(of_schemas("(a|b)"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(of_schemas("a.b"), None);
    }
}
