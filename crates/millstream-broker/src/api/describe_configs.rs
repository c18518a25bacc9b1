//! DescribeConfigs 1 to 4: the configurations of topics, nodes, loggers, groups and client metrics.
//!
//! Of a node those are told that act here, those that were set, and the common ones of Kafka's that
//! may be set. Omitted: documentation.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::describe_configs_request::DescribeConfigsResource;
use millstream_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use millstream_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse, StrBytes};
use millstream_types::BrokerId;

use super::incremental_alter_configs::current;
use super::{Api, Call, Served, text};
use crate::core::configs::{ConfigKey, Kind};
use crate::core::resource::ResourceKind;
use crate::core::state::{Refused, State, check_topic_name};

/// The source of a value that was set for all nodes.
const SOURCE_ALL_BROKERS: i8 = 3;
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
    let asked =
        Asked { keys: resource.configuration_keys.as_deref(), synonyms, version: call.version };
    let name = resource.resource_name.as_str();
    let refuse = |code, why: String| Err(Refused::new(code, why));
    let Some(kind) = ResourceKind::of(resource.resource_type) else {
        let code = ErrorCode::InvalidRequest;
        return refuse(code, super::sentence(code).to_string());
    };
    match kind {
        ResourceKind::Topic => {
            check_topic_name(name)?;
            if state.topics.get(name).is_none() {
                return refuse(ErrorCode::UnknownTopicOrPartition, String::new());
            }
        }
        ResourceKind::Broker => {
            check_node(name, call.node)?;
            return Ok(of_broker(state, name, &asked));
        }
        ResourceKind::Logger if name.is_empty() => {
            let why = "Broker id must not be empty";
            return refuse(ErrorCode::InvalidRequest, why.to_owned());
        }
        ResourceKind::Logger => {
            let or_empty = " or empty string,";
            check_node(name, call.node).map_err(|refused| {
                Refused::new(refused.code, refused.message.replace(or_empty, ""))
            })?;
        }
        ResourceKind::ClientMetrics if name.is_empty() => {
            let why = "Client metrics subscription name must not be empty";
            return refuse(ErrorCode::InvalidRequest, why.to_owned());
        }
        ResourceKind::Group if name.is_empty() => {
            let why = "Group name must not be empty";
            return refuse(ErrorCode::InvalidRequest, why.to_owned());
        }
        ResourceKind::ClientMetrics | ResourceKind::Group => {}
    }
    let set = current(state, kind, name);
    let wanted = kind.keys().iter().filter(|key| asked.wants(key.name));
    Ok(wanted.map(|key| asked.describe(kind, key, &set)).collect())
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

/// What is asked about a resource.
struct Asked<'a> {
    keys: Option<&'a [StrBytes]>,
    synonyms: bool,
    version: i16,
}

impl Asked<'_> {
    fn wants(&self, name: &str) -> bool {
        let keys = self.keys.unwrap_or_default();
        keys.is_empty() || keys.iter().any(|key| key.as_str() == name)
    }

    fn result(
        &self,
        name: &str,
        value: Option<&str>,
        source: i8,
        kind: Kind,
    ) -> DescribeConfigsResourceResult {
        let result = DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(value.map(text))
            .with_config_source(source);
        if self.version >= 3 { result.with_config_type(kind.code()) } else { result }
    }

    /// A configuration with its value and where that comes from.
    fn describe(
        &self,
        kind: ResourceKind,
        key: &ConfigKey,
        set: &BTreeMap<String, String>,
    ) -> DescribeConfigsResourceResult {
        let found = set.get(key.name);
        // A logger's level is always its own.
        let source = match (kind, found) {
            (ResourceKind::Logger, _) | (_, Some(_)) => kind.source(),
            _ => SOURCE_DEFAULT,
        };
        let value = found.map_or(key.default, String::as_str);
        let described = self.result(key.name, Some(value), source, key.kind);
        let has_synonyms = matches!(kind, ResourceKind::Topic | ResourceKind::Group);
        if !self.synonyms || !has_synonyms {
            return described;
        }
        let set = found.map(|value| synonym(key.name, Some(value), kind.source()));
        let default = synonym(key.name, Some(key.default), SOURCE_DEFAULT);
        described.with_synonyms(set.into_iter().chain([default]).collect())
    }
}

