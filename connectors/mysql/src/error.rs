//! From the server's error numbers and I/O errors to [`Error`] with its kind. The only file that knows error numbers;
//! every other file of this crate that meets an error of the server or the socket comes here.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-MY-001 | operator | the connection URL is wrong | the message says which part |
//! | TW-MY-002 | transient | no connection, or it broke | is the server up and reachable? |
//! | TW-MY-003 | operator | TLS cannot be used | ssl-mode and the certificates |
//! | TW-MY-004 | operator | the server refuses the login | user, password, CREATE USER |
//! | TW-MY-005 | transient | bytes that do not belong into the protocol | tried again; is it a MySQL server? |
//! | TW-MY-006 | transient | the server is busy, full or going down | tried again |
//! | TW-MY-007 | operator | the database does not exist | the URL |
//! | TW-MY-008 | operator | a right is missing | the GRANT it prints |
//! | TW-MY-009 | operator | a table, column or setting does not exist | the message says which |
//! | TW-MY-010 | operator | the server refuses a statement as it is set up | the message says why |
//! | TW-MY-011 | operator | the server does not understand a statement | report it |
//! | TW-MY-012 | transient | another error of the server | tried again; the server's own log |
//! | TW-MY-030 | transient | the server ended the log, or says nothing | tried again |
//! | TW-MY-031 | transient | another reader with this server id took the log over | a server_id of its own for each reader |
//! | TW-MY-032 | operator | the server cannot read its log from there | the message says why |
//! | TW-MY-033 | operator | a time with a fraction in MariaDB's own layout, whose length the log does not tell | `SET GLOBAL mysql56_temporal_format=ON`, then `ALTER TABLE … FORCE` |
//! | TW-MY-034 | operator | an inserted row comes without the columns that were left to their defaults | `binlog_row_image=FULL`, then copy everything afresh |
//! | TW-MY-040 | data | bytes of the binary log are not as known here | report it; look for a newer release |
//! | TW-MY-041 | data | an event of the binary log has a number that is not known here | report it; look for a newer release |
//! | TW-MY-042 | data | a GTID set or list cannot be read | correct it where it was given; otherwise report it |
//! | TW-MY-043 | data | an event's checksum does not match its bytes | look for a broken disk or memory at the server: `mysqlbinlog --verify-binlog-checksum` |
//! | TW-MY-044 | data | a column has a type that is not known here | leave the table out; look for a newer release |
//! | TW-MY-045 | data | an event stands where the log has no place for it | report it |
//! | TW-MY-046 | data | rows of a table that was not described before | report it |
//! | TW-MY-047 | data | a row does not have the shape that was described | report it |
//! | TW-MY-048 | operator | a captured table was changed by a statement instead of rows, or it cannot be told which was | `SET GLOBAL binlog_format=ROW`, then copy everything afresh |
//! | TW-MY-049 | operator | the server lost a part of its log (INCIDENT) | copy everything afresh |
//! | TW-MY-050 | data | two columns of a table have the same id here | rename one of them |
//! | TW-MY-051 | operator | a change of a table without a primary key does not carry the whole old row | a primary key, or `binlog_row_image=FULL`; then copy everything afresh |
//! | TW-MY-052 | operator | an XA transaction is prepared where a restart could not go back to it | XA needs MySQL with `gtid_mode=ON` |
//! | TW-MY-053 | operator | XA transactions that are not committed hold too many rows | `XA RECOVER`, then commit them or roll them back |
//! | TW-MY-054 | data | a transaction with rows was rolled back, and which of them stayed cannot be told | copy everything afresh |
//! | TW-MY-055 | operator | the binary log does not say what a column is | `SET GLOBAL binlog_row_metadata=FULL`, then reconnect the writers or wait for a new log |
//! | TW-MY-056 | data | a text has bytes that mean nothing in its character set | correct the value at the source, or leave the column out |
//! | TW-MY-057 | data | a collation or character set that is not known here | report it; convert the column to utf8mb4 |
//! | TW-MY-058 | operator | a transaction has no GTID, and the position is made of them | `gtid_mode=ON`, then copy everything afresh |
//! | TW-MY-059 | data | a statement about tables is in a character set that is not decoded here | `SET NAMES utf8mb4`, then copy everything afresh |
//! | TW-MY-060 | operator | the log needed is purged | copy afresh; keep the log longer |
//! | TW-MY-061 | operator | the position is not in the log of this server | the server that the pipeline read before, or copy afresh |
//! | TW-MY-062 | operator | the target's position is of another server | the right url, or another target |
//! | TW-MY-063 | operator | the position is made of GTIDs, and the server has none now | gtid_mode=ON, or copy afresh |
//! | TW-MY-064 | operator | a table is stopped: what its columns were cannot be told, or rows came or went that the log does not carry | `binlog_row_metadata=FULL`; then copy everything afresh, or leave the table out |
//! | TW-MY-065 | operator | what the position remembers of tables cannot be read | the release that wrote it |
//! | TW-MY-066 | operator | what another reader of the log noted last is not where it says | the newest offsets, the same server and tables |
//! | TW-MY-080 | transient | a table was created, dropped or renamed while the copy began | wait: the copy starts afresh |
//! | TW-MY-081 | data | a column has a type that is not known here | take the table out of `tables`; look for a newer release |
//! | TW-MY-082 | transient | the source is not open | report it |
//! | TW-MY-083 | operator | a table has system versioning: the log tells what was among what is | leave the table out of `tables` |
//! | TW-MY-084 | transient | a copy cannot begin while an XA transaction is prepared | `XA RECOVER` lists it: commit it or roll it back |
//! | TW-MY-100 | operator | the server has no binary log | log_bin |
//! | TW-MY-101 | operator | the log does not hold rows | SET GLOBAL binlog_format=ROW |
//! | TW-MY-102 | warning | the log does not hold whole rows | SET GLOBAL binlog_row_image=FULL |
//! | TW-MY-103 | warning | the log does not name columns | SET GLOBAL binlog_row_metadata=FULL |
//! | TW-MY-104 | warning | there are no GTIDs | gtid_mode=ON |
//! | TW-MY-105 | warning | the connection is not private | ssl-mode=VERIFY_IDENTITY |
//! | TW-MY-106 | warning | the log is kept for a short time | SET GLOBAL binlog_expire_logs_seconds |
//! | TW-MY-107 | operator | a replica does not write what it replicates into its log | log_replica_updates |
//! | TW-MY-108 | warning | a replica commits in another order than its source | SET GLOBAL replica_preserve_commit_order=ON |
//! | TW-MY-109 | operator | a right is missing | the GRANT it prints |
//! | TW-MY-110 | warning | foreign keys change rows that the log does not show | no ON DELETE or ON UPDATE actions |
//! | TW-MY-111 | operator | the server id is taken | another server_id |
//! | TW-MY-112 | warning | a pattern matches no table | the pattern |
//! | TW-MY-113 | warning | a table is not copied consistently | ALTER TABLE … ENGINE=InnoDB |
//! | TW-MY-114 | operator | a character set is not known here | ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 |
//! | TW-MY-115 | operator | no table is wanted | the patterns |
//! | TW-MY-116 | operator | the server is too old | a newer server |

