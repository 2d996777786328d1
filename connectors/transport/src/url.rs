//! What the connection URLs of both databases have in common: percent encoding, and words that are nearly right.

use tailwater_core::{Error, Result};

/// Undoes percent encoding. `what` names the place in the error, which never quotes the text; `code` is the error's.
///
/// # Errors
/// `Operator` where a `%` means nothing, or the result is not UTF-8.
pub fn decode(text: &str, what: &str, code: &'static str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        match digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) if byte != 0 => bytes.push(byte),
            Some(_) | None => {
                return Err(bad(code, format!("{what} holds a `%` without two hexadecimal digits after it"))
                    .remedy("write a percent sign as %25"));
            }
        }
    }
    String::from_utf8(bytes)
        .map_err(|error| bad(code, format!("{what} is not UTF-8: {}", error.utf8_error())))
}

/// Percent-encodes `text` so that it stands for itself in any part of a URL: for secrets put into one.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The candidate with the fewest single-letter edits.
#[must_use]
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    candidates.min_by_key(|candidate| strsim::osa_distance(text, candidate)).unwrap_or_default()
}

/// A URL that is not understood.
#[must_use]
pub fn bad(code: &'static str, message: impl Into<String>) -> Error {
    Error::operator(code, message).doing("read the connection URL")
}
