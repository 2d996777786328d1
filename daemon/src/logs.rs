//! Log lines on standard error, around the progress bars that may stand there too.

use std::io::{self, Write};
use std::sync::LazyLock;

use clap::ValueEnum;
use indicatif::MultiProgress;
use tailwater_core::{Error, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// Every bar of the process: standard error has only one last line.
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Starts logging. `TAILWATER_LOG` filters as usual with `tracing`; the default is `info`.
///
/// # Errors
/// `Operator` where the filter cannot be read.
pub(crate) fn start(format: LogFormat) -> Result<()> {
    let filter = std::env::var("TAILWATER_LOG").unwrap_or_else(|_unset| "info".to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        Error::operator("TW-CLI-002", format!("the log filter {filter:?}: {error}"))
            .remedy("TAILWATER_LOG=info, or TAILWATER_LOG=info,tailwater_postgres=debug")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(AboveBars);
    match format {
        LogFormat::Text => builder.with_ansi(console_is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// Whether a person sees standard error.
pub(crate) fn console_is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

struct AboveBars;

impl MakeWriter<'_> for AboveBars {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().lock().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