mod contents;

use std::io;

pub(crate) use contents::*;
use tailwater_core::{Error, ErrorKind};
use tailwater_transport::tls;

/// TW-MY-001, operator.
pub const BAD_URL: &str = "TW-MY-001";
/// TW-MY-002, transient.
pub const UNREACHABLE: &str = "TW-MY-002";
/// TW-MY-003, operator.
pub const TLS: &str = "TW-MY-003";
/// TW-MY-004, operator.
pub const LOGIN: &str = "TW-MY-004";
/// TW-MY-005, transient.
pub const PROTOCOL: &str = "TW-MY-005";
/// TW-MY-006, transient.
pub const UNAVAILABLE: &str = "TW-MY-006";
/// TW-MY-007, operator.
pub const NO_DATABASE: &str = "TW-MY-007";
/// TW-MY-008, operator.
pub const NO_RIGHT: &str = "TW-MY-008";
/// TW-MY-009, operator.
pub const MISSING: &str = "TW-MY-009";
/// TW-MY-010, operator.
pub const STATE: &str = "TW-MY-010";
/// TW-MY-011, operator.
pub const STATEMENT: &str = "TW-MY-011";
/// TW-MY-012, transient.
pub const OTHER: &str = "TW-MY-012";
/// TW-MY-030, transient.
pub const LOG_ENDED: &str = "TW-MY-030";
/// TW-MY-031, transient.
pub const EVICTED: &str = "TW-MY-031";
/// TW-MY-032, operator.
pub const LOG_UNREADABLE: &str = "TW-MY-032";
/// TW-MY-060, operator.
pub const PURGED: &str = "TW-MY-060";
/// TW-MY-061, operator.
pub const NOT_IN_LOG: &str = "TW-MY-061";
/// TW-MY-062, operator.
pub const OTHER_SOURCE: &str = "TW-MY-062";
/// TW-MY-063, operator.
pub const NO_GTIDS_NOW: &str = "TW-MY-063";
/// TW-MY-064, operator.
pub const STOPPED: &str = "TW-MY-064";
/// TW-MY-066, operator.
pub const NOT_THERE: &str = "TW-MY-066";
/// TW-MY-080, transient.
pub const CHANGED: &str = "TW-MY-080";
/// TW-MY-081, data.
pub const COLUMN_TYPE: &str = "TW-MY-081";
/// TW-MY-083, operator.
pub const VERSIONED: &str = "TW-MY-083";
/// TW-MY-100, operator.
pub const NO_LOG: &str = "TW-MY-100";
/// TW-MY-101, operator.
pub const NOT_ROWS: &str = "TW-MY-101";
/// TW-MY-102, warning.
pub const ROW_IMAGE: &str = "TW-MY-102";
/// TW-MY-103, warning.
pub const ROW_METADATA: &str = "TW-MY-103";
/// TW-MY-104, warning.
pub const NO_GTIDS: &str = "TW-MY-104";
/// TW-MY-105, warning.
pub const NOT_PRIVATE: &str = "TW-MY-105";
/// TW-MY-106, warning.
pub const RETENTION: &str = "TW-MY-106";
/// TW-MY-107, operator.
pub const REPLICA_SILENT: &str = "TW-MY-107";
/// TW-MY-108, warning.
pub const REPLICA_ORDER: &str = "TW-MY-108";
/// TW-MY-109, operator.
pub const NO_GRANT: &str = "TW-MY-109";
/// TW-MY-110, warning.
pub const CASCADES: &str = "TW-MY-110";
/// TW-MY-111, operator.
pub const SERVER_ID_TAKEN: &str = "TW-MY-111";
/// TW-MY-112, warning.
pub const IDLE_PATTERN: &str = "TW-MY-112";
/// TW-MY-113, warning.
pub const NOT_TRANSACTIONAL: &str = "TW-MY-113";
/// TW-MY-114, operator.
pub const CHARSET: &str = "TW-MY-114";
/// TW-MY-115, operator.
pub const NO_TABLE: &str = "TW-MY-115";
/// TW-MY-116, operator.
pub const VERSION: &str = "TW-MY-116";

