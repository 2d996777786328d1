//! Tables with every type and the values at its edges, and tables that are odd otherwise, as SQL for each server: made
//! before a pipeline starts and changed while it streams. What is right is not known here: `truth` asks the server.

use std::fmt::Write as _;

use super::{Flavour, Installation, Server};

const TYPES: &str = include_str!("../../mysql/types.list");
const TABLES: &str = include_str!("../../mysql/tables.sql");

/// The schema of the tables with one type each.
pub const SCHEMA: &str = "edges";
/// Where the ids of those rows begin that are made by [`Phase::Insert`].
pub const SECOND: usize = 1000;

/// What happens to the tables, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// They are made.
    Create,
    /// Rows are made, which a first copy finds.
    Fill,
    /// The same values once more, under other keys.
    Insert,
    /// Every row gets other values, some other keys.
    Update,
    /// Some rows go.
    Delete,
}

/// A table `id, v, tail` whose `v` is of the type in question. The tail tells when reading `v` ended at a wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges {
    /// `t012_bigint_unsigned`: the number is the same for all servers.
    pub table: String,
    /// The column's definition.
    pub column: &'static str,
    /// SQL expressions; that of row `id` is at `id - 1`.
    pub values: Vec<&'static str>,
}

/// Runs a phase of all tables, those with one type each and the odd ones.
///
/// # Panics
/// Where the server refuses it.
pub fn run(server: &Server, phase: Phase) {
    let installation = server.installation();
    server.execute(&types(installation, phase));
    server.execute(&tables(installation, phase));
}

/// The tables with one type each that this server can have.
#[must_use]
pub fn edges(installation: Installation) -> Vec<Edges> {
    let lines = TYPES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut all: Vec<(bool, Edges)> = Vec::new();
    for line in lines {
        if let Some((servers, column)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
            let table = format!("t{:03}_{}", all.len() + 1, name_of(column));
            all.push((is_among(installation, servers), Edges { table, column, values: Vec::new() }));
        } else {
            all.last_mut().unwrap().1.values.push(line);
        }
    }
    let mut mine: Vec<Edges> = all.into_iter().filter_map(|(has, edges)| has.then_some(edges)).collect();
    for edges in mine.iter_mut().filter(|edges| !edges.column.ends_with("NOT NULL")) {
        edges.values.push("NULL");
    }
    mine
}

/// The first words of a type, as part of a name.
fn name_of(column: &str) -> String {
    let plain = column.split(['\'', '"']).next().unwrap_or_default();
    let words: Vec<&str> =
        plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words[..words.len().min(6)].join("_").to_lowercase()
}

fn is_among(installation: Installation, servers: &str) -> bool {
    servers.split(' ').any(|name| match name {
        "all" => true,
        "mysql" => installation.flavour() == Flavour::MySql,
        "mariadb" => installation.flavour() == Flavour::MariaDb,
        name => {
            assert!(
                Installation::all().iter().any(|known| known.name() == name),
                "there is no server {name}"
            );
            name == installation.name()
        }
    })
}

/// The statements of a phase for the tables with one type each.
#[must_use]
pub fn types(installation: Installation, phase: Phase) -> String {
    let mut sql = preamble(phase);
    if phase == Phase::Create {
        write!(sql, "CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4; ").unwrap();
    }
    writeln!(sql, "USE {SCHEMA};").unwrap();
    for edges in edges(installation) {
        let (table, count) = (&edges.table, edges.values.len());
        match phase {
            Phase::Create => {
                let column = edges.column;
                writeln!(sql, "CREATE TABLE {table} (id INT PRIMARY KEY, v {column}, tail VARCHAR(9));")
                    .unwrap();
            }
            Phase::Fill => writeln!(sql, "{}", insert(&edges, 0)).unwrap(),
            Phase::Insert => writeln!(sql, "{}", insert(&edges, SECOND)).unwrap(),
            Phase::Update => {
                for (index, first) in (0..count).flat_map(|index| [(index, 1), (index, SECOND + 1)]) {
                    let next = edges.values[(index + 1) % count];
                    writeln!(
                        sql,
                        "UPDATE {table} SET v = {next}, tail = 'new' WHERE id = {};",
                        first + index
                    )
                    .unwrap();
                }
            }
            Phase::Delete => writeln!(sql, "DELETE FROM {table} WHERE id % 3 = 0;").unwrap(),
        }
    }
    sql
}

fn insert(edges: &Edges, after: usize) -> String {
    let rows = edges.values.iter().zip(after + 1..).map(|(value, id)| format!("({id}, {value}, 'end')"));
    format!("INSERT INTO {} VALUES {};", edges.table, rows.collect::<Vec<_>>().join(", "))
}

/// The statements of a phase for the odd tables.
#[must_use]
pub fn tables(installation: Installation, phase: Phase) -> String {
    let wanted = format!("{phase:?}").to_lowercase();
    let mut sql = preamble(phase);
    let mut mine = false;
    for line in TABLES.lines() {
        if let Some((servers, name)) = line.strip_prefix("-- [").and_then(|line| line.split_once("] ")) {
            mine = is_among(installation, servers) && name == wanted;
        } else if mine && !line.starts_with("-- ") {
            writeln!(sql, "{line}").unwrap();
        }
    }
    sql
}

/// Dates that are none are allowed, and a value that does not fit is not refused. A table's definition is checked.
fn preamble(phase: Phase) -> String {
    let mode = if phase == Phase::Create { "STRICT_ALL_TABLES" } else { "ALLOW_INVALID_DATES" };
    format!("SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = '{mode}';\n")
}
