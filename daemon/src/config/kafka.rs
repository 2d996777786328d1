//! `[sink.kafka]`: its keys, its topics and its properties. What they mean to Kafka is known to `tailwater_kafka`.

use tailwater_core::Result;
use tailwater_kafka::debezium;
use tailwater_kafka::{Config, Delivery, Format, Naming, PartitionChange, TopicSettings};

use super::code;
use super::document::{Section, choice, nearest};
use super::pipeline::{KAFKA_TOPIC, Reading};
use super::units::size;

/// Properties that do not stand in a file as they are.
const SECRETS: &[&str] = &[
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

impl Reading<'_> {
    pub(super) fn kafka(&mut self, section: &Section<'_>) -> Result<Config> {
        let brokers = section.required("brokers", r#""kafka.example:9092""#)?;
        if !are_brokers(&brokers.value) {
            let message = "`brokers` must be `host:port`, several with commas between them";
            return Err(section.error("brokers", code::BAD_VALUE, message));
        }
        let mut config = Config::new(self.name, brokers.value);
        if let Some(prefix) = section.string("prefix")? {
            config.set_prefix(&prefix.value);
        }
        if let Some(pattern) =
            section.parsed("topic", |text| Naming::check(text).map(|()| text.to_owned()))?
        {
            config.naming.pattern = pattern;
        }
        if let Some(format) = section.parsed("format", |word| choice(word, Format::ALL))? {
            config.format = format;
        }
        self.debezium(section, &mut config)?;
        if let Some(delivery) = section.parsed("delivery", |word| choice(word, Delivery::ALL))? {
            config.delivery = delivery;
        }
        if let Some(change) = section.parsed("partition_change", |word| choice(word, PartitionChange::ALL))? {
            config.partition_change = change;
        }
        if let Some(topic) = section.string("position_topic")? {
            config.position_topic = topic.value;
        }
        if let Some(bytes) = section.parsed("buffer", size)? {
            // Below, librdkafka would run dry while we encode; above, nothing is gained.
            config.buffer_bytes = usize::try_from(bytes.clamp(4 << 20, 1 << 30)).unwrap_or(1 << 30);
        }
        if let Some(file) = section.string("oauth_token_file")? {
            config.oauth_token_file = Some(self.folder.join(file.value));
        }
        for topic in section.tables("topics", KAFKA_TOPIC)? {
            config.topics.push(topic_settings(&topic)?);
        }
        self.properties(section, &mut config)?;
        for broker in config.brokers.split(',') {
            let thing = format!("the topic {} at {}", config.position_topic, broker.trim());
            let span = section.place_of("position_topic");
            self.claim(
                thing,
                span,
                "position_topic = \"…\" with another name, or keep one of the two pipelines",
            );
        }
        Ok(config)
    }

    /// Debezium's options by its own names, with their dots.
    fn debezium(&self, section: &Section<'_>, config: &mut Config) -> Result<()> {
        let wrong = |place, message| Err(self.document.error(place, code::BAD_VALUE, message));
        for (name, place, text) in section.dotted_entries("debezium")? {
            if config.format == Format::Json {
                return wrong(&place, format!("`{name}` is for `format = \"debezium\"` or `\"row\"`"));
            }
            let of_rows = debezium::Config::ROW_OPTIONS.contains(&name.as_str());
            if of_rows && config.format != Format::Row {
                return wrong(&place, format!("`{name}` is for `format = \"row\"`"));
            }
            if !of_rows && !debezium::Config::OPTIONS.contains(&name.as_str()) {
                let all = [debezium::Config::OPTIONS, debezium::Config::ROW_OPTIONS].concat();
                let hint = nearest(&name, &all);
                let message = format!("`{name}` is no option of [sink.kafka.debezium]; {hint}");
                return Err(self.document.error(&place, code::UNKNOWN_KEY, message));
            }
            if name == "topic.prefix" {
                if section.string("prefix")?.is_some() {
                    return wrong(
                        &place,
                        "`topic.prefix` is `prefix` of [sink.kafka], which is written too".to_owned(),
                    );
                }
                config.set_prefix(&text.value);
            }
            if let Err(why) = config.debezium.set(&name, &text.value) {
                return wrong(&text.span, format!("`{name}` {why}"));
            }
        }
        Ok(())
    }

    /// Files are looked for in the folder of the pipeline file, as everywhere.
    fn properties(&self, section: &Section<'_>, config: &mut Config) -> Result<()> {
        for (name, place, text) in section.entries("properties")? {
            if SECRETS.contains(&name.as_str()) && !self.document.is_reference(&text) {
                let message =
                    format!("`{name}` is a secret: write a reference, ${{env:NAME}} or ${{file:PATH}}");
                return Err(self.document.error(&text.span, code::BAD_VALUE, message));
            }
            let is_file = name.ends_with(".location") && text.value != "probe";
            let value = if is_file { self.folder.join(text.value).display().to_string() } else { text.value };
            config.properties.set(&name, value, nearest).map_err(|error| self.document.at(&place, &error))?;
        }
        let place = section.place_of("properties");
        config.properties.check_login().map_err(|error| self.document.at(&place, &error))
    }
}

/// librdkafka skips what it does not understand, and then waits for brokers that nobody named.
fn are_brokers(list: &str) -> bool {
    let mut brokers = list.split(',').map(str::trim).filter(|broker| !broker.is_empty()).peekable();
    brokers.peek().is_some() && brokers.all(is_broker)
}

/// `host`, `host:port` or `[address]:port`, perhaps with a protocol as in `PLAINTEXT://host`.
fn is_broker(text: &str) -> bool {
    let protocols = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    let text = match text.split_once("://") {
        Some((protocol, rest)) if protocols.contains(&protocol.to_uppercase().as_str()) => rest,
        Some(_) | None => text,
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        Some(_) | None => (text, "9092"),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host_fits = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(named),
    };
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn topic_settings(section: &Section<'_>) -> Result<TopicSettings> {
    let count = |key: &str, max: u64| -> Result<Option<i32>> {
        Ok(section.integer(key, 1..=max)?.and_then(|number| i32::try_from(number).ok()))
    };
    let topic = section.required("topic", "\"*\"")?;
    if topic.value.is_empty() {
        return Err(section.error(
            "topic",
            code::BAD_VALUE,
            "`topic` is empty; `*` stands for any characters",
        ));
    }
    let configs = section.entries("configs")?.into_iter().map(|(name, _, text)| (name, text.value)).collect();
    Ok(TopicSettings {
        topic: topic.value,
        partitions: count("partitions", 10_000)?,
        replication: count("replication", 100)?,
        configs,
    })
}
