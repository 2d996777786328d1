//! Crash tests of the loop and its supervisor: every step fails once, before and after its effect, by an error
//! and by the death of the process, on fakes. What must hold at every moment is asserted by the fakes in `world`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test"
)]

mod world;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tailwater_core::pipeline::Options;
use tailwater_core::status::{self, Phase};
use tailwater_core::{Error, ErrorKind, Result, supervise};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use world::{Fault, How, Promise, Random, Shared, Step, When, World};

const SEEDS: u64 = 25;

/// Small enough that batches end inside transactions, and that the source is kept alive while the sink is busy.
const OPTIONS: Options = Options { batch_bytes: 600, until_caught_up: true };

/// Says which seed failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing seed: {}", self.0);
        }
    }
}

/// One process: from its start until it has caught up, needs a person, or is killed.
async fn process(world: &Shared, seed: u64, options: &Options, stop: &CancellationToken) -> Result<()> {
    let epoch = world.boot();
    let mut attempts = 0;
    let connect = || {
        attempts += 1;
        assert!(attempts < 50, "it never gets anywhere");
        assert!(!world.lock().broken, "the sink found something wrong: see above");
        if world.lock().killed {
            return Err(Error::operator("TW-TEST-002", "the process is gone"));
        }
        Ok((world.source(epoch, seed + attempts), world.sink(epoch)))
    };
    supervise::supervise("test", connect, options, stop, &status::channel().0).await
}

/// Processes one after the other until one catches up.
async fn run_to_the_end(world: &Shared, seed: u64) {
    for round in 0..20 {
        let outcome = process(world, seed + 1000 * round, &OPTIONS, &CancellationToken::new()).await;
        if !world.lock().killed {
            outcome.unwrap();
            break;
        }
    }
    assert_finished(&world.lock());
}

fn assert_finished(world: &World) {
    assert!(!world.broken, "the sink found something wrong: see above");
    assert!(world.done(), "{:?} of {}", world.position, world.log.len());
    assert_eq!(world.confirmed, (world.log.len() as u64, 0), "durable but not confirmed");
    assert_eq!(world.sinks_open, 0, "a sink was left open");
    assert!(world.source_closed, "the source was not closed");
}

async fn fails_once(step: Step, how: How, promise: Promise) {
    for when in [When::Before, When::After] {
        let mut fired = 0;
        for seed in 0..SEEDS {
            let _seed = Seed(seed);
            let mut random = Random(seed);
            let mut world = Shared::new(&mut random, promise);
            if step == Step::KeepAlive {
                // Enough to fill a batch while the first write waits.
                world = Shared::with_log(vec![3; 50], 0, promise);
                world.lock().write_waits = true;
            }
            let often = matches!(step, Step::Read | Step::Write | Step::Save | Step::Confirm);
            let nth = if often { u32::try_from(random.below(8)).unwrap() } else { 0 };
            world.lock().fault = Some(Fault { step, when, how, nth });
            run_to_the_end(&world, seed).await;
            let left_open = world.lock().left_open;
            assert!(left_open == 0 || step == Step::SinkOpen, "a sink was dropped and not closed");
            fired += u64::from(world.lock().fault_fired);
        }
        assert!(
            fired > SEEDS / 2,
            "{step:?} {when:?} failed in {fired} of {SEEDS} runs only: the test proves little"
        );
    }
}

macro_rules! every_step_fails_once {
    ($($name:ident: $step:expr, $promise:expr;)*) => {
        mod by_an_error {
            use super::*;
            $(#[tokio::test(start_paused = true)] async fn $name() {
                fails_once($step, How::Error(ErrorKind::Transient), $promise).await;
            })*
        }
        mod by_a_kill {
            use super::*;
            $(#[tokio::test(start_paused = true)] async fn $name() { fails_once($step, How::Kill, $promise).await; })*
        }
    };
}

