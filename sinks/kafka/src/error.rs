//! What can go wrong between here and Kafka, and who must act: the kind follows from librdkafka's code, never from text.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-KAFKA-001 | transient | no broker answers, or not in time | wait; check `brokers`, firewall, listeners |
//! | TW-KAFKA-002 | transient | a partition or coordinator has no leader, or too few replicas, or a broker does not know a topic | wait; look at the brokers |
//! | TW-KAFKA-003 | operator | the brokers refuse the login | correct the `sasl.…` properties |
//! | TW-KAFKA-004 | operator | TLS cannot be set up | correct the `ssl.…` properties, or `security.protocol` |
//! | TW-KAFKA-005 | operator | a right is missing | the ACL that the message asks for |
//! | TW-KAFKA-006 | operator | a topic is refused by the brokers, or is gone although it was written before | create it as the message says |
//! | TW-KAFKA-007 | operator | a record is larger than its topic takes | raise `max.message.bytes` of the topic |
//! | TW-KAFKA-008 | operator | another process with this pipeline's name took over | keep one of the two |
//! | TW-KAFKA-009 | operator | a property is unknown, wrong, or kept by Tailwater | correct or remove it |
//! | TW-KAFKA-010 | operator | `transaction.timeout.ms` is more than the brokers allow | lower it, or raise `transaction.max.timeout.ms` there |
//! | TW-KAFKA-011 | operator | a source transaction took longer than `transaction.timeout.ms` | raise both timeouts |
//! | TW-KAFKA-012 | operator | the position topic is not compacted, or has several partitions | the command it prints |
//! | TW-KAFKA-013 | operator | the stored position cannot be read | use the release that wrote it |
//! | TW-KAFKA-014 | operator | a topic has another number of partitions than before | `partition_change = "accept"`, or a new topic |
//! | TW-KAFKA-015 | operator | a table's name makes no topic name | another `topic` pattern |
//! | TW-KAFKA-016 | operator | two tables make the same topic name, or one that of the position topic or of statements | another `topic` pattern, or another `position_topic` |
//! | TW-KAFKA-017 | transient | any other error of the brokers | see the message |
//! | TW-KAFKA-018 | operator | the brokers do not take a record or a request | see the message; for a compacted topic give the table a key |
//! | TW-KAFKA-019 | transient | a transaction that somebody left open hides the position | wait until it times out |
//! | TW-KAFKA-020 | transient | a write to a sink that is not open, or has failed | none |
//! | TW-KAFKA-021 | operator | the OAuth token cannot be read | correct the file that `oauth_token_file` names |
//! | TW-KAFKA-022 | data | a change lacks a value of its table's key | report it: the source must send the key |
//! | TW-KAFKA-023 | operator | `message.key.columns` names a column that a table it matches does not have | correct it |
//! | TW-KAFKA-024 | operator | two fields of a row would have the same name | another `add.fields.prefix`, another name in `add.fields`, or another `field.name.adjustment.mode` |
//! | TW-KAFKA-025 | operator | a pipeline that is to begin at another reader's position has one already | another name for the file, or remove the position topic |
//! | TW-KAFKA-030 | warning of `check` | a topic has one replica only, or may lose acknowledged records | raise its replication or `min.insync.replicas` |
//! | TW-KAFKA-031 | warning of `check` | a setting of a topic or of the brokers cannot be read, so it is not checked | give the right to describe configurations |
//! | TW-KAFKA-032 | warning of `check` | `batch.size` is more than a topic's `max.message.bytes` | lower `batch.size` |
//! | TW-KAFKA-033 | warning of `check` | a topic is missing, and made when the first record comes | create it, if it is to be special |
//! | TW-KAFKA-034 | warning of `check` | the connection is not encrypted | `"security.protocol" = "SASL_SSL"` |
//! | TW-KAFKA-035 | warning of `check` | `message.key.columns` matches no table of the pipeline | correct or remove it |

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tailwater_core::{Error, ErrorKind};

