//! From SQLSTATEs and I/O errors to [`Error`] with its kind. The only file that knows SQLSTATEs; every other
//! file of this crate that meets an error of the server or the socket comes here.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-PG-001 | operator | the connection URL is not understood | correct the part it names |
//! | TW-PG-002 | transient | the server cannot be reached, or the connection ended | wait; check host, port, firewall |
//! | TW-PG-003 | operator | TLS cannot be set up as `sslmode` asks | correct the certificate, its file or `sslmode` |
//! | TW-PG-004 | operator | the server refuses the login, or asks for one that is refused here | correct user, password, `pg_hba.conf` |
//! | TW-PG-005 | transient | no host is what `target_session_attrs` asks for | wait for the failover, or correct the list of hosts |
//! | TW-PG-006 | transient | the other end does not speak the Postgres protocol as known here | check what listens on that port; report it |
//! | TW-PG-007 | transient | the server is starting, stopping, full or short of something | wait; see the server's log |
//! | TW-PG-008 | operator | the database does not exist | correct the URL |
//! | TW-PG-009 | operator | a right is missing | the GRANT or ALTER ROLE that the message asks for |
//! | TW-PG-010 | operator | an object does not exist | create it, or correct its name |
//! | TW-PG-011 | transient | an object is in use, or locked | wait; the other user of a slot is in `pg_replication_slots.active_pid` |
//! | TW-PG-012 | operator | a setting or the state of an object does not allow it | the setting the message names |
//! | TW-PG-013 | data | the server refuses or cannot print a value | correct the row |
//! | TW-PG-014 | operator | the server does not take a statement: version or setting not as expected | see the message; report it |
//! | TW-PG-015 | operator | the server reports that its data is corrupt | repair the server |
//! | TW-PG-016 | transient | any other error of the server | see the message |
//! | TW-PG-017 | operator | an object of that name exists already | use another name, or drop the object |
//! | TW-PG-040 | data | bytes of the stream are not pgoutput as known here | report it; look for a newer release |
//! | TW-PG-041 | data | a change of a table that was never described | report it |
//! | TW-PG-042 | data | a row does not have the shape of its table | report it |
//! | TW-PG-043 | data | an update does not carry its key, because the key is TOASTed | the ALTER TABLE it prints, then copy afresh |
//! | TW-PG-044 | transient | the server ended the stream | wait |
//! | TW-PG-045 | data | a message that has no place in the stream | report it |
//! | TW-PG-046 | transient | the session that reads the catalogue is gone | wait |
//! | TW-PG-047 | transient | the source is not open | report it |
//! | TW-PG-048 | data | a message of pgoutput where the protocol has no place for it | report it |
//! | TW-PG-049 | data | a partition does not send what rows of its root are identified by | the ALTER TABLEs it prints, then copy afresh |
//! | TW-PG-060 | operator | the target's position is of another source | use the target this pipeline wrote, or an empty one |
//! | TW-PG-061 | transient | a replication command does not answer as documented | report it |
//! | TW-PG-062 | operator | the URL leads to another system or database than the target follows | correct the URL |
//! | TW-PG-063 | operator | the server is behind the target: it was set back | `tailwater drop`, then copy afresh |
//! | TW-PG-064 | operator | the slot does not exist any more | `tailwater drop`, then copy afresh |
//! | TW-PG-065 | operator | the slot belongs to another plugin or database | name another |
//! | TW-PG-066 | operator | the slot decodes prepared transactions | recreate it without `two_phase` |
//! | TW-PG-067 | operator | the slot is lost: the server removed what was not read | `tailwater drop`, then copy afresh |
//! | TW-PG-068 | operator | the slot was moved beyond the target | `tailwater drop`, then copy afresh |
//! | TW-PG-069 | operator | the server's timeline does not continue the target's | the right server, or copy afresh |
//! | TW-PG-070 | operator | no published table matches `tables` | correct the patterns or the publication |
//! | TW-PG-071 | transient | a table was altered, renamed, dropped or rewritten, or the publication made or altered, while the copy began | wait: the copy starts afresh |
//! | TW-PG-072 | data | a message that has no place in a copy | report it |
//! | TW-PG-081 | data | a copied row is not in COPY's text form | report it |
//! | TW-PG-083 | transient | the catalogue changed while it was read | wait |
//! | TW-PG-084 | operator | the catalogue answers in an unknown way | look for a newer release |
//! | TW-PG-100 | operator | the server is older than Postgres 14 | upgrade it |
//! | TW-PG-101 | operator | the publication does not exist and cannot be made | the SQL it prints |
//! | TW-PG-102 | operator | no table matches `tables` | correct the patterns |
//! | TW-PG-103 | operator | publishing a table without replica identity would break its application | the ALTER TABLE it prints |
//! | TW-PG-104 | operator | a slot of our name is somebody else's | drop it, or name another |
//! | TW-PG-105 | warning | the connection is not encrypted, or the server's certificate not checked | sslmode=verify-full |
//! | TW-PG-110 | operator | `wal_level` is not `logical` | the ALTER SYSTEM it prints, and a restart |
//! | TW-PG-111 | operator | all replication slots are in use | the ALTER SYSTEM it prints, and a restart |
//! | TW-PG-112 | operator | all WAL senders are in use | the ALTER SYSTEM it prints, and a restart |
//! | TW-PG-113 | operator | the role has no right to replicate | the ALTER ROLE it prints |
//! | TW-PG-114 | operator | the role may not read a table | the GRANT it prints |
//! | TW-PG-115 | operator | row security hides rows from the role | the ALTER ROLE it prints |
//! | TW-PG-116 | warning | a table pattern matches nothing | correct it |
//! | TW-PG-117 | warning | a wanted table is unlogged or foreign and left out | the ALTER TABLE it prints |
//! | TW-PG-118 | warning | the publication leaves out inserts, updates, deletes or truncates | the ALTER PUBLICATION it prints |
//! | TW-PG-119 | warning | the publication lacks wanted tables | the ALTER PUBLICATION it prints |
//! | TW-PG-121 | warning | a single partition can lose rows without a change being sent | delete its rows first |
//! | TW-PG-122 | warning | `max_slot_wal_keep_size` is unlimited, or small | the ALTER SYSTEM it prints |
//! | TW-PG-123 | warning | `idle_replication_slot_timeout` may remove the slot | the ALTER SYSTEM it prints |
//! | TW-PG-124 | warning | the slot is about to be lost | start the pipeline |
//! | TW-PG-125 | operator | the server is a standby older than Postgres 16 | target_session_attrs=primary |
//! | TW-PG-126 | warning | the database has no encoding (SQL_ASCII) | restore it into one with UTF8 |
//! | TW-PG-127 | operator | a partition does not identify rows as its root does | the ALTER TABLEs it prints |
//! | TW-PG-130 | operator | what another reader of the slot noted last is not where it says | the newest offsets, the same server, slot, publication and tables |
//! | TW-PG-131 | operator | rows share a place in the log, and neither offsets nor target tell how many of them were passed on | let the other reader pass on one more change |

