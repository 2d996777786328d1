//! Everything a person should know or change before a pipeline reads this server, found in one pass: nothing is
//! changed, and one finding does not hide the next. `tailwater check` calls it.

use tailwater_core::error::Doing as _;
use tailwater_core::pattern::Pattern;
use tailwater_core::{Error, Finding, Result, Severity};
use tailwater_transport::Transport;

use crate::binlog::charset;
use crate::catalog::{OWN_SCHEMAS, TABLE_TYPES};
use crate::config::Config;
use crate::connection::Connection;
use crate::error;
use crate::grants::Grants;
use crate::quote;
use crate::server::Server;
use crate::url::{SslMode, Url};

/// Below this, a first copy or a pause over night may find the log gone.
const RETENTION_SECONDS_MIN: u64 = 24 * 3600;
/// Of a first copy over a slow network into a slow target.
const COPY_BYTES_PER_SECOND: u64 = 5_000_000;

/// Reports what stands in the way of the source, and what may come to.
pub async fn check(config: &Config) -> Vec<Finding> {
    let mut connection = match Connection::open(&config.url).await {
        Ok(connection) => connection,
        Err(error) => return vec![Finding::from(&error)],
    };
    let mut findings = privacy(&connection, &config.url);
    match judge(&mut connection, config).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::from(&error)),
    }
    if let Err(error) = connection.finish().await {
        tracing::debug!(%error, "the session of the check does not end as it should");
    }
    findings
}

async fn judge(connection: &mut Connection, config: &Config) -> Result<Vec<Finding>> {
    let server = Server::read(connection).await?;
    let grants = Grants::read(connection).await?;
    let mut findings = log(&server);
    findings.extend(replica(connection, &server).await?);
    findings.extend(rights(connection, &server, &grants).await?);
    findings.extend(server_id(connection, &server, config).await);
    findings.extend(tables(connection, config, &server, &grants).await?);
    Ok(findings)
}

/// Whether the connection can be read or answered by others.
fn privacy(connection: &Connection, url: &Url) -> Vec<Finding> {
    let (stream, encrypted) = match connection.transport() {
        Transport::Unix(_) => return Vec::new(),
        Transport::Tcp(stream) => (stream, false),
        Transport::Tls(stream) => (stream.get_ref().0, true),
    };
    let local = stream.peer_addr().is_ok_and(|address| address.ip().is_loopback());
    let checked = match url.ssl_mode {
        SslMode::VerifyCa | SslMode::VerifyIdentity => true,
        SslMode::Disabled | SslMode::Preferred | SslMode::Required => false,
    };
    let message = match (local, encrypted, checked) {
        (true, _, _) | (false, true, true) => return Vec::new(),
        (false, false, _) => "the connection is not encrypted",
        (false, true, false) => "the connection is encrypted, but the server's certificate is not checked",
    };
    vec![Finding::warning(error::NOT_PRIVATE, message).remedy("ssl-mode=VERIFY_IDENTITY in the source's url")]
}

/// The first thing that makes the log of no use at all.
pub(crate) fn unreadable(server: &Server) -> Option<Error> {
    let found = log(server).into_iter().find(|finding| finding.severity == Severity::Error)?;
    let error = Error::operator(found.code, found.message);
    Some(match found.remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    })
}