const UNREACHABLE: &[Code] = &[
    Code::BrokerTransportFailure,
    Code::AllBrokersDown,
    Code::Resolve,
    Code::OperationTimedOut,
    Code::TimedOutQueue,
    Code::MessageTimedOut,
    Code::RequestTimedOut,
    Code::BrokerNotAvailable,
    Code::NetworkException,
    Code::DestroyBroker,
];
const NO_LEADER: &[Code] = &[
    Code::LeaderNotAvailable,
    Code::NotLeaderForPartition,
    Code::ReplicaNotAvailable,
    Code::CoordinatorLoadInProgress,
    Code::CoordinatorNotAvailable,
    Code::NotCoordinator,
    Code::NotController,
    Code::NotEnoughReplicas,
    Code::NotEnoughReplicasAfterAppend,
    Code::KafkaStorageError,
    Code::ConcurrentTransactions,
    Code::WaitingForCoordinator,
    Code::TransactionCoordinatorFenced,
];
const LOGIN: &[Code] = &[
    Code::Authentication,
    Code::SaslAuthenticationFailed,
    Code::UnsupportedSASLMechanism,
    Code::IllegalSASLState,
    Code::SecurityDisabled,
];
const RIGHTS: &[Code] = &[
    Code::TopicAuthorizationFailed,
    Code::GroupAuthorizationFailed,
    Code::ClusterAuthorizationFailed,
    Code::TransactionalIdAuthorizationFailed,
];
const NO_TOPIC: &[Code] = &[
    Code::UnknownTopic,
    Code::UnknownTopicOrPartition,
    Code::UnknownPartition,
    Code::InvalidTopic,
    Code::UnknownTopicId,
];
const TOO_LARGE: &[Code] = &[Code::MessageSizeTooLarge, Code::MessageBatchTooLarge];
const FENCED: &[Code] = &[Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch];
const REFUSED: &[Code] = &[
    Code::InvalidMessage,
    Code::InvalidRecord,
    Code::InvalidTimestamp,
    Code::InvalidConfig,
    Code::InvalidPartitions,
    Code::InvalidReplicationFactor,
    Code::InvalidReplicaAssignment,
    Code::InvalidRequest,
    Code::InvalidRequiredAcks,
    Code::PolicyViolation,
    Code::UnsupportedForMessageFormat,
    Code::UnsupportedVersion,
    Code::UnsupportedFeature,
    Code::UnsupportedCompressionType,
    Code::InvalidArgument,
];

/// Whether another producer of the same name has taken over.
pub(crate) fn is_fenced(code: Code) -> bool {
    FENCED.contains(&code)
}

pub(crate) fn is_too_large(code: Code) -> bool {
    TOO_LARGE.contains(&code)
}

/// Whether a topic is not there: not for its name, which Kafka could not take.
pub(crate) fn is_missing_topic(code: Code) -> bool {
    NO_TOPIC.contains(&code) && code != Code::InvalidTopic
}

pub(crate) fn is_unreachable(code: Code) -> bool {
    UNREACHABLE.contains(&code)
}

