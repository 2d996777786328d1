//! The program is killed, again and again, while it copies and while it streams; after that the target must hold what
//! the source holds: nothing twice, nothing lost.

use std::time::Duration;

use tailwater_integration_tests::pipeline::{self, assert_equal};
use tailwater_integration_tests::servers::{self, any_version};
use tailwater_integration_tests::{Program, Random, wait_for, workload};

use crate::load::{Writers, seed, slot};

const PATIENCE: Duration = Duration::from_secs(300);
const KILLS_IN_THE_COPY: u64 = 8;
const KILLS_IN_THE_STREAM: u64 = 12;

async fn at_random(random: &mut Random, milliseconds: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.within(milliseconds))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_nothing_is_lost_and_nothing_comes_twice() {
    let seed = seed();
    let mut random = Random::new(seed);
    let database = servers::database(any_version()).await;
    let client = database.connect().await;
    workload::create(&client).await;
    client.run("INSERT INTO visits SELECT n, '/' || n, NULL FROM generate_series(1, 600000) n").await;
    let program = Program::new(&database.url(), &database.name, &["public.*"]);
    let name = format!("tailwater_{}", database.name);
    let writers = Writers::start(&database.url(), seed);

    let target = tailwater_duckdb::Config::new(program.target(), &database.name);
    let mut copying = 0;
    for _ in 0..KILLS_IN_THE_COPY {
        let process = program.start(&[]);
        at_random(&mut random, 20..1000).await;
        let begun = !slot(&client, &name, "slot_name").await.is_empty();
        process.kill();
        let held = pipeline::position(&target);
        copying += u64::from(begun && held.is_none_or(|held| held.copying()));
    }
    assert!(copying > 0, "every kill came before the copy began, or after its end");

    let mut process = program.start(&[]);
    for _ in 0..KILLS_IN_THE_STREAM {
        let before = slot(&client, &name, "confirmed_flush_lsn").await;
        wait_for("the stream moves on", PATIENCE, async || {
            assert!(process.runs(), "it has ended by itself:\n{}", program.log());
            let now = slot(&client, &name, "confirmed_flush_lsn").await;
            (now != before).then_some(())
        })
        .await;
        at_random(&mut random, 0..300).await;
        process.kill();
        process = program.start(&[]);
    }
    writers.end().await;
    process.kill();
    program.catch_up(PATIENCE).await;
    assert_equal(&program.target(), &client, &workload::TABLES).await;
}