/// Whether the log holds what is needed.
fn log(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    let oldest = if server.version.is_mariadb() { (10, 5, 0) } else { (5, 6, 0) };
    if server.version.number < oldest {
        let message = format!("{} is older than what is known here", server.version);
        findings.push(Finding::error(error::VERSION, message).remedy("MySQL 5.6, MariaDB 10.5, or later"));
    }
    if !server.log_bin() {
        let found = Finding::error(error::NO_LOG, "the server has no binary log");
        findings.push(found.remedy("log_bin=binlog in the server's configuration, and a restart"));
        return findings;
    }
    if !server.logs_rows() {
        let format = server.setting("binlog_format").unwrap_or_default();
        let found =
            Finding::error(error::NOT_ROWS, format!("the log holds statements: binlog_format={format}"));
        findings.push(found.remedy("SET GLOBAL binlog_format = ROW; and in the server's configuration"));
    }
    if !server.logs_full_metadata() {
        let is = server.setting("binlog_row_metadata");
        let is = is.map_or("it knows no such setting".to_owned(), |is| format!("binlog_row_metadata={is}"));
        let message = format!(
            "the log does not name columns ({is}): what they are is remembered with the position, and a table that is \
             altered twice while the pipeline is behind is stopped"
        );
        let remedy = match server.setting("binlog_row_metadata") {
            Some(_) => "SET GLOBAL binlog_row_metadata = FULL; and in the server's configuration",
            None => "MySQL 8.0 or later",
        };
        findings.push(Finding::warning(error::ROW_METADATA, message).remedy(remedy));
    }
    if !server.logs_full_rows() {
        let is = server.setting("binlog_row_image").unwrap_or_default();
        let message = format!("the log holds only parts of changed rows: binlog_row_image={is}");
        let found = Finding::warning(error::ROW_IMAGE, message);
        findings.push(found.remedy("SET GLOBAL binlog_row_image = FULL; and in the server's configuration"));
    }
    let options = server.setting("binlog_row_value_options").unwrap_or_default();
    if !server.logs_full_rows() && options.to_ascii_uppercase().contains("PARTIAL_JSON") {
        let message = "the log holds only parts of changed JSON documents, and not what they were before";
        let found = Finding::error(error::ROW_IMAGE, message);
        findings.push(found.remedy(
            "SET GLOBAL binlog_row_value_options = ''; and in the server's configuration; or binlog_row_image = FULL",
        ));
    }
    if !server.has_gtids() {
        let message =
            "there are no GTIDs: after a failover to another server everything must be copied again";
        let found = Finding::warning(error::NO_GTIDS, message);
        findings
            .push(found.remedy("gtid_mode=ON and enforce_gtid_consistency=ON in the server's configuration"));
    }
    findings
}

/// Whether the log is kept for longer than a first copy of so many bytes may take, and a pause over night.
fn retention(server: &Server, bytes: u64) -> Option<Finding> {
    let copy_seconds = bytes / COPY_BYTES_PER_SECOND;
    let needed = RETENTION_SECONDS_MIN.max(copy_seconds * 2);
    let seconds = server.retention_seconds().filter(|seconds| *seconds < needed)?;
    let message = format!(
        "the log is kept for {} minutes: a first copy or a pause that takes longer must begin afresh. A copy of the wanted \
         tables, {} MB, may take {} minutes",
        seconds / 60,
        bytes / 1_000_000,
        copy_seconds.div_ceil(60)
    );
    let kept = needed.max(604_800);
    let remedy = match server.setting("binlog_expire_logs_seconds") {
        Some(_) => {
            format!("SET GLOBAL binlog_expire_logs_seconds = {kept}; and in the server's configuration")
        }
        None => {
            format!(
                "SET GLOBAL expire_logs_days = {}; and in the server's configuration",
                kept.div_ceil(86_400)
            )
        }
    };
    Some(Finding::warning(error::RETENTION, message).remedy(remedy))
}

