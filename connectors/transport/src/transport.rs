//! The byte stream under a session: TCP, TCP with TLS, or a Unix socket. Made by `connect`, read and written by
//! `connection`, of each connector.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::pace;
use crate::socket;

/// One open stream.
#[derive(Debug)]
pub enum Transport {
    /// Without encryption.
    Tcp(TcpStream),
    /// With it.
    Tls(Box<TlsStream<TcpStream>>),
    /// On this machine.
    Unix(UnixStream),
}

impl Transport {
    /// A TCP connection that notices within a minute that its peer is gone.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
        socket::open(address).await
    }

    /// A connection over a Unix socket.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::Unix)
    }

    /// Whether nobody between the two ends can read along: decides whether a password may be sent as it is.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Unix(_) => true,
            Self::Tcp(_) => false,
        }
    }

    /// For how long it may be left alone without stopping the server, mostly. See [`pace`].
    #[must_use]
    pub fn nap(&self) -> Duration {
        match self {
            Self::Tcp(_) | Self::Tls(_) => pace::TCP_NAP,
            Self::Unix(_) => pace::UNIX_NAP,
        }
    }
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Self::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
            Self::Unix($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(context, into))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(context))
    }
}
