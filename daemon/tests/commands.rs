//! The binary as a person or an init system meets it: commands, their answers and exit codes, and signals, against a
//! throw-away Postgres.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "this is a test")]

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tailwater::throwaway::{Postgres, Wanted};
use tailwater_core::checkpoint::replace_file;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};

const ROWS: i64 = 5_000;

struct Stage {
    postgres: Postgres,
    client: Client,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let postgres = Postgres::start(Wanted::default(), |_| {}).await.unwrap();
        let (client, connection) =
            tokio_postgres::connect(&postgres.url("postgres", "postgres"), NoTls).await.unwrap();
        #[allow(clippy::disallowed_methods, reason = "it ends with the client")]
        tokio::spawn(connection);
        client
            .batch_execute(&format!(
                "CREATE TABLE t (id int PRIMARY KEY, note text);
                 INSERT INTO t SELECT n, 'note ' || n FROM generate_series(1, {ROWS}) n"
            ))
            .await
            .unwrap();
        Self { postgres, client, folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a pipeline file.
    fn pipeline(&self, name: &str, database: &str, tables: &str) {
        let url = self.postgres.socket_url("postgres", database);
        let text = format!(
            "[source.postgres]\nurl = \"{url}\"\n{tables}\n\n[sink.duckdb]\npath = \"{name}.duckdb\"\n"
        );
        replace_file(&self.folder.path().join(format!("{name}.toml")), text.as_bytes()).unwrap();
    }

    async fn tailwater(&self, arguments: &[&str]) -> (i32, String) {
        let output = command(self.folder.path(), arguments).output().await.unwrap();
        (output.status.code().unwrap(), text(&output))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        command(self.folder.path(), arguments).kill_on_drop(true).spawn().unwrap()
    }

    /// Asks until the target counts `rows`.
    async fn wait_for_rows(&self, file: &str, rows: i64) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let (code, answer) =
                self.tailwater(&["query", file, "SELECT count(*) FROM public.t", "--format", "csv"]).await;
            if code == 0 && answer.lines().any(|line| line == rows.to_string()) {
                return;
            }
            assert!(Instant::now() < deadline, "{code}: {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn slots(&self) -> i64 {
        self.client.query_one("SELECT count(*) FROM pg_replication_slots", &[]).await.unwrap().get(0)
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).env_remove("TAILWATER_LOG");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

const TABLES: &str = "tables = [\"public.*\"]";

#[tokio::test(flavor = "multi_thread")]
async fn every_command_answers_with_its_documented_exit_code() {
    let stage = Stage::new().await;
    stage.pipeline("good", "postgres", TABLES);
    stage.pipeline("lost", "nowhere", TABLES);

    let (code, answer) = stage.tailwater(&["check", "good.toml"]).await;
    assert!(code <= 1 && answer.contains("1 pipeline, 0 errors"), "{code}: {answer}");
    let (code, answer) = stage.tailwater(&["check", "."]).await;
    assert!(code == 3 && answer.contains("TW-PG-008") && answer.contains("good.toml:"), "{code}: {answer}");

    let (code, answer) = stage.tailwater(&["position", "good.toml"]).await;
    assert!(code == 0 && answer.contains("none: the target has never been written to"), "{code}: {answer}");

    // The one that cannot run does not disturb the other.
    let (code, log) = stage.tailwater(&["run", ".", "--until-caught-up"]).await;
    assert!(code == 3 && log.contains("TW-PG-008"), "{code}: {log}");
    stage.wait_for_rows("good.toml", ROWS).await;

    let (code, answer) = stage.tailwater(&["position", "good.toml", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(answer.trim()).unwrap();
    assert!(code == 0 && report["position"]["stream"].is_string(), "{answer}");
    assert!(report["behind_bytes"].is_u64() && report["behind_seconds"].is_f64(), "{answer}");
    assert!(report["position"]["copies"].as_object().unwrap().is_empty(), "{answer}");

    let (code, answer) = stage.tailwater(&["query", "good.toml", "DROP TABLE public.t"]).await;
    assert!(code == 3 && answer.contains("TW-DUCK-015"), "{code}: {answer}");

    let (code, answer) = stage.tailwater(&["drop", "good.toml"]).await;
    assert!(code == 3 && answer.contains("add --yes"), "{code}: {answer}");
    assert_eq!(stage.slots().await, 1);
    let (code, answer) = stage.tailwater(&["drop", "good.toml", "--yes"]).await;
    assert!(code == 0 && answer.contains("removed publication tailwater_good"), "{code}: {answer}");
    assert_eq!(stage.slots().await, 0);
    stage.wait_for_rows("good.toml", ROWS).await;

    // Nothing is made anew in silence.
    let (code, log) = stage.tailwater(&["run", "good.toml", "--until-caught-up"]).await;
    assert!(code == 3 && log.contains("TW-PG-064"), "{code}: {log}");
    assert_eq!(stage.slots().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_leaves_a_stopped_table_behind_fails() {
    let stage = Stage::new().await;
    stage.pipeline("good", "postgres", TABLES);
    let (code, log) = stage.tailwater(&["run", "good.toml", "--until-caught-up"]).await;
    assert_eq!(code, 0, "{log}");
    // Every older row has another value then, and none of them is sent.
    stage.client.batch_execute("ALTER TABLE t ADD luck float8 DEFAULT random()").await.unwrap();
    stage.client.execute("INSERT INTO t VALUES (0, 'later')", &[]).await.unwrap();
    for _ in 0..2 {
        let (code, log) = stage.tailwater(&["run", "good.toml", "--until-caught-up"]).await;
        assert!(code == 3 && log.contains("TW-CLI-009") && log.contains("TW-DUCK-027"), "{code}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_touched_when_a_file_is_wrong() {
    let stage = Stage::new().await;
    stage.pipeline("good", "postgres", TABLES);
    stage.pipeline("typo", "postgres", "tabels = []");
    let (code, answer) = stage.tailwater(&["run", ".", "--until-caught-up"]).await;
    assert_eq!(code, 2, "{answer}");
    let expected =
        "typo.toml:3:1: unknown key `tabels` in [source.postgres]; did you mean `tables`? [TW-CFG-003]";
    assert!(answer.contains(expected), "{answer}");
    assert_eq!(stage.slots().await, 0);
    assert!(!stage.folder.path().join("good.duckdb").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_pipeline_answers_queries_keeps_its_slot_and_stops_when_told() {
    let stage = Stage::new().await;
    stage.pipeline("good", "postgres", TABLES);
    let mut running = stage.start(&["run", "good.toml"]);
    stage.wait_for_rows("good.toml", ROWS).await;
    stage.client.execute("INSERT INTO t VALUES (0, 'streamed')", &[]).await.unwrap();
    stage.wait_for_rows("good.toml", ROWS + 1).await;

    let (code, answer) = stage.tailwater(&["drop", "good.toml", "--yes"]).await;
    assert!(code == 3 && answer.contains("TW-CLI-008"), "{code}: {answer}");
    assert_eq!(stage.slots().await, 1);

    signal(&running, Signal::TERM);
    let status =
        tokio::time::timeout(Duration::from_secs(5), running.wait()).await.expect("stops within 5 s");
    assert_eq!(status.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once_and_loses_nothing() {
    let stage = Stage::new().await;
    stage.pipeline("good", "postgres", TABLES);
    let mut running = stage.start(&["run", "good.toml"]);
    stage.wait_for_rows("good.toml", ROWS).await;
    // Both wait while the process is halted, so neither can end it before the other has come.
    for how in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
        signal(&running, how);
    }
    let status = tokio::time::timeout(Duration::from_secs(5), running.wait()).await.expect("ends at once");
    // A clean stop may win the race against the second signal; both are right.
    assert!(matches!(status.unwrap().code(), Some(0 | 130)));
    stage.client.execute("DELETE FROM t WHERE id <= 10", &[]).await.unwrap();
    let (code, log) = stage.tailwater(&["run", "good.toml", "--until-caught-up"]).await;
    assert_eq!(code, 0, "{log}");
    stage.wait_for_rows("good.toml", ROWS - 10).await;
}