/// Whether a server that replicates from another one shows everything, and in order.
async fn replica(connection: &mut Connection, server: &Server) -> Result<Vec<Finding>> {
    let modern = !server.version.is_mariadb() && server.version.number >= (8, 0, 22);
    let sql = if modern { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
    match connection.query(sql).await {
        Ok(rows) if rows.is_empty() => return Ok(Vec::new()),
        Ok(_) => {}
        // Who may not know is told below which right is missing, or has a setting that does no harm.
        Err(error) if error.code() == error::NO_RIGHT => return Ok(Vec::new()),
        Err(error) => return Err(error.doing("ask whether it is a replica")),
    }
    let mut findings = Vec::new();
    if !server.logs_what_it_replicates() {
        let message = "the server is a replica and does not log what it replicates";
        let name = if modern { "log_replica_updates" } else { "log_slave_updates" };
        let remedy = format!("{name}=ON in the server's configuration, and a restart");
        findings.push(Finding::error(error::REPLICA_SILENT, message).remedy(remedy));
    }
    if !server.keeps_commit_order() {
        let message = "the server is a replica and commits in another order than its source";
        let name = if modern { "replica_preserve_commit_order" } else { "slave_preserve_commit_order" };
        let found = Finding::warning(error::REPLICA_ORDER, message);
        findings.push(found.remedy(format!("SET GLOBAL {name} = ON; and in the server's configuration")));
    }
    Ok(findings)
}

async fn rights(connection: &mut Connection, server: &Server, grants: &Grants) -> Result<Vec<Finding>> {
    let mut needed: Vec<(&[&str], &str, &str)> =
        vec![(&["REPLICATION SLAVE"], "REPLICATION SLAVE", "read the log")];
    if server.version.is_mariadb() {
        needed.push((
            &["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"],
            "BINLOG MONITOR",
            "ask where the log is",
        ));
    } else {
        needed.push((&["REPLICATION CLIENT", "SUPER"], "REPLICATION CLIENT", "ask where the log is"));
    }
    let user = account(connection).await?;
    let missing = needed.into_iter().filter(|(any, ..)| !grants.globally(any));
    Ok(missing
        .map(|(_, right, what)| {
            let message = format!("{user} has no right to {what}: {right}");
            Finding::error(error::NO_GRANT, message).remedy(format!("GRANT {right} ON *.* TO {user}"))
        })
        .collect())
}

/// Who we are, as a GRANT names it.
async fn account(connection: &mut Connection) -> Result<String> {
    let row = connection.query("SELECT CURRENT_USER()").await.doing(|| "ask who we are")?.into_iter().next();
    let text = row.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default();
    let (user, host) = text.rsplit_once('@').unwrap_or((&text, "%"));
    Ok(format!("{}@{}", quote::identifier(user), quote::identifier(host)))
}

/// Whether somebody else has our number. A server that may not be asked says nothing.
async fn server_id(connection: &mut Connection, server: &Server, config: &Config) -> Vec<Finding> {
    let ours = config.server_id;
    let found = |message: String| {
        Finding::error(error::SERVER_ID_TAKEN, message).remedy("another server_id in the source")
    };
    if server.server_id() == ours {
        return vec![found(format!("server_id {ours} is that of the server itself"))];
    }
    let modern = !server.version.is_mariadb() && server.version.number >= (8, 0, 22);
    let sql = if modern { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
    let rows = match connection.query(sql).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::debug!(%error, "who else reads the log is not known");
            return Vec::new();
        }
    };
    let ids = rows.iter().filter_map(|row| {
        let id: u32 = row.first()?.as_deref()?.parse().ok()?;
        // MySQL says who it is; the pipeline itself may be running.
        let is_us = !server.version.is_mariadb()
            && row.iter().flatten().any(|field| field.eq_ignore_ascii_case(&config.uuid));
        (id == ours && !is_us).then_some(id)
    });
    ids.map(|id| match server.version.is_mariadb() {
        false => found(format!("another reader of the log has server_id {id}")),
        true => Finding::warning(
            error::SERVER_ID_TAKEN,
            format!(
                "a reader of the log has server_id {id}: this pipeline, if it is running, or another one"
            ),
        ),
    })
    .collect()
}

/// What is read of one table before anything is decided.
#[derive(Debug)]
struct Table {
    schema: String,
    name: String,
    engine: String,
    versioned: bool,
    /// By the server's statistics.
    bytes: u64,
}

