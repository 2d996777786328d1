//! What is Debezium's Postgres connector's own, release 3.6.3: its properties and what they mean here, and the
//! `[source.postgres]` that they make. `names.txt` beside this file lists what the release has, and a test holds the
//! tables to it.

pub(super) mod offset;
pub(crate) mod written;

use super::convert::{Address, Conversion, Start, line, quoted};
use super::meaning::{Meaning, Table};
use super::relational::{OWN_CODE, RETRIES, TUNING, WATCHED};

use Meaning::{Needless, Only, Refused, Used};

const CONFIRMED: &str = "the position is confirmed to the server once the target holds it, idle or not";
const MASKS: &str = "Tailwater does not change values: hide the column in a view or in its own table at the source, or leave it out with a column list of the publication (ALTER PUBLICATION … SET TABLE … (columns))";
const COLUMNS: &str = "leave columns out with a column list of the publication: ALTER PUBLICATION … SET TABLE … (columns); then remove the property";

/// See the module's description.
pub(super) const PROPERTIES: Table = &[
    // Where the server is, and as whom to log in.
    (
        &[
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
    (&["database.tcpKeepAlive", "database.connection.timeout.ms"], Needless(WATCHED)),
    (
        &["database.include.list", "database.exclude.list"],
        Refused("a pipeline is of one database: the one that database.dbname names"),
    ),
    // Which tables, slot and publication.
    (&["schema.include.list", "schema.exclude.list"], Used),
    (
        &["plugin.name", "slot.name", "publication.name", "publication.autocreate.mode", "slot.drop.on.stop"],
        Used,
    ),
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
    (&["slot.max.retries", "slot.retry.delay.ms"], Needless(RETRIES)),
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
    (&["column.mask.with.*", "column.mask.hash.*", "column.truncate.to.*"], Refused(MASKS)),
    (
        &["include.unknown.datatypes"],
        Only(&["false"], "columns of types that Debezium does not know stay out of its records here too"),
    ),
    (
        &["sourceinfo.struct.maker"],
        Only(&["io.debezium.connector.postgresql.PostgresSourceInfoStructMaker"], OWN_CODE),
    ),
    (
        &["xmin.fetch.interval.ms"],
        Only(&["0"], "source.xmin stays null here: have consumers do without it, then remove the property"),
    ),
    (
        &["include.schema.comments", "schema.refresh.mode"],
        Needless("shapes of tables come from the server's catalogue whenever they change"),
    ),
    (
        &["schema.history.internal", "schema.history.internal.*"],
        Needless("Postgres needs no history of its schemas"),
    ),
    (&["internal.create.slot.command.timeout", "create.slot.command.timeout"], Needless(TUNING)),
];

/// Properties that map to no setting by themselves but decide something.
pub(super) fn decide(conversion: &mut Conversion<'_>) {
    let given = conversion.given;
    if !slot_is_of_pgoutput(conversion) {
        let why =
            "the slot is of another plugin (Debezium's default is decoderbufs), and a slot cannot change it";
        if conversion.start == Start::GoOn {
            conversion.refuse("plugin.name", &format!("{why}: start without offsets, with a first copy"));
        } else {
            conversion
                .remark("plugin.name", &format!("{why}; Tailwater makes one of its own, after a first copy"));
        }
    }
    let drops = given.get("slot.drop.on.stop").map(|drops| drops.trim().eq_ignore_ascii_case("true"));
    if drops == Some(true) && conversion.start == Start::GoOn {
        conversion.refuse("slot.drop.on.stop", "Debezium has removed the slot when it stopped, and what came since is lost to it: start without offsets, with a first copy");
    } else if drops.is_some() {
        conversion.remark("slot.drop.on.stop", "only `tailwater drop` removes a slot");
    }
    if given.get("lsn.flush.mode").is_some() {
        conversion.remark("lsn.flush.mode", CONFIRMED);
    }
    if given.get("publication.autocreate.mode").is_some() {
        conversion.remark(
            "publication.autocreate.mode",
            "the publication is used as it stands; tables that it lacks are added by hand",
        );
    }
}

fn slot_is_of_pgoutput(conversion: &Conversion<'_>) -> bool {
    let plugin = conversion.given.get("plugin.name");
    plugin.is_some_and(|plugin| plugin.trim().eq_ignore_ascii_case("pgoutput"))
}

/// `[source.postgres]`
pub(super) fn source(conversion: &mut Conversion<'_>) -> String {
    let mut text = String::from("[source.postgres]\n");
    let address = Address {
        scheme: "postgres",
        port: "5432",
        password: "PGPASSWORD",
        database: Some("database.dbname"),
    };
    let parameters = parameters(conversion);
    conversion.address(&address, &parameters, &mut text);
    if parameters.iter().any(|(name, _)| *name == "sslkey") {
        line(
            &mut text,
            format_args!(
                "# sslkey must be PEM here; Debezium's driver wants DER (openssl pkcs8 -topk8 -nocrypt)."
            ),
        );
    }
    conversion.tables("schema", &[], &mut text);
    if slot_is_of_pgoutput(conversion) {
        let slot = conversion.text("slot.name").unwrap_or_else(|| "debezium".to_owned());
        if conversion.start == Start::Copy {
            line(
                &mut text,
                format_args!(
                    "# Debezium's own slot. For a first copy it must be gone: drop it, or name another here."
                ),
            );
        }
        line(&mut text, format_args!("slot = {}", quoted(&slot)));
    }
    let publication = conversion.text("publication.name").unwrap_or_else(|| "dbz_publication".to_owned());
    line(&mut text, format_args!("publication = {}", quoted(&publication)));
    text
}

/// How the connection is encrypted.
fn parameters(conversion: &mut Conversion<'_>) -> Vec<(&'static str, String)> {
    let mut parameters = Vec::new();
    for (name, parameter) in [
        ("database.sslmode", "sslmode"),
        ("database.sslrootcert", "sslrootcert"),
        ("database.sslcert", "sslcert"),
        ("database.sslkey", "sslkey"),
    ] {
        let value = conversion.text(name).filter(|value| !value.is_empty());
        parameters.extend(value.map(|value| (parameter, value)));
    }
    parameters
}
