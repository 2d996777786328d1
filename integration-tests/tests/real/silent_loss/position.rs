//! Where reading goes on: confirmations, restarts, slots, timelines, and the seam between copy and stream.

use std::time::Duration;

use tailwater_core::ErrorKind;
use tailwater_integration_tests::faults::{Failing, Gate, Gated, PLANNED};
use tailwater_integration_tests::pipeline::{Pipeline, Running, rows};
use tailwater_integration_tests::servers::{self, Database, any_version};
use tailwater_integration_tests::{Client, Random, Workload, wait_for, workload};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(300);

async fn own(settings: &[(&str, &str)]) -> Database {
    Database::create(std::sync::Arc::new(servers::own(any_version(), settings).await)).await
}

/// The whole of one column of the slot.
async fn slot(client: &Client, pipeline: &Pipeline, column: &str) -> String {
    let name = &pipeline.source.slot;
    client.value(&format!("SELECT {column} FROM pg_replication_slots WHERE slot_name = '{name}'")).await
}

/// Waits until the target has everything that is committed now, and stops the pipeline.
async fn drain(running: Running, client: &Client, pipeline: &Pipeline) {
    let head = client.value("SELECT pg_current_wal_insert_lsn()").await;
    // Something after it must be confirmed, so that it is not the pipeline's word alone.
    client.run("CREATE TABLE IF NOT EXISTS public.mark (n int PRIMARY KEY); DELETE FROM public.mark").await;
    client.run("INSERT INTO public.mark VALUES (1)").await;
    wait_for("the slot moves past the last change", PATIENCE, async || {
        (slot(client, pipeline, &format!("confirmed_flush_lsn > '{head}'")).await == "t").then_some(())
    })
    .await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_01_the_slot_is_confirmed_before_the_target_is_durable() {
    // Asks for a sign of life twice a second, so that a connection nobody serves would not last.
    let database = own(&[("wal_sender_timeout", "1s")]).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (0)").await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();

    let gate = Gate::default();
    gate.close();
    let (held, before) = (gate.clone(), slot(&client, &pipeline, "confirmed_flush_lsn").await);
    let running = pipeline.start_with({
        let (new_source, new_sink) = (pipeline.source.clone(), pipeline.sink.clone());
        move || {
            let sink = Gated { sink: tailwater_duckdb::DuckDb::new(new_sink.clone()), gate: held.clone() };
            (tailwater_postgres::PostgresSource::new(new_source.clone()), sink)
        }
    });
    for id in 1..=100 {
        client.run(&format!("INSERT INTO t VALUES ({id})")).await;
    }
    let (head, start) =
        (client.value("SELECT pg_current_wal_lsn()").await, client.value("SELECT now()").await);
    let sender = format!(
        "SELECT r.pid FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
         WHERE slot_name = '{}' AND sent_lsn >= '{head}' AND reply_time > '{start}'::timestamptz",
        pipeline.source.slot
    );
    let first = wait_for("everything is sent and answered", PATIENCE, async || {
        Some(client.value(&sender).await).filter(|pid| !pid.is_empty())
    })
    .await;
    let later = format!("{sender} + '3 s'::interval");
    let last = wait_for("it is still answered three seconds later", PATIENCE, async || {
        Some(client.value(&later).await).filter(|pid| !pid.is_empty())
    })
    .await;
    assert_eq!(first, last, "the connection did not last while the sink was blocked");
    assert_eq!(slot(&client, &pipeline, "confirmed_flush_lsn").await, before);

    gate.break_down();
    running.stop().await.unwrap();
    assert_eq!(rows(&pipeline.file(), "public.t").len(), 1);
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_02_a_restart_inside_a_transaction_skips_or_repeats_its_events() {
    const ROWS: usize = 10_000;
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int, word text)").await;
    let mut pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();
    // A hundred writes for one transaction, whose events all have the same commit position.
    pipeline.options.batch_bytes = 10_000;
    let mut random = Random::new(2);
    for round in 1..=6 {
        client.run(&format!("INSERT INTO t SELECT n, 'word' FROM generate_series(1, {ROWS}) n")).await;
        let sink =
            Failing { sink: pipeline.new_sink(), writes: random.below(40), after_effect: random.one_in(2) };
        assert_eq!(pipeline.catch_up_into(sink).await.unwrap_err().code(), PLANNED);
        let held = rows(&pipeline.file(), "public.t").len();
        assert_eq!(held, (round - 1) * ROWS, "half of a transaction can be seen");
        pipeline.catch_up().await.unwrap();
    }
    pipeline.assert_equal(&client, &["public.t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_03_the_slot_was_moved_on_by_somebody_else() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY)").await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();
    client.run("INSERT INTO t SELECT generate_series(1, 100)").await;
    let name = &pipeline.source.slot;
    client.run(&format!("SELECT pg_replication_slot_advance('{name}', pg_current_wal_lsn())")).await;
    let error = pipeline.catch_up().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-PG-068"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_04_a_crash_of_the_server_moves_the_slot_back_and_rows_come_twice() {
    let mut server = servers::own(any_version(), &[]).await;
    let url = server.url("postgres");
    // Without a key, so that a repeated insert is a second row.
    server.connect("postgres").await.run("CREATE TABLE t (id int)").await;
    let pipeline = Pipeline::at(&url, "crash", &["public.t"]);
    let running = pipeline.start();
    for round in 1..=4 {
        let client = server.connect("postgres").await;
        client.run(&format!("INSERT INTO t SELECT n FROM generate_series(1, {round}00) n")).await;
        let head = client.value("SELECT pg_current_wal_lsn()").await;
        wait_for("the slot is confirmed", PATIENCE, async || {
            (slot(&client, &pipeline, &format!("confirmed_flush_lsn >= '{head}'")).await == "t").then_some(())
        })
        .await;
        if round % 2 == 0 {
            server.kill().await
        } else {
            server.stop_immediate().await
        }
        server.restart().await;
    }
    running.stop().await.unwrap();
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&server.connect("postgres").await, &["public.t"]).await;
}

/// Streaming of open transactions is off, so the server spills them; what was rolled back must not come all the same.
#[tokio::test(flavor = "multi_thread")]
async fn loss_07_a_savepoint_that_was_rolled_back_comes_through() {
    let database = own(&[("logical_decoding_work_mem", "64kB")]).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, word text)").await;
    let mut pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();
    pipeline.options.batch_bytes = 100_000;
    let mut random = Random::new(7);
    for round in 0..5 {
        let (mut script, mut depth) = (String::from("BEGIN;"), 0);
        for step in 0..60 {
            let (low, high) = (round * 100_000 + step * 200, round * 100_000 + step * 200 + 150);
            script.push_str(&format!(
                "INSERT INTO t SELECT n, repeat('x', 50) FROM generate_series({low}, {high}) n;"
            ));
            script.push_str(&format!("UPDATE t SET word = 'y' WHERE id % 7 = {} AND id >= {low};", step % 7));
            match random.below(3) {
                0 => {
                    depth += 1;
                    script.push_str("SAVEPOINT s;");
                }
                1 if depth > 0 => {
                    script.push_str("ROLLBACK TO s;");
                }
                _ if depth > 0 => {
                    depth -= 1;
                    script.push_str("RELEASE s;");
                }
                _ => {}
            }
        }
        client.run(&format!("{script} {}", if round == 3 { "ROLLBACK" } else { "COMMIT" })).await;
        let sink = Failing { sink: pipeline.new_sink(), writes: random.below(5), after_effect: false };
        if let Err(error) = pipeline.catch_up_into(sink).await {
            assert_eq!(error.code(), PLANNED, "{error}");
        }
        pipeline.catch_up().await.unwrap();
        pipeline.assert_equal(&client, &["public.t"]).await;
    }
}

