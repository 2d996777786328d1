//! The demo's small shop: tables of the same names at every source, each with the types that a real one has there, the
//! rows it opens with, and what customers and staff do all day. SQL, and what its answers mean; no connection.

mod mysql;
mod postgres;

use indicatif::{HumanBytes, HumanCount};
use tailwater_postgres::lsn::Lsn;

use super::Source;

/// Every table, in the order in which they are shown.
pub(super) const TABLES: [&str; 6] = ["customers", "products", "orders", "order_lines", "stock", "carts"];

/// What the demo says to one kind of source.
pub(super) struct Shop {
    /// The schema of the tables.
    pub(super) schema: &'static str,
    /// The statements that make the tables, empty.
    pub(super) tables: &'static [&'static str],
    /// What the shop opens with, table by table: enough rows that the first copy can be watched.
    pub(super) fill: [(&'static str, &'static str); 5],
    /// Brings up to date the statistics that the copy takes its estimates from.
    pub(super) analyse: &'static str,
    /// The transactions of a day, over and over. `$1` is a random number.
    pub(super) work: &'static [&'static [&'static str]],
    /// Every row of each of [`TABLES`], with its values in the text of `DuckDB`.
    pub(super) rows: [&'static str; 6],
    /// Where the log ends, in the notation of positions.
    pub(super) end: &'static str,
}

impl Source {
    /// What is said to it.
    pub(super) fn shop(self) -> &'static Shop {
        match self {
            Self::Postgres => &postgres::SHOP,
            Self::Mysql => &mysql::SHOP,
            Self::Mariadb => &mysql::SHOP_OF_MARIADB,
        }
    }

    /// How a person calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
        }
    }

    /// Its table in a pipeline file.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }

    /// A position as a number that grows: bytes of Postgres's log, or transactions. A throw-away server of MySQL's kind
    /// is the only one that writes its log, so the last number in its position counts them all.
    pub(super) fn point(self, position: &str) -> Option<u64> {
        match self {
            Self::Postgres => position.parse::<Lsn>().ok().map(|lsn| lsn.0),
            Self::Mysql | Self::Mariadb => position.rsplit([':', '-']).next()?.parse().ok(),
        }
    }

    /// A difference of two points, for a person.
    pub(super) fn distance(self, distance: u64) -> String {
        match self {
            Self::Postgres => HumanBytes(distance).to_string(),
            Self::Mysql | Self::Mariadb => format!("{} transactions", HumanCount(distance)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_every_source_grow() {
        assert_eq!(Source::Postgres.point("0/16B3748"), Some(0x16_b3748));
        assert_eq!(Source::Mysql.point("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-1234"), Some(1234));
        assert_eq!(Source::Mysql.point("3e11fa47-71ca-11e1-9e33-c80aa9429562:1"), Some(1));
        assert_eq!(Source::Mariadb.point("0-1-77"), Some(77));
        assert_eq!(Source::Mysql.point(""), None);
        assert_eq!(Source::Mysql.distance(1500), "1,500 transactions");
        assert_eq!(Source::Postgres.distance(2048), "2.00 KiB");
    }
}
