//! From a URL to a session: which address, with or without TLS, and the login. `Connection::open` calls it. What the
//! authentication plugins are answered is in `auth`.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::BufMut as _;
use tailwater_core::error::Doing as _;
use tailwater_core::{Error, ErrorKind, Result};
use tailwater_transport::Transport;
use tailwater_transport::tls::{Names, Prepared, Roots, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::auth::{Plugin, Proof};
use crate::connection::Connection;
use crate::error;
use crate::greeting::{self, Greeting};
use crate::url::{Host, Password, SslMode, Url};
use crate::wire;

/// Opens a session to the first address that will do.
pub(crate) async fn open(url: &Url) -> Result<Connection> {
    let doing = || format!("connect to {}", url.host);
    let mut failure = None;
    for address in in_time(url, addresses(&url.host)).await.doing(doing)? {
        match in_time(url, open_address(url, &address)).await {
            Ok(connection) => return Ok(connection),
            Err(error) if error.kind() != ErrorKind::Transient => return Err(error.doing(doing())),
            Err(error) => failure = Some(error.doing(doing())),
        }
    }
    Err(failure
        .unwrap_or_else(|| Error::transient(error::UNREACHABLE, "its name has no address").doing(doing())))
}

/// Where a connection goes to.
enum Address {
    Tcp { name: String, address: SocketAddr },
    Unix(PathBuf),
}

async fn addresses(host: &Host) -> Result<Vec<Address>> {
    match host {
        Host::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
        Host::Tcp { name, port } => {
            let found = tokio::net::lookup_host((name.as_str(), *port)).await;
            let found = found.map_err(|error| error::from_io(&error)).doing(|| "look up its name")?;
            Ok(found.map(|address| Address::Tcp { name: name.clone(), address }).collect())
        }
    }
}

/// Bounds one step by `connect-timeout`.
async fn in_time<T>(url: &Url, step: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(url.connect_timeout, Box::pin(step)).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let seconds = url.connect_timeout.as_secs();
            Err(Error::transient(error::UNREACHABLE, format!("no answer within {seconds} s")))
        }
    }
}

async fn open_address(url: &Url, address: &Address) -> Result<Connection> {
    let io = |error| error::from_io(&error);
    let (mut connection, greeting) = match address {
        Address::Unix(path) => {
            let mut transport = Transport::unix(path).await.map_err(io)?;
            let greeting = greeted(&mut transport).await?;
            (Connection::new(transport, 1), greeting)
        }
        Address::Tcp { name, address } => {
            // Before the first byte is sent: a mistake in a certificate file needs no server.
            let prepared = match url.ssl_mode {
                SslMode::Disabled => None,
                SslMode::Preferred | SslMode::Required | SslMode::VerifyCa | SslMode::VerifyIdentity => {
                    Some(settings(url).prepare(name)?)
                }
            };
            let mut transport = Transport::Tcp(Transport::tcp(*address).await.map_err(io)?);
            let greeting = greeted(&mut transport).await?;
            secured(url, transport, greeting, prepared).await?
        }
    };
    log_in(&mut connection, url, &greeting).await?;
    connection.describe(&greeting);
    connection.pin_settings().await.doing(|| "set up the session")?;
    Ok(connection)
}

/// Reads the server's greeting and not one byte more: what follows may belong to TLS.
async fn greeted(transport: &mut Transport) -> Result<Greeting> {
    let io = |error| error::from_io(&error);
    let mut header = [0; 4];
    transport.read_exact(&mut header).await.map_err(io)?;
    let [low, middle, high, sequence] = header;
    if high != 0 || sequence != 0 {
        return Err(error::protocol("the first bytes are not those of a MySQL server"));
    }
    let mut body = vec![0; usize::from(u16::from_le_bytes([low, middle]))];
    transport.read_exact(&mut body).await.map_err(io)?;
    match body.first() {
        Some(0xff) => Err(error::from_server(&body)),
        Some(_) | None => Greeting::read(&body),
    }
}

/// Starts TLS where the mode and the server want it.
async fn secured(
    url: &Url,
    transport: Transport,
    greeting: Greeting,
    prepared: Option<Prepared>,
) -> Result<(Connection, Greeting)> {
    let offered = greeting.has(greeting::SSL);
    match (transport, prepared) {
        (Transport::Tcp(stream), Some(prepared)) if offered => {
            let stream = start_tls(stream, url, &greeting, prepared).await?;
            Ok((Connection::new(stream, 2), greeting))
        }
        (_, Some(_)) if url.ssl_mode != SslMode::Preferred => {
            Err(Error::operator(error::TLS, "the server does not offer TLS").remedy(
                "on the server: ssl_cert and ssl_key in its configuration; or ssl-mode=DISABLED in the URL",
            ))
        }
        (transport, Some(_) | None) => Ok((Connection::new(transport, 1), greeting)),
    }
}

async fn start_tls(
    mut stream: TcpStream,
    url: &Url,
    greeting: &Greeting,
    prepared: Prepared,
) -> Result<Transport> {
    let mut packet = Vec::new();
    wire::encode(&opening(url, greeting, true), 1, &mut packet);
    stream.write_all(&packet).await.map_err(|error| error::from_io(&error))?;
    let stream =
        prepared.start(stream).await.map_err(|error| error::from_io(&error)).doing(|| "start TLS")?;
    Ok(Transport::Tls(stream))
}

