//! AlterConfigs 0 to 2: replaces all configurations of a resource by those given.
//!
//! Kafka 4 still serves it, though its own tools moved on to IncrementalAlterConfigs. Omitted:
//! loggers, which Kafka does not take here either.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::alter_configs_request::AlterConfigsResource;
use millstream_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use millstream_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::{check_resource, replace as replace_all};
use super::{Api, Call, Served, sentence, text};
use crate::core::resource::ResourceKind;
use crate::core::state::{Refused, State};

impl Api for AlterConfigsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<AlterConfigsResponse> {
        let responses = self.resources.iter().map(|resource| {
            let answer = answer(resource);
            match replace(state, call, resource, self.validate_only) {
                Ok(()) => answer.with_error_message(None),
                Err(refused) => answer
                    .with_error_code(refused.code.code())
                    .with_error_message(Some(text(refused.message))),
            }
        });
        Served::Now(AlterConfigsResponse::default().with_responses(responses.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> AlterConfigsResponse {
        let responses = self.resources.iter().map(|resource| {
            let answer = answer(resource).with_error_code(code.code());
            answer.with_error_message(Some(sentence(code)))
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    }
}

fn answer(resource: &AlterConfigsResource) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn replace(
    state: &mut State,
    call: &Call,
    resource: &AlterConfigsResource,
    dry: bool,
) -> Result<(), Refused> {
    let name = resource.resource_name.as_str();
    let kind = check_resource(state, call, resource.resource_type, name)?;
    if kind == ResourceKind::Logger {
        let why = format!("Unexpected resource type BROKER_LOGGER for resource {name}");
        return Err(Refused::new(ErrorCode::InvalidRequest, why));
    }
    let mut set = BTreeMap::new();
    for config in &resource.configs {
        kind.check(&config.name, config.value.as_deref())?;
        let value = config.value.as_deref().unwrap_or_default();
        set.insert(config.name.to_string(), value.to_owned());
    }
    if !dry {
        replace_all(state, kind, name, set);
    }
    Ok(())
}
