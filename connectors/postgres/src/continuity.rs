//! Who the server is, and the proof that reading can go on from a position. Nothing is ever re-created in silence:
//! either every change after the position is still to be had, or the pipeline stops and says what is missing.

use std::fmt;
use std::str::FromStr;

use tailwater_core::{Error, Position, Result};

use crate::config::Config;
use crate::connection::Connection;
use crate::lsn::Lsn;
use crate::slot::{self, Slot};

/// The database a position belongs to, as stored in [`Position::source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `system_identifier` of the cluster, the same on its standbys.
    pub(crate) system: String,
    /// The timeline the position was read on.
    pub(crate) timeline: u32,
    /// The database; a slot belongs to one.
    pub(crate) database: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres {} timeline {} database {}", self.system, self.timeline, self.database)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let rest = text.strip_prefix("postgres ")?;
            let (system, rest) = rest.split_once(" timeline ")?;
            let (timeline, database) = rest.split_once(" database ")?;
            let timeline = timeline.parse().ok()?;
            Some(Self { system: system.to_owned(), timeline, database: database.to_owned() })
        };
        parse().ok_or_else(|| {
            Error::operator("TW-PG-060", format!("the target's position is of another source: {text:?}"))
                .remedy("use the target this pipeline wrote, or an empty one")
        })
    }
}

/// What `IDENTIFY_SYSTEM` answers.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Who answers.
    pub(crate) identity: Identity,
    /// End of what it has flushed.
    pub(crate) head: Lsn,
}

/// Asks a replication connection who it talks to.
///
/// # Errors
/// Those of the connection.
pub(crate) async fn identify(connection: &mut Connection) -> Result<Server> {
    let rows =
        connection.query("IDENTIFY_SYSTEM").await.map_err(|error| error.doing("identify the server"))?;
    let field = |index: usize| rows.first().and_then(|row| row.get(index)).cloned().flatten();
    match (field(0), field(1).map(|text| text.parse()), field(2).map(|text| lsn(&text)), field(3)) {
        (Some(system), Some(Ok(timeline)), Some(Ok(head)), Some(database)) => {
            Ok(Server { identity: Identity { system, timeline, database }, head })
        }
        _ => Err(Error::transient("TW-PG-061", "IDENTIFY_SYSTEM does not answer as documented")),
    }
}

/// The log position in a [`Position`].
///
/// # Errors
/// `Operator` where it is none: the target holds something else.
pub(crate) fn stream_lsn(position: &Position) -> Result<Lsn> {
    lsn(&position.stream)
}

/// A log position as the server, or a target, writes it.
pub(crate) fn lsn(text: &str) -> Result<Lsn> {
    text.parse().map_err(|error| Error::operator("TW-PG-060", format!("{text:?}: {error}")))
}

/// What the server was told last of our slot: what was committed up to there is not to be had any more.
///
/// # Errors
/// Those of the connection, and `Operator` where there is no such slot.
pub(crate) async fn confirmed(connection: &mut Connection, config: &Config) -> Result<Lsn> {
    match slot::read(connection, &config.slot).await? {
        Some(slot) if slot.ours => Ok(slot.confirmed),
        Some(slot) => Err(foreign(config, &slot)),
        None => Err(Error::operator("TW-PG-064", format!("slot {} does not exist", config.slot))
            .remedy("name the slot that was used until now: [source.postgres] slot = \"…\"")),
    }
}

/// Whether a slot of our name exists, which may be dropped where the target says that it is of an interrupted copy.
///
/// # Errors
/// Those of the connection, and `Operator` where the slot cannot be ours.
pub(crate) async fn prove_ours(connection: &mut Connection, config: &Config) -> Result<bool> {
    match slot::read(connection, &config.slot).await? {
        None => Ok(false),
        Some(slot) if slot.ours => Ok(true),
        Some(slot) => Err(foreign(config, &slot)),
    }
}

fn foreign(config: &Config, slot: &Slot) -> Error {
    let what =
        format!("slot {} is of plugin {} and database {}, not ours", config.slot, slot.plugin, slot.database);
    Error::operator("TW-PG-065", what).remedy("set another name: [source.postgres] slot = \"…\"")
}

/// Proves that the slot still holds everything after `position`, or says what is missing.
///
/// # Errors
/// `Operator`, with what heals it.
pub(crate) async fn prove(
    connection: &mut Connection,
    config: &Config,
    server: &Server,
    position: &Position,
) -> Result<Identity> {
    let held: Identity = position.source.parse()?;
    let reached = stream_lsn(position)?;
    same_database(&held, &server.identity)?;
    if held.timeline != server.identity.timeline {
        follow_timeline(connection, held.timeline, server.identity.timeline, reached).await?;
    }
    if reached > server.head {
        return Err(Error::operator(
            "TW-PG-063",
            format!(
                "the target is at {reached}, ahead of the server's {}: the server was set back",
                server.head
            ),
        )
        .remedy(start_over(config)));
    }
    prove_slot(connection, config, reached).await?;
    Ok(server.identity.clone())
}