fn synonym(name: &str, value: Option<&str>, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(text(name))
        .with_value(value.map(text))
        .with_source(source)
}

/// The settings of a node, or without a name those that were set for all.
fn of_broker(state: &State, name: &str, asked: &Asked<'_>) -> Vec<DescribeConfigsResourceResult> {
    let all = current(state, ResourceKind::Broker, "");
    let own =
        if name.is_empty() { BTreeMap::new() } else { current(state, ResourceKind::Broker, name) };
    let is_shown = |key: &str| !name.is_empty() || all.contains_key(key);
    let keys = ResourceKind::Broker.keys().iter();
    let known = keys.filter(|key| asked.wants(key.name) && is_shown(key.name)).map(|key| {
        let levels = [
            (own.get(key.name), ResourceKind::Broker.source()),
            (all.get(key.name), SOURCE_ALL_BROKERS),
        ];
        let levels =
            levels.into_iter().filter_map(|(value, source)| Some((value?.as_str(), source)));
        let levels: Vec<_> = levels.chain([(key.default, SOURCE_DEFAULT)]).collect();
        let (value, source) = levels.first().copied().unwrap_or((key.default, SOURCE_DEFAULT));
        let described = asked.result(key.name, Some(value), source, key.kind);
        if !asked.synonyms {
            return described;
        }
        let synonyms = levels.iter().map(|(value, source)| synonym(key.name, Some(value), *source));
        described.with_synonyms(synonyms.collect())
    });
    // What Kafka does not know may be a password, so its value is not shown.
    let source = if name.is_empty() { SOURCE_ALL_BROKERS } else { ResourceKind::Broker.source() };
    let custom = if name.is_empty() { all.keys() } else { own.keys() };
    let custom = custom.filter(|key| ResourceKind::Broker.find(key).is_none() && asked.wants(key));
    let custom =
        custom.map(|key| asked.result(key, None, source, Kind::Unknown).with_is_sensitive(true));
    let fixed = if name.is_empty() { Vec::new() } else { fixed(state, asked) };
    known.chain(custom).chain(fixed).collect()
}

/// What the cluster was started with.
fn fixed(state: &State, asked: &Asked<'_>) -> Vec<DescribeConfigsResourceResult> {
    let config = &state.config;
    let number = Kind::Int(i32::MIN);
    let groups = &config.groups;
    let settings = [
        ("auto.create.topics.enable", config.auto_create_topics.to_string(), Kind::Boolean),
        ("default.replication.factor", config.replication_factor().to_string(), number),
        ("fetch.max.bytes", config.limits.fetch_bytes.to_string(), number),
        (
            "group.initial.rebalance.delay.ms",
            groups.initial_rebalance_delay.as_millis().to_string(),
            number,
        ),
        (
            "group.max.session.timeout.ms",
            groups.max_session_timeout.as_millis().to_string(),
            number,
        ),
        (
            "group.min.session.timeout.ms",
            groups.min_session_timeout.as_millis().to_string(),
            number,
        ),
        ("num.partitions", config.default_partitions.to_string(), number),
        ("offset.metadata.max.bytes", groups.offset_metadata_max_bytes.to_string(), number),
        ("socket.request.max.bytes", config.limits.request_bytes.to_string(), number),
    ];
    let wanted = settings.iter().filter(|(name, ..)| asked.wants(name));
    let described = wanted.map(|(name, value, kind)| {
        asked.result(name, Some(value), SOURCE_BROKER, *kind).with_read_only(true)
    });
    described.collect()
}
