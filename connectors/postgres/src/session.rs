//! The stream's second connection, which asks the catalogue: one question at a time, kept here while the futures of
//! `read` come and go.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tailwater_core::{Error, Result, Table};
use tracing::debug;

use crate::catalog::TableRow;
use crate::config::Config;
use crate::connection::Connection;
use crate::drift::{self, Drift};
use crate::error;
use crate::shapes;

/// The catalogue answers in milliseconds, or waits for somebody who alters a table for a good while.
const ANSWER_BOUND: Duration = Duration::from_secs(30);

/// What may be asked.
pub(crate) enum Question {
    /// The catalogue's rows of one relation, with these types beside its own.
    Shape(u32, BTreeSet<(u32, i32)>),
    /// What has changed of these tables without a row having told of it; of all of them where none is known yet.
    Drift(Arc<Config>, Option<Vec<Arc<Table>>>),
}

/// What comes back.
pub(crate) enum Answer {
    /// To [`Question::Shape`].
    Shape(TableRow),
    /// To [`Question::Drift`]; none while somebody alters a table.
    Drift(Option<Drift>),
}

type Asked = Pin<Box<dyn Future<Output = Result<(Connection, Answer)>> + Send>>;

enum State {
    Idle(Connection),
    Asked(Asked),
    /// A question failed; the attempt is about to end.
    Lost,
}

/// See the module's description.
pub(crate) struct Session(State);

impl Session {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(State::Idle(connection))
    }

    /// Whether a question may be asked.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.0, State::Idle(_))
    }

    /// Asks, where nothing is asked already.
    pub(crate) fn ask(&mut self, question: Question) {
        if let State::Idle(_) = &self.0
            && let State::Idle(connection) = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Asked(Box::pin(in_time(connection, question)));
        }
    }

    /// Waits for the answer; for ever where nothing was asked. Cancel-safe.
    ///
    /// # Errors
    /// Those of the connection, which is then lost.
    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        let asked = match &mut self.0 {
            State::Asked(asked) => asked,
            State::Idle(_) => std::future::pending().await,
            State::Lost => return Err(Error::transient("TW-PG-046", "the catalogue session is gone")),
        };
        let outcome = asked.as_mut().await;
        self.0 = State::Lost;
        let (connection, answer) = outcome?;
        self.0 = State::Idle(connection);
        Ok(answer)
    }
}

/// Bounded, because a network that stalls without closing would otherwise go unnoticed.
async fn in_time(connection: Connection, question: Question) -> Result<(Connection, Answer)> {
    match tokio::time::timeout(ANSWER_BOUND, put(connection, question)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            let what = format!(
                "the server does not answer a question to its catalogue in {} s",
                ANSWER_BOUND.as_secs()
            );
            Err(Error::transient(error::UNREACHABLE, what))
        }
    }
}

async fn put(mut connection: Connection, question: Question) -> Result<(Connection, Answer)> {
    let answer = match question {
        Question::Shape(oid, types) => Answer::Shape(shapes::fetch(&mut connection, oid, &types).await?),
        Question::Drift(config, known) => {
            Answer::Drift(look(&mut connection, &config, known.as_deref()).await?)
        }
    };
    Ok((connection, answer))
}

/// Reads what has changed, without waiting for somebody who alters a table, perhaps for hours: the catalogue of servers
/// from 16 on locks every published table for a moment.
async fn look(
    connection: &mut Connection,
    config: &Config,
    known: Option<&[Arc<Table>]>,
) -> Result<Option<Drift>> {
    connection.query("SET lock_timeout = 1000").await?;
    let looked = match known {
        Some(known) => drift::read(connection, config, known).await,
        None => drift::since_unknown(connection, config).await,
    };
    match looked {
        Ok(drift) => {
            connection.query("RESET lock_timeout").await?;
            Ok(Some(drift))
        }
        Err(failure) if failure.code() == error::IN_USE => {
            debug!("the published tables are looked at later: {failure}");
            connection.query("ROLLBACK; RESET lock_timeout").await?;
            Ok(None)
        }
        Err(failure) => Err(failure.doing("look for changed tables")),
    }
}
