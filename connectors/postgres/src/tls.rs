//! TLS as libpq's `sslmode` means it, over rustls with its own instance of the ring provider: nothing is installed
//! for the whole process. `connect` starts it. Not here: which mode is tried when, and channel binding (`endpoint`).

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InconsistentKeys, RootCertStore, SignatureScheme,
};
use tailwater_core::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::endpoint;
use crate::error;
use crate::transport::Transport;
use crate::url::{RootCert, SslMode, SslNegotiation, Url};

/// What a client that speaks Postgres inside TLS names itself; obligatory with direct negotiation.
const ALPN: &[u8] = b"postgresql";

/// Starts TLS with the server called `name`. Without TLS on offer: the stream as it was, or an error if `required`.
pub(crate) async fn start(mut stream: TcpStream, url: &Url, name: &str, required: bool) -> Result<Transport> {
    // Before the first byte is sent: a mistake in a certificate file needs no server.
    let config = configuration(url)?;
    let server_name = ServerName::try_from(name.to_owned())
        .map_err(|error| refused(format!("`{name}` cannot be checked against a certificate: {error}")))?;
    if url.ssl_negotiation == SslNegotiation::Postgres && !offered(&mut stream).await? {
        return match required {
            false => Ok(Transport::Tcp(stream)),
            true => Err(refused("the server does not offer TLS").remedy(
                "on the server: ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf(); or sslmode=disable in the URL",
            )),
        };
    }
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(server_name, stream).await.map_err(|error| error::from_io(&error))?;
    if url.ssl_negotiation == SslNegotiation::Direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(refused("the server does not take part in direct TLS").remedy("sslnegotiation=postgres"));
    }
    Ok(Transport::Tls(Box::new(stream)))
}

/// Asks the server for TLS.
async fn offered(stream: &mut TcpStream) -> Result<bool> {
    let mut request = bytes::BytesMut::new();
    postgres_protocol::message::frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(|error| error::from_io(&error))?;
    let mut answer = [0; 16];
    let count = stream.read(&mut answer).await.map_err(|error| error::from_io(&error))?;
    match answer.get(..count).unwrap_or_default() {
        [b'S'] => Ok(true),
        [b'N'] => Ok(false),
        [] => Err(error::ended()),
        [b'E', ..] => Err(error::protocol("the server answers the request for TLS with an error")),
        // Bytes sent in clear text before the handshake could be somebody else's (CVE-2021-23222).
        [b'S' | b'N', ..] => {
            Err(error::protocol("bytes in clear text follow the answer to the request for TLS"))
        }
        [_, ..] => Err(error::protocol("the answer to the request for TLS is not one of Postgres")),
    }
}

fn configuration(url: &Url) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        trusted: trusted(url)?,
        check_name: url.ssl_mode == SslMode::VerifyFull,
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client_certificate(url, &provider)? {
        Some(key) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// What the server's certificate must lead to; `None`: anything will do.
///
/// As in libpq, root certificates are used in every mode where they are given, which makes `require` with them
/// the same as `verify-ca`. Unlike libpq, a file that is named must exist in every mode, and `verify-full` without
/// one trusts what the operating system trusts.
fn trusted(url: &Url) -> Result<Option<Trusted>> {
    let file = match &url.ssl_root_cert {
        Some(RootCert::System) => return Trusted::system().map(Some),
        Some(RootCert::File(path)) => Some(path.clone()),
        None => in_home("root.crt"),
    };
    match (file, url.ssl_mode) {
        (Some(path), _) => Trusted::file(&path).map(Some),
        (None, SslMode::VerifyFull) => Trusted::system().map(Some),
        (None, SslMode::VerifyCa) => Err(refused("sslmode=verify-ca needs the certificates to trust")
            .remedy("sslrootcert=FILE.pem in the URL, or sslmode=verify-full")),
        (None, SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require) => Ok(None),
    }
}

/// A file of libpq's own directory, where it exists.
fn in_home(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".postgresql").join(name);
    path.exists().then_some(path)
}

