//! The token of SASL OAUTHBEARER, read anew from a file whenever librdkafka wants one: a file is what clusters give and
//! renew. Says until when it is good and whose it is, from the token itself.

use std::path::PathBuf;

use serde::Deserialize;
use tailwater_core::{Error, Result};

/// Where the token is.
#[derive(Debug, Clone)]
pub(crate) struct TokenFile(pub(crate) PathBuf);

/// A token as it was read.
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) principal: String,
    pub(crate) expires_ms: i64,
}

/// What is looked at of a token's claims.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    sub: String,
}

impl TokenFile {
    /// # Errors
    /// `Operator` where there is none, or it does not say until when it is good. The token itself is never told.
    pub(crate) fn read(&self) -> Result<Token> {
        let text = std::fs::read_to_string(&self.0).map_err(|error| self.error(&error.to_string()))?;
        let value = text.trim().to_owned();
        let claims =
            value.split('.').nth(1).and_then(decode).ok_or_else(|| self.error("is no JSON web token"))?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|error| {
            // The text of the error could quote the token.
            self.error(&format!("holds no claim `exp`, in line {}", error.line()))
        })?;
        #[allow(clippy::cast_possible_truncation, reason = "a time beyond i64 is as good as the end of it")]
        let expires_ms = (claims.exp * 1000.0) as i64;
        Ok(Token { value, principal: claims.sub, expires_ms })
    }

    fn error(&self, what: &str) -> Error {
        Error::operator("TW-KAFKA-021", format!("{}: {what}", self.0.display()))
            .remedy("write a JSON web token into the file that `oauth_token_file` names")
    }
}

/// Base64 as in a URL, without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use tailwater_core::checkpoint::replace_file;

    use super::*;

    #[test]
    fn reads_the_claims_of_a_token_and_tells_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile(folder.path().join("token"));
        replace_file(&file.0, b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSIsImV4cCI6MTIzNC41fQ.\n").unwrap();
        let token = file.read().unwrap();
        assert_eq!((token.principal.as_str(), token.expires_ms), ("me", 1_234_500));
        for wrong in ["", "secret", "a.b.c", "e30.e30."] {
            replace_file(&file.0, wrong.as_bytes()).unwrap();
            let error = file.read().map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("TW-KAFKA-021") && !error.contains("secret"), "{error}");
        }
    }
}