/// The server cannot send its log; what of, only the message tells.
const FATAL_LOG_ERROR: u16 = 1236;

/// Error numbers and what they mean here.
const NUMBERS: &[(u16, &str, ErrorKind)] = {
    use ErrorKind::{Operator, Transient};
    &[
        // Too many connections, of the server or of this user.
        (1040, UNAVAILABLE, Transient),
        (1203, UNAVAILABLE, Transient),
        (1226, UNAVAILABLE, Transient),
        // Access denied, for several reasons; an expired or a locked account; no such plugin.
        (1045, LOGIN, Operator),
        (1251, LOGIN, Operator),
        (1275, LOGIN, Operator),
        (1524, LOGIN, Operator),
        (1698, LOGIN, Operator),
        (1820, LOGIN, Operator),
        (1862, LOGIN, Operator),
        (3118, LOGIN, Operator),
        (3159, TLS, Operator),
        (4151, LOGIN, Operator),
        // The host is blocked or not allowed.
        (1129, LOGIN, Operator),
        (1130, LOGIN, Operator),
        (1044, NO_DATABASE, Operator),
        (1049, NO_DATABASE, Operator),
        // Rights: for a table, a column, a routine, anything.
        (1142, NO_RIGHT, Operator),
        (1143, NO_RIGHT, Operator),
        (1227, NO_RIGHT, Operator),
        (1370, NO_RIGHT, Operator),
        (1410, NO_RIGHT, Operator),
        (1054, MISSING, Operator),
        (1109, MISSING, Operator),
        (1146, MISSING, Operator),
        (1193, MISSING, Operator),
        (1305, MISSING, Operator),
        (1064, STATEMENT, Operator),
        (1235, STATEMENT, Operator),
        (1381, NO_LOG, Operator),
        (1290, STATE, Operator),
        (1792, STATE, Operator),
        (1836, STATE, Operator),
        (1231, STATE, Operator),
        (1238, STATE, Operator),
        // Memory, disk, shutdown, time, locks, a statement that was ended.
        (1021, UNAVAILABLE, Transient),
        (1037, UNAVAILABLE, Transient),
        (1038, UNAVAILABLE, Transient),
        (1041, UNAVAILABLE, Transient),
        (1053, UNAVAILABLE, Transient),
        (1077, UNAVAILABLE, Transient),
        (1105, OTHER, Transient),
        (1152, UNREACHABLE, Transient),
        (1153, STATE, Operator),
        (1158, UNREACHABLE, Transient),
        (1159, UNREACHABLE, Transient),
        (1160, UNREACHABLE, Transient),
        (1161, UNREACHABLE, Transient),
        (1205, UNAVAILABLE, Transient),
        (1213, UNAVAILABLE, Transient),
        (1317, UNAVAILABLE, Transient),
        (1412, UNAVAILABLE, Transient),
        (1927, UNAVAILABLE, Transient),
        (1969, UNAVAILABLE, Transient),
        (3024, UNAVAILABLE, Transient),
        (3032, UNAVAILABLE, Transient),
        (3169, UNAVAILABLE, Transient),
        (3572, UNAVAILABLE, Transient),
        (4031, UNAVAILABLE, Transient),
    ]
};

