//! DescribeConfigs 1 to 4: the configurations of topics, and the few of a broker that act here.
//!
//! Omitted: loggers, client metrics and groups as resources (`INVALID_REQUEST`), documentation.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_configs_request::DescribeConfigsResource;
use millstream_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use millstream_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse, StrBytes};
use millstream_types::BrokerId;

use super::{Api, Call, Served, text};
use crate::core::configs::{Kind, TOPIC_CONFIGS, TopicConfigs};
use crate::core::state::{Refused, State, check_topic_name};

/// `ConfigResource.Type`.
pub(super) const TOPIC: i8 = 2;
/// `ConfigResource.Type`.
pub(super) const BROKER: i8 = 4;
/// The source of a value set on the topic itself.
const SOURCE_TOPIC: i8 = 1;
/// The source of a value from the broker's own settings.
const SOURCE_BROKER: i8 = 4;
/// The source of a value that nobody set.
const SOURCE_DEFAULT: i8 = 5;

impl Api for DescribeConfigsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeConfigsResponse> {
        let results = self.resources.iter().map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match describe(state, resource, self.include_synonyms, call) {
                Ok(configs) => result.with_configs(configs),
                Err(refused) => result
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(DescribeConfigsResponse::default().with_results(results.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeConfigsResponse {
        let results = self.resources.iter().map(|resource| {
            DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(code.code())
        });
        DescribeConfigsResponse::default().with_results(results.collect())
    }
}

fn describe(
    state: &State,
    resource: &DescribeConfigsResource,
    synonyms: bool,
    call: &Call,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let keys = resource.configuration_keys.as_deref();
    let (version, node) = (call.version, call.node);
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            check_topic_name(name)?;
            match state.topics.get(name) {
                Some(topic) => Ok(of_topic(&topic.configs, keys, synonyms, version)),
                None => Err(Refused::new(ErrorCode::UnknownTopicOrPartition, "")),
            }
        }
        BROKER => {
            check_node(name, node)?;
            Ok(of_broker(state, keys, version))
        }
        kind => Err(Refused::new(
            ErrorCode::InvalidRequest,
            format!("configurations of resource type {kind} are not implemented"),
        )),
    }
}

/// A broker describes itself alone.
fn check_node(name: &str, node: BrokerId) -> Result<(), Refused> {
    let why = match name.parse::<i32>() {
        _ if name.is_empty() => return Ok(()),
        Ok(id) if id == node.0 => return Ok(()),
        Ok(id) => {
            format!("Unexpected broker id, expected {node} or empty string, but received {id}")
        }
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err(Refused::new(ErrorCode::InvalidRequest, why))
}

fn is_wanted(keys: Option<&[StrBytes]>, name: &str) -> bool {
    keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| key.as_str() == name))
}

fn result(
    name: &str,
    value: &str,
    source: i8,
    kind: Kind,
    version: i16,
) -> DescribeConfigsResourceResult {
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_config_source(source);
    if version >= 3 { result.with_config_type(kind.code()) } else { result }
}

fn of_topic(
    configs: &TopicConfigs,
    keys: Option<&[StrBytes]>,
    synonyms: bool,
    version: i16,
) -> Vec<DescribeConfigsResourceResult> {
    let wanted = TOPIC_CONFIGS.iter().filter(|config| is_wanted(keys, config.name));
    let described = wanted.map(|config| {
        let set = configs.set().get(config.name);
        let (value, source) = match set {
            Some(value) => (value.as_str(), SOURCE_TOPIC),
            None => (config.default, SOURCE_DEFAULT),
        };
        let mut described = result(config.name, value, source, config.kind, version);
        if synonyms {
            let synonym = |value: &str, source| {
                DescribeConfigsSynonym::default()
                    .with_name(text(config.name))
                    .with_value(Some(text(value)))
                    .with_source(source)
            };
            let set = set.map(|value| synonym(value, SOURCE_TOPIC));
            let default = synonym(config.default, SOURCE_DEFAULT);
            described.synonyms = set.into_iter().chain([default]).collect();
        }
        described
    });
    described.collect()
}

fn of_broker(
    state: &State,
    keys: Option<&[StrBytes]>,
    version: i16,
) -> Vec<DescribeConfigsResourceResult> {
    let config = &state.config;
    let number = Kind::Int(i32::MIN);
    let settings = [
        ("auto.create.topics.enable", config.auto_create_topics.to_string(), Kind::Boolean),
        ("default.replication.factor", config.replication_factor().to_string(), number),
        ("fetch.max.bytes", config.limits.fetch_bytes.to_string(), number),
        (
            "group.initial.rebalance.delay.ms",
            config.groups.initial_rebalance_delay.as_millis().to_string(),
            number,
        ),
        (
            "group.max.session.timeout.ms",
            config.groups.max_session_timeout.as_millis().to_string(),
            number,
        ),
        (
            "group.min.session.timeout.ms",
            config.groups.min_session_timeout.as_millis().to_string(),
            number,
        ),
        ("num.partitions", config.default_partitions.to_string(), number),
        ("offset.metadata.max.bytes", config.groups.offset_metadata_max_bytes.to_string(), number),
        ("socket.request.max.bytes", config.limits.request_bytes.to_string(), number),
    ];
    let wanted = settings.iter().filter(|(name, ..)| is_wanted(keys, name));
    let described = wanted.map(|(name, value, kind)| {
        result(name, value, SOURCE_BROKER, *kind, version).with_read_only(true)
    });
    described.collect()
}
