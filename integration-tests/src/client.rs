//! A client of Postgres for tests, independent of the connector that is tested, with the values as the server prints
//! them.

use std::ops::{Deref, DerefMut};

use futures_util::TryStreamExt;
use tokio::task::JoinSet;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// A connection with the task that drives it. Both end when it is dropped.
pub struct Client {
    client: tokio_postgres::Client,
    _connection: JoinSet<()>,
}

impl Client {
    /// Connects, or says why not.
    ///
    /// # Errors
    /// Those of the server and the network.
    pub async fn open(url: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // What ends the connection is seen by whoever uses the client next.
            connection.await.ok();
        });
        Ok(Self { client, _connection: tasks })
    }

    /// Connects.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn connect(url: &str) -> Self {
        Self::open(url).await.unwrap_or_else(|problem| panic!("connect to {url}: {problem:?}"))
    }

    /// Runs statements that must succeed.
    ///
    /// # Panics
    /// Where one fails.
    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|problem| panic!("{sql}: {problem:?}"));
    }

    /// The rows of a query as text, NULL as `None`.
    ///
    /// # Panics
    /// Where it fails.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let answer =
            self.client.simple_query(sql).await.unwrap_or_else(|problem| panic!("{sql}: {problem:?}"));
        let rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect()
    }

    /// The one value of a query as text; NULL and no row as the empty text.
    ///
    /// # Panics
    /// Where it fails.
    pub async fn value(&self, sql: &str) -> String {
        self.rows(sql).await.into_iter().flatten().flatten().next().unwrap_or_default()
    }

    /// All rows of a table (or of a query in parentheses) in COPY's text form, sorted: two dumps are equal where the
    /// contents are.
    ///
    /// # Panics
    /// Where it cannot be read.
    pub async fn dump(&self, table: &str) -> Vec<String> {
        let stream = self.client.copy_out(&format!("COPY (SELECT * FROM {table}) TO STDOUT")).await;
        let stream = stream.unwrap_or_else(|problem| panic!("dump {table}: {problem:?}"));
        let pieces: Vec<_> =
            stream.try_collect().await.unwrap_or_else(|problem| panic!("dump {table}: {problem:?}"));
        let text = String::from_utf8(pieces.concat()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }
}

impl Deref for Client {
    type Target = tokio_postgres::Client;
    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.client
    }
}