use std::io;

use tailwater_core::{Error, ErrorKind};
use tailwater_transport::tls;

/// TW-PG-001, operator.
pub const BAD_URL: &str = "TW-PG-001";
/// TW-PG-002, transient.
pub const UNREACHABLE: &str = "TW-PG-002";
/// TW-PG-003, operator.
pub const TLS: &str = "TW-PG-003";
/// TW-PG-004, operator.
pub const LOGIN: &str = "TW-PG-004";
/// TW-PG-005, transient.
pub const WRONG_ROLE: &str = "TW-PG-005";
/// TW-PG-006, transient.
pub const PROTOCOL: &str = "TW-PG-006";
/// TW-PG-007, transient.
pub const UNAVAILABLE: &str = "TW-PG-007";
/// TW-PG-008, operator.
pub const NO_DATABASE: &str = "TW-PG-008";
/// TW-PG-009, operator.
pub const NO_RIGHT: &str = "TW-PG-009";
/// TW-PG-010, operator.
pub const MISSING: &str = "TW-PG-010";
/// TW-PG-011, transient.
pub const IN_USE: &str = "TW-PG-011";
/// TW-PG-012, operator.
pub const STATE: &str = "TW-PG-012";
/// TW-PG-013, data.
pub const VALUE: &str = "TW-PG-013";
/// TW-PG-014, operator.
pub const STATEMENT: &str = "TW-PG-014";
/// TW-PG-015, operator.
pub const CORRUPT: &str = "TW-PG-015";
/// TW-PG-016, transient.
pub const OTHER: &str = "TW-PG-016";
/// TW-PG-017, operator.
pub const EXISTS: &str = "TW-PG-017";
/// A table is not any more what was read of it a moment ago.
pub const CHANGED: &str = "TW-PG-071";