fn client_certificate(url: &Url, provider: &CryptoProvider) -> Result<Option<CertifiedKey>> {
    let (chain, key) = match (&url.ssl_cert, &url.ssl_key) {
        (Some(chain), Some(key)) => (chain.clone(), key.clone()),
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            let Some((chain, key)) = in_home("postgresql.crt").zip(in_home("postgresql.key")) else {
                return Ok(None);
            };
            (chain, key)
        }
    };
    check_key_is_secret(&key)?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable("sslkey", &key, &error))?;
    let private = provider.key_provider.load_private_key(private);
    let private = private.map_err(|error| unreadable("sslkey", &key, &error))?;
    let pair = CertifiedKey::new(certificates("sslcert", &chain)?, private);
    // Version 1 certificates cannot be compared here; the server does.
    if let Err(error @ rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = pair.keys_match() {
        return Err(refused(format!("sslcert and sslkey do not go together: {error}")));
    }
    Ok(Some(pair))
}

/// libpq's rule: nobody but the owner may read the key; a group may where it belongs to root.
fn check_key_is_secret(key: &Path) -> Result<()> {
    let metadata = std::fs::metadata(key).map_err(|error| unreadable("sslkey", key, &error))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(refused(format!("sslkey {} can be read by others", key.display()))
            .remedy(format!("chmod 600 {}", key.display())));
    }
    Ok(())
}

fn certificates(parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unreadable(parameter, path, &error))?;
    match found.is_empty() {
        true => Err(refused(format!("{parameter} {} holds no certificate", path.display()))),
        false => Ok(found),
    }
}

/// Certificates that are trusted: as issuers, or as they are.
#[derive(Debug)]
struct Trusted {
    roots: Arc<RootCertStore>,
    /// A certificate named in `sslrootcert` is trusted itself too, as OpenSSL does with a self-signed one.
    exact: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn file(path: &Path) -> Result<Self> {
        let exact = certificates("sslrootcert", path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &exact {
            roots.add(certificate.clone()).map_err(|error| unreadable("sslrootcert", path, &error))?;
        }
        Ok(Self { roots: Arc::new(roots), exact })
    }

    fn system() -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted certificate of the operating system is left out");
        }
        roots.add_parsable_certificates(found.certs);
        match roots.is_empty() {
            true => Err(refused("the operating system has no trusted certificates")
                .remedy("apt-get install ca-certificates, or sslrootcert=FILE.pem in the URL")),
            false => Ok(Self { roots: Arc::new(roots), exact: Vec::new() }),
        }
    }
}

/// Checks as much of the server's certificate as the mode asks for, and always the signature of the handshake.
#[derive(Debug)]
struct Verifier {
    trusted: Option<Trusted>,
    check_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// What the manual of Postgres teaches to make with openssl is often of X.509 version 1, which rustls does not
    /// know: such a certificate must be trusted itself, or issued directly by one that is.
    fn verify_version_1(
        &self,
        trusted: &Trusted,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        endpoint::check_dates(certificate, now)?;
        let mut issuers = trusted.exact.iter().filter(|issuer| endpoint::check_dates(issuer, now).is_ok());
        if !issuers.any(|issuer| {
            issuer == certificate || endpoint::is_issued_by(certificate, issuer, self.algorithms.all)
        }) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        if self.check_name && !endpoint::common_name_is(certificate, &name.to_str()) {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        if endpoint::is_version_1(certificate)? {
            return self.verify_version_1(trusted, certificate, name, now);
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        if trusted.exact.contains(certificate) {
            endpoint::check_dates(certificate, now)?;
        } else {
            let (roots, algorithms) = (&trusted.roots, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        }
        if self.check_name {
            match verify_server_name(&parsed, name) {
                Ok(()) => {}
                // As libpq: the common name counts where the certificate has no alternative names at all.
                Err(_) if endpoint::common_name_is(certificate, &name.to_str()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if endpoint::is_version_1(certificate)? {
            let key = endpoint::public_key(certificate)?;
            return verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms);
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The hash that binds a login to this connection; `None` without TLS, or where none is defined.
pub(crate) fn server_end_point(transport: &Transport) -> Result<Option<Vec<u8>>> {
    match transport {
        Transport::Tcp(_) | Transport::Unix(_) => Ok(None),
        Transport::Tls(stream) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let certificate = certificate.ok_or_else(|| refused("the server shows no certificate"))?;
            endpoint::hash(certificate).map_err(|error| refused(certificate_error(&error)))
        }
    }
}

fn certificate_error(error: &CertificateError) -> String {
    format!("the certificate of the server: {error}")
}

fn unreadable(parameter: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    refused(format!("{parameter} {}: {error}", path.display()))
}

fn refused(message: impl Into<String>) -> Error {
    Error::operator(error::TLS, message).doing("start TLS")
}
