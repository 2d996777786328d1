//! TLS over rustls with its own instance of the ring provider: nothing is installed for the whole process. The
//! connectors' `tls` say what is trusted; here is how that is checked. Not here: when TLS starts in a protocol, and
//! channel binding (`endpoint`).

use std::io;
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
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::endpoint;

/// What a connector asks of TLS.
#[derive(Debug)]
pub struct Settings {
    /// The code of every error.
    pub code: &'static str,
    /// What the URL calls the files, for error messages.
    pub names: Names,
    /// What the server's certificate must lead to.
    pub roots: Roots,
    /// Whether it must name the host.
    pub check_name: bool,
    /// The client's certificate chain and its key, two PEM files.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The protocol that the client names.
    pub alpn: Option<&'static [u8]>,
}

/// The parameters of a URL that name files.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Root certificates.
    pub roots: &'static str,
    /// The client's certificate.
    pub certificate: &'static str,
    /// Its key.
    pub key: &'static str,
}

/// The certificates that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Any that the server shows.
    Any,
    /// Those that the operating system trusts.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// Everything for a handshake with one server, all files read.
#[derive(Debug)]
pub struct Prepared {
    config: ClientConfig,
    name: ServerName<'static>,
}

impl Prepared {
    /// Starts TLS.
    ///
    /// # Errors
    /// Of the socket; where TLS itself fails, [`lasting`] tells what of.
    pub async fn start(self, stream: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.config));
        connector.connect(self.name, stream).await.map(Box::new)
    }
}

impl Settings {
    /// Reads the files and prepares TLS with the server called `name`.
    ///
    /// # Errors
    /// `Operator`: a file cannot be read, or is not what it should be.
    pub fn prepare(&self, name: &str) -> Result<Prepared> {
        let config = self.configuration()?;
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            self.refused(format!("`{name}` cannot be checked against a certificate: {error}"))
        })?;
        Ok(Prepared { config, name })
    }

    fn configuration(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let trusted = match &self.roots {
            Roots::Any => None,
            Roots::System => Some(self.system()?),
            Roots::File(path) => Some(self.file(path)?),
        };
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier { trusted, check_name: self.check_name, algorithms };
        let config = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.refused(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.client_certificate(&provider)? {
            Some(key) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }

    fn client_certificate(&self, provider: &CryptoProvider) -> Result<Option<CertifiedKey>> {
        let Some((chain, key)) = &self.client else { return Ok(None) };
        self.check_key_is_secret(key)?;
        let names = self.names;
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| self.unreadable(names.key, key, &error))?;
        let private = provider.key_provider.load_private_key(private);
        let private = private.map_err(|error| self.unreadable(names.key, key, &error))?;
        let pair = CertifiedKey::new(self.certificates(names.certificate, chain)?, private);
        // Version 1 certificates cannot be compared here; the server does.
        if let Err(error @ rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = pair.keys_match()
        {
            let (certificate, key) = (names.certificate, names.key);
            return Err(self.refused(format!("{certificate} and {key} do not go together: {error}")));
        }
        Ok(Some(pair))
    }

    /// libpq's rule: nobody but the owner may read the key; a group may where it belongs to root.
    fn check_key_is_secret(&self, key: &Path) -> Result<()> {
        let name = self.names.key;
        let metadata = std::fs::metadata(key).map_err(|error| self.unreadable(name, key, &error))?;
        let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        if metadata.mode() & forbidden != 0 {
            return Err(self
                .refused(format!("{name} {} can be read by others", key.display()))
                .remedy(format!("chmod 600 {}", key.display())));
        }
        Ok(())
    }

    fn certificates(&self, parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let found = read.map_err(|error| self.unreadable(parameter, path, &error))?;
        match found.is_empty() {
            true => Err(self.refused(format!("{parameter} {} holds no certificate", path.display()))),
            false => Ok(found),
        }
    }

    fn file(&self, path: &Path) -> Result<Trusted> {
        let name = self.names.roots;
        let exact = self.certificates(name, path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &exact {
            roots.add(certificate.clone()).map_err(|error| self.unreadable(name, path, &error))?;
        }
        Ok(Trusted { roots: Arc::new(roots), exact })
    }

    fn system(&self) -> Result<Trusted> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted certificate of the operating system is left out");
        }
        roots.add_parsable_certificates(found.certs);
        match roots.is_empty() {
            true => Err(self.refused("the operating system has no trusted certificates").remedy(format!(
                "apt-get install ca-certificates, or {}=FILE.pem in the URL",
                self.names.roots
            ))),
            false => Ok(Trusted { roots: Arc::new(roots), exact: Vec::new() }),
        }
    }

    fn unreadable(&self, parameter: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
        self.refused(format!("{parameter} {}: {error}", path.display()))
    }

    fn refused(&self, message: impl Into<String>) -> Error {
        Error::operator(self.code, message).doing("start TLS")
    }
}

/// Certificates that are trusted: as issuers, or as they are.
#[derive(Debug)]
struct Trusted {
    roots: Arc<RootCertStore>,
    /// A certificate that is named is trusted itself too, as OpenSSL does with a self-signed one.
    exact: Vec<CertificateDer<'static>>,
}

/// Checks as much of the server's certificate as is asked for, and always the signature of the handshake.
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

/// The failure of TLS in an error of the socket, if it comes from the certificates or settings of one side, and not
/// from the network.
#[must_use]
pub fn lasting(error: &io::Error) -> Option<&rustls::Error> {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.filter(|error| is_lasting(error))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "two foreign enums that grow; what is not known passes")]
fn is_lasting(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::UnsupportedNameType
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::NoApplicationProtocol => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            Alert::HandshakeFailure
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::ProtocolVersion
                | Alert::InsufficientSecurity
                | Alert::UnrecognisedName
                | Alert::CertificateRequired
                | Alert::NoApplicationProtocol
        ),
        _ => false,
    }
}
