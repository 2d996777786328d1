//! What `DuckDB`'s error types mean for a pipeline. The kind and the code come from the type, never from the message, but
//! for a commit that the operating system refused, which `DuckDB` tells in no other way.
//! Messages that may quote row values are replaced; only an answer to a person's own query may show them.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-DUCK-001 | Operator | the file cannot be opened: no such folder, or not a DuckDB file | correct `path`, or move the file away |
//! | TW-DUCK-002 | Transient | another process has the file open | close that process; `tailwater query` reads while the daemon runs |
//! | TW-DUCK-003 | Transient | reading or writing the file fails, a full disk for example | free space, look at the disk; it goes on by itself |
//! | TW-DUCK-004 | Transient | DuckDB is at its memory limit | raise `memory_limit` |
//! | TW-DUCK-005 | Transient | two transactions touched the same rows or table | none: it is tried again |
//! | TW-DUCK-006 | Transient | a statement was interrupted | none |
//! | TW-DUCK-007 | Transient | DuckDB found an inconsistency of its own and refuses to go on | reopened by itself; if it returns, keep the file and report it |
//! | TW-DUCK-008 | Operator | a statement does not fit what the file holds: a table or column was changed by somebody else | put the table back, or drop it and copy again |
//! | TW-DUCK-009 | Data | DuckDB refuses a value | see the table it names |
//! | TW-DUCK-010 | Operator | the file was written by another release, or is damaged | use the release that wrote it |
//! | TW-DUCK-011 | Operator | DuckDB's own settings do not permit the statement | take that out of the query |
//! | TW-DUCK-012 | Operator | a setting is unknown or has a wrong value | correct it in `[sink.duckdb]` |
//! | TW-DUCK-013 | Operator | a statement needs an extension that is not built in | take that out of the query |
//! | TW-DUCK-014 | Data | text is not UTF-8, which DuckDB's VARCHAR cannot hold | have the source database in UTF-8, or leave the table out |
//! | TW-DUCK-015 | Operator | `tailwater query` was given a statement that is not a read | write a SELECT |
//! | TW-DUCK-016 | Transient | the query socket cannot be made or used | look at the folder of the DuckDB file |
//! | TW-DUCK-017 | Operator | there is no such DuckDB file | run the pipeline first, or correct `path` |
//! | TW-DUCK-018 | Operator | a query's answer is too large to be handed over | ask for fewer rows with LIMIT, or aggregate |
//! | TW-DUCK-019 | Data | a value in DuckDB is not one that this crate writes | read it as text: `CAST(… AS VARCHAR)` |
//! | TW-DUCK-020 | Data | a change lacks a value of its table's key | report it: the source must send the key |
//! | TW-DUCK-021 | Data | two rows have the same key at one moment | give the table a key that is not DEFERRABLE |
//! | TW-DUCK-022 | Data | a change leaves values unsent, and the target lacks the row that would have them | copy into a new file: somebody else changed the target |
//! | TW-DUCK-023 | Operator | the schema `tailwater` of the file is of another version | use the release that wrote it, or another path |
//! | TW-DUCK-024 | Operator | the file belongs to another pipeline | set another path |
//! | TW-DUCK-025 | Operator | what the sink remembers in the file cannot be read | restore the file, or copy into a new one |
//! | TW-DUCK-026 | Operator | an update or delete does not say which row: the table has no key | `ALTER TABLE … REPLICA IDENTITY FULL`, or a primary key; then copy into a new file |
//! | TW-DUCK-027 | Data | a table is stopped, because its rows cannot be kept under its new shape or name; the others go on | copy into a new file, or leave the table out |
//! | TW-DUCK-028 | Operator | a schema of the source is called `tailwater` | leave it out, or rename it |
//! | TW-DUCK-029 | Operator | a table of the same name is in the file, and not ours | drop or rename it, or set another path |
//! | TW-DUCK-030 | Data | the target holds several rows with one key | copy into a new file: somebody else changed the target |
//! | TW-DUCK-031 | Data | rows to change or delete are not in a target without a key | copy into a new file: somebody else changed the target |
//! | TW-DUCK-032 | Transient | a write to a sink that is not open, or has failed | none |
//! | TW-DUCK-033 | warning of `check` | a column gets another name, as DuckDB takes its own for that of another one | rename it in the source, if that matters |
//! | TW-DUCK-034 | warning of `check` | columns are held as the text that Postgres prints | none: nothing is lost |

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use libduckdb_sys as ffi;
use tailwater_core::{Error, Result};

/// The code for a query socket that cannot be made or used.
pub(crate) const TROUBLE_WITH_SOCKET: &str = "TW-DUCK-016";

/// The bytes 8 to 12 of every `DuckDB` file, after a checksum.
const MAGIC: &[u8] = b"DUCK";
const MAGIC_END: u64 = 12;

