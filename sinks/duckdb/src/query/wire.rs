//! The messages between `tailwater query` and the process that has the file: each four bytes of length, big end first,
//! and that much JSON. One request, then columns, rows in pieces, and the end or an error.

use std::io::{self, ErrorKind, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tailwater_core::{Error, ErrorKind as Kind};

/// Rows are sent when they come to this many bytes.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// One row may be long; this is beyond what an answer may be.
const MESSAGE_BYTES_MAX: u32 = 1 << 30;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) sql: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Columns(Vec<String>),
    Rows(Vec<Vec<Option<String>>>),
    End,
    Failed(Failure),
}

/// An [`Error`] on its way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    code: String,
    message: String,
    remedy: Option<String>,
}

/// The codes that a query may end with. [`Error`] knows its codes for good.
const CODES: [&str; 12] = [
    "TW-DUCK-003",
    "TW-DUCK-004",
    "TW-DUCK-005",
    "TW-DUCK-006",
    "TW-DUCK-008",
    "TW-DUCK-009",
    "TW-DUCK-011",
    "TW-DUCK-012",
    "TW-DUCK-013",
    "TW-DUCK-015",
    "TW-DUCK-018",
    "TW-DUCK-019",
];

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let remedy = error.remedy_text().map(str::to_owned);
        Self { code: error.code().to_owned(), message: error.message(), remedy }
    }
}

impl Failure {
    /// For a person at a terminal every failure of their query is one to act on.
    pub(super) fn into_error(self) -> Error {
        let code = CODES.into_iter().find(|code| *code == self.code).unwrap_or("TW-DUCK-007");
        let error = Error::new(Kind::Operator, code, self.message);
        match self.remedy {
            Some(remedy) => error.remedy(remedy),
            None => error,
        }
    }
}

/// Sends one message.
pub(super) fn send(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).ok().filter(|&length| length <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a message beyond 1 GiB"))?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&text)?;
    stream.flush()
}

/// Receives one message; `None` at the end, which is only between two.
pub(super) fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read(&mut length)? {
        0 => return Ok(None),
        read => stream.read_exact(length.get_mut(read..).unwrap_or_default())?,
    }
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "a message beyond 1 GiB"));
    }
    let mut text = Vec::new();
    if stream.take(length.into()).read_to_end(&mut text)? != usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_slice(&text)?))
}
