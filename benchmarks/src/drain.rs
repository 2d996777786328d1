//! A backlog of inserts, drained: to standard output and to DuckDB, against `pg_recvlogical` on the same log.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::measure::{self, Cost, spread};
use crate::server::{self, Server, Workload};

/// What a backlog is drained into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// JSON lines into `/dev/null`.
    Stdout,
    /// A DuckDB file.
    DuckDb,
}

/// How a backlog looks and how it is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    /// Of which rows.
    pub(crate) workload: Workload,
    /// How many.
    pub(crate) rows: u64,
    /// In transactions of so many.
    pub(crate) per_transaction: u64,
    /// Over the Unix socket instead of loopback TCP; both sides alike.
    pub(crate) socket: bool,
}

/// Drains `rounds` backlogs with both, in turn, and prints the ratios round by round.
pub(crate) async fn against_recvlogical(
    server: &Server,
    target: Target,
    backlog: Backlog,
    rounds: u32,
) -> Outcome<()> {
    let Backlog { workload, rows, per_transaction, socket } = backlog;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    server.create(workload).await?;
    let table = workload.table();
    let (user, database) = ("postgres", "postgres");
    let url =
        if socket { server.postgres.socket_url(user, database) } else { server.postgres.url(user, database) };
    let sink = match target {
        Target::Stdout => "[sink.stdout]".to_owned(),
        Target::DuckDb => "[sink.duckdb]\npath = \"bench.duckdb\"".to_owned(),
    };
    let file = server::pipeline(folder.path(), "bench", &url, &format!("\"public.{table}\""), &sink)?;
    measure::run(until_caught_up(&file)?)?;
    server.execute("SELECT pg_create_logical_replication_slot('recvlogical', 'pgoutput')").await?;

    let (mut cpu, mut wall, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    let (mut ours_rate, mut peer_rate) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        server.load(workload, u64::from(round) * rows, rows, per_transaction).await?;
        let end = server.value("SELECT pg_current_wal_flush_lsn()").await?;
        let (ours, peer) = if round % 2 == 0 {
            let ours = measure::run(until_caught_up(&file)?)?;
            (ours, measure::run(recvlogical(server, &url, &end, "tailwater_bench")?)?)
        } else {
            let peer = measure::run(recvlogical(server, &url, &end, "tailwater_bench")?)?;
            (measure::run(until_caught_up(&file)?)?, peer)
        };
        cpu.push(peer.cpu_s / ours.cpu_s);
        wall.push(peer.wall_s / ours.wall_s);
        ours_rate.push(per_cpu_s(rows, ours) / 1e3);
        peer_rate.push(per_cpu_s(rows, peer) / 1e3);
        peak = peak.max(ours.peak_mb);
    }
    verify(server, target, backlog, rounds, &file).await?;
    server.execute("SELECT pg_drop_replication_slot('recvlogical')").await?;
    measure::run(drop_pipeline(&file)?)?;
    let over = if socket { "socket" } else { "tcp" };
    println_row(
        &format!("{table} → {target:?}, {per_transaction}/tx, {over}"),
        &[
            ("changes per CPU-second / pg_recvlogical", spread(&cpu)),
            ("wall rate / pg_recvlogical", spread(&wall)),
            ("thousand changes per CPU-second", spread(&ours_rate)),
            ("pg_recvlogical's", spread(&peer_rate)),
            ("peak MB", format!("{peak:.0}")),
        ],
    );
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]
fn per_cpu_s(rows: u64, cost: Cost) -> f64 {
    rows as f64 / cost.cpu_s
}

#[allow(clippy::print_stdout, reason = "the report is what this program is for")]
pub(crate) fn println_row(name: &str, figures: &[(&str, String)]) {
    println!("{name}");
    for (what, figure) in figures {
        println!("  {what:<48} {figure}");
    }
}

pub(crate) fn until_caught_up(file: &Path) -> Outcome<Command> {
    let mut command = server::tailwater()?;
    command.arg("run").arg(file).arg("--until-caught-up").stdout(Stdio::null()).stderr(log(file)?);
    Ok(command)
}

