//! What is told to Kafka's clients, and how converters write: the parts of a conversion that concern no database. Pure.

use std::collections::BTreeMap;

use super::convert::{Conversion, line, quoted};
use super::framework::{PRODUCER, Producer};
use super::given::Shape;

/// The reference of a pipeline file for one of Connect or Quarkus; `None` where there is no equal.
pub(super) fn reference(value: &str, shape: Shape) -> Option<String> {
    let name = value.trim().strip_prefix("${")?.strip_suffix('}')?;
    let variable = match (name.strip_prefix("env:"), shape) {
        (Some(variable), _) => variable,
        // Quarkus looks a plain name up among the variables of the environment.
        (None, Shape::Server) => name,
        (None, Shape::Connect) => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!variable.is_empty() && variable.chars().all(plain)).then(|| format!("${{env:{variable}}}"))
}

/// The converter whose bytes are written here.
const JSON: &[&str] = &["json", "org.apache.kafka.connect.json.JsonConverter"];
/// Headers as plain text.
const SIMPLE: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

impl Conversion<'_> {
    /// Which converters there are, and whether they write schemas.
    pub(super) fn converters(&mut self, text: &mut String) {
        for name in ["key.converter", "value.converter"] {
            let json = self.given.get(name).map(|class| JSON.contains(&class.trim()));
            if json == Some(false) {
                self.refuse(name, "only JSON is written here (org.apache.kafka.connect.json.JsonConverter): move consumers to JSON first");
            }
        }
        let (key, value) = (self.has_schemas("key"), self.has_schemas("value"));
        if key != value {
            let (key, value) = match self.given.shape {
                Shape::Connect => ("key.converter.schemas.enable", "value.converter.schemas.enable"),
                Shape::Server => {
                    ("debezium.format.key.schemas.enable", "debezium.format.value.schemas.enable")
                }
            };
            self.refuse(key, &format!("keys and values have schemas both or not at all here: set {key} and {value} to the same; true is the default of both"));
        }
        if self.given.shape == Shape::Connect && self.given.get("value.converter").is_none() {
            line(
                text,
                format_args!(
                    "# The connector names no converter: the worker's counts. This is what JsonConverter does by default; write"
                ),
            );
            line(
                text,
                format_args!(
                    "# false where the worker has value.converter.schemas.enable=false. Other converters have no equal here."
                ),
            );
        }
        line(text, format_args!("schemas.enable = {value}"));
        match (self.given.get("header.converter").map(str::trim), self.given.shape) {
            (Some(SIMPLE), _) | (None, Shape::Connect) => {}
            (Some(class), _) if JSON.contains(&class) => {
                self.remark("header.converter", "headers are plain text here, without the quotes of JSON")
            }
            (None, Shape::Server) => {}
            (Some(_), _) => self.refuse(
                "header.converter",
                "headers are plain text here, as SimpleHeaderConverter writes them",
            ),
        }
    }

    /// `[sink.kafka.properties]`
    pub(super) fn client(&mut self, text: &mut String) {
        let mut properties: BTreeMap<String, String> = BTreeMap::new();
        let given = self.given;
        for name in given.entries.keys() {
            let Some(property) = name.strip_prefix("producer.override.") else { continue };
            match property {
                "bootstrap.servers" => continue,
                "sasl.jaas.config" => {
                    self.login(name, &mut properties);
                    continue;
                }
                _ => {}
            }
            let known = PRODUCER.iter().find(|(names, _)| {
                names.iter().any(|known| match known.strip_suffix('*') {
                    Some(start) => property.starts_with(start),
                    None => *known == property,
                })
            });
            match known.map(|(_, meaning)| *meaning) {
                Some(Producer::Named(ours)) => {
                    if let Some(value) = self.text(name) {
                        properties.insert(ours.to_owned(), quoted(&value));
                    }
                }
                Some(Producer::Needless(why)) => self.remark(name, why),
                Some(Producer::Refused(cure)) => self.refuse(name, cure),
                None => self.bad_value(name, "is no property of Kafka's producer that is known here"),
            }
        }
        if properties.is_empty() {
            return;
        }
        text.push_str("\n[sink.kafka.properties]\n");
        for (name, value) in &properties {
            line(text, format_args!("{} = {value}", quoted(name)));
        }
    }

    /// The user of PLAIN and SCRAM; the password stays where it is.
    fn login(&mut self, name: &str, properties: &mut BTreeMap<String, String>) {
        let config = self.given.get(name).unwrap_or_default();
        let known = ["PlainLoginModule", "ScramLoginModule"].iter().any(|module| config.contains(module));
        match (known, option(config, "username")) {
            (true, Some(user)) => {
                let user = if user.contains("${") { reference(user, self.given.shape) } else { Some(user.to_owned()) };
                let user = user.unwrap_or_else(|| "${env:KAFKA_USER}".to_owned());
                let password = option(config, "password").and_then(|value| reference(value, self.given.shape));
                let password = password.unwrap_or_else(|| "${env:KAFKA_PASSWORD}".to_owned());
                properties.insert("sasl.username".to_owned(), quoted(&user));
                properties.insert("sasl.password".to_owned(), quoted(&password));
                self.remark(name, "its user is below [sink.kafka.properties]; a password is never copied: set the variable");
            }
            (_, _) => self.refuse(name, "set sasl.username and sasl.password, or what else librdkafka needs, below [sink.kafka.properties]; then remove the property"),
        }
    }

    /// `[[sink.kafka.topics]]`
    pub(super) fn topics(&mut self, text: &mut String) {
        const START: &str = "topic.creation.default.";
        let given = self.given;
        let names: Vec<&str> = given.entries.keys().filter_map(|name| name.strip_prefix(START)).collect();
        if names.is_empty() {
            return;
        }
        text.push_str("\n[[sink.kafka.topics]]\ntopic = \"*\"\n");
        let mut configs = Vec::new();
        for name in names {
            let full = format!("{START}{name}");
            let Some(value) = self.text(&full) else { continue };
            match name {
                "partitions" | "replication.factor" if value == "-1" => {}
                "partitions" => line(text, format_args!("partitions = {value}")),
                "replication.factor" => line(text, format_args!("replication = {value}")),
                "include" | "exclude" => self.bad_value(&full, "is not for the default group"),
                name => configs.push(format!("{} = {}", quoted(name), quoted(&value))),
            }
        }
        if !configs.is_empty() {
            line(text, format_args!("configs = {{ {} }}", configs.join(", ")));
        }
    }
}

/// The value of `name="value"` in the configuration of a login.
fn option<'c>(config: &'c str, name: &str) -> Option<&'c str> {
    let start = config.find(&format!("{name}="))?;
    let rest = config.get(start + name.len() + 1..)?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest.get(1..)?.split(quote).next()
}
