//! From what was given to the text of a pipeline file. All complaints are gathered, so that they can be mended in one
//! go. Pure.

use std::fmt::Write as _;

use tailwater_core::{Error, Result};
use tailwater_kafka::debezium;
use tailwater_transport::url::encode;

use super::given::{Given, Shape};
use super::meaning::{self, Meaning};
use super::{clients, code, framework, postgres, tables};

/// Whether Tailwater goes on from Debezium's position or copies first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Copy,
    GoOn,
}

/// A conversion under way.
pub(super) struct Conversion<'g> {
    pub(super) given: &'g Given,
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
    let mut conversion = Conversion { given, start, problems: Vec::new(), remarks: Vec::new() };
    if let Err(problem) = conversion.connector() {
        return Err(vec![problem]);
    }
    conversion.meanings();
    conversion.decisions();
    conversion.transforms();
    let source = conversion.source();
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

/// The systems that Debezium has connectors for, by a word of the connector's class.
const CONNECTORS: &[(&str, &str)] = &[
    ("postgres", "Postgres"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("mongodb", "MongoDB"),
    ("oracle", "Oracle"),
    ("sqlserver", "SQL Server"),
    ("db2", "Db2"),
    ("vitess", "Vitess"),
    ("spanner", "Spanner"),
    ("informix", "Informix"),
    ("cassandra", "Cassandra"),
];

impl Conversion<'_> {
    fn connector(&self) -> Result<()> {
        let Some(class) = self.given.get("connector.class") else {
            return Err(Error::operator(
                code::CONNECTOR,
                "there is no `connector.class`: it is no connector's configuration",
            )
            .remedy("give the file that the connector is started with"));
        };
        let folded = class.to_lowercase();
        let system = CONNECTORS.iter().find(|(word, _)| folded.contains(word)).map(|(_, system)| *system);
        match system {
            Some("Postgres") if folded.starts_with("io.debezium.") || !folded.contains('.') => Ok(()),
            Some("Postgres") | None => {
                Err(Error::operator(code::CONNECTOR, format!("{class} is no connector of Debezium"))
                    .remedy("import-debezium takes io.debezium.connector.postgresql.PostgresConnector"))
            }
            Some(system) => Err(Error::operator(
                code::CONNECTOR,
                format!("{class} reads {system}, and this release has no such source yet"),
            )
            .remedy("keep Debezium for it; Postgres connectors can be imported")),
        }
    }

    /// What each property means by the tables. Those that are used are looked at where they are.
    fn meanings(&mut self) {
        let known = [postgres::PROPERTIES, framework::PROPERTIES];
        let owners: Vec<&str> = ["converters", "post.processors"]
            .iter()
            .filter_map(|list| self.given.get(list))
            .flat_map(|names| names.split(',').map(str::trim))
            .collect();
        for (name, entry) in &self.given.entries {
            let harmless =
                |values: &[&str]| values.iter().any(|value| value.eq_ignore_ascii_case(entry.value.trim()));
            match meaning::find(&known, name) {
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
                        format!("`{}` is no property that Debezium 3.6.3 or Kafka Connect has", entry.shown),
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
        if !self.slot_is_of_pgoutput() {
            let why = "the slot is of another plugin (Debezium's default is decoderbufs), and a slot cannot change it";
            if self.start == Start::GoOn {
                self.refuse("plugin.name", &format!("{why}: start without offsets, with a first copy"));
            } else {
                self.remark(
                    "plugin.name",
                    &format!("{why}; Tailwater makes one of its own, after a first copy"),
                );
            }
        }
        if self.start == Start::Copy && !matches!(mode.as_str(), "" | "initial" | "when_needed") {
            self.refuse("snapshot.mode", "Tailwater copies first, unless it goes on from Debezium's position: --offsets or --offsets-topic; or write snapshot.mode=initial for a new copy");
        } else if !mode.is_empty() {
            self.remark("snapshot.mode", "Tailwater copies once, where it has no position to go on from");
        }
        if value("slot.drop.on.stop") == "true" && self.start == Start::GoOn {
            self.refuse("slot.drop.on.stop", "Debezium has removed the slot when it stopped, and what came since is lost to it: start without offsets, with a first copy");
        } else if self.given.get("slot.drop.on.stop").is_some() {
            self.remark("slot.drop.on.stop", "only `tailwater drop` removes a slot");
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
        if self.given.get("lsn.flush.mode").is_some() {
            self.remark(
                "lsn.flush.mode",
                "the position is confirmed to the server once the target holds it, idle or not",
            );
        }
        if self.given.get("publication.autocreate.mode").is_some() {
            self.remark(
                "publication.autocreate.mode",
                "the publication is used as it stands; tables that it lacks are added by hand",
            );
        }
    }

    /// Whether the converter of `key` or `value` writes schemas; its own and Connect's default is that it does.
    pub(super) fn has_schemas(&self, kind: &str) -> bool {
        let set = self.given.get(&format!("{kind}.converter.schemas.enable"));
        set.is_none_or(|value| !value.trim().eq_ignore_ascii_case("false"))
    }

    fn slot_is_of_pgoutput(&self) -> bool {
        self.given.get("plugin.name").is_some_and(|plugin| plugin.trim().eq_ignore_ascii_case("pgoutput"))
    }

    fn source(&mut self) -> String {
        let mut text = String::from("[source.postgres]\n");
        let (url, remarks) = self.url();
        remarks.iter().for_each(|remark| line(&mut text, format_args!("# {remark}")));
        line(&mut text, format_args!("url = {}", quoted(&url)));
        let patterns = self.patterns();
        if !patterns.is_empty() {
            line(
                &mut text,
                format_args!("# Debezium's lists do not heed the case of letters, `tables` does."),
            );
        }
        let patterns = if patterns.is_empty() { vec!["*.*".to_owned()] } else { patterns };
        let patterns: Vec<String> = patterns.iter().map(|pattern| quoted(pattern)).collect();
        line(&mut text, format_args!("tables = [{}]", patterns.join(", ")));
        if self.slot_is_of_pgoutput() {
            let slot = self.text("slot.name").unwrap_or_else(|| "debezium".to_owned());
            if self.start == Start::Copy {
                line(
                    &mut text,
                    format_args!(
                        "# Debezium's own slot. For a first copy it must be gone: drop it, or name another here."
                    ),
                );
            }
            line(&mut text, format_args!("slot = {}", quoted(&slot)));
        }
        let publication = self.text("publication.name").unwrap_or_else(|| "dbz_publication".to_owned());
        line(&mut text, format_args!("publication = {}", quoted(&publication)));
        text
    }

    /// The url, and what must be known of it.
    fn url(&mut self) -> (String, Vec<String>) {
        let mut remarks = Vec::new();
        let mut part = |name: &str, required: bool| {
            let found = self.text(name).filter(|value| !value.is_empty());
            if found.is_none() && required {
                self.bad_value(name, "is missing");
            }
            found.unwrap_or_default()
        };
        let (host, database) = (part("database.hostname", true), part("database.dbname", true));
        let (user, port) = (part("database.user", true), part("database.port", false));
        let mut url = format!("postgres://{}", encoded(&user));
        if let Some(password) = self.given.get("database.password") {
            let reference = clients::reference(password, self.given.shape);
            let reference = reference.unwrap_or_else(|| "${env:PGPASSWORD}".to_owned());
            remarks.push(format!(
                "{}: a password is never copied. Set the variable, or refer to a file: ${{file:PATH}}",
                self.given.shown("database.password")
            ));
            url = format!("{url}:{reference}");
        }
        let host = if host.contains(':') && !host.contains("${") { format!("[{host}]") } else { host };
        let port = if port.is_empty() { "5432".to_owned() } else { port };
        if port.parse::<u16>().is_err() && !port.contains("${") {
            self.bad_value("database.port", "is no port");
        }
        url = format!("{url}@{host}:{port}/{}", encoded(&database));
        let mut separator = '?';
        for (name, parameter) in [
            ("database.sslmode", "sslmode"),
            ("database.sslrootcert", "sslrootcert"),
            ("database.sslcert", "sslcert"),
            ("database.sslkey", "sslkey"),
        ] {
            let Some(value) = self.text(name).filter(|value| !value.is_empty()) else { continue };
            if name == "database.sslkey" {
                remarks.push(
                    "sslkey must be PEM here; Debezium's driver wants DER (openssl pkcs8 -topk8 -nocrypt)."
                        .to_owned(),
                );
            }
            url = format!("{url}{separator}{parameter}={}", encoded(&value));
            separator = '&';
        }
        (url, remarks)
    }

    /// The lists of tables and schemas, as patterns.
    fn patterns(&mut self) -> Vec<String> {
        let mut tables = self.list("table.include.list", tables::of_tables);
        let schemas = self.list("schema.include.list", tables::of_schemas);
        if tables.is_empty() {
            tables = schemas.iter().map(|schema| format!("{schema}.*")).collect();
        } else if !schemas.is_empty() {
            // Debezium takes what is in both lists.
            let inside =
                |table: &String| schemas.iter().any(|schema| table.split('.').next() == Some(schema));
            if !tables.iter().all(inside) {
                self.bad_value("schema.include.list", "and table.include.list name different schemas, of which only the common ones count: name the tables alone");
            }
        }
        let excluded = self.list("schema.exclude.list", tables::of_schemas);
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
                name if meaning::find(&[postgres::PROPERTIES], name) == Some(Meaning::SameName) => name,
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
