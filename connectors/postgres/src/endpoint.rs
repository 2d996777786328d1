//! What `tls` reads out of a server's certificate by itself: the hash of RFC 5929, validity, common name. Pure.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode as _, Reader as _, TagMode, TagNumber};
use x509_cert::spki::AlgorithmIdentifierOwned;

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The hash functions that occur in a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Signature algorithms, and hash functions as RSA-PSS names them. MD5 and SHA-1 are replaced by SHA-256 (RFC 5929 §4.1).
const HASHES: &[(&str, Hash)] = &[
    ("1.2.840.113549.1.1.4", Hash::Sha256),
    ("1.2.840.113549.1.1.5", Hash::Sha256),
    ("1.2.840.113549.1.1.11", Hash::Sha256),
    ("1.2.840.113549.1.1.12", Hash::Sha384),
    ("1.2.840.113549.1.1.13", Hash::Sha512),
    ("1.2.840.113549.1.1.14", Hash::Sha224),
    ("1.2.840.10045.4.1", Hash::Sha256),
    ("1.2.840.10045.4.3.1", Hash::Sha224),
    ("1.2.840.10045.4.3.2", Hash::Sha256),
    ("1.2.840.10045.4.3.3", Hash::Sha384),
    ("1.2.840.10045.4.3.4", Hash::Sha512),
    ("1.3.14.3.2.26", Hash::Sha256),
    ("2.16.840.1.101.3.4.2.1", Hash::Sha256),
    ("2.16.840.1.101.3.4.2.2", Hash::Sha384),
    ("2.16.840.1.101.3.4.2.3", Hash::Sha512),
    ("2.16.840.1.101.3.4.2.4", Hash::Sha224),
];

/// `tls-server-end-point`: the certificate under the hash of its own signature; `None` where that has none (Ed25519).
pub(crate) fn hash(certificate: &CertificateDer<'_>) -> Result<Option<Vec<u8>>, CertificateError> {
    let algorithm = parse(certificate)?.signature_algorithm;
    Ok(hash_of(&algorithm).map(|hash| match hash {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    }))
}

fn hash_of(algorithm: &AlgorithmIdentifierOwned) -> Option<Hash> {
    let oid = match algorithm.oid {
        RSA_PSS => pss_hash(algorithm)?.to_string(),
        oid => oid.to_string(),
    };
    HASHES
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|(_, hash)| *hash)
}

/// The first field of RSASSA-PSS-params; SHA-1 where it is left out.
fn pss_hash(algorithm: &AlgorithmIdentifierOwned) -> Option<ObjectIdentifier> {
    let parameters = AnyRef::from(algorithm.parameters.as_ref()?);
    let field = parameters.sequence(|reader| {
        let field = reader.context_specific::<AlgorithmIdentifierOwned>(TagNumber::N0, TagMode::Explicit)?;
        reader.read_slice(reader.remaining_len())?;
        Ok(field)
    });
    match field {
        Ok(Some(hash)) => Some(hash.oid),
        Ok(None) => ObjectIdentifier::new("1.3.14.3.2.26").ok(),
        Err(_) => None,
    }
}

/// Whether the certificate is valid at `now`.
pub(crate) fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let validity = parse(certificate)?.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet);
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// Whether the certificate has no alternative names and its common name, `*.` for one label allowed, is `host`.
pub(crate) fn common_name_is(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(parsed) = parse(certificate) else {
        return false;
    };
    let extensions = parsed.tbs_certificate.extensions.unwrap_or_default();
    if extensions
        .iter()
        .any(|extension| extension.extn_id == SUBJECT_ALT_NAME)
    {
        return false;
    }
    let subject = parsed.tbs_certificate.subject.0;
    subject
        .iter()
        .flat_map(|part| part.0.iter())
        .filter(|part| part.oid == COMMON_NAME)
        .any(|part| {
            let utf8 = part
                .value
                .decode_as::<Utf8StringRef<'_>>()
                .map(|text| text.to_string());
            let name = utf8.or_else(|_| {
                part.value
                    .decode_as::<PrintableStringRef<'_>>()
                    .map(|text| text.to_string())
            });
            name.is_ok_and(|name| matches_host(&name, host))
        })
}

fn matches_host(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (None, _) => pattern.eq_ignore_ascii_case(host),
        (Some(rest), Some((_, domain))) => rest.contains('.') && rest.eq_ignore_ascii_case(domain),
        (Some(_), None) => false,
    }
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, CertificateError> {
    // The error of the parser says nothing that helps; the certificate is as the server sent it.
    Certificate::from_der(certificate).or(Err(CertificateError::BadEncoding))
}
