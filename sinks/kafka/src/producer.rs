//! Sends records: from arenas that are reused when their delivery reports are in, which also bounds the memory; each
//! to the partition its key belongs to; in Kafka transactions or without. Which records, and when a transaction ends,
//! is decided in `sink`.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use tailwater_core::{Error, Result};

use crate::client::{self, Noted};
use crate::encode::Records;
use crate::native::{Native, NativeTopic, Trouble};
use crate::routes::{Route, Routes};
use crate::{Config, Delivery, error, partition};

/// An arena is sent when it holds this much.
pub(crate) const ARENA_BYTES: usize = 1 << 20;
/// How long to wait at a time, before looking whether anything went wrong.
const STEP: Duration = Duration::from_millis(250);
/// How long a request usually takes at most.
const WHILE: Duration = Duration::from_millis(100);
/// So much fills a request of one partition.
const REQUEST_BYTES: u64 = 1_000_000;
/// How long to wait for the coordinator of transactions: at the start, at the end, and when giving up.
const INIT: Duration = Duration::from_secs(60);
const COMMIT: Duration = Duration::from_secs(60);
const ABORT: Duration = Duration::from_secs(3);

/// The producer. Fields are dropped in this order: topics, then the client, then the arenas it refers to.
pub(crate) struct Producer {
    /// By route.
    lanes: Vec<Lane>,
    topics: Vec<(String, NativeTopic)>,
    native: Native,
    arenas: Vec<Records>,
    /// The arena that is being filled.
    current: usize,
    /// Reused from call to call.
    order: Vec<Ordered>,
    indexes: Vec<usize>,
    delivery: Delivery,
    transactional_id: String,
    transaction_timeout: Duration,
    /// When the transaction that is open was begun.
    begun: Option<Instant>,
}

/// How the records of a route go out.
#[derive(Debug, Clone, Copy)]
struct Lane {
    /// Index into `topics`.
    topic: usize,
    partitions: i32,
    /// Of records without a key.
    keyless: i32,
}

/// A record with where it goes. Ordered so that what goes to one partition is together, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ordered {
    topic: usize,
    partition: i32,
    record: usize,
}

impl Producer {
    /// A producer that has not spoken to a broker yet.
    ///
    /// # Errors
    /// `Operator` where librdkafka refuses the configuration.
    pub(crate) fn new(config: &Config, noted: Noted) -> Result<Self> {
        let count = (config.buffer_bytes / ARENA_BYTES).max(2);
        let native = Native::new(&client::producer(config), count, noted, config.token_file())?;
        Ok(Self {
            lanes: Vec::new(),
            topics: Vec::new(),
            native,
            arenas: (0..count).map(|_| Records::default()).collect(),
            current: 0,
            order: Vec::new(),
            indexes: Vec::new(),
            delivery: config.delivery,
            transactional_id: config.transactional_id(),
            transaction_timeout: config.transaction_timeout(),
            begun: None,
        })
    }

    /// Takes over from any other producer of this pipeline, whose open transaction is aborted and which can write
    /// nothing any more.
    ///
    /// # Errors
    /// `Transient` where no coordinator answers; `Operator` where it refuses.
    pub(crate) fn take_over(&self) -> Result<()> {
        match self.delivery {
            Delivery::ExactlyOnce => {
                self.native.init_transactions(INIT).map_err(|trouble| self.explain(&trouble))
            }
            Delivery::AtLeastOnce => Ok(()),
        }
    }

    /// How many routes have been prepared.
    pub(crate) fn known_routes(&self) -> usize {
        self.lanes.len()
    }

    /// Prepares the next route: to a topic of so many partitions. Keyless records go by what they are `about`.
    ///
    /// # Errors
    /// `Operator` where librdkafka does not take the topic's name.
    pub(crate) fn add_route(&mut self, topic: &str, about: &str, partitions: i32) -> Result<()> {
        let topic = match self.topics.iter().position(|(name, _)| name == topic) {
            Some(topic) => topic,
            None => {
                self.topics.push((topic.to_owned(), self.native.topic(topic)?));
                self.topics.len() - 1
            }
        };
        let keyless = partition::of_key(about.as_bytes(), partitions);
        self.lanes.push(Lane { topic, partitions, keyless });
        Ok(())
    }

    /// The arena to add records to.
    ///
    /// # Errors
    /// Where there is none, as nothing is delivered any more.
    pub(crate) fn records(&mut self) -> Result<&mut Records> {
        self.arenas.get_mut(self.current).ok_or_else(error::not_open)
    }

