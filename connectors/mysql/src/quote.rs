//! Names and text as SQL. Pure; every statement this crate builds goes through here. Not here: the statements.

/// An identifier in backticks.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Schema and name, each in backticks.
#[must_use]
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// A string literal, right under every `sql_mode`: what has a backslash or a quote is written in hexadecimal digits.
#[must_use]
pub fn literal(text: &str) -> String {
    if !text.contains(['\'', '\\']) {
        return format!("'{text}'");
    }
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("_utf8mb4 x'{digits}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_odd_names_and_text() {
        for (name, quoted) in [("t", "`t`"), ("we`ird", "`we``ird`"), ("", "``"), ("ä b\\", "`ä b\\`")] {
            assert_eq!(identifier(name), quoted);
        }
        for (text, quoted) in
            [("a", "'a'"), ("it's", "_utf8mb4 x'69742773'"), ("\\", "_utf8mb4 x'5c'"), ("", "''")]
        {
            assert_eq!(literal(text), quoted);
        }
        assert_eq!(qualified("s", "a.b"), "`s`.`a.b`");
    }
}
