//! What has configurations besides topics: nodes, their loggers, groups and client metrics.
//!
//! They are checked, kept and shown; none acts. Names and defaults are those of Kafka 4.3
//! (`GroupConfig.java`, `ClientMetricsConfigs.java`, `DynamicBrokerConfig.scala`). A node takes any
//! name that Kafka does not know, as a custom setting whose value is never shown.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;

use super::configs::{ConfigKey, Kind, TOPIC_CONFIGS, config};
use super::state::Refused;

/// What has configurations, with its number (`ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ResourceKind {
    Topic,
    Broker,
    Logger,
    ClientMetrics,
    Group,
}

/// Configurations by resource: what was set.
pub(crate) type ResourceConfigs = BTreeMap<(ResourceKind, String), BTreeMap<String, String>>;

/// The settings of a node that may change while it runs, without those of listeners and security.
const BROKER_CONFIGS: &[ConfigKey] = &[
    config("background.threads", "10", Kind::Int(1)),
    config("compression.type", "producer", COMPRESSION),
    config("log.cleaner.threads", "1", Kind::Int(0)),
    config("log.cleanup.policy", "delete", Kind::List(Some(&["compact", "delete"]))),
    config("log.flush.interval.messages", "9223372036854775807", Kind::Long(1)),
    config("log.message.timestamp.type", "CreateTime", TIMESTAMPS),
    config("log.retention.bytes", "-1", Kind::Long(i64::MIN)),
    config("log.retention.ms", "604800000", Kind::Long(-1)),
    config("log.roll.ms", "604800000", Kind::Long(1)),
    config("log.segment.bytes", "1073741824", Kind::Int(1_048_576)),
    config("max.connections", "2147483647", Kind::Int(0)),
    config("max.connections.per.ip", "2147483647", Kind::Int(0)),
    config("message.max.bytes", "1048588", Kind::Int(0)),
    config("min.insync.replicas", "1", Kind::Int(1)),
    config("num.io.threads", "8", Kind::Int(1)),
    config("num.network.threads", "3", Kind::Int(1)),
    config("num.recovery.threads.per.data.dir", "2", Kind::Int(1)),
    config("num.replica.fetchers", "1", Kind::Int(0)),
    config("unclean.leader.election.enable", "false", Kind::Boolean),
];

const COMPRESSION: Kind =
    Kind::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
const TIMESTAMPS: Kind = Kind::OneOf(&["CreateTime", "LogAppendTime"]);

/// Settings of a node that are fixed when it starts.
const FIXED: &[&str] = &[
    "auto.create.topics.enable",
    "broker.id",
    "broker.rack",
    "controller.quorum.voters",
    "default.replication.factor",
    "fetch.max.bytes",
    "group.initial.rebalance.delay.ms",
    "group.max.session.timeout.ms",
    "group.min.session.timeout.ms",
    "log.dir",
    "log.dirs",
    "node.id",
    "num.partitions",
    "offset.metadata.max.bytes",
    "offsets.topic.replication.factor",
    "process.roles",
    "socket.request.max.bytes",
    "transaction.state.log.replication.factor",
];

const GROUP_CONFIGS: &[ConfigKey] = &[
    config("consumer.assignment.interval.ms", "1000", Kind::Int(0)),
    config("consumer.heartbeat.interval.ms", "5000", Kind::Int(1)),
    config("consumer.session.timeout.ms", "45000", Kind::Int(1)),
    config("share.assignment.interval.ms", "1000", Kind::Int(0)),
    config("share.auto.offset.reset", "latest", Kind::Text),
    config("share.delivery.count.limit", "5", Kind::Int(2)),
    config("share.heartbeat.interval.ms", "5000", Kind::Int(1)),
    config(
        "share.isolation.level",
        "read_uncommitted",
        Kind::OneOf(&["read_committed", "read_uncommitted"]),
    ),
    config("share.partition.max.record.locks", "2000", Kind::Int(100)),
    config("share.record.lock.duration.ms", "30000", Kind::Int(1000)),
    config("share.renew.acknowledge.enable", "true", Kind::Boolean),
    config("share.session.timeout.ms", "45000", Kind::Int(1)),
    config("streams.assignment.interval.ms", "1000", Kind::Int(0)),
    config("streams.heartbeat.interval.ms", "5000", Kind::Int(1)),
    config("streams.initial.rebalance.delay.ms", "3000", Kind::Int(0)),
    config("streams.num.standby.replicas", "0", Kind::Int(0)),
    config("streams.session.timeout.ms", "45000", Kind::Int(1)),
];

const CLIENT_METRICS_CONFIGS: &[ConfigKey] = &[
    config("interval.ms", "300000", Kind::Int(i32::MIN)),
    config("match", "", Kind::List(None)),
    config("metrics", "", Kind::List(None)),
];