    /// Begins a transaction where none is open.
    ///
    /// # Errors
    /// As the broker answers.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if self.delivery == Delivery::ExactlyOnce && self.begun.is_none() {
            self.native.begin_transaction().map_err(|trouble| self.explain(&trouble))?;
            self.begun = Some(Instant::now());
        }
        Ok(())
    }

    /// Hands over what the current arena holds, and takes the next one that is free. Every route must be known.
    ///
    /// # Errors
    /// The first record that could not be delivered, of these or of any before.
    pub(crate) fn send(&mut self, routes: &Routes) -> Result<()> {
        self.sort();
        let mut from = 0;
        while let Some(&first) = self.order.get(from) {
            let same = |other: &&Ordered| (other.topic, other.partition) == (first.topic, first.partition);
            let count = self.order.get(from..).unwrap_or_default().iter().take_while(same).count();
            self.indexes.clear();
            let run = self.order.get(from..from + count).unwrap_or_default();
            self.indexes.extend(run.iter().map(|ordered| ordered.record));
            self.hand_over(first.topic, first.partition, routes)?;
            from += count;
        }
        self.next_arena(routes)
    }

    /// Every record with its partition, those of one partition together.
    fn sort(&mut self) {
        self.order.clear();
        let Some(arena) = self.arenas.get(self.current) else { return };
        for (index, record) in arena.records().iter().enumerate() {
            let Some(lane) = self.lanes.get(record.route.index()) else { continue };
            let partition = match record.key {
                Some(key) => partition::of_key(arena.bytes(key), lane.partitions),
                None => lane.keyless,
            };
            self.order.push(Ordered { topic: lane.topic, partition, record: index });
        }
        debug_assert_eq!(self.order.len(), arena.records().len(), "a record without a route");
        self.order.sort_unstable();
    }

    /// Hands over `indexes`, which all go to one partition; those with headers one by one.
    fn hand_over(&mut self, topic: usize, partition: i32, routes: &Routes) -> Result<()> {
        let mut done = 0;
        while let Some(&next) = self.indexes.get(done) {
            let (Some(arena), Some((_, topic))) = (self.arenas.get(self.current), self.topics.get(topic))
            else {
                return Err(error::not_open());
            };
            let (taken, refused) = if arena.headers(next).is_empty() {
                let rest = self.indexes.get(done..).unwrap_or_default();
                let plain = rest.iter().take_while(|&&index| arena.headers(index).is_empty()).count();
                let plain = rest.get(..plain).unwrap_or_default();
                self.native.produce(topic, partition, self.current, arena, plain)
            } else {
                match self.native.produce_with_headers(topic, partition, self.current, arena, next) {
                    None => (1, None),
                    refused => (0, refused),
                }
            };
            done += taken;
            match refused {
                None => {}
                Some(Code::QueueFull) => self.native.poll(STEP),
                Some(code) => {
                    let record = self.indexes.get(done).copied().unwrap_or_default();
                    let bytes = self.arenas.get(self.current).map_or(0, |arena| arena.record_bytes(record));
                    return Err(self.undelivered(code, self.current, record, bytes, routes));
                }
            }
        }
        self.native.poll(Duration::ZERO);
        self.check(routes)
    }

    /// Waits until an arena has all its reports, and empties it.
    fn next_arena(&mut self, routes: &Routes) -> Result<()> {
        let mut asked = Instant::now();
        loop {
            self.check(routes)?;
            let count = self.arenas.len();
            let free = (1..=count)
                .map(|step| (self.current + step) % count)
                .find(|&slot| self.native.reports().all_in(slot));
            if let Some(slot) = free {
                self.current = slot;
                if let Some(arena) = self.arenas.get_mut(slot) {
                    arena.clear(2 * ARENA_BYTES);
                }
                return Ok(());
            }
            if !self.progress(routes)? {
                self.native.flush(STEP);
            }
            if asked.elapsed() >= STEP {
                self.check_transaction()?;
                asked = Instant::now();
            }
        }
    }

    /// Waits until everything that was handed over is delivered.
    ///
    /// # Errors
    /// The first record that could not be delivered.
    pub(crate) fn flush(&mut self, routes: &Routes) -> Result<()> {
        // While a request of a partition is on its way a flush makes librdkafka spin. Full requests go by themselves.
        while self.native.reports().bytes_out() >= REQUEST_BYTES && self.progress(routes)? {}
        while !self.native.flush(STEP) {
            self.check(routes)?;
            self.check_transaction()?;
        }
        self.check(routes)
    }

    /// Takes reports in; whether there were any within a while. If not, there is no full request among what waits, or
    /// the brokers are slow.
    fn progress(&self, routes: &Routes) -> Result<bool> {
        let before = self.native.reports().bytes_out();
        self.native.poll(WHILE);
        self.check(routes)?;
        Ok(self.native.reports().bytes_out() < before)
    }

    /// Ends the transaction: what was handed over since it began becomes visible, all at once.
    ///
    /// # Errors
    /// Whatever kept it from ending; whether it did is known only from the position that is read back.
    pub(crate) fn commit(&mut self, routes: &Routes) -> Result<()> {
        self.flush(routes)?;
        self.native.commit_transaction(COMMIT).map_err(|trouble| self.explain(&trouble))?;
        self.begun = None;
        Ok(())
    }

    /// Forgets an open transaction, so that readers need not wait until it times out.
    pub(crate) fn give_up(&mut self) {
        if self.begun.take().is_some()
            && self.native.fatal().is_none()
            && let Err(trouble) = self.native.abort_transaction(ABORT)
        {
            tracing::debug!(
                error = trouble.text,
                "the open transaction is left to its timeout or the next start"
            );
        }
    }

    /// What delivery reports and librdkafka tell by themselves.
    fn check(&self, routes: &Routes) -> Result<()> {
        match self.native.reports().failure() {
            None => Ok(()),
            Some(failure) => {
                Err(self.undelivered(failure.code, failure.slot, failure.record, failure.bytes, routes))
            }
        }
    }

    /// Whether the open transaction can still be committed. To begin another one is refused in any case, and the
    /// refusal says what state the open one is in.
    fn check_transaction(&self) -> Result<()> {
        if self.begun.is_none() {
            return Ok(());
        }
        match self.native.begin_transaction() {
            Err(trouble) if trouble.requires_abort || trouble.fatal => Err(self.explain(&trouble)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The error for a record that was not delivered. What ends a whole transaction is told for each of its records
    /// too, in a general way; so the transaction is asked first.
    fn undelivered(&self, code: Code, slot: usize, record: usize, bytes: usize, routes: &Routes) -> Error {
        let target = self.arenas.get(slot).and_then(|arena| arena.records().get(record));
        let target = target.and_then(|record| routes.all().get(record.route.index()));
        if let (true, Some(target)) = (error::is_too_large(code), target) {
            return error::too_large(&target.about, &target.key_columns, &target.topic, bytes);
        }
        if let Some((fatal, text)) = self.native.fatal() {
            return self.explain(&Trouble::fatal(fatal, text));
        }
        if let Err(error) = self.check_transaction() {
            return error;
        }
        let topic = target.map(|target| target.topic.as_str());
        let error = self.blame(code, &code.to_string(), topic);
        match target {
            Some(target) => error.doing(format!("write a record of {} to {}", target.about, target.topic)),
            None => error,
        }
    }

    /// The error for a transaction that cannot go on. The coordinator aborts what takes too long, and then answers as
    /// if somebody else had taken over. That it took long because a broker was away will pass.
    fn explain(&self, trouble: &Trouble) -> Error {
        let noted = self.native.reports().noted();
        match self.begun {
            Some(begun) if error::is_fenced(trouble.code) && begun.elapsed() >= self.transaction_timeout => {
                let error = error::transaction_too_long(self.transaction_timeout.as_secs());
                if noted.outage_since(begun) {
                    error::from_code(Code::BrokerNotAvailable, &error.message())
                } else {
                    error
                }
            }
            _ => self.blame(trouble.code, &trouble.text, None),
        }
    }

    /// The error for a code, of one topic where that is known.
    fn blame(&self, code: Code, text: &str, topic: Option<&str>) -> Error {
        let topics = topic.map_or_else(|| self.sent_to(), |topic| vec![topic]);
        if error::is_missing_topic(code) {
            return error::topic_unknown(text, &topics);
        }
        error::right_to_send(code, text, &topics, &self.transactional_id)
            .unwrap_or_else(|| self.native.reports().noted().blame(code, text))
    }

    /// The topics of the records that are in memory still.
    fn sent_to(&self) -> Vec<&str> {
        let records = self.arenas.iter().flat_map(|arena| arena.records());
        let lanes = records.filter_map(|record| self.lanes.get(record.route.index()));
        let mut topics: Vec<&str> =
            lanes.filter_map(|lane| self.topics.get(lane.topic)).map(|(name, _)| name.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Whether the arena that is being filled is to be sent.
    pub(crate) fn is_full(&self) -> bool {
        self.arenas.get(self.current).is_some_and(|arena| arena.size_bytes() >= ARENA_BYTES)
    }

    /// Adds one record.
    ///
    /// # Errors
    /// As [`Producer::records`].
    pub(crate) fn add(&mut self, route: Route, key: &[u8], value: &[u8]) -> Result<()> {
        let records = self.records()?;
        let key = records.write(|out| out.extend_from_slice(key));
        let value = records.write(|out| out.extend_from_slice(value));
        records.add(route, Some(key), Some(value));
        Ok(())
    }
}
