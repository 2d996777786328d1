//! From a URL to a session: which host, which address, with or without TLS, in libpq's order. `Connection::open`
//! calls it. The TLS handshake is in `tls`, the login in `auth`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tailwater_core::error::Doing as _;
use tailwater_core::{Error, ErrorKind, Result};
use tailwater_transport::Transport;

use crate::auth;
use crate::connection::{Connection, Mode};
use crate::error;
use crate::tls;
use crate::url::{Host, SslMode, TargetSession, Url};

/// Opens a session to the first host that will do.
pub(crate) async fn open(url: &Url, mode: Mode) -> Result<Connection> {
    let passes: &[TargetSession] = match url.target {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        TargetSession::Any => &[TargetSession::Any],
        TargetSession::ReadWrite => &[TargetSession::ReadWrite],
        TargetSession::ReadOnly => &[TargetSession::ReadOnly],
        TargetSession::Primary => &[TargetSession::Primary],
        TargetSession::Standby => &[TargetSession::Standby],
    };
    let mut failures = Vec::new();
    for target in passes {
        for host in &url.hosts {
            match open_host(url, mode, host, *target).await {
                Ok(connection) => return Ok(connection),
                // A host that does not let us in is a mistake to be seen, not a host to be passed over.
                Err(error) if error.kind() != ErrorKind::Transient => return Err(error),
                Err(error) => failures.push(error),
            }
        }
    }
    Err(joined(failures))
}

/// One error out of those of several attempts, all of them transient.
fn joined(mut failures: Vec<Error>) -> Error {
    match (failures.pop(), failures.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            let mut messages: Vec<String> = failures.iter().map(Error::message).collect();
            messages.push(last.message());
            messages.dedup();
            Error::transient(last.code(), messages.join("; "))
        }
        (None, _) => Error::operator(error::BAD_URL, "the connection URL names no host"),
    }
}

/// Tries every address of one host.
async fn open_host(url: &Url, mode: Mode, host: &Host, target: TargetSession) -> Result<Connection> {
    let doing = || format!("connect to {host}");
    let mut failures = Vec::new();
    for address in in_time(url, addresses(host)).await.doing(doing)? {
        match open_address(url, mode, host, &address).await {
            Ok(connection) => return require(connection, target).await.doing(doing),
            Err(error) if error.kind() != ErrorKind::Transient => return Err(error.doing(doing())),
            Err(error) => failures.push(error.doing(doing())),
        }
    }
    Err(joined(failures))
}

/// Where a connection goes to.
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

async fn addresses(host: &Host) -> Result<Vec<Address>> {
    match host {
        Host::Unix { directory, port } => Ok(vec![Address::Unix(Host::socket_path(directory, *port))]),
        Host::Tcp { name, port } => {
            let found = tokio::net::lookup_host((name.as_str(), *port)).await;
            let found = found.map_err(|error| error::from_io(&error)).doing(|| "look up its name")?;
            Ok(found.map(Address::Tcp).collect())
        }
    }
}

/// Bounds one step by `connect_timeout`.
async fn in_time<T>(url: &Url, step: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(url.connect_timeout, Box::pin(step)).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let seconds = url.connect_timeout.as_secs();
            Err(Error::transient(error::UNREACHABLE, format!("no answer within {seconds} s")))
        }
    }
}

/// One way to secure a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Plain,
    TlsIfOffered,
    Tls,
}

/// The ways of an `sslmode`, in libpq's order: the second is tried where the server refuses the first.
fn ways(mode: SslMode) -> (Security, Option<Security>) {
    match mode {
        SslMode::Disable => (Security::Plain, None),
        SslMode::Allow => (Security::Plain, Some(Security::Tls)),
        SslMode::Prefer => (Security::TlsIfOffered, Some(Security::Plain)),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Security::Tls, None),
    }
}

async fn open_address(url: &Url, mode: Mode, host: &Host, address: &Address) -> Result<Connection> {
    let (first, second) = match address {
        Address::Unix(_) => (Security::Plain, None),
        Address::Tcp(_) => ways(url.ssl_mode),
    };
    let attempt = async |security| in_time(url, open_stream(url, mode, host, address, security)).await;
    let failure = match attempt(first).await {
        Ok(connection) => return Ok(connection),
        Err(failure) => failure,
    };
    // Only what the server refused is worth another way; a host that does not answer is not.
    let refused = failure.code() == error::LOGIN || failure.code() == error::TLS;
    match second {
        Some(second) if refused => attempt(second).await.map_err(|error| {
            let words = if second == Security::Tls { "with TLS" } else { "without TLS" };
            Error::new(
                error.kind(),
                error.code(),
                format!("{}; {words}: {}", failure.message(), error.message()),
            )
        }),
        Some(_) | None => Err(failure),
    }
}

