//! What the keys of a pipeline file mean: sections in, a validated [`Pipeline`] out. Pure but for `${file:…}`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tailwater_core::pattern::Patterns;
use tailwater_core::pipeline::Options;
use tailwater_core::{Error, Result};
use tailwater_postgres::url::{RootCert, Url};
use tailwater_stdout::Format;

use super::code;
use super::document::{Document, Section, Text, choice};
use super::substitute::{Lookup, Variables};
use super::units::{duration, size};

/// One pipeline, as its file says, with every default filled in.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The file's name without `.toml`.
    pub name: String,
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where changes come from.
    pub source: Source,
    /// Where they go.
    pub sink: Sink,
    /// How the loop behaves.
    pub options: Options,
    /// What no other pipeline may use.
    pub(super) claims: Vec<Claim>,
}

/// Every kind of source.
#[derive(Debug, Clone)]
pub enum Source {
    /// `[source.postgres]`
    Postgres(tailwater_postgres::Config),
    /// `[source.mysql]`, `[source.mariadb]`
    Mysql(tailwater_mysql::Config),
}

/// Every kind of sink.
#[derive(Debug, Clone)]
pub enum Sink {
    /// `[sink.duckdb]`
    DuckDb(tailwater_duckdb::Config),
    /// `[sink.kafka]`
    Kafka(Box<tailwater_kafka::Config>),
    /// `[sink.stdout]`
    Stdout(tailwater_stdout::Config),
}

/// Something that only one pipeline may use, and where its file says so.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// Equal for two pipelines that would disturb each other.
    pub(super) thing: String,
    document: Document,
    span: Range<usize>,
    remedy: &'static str,
}

impl Claim {
    /// The complaint about this claim, when `owner` had made it before.
    pub(super) fn refused(&self, owner: &Pipeline) -> Error {
        let message = format!("{} is used by {} already", self.thing, owner.file.display());
        self.document.error(&self.span, code::SHARED, message).remedy(self.remedy)
    }
}

const SOURCES: &[&str] = &["mariadb", "mysql", "postgres"];
const SINKS: &[&str] = &["duckdb", "kafka", "stdout"];
pub(super) const POSTGRES: &[&str] =
    &["url", "tables", "slot", "publication", "copy_workers", "copy_range", "idle_position_interval"];
pub(super) const MYSQL: &[&str] =
    &["url", "tables", "server_id", "copy_workers", "heartbeat", "idle_position_interval"];
pub(super) const DUCKDB: &[&str] = &["path", "memory_limit", "threads"];
pub(super) const KAFKA: &[&str] = &[
    "brokers",
    "topic",
    "prefix",
    "format",
    "delivery",
    "topics",
    "partition_change",
    "position_topic",
    "buffer",
    "oauth_token_file",
    "properties",
    "debezium",
];
pub(super) const KAFKA_TOPIC: &[&str] = &["topic", "partitions", "replication", "configs"];
pub(super) const STDOUT: &[&str] = &["format", "position"];
pub(super) const PIPELINE: &[&str] = &["batch_size"];

/// What is known while one file is read.
pub(super) struct Reading<'d> {
    pub(super) document: &'d Document,
    pub(super) folder: &'d Path,
    pub(super) name: &'d str,
    claims: Vec<Claim>,
}

/// Reads the `text` of `file`.
///
/// # Errors
/// `Operator` for the first thing that is wrong, with file, line and column.
pub(crate) fn parse(file: &Path, text: String, env: &Variables) -> Result<Pipeline> {
    let document = Document::new(file, text);
    let folder = file.parent().unwrap_or(Path::new(""));
    let lookup = Lookup { env, folder };
    let table = document.parse()?;
    let root = Section::root(&document, &lookup, &table, &["source", "sink", "pipeline"])?;
    let name = pipeline_name(file, &document)?;
    let mut reading = Reading { document: &document, folder, name: &name, claims: Vec::new() };
    let (mut source, mut sink) = (reading.source(&root)?, reading.sink(&root)?);
    agree_on_statements(&mut source, &mut sink);
    let options = options(&root)?;
    let claims = reading.claims;
    Ok(Pipeline { name, file: file.to_path_buf(), source, sink, options, claims })
}

/// Statements are told where the sink wants them, and not waited for where the source has none: Debezium's connector for
/// Postgres takes `include.schema.changes` and writes nothing either.
fn agree_on_statements(source: &mut Source, sink: &mut Sink) {
    let Sink::Kafka(kafka) = sink else { return };
    match source {
        Source::Mysql(mysql) => mysql.statements = kafka.wants_statements(),
        Source::Postgres(_) => kafka.debezium.schema_changes = false,
    }
}

