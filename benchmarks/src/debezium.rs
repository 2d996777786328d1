//! Debezium Server as a peer, three ways: as it comes, tuned for a high rate, and with little memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tailwater::throwaway::Postgres;
use tempfile::TempDir;

use crate::Outcome;
use crate::measure::{self, Cost};

const PATIENCE: Duration = Duration::from_secs(600);

/// How it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As it comes.
    Default,
    /// Polls every 10 ms, and in larger batches.
    Tuned,
    /// A heap of 256 MB and the collector that needs least.
    Frugal,
}

impl Setting {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Default, Self::Tuned, Self::Frugal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Tuned => "tuned",
            Self::Frugal => "frugal",
        }
    }

    fn java(self) -> &'static [&'static str] {
        match self {
            Self::Default | Self::Tuned => &[],
            Self::Frugal => &["-Xmx256m", "-XX:+UseSerialGC"],
        }
    }

    fn properties(self) -> &'static str {
        match self {
            Self::Default | Self::Frugal => "",
            Self::Tuned => {
                "debezium.source.poll.interval.ms=10\ndebezium.source.max.batch.size=8192\n\
                 debezium.source.max.queue.size=32768\ndebezium.sink.kafka.producer.batch.size=262144\n"
            }
        }
    }
}

/// One configured Debezium Server, with its offsets; started as often as one likes.
pub(crate) struct Debezium {
    folder: TempDir,
    setting: Setting,
    /// The slot and the topics' prefix are called so.
    pub(crate) name: String,
}

/// What one run of it cost until its last record was at the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// With its start.
    pub(crate) whole: Cost,
    /// From the time when a fifth of the records were there: started and warm.
    pub(crate) warm: Cost,
}

impl Run {
    /// Of a warm run only four fifths of the records are counted, so for all of them it is more.
    pub(crate) fn scaled_warm(&self) -> Cost {
        Cost { wall_s: self.warm.wall_s / 0.8, cpu_s: self.warm.cpu_s / 0.8, ..self.warm }
    }
}

impl Debezium {
    /// One whose source is said in `source`, which knows the folder of its own, copying first where `copy` says so.
    pub(crate) fn new(
        setting: Setting,
        name: &str,
        source: impl FnOnce(&Path) -> String,
        brokers: &str,
        copy: bool,
    ) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let offsets = folder.path().join("offsets").display().to_string();
        let snapshot = if copy { "initial" } else { "no_data" };
        let serializer = "org.apache.kafka.common.serialization.StringSerializer";
        let text = format!(
            "debezium.sink.type=kafka\n\
             debezium.sink.kafka.producer.bootstrap.servers={brokers}\n\
             debezium.sink.kafka.producer.key.serializer={serializer}\n\
             debezium.sink.kafka.producer.value.serializer={serializer}\n\
             debezium.format.key.schemas.enable=false\n\
             debezium.format.value.schemas.enable=false\n\
             debezium.source.offset.storage.file.filename={offsets}\n\
             debezium.source.database.hostname=127.0.0.1\n\
             debezium.source.topic.prefix={name}\n\
             debezium.source.snapshot.mode={snapshot}\n\
             {}{}quarkus.http.port=0\nquarkus.http.host=127.0.0.1\nquarkus.log.level=WARN\n",
            source(folder.path()),
            setting.properties()
        );
        let config = folder.path().join("config");
        fs::create_dir_all(&config).map_err(|error| error.to_string())?;
        let file = config.join("application.properties");
        tailwater_core::checkpoint::replace_file(&file, text.as_bytes())
            .map_err(|error| error.to_string())?;
        Ok(Self { folder, setting, name: name.to_owned() })
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Outcome<Running> {
        let dist = dist()?;
        let java = fs::read_to_string(dist.join("java")).map_err(|error| error.to_string())?;
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.map_err(|error| error.to_string())?;
        let mut command = Command::new(java.trim());
        command.args(self.setting.java()).arg("-cp");
        let dist = dist.display();
        command.arg(format!(
            "{dist}/debezium-server-dist-3.6.3.Final-runner.jar:{dist}/config/lib:{dist}/lib/*"
        ));
        command.arg("io.debezium.server.Main").current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let child = command.spawn().map_err(|error| format!("start {command:?}: {error}"))?;
        Ok(Running { child, log: self.folder.path().join("log"), started: Instant::now() })
    }

