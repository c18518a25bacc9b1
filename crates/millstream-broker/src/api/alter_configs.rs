//! AlterConfigs 0 to 2: replaces all configurations of a topic by those given.
//!
//! Kafka 4 still serves it, though its own tools moved on to IncrementalAlterConfigs. Omitted: other
//! resources than topics.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::alter_configs_request::AlterConfigsResource;
use millstream_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use millstream_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::topic_of;
use super::{Api, Call, Served, text};
use crate::core::configs::{TopicConfigs, check};
use crate::core::state::{Refused, State};

impl Api for AlterConfigsRequest {
    fn serve(self, state: &mut State, _: &Call) -> Served<AlterConfigsResponse> {
        let responses = self.resources.iter().map(|resource| {
            let answer = answer(resource);
            match replace(state, resource, self.validate_only) {
                Ok(()) => answer,
                Err(refused) => answer
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(AlterConfigsResponse::default().with_responses(responses.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterConfigsResponse {
        let resources = self.resources.iter();
        let responses = resources.map(|resource| answer(resource).with_error_code(code.code()));
        AlterConfigsResponse::default().with_responses(responses.collect())
    }
}

fn answer(resource: &AlterConfigsResource) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn replace(state: &mut State, resource: &AlterConfigsResource, dry: bool) -> Result<(), Refused> {
    let topic = topic_of(state, resource.resource_type, &resource.resource_name)?;
    let mut set = BTreeMap::new();
    for config in &resource.configs {
        check(&config.name, config.value.as_deref())?;
        let value = config.value.as_deref().unwrap_or_default();
        set.insert(config.name.to_string(), value.to_owned());
    }
    if !dry {
        topic.configs = TopicConfigs::new(set);
    }
    Ok(())
}
