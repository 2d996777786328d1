//! Everything a person should know or change before a pipeline reads this server, found in one pass: nothing is
//! changed, and one finding does not hide the next. `tailwater check` calls it.

use tailwater_core::error::Doing as _;
use tailwater_core::pattern::Pattern;
use tailwater_core::{Finding, Result};
use tailwater_transport::Transport;

use crate::config::Config;
use crate::connection::{Connection, Mode};
use crate::error;
use crate::quote;
use crate::setup::{self, Publication};
use crate::slot::{self, Slot};
use crate::url::{SslMode, Url};
use crate::wanted::{self, Wanted};

/// Below this, a limit on the log kept for a slot is sooner reached than a person can react.
const KEEP_MB_MIN: i64 = 1024;

/// Reports what stands in the way of the source, and what may come to.
pub async fn check(config: &Config) -> Vec<Finding> {
    let mut connection = match Connection::open(&config.url, Mode::Sql).await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::from(&error.doing("connect"))],
    };
    let mut findings = privacy(&connection, &config.url);
    if let Err(error) = setup::supported(connection.server_version()) {
        // Nothing below can be asked of an older server.
        findings.push(Finding::from(&error));
        return findings;
    }
    match facts(&mut connection, config).await {
        Ok(facts) => {
            findings.extend(server(&facts));
            findings.extend(state_of_slot(config, &facts));
            findings.extend(replication(config, &facts).await);
            findings.extend(tables(&mut connection, config, &facts).await.unwrap_or_else(one));
        }
        Err(error) => findings.push(Finding::from(&error)),
    }
    if let Err(error) = connection.finish().await {
        tracing::debug!(%error, "the session of the check does not end as it should");
    }
    findings
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `unwrap_or_else` asks for")]
fn one(error: tailwater_core::Error) -> Vec<Finding> {
    vec![Finding::from(&error)]
}

/// Whether the connection can be read or answered by others.
fn privacy(connection: &Connection, url: &Url) -> Vec<Finding> {
    let (stream, encrypted) = match connection.transport() {
        Transport::Unix(_) => return Vec::new(),
        Transport::Tcp(stream) => (stream, false),
        Transport::Tls(stream) => (stream.get_ref().0, true),
    };
    let local = stream.peer_addr().is_ok_and(|address| address.ip().is_loopback());
    let checked = url.ssl_root_cert.is_some()
        || match url.ssl_mode {
            SslMode::VerifyCa | SslMode::VerifyFull => true,
            SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => false,
        };
    let message = match (local, encrypted, checked) {
        (true, _, _) | (false, true, true) => return Vec::new(),
        (false, false, _) => "the connection is not encrypted",
        (false, true, false) => "the connection is encrypted, but the server's certificate is not checked",
    };
    vec![Finding::warning(error::NOT_PRIVATE, message).remedy("sslmode=verify-full in [source.postgres] url")]
}

/// What one query tells of the server and of us.
#[derive(Debug, Default)]
struct Facts {
    user: String,
    may_replicate: bool,
    may_create: bool,
    wal_level: String,
    slots: (i64, i64),
    senders: (i64, i64),
    keep_mb: i64,
    idle_minutes: i64,
    standby: bool,
    encoding: String,
    slot: Option<Slot>,
    version: u32,
}

