//! FindCoordinator 0 to 6: which node coordinates a group, or from version 1 a transactional id;
//! several keys at once from version 4.
//!
//! A key's home node follows from Java's hash of it; when that node is dead the next one alive
//! stands in, and tests move it. Omitted: share coordinators (`INVALID_REQUEST`, which clients take for final).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::find_coordinator_response::Coordinator;
use millstream_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Api, Call, Served, text};
use crate::core::state::State;

/// The key type of groups.
const GROUP: i8 = 0;
/// The key type of transactional ids.
const TRANSACTION: i8 = 1;

impl Api for FindCoordinatorRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<FindCoordinatorResponse> {
        if call.version >= 4 {
            let keys = self.coordinator_keys.iter();
            let found = keys.map(|key| find(state, self.key_type, key)).collect();
            return Served::Now(FindCoordinatorResponse::default().with_coordinators(found));
        }
        let found = find(state, self.key_type, &self.key);
        let mut response = FindCoordinatorResponse::default()
            .with_error_code(found.error_code)
            .with_node_id(found.node_id)
            .with_host(found.host)
            .with_port(found.port);
        if call.version >= 1 {
            response.error_message = found.error_message;
        }
        Served::Now(response)
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> FindCoordinatorResponse {
        if version < 4 {
            return FindCoordinatorResponse::default()
                .with_error_code(code.code())
                .with_node_id(m::BrokerId(-1))
                .with_port(-1);
        }
        let keys = self.coordinator_keys.iter();
        let failed = keys.map(|key| failed(key, code, None)).collect();
        FindCoordinatorResponse::default().with_coordinators(failed)
    }
}

fn find(state: &State, key_type: i8, key: &m::StrBytes) -> Coordinator {
    let coordinator = match key_type {
        GROUP => state.coordinator_of(key),
        TRANSACTION => state.transactions.placement.coordinator(key),
        _ => {
            let why = format!("coordinators of key type {key_type} are not implemented");
            return failed(key, ErrorCode::InvalidRequest, Some(why));
        }
    };
    let node = coordinator.and_then(|id| state.nodes.get(id));
    match node {
        Some(node) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(m::BrokerId(node.id.0))
            .with_host(text(&node.host))
            .with_port(i32::from(node.port)),
        None => failed(key, ErrorCode::CoordinatorNotAvailable, None),
    }
}

fn failed(key: &m::StrBytes, code: ErrorCode, why: Option<String>) -> Coordinator {
    let message = why.unwrap_or_else(|| code.message().to_owned());
    Coordinator::default()
        .with_key(key.clone())
        .with_node_id(m::BrokerId(-1))
        .with_port(-1)
        .with_error_code(code.code())
        .with_error_message(Some(text(message)))
}