/// A server that was set back to a copy of itself and promoted has another history after the point of the copy, with
/// the same positions: as a standby that lagged does when it takes over.
#[tokio::test(flavor = "multi_thread")]
async fn loss_08_a_failover_uses_the_same_positions_for_other_changes() {
    let mut server = servers::own(any_version(), &[("restore_command", "false")]).await;
    let client = server.connect("postgres").await;
    client.run("CREATE TABLE t (id int PRIMARY KEY)").await;
    let pipeline = Pipeline::at(&server.url("postgres"), "failover", &["public.t"]);
    pipeline.catch_up().await.unwrap();
    let shell = async |client: &Client, command: &str| {
        client.run(&format!("COPY (SELECT) TO PROGRAM '{command}'")).await;
    };
    client.run("CHECKPOINT").await;
    shell(&client, "cp -a . ../other && rm ../other/postmaster.pid && touch ../other/recovery.signal").await;
    client.run("INSERT INTO t SELECT generate_series(1, 1000)").await;
    pipeline.catch_up().await.unwrap();
    shell(&client, "rm -rf base global pg_wal pg_replslot && cp -a ../other/. .").await;
    drop(client);
    server.kill().await;
    server.restart().await;
    let client = server.connect("postgres").await;
    wait_for("the other server is promoted", PATIENCE, async || {
        (client.value("SELECT pg_is_in_recovery()").await == "f").then_some(())
    })
    .await;
    assert_eq!(client.value("SELECT count(*) FROM t").await, "0");
    client.run("INSERT INTO t SELECT generate_series(5001, 9000)").await;
    let error = pipeline.catch_up().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-PG-069"), "{error}");
    assert_eq!(rows(&pipeline.file(), "public.t").len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_09_a_lost_slot_is_made_again_in_silence() {
    let database = own(&[("max_slot_wal_keep_size", "1MB"), ("wal_keep_size", "0")]).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, word text)").await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.catch_up().await.unwrap();
    for segment in 0..4 {
        client.run(&format!("INSERT INTO t VALUES ({segment}, 'x'); SELECT pg_switch_wal()")).await;
        client.run("CHECKPOINT").await;
    }
    wait_for("the slot is lost", PATIENCE, async || {
        (slot(&client, &pipeline, "wal_status").await == "lost").then_some(())
    })
    .await;
    let error = pipeline.catch_up().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-PG-067"), "{error}");
    assert!(error.remedy_text().is_some());

    client.run(&format!("SELECT pg_drop_replication_slot('{}')", pipeline.source.slot)).await;
    let error = pipeline.catch_up().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-PG-064"), "{error}");
    assert_eq!(client.value("SELECT count(*) FROM pg_replication_slots").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_10_rows_between_the_snapshot_and_the_stream_are_missing() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    workload::create(&client).await;
    Workload::new(10, 0).write(&client, 300).await;
    client
        .run("INSERT INTO orders SELECT -n, n, gen_random_uuid(), n, now(), repeat('z', 100) FROM generate_series(1, 30000) n")
        .await;
    let mut pipeline = Pipeline::new(&database, &["public.*"]);
    // Several ranges, so that rows that move while they are copied could be found twice or never.
    pipeline.source.copy_range_bytes = 256 << 10;
    let (url, stop) = (database.url(), CancellationToken::new());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 1..3 {
        let (url, stop) = (url.clone(), stop.clone());
        // A truncate while the copy takes its snapshot makes it start afresh, which is right, and no matter here.
        let mut workload = Workload::new(10, writer);
        workload.truncates = false;
        writers.spawn(async move { workload.run(&url, &stop).await });
    }
    // Moves old rows to the end of the table, one after the other.
    let (mover, moving) = (database.connect().await, stop.clone());
    writers.spawn(async move {
        let mut id = 0;
        while !moving.is_cancelled() {
            id += 1;
            mover.run(&format!("UPDATE orders SET total = total + 1 WHERE id = -{id}")).await;
        }
        workload::Totals::default()
    });
    let running = pipeline.start();
    running.streams(None, PATIENCE).await;
    stop.cancel();
    writers.join_all().await;
    drain(running, &client, &pipeline).await;
    pipeline.catch_up().await.unwrap();
    let tables = workload::TABLES.map(|table| format!("public.{table}"));
    pipeline.assert_equal(&client, &tables.each_ref().map(String::as_str)).await;
}

/// Deleted rows leave pages behind, and a copy may be cut where whole ranges of them are.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_after_ranges_of_pages_that_hold_no_row() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int, word text)").await;
    client.run("INSERT INTO t SELECT n, repeat('z', 1000) FROM generate_series(1, 1000) n").await;
    client.run("DELETE FROM t WHERE id <= 100 OR id BETWEEN 400 AND 700 OR id > 900").await;
    let mut pipeline = Pipeline::new(&database, &["public.t"]);
    pipeline.source.copy_range_bytes = 64 << 10;
    pipeline.catch_up().await.unwrap();
    pipeline.assert_equal(&client, &["public.t"]).await;
}

/// A TRUNCATE waits for the copy's locks, and whoever wants the table after it waits behind it: if a session of the
/// copy were among them, all would wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_while_the_copy_begins_blocks_neither_the_copy_nor_the_application() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client
        .run("CREATE TABLE t (id int); CREATE TABLE u (id int); INSERT INTO u SELECT generate_series(1, 9)")
        .await;
    let (truncater, stop) = (database.connect().await, CancellationToken::new());
    let stopped = stop.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while !stopped.is_cancelled() {
            truncater.run("INSERT INTO t VALUES (1); TRUNCATE t").await;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    for round in 0..5 {
        let name = format!("{}_{round}", database.name);
        let pipeline = Pipeline::at(&database.url(), &name, &["public.t", "public.u"]);
        let running = pipeline.start();
        running.streams(None, PATIENCE).await;
        running.stop().await.unwrap();
        pipeline.assert_equal(&client, &["public.u"]).await;
        client.run(&format!("SELECT pg_drop_replication_slot('{}')", pipeline.source.slot)).await;
    }
    stop.cancel();
    tasks.join_all().await;
}

/// The slot is nobody's while the copy is under way, and the server starts a stream from one that is newer than asked
/// for without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_made_again_during_the_copy_is_not_streamed_from() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, word text)").await;
    // More than the copy reads ahead of a sink that waits.
    client.run("INSERT INTO t SELECT n, repeat('z', 200) FROM generate_series(1, 50000) n").await;
    let pipeline = Pipeline::new(&database, &["public.t"]);
    let gate = Gate::default();
    // The announcement passes; then the slot is created, and the copy waits.
    gate.close_after(1);
    let (source, sink, held) = (pipeline.source.clone(), pipeline.sink.clone(), gate.clone());
    let mut running = pipeline.start_with(move || {
        let sink = Gated { sink: tailwater_duckdb::DuckDb::new(sink.clone()), gate: held.clone() };
        (tailwater_postgres::PostgresSource::new(source.clone()), sink)
    });
    wait_for("the copy reads", PATIENCE, async || {
        let sql = "SELECT count(*) > 0 FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE 'COPY (%'";
        (client.value(sql).await == "t").then_some(())
    })
    .await;
    let name = &pipeline.source.slot;
    client.run(&format!("SELECT pg_drop_replication_slot('{name}')")).await;
    client.run("INSERT INTO t VALUES (0, 'lost')").await;
    client.run(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    gate.open();
    let error = tokio::time::timeout(PATIENCE, running.ended()).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-PG-068"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_renamed_while_the_copy_begins_is_copied_all_the_same() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 9)").await;
    for round in 0..5 {
        let (renamer, stop) = (database.connect().await, CancellationToken::new());
        let (mut tasks, stopped) = (tokio::task::JoinSet::new(), stop.clone());
        tasks.spawn(async move {
            while !stopped.is_cancelled() {
                renamer.run("ALTER TABLE t RENAME TO v").await;
                renamer.run("ALTER TABLE v RENAME TO t").await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let name = format!("{}_{round}", database.name);
        let pipeline = Pipeline::at(&database.url(), &name, &["public.t", "public.v"]);
        let running = pipeline.start();
        running.streams(None, PATIENCE).await;
        stop.cancel();
        tasks.join_all().await;
        drain(running, &client, &pipeline).await;
        pipeline.assert_equal(&client, &["public.t"]).await;
        client.run(&format!("SELECT pg_drop_replication_slot('{}')", pipeline.source.slot)).await;
    }
}
