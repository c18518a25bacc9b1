//! What has settings.

use std::fmt;

use millstream_types::{BrokerId, GroupId, TopicName};

use super::super::texts::{UnknownWord, spelled};
use crate::outbox::Destination;

/// What has settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A broker.
    Broker(BrokerId),
    /// All brokers that have no value of their own.
    BrokerDefaults,
    /// The log levels of a broker (KIP-412).
    BrokerLogger(BrokerId),
    /// A subscription of client metrics (KIP-714), by its name.
    ClientMetrics(String),
    /// A group (KIP-848).
    Group(GroupId),
    /// A topic.
    Topic(TopicName),
}

/// A kind of [`ConfigResource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConfigKind {
    /// Brokers, and what is set for all of them.
    Broker,
    /// Log levels of brokers.
    BrokerLogger,
    /// Subscriptions of client metrics.
    ClientMetrics,
    /// Groups.
    Group,
    /// Topics.
    Topic,
}

spelled!(ConfigKind {
    Broker = "BROKER",
    BrokerLogger = "BROKER_LOGGER",
    ClientMetrics = "CLIENT_METRICS",
    Group = "GROUP",
    Topic = "TOPIC",
});

impl ConfigKind {
    /// The number on the wire (`ConfigResource.Type`).
    pub(super) const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }
}

impl ConfigResource {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ConfigKind {
        match self {
            Self::Broker(_) | Self::BrokerDefaults => ConfigKind::Broker,
            Self::BrokerLogger(_) => ConfigKind::BrokerLogger,
            Self::ClientMetrics(_) => ConfigKind::ClientMetrics,
            Self::Group(_) => ConfigKind::Group,
            Self::Topic(_) => ConfigKind::Topic,
        }
    }

    pub(super) const fn code(&self) -> i8 {
        self.kind().code()
    }

    /// Its name on the wire.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Broker(id) | Self::BrokerLogger(id) => id.to_string(),
            Self::BrokerDefaults => String::new(),
            Self::ClientMetrics(name) => name.clone(),
            Self::Group(group) => group.to_string(),
            Self::Topic(name) => name.to_string(),
        }
    }

    pub(super) fn read(code: i8, name: &str) -> Option<Self> {
        let broker = || Some(BrokerId(name.parse().ok()?));
        match code {
            2 => Some(Self::Topic(name.into())),
            4 if name.is_empty() => Some(Self::BrokerDefaults),
            4 => Some(Self::Broker(broker()?)),
            8 => Some(Self::BrokerLogger(broker()?)),
            16 => Some(Self::ClientMetrics(name.to_owned())),
            32 => Some(Self::Group(name.into())),
            _ => None,
        }
    }

    /// Only a broker itself knows its settings; all others every broker knows
    /// (`KafkaAdminClient.nodeFor`).
    pub(super) const fn destination(&self) -> Destination {
        match self {
            Self::Broker(id) | Self::BrokerLogger(id) => Destination::Broker(*id),
            _ => Destination::AnyBroker,
        }
    }

    pub(super) fn about(&self) -> String {
        format!("configuration of {self}")
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::BrokerDefaults => f.write_str("all brokers"),
            Self::BrokerLogger(id) => write!(f, "the logs of broker {id}"),
            Self::ClientMetrics(name) => write!(f, "client metrics {name}"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::Topic(name) => write!(f, "topic {name}"),
        }
    }
}

/// Reads `topic/orders`, `broker/1`, `brokers`, `broker-logger/1`, `group/billing`,
/// `client-metrics/all`.
impl std::str::FromStr for ConfigResource {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let broker = || name.parse().ok().map(BrokerId);
        let resource = match kind {
            "brokers" if name.is_empty() => Some(Self::BrokerDefaults),
            _ if name.is_empty() => None,
            "topic" => Some(Self::Topic(name.into())),
            "broker" => broker().map(Self::Broker),
            "broker-logger" => broker().map(Self::BrokerLogger),
            "group" => Some(Self::Group(name.into())),
            "client-metrics" => Some(Self::ClientMetrics(name.to_owned())),
            _ => None,
        };
        resource.ok_or_else(|| UnknownWord::new(text, &LEGAL))
    }
}

const LEGAL: [&str; 6] =
    ["topic/NAME", "broker/ID", "brokers", "broker-logger/ID", "group/NAME", "client-metrics/NAME"];
