//! A session of the demo's own at the source: SQL goes out, counts, texts and hashes come back. The only place that
//! knows one database's protocol from the other's; what is asked is in `shop`.

use tailwater_core::digest::Digest;
use tailwater_core::{Error, Result};
use tailwater_mysql::Connection;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::Source;

/// Rows fetched at a time from Postgres, so that no table need fit into memory.
const FETCH: &str = "FETCH 20000 FROM all_rows";
/// The settings under which text is the same wherever it is printed; the pipeline uses the same. Sessions with MySQL
/// begin with theirs.
const PLAIN_TEXT: &str = "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
    SET extra_float_digits = 1; SET bytea_output = 'hex'";

/// A connection that may do everything.
pub(super) enum Session {
    Postgres(Client),
    Mysql(Box<Connection>),
}

impl Session {
    /// # Errors
    /// `Operator` where the server does not take it.
    pub(super) async fn open(source: Source, url: &str) -> Result<Self> {
        match source {
            Source::Postgres => {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(refused)?;
                #[allow(
                    clippy::disallowed_methods,
                    reason = "it ends with the client, which owns the other half of it"
                )]
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!("a connection of the demo ended: {error}");
                    }
                });
                client.batch_execute(PLAIN_TEXT).await.map_err(refused)?;
                Ok(Self::Postgres(client))
            }
            Source::Mysql | Source::Mariadb => {
                let connection = Connection::open(&url.parse()?).await.map_err(refused_by_mysql)?;
                Ok(Self::Mysql(Box::new(connection)))
            }
        }
    }

    /// Runs statements, each for itself.
    ///
    /// # Errors
    /// `Operator` where the server refuses one.
    pub(super) async fn run(&mut self, statements: &[&str]) -> Result<()> {
        for sql in statements {
            match self {
                Self::Postgres(client) => client.batch_execute(sql).await.map_err(refused)?,
                Self::Mysql(connection) => connection.execute(sql).await.map_err(refused_by_mysql)?,
            }
        }
        Ok(())
    }

    /// Runs one transaction of these statements, and returns the number of rows that it changed.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(super) async fn change(&mut self, statements: &[String]) -> Result<u64> {
        match self {
            Self::Postgres(client) => {
                // Sent together they are one.
                let answer = client.simple_query(&statements.join(";")).await.map_err(refused)?;
                let changed = answer.iter().map(|message| {
                    let SimpleQueryMessage::CommandComplete(rows) = message else { return 0 };
                    *rows
                });
                Ok(changed.sum())
            }
            Self::Mysql(connection) => {
                let mut changed = 0;
                connection.execute("BEGIN").await.map_err(refused_by_mysql)?;
                for sql in statements {
                    let rows = connection.rows(sql).await.map_err(refused_by_mysql)?;
                    changed += rows.changed();
                }
                connection.execute("COMMIT").await.map_err(refused_by_mysql)?;
                Ok(changed)
            }
        }
    }

    /// The one value of a query of one row and one column.
    ///
    /// # Errors
    /// `Operator` where it is not that, or the server refuses.
    pub(super) async fn value(&mut self, sql: &str) -> Result<String> {
        let value = match self {
            Self::Postgres(client) => {
                let answer = client.simple_query(sql).await.map_err(refused)?;
                answer.iter().find_map(|message| {
                    let SimpleQueryMessage::Row(row) = message else { return None };
                    row.get(0).map(str::to_owned)
                })
            }
            Self::Mysql(connection) => {
                let rows = connection.query(sql).await.map_err(refused_by_mysql)?;
                rows.into_iter().flatten().flatten().next()
            }
        };
        value.ok_or_else(|| trouble(&format!("no answer to {sql}")))
    }

    /// Hashes the rows of a query, with every value as the server prints it.
    ///
    /// # Errors
    /// `Operator` where the server refuses.
    pub(super) async fn digest(&mut self, sql: &str) -> Result<Digest> {
        let mut digest = Digest::default();
        match self {
            Self::Postgres(client) => {
                let open = format!("BEGIN; DECLARE all_rows CURSOR FOR {sql}");
                client.batch_execute(&open).await.map_err(refused)?;
                let mut before = None;
                while before != Some(digest.rows) {
                    before = Some(digest.rows);
                    // Over the simple protocol, in which the server prints every value by itself; a cast to text would
                    // print some types in another way.
                    for message in client.simple_query(FETCH).await.map_err(refused)? {
                        if let SimpleQueryMessage::Row(row) = message {
                            digest.add_row((0..row.len()).map(|column| row.get(column).map(str::as_bytes)));
                        }
                    }
                }
                client.batch_execute("COMMIT").await.map_err(refused)?;
            }
            Self::Mysql(connection) => {
                let mut rows = connection.rows(sql).await.map_err(refused_by_mysql)?;
                while let Some(row) = rows.next().await.map_err(refused_by_mysql)? {
                    let fields: Result<Vec<Option<&[u8]>>> = row.fields().collect();
                    digest.add_row(fields?.into_iter());
                }
            }
        }
        Ok(digest)
    }
}

fn refused(error: tokio_postgres::Error) -> Error {
    trouble(&error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()))
}

fn refused_by_mysql(error: Error) -> Error {
    trouble(&error.message())
}

fn trouble(why: &str) -> Error {
    Error::operator("TW-DEMO-010", format!("the throw-away server refuses: {why}"))
}
