//! ListConfigResources 0 to 1: the resources that have configurations (KIP-1142): all topics, nodes
//! and their loggers, and the groups and client metrics of which some were set.
//!
//! Version 0 lists client metrics alone (KIP-1000).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::list_config_resources_response::ConfigResource;
use millstream_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::{Api, Call, Served, text};
use crate::core::resource::ResourceKind;
use crate::core::state::State;

impl Api for ListConfigResourcesRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ListConfigResourcesResponse> {
        // Version 0 asks for client metrics alone.
        let old = [ResourceKind::ClientMetrics.number()];
        let asked = if call.version == 0 { &old[..] } else { &self.resource_types };
        let unknown = asked.iter().any(|kind| ResourceKind::of(*kind).is_none());
        if unknown {
            return Served::Now(self.refuse(call.version, ErrorCode::UnsupportedVersion));
        }
        let wants = |kind: ResourceKind| asked.is_empty() || asked.contains(&kind.number());
        let resource = |kind: ResourceKind, name: &str| {
            let resource = ConfigResource::default().with_resource_name(text(name));
            if call.version == 0 { resource } else { resource.with_resource_type(kind.number()) }
        };
        let mut found = Vec::new();
        for kind in [ResourceKind::Group, ResourceKind::ClientMetrics] {
            let names = state.configs.keys().filter(|(of, _)| *of == kind && wants(kind));
            found.extend(names.map(|(kind, name)| resource(*kind, name)));
        }
        for kind in [ResourceKind::Logger, ResourceKind::Broker] {
            let nodes = state.nodes.alive().filter(|_| wants(kind));
            found.extend(nodes.map(|node| resource(kind, &node.id.to_string())));
        }
        let topics = state.topics.iter().filter(|_| wants(ResourceKind::Topic));
        found.extend(topics.map(|topic| resource(ResourceKind::Topic, topic.name.as_str())));
        Served::Now(ListConfigResourcesResponse::default().with_config_resources(found))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListConfigResourcesResponse {
        ListConfigResourcesResponse::default().with_error_code(code.code())
    }
}
