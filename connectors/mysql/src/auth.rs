//! What authentication plugins are answered. Pure but for random bytes. `connect` carries the packets. Not here: when
//! TLS starts.

use mysql_common::scramble;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use tailwater_core::{Error, Result};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, EncodePem as _, Reader as _};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::error;

/// The plugins that are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    Native,
    CachingSha2,
    Sha256,
    Ed25519,
    Clear,
}

const PLUGINS: &[(&str, Plugin)] = &[
    ("mysql_native_password", Plugin::Native),
    ("caching_sha2_password", Plugin::CachingSha2),
    ("sha256_password", Plugin::Sha256),
    ("client_ed25519", Plugin::Ed25519),
    ("mysql_clear_password", Plugin::Clear),
];

impl Plugin {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        PLUGINS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, plugin)| *plugin)
    }

    pub(crate) fn name(self) -> &'static str {
        PLUGINS.iter().find(|(_, plugin)| *plugin == self).map_or("", |(name, _)| name)
    }
}

/// One attempt to prove who we are.
#[derive(Clone)]
pub(crate) struct Proof<'a> {
    pub(crate) plugin: Plugin,
    /// What the server sent to be signed, without a NUL at its end.
    pub(crate) nonce: Vec<u8>,
    pub(crate) password: &'a str,
    /// Whether nobody between the two ends can read along.
    pub(crate) private: bool,
    /// Whether that is so because of TLS.
    pub(crate) tls: bool,
    /// The server's RSA key, where it is known beforehand.
    pub(crate) key: Option<Vec<u8>>,
}

/// The server is asked for its RSA key, by the plugin of that name.
const SEND_KEY_SHA256: u8 = 1;
const SEND_KEY_CACHING_SHA2: u8 = 2;

impl Proof<'_> {
    /// The answer to the server's nonce.
    pub(crate) fn first(&self) -> Result<Vec<u8>> {
        let password = self.password.as_bytes();
        let scrambled = match self.plugin {
            Plugin::Native => scramble::scramble_native(&self.nonce, password).map(|hash| hash.to_vec()),
            Plugin::CachingSha2 => scramble::scramble_sha256(&self.nonce, password).map(|hash| hash.to_vec()),
            Plugin::Ed25519 => Some(scramble::create_response_for_ed25519(password, &self.nonce).to_vec()),
            Plugin::Sha256 if password.is_empty() => Some(vec![0]),
            Plugin::Sha256 => Some(self.whole_password(SEND_KEY_SHA256)?),
            Plugin::Clear if self.private => Some(terminated(password)),
            Plugin::Clear => {
                return Err(Error::operator(
                    error::LOGIN,
                    "the server wants the password as it is, and the connection is not encrypted",
                )
                .remedy("ssl-mode=VERIFY_IDENTITY in the URL"));
            }
        };
        Ok(scrambled.unwrap_or_default())
    }

    /// The answer to what the server says next; `None` where there is only to wait.
    pub(crate) fn next(&self, said: &[u8]) -> Result<Option<Vec<u8>>> {
        match (self.plugin, said) {
            // The server remembers the password from an earlier login.
            (Plugin::CachingSha2, [3]) => Ok(None),
            (Plugin::CachingSha2, [4]) => self.whole_password(SEND_KEY_CACHING_SHA2).map(Some),
            (Plugin::CachingSha2 | Plugin::Sha256, key)
                if key.starts_with(b"-----BEGIN") && !self.takes_whole() =>
            {
                self.encrypted(key).map(Some)
            }
            (Plugin::CachingSha2 | Plugin::Sha256 | Plugin::Native | Plugin::Ed25519 | Plugin::Clear, _) => {
                let name = self.plugin.name();
                Err(error::protocol(format!("what the server says is no part of {name}")))
            }
        }
    }

    /// The password itself, encrypted one way or another, or the request for the key to do so.
    fn whole_password(&self, send_key: u8) -> Result<Vec<u8>> {
        match &self.key {
            _ if self.takes_whole() => Ok(terminated(self.password.as_bytes())),
            Some(key) => self.encrypted(key),
            None => Ok(vec![send_key]),
        }
    }

    /// Whether the server takes the password as it is; a Unix socket is not enough for the older plugin.
    fn takes_whole(&self) -> bool {
        match self.plugin {
            Plugin::Sha256 => self.tls,
            Plugin::Native | Plugin::CachingSha2 | Plugin::Ed25519 | Plugin::Clear => self.private,
        }
    }

    fn encrypted(&self, key: &[u8]) -> Result<Vec<u8>> {
        let mut hidden = terminated(self.password.as_bytes());
        for (byte, mask) in hidden.iter_mut().zip(self.nonce.iter().cycle()) {
            *byte ^= mask;
        }
        let key = checked_key(key, hidden.len())?;
        Ok(mysql_common::crypto::encrypt(&hidden, key.as_bytes()))
    }
}

