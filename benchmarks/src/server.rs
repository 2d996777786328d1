//! The server under test and the loads put on it. Settings as in `docs/PERFORMANCE.md`: flushing off, autovacuum off.

use std::path::{Path, PathBuf};
use std::process::Command;

use tailwater::throwaway::{Postgres, Wanted};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::Outcome;

/// A table of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// 5 columns, about 90 bytes on the wire.
    Narrow,
    /// 12 columns with numeric, jsonb and timestamps.
    Orders,
}

impl Workload {
    /// Its table.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Orders => "orders",
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Narrow => "id bigint primary key, a int, b int, note text, at timestamptz",
            Self::Orders => {
                "id bigint primary key, customer_id bigint, status text, total numeric(12,2), tax numeric(12,2), \
                 currency text, placed_at timestamptz, shipped_at timestamptz, address text, details jsonb, \
                 priority smallint, gift boolean"
            }
        }
    }

    /// One row from the generator's number `i`; payloads differ, so that nothing compresses them away.
    fn row(self) -> &'static str {
        match self {
            Self::Narrow => "i, (i % 100000)::int, (i * 7 % 1000)::int, substr(md5(i::text), 1, 20), now()",
            Self::Orders => {
                "i, i % 50000, (array['new','paid','shipped','done'])[1 + i % 4], (i % 100000) / 100.0, \
                 (i % 9000) / 100.0, 'EUR', now(), now() + interval '1 day', md5(i::text) || ' street ' || i, \
                 jsonb_build_object('sku', md5((i+1)::text), 'quantity', i % 9, 'tags', jsonb_build_array('a', i)), \
                 (i % 5)::smallint, i % 2 = 0"
            }
        }
    }
}

/// A server, and a session on it.
pub(crate) struct Server {
    /// The process.
    pub(crate) postgres: Postgres,
    /// A superuser's session.
    pub(crate) client: Client,
    _connection: JoinSet<()>,
}

impl Server {
    /// Starts one with the benchmark's settings.
    pub(crate) async fn start() -> Outcome<Self> {
        let settings = [
            ("shared_buffers", "1GB"),
            ("autovacuum", "off"),
            ("full_page_writes", "off"),
            ("max_wal_size", "8GB"),
            ("synchronous_commit", "on"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let wanted = Wanted { settings, ..Wanted::default() };
        let postgres = Postgres::start(wanted, |_| {}).await.map_err(|error| error.to_string())?;
        let url = postgres.url("postgres", "postgres");
        let (client, connection) =
            tokio_postgres::connect(&url, NoTls).await.map_err(|error| error.to_string())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // The session's end is seen by whoever uses the client.
            drop(connection.await);
        });
        Ok(Self { postgres, client, _connection: tasks })
    }

    /// Runs statements that answer nothing.
    pub(crate) async fn execute(&self, sql: &str) -> Outcome<()> {
        self.client.batch_execute(sql).await.map_err(|error| format!("{sql}: {error:?}"))
    }

    /// One value, as text.
    pub(crate) async fn value(&self, sql: &str) -> Outcome<String> {
        let rows = self.client.simple_query(sql).await.map_err(|error| format!("{sql}: {error:?}"))?;
        let text = rows.iter().find_map(|message| {
            let tokio_postgres::SimpleQueryMessage::Row(row) = message else { return None };
            row.get(0).map(str::to_owned)
        });
        text.ok_or_else(|| format!("{sql}: no row"))
    }

    /// Makes the table, empty.
    pub(crate) async fn create(&self, workload: Workload) -> Outcome<()> {
        let (table, columns) = (workload.table(), workload.columns());
        self.execute(&format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})")).await
    }

    /// Inserts `rows` rows, `per_transaction` at a time, with ids from `first`.
    pub(crate) async fn load(
        &self,
        workload: Workload,
        first: u64,
        rows: u64,
        per_transaction: u64,
    ) -> Outcome<()> {
        let (table, row) = (workload.table(), workload.row());
        let last = first + rows;
        self.execute(&format!(
            "DO $$ DECLARE f bigint := {first}; BEGIN WHILE f < {last} LOOP \
             INSERT INTO {table} SELECT {row} FROM generate_series(f, least(f + {per_transaction}, {last}) - 1) i; \
             COMMIT; f := f + {per_transaction}; END LOOP; END $$"
        ))
        .await?;
        self.execute("CHECKPOINT").await
    }

    /// A client program of Postgres (`pg_recvlogical`, `pgbench`).
    pub(crate) fn program(&self, name: &str) -> Outcome<Command> {
        let beside = self.postgres.bin().join(name);
        let found = if beside.exists() { Some(beside) } else { on_path(name) };
        found.map(Command::new).ok_or_else(|| {
            format!("{name} is not on this machine; to mend it: apt-get install postgresql-client postgresql-contrib")
        })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists())
}

/// Writes a pipeline file and returns its path.
pub(crate) fn pipeline(folder: &Path, name: &str, url: &str, tables: &str, sink: &str) -> Outcome<PathBuf> {
    let file = folder.join(format!("{name}.toml"));
    let text = format!("[source.postgres]\nurl = \"{url}\"\ntables = [{tables}]\n\n{sink}\n");
    tailwater_core::checkpoint::replace_file(&file, text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(file)
}

/// The binary under test, built beside this one.
pub(crate) fn tailwater() -> Outcome<Command> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let binary = here.with_file_name("tailwater");
    if binary.exists() { Ok(Command::new(binary)) } else { Err(format!("{} is not built", binary.display())) }
}
