//! The binary log of MySQL to standard output, against `mysqlbinlog --raw`, which decodes nothing; and the first copy,
//! against the server's own client reading the table.

use std::path::Path;
use std::process::{Command, Stdio};

use tailwater_integration_tests::mysql::{Installation, Server};

use crate::Outcome;
use crate::drain::{println_row, told, until_caught_up};
use crate::measure::{self, Cost, spread};

const STDOUT: &str = "[sink.stdout]";

/// A program that took less CPU time than this is measured too coarsely for a ratio.
const CPU_S_MIN: f64 = 0.1;

/// A server with room for what is loaded.
pub(crate) fn server() -> Server {
    let settings = ["innodb-buffer-pool-size=1G", "innodb-redo-log-capacity=1G", "max-binlog-size=1G"];
    let server = Server::start(Installation::mysql97(), &settings);
    server.execute("CREATE DATABASE bench");
    server
}

/// Reads `rows` narrow rows in transactions of 100 and of one, and in one transaction.
pub(crate) fn read(rows: u64, rounds: u32) -> Outcome<()> {
    let server = server();
    for per_transaction in [100, 1] {
        // A row of its own in the log costs eight times as many bytes.
        let rows = if per_transaction == 1 { rows / 5 } else { rows };
        drain(&server, rows, per_transaction, rounds)?;
    }
    large(&server, rows)
}

/// Makes a narrow table.
pub(crate) fn create(server: &Server, table: &str) {
    server.execute(&format!(
        "CREATE TABLE bench.{table} (id bigint PRIMARY KEY, a int, b int, c varchar(20), at timestamp(6) NULL)"
    ));
}

/// Statements of `per_transaction` rows each, committed by themselves, into a log of their own.
pub(crate) fn load(server: &Server, table: &str, from: u64, rows: u64, per_transaction: u64) {
    server.execute("FLUSH LOGS");
    let mut sql = String::new();
    for first in (from..from + rows).step_by(usize::try_from(per_transaction).unwrap_or(1)) {
        let values = (first..first + per_transaction)
            .map(|i| format!("({i},{},{},left(sha2({i},256),20),now(6))", i % 100_000, i * 7 % 1000));
        let values: Vec<String> = values.collect();
        sql.push_str(&format!("INSERT INTO bench.{table} VALUES {};\n", values.join(",")));
        if sql.len() > 4 << 20 {
            server.execute(&sql);
            sql.clear();
        }
    }
    server.execute(&sql);
}

/// A pipeline file for a table.
pub(crate) fn pipeline(
    server: &Server,
    folder: &Path,
    name: &str,
    table: &str,
    sink: &str,
) -> Outcome<std::path::PathBuf> {
    let file = folder.join(format!("{name}.toml"));
    let text = format!(
        "[source.mysql]\nurl = \"{}/?ssl-mode=DISABLED\"\ntables = [\"bench.{table}\"]\ncopy_workers = 1\n\n{sink}\n",
        server.url()
    );
    tailwater_core::checkpoint::replace_file(&file, text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(file)
}

/// Number of rows and sum of their keys.
pub(crate) fn held(server: &Server, table: &str) -> String {
    server.value(&format!("SELECT concat(count(*), ' ', sum(id)) FROM bench.{table}"))
}

fn drain(server: &Server, rows: u64, per_transaction: u64, rounds: u32) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (mut rate, mut wall, mut cpu, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
    for round in 0..rounds {
        let table = format!("narrow_{per_transaction}_{round}");
        create(server, &table);
        let file = pipeline(server, folder.path(), &table, &table, STDOUT)?;
        measure::run(until_caught_up(&file)?)?;
        load(server, &table, 0, rows, per_transaction);
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
        cpu.push(theirs.cpu_s.max(CPU_S_MIN) / ours.cpu_s.max(CPU_S_MIN));
        peak = peak.max(ours.peak_mb);
    }
    let table = format!("told_{per_transaction}");
    create(server, &table);
    let file = pipeline(server, folder.path(), &table, &table, STDOUT)?;
    measure::run(until_caught_up(&file)?)?;
    load(server, &table, 0, rows, per_transaction);
    let (told, wanted) = (told(&file)?, held(server, &table));
    if told != wanted {
        return Err(format!("standard output told {told:?}, MySQL holds {wanted:?}"));
    }
    println_row(
        &format!("MySQL's log → Stdout, narrow, {per_transaction}/tx"),
        &[
            ("thousand rows per CPU-second", spread(&rate)),
            ("wall rate / mysqlbinlog --raw", spread(&wall)),
            ("changes per CPU-second / mysqlbinlog --raw", spread(&cpu)),
            ("peak MB", format!("{peak:.0}")),
        ],
    );
    Ok(())
}

/// One transaction of all rows, plain and compressed.
fn large(server: &Server, rows: u64) -> Outcome<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    create(server, "large");
    let file = pipeline(server, folder.path(), "large", "large", STDOUT)?;
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

/// Copies `rows` narrow rows by one session.
pub(crate) fn copy(rows: u64, rounds: u32) -> Outcome<()> {
    let server = &server();
    create(server, "copied");
    load(server, "copied", 0, rows, 1000);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (mut wall, mut cpu, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    let (mut ours_s, mut theirs_s) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let file = pipeline(server, folder.path(), &format!("copy_{round}"), "copied", STDOUT)?;
        let client = || {
            let mut client = program(server, "mysql");
            client.args(["--quick", "-e", "SELECT * FROM bench.copied"]).stdout(Stdio::null());
            measure::run(client)
        };
        let (ours, theirs) = if round % 2 == 0 {
            let theirs = client()?;
            (measure::run(until_caught_up(&file)?)?, theirs)
        } else {
            (measure::run(until_caught_up(&file)?)?, client()?)
        };
        wall.push(theirs.wall_s / ours.wall_s);
        cpu.push(theirs.cpu_s / ours.cpu_s);
        ours_s.push(ours.wall_s);
        theirs_s.push(theirs.wall_s);
        peak = peak.max(ours.peak_mb);
    }
    println_row(
        &format!("MySQL, first copy of {rows} narrow rows by one session → Stdout"),
        &[
            ("wall rate / mysql --quick -e 'SELECT *'", spread(&wall)),
            ("rows per CPU-second / mysql --quick", spread(&cpu)),
            ("seconds", spread(&ours_s)),
            ("the client's", spread(&theirs_s)),
            ("peak MB", format!("{peak:.0}")),
        ],
    );
    Ok(())
}

/// The file that is written to.
fn newest_log(server: &Server) -> String {
    let files = server.query("SHOW BINARY LOGS");
    files.last().and_then(|row| row.first().cloned().flatten()).unwrap_or_default()
}

/// One of the server's own programs, told to go the way that we go.
fn program(server: &Server, name: &str) -> Command {
    let mut command = server.program(name);
    command.args(["--protocol=TCP", "--host=127.0.0.1", "--ssl-mode=DISABLED"]);
    command.arg(format!("--port={}", server.port()));
    command
}

fn raw(server: &Server, folder: &Path, log: &str) -> Command {
    let mut command = program(server, "mysqlbinlog");
    let prefix = format!("{}/raw-", folder.display());
    command.args(["--read-from-remote-server", "--raw", "--result-file", &prefix, log]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn per_cpu_s(rows: u64, cost: Cost) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a number of rows is far below 2^52")]
    let rows = rows as f64;
    rows / cost.cpu_s.max(CPU_S_MIN)
}
