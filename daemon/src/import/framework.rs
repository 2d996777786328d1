//! The properties that no connector has to itself: those of Kafka Connect, of Debezium's engine and of Debezium Server,
//! and those of Kafka's Java producer, which become librdkafka's where they have another name there.

use super::meaning::{Meaning, Table};

use Meaning::{Needless, Only, Refused, Used};

const STOPS: &str = "nothing is skipped here: what cannot be written stops the pipeline with an error";
const ONE_TASK: &str = "a pipeline is one task";
const CONVERTER: &str = "JSON is written as the converter has it by default";
const POSITION: &str = "the position is kept in a topic of its own, with the records";
const SERVER: &str = "it concerns Debezium Server's own process";

/// See the module's description.
pub(super) const PROPERTIES: Table = &[
    (&["name", "bootstrap.servers"], Used),
    (&["tasks.max"], Needless(ONE_TASK)),
    (
        &[
            "tasks.max.enforce",
            "config.action.reload",
            "connector.plugin.version",
            "*.converter.plugin.version",
        ],
        Needless(ONE_TASK),
    ),
    (
        &[
            "errors.tolerance",
            "errors.log.enable",
            "errors.log.include.messages",
            "errors.retry.timeout",
            "errors.retry.delay.max.ms",
        ],
        Needless(STOPS),
    ),
    (&["transforms", "transforms.*", "predicates", "predicates.*"], Used),
    (
        &[
            "key.converter",
            "value.converter",
            "header.converter",
            "key.converter.schemas.enable",
            "value.converter.schemas.enable",
        ],
        Used,
    ),
    (&["*.converter.schemas.cache.size"], Needless("nothing is cached that it would bound")),
    (&["header.converter.schemas.enable"], Only(&["false", "true"], CONVERTER)),
    (
        &["*.converter.decimal.format"],
        Only(&["base64"], "decimals are written as decimal.handling.mode says; bytes among them as base64"),
    ),
    (
        &["*.converter.replace.null.with.default"],
        Only(&["true"], "NULL in a column with a default is written as Debezium's default settings write it"),
    ),
    (
        &["topic.creation.groups"],
        Only(&["", "default"], "write a [[sink.kafka.topics]] for each group, then remove the groups"),
    ),
    (&["topic.creation.default.*", "producer.override.*"], Used),
    (&["topic.creation.*"], Refused("write a [[sink.kafka.topics]] for each group, then remove the groups")),
    (
        &["consumer.override.*", "admin.override.*"],
        Needless("clients are set below [sink.kafka.properties], all alike"),
    ),
    (
        &["exactly.once.support", "transaction.boundary", "transaction.boundary.interval.ms"],
        Needless("delivery = \"exactly-once\" is the default"),
    ),
    (
        &[
            "offsets.storage.topic",
            "offset.storage",
            "offset.storage.*",
            "offset.flush.*",
            "offset.commit.policy",
        ],
        Needless(POSITION),
    ),
    (&["debezium.sink.type"], Used),
    (
        &["debezium.sink.kafka.wait.message.delivery.timeout.ms"],
        Needless("delivery.timeout.ms below [sink.kafka.properties] says how long"),
    ),
    (&["debezium.sink.*"], Refused("it is of another sink than Kafka, or not known: remove it")),
    (
        &["debezium.termination.wait", "debezium.engine.factory", "debezium.api.*", "quarkus.*"],
        Needless(SERVER),
    ),
];

/// What Kafka's Java producer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Producer {
    /// librdkafka has it under this name.
    Named(&'static str),
    /// It changes nothing here; why.
    Needless(&'static str),
    /// The connection would not come about, or be another one; what to do.
    Refused(&'static str),
}

const BOUNDED: &str = "`buffer` below [sink.kafka] bounds what waits to be sent";
const REQUESTS: &str = "requests go when they are full or a batch ends; librdkafka needs other numbers for that than the Java client, which are the default";
const GUARANTEE: &str = "the guarantee needs acknowledgement by all replicas and numbered requests, always";
const STORES: &str = "librdkafka reads PEM or PKCS#12, no Java key store: set ssl.ca.location, ssl.certificate.location and ssl.key.location below [sink.kafka.properties], and remove the property";

/// By the Java producer's names; `sasl.jaas.config` is taken apart elsewhere.
pub(super) const PRODUCER: &[(&[&str], Producer)] = &[
    (&["compression.type"], Producer::Named("compression.type")),
    (
        &["compression.zstd.level", "compression.gzip.level", "compression.lz4.level"],
        Producer::Named("compression.level"),
    ),
    (&["linger.ms", "batch.size"], Producer::Needless(REQUESTS)),
    (&["client.id"], Producer::Named("client.id")),
    (&["request.timeout.ms"], Producer::Named("request.timeout.ms")),
    (&["delivery.timeout.ms"], Producer::Named("delivery.timeout.ms")),
    (&["transaction.timeout.ms"], Producer::Named("transaction.timeout.ms")),
    (&["retry.backoff.ms"], Producer::Named("retry.backoff.ms")),
    (&["retry.backoff.max.ms"], Producer::Named("retry.backoff.max.ms")),
    (&["reconnect.backoff.ms"], Producer::Named("reconnect.backoff.ms")),
    (&["reconnect.backoff.max.ms"], Producer::Named("reconnect.backoff.max.ms")),
    (&["connections.max.idle.ms"], Producer::Named("connections.max.idle.ms")),
    (&["metadata.max.age.ms"], Producer::Named("metadata.max.age.ms")),
    (&["client.dns.lookup"], Producer::Named("client.dns.lookup")),
    (&["security.protocol"], Producer::Named("security.protocol")),
    (&["sasl.mechanism"], Producer::Named("sasl.mechanisms")),
    (&["ssl.endpoint.identification.algorithm"], Producer::Named("ssl.endpoint.identification.algorithm")),
    (&["key.serializer", "value.serializer"], Producer::Needless("records are bytes already")),
    (
        &[
            "acks",
            "enable.idempotence",
            "retries",
            "max.in.flight.requests.per.connection",
            "transactional.id",
        ],
        Producer::Needless(GUARANTEE),
    ),
    (&["buffer.memory", "max.block.ms"], Producer::Needless(BOUNDED)),
    (
        &["max.request.size"],
        Producer::Needless("the topic's own max.message.bytes decides how large a record may be"),
    ),
    (
        &[
            "send.buffer.bytes",
            "receive.buffer.bytes",
            "metadata.max.idle.ms",
            "metric.reporters",
            "metrics.*",
            "enable.metrics.push",
            "auto.include.jmx.reporter",
            "ssl.protocol",
            "ssl.enabled.protocols",
            "ssl.provider",
        ],
        Producer::Needless("tuning of the Java client"),
    ),
    (
        &["partitioner.*"],
        Producer::Refused(
            "a key's partition is the one that the Java client's own partitioner chooses: remove the property if it names that one",
        ),
    ),
    (&["interceptor.classes"], Producer::Refused("Tailwater runs nobody's classes: remove the property")),
    (&["ssl.truststore.*", "ssl.keystore.*", "ssl.key.password"], Producer::Refused(STORES)),
    (
        &["sasl.oauthbearer.*", "sasl.login.*", "sasl.client.*", "sasl.kerberos.*"],
        Producer::Refused(
            "set librdkafka's own properties below [sink.kafka.properties], or oauth_token_file below [sink.kafka]; then remove the property",
        ),
    ),
];
