//! `tailwater check`: every finding about every pipeline in one pass. Changes nothing anywhere.

use std::path::{Path, PathBuf};

use tailwater_core::{Finding, Result, Severity};

use crate::cli::{Exit, say};
use crate::{config, kinds};

/// Checks files, sources and sinks, and prints what was found.
///
/// # Errors
/// None of its own: everything that goes wrong is a finding.
pub(crate) async fn check(paths: &[PathBuf]) -> Result<Exit> {
    let (pipelines, errors) = config::load(paths);
    let mut all: Vec<Finding> = errors.iter().map(Finding::from).collect();
    all.iter().for_each(|finding| say(&finding.to_string()));
    for pipeline in &pipelines {
        say(&format!("{}:", pipeline.file.display()));
        let findings = kinds::check(pipeline).await;
        if findings.is_empty() {
            say("  nothing to complain about");
        }
        findings.iter().for_each(|finding| say(&indent(finding)));
        all.extend(findings);
    }
    let count = |severity| all.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let checked = number(pipelines.len(), "pipeline");
    say(&format!("{checked}, {}, {}", number(errors, "error"), number(warnings, "warning")));
    Ok(match all.iter().map(|finding| finding.severity).max() {
        None => Exit::Success,
        Some(Severity::Warning) => Exit::Warnings,
        Some(Severity::Error) => Exit::Failed,
    })
}

/// What keeps a file from being replaced: its folder must take a new file beside it.
pub(crate) fn writable(file: &Path) -> Option<Finding> {
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".tailwater-check").tempfile_in(folder).err().map(|error| {
        let message = format!("{} cannot be written: {error}", file.display());
        Finding::error("TW-CLI-007", message)
            .remedy(format!("make {} writable by this user", folder.display()))
    })
}

fn number(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn indent(finding: &Finding) -> String {
    finding.to_string().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
