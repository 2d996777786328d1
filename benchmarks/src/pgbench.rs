//! pgbench's own TPC-B script at the rate it reaches here, followed into DuckDB while it runs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::drain::{drop_pipeline, println_row, until_caught_up};
use crate::measure;
use crate::server::{self, Server};

/// Runs pgbench for `seconds` beside a running pipeline, and prints how far behind the pipeline was at the end.
pub(crate) async fn follow(server: &Server, seconds: u32) -> Outcome<()> {
    let (port, folder) = (server.postgres.port().to_string(), server.postgres.folder().to_owned());
    let pgbench = |arguments: &[&str]| -> Outcome<std::process::Command> {
        let mut command = server.program("pgbench")?;
        command.args(["-h".as_ref(), folder.as_os_str(), "-p".as_ref(), port.as_ref()]);
        command.args(["-U", "postgres"]).args(arguments).arg("postgres");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(command)
    };
    let made = pgbench(&["-i", "-s", "10", "-q"])?.status().map_err(|error| error.to_string())?;
    if !made.success() {
        return Err(format!("pgbench -i ended with {made}"));
    }
    // The history has no key: it is only ever appended to, so whole old rows cost nothing.
    server.execute("ALTER TABLE pgbench_history REPLICA IDENTITY FULL").await?;
    let alone = transactions_per_s(&mut pgbench(&["-c", "4", "-T", &(seconds / 2).to_string()])?)?;
    let work = tempfile::tempdir().map_err(|error| error.to_string())?;
    let url = server.postgres.socket_url("postgres", "postgres");
    let sink = "[sink.duckdb]\npath = \"tpcb.duckdb\"";
    let file = server::pipeline(work.path(), "tpcb", &url, "\"public.pgbench_*\"", sink)?;
    measure::run(until_caught_up(&file)?)?;
    let mut daemon = server::tailwater()?;
    let daemon = daemon.arg("run").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = daemon.spawn().map_err(|error| error.to_string())?;
    let beside = transactions_per_s(&mut pgbench(&["-c", "4", "-T", &seconds.to_string()])?);
    let behind = caught_up_after(server, &file).await;
    daemon.kill().and_then(|()| daemon.wait()).map_err(|error| error.to_string())?;
    let (beside, behind) = (beside?, behind?);
    let wanted = server.value("SELECT sum(abalance) FROM pgbench_accounts").await?;
    let held = query(&file, "SELECT sum(abalance)::VARCHAR AS x FROM public.pgbench_accounts")?;
    if held != wanted {
        return Err(format!("DuckDB's balances are {held}, Postgres' {wanted}"));
    }
    measure::run(drop_pipeline(&file)?)?;
    println_row(
        "pgbench TPC-B, 4 clients, followed into DuckDB",
        &[
            ("transactions/s without anybody following", format!("{alone:.0}")),
            ("transactions/s while followed (4 changes each)", format!("{beside:.0}")),
            ("seconds to the last change after pgbench's end", format!("{:.2}", behind.as_secs_f64())),
        ],
    );
    Ok(())
}

fn transactions_per_s(command: &mut std::process::Command) -> Outcome<f64> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure =
        text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    figure.ok_or_else(|| format!("pgbench says no rate: {text}"))
}

/// How long until the target holds the newest row.
async fn caught_up_after(server: &Server, file: &std::path::Path) -> Outcome<Duration> {
    let started = Instant::now();
    let wanted = server.value("SELECT count(*) FROM pgbench_history").await?;
    while query(file, "SELECT count(*) AS x FROM public.pgbench_history")? != wanted {
        if started.elapsed() > Duration::from_secs(120) {
            return Err("two minutes after pgbench the target still is behind".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(started.elapsed())
}

fn query(file: &std::path::Path, sql: &str) -> Outcome<String> {
    let mut command = server::tailwater()?;
    let output = command.arg("query").arg(file).args([sql, "--format", "csv"]).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().last().unwrap_or_default().trim_matches('"').to_owned())
}
