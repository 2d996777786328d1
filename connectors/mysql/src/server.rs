//! Who a server is, and how it is set up: read at once, of whatever version it is. `check` judges it; the stream and
//! the copy compare it with what they know.

use std::collections::BTreeMap;

use tailwater_core::Result;
use tailwater_core::error::Doing as _;

use crate::connection::Connection;
use crate::version::Version;

/// Every setting that is asked for. A server leaves out those it does not have.
const SETTINGS: &[&str] = &[
    "binlog_checksum",
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_row_value_options",
    "binlog_transaction_compression",
    "enforce_gtid_consistency",
    "expire_logs_days",
    "gtid_binlog_pos",
    "gtid_binlog_state",
    "gtid_current_pos",
    "gtid_domain_id",
    "gtid_executed",
    "gtid_mode",
    "gtid_purged",
    "gtid_strict_mode",
    "hostname",
    "innodb_native_foreign_keys",
    "log_bin",
    "log_bin_compress",
    "log_replica_updates",
    "log_slave_updates",
    "lower_case_table_names",
    "port",
    "read_only",
    "replica_parallel_workers",
    "replica_preserve_commit_order",
    "server_id",
    "server_uuid",
    "slave_parallel_threads",
    "slave_parallel_workers",
    "slave_preserve_commit_order",
];

/// A place in the log by file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// The log file.
    pub file: String,
    /// Behind its last event.
    pub position: u64,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Server {
    /// Flavour and version.
    pub version: Version,
    settings: BTreeMap<String, String>,
    /// The end of its log; `None` where the log is off, or we have no right to know.
    pub head: Option<FilePosition>,
}

impl Server {
    /// Asks the server.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn read(connection: &mut Connection) -> Result<Self> {
        let version = connection.server_version().clone();
        let names = SETTINGS.join("','");
        let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('{names}')");
        let rows = connection.query(&sql).await.doing(|| "read the server's settings")?;
        let settings = rows.into_iter().filter_map(|row| {
            let mut row = row.into_iter();
            // A long set of GTIDs comes in several lines.
            let (name, value) = (row.next()??, row.next()?.unwrap_or_default());
            Some((name.to_ascii_lowercase(), value.replace('\n', "")))
        });
        let settings = settings.collect();
        let mut server = Self { version, settings, head: None };
        if server.log_bin() {
            server.head = head(connection, &server.version).await?;
        }
        Ok(server)
    }

    /// The files of the log with their bytes, oldest first; none where we have no right to know.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn log_files(&self, connection: &mut Connection) -> Result<Vec<(String, u64)>> {
        let rows = match connection.query("SHOW BINARY LOGS").await {
            Ok(rows) => rows,
            Err(error) if error.code() == crate::error::NO_RIGHT => return Ok(Vec::new()),
            Err(error) => return Err(error.doing("list the log files")),
        };
        let file = |row: Vec<Option<String>>| {
            let mut fields = row.into_iter().flatten();
            Some((fields.next()?, fields.next()?.parse().ok()?))
        };
        Ok(rows.into_iter().filter_map(file).collect())
    }

    /// A setting as the server prints it; `None` where it has none of that name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn text(&self, name: &str) -> &str {
        self.setting(name).unwrap_or_default()
    }

    fn is_on(&self, name: &str) -> bool {
        ["ON", "1", "YES"].iter().any(|word| self.text(name).eq_ignore_ascii_case(word))
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.text(name).eq_ignore_ascii_case(value)
    }

    /// Its number among the servers of its topology.
    #[must_use]
    pub fn server_id(&self) -> u32 {
        self.text("server_id").parse().unwrap_or_default()
    }

    /// MySQL's lasting name of the server.
    #[must_use]
    pub fn uuid(&self) -> Option<&str> {
        self.setting("server_uuid")
    }

    /// Whether there is a binary log.
    #[must_use]
    pub fn log_bin(&self) -> bool {
        self.is_on("log_bin")
    }

    /// Whether the log holds rows and not statements.
    #[must_use]
    pub fn logs_rows(&self) -> bool {
        // MySQL may one day have no other format, and no setting for it.
        self.setting("binlog_format").is_none_or(|format| format.eq_ignore_ascii_case("ROW"))
    }

    /// Whether the log holds whole rows.
    #[must_use]
    pub fn logs_full_rows(&self) -> bool {
        self.is("binlog_row_image", "FULL")
    }

    /// Whether the log says everything of its columns.
    #[must_use]
    pub fn logs_full_metadata(&self) -> bool {
        self.is("binlog_row_metadata", "FULL")
    }

    /// Whether positions are GTIDs: always with MariaDB, where MySQL is told to.
    #[must_use]
    pub fn has_gtids(&self) -> bool {
        self.version.is_mariadb() || self.is("gtid_mode", "ON")
    }

    /// MySQL: every transaction that was executed here.
    #[must_use]
    pub fn gtid_executed(&self) -> &str {
        self.text("gtid_executed")
    }

    /// MySQL: those that the log does not hold any more.
    #[must_use]
    pub fn gtid_purged(&self) -> &str {
        self.text("gtid_purged")
    }

    /// MariaDB: the last transaction of each domain in the log.
    #[must_use]
    pub fn gtid_binlog_pos(&self) -> &str {
        self.text("gtid_binlog_pos")
    }

    /// MariaDB: the last transaction of each domain and server that was ever in the log.
    #[must_use]
    pub fn gtid_binlog_state(&self) -> &str {
        self.text("gtid_binlog_state")
    }

    /// MariaDB: the last transaction of each domain that was executed here.
    #[must_use]
    pub fn gtid_current_pos(&self) -> &str {
        self.text("gtid_current_pos")
    }

    /// For how many seconds the log is kept; `None`: until it is purged by hand.
    #[must_use]
    pub fn retention_seconds(&self) -> Option<u64> {
        let seconds = self.text("binlog_expire_logs_seconds").parse().unwrap_or(0_u64);
        // MariaDB has fractions of days.
        let days = self.text("expire_logs_days").split('.').next().and_then(|days| days.parse::<u64>().ok());
        match (seconds, days.unwrap_or(0)) {
            (0, 0) => None,
            (0, days) => Some(days * 86_400),
            (seconds, _) => Some(seconds),
        }
    }

    /// Whether what a replica receives goes into its own log.
    #[must_use]
    pub fn logs_what_it_replicates(&self) -> bool {
        self.is_on("log_replica_updates") || self.is_on("log_slave_updates")
    }

    /// Whether a replica commits in the order of its source; so it does where it has one worker.
    #[must_use]
    pub fn keeps_commit_order(&self) -> bool {
        let workers = |name| self.text(name).parse().unwrap_or(0_u32);
        self.version.is_mariadb()
            || self.is_on("replica_preserve_commit_order")
            || self.is_on("slave_preserve_commit_order")
            || workers("replica_parallel_workers").max(workers("slave_parallel_workers")) <= 1
    }

    /// Whether what foreign keys do to rows goes into the log.
    #[must_use]
    pub fn logs_cascades(&self) -> bool {
        !self.version.is_mariadb()
            && self.version.number >= (9, 6, 0)
            && !self.is_on("innodb_native_foreign_keys")
    }
}

