//! What a pipeline file says of its Postgres source, already validated. Reading the file is the daemon's work.

use std::time::Duration;

use tailwater_core::pattern::Patterns;

use crate::url::Url;

/// A Postgres source.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server is, and as whom to connect.
    pub url: Url,
    /// Which tables.
    pub tables: Patterns,
    /// The replication slot: `tailwater_` and the pipeline's name, unless the file says otherwise.
    pub slot: String,
    /// The publication: likewise.
    pub publication: String,
    /// Whether the file names the publication: then it is somebody else's, and never created or removed.
    pub publication_is_given: bool,
    /// Sessions that copy at the same time.
    pub copy_workers: usize,
    /// A table larger than this is copied in ranges of this many bytes of heap.
    pub copy_range_bytes: u64,
    /// While only foreign changes pass, the position moves (and frees WAL) at most this often.
    pub idle_position_interval: Duration,
}

impl Config {
    /// A source with every default, of the pipeline `name`.
    #[must_use]
    pub fn new(name: &str, url: Url, tables: Patterns) -> Self {
        Self {
            url,
            tables,
            slot: format!("tailwater_{name}"),
            publication: format!("tailwater_{name}"),
            publication_is_given: false,
            copy_workers: 3,
            copy_range_bytes: 256 << 20,
            idle_position_interval: Duration::from_secs(1),
        }
    }
}