/// Proves that the slot still holds everything after `reached`. Asked again whenever a stream starts: the server starts
/// one from a slot that somebody has moved or made again without a word, later than it was asked to.
///
/// # Errors
/// `Operator`, with what heals it.
pub(crate) async fn prove_slot(connection: &mut Connection, config: &Config, reached: Lsn) -> Result<()> {
    let Some(slot) = slot::read(connection, &config.slot).await? else {
        return Err(Error::operator(
            "TW-PG-064",
            format!(
                "slot {} does not exist; changes after {reached} may be gone from the server",
                config.slot
            ),
        )
        .remedy(start_over(config)));
    };
    holds(config, &slot, reached)
}

/// Proves that the position is of this database, where nothing more needs to be proved: its copy starts afresh.
///
/// # Errors
/// `Operator` where it is not.
pub(crate) fn prove_same_database(server: &Server, position: &Position) -> Result<()> {
    same_database(&position.source.parse()?, &server.identity)
}

fn same_database(held: &Identity, found: &Identity) -> Result<()> {
    if held.system == found.system && held.database == found.database {
        return Ok(());
    }
    Err(Error::operator("TW-PG-062", format!("the target follows {held}, but the url leads to {found}"))
        .remedy(
            "point [source.postgres] url at the server the target was copied from, or use an empty target",
        ))
}

fn holds(config: &Config, slot: &Slot, reached: Lsn) -> Result<()> {
    let name = &config.slot;
    if !slot.ours {
        return Err(foreign(config, slot));
    }
    if slot.two_phase {
        return Err(Error::operator(
            "TW-PG-066",
            format!("slot {name} decodes prepared transactions (two_phase)"),
        )
        .remedy("set another name: [source.postgres] slot = \"…\", or recreate the slot without two_phase"));
    }
    if let Some(lost) = slot.lost() {
        return Err(Error::operator(
            "TW-PG-067",
            format!("slot {name} is {lost}: the server has removed changes after {reached}"),
        )
        .remedy(format!(
            "{}; raise max_slot_wal_keep_size so that it does not happen again",
            start_over(config)
        )));
    }
    if slot.confirmed > reached {
        return Err(Error::operator(
            "TW-PG-068",
            format!(
                "slot {name} was moved to {} but the target is at {reached}: the changes between are not to be had",
                slot.confirmed
            ),
        )
        .remedy(start_over(config)));
    }
    Ok(())
}

/// What heals a gap: there is no way but a new copy, and nobody but a person decides that.
fn start_over(config: &Config) -> String {
    format!("copy afresh: `tailwater drop` removes slot {}, then start with an empty target", config.slot)
}

/// After a promotion the new timeline must descend from ours, and have left it after our position.
async fn follow_timeline(connection: &mut Connection, ours: u32, theirs: u32, reached: Lsn) -> Result<()> {
    let diverged = |what: String| {
        Err(Error::operator("TW-PG-069", what)
            .remedy("point the url at the server that carries the target's timeline, or copy afresh"))
    };
    if theirs < ours {
        return diverged(format!("the server is on timeline {theirs}, the target's position on {ours}"));
    }
    let rows = connection.query(&format!("TIMELINE_HISTORY {theirs}")).await?;
    let history =
        rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten().unwrap_or_default();
    match switch_point(&history, ours)? {
        Some(switch) if reached <= switch => Ok(()),
        Some(switch) => diverged(format!(
            "timeline {theirs} left timeline {ours} at {switch}, before the target's {reached}: the target holds changes that the new primary never had"
        )),
        None => diverged(format!("timeline {theirs} does not descend from timeline {ours}")),
    }
}

/// Where the history file says that `timeline` was left.
fn switch_point(history: &str, timeline: u32) -> Result<Option<Lsn>> {
    for line in history.lines() {
        let mut words = line.split_whitespace();
        if let (Some(number), Some(at)) = (words.next(), words.next())
            && number.parse() == Ok(timeline)
        {
            return lsn(at).map(Some);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_survives_odd_database_names() {
        let identity =
            Identity { system: "7".into(), timeline: 3, database: "a timeline 9 database b".into() };
        assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
        assert_eq!("mysql 1".parse::<Identity>().unwrap_err().code(), "TW-PG-060");
    }

    #[test]
    fn finds_the_switch_point() {
        let history = "1\t0/3000148\tno recovery target specified\n\n2\t0/5000000\tx\n";
        assert_eq!(switch_point(history, 1).unwrap(), Some("0/3000148".parse().unwrap()));
        assert_eq!(switch_point(history, 3).unwrap(), None);
    }
}