async fn facts(connection: &mut Connection, config: &Config) -> Result<Facts> {
    let sql = "
        SELECT current_user,
               EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolreplication)
                       OR rolname = 'rds_replication' AND pg_has_role(oid, 'USAGE')),
               has_database_privilege(current_database(), 'CREATE'),
               coalesce(current_setting('effective_wal_level', true), current_setting('wal_level')),
               current_setting('max_replication_slots'), (SELECT count(*) FROM pg_replication_slots),
               current_setting('max_wal_senders'), (SELECT count(*) FROM pg_stat_replication),
               (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
               (SELECT setting FROM pg_settings WHERE name = 'idle_replication_slot_timeout'),
               pg_is_in_recovery(), current_setting('server_encoding')";
    let version = connection.server_version();
    let row = connection.query(sql).await.doing(|| "read the server's settings")?.into_iter().next();
    let mut row = row.unwrap_or_default().into_iter().map(Option::unwrap_or_default);
    let mut text = || row.next().unwrap_or_default();
    let mut facts = Facts { user: text(), version, ..Facts::default() };
    (facts.may_replicate, facts.may_create, facts.wal_level) = (text() == "t", text() == "t", text());
    let mut number = || text().parse::<i64>().unwrap_or_default();
    facts.slots = (number(), number());
    facts.senders = (number(), number());
    (facts.keep_mb, facts.idle_minutes) = (number(), number());
    (facts.standby, facts.encoding) = (text() == "t", text());

    facts.slot = slot::read(connection, &config.slot).await.doing(|| "read the slot")?;
    Ok(facts)
}

/// Settings of the server.
fn server(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    // From Postgres 19 on, `replica` becomes `logical` by itself when a logical slot is created.
    if facts.wal_level != "logical" && !(facts.version >= 190_000 && facts.wal_level == "replica") {
        let message =
            format!("wal_level is {}, which leaves out what logical decoding needs", facts.wal_level);
        findings.push(
            Finding::error(error::WAL_LEVEL, message)
                .remedy("ALTER SYSTEM SET wal_level = 'logical'; then restart the server"),
        );
    }
    let (slots_max, slots) = facts.slots;
    if facts.slot.is_none() && slots >= slots_max {
        let message = format!("all {slots_max} replication slots are in use");
        findings.push(Finding::error(error::NO_SLOT_FREE, message).remedy(format!(
            "ALTER SYSTEM SET max_replication_slots = {}; then restart the server",
            slots_max + 4
        )));
    }
    let (senders_max, senders) = facts.senders;
    if senders >= senders_max && !facts.slot.as_ref().is_some_and(|slot| slot.active) {
        let message = format!("all {senders_max} WAL senders are in use");
        findings.push(Finding::error(error::NO_SENDER_FREE, message).remedy(format!(
            "ALTER SYSTEM SET max_wal_senders = {}; then restart the server",
            senders_max + 4
        )));
    }
    if !facts.may_replicate {
        let message = format!("role {} has no right to replicate", facts.user);
        findings.push(
            Finding::error(error::NO_REPLICATION, message)
                .remedy(format!("ALTER ROLE {} REPLICATION;", quote::identifier(&facts.user))),
        );
    }
    findings.extend(retention(facts));
    if facts.standby && facts.version < 160_000 {
        findings.push(
            Finding::error(
                error::STANDBY,
                "the server is a standby; before Postgres 16 only a primary can decode",
            )
            .remedy("target_session_attrs=primary in [source.postgres] url"),
        );
    }
    if facts.encoding == "SQL_ASCII" {
        let message =
            "the database does not know its encoding (SQL_ASCII): text that is not UTF-8 stops the pipeline";
        findings.push(
            Finding::warning(error::ENCODING, message)
                .remedy("dump the database and restore it into one made with ENCODING 'UTF8'"),
        );
    }
    findings
}

/// What happens to the log that a stopped pipeline has not read.
fn retention(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let keep = match facts.keep_mb {
        ..0 => Some(
            "max_slot_wal_keep_size is unlimited: while the pipeline is stopped, the log it has not read may fill the server's disk"
                .to_owned(),
        ),
        0..KEEP_MB_MIN => Some(format!(
            "max_slot_wal_keep_size is {} MB: the slot is lost, and a new copy needed, once the pipeline is so far behind",
            facts.keep_mb
        )),
        KEEP_MB_MIN.. => None,
    };
    findings.extend(keep.map(|message| {
        Finding::warning(error::RETENTION, message)
            .remedy("ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();")
    }));
    if facts.idle_minutes > 0 {
        let message = format!(
            "idle_replication_slot_timeout is {} min: the slot is lost if the pipeline is stopped for longer",
            facts.idle_minutes
        );
        findings.push(
            Finding::warning(error::IDLE_TIMEOUT, message)
                .remedy("ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();"),
        );
    }
    findings
}

