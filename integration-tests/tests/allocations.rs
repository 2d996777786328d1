//! No row and no value is allocated for between the socket and the sink: ten times the rows through the whole pipeline,
//! in batches of the same size, take as many allocations but for a few per batch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

use tailwater_core::pattern::Patterns;
use tailwater_core::pipeline::{self, Options};
use tailwater_core::status;
use tailwater_integration_tests::counting::{Counting, allocations};
use tailwater_integration_tests::servers::{self, Database, any_version};
use tailwater_postgres::{Config, PostgresSource};
use tailwater_stdout::Stdout;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FEW: u64 = 20_000;
const MANY: u64 = 10 * FEW;
/// Per batch the position is printed and saved in a file, and the buffers of the way are passed on.
const PER_BATCH: u64 = 100;
/// A batch of this size holds more than a thousand of the rows below, so one allocation per row would be ten times
/// more than is allowed.
const BATCH_BYTES: usize = 1 << 20;
const LEAST_ROWS_PER_BATCH: u64 = 1000;

/// Drains what there is, and says how many allocations that took.
async fn drain(database: &Database, folder: &std::path::Path, tables: &str) -> u64 {
    let patterns = Patterns::parse([tables]).unwrap();
    let mut config = Config::new(&database.name, database.url().parse().unwrap(), patterns);
    config.slot = format!("slot_{}", tables.replace('.', "_"));
    config.publication.clone_from(&config.slot);
    let sink = tailwater_stdout::Config::new(folder.join(tables));
    let (publisher, watcher) = status::channel();
    let options = Options { batch_bytes: BATCH_BYTES, until_caught_up: true };
    let before = allocations();
    let (source, sink) = (PostgresSource::new(config), Stdout::with_writer(sink, std::io::sink()));
    pipeline::run(source, sink, &options, &CancellationToken::new(), &publisher).await.unwrap();
    let after = allocations();
    println!("{tables}: {} events, {} allocations", watcher.borrow().events, after - before);
    after - before
}

fn rows(count: u64) -> String {
    format!(
        "SELECT n, n * 1000000007::int8, 'a text of some length, ' || n, n / 7::numeric, now() + n * interval '1 s'
         FROM generate_series(1, {count}) n"
    )
}

#[track_caller]
fn assert_few_more(few: u64, many: u64) {
    let allowed = (MANY - FEW) / LEAST_ROWS_PER_BATCH * PER_BATCH;
    assert!(many < few + allowed, "{few} allocations for {FEW} rows, and {many} for {MANY}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_and_no_value_is_allocated_for() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    let folder = tempfile::tempdir().unwrap();
    for (table, count) in [("few", FEW), ("many", MANY)] {
        client
            .run(&format!(
                "CREATE TABLE {table} (id int8 PRIMARY KEY, n int8, note text, price numeric, at timestamptz);
                 INSERT INTO {table} {}",
                rows(count)
            ))
            .await;
    }
    let few = drain(&database, folder.path(), "public.few").await;
    let many = drain(&database, folder.path(), "public.many").await;
    assert_few_more(few, many);

    for (table, count) in [("few", FEW), ("many", MANY)] {
        client
            .run(&format!("TRUNCATE {table}; INSERT INTO {table} {}; UPDATE {table} SET n = 0", rows(count)))
            .await;
    }
    // Each reads the changes of the other, and leaves them out; that must not cost either.
    let few = drain(&database, folder.path(), "public.few").await;
    let many = drain(&database, folder.path(), "public.many").await;
    assert_few_more(few, many);
}
