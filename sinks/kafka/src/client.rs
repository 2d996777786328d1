//! What every client of librdkafka here has in common: its configuration, its log, what it notes about logins. The
//! producer itself is in `native`; the consumer and the administrator are rdkafka's own.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tailwater_core::Error;

use crate::{Config, Delivery, error};

/// What went wrong in the background: a login or TLS, to which time-outs elsewhere are due, and lost brokers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Trouble>>);

/// For so long a time-out may be due to a login that failed. While logins fail, librdkafka says so every 30 s at least.
const RECENT: Duration = Duration::from_secs(90);

#[derive(Debug, Default)]
struct Trouble {
    login: Option<Login>,
    outage: Option<Instant>,
    /// The last error in the log of a client whose errors come without a reason.
    said: Option<String>,
}

/// A login that failed.
#[derive(Debug, Clone)]
struct Login {
    code: Code,
    reason: String,
    at: Instant,
}

impl Noted {
    pub(crate) fn note(&self, code: i32, reason: &str) {
        let logins =
            [Code::Authentication, Code::SaslAuthenticationFailed, Code::SSL, Code::UnsupportedSASLMechanism];
        let outages =
            [Code::BrokerTransportFailure, Code::AllBrokersDown, Code::OperationTimedOut, Code::Resolve];
        let is = |known: &&Code| **known as i32 == code;
        let Ok(mut trouble) = self.0.lock() else { return };
        // For a connection that breaks during a login librdkafka has the code of a refused one, and only its text tells
        // that this was an error of its own, and no answer of the broker.
        let broken = reason.contains("handshake failed: Local: ");
        if broken {
            trouble.outage = Some(Instant::now());
        } else if let Some(code) = logins.iter().find(is) {
            trouble.login = Some(Login { code: *code, reason: reason.trim().to_owned(), at: Instant::now() });
        }
        if outages.iter().any(|known| is(&known)) {
            trouble.outage = Some(Instant::now());
        }
    }

    /// An error of a consumer, whose reason is only in its log.
    pub(crate) fn note_error(&self, error: &KafkaError) {
        let said = self.0.lock().ok().and_then(|trouble| trouble.said.clone());
        if let Some(code) = error::code(error) {
            self.note(code as i32, &said.unwrap_or_else(|| code.to_string()));
        }
    }

    /// The login that failed last, if it was a moment ago: later it has been mended, and what fails has another cause.
    fn login(&self) -> Option<Login> {
        let login = self.0.lock().ok().and_then(|trouble| trouble.login.clone());
        login.filter(|login| login.at.elapsed() < RECENT)
    }

    /// Whether a broker did not let us in.
    pub(crate) fn login_failed(&self) -> bool {
        self.login().is_some()
    }

    /// Whether a broker was out of reach since then.
    pub(crate) fn outage_since(&self, begin: Instant) -> bool {
        self.0.lock().is_ok_and(|trouble| trouble.outage.is_some_and(|outage| outage >= begin))
    }

    /// The error for a code: a time-out is blamed on the login that failed meanwhile.
    pub(crate) fn blame(&self, code: Code, text: &str) -> Error {
        match self.login() {
            Some(login) if error::is_unreachable(code) => error::from_code(login.code, &login.reason),
            Some(_) | None => error::from_code(code, text),
        }
    }

    /// Likewise for an error of rdkafka.
    pub(crate) fn blame_for(&self, error: &KafkaError) -> Error {
        match error::code(error) {
            Some(code) => self.blame(code, &code.to_string()),
            None => error::from_rdkafka(error),
        }
    }
}

/// The context of a consumer or administrator.
pub(crate) struct Context(pub(crate) Noted);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if level as i32 <= RDKafkaLogLevel::Error as i32
            && let Ok(mut trouble) = self.0.0.lock()
        {
            trouble.said = Some(text.to_owned());
        }
        log(level as i32, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.0.note(code as i32, reason);
        }
    }
}

impl ConsumerContext for Context {}

