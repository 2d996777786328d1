//! The server's greeting, the first packet of a session. Pure. `connect` reads it and answers.

use tailwater_core::Result;

use crate::error;

/// There is a default database in the answer.
pub(crate) const CONNECT_WITH_DB: u32 = 0x8;
const LONG_PASSWORD: u32 = 0x1;
const LONG_FLAG: u32 = 0x4;
const PROTOCOL_41: u32 = 0x200;
/// TLS.
pub(crate) const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;
/// The client may name itself.
pub(crate) const CONNECT_ATTRS: u32 = 0x10_0000;
/// A result ends with an OK packet, and nothing stands between its columns and its rows.
pub(crate) const DEPRECATE_EOF: u32 = 0x100_0000;

/// What a server must offer.
pub(crate) const ALWAYS: u32 =
    LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
/// What is used where it is there. MySQL's bit 0 stands for MariaDB's own capabilities, none of which is used.
pub(crate) const WHERE_OFFERED: u32 = CONNECT_ATTRS | DEPRECATE_EOF;

/// What the server says of itself before the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) connection_id: u32,
    pub(crate) capabilities: u32,
    /// What the plugin signs.
    pub(crate) nonce: Vec<u8>,
    pub(crate) plugin: Vec<u8>,
}

impl Greeting {
    /// Reads a greeting of protocol version 10.
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let short = || error::protocol("the greeting of the server is shorter than it must be");
        let (protocol, rest) = body.split_first().ok_or_else(short)?;
        if *protocol != 10 {
            return Err(error::protocol(format!(
                "the server speaks protocol {protocol}; version 10 is known"
            )));
        }
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let (version, rest) = rest.split_at_checked(end).ok_or_else(short)?;
        let rest = rest.get(1..).ok_or_else(short)?;
        let (&[a, b, c, d], rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (nonce, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        // A filler, capabilities, collation, status, more capabilities, the nonce's length, reserved bytes.
        let (&[_, low, high, _, _, _, upper_low, upper_high, nonce_bytes], rest) =
            rest.split_first_chunk().ok_or_else(short)?;
        let capabilities = u32::from_le_bytes([low, high, upper_low, upper_high]);
        if capabilities & ALWAYS & !LONG_PASSWORD != ALWAYS & !LONG_PASSWORD {
            return Err(error::protocol("the server is too old: it lacks authentication plugins"));
        }
        let rest = rest.get(10..).ok_or_else(short)?;
        let more = usize::from(nonce_bytes).saturating_sub(8).max(13);
        let (more, plugin) = rest.split_at_checked(more).ok_or_else(short)?;
        let mut nonce = nonce.to_vec();
        nonce.extend_from_slice(more.strip_suffix(&[0]).unwrap_or(more));
        let plugin = plugin.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self {
            version: String::from_utf8_lossy(version).into_owned(),
            connection_id: u32::from_le_bytes([a, b, c, d]),
            capabilities,
            nonce,
            plugin: plugin.to_vec(),
        })
    }

    pub(crate) fn has(&self, capability: u32) -> bool {
        self.capabilities & capability != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MySQL 8 sends it.
    fn sample() -> Vec<u8> {
        let mut body = b"\x0a8.4.1\0\x07\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15".to_vec();
        body.extend_from_slice(&[0; 10]);
        body.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
        body
    }

    #[test]
    fn reads_a_greeting() {
        let greeting = Greeting::read(&sample()).unwrap();
        assert_eq!((greeting.version.as_str(), greeting.connection_id), ("8.4.1", 7));
        assert_eq!(greeting.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(greeting.plugin, b"caching_sha2_password");
        assert!(greeting.has(SSL) && greeting.has(DEPRECATE_EOF));
    }

    #[test]
    fn every_shorter_one_is_an_error() {
        let whole = sample();
        let needed = whole.len() - b"caching_sha2_password\0".len();
        for end in 0..needed {
            assert!(Greeting::read(&whole[..end]).is_err(), "{end}");
        }
        for end in needed..whole.len() {
            assert!(Greeting::read(&whole[..end]).is_ok(), "{end}");
        }
    }
}