fn settings(url: &Url) -> Settings {
    let roots = match (&url.ssl_ca, url.ssl_mode) {
        (_, SslMode::Disabled | SslMode::Preferred | SslMode::Required) => Roots::Any,
        (Some(path), SslMode::VerifyCa | SslMode::VerifyIdentity) => Roots::File(path.clone()),
        (None, SslMode::VerifyCa | SslMode::VerifyIdentity) => Roots::System,
    };
    Settings {
        code: error::TLS,
        names: Names { roots: "ssl-ca", certificate: "ssl-cert", key: "ssl-key" },
        roots,
        check_name: url.ssl_mode == SslMode::VerifyIdentity,
        client: url.ssl_cert.clone().zip(url.ssl_key.clone()),
        alpn: None,
    }
}

/// The largest packet that the client takes: 1 GiB, so that no event is too long.
const PACKET_BYTES_MAX: u32 = 1 << 30;

/// utf8mb4_general_ci, which every version knows.
const COLLATION: u8 = 45;

/// The beginning of the answer to the greeting, which is also the request for TLS.
fn opening(url: &Url, greeting: &Greeting, tls: bool) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u32_le(capabilities(url, greeting, tls));
    body.put_u32_le(PACKET_BYTES_MAX);
    body.put_u8(COLLATION);
    body.put_bytes(0, 23);
    body
}

fn capabilities(url: &Url, greeting: &Greeting, tls: bool) -> u32 {
    let mut wanted = greeting::ALWAYS | (greeting.capabilities & greeting::WHERE_OFFERED);
    if url.database.is_some() {
        wanted |= greeting::CONNECT_WITH_DB;
    }
    if tls {
        wanted |= greeting::SSL;
    }
    wanted
}

async fn log_in(connection: &mut Connection, url: &Url, greeting: &Greeting) -> Result<()> {
    let private = connection.transport().is_private();
    let tls = matches!(connection.transport(), Transport::Tls(_));
    let mut proof = Proof {
        // A plugin that is not known here: the server says which one the account has.
        plugin: Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native),
        nonce: greeting.nonce.clone(),
        password: url.password.as_ref().map_or("", Password::reveal),
        private,
        tls,
        key: read_key(url).await?,
    };
    // What the server prefers need not be what the account has: the password itself waits until it is asked for.
    if matches!(proof.plugin, Plugin::Clear | Plugin::Sha256) {
        proof.plugin = Plugin::Native;
    }
    let mut body = opening(url, greeting, tls);
    put_text(&mut body, &url.user);
    let answer = proof.first()?;
    body.put_u8(u8::try_from(answer.len()).unwrap_or_default());
    body.put_slice(&answer);
    if let Some(database) = &url.database {
        put_text(&mut body, database);
    }
    put_text(&mut body, proof.plugin.name());
    if greeting.has(greeting::CONNECT_ATTRS) {
        let pairs: &[u8] = b"\x0cprogram_name\x09tailwater";
        body.put_u8(u8::try_from(pairs.len()).unwrap_or_default());
        body.put_slice(pairs);
    }
    connection.send(&body).await?;
    loop {
        let place = connection.receive().await?;
        let said = connection.body(place);
        let answer = match said.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, _)) => return Err(error::from_server(said)),
            Some((0x01, more)) => proof.next(more)?,
            Some((0xfe, request)) => {
                switch(&mut proof, request)?;
                Some(proof.first()?)
            }
            Some(_) | None => return Err(error::protocol("an answer to the login is not understood")),
        };
        if let Some(answer) = answer {
            connection.send(&answer).await?;
        }
    }
}

/// The account has another plugin: its name, a NUL, and a new nonce.
fn switch(proof: &mut Proof<'_>, request: &[u8]) -> Result<()> {
    let mut parts = request.splitn(2, |byte| *byte == 0);
    let name = parts.next().unwrap_or_default();
    let nonce = parts.next().unwrap_or_default();
    let Some(plugin) = Plugin::named(name) else {
        let name = if name.is_empty() { "mysql_old_password".into() } else { String::from_utf8_lossy(name) };
        let message = format!("the account logs in by {name}, which is not known here");
        return Err(Error::operator(error::LOGIN, message).remedy(
            "an account with mysql_native_password, caching_sha2_password, sha256_password or ed25519",
        ));
    };
    proof.plugin = plugin;
    proof.nonce = nonce.strip_suffix(&[0]).unwrap_or(nonce).to_vec();
    Ok(())
}

async fn read_key(url: &Url) -> Result<Option<Vec<u8>>> {
    let Some(path) = &url.server_public_key else { return Ok(None) };
    match tokio::fs::read(path).await {
        Ok(key) => Ok(Some(key)),
        Err(error) => {
            Err(Error::operator(error::LOGIN, format!("server-public-key-path {}: {error}", path.display())))
        }
    }
}

fn put_text(into: &mut Vec<u8>, text: &str) {
    into.put_slice(text.as_bytes());
    into.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a server that begins with these bytes.
    async fn after(bytes: &[u8]) -> Error {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("mysql://u@{}/?ssl-mode=REQUIRED&connect-timeout=1", listener.local_addr().unwrap());
        let url = url.parse().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        };
        let (opened, _stream) = tokio::join!(open(&url), server);
        opened.unwrap_err()
    }

    #[tokio::test]
    async fn a_server_that_is_none_of_ours_is_named() {
        for (bytes, code, expected) in [
            (&b""[..], error::UNREACHABLE, "no answer within 1 s"),
            (b"HTTP/1.1 400\r\n", error::PROTOCOL, "not those of a MySQL server"),
            (b"\x01\0\0\0\x09", error::PROTOCOL, "protocol 9"),
            (b"\x20\0\0\0\xff\x10\x04Too many", error::UNREACHABLE, "no answer"),
            (b"\x0b\0\0\0\xff\x10\x04Too many", error::UNAVAILABLE, "Too many (error 1040)"),
        ] {
            let error = after(bytes).await;
            assert!(error.code() == code && error.to_string().contains(expected), "{error}");
        }
    }
}