/// The state of the slot, where there is one.
fn state_of_slot(config: &Config, facts: &Facts) -> Vec<Finding> {
    let Some(slot) = &facts.slot else { return Vec::new() };
    let name = &config.slot;
    if !slot.ours {
        let message = format!("slot {name} belongs to another plugin or database");
        let remedy = "set another name: [source.postgres] slot = \"…\"";
        return vec![Finding::error(error::FOREIGN_SLOT, message).remedy(remedy)];
    }
    let mut findings = Vec::new();
    let start_over =
        format!("copy afresh: `tailwater drop` removes slot {name}, then start with an empty target");
    if slot.wal_status == "lost" || !slot.invalid.is_empty() {
        let why = if slot.invalid.is_empty() { "wal_removed" } else { &slot.invalid };
        let message = format!("slot {name} is lost ({why}): changes are gone from the server");
        findings.push(Finding::error(error::SLOT_LOST, message).remedy(start_over));
    } else if slot.wal_status == "unreserved" {
        let message =
            format!("slot {name} is about to be lost: the log it needs is over max_slot_wal_keep_size");
        findings.push(Finding::warning(error::SLOT_UNRESERVED, message).remedy(
            "start the pipeline now, or: ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf();",
        ));
    }
    if slot.two_phase {
        let message =
            format!("slot {name} decodes prepared transactions (two_phase), which is not supported");
        findings.push(Finding::error(error::SLOT_TWO_PHASE, message).remedy(start_over_two_phase(name)));
    }
    findings
}

fn start_over_two_phase(name: &str) -> String {
    format!(
        "SELECT pg_drop_replication_slot({}); then copy afresh into an empty target",
        quote::literal(name)
    )
}

/// Whether a replication session can be opened at all: `pg_hba.conf` may tell it from others.
async fn replication(config: &Config, facts: &Facts) -> Vec<Finding> {
    let sender_is_free = facts.senders.1 < facts.senders.0;
    if !facts.may_replicate || !sender_is_free {
        return Vec::new();
    }
    let opened = async {
        let mut connection = Connection::open(&config.url, Mode::Replication).await?;
        connection.query("IDENTIFY_SYSTEM").await?;
        connection.finish().await
    };
    match opened.await.doing(|| "open a replication session") {
        Ok(()) => Vec::new(),
        Err(error) => one(error),
    }
}

/// The tables and the publication.
async fn tables(connection: &mut Connection, config: &Config, facts: &Facts) -> Result<Vec<Finding>> {
    let wanted = wanted::tables(connection, &config.tables).await?;
    if wanted.is_empty() {
        return Ok(vec![Finding::from(&setup::nothing_matches(config))]);
    }
    let mut findings = Vec::new();
    let all = wanted::names(connection).await?;
    let idle = |pattern: &&Pattern| !all.iter().any(|(schema, name)| pattern.matches(schema, name));
    for pattern in config.tables.iter().filter(idle) {
        let message = format!("table pattern {:?} matches no table", pattern.text());
        findings
            .push(Finding::warning(error::IDLE_PATTERN, message).remedy("correct [source.postgres] tables"));
    }
    for (name, kind) in wanted::unpublishable(connection, &config.tables).await? {
        let message = format!("{name} is {kind}: its changes are not in the log, so it is left out");
        let finding = Finding::warning(error::UNPUBLISHABLE, message);
        findings.push(match kind.as_str() {
            "unlogged" => finding.remedy(format!("ALTER TABLE {name} SET LOGGED;")),
            _ => finding,
        });
    }
    let found = setup::publication(connection, &config.publication).await?;
    findings.extend(publication(config, facts, found.as_ref(), &wanted));
    for table in &wanted {
        findings.extend(rights(facts, table));
        findings.extend(identity(found.as_ref(), table));
    }
    Ok(findings)
}