fn terminated(password: &[u8]) -> Vec<u8> {
    let mut bytes = password.to_vec();
    bytes.push(0);
    bytes
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// What the padding takes.
const PADDING_BYTES: usize = 42;

/// The key in its one plain form: the code that encrypts panics at anything else, and who sends it is not yet known.
fn checked_key(pem: &[u8], message_bytes: usize) -> Result<String> {
    let bad = |why: &str| Error::operator(error::LOGIN, format!("the RSA key of the server: {why}"));
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|error| bad(&error.to_string()))?;
    let info = SubjectPublicKeyInfoOwned::from_der(&der).map_err(|error| bad(&error.to_string()))?;
    let bits = info.subject_public_key.as_bytes().filter(|_| info.algorithm.oid == RSA);
    let bits = bits.ok_or_else(|| bad("it is not an RSA key"))?;
    // RSAPublicKey of PKCS #1: modulus and exponent.
    let key = AnyRef::from_der(bits).and_then(|key| {
        key.sequence(|fields| Ok((fields.decode::<UintRef<'_>>()?, fields.decode::<UintRef<'_>>()?)))
    });
    let (modulus, exponent) = key.map_err(|error| bad(&error.to_string()))?;
    let (modulus, exponent) = (modulus.as_bytes(), exponent.as_bytes());
    if !(128..=1024).contains(&modulus.len()) || !(1..=8).contains(&exponent.len()) {
        return Err(bad("its size is not one that servers make"));
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !odd(modulus) || !odd(exponent) {
        return Err(bad("it is not a key"));
    }
    if modulus.len() < message_bytes + PADDING_BYTES {
        return Err(bad("the password is too long for it").remedy("ssl-mode=REQUIRED in the URL"));
    }
    info.to_pem(x509_cert::der::pem::LineEnding::LF).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proof(plugin: Plugin, password: &str, private: bool) -> Proof<'_> {
        Proof { plugin, nonce: (1..=20).collect(), password, private, tls: private, key: None }
    }

    /// Made with `openssl genrsa 1024`.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCrNawThPmYySNXObCuGVf9JiD/
uewvOcxrdX68dojZuw0Q6Bwg7btyFgTIuJn7Z6ztFk9dkS+3GfQExDHZM8g/zcCY
Nw+sHe9SzWv/kBT6v74auiBhB0kVLVhB3RI7CTus7nRs0XVW/5t+nuLhFzC+aYuI
Yldc5Zilrty2rAtLRQIDAQAB
-----END PUBLIC KEY-----
";

    #[test]
    fn an_empty_password_answers_nothing_or_what_stands_for_it() {
        for (plugin, expected) in [
            (Plugin::Native, &b""[..]),
            (Plugin::CachingSha2, b""),
            (Plugin::Sha256, b"\0"),
            (Plugin::Clear, b"\0"),
        ] {
            assert_eq!(proof(plugin, "", true).first().unwrap(), expected, "{plugin:?}");
        }
    }

    #[test]
    fn the_password_itself_goes_only_where_nobody_reads_along() {
        assert_eq!(proof(Plugin::Clear, "sesame", true).first().unwrap(), b"sesame\0");
        let error = proof(Plugin::Clear, "sesame", false).first().unwrap_err();
        assert!(error.code() == error::LOGIN && !error.to_string().contains("sesame"), "{error}");
        assert_eq!(proof(Plugin::Sha256, "sesame", true).first().unwrap(), b"sesame\0");
        assert_eq!(proof(Plugin::Sha256, "sesame", false).first().unwrap(), [SEND_KEY_SHA256]);
        let local = Proof { tls: false, ..proof(Plugin::Sha256, "sesame", true) };
        assert_eq!(local.first().unwrap(), [SEND_KEY_SHA256]);
        let caching = |private| proof(Plugin::CachingSha2, "sesame", private).next(&[4]).unwrap().unwrap();
        assert_eq!((caching(true), caching(false)), (b"sesame\0".to_vec(), vec![SEND_KEY_CACHING_SHA2]));
        assert_eq!(proof(Plugin::CachingSha2, "sesame", true).next(&[3]).unwrap(), None);
    }

    #[test]
    fn the_password_is_encrypted_under_the_servers_key() {
        let proof = proof(Plugin::CachingSha2, "sesame", false);
        let once = proof.next(KEY.as_bytes()).unwrap().unwrap();
        assert_eq!(once.len(), 128);
        assert_ne!(once, proof.next(KEY.as_bytes()).unwrap().unwrap());
        let long = "x".repeat(100);
        let error = Proof { password: &long, ..proof }.next(KEY.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    proptest! {
        #[test]
        fn a_strange_key_is_an_error_and_never_a_panic(at in 0..KEY.len(), byte in any::<u8>()) {
            let mut key = KEY.as_bytes().to_vec();
            key[at] = byte;
            let answer = proof(Plugin::Sha256, "sesame", false).next(&key);
            prop_assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_some()));
        }

        #[test]
        fn whatever_the_server_says_is_answered_or_refused(said in prop::collection::vec(any::<u8>(), 0..40)) {
            for (_, plugin) in PLUGINS {
                let answer = proof(*plugin, "sesame", false).next(&said);
                prop_assert!(answer.is_err() || *plugin == Plugin::CachingSha2);
            }
        }
    }
}
