//! The throw-away server of a demo, whichever it is.

use tailwater_core::{Error, Result};

use super::Source;
use super::session::Session;
use crate::throwaway::mysql::{self, Flavour, Programs};
use crate::throwaway::{Mysql, Postgres, Step, Wanted};

/// A small shop is copied at once, and must not wait for the log to be emptied meanwhile.
const MYSQL_SETTINGS: &str =
    "innodb-buffer-pool-size=256M\nloose-innodb-redo-log-capacity=256M\nloose-innodb-log-file-size=256M\n";

/// A running server. Dropping it ends it and removes its data.
pub(super) enum Server {
    Postgres(Postgres),
    Mysql(Mysql),
}

impl Server {
    /// Starts one that can be reached over its socket alone, which is ours; `note` is told what takes time.
    ///
    /// # Errors
    /// Those of the throw-away servers.
    pub(super) async fn start(source: Source, note: impl Fn(&str)) -> Result<Self> {
        let flavour = match source {
            Source::Postgres => {
                let settings = vec![("listen_addresses".to_owned(), String::new())];
                let wanted = Wanted { settings, ..Wanted::default() };
                let started = Postgres::start(wanted, |step| match step {
                    Step::Fetch => note("Fetching Postgres (15 MB, once)"),
                    Step::Start => note("Starting a throw-away Postgres"),
                });
                return Ok(Self::Postgres(started.await?));
            }
            Source::Mysql => Flavour::MySql,
            Source::Mariadb => Flavour::MariaDb,
        };
        let programs = Programs::find(flavour)?;
        note(&format!("Starting a throw-away {}", programs.version()));
        let wanted =
            mysql::Wanted { programs, settings: MYSQL_SETTINGS.to_owned(), data: None, network: false };
        let started = tokio::task::spawn_blocking(|| Mysql::start(wanted)).await;
        let server = started.unwrap_or_else(|error| {
            Err(Error::transient("TW-DEMO-006", format!("start a server: {error}")))
        })?;
        let mut session = Session::open(source, &server.socket_url("root", "")).await?;
        session.run(&["CREATE DATABASE store"]).await?;
        Ok(Self::Mysql(server))
    }

    /// How to reach it over its socket.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.socket_url("postgres", "postgres"),
            Self::Mysql(server) => server.socket_url("root", "store"),
        }
    }

    /// What it is, `Postgres 15.18`.
    pub(super) fn release(&self) -> String {
        match self {
            Self::Postgres(server) => format!("Postgres {}", server.release()),
            Self::Mysql(server) => server.programs().version().to_string(),
        }
    }
}