/// TW-PG-100, operator.
pub const VERSION: &str = "TW-PG-100";
/// TW-PG-101, operator.
pub const NO_PUBLICATION: &str = "TW-PG-101";
/// TW-PG-102, operator.
pub const NO_TABLE: &str = "TW-PG-102";
/// TW-PG-103, operator.
pub const NO_IDENTITY: &str = "TW-PG-103";
/// TW-PG-104, operator.
pub const FOREIGN_SLOT: &str = "TW-PG-104";

/// TW-PG-105, warning.
pub const NOT_PRIVATE: &str = "TW-PG-105";
/// TW-PG-110, operator.
pub const WAL_LEVEL: &str = "TW-PG-110";
/// TW-PG-111, operator.
pub const NO_SLOT_FREE: &str = "TW-PG-111";
/// TW-PG-112, operator.
pub const NO_SENDER_FREE: &str = "TW-PG-112";
/// TW-PG-113, operator.
pub const NO_REPLICATION: &str = "TW-PG-113";
/// TW-PG-114, operator.
pub const NO_SELECT: &str = "TW-PG-114";
/// TW-PG-115, operator.
pub const ROW_SECURITY: &str = "TW-PG-115";
/// TW-PG-116, warning.
pub const IDLE_PATTERN: &str = "TW-PG-116";
/// TW-PG-117, warning.
pub const UNPUBLISHABLE: &str = "TW-PG-117";
/// TW-PG-118, warning.
pub const OPERATIONS_LEFT_OUT: &str = "TW-PG-118";
/// TW-PG-119, warning.
pub const TABLES_LEFT_OUT: &str = "TW-PG-119";
/// TW-PG-121, warning.
pub const PARTITIONED: &str = "TW-PG-121";
/// TW-PG-122, warning.
pub const RETENTION: &str = "TW-PG-122";
/// TW-PG-123, warning.
pub const IDLE_TIMEOUT: &str = "TW-PG-123";
/// TW-PG-124, warning.
pub const SLOT_UNRESERVED: &str = "TW-PG-124";
/// TW-PG-125, operator.
pub const STANDBY: &str = "TW-PG-125";
/// TW-PG-126, warning.
pub const ENCODING: &str = "TW-PG-126";
/// TW-PG-127, operator.
pub const UNLIKE_PARTITION: &str = "TW-PG-127";
/// TW-PG-130, operator.
pub const NOT_THERE: &str = "TW-PG-130";
/// TW-PG-131, operator.
pub const SHARED_PLACE: &str = "TW-PG-131";
/// TW-PG-066, as `continuity` reports it.
pub const SLOT_TWO_PHASE: &str = "TW-PG-066";
/// TW-PG-067, as `continuity` reports it.
pub const SLOT_LOST: &str = "TW-PG-067";

