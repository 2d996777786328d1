//! Real Postgres servers for tests: started natively, or in containers where `TAILWATER_TEST_SERVERS=docker` is set.
//! The tests do not know which.
//!
//! A test that only needs a database takes [`database`]: many tests share one server then. A test that stops its
//! server, or needs settings of its own, takes [`own`].

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tailwater::throwaway::{self, Wanted};
use testcontainers::core::{ExecCommand, IntoContainerPort as _};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::{Client, wait_for};

const PATIENCE: Duration = Duration::from_secs(300);

/// The major versions that are tested.
#[must_use]
pub fn all_versions() -> Vec<u16> {
    throwaway::versions()
}

/// The version for tests that have no reason to prefer one.
#[must_use]
pub fn any_version() -> u16 {
    17
}

/// A server.
pub struct Server {
    kind: Kind,
    version: u16,
}

enum Kind {
    Native(throwaway::Postgres),
    Docker(Container),
}

/// A database of one's own.
pub struct Database {
    /// Its name, which is good for a slot or publication too: nobody else on the server has it.
    pub name: String,
    /// Its server, which lives as long as one of its databases.
    pub server: Arc<Server>,
}

/// A server that nobody else uses, with these settings.
pub async fn own(version: u16, settings: &[(&str, &str)]) -> Server {
    let ours = [("max_replication_slots", "200"), ("max_wal_senders", "200"), ("max_connections", "300")];
    let settings: Vec<(String, String)> =
        ours.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let kind = match std::env::var("TAILWATER_TEST_SERVERS").as_deref() {
        Err(_) | Ok("native") => {
            let wanted = Wanted { version: Some(version), settings, folder: None };
            Kind::Native(throwaway::Postgres::start(wanted, |_| {}).await.unwrap_or_else(|e| panic!("{e}")))
        }
        Ok("docker") => Kind::Docker(Container::start(version, settings).await),
        Ok(other) => panic!("TAILWATER_TEST_SERVERS is {other:?}, and may be `native` or `docker`"),
    };
    let server = Server { kind, version };
    server.answers().await;
    server
}

/// A new database on the server of that version that the tests of this process share.
pub async fn database(version: u16) -> Database {
    /// Ended with its last database, because nothing is dropped at the end of a process.
    static SHARED: Mutex<BTreeMap<u16, Weak<Server>>> = Mutex::const_new(BTreeMap::new());
    let mut shared = SHARED.lock().await;
    let server = match shared.get(&version).and_then(Weak::upgrade) {
        Some(server) => server,
        None => {
            let server = Arc::new(own(version, &[]).await);
            shared.insert(version, Arc::downgrade(&server));
            server
        }
    };
    drop(shared);
    Database::create(server).await
}

impl Database {
    /// A new, empty one on that server.
    pub async fn create(server: Arc<Server>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        server.connect("postgres").await.run(&format!("CREATE DATABASE {name}")).await;
        Self { name, server }
    }

    /// How to reach it as superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A connection to it.
    pub async fn connect(&self) -> Client {
        self.server.connect(&self.name).await
    }
}

impl Server {
    /// Its major version.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The address of its TCP port, to put a proxy before it.
    #[must_use]
    pub fn address(&self) -> String {
        let port = match &self.kind {
            Kind::Native(server) => server.port(),
            Kind::Docker(container) => container.port,
        };
        format!("127.0.0.1:{port}")
    }

