//! Names and text as SQL. Pure; every statement this crate builds goes through here. Not here: the statements.

/// An identifier in double quotes: `we"ird` becomes `"we""ird"`.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `"schema"."name"`.
#[must_use]
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// A string literal, right whatever `standard_conforming_strings` says: one with a backslash becomes `E'…'`.
#[must_use]
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_odd_names_and_text() {
        for (name, quoted) in
            [("t", "\"t\""), ("we\"ird", "\"we\"\"ird\""), ("", "\"\""), ("ä b\\", "\"ä b\\\"")]
        {
            assert_eq!(identifier(name), quoted);
        }
        for (text, quoted) in [("a", "'a'"), ("it's", "'it''s'"), ("a\\'b", "E'a\\\\''b'"), ("", "''")] {
            assert_eq!(literal(text), quoted);
        }
        assert_eq!(qualified("s", "a.b"), "\"s\".\"a.b\"");
    }
}
