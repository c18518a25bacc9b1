//! Topic configurations: all that Kafka 4.x knows are stored and described, with Kafka's defaults
//! and checks; those that act here are `max.message.bytes`, `message.timestamp.type`,
//! `min.insync.replicas` and `cleanup.policy` (as far as it permits DeleteRecords). Retention,
//! compaction, segments and compression settings are kept and otherwise ignored.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_types::TimestampType;

use super::state::Refused;

/// The type of a configuration, with its number in DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list; `None` admits any words.
    List(Option<&'static [&'static str]>),
    /// A 32-bit number of at least this.
    Int(i32),
    /// A 64-bit number of at least this.
    Long(i64),
    /// A fraction from 0 to 1.
    Ratio,
    /// Words that its owner checks.
    Text,
    /// Not known to Kafka.
    Unknown,
}

/// A configuration that a kind of resource has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigKey {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
}

pub(crate) const fn config(name: &'static str, default: &'static str, kind: Kind) -> ConfigKey {
    ConfigKey { name, default, kind }
}

const FOREVER: &str = "9223372036854775807";

/// Every topic configuration, by name (`TopicConfig.java`, `LogConfig.java`).
pub(crate) const TOPIC_CONFIGS: &[ConfigKey] = &[
    config("cleanup.policy", "delete", Kind::List(Some(&["compact", "delete"]))),
    config("compression.gzip.level", "-1", Kind::Int(-1)),
    config("compression.lz4.level", "9", Kind::Int(1)),
    config(
        "compression.type",
        "producer",
        Kind::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    config("compression.zstd.level", "3", Kind::Int(-131_072)),
    config("delete.retention.ms", "86400000", Kind::Long(0)),
    config("file.delete.delay.ms", "60000", Kind::Long(0)),
    config("flush.messages", FOREVER, Kind::Long(1)),
    config("flush.ms", FOREVER, Kind::Long(0)),
    config("follower.replication.throttled.replicas", "", Kind::List(None)),
    config("index.interval.bytes", "4096", Kind::Int(0)),
    config("leader.replication.throttled.replicas", "", Kind::List(None)),
    config("local.retention.bytes", "-2", Kind::Long(-2)),
    config("local.retention.ms", "-2", Kind::Long(-2)),
    config("max.compaction.lag.ms", FOREVER, Kind::Long(1)),
    config("max.message.bytes", "1048588", Kind::Int(0)),
    config("message.timestamp.after.max.ms", "3600000", Kind::Long(0)),
    config("message.timestamp.before.max.ms", FOREVER, Kind::Long(0)),
    config("message.timestamp.type", "CreateTime", Kind::OneOf(&["CreateTime", "LogAppendTime"])),
    config("min.cleanable.dirty.ratio", "0.5", Kind::Ratio),
    config("min.compaction.lag.ms", "0", Kind::Long(0)),
    config("min.insync.replicas", "1", Kind::Int(1)),
    config("preallocate", "false", Kind::Boolean),
    config("remote.log.copy.disable", "false", Kind::Boolean),
    config("remote.log.delete.on.disable", "false", Kind::Boolean),
    config("remote.storage.enable", "false", Kind::Boolean),
    config("retention.bytes", "-1", Kind::Long(i64::MIN)),
    config("retention.ms", "604800000", Kind::Long(-1)),
    config("segment.bytes", "1073741824", Kind::Int(1_048_576)),
    config("segment.index.bytes", "10485760", Kind::Int(4)),
    config("segment.jitter.ms", "0", Kind::Long(0)),
    config("segment.ms", "604800000", Kind::Long(1)),
    config("unclean.leader.election.enable", "false", Kind::Boolean),
];

/// The configuration of this name.
pub(crate) fn find(name: &str) -> Option<&'static ConfigKey> {
    TOPIC_CONFIGS.iter().find(|config| config.name == name)
}

