//! IncrementalAlterConfigs 0 to 1: sets, resets, extends and shortens configurations of topics,
//! nodes, loggers, groups and client metrics (KIP-339).
//!
//! Only those of topics act, see [`configs`](crate::core::configs) and
//! [`resource`](crate::core::resource). Settings and loggers of a node are changed by that node.

use std::collections::{BTreeMap, BTreeSet};

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use millstream_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use millstream_protocol::messages::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use millstream_types::BrokerId;

use super::{Api, Call, Served, sentence, text};
use crate::core::configs::{Kind, TopicConfigs};
use crate::core::resource::ResourceKind;
use crate::core::state::{Refused, State};

/// `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

impl Api for IncrementalAlterConfigsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<IncrementalAlterConfigsResponse> {
        let responses = self.resources.iter().map(|resource| {
            let answer = answer(resource);
            match alter(state, call, resource, self.validate_only) {
                Ok(()) => answer.with_error_message(None),
                Err(refused) => answer
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(IncrementalAlterConfigsResponse::default().with_responses(responses.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let responses = self.resources.iter().map(|resource| {
            let answer = answer(resource).with_error_code(code.code());
            answer.with_error_message(Some(sentence(code)))
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }
}

fn answer(resource: &AlterConfigsResource) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn alter(
    state: &mut State,
    call: &Call,
    resource: &AlterConfigsResource,
    dry: bool,
) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    if !resource.configs.iter().all(|config| seen.insert(config.name.as_str())) {
        let why = "Error due to duplicate config keys";
        return Err(Refused::new(ErrorCode::InvalidRequest, why));
    }
    let (kind, name) = (resource.resource_type, resource.resource_name.as_str());
    let kind = check_resource(state, call, kind, name)?;
    let mut set = current(state, kind, name);
    for config in &resource.configs {
        apply(kind, &mut set, config)?;
    }
    if kind == ResourceKind::Topic {
        for (name, value) in &set {
            kind.check(name, Some(value))?;
        }
    }
    if !dry {
        replace(state, kind, name, set);
    }
    Ok(())
}

/// The kind of a resource whose configurations a client wants to change here.
pub(super) fn check_resource(
    state: &State,
    call: &Call,
    kind: i8,
    name: &str,
) -> Result<ResourceKind, Refused> {
    let refuse = |code, why: String| Err(Refused::new(code, why));
    let Some(kind) = ResourceKind::of(kind) else {
        let why = format!("Unknown resource type {kind}");
        return refuse(ErrorCode::InvalidRequest, why);
    };
    match kind {
        ResourceKind::Topic if state.topics.get(name).is_none() => {
            let why = format!("The topic '{name}' does not exist.");
            refuse(ErrorCode::UnknownTopicOrPartition, why)
        }
        ResourceKind::Broker if name.is_empty() => Ok(kind),
        ResourceKind::Broker | ResourceKind::Logger => {
            check_node(kind, name, call.node)?;
            Ok(kind)
        }
        ResourceKind::Group if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Default group resources are not allowed.".to_owned())
        }
        ResourceKind::ClientMetrics if name.is_empty() => {
            refuse(ErrorCode::InvalidRequest, "Subscription name can't be empty".to_owned())
        }
        _ => Ok(kind),
    }
}

fn check_node(kind: ResourceKind, name: &str, node: BrokerId) -> Result<(), Refused> {
    let why = match name.parse::<i32>() {
        Ok(id) if id == node.0 => return Ok(()),
        Ok(id) if kind == ResourceKind::Logger => {
            format!("Unexpected node id. Expected {node}, but received {id}")
        }
        Ok(id) => format!("Unexpected broker id, expected {node}, but received {id}"),
        Err(_) => format!("Node id must be an integer, but it is: {name}"),
    };
    Err(Refused::new(ErrorCode::InvalidRequest, why))
}

/// What is set for a resource.
pub(super) fn current(state: &State, kind: ResourceKind, name: &str) -> BTreeMap<String, String> {
    if kind == ResourceKind::Topic {
        let topic = state.topics.get(name);
        return topic.map(|topic| topic.configs.set().clone()).unwrap_or_default();
    }
    state.configs.get(&(kind, name.to_owned())).cloned().unwrap_or_default()
}

/// Replaces all that is set for a resource.
pub(super) fn replace(
    state: &mut State,
    kind: ResourceKind,
    name: &str,
    set: BTreeMap<String, String>,
) {
    if kind == ResourceKind::Topic {
        if let Some(topic) = state.topics.topic_mut(name) {
            topic.configs = TopicConfigs::new(set);
        }
        return;
    }
    let key = (kind, name.to_owned());
    if set.is_empty() {
        state.configs.remove(&key);
    } else {
        state.configs.insert(key, set);
    }
}

fn apply(
    kind: ResourceKind,
    set: &mut BTreeMap<String, String>,
    config: &AlterableConfig,
) -> Result<(), Refused> {
    let name = config.name.to_string();
    // To reset what does not exist is no error.
    if config.config_operation == DELETE {
        kind.check_reset(&name)?;
        set.remove(&name);
        return Ok(());
    }
    if config.value.is_none() {
        let why = format!("Null value not supported for : {name}");
        return Err(Refused::new(ErrorCode::InvalidRequest, why));
    }
    let value = config.value.as_deref().unwrap_or_default();
    match (config.config_operation, kind.find(&name)) {
        (SET, _) => {
            kind.check(&name, Some(value))?;
            set.insert(name, value.to_owned());
        }
        (operation @ (APPEND | SUBTRACT), _) if kind == ResourceKind::Logger => {
            let verb = if operation == APPEND { "APPEND" } else { "SUBTRACT" };
            let why = format!("{verb} operation is not allowed for the BROKER_LOGGER resource");
            return Err(Refused::new(ErrorCode::InvalidRequest, why));
        }
        (APPEND | SUBTRACT, None) if kind != ResourceKind::Broker => {
            return kind.check(&name, Some(value));
        }
        (operation @ (APPEND | SUBTRACT), Some(known))
            if matches!(known.kind, Kind::List(_)) && kind != ResourceKind::ClientMetrics =>
        {
            let current = set.get(&name).map_or(known.default, String::as_str);
            let mut parts: Vec<&str> = split(current).collect();
            for part in split(value) {
                parts.retain(|known| *known != part);
                if operation == APPEND {
                    parts.push(part);
                }
            }
            let joined = parts.join(",");
            kind.check(&name, Some(&joined))?;
            set.insert(name, joined);
        }
        (operation @ (APPEND | SUBTRACT), _) => {
            let (verb, noun) = match operation {
                APPEND => ("APPEND", "append"),
                _ => ("SUBTRACT", "subtract"),
            };
            if kind == ResourceKind::Broker {
                let why = format!("Config value {noun} is not allowed for config key: {name}");
                return Err(Refused::new(ErrorCode::InvalidConfig, why));
            }
            let why = format!("Can't {verb} to key {name} because its type is not LIST.");
            return Err(Refused::new(ErrorCode::InvalidConfig, why));
        }
        (operation, _) => {
            let why = format!("Unknown operation type {operation}.");
            return Err(Refused::new(ErrorCode::InvalidRequest, why));
        }
    }
    Ok(())
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}
