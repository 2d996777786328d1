//! What a property of somebody else means here. The tables are in `postgres.rs` and `mysql.rs` (what
//! is one connector's own), `relational.rs` (what every connector has) and `framework.rs` (Kafka Connect and Debezium Server).

/// What becomes of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It goes into a setting of another name, or decides about one.
    Used,
    /// It is an option below `[sink.kafka.debezium]`, under the same name.
    SameName,
    /// It changes nothing here; why.
    Needless(&'static str),
    /// With one of these values it changes nothing; with any other it would: what to do then. Case does not count.
    Only(&'static [&'static str], &'static str),
    /// As [`Meaning::Only`], but only the first copy is concerned: any value will do where none is made.
    Copy(&'static [&'static str], &'static str),
    /// Without it other data would be written; what to do.
    Refused(&'static str),
}

/// Properties of one meaning. In a name, `*` stands for any characters.
pub(super) type Table = &'static [(&'static [&'static str], Meaning)];

/// The meaning of a property, by the first entry that fits.
pub(super) fn find(tables: &[Table], name: &str) -> Option<Meaning> {
    let entries = tables.iter().copied().flatten();
    entries
        .into_iter()
        .find(|(names, _)| names.iter().any(|known| fits(known, name)))
        .map(|(_, meaning)| *meaning)
}

/// Whether a name is what a pattern with at most one `*` describes.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_something() {
        assert!(fits("a.b", "a.b") && fits("a.*", "a.b.c") && fits("a.*.chars", "a.5.chars"));
        assert!(!fits("a.b", "a.bc") && !fits("a.*", "a.") && !fits("a.*.chars", "a.chars"));
    }
}