/// Whether messages that may quote row values may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// In logs and errors of a pipeline.
    Hidden,
    /// In the answer to a person's own query.
    Shown,
}

/// What one error type means.
struct Meaning {
    kind: tailwater_core::ErrorKind,
    code: &'static str,
    quotes_values: bool,
    remedy: Option<&'static str>,
}

/// The error for a type and message of `DuckDB`.
pub(crate) fn reported(error_type: ffi::duckdb_error_type, message: &str, values: Values) -> Error {
    let first = message.lines().next().unwrap_or_default();
    let of_commit = error_type == ffi::duckdb_error_type_DUCKDB_ERROR_TRANSACTION;
    let meaning = meaning(match () {
        () if of_commit && is_of_system(first) => ffi::duckdb_error_type_DUCKDB_ERROR_IO,
        () if of_commit && is_of_memory(first) => ffi::duckdb_error_type_DUCKDB_ERROR_OUT_OF_MEMORY,
        () => error_type,
    });
    let text = match (meaning.quotes_values, values) {
        (true, Values::Hidden) => {
            // The part before the first colon is the name of the error type.
            let name = first.split(':').next().unwrap_or_default();
            format!("DuckDB reports: {name}")
        }
        (false, Values::Hidden) => first.to_owned(),
        (_, Values::Shown) => message.to_owned(),
    };
    let error = Error::new(meaning.kind, meaning.code, text);
    match meaning.remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

/// Whether a failed commit failed in the operating system: on a full disk, say. `DuckDB` wraps whatever stopped a commit
/// into an error about transactions and keeps only its message, which for a failed system call ends with the system's own
/// words for the errno. We get these words from the system too, so they are the same in every language and release.
fn is_of_system(message: &str) -> bool {
    let Some((_, last)) = message.rsplit_once(": ") else { return false };
    (1..=ERRNO_MAX).any(|errno| {
        let words = io::Error::from_raw_os_error(errno).to_string();
        words.strip_suffix(&format!(" (os error {errno})")) == Some(last)
    })
}

/// Whether a failed commit failed at the memory limit. It too is told by its message only: `… (243.9 MiB/244.1 MiB used)`.
fn is_of_memory(message: &str) -> bool {
    let used = message.rsplit_once('(').and_then(|(_, last)| last.strip_suffix(" used)"));
    used.is_some_and(|used| used.split_once('/').is_some_and(|(_, limit)| limit.ends_with('B')))
}

/// No system of ours has more.
const ERRNO_MAX: i32 = 133;

/// The error for a message that starts with the name of its type, where `DuckDB` tells the type in no other way.
pub(crate) fn prefixed(message: &str, values: Values) -> Error {
    let name = message.split(" Error:").next().unwrap_or_default();
    let error_type = match name {
        "Parser" => ffi::duckdb_error_type_DUCKDB_ERROR_PARSER,
        "Binder" => ffi::duckdb_error_type_DUCKDB_ERROR_BINDER,
        "Catalog" => ffi::duckdb_error_type_DUCKDB_ERROR_CATALOG,
        "Dependency" => ffi::duckdb_error_type_DUCKDB_ERROR_DEPENDENCY,
        "IO" => ffi::duckdb_error_type_DUCKDB_ERROR_IO,
        "Out of Memory" => ffi::duckdb_error_type_DUCKDB_ERROR_OUT_OF_MEMORY,
        "TransactionContext" => ffi::duckdb_error_type_DUCKDB_ERROR_TRANSACTION,
        "Serialization" => ffi::duckdb_error_type_DUCKDB_ERROR_SERIALIZATION,
        "Permission" => ffi::duckdb_error_type_DUCKDB_ERROR_PERMISSION,
        "Invalid Configuration" => ffi::duckdb_error_type_DUCKDB_INVALID_CONFIGURATION,
        "Missing Extension" => ffi::duckdb_error_type_DUCKDB_ERROR_MISSING_EXTENSION,
        "Invalid Input" => ffi::duckdb_error_type_DUCKDB_ERROR_INVALID_INPUT,
        "Conversion" => ffi::duckdb_error_type_DUCKDB_ERROR_CONVERSION,
        "Out of Range" => ffi::duckdb_error_type_DUCKDB_ERROR_OUT_OF_RANGE,
        "INTERRUPT" => ffi::duckdb_error_type_DUCKDB_ERROR_INTERRUPT,
        _ => ffi::duckdb_error_type_DUCKDB_ERROR_INVALID,
    };
    reported(error_type, message, values)
}

/// The error for a failed attempt to open a file, which `DuckDB` tells without a type.
pub(crate) fn opening(message: &str) -> Error {
    if message.starts_with("IO Error: Could not set lock on file") {
        return Error::transient("TW-DUCK-002", message.lines().next().unwrap_or_default()).remedy(
            "close the process that has the file open; while the daemon runs, read with `tailwater query`",
        );
    }
    // Nothing but settings is input here.
    if message.starts_with("Invalid Input Error") || message.starts_with("Parser Error") {
        return Error::operator("TW-DUCK-012", message.lines().next().unwrap_or_default())
            .remedy("correct it in [sink.duckdb]");
    }
    prefixed(message, Values::Hidden)
}

/// The error for a file that is none of ours to open.
pub(crate) fn cannot_open(message: &str) -> Error {
    Error::operator("TW-DUCK-001", message).remedy("correct `path` in [sink.duckdb]")
}

/// Finds what only a person can mend before `DuckDB` sees the file: its own errors for these have no type.
pub(crate) fn examine_file(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(cannot_open(&format!("there is no folder {}", folder.display())));
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC_END).read_to_end(&mut start));
    match read {
        // One that somebody was about to make. DuckDB refuses it, so it makes its own.
        Ok(0) if !path.with_added_extension("wal").exists() => {
            std::fs::remove_file(path).map_err(|error| cannot_open(&format!("{}: {error}", path.display())))
        }
        Ok(0) => Ok(()),
        Ok(_) if start.ends_with(MAGIC) => Ok(()),
        Ok(_) => Err(cannot_open(&format!("{} is not a DuckDB file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot_open(&format!("{}: {error}", path.display()))),
    }
}

fn meaning(error_type: ffi::duckdb_error_type) -> Meaning {
    use tailwater_core::ErrorKind::{Data, Operator, Transient};
    let (kind, code, quotes_values, remedy) = match error_type {
        ffi::duckdb_error_type_DUCKDB_ERROR_IO => (Transient, "TW-DUCK-003", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_OUT_OF_MEMORY => {
            (Transient, "TW-DUCK-004", false, Some("raise memory_limit in [sink.duckdb]"))
        }
        ffi::duckdb_error_type_DUCKDB_ERROR_TRANSACTION => (Transient, "TW-DUCK-005", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_INTERRUPT => (Transient, "TW-DUCK-006", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_CATALOG
        | ffi::duckdb_error_type_DUCKDB_ERROR_PARSER
        | ffi::duckdb_error_type_DUCKDB_ERROR_SYNTAX
        | ffi::duckdb_error_type_DUCKDB_ERROR_PLANNER
        | ffi::duckdb_error_type_DUCKDB_ERROR_BINDER
        | ffi::duckdb_error_type_DUCKDB_ERROR_DEPENDENCY => (Operator, "TW-DUCK-008", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_OUT_OF_RANGE
        | ffi::duckdb_error_type_DUCKDB_ERROR_CONVERSION
        | ffi::duckdb_error_type_DUCKDB_ERROR_DECIMAL
        | ffi::duckdb_error_type_DUCKDB_ERROR_MISMATCH_TYPE
        | ffi::duckdb_error_type_DUCKDB_ERROR_DIVIDE_BY_ZERO
        | ffi::duckdb_error_type_DUCKDB_ERROR_OBJECT_SIZE
        | ffi::duckdb_error_type_DUCKDB_ERROR_INVALID_TYPE
        | ffi::duckdb_error_type_DUCKDB_ERROR_UNKNOWN_TYPE
        | ffi::duckdb_error_type_DUCKDB_ERROR_CONSTRAINT
        | ffi::duckdb_error_type_DUCKDB_ERROR_SEQUENCE
        | ffi::duckdb_error_type_DUCKDB_ERROR_INVALID_INPUT => (Data, "TW-DUCK-009", true, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_SERIALIZATION => (Operator, "TW-DUCK-010", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_PERMISSION => (Operator, "TW-DUCK-011", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_SETTINGS
        | ffi::duckdb_error_type_DUCKDB_INVALID_CONFIGURATION => (Operator, "TW-DUCK-012", false, None),
        ffi::duckdb_error_type_DUCKDB_ERROR_MISSING_EXTENSION
        | ffi::duckdb_error_type_DUCKDB_ERROR_AUTOLOAD
        | ffi::duckdb_error_type_DUCKDB_ERROR_HTTP
        | ffi::duckdb_error_type_DUCKDB_ERROR_NETWORK => (Operator, "TW-DUCK-013", false, None),
        // The library is not an outside input with new types to learn of; whatever is left is its own trouble, and
        // a fresh start is the only cure there is. It may quote anything.
        _ => (Transient, "TW-DUCK-007", true, None),
    };
    Meaning { kind, code, quotes_values, remedy }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_commit_that_lacks_memory_says_so() {
        let message = "TransactionContext Error: Failed to commit: failed to pin block of size 256.0 KiB (243.9 MiB/244.1 MiB used)";
        let error = reported(ffi::duckdb_error_type_DUCKDB_ERROR_TRANSACTION, message, Values::Hidden);
        assert_eq!(error.code(), "TW-DUCK-004");
    }

    #[test]
    fn maps_every_type_and_hides_values() {
        let mut table = String::new();
        for error_type in 0..=43 {
            let error = reported(error_type, "Some Error: about \"secret\"\nLINE 1", Values::Hidden);
            writeln!(table, "{error_type} {:?} {} {}", error.kind(), error.code(), error.message()).unwrap();
        }
        expect_test::expect![[r#"
            0 Transient TW-DUCK-007 DuckDB reports: Some Error
            1 Data TW-DUCK-009 DuckDB reports: Some Error
            2 Data TW-DUCK-009 DuckDB reports: Some Error
            3 Data TW-DUCK-009 DuckDB reports: Some Error
            4 Data TW-DUCK-009 DuckDB reports: Some Error
            5 Data TW-DUCK-009 DuckDB reports: Some Error
            6 Data TW-DUCK-009 DuckDB reports: Some Error
            7 Data TW-DUCK-009 DuckDB reports: Some Error
            8 Data TW-DUCK-009 DuckDB reports: Some Error
            9 Operator TW-DUCK-010 Some Error: about "secret"
            10 Transient TW-DUCK-005 Some Error: about "secret"
            11 Transient TW-DUCK-007 DuckDB reports: Some Error
            12 Transient TW-DUCK-007 DuckDB reports: Some Error
            13 Operator TW-DUCK-008 Some Error: about "secret"
            14 Operator TW-DUCK-008 Some Error: about "secret"
            15 Operator TW-DUCK-008 Some Error: about "secret"
            16 Transient TW-DUCK-007 DuckDB reports: Some Error
            17 Transient TW-DUCK-007 DuckDB reports: Some Error
            18 Data TW-DUCK-009 DuckDB reports: Some Error
            19 Transient TW-DUCK-007 DuckDB reports: Some Error
            20 Transient TW-DUCK-007 DuckDB reports: Some Error
            21 Transient TW-DUCK-007 DuckDB reports: Some Error
            22 Operator TW-DUCK-008 Some Error: about "secret"
            23 Operator TW-DUCK-012 Some Error: about "secret"
            24 Operator TW-DUCK-008 Some Error: about "secret"
            25 Operator TW-DUCK-013 Some Error: about "secret"
            26 Transient TW-DUCK-007 DuckDB reports: Some Error
            27 Transient TW-DUCK-007 DuckDB reports: Some Error
            28 Transient TW-DUCK-003 Some Error: about "secret"
            29 Transient TW-DUCK-006 Some Error: about "secret"
            30 Transient TW-DUCK-007 DuckDB reports: Some Error
            31 Transient TW-DUCK-007 DuckDB reports: Some Error
            32 Data TW-DUCK-009 DuckDB reports: Some Error
            33 Transient TW-DUCK-004 Some Error: about "secret"
            34 Operator TW-DUCK-011 Some Error: about "secret"
            35 Transient TW-DUCK-007 DuckDB reports: Some Error
            36 Transient TW-DUCK-007 DuckDB reports: Some Error
            37 Operator TW-DUCK-008 Some Error: about "secret"
            38 Operator TW-DUCK-013 Some Error: about "secret"
            39 Operator TW-DUCK-013 Some Error: about "secret"
            40 Operator TW-DUCK-013 Some Error: about "secret"
            41 Data TW-DUCK-009 DuckDB reports: Some Error
            42 Operator TW-DUCK-012 Some Error: about "secret"
            43 Transient TW-DUCK-007 DuckDB reports: Some Error
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn a_commit_that_the_system_refused_is_no_conflict() {
        let check = |message: &str, expected| {
            assert_eq!(reported(10, message, Values::Hidden).code(), expected, "{message}");
        };
        for words in
            ["No space left on device", "File too large", "Disk quota exceeded", "Input/output error"]
        {
            let file = "TransactionContext Error: Failed to commit: Could not write file \"/t: a.wal\"";
            check(&format!("{file}: {words}"), "TW-DUCK-003");
            check(&format!("{file}: {words}!"), "TW-DUCK-005");
        }
        check(
            "TransactionContext Error: Failed to commit: write-write conflict on key: \"a\"",
            "TW-DUCK-005",
        );
        check("File too large", "TW-DUCK-005");
    }

    #[test]
    fn shows_a_person_the_answer_to_their_own_query() {
        let error = reported(2, "Conversion Error: 'x'\nLINE 1", Values::Shown);
        assert_eq!(error.message(), "Conversion Error: 'x'\nLINE 1");
    }
}