/// The error for a code; `text` is what librdkafka or the broker says.
pub(crate) fn from_code(code: Code, text: &str) -> Error {
    let listed = |codes: &[Code]| codes.contains(&code);
    if listed(LOGIN) {
        return Error::operator("TW-KAFKA-003", format!("the brokers refuse the login: {text}"))
            .remedy("correct the \"sasl.…\" properties below [sink.kafka.properties]");
    }
    if code == Code::SSL {
        return Error::operator("TW-KAFKA-004", format!("TLS cannot be set up: {text}")).remedy(
            "correct the \"ssl.…\" properties and \"security.protocol\" below [sink.kafka.properties]",
        );
    }
    if listed(RIGHTS) {
        return Error::operator("TW-KAFKA-005", format!("a right is missing: {text}")).remedy(ACLS);
    }
    if listed(FENCED) {
        return Error::operator("TW-KAFKA-008", format!("another process took this pipeline over: {text}"))
            .remedy("stop the other process with a pipeline of this name, then start this one again");
    }
    if code == Code::InvalidTransactionTimeout {
        let message = "`transaction.timeout.ms` is more than the brokers' `transaction.max.timeout.ms`";
        return Error::operator("TW-KAFKA-010", message)
            .remedy("write below [sink.kafka.properties]: \"transaction.timeout.ms\" = \"…\" with at most what the brokers allow");
    }
    if code == Code::InvalidTopic {
        return Error::operator("TW-KAFKA-006", format!("the brokers refuse the topic's name: {text}")).remedy(
            "a name of at most 249 letters, digits, `.`, `_` and `-`; where it is one, there is a topic already whose \
             name differs in `.` and `_` only, which brokers do not take: write another `topic`, `prefix` or \
             `position_topic` below [sink.kafka]",
        );
    }
    if is_unreachable(code) {
        return Error::transient("TW-KAFKA-001", format!("no broker answers, or not in time: {text}")).remedy(
            "are the brokers up, is `brokers` in [sink.kafka] right, and can this machine reach what they advertise as their \
             listeners?",
        );
    }
    if code == Code::InvalidRecord {
        return Error::operator("TW-KAFKA-018", text).remedy(
            "a compacted topic takes no record without a key: give the table a primary key, or name columns of it in \
             `message.key.columns`; or give the topic cleanup.policy=delete; where that is not why, see the broker's log",
        );
    }
    let (kind, number) = match () {
        () if listed(NO_LEADER) => (ErrorKind::Transient, "TW-KAFKA-002"),
        () if listed(NO_TOPIC) => (ErrorKind::Operator, "TW-KAFKA-006"),
        () if listed(TOO_LARGE) => (ErrorKind::Operator, "TW-KAFKA-007"),
        () if listed(REFUSED) => (ErrorKind::Operator, "TW-KAFKA-018"),
        () => (ErrorKind::Transient, "TW-KAFKA-017"),
    };
    Error::new(kind, number, text)
}

const ACLS: &str = "kafka-acls --add --allow-principal User:… --operation Write --operation Describe --operation Create \
    --topic 'PREFIX' --resource-pattern-type prefixed, the same with --operation Read for the position topic, and \
    --operation Write --operation Describe --transactional-id tailwater-PIPELINE";

/// A topic that was written before and is not there any more.
pub(crate) fn topic_gone(topic: &str) -> Error {
    let message = format!(
        "the topic {topic}, which this pipeline has written before, is gone, and what it held with it"
    );
    Error::operator("TW-KAFKA-006", message).remedy(format!(
        "kafka-topics --create --topic {topic}, with as many partitions as it had, to go on without what it held; or \
         `tailwater drop`, and then delete the position topic and the tables' topics, to copy everything afresh"
    ))
}

/// A broker does not know one of these topics: not yet, or not any more, which the next start finds out.
pub(crate) fn topic_unknown(text: &str, topics: &[&str]) -> Error {
    Error::transient("TW-KAFKA-002", format!("a broker does not know {}: {text}", topics.join(" or ")))
}

/// A right that is missing where records are sent: to one of these topics, or to the transactions. `None` where the
/// code tells of neither.
pub(crate) fn right_to_send(
    code: Code,
    text: &str,
    topics: &[&str],
    transactional_id: &str,
) -> Option<Error> {
    let (what, options): (String, String) = if code == Code::TopicAuthorizationFailed {
        (topics.join(" or "), topics.iter().map(|topic| format!(" --topic {topic}")).collect())
    } else if code == Code::TransactionalIdAuthorizationFailed {
        (format!("transactions of {transactional_id}"), format!(" --transactional-id {transactional_id}"))
    } else {
        return None;
    };
    let message = format!("a right is missing to write {what}: {text}");
    let remedy =
        format!("kafka-acls --add --allow-principal User:… --operation Write --operation Describe{options}");
    Some(Error::operator("TW-KAFKA-005", message).remedy(remedy))
}

