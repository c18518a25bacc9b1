//! The builder of consumers: Kafka's words, Java's defaults, and its property names beside them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use millstream_client_core::Engine;
use millstream_client_core::consumer::{
    ConsumerConfig, ConsumerMachine, ConsumerShared, GroupConfig, IsolationLevel, OffsetReset,
};
use millstream_types::{GroupId, GroupInstanceId};

use super::Consumer;
use super::assignor::Assignor;
use super::sink::ConsumerSink;
use crate::config::{ClientConfig, ConfigError, Properties, PropertyReader, client_setters};
use crate::driver;
use crate::error::BuildError;
use crate::net::TcpConnector;

/// Settings of a consumer on its way to be built.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct ConsumerBuilder {
    client: ClientConfig,
    config: ConsumerConfig,
    group: Option<GroupId>,
    membership: GroupConfig,
    assignors: Vec<Assignor>,
    auto_commit: bool,
    auto_commit_interval: Duration,
    auto_create_topics: bool,
    properties: Properties,
}

impl ConsumerBuilder {
    pub(super) fn new(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            client: ClientConfig::new(bootstrap, "millstream-consumer"),
            config: ConsumerConfig::default(),
            group: None,
            membership: GroupConfig::new(""),
            assignors: vec![Assignor::Range],
            auto_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            auto_create_topics: true,
            properties: Properties::new(),
        }
    }

    client_setters!();

    /// The group to be a member of, or whose offsets to use.
    #[doc(alias = "group.id")]
    pub fn group(mut self, group: impl Into<GroupId>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The static name of this member: it keeps its partitions over a restart (KIP-345).
    #[doc(alias = "group.instance.id")]
    pub fn group_instance(mut self, name: impl Into<GroupInstanceId>) -> Self {
        self.membership.instance = Some(name.into());
        self
    }

    /// The assignors, best first. Default: range.
    #[doc(alias = "partition.assignment.strategy")]
    pub fn assignors<A: Into<Assignor>>(mut self, assignors: impl IntoIterator<Item = A>) -> Self {
        self.assignors = assignors.into_iter().map(Into::into).collect();
        self
    }

    /// Where to start without a usable position. Default: latest.
    #[doc(alias = "auto.offset.reset")]
    pub const fn auto_offset_reset(mut self, reset: OffsetReset) -> Self {
        self.config.auto_offset_reset = reset;
        self
    }

    /// Which records of transactions are seen. Default: all.
    #[doc(alias = "isolation.level")]
    pub const fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config.isolation_level = level;
        self
    }

    /// Whether what the application has finished is committed without being asked: every batch but
    /// the last one taken. Default: off (Java's: on).
    #[doc(alias = "enable.auto.commit")]
    pub const fn enable_auto_commit(mut self, on: bool) -> Self {
        self.auto_commit = on;
        self
    }

    /// How often that happens. Default: 5 s.
    #[doc(alias = "auto.commit.interval.ms")]
    pub const fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.auto_commit_interval = interval;
        self
    }

    /// How many bytes make a broker answer at once. Default: 1.
    #[doc(alias = "fetch.min.bytes")]
    pub const fn fetch_min_bytes(mut self, bytes: i32) -> Self {
        self.config.fetch_min_bytes = bytes;
        self
    }

    /// How many bytes one answer may carry; the first batch always fits. Default: 50 MiB.
    #[doc(alias = "fetch.max.bytes")]
    pub const fn fetch_max_bytes(mut self, bytes: i32) -> Self {
        self.config.fetch_max_bytes = bytes;
        self
    }

    /// How many bytes of one partition an answer may carry; the first batch always fits. Default:
    /// 1 MiB.
    #[doc(alias = "max.partition.fetch.bytes")]
    pub const fn max_partition_fetch_bytes(mut self, bytes: i32) -> Self {
        self.config.max_partition_fetch_bytes = bytes;
        self
    }

    /// How long a broker may wait for `fetch_min_bytes`. Default: 500 ms.
    #[doc(alias = "fetch.max.wait.ms")]
    pub const fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.config.fetch_max_wait = wait;
        self
    }

    /// How many records a batch holds at most. Default: as many as its producer put into it
    /// (Java's: 500).
    #[doc(alias = "max.poll.records")]
    pub const fn max_poll_records(mut self, records: usize) -> Self {
        self.config.max_poll_records = Some(records);
        self
    }

    /// How long the application may take between asking for records before its partitions go to
    /// others. Default: 5 min.
    #[doc(alias = "max.poll.interval.ms")]
    pub const fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.membership.max_poll_interval = interval;
        self
    }

    /// After how long a silence of this client its partitions go to others. Default: 45 s.
    #[doc(alias = "session.timeout.ms")]
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.membership.session_timeout = timeout;
        self
    }

    /// How often the coordinator hears from this client. Default: 3 s.
    #[doc(alias = "heartbeat.interval.ms")]
    pub const fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.membership.heartbeat_interval = interval;
        self
    }

    /// The bytes that fetched records may take until the application drops them. A partition with
    /// nothing buffered may exceed it by one batch. Default: 64 MiB.
    pub const fn buffer_memory(mut self, bytes: usize) -> Self {
        self.config.buffer_memory = bytes;
        self
    }

    /// Where this client runs: partitions are read from a replica there, if the brokers allow it.
    #[doc(alias = "client.rack")]
    pub fn client_rack(mut self, rack: impl Into<String>) -> Self {
        self.config.client_rack = Some(rack.into());
        self
    }

    /// Whether naming a topic may create it, where the brokers allow it. Default: yes, as Java's
    /// consumer.
    #[doc(alias = "allow.auto.create.topics")]
    pub const fn auto_create_topics(mut self, on: bool) -> Self {
        self.auto_create_topics = on;
        self
    }

    /// Sets a property by Kafka's name. Properties stand above the typed settings.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.set(name, value);
        self
    }

    /// Sets properties by Kafka's names, as from a file. They stand above the typed settings.
    pub fn properties(mut self, properties: &Properties) -> Self {
        self.properties.extend(properties.iter());
        self
    }

    /// Builds the consumer. Brokers are met when it subscribes or is assigned something.
    ///
    /// # Errors
    /// A setting is wrong, or the I/O thread cannot be started.
    ///
    /// # Cancel safety
    /// Nothing is waited for: dropped before the first poll, nothing was built.
    #[allow(clippy::unused_async)] // Room to meet the cluster here, without a change for callers.
    pub async fn build(self) -> Result<Consumer, BuildError> {
        self.build_blocking()
    }

    /// [`build`](Self::build) for threads without a runtime. It does not block either.
    ///
    /// # Errors
    /// A setting is wrong, or the I/O thread cannot be started.
    pub fn build_blocking(mut self) -> Result<Consumer, BuildError> {
        self.read_properties()?;
        let mut engine_config = self.client.engine()?;
        engine_config.allow_auto_create_topics = self.auto_create_topics;
        let mut config = self.config.clone();
        config.request_timeout = engine_config.request_timeout;
        config.api_timeout = engine_config.api_timeout;
        config.group = self.group_config()?;
        check(&config)?;
        let custom = self.assignors.iter().filter_map(|assignor| match assignor {
            Assignor::Custom(assignor) => Some(Arc::clone(assignor)),
            Assignor::Range => None,
        });
        let slot = Arc::new(OnceLock::new());
        let sink = ConsumerSink { assignors: custom.collect(), handle: Arc::clone(&slot) };
        let shared = ConsumerShared::new(config);
        let machine = ConsumerMachine::new(
            Arc::clone(&shared),
            engine_config.retry_backoff,
            engine_config.seed,
        );
        let engine = Engine::new(&engine_config, None, Some(machine));
        let connector = TcpConnector { options: self.client.socket.clone() };
        let thread = self.client.thread()?;
        let handle = driver::spawn(&thread, engine, Arc::new(connector), sink);
        // Nobody else has this slot yet.
        let _ = slot.set(handle.clone());
        shared.set_driver_waker(handle.waker());
        Ok(Consumer::new(shared, handle))
    }

    /// The membership, if there is a group.
    fn group_config(&self) -> Result<Option<GroupConfig>, ConfigError> {
        let Some(group) = self.group.clone() else {
            if self.auto_commit {
                return Err(ConfigError::Missing { name: "group.id" });
            }
            return Ok(None);
        };
        let mut membership = self.membership.clone();
        membership.id = group;
        membership.assignors = self.assignors.iter().map(Assignor::spec).collect();
        membership.auto_commit_interval = self.auto_commit.then_some(self.auto_commit_interval);
        if membership.assignors.is_empty() {
            return Err(ConfigError::Missing { name: "partition.assignment.strategy" });
        }
        if membership.heartbeat_interval >= membership.session_timeout {
            return Err(ConfigError::Conflict {
                first: "heartbeat.interval.ms",
                second: "session.timeout.ms",
                reason: "several heartbeats must fit one session; lower the interval".to_owned(),
            });
        }
        Ok(Some(membership))
    }

    fn read_properties(&mut self) -> Result<(), ConfigError> {
        let properties = std::mem::take(&mut self.properties);
        let mut reader = PropertyReader::new(&properties);
        self.client.read(&mut reader)?;
        self.read_group(&mut reader)?;
        self.read_fetching(&mut reader)?;
        reader.finish()
    }

    fn read_group(&mut self, reader: &mut PropertyReader<'_>) -> Result<(), ConfigError> {
        if let Some(group) = reader.text("group.id").filter(|group| !group.is_empty()) {
            self.group = Some(GroupId::from(group));
        }
        if let Some(name) = reader.text("group.instance.id") {
            self.membership.instance = Some(GroupInstanceId::from(name));
        }
        // `consumer` (KIP-848) is refused, not silently replaced.
        reader.one_of("group.protocol", &[("classic", ())])?;
        let membership = &mut self.membership;
        set(&mut membership.session_timeout, reader.millis("session.timeout.ms")?);
        set(&mut membership.heartbeat_interval, reader.millis("heartbeat.interval.ms")?);
        set(&mut membership.max_poll_interval, reader.millis("max.poll.interval.ms")?);
        set(&mut self.auto_commit, reader.flag("enable.auto.commit")?);
        set(&mut self.auto_commit_interval, reader.millis("auto.commit.interval.ms")?);
        let expected = "a list of assignors this client has: range";
        let assignors = reader.value("partition.assignment.strategy", expected, |list| {
            list.split(',').map(|name| Assignor::named(name.trim())).collect()
        })?;
        set(&mut self.assignors, assignors);
        Ok(())
    }

    fn read_fetching(&mut self, reader: &mut PropertyReader<'_>) -> Result<(), ConfigError> {
        let config = &mut self.config;
        let resets = [
            ("earliest", OffsetReset::Earliest),
            ("latest", OffsetReset::Latest),
            ("none", OffsetReset::None),
        ];
        set(&mut config.auto_offset_reset, reader.one_of("auto.offset.reset", &resets)?);
        let levels = [
            ("read_uncommitted", IsolationLevel::ReadUncommitted),
            ("read_committed", IsolationLevel::ReadCommitted),
        ];
        set(&mut config.isolation_level, reader.one_of("isolation.level", &levels)?);
        let size = 0..=i32::MAX;
        set(&mut config.fetch_min_bytes, reader.number("fetch.min.bytes", size.clone())?);
        set(&mut config.fetch_max_bytes, reader.number("fetch.max.bytes", size.clone())?);
        let name = "max.partition.fetch.bytes";
        set(&mut config.max_partition_fetch_bytes, reader.number(name, size)?);
        set(&mut config.fetch_max_wait, reader.millis("fetch.max.wait.ms")?);
        if let Some(records) = reader.number("max.poll.records", 1..=usize::MAX)? {
            config.max_poll_records = Some(records);
        }
        if let Some(rack) = reader.text("client.rack").filter(|rack| !rack.is_empty()) {
            config.client_rack = Some(rack.to_owned());
        }
        set(&mut self.auto_create_topics, reader.flag("allow.auto.create.topics")?);
        // Checksums are always checked: asking for that is fine, asking for less is not.
        reader.one_of("check.crcs", &[("true", ())])?;
        Ok(())
    }
}

