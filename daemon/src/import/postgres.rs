//! Every property of Debezium's Postgres connector, release 3.6.3, and what it means here. A property that stands in no
//! table stops the import; `names.txt` beside this file lists what the release has, and a test holds this table to it.

use tailwater_kafka::debezium;

use super::meaning::{Meaning, Table};

use Meaning::{Copy, Needless, Only, Refused, SameName, Used};

const TUNING: &str = "tuning of Debezium's own workings; nothing here corresponds to it";
const RETRIES: &str = "what may pass is tried again for ever; anything else stops the pipeline with an error, and nothing is skipped";
const SIGNALS: &str = "there are no signals here: nothing is read from it";
const METRICS: &str = "it concerns Debezium's metrics only";
const FIRST_COPY: &str = "a setting of Debezium's snapshot that changes none of its rows";
const CONFIRMED: &str = "the position is confirmed to the server once the target holds it, idle or not";
const MASKS: &str = "Tailwater does not change values: hide the column in a view or in its own table at the source, or leave it out with a column list of the publication (ALTER PUBLICATION … SET TABLE … (columns))";
const COLUMNS: &str = "leave columns out with a column list of the publication: ALTER PUBLICATION … SET TABLE … (columns); then remove the property";
const OVERRIDES: &str = "the first copy here takes whole tables: go on from Debezium's position with --offsets or --offsets-topic, and no copy is made";
const OWN_CODE: &str =
    "Tailwater runs nobody's classes: have consumers do without it, or keep Debezium for these tables";
const OLD_NAME: &str =
    "Debezium itself does not know this name any more since 2.0; give it the present one first";

/// See the module's description.
pub(super) const PROPERTIES: Table = &[
    // Where the server is, and as whom to log in.
    (
        &[
            "connector.class",
            "database.hostname",
            "database.port",
            "database.user",
            "database.password",
            "database.dbname",
            "database.sslmode",
            "database.sslcert",
            "database.sslkey",
            "database.sslrootcert",
        ],
        Used,
    ),
    (
        &["database.sslpassword"],
        Refused("store the key without a passphrase, as PEM, and remove the property"),
    ),
    (&["database.sslfactory"], Refused("use database.sslmode, sslrootcert, sslcert and sslkey instead")),
    (
        &["database.initial.statements"],
        Refused(
            "give settings of the session in the url instead: ?options=-c%20name%3Dvalue; then remove the property",
        ),
    ),
    (&["database.connection.factory.class"], Refused(OWN_CODE)),
    (
        &["driver.*"],
        Refused(
            "what the JDBC driver is told has no place here: put what is needed into the url, then remove the property",
        ),
    ),
    (
        &[
            "database.tcpKeepAlive",
            "database.query.timeout.ms",
            "database.connection.timeout.ms",
            "connection.validation.timeout.ms",
        ],
        Needless("connections are watched and made again by themselves"),
    ),
    (
        &["database.include.list", "database.exclude.list"],
        Refused("a pipeline is of one database: the one that database.dbname names"),
    ),
    // Which tables, slot and publication.
    (&["table.include.list", "table.exclude.list", "schema.include.list", "schema.exclude.list"], Used),
    (
        &["plugin.name", "slot.name", "publication.name", "publication.autocreate.mode", "slot.drop.on.stop"],
        Used,
    ),
    (&["table.ignore.builtin"], Only(&["true"], "the server's own tables cannot be followed")),
    (&["column.include.list", "column.exclude.list"], Refused(COLUMNS)),
    (
        &["slot.stream.params"],
        Only(&[""], "parameters of the plugin are not handed on; what they leave out would come"),
    ),
    (
        &["slot.failover"],
        Needless(
            "the slot is used as it stands; make a new one with failover yourself: pg_create_logical_replication_slot",
        ),
    ),
    (
        &["publish.via.partition.root"],
        Needless(
            "the publication is used as it stands, and says itself whether partitions come as their root",
        ),
    ),
    (
        &["replica.identity.autoset.values"],
        Needless("Debezium has set them already; Tailwater alters no table"),
    ),
    (
        &["message.prefix.include.list", "message.prefix.exclude.list"],
        Refused(
            "messages of every prefix come to the topic PREFIX.message: have its readers choose, then remove the property",
        ),
    ),
    (
        &[
            "offset.mismatch.strategy",
            "internal.slot.seek.to.known.offset.on.start",
            "slot.seek.to.known.offset.on.start",
        ],
        Needless("continuity is proved at every start; where it cannot be, the pipeline stops"),
    ),
    (
        &[
            "slot.max.retries",
            "slot.retry.delay.ms",
            "errors.max.retries",
            "errors.retry.delay.initial.ms",
            "retriable.restart.connector.wait.ms",
            "internal.custom.retriable.exception",
        ],
        Needless(RETRIES),
    ),
    (
        &["event.processing.failure.handling.mode", "event.converting.failure.handling.mode"],
        Needless(RETRIES),
    ),
    (&["lsn.flush.mode"], Used),
    (
        &[
            "flush.lsn.source",
            "lsn.flush.timeout.ms",
            "lsn.flush.timeout.action",
            "status.update.interval.ms",
            "heartbeat.action.query",
        ],
        Needless(CONFIRMED),
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
    (&["column.mask.with.*", "column.mask.hash.*", "column.truncate.to.*"], Refused(MASKS)),
    (&["column.propagate.source.type", "datatype.propagate.source.type"], Used),
    (&["converters", "post.processors"], Only(&[""], OWN_CODE)),
    (
        &["include.unknown.datatypes"],
        Only(&["false"], "columns of types that Debezium does not know stay out of its records here too"),
    ),
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
        &["sourceinfo.struct.maker"],
        Only(&["io.debezium.connector.postgresql.PostgresSourceInfoStructMaker"], OWN_CODE),
    ),
    (
        &["transaction.metadata.factory"],
        Only(&["io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory"], OWN_CODE),
    ),
    (
        &["xmin.fetch.interval.ms"],
        Only(&["0"], "source.xmin stays null here: have consumers do without it, then remove the property"),
    ),
    (
        &["include.schema.comments", "schema.refresh.mode"],
        Needless("shapes of tables come from the server's catalogue whenever they change"),
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
            "internal.create.slot.command.timeout",
            "create.slot.command.timeout",
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
            "table.whitelist",
            "table.blacklist",
            "column.whitelist",
            "column.blacklist",
            "source.struct.version",
            "sanitize.field.names",
        ],
        Refused(OLD_NAME),
    ),
];
