//! Describing settings.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_configs_request::DescribeConfigsResource;
use millstream_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};

use super::super::command::AdminCall;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::texts::words;
use super::super::wire::{optional, text};
use super::ConfigResource;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// What to tell of settings beside their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigDetail {
    /// Also the values that others hide: a topic's shows the broker's and Kafka's default.
    pub synonyms: bool,
    /// Also what each is for, from brokers that tell it (2.6).
    pub documentation: bool,
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
    /// What values it takes, from brokers that tell it (2.6).
    pub value_type: ConfigType,
    /// All values set for it, the one in force first, if [`ConfigDetail::synonyms`] were asked for.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it is for, if [`ConfigDetail::documentation`] was asked for.
    pub documentation: Option<String>,
}

/// A value of a setting, in force or hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The setting's name there: a topic's `retention.ms` is a broker's `log.retention.ms`.
    pub name: String,
    /// Its value; `None` if it is secret.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

words! {
    /// Where a setting's value comes from (`ConfigEntry.ConfigSource`).
    ConfigSource {
        /// Set for this topic.
        Topic = 1, "DYNAMIC_TOPIC_CONFIG";
        /// Set at run time for this broker.
        DynamicBroker = 2, "DYNAMIC_BROKER_CONFIG";
        /// Set at run time for all brokers.
        DynamicDefaultBroker = 3, "DYNAMIC_DEFAULT_BROKER_CONFIG";
        /// From the broker's properties file.
        StaticBroker = 4, "STATIC_BROKER_CONFIG";
        /// Kafka's default.
        Default = 5, "DEFAULT_CONFIG";
        /// Set at run time for this broker's logs.
        DynamicBrokerLogger = 6, "DYNAMIC_BROKER_LOGGER_CONFIG";
        /// Set for this subscription of client metrics.
        ClientMetrics = 7, "DYNAMIC_CLIENT_METRICS_CONFIG";
        /// Set for this group.
        Group = 8, "DYNAMIC_GROUP_CONFIG";
    }
}

words! {
    /// What values a setting takes (`ConfigEntry.ConfigType`).
    ConfigType {
        /// Not told.
        Unknown = 0, "UNKNOWN";
        /// True or false.
        Boolean = 1, "BOOLEAN";
        /// A text.
        String = 2, "STRING";
        /// A number of 32 bits.
        Int = 3, "INT";
        /// A number of 16 bits.
        Short = 4, "SHORT";
        /// A number of 64 bits.
        Long = 5, "LONG";
        /// A number with a fraction.
        Double = 6, "DOUBLE";
        /// Texts with commas between.
        List = 7, "LIST";
        /// The name of a Java class.
        Class = 8, "CLASS";
        /// A secret.
        Password = 9, "PASSWORD";
    }
}

/// Describes all settings of these.
pub fn describe_configs(
    resources: impl IntoIterator<Item = ConfigResource>,
    detail: ConfigDetail,
) -> AdminCall<Results<ConfigResource, BTreeMap<String, ConfigEntry>>> {
    AdminCall::new(Describe { detail }, resources.into_iter().map(|resource| (resource, ())))
}

#[derive(Debug)]
struct Describe {
    detail: ConfigDetail,
}

impl Operation for Describe {
    type Key = ConfigResource;
    type Input = ();
    type Output = BTreeMap<String, ConfigEntry>;
    type Done = Results<ConfigResource, Self::Output>;

    fn about(&self, key: &ConfigResource) -> String {
        key.about()
    }

    fn place(&self, key: &ConfigResource, (): &(), _cx: &mut Cx<'_>) -> Placement {
        Placement::At(key.destination())
    }

    fn request(&self, items: &[(&ConfigResource, &())], _timeout: Duration) -> RequestBody {
        let resources = items.iter().map(|(resource, ())| {
            DescribeConfigsResource::default()
                .with_resource_type(resource.code())
                .with_resource_name(text(&resource.name()))
                .with_configuration_keys(None)
        });
        m::DescribeConfigsRequest::default()
            .with_resources(resources.collect())
            .with_include_synonyms(self.detail.synonyms)
            .with_include_documentation(self.detail.documentation)
            .into()
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        // Older ones cannot be asked for documentation.
        (self.detail.documentation.then_some(3), None)
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&ConfigResource, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeConfigsResponse::try_from(response.body)?;
        let said = answer.results.into_iter().filter_map(|result| {
            let resource = ConfigResource::read(result.resource_type, &result.resource_name)?;
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            Some((resource, check.map(|()| read_entries(&result)).into()))
        });
        Ok(said.collect())
    }

    fn is_retriable(&self, (): &(), code: ErrorCode) -> bool {
        code.class().is_retriable() && code != ErrorCode::UnknownTopicOrPartition
    }

    fn merge(self, results: Results<ConfigResource, Self::Output>) -> Self::Done {
        results
    }
}

fn read_entries(result: &DescribeConfigsResult) -> BTreeMap<String, ConfigEntry> {
    result.configs.iter().map(|config| (config.name.to_string(), read_entry(config))).collect()
}

fn read_entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = config.synonyms.iter().map(|synonym| ConfigSynonym {
        name: synonym.name.to_string(),
        value: optional(synonym.value.as_ref()),
        source: ConfigSource::read(synonym.source),
    });
    ConfigEntry {
        value: optional(config.value.as_ref()),
        source: ConfigSource::read(config.config_source),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
        value_type: ConfigType::read(config.config_type),
        synonyms: synonyms.collect(),
        documentation: optional(config.documentation.as_ref()),
    }
}
