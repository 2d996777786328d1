//! Topics at the brokers: how many partitions they have, and making those that are missing. What is in a topic is
//! `position`'s matter, or the producer's.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::{Metadata, MetadataTopic};
use tailwater_core::error::Doing as _;
use tailwater_core::{Error, Result};

use crate::client::{self, Context, Noted};
use crate::token::TokenFile;
use crate::{Config, error, native};

/// How long a question to the brokers may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait at a time, before looking whether anything went wrong.
const STEP: Duration = Duration::from_secs(2);
const LISTEN: Duration = Duration::from_millis(100);
/// How long a topic is sought that one broker does not know.
const HEARSAY: Duration = Duration::from_secs(5);
/// With more topics than this to look for, all of the cluster's are asked for at once.
const ONE_BY_ONE: usize = 16;

/// How topics are made, by the pattern that matches their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// `shop.public.*`: `*` stands for any characters.
    pub topic: String,
    /// `None`: as the brokers have it.
    pub partitions: Option<i32>,
    /// `None`: as the brokers have it.
    pub replication: Option<i32>,
    /// Settings of the topic by Kafka's names: `retention.ms`.
    pub configs: Vec<(String, String)>,
}

/// The clients to ask about topics with, and what was learned.
pub(crate) struct Topics {
    pub(crate) consumer: BaseConsumer<Context>,
    admin: AdminClient<Context>,
    pub(crate) noted: Noted,
    token: Option<TokenFile>,
    /// By topic.
    partitions: HashMap<String, i32>,
    settings: Vec<TopicSettings>,
}

/// A topic as the brokers describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Missing,
    /// A partition has no leader yet, or none at the moment.
    NotReady,
    Ready {
        partitions: i32,
        replicas: usize,
    },
}

impl TopicSettings {
    /// Whether a topic is made like this.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        fn from(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => {
                    (0..=name.len()).any(|skip| from(rest, name.get(skip..).unwrap_or_default()))
                }
                Some((byte, rest)) => {
                    name.split_first().is_some_and(|(first, name)| first == byte && from(rest, name))
                }
            }
        }
        from(self.topic.as_bytes(), topic.as_bytes())
    }
}

impl Topics {
    /// Clients that have not spoken to a broker yet.
    ///
    /// # Errors
    /// `Operator` where librdkafka refuses the configuration.
    pub(crate) fn new(config: &Config, noted: &Noted) -> Result<Self> {
        let made = |error| error::from_rdkafka(&error);
        let context = || Context(noted.clone());
        let consumer =
            BaseConsumer::from_config_and_context(&client::consumer(config), context()).map_err(made)?;
        let admin =
            AdminClient::from_config_and_context(&client::administrator(config), context()).map_err(made)?;
        let settings = config.topics.clone();
        let (noted, token) = (noted.clone(), config.token_file());
        Ok(Self { consumer, admin, noted, token, partitions: HashMap::new(), settings })
    }

    /// Logs in again with the token as it is now, where logins go by one. Before every question, as hours may lie
    /// between two of them.
    ///
    /// # Errors
    /// `Operator` where the token cannot be read.
    pub(crate) fn log_in(&self) -> Result<()> {
        match &self.token {
            None => Ok(()),
            Some(token) => {
                native::set_token(self.consumer.client(), token)?;
                native::set_token(self.admin.inner(), token)
            }
        }
    }

    /// How many partitions a topic has that was made sure of.
    pub(crate) fn partitions(&self, topic: &str) -> i32 {
        self.partitions.get(topic).copied().unwrap_or(1)
    }