async fn tables(
    connection: &mut Connection,
    config: &Config,
    server: &Server,
    grants: &Grants,
) -> Result<Vec<Finding>> {
    let sql = format!(
        "SELECT table_schema, table_name, coalesce(engine, ''), table_type, coalesce(data_length, 0) \
         FROM information_schema.tables WHERE table_type IN ({TABLE_TYPES}) AND table_schema NOT IN ({OWN_SCHEMAS}) \
         ORDER BY 1, 2"
    );
    let rows = connection.query(&sql).await.doing(|| "list the tables")?;
    let all: Vec<Table> = rows.into_iter().filter_map(table).collect();
    let wanted: Vec<&Table> =
        all.iter().filter(|table| config.tables.matches(&table.schema, &table.name)).collect();
    let mut findings = Vec::new();
    let is_idle = |pattern: &&Pattern| !all.iter().any(|table| pattern.matches(&table.schema, &table.name));
    for pattern in config.tables.iter().filter(is_idle) {
        let message = format!("pattern {} matches no table that we may see", pattern.text());
        findings.push(Finding::warning(error::IDLE_PATTERN, message).remedy("tables in the source"));
    }
    if wanted.is_empty() {
        let message = "no table is wanted: the patterns match none that we may see";
        findings
            .push(Finding::error(error::NO_TABLE, message).remedy("tables in the source, or GRANT SELECT"));
        return Ok(findings);
    }
    if !server.version.is_mariadb() {
        tracing::info!(
            tables = wanted.len(),
            "a first copy locks the wanted tables against writing for the moment in which its sessions take their \
             snapshots, for 10 s at most at a time"
        );
    }
    findings.extend(retention(server, wanted.iter().map(|table| table.bytes).sum()));
    let user = account(connection).await?;
    for table in &wanted {
        let name = quote::qualified(&table.schema, &table.name);
        if !grants.on_table("SELECT", &table.schema, &table.name) {
            let found = Finding::error(error::NO_GRANT, format!("{user} may not read {name}"));
            findings.push(found.remedy(format!("GRANT SELECT ON {name} TO {user}")));
        }
        // MariaDB's snapshots tell where they stand, without a lock.
        if !server.version.is_mariadb() && !grants.on_table("LOCK TABLES", &table.schema, &table.name) {
            let message = format!("{user} may not hold {name} still for the moment in which a copy begins");
            let schema = quote::identifier(&table.schema);
            let found = Finding::error(error::NO_GRANT, message);
            findings.push(found.remedy(format!("GRANT LOCK TABLES ON {schema}.* TO {user}")));
        }
        if table.versioned {
            findings.push(Finding::from(&error::versioned(&table.schema, &table.name)));
        }
        if !["InnoDB", "ROCKSDB"].contains(&table.engine.as_str()) {
            let message =
                format!("{name} is copied as it changes, because {} keeps no snapshots", table.engine);
            let found = Finding::warning(error::NOT_TRANSACTIONAL, message);
            findings.push(found.remedy(format!("ALTER TABLE {name} ENGINE = InnoDB")));
        }
    }
    if !server.logs_cascades() {
        findings.extend(cascades(connection, config).await?);
    }
    findings.extend(charsets(connection, config).await?);
    Ok(findings)
}

fn table(row: Vec<Option<String>>) -> Option<Table> {
    let mut row = row.into_iter();
    let (schema, name, engine) = (row.next()??, row.next()??, row.next()??);
    let versioned = row.next()?.as_deref() == Some("SYSTEM VERSIONED");
    Some(Table { schema, name, engine, versioned, bytes: row.next()??.parse().unwrap_or(0) })
}

/// Rows that a foreign key changes behind the log's back.
async fn cascades(connection: &mut Connection, config: &Config) -> Result<Vec<Finding>> {
    let sql = "SELECT constraint_schema, table_name, constraint_name, delete_rule, update_rule \
               FROM information_schema.referential_constraints \
               WHERE delete_rule NOT IN ('RESTRICT', 'NO ACTION') OR update_rule NOT IN ('RESTRICT', 'NO ACTION') \
               ORDER BY 1, 2, 3";
    let rows = connection.query(sql).await.doing(|| "list the foreign keys")?;
    let found = rows.iter().filter_map(|row| {
        let [Some(schema), Some(table), Some(key), Some(delete), Some(update)] = row.as_slice() else {
            return None;
        };
        let name = quote::qualified(schema, table);
        let message = format!(
            "the log does not show what foreign key {} does to {name}: ON DELETE {delete}, ON UPDATE {update}",
            quote::identifier(key)
        );
        config.tables.matches(schema, table).then(|| {
            Finding::warning(error::CASCADES, message)
                .remedy("MySQL 9.6 or later, or a foreign key without actions and the statements in the application")
        })
    });
    Ok(found.collect())
}

/// Text that cannot be decoded.
async fn charsets(connection: &mut Connection, config: &Config) -> Result<Vec<Finding>> {
    let sql = "SELECT DISTINCT table_schema, table_name, character_set_name FROM information_schema.columns \
               WHERE character_set_name IS NOT NULL ORDER BY 1, 2, 3";
    let rows = connection.query(sql).await.doing(|| "list the character sets")?;
    let found = rows.iter().filter_map(|row| {
        let [Some(schema), Some(table), Some(charset)] = row.as_slice() else { return None };
        let name = quote::qualified(schema, table);
        let is_unknown = !charset::is_known(charset) && config.tables.matches(schema, table);
        is_unknown.then(|| {
            let message = format!("{name} has text in the character set {charset}, which is not known here");
            Finding::error(error::CHARSET, message)
                .remedy(format!("ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb4"))
        })
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_anything_is_told_everything() {
        let codes: Vec<&str> = log(&Server::default()).iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [error::VERSION, error::NO_LOG]);
    }
}