/// Slot and publication are named after the pipeline, so its name must be one that Postgres takes for a slot.
fn pipeline_name(file: &Path, document: &Document) -> Result<String> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let folded: String =
        stem.chars().map(|c| if "-. ".contains(c) { '_' } else { c.to_ascii_lowercase() }).collect();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=SLOT_NAME_MAX - "tailwater_".len()).contains(&folded.len()) && folded.chars().all(allowed) {
        return Ok(folded);
    }
    let message = format!("{stem:?} makes no pipeline name: slot and publication are named after it");
    Err(document
        .error_in_file(code::NAME, message)
        .remedy("rename the file to at most 53 of a-z, 0-9, _ and -, for example shop.toml"))
}

/// `NAMEDATALEN - 1` of every Postgres that is not compiled specially.
const SLOT_NAME_MAX: usize = 63;

impl Reading<'_> {
    fn source(&mut self, root: &Section<'_>) -> Result<Source> {
        let section = root.table("source", SOURCES)?.ok_or_else(|| self.lacks("source", SOURCES))?;
        section.exactly_one_of(SOURCES)?;
        if let Some(postgres) = section.table("postgres", POSTGRES)? {
            return self.postgres(&postgres).map(Source::Postgres);
        }
        for kind in ["mysql", "mariadb"] {
            if let Some(mysql) = section.table(kind, MYSQL)? {
                return self.mysql(&mysql, kind).map(Source::Mysql);
            }
        }
        Err(self.lacks("source", SOURCES))
    }

    fn sink(&mut self, root: &Section<'_>) -> Result<Sink> {
        let section = root.table("sink", SINKS)?.ok_or_else(|| self.lacks("sink", SINKS))?;
        section.exactly_one_of(SINKS)?;
        if let Some(duckdb) = section.table("duckdb", DUCKDB)? {
            return self.duckdb(&duckdb).map(Sink::DuckDb);
        }
        if let Some(kafka) = section.table("kafka", KAFKA)? {
            return self.kafka(&kafka).map(Box::new).map(Sink::Kafka);
        }
        if let Some(stdout) = section.table("stdout", STDOUT)? {
            return self.stdout(&stdout).map(Sink::Stdout);
        }
        Err(self.lacks("sink", SINKS))
    }

    fn lacks(&self, end: &str, kinds: &[&str]) -> Error {
        let sections: Vec<String> = kinds.iter().map(|kind| format!("[{end}.{kind}]")).collect();
        let error = self.document.error_in_file(code::MISSING, format!("a pipeline needs a {end}"));
        error.remedy(format!("write {}, see docs/OPERATING.md", sections.join(" or ")))
    }

    fn postgres(&mut self, section: &Section<'_>) -> Result<tailwater_postgres::Config> {
        let written = section.required("url", r#""postgres://user@host/database""#)?;
        let mut url: Url = written.value.parse().map_err(|error| self.document.at(&written.span, &error))?;
        for file in [&mut url.ssl_cert, &mut url.ssl_key].into_iter().flatten() {
            *file = self.folder.join(&*file);
        }
        if let Some(RootCert::File(file)) = &mut url.ssl_root_cert {
            *file = self.folder.join(&*file);
        }
        let tables = self.patterns(section)?;
        let mut config = tailwater_postgres::Config::new(self.name, url, tables);
        if let Some(slot) = section.parsed("slot", slot_name)? {
            config.slot = slot;
        }
        if let Some(publication) = section.string("publication")? {
            config.publication = publication.value;
            config.publication_is_given = true;
        }
        if let Some(workers) = section.integer("copy_workers", 1..=64)? {
            config.copy_workers = usize::try_from(workers).unwrap_or(usize::MAX);
        }
        if let Some(bytes) = section.parsed("copy_range", size)? {
            config.copy_range_bytes = bytes.max(8192);
        }
        if let Some(interval) = section.parsed("idle_position_interval", duration)? {
            config.idle_position_interval = interval;
        }
        for host in &config.url.hosts {
            let thing = format!("the slot {} of {host}/{}", config.slot, config.url.database);
            self.claim(
                thing,
                section.place_of("slot"),
                "slot = \"…\" with another name, or keep one of the two pipelines",
            );
        }
        Ok(config)
    }

    fn mysql(&mut self, section: &Section<'_>, kind: &str) -> Result<tailwater_mysql::Config> {
        let written = section.required("url", &format!("\"{kind}://user@host/database\""))?;
        let mut url: tailwater_mysql::Url =
            written.value.parse().map_err(|error| self.document.at(&written.span, &error))?;
        for file in [&mut url.ssl_ca, &mut url.ssl_cert, &mut url.ssl_key].into_iter().flatten() {
            *file = self.folder.join(&*file);
        }
        let tables = self.patterns(section)?;
        let mut config = tailwater_mysql::Config::new(self.name, url, tables);
        if let Some(id) = section.integer("server_id", 1..=u64::from(u32::MAX))? {
            config.server_id = u32::try_from(id).unwrap_or(u32::MAX);
        }
        if let Some(workers) = section.integer("copy_workers", 1..=64)? {
            config.copy_workers = usize::try_from(workers).unwrap_or(usize::MAX);
        }
        if let Some(interval) = section.parsed("heartbeat", duration)? {
            config.heartbeat = interval.max(std::time::Duration::from_millis(100));
        }
        if let Some(interval) = section.parsed("idle_position_interval", duration)? {
            config.idle_position_interval = interval;
        }
        let thing = format!("the server id {} at {}", config.server_id, config.url.host);
        self.claim(
            thing,
            section.place_of("server_id"),
            "server_id = … with another number, or keep one of the two pipelines",
        );
        Ok(config)
    }

    fn patterns(&self, section: &Section<'_>) -> Result<Patterns> {
        let example = r#"["public.*", "!public.audit_*"]"#;
        let Some(written) = section.strings("tables", example)? else {
            let missing = section.required("tables", example);
            return Err(missing.err().unwrap_or_else(|| self.lacks("source", SOURCES)));
        };
        for pattern in &written {
            Patterns::parse([pattern.value.as_str()])
                .map_err(|error| self.document.at(&pattern.span, &error))?;
        }
        let all = written.iter().map(|pattern| pattern.value.as_str());
        Patterns::parse(all).map_err(|error| self.document.at(&section.place_of("tables"), &error))
    }

    fn duckdb(&mut self, section: &Section<'_>) -> Result<tailwater_duckdb::Config> {
        let path = section.required("path", &format!("\"{}.duckdb\"", self.name))?;
        let mut config = tailwater_duckdb::Config::new(self.file(&path)?, self.name);
        if let Some(bytes) = section.parsed("memory_limit", size)? {
            config.memory_limit = Some(format!("{bytes}B"));
        }
        if let Some(threads) = section.integer("threads", 1..=1024)? {
            config.threads = usize::try_from(threads).ok();
        }
        Ok(config)
    }

    fn stdout(&mut self, section: &Section<'_>) -> Result<tailwater_stdout::Config> {
        let position = match section.string("position")? {
            Some(path) => self.file(&path)?,
            None => {
                let span = section.span.clone();
                self.file(&Text { value: format!("{}.position", self.name), span })?
            }
        };
        let mut config = tailwater_stdout::Config::new(position);
        if let Some(format) = section.parsed("format", |word| choice(word, Format::ALL))? {
            config.format = format;
        }
        Ok(config)
    }

    /// A file that this pipeline alone writes.
    fn file(&mut self, path: &Text) -> Result<PathBuf> {
        let file = self.folder.join(&path.value);
        if file.file_name().is_none() || path.value.ends_with('/') || path.value == ":memory:" {
            let message = format!("{:?} names no file; the position lives in it", path.value);
            return Err(self.document.error(&path.span, code::BAD_VALUE, message));
        }
        // The same file by two spellings must not be two files; it need not exist yet, but its folder does.
        let folder = file.parent().and_then(|folder| Path::new(".").join(folder).canonicalize().ok());
        let canonical =
            folder.zip(file.file_name()).map_or_else(|| file.clone(), |(folder, name)| folder.join(name));
        let thing = format!("the file {}", canonical.display());
        self.claim(thing, path.span.clone(), "give each pipeline a file of its own");
        Ok(file)
    }

    pub(super) fn claim(&mut self, thing: String, span: Range<usize>, remedy: &'static str) {
        self.claims.push(Claim { thing, document: self.document.clone(), span, remedy });
    }
}

fn options(root: &Section<'_>) -> Result<Options> {
    let mut options = Options::default();
    let Some(section) = root.table("pipeline", PIPELINE)? else {
        return Ok(options);
    };
    if let Some(bytes) = section.parsed("batch_size", size)? {
        // Below, a batch would hold a handful of rows; above, its arena would not take them.
        options.batch_bytes = usize::try_from(bytes.clamp(64 << 10, 1 << 30)).unwrap_or(1 << 30);
    }
    Ok(options)
}

fn slot_name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.is_empty() && name.len() <= SLOT_NAME_MAX && name.chars().all(allowed) {
        return Ok(name.to_owned());
    }
    Err(format!("is {name:?}, but Postgres takes only a-z, 0-9 and _ in it, at most {SLOT_NAME_MAX} of them"))
}