/// What an error number means here. One that is not known is taken for something that passes.
#[must_use]
pub fn classify(number: u16) -> (&'static str, ErrorKind) {
    match NUMBERS.iter().find(|(known, ..)| *known == number) {
        Some((_, code, kind)) => (code, *kind),
        None => (OTHER, ErrorKind::Transient),
    }
}

/// The error in the body of an ERR packet, its first byte included.
pub(crate) fn from_server(body: &[u8]) -> Error {
    let Some((&[_, low, high], rest)) = body.split_first_chunk::<3>() else {
        return protocol("an error of the server is shorter than it must be");
    };
    let number = u16::from_le_bytes([low, high]);
    // Before the login there is no SQLSTATE.
    let text = match rest.split_first_chunk::<6>() {
        Some((&[b'#', ..], text)) => text,
        Some(_) | None => rest,
    };
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    if number == FATAL_LOG_ERROR {
        return log_error(text);
    }
    let (code, kind) = classify(number);
    let error = Error::new(kind, code, format!("{text} (error {number})"));
    match number {
        1045 | 1698 => error
            .remedy("user and password in the URL, or on the server: CREATE USER … IDENTIFIED BY …; GRANT …"),
        1130 => error.remedy("on the server: CREATE USER user@'%' IDENTIFIED BY …"),
        1129 => error.remedy("on the server: FLUSH HOSTS, or TRUNCATE TABLE performance_schema.host_cache"),
        1049 => error.remedy("name a database that exists in the URL, or none"),
        1862 | 1820 => error.remedy("on the server: ALTER USER … IDENTIFIED BY …"),
        3118 | 4151 => error.remedy("on the server: ALTER USER … ACCOUNT UNLOCK"),
        3159 => error.remedy("ssl-mode=REQUIRED in the URL"),
        _ => error,
    }
}