/// One line of librdkafka's log. Its levels are those of syslog. That a broker is gone is said by errors where it
/// matters, so it is no warning here; properties that only the producer heeds (CONFWARN) are none at all.
pub(crate) fn log(level: i32, facility: &str, text: &str) {
    match level {
        _ if facility == "CONFWARN" => tracing::debug!(target: "librdkafka", "{facility}: {text}"),
        ..=2 => tracing::error!(target: "librdkafka", "{facility}: {text}"),
        3..=4 => tracing::warn!(target: "librdkafka", "{facility}: {text}"),
        5..=6 => tracing::info!(target: "librdkafka", "{facility}: {text}"),
        _ => tracing::debug!(target: "librdkafka", "{facility}: {text}"),
    }
}

/// What all clients are set to.
fn common(config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("client.id", format!("tailwater-{}", config.pipeline));
    client.set("socket.nagle.disable", "true");
    client.set("socket.keepalive.enable", "true");
    // OpenSSL is compiled in, so the system's certificates have to be looked for.
    client.set("ssl.ca.location", "probe");
    for (name, value) in config.properties.all() {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.brokers);
    // A producer would have brokers make a topic anew that was deleted, and what it held would be missing in silence.
    client.set("allow.auto.create.topics", "false");
    client
}

/// The producer.
pub(crate) fn producer(config: &Config) -> ClientConfig {
    let mut client = common(config);
    client.set("enable.idempotence", "true");
    client.set("acks", "all");
    // Memory is bounded by our own arenas, which hold what waits here.
    client.set("queue.buffering.max.messages", "0");
    client.set("queue.buffering.max.kbytes", "2147483647");
    // The topic's own limit decides.
    client.set("message.max.bytes", "1000000000");
    // While a request of a partition is on its way librdkafka sends no other, and spins as soon as a record has waited for
    // this long. What must go at once is flushed.
    // Where one property is set under two names, chance decides which of them counts.
    let ours: [(&[&str], &str); 3] = [
        (&["linger.ms", "queue.buffering.max.ms"], "1000"),
        (&["batch.num.messages"], "100000"),
        (&["batch.size"], BATCH_BYTES),
    ];
    for (names, value) in ours {
        if names.iter().all(|name| config.properties.get(name).is_none())
            && let Some(name) = names.first()
        {
            client.set(*name, value);
        }
    }
    match config.delivery {
        Delivery::ExactlyOnce => {
            client.set("transactional.id", config.transactional_id());
            client.set("transaction.timeout.ms", config.transaction_timeout().as_millis().to_string());
        }
        Delivery::AtLeastOnce => {}
    }
    client
}

/// Below the `max.message.bytes` that a topic has by default.
pub(crate) const BATCH_BYTES: &str = "1000000";

/// The consumer that reads positions back.
pub(crate) fn consumer(config: &Config) -> ClientConfig {
    let mut client = common(config);
    // Never joined; librdkafka wants a name.
    client.set("group.id", format!("tailwater-{}", config.pipeline));
    client.set("enable.auto.commit", "false");
    client.set("auto.offset.reset", "error");
    client.set("enable.partition.eof", "true");
    client.set("isolation.level", "read_committed");
    client.set("fetch.wait.max.ms", "10");
    client
}

/// The administrator.
pub(crate) fn administrator(config: &Config) -> ClientConfig {
    common(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_sets_counts_under_each_of_its_names() {
        let linger = |set: &[(&str, &str)]| {
            let mut config = Config::new("shop", "127.0.0.1:9092");
            for (name, value) in set {
                config.properties.set(name, (*value).to_owned(), |_, _| String::new()).unwrap();
            }
            let client = producer(&config);
            ["linger.ms", "queue.buffering.max.ms"].map(|name| client.get(name).map(str::to_owned))
        };
        assert_eq!(linger(&[]), [Some("1000".to_owned()), None]);
        assert_eq!(linger(&[("linger.ms", "5")]), [Some("5".to_owned()), None]);
        assert_eq!(linger(&[("queue.buffering.max.ms", "5")]), [None, Some("5".to_owned())]);
    }
}
