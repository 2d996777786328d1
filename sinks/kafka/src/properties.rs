//! `[sink.kafka.properties]`: whatever librdkafka takes, but for what the guarantees rest on. Values may be secrets, so
//! they are never printed.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_conf_res_t as Answer;
use rdkafka::error::KafkaError;
use tailwater_core::Result;

use crate::error;

/// Properties of librdkafka by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl fmt::Debug for Properties {
    /// The names alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What cannot be set, and why.
const REFUSED: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "`brokers` in [sink.kafka] names them"),
    (
        &["enable.idempotence", "acks", "request.required.acks", "enable.gapless.guarantee"],
        "without acknowledgement by all replicas, and numbered requests, records could be lost, repeated or change places",
    ),
    (
        &["retries", "message.send.max.retries", "max.in.flight", "max.in.flight.requests.per.connection"],
        "the numbered requests of an idempotent producer need them as they are",
    ),
    (&["transactional.id"], "it is named after the pipeline, so that a second process with it is noticed"),
    (
        &["partitioner", "partitioner_cb"],
        "a key's partition is the one that Kafka's Java client chooses, always",
    ),
    (
        &[
            "queue.buffering.max.messages",
            "queue.buffering.max.kbytes",
            "queue.buffering.backpressure.threshold",
        ],
        "`buffer` in [sink.kafka] bounds what waits to be sent",
    ),
    (
        &["message.max.bytes", "max.request.size"],
        "the topic's own `max.message.bytes` decides how large a record may be",
    ),
    (
        &[
            "isolation.level",
            "group.id",
            "group.instance.id",
            "enable.auto.commit",
            "enable.auto.offset.store",
            "auto.offset.reset",
            "enable.partition.eof",
            "check.crcs",
        ],
        "it would change how the position is read back",
    ),
    (
        &["allow.auto.create.topics"],
        "topics are made here as `topics` in [sink.kafka] says, and none that was written before",
    ),
    (
        &["delivery.report.only.error", "dr_cb", "dr_msg_cb", "produce.offset.report"],
        "every record's acknowledgement is waited for",
    ),
    (
        &["enable.sasl.oauthbearer.unsecure.jwt", "sasl.oauthbearer.method", "sasl.oauthbearer.config"],
        "`oauth_token_file` in [sink.kafka] says where the token is",
    ),
    (
        &["test.mock.num.brokers", "test.mock.broker.rtt"],
        "librdkafka would write to brokers of its own, which keep nothing",
    ),
    (&["log_cb", "log_level", "log.queue", "error_cb", "opaque"], "`TAILWATER_LOG` says what is logged"),
];

/// Those that people set, to propose the nearest spelling of; librdkafka itself knows which ones there are.
const USUAL: &[&str] = &[
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "delivery.timeout.ms",
    "linger.ms",
    "message.timeout.ms",
    "metadata.max.age.ms",
    "queue.buffering.max.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.principal",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
];

/// The ways to log in that are built in.
const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

impl Properties {
    /// Sets a property. `nearest` makes a proposal for a name that does not exist.
    ///
    /// # Errors
    /// `Operator` where librdkafka does not know it or takes no such value, and where it cannot be set here.
    pub fn set(
        &mut self,
        name: &str,
        value: String,
        nearest: impl Fn(&str, &[&str]) -> String,
    ) -> Result<()> {
        if let Some((_, why)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
            return Err(error::property_refused(name, why));
        }
        match ClientConfig::new().set(name, &value).create_native_config() {
            Ok(_) => {}
            Err(KafkaError::ClientConfig(Answer::RD_KAFKA_CONF_UNKNOWN, ..)) => {
                return Err(error::property_unknown(name, &nearest(name, USUAL)));
            }
            Err(error) => return Err(error::from_rdkafka(&error)),
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Refuses a login without a way to log in that there is: librdkafka's default is Kerberos, which is not built in.
    ///
    /// # Errors
    /// `Operator` where there is none.
    pub fn check_login(&self) -> Result<()> {
        let protocol = self.get("security.protocol").unwrap_or_default();
        if !protocol.to_ascii_lowercase().starts_with("sasl") {
            return Ok(());
        }
        let mechanism = self.get("sasl.mechanisms").or_else(|| self.get("sasl.mechanism"));
        match mechanism {
            Some(named) if MECHANISMS.iter().any(|known| known.eq_ignore_ascii_case(named)) => Ok(()),
            Some(_) | None => Err(error::no_mechanism(mechanism, MECHANISMS)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(name: &str, value: &str, expected: &Expect) {
        let mut properties = Properties::default();
        let answer = properties.set(name, value.to_owned(), |_, _| "did you mean …?".to_owned());
        expected.assert_eq(&answer.map_or_else(|error| error.message(), |()| format!("{properties:?}")));
    }

    #[test]
    fn takes_what_librdkafka_takes_and_the_guarantee_allows() {
        check("compression.type", "zstd", &expect![[r#"{"compression.type"}"#]]);
        check("sasl.mechanisms", "SCRAM-SHA-512", &expect![[r#"{"sasl.mechanisms"}"#]]);
        check("sasl.password", "secret", &expect![[r#"{"sasl.password"}"#]]);
        check("security.protocol", "SASL_SSL", &expect![[r#"{"security.protocol"}"#]]);
        check("delivery.timeout.ms", "1000", &expect![[r#"{"delivery.timeout.ms"}"#]]);
        check(
            "compression.typ",
            "zstd",
            &expect!["`compression.typ` is no property of librdkafka; did you mean …?"],
        );
        check(
            "acks",
            "1",
            &expect![
                "`acks` cannot be set: without acknowledgement by all replicas, and numbered requests, records could be lost, repeated or change places"
            ],
        );
        check(
            "linger.ms",
            "secret",
            &expect![[
                r#"librdkafka refuses `linger.ms`: Invalid value for configuration property "queue.buffering.max.ms""#
            ]],
        );
    }

    #[test]
    fn a_login_needs_a_mechanism_that_is_built_in() {
        let check = |pairs: &[(&str, &str)]| {
            let mut properties = Properties::default();
            for (name, value) in pairs {
                properties.set(name, (*value).to_owned(), |_, _| String::new()).unwrap();
            }
            properties.check_login().map_err(|error| error.message())
        };
        let login = ("security.protocol", "SASL_SSL");
        assert_eq!(check(&[("security.protocol", "SSL")]), Ok(()));
        assert_eq!(check(&[login, ("sasl.mechanisms", "SCRAM-SHA-512")]), Ok(()));
        assert_eq!(check(&[login, ("sasl.mechanism", "PLAIN")]), Ok(()));
        expect!["`security.protocol` asks for a login, but `sasl.mechanisms` is not set"]
            .assert_eq(&check(&[login]).unwrap_err());
        expect![
            "`security.protocol` asks for a login, but `sasl.mechanisms` is GSSAPI, which is not built in"
        ]
        .assert_eq(&check(&[login, ("sasl.mechanisms", "GSSAPI")]).unwrap_err());
    }

    #[test]
    fn every_refused_name_is_one_that_could_be_meant() {
        for (names, why) in REFUSED {
            assert!(!names.is_empty() && !why.is_empty());
            assert!(names.iter().all(|name| !USUAL.contains(name)), "{names:?}");
        }
    }
}
