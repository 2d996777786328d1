//! The test infrastructure itself: what the other tests build on must be true.

use std::time::{Duration, Instant};

use tailwater_integration_tests::servers::{self, all_versions, any_version};
use tailwater_integration_tests::{Client, Proxy, Workload, wait_for, workload};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn every_version_starts_and_can_decode_its_log() {
    for version in all_versions() {
        let database = servers::database(version).await;
        let client = database.connect().await;
        assert_eq!(client.value("SHOW server_version_num").await[..2], version.to_string());
        assert_eq!(client.value("SHOW wal_level").await, "logical");
        client
            .run("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE TABLE t (a hstore, b citext)")
            .await;
        let slot = format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", database.name);
        assert!(client.value(&slot).await.contains(&database.name));
        client.run(&format!("SELECT pg_drop_replication_slot('{}')", database.name)).await;
        if let Some(url) = database.server.socket_url(&database.name) {
            assert_eq!(Client::connect(&url).await.value("SELECT current_database()").await, database.name);
        }
    }
}

#[tokio::test]
async fn tests_of_one_version_share_a_server_and_not_a_database() {
    let (one, two) = tokio::join!(servers::database(any_version()), servers::database(any_version()));
    assert_eq!(one.server.address(), two.server.address());
    assert_ne!(one.name, two.name);
}

#[tokio::test]
async fn servers_of_ones_own_have_their_own_settings_and_identity() {
    let (one, two) = tokio::join!(servers::own(15, &[("work_mem", "64kB")]), servers::own(15, &[]));
    let (first, second) = (one.connect("postgres").await, two.connect("postgres").await);
    assert_eq!(first.value("SHOW work_mem").await, "64kB");
    let identity = "SELECT system_identifier FROM pg_control_system()";
    assert_ne!(first.value(identity).await, second.value(identity).await);
}

#[tokio::test]
async fn a_server_keeps_what_was_committed_through_every_kind_of_end() {
    let mut server = servers::own(any_version(), &[]).await;
    let address = server.address();
    server.connect("postgres").await.run("CREATE TABLE t (n int4)").await;
    for round in 0..4 {
        server.connect("postgres").await.run("INSERT INTO t VALUES (1)").await;
        match round {
            0 => server.stop().await,
            1 => server.stop_immediate().await,
            2 => server.kill().await,
            _ => {}
        }
        assert_eq!(Client::open(&server.url("postgres")).await.is_err(), round < 3);
        server.restart().await;
        assert_eq!(server.address(), address);
        let count = server.connect("postgres").await.value("SELECT count(*) FROM t").await;
        assert_eq!(count, (round + 1).to_string());
    }
}

#[tokio::test]
async fn a_paused_server_says_nothing_until_it_goes_on() {
    let server = servers::own(any_version(), &[]).await;
    let client = server.connect("postgres").await;
    server.pause().await;
    let question = client.value("SELECT 1");
    tokio::pin!(question);
    tokio::select! {
        answer = &mut question => panic!("a paused server answers {answer}"),
        () = tokio::time::sleep(Duration::from_millis(300)) => {}
    }
    server.resume().await;
    assert_eq!(question.await, "1");
}

#[tokio::test]
async fn the_proxy_cuts_where_it_is_told_to_and_carries_the_rest_whole() {
    let database = servers::database(any_version()).await;
    let proxy = Proxy::start(database.server.address()).await;
    proxy.split(1);
    let client = Client::connect(&proxy.url(&database.name)).await;
    assert_eq!(client.value("SELECT repeat('x', 1000)").await, "x".repeat(1000));
    let before = proxy.to_client();
    proxy.cut_after(500);
    assert!(client.simple_query("SELECT repeat('x', 1000)").await.is_err());
    assert_eq!(proxy.to_client(), before + 500);
    assert!(!proxy.will_cut());
    proxy.join();
    proxy.refuse(true);
    assert!(Client::open(&proxy.url(&database.name)).await.is_err());
    proxy.refuse(false);
    let client = Client::connect(&proxy.url(&database.name)).await;
    assert_eq!(proxy.connections(), 3);
    proxy.cut();
    wait_for("the cut is noticed", PATIENCE, async || client.is_closed().then_some(())).await;
    assert!(proxy.to_server() > 0);
}

#[tokio::test]
async fn a_stalled_proxy_holds_everything_back_and_loses_nothing() {
    let database = servers::database(any_version()).await;
    let proxy = Proxy::start(database.server.address()).await;
    let client = Client::connect(&proxy.url(&database.name)).await;
    let (answer, stalled_for) = {
        proxy.stall(true);
        let start = Instant::now();
        let question = client.value("SELECT 7");
        let release = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            proxy.stall(false);
        };
        let (answer, ()) = tokio::join!(question, release);
        (answer, start.elapsed())
    };
    assert_eq!(answer, "7");
    assert!(stalled_for >= Duration::from_millis(200), "{stalled_for:?}");
}

#[tokio::test]
async fn the_workload_does_everything_and_nothing_of_it_is_wrong() {
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    workload::create(&client).await;
    let totals = Workload::new(7, 0).write(&client, 600).await;
    assert_eq!(totals.failed, 0);
    assert!(totals.committed > 400 && totals.rolled_back > 20, "{totals:?}");
    for table in workload::TABLES {
        assert!(!client.dump(table).await.is_empty(), "{table} is empty");
    }
    let toasted = client.value("SELECT count(*) FROM customers WHERE length(letter) > 4000").await;
    assert_ne!(toasted, "0");
    let twice =
        "SELECT count(*) FROM (SELECT FROM ledger GROUP BY account, amount, remark HAVING count(*) > 1) t";
    assert_ne!(client.value(twice).await, "0");
}

#[tokio::test]
async fn the_workload_goes_on_after_its_server_was_killed() {
    let mut server = servers::own(any_version(), &[]).await;
    workload::create(&server.connect("postgres").await).await;
    let (url, stop) = (server.url("postgres"), CancellationToken::new());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..2 {
        let (url, stop) = (url.clone(), stop.clone());
        writers.spawn(async move { Workload::new(3, writer).run(&url, &stop).await });
    }
    let rows = async |server: &servers::Server| -> u64 {
        server.connect("postgres").await.value("SELECT count(*) FROM visits").await.parse().unwrap()
    };
    wait_for("rows come", PATIENCE, async || (rows(&server).await > 20).then_some(())).await;
    server.kill().await;
    server.restart().await;
    let before = rows(&server).await;
    wait_for("more rows come", PATIENCE, async || (rows(&server).await > before + 20).then_some(())).await;
    stop.cancel();
    for totals in writers.join_all().await {
        assert!(totals.committed > 0, "{totals:?}");
    }
}
