//! ListConfigResources 0 to 1: the topics and nodes that have configurations (KIP-1142).
//!
//! Version 0 lists client metrics alone, of which there are none.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::list_config_resources_response::ConfigResource;
use millstream_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::describe_configs::{BROKER, TOPIC};
use super::{Api, Call, Served, text};
use crate::core::state::State;

impl Api for ListConfigResourcesRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ListConfigResourcesResponse> {
        let mut found = Vec::new();
        if call.version >= 1 {
            let wants =
                |kind| self.resource_types.is_empty() || self.resource_types.contains(&kind);
            let resource = |kind, name: &str| {
                ConfigResource::default().with_resource_type(kind).with_resource_name(text(name))
            };
            if wants(TOPIC) {
                let topics = state.topics.iter();
                found.extend(topics.map(|topic| resource(TOPIC, topic.name.as_str())));
            }
            if wants(BROKER) {
                found.extend(state.nodes.ids().map(|id| resource(BROKER, &id.to_string())));
            }
        }
        Served::Now(ListConfigResourcesResponse::default().with_config_resources(found))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListConfigResourcesResponse {
        ListConfigResourcesResponse::default().with_error_code(code.code())
    }
}
