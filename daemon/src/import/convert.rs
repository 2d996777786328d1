//! From what was given to the text of a pipeline file. All complaints are gathered, so that they can be mended in one
//! go. Pure.

use std::fmt::Write as _;

use tailwater_core::{Error, Result};
use tailwater_kafka::debezium;
use tailwater_transport::url::encode;

use super::connector::Connector;
use super::given::{Given, Shape};
use super::meaning::Meaning;
use super::{clients, code, tables};

/// Whether Tailwater goes on from Debezium's position or copies first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Copy,
    GoOn,
}

/// A conversion under way.
pub(super) struct Conversion<'g> {
    pub(super) given: &'g Given,
    pub(super) connector: Connector,
    pub(super) start: Start,
    pub(super) problems: Vec<Error>,
    /// What maps to nothing, and why.
    remarks: Vec<(String, String)>,
}

/// Makes the pipeline file.
///
/// # Errors
/// Every problem there is.
pub(super) fn convert(given: &Given, start: Start, from: &str) -> Result<String, Vec<Error>> {
    let connector = Connector::of(given).map_err(|problem| vec![problem])?;
    let mut conversion = Conversion { given, connector, start, problems: Vec::new(), remarks: Vec::new() };
    conversion.meanings();
    connector.decide(&mut conversion);
    conversion.decisions();
    conversion.transforms();
    let source = connector.source(&mut conversion);
    let sink = conversion.sink();
    if !conversion.problems.is_empty() {
        return Err(conversion.problems);
    }
    let mut text = format!("# Made by `tailwater import-debezium` from {from}.\n");
    if !conversion.remarks.is_empty() {
        text.push_str("#\n# What needs no setting here:\n");
    }
    for (name, why) in &conversion.remarks {
        let _written = writeln!(text, "#   {name}: {why}");
    }
    Ok(format!("{text}\n{source}\n{sink}"))
}

/// Where the server is, as properties and a url say it.
pub(super) struct Address {
    pub(super) scheme: &'static str,
    /// The usual one.
    pub(super) port: &'static str,
    /// The variable that a password is taken from.
    pub(super) password: &'static str,
    /// The property that names the database, where the url must name one.
    pub(super) database: Option<&'static str>,
}

