//! What `tailwater check` reports: everything at once, each with what mends it.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Runs, but a person should know.
    Warning,
    /// Does not run, or not right.
    Error,
}

/// One thing a person should know or change before a pipeline runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable and documented, as those of errors.
    pub code: &'static str,
    /// What was found, in the present tense.
    pub message: String,
    /// The exact SQL statement, command or config line that mends it.
    pub remedy: Option<String>,
}

impl Finding {
    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, code, message: message.into(), remedy: None }
    }

    /// An error.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), remedy: None }
    }

    /// What mends it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl From<&crate::Error> for Finding {
    fn from(error: &crate::Error) -> Self {
        let remedy = error.remedy_text().map(str::to_owned);
        let message = error.message();
        Self { severity: Severity::Error, code: error.code(), message, remedy }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity} [{}] {}", self.code, self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  to mend it: {remedy}"),
            None => Ok(()),
        }
    }
}
