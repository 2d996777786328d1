//! What `tls` reads out of a server's certificate by itself, because rustls does not: the hash of RFC 5929, validity,
//! the common name, and certificates of version 1. Pure.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, TagMode, TagNumber};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::{Certificate, Version};

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
///
/// # Errors
/// Where the certificate cannot be read.
pub fn hash(certificate: &CertificateDer<'_>) -> Result<Option<Vec<u8>>, CertificateError> {
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
    HASHES.iter().find(|(known, _)| *known == oid).map(|(_, hash)| *hash)
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

/// Whether it is of X.509 version 1: without extensions, and so without alternative names.
pub(crate) fn is_version_1(certificate: &CertificateDer<'_>) -> Result<bool, CertificateError> {
    Ok(parse(certificate)?.tbs_certificate.version == Version::V1)
}

/// The key of a certificate, as DER.
pub(crate) fn public_key(
    certificate: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
    let key = parse(certificate)?.tbs_certificate.subject_public_key_info.to_der();
    key.map(SubjectPublicKeyInfoDer::from).or(Err(CertificateError::BadEncoding))
}

/// Whether `issuer` signed the certificate, by name and by key.
pub(crate) fn is_issued_by(
    certificate: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let (Ok(certificate), Ok(issuer)) = (parse(certificate), parse(issuer)) else { return false };
    let key = &issuer.tbs_certificate.subject_public_key_info;
    let names_agree = certificate.tbs_certificate.issuer == issuer.tbs_certificate.subject;
    let signed = certificate.tbs_certificate.to_der();
    let (Ok(signed), Some(how), Some(key_kind), Some(key), Some(signature)) = (
        signed,
        contents(&certificate.signature_algorithm),
        contents(&key.algorithm),
        key.subject_public_key.as_bytes(),
        certificate.signature.as_bytes(),
    ) else {
        return false;
    };
    let mut fitting = algorithms.iter().filter(|algorithm| {
        algorithm.signature_alg_id().as_ref() == how && algorithm.public_key_alg_id().as_ref() == key_kind
    });
    names_agree && fitting.any(|algorithm| algorithm.verify_signature(key, &signed, signature).is_ok())
}

/// An algorithm identifier without its outer SEQUENCE, as [`SignatureVerificationAlgorithm`] names it.
fn contents(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    AnyRef::from_der(&der).ok().map(|any| any.value().to_vec())
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
    if extensions.iter().any(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
        return false;
    }
    let subject = parsed.tbs_certificate.subject.0;
    subject.iter().flat_map(|part| part.0.iter()).filter(|part| part.oid == COMMON_NAME).any(|part| {
        let utf8 = part.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.to_string());
        let name =
            utf8.or_else(|_| part.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.to_string()));
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

#[cfg(test)]
mod tests {
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    /// Certificates made with openssl, named after the algorithm they are signed with.
    fn fixture(name: &str) -> CertificateDer<'static> {
        let path = format!("{}/fixtures/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        CertificateDer::from_pem_file(path).unwrap()
    }

    /// The expected values are what `openssl dgst` says of the same certificates.
    #[test]
    fn the_hash_is_that_of_the_signature_whatever_the_key_is() {
        for (name, expected) in [
            ("rsa-sha1", "6e8cff36a84409eb80f45b7d19f60e7f34d0128ddf93de0807976e155673fc27"),
            ("rsa-sha256", "4a5c829465b9f112bafedabdcade96b3c4a277484cd18574ac3b836b36624c46"),
            ("rsa-sha512", "3c4f4ae02fdd9739774debf3ef6749335e25b4debca3d3b4b714464b4ce486fe"),
            ("ec-sha384", "11e09e662a187342279a36a6a05ff51127a162fab5ece92c660e99b7785904a0"),
            ("pss-sha384", "0b63d7d1a5cc39159f0ad3d077d38fa12ea1d3ff72bdef36c67a205228d5b050"),
            // Its key is RSA, its signature ECDSA with SHA-384.
            ("version-1", "55c3fbe1a327ce150a2080cb9ac38921d10901219ecad8d702a4587805d8ea52"),
        ] {
            let digest = hash(&fixture(name)).unwrap().unwrap();
            let hex: String = digest.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{name}");
        }
        assert_eq!(hash(&fixture("ed25519")).unwrap(), None);
        assert_eq!(hash(&CertificateDer::from(vec![1, 2, 3])), Err(CertificateError::BadEncoding));
    }

    #[test]
    fn a_certificate_of_version_1_is_known_by_its_issuer() {
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let leaf = fixture("version-1");
        assert!(is_version_1(&leaf).unwrap());
        assert!(!is_version_1(&fixture("issuer")).unwrap());
        assert!(is_issued_by(&leaf, &fixture("issuer"), algorithms));
        assert!(!is_issued_by(&leaf, &fixture("ec-sha384"), algorithms));
        let mut forged = leaf.to_vec();
        *forged.last_mut().unwrap() ^= 1;
        assert!(!is_issued_by(&CertificateDer::from(forged), &fixture("issuer"), algorithms));
    }

    #[test]
    fn the_common_name_counts_where_there_is_no_other() {
        let leaf = fixture("version-1");
        assert!(common_name_is(&leaf, "one.DB.example"));
        assert!(!common_name_is(&leaf, "db.example"));
        assert!(!common_name_is(&leaf, "two.one.db.example"));
        assert!(common_name_is(&fixture("rsa-sha256"), "rsa-sha256"));
        for (pattern, host, expected) in
            [("*.com", "a.com", false), ("*.a.com", "b.a.com", true), ("*", "a", false)]
        {
            assert_eq!(matches_host(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn dates_are_checked() {
        let leaf = fixture("version-1");
        let at =
            |seconds| check_dates(&leaf, UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)));
        assert_eq!(at(1_000_000_000), Err(CertificateError::NotValidYet));
        assert_eq!(at(1_900_000_000), Ok(()));
        assert_eq!(at(9_000_000_000), Err(CertificateError::Expired));
    }
}