    /// Runs it until `count` gives `rows` more than now, and ends it.
    pub(crate) fn run(&self, rows: u64, count: impl Fn() -> Outcome<u64>) -> Outcome<Run> {
        let before = count()?;
        let mut running = self.start()?;
        running.reaches(before + rows / 5, &count)?;
        let warm_from = running.cost()?;
        running.reaches(before + rows, &count)?;
        let whole = running.cost()?;
        let warm =
            Cost { wall_s: whole.wall_s - warm_from.wall_s, cpu_s: whole.cpu_s - warm_from.cpu_s, ..whole };
        running.end()?;
        let after = count()? - before;
        if after == rows {
            Ok(Run { whole, warm })
        } else {
            Err(format!("Debezium wrote {after} of {rows} records"))
        }
    }
}

/// What says that `table` is followed, through the slot `name` and the publication `debezium`.
pub(crate) fn of_postgres(postgres: &Postgres, name: &str, table: &str) -> String {
    let port = postgres.port();
    format!(
        "debezium.source.connector.class=io.debezium.connector.postgresql.PostgresConnector\n\
         debezium.source.database.port={port}\n\
         debezium.source.database.user=postgres\n\
         debezium.source.database.password=postgres\n\
         debezium.source.database.dbname=postgres\n\
         debezium.source.table.include.list=public.{table}\n\
         debezium.source.plugin.name=pgoutput\n\
         debezium.source.slot.name={name}\n\
         debezium.source.publication.name=debezium\n\
         debezium.source.publication.autocreate.mode=disabled\n"
    )
}

/// What says that `bench.table` of a MySQL server is followed, by a reader of the number `id`.
pub(crate) fn of_mysql(port: u16, table: &str, id: usize, folder: &Path) -> String {
    let history = folder.join("history").display().to_string();
    format!(
        "debezium.source.connector.class=io.debezium.connector.mysql.MySqlConnector\n\
         debezium.source.database.port={port}\n\
         debezium.source.database.user=cdc\n\
         debezium.source.database.password=cdc\n\
         debezium.source.database.server.id={id}\n\
         debezium.source.database.include.list=bench\n\
         debezium.source.table.include.list=bench.{table}\n\
         debezium.source.include.schema.changes=false\n\
         debezium.source.schema.history.internal=io.debezium.storage.file.history.FileSchemaHistory\n\
         debezium.source.schema.history.internal.file.filename={history}\n"
    )
}

/// A running one. Killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Running {
    /// Waits until it does what `done` looks for.
    pub(crate) fn until(&mut self, mut done: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("Debezium ended with {status}: {}", self.said()));
            }
            if done()? {
                return Ok(());
            }
            if self.started.elapsed() > PATIENCE {
                return Err(format!("Debezium is not done after {PATIENCE:?}: {}", self.said()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn reaches(&mut self, wanted: u64, count: &impl Fn() -> Outcome<u64>) -> Outcome<()> {
        self.until(|| Ok(count()? >= wanted))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn cost(&self) -> Outcome<Cost> {
        let pid = self.child.id();
        let wall_s = self.started.elapsed().as_secs_f64();
        Ok(Cost { wall_s, cpu_s: measure::cpu_s(pid)?, peak_mb: measure::peak_of(pid) })
    }

    /// Ends it the orderly way, so that it stores its offsets.
    pub(crate) fn end(mut self) -> Outcome<()> {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().map_err(|error| error.to_string())?;
        if !told.success() {
            return Err(format!("kill -TERM {pid}: {told}"));
        }
        self.child.wait().map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is no failure.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What `scripts/fetch-debezium` fetched.
fn dist() -> Outcome<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let dist = top.join(".deps/debezium-server");
    if dist.join("version").exists() {
        Ok(dist)
    } else {
        Err("Debezium Server is missing; to mend it: scripts/fetch-debezium".to_owned())
    }
}
