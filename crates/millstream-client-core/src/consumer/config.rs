//! What a consumer is configured with: Java's names and, where the table of the docs does not say otherwise, Java's defaults.

use std::time::Duration;

use millstream_types::{GroupId, GroupInstanceId};

use crate::group::{
    ClusterView, GroupAssignment, GroupSubscription, RANGE, RebalanceProtocol, assign_range,
};
pub use crate::listing::IsolationLevel;

/// The settings of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// The group and how to be a member of it; `None` for a reader.
    pub group: Option<GroupConfig>,
    /// Where to start without a usable position (`auto.offset.reset`).
    pub auto_offset_reset: OffsetReset,
    /// Whether records of open and aborted transactions are seen (`isolation.level`).
    pub isolation_level: IsolationLevel,
    /// How many bytes make a broker answer at once (`fetch.min.bytes`).
    pub fetch_min_bytes: i32,
    /// How many bytes one answer may carry (`fetch.max.bytes`).
    pub fetch_max_bytes: i32,
    /// How many bytes of one partition an answer may carry (`max.partition.fetch.bytes`).
    pub max_partition_fetch_bytes: i32,
    /// How long a broker may wait for `fetch_min_bytes` (`fetch.max.wait.ms`).
    pub fetch_max_wait: Duration,
    /// How many records a batch handed to the application holds at most; `None`: as many as the
    /// producer put into it (`max.poll.records`).
    pub max_poll_records: Option<usize>,
    /// How many bytes may be buffered, from receipt until the application drops them.
    pub buffer_memory: usize,
    /// The largest size a batch may have once decompressed.
    pub decompressed_batch_max: usize,
    /// Where this client runs (`client.rack`).
    pub client_rack: Option<String>,
    /// How long a request may take (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How long calls such as looking up offsets may take (`default.api.timeout.ms`).
    pub api_timeout: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: None,
            auto_offset_reset: OffsetReset::Latest,
            isolation_level: IsolationLevel::ReadUncommitted,
            fetch_min_bytes: 1,
            fetch_max_bytes: 52_428_800,
            max_partition_fetch_bytes: 1_048_576,
            fetch_max_wait: Duration::from_millis(500),
            max_poll_records: None,
            buffer_memory: 64 * 1024 * 1024,
            decompressed_batch_max: 256 * 1024 * 1024,
            client_rack: None,
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
        }
    }
}

/// The settings of a member of a classic group.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The group (`group.id`).
    pub id: GroupId,
    /// The static name of this member (`group.instance.id`, KIP-345).
    pub instance: Option<GroupInstanceId>,
    /// The assignors, best first (`partition.assignment.strategy`).
    pub assignors: Vec<AssignorSpec>,
    /// After how long a silence the coordinator gives a member up (`session.timeout.ms`).
    pub session_timeout: Duration,
    /// How often the coordinator hears from us (`heartbeat.interval.ms`).
    pub heartbeat_interval: Duration,
    /// How long the application may take between asking for records (`max.poll.interval.ms`).
    pub max_poll_interval: Duration,
    /// How often finished positions are committed without being asked
    /// (`enable.auto.commit`, `auto.commit.interval.ms`); `None`: never.
    pub auto_commit_interval: Option<Duration>,
}

impl GroupConfig {
    /// Java's defaults for the group `id`, with the range assignor and without auto-commit.
    pub fn new(id: impl Into<GroupId>) -> Self {
        Self {
            id: id.into(),
            instance: None,
            assignors: vec![AssignorSpec::range()],
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            auto_commit_interval: None,
        }
    }
}

/// An assignor as the machine knows it.
#[derive(Clone, Debug)]
pub struct AssignorSpec {
    /// Its name on the wire.
    pub name: String,
    /// The rebalance protocols it supports.
    pub protocols: Vec<RebalanceProtocol>,
    /// The function, for one that comes with the client; others are run by the shell.
    pub builtin: Option<BuiltinAssignor>,
}

/// An assignor without state.
pub type BuiltinAssignor = fn(&ClusterView, &GroupSubscription) -> GroupAssignment;

impl AssignorSpec {
    /// The range assignor.
    #[must_use]
    pub fn range() -> Self {
        Self {
            name: RANGE.to_owned(),
            protocols: vec![RebalanceProtocol::Eager],
            builtin: Some(assign_range),
        }
    }
}

/// Where to start in a partition without a usable position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record.
    Earliest,
    /// Behind the last record: Java's default. Records written before the first position was found
    /// are not read.
    #[default]
    Latest,
    /// Nowhere: the application gets an error and seeks.
    None,
}
