//! A table for every character set a server has, with every character of the basic plane, and some beyond, that the set
//! can hold: made and changed in the phases of `values`. The server converts them, so nothing here knows a character set.

use std::fmt::Write as _;

use super::Server;
use super::values::Phase;

/// The schema of these tables. Each is named after its character set, and has `id` and `v`.
pub const SCHEMA: &str = "characters";
/// The table that the others are filled from, in UTF-8.
pub const SOURCE: &str = "unicode";
/// Where the ids of those rows begin that are made by [`Phase::Insert`].
const SECOND: u32 = 10_000;

/// Runs a phase of these tables. A character that a set does not have becomes a question mark there.
///
/// # Panics
/// Where the server refuses it.
pub fn run(server: &Server, phase: Phase) {
    let mut sql = "SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = '';\n".to_owned();
    if phase == Phase::Create {
        writeln!(sql, "CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4;").unwrap();
    }
    writeln!(sql, "USE {SCHEMA};").unwrap();
    if phase == Phase::Fill {
        sql += &unicode();
    }
    if phase == Phase::Create {
        writeln!(sql, "CREATE TABLE {SOURCE} (id INT PRIMARY KEY, v TEXT CHARACTER SET utf8mb4);").unwrap();
    }
    for set in sets(server) {
        let line = match phase {
            Phase::Create => format!("CREATE TABLE {set} (id INT PRIMARY KEY, v TEXT CHARACTER SET {set});"),
            Phase::Fill => format!("INSERT INTO {set} SELECT id, v FROM {SOURCE} ORDER BY id;"),
            Phase::Insert => format!("INSERT INTO {set} SELECT id + {SECOND}, v FROM {SOURCE} ORDER BY id;"),
            Phase::Update => format!("UPDATE {set} SET v = CONCAT(v, 'x') WHERE id < {SECOND};"),
            Phase::Delete => format!("DELETE FROM {set} WHERE id % 3 = 0;"),
        };
        writeln!(sql, "{line}").unwrap();
    }
    server.execute(&sql);
}

/// The character sets that this server has, but for bytes.
#[must_use]
pub fn sets(server: &Server) -> Vec<String> {
    let rows = server.query(
        "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS
         WHERE CHARACTER_SET_NAME NOT IN ('binary', 'filename') ORDER BY CHARACTER_SET_NAME",
    );
    rows.into_iter().flatten().flatten().collect()
}

/// Rows of 128 characters each: the basic plane without what is no character (U+FFFD says that there was none, which the
/// source refuses in sets whose bytes mean it), and the first emoji.
fn unicode() -> String {
    let mut sql = String::new();
    for (start, id) in (0_u32..0x1_0000).chain(0x1_f600..0x1_f680).step_by(128).zip(1..) {
        let text: String = (start..start + 128)
            .filter_map(char::from_u32)
            .filter(|c| *c != char::REPLACEMENT_CHARACTER)
            .collect();
        if !text.is_empty() {
            let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
            writeln!(sql, "INSERT INTO {SOURCE} VALUES ({id}, _utf8mb4 X'{digits}');").unwrap();
        }
    }
    sql
}
