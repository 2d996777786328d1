//! Which topic the records of a table go to, and what to call them in an error. Names are made once per shape of a
//! table. Nothing here talks to a broker; `topics` does.

use std::collections::HashMap;

use tailwater_core::{Result, Table};

use crate::error;

/// Where records go. Made once per shape of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Route(u32);

/// What a [`Route`] stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) topic: String,
    /// `schema.table`, or what an error should call the records. Keyless records of one name stay in order.
    pub(crate) about: String,
    /// The names of the key's columns; their values are never told.
    pub(crate) key_columns: Vec<String>,
}

/// How topics are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// `{prefix}.{schema}.{table}` or any other arrangement of these and plain text.
    pub pattern: String,
    /// What `{prefix}` stands for.
    pub prefix: String,
}

/// Every route of a sink. Only grows, by as much as there are tables and shapes of them.
#[derive(Debug)]
pub(crate) struct Routes {
    naming: Naming,
    all: Vec<Target>,
    index: HashMap<Target, Route>,
    /// Which names of schema and table a topic was made from, and by which table first ([`Table::id`]).
    made_from: HashMap<String, (String, u64)>,
    /// The topic of the position, which no table may be written to.
    position: Option<String>,
    /// Likewise that of statements, where there is one.
    statements: Option<String>,
}

/// The longest name that Kafka takes.
const TOPIC_NAME_MAX: usize = 249;

impl Naming {
    /// Whether a pattern can be used.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn check(pattern: &str) -> std::result::Result<(), String> {
        let mut rest = pattern;
        while let Some((_, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}').ok_or("has a `{` without its `}`")?;
            if !["prefix", "schema", "table"].contains(&placeholder) {
                return Err(format!(
                    "holds {{{placeholder}}}; there may be {{prefix}}, {{schema}} and {{table}}"
                ));
            }
            rest = after;
        }
        if pattern.is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
    }

    /// The topic of a table, with `_` for what Kafka does not take in a name, as Debezium has it.
    pub fn topic(&self, schema: &str, table: &str) -> String {
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // In UTF-16 as Java does: what lies beyond the basic plane is replaced twice.
        let units = self.fill(schema, table);
        let fits = |unit: u16| u8::try_from(unit).ok().map(char::from).filter(allowed);
        units.encode_utf16().map(|unit| fits(unit).unwrap_or('_')).collect()
    }

    /// The pattern with its names in place, as they are.
    fn fill(&self, schema: &str, table: &str) -> String {
        let mut name = String::new();
        let mut rest = self.pattern.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            name.push_str(before);
            let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
            name.push_str(match placeholder {
                "prefix" => &self.prefix,
                "schema" => schema,
                "table" => table,
                other => other,
            });
            rest = after;
        }
        name.push_str(rest);
        name
    }

    /// The names that the pattern uses: equal for tables that are meant to share a topic.
    fn parts(&self, schema: &str, table: &str) -> String {
        let part = |placeholder: &str, name: &str| {
            if self.pattern.contains(placeholder) { format!("{name:?}") } else { String::new() }
        };
        format!("{} {}", part("{schema}", schema), part("{table}", table))
    }
}

impl Routes {
    pub(crate) fn new(naming: Naming) -> Self {
        let (all, index, made_from) = (Vec::new(), HashMap::new(), HashMap::new());
        Self { naming, all, index, made_from, position: None, statements: None }
    }

    /// The route of the rows of `table`, whose records have the columns `key` for their key.
    ///
    /// # Errors
    /// `Operator` where the name is too long for Kafka, is that of the position topic or of statements, or of another
    /// table's although the pattern means them to have one each.
    pub(crate) fn table(&mut self, table: &Table, key: &[usize]) -> Result<Route> {
        let topic = self.naming.topic(&table.schema, &table.name);
        if topic.len() > TOPIC_NAME_MAX || matches!(topic.as_str(), "" | "." | "..") {
            return Err(error::topic_name(&table.full_name(), &topic));
        }
        if self.position.as_ref() == Some(&topic) {
            return Err(error::position_not_alone(&topic, &table.full_name()));
        }
        if self.statements.as_ref() == Some(&topic) {
            return Err(error::statements_not_alone(&topic, &table.full_name()));
        }
        let parts = self.naming.parts(&table.schema, &table.name);
        let (owner, id) = self.made_from.entry(topic.clone()).or_insert_with(|| (parts.clone(), table.id));
        if *owner != parts {
            // A table that was renamed is the same one.
            if *id != table.id {
                return Err(error::topics_collide(&topic, owner, &parts));
            }
            *owner = parts;
        }
        let column = |&index: &usize| table.columns.get(index).map(|column| column.name.clone());
        let key_columns = key.iter().filter_map(column).collect();
        Ok(self.add(Target { topic, about: table.full_name(), key_columns }))
    }

    /// The route to the topic of the position.
    pub(crate) fn position(&mut self, topic: &str) -> Route {
        self.position = Some(topic.to_owned());
        self.other(topic, "the position")
    }

    /// No table may be written to `topic`, which is for statements.
    pub(crate) fn keep_for_statements(&mut self, topic: Option<String>) {
        self.statements = topic;
    }

