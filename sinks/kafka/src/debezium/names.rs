//! Names of schemas and fields, made fit for Avro where that is asked for.

use std::collections::HashSet;

use super::config::Adjustment;

/// The name of a schema; dots part it and may stay.
pub(crate) fn schema(name: &str, mode: Adjustment) -> String {
    adjust(name, mode, true)
}

/// The name of a field.
pub(crate) fn field(name: &str, mode: Adjustment) -> String {
    adjust(name, mode, false)
}

/// The first name that is there twice.
pub(crate) fn twice<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// Works in UTF-16 as Java does: what lies beyond the basic plane is replaced twice.
fn adjust(name: &str, mode: Adjustment, dots: bool) -> String {
    let unicode = match mode {
        Adjustment::None => return name.to_owned(),
        Adjustment::Avro => false,
        Adjustment::AvroUnicode => true,
    };
    let mut adjusted = String::with_capacity(name.len());
    for (index, unit) in name.encode_utf16().enumerate() {
        let character = u8::try_from(unit).ok().filter(u8::is_ascii).map(char::from);
        let fits = character.is_some_and(|c| {
            c.is_ascii_alphabetic()
                || (c == '_' && !unicode)
                || (index > 0 && (c.is_ascii_digit() || (dots && c == '.')))
        });
        match character {
            Some(c) if fits => adjusted.push(c),
            _ if unicode => adjusted.push_str(&format!("_u{unit:04x}")),
            Some(c) if index == 0 && c.is_ascii_digit() => adjusted.extend(['_', c]),
            _ => adjusted.push('_'),
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the golden files of `shapes-avro` and `shapes-unicode` have it.
    #[test]
    fn replaces_what_avro_does_not_take() {
        let check = |name, avro, unicode| {
            assert_eq!(field(name, Adjustment::Avro), avro);
            assert_eq!(field(name, Adjustment::AvroUnicode), unicode);
            assert_eq!(field(name, Adjustment::None), name);
        };
        check("a-b", "a_b", "a_u002db");
        check("größe", "gr__e", "gr_u00f6_u00dfe");
        check("1st", "_1st", "_u0031st");
        check("dot.ted", "dot_ted", "dot_u002eted");
        check("_u", "_u", "_u005fu");
        check("\u{1F600}", "__", "_ud83d_ude00");
        assert_eq!(schema("go-lden.od-d", Adjustment::Avro), "go_lden.od_d");
    }
}