every_step_fails_once! {
    open_sink: Step::SinkOpen, Promise::ExactlyOnce;
    open_source: Step::SourceOpen, Promise::ExactlyOnce;
    read: Step::Read, Promise::ExactlyOnce;
    write: Step::Write, Promise::ExactlyOnce;
    confirm: Step::Confirm, Promise::ExactlyOnce;
    keep_alive: Step::KeepAlive, Promise::ExactlyOnce;
    close_sink: Step::SinkClose, Promise::ExactlyOnce;
    close_source: Step::SourceClose, Promise::ExactlyOnce;
    at_least_once_read: Step::Read, Promise::AtLeastOnce;
    at_least_once_write: Step::Write, Promise::AtLeastOnce;
    at_least_once_save: Step::Save, Promise::AtLeastOnce;
    at_least_once_confirm: Step::Confirm, Promise::AtLeastOnce;
}

/// The whole loop is dropped between two polls, wherever it stands; a write in flight then has no effect any more.
#[tokio::test(start_paused = true)]
async fn dropped_at_any_moment() {
    for seed in 0..4 * SEEDS {
        let _seed = Seed(seed);
        let mut random = Random(seed);
        let world = Shared::new(&mut random, Promise::ExactlyOnce);
        for round in 0..6 {
            let mut polls = random.below(40);
            let stop = CancellationToken::new();
            let mut running = pin!(process(&world, seed + round, &OPTIONS, &stop));
            std::future::poll_fn(|context| {
                polls = polls.saturating_sub(1);
                if polls == 0 || running.as_mut().poll(context).is_ready() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
        run_to_the_end(&world, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_faults_each_promise_is_kept() {
    for seed in 0..SEEDS {
        let _seed = Seed(seed);
        for promise in [Promise::ExactlyOnce, Promise::AtLeastOnce] {
            let world = Shared::new(&mut Random(seed), promise);
            run_to_the_end(&world, seed).await;
            let world = world.lock();
            let events: u64 = world.log.iter().sum();
            assert_eq!(
                world.rows.len() as u64,
                events,
                "without a fault nothing comes twice, whatever the promise"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_source_is_kept_alive_while_the_sink_is_blocked() {
    let world = Shared::with_log(vec![3; 50], 0, Promise::ExactlyOnce);
    world.lock().write_waits = true;
    run_to_the_end(&world, 1).await;
    assert!(world.lock().keep_alives > 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_is_caught_up_with_at_once() {
    let world = Shared::with_log(Vec::new(), 0, Promise::ExactlyOnce);
    run_to_the_end(&world, 1).await;
    let before = world.lock().operations;
    run_to_the_end(&world, 1).await;
    assert!(world.lock().operations - before < 20, "nothing is left to do");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_write_in_flight() {
    for writes in 0..10 {
        let _seed = Seed(writes);
        let world = Shared::with_log(vec![1; 500], 0, Promise::ExactlyOnce);
        let stop = CancellationToken::new();
        world.lock().stop_in_write = Some((writes, stop.clone()));
        process(&world, writes, &OPTIONS, &stop).await.unwrap();
        let world = world.lock();
        assert!(!world.done() && world.source_closed && world.sinks_open == 0);
        let durable = world.position.as_ref().map_or(0, |position| position.stream.parse().unwrap_or(0));
        assert_eq!(world.confirmed, (durable, 0), "what is durable is confirmed before the end");
        assert!(durable > 0 || writes < 4, "the write in flight counts");
    }
}

/// Stops after so many operations, so that each seed stops elsewhere.
#[tokio::test(start_paused = true)]
async fn a_stop_is_clean_wherever_it_comes() {
    let mut inside = 0;
    for seed in 0..2 * SEEDS {
        let _seed = Seed(seed);
        let mut random = Random(seed);
        let world = Shared::new(&mut random, Promise::ExactlyOnce);
        let (stop, most) = (CancellationToken::new(), random.below(60));
        let follow = Options { until_caught_up: false, ..OPTIONS };
        let mut running = pin!(process(&world, seed, &follow, &stop));
        let outcome = std::future::poll_fn(|context| {
            if world.lock().operations >= most || world.lock().done() {
                stop.cancel();
            }
            let polled = running.as_mut().poll(context);
            if polled.is_pending() {
                context.waker().wake_by_ref();
            }
            polled
        })
        .await;
        outcome.unwrap();
        {
            let world = world.lock();
            let durable = world.position.as_ref().map_or(0, |position| position.stream.parse().unwrap_or(0));
            assert_eq!(world.confirmed, (durable, 0), "what is durable is confirmed before the end");
            assert!(world.source_closed && world.sinks_open == 0);
            inside += u64::from(!world.done());
        }
        run_to_the_end(&world, seed).await;
    }
    assert!(inside > SEEDS, "most stops must come before the end to prove anything: {inside}");
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_mend_is_not_tried_again() {
    for kind in [ErrorKind::Operator, ErrorKind::Data] {
        for step in [Step::SinkOpen, Step::SourceOpen, Step::Read, Step::Write, Step::Confirm] {
            let world = Shared::with_log(vec![2; 20], 0, Promise::ExactlyOnce);
            world.lock().fault = Some(Fault { step, when: When::Before, how: How::Error(kind), nth: 0 });
            let epoch = world.boot();
            let (publisher, watcher) = status::channel();
            let mut attempts = 0;
            let connect = || {
                attempts += 1;
                Ok((world.source(epoch, attempts), world.sink(epoch)))
            };
            let stop = CancellationToken::new();
            let error = supervise::supervise("test", connect, &OPTIONS, &stop, &publisher).await.unwrap_err();
            assert_eq!((error.kind(), attempts), (kind, 1), "{step:?}");
            assert_eq!(watcher.borrow().phase, Phase::Stopped);
            assert!(watcher.borrow().error.as_ref().is_some_and(|text| text.contains("TW-TEST-001")));
            assert_eq!(world.lock().sinks_open, 0, "{step:?}: a sink was left open");
        }
    }
}

/// The waits before each attempt, in milliseconds, where every attempt fails `after` that many writes.
async fn waits(attempts: usize, writes: u32) -> Vec<u128> {
    let world = Shared::with_log(vec![1; 500], 0, Promise::ExactlyOnce);
    let epoch = world.boot();
    let (mut starts, stop) = (Vec::new(), CancellationToken::new());
    let connect = || {
        starts.push(Instant::now());
        if starts.len() > attempts {
            stop.cancel();
        }
        let how = How::Error(ErrorKind::Transient);
        world.lock().fault = Some(Fault { step: Step::Write, when: When::Before, how, nth: writes });
        Ok((world.source(epoch, 1), world.sink(epoch)))
    };
    supervise::supervise("test", connect, &OPTIONS, &stop, &status::channel().0).await.unwrap();
    starts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn waits_grow_without_progress_and_start_over_after_it() {
    let stuck = waits(12, 0).await;
    assert!(stuck.iter().all(|&wait| wait >= 100), "{stuck:?}");
    assert!(*stuck.last().unwrap() > Duration::from_secs(10).as_millis(), "{stuck:?}");
    let moving = waits(12, 2).await;
    assert!(moving.iter().all(|&wait| wait <= 300), "{moving:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_before_the_next_attempt() {
    let stop = CancellationToken::new();
    let started = Instant::now();
    let connect =
        || -> Result<(world::FakeSource, world::FakeSink)> { Err(Error::transient("TW-TEST-001", "no")) };
    let (publisher, watcher) = status::channel();
    let running = supervise::supervise("test", connect, &OPTIONS, &stop, &publisher);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(7777)).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(running, stopping);
    outcome.unwrap();
    assert_eq!(started.elapsed().as_millis(), 7777);
    assert_eq!(watcher.borrow().phase, Phase::Stopped);
}
