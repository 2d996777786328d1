//! Properties that every connector of Debezium 3.6.3 for a relational database has, and what they mean here. What means
//! something else for one connector stands in that one's own table, which is asked first.

use tailwater_kafka::debezium;

use super::meaning::{Meaning, Table};

use Meaning::{Copy, Needless, Only, Refused, SameName, Used};

pub(super) const TUNING: &str = "tuning of Debezium's own workings; nothing here corresponds to it";
pub(super) const RETRIES: &str = "what may pass is tried again for ever; anything else stops the pipeline with an error, and nothing is skipped";
pub(super) const FIRST_COPY: &str = "a setting of Debezium's snapshot that changes none of its rows";
pub(super) const OWN_CODE: &str =
    "Tailwater runs nobody's classes: have consumers do without it, or keep Debezium for these tables";
pub(super) const WATCHED: &str = "connections are watched and made again by themselves";
const SIGNALS: &str = "there are no signals here: nothing is read from it";
const METRICS: &str = "it concerns Debezium's metrics only";
const OVERRIDES: &str = "the first copy here takes whole tables: go on from Debezium's position with --offsets or --offsets-topic, and no copy is made";
const OLD_NAME: &str =
    "Debezium itself does not know this name any more since 2.0; give it the present one first";

/// See the module's description.
pub(super) const PROPERTIES: Table = &[
    // Where the server is, as whom to log in, and which tables.
    (
        &[
            "connector.class",
            "database.hostname",
            "database.port",
            "database.user",
            "database.password",
            "table.include.list",
            "table.exclude.list",
        ],
        Used,
    ),
    (&["database.connection.factory.class"], Refused(OWN_CODE)),
    (
        &["driver.*"],
        Refused(
            "what the JDBC driver is told has no place here: put what is needed into the url, then remove the property",
        ),
    ),
    (&["database.query.timeout.ms", "connection.validation.timeout.ms"], Needless(WATCHED)),
    (&["table.ignore.builtin"], Only(&["true"], "the server's own tables cannot be followed")),
    (
        &[
            "errors.max.retries",
            "errors.retry.delay.initial.ms",
            "retriable.restart.connector.wait.ms",
            "internal.custom.retriable.exception",
            "event.processing.failure.handling.mode",
            "event.converting.failure.handling.mode",
        ],
        Needless(RETRIES),
    ),
    // What records look like.
    (&["topic.prefix"], Used),
    (
        &["schemas.enable"],
        Refused(
            "it is a property of converters: key.converter.schemas.enable, value.converter.schemas.enable",
        ),
    ),
    (debezium::Config::OPTIONS, SameName),
    (&["heartbeat.topics.prefix"], Used),
    (&["column.propagate.source.type", "datatype.propagate.source.type"], Used),
    (&["converters", "post.processors"], Only(&[""], OWN_CODE)),
    (
        &["skip.messages.without.change"],
        Only(
            &["false"],
            "updates that change nothing come too: have consumers ignore them, then remove the property",
        ),
    ),
    (
        &["topic.naming.strategy"],
        Only(
            &["io.debezium.schema.SchemaTopicNamingStrategy"],
            "name topics with `topic` below [sink.kafka], from {prefix}, {schema} and {table}; then remove the property",
        ),
    ),
    (
        &["topic.delimiter"],
        Only(
            &["."],
            "name topics with `topic` below [sink.kafka], and remove the property; the names of schemas keep their dots",
        ),
    ),
    (
        &["topic.heartbeat.name"],
        Refused("the topic of heartbeats is named topic.heartbeat.prefix and the prefix"),
    ),
    (
        &["transaction.metadata.factory"],
        Only(&["io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory"], OWN_CODE),
    ),
    // The snapshot.
    (&["snapshot.mode"], Used),
    (
        &[
            "snapshot.include.collection.list",
            "snapshot.select.statement.overrides",
            "snapshot.select.statement.overrides.*",
        ],
        Copy(&[""], OVERRIDES),
    ),
    (&["snapshot.query.mode"], Copy(&["select_all"], OVERRIDES)),
    (
        &[
            "snapshot.query.mode.custom.name",
            "snapshot.locking.mode.custom.name",
            "snapshot.mode.custom.name",
        ],
        Copy(&[""], OVERRIDES),
    ),
    (&["snapshot.mode.configuration.based.*"], Copy(&["false"], OVERRIDES)),
    (
        &[
            "snapshot.isolation.mode",
            "snapshot.locking.mode",
            "snapshot.lock.timeout.ms",
            "snapshot.fetch.size",
            "snapshot.max.threads",
            "snapshot.max.threads.multiplier",
            "snapshot.delay.ms",
            "snapshot.tables.order.by.row.count",
            "internal.snapshot.scan.all.columns.force",
            "internal.legacy.snapshot.max.threads",
            "legacy.snapshot.max.threads",
            "streaming.delay.ms",
        ],
        Needless(FIRST_COPY),
    ),
    // Signals and notifications.
    (&["signal.*", "incremental.snapshot.*", "read.only"], Needless(SIGNALS)),
    (&["notification.enabled.channels"], Used),
    (&["notification.sink.topic.name", "notification.*"], Needless("there are no notifications here")),
    // Debezium's workings.
    (
        &[
            "max.batch.size",
            "max.queue.size",
            "max.queue.size.in.bytes",
            "poll.interval.ms",
            "query.fetch.size",
            "queue.provider.type",
            "memory.management.*",
            "topic.cache.size",
            "executor.shutdown.timeout.ms",
            "internal.log.position.check.enable",
            "guardrail.collections.*",
            "custom.sanitize.pattern",
            "record.processing.*",
            "internal.task.management.timeout.ms",
            "debezium.embedded.shutdown.pause.before.interrupt.ms",
        ],
        Needless(TUNING),
    ),
    (
        &[
            "custom.metric.tags",
            "internal.advanced.metrics.enable",
            "statistics.metrics.enabled",
            "openlineage.*",
        ],
        Needless(METRICS),
    ),
    // Names of old.
    (
        &[
            "database.server.name",
            "schema.whitelist",
            "schema.blacklist",
            "database.whitelist",
            "database.blacklist",
            "table.whitelist",
            "table.blacklist",
            "column.whitelist",
            "column.blacklist",
            "source.struct.version",
            "sanitize.field.names",
            "database.history",
            "database.history.*",
        ],
        Refused(OLD_NAME),
    ),
];
