//! A TCP proxy that misbehaves on demand: cuts after so many bytes, stalls, delivers byte by byte. It stands between
//! the connector and its server, and counts what passes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Random;

/// A running proxy. Dropping it cuts what goes through it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _acceptor: JoinSet<()>,
}

struct Shared {
    target: String,
    refuses: AtomicBool,
    connections: AtomicU64,
    to_client: AtomicU64,
    to_server: AtomicU64,
    /// Bytes that may still pass to the client before everything is cut.
    cut_after: Mutex<Option<u64>>,
    split: Mutex<Option<Random>>,
    stalled: watch::Sender<bool>,
    /// Counted up to cut all connections.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Listens on loopback, and passes every connection on to `target` (`host:port`).
    pub async fn start(target: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: target.into(),
            refuses: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            to_server: AtomicU64::new(0),
            cut_after: Mutex::new(None),
            split: Mutex::new(None),
            stalled: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
        });
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _acceptor: acceptor }
    }

    /// Where it listens, `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How to reach a database of the server behind it, as superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}?sslmode=disable", self.address)
    }

    /// Cuts all connections now.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts all connections, once, when this many more bytes have gone to the client.
    pub fn cut_after(&self, bytes: u64) {
        *self.shared.cut_after.lock().unwrap() = Some(bytes);
    }

    /// Whether the cut that was asked for is still to come.
    #[must_use]
    pub fn will_cut(&self) -> bool {
        self.shared.cut_after.lock().unwrap().is_some()
    }

    /// Takes new connections and closes them at once, or no longer does so.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Lets nothing pass in either direction, without closing anything, or lets it pass again.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    /// From now on delivers pieces of 1 to 7 bytes, the same for the same seed.
    pub fn split(&self, seed: u64) {
        *self.shared.split.lock().unwrap() = Some(Random::new(seed));
    }

    /// Delivers as it comes again.
    pub fn join(&self) {
        *self.shared.split.lock().unwrap() = None;
    }

    /// Connections taken so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Bytes gone to the client so far.
    #[must_use]
    pub fn to_client(&self) -> u64 {
        self.shared.to_client.load(Ordering::Relaxed)
    }

    /// Bytes gone to the server so far.
    #[must_use]
    pub fn to_server(&self) -> u64 {
        self.shared.to_server.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        if !shared.refuses.load(Ordering::Relaxed) {
            connections.spawn(carry(client, Arc::clone(&shared)));
        }
    }
}

/// Carries one connection until either side closes it or it is cut.
async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let Ok(server) = TcpStream::connect(&shared.target).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        _ = cuts.changed() => {}
        () = pump(from_client, to_server, &shared, Direction::ToServer) => {}
        () = pump(from_server, to_client, &shared, Direction::ToClient) => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, direction: Direction) {
    let mut buffer = vec![0; 64 << 10];
    let mut stalled = shared.stalled.subscribe();
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        let (allowed, cut) = match direction {
            Direction::ToServer => (length, false),
            Direction::ToClient => shared.allow(length),
        };
        if deliver(&buffer[..allowed], &mut to, shared, direction).await.is_err() {
            return;
        }
        if cut {
            shared.cuts.send_modify(|cuts| *cuts += 1);
            return;
        }
    }
}

async fn deliver(
    mut bytes: &[u8],
    to: &mut OwnedWriteHalf,
    shared: &Shared,
    direction: Direction,
) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let piece = match &mut *shared.split.lock().unwrap() {
            Some(random) => usize::try_from(random.within(1..8)).unwrap().min(bytes.len()),
            None => bytes.len(),
        };
        let (now, later) = bytes.split_at(piece);
        to.write_all(now).await?;
        let counter = match direction {
            Direction::ToServer => &shared.to_server,
            Direction::ToClient => &shared.to_client,
        };
        counter.fetch_add(piece as u64, Ordering::Relaxed);
        bytes = later;
        // So that the reader has a chance to see the piece alone.
        tokio::task::yield_now().await;
    }
    Ok(())
}

impl Shared {
    /// How many of `length` bytes may pass to the client, and whether to cut after them.
    fn allow(&self, length: usize) -> (usize, bool) {
        let mut limit = self.cut_after.lock().unwrap();
        match *limit {
            None => (length, false),
            Some(left) if left > length as u64 => {
                *limit = Some(left - length as u64);
                (length, false)
            }
            Some(left) => {
                *limit = None;
                (usize::try_from(left).unwrap(), true)
            }
        }
    }
}
