//! The binary log of MySQL to standard output, against `mysqlbinlog --raw`, which decodes nothing; and the first copy,
//! against the server's own client reading the table.

use std::path::Path;
use std::process::{Command, Stdio};

use tailwater_integration_tests::mysql::{Installation, Server};

use crate::Outcome;
use crate::drain::{println_row, until_caught_up};
use crate::measure::{self, Cost, spread};

/// A program that took less CPU time than this is measured too coarsely for a ratio.
const CPU_S_MIN: f64 = 0.1;

/// Reads `rows` narrow rows in transactions of 100 and of one, in one transaction, and copies them.
pub(crate) fn read(rows: u64, rounds: u32) -> Outcome<()> {
    let server = Server::start(Installation::mysql97(), &["performance-schema=OFF"]);
    server.execute("CREATE DATABASE bench");
    for per_transaction in [100, 1] {
        // A row of its own in the log costs eight times as many bytes.
        let rows = if per_transaction == 1 { rows / 5 } else { rows };
        drain(&server, rows, per_transaction, rounds)?;
    }
    large(&server, rows)?;
    copy(&server, rounds)
}

fn create(server: &Server, table: &str) {
    server.execute(&format!(
        "CREATE TABLE bench.{table} (id bigint PRIMARY KEY, a int, b int, c varchar(20), at timestamp(6) NULL)"
    ));
}

/// Statements of `per_transaction` rows each, committed by themselves.
fn load(server: &Server, table: &str, rows: u64, per_transaction: u64) {
    server.execute("FLUSH LOGS");
    let mut sql = String::new();
    for first in (0..rows).step_by(usize::try_from(per_transaction).unwrap_or(1)) {
        let values = (first..first + per_transaction)
            .map(|i| format!("({i},{},{},left(md5({i}),20),now(6))", i % 100_000, i * 7 % 1000));
        let values: Vec<String> = values.collect();
        sql.push_str(&format!("INSERT INTO bench.{table} VALUES {};\n", values.join(",")));
        if sql.len() > 4 << 20 {
            server.execute(&sql);
            sql.clear();
        }
    }
    server.execute(&sql);
}

fn pipeline(server: &Server, folder: &Path, name: &str, table: &str) -> Outcome<std::path::PathBuf> {
    let file = folder.join(format!("{name}.toml"));
    let text = format!(
        "[source.mysql]\nurl = \"{}/?ssl-mode=DISABLED\"\ntables = [\"bench.{table}\"]\ncopy_workers = 1\n\n[sink.stdout]\n",
        server.url()
    );
    tailwater_core::checkpoint::replace_file(&file, text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(file)
}

fn drain(server: &Server, rows: u64, per_transaction: u64, rounds: u32) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (mut rate, mut wall, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for round in 0..rounds {
        let table = format!("narrow_{per_transaction}_{round}");
        create(server, &table);
        let file = pipeline(server, folder.path(), &table, &table)?;
        measure::run(until_caught_up(&file)?)?;
        load(server, &table, rows, per_transaction);
        let log = newest_log(server);
        let (ours, theirs) = if round % 2 == 0 {
            let ours = measure::run(until_caught_up(&file)?)?;
            (ours, measure::run(raw(server, folder.path(), &log))?)
        } else {
            let theirs = measure::run(raw(server, folder.path(), &log))?;
            (measure::run(until_caught_up(&file)?)?, theirs)
        };
        rate.push(per_cpu_s(rows, ours) / 1e3);
        wall.push(theirs.wall_s / ours.wall_s);
        peak = peak.max(ours.peak_mb);
    }
    println_row(
        &format!("MySQL's log → Stdout, narrow, {per_transaction}/tx"),
        &[
            ("thousand rows per CPU-second", spread(&rate)),
            ("wall rate / mysqlbinlog --raw", spread(&wall)),
            ("peak MB", format!("{peak:.0}")),
        ],
    );
    Ok(())
}

/// One transaction of all rows, plain and compressed.
fn large(server: &Server, rows: u64) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    create(server, "large");
    let file = pipeline(server, folder.path(), "large", "large")?;
    measure::run(until_caught_up(&file)?)?;
    server.execute(&format!("INSERT INTO bench.large SELECT * FROM bench.narrow_100_0 WHERE id < {rows}"));
    let plain = measure::run(until_caught_up(&file)?)?;
    server.execute("SET SESSION binlog_transaction_compression = ON; UPDATE bench.large SET a = a + 1");
    let compressed = measure::run(until_caught_up(&file)?)?;
    println_row(
        &format!("MySQL, one transaction of {rows} rows → Stdout"),
        &[
            ("peak MB, inserts", format!("{:.0}", plain.peak_mb)),
            ("peak MB, updates in a compressed transaction", format!("{:.0}", compressed.peak_mb)),
        ],
    );
    Ok(())
}

fn copy(server: &Server, rounds: u32) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (mut wall, mut peak) = (Vec::new(), 0.0_f64);
    for round in 0..rounds {
        let file = pipeline(server, folder.path(), &format!("copy_{round}"), "narrow_100_0")?;
        let mut client = server.program("mysql");
        client.args(["--quick", "-e", "SELECT * FROM bench.narrow_100_0"]).stdout(Stdio::null());
        let theirs = measure::run(client)?;
        let ours = measure::run(until_caught_up(&file)?)?;
        wall.push(theirs.wall_s / ours.wall_s);
        peak = peak.max(ours.peak_mb);
    }
    println_row(
        "MySQL, first copy of the narrow table by one session → Stdout",
        &[("wall rate / mysql --quick -e 'SELECT *'", spread(&wall)), ("peak MB", format!("{peak:.0}"))],
    );
    Ok(())
}

/// The file that is written to.
fn newest_log(server: &Server) -> String {
    let files = server.query("SHOW BINARY LOGS");
    files.last().and_then(|row| row.first().cloned().flatten()).unwrap_or_default()
}

fn raw(server: &Server, folder: &Path, log: &str) -> Command {
    let mut command = server.program("mysqlbinlog");
    let prefix = format!("{}/raw-", folder.display());
    command.args(["--read-from-remote-server", "--raw", "--result-file", &prefix, log]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn per_cpu_s(rows: u64, cost: Cost) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^52")]
    let rows = rows as f64;
    rows / cost.cpu_s.max(CPU_S_MIN)
}