/// SQLSTATEs, or classes of two characters, and what they mean here. The longest match wins.
const SQLSTATES: &[(&str, &str, ErrorKind)] = {
    use ErrorKind::{Data, Operator, Transient};
    &[
        ("08", UNREACHABLE, Transient),
        ("08P01", PROTOCOL, Transient),
        ("0A", STATEMENT, Operator),
        ("22", VALUE, Data),
        // A bad parameter value in a statement of ours is no row.
        ("22023", STATEMENT, Operator),
        ("23", VALUE, Data),
        ("25P03", UNAVAILABLE, Transient),
        ("25006", STATE, Operator),
        ("28", LOGIN, Operator),
        ("28000", LOGIN, Operator),
        ("28P01", LOGIN, Operator),
        ("3D000", NO_DATABASE, Operator),
        ("3F000", MISSING, Operator),
        ("40", UNAVAILABLE, Transient),
        ("42", STATEMENT, Operator),
        ("42501", NO_RIGHT, Operator),
        ("42601", STATEMENT, Operator),
        ("42703", MISSING, Operator),
        ("42704", MISSING, Operator),
        ("42710", EXISTS, Operator),
        ("42883", MISSING, Operator),
        ("42P01", MISSING, Operator),
        ("42P04", EXISTS, Operator),
        ("42P07", EXISTS, Operator),
        ("53", UNAVAILABLE, Transient),
        ("53100", UNAVAILABLE, Transient),
        ("53200", UNAVAILABLE, Transient),
        ("53300", UNAVAILABLE, Transient),
        ("53400", STATE, Operator),
        ("54", STATE, Operator),
        ("55000", STATE, Operator),
        ("55006", IN_USE, Transient),
        ("55P03", IN_USE, Transient),
        ("57", UNAVAILABLE, Transient),
        ("57014", UNAVAILABLE, Transient),
        ("57P01", UNAVAILABLE, Transient),
        ("57P02", UNAVAILABLE, Transient),
        ("57P03", UNAVAILABLE, Transient),
        ("57P04", NO_DATABASE, Operator),
        ("58", UNAVAILABLE, Transient),
        ("58P01", STATE, Operator),
        ("F0000", STATE, Operator),
        ("XX000", OTHER, Transient),
        ("XX001", CORRUPT, Operator),
        ("XX002", CORRUPT, Operator),
    ]
};

/// Classes whose messages are written by functions and extensions, which say what they like, values included: failures
/// of external routines and of their invocation, exceptions of SQL routines, and PL/pgSQL's RAISE.
const FOREIGN_CLASSES: [&str; 4] = ["38", "39", "2F", "P0"];

/// What an SQLSTATE means here. One that is not known is taken for something that passes.
#[must_use]
pub fn classify(sqlstate: &str) -> (&'static str, ErrorKind) {
    let class = sqlstate.get(..2).unwrap_or_default();
    let find = |wanted: &str| SQLSTATES.iter().find(|(key, ..)| *key == wanted);
    match find(sqlstate).or_else(|| find(class)) {
        Some((_, code, kind)) => (code, *kind),
        None => (OTHER, ErrorKind::Transient),
    }
}

/// The error in the body of an ErrorResponse. DETAIL and CONTEXT, which hold row values, are left out, and so is
/// the message where it may quote one.
pub(crate) fn from_server(body: &[u8]) -> Error {
    let mut fields = body.split(|byte| *byte == 0).filter_map(|field| {
        let (tag, text) = field.split_first()?;
        Some((*tag, String::from_utf8_lossy(text).into_owned()))
    });
    let (mut sqlstate, mut message, mut hint, mut table) = (String::new(), String::new(), None, None);
    for (tag, text) in fields.by_ref() {
        match tag {
            b'C' => sqlstate = text,
            b'M' => message = text,
            b'H' => hint = Some(text),
            b't' => table = Some(text),
            _ => {}
        }
    }
    let (code, kind) = classify(&sqlstate);
    let is_foreign = FOREIGN_CLASSES.iter().any(|class| sqlstate.starts_with(class));
    if kind == ErrorKind::Data || is_foreign {
        message = match table {
            Some(table) => format!("the server refuses a value of table {table}"),
            None => "the server refuses a value; its own log has the details".to_owned(),
        };
    }
    let error = Error::new(kind, code, format!("{message} (SQLSTATE {sqlstate})"));
    match hint {
        Some(hint) if kind == ErrorKind::Operator => error.remedy(hint),
        Some(_) | None => error,
    }
}

/// A failure of the socket, or of TLS on it.
pub(crate) fn from_io(error: &io::Error) -> Error {
    match tls::lasting(error) {
        Some(failure) => Error::operator(TLS, failure.to_string()),
        None => Error::transient(UNREACHABLE, error.to_string()),
    }
}

/// The connection ended where an answer was due.
pub(crate) fn ended() -> Error {
    Error::transient(UNREACHABLE, "the server closed the connection")
}