/// Error 1236 stands for everything that may be wrong with a log; the sessions here ask for English messages.
fn log_error(text: &str) -> Error {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let message = format!("{text} (error {FATAL_LOG_ERROR})");
    if has(&[
        "has connected to the master",
        "has connected to the source",
        "as this slave",
        "as this replica",
    ]) {
        return Error::transient(EVICTED, message);
    }
    if has(&["purged", "not find first log", "Could not find GTID state", "missing GTID", "older than"]) {
        return Error::operator(PURGED, message)
            .remedy("copy afresh, and keep the log longer: SET GLOBAL binlog_expire_logs_seconds = 604800");
    }
    if has(&[
        "not in the master's binlog",
        "not in the source's binlog",
        "has more GTIDs than",
        "replica has more",
        "slave has more",
        "diverged",
        "impossible position",
        "position > file size",
        "does not exist in the binlog",
        "obsolete",
    ]) {
        return Error::operator(NOT_IN_LOG, message)
            .remedy("point the pipeline at the server it read before, or copy afresh");
    }
    if has(&["Binary log is not open"]) {
        return Error::operator(NO_LOG, message).remedy("log_bin=binlog in the server's configuration");
    }
    Error::operator(LOG_UNREADABLE, message)
}

/// A failure of the socket, or of TLS on it.
pub(crate) fn from_io(error: &io::Error) -> Error {
    match tls::lasting(error) {
        // Where TLS is not taken leave of, the text of its error is about that alone.
        None if error.kind() == io::ErrorKind::UnexpectedEof => ended(),
        Some(failure) => Error::operator(TLS, failure.to_string()),
        None => Error::transient(UNREACHABLE, error.to_string()),
    }
}

/// The connection ended where an answer was due.
pub(crate) fn ended() -> Error {
    Error::transient(UNREACHABLE, "the server closed the connection")
}

/// Bytes that no server sends here.
pub(crate) fn protocol(message: impl Into<String>) -> Error {
    Error::transient(PROTOCOL, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(number: u16, text: &str) -> Error {
        let mut body = vec![0xff];
        body.extend_from_slice(&number.to_le_bytes());
        body.extend_from_slice(text.as_bytes());
        from_server(&body)
    }

    #[test]
    fn the_kinds_that_decide_about_a_restart() {
        use ErrorKind::{Operator, Transient};
        for (number, code, kind) in [
            (1040, UNAVAILABLE, Transient),
            (1045, LOGIN, Operator),
            (1049, NO_DATABASE, Operator),
            (1053, UNAVAILABLE, Transient),
            (1142, NO_RIGHT, Operator),
            (1146, MISSING, Operator),
            (1205, UNAVAILABLE, Transient),
            (9999, OTHER, Transient),
        ] {
            assert_eq!(classify(number), (code, kind), "{number}");
        }
        let mut numbers: Vec<u16> = NUMBERS.iter().map(|(number, ..)| *number).collect();
        numbers.sort_unstable();
        let count = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn an_error_keeps_its_message_with_or_without_a_sqlstate() {
        for text in ["Access denied", "#28000Access denied"] {
            let error = response(1045, text);
            assert!(error.to_string().starts_with("Access denied (error 1045) [TW-MY-004]"), "{error}");
        }
        for body in [&b""[..], b"\xff", b"\xff\x01"] {
            assert_eq!(from_server(body).code(), PROTOCOL);
        }
    }

    #[test]
    fn what_is_wrong_with_the_log_is_told_apart() {
        for (text, code) in [
            ("Cannot replicate because the source purged required binary logs.", PURGED),
            ("Could not find first log file name in binary log index file", PURGED),
            (
                "A slave with the same server_uuid/server_id as this slave has connected to the master",
                EVICTED,
            ),
            (
                "Client requested source to start replication from impossible position; the first event",
                NOT_IN_LOG,
            ),
            (
                "Error: connecting slave requested to start from GTID 0-1-99, which is not in the master's binlog",
                NOT_IN_LOG,
            ),
            ("Binary log is not open", NO_LOG),
            ("bogus data in log event", LOG_UNREADABLE),
        ] {
            assert_eq!(response(1236, text).code(), code, "{text}");
        }
    }

    #[test]
    fn every_code_has_one_row_in_the_table_above() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let (mut used, mut listed) = (std::collections::BTreeSet::new(), Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    match line.strip_prefix("//! | TW-MY-") {
                        Some(row) if path.ends_with("error.rs") => listed.push(row[..3].to_owned()),
                        _ => used.extend(
                            line.split("TW-MY-").skip(1).filter_map(|code| code.get(..3)).map(str::to_owned),
                        ),
                    }
                }
            }
        }
        used.retain(|code| code.bytes().all(|digit| digit.is_ascii_digit()));
        listed.sort_unstable();
        assert_eq!(listed, used.into_iter().collect::<Vec<_>>());
    }
}
