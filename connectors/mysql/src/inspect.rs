//! What a person may ask about a source without running a pipeline, each over a short session of its own: which tables
//! there are now, and how far a position is behind. Changes nothing. The daemon's commands call it.

use std::sync::Arc;
use std::time::Duration;

use tailwater_core::error::Doing as _;
use tailwater_core::status::Behind;
use tailwater_core::{Error, Position, Result, Table};

use crate::config::Config;
use crate::connection::Connection;
use crate::continuity;
use crate::copy;
use crate::error;
use crate::place::{Place, file_number};
use crate::server::Server;

/// A person waits for the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Asks the server how far it is beyond `position`. A server counts GTIDs in no bytes: there the bytes are those of the
/// whole log while it has transactions that the target lacks, and 0 otherwise.
///
/// # Errors
/// Where it does not answer in time, or `position` is of another server.
pub async fn behind(config: &Config, position: &Position) -> Result<Behind> {
    within(measure(config, position)).await
}

/// The tables that the patterns match, with all of their columns.
///
/// # Errors
/// Where the server does not answer in time.
pub async fn tables(config: &Config) -> Result<Vec<Arc<Table>>> {
    within(list(config)).await
}

async fn within<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, question).await;
    answer.unwrap_or_else(|_elapsed| {
        let what = format!("the server does not answer within {ANSWER_WITHIN:?}");
        Err(Error::transient(error::UNREACHABLE, what))
    })
}

async fn measure(config: &Config, position: &Position) -> Result<Behind> {
    let mut connection = Connection::open(&config.url).await.doing(|| "connect")?;
    let server = Server::read(&mut connection).await?;
    continuity::prove_same(&server, position)?;
    let files = server.log_files(&mut connection).await?;
    connection.finish().await?;
    let all: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    if position.stream.is_empty() {
        return Ok(Behind { bytes: all, seconds: None });
    }
    let place = Place::parse(&position.stream, server.version.is_mariadb())?;
    let bytes = match &place {
        _ if place.includes(&continuity::head(&server, &place)?) => 0,
        Place::File { file, offset } => {
            let here = file_number(file);
            let left = files.iter().filter(|(name, _)| file_number(name) >= here).map(|(_, bytes)| bytes);
            left.sum::<u64>().saturating_sub(*offset)
        }
        Place::Gtids(_) | Place::Maria(_) => all,
    };
    Ok(Behind { bytes, seconds: None })
}

async fn list(config: &Config) -> Result<Vec<Arc<Table>>> {
    let mut connection = Connection::open(&config.url).await.doing(|| "connect")?;
    let tables = copy::shapes(&mut connection, &config.tables).await?;
    connection.finish().await?;
    Ok(tables)
}
