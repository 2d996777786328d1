//! The one error type: a kind that says who must act, a stable code, and a chain that reads as a sentence.
//!
//! The kind is set where the cause is known, from a code (SQLSTATE, errno, `DuckDB` error type), never from
//! message text. Each crate maps its own codes in its own `error.rs`. Never put a row value, a password or a
//! token into an error.

use std::fmt;

/// The result of everything that may fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who must act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody: it is tried again, with capped and jittered backoff.
    Transient,
    /// A person must change a setting, a right or a server; the remedy says which.
    Operator,
    /// A value, a row or a table that cannot be carried.
    Data,
}

/// An error with everything a person needs: what was being done, what went wrong, what mends it.
#[derive(Debug, Clone)]
pub struct Error(Box<Detail>);

#[derive(Debug, Clone)]
struct Detail {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    remedy: Option<String>,
    /// What was being done, innermost first.
    doing: Vec<String>,
}

impl Error {
    /// An error of `kind`. `code` is stable and documented (`TW-PG-012`); `message` is in the present tense.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Detail { kind, code, message: message.into(), remedy: None, doing: Vec::new() }))
    }

    /// Shorthand for [`ErrorKind::Transient`].
    #[must_use]
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, code, message)
    }

    /// Shorthand for [`ErrorKind::Operator`]; says what mends it with [`Error::remedy`].
    #[must_use]
    pub fn operator(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Operator, code, message)
    }

    /// Shorthand for [`ErrorKind::Data`].
    #[must_use]
    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, code, message)
    }

    /// What mends it: an exact SQL statement, command or config line.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Adds what was being done, outermost last: `copy public.orders`.
    #[must_use]
    pub fn doing(mut self, doing: impl Into<String>) -> Self {
        self.0.doing.push(doing.into());
        self
    }

    /// Who must act.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code, `TW-PG-012`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The chain alone, without code and remedy.
    #[must_use]
    pub fn message(&self) -> String {
        let mut chain: Vec<&str> = self.0.doing.iter().rev().map(String::as_str).collect();
        chain.push(&self.0.message);
        chain.join(": ")
    }

    /// What mends it, where that is known.
    #[must_use]
    pub fn remedy_text(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    /// `copy public.orders: open snapshot: connection reset [TW-PG-003]`, and the remedy on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message(), self.0.code)?;
        match &self.0.remedy {
            Some(remedy) => write!(f, "\n  to mend it: {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to the error of a result.
pub trait Doing<T> {
    /// Adds `doing`, built only when there is an error.
    ///
    /// # Errors
    /// The error it was called on, with `doing` before it.
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Doing<T> for Result<T> {
    fn doing<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Self {
        self.map_err(|error| error.doing(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_chain_with_its_remedy() {
        let error = Error::operator("TW-PG-012", "the slot is lost")
            .remedy("tailwater drop shop.toml")
            .doing("open slot tailwater_shop")
            .doing("start shop");
        assert_eq!(
            error.to_string(),
            "start shop: open slot tailwater_shop: the slot is lost [TW-PG-012]\n  to mend it: tailwater drop shop.toml"
        );
    }
}