fn log(file: &Path) -> Outcome<Stdio> {
    File::create(file.with_extension("log")).map(Stdio::from).map_err(|error| error.to_string())
}

pub(crate) fn drop_pipeline(file: &Path) -> Outcome<Command> {
    let mut command = server::tailwater()?;
    command.arg("drop").arg(file).arg("--yes").stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// `pg_recvlogical` from its slot to `end`, through a publication.
pub(crate) fn recvlogical(server: &Server, url: &str, end: &str, publication: &str) -> Outcome<Command> {
    let mut command = server.program("pg_recvlogical")?;
    command.args(["--dbname", url, "--slot", "recvlogical", "--start", "--endpos", end, "--no-loop"]);
    let names = format!("publication_names={publication}");
    command.args(["-o", "proto_version=1", "-o", &names, "-f", "/dev/null"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// The contents, not only the speed: DuckDB by count and sum, standard output by one more load of the same kind, each
/// of whose lines is read.
async fn verify(server: &Server, target: Target, backlog: Backlog, rounds: u32, file: &Path) -> Outcome<()> {
    let Backlog { workload, rows, per_transaction, .. } = backlog;
    let table = workload.table();
    match target {
        Target::DuckDb => holds_all(server, file, table).await,
        Target::Stdout => {
            let first = u64::from(rounds) * rows;
            server.load(workload, first, rows, per_transaction).await?;
            let told = told(file)?;
            let wanted = server
                .value(&format!("SELECT count(*) || ' ' || sum(id) FROM {table} WHERE id >= {first}"))
                .await?;
            if told == wanted {
                Ok(())
            } else {
                Err(format!("standard output told {told:?}, Postgres holds {wanted:?}"))
            }
        }
    }
}

/// How many inserted rows standard output tells of until the pipeline has caught up, and the sum of their keys.
pub(crate) fn told(file: &Path) -> Outcome<String> {
    let mut child =
        until_caught_up(file)?.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let lines = child.stdout.take().ok_or("no standard output")?;
    let (mut count, mut sum) = (0, 0);
    for line in BufReader::new(lines).split(b'\n') {
        if let Some(id) = inserted(&line.map_err(|error| error.to_string())?)? {
            (count, sum) = (count + 1, sum + u128::from(id));
        }
    }
    child.wait().map_err(|error| error.to_string())?;
    Ok(format!("{count} {sum}"))
}

/// Whether DuckDB holds as many rows as Postgres, with the same sum of their keys.
pub(crate) async fn holds_all(server: &Server, file: &Path, table: &str) -> Outcome<()> {
    let wanted = server.value(&format!("SELECT count(*) || ' ' || sum(id) FROM {table}")).await?;
    holds(file, &format!("public.{table}"), &wanted)
}

/// Whether a table in DuckDB has that many rows, with that sum of their keys.
pub(crate) fn holds(file: &Path, table: &str, wanted: &str) -> Outcome<()> {
    let mut command = server::tailwater()?;
    command.args(["query".as_ref(), file.as_os_str()]);
    command.args([&format!("SELECT count(*) || ' ' || sum(id) AS x FROM {table}"), "--format", "csv"]);
    let output = command.output().map_err(|error| error.to_string())?;
    let held = String::from_utf8_lossy(&output.stdout).into_owned();
    let held = held.lines().last().unwrap_or_default().trim_matches('"').to_owned();
    if held == wanted { Ok(()) } else { Err(format!("DuckDB holds {held:?}, the server {wanted:?}")) }
}

/// The key of the row that a line tells was inserted, if it tells of one.
fn inserted(line: &[u8]) -> Outcome<Option<u64>> {
    let line: serde_json::Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if line.get("type").and_then(serde_json::Value::as_str) != Some("insert") {
        return Ok(None);
    }
    let id = line.get("data").and_then(|row| row.get("id")).and_then(serde_json::Value::as_u64);
    id.map(Some).ok_or_else(|| format!("an insert without id: {line}"))
}