impl Kind {
    /// The number of the type in DescribeConfigs (`ConfigType` in `DescribeConfigsResponse.java`).
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::Unknown => 0,
            Self::Boolean => 1,
            Self::OneOf(_) | Self::Text => 2,
            Self::Int(_) => 3,
            Self::Long(_) => 5,
            Self::Ratio => 6,
            Self::List(_) => 7,
        }
    }

    /// What is wrong with a value: the part that is, and why.
    pub(crate) fn accepts(self, value: &str) -> Result<(), (String, String)> {
        let value = value.trim();
        let wrong = |why: String| Err((value.to_owned(), why));
        let at_least = |fits: bool, min: String| match fits {
            true => Ok(()),
            false => wrong(format!("Value must be at least {min}")),
        };
        match self {
            Self::Boolean if value.eq_ignore_ascii_case("true") => Ok(()),
            Self::Boolean if value.eq_ignore_ascii_case("false") => Ok(()),
            Self::Boolean => wrong("Expected value to be either true or false".to_owned()),
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(words) => wrong(format!("String must be one of: {}", words.join(", "))),
            Self::List(None) | Self::Text | Self::Unknown => Ok(()),
            Self::List(Some(words)) => {
                let mut parts = value.split(',').map(str::trim);
                match parts.find(|part| !words.contains(part)) {
                    Some(part) => Err((
                        part.to_owned(),
                        format!("String must be one of: {}", words.join(", ")),
                    )),
                    None => Ok(()),
                }
            }
            Self::Int(min) => match value.parse::<i32>() {
                Ok(number) => at_least(number >= min, min.to_string()),
                Err(_) => wrong("Not a number of type INT".to_owned()),
            },
            Self::Long(min) => match value.parse::<i64>() {
                Ok(number) => at_least(number >= min, min.to_string()),
                Err(_) => wrong("Not a number of type LONG".to_owned()),
            },
            Self::Ratio => match value.parse::<f64>() {
                Ok(number) if number > 1.0 => wrong("Value must be no more than 1".to_owned()),
                Ok(number) => at_least(number >= 0.0, "0".to_owned()),
                Err(_) => wrong("Not a number of type DOUBLE".to_owned()),
            },
        }
    }
}

/// Checks a value of a topic configuration.
pub(crate) fn check(name: &str, value: Option<&str>) -> Result<(), Refused> {
    let refuse = |why: String| Err(Refused::new(ErrorCode::InvalidConfig, why));
    let Some(config) = find(name) else {
        return refuse(format!("Unknown topic config name: {name}"));
    };
    let Some(value) = value else {
        return refuse(format!("Null value not supported for topic configs: {name}"));
    };
    match config.kind.accepts(value) {
        Ok(()) => Ok(()),
        Err((part, why)) => refuse(format!("Invalid value {part} for configuration {name}: {why}")),
    }
}

/// The configurations of one topic: what was set, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct TopicConfigs {
    set: BTreeMap<String, String>,
    pub(crate) max_message_bytes: usize,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) min_insync_replicas: usize,
    /// How far records may be dated before and after now, in milliseconds (KIP-937).
    pub(crate) timestamp_before_max: i64,
    pub(crate) timestamp_after_max: i64,
    pub(crate) compacted: bool,
    pub(crate) deletable: bool,
}

impl Default for TopicConfigs {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl TopicConfigs {
    /// Takes values that were checked.
    pub(crate) fn new(set: BTreeMap<String, String>) -> Self {
        let value = |name: &str| -> &str {
            let default = find(name).map_or("", |config| config.default);
            set.get(name).map_or(default, String::as_str).trim()
        };
        let policies: Vec<&str> = value("cleanup.policy").split(',').map(str::trim).collect();
        Self {
            max_message_bytes: value("max.message.bytes").parse().unwrap_or(usize::MAX),
            timestamp_type: if value("message.timestamp.type") == "LogAppendTime" {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            min_insync_replicas: value("min.insync.replicas").parse().unwrap_or(1),
            timestamp_before_max: value("message.timestamp.before.max.ms")
                .parse()
                .unwrap_or(i64::MAX),
            timestamp_after_max: value("message.timestamp.after.max.ms")
                .parse()
                .unwrap_or(i64::MAX),
            compacted: policies.contains(&"compact"),
            deletable: policies.contains(&"delete"),
            set,
        }
    }

    /// What was set, by name.
    pub(crate) const fn set(&self) -> &BTreeMap<String, String> {
        &self.set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for config in TOPIC_CONFIGS {
            if !config.default.is_empty() {
                assert_eq!(check(config.name, Some(config.default)), Ok(()), "{}", config.name);
            }
        }
        assert!(TOPIC_CONFIGS.is_sorted_by_key(|config| config.name));
    }

    #[test]
    fn wrong_values_are_refused_with_a_reason() {
        let why = |name, value| check(name, value).map_err(|refused| refused.message);
        assert!(why("no.such.config", Some("1")).is_err());
        assert!(why("retention.ms", Some("soon")).is_err());
        assert!(why("retention.ms", Some("-2")).is_err());
        assert!(why("cleanup.policy", Some("compact,forget")).is_err());
        assert!(why("cleanup.policy", Some("compact, delete")).is_ok());
        assert!(why("preallocate", Some("perhaps")).is_err());
        assert!(why("min.cleanable.dirty.ratio", Some("1.5")).is_err());
        assert!(why("max.message.bytes", None).is_err());
    }

    #[test]
    fn what_acts_follows_from_what_was_set() {
        let set = [("cleanup.policy", "compact"), ("max.message.bytes", "100")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let configs = TopicConfigs::new(set.into());
        assert!(configs.compacted && !configs.deletable);
        assert_eq!(configs.max_message_bytes, 100);
        assert_eq!(configs.timestamp_type, TimestampType::CreateTime);
    }
}
