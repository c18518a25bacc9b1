//! DescribeCluster 0 to 2: the nodes and the controller (KIP-700).
//!
//! Omitted: controllers as endpoints (`MISMATCHED_ENDPOINT_TYPE`); dead nodes are listed as fenced
//! where asked for.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use millstream_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::metadata::CLUSTER_OPERATIONS;
use super::{Api, Call, Served, text};
use crate::core::acl::resource;
use crate::core::state::State;

/// The endpoint type of brokers.
const BROKERS: i8 = 1;

impl Api for DescribeClusterRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeClusterResponse> {
        if call.version >= 1 && self.endpoint_type != BROKERS {
            return Served::Now(self.refuse(call.version, ErrorCode::MismatchedEndpointType));
        }
        let nodes = state.nodes.ids().filter_map(|id| state.nodes.get(id));
        let nodes =
            nodes.filter(|node| node.registered && (node.alive || self.include_fenced_brokers));
        let brokers = nodes.map(|node| {
            let broker = DescribeClusterBroker::default()
                .with_broker_id(m::BrokerId(node.id.0))
                .with_host(text(&node.host))
                .with_port(i32::from(node.port));
            if call.version >= 2 { broker.with_is_fenced(!node.alive) } else { broker }
        });
        let mut response = DescribeClusterResponse::default()
            .with_cluster_id(text(state.cluster_id.as_str()))
            .with_controller_id(m::BrokerId(state.nodes.controller().0))
            .with_brokers(brokers.collect());
        if self.include_cluster_authorized_operations {
            response.cluster_authorized_operations = state.permitted(
                &call.client_id,
                CLUSTER_OPERATIONS,
                resource::CLUSTER,
                resource::CLUSTER_NAME,
            );
        }
        Served::Now(response)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(code.message())))
    }
}
