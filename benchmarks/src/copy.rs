//! The first copy into DuckDB, against the two commands a person would use: `COPY … TO` a CSV file, `COPY … FROM` it.

use std::time::Instant;

use tailwater_duckdb::database::Database;

use crate::Outcome;
use crate::drain::{drop_pipeline, holds_all, println_row, until_caught_up};
use crate::measure::{self, spread};
use crate::server::{self, Server, Workload};

/// Copies `rows` orders with both, in turn.
pub(crate) async fn against_csv(server: &Server, rows: u64, rounds: u32) -> Outcome<()> {
    server.create(Workload::Orders).await?;
    server.load(Workload::Orders, 0, rows, 100_000).await?;
    server.execute("ANALYZE orders").await?;
    let (mut ratio, mut ours_s, mut theirs_s, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
    for round in 0..rounds {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let url = server.postgres.socket_url("postgres", "postgres");
        let sink = "[sink.duckdb]\npath = \"copy.duckdb\"";
        let file = server::pipeline(folder.path(), "copy", &url, "\"public.orders\"", sink)?;
        let (ours, theirs) = if round % 2 == 0 {
            let ours = measure::run(until_caught_up(&file)?)?;
            (ours, csv(server, folder.path()).await?)
        } else {
            let theirs = csv(server, folder.path()).await?;
            (measure::run(until_caught_up(&file)?)?, theirs)
        };
        holds_all(server, &file, "orders").await?;
        measure::run(drop_pipeline(&file)?)?;
        ratio.push(theirs / ours.wall_s);
        ours_s.push(ours.wall_s);
        theirs_s.push(theirs);
        peak = peak.max(ours.peak_mb);
    }
    println_row(
        &format!("first copy of {rows} orders into DuckDB"),
        &[
            ("speed / CSV out and in (whole process against two statements)", spread(&ratio)),
            ("seconds", spread(&ours_s)),
            ("CSV's", spread(&theirs_s)),
            ("peak MB", format!("{peak:.0}")),
        ],
    );
    Ok(())
}

/// Seconds for the two statements, with DuckDB's own defaults.
async fn csv(server: &Server, folder: &std::path::Path) -> Outcome<f64> {
    let csv = server.postgres.folder().join("orders.csv");
    let database = Database::open(&folder.join("csv.duckdb"), &[("enable_external_access", "true")])
        .map_err(|error| error.to_string())?;
    let connection = database.connect().map_err(|error| error.to_string())?;
    let create = "CREATE TABLE orders (id BIGINT, customer_id BIGINT, status VARCHAR, total DECIMAL(12,2), \
                  tax DECIMAL(12,2), currency VARCHAR, placed_at TIMESTAMPTZ, shipped_at TIMESTAMPTZ, address VARCHAR, \
                  details JSON, priority SMALLINT, gift BOOLEAN)";
    connection.execute(create).map_err(|error| error.to_string())?;
    let started = Instant::now();
    server.execute(&format!("COPY orders TO '{}' (FORMAT csv)", csv.display())).await?;
    let load = format!("COPY orders FROM '{}' (FORMAT csv)", csv.display());
    connection.execute(&load).map_err(|error| error.to_string())?;
    let seconds = started.elapsed().as_secs_f64();
    server.execute(&format!("COPY (SELECT 1) TO '{}'", csv.display())).await?;
    Ok(seconds)
}