/// How often clients may be asked to push, in milliseconds.
const INTERVALS: std::ops::RangeInclusive<i32> = 100..=3_600_000;
/// What clients may be chosen by.
const SELECTORS: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The loggers that every node has. They log nothing.
const LOGGERS: &[ConfigKey] =
    &[config("kafka", "INFO", Kind::OneOf(LEVELS)), config(ROOT, "INFO", Kind::OneOf(LEVELS))];
const ROOT: &str = "root";
const LEVELS: &[&str] = &["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];

impl ResourceKind {
    /// The kind of this number.
    pub(crate) const fn of(number: i8) -> Option<Self> {
        match number {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::Logger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }

    /// Its number.
    pub(crate) const fn number(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::Logger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// The configurations that it has.
    pub(crate) const fn keys(self) -> &'static [ConfigKey] {
        match self {
            Self::Topic => TOPIC_CONFIGS,
            Self::Broker => BROKER_CONFIGS,
            Self::Logger => LOGGERS,
            Self::ClientMetrics => CLIENT_METRICS_CONFIGS,
            Self::Group => GROUP_CONFIGS,
        }
    }

    /// The configuration of this name.
    pub(crate) fn find(self, name: &str) -> Option<&'static ConfigKey> {
        self.keys().iter().find(|key| key.name == name)
    }

    /// The source of a value that was set (`DescribeConfigsResponse.ConfigSource`).
    pub(crate) const fn source(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 2,
            Self::Logger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }

    /// Checks a value that is to be set.
    pub(crate) fn check(self, name: &str, value: Option<&str>) -> Result<(), Refused> {
        let invalid = |why: String| Err(Refused::new(ErrorCode::InvalidConfig, why));
        if self == Self::Topic {
            return super::configs::check(name, value);
        }
        if self == Self::Broker && FIXED.contains(&name) {
            let why = format!("Cannot update these configs dynamically: [{name}]");
            return Err(Refused::new(ErrorCode::InvalidRequest, why));
        }
        let Some(key) = self.find(name) else {
            return match self {
                Self::Broker => Ok(()),
                Self::Logger => invalid(format!("Logger {name} does not exist!")),
                Self::ClientMetrics => {
                    let why = format!("Unknown client metrics configuration: {name}");
                    Err(Refused::new(ErrorCode::InvalidRequest, why))
                }
                Self::Topic | Self::Group => invalid(format!("Unknown group config name: {name}")),
            };
        };
        let value = value.unwrap_or_default();
        if self == Self::Logger && !LEVELS.contains(&value) {
            return invalid(format!(
                "Cannot set the log level of {name} to {value} as it is not a supported log \
                 level. Valid log levels are {}",
                LEVELS.join(", ")
            ));
        }
        if let Err((part, why)) = key.kind.accepts(value) {
            // A node checks its settings before it asks the controller.
            let code = match self {
                Self::Broker => ErrorCode::InvalidRequest,
                _ => ErrorCode::InvalidConfig,
            };
            let why = format!("Invalid value {part} for configuration {name}: {why}");
            return Err(Refused::new(code, why));
        }
        if self == Self::ClientMetrics { check_metrics(name, value) } else { Ok(()) }
    }

    /// Checks that a value may be taken back.
    pub(crate) fn check_reset(self, name: &str) -> Result<(), Refused> {
        match self {
            Self::Logger if name == ROOT => Err(Refused::new(
                ErrorCode::InvalidRequest,
                format!("Removing the log level of the {ROOT} logger is not allowed"),
            )),
            Self::Logger => self.check(name, Some("INFO")),
            Self::Broker if FIXED.contains(&name) => self.check(name, None),
            _ => Ok(()),
        }
    }
}

/// What `ClientMetricsConfigs.validate` checks beyond types.
fn check_metrics(name: &str, value: &str) -> Result<(), Refused> {
    if name == "interval.ms" && !value.parse().is_ok_and(|ms: i32| INTERVALS.contains(&ms)) {
        let why = format!(
            "Invalid value {value} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        );
        return Err(Refused::new(ErrorCode::InvalidRequest, why));
    }
    let mut patterns = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    let legal = |pattern: &str| {
        let key = pattern.split_once('=').map(|(key, _)| key.trim());
        key.is_some_and(|key| SELECTORS.contains(&key))
    };
    match patterns.find(|pattern| name == "match" && !legal(pattern)) {
        Some(pattern) => Err(Refused::new(
            ErrorCode::InvalidConfig,
            format!("Illegal client matching pattern: {pattern}"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_their_defaults_pass() {
        for kind in [
            ResourceKind::Broker,
            ResourceKind::Logger,
            ResourceKind::ClientMetrics,
            ResourceKind::Group,
        ] {
            assert_eq!(ResourceKind::of(kind.number()), Some(kind));
            assert!(kind.keys().is_sorted_by_key(|key| key.name), "{kind:?}");
            for key in kind.keys() {
                assert_eq!(kind.check(key.name, Some(key.default)), Ok(()), "{}", key.name);
            }
        }
        assert!(FIXED.is_sorted());
    }
}
