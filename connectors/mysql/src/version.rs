//! Which server, and which release of it. Pure.

use std::fmt;

/// The two families of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// MySQL, and what behaves as it does: Percona Server, Aurora.
    #[default]
    MySql,
    /// MariaDB.
    MariaDb,
}

/// What a server says of its release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Version {
    /// MySQL or MariaDB.
    pub flavour: Flavour,
    /// `(11, 8, 6)`.
    pub number: (u32, u32, u32),
    /// As the server writes it.
    pub text: String,
}

impl Version {
    /// Reads `9.7.0`, `8.0.36-28`, `5.5.5-10.11.14-MariaDB-0+deb12u2`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let is_mariadb = text.contains("MariaDB");
        let flavour = if is_mariadb { Flavour::MariaDb } else { Flavour::MySql };
        // MariaDB puts this before its own version in the greeting, for old replicas.
        let text = if is_mariadb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
        let mut parts =
            text.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let mut part = || parts.next().unwrap_or(0);
        Self { flavour, number: (part(), part(), part()), text: text.to_owned() }
    }

    /// Whether it is MariaDB.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.flavour == Flavour::MariaDb
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavour = if self.is_mariadb() { "MariaDB" } else { "MySQL" };
        let (major, minor, patch) = self.number;
        write!(f, "{flavour} {major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("9.7.0", "MySQL 9.7.0"),
            ("8.0.36-28", "MySQL 8.0.36"),
            ("5.6.51-log", "MySQL 5.6.51"),
            ("5.5.5-10.11.14-MariaDB-0+deb12u2-log", "MariaDB 10.11.14"),
            ("11.8.6-MariaDB-0+deb13u1 from Debian-log", "MariaDB 11.8.6"),
            ("", "MySQL 0.0.0"),
        ] {
            assert_eq!(Version::parse(text).to_string(), expected);
        }
    }
}