async fn open_stream(
    url: &Url,
    mode: Mode,
    host: &Host,
    address: &Address,
    security: Security,
) -> Result<Connection> {
    let transport = match address {
        Address::Unix(path) => Transport::unix(path).await.map_err(|error| error::from_io(&error))?,
        Address::Tcp(address) => {
            let stream = Transport::tcp(*address).await.map_err(|error| error::from_io(&error))?;
            match (security, host) {
                (Security::Tls, Host::Tcp { name, .. }) => tls::start(stream, url, name, true).await?,
                (Security::TlsIfOffered, Host::Tcp { name, .. }) => {
                    tls::start(stream, url, name, false).await?
                }
                (Security::Plain, _) | (_, Host::Unix { .. }) => Transport::Tcp(stream),
            }
        }
    };
    let mut connection = Connection::new(transport);
    auth::log_in(&mut connection, url, mode).await?;
    pin_later_settings(&mut connection).await?;
    Ok(connection)
}

/// Limits that not every supported version knows cannot be part of the startup message.
async fn pin_later_settings(connection: &mut Connection) -> Result<()> {
    let version = connection.server_version();
    if version >= 140_000 {
        connection.query("SET idle_session_timeout = 0").await?;
    }
    if version >= 170_000 {
        connection.query("SET transaction_timeout = 0").await?;
    }
    Ok(())
}

/// Whether the server is what `target_session_attrs` asks for.
async fn require(mut connection: Connection, target: TargetSession) -> Result<Connection> {
    let (wanted, wrong) = match target {
        TargetSession::Any | TargetSession::PreferStandby => return Ok(connection),
        TargetSession::ReadWrite => (false, "it is read-only, and target_session_attrs=read-write"),
        TargetSession::ReadOnly => (true, "it accepts writes, and target_session_attrs=read-only"),
        TargetSession::Primary => (false, "it is a standby, and target_session_attrs=primary"),
        TargetSession::Standby => (true, "it is no standby, and target_session_attrs=standby"),
    };
    let sql = match target {
        TargetSession::Primary | TargetSession::Standby => "SELECT pg_is_in_recovery()",
        TargetSession::Any
        | TargetSession::PreferStandby
        | TargetSession::ReadWrite
        | TargetSession::ReadOnly => {
            "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool"
        }
    };
    let rows = connection.query(sql).await?;
    let is = rows.first().and_then(|row| row.first()).and_then(Option::as_deref) == Some("t");
    if is == wanted {
        return Ok(connection);
    }
    if let Err(error) = connection.finish().await {
        tracing::debug!(%error, "a server that will not do is left");
    }
    Err(Error::transient(error::WRONG_ROLE, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_stays_as_it_is_and_several_are_named_together() {
        let one = || Error::transient(error::UNREACHABLE, "refused").doing("connect to a:1");
        let two = || Error::transient(error::WRONG_ROLE, "read-only").doing("connect to b:1");
        assert_eq!(joined(vec![one()]).to_string(), "connect to a:1: refused [TW-PG-002]");
        assert_eq!(
            joined(vec![one(), two()]).to_string(),
            "connect to a:1: refused; connect to b:1: read-only [TW-PG-005]"
        );
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_says_nothing_is_left_after_the_timeout() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://u@{}/d?connect_timeout=1", listener.local_addr().unwrap());
        let error = open(&url.parse().unwrap(), Mode::Sql).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (error::UNREACHABLE, ErrorKind::Transient));
        assert!(error.to_string().contains("no answer within 1 s"), "{error}");
    }

    /// One answer to the request for TLS, and what comes of it.
    async fn after(answer: &[u8]) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("postgres://u@{}/d?sslmode=require", listener.local_addr().unwrap()).parse().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
            stream.write_all(answer).await.unwrap();
            stream
        };
        let (opened, _stream) = tokio::join!(open(&url, Mode::Sql), server);
        opened.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn only_the_one_byte_of_postgres_answers_the_request_for_tls() {
        for (answer, expected) in [
            (&b"N"[..], "the server does not offer TLS [TW-PG-003]"),
            // Injected before the handshake, it would otherwise be taken for something the server said inside it.
            (
                b"SE\0\0\0\x09M!\0\0",
                "bytes in clear text follow the answer to the request for TLS [TW-PG-006]",
            ),
            (b"E\0\0\0\x05\0", "the server answers the request for TLS with an error [TW-PG-006]"),
            (b"HTTP/1.1 400\r\n", "the answer to the request for TLS is not one of Postgres [TW-PG-006]"),
        ] {
            let error = after(answer).await;
            assert!(error.contains(expected), "{error}");
        }
    }
}
