//! From commit to acknowledged by Kafka, both deliveries; beside it a bare loop of transactions with one record each, and
//! Debezium Server, whose records a consumer waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tailwater_integration_tests::kafka::Broker;
use tailwater_kafka::{Config, Delivery, Kafka};

use crate::Outcome;
use crate::debezium::{self, Debezium, Setting};
use crate::drain::println_row;
use crate::latency::{self, Load, Observed, now_us, observe, percentile, report};
use crate::measure;
use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(60);

/// Measures all of them, one after the other, with 1,000 and 10,000 changes a second.
pub(crate) async fn commit_to_acknowledged(server: &Server, broker: &Broker, seconds: u32) -> Outcome<()> {
    bare_transactions(broker)?;
    for load in [
        Load { rate: 1_000, seconds, per_transaction: 1 },
        Load { rate: 10_000, seconds, per_transaction: 10 },
    ] {
        for (name, delivery) in [("exactly", Delivery::ExactlyOnce), ("at_least", Delivery::AtLeastOnce)] {
            let mut config = Config::new(&format!("{name}_{}", load.rate), broker.address());
            config.delivery = delivery;
            let observed = observe(server, &config.pipeline, || Kafka::new(config.clone()), load).await?;
            report(
                &format!("commit to acknowledged, {name} once, at {} changes/s", load.rate),
                load,
                observed,
            )?;
        }
        for setting in Setting::ALL {
            let observed = of_debezium(server, broker, setting, load).await?;
            report(
                &format!("commit to seen, Debezium {}, at {} changes/s", setting.name(), load.rate),
                load,
                observed,
            )?;
        }
    }
    bare_transactions(broker)
}

/// What a transaction costs where nothing else is done.
fn bare_transactions(broker: &Broker) -> Outcome<()> {
    let text = |error: rdkafka::error::KafkaError| error.to_string();
    let mut config = broker.client();
    config.set("transactional.id", "bare").set("linger.ms", "0");
    let producer: BaseProducer = config.create().map_err(text)?;
    producer.init_transactions(PATIENCE).map_err(text)?;
    let mut latencies_ms = Vec::new();
    for number in 0..2000 {
        let started = Instant::now();
        producer.begin_transaction().map_err(text)?;
        let value = format!("{{\"id\":{number}}}");
        producer.send(BaseRecord::to("bare").key("{}").payload(&value)).map_err(|(error, _)| text(error))?;
        // A commit waits for its report; rdkafka's own flush would look for it every 100 ms only.
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::ZERO);
            std::thread::sleep(Duration::from_micros(100));
        }
        producer.commit_transaction(PATIENCE).map_err(text)?;
        // The first ones make the topic and find the coordinator.
        if number >= 100 {
            latencies_ms.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    println_row(
        "a bare loop of Kafka transactions with one record",
        &[
            ("p50 ms", format!("{:.1}", percentile(&mut latencies_ms, 0.5))),
            ("p99 ms", format!("{:.1}", percentile(&mut latencies_ms, 0.99))),
        ],
    );
    Ok(())
}

async fn of_debezium(server: &Server, broker: &Broker, setting: Setting, load: Load) -> Outcome<Observed> {
    latency::create(server).await?;
    server.execute("CREATE PUBLICATION debezium FOR TABLE due").await?;
    let name = format!("late_{}_{}", setting.name(), load.rate);
    let peer = Debezium::new(
        setting,
        &name,
        |_| debezium::of_postgres(&server.postgres, &name, "due"),
        &broker.address(),
        false,
    )?;
    let mut running = peer.start()?;
    let active = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}' AND active");
    while server.value(&active).await? != "1" {
        running.until(|| Ok(true))?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // So that the topic is there, and the first seconds of the JVM do not count.
    for id in -500..0 {
        server.execute(&format!("INSERT INTO due VALUES ({id}, 0)")).await?;
    }
    let topic = format!("{name}.public.due");
    running.until(|| Ok(crate::kafka::count(broker, &topic)? >= 500))?;
    let ended = AtomicBool::new(false);
    let (latencies, sent) = std::thread::scope(|scope| {
        let consumer = scope.spawn(|| seen(broker, &topic, load.rows(), &ended));
        let sent = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(latency::send(server, load))
        });
        ended.store(true, Ordering::Relaxed);
        (consumer.join(), sent)
    });
    let latencies_ms = latencies.unwrap_or_else(|_| Err("the consumer broke down".to_owned()))?;
    let (before, idle_s) = (measure::cpu_s(running.id())?, f64::from(load.seconds));
    tokio::time::sleep(Duration::from_secs_f64(idle_s)).await;
    let idle = (measure::cpu_s(running.id())? - before) / idle_s * 100.0;
    running.end()?;
    server.execute(&format!("SELECT pg_drop_replication_slot('{name}'); DROP PUBLICATION debezium")).await?;
    Ok(Observed { latencies_ms, lateness_ms: sent?, idle })
}

/// How long ago each row was due when a consumer saw it.
fn seen(broker: &Broker, topic: &str, rows: u64, sent: &AtomicBool) -> Outcome<Vec<f64>> {
    let mut config = broker.client();
    config.set("fetch.wait.max.ms", "500").set("enable.partition.eof", "false");
    let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).map_err(|error| error.to_string())?;
    consumer.assign(&assignment).map_err(|error| error.to_string())?;
    let (mut latencies_ms, mut last) = (Vec::new(), Instant::now());
    while (latencies_ms.len() as u64) < rows {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            if sent.load(Ordering::Relaxed) && last.elapsed() > PATIENCE {
                return Ok(latencies_ms);
            }
            continue;
        };
        last = Instant::now();
        let now = now_us();
        let message = message.map_err(|error| error.to_string())?;
        let value = message.payload().unwrap_or_default();
        let value: serde_json::Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let due = value.get("after").and_then(|row| row.get("due_us")).and_then(serde_json::Value::as_i64);
        match due {
            Some(0) => {}
            #[allow(clippy::cast_precision_loss, reason = "a latency is far below 2^52 µs")]
            Some(due) => latencies_ms.push((now - due) as f64 / 1e3),
            None => return Err(format!("a record without a row: {value}")),
        }
    }
    Ok(latencies_ms)
}
