//! What happens to servers, networks and disks while a pipeline runs under load. It must go on by itself, and the
//! target must hold what the source holds: nothing twice, nothing lost.

use std::time::Duration;

use tailwater_core::status::Phase;
use tailwater_integration_tests::pipeline::{Pipeline, Running, assert_equal};
use tailwater_integration_tests::servers::{self, any_version};
use tailwater_integration_tests::{Client, Program, Proxy, Random, wait_for, workload};

use crate::load::{Writers, seed, slot};

const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until everything committed by now is confirmed, and stops the pipeline.
async fn drain(running: Running, client: &Client, pipeline: &Pipeline) {
    let end = client.value("SELECT pg_current_wal_insert_lsn()").await;
    wait_for("the target has everything", PATIENCE, async || {
        let reached = slot(client, &pipeline.source.slot, &format!("confirmed_flush_lsn >= '{end}'")).await;
        (reached == "t").then_some(())
    })
    .await;
    running.stop().await.unwrap();
}

/// As likely a few as many.
fn some_bytes(random: &mut Random) -> u64 {
    let most = 1 << random.within(4..20);
    random.below(most)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_killed_under_load() {
    let seed = seed();
    let mut server = servers::own(any_version(), &[]).await;
    let client = server.connect("postgres").await;
    workload::create(&client).await;
    let pipeline = Pipeline::at(&server.url("postgres"), "killed_server", &["public.*"]);
    let running = pipeline.start();
    // A copy starts over when a table is truncated as it begins, and these writers do little else.
    running.streams(None, PATIENCE).await;
    let writers = Writers::start(&server.url("postgres"), seed);
    for round in 0..4 {
        let events = running.watcher.borrow().events;
        running.streams(Some(events), PATIENCE).await;
        let retries = running.watcher.borrow().retries;
        if round % 2 == 0 {
            server.stop_immediate().await
        } else {
            server.kill().await
        }
        server.restart().await;
        // It may still be busy with what it had read.
        wait_for("the pipeline notices", PATIENCE, async || {
            (running.watcher.borrow().retries > retries).then_some(())
        })
        .await;
    }
    writers.end().await;
    let client = server.connect("postgres").await;
    drain(running, &client, &pipeline).await;
    pipeline.assert_equal(&client, &workload::TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_cut_at_random_bytes() {
    let seed = seed();
    let mut random = Random::new(seed);
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    workload::create(&client).await;
    client.run("INSERT INTO visits SELECT n, '/' || n, NULL FROM generate_series(1, 20000) n").await;
    let proxy = Proxy::start(database.server.address()).await;
    let pipeline = Pipeline::at(&proxy.url(&database.name), &database.name, &["public.*"]);
    // Somewhere between the first byte of the login and the last one of the copy.
    for _ in 0..6 {
        proxy.cut_after(some_bytes(&mut random));
        let running = pipeline.start();
        // A copy that was whole before the cut leaves an idle stream, which no byte would cut.
        let whole = || running.watcher.borrow().phase == Phase::Streaming;
        wait_for("the cut", PATIENCE, async || (!proxy.will_cut() || whole()).then_some(())).await;
        running.stop().await.unwrap();
    }
    let running = pipeline.start();
    // A copy starts over when a table is truncated as it begins, and these writers do little else.
    running.streams(None, PATIENCE).await;
    let writers = Writers::start(&database.url(), seed);
    for _ in 0..12 {
        let events = running.watcher.borrow().events;
        running.streams(Some(events), PATIENCE).await;
        proxy.cut_after(some_bytes(&mut random));
        wait_for("the cut", PATIENCE, async || (!proxy.will_cut()).then_some(())).await;
    }
    writers.end().await;
    drain(running, &client, &pipeline).await;
    pipeline.assert_equal(&client, &workload::TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_stalls() {
    let seed = seed();
    let server = servers::own(any_version(), &[("wal_sender_timeout", "1s")]).await;
    let client = server.connect("postgres").await;
    workload::create(&client).await;
    let proxy = Proxy::start(server.address()).await;
    let pipeline = Pipeline::at(&proxy.url("postgres"), "stalled", &["public.*"]);
    let running = pipeline.start();
    // A copy starts over when a table is truncated as it begins, and these writers do little else.
    running.streams(None, PATIENCE).await;
    let writers = Writers::start(&server.url("postgres"), seed);
    for _ in 0..2 {
        let events = running.watcher.borrow().events;
        running.streams(Some(events), PATIENCE).await;
        // Before it streams, the server waits for ever.
        wait_for("the server streams", PATIENCE, async || {
            let sql = "SELECT count(*) FROM pg_stat_replication WHERE state IN ('catchup', 'streaming')";
            (client.value(sql).await == "1").then_some(())
        })
        .await;
        let retries = running.watcher.borrow().retries;
        proxy.stall(true);
        // Neither end is told of anything.
        wait_for("the pipeline gives the connection up", PATIENCE, async || {
            (running.watcher.borrow().retries > retries).then_some(())
        })
        .await;
        wait_for("the server gives the connection up", PATIENCE, async || {
            (client.value("SELECT count(*) FROM pg_stat_replication").await == "0").then_some(())
        })
        .await;
        proxy.stall(false);
    }
    writers.end().await;
    drain(running, &client, &pipeline).await;
    pipeline.assert_equal(&client, &workload::TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE log (note text)").await;
    let program = Program::new(&database.url(), &database.name, &["public.*"]);
    program.catch_up(PATIENCE).await;
    let mut process = program.start_on_a_small_disk(4096);
    for step in 0..20 {
        let rows = format!(
            "SELECT n, md5(n::text) || md5((n + 1)::text) FROM generate_series({step}000, {step}999) n"
        );
        client
            .run(&format!("INSERT INTO t {rows}; INSERT INTO log SELECT md5(n::text) FROM ({rows}) x (n)"))
            .await;
    }
    client.run("INSERT INTO t SELECT n, repeat(md5(n::text), 20) FROM generate_series(20000, 60000) n").await;
    wait_for("the disk is full", PATIENCE, async || {
        assert!(process.runs(), "it has ended by itself:\n{}", program.log());
        program.log().contains("File too large").then_some(())
    })
    .await;
    assert!(!program.log().contains("TW-DUCK-005"), "not a conflict of transactions:\n{}", program.log());
    client.run("UPDATE t SET note = 'late' WHERE id < 5").await;
    process.make_room();
    let end = client.value("SELECT pg_current_wal_insert_lsn()").await;
    wait_for("it goes on by itself", PATIENCE, async || {
        assert!(process.runs(), "it has ended by itself:\n{}", program.log());
        let name = format!("tailwater_{}", database.name);
        (slot(&client, &name, &format!("confirmed_flush_lsn >= '{end}'")).await == "t").then_some(())
    })
    .await;
    process.kill();
    assert_equal(&program.target(), &client, &["t", "log"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_frees_the_log_without_a_heartbeat_table() {
    let server = servers::own(any_version(), &[]).await;
    let client = server.connect("postgres").await;
    client.run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE foreign_to_us (id int)").await;
    client.run("CREATE DATABASE another").await;
    let another = server.connect("another").await;
    another.run("CREATE TABLE far (id int)").await;
    let pipeline = Pipeline::at(&server.url("postgres"), "idle", &["public.t"]);
    let running = pipeline.start();
    running.streams(None, PATIENCE).await;
    for writer in [&client, &another] {
        let table = if std::ptr::eq(writer, &client) { "foreign_to_us" } else { "far" };
        for _ in 0..3 {
            writer.run(&format!("INSERT INTO {table} SELECT generate_series(1, 1000)")).await;
            let end = writer.value("SELECT pg_current_wal_insert_lsn()").await;
            wait_for("the slot follows foreign changes", PATIENCE, async || {
                let reached =
                    slot(&client, "tailwater_idle", &format!("confirmed_flush_lsn >= '{end}'")).await;
                (reached == "t").then_some(())
            })
            .await;
        }
    }
    let slack = slot(&client, "tailwater_idle", "pg_current_wal_insert_lsn() - restart_lsn").await;
    assert!(slack.parse::<u64>().unwrap() < 4 << 20, "{slack} bytes of log are kept");
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_large_transaction_is_never_visible() {
    const ROWS: u64 = 200_000;
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE big (id int, note text); CREATE TABLE small (id int PRIMARY KEY)").await;
    client.run("INSERT INTO big VALUES (0, ''); INSERT INTO small VALUES (0)").await;
    let mut pipeline = Pipeline::new(&database, &["public.big", "public.small"]);
    pipeline.options.batch_bytes = 1 << 18;
    let running = pipeline.start();
    running.streams(Some(1), PATIENCE).await;
    client
        .run(&format!(
            "BEGIN; UPDATE small SET id = 1;
             INSERT INTO big SELECT n, 'note ' || n FROM generate_series(1, {ROWS}) n;
             UPDATE small SET id = 2; COMMIT"
        ))
        .await;
    let mut asked_inside = 0;
    wait_for("the transaction shows", PATIENCE, async || {
        let inside = running.watcher.borrow().position.event > 0;
        let (file, sql) = (pipeline.file(), "SELECT count(*), (SELECT id FROM public.small) FROM public.big");
        let answer = tokio::task::spawn_blocking(move || tailwater_duckdb::query(&file, sql)).await.unwrap();
        let row = answer.unwrap().rows.into_iter().flatten().flatten().collect::<Vec<_>>().join(" ");
        let still_inside = running.watcher.borrow().position.event > 0;
        let (none, all) = ("1 0".to_owned(), format!("{} 2", ROWS + 1));
        assert!(row == none || row == all, "half of the transaction is visible: {row}");
        asked_inside += u64::from(inside && still_inside && row == none);
        (row == all).then_some(())
    })
    .await;
    assert!(asked_inside > 0, "nobody asked in the middle of the transaction");
    running.stop().await.unwrap();
    pipeline.assert_equal(&client, &["big", "small"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_a_million_rows_needs_no_more_memory_than_a_small_one() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    client.run("CREATE TABLE big (id int PRIMARY KEY, note text)").await;
    let program = Program::to_stdout(&database.url(), &database.name, &["public.big"]);
    program.catch_up(PATIENCE).await;
    client.run("INSERT INTO big SELECT n, 'note ' || n FROM generate_series(1, 1000000) n").await;
    let peak_mb = program.start(&["--until-caught-up"]).peak_mb(PATIENCE).await;
    assert!(peak_mb <= 64.0, "{peak_mb} MB");
}
