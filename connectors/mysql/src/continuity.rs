//! Who the server is, and the proof that its log goes on from where the target stands; or what is missing, and what
//! heals it. `source` asks when it opens.

use tailwater_core::{Error, Position, Result};

use crate::check;
use crate::error;
use crate::gtid::{GtidSet, MariaGtids};
use crate::place::{Place, file_number};
use crate::server::Server;

/// What [`Position::source`] says of a server.
pub(crate) fn identity(server: &Server) -> String {
    match server.uuid() {
        Some(uuid) if !server.version.is_mariadb() => format!("{MYSQL} {uuid}"),
        Some(_) | None => format!("{} {}", flavour(server), server.server_id()),
    }
}

const MYSQL: &str = "mysql";
const MARIADB: &str = "mariadb";

fn flavour(server: &Server) -> &'static str {
    if server.version.is_mariadb() { MARIADB } else { MYSQL }
}

/// The end of the log, in the notation of positions.
///
/// # Errors
/// `Data` where the server's own GTIDs cannot be read.
pub(crate) fn head(server: &Server, like: &Place) -> Result<Place> {
    Ok(match like {
        Place::Gtids(_) => Place::Gtids(GtidSet::parse(server.gtid_executed())?),
        Place::Maria(_) => Place::parse(server.gtid_binlog_pos(), true)?,
        Place::File { .. } => match &server.head {
            Some(head) => Place::File { file: head.file.clone(), offset: head.position },
            None => return Err(no_head()),
        },
    })
}

/// That we may not know where the log ends.
pub(crate) fn no_head() -> Error {
    Error::operator(error::NO_RIGHT, "the account may not see where the binary log ends")
        .remedy("GRANT REPLICATION CLIENT ON *.* (MariaDB: BINLOG MONITOR) to the account")
}

/// That the server writes a log that can be read.
///
/// # Errors
/// `Operator` with the first thing that stands in the way.
pub(crate) fn prove_readable(server: &Server) -> Result<()> {
    check::unreadable(server).map_or(Ok(()), Err)
}

/// That the target follows a server of this kind.
///
/// # Errors
/// `Operator` where it follows another one.
pub(crate) fn prove_same(server: &Server, position: &Position) -> Result<()> {
    if position.source.split(' ').next() == Some(flavour(server)) {
        return Ok(());
    }
    let what = format!("the target follows `{}`, and the url leads to {}", position.source, identity(server));
    Err(Error::operator(error::OTHER_SOURCE, what)
        .remedy("correct the url, or name another target for this server"))
}

/// That `server` is the one of the position, or one that has everything it had; and that nothing after it is gone.
/// `files` are the server's log files with their bytes.
///
/// # Errors
/// `Operator`: what is missing, and what heals it.
pub(crate) fn prove(server: &Server, files: &[(String, u64)], position: &Position) -> Result<Place> {
    prove_same(server, position)?;
    let place = Place::parse(&position.stream, server.version.is_mariadb())?;
    match &place {
        Place::Gtids(read) => prove_gtids(server, read)?,
        Place::Maria(read) => prove_maria(server, read)?,
        Place::File { file, offset } => prove_file(server, files, position, (file, *offset))?,
    }
    Ok(place)
}

fn prove_gtids(server: &Server, read: &GtidSet) -> Result<()> {
    if !server.has_gtids() {
        return Err(Error::operator(
            error::NO_GTIDS_NOW,
            "the position is made of GTIDs, and gtid_mode is not ON here",
        )
        .remedy("SET GLOBAL gtid_mode = ON (by OFF_PERMISSIVE and ON_PERMISSIVE), or copy afresh"));
    }
    let executed = GtidSet::parse(server.gtid_executed())?;
    let unknown = read.subtract(&executed);
    if !unknown.is_empty() {
        return Err(not_had(&unknown.to_string()));
    }
    let gone = GtidSet::parse(server.gtid_purged())?.subtract(read);
    if !gone.is_empty() {
        let what = format!("the server has purged transactions that the target does not have: {gone}");
        return Err(Error::operator(error::PURGED, what)
            .remedy("copy afresh, and keep the log longer: SET GLOBAL binlog_expire_logs_seconds = 604800"));
    }
    Ok(())
}

/// The server itself refuses a list that it does not have any more, when it is asked for its log; but one that is
/// ahead of it may become right later, and wrong.
fn prove_maria(server: &Server, read: &MariaGtids) -> Result<()> {
    let written = server.gtid_binlog_state();
    let had: Vec<_> =
        written.split(',').chain(server.gtid_current_pos().split(',')).filter_map(parts).collect();
    let is_unknown = |domain: u32, number: u32, sequence: u64| {
        let of_it = had.iter().filter(|had| (had.0, had.1) == (domain, number)).map(|had| had.2);
        match of_it.max() {
            Some(last) => last < sequence,
            // Without the domain it may have been taken out of the log on purpose.
            None => written.is_empty() || had.iter().any(|had| had.0 == domain),
        }
    };
    let unknown: Vec<String> = read
        .iter()
        .filter(|(domain, number, sequence)| is_unknown(*domain, *number, *sequence))
        .map(|(domain, number, sequence)| format!("{domain}-{number}-{sequence}"))
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(not_had(&unknown.join(","))) }
}

/// `0-1-5`
fn parts(gtid: &str) -> Option<(u32, u32, u64)> {
    let mut parts = gtid.trim().split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn not_had(unknown: &str) -> Error {
    let what = format!(
        "the target has transactions that this server does not have: {unknown}. It lags behind, was set back or reset, \
         or they were lost in a failover"
    );
    Error::operator(error::NOT_IN_LOG, what)
        .remedy("the server that has them, or wait until this one has caught up; else copy afresh")
}

/// A place in a file means nothing on another server, and file names come again after a `RESET`.
fn prove_file(
    server: &Server,
    files: &[(String, u64)],
    position: &Position,
    (file, offset): (&str, u64),
) -> Result<()> {
    let now = identity(server);
    if position.source != now {
        let what =
            format!("the target follows `{}` by log files, and the url leads to {now}", position.source);
        return Err(Error::operator(error::OTHER_SOURCE, what)
            .remedy("the server that the target follows; gtid_mode=ON before the first copy lets a pipeline change servers"));
    }
    match files.iter().find(|(name, _)| name == file) {
        Some((_, bytes)) if *bytes >= offset => Ok(()),
        Some((_, bytes)) => {
            let what = format!(
                "{file} has {bytes} bytes, and the target stands at {offset}: the log was reset, or its end was lost"
            );
            Err(Error::operator(error::NOT_IN_LOG, what).remedy("copy afresh"))
        }
        None => {
            let oldest = files.first().map_or("none", |(name, _)| name.as_str());
            let purged = files.first().is_some_and(|(name, _)| file_number(name) > file_number(file));
            let what = format!("{file} is not among the server's log files any more; the oldest is {oldest}");
            let code = if purged { error::PURGED } else { error::NOT_IN_LOG };
            Err(Error::operator(code, what).remedy(
                "copy afresh, and keep the log longer: SET GLOBAL binlog_expire_logs_seconds = 604800",
            ))
        }
    }
}
