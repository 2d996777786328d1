//! `make bench`: what Tailwater costs, as ratios within one interleaved run, with the contents verified.
//!
//! Not a test: nothing here fails because a figure is low, only because a result is wrong.

mod copy;
mod debezium;
mod drain;
mod kafka;
mod kafka_latency;
mod latency;
mod measure;
mod mysql;
mod mysql_sinks;
mod pgbench;
mod server;

use clap::Parser;

use drain::{Backlog, Target};
use server::{Server, Workload};
use tailwater_integration_tests::kafka::Broker;

/// The result of a step; the text says what could not be done.
pub(crate) type Outcome<T> = Result<T, String>;

/// Measures Tailwater against the peers on this machine.
#[derive(Parser)]
struct Arguments {
    /// Only these parts: drain, transaction, copy, duckdb, pgbench, latency, kafka, kafka-copy, kafka-memory,
    /// kafka-latency, mysql, mysql-copy, mysql-duckdb, mysql-kafka. All of them by default.
    parts: Vec<String>,
    /// Rows of each load.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Rounds; figures are medians with the range.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let Arguments { rows, rounds, .. } = arguments;
    let wanted = |part: &str| arguments.parts.is_empty() || arguments.parts.iter().any(|one| one == part);
    if wanted("mysql") {
        mysql::read(rows, rounds)?;
    }
    if wanted("mysql-copy") {
        mysql::copy(rows, rounds)?;
    }
    if wanted("mysql-kafka") {
        mysql_sinks::kafka(&Broker::start_for_load(), rows, rounds)?;
    }
    let postgres = arguments.parts.is_empty()
        || arguments.parts.iter().any(|one| !["mysql", "mysql-copy", "mysql-kafka"].contains(&one.as_str()));
    if !postgres {
        return Ok(());
    }
    let server = Server::start().await?;
    if wanted("mysql-duckdb") {
        mysql_sinks::duckdb(&server, rows, rounds).await?;
    }
    if wanted("drain") {
        for workload in [Workload::Narrow, Workload::Orders] {
            for socket in [false, true] {
                let backlog = Backlog { workload, rows, per_transaction: 100, socket };
                drain::against_recvlogical(&server, Target::Stdout, backlog, rounds).await?;
            }
        }
    }
    if wanted("transaction") {
        let backlog = Backlog { workload: Workload::Narrow, rows, per_transaction: rows, socket: false };
        drain::against_recvlogical(&server, Target::Stdout, backlog, 1).await?;
    }
    if wanted("copy") {
        copy::against_csv(&server, rows, rounds).await?;
    }
    if wanted("duckdb") {
        for workload in [Workload::Narrow, Workload::Orders] {
            let backlog = Backlog { workload, rows, per_transaction: 100, socket: false };
            drain::against_recvlogical(&server, Target::DuckDb, backlog, rounds).await?;
        }
    }
    if wanted("pgbench") {
        pgbench::follow(&server, 20).await?;
    }
    if wanted("latency") {
        latency::commit_to_queryable(&server, 1000, 15).await?;
    }
    if ["kafka", "kafka-copy", "kafka-memory", "kafka-latency"].into_iter().any(wanted) {
        let broker = Broker::start_for_load();
        if wanted("kafka") {
            for workload in [Workload::Narrow, Workload::Orders] {
                kafka::drain(&server, &broker, workload, rows, rounds).await?;
            }
        }
        if wanted("kafka-copy") {
            kafka::copy(&server, &broker, rows, rounds).await?;
        }
        if wanted("kafka-memory") {
            kafka::memory(&server, &broker, rows).await?;
        }
        if wanted("kafka-latency") {
            kafka_latency::commit_to_acknowledged(&server, &broker, 15).await?;
        }
    }
    Ok(())
}
