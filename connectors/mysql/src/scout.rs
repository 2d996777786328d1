//! Looks ahead in the log, from a place to its end, for statements that make another table of one. So it is known whether
//! what the catalogue says now was true at that place already. `stream` asks where the log does not name columns.

use tailwater_core::Result;
use tailwater_core::error::Doing as _;
use tracing::debug;

use crate::assemble;
use crate::binlog::event::{Event, Header, Query};
use crate::config::Config;
use crate::connection::Connection;
use crate::ddl::{Name, Statement};
use crate::dump::{Dump, Log, Start};
use crate::place::{Spot, file_number};
use crate::unpack::Decoder;

/// See the module's description. Nothing is read twice: it remembers the statements about tables.
#[derive(Debug, Default)]
pub(crate) struct Scout {
    /// Read from here, of what is read without a gap.
    from: Option<Spot>,
    /// Up to here.
    to: Option<Spot>,
    /// Statements about tables, and where they end.
    statements: Vec<(Spot, Statement)>,
}

/// Of the events that matter here; whatever else a log has is passed over unread.
const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const FORMAT_DESCRIPTION: u8 = 15;
const COMPRESSED_QUERY: u8 = 165;

impl Scout {
    /// Whether nothing from `from` to the log's present end makes another table of `name`. To be asked after the catalogue.
    ///
    /// # Errors
    /// Those of the server.
    pub(crate) async fn is_settled(
        &mut self,
        config: &Config,
        from: &Spot,
        name: &Name,
        lower_case: bool,
    ) -> Result<bool> {
        // A dump cannot begin there.
        if u32::try_from(from.1).is_err() {
            return Ok(false);
        }
        let known = self.from.as_ref().is_some_and(|known| !is_before(from, known));
        let goes_on =
            self.to.clone().filter(|to| known && !is_before(to, from) && u32::try_from(to.1).is_ok());
        if goes_on.is_none() {
            *self = Self { from: Some(from.clone()), ..Self::default() };
        }
        let begin = goes_on.unwrap_or_else(|| from.clone());
        self.look(config, begin, lower_case).await.doing(|| "look ahead in the log")?;
        let later = self.statements.iter().filter(|(ends, _)| is_before(from, ends));
        Ok(!later.into_iter().any(|(_, statement)| statement.reshapes(name)))
    }

    async fn look(&mut self, config: &Config, begin: Spot, lower_case: bool) -> Result<()> {
        let connection = Connection::open(&config.url).await.doing(|| "open a session for the log")?;
        let dump = Dump {
            server_id: config.server_id,
            uuid: config.uuid.clone(),
            start: Start::File { name: begin.0.clone(), position: begin.1 },
            heartbeat: config.heartbeat,
            to_end: true,
        };
        let mut log = connection.dump(&dump).await?;
        let mut at = begin;
        let read = self.read(&mut log, &mut at, lower_case).await;
        debug!(file = at.0, offset = at.1, "looked ahead");
        self.to = Some(at);
        read
    }

    async fn read(&mut self, log: &mut Log, at: &mut Spot, lower_case: bool) -> Result<()> {
        let mut decoder = Decoder::default();
        while let Some(event) = log.next_or_end().await? {
            let header = Header::parse(event)?;
            at.1 = header.ends(at.1).unwrap_or(at.1);
            if !matches!(header.kind, QUERY | ROTATE | FORMAT_DESCRIPTION | COMPRESSED_QUERY) {
                continue;
            }
            let event = decoder.checked(event)?;
            match decoder.decode(event)?.1 {
                Event::Rotate { file, position } => {
                    *at = (String::from_utf8_lossy(file).into_owned(), position);
                }
                Event::Query(query) => self.hear(&query, at, lower_case)?,
                // The decoder has taken it in.
                Event::Format(_) => {}
                // Not of the kinds above.
                Event::Rows(_)
                | Event::TableMap(_)
                | Event::Gtid(_)
                | Event::MariaGtid(_)
                | Event::Xid(_) => {}
                Event::XaPrepare { .. }
                | Event::Incident { .. }
                | Event::StatementPart
                | Event::Payload(_) => {}
                Event::CompressedQuery(_) | Event::Bookkeeping | Event::Heartbeat { .. } => {}
                Event::RowsQuery(_) | Event::Ignorable => {}
            }
        }
        Ok(())
    }

    fn hear(&mut self, query: &Query<'_>, at: &Spot, lower_case: bool) -> Result<()> {
        let statement = assemble::statement(query, lower_case)?;
        match &statement {
            Statement::Drop(_) | Statement::DropSchema(_) | Statement::Rename(_) => {}
            Statement::Alter(_) | Statement::Create(_) => {}
            Statement::Begin | Statement::Commit | Statement::Rollback | Statement::RollbackTo => {
                return Ok(());
            }
            Statement::XaStart | Statement::XaCommit(_) | Statement::XaRollback(_) => return Ok(()),
            Statement::Truncate(_) | Statement::Rows(_) | Statement::Other => return Ok(()),
        }
        self.statements.push((at.clone(), statement));
        Ok(())
    }
}

fn is_before(one: &Spot, other: &Spot) -> bool {
    (file_number(&one.0), one.1) < (file_number(&other.0), other.1)
}