    /// How to reach a database of it as superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}?sslmode=disable", self.address())
    }

    /// The same over its Unix socket; only a native server has one that we can reach.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> Option<String> {
        match &self.kind {
            Kind::Native(server) => Some(server.socket_url("postgres", database)),
            Kind::Docker(_) => None,
        }
    }

    /// A connection to a database.
    pub async fn connect(&self, database: &str) -> Client {
        Client::connect(&self.url(database)).await
    }

    /// Ends it the orderly way.
    pub async fn stop(&mut self) {
        match &mut self.kind {
            Kind::Native(server) => server.stop().await.unwrap(),
            Kind::Docker(container) => container.signal("INT").await,
        }
    }

    /// Ends it as `pg_ctl stop -m immediate` does.
    pub async fn stop_immediate(&mut self) {
        match &mut self.kind {
            Kind::Native(server) => server.stop_immediate().await.unwrap(),
            Kind::Docker(container) => container.signal("QUIT").await,
        }
    }

    /// Ends all of its processes with SIGKILL.
    pub async fn kill(&mut self) {
        match &mut self.kind {
            Kind::Native(server) => server.kill().await.unwrap(),
            Kind::Docker(container) => container.kill().await,
        }
    }

    /// Starts it again on the same address, and waits until it answers.
    pub async fn restart(&mut self) {
        match &mut self.kind {
            Kind::Native(server) => server.restart().await.unwrap(),
            Kind::Docker(container) => container.restart().await,
        }
        self.answers().await;
    }

    /// Halts it where it is.
    pub async fn pause(&self) {
        match &self.kind {
            Kind::Native(server) => server.pause().unwrap(),
            Kind::Docker(container) => container.pause().await,
        }
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        match &self.kind {
            Kind::Native(server) => server.resume().unwrap(),
            Kind::Docker(container) => container.resume().await,
        }
    }

    async fn answers(&self) {
        let url = self.url("postgres");
        wait_for("the server answers", PATIENCE, async || Client::open(&url).await.ok()).await;
    }
}

/// A server in a container. All calls to the engine are made on one runtime of their own, because connections to it
/// outlive the test that opened them.
struct Container {
    inner: Option<Arc<ContainerAsync<GenericImage>>>,
    port: u16,
}

fn engine() -> &'static Runtime {
    static ENGINE: OnceLock<Runtime> = OnceLock::new();
    ENGINE.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    })
}

impl Container {
    async fn start(version: u16, settings: Vec<(String, String)>) -> Self {
        // A port of our choice, because the engine would choose another after a restart.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
        let flags = settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
        let image = GenericImage::new("postgres", &version.to_string())
            .with_mapped_port(port, 5432.tcp())
            .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
            .with_cmd(
                ["-c", "wal_level=logical", "-c", "fsync=off"].map(str::to_owned).into_iter().chain(flags),
            );
        let started = engine().spawn(async move { image.start().await }).await.unwrap();
        Self {
            inner: Some(Arc::new(started.unwrap_or_else(|e| panic!("start postgres:{version}: {e}")))),
            port,
        }
    }

    /// Calls the engine.
    async fn call<T: Send + 'static, F>(
        &self,
        operation: impl FnOnce(Arc<ContainerAsync<GenericImage>>) -> F,
    ) -> T
    where
        F: Future<Output = testcontainers::core::error::Result<T>> + Send + 'static,
    {
        let container = Arc::clone(self.inner.as_ref().unwrap());
        engine().spawn(operation(container)).await.unwrap().unwrap()
    }

    /// The server is process 1 of the container, which ends with it.
    async fn signal(&self, name: &str) {
        let command = ["sh".to_owned(), "-c".to_owned(), format!("kill -{name} 1")];
        self.call(|c| async move { c.exec(ExecCommand::new(command)).await.map(drop) }).await;
        wait_for("the container ends", PATIENCE, async || {
            let running = self.call(|c| async move { c.is_running().await }).await;
            (!running).then_some(())
        })
        .await;
    }

    async fn kill(&self) {
        self.call(|c| async move { c.stop_with_timeout(Some(0)).await }).await;
    }

    async fn restart(&self) {
        if self.call(|c| async move { c.is_running().await }).await {
            self.signal("INT").await;
        }
        self.call(|c| async move { c.start().await }).await;
    }

    async fn pause(&self) {
        self.call(|c| async move { c.pause().await }).await;
    }

    async fn resume(&self) {
        self.call(|c| async move { c.unpause().await }).await;
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // On a thread of its own, because a runtime may not wait inside another one.
        let Some(container) = self.inner.take().and_then(Arc::into_inner) else {
            return;
        };
        let removed = std::thread::spawn(move || engine().block_on(container.rm())).join();
        assert!(matches!(removed, Ok(Ok(()))) || std::thread::panicking(), "a container cannot be removed");
    }
}
