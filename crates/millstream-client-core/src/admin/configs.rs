//! Settings of topics and brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_configs_request::DescribeConfigsResource;
use millstream_protocol::messages::describe_configs_response::DescribeConfigsResult;
use millstream_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use millstream_types::{BrokerId, TopicName};

use super::call::{AllSaid, Handler, Placement, Refusal};
use super::topics::text;
use super::{AdminCompletion, Results};
use crate::cx::Cx;
use crate::outbox::{Destination, RequestBody, Response};

/// What has settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A broker.
    Broker(BrokerId),
    /// A topic.
    Topic(TopicName),
}

/// Resource types on the wire (`ConfigResource.Type`).
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

impl ConfigResource {
    const fn code(&self) -> i8 {
        match self {
            Self::Broker(_) => BROKER,
            Self::Topic(_) => TOPIC,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Broker(id) => id.to_string(),
            Self::Topic(name) => name.to_string(),
        }
    }

    fn read(code: i8, name: &str) -> Option<Self> {
        match code {
            BROKER => Some(Self::Broker(BrokerId(name.parse().ok()?))),
            TOPIC => Some(Self::Topic(name.into())),
            _ => None,
        }
    }

    /// Only a broker itself knows its settings; those of topics every broker knows.
    const fn destination(&self) -> Destination {
        match self {
            Self::Broker(id) => Destination::Broker(*id),
            Self::Topic(_) => Destination::AnyBroker,
        }
    }

    fn about(&self) -> String {
        match self {
            Self::Broker(id) => format!("configuration of broker {id}"),
            Self::Topic(name) => format!("configuration of topic {name}"),
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its value; `None` if it is unset, or secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
    /// Whether its value is kept secret.
    pub is_sensitive: bool,
}

/// Where a setting's value comes from (`ConfigEntry.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set for this topic.
    Topic,
    /// Set at run time for this broker.
    DynamicBroker,
    /// Set at run time for all brokers.
    DynamicDefaultBroker,
    /// From the broker's properties file.
    StaticBroker,
    /// Kafka's default.
    Default,
    /// A source that this client does not know, by its number.
    Other(i8),
}

impl From<i8> for ConfigSource {
    fn from(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }
}

/// A change of one setting (KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// Sets it.
    Set {
        /// The setting.
        name: String,
        /// Its new value.
        value: String,
    },
    /// Makes it the default again.
    Delete {
        /// The setting.
        name: String,
    },
    /// Adds to a list.
    Append {
        /// The setting.
        name: String,
        /// What to add; several with commas.
        value: String,
    },
    /// Takes from a list.
    Subtract {
        /// The setting.
        name: String,
        /// What to take; several with commas.
        value: String,
    },
}

impl ConfigChange {
    fn write(&self) -> AlterableConfig {
        let (name, operation, value) = match self {
            Self::Set { name, value } => (name, 0, Some(value)),
            Self::Delete { name } => (name, 1, None),
            Self::Append { name, value } => (name, 2, Some(value)),
            Self::Subtract { name, value } => (name, 3, Some(value)),
        };
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(value.map(|value| text(value)))
    }
}

/// Describes settings.
#[derive(Debug)]
pub(super) struct Describe;

impl Handler for Describe {
    type Key = ConfigResource;
    type Input = ();
    type Output = BTreeMap<String, ConfigEntry>;

    fn about(key: &ConfigResource) -> String {
        key.about()
    }

    fn place(&self, key: &ConfigResource, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(key.destination())
    }

    fn request(&self, items: &[(&ConfigResource, &())], _timeout: Duration) -> RequestBody {
        let resources = items.iter().map(|(resource, ())| {
            DescribeConfigsResource::default()
                .with_resource_type(resource.code())
                .with_resource_name(text(&resource.name()))
                .with_configuration_keys(None)
        });
        m::DescribeConfigsRequest::default().with_resources(resources.collect()).into()
    }

    fn read(&self, response: Response) -> AllSaid<ConfigResource, BTreeMap<String, ConfigEntry>> {
        let answer = m::DescribeConfigsResponse::try_from(response.body)?;
        let said = answer.results.into_iter().filter_map(|result| {
            let resource = ConfigResource::read(result.resource_type, &result.resource_name)?;
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            Some((resource, check.map(|()| read_entries(&result))))
        });
        Ok(said.collect())
    }

    fn complete(
        results: Results<ConfigResource, BTreeMap<String, ConfigEntry>>,
    ) -> AdminCompletion {
        AdminCompletion::DescribeConfigs(results)
    }

    fn is_retriable(&self, code: millstream_protocol::ErrorCode) -> bool {
        use millstream_protocol::ErrorCode::UnknownTopicOrPartition;
        code.class().is_retriable() && !matches!(code, UnknownTopicOrPartition)
    }
}

fn read_entries(result: &DescribeConfigsResult) -> BTreeMap<String, ConfigEntry> {
    let entries = result.configs.iter().map(|config| {
        let entry = ConfigEntry {
            value: config.value.as_ref().map(ToString::to_string),
            source: config.config_source.into(),
            is_read_only: config.read_only,
            is_sensitive: config.is_sensitive,
        };
        (config.name.to_string(), entry)
    });
    entries.collect()
}

/// Changes settings.
#[derive(Debug)]
pub(super) struct Alter;

impl Handler for Alter {
    type Key = ConfigResource;
    type Input = Vec<ConfigChange>;
    type Output = ();

    fn about(key: &ConfigResource) -> String {
        key.about()
    }

    fn place(&self, key: &ConfigResource, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(key.destination())
    }

    fn request(
        &self,
        items: &[(&ConfigResource, &Vec<ConfigChange>)],
        _timeout: Duration,
    ) -> RequestBody {
        let resources = items.iter().map(|(resource, changes)| {
            AlterConfigsResource::default()
                .with_resource_type(resource.code())
                .with_resource_name(text(&resource.name()))
                .with_configs(changes.iter().map(ConfigChange::write).collect())
        });
        m::IncrementalAlterConfigsRequest::default().with_resources(resources.collect()).into()
    }

    fn read(&self, response: Response) -> AllSaid<ConfigResource, ()> {
        let answer = m::IncrementalAlterConfigsResponse::try_from(response.body)?;
        let said = answer.responses.into_iter().filter_map(|result| {
            let resource = ConfigResource::read(result.resource_type, &result.resource_name)?;
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            Some((resource, check))
        });
        Ok(said.collect())
    }

    fn complete(results: Results<ConfigResource, ()>) -> AdminCompletion {
        AdminCompletion::AlterConfigs(results)
    }
}
