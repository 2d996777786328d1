//! The command line: what may be typed, and which exit code answers. Each command's work lives in its own file.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-CLI-001 | transient | the runtime, or listening to signals, cannot start | look at the machine's limits |
//! | TW-CLI-002 | operator | `TAILWATER_LOG` is no filter | `info`, or as its message shows |
//! | TW-CLI-003 | operator | the stored position cannot be read or printed | use the release that wrote it |
//! | TW-CLI-004 | operator | `drop` has nobody to ask | `--yes` |
//! | TW-CLI-005 | operator | the sink keeps nothing that could be asked | use `[sink.duckdb]` |
//! | TW-CLI-006 | transient | asking the target breaks down | report it |
//! | TW-CLI-007 | operator | the folder of the position file cannot be written | give the right to write it |
//! | TW-CLI-008 | operator | `drop` while the pipeline runs | stop it first |
//! | TW-CLI-009 | data | `run --until-caught-up` ends with stopped tables | see `tailwater position`; copy into a new file, or leave them out |

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tailwater_core::Error;

use crate::logs::{self, LogFormat};
use crate::{check, config, demo, drop, import, position, query, run};

/// Carries every committed change of a Postgres, MySQL or MariaDB database to Kafka or `DuckDB`, in order, exactly once.
#[derive(Debug, Parser)]
#[command(name = "tailwater", version, about, after_help = EXIT_CODES)]
struct Arguments {
    /// How log lines look. They go to standard error; `TAILWATER_LOG` filters them (`info`, `debug`, …)
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every pipeline, each for itself: copy first, then follow
    Run {
        /// Pipeline files, and folders of them
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// Copy, follow to where the source is now, and exit
        #[arg(long)]
        until_caught_up: bool,
    },
    /// Report everything that would keep a pipeline from running, each with what mends it
    Check {
        /// Pipeline files, and folders of them
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Print what the sink holds and how far behind the source it is
    Position {
        /// The pipeline file
        file: PathBuf,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Ask the target a question, also while the pipeline runs (read-only)
    Query {
        /// The pipeline file
        file: PathBuf,
        /// One SQL statement
        sql: String,
        /// How rows are printed
        #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
        format: QueryFormat,
    },
    /// Remove the slot and the publication that the pipeline made; never the target's data
    Drop {
        /// The pipeline file
        file: PathBuf,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Turn the configuration of a Debezium connector into a pipeline file
    ImportDebezium(import::Import),
    /// Watch it work: a throw-away database with live traffic, copied and followed into a `DuckDB` file
    Demo {
        /// From which database
        #[arg(long, value_enum, default_value_t = demo::Source::Postgres)]
        source: demo::Source,
        /// How long traffic runs
        #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = config::duration)]
        length: Duration,
        /// Where the `DuckDB` file and the logs go
        #[arg(long, value_name = "DIR", default_value = "demo-data")]
        folder: PathBuf,
    },
}

/// How `tailwater query` prints rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// Columns aligned for reading
    Table,
    /// One JSON object per row
    Json,
    /// Comma-separated, with a header
    Csv,
}

/// What the process answers with. Documented in `docs/OPERATING.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, stopped as asked, or nothing to complain about.
    Success,
    /// `check` has warnings only.
    Warnings,
    /// The command line or a pipeline file is wrong; nothing was touched.
    Usage,
    /// A pipeline stopped for something a person must mend, `check` has errors, or the command failed.
    Failed,
    /// Told to stop, but a write did not end within 5 s. Safe: the next run goes on from what the target holds.
    GaveUp,
    /// `demo`: source and target differ.
    Different,
    /// A second signal ended the process at once. Safe, as above.
    Interrupted,
}

const EXIT_CODES: &str = "Exit codes: 0 done or clean, 1 warnings (check), 2 wrong command line or pipeline file, \
3 failed or errors found, 4 gave up a clean stop after 5 s, 5 source and target differ (demo), \
130 stopped at once by a second signal";

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Warnings => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::GaveUp => 4,
            Self::Different => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = logs::start(arguments.log_format) {
        complain(&error);
        return ExitCode::from(Exit::Usage.code());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&Error::transient("TW-CLI-001", format!("start the runtime: {error}")));
            return ExitCode::from(Exit::Failed.code());
        }
    };
    let exit = runtime.block_on(Box::pin(dispatch(arguments.command)));
    // A write that does not end must not keep the process: what it leaves behind is safe.
    runtime.shutdown_background();
    ExitCode::from(exit.code())
}

async fn dispatch(command: Command) -> Exit {
    let outcome = match command {
        Command::Run { paths, until_caught_up } => {
            let (pipelines, errors) = config::load(&paths);
            if !errors.is_empty() {
                return refuse(&errors);
            }
            run::run(pipelines, until_caught_up).await
        }
        Command::Check { paths } => check::check(&paths).await,
        Command::Position { file, json } => match config::read(&file) {
            Ok(pipeline) => position::position(&pipeline, json).await,
            Err(error) => return refuse(&[error]),
        },
        Command::Query { file, sql, format } => match config::read(&file) {
            Ok(pipeline) => query::query(pipeline, sql, format).await,
            Err(error) => return refuse(&[error]),
        },
        Command::Drop { file, yes } => match config::read(&file) {
            Ok(pipeline) => drop::drop(&pipeline, yes).await,
            Err(error) => return refuse(&[error]),
        },
        Command::ImportDebezium(import) => import::import(&import).await,
        Command::Demo { source, length, folder } => demo::demo(source, length, &folder).await,
    };
    outcome.unwrap_or_else(|error| {
        complain(&error);
        Exit::Failed
    })
}

fn refuse(errors: &[Error]) -> Exit {
    errors.iter().for_each(complain);
    Exit::Usage
}

/// Prints an error where nothing else does.
pub(crate) fn complain(error: &Error) {
    // Nobody is left to tell when standard error is closed.
    drop_result(writeln!(std::io::stderr().lock(), "error: {error}"));
}

/// Prints an answer. A reader who has gone (`| head`) wants no more of it.
pub(crate) fn say(text: &str) {
    drop_result(writeln!(std::io::stdout().lock(), "{text}"));
}

fn drop_result(_written: std::io::Result<()>) {}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn is_a_command_line_that_clap_accepts() {
        super::Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_is_in_the_manual() {
        let manual = include_str!("../../docs/OPERATING.md");
        for command in super::Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(manual.contains(&format!("**`tailwater {name}")), "{name}");
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(manual.contains(&format!("[--{option}")), "{name} --{option}");
            }
        }
    }
}
