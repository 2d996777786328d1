//! Brokers that are killed, stopped and paused, a twin that takes over, transactions that take too long: nothing is
//! lost, and exactly once nothing comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tailwater_core::{ErrorKind, Position, Sink as _};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_kafka::{Config, Delivery, Kafka};

use crate::feed::{
    at, batch, check, config, fill, hasty, held_is_at_least, ids, set, table, transaction, write_until,
    write_while,
};

const PATIENCE: Duration = Duration::from_secs(240);
const DELIVERIES: [Delivery; 2] = [Delivery::ExactlyOnce, Delivery::AtLeastOnce];

/// Writes in the background until the trouble is over, and then some more. What was being done when it began decides
/// whether that fails, or is only late.
fn while_writing(broker: &mut Broker, config: &Config, trouble: impl FnOnce(&mut Broker)) {
    let over = Arc::new(AtomicBool::new(false));
    let (writer_config, writer_over) = (config.clone(), Arc::clone(&over));
    let writer = std::thread::spawn(move || {
        let (end, _) = write_while(&writer_config, |_| !writer_over.load(Ordering::Relaxed), PATIENCE);
        write_until(&writer_config, end + 20, PATIENCE);
        end + 20
    });
    trouble(broker);
    over.store(true, Ordering::Relaxed);
    check(broker, config, writer.join().unwrap());
}

#[test]
fn a_broker_is_killed_and_starts_again() {
    for delivery in DELIVERIES {
        let mut broker = Broker::start(&[]);
        let mut config = config(&broker, delivery);
        hasty(&mut config);
        while_writing(&mut broker, &config.clone(), |broker| {
            held_is_at_least(&config, 5);
            broker.kill();
            std::thread::sleep(Duration::from_secs(4));
            broker.restart();
        });
    }
}

#[test]
fn a_broker_is_stopped_and_starts_again() {
    let mut broker = Broker::start(&[]);
    let mut config = config(&broker, Delivery::ExactlyOnce);
    hasty(&mut config);
    while_writing(&mut broker, &config.clone(), |broker| {
        held_is_at_least(&config, 5);
        broker.stop();
        std::thread::sleep(Duration::from_secs(4));
        broker.restart();
    });
}

#[test]
fn a_broker_is_paused_for_longer_than_a_record_may_take() {
    for delivery in DELIVERIES {
        let mut broker = Broker::start(&[]);
        let mut config = config(&broker, delivery);
        hasty(&mut config);
        while_writing(&mut broker, &config.clone(), |broker| {
            for transactions in [5, 10, 15] {
                held_is_at_least(&config, transactions);
                broker.pause();
                std::thread::sleep(Duration::from_secs(5));
                broker.resume();
            }
        });
    }
}

#[test]
fn a_twin_takes_over_and_the_first_one_can_write_nothing_any_more() {
    let broker = kafka::shared();
    let (config, table) = (config(&broker, Delivery::ExactlyOnce), table());
    let mut first = Kafka::new(config.clone());
    assert_eq!(first.open().unwrap(), None);
    first.write(&transaction(&Position::default(), &table, 1, 5)).unwrap();
    // In the middle of a transaction.
    let half = batch(&at(1, 0), at(1, 3), |batch| fill(batch, &table, 2, 0..3, "x"));
    first.write(&half).unwrap();

    let mut second = Kafka::new(config.clone());
    assert_eq!(second.open().unwrap(), Some(at(1, 0)));
    let rest = batch(&half.to, at(2, 0), |batch| fill(batch, &table, 2, 3..5, "x"));
    let error = first.write(&rest).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-008", ErrorKind::Operator), "{error}");
    assert_eq!(first.write(&rest).unwrap_err().code(), "TW-KAFKA-020", "it does not try again");
    first.close().unwrap();

    second.write(&transaction(&at(1, 0), &table, 2, 5)).unwrap();
    second.close().unwrap();
    check(&broker, &config, 2);
}

#[test]
fn a_killed_sink_leaves_nothing_of_its_transaction() {
    let broker = kafka::shared();
    let (config, table) = (config(&broker, Delivery::ExactlyOnce), table());
    for round in 0..5 {
        let mut sink = Kafka::new(config.clone());
        let held = sink.open().unwrap().unwrap_or_default();
        let half = batch(&held, at(0, 500), |batch| fill(batch, &table, 1, 0..500, &"long".repeat(1000)));
        sink.write(&half).unwrap();
        assert!(round > 0 || ids(&broker, &config).is_empty());
        // Neither committed nor aborted.
        std::mem::drop(sink);
    }
    write_until(&config, 4, PATIENCE);
    check(&broker, &config, 4);
}

#[test]
fn a_transaction_of_the_source_that_takes_too_long_says_which_timeouts_to_raise() {
    let broker = Broker::start(&[("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200")]);
    let (mut config, table) = (config(&broker, Delivery::ExactlyOnce), table());
    for (name, value) in [("transaction.timeout.ms", "3000"), ("socket.timeout.ms", "1000")] {
        set(&mut config, name, value);
    }
    set(&mut config, "delivery.timeout.ms", "2000");
    let mut sink = Kafka::new(config.clone());
    sink.open().unwrap();
    let half = batch(&Position::default(), at(0, 3), |batch| fill(batch, &table, 1, 0..3, "x"));
    sink.write(&half).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let rest = batch(&half.to, at(1, 0), |batch| fill(batch, &table, 1, 3..5, "x"));
    let error = sink.write(&rest).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-011", ErrorKind::Operator), "{error}");
    sink.close().unwrap();
    assert_eq!(write_until(&config, 3, PATIENCE), 1);
    check(&broker, &config, 3);
}

#[test]
fn a_position_that_an_open_transaction_hides_is_waited_for() {
    let broker = kafka::shared();
    let config = config(&broker, Delivery::AtLeastOnce);
    write_until(&config, 1, PATIENCE);
    // As exactly once would leave it behind when it was killed, and was configured otherwise afterwards.
    let stranger: BaseProducer = broker.client().set("transactional.id", "stranger").create().unwrap();
    stranger.init_transactions(PATIENCE).unwrap();
    stranger.begin_transaction().unwrap();
    stranger.send(BaseRecord::to(&config.position_topic).key("{}").payload("{}")).unwrap();
    stranger.flush(PATIENCE).unwrap();

    let error = Kafka::new(config.clone()).open().unwrap_err();
    assert_eq!((error.code(), error.kind()), ("TW-KAFKA-019", ErrorKind::Transient), "{error}");
    let held = tailwater_kafka::position(&config).unwrap().unwrap();
    assert_eq!(held.position, at(1, 0), "whoever only looks is not kept waiting");

    stranger.abort_transaction(PATIENCE).unwrap();
    write_until(&config, 3, PATIENCE);
    check(&broker, &config, 3);
}
