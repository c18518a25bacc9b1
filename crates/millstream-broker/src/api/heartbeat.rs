//! Heartbeat 0 to 4: a member of a classic group lives, and learns of a rebalance.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Api, Call, Served, instance};
use crate::core::state::State;

impl Api for HeartbeatRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<HeartbeatResponse> {
        let result = state.check_group(call.node, &self.group_id).and_then(|()| {
            let member = self.member_id.as_str().into();
            let instance = instance(self.group_instance_id.as_ref());
            let heard = state.with_group(&self.group_id, call.now, false, |group, cx| {
                group.heartbeat(cx, &member, instance.as_ref(), self.generation_id)
            });
            heard.unwrap_or(Err(ErrorCode::UnknownMemberId))
        });
        let code = result.err().unwrap_or(ErrorCode::None);
        Served::Now(HeartbeatResponse::default().with_error_code(code.code()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse::default().with_error_code(code.code())
    }
}
