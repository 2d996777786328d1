//! The default of a column, as far as Debezium understands one: literals, and a fixed value for calls of functions.

use tailwater_core::Column;

use super::number::Scratch;
use super::sql::Sql;
use super::value::Form;

/// The default as JSON; `None` where there is none, or none that Debezium tells.
pub(crate) fn of(column: &Column, sql: &Sql, form: &Form, scratch: &mut Scratch) -> Option<Vec<u8>> {
    let expression = column.declared.default.as_deref()?;
    // A domain is known under its own name, for which Debezium has no rule; a structure cannot be a default.
    let domain = !column.declared.base_type.is_empty() && column.declared.base_type != column.source_type;
    let placeholder = placeholder(sql)?;
    if domain || *form == Form::VariableDecimal {
        return None;
    }
    let text = if is_computed(expression) { placeholder.to_owned() } else { literal(expression)? };
    let mut out = Vec::new();
    let written = valid(sql, &text) && form.write(&mut out, text.as_bytes(), scratch);
    written.then_some(out)
}

/// What stands for a default that is computed; `None` for types whose defaults are not told.
fn placeholder(sql: &Sql) -> Option<&'static str> {
    Some(match sql {
        Sql::Bool => "f",
        Sql::Int2 | Sql::Int4 | Sql::Int8 => "0",
        Sql::Float4 | Sql::Float8 | Sql::Numeric(_) => "0.0",
        Sql::Bits(1) => "0",
        Sql::Bits(_) => "00",
        Sql::Text { default: true } | Sql::Xml => "",
        Sql::Json => "{}",
        Sql::Uuid => "00000000-0000-0000-0000-000000000000",
        Sql::Date => "1970-01-01",
        Sql::Time { .. } => "00:00",
        Sql::Timestamp { .. } => "1970-01-01 00:00:00",
        Sql::TimestampTz { .. } => "1970-01-01 00:00:00+00",
        Sql::Interval => "00:00:00",
        Sql::Enum => "",
        Sql::Text { default: false } | Sql::Oid | Sql::Money | Sql::Bytes | Sql::TimeTz | Sql::Hstore => {
            return None;
        }
        Sql::Ltree | Sql::Tsvector | Sql::Point | Sql::Vector(_) | Sql::Array(_) | Sql::Unknown => {
            return None;
        }
        // Of MySQL alone.
        Sql::UInt8 | Sql::WideFloat | Sql::Year | Sql::Set => return None,
        Sql::Geometry | Sql::Place | Sql::FloatVector => return None,
    })
}

/// `now()`, `nextval('…'::regclass)`, `CURRENT_DATE`.
fn is_computed(expression: &str) -> bool {
    let lower = expression.to_ascii_lowercase();
    let clock = ["current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"];
    if clock.contains(&lower.as_str()) {
        return true;
    }
    let name = expression.strip_prefix('(').unwrap_or(expression);
    match name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')) {
        Some(end) if end > 0 => name.get(end..).is_some_and(|rest| rest.starts_with('(')),
        Some(_) | None => false,
    }
}

/// The text of `'it''s'::text`, `B'01'::"bit"`, `E'a\\b'`, `1.5`; `None` for NULL.
fn literal(expression: &str) -> Option<String> {
    let Some((before, quoted)) = expression.split_once('\'') else {
        return (!expression.starts_with("NULL::")).then(|| expression.to_owned());
    };
    let backslashes = before == "E";
    let mut text = String::new();
    let mut characters = quoted.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' if characters.peek() == Some(&'\'') => text.extend(characters.next()),
            '\'' => return Some(text),
            '\\' if backslashes => match characters.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
    None
}

/// Whether the literal is one of the type, and not an expression such as `(1 + 1)`.
fn valid(sql: &Sql, text: &str) -> bool {
    if matches!(sql, Sql::Int2 | Sql::Int4 | Sql::Int8) {
        return text.parse::<i64>().is_ok();
    }
    !matches!(sql, Sql::Float4 | Sql::Float8) || text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_literals() {
        let check = |expression, expected: Option<&str>| assert_eq!(literal(expression).as_deref(), expected);
        check("'it''s'::text", Some("it's"));
        check("B'0101'::\"bit\"", Some("0101"));
        check("E'a\\\\b\nc'::text", Some("a\\b\nc"));
        check("1.50", Some("1.50"));
        check("'-4'::integer", Some("-4"));
        check("NULL::character varying", None);
    }

    #[test]
    fn knows_what_is_computed() {
        for expression in
            ["now()", "nextval('s'::regclass)", "CURRENT_DATE", "(random() * 2)", "pg_catalog.now()"]
        {
            assert!(is_computed(expression), "{expression}");
        }
        for expression in ["1", "'now()'::text", "(1 + 1)", "CURRENT_USER"] {
            assert!(!is_computed(expression), "{expression}");
        }
    }
}
