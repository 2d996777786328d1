//! What a pipeline file says of its MySQL or MariaDB source, already validated. Reading the file is the daemon's work.

use std::time::Duration;

use tailwater_core::pattern::Patterns;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::url::Url;

/// A MySQL or MariaDB source.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server is, and as whom to connect.
    pub url: Url,
    /// Which tables.
    pub tables: Patterns,
    /// By which the server knows this reader: made of the pipeline's name, unless the file says otherwise.
    pub server_id: u32,
    /// Likewise, for MySQL.
    pub uuid: String,
    /// Sessions that copy at the same time.
    pub copy_workers: usize,
    /// A silent server shows that it is there this often; one that is silent for twice as long is gone.
    pub heartbeat: Duration,
    /// While only foreign changes pass, the position moves at most this often.
    pub idle_position_interval: Duration,
    /// Statements that make, change or remove tables are told too, as [`tailwater_core::Change::Statement`].
    pub statements: bool,
}

impl Config {
    /// A source with every default, of the pipeline `name`.
    #[must_use]
    pub fn new(name: &str, url: Url, tables: Patterns) -> Self {
        Self {
            url,
            tables,
            server_id: server_id(name),
            uuid: uuid(name),
            copy_workers: 3,
            heartbeat: Duration::from_secs(10),
            idle_position_interval: Duration::from_secs(1),
            statements: false,
        }
    }
}

/// In the upper half, where people do not count their servers.
fn server_id(name: &str) -> u32 {
    let [a, b, c, d, ..] = xxh3_64(name.as_bytes()).to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]) | 1 << 31).min(u32::MAX - 1)
}

/// The same at each start, so that a server ends the dump of a session that it does not yet know to be dead.
fn uuid(name: &str) -> String {
    let digits = format!("{:032x}", xxh3_128(name.as_bytes()));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pipeline_is_known_by_its_own_number() {
        let (one, other) = (server_id("shop"), server_id("shop2"));
        assert!(one != other && one >= 1 << 31 && other >= 1 << 31);
        assert_eq!(uuid("shop"), uuid("shop"));
        assert_ne!(uuid("shop"), uuid("shop2"));
        assert_eq!(uuid("shop").split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