impl Conversion<'_> {
    /// What each property means by the tables. Those that are used are looked at where they are.
    fn meanings(&mut self) {
        let owners: Vec<&str> = ["converters", "post.processors"]
            .iter()
            .filter_map(|list| self.given.get(list))
            .flat_map(|names| names.split(',').map(str::trim))
            .collect();
        for (name, entry) in &self.given.entries {
            let harmless =
                |values: &[&str]| values.iter().any(|value| value.eq_ignore_ascii_case(entry.value.trim()));
            match self.connector.meaning(name) {
                Some(Meaning::Used | Meaning::SameName) => {}
                Some(Meaning::Needless(why)) => self.remarks.push((entry.shown.clone(), why.to_owned())),
                Some(Meaning::Only(values, _)) if harmless(values) => {
                    self.remarks.push((entry.shown.clone(), "it is so here too".to_owned()));
                }
                Some(Meaning::Copy(..)) if self.start == Start::GoOn => {
                    self.remarks.push((entry.shown.clone(), "no first copy is made".to_owned()));
                }
                Some(Meaning::Copy(values, _)) if harmless(values) => {
                    self.remarks.push((entry.shown.clone(), "it is so here too".to_owned()));
                }
                Some(Meaning::Only(_, cure) | Meaning::Copy(_, cure) | Meaning::Refused(cure)) => {
                    self.problems.push(changes_data(&entry.shown, cure));
                }
                // It belongs to a converter or processor that the list of them has been refused for.
                None if owners
                    .iter()
                    .any(|owner| name.strip_prefix(owner).is_some_and(|rest| rest.starts_with('.'))) => {}
                None => self.problems.push(
                    Error::operator(
                        code::UNKNOWN,
                        format!(
                            "`{}` is no property that this connector of Debezium 3.6.3 or Kafka Connect has",
                            entry.shown
                        ),
                    )
                    .remedy("correct its spelling, or remove it where it is of no use"),
                ),
            }
        }
    }

    pub(super) fn refuse(&mut self, name: &str, cure: &str) {
        let problem = changes_data(self.given.shown(name), cure);
        self.problems.push(problem);
    }

    pub(super) fn remark(&mut self, name: &str, why: &str) {
        let shown = self.given.shown(name).to_owned();
        self.remarks.push((shown, why.to_owned()));
    }

    pub(super) fn bad_value(&mut self, name: &str, why: &str) {
        let what = format!("`{}` {why}", self.given.shown(name));
        let cure = if self.given.get(name).is_some() { "correct its value" } else { "add it" };
        self.problems.push(Error::operator(code::VALUE, what).remedy(cure));
    }

    /// Properties that map to no setting by themselves but decide something.
    fn decisions(&mut self) {
        let value = |name: &str| self.given.get(name).unwrap_or_default().trim().to_lowercase();
        let (mode, schemas) = (value("snapshot.mode"), self.has_schemas("value"));
        let channels = value("notification.enabled.channels");
        if self.start == Start::Copy && !matches!(mode.as_str(), "" | "initial" | "when_needed") {
            self.refuse("snapshot.mode", "Tailwater copies first, unless it goes on from Debezium's position: --offsets or --offsets-topic; or write snapshot.mode=initial for a new copy");
        } else if !mode.is_empty() {
            self.remark("snapshot.mode", "Tailwater copies once, where it has no position to go on from");
        }
        if channels.split(',').any(|channel| channel.trim() == "sink") {
            self.refuse("notification.enabled.channels", "no notifications are written to a topic here: have their readers do without, then remove the property");
        } else if !channels.is_empty() {
            self.remark("notification.enabled.channels", "there are no notifications here");
        }
        for name in ["column.propagate.source.type", "datatype.propagate.source.type"] {
            match (self.given.get(name), schemas) {
                (None, _) => {}
                (Some(_), true) => self.refuse(name, "the inline schemas here carry no types of the source: have their readers do without, then remove the property"),
                (Some(_), false) => self.remark(name, "it changes inline schemas only, and there are none"),
            }
        }
    }

    /// Whether the converter of `key` or `value` writes schemas; its own and Connect's default is that it does.
    pub(super) fn has_schemas(&self, kind: &str) -> bool {
        let set = self.given.get(&format!("{kind}.converter.schemas.enable"));
        set.is_none_or(|value| !value.trim().eq_ignore_ascii_case("false"))
    }

    /// Writes the url, after what must be known of it.
    pub(super) fn address(
        &mut self,
        address: &Address,
        parameters: &[(&'static str, String)],
        text: &mut String,
    ) {
        let mut part = |name: &str, required: bool| {
            let found = self.text(name).filter(|value| !value.is_empty());
            if found.is_none() && required {
                self.bad_value(name, "is missing");
            }
            found.unwrap_or_default()
        };
        let host = part("database.hostname", true);
        let database = address.database.map(|name| part(name, true));
        let (user, port) = (part("database.user", true), part("database.port", false));
        let mut url = format!("{}://{}", address.scheme, encoded(&user));
        if let Some(password) = self.given.get("database.password") {
            let reference = clients::reference(password, self.given.shape);
            let reference = reference.unwrap_or_else(|| format!("${{env:{}}}", address.password));
            let shown = self.given.shown("database.password");
            line(
                text,
                format_args!(
                    "# {shown}: a password is never copied. Set the variable, or refer to a file: ${{file:PATH}}"
                ),
            );
            url = format!("{url}:{reference}");
        }
        let host = if host.contains(':') && !host.contains("${") { format!("[{host}]") } else { host };
        let port = if port.is_empty() { address.port.to_owned() } else { port };
        if port.parse::<u16>().is_err() && !port.contains("${") {
            self.bad_value("database.port", "is no port");
        }
        url = format!("{url}@{host}:{port}");
        if let Some(database) = database {
            url = format!("{url}/{}", encoded(&database));
        }
        for (index, (name, value)) in parameters.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            url = format!("{url}{separator}{name}={}", encoded(value));
        }
        line(text, format_args!("url = {}", quoted(&url)));
    }

    /// Writes which tables are wanted; their schemas are lists of `kind`. Where none is named, `never` are left out.
    pub(super) fn tables(&mut self, kind: &str, never: &[&str], text: &mut String) {
        let mut patterns = self.patterns(kind);
        if patterns.is_empty() {
            patterns.push("*.*".to_owned());
        } else {
            line(text, format_args!("# Debezium's lists do not heed the case of letters, `tables` does."));
        }
        if patterns.iter().all(|pattern| pattern == "*.*" || pattern.starts_with('!')) {
            patterns.extend(never.iter().map(|pattern| (*pattern).to_owned()));
        }
        let patterns: Vec<String> = patterns.iter().map(|pattern| quoted(pattern)).collect();
        line(text, format_args!("tables = [{}]", patterns.join(", ")));
    }

    /// The lists of tables and schemas, as patterns.
    fn patterns(&mut self, kind: &str) -> Vec<String> {
        let included = format!("{kind}.include.list");
        let mut tables = self.list("table.include.list", tables::of_tables);
        let schemas = self.list(&included, tables::of_schemas);
        if tables.is_empty() {
            tables = schemas.iter().map(|schema| format!("{schema}.*")).collect();
        } else if !schemas.is_empty() {
            // Debezium takes what is in both lists.
            let inside =
                |table: &String| schemas.iter().any(|schema| table.split('.').next() == Some(schema));
            if !tables.iter().all(inside) {
                self.bad_value(&included, "and table.include.list name different schemas, of which only the common ones count: name the tables alone");
            }
        }
        let excluded = self.list(&format!("{kind}.exclude.list"), tables::of_schemas);
        tables.extend(excluded.iter().map(|schema| format!("!{schema}.*")));
        let excluded = self.list("table.exclude.list", tables::of_tables);
        tables.extend(excluded.iter().map(|table| format!("!{table}")));
        tables
    }

    fn list(&mut self, name: &str, patterns: impl Fn(&str) -> Option<Vec<String>>) -> Vec<String> {
        let mut all = Vec::new();
        for expression in tables::list(self.given.get(name).unwrap_or_default()) {
            match patterns(&expression) {
                Some(found) => all.extend(found),
                None => self.problems.push(
                    Error::operator(
                        code::EXPRESSION,
                        format!("`{}` holds the regular expression {expression:?}, which `tables` has no equal of", self.given.shown(name)),
                    )
                    .remedy("name the tables one by one, or with `.*` as the only wildcard: public\\.order_.*"),
                ),
            }
        }
        all
    }

    fn sink(&mut self) -> String {
        let mut text = String::from("[sink.kafka]\n");
        if self.given.shape == Shape::Server && self.given.get("debezium.sink.type") != Some("kafka") {
            self.refuse("debezium.sink.type", "import-debezium makes pipelines to Kafka; for another target write the pipeline file by hand");
        }
        self.brokers(&mut text);
        match self.text("topic.prefix").filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => line(&mut text, format_args!("prefix = {}", quoted(&prefix))),
            None => self.bad_value("topic.prefix", "is missing"),
        }
        if self.flat_rows().is_some() {
            text.push_str("format = \"row\"\n");
        }
        text.push_str("\n[sink.kafka.debezium]\n");
        self.converters(&mut text);
        self.options(&mut text);
        self.connector.options(self, &mut text);
        self.row_options(&mut text);
        self.client(&mut text);
        self.topics(&mut text);
        text
    }

    fn brokers(&mut self, text: &mut String) {
        let brokers =
            self.text("producer.override.bootstrap.servers").or_else(|| self.text("bootstrap.servers"));
        if brokers.is_none() {
            line(
                text,
                format_args!(
                    "# A connector does not know its brokers; they are the worker's bootstrap.servers. Write them here, or"
                ),
            );
            line(text, format_args!("# import with --worker and the worker's properties."));
        }
        let brokers = brokers.unwrap_or_else(|| "${env:KAFKA_BROKERS}".to_owned());
        line(text, format_args!("brokers = {}", quoted(&brokers)));
    }

    fn options(&mut self, text: &mut String) {
        for (name, entry) in &self.given.entries {
            let name = match name.as_str() {
                "heartbeat.topics.prefix" if self.given.get("topic.heartbeat.prefix").is_none() => {
                    "topic.heartbeat.prefix"
                }
                "heartbeat.topics.prefix" => continue,
                name if self.connector.meaning(name) == Some(Meaning::SameName) => name,
                _ => continue,
            };
            // Debezium does not heed case in the words of its modes, nor blanks around them.
            let written = entry.value.trim();
            let mut probe = debezium::Config::new("");
            let value = match probe.set(name, written) {
                Ok(()) => written.to_owned(),
                Err(_word) => written.to_lowercase(),
            };
            match probe.set(name, &value) {
                Ok(()) => line(text, format_args!("{name} = {}", bare_or_quoted(&value))),
                Err(why) => self.bad_value(&entry.shown, &why),
            }
        }
    }

    /// A value as text of the pipeline file; what it refers to elsewhere becomes a reference here.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.given.get(name)?.trim();
        if !value.contains("${") {
            return Some(value.to_owned());
        }
        let reference = clients::reference(value, self.given.shape);
        if reference.is_none() {
            self.bad_value(
                name,
                "refers to something that a pipeline file cannot: write ${env:NAME}, or the value itself",
            );
        }
        reference
    }
}

fn changes_data(shown: &str, cure: &str) -> Error {
    Error::operator(
        code::CHANGES_DATA,
        format!("`{shown}` cannot be carried over, and without it other data would be written"),
    )
    .remedy(cure)
}

pub(super) fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _written = writeln!(text, "{content}");
}

/// A string of TOML.
pub(super) fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// Numbers and truth values as they are.
fn bare_or_quoted(value: &str) -> String {
    let bare = matches!(value, "true" | "false")
        || value.parse::<u64>().is_ok_and(|number| number.to_string() == value);
    if bare { value.to_owned() } else { quoted(&value.replace("${", "$${")) }
}

/// A part of a url; a reference is encoded when it is followed.
fn encoded(value: &str) -> String {
    if value.contains("${") { value.to_owned() } else { encode(value) }
}
