//! What is Debezium's MySQL and MariaDB connectors' own, release 3.6.3: their properties and what they mean here, and the
//! `[source.mysql]` or `[source.mariadb]` that they make. `names-mysql.txt` beside this file lists what the release has,
//! and a test holds the tables to it.

pub(super) mod offset;
pub(crate) mod written;

use super::convert::{Address, Conversion, line};
use super::meaning::{Meaning, Table};
use super::relational::{FIRST_COPY, OWN_CODE, RETRIES, TUNING, WATCHED};

use Meaning::{Needless, Only, Refused, Used};

const MASKS: &str = "Tailwater does not change values: keep such columns in a table of their own at the source, and leave that out of `tables`; then remove the property";
const COLUMNS: &str = "a row comes with all of its columns: keep those in a table of their own at the source, and leave that out of `tables`; then remove the property";
const STORES: &str = "certificates are PEM here: put ssl-ca=FILE, or ssl-cert=FILE and ssl-key=FILE, into the url, and remove the property";
const BY_GTID: &str =
    "transactions of every server come: leave tables out by `tables`, then remove the property";
const NUMBER: &str = "the pipeline has a number of its own, made of its name; server_id = … gives it another";
const PROVED: &str = "continuity is proved at every start; where it cannot be, the pipeline stops";

/// See the module's description.
pub(super) const PROPERTIES: Table = &[
    // Where the server is, and as whom to log in.
    (&["database.ssl.mode"], Used),
    (
        &[
            "database.ssl.keystore",
            "database.ssl.keystore.password",
            "database.ssl.truststore",
            "database.ssl.truststore.password",
        ],
        Refused(STORES),
    ),
    (
        &["database.initial.statements"],
        Refused(
            "settings of the session have no place here: set them for the account or the server, then remove the property",
        ),
    ),
    (&["database.protocol"], Only(&["jdbc:mysql"], "another driver has no equal here")),
    (&["database.jdbc.driver"], Only(&["com.mysql.cj.jdbc.Driver", "org.mariadb.jdbc.Driver"], OWN_CODE)),
    (
        &[
            "connect.keep.alive",
            "connect.keep.alive.interval.ms",
            "connect.timeout.ms",
            "use.nongraceful.disconnect",
        ],
        Needless(WATCHED),
    ),
    (&["database.server.id", "database.server.id.offset"], Needless(NUMBER)),
    // Which tables, and from where in the log.
    (&["database.include.list", "database.exclude.list"], Used),
    (&["column.include.list", "column.exclude.list"], Refused(COLUMNS)),
    (&["gtid.source.includes", "gtid.source.excludes"], Refused(BY_GTID)),
    (
        &["gtid.source.filter.dml.events"],
        Needless("it goes with gtid.source.includes and gtid.source.excludes"),
    ),
    (&["gtid.new.channel.position", "gtid.ignore.on.recovery"], Needless(PROVED)),
    (&["heartbeat.action.query"], Needless("the position moves by itself, also while other tables change")),
    (
        &["event.deserialization.failure.handling.mode", "inconsistent.schema.handling.mode"],
        Needless(RETRIES),
    ),
    // What records look like.
    (&["include.schema.changes"], Used),
    (&["column.mask.with.*", "column.mask.hash.*", "column.truncate.to.*"], Refused(MASKS)),
    (
        &["include.query"],
        Only(
            &["false"],
            "source.query stays null here: have consumers do without it, then remove the property",
        ),
    ),
    (
        &["include.schema.comments"],
        Only(
            &["false"],
            "inline schemas have no comments here: have consumers do without them, then remove the property",
        ),
    ),
    (
        &["sourceinfo.struct.maker"],
        Only(
            &[
                "io.debezium.connector.mysql.MySqlSourceInfoStructMaker",
                "io.debezium.connector.mariadb.MariaDbSourceInfoStructMaker",
            ],
            OWN_CODE,
        ),
    ),
    // Debezium's workings.
    (
        &["schema.history.internal", "schema.history.internal.*"],
        Needless("no history of schemas is kept: the log says what its columns are"),
    ),
    (&["min.row.count.to.stream.results", "snapshot.new.tables"], Needless(FIRST_COPY)),
    (
        &["binlog.buffer.size", "binlog.net.read.timeout", "binlog.net.write.timeout", "ddl.parser.type"],
        Needless(TUNING),
    ),
];

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    MySql,
    MariaDb,
}

/// `[source.mysql]`, `[source.mariadb]`
pub(super) fn source(conversion: &mut Conversion<'_>, kind: Kind) -> String {
    let scheme = match kind {
        Kind::MySql => "mysql",
        Kind::MariaDb => "mariadb",
    };
    let mut text = format!("[source.{scheme}]\n");
    let address = Address { scheme, port: "3306", password: "MYSQL_PWD", database: None };
    let parameters = ssl_mode(conversion);
    conversion.address(&address, &parameters, &mut text);
    conversion.tables("database", &["!mysql.*", "!sys.*"], &mut text);
    text
}

/// What Debezium does where nothing else is said: it writes them.
pub(super) fn schema_changes(conversion: &Conversion<'_>, text: &mut String) {
    const NAME: &str = "include.schema.changes";
    if conversion.given.get(NAME).is_none() {
        line(
            text,
            format_args!("# Debezium's default. Where nobody reads the topic of the prefix, write false."),
        );
    }
    let changes = conversion.given.get(NAME).unwrap_or("true").trim().to_lowercase();
    line(text, format_args!("{NAME} = {changes}"));
}

/// By the names of either connector.
const SSL_MODES: &[(&[&str], &str)] = &[
    (&["disabled", "disable"], "DISABLED"),
    (&["preferred"], "PREFERRED"),
    (&["required", "trust"], "REQUIRED"),
    (&["verify_ca", "verify-ca"], "VERIFY_CA"),
    (&["verify_identity", "verify-full"], "VERIFY_IDENTITY"),
];

fn ssl_mode(conversion: &mut Conversion<'_>) -> Vec<(&'static str, String)> {
    const NAME: &str = "database.ssl.mode";
    let Some(mode) = conversion.text(NAME).filter(|mode| !mode.is_empty()) else { return Vec::new() };
    let is = |known: &&str| known.eq_ignore_ascii_case(&mode);
    let known = SSL_MODES.iter().find(|(names, _)| names.iter().any(is));
    if known.is_none() && !mode.contains("${") {
        conversion.bad_value(NAME, "is none of disabled, preferred, required, verify_ca, verify_identity, nor MariaDB's disable, trust, verify-ca, verify-full");
    }
    vec![("ssl-mode", known.map_or(mode, |(_, ours)| (*ours).to_owned()))]
}