    /// Makes sure that the topics are there and can be written to. Those that are missing are made as configured, and
    /// the position topic with `extra` settings besides; but one that was `written` before is not made anew.
    ///
    /// # Errors
    /// `Operator` where a topic may not be made or seen, or is gone; `Transient` where it has no leader in time.
    pub(crate) fn ensure(
        &mut self,
        topics: &[&str],
        extra: &[(&str, &str)],
        written: &HashMap<String, i32>,
    ) -> Result<()> {
        let mut wanted: Vec<&str> =
            topics.iter().copied().filter(|topic| !self.partitions.contains_key(*topic)).collect();
        // Several tables may share a topic.
        wanted.sort_unstable();
        wanted.dedup();
        let started = Instant::now();
        let mut made = false;
        while !wanted.is_empty() {
            let found = self.find(&wanted)?;
            let missing: Vec<&str> = of_kind(&found, |found| found == Found::Missing);
            if let Some(gone) = missing.iter().find(|topic| written.contains_key(**topic)) {
                // A broker that was away may not have heard of it yet.
                if started.elapsed() > HEARSAY {
                    return Err(error::topic_gone(gone));
                }
                std::thread::sleep(LISTEN);
                continue;
            }
            // Right after it was made, a broker may not have heard of a topic yet.
            if !missing.is_empty() && !made {
                self.create(&missing, extra)?;
                made = true;
                continue;
            }
            for (topic, found) in &found {
                if let Found::Ready { partitions, .. } = found {
                    self.partitions.insert((*topic).to_owned(), *partitions);
                }
            }
            wanted = of_kind(&found, |found| !matches!(found, Found::Ready { .. }));
            if let Some(first) = wanted.first() {
                if started.elapsed() > PATIENCE {
                    return Err(error::from_code(Code::LeaderNotAvailable, "a partition has no leader")
                        .doing(format!("look at the topic {first}")));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// What the brokers know of these topics.
    ///
    /// # Errors
    /// `Transient` where no broker answers; `Operator` where a topic may not be seen.
    pub(crate) fn find<'t>(&self, topics: &[&'t str]) -> Result<Vec<(&'t str, Found)>> {
        let mut found = Vec::with_capacity(topics.len());
        if topics.len() > ONE_BY_ONE {
            let answer = self.metadata(None)?;
            let by_name: HashMap<&str, &MetadataTopic> =
                answer.topics().iter().map(|topic| (topic.name(), topic)).collect();
            for &topic in topics {
                found.push((topic, by_name.get(topic).map_or(Ok(Found::Missing), |found| read(found))?));
            }
        } else {
            for &topic in topics {
                let answer = self.metadata(Some(topic))?;
                found.push((topic, answer.topics().first().map_or(Ok(Found::Missing), read)?));
            }
        }
        Ok(found)
    }

    /// What the brokers say of themselves, and of one topic or all.
    ///
    /// # Errors
    /// `Transient` where no broker answers; `Operator` where none lets us in.
    pub(crate) fn metadata(&self, topic: Option<&str>) -> Result<Metadata> {
        self.log_in()?;
        let started = Instant::now();
        loop {
            let error = match self.consumer.fetch_metadata(topic, STEP) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            // What goes wrong in the background is told only to those who poll.
            let listening = Instant::now();
            while listening.elapsed() < LISTEN {
                if let Some(Err(error)) = self.consumer.poll(LISTEN / 10) {
                    self.noted.note_error(&error);
                }
            }
            if self.noted.login_failed() || started.elapsed() > PATIENCE {
                return Err(self.noted.blame_for(&error));
            }
        }
    }

    fn create(&self, topics: &[&str], extra: &[(&str, &str)]) -> Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        for made in self.ask_to_create(topics, extra, &options)? {
            tracing::info!(topic = made, "made a topic");
        }
        Ok(())
    }

    /// Whether topics may be made, which they are not.
    ///
    /// # Errors
    /// As the brokers would answer.
    pub(crate) fn could_create(&self, topics: &[&str]) -> Result<()> {
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).validate_only(true);
        self.ask_to_create(topics, &[], &options).map(drop)
    }