/// The error of a call of rdkafka.
pub(crate) fn from_rdkafka(error: &KafkaError) -> Error {
    if let KafkaError::ClientConfig(_, description, key, value) = error {
        // What a reference stands for is never told.
        return property(key, &description.replace(&format!("\"{value}\""), "…"));
    }
    if let KafkaError::ClientCreation(text) = error {
        return creation(text);
    }
    match code(error) {
        Some(code) => from_code(code, &code.to_string()),
        None => Error::transient("TW-KAFKA-017", error.to_string()),
    }
}

/// The code of an error of rdkafka, where it has one.
pub(crate) fn code(error: &KafkaError) -> Option<Code> {
    if let KafkaError::AdminOp(code) = error { Some(*code) } else { error.rdkafka_error_code() }
}

/// A client that cannot be made: two properties that do not fit, a certificate that cannot be read.
pub(crate) fn creation(text: &str) -> Error {
    Error::operator("TW-KAFKA-009", format!("librdkafka refuses the properties: {text}"))
        .remedy("correct [sink.kafka.properties]")
}

/// The description may quote the value, and the value may be a secret; so it is told for harmless names only.
pub(crate) fn property(name: &str, description: &str) -> Error {
    let secret = ["password", "secret", "token", "key", "pem", "jaas", "username", "credential"];
    let message = if secret.iter().any(|word| name.contains(word)) {
        format!("librdkafka refuses the value of `{name}`")
    } else {
        format!("librdkafka refuses `{name}`: {}", description.trim())
    };
    Error::operator("TW-KAFKA-009", message)
        .remedy("write a value that librdkafka's CONFIGURATION.md has for it below [sink.kafka.properties]")
}

/// A login is asked for, but no way that is built in.
pub(crate) fn no_mechanism(found: Option<&str>, known: &[&str]) -> Error {
    let found = found.map_or("not set".to_owned(), |name| format!("{name}, which is not built in"));
    let message = format!("`security.protocol` asks for a login, but `sasl.mechanisms` is {found}");
    Error::operator("TW-KAFKA-009", message).remedy(format!(
        "write below [sink.kafka.properties]: \"sasl.mechanisms\" = \"…\" with one of {}",
        known.join(", ")
    ))
}

pub(crate) fn property_refused(name: &str, reason: &str) -> Error {
    Error::operator("TW-KAFKA-009", format!("`{name}` cannot be set: {reason}"))
        .remedy(format!("remove `{name}` from [sink.kafka.properties]"))
}

pub(crate) fn property_unknown(name: &str, hint: &str) -> Error {
    Error::operator("TW-KAFKA-009", format!("`{name}` is no property of librdkafka; {hint}"))
        .remedy("use a name of librdkafka's CONFIGURATION.md")
}

pub(crate) fn too_large(about: &str, key_columns: &[String], topic: &str, bytes: usize) -> Error {
    let key = match key_columns {
        [] => "which has no key".to_owned(),
        columns => format!("with the key {}", columns.join(", ")),
    };
    // Whether it is the record alone is not told by the brokers.
    let message = format!(
        "a record of {about}, {key}, has {bytes} bytes; it, or the request it shares with others, is more than the topic \
         {topic} takes"
    );
    Error::operator("TW-KAFKA-007", message).remedy(format!(
        "kafka-configs --alter --entity-type topics --entity-name {topic} --add-config max.message.bytes=…; where every \
         record is small enough, write below [sink.kafka.properties]: \"batch.size\" = \"…\" with less than that"
    ))
}

pub(crate) fn transaction_too_long(seconds: u64) -> Error {
    let message = format!("a source transaction takes longer than `transaction.timeout.ms` ({seconds} s)");
    Error::operator("TW-KAFKA-011", message).remedy(
        "raise `transaction.max.timeout.ms` on the brokers, and below [sink.kafka.properties] \"transaction.timeout.ms\"",
    )
}

