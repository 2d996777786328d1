//! The end of the query socket in the process that has the file open: one thread that accepts, and for each client one
//! that answers and one that notices when the client goes away.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tailwater_core::{Error, Result};

use super::wire::{self, Failure, Reply, Request};
use super::{answer_read, socket_path, trouble};
use crate::database::{Database, Interrupter};
use crate::error::TROUBLE_WITH_SOCKET;

/// Queries that are answered at once; one holds a connection and a share of the memory limit.
const CLIENTS_MAX: usize = 8;
/// How long a client may take to ask.
const ASK_MAX: Duration = Duration::from_secs(10);
/// How long a client may leave rows unread: meanwhile its transaction keeps old rows from being cleaned away.
const READ_MAX: Duration = Duration::from_secs(30);
/// A statement that was about to start does not see one interrupt, so they are repeated.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// Answers queries until it is dropped, which ends those that run and removes the socket.
#[derive(Debug)]
pub struct QueryServer {
    socket: PathBuf,
    listener: UnixListener,
    clients: Arc<Clients>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Clients {
    stopping: AtomicBool,
    running: Mutex<Vec<Client>>,
}

/// One client; `stream` is there to hang up on it.
#[derive(Debug)]
struct Client {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

impl QueryServer {
    /// Listens beside `file`, which `database` has open: so a socket that is found there is one that was left behind.
    ///
    /// # Errors
    /// `Transient` where no socket can be made there.
    pub fn start(database: &Database, file: &Path) -> Result<Self> {
        let socket = socket_path(file);
        let listener = listen(&socket).map_err(|error| trouble(&socket, &error))?;
        let clients = Arc::new(Clients::default());
        let accepting = listener.try_clone().map_err(|error| trouble(&socket, &error))?;
        let (database, of_thread) = (database.clone(), Arc::clone(&clients));
        let acceptor = std::thread::Builder::new()
            .name("query".to_owned())
            .spawn(move || accept(&accepting, &database, &of_thread))
            .map_err(|error| trouble(&socket, &error))?;
        Ok(Self { socket, listener, clients, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for QueryServer {
    fn drop(&mut self) {
        self.clients.stopping.store(true, Ordering::Release);
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::warn!("remove the query socket {}: {error}", self.socket.display());
        }
        // Wakes the thread that accepts, even where somebody has removed the socket.
        let woken = self
            .listener
            .try_clone()
            .and_then(|listener| UnixStream::from(OwnedFd::from(listener)).shutdown(Shutdown::Both));
        if let Err(error) = woken {
            tracing::warn!("close the query socket: {error}");
        }
        if self.acceptor.take().is_some_and(|acceptor| acceptor.join().is_err()) {
            tracing::error!("the thread that accepts queries has panicked");
        }
        for client in std::mem::take(&mut *self.clients.running()) {
            client.end();
        }
    }
}

impl Clients {
    fn running(&self) -> std::sync::MutexGuard<'_, Vec<Client>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Hangs up, which interrupts what it asked for, and waits until that has ended.
    fn end(self) {
        hang_up(&self.stream);
        if self.thread.join().is_err() {
            tracing::error!("a query's thread has panicked");
        }
    }
}

/// A client that has gone is as well.
fn hang_up(stream: &UnixStream) {
    if let Err(error) = stream.shutdown(Shutdown::Both) {
        tracing::trace!("hang up on a query: {error}");
    }
}

/// Makes the socket where nobody else can reach it, gives it its rights, and only then moves it to its place.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    match socket.symlink_metadata() {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "is in the way and no socket"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let folder = socket.with_extension(format!("{}", std::process::id()));
    if folder.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(&folder)?;
    }
    DirBuilder::new().mode(0o700).create(&folder)?;
    let made = folder.join("s");
    let listener = UnixListener::bind(&made).and_then(|listener| {
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        fs::rename(&made, socket)?;
        Ok(listener)
    });
    let cleaned = fs::remove_dir_all(&folder);
    let listener = listener?;
    cleaned?;
    Ok(listener)
}

fn accept(listener: &UnixListener, database: &Database, clients: &Arc<Clients>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(_) if clients.stopping.load(Ordering::Acquire) => return,
            Err(error) => {
                // Out of file descriptors, most likely; others may give some back.
                tracing::warn!("accept a query: {error}");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if clients.stopping.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = serve(stream, database, clients) {
            tracing::warn!("answer a query: {error}");
        }
    }
}

/// Starts the threads for a client.
fn serve(mut stream: UnixStream, database: &Database, clients: &Arc<Clients>) -> io::Result<()> {
    let mut running = clients.running();
    let (done, alive) =
        std::mem::take(&mut *running).into_iter().partition(|client| client.thread.is_finished());
    *running = alive;
    Vec::into_iter(done).for_each(Client::end);
    stream.set_read_timeout(Some(ASK_MAX))?;
    stream.set_write_timeout(Some(READ_MAX))?;
    if running.len() >= CLIENTS_MAX {
        let busy = Error::transient(TROUBLE_WITH_SOCKET, "too many queries are being answered");
        return wire::send(&mut stream, &Reply::Failed(Failure::from(&busy)));
    }
    let database = database.clone();
    let kept = stream.try_clone()?;
    let answered = stream.try_clone()?;
    let thread = std::thread::Builder::new().name("query".to_owned()).spawn(move || {
        if let Err(error) = converse(stream, &database) {
            tracing::debug!("answer a query: {error}");
        }
        // The client hears of the end here: `running` keeps the stream open until the next client comes.
        hang_up(&answered);
    })?;
    running.push(Client { stream: kept, thread });
    Ok(())
}

/// Reads the request, answers it, and ends when the client has the answer or is gone.
fn converse(mut stream: UnixStream, database: &Database) -> io::Result<()> {
    let Some(Request { sql }) = wire::receive(&mut stream)? else { return Ok(()) };
    // From here on the client only listens: whatever can be read is that it hung up.
    stream.set_read_timeout(None)?;
    let watched = stream.try_clone()?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let outcome = database.connect().and_then(|mut connection| {
            connection.show_values();
            let interrupter = connection.interrupter();
            scope.spawn(|| watch(watched, interrupter, &done));
            answer_read(&connection, &sql, |reply| {
                wire::send(&mut stream, &reply).map_err(|error| trouble(Path::new("the client"), &error))
            })
        });
        done.store(true, Ordering::Release);
        let last = match &outcome {
            Ok(()) => Reply::End,
            Err(error) => Reply::Failed(Failure::from(error)),
        };
        let sent = wire::send(&mut stream, &last);
        // Wakes the thread that watches.
        hang_up(&stream);
        sent
    })
}

/// Interrupts the query when the client hangs up before it is done.
fn watch(mut stream: UnixStream, interrupter: Interrupter, done: &AtomicBool) {
    // A byte, the end and an error all say the same.
    let heard = stream.read(&mut [0]);
    tracing::trace!("a query's client said {heard:?}");
    while !done.load(Ordering::Acquire) {
        interrupter.interrupt();
        std::thread::sleep(INTERRUPT_EVERY);
    }
}