    fn ask_to_create(
        &self,
        topics: &[&str],
        extra: &[(&str, &str)],
        options: &AdminOptions,
    ) -> Result<Vec<String>> {
        self.log_in()?;
        let mut new_topics = Vec::with_capacity(topics.len());
        for &name in topics {
            let settings = self.settings.iter().find(|settings| settings.matches(name));
            let partitions =
                settings.and_then(|settings| settings.partitions).unwrap_or(AS_THE_BROKERS_HAVE_IT);
            let replication =
                settings.and_then(|settings| settings.replication).unwrap_or(AS_THE_BROKERS_HAVE_IT);
            let configs = settings.map_or(&[][..], |settings| &settings.configs).iter();
            let configs = configs.map(|(name, value)| (name.as_str(), value.as_str()));
            let config = configs.filter(|(name, _)| extra.iter().all(|(set, _)| set != name));
            new_topics.push(NewTopic {
                name,
                num_partitions: if extra.is_empty() { partitions } else { 1 },
                replication: TopicReplication::Fixed(replication),
                config: config.chain(extra.iter().copied()).collect(),
            });
        }
        let answers = wait(self.admin.create_topics(&new_topics, options))
            .map_err(|error| self.noted.blame_for(&error))
            .doing(|| format!("make the topic {}", topics.join(", ")))?;
        let mut made = Vec::new();
        for answer in answers {
            match answer {
                Ok(topic) => made.push(topic),
                Err((_, Code::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let error = self.noted.blame(code, &code.to_string());
                    return Err(error.doing(format!("make the topic {topic}, which is missing")));
                }
            }
        }
        Ok(made)
    }

    /// The settings of topics or brokers, in the order in which they were asked for.
    ///
    /// # Errors
    /// `Operator` where they may not be read.
    pub(crate) fn describe(
        &self,
        resources: &[ResourceSpecifier<'_>],
    ) -> Result<Vec<Result<ConfigResource>>> {
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        self.log_in()?;
        let answers = wait(self.admin.describe_configs(resources, &options));
        let answers = answers.map_err(|error| self.noted.blame_for(&error))?;
        let one = |answer: Result<ConfigResource, Code>| {
            answer.map_err(|code| error::from_code(code, &code.to_string()))
        };
        Ok(answers.into_iter().map(one).collect())
    }
}

/// What Kafka 2.4 and newer take for "the default".
const AS_THE_BROKERS_HAVE_IT: i32 = -1;

fn of_kind<'t>(found: &[(&'t str, Found)], wanted: impl Fn(Found) -> bool) -> Vec<&'t str> {
    found.iter().filter(|(_, found)| wanted(*found)).map(|(topic, _)| *topic).collect()
}

fn read(topic: &MetadataTopic) -> Result<Found> {
    if let Some(error) = topic.error() {
        let code = Code::from(error);
        if error::is_missing_topic(code) {
            return Ok(Found::Missing);
        }
        if code == Code::LeaderNotAvailable {
            return Ok(Found::NotReady);
        }
        return Err(refused(code, topic.name()));
    }
    let partitions = topic.partitions();
    if partitions.is_empty() || partitions.iter().any(|partition| partition.leader() < 0) {
        return Ok(Found::NotReady);
    }
    let replicas = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
    Ok(Found::Ready { partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX), replicas })
}

fn refused(code: Code, topic: &str) -> Error {
    error::from_code(code, &code.to_string()).doing(format!("look at the topic {topic}"))
}

/// Waits on this thread for what the administrator's own thread completes.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let check = |pattern: &str, topic: &str, expected: bool| {
            let configs = Vec::new();
            let settings =
                TopicSettings { topic: pattern.to_owned(), partitions: None, replication: None, configs };
            assert_eq!(settings.matches(topic), expected, "{pattern} {topic}");
        };
        check("*", "", true);
        check("shop.*", "shop.public.t", true);
        check("shop.*", "ashop.public.t", false);
        check("*.t", "shop.public.t", true);
        check("*.t", "shop.public.tt", false);
        check("*public*", "shop.public.tt", true);
        check("shop", "shop", true);
    }
}
