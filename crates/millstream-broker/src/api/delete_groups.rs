//! DeleteGroups 0 to the newest: removes groups that have no members, with their offsets.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::delete_groups_response::DeletableGroupResult;
use millstream_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Api, Call, Served};
use crate::core::group::GroupState;
use crate::core::state::State;

impl Api for DeleteGroupsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DeleteGroupsResponse> {
        let results = self.groups_names.iter().map(|id| {
            let deleted = delete(state, call, id);
            result(id, deleted.err().unwrap_or(ErrorCode::None))
        });
        Served::Now(DeleteGroupsResponse::default().with_results(results.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DeleteGroupsResponse {
        let results = self.groups_names.iter().map(|id| result(id, code));
        DeleteGroupsResponse::default().with_results(results.collect())
    }
}

fn result(id: &m::GroupId, code: ErrorCode) -> DeletableGroupResult {
    DeletableGroupResult::default().with_group_id(id.clone()).with_error_code(code.code())
}

fn delete(state: &mut State, call: &Call, id: &str) -> Result<(), ErrorCode> {
    state.check_coordinator(call.node, id)?;
    let group = state.groups.get(id).ok_or(ErrorCode::GroupIdNotFound)?;
    if group.state != GroupState::Empty {
        return Err(ErrorCode::NonEmptyGroup);
    }
    state.groups.remove(id);
    Ok(())
}
