//! TLS as libpq's `sslmode` means it, over `tailwater_transport`. `connect` starts it. Not here: which mode is tried
//! when, how certificates are checked, and the hash of channel binding (`tailwater_transport::endpoint`).

use std::path::PathBuf;

use tailwater_core::{Error, Result};
use tailwater_transport::Transport;
use tailwater_transport::endpoint;
use tailwater_transport::tls::{Names, Roots, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error;
use crate::url::{RootCert, SslMode, SslNegotiation, Url};

/// What a client that speaks Postgres inside TLS names itself; obligatory with direct negotiation.
const ALPN: &[u8] = b"postgresql";

/// Starts TLS with the server called `name`. Without TLS on offer: the stream as it was, or an error if `required`.
pub(crate) async fn start(mut stream: TcpStream, url: &Url, name: &str, required: bool) -> Result<Transport> {
    // Before the first byte is sent: a mistake in a certificate file needs no server.
    let prepared = settings(url)?.prepare(name)?;
    if url.ssl_negotiation == SslNegotiation::Postgres && !offered(&mut stream).await? {
        return match required {
            false => Ok(Transport::Tcp(stream)),
            true => Err(refused("the server does not offer TLS").remedy(
                "on the server: ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf(); or sslmode=disable in the URL",
            )),
        };
    }
    let stream = prepared.start(stream).await.map_err(|error| error::from_io(&error))?;
    if url.ssl_negotiation == SslNegotiation::Direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(refused("the server does not take part in direct TLS").remedy("sslnegotiation=postgres"));
    }
    Ok(Transport::Tls(stream))
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

fn settings(url: &Url) -> Result<Settings> {
    let client = url.ssl_cert.clone().zip(url.ssl_key.clone());
    Ok(Settings {
        code: error::TLS,
        names: Names { roots: "sslrootcert", certificate: "sslcert", key: "sslkey" },
        roots: roots(url)?,
        check_name: url.ssl_mode == SslMode::VerifyFull,
        client: client.or_else(|| in_home("postgresql.crt").zip(in_home("postgresql.key"))),
        alpn: Some(ALPN),
    })
}

/// What the server's certificate must lead to.
///
/// As in libpq, root certificates are used in every mode where they are given, which makes `require` with them
/// the same as `verify-ca`. Unlike libpq, a file that is named must exist in every mode, and `verify-full` without
/// one trusts what the operating system trusts.
fn roots(url: &Url) -> Result<Roots> {
    let file = match &url.ssl_root_cert {
        Some(RootCert::System) => return Ok(Roots::System),
        Some(RootCert::File(path)) => Some(path.clone()),
        None => in_home("root.crt"),
    };
    match (file, url.ssl_mode) {
        (Some(path), _) => Ok(Roots::File(path)),
        (None, SslMode::VerifyFull) => Ok(Roots::System),
        (None, SslMode::VerifyCa) => Err(refused("sslmode=verify-ca needs the certificates to trust")
            .remedy("sslrootcert=FILE.pem in the URL, or sslmode=verify-full")),
        (None, SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require) => Ok(Roots::Any),
    }
}

/// A file of libpq's own directory, where it exists.
fn in_home(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".postgresql").join(name);
    path.exists().then_some(path)
}

/// The hash that binds a login to this connection; `None` without TLS, or where none is defined.
pub(crate) fn server_end_point(transport: &Transport) -> Result<Option<Vec<u8>>> {
    match transport {
        Transport::Tcp(_) | Transport::Unix(_) => Ok(None),
        Transport::Tls(stream) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let certificate = certificate.ok_or_else(|| refused("the server shows no certificate"))?;
            endpoint::hash(certificate)
                .map_err(|error| refused(format!("the certificate of the server: {error}")))
        }
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::operator(error::TLS, message).doing("start TLS")
}
