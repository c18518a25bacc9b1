//! IncrementalAlterConfigs 0 to 1: sets, resets, extends and shortens configurations of topics
//! (KIP-339).
//!
//! Omitted: other resources than topics (`INVALID_REQUEST`): a broker's settings are fixed when it
//! starts.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use millstream_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use millstream_protocol::messages::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::describe_configs::TOPIC;
use super::{Api, Call, Served, text};
use crate::core::configs::{Kind, TopicConfigs, check, find};
use crate::core::state::{Refused, State};

impl Api for IncrementalAlterConfigsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<IncrementalAlterConfigsResponse> {
        let responses = self.resources.iter().map(|resource| {
            let answer = answer(resource);
            match alter(state, resource, self.validate_only) {
                Ok(()) => answer,
                Err(refused) => answer
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(IncrementalAlterConfigsResponse::default().with_responses(responses.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> IncrementalAlterConfigsResponse {
        let resources = self.resources.iter();
        let responses = resources.map(|resource| answer(resource).with_error_code(code.code()));
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }
}

fn answer(resource: &AlterConfigsResource) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn alter(state: &mut State, resource: &AlterConfigsResource, dry: bool) -> Result<(), Refused> {
    let topic = topic_of(state, resource.resource_type, &resource.resource_name)?;
    let mut set = topic.configs.set().clone();
    for config in &resource.configs {
        apply(&mut set, config)?;
    }
    for (name, value) in &set {
        check(name, Some(value))?;
    }
    if !dry {
        topic.configs = TopicConfigs::new(set);
    }
    Ok(())
}

/// The topic whose configurations are to change.
pub(super) fn topic_of<'a>(
    state: &'a mut State,
    resource_type: i8,
    name: &str,
) -> Result<&'a mut crate::core::topic::Topic, Refused> {
    if resource_type != TOPIC {
        return Err(Refused::new(
            ErrorCode::InvalidRequest,
            format!("configurations of resource type {resource_type} cannot be changed here"),
        ));
    }
    let code = ErrorCode::UnknownTopicOrPartition;
    let topic = state.topics.topic_mut(name);
    topic.ok_or_else(|| Refused::new(code, format!("The topic '{name}' does not exist.")))
}

fn apply(set: &mut BTreeMap<String, String>, config: &AlterableConfig) -> Result<(), Refused> {
    let name = config.name.to_string();
    // To reset what does not exist is no error.
    if config.config_operation == 1 {
        set.remove(&name);
        return Ok(());
    }
    if config.value.is_none() {
        let why = format!("Null value not supported for : {name}");
        return Err(Refused::new(ErrorCode::InvalidRequest, why));
    }
    let Some(known) = find(&name) else {
        return check(&name, config.value.as_deref());
    };
    let value = config.value.as_deref().unwrap_or_default();
    match config.config_operation {
        0 => {
            check(&name, config.value.as_deref())?;
            set.insert(name, value.to_owned());
        }
        operation @ (2 | 3) if matches!(known.kind, Kind::List(_)) => {
            let current = set.get(&name).map_or(known.default, String::as_str);
            let mut parts: Vec<&str> = split(current).collect();
            for part in split(value) {
                parts.retain(|known| *known != part);
                if operation == 2 {
                    parts.push(part);
                }
            }
            let joined = parts.join(",");
            set.insert(name, joined);
        }
        operation @ (2 | 3) => {
            let verb = if operation == 2 { "APPEND" } else { "SUBTRACT" };
            let why = format!("Can't {verb} to key {name} because its type is not LIST.");
            return Err(Refused::new(ErrorCode::InvalidConfig, why));
        }
        operation => {
            let why = format!("Unknown operation type {operation}.");
            return Err(Refused::new(ErrorCode::InvalidRequest, why));
        }
    }
    Ok(())
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}