/// Where the log ends; without the right to know: `None`.
async fn head(connection: &mut Connection, version: &Version) -> Result<Option<FilePosition>> {
    let sql = match (version.is_mariadb(), version.number) {
        (false, number) if number >= (8, 2, 0) => "SHOW BINARY LOG STATUS",
        (true | false, _) => "SHOW MASTER STATUS",
    };
    let rows = match connection.query(sql).await {
        Ok(rows) => rows,
        Err(error) if error.code() == crate::error::NO_RIGHT => return Ok(None),
        Err(error) => return Err(error.doing("read where the log ends")),
    };
    let mut row = rows.into_iter().next().unwrap_or_default().into_iter().flatten();
    let (file, position) = (row.next(), row.next().and_then(|position| position.parse().ok()));
    Ok(file.zip(position).map(|(file, position)| FilePosition { file, position }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(version: &str, settings: &[(&str, &str)]) -> Server {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Server { version: Version::parse(version), settings: settings.collect(), head: None }
    }

    #[test]
    fn what_settings_mean() {
        let mysql = server("9.7.0", &[("gtid_mode", "ON"), ("binlog_expire_logs_seconds", "3600")]);
        assert!(mysql.has_gtids() && mysql.logs_rows() && mysql.logs_cascades() && !mysql.log_bin());
        assert_eq!(mysql.retention_seconds(), Some(3600));
        let mariadb =
            server("11.8.6-MariaDB", &[("expire_logs_days", "2.500000"), ("binlog_format", "MIXED")]);
        assert!(mariadb.has_gtids() && !mariadb.logs_rows() && !mariadb.logs_cascades());
        assert_eq!(mariadb.retention_seconds(), Some(2 * 86_400));
        assert_eq!(server("8.0.36", &[("expire_logs_days", "0")]).retention_seconds(), None);
        let many = [("replica_parallel_workers", "4"), ("replica_preserve_commit_order", "OFF")];
        assert!(!server("8.4.0", &many).keeps_commit_order());
    }
}
