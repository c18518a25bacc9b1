//! LeaveGroup 0 to 5: members leave at once; several in one request from version 3 on.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::leave_group_request::MemberIdentity;
use millstream_protocol::messages::leave_group_response::MemberResponse;
use millstream_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Api, Call, Served, instance};
use crate::core::group::LeaveRequest;
use crate::core::state::State;

/// The first version that names several members.
const MANY: i16 = 3;

impl Api for LeaveGroupRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<LeaveGroupResponse> {
        if let Err(code) = state.check_group(call.node, &self.group_id) {
            return Served::Now(self.refuse(call.version, code));
        }
        let mut leave = |request: &LeaveRequest| {
            let left = state
                .with_group(&self.group_id, call.now, false, |group, cx| group.leave(cx, request));
            left.unwrap_or(Err(ErrorCode::UnknownMemberId))
        };
        if call.version < MANY {
            let left =
                leave(&LeaveRequest { member: self.member_id.as_str().into(), instance: None });
            let code = left.err().unwrap_or(ErrorCode::None);
            return Served::Now(LeaveGroupResponse::default().with_error_code(code.code()));
        }
        let members = self.members.iter().map(|identity| {
            let left = leave(&LeaveRequest {
                member: identity.member_id.as_str().into(),
                instance: instance(identity.group_instance_id.as_ref()),
            });
            answer(identity, left.err().unwrap_or(ErrorCode::None))
        });
        Served::Now(LeaveGroupResponse::default().with_members(members.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse::default().with_error_code(code.code())
    }
}

/// The answer that says `code` of each member.
pub(super) fn refuse_members(
    request: &LeaveGroupRequest,
    version: i16,
    code: ErrorCode,
) -> Option<LeaveGroupResponse> {
    let members = request.members.iter().map(|identity| answer(identity, code));
    (version >= MANY).then(|| LeaveGroupResponse::default().with_members(members.collect()))
}

fn answer(identity: &MemberIdentity, code: ErrorCode) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(identity.member_id.clone())
        .with_group_instance_id(identity.group_instance_id.clone())
        .with_error_code(code.code())
}
