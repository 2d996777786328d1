//! What somebody has configured for Debezium, whatever the file: a connector of Kafka Connect as JSON, or Debezium
//! Server's `application.properties`. Both become one list under the names that a connector on Connect has; the name in
//! the file is kept for messages. What the names mean is not known here.

use std::collections::BTreeMap;

use serde_json::Value;
use tailwater_core::{Error, Result};

use super::{code, properties};

/// One property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Under which name it stands in the file.
    pub(super) shown: String,
    pub(super) value: String,
}

/// A connector's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) shape: Shape,
    /// By the names of a connector on Connect; a producer's properties as `producer.override.…`.
    pub(super) entries: BTreeMap<String, Entry>,
    /// The connector's name, under which its offsets are kept.
    pub(super) name: Option<String>,
}

/// Which kind of file it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON for Kafka Connect.
    Connect,
    /// Debezium Server.
    Server,
}

impl Given {
    /// Reads a file of either kind.
    ///
    /// # Errors
    /// `Operator` where it is neither.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.trim_start().starts_with('{') { connect(text) } else { server(text) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.value.as_str())
    }

    /// The name that a property has in the file.
    pub(super) fn shown<'a>(&'a self, name: &'a str) -> &'a str {
        self.entries.get(name).map_or(name, |entry| entry.shown.as_str())
    }

    fn add(&mut self, name: &str, shown: &str, value: String) {
        self.entries.insert(name.to_owned(), Entry { shown: shown.to_owned(), value });
    }

    /// Adds what a worker of Connect says in its own file of all its connectors: brokers, converters, producers.
    pub(super) fn add_worker(&mut self, text: &str) {
        for (shown, value) in properties::parse(text) {
            let converter = ["key.converter", "value.converter", "header.converter"].iter().any(|kind| {
                shown.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            // A connector with a converter of its own takes none of the worker's settings of one.
            let overridden = || {
                let kind = shown.split('.').take(2).collect::<Vec<_>>().join(".");
                self.entries.get(&kind).is_some_and(|entry| !entry.shown.starts_with(WORKER))
            };
            let name = match shown.strip_prefix("producer.") {
                Some(rest) if !rest.starts_with("override.") => format!("producer.override.{rest}"),
                Some(_) | None if shown == "bootstrap.servers" => "bootstrap.servers".to_owned(),
                Some(_) | None if converter && !overridden() => shown.clone(),
                Some(_) | None => continue,
            };
            let shown = format!("{WORKER}{shown}");
            self.entries.entry(name).or_insert(Entry { shown, value });
        }
    }
}

const WORKER: &str = "worker's ";

fn connect(text: &str) -> Result<Given> {
    let wrong = |what: String| {
        Error::operator(code::UNREADABLE, what)
            .remedy("give a connector's JSON, {\"name\": …, \"config\": {…}} or the config alone, or Debezium Server's application.properties")
    };
    let Value::Object(document) =
        serde_json::from_str(text).map_err(|error| wrong(format!("it is not JSON: {error}")))?
    else {
        return Err(wrong("it is no JSON object".to_owned()));
    };
    let (config, name) = match document.get("config") {
        Some(Value::Object(config)) => (config, document.get("name")),
        Some(_) => return Err(wrong("`config` is no JSON object".to_owned())),
        None => (&document, document.get("name")),
    };
    let name = name.and_then(Value::as_str).map(str::to_owned);
    let mut given = Given { shape: Shape::Connect, entries: BTreeMap::new(), name };
    for (name, value) in config {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(wrong(format!("`{name}` is neither text nor number")));
            }
        };
        given.add(name, name, value);
    }
    Ok(given)
}