fn set<T>(into: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *into = read;
    }
}

/// What the types let through and no broker takes.
fn check(config: &ConsumerConfig) -> Result<(), ConfigError> {
    let sizes = [
        ("fetch.min.bytes", config.fetch_min_bytes),
        ("fetch.max.bytes", config.fetch_max_bytes),
        ("max.partition.fetch.bytes", config.max_partition_fetch_bytes),
    ];
    for (name, value) in sizes {
        if value < 0 {
            let expected = "a number of bytes, 0 or more".to_owned();
            return Err(ConfigError::Invalid { name, value: value.to_string(), expected });
        }
    }
    if config.max_poll_records == Some(0) {
        let expected = "a number of records, 1 or more".to_owned();
        let name = "max.poll.records";
        return Err(ConfigError::Invalid { name, value: "0".to_owned(), expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(builder: ConsumerBuilder) -> String {
        match builder.build_blocking() {
            Ok(_) => "built".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn builder() -> ConsumerBuilder {
        ConsumerBuilder::new(["localhost:9"])
    }

    #[test]
    fn javas_names_are_read() {
        let mut read = builder()
            .property("group.id", "g")
            .property("auto.offset.reset", "earliest")
            .property("fetch.min.bytes", "5")
            .property("max.poll.records", "7")
            .property("isolation.level", "read_committed")
            .property("session.timeout.ms", "6000")
            .property("enable.auto.commit", "true")
            .property("check.crcs", "true")
            .property(
                "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.RangeAssignor",
            )
            .property("key.deserializer", "org.apache.kafka.Whatever");
        read.read_properties().unwrap();
        assert_eq!(read.group, Some(GroupId::from("g")));
        assert_eq!(read.config.auto_offset_reset, OffsetReset::Earliest);
        assert_eq!(read.config.fetch_min_bytes, 5);
        assert_eq!(read.config.max_poll_records, Some(7));
        assert_eq!(read.config.isolation_level, IsolationLevel::ReadCommitted);
        let group = read.group_config().unwrap().unwrap();
        assert_eq!(group.session_timeout, Duration::from_secs(6));
        assert_eq!(group.auto_commit_interval, Some(Duration::from_secs(5)));
        assert_eq!(group.assignors[0].name, "range");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (name, value) in [
            ("check.crcs", "false"),
            ("group.protocol", "consumer"),
            ("partition.assignment.strategy", "sticky"),
            ("max.poll.records", "0"),
            ("auto.offset.reset", "yesterday"),
        ] {
            let message = error_of(builder().property(name, value));
            assert!(message.starts_with(name), "{message}");
        }
        let message = error_of(builder().enable_auto_commit(true));
        assert_eq!(message, "group.id is not set");
        let beat = builder().group("g").heartbeat_interval(Duration::from_secs(45));
        assert!(error_of(beat).contains("session.timeout.ms"));
    }
}