/// Whether the publication exists and covers what is wanted, or can be made to.
fn publication(
    config: &Config,
    facts: &Facts,
    found: Option<&Publication>,
    wanted: &[Wanted],
) -> Vec<Finding> {
    let name = &config.publication;
    let missing: Vec<Wanted> =
        wanted.iter().filter(|table| !found.is_some_and(|found| found.covers(table))).cloned().collect();
    let all_owned = missing.iter().all(|table| table.owned);
    let Some(found) = found else {
        if !config.publication_is_given && facts.may_create && all_owned && !facts.standby {
            return Vec::new();
        }
        let message = match config.publication_is_given {
            true => format!("publication {name} does not exist"),
            false => format!("publication {name} does not exist, and role {} may not make it", facts.user),
        };
        let sql = setup::create_sql(name, wanted);
        return vec![
            Finding::error(error::NO_PUBLICATION, message).remedy(format!("as a superuser: {sql};")),
        ];
    };
    let mut findings = Vec::new();
    if !found.left_out.is_empty() {
        let message = format!("publication {name} leaves out every {}", found.left_out.join(", "));
        findings.push(Finding::warning(error::OPERATIONS_LEFT_OUT, message).remedy(setup::publish_sql(name)));
    }
    let will_be_added =
        facts.slot.is_none() && found.ours && found.owned && all_owned && !config.publication_is_given;
    if !missing.is_empty() && !will_be_added {
        let names: Vec<String> = missing.iter().map(Wanted::sql_name).collect();
        let message = format!("publication {name} lacks tables that `tables` asks for: {}", names.join(", "));
        let sql = setup::add_sql(name, &names);
        // Rows written before a table is published are never sent, so a pipeline that runs needs a new copy.
        let then = match facts.slot {
            Some(_) => " then `tailwater drop`, and start with an empty target",
            None => "",
        };
        findings.push(Finding::warning(error::TABLES_LEFT_OUT, message).remedy(format!("{sql};{then}")));
    }
    findings
}

/// Whether the first copy may read the table.
fn rights(facts: &Facts, table: &Wanted) -> Vec<Finding> {
    let (name, user) = (table.sql_name(), quote::identifier(&facts.user));
    if !table.selectable {
        let message = format!("role {} may not read {name}", facts.user);
        return vec![Finding::error(error::NO_SELECT, message).remedy(format!(
            "GRANT USAGE ON SCHEMA {} TO {user}; GRANT SELECT ON {name} TO {user};",
            quote::identifier(&table.schema)
        ))];
    }
    if table.row_security {
        let message = format!("row security hides rows of {name} from role {}", facts.user);
        return vec![
            Finding::error(error::ROW_SECURITY, message).remedy(format!("ALTER ROLE {user} BYPASSRLS;")),
        ];
    }
    Vec::new()
}

/// Whether every change of the table can be sent.
fn identity(publication: Option<&Publication>, table: &Wanted) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = table.sql_name();
    let published = publication.is_some_and(|publication| publication.covers(table));
    let via_root = publication.is_none_or(|publication| publication.via_root);
    if via_root && !table.unlike_leaves().is_empty() {
        findings.push(
            Finding::error(error::UNLIKE_PARTITION, setup::unlike_leaves(table))
                .remedy(setup::identity_sql(table)),
        );
    }
    if !table.identifiable() {
        let finding = match (published, table.changes_rows) {
            (false, true) => Finding::error(
                error::NO_IDENTITY,
                format!(
                    "{name} has no replica identity: publishing it makes its updates and deletes fail in the application"
                ),
            ),
            (true, _) | (false, false) => Finding::warning(
                error::NO_IDENTITY,
                format!(
                    "{name} has no replica identity: once it is published, the server refuses updates and deletes in it"
                ),
            ),
        };
        findings.push(finding.remedy(setup::identity_sql(table)));
    }
    if table.partitioned {
        let message = format!(
            "{name} is partitioned: TRUNCATE, DROP or DETACH of one partition is not sent, its rows stay; nor are rows that a table holds when it is attached"
        );
        findings.push(
            Finding::warning(error::PARTITIONED, message)
                .remedy(
                    "DELETE the rows of a partition before it is truncated, dropped or detached; attach empty tables only",
                ),
        );
    }
    findings
}