/// Debezium Server hands on what stands behind `debezium.source.`, makes converters of `debezium.format.…`, and gives
/// the producer what stands behind `debezium.sink.kafka.producer.`.
fn server(text: &str) -> Result<Given> {
    let pairs: BTreeMap<String, String> = properties::parse(text).into_iter().collect();
    if !pairs.keys().any(|name| name.starts_with("debezium.")) {
        return Err(Error::operator(
            code::UNREADABLE,
            "it is neither JSON nor holds a property `debezium.…`",
        )
        .remedy("give a connector's JSON, or Debezium Server's application.properties"));
    }
    let mut given = Given { shape: Shape::Server, entries: BTreeMap::new(), name: None };
    for (shown, value) in &pairs {
        let behind = |prefix: &str| shown.strip_prefix(prefix).map(str::to_owned);
        if let Some(name) = behind("debezium.source.") {
            given.add(&name, shown, value.clone());
        } else if let Some(name) = behind("debezium.sink.kafka.producer.") {
            given.add(&format!("producer.override.{name}"), shown, value.clone());
        } else if let Some(name) = behind("debezium.format.") {
            given.add_format(&name, shown, value);
        } else if let Some(name) = behind("debezium.transforms").or_else(|| behind("debezium.predicates")) {
            let kind = if shown.starts_with("debezium.transforms") { "transforms" } else { "predicates" };
            given.add(&format!("{kind}{name}"), shown, value.clone());
        } else {
            given.add(shown, shown, value.clone());
        }
    }
    given.name = given.get("name").or_else(|| given.get("debezium.sink.type")).map(str::to_owned);
    Ok(given)
}

impl Given {
    fn add_format(&mut self, name: &str, shown: &str, value: &str) {
        let converters = ["key", "value", "header"];
        let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
        if converters.contains(&kind) {
            let suffix = if rest.is_empty() { String::new() } else { format!(".{rest}") };
            self.add(&format!("{kind}.converter{suffix}"), shown, value.to_owned());
            return;
        }
        // What names no converter is for all of them, and gives way to what does.
        for kind in converters {
            let entry = Entry { shown: shown.to_owned(), value: value.to_owned() };
            self.entries.entry(format!("{kind}.converter.{name}")).or_insert(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &Given) -> Vec<(&str, &str)> {
        given.entries.iter().map(|(name, entry)| (name.as_str(), entry.value.as_str())).collect()
    }

    #[test]
    fn takes_both_shapes_of_json() {
        let config = r#"{"connector.class": "x", "tasks.max": 1, "a": null}"#;
        let bare = Given::parse(config).unwrap();
        assert_eq!(pairs(&bare), [("connector.class", "x"), ("tasks.max", "1")]);
        let whole = Given::parse(&format!(r#" {{"name": "shop", "config": {config}}}"#)).unwrap();
        assert_eq!((whole.name.as_deref(), whole.entries), (Some("shop"), bare.entries));
        for wrong in ["{", "{\"config\": 1}", "{\"a\": {}}", "a=b", ""] {
            assert_eq!(Given::parse(wrong).unwrap_err().code(), code::UNREADABLE, "{wrong}");
        }
    }

    #[test]
    fn gives_the_properties_of_debezium_server_the_names_of_connect() {
        let text =
            "debezium.source.slot.name=s\ndebezium.sink.type=kafka\ndebezium.sink.kafka.producer.acks=all
debezium.format.value=json\ndebezium.format.value.schemas.enable=false\ndebezium.format.schemas.enable=true
debezium.transforms=a\ndebezium.transforms.a.type=b\nquarkus.log.level=INFO";
        let given = Given::parse(text).unwrap();
        let expected = [
            ("debezium.sink.type", "kafka"),
            ("header.converter.schemas.enable", "true"),
            ("key.converter.schemas.enable", "true"),
            ("producer.override.acks", "all"),
            ("quarkus.log.level", "INFO"),
            ("slot.name", "s"),
            ("transforms", "a"),
            ("transforms.a.type", "b"),
            ("value.converter", "json"),
            ("value.converter.schemas.enable", "false"),
        ];
        assert_eq!(pairs(&given), expected);
        assert_eq!(given.shown("slot.name"), "debezium.source.slot.name");
        assert_eq!(given.name.as_deref(), Some("kafka"));
    }

    #[test]
    fn takes_of_a_worker_what_the_connector_does_not_say() {
        let mut given = Given::parse(r#"{"value.converter": "mine"}"#).unwrap();
        given.add_worker(
            "bootstrap.servers=h:1\nvalue.converter=theirs\nvalue.converter.schemas.enable=true
key.converter=theirs\nkey.converter.schemas.enable=false\nproducer.linger.ms=5\nrest.port=1",
        );
        let expected = [
            ("bootstrap.servers", "h:1"),
            ("key.converter", "theirs"),
            ("key.converter.schemas.enable", "false"),
            ("producer.override.linger.ms", "5"),
            ("value.converter", "mine"),
        ];
        assert_eq!(pairs(&given), expected);
    }
}