    /// The route to `topic` for records that belong to no table: messages, transactions, heartbeats, statements.
    pub(crate) fn other(&mut self, topic: &str, about: &str) -> Route {
        self.add(Target { topic: topic.to_owned(), about: about.to_owned(), key_columns: Vec::new() })
    }

    fn add(&mut self, target: Target) -> Route {
        if let Some(&route) = self.index.get(&target) {
            return route;
        }
        #[allow(clippy::cast_possible_truncation, reason = "no server has 2^32 tables")]
        let route = Route(self.all.len() as u32);
        self.all.push(target.clone());
        self.index.insert(target, route);
        route
    }

    /// Every target, in the order of [`Route::index`].
    pub(crate) fn all(&self) -> &[Target] {
        &self.all
    }
}

impl Route {
    /// Its place in [`Routes::all`].
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use tailwater_core::{Column, Declared, Fill, Type};

    use super::*;

    fn naming(pattern: &str) -> Naming {
        Naming { pattern: pattern.to_owned(), prefix: "shop".to_owned() }
    }

    fn table(schema: &str, name: &str) -> Table {
        let (kind, source_type) = (Type::Int4, "integer".to_owned());
        let (fill, declared) = (Fill::Null, Declared::default());
        let columns =
            vec![Column { id: 1, name: "id".to_owned(), kind, source_type, type_id: 23, fill, declared }];
        let (schema, name) = (schema.to_owned(), name.to_owned());
        let (key, declared_key) = (vec![0], vec![0]);
        let id = schema.bytes().chain(name.bytes()).fold(0, |id, byte| id * 31 % 1_000_003 + u64::from(byte));
        Table { id, schema, name, columns, key, declared_key, streamed_from_birth: true }
    }

    #[test]
    fn names_follow_the_pattern_and_hold_only_what_kafka_takes() {
        let check = |pattern: &str, expected: &str| {
            assert_eq!(Naming::check(pattern), Ok(()), "{pattern}");
            assert_eq!(naming(pattern).topic("public", "Öl preise"), expected, "{pattern}");
        };
        check("{prefix}.{schema}.{table}", "shop.public._l_preise");
        check("{table}-{table}", "_l_preise-_l_preise");
        check("all", "all");
        // As Debezium, whose characters are Java's.
        assert_eq!(naming("{table}").topic("", "\u{1F418}.t"), "__.t");
        for wrong in ["", "{", "{a}", "{prefix", "{}"] {
            assert!(Naming::check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tables_share_a_topic_only_where_the_pattern_means_it() {
        let check = |pattern: &str, one: [&str; 2], other: [&str; 2], expected: Result<(), &str>| {
            let mut routes = Routes::new(naming(pattern));
            routes.table(&table(one[0], one[1]), &[0]).unwrap();
            let answer = routes.table(&table(other[0], other[1]), &[0]);
            assert_eq!(
                answer.map(drop).map_err(|error| error.code()),
                expected,
                "{pattern} {one:?} {other:?}"
            );
        };
        let full = "{prefix}.{schema}.{table}";
        check(full, ["a", "t"], ["a", "t"], Ok(()));
        check(full, ["a", "t"], ["b", "t"], Ok(()));
        check(full, ["a", "x y"], ["a", "x_y"], Err("TW-KAFKA-016"));
        check(full, ["a.b", "c"], ["a", "b.c"], Err("TW-KAFKA-016"));
        check("{table}", ["a", "t"], ["b", "t"], Ok(()));
        check("all", ["a", "t"], ["b", "u"], Ok(()));
        check(full, ["a", "t"], ["a", &"long".repeat(70)], Err("TW-KAFKA-015"));
    }

    #[test]
    fn a_renamed_table_keeps_its_topic_where_both_names_make_it() {
        let mut routes = Routes::new(naming("{prefix}.{schema}.{table}"));
        let before = table("a", "x y");
        let after = Table { name: "x_y".to_owned(), ..before.clone() };
        let route = routes.table(&before, &[0]).unwrap();
        let renamed = routes.table(&after, &[0]).unwrap();
        assert_eq!(routes.all()[route.index()].topic, routes.all()[renamed.index()].topic);
    }

    #[test]
    fn no_table_is_written_to_the_position_topic() {
        let mut routes = Routes::new(naming("{table}"));
        routes.position("p");
        let error = routes.table(&table("a", "p"), &[0]).unwrap_err();
        assert_eq!(error.code(), "TW-KAFKA-016", "{error}");
        routes.table(&table("a", "q"), &[0]).unwrap();
    }

    #[test]
    fn no_table_is_written_to_the_topic_of_statements() {
        let mut routes = Routes::new(naming("{prefix}"));
        routes.keep_for_statements(Some("shop".to_owned()));
        let error = routes.table(&table("a", "t"), &[0]).unwrap_err();
        assert_eq!(error.code(), "TW-KAFKA-016", "{error}");
    }

    #[test]
    fn a_route_is_made_once() {
        let mut routes = Routes::new(naming("{table}"));
        let one = routes.table(&table("a", "t"), &[0]).unwrap();
        assert_eq!(routes.table(&table("a", "t"), &[0]).unwrap(), one);
        assert_ne!(routes.other("t", "messages"), one);
        assert_eq!(routes.all().len(), 2);
    }
}