/// Bytes that no Postgres sends here.
pub(crate) fn protocol(message: impl Into<String>) -> Error {
    Error::transient(PROTOCOL, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(fields: &[(char, &str)]) -> Vec<u8> {
        let mut body: Vec<u8> =
            fields.iter().flat_map(|(tag, text)| format!("{tag}{text}\0").into_bytes()).collect();
        body.push(0);
        body
    }

    #[test]
    fn every_row_of_the_table_is_found_by_its_own_sqlstate() {
        for (key, code, kind) in SQLSTATES {
            let sqlstate = format!("{key:9<5}");
            assert_eq!(classify(&sqlstate), (*code, *kind), "{sqlstate}");
        }
    }

    #[test]
    fn the_kinds_that_decide_about_a_restart() {
        use ErrorKind::{Data, Operator, Transient};
        for (sqlstate, code, kind) in [
            ("08006", UNREACHABLE, Transient),
            ("08P01", PROTOCOL, Transient),
            ("0A000", STATEMENT, Operator),
            ("22P05", VALUE, Data),
            ("22023", STATEMENT, Operator),
            ("23505", VALUE, Data),
            ("25006", STATE, Operator),
            ("25P03", UNAVAILABLE, Transient),
            ("28000", LOGIN, Operator),
            ("28P01", LOGIN, Operator),
            ("3D000", NO_DATABASE, Operator),
            ("3F000", MISSING, Operator),
            ("40001", UNAVAILABLE, Transient),
            ("40P01", UNAVAILABLE, Transient),
            ("42501", NO_RIGHT, Operator),
            ("42601", STATEMENT, Operator),
            ("42704", MISSING, Operator),
            ("42710", EXISTS, Operator),
            ("42P01", MISSING, Operator),
            ("53100", UNAVAILABLE, Transient),
            ("53200", UNAVAILABLE, Transient),
            ("53300", UNAVAILABLE, Transient),
            ("53400", STATE, Operator),
            ("55000", STATE, Operator),
            ("55006", IN_USE, Transient),
            ("55P03", IN_USE, Transient),
            ("57014", UNAVAILABLE, Transient),
            ("57P01", UNAVAILABLE, Transient),
            ("57P02", UNAVAILABLE, Transient),
            ("57P03", UNAVAILABLE, Transient),
            ("57P04", NO_DATABASE, Operator),
            ("58030", UNAVAILABLE, Transient),
            ("58P01", STATE, Operator),
            ("XX000", OTHER, Transient),
            ("XX001", CORRUPT, Operator),
            ("XX002", CORRUPT, Operator),
            ("HV000", OTHER, Transient),
            ("", OTHER, Transient),
            ("é", OTHER, Transient),
        ] {
            assert_eq!(classify(sqlstate), (code, kind), "{sqlstate}");
        }
    }

    #[test]
    fn an_error_response_keeps_the_message_and_the_hint_but_no_detail() {
        let error = from_server(&response(&[
            ('S', "ERROR"),
            ('C', "53400"),
            ('M', "all replication slots are in use"),
            ('D', "secret detail"),
            ('H', "Free one or increase \"max_replication_slots\"."),
        ]));
        assert_eq!(error.kind(), ErrorKind::Operator);
        assert_eq!(
            error.to_string(),
            "all replication slots are in use (SQLSTATE 53400) [TW-PG-012]\n  to mend it: Free one or increase \"max_replication_slots\"."
        );
    }

    #[test]
    fn a_message_that_may_quote_a_value_is_withheld() {
        let error = from_server(&response(&[
            ('C', "22P02"),
            ('M', "invalid input syntax for type integer: \"4711-secret\""),
        ]));
        assert!(!error.to_string().contains("secret"), "{error}");
        for sqlstate in ["P0001", "38000", "38002", "39004", "39P01", "2F005"] {
            let error = from_server(&response(&[('C', sqlstate), ('M', "secret"), ('H', "secret")]));
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_broken_error_response_is_still_an_error() {
        for body in [&b""[..], b"\0", b"C", b"\xff\xfe\0\0"] {
            assert_eq!(from_server(body).kind(), ErrorKind::Transient);
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
                    match line.strip_prefix("//! | TW-PG-") {
                        Some(row) if path.ends_with("error.rs") => listed.push(row[..3].to_owned()),
                        _ => used.extend(
                            line.split("TW-PG-").skip(1).filter_map(|code| code.get(..3)).map(str::to_owned),
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