pub(crate) fn position_topic(topic: &str, what: &str, remedy: String) -> Error {
    Error::operator("TW-KAFKA-012", format!("the position topic {topic} {what}")).remedy(remedy)
}

/// A position that another one would replace.
pub(crate) fn position_exists(topic: &str, held: &tailwater_core::Position) -> Error {
    Error::operator("TW-KAFKA-025", format!("topic {topic} holds a position already: {held}")).remedy(
        format!(
            "run the pipeline, which goes on from there; or give its file another name, or delete {topic}"
        ),
    )
}

pub(crate) fn position_unreadable(topic: &str, why: &str) -> Error {
    Error::operator("TW-KAFKA-013", format!("a record of the position topic {topic} cannot be read: {why}"))
        .remedy("use the release that wrote it; or `tailwater drop` and another `position_topic`, to copy everything afresh")
}

pub(crate) fn partitions_changed(topic: &str, before: i32, now: i32) -> Error {
    let message = format!(
        "the topic {topic} had {before} partitions and has {now}: the changes of a key would be in two of them"
    );
    Error::operator("TW-KAFKA-014", message).remedy(
        "write below [sink.kafka]: partition_change = \"accept\", if readers can bear that; or name another `topic`",
    )
}

pub(crate) fn topic_name(table: &str, topic: &str) -> Error {
    Error::operator("TW-KAFKA-015", format!("{table} makes no topic name: {topic:?}"))
        .remedy("write a shorter `topic` or `prefix` below [sink.kafka]")
}

pub(crate) fn topics_collide(topic: &str, first: &str, second: &str) -> Error {
    let message = format!("the tables {first} and {second} both make the topic {topic}");
    Error::operator("TW-KAFKA-016", message)
        .remedy("write another `topic` below [sink.kafka], or leave one of the tables out of `tables`")
}

/// The position would stand among other records, and could not be read back.
pub(crate) fn position_not_alone(topic: &str, what: &str) -> Error {
    let message = format!("{what} would go to {topic}, which is the position topic");
    Error::operator("TW-KAFKA-016", message).remedy(
        "write another `topic` or `position_topic` below [sink.kafka], or leave the table out of `tables`",
    )
}

/// Who reads statements would find rows among them.
pub(crate) fn statements_not_alone(topic: &str, table: &str) -> Error {
    let message =
        format!("{table} would go to {topic}, which `include.schema.changes` fills with statements");
    Error::operator("TW-KAFKA-016", message).remedy(
        "write another `topic` below [sink.kafka], or \"include.schema.changes\" = false below [sink.kafka.debezium]",
    )
}

pub(crate) fn position_hidden(topic: &str) -> Error {
    Error::transient(
        "TW-KAFKA-019",
        format!("a transaction that somebody left open hides the end of {topic}"),
    )
}

pub(crate) fn not_open() -> Error {
    Error::transient("TW-KAFKA-020", "a write to a sink that is not open, or has failed")
}

/// The text tells of the claims, not of the token.
pub(crate) fn token(why: &str) -> Error {
    Error::operator("TW-KAFKA-021", format!("librdkafka does not take the OAuth token: {why}"))
        .remedy("write a JSON web token that is still good into the file that `oauth_token_file` names")
}

pub(crate) fn key_column_unknown(table: &str, asked: &str) -> Error {
    let message = format!("`message.key.columns` asks for {asked}, but {table} has no such column");
    Error::operator("TW-KAFKA-023", message).remedy(
        "correct `message.key.columns` below [sink.kafka.debezium]; its columns are regular expressions too",
    )
}

pub(crate) fn field_twice(table: &str, field: &str) -> Error {
    Error::operator("TW-KAFKA-024", format!("rows of {table} would have two fields named {field}"))
        .remedy("another `add.fields.prefix` or another name in `add.fields`; `field.name.adjustment.mode` may make two names one")
}

pub(crate) fn key_missing(table: &str, column: &str) -> Error {
    Error::data("TW-KAFKA-022", format!("a change of {table} lacks its key column {column}"))
        .remedy("report it: the source must send the key")
}
