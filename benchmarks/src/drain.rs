//! A backlog of inserts, drained: to standard output and to DuckDB, against `pg_recvlogical` on the same log.

use std::fs::File;
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
            (ours, measure::run(recvlogical(server, &url, &end)?)?)
        } else {
            let peer = measure::run(recvlogical(server, &url, &end)?)?;
            (measure::run(until_caught_up(&file)?)?, peer)
        };
        cpu.push(peer.cpu_s / ours.cpu_s);
        wall.push(peer.wall_s / ours.wall_s);
        ours_rate.push(per_cpu_s(rows, ours) / 1e3);
        peer_rate.push(per_cpu_s(rows, peer) / 1e3);
        peak = peak.max(ours.peak_mb);
    }
    verify(server, target, workload, rows, rounds, &file).await?;
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

fn recvlogical(server: &Server, url: &str, end: &str) -> Outcome<Command> {
    let mut command = server.program("pg_recvlogical")?;
    command.args(["--dbname", url, "--slot", "recvlogical", "--start", "--endpos", end, "--no-loop"]);
    command.args(["-o", "proto_version=1", "-o", "publication_names=tailwater_bench", "-f", "/dev/null"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// The contents, not only the speed: DuckDB by count and sum, standard output by one more run whose lines are counted.
async fn verify(
    server: &Server,
    target: Target,
    workload: Workload,
    rows: u64,
    rounds: u32,
    file: &Path,
) -> Outcome<()> {
    let table = workload.table();
    match target {
        Target::DuckDb => {
            let wanted = server.value(&format!("SELECT count(*) || ' ' || sum(id) FROM {table}")).await?;
            let mut command = server::tailwater()?;
            command.args(["query".as_ref(), file.as_os_str()]);
            command.args([
                &format!("SELECT count(*) || ' ' || sum(id) AS x FROM public.{table}"),
                "--format",
                "csv",
            ]);
            let output = command.output().map_err(|error| error.to_string())?;
            let held = String::from_utf8_lossy(&output.stdout).into_owned();
            let held = held.lines().last().unwrap_or_default().trim_matches('"').to_owned();
            if held == wanted { Ok(()) } else { Err(format!("DuckDB holds {held:?}, Postgres {wanted:?}")) }
        }
        Target::Stdout => {
            server.load(workload, u64::from(rounds) * rows, 1000, 100).await?;
            let mut command = until_caught_up(file)?;
            let output = command.stdout(Stdio::piped()).output().map_err(|error| error.to_string())?;
            let inserts = output.stdout.split(|&byte| byte == b'\n').filter(|line| is_insert(line)).count();
            if inserts == 1000 {
                Ok(())
            } else {
                Err(format!("{inserts} inserts on standard output, not 1000"))
            }
        }
    }
}

fn is_insert(line: &[u8]) -> bool {
    let line: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    line.is_some_and(|line| line.get("type").and_then(serde_json::Value::as_str) == Some("insert"))
}
