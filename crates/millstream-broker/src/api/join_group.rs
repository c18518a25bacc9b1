//! JoinGroup 0 to 9: a member joins its group, or joins again; see [`crate::core::group`].
//!
//! Members need an id from version 4 on (KIP-394); static members (KIP-345) keep their place.
//! Omitted: authorisation.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::{Api, Call, Served, instance, text};
use crate::core::connection::Parked;
use crate::core::group::{JoinRequest, Protocol};
use crate::core::state::State;

impl Api for JoinGroupRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<JoinGroupResponse> {
        if let Err(code) = check(state, call, &self) {
            return Served::Now(self.refuse(call.version, code));
        }
        let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let session_timeout = millis(self.session_timeout_ms);
        let protocols = self.protocols.iter().map(|protocol| Protocol {
            name: protocol.name.to_string(),
            metadata: protocol.metadata.clone(),
        });
        let request = JoinRequest {
            connection: call.connection,
            client_id: call.client_id.clone(),
            member: self.member_id.as_str().into(),
            instance: instance(self.group_instance_id.as_ref()),
            session_timeout,
            rebalance_timeout: if call.version >= 1 {
                millis(self.rebalance_timeout_ms)
            } else {
                session_timeout
            },
            protocol_type: self.protocol_type.to_string(),
            protocols: protocols.collect(),
            requires_known_id: call.version >= 4,
            can_skip_assignment: call.version >= 9,
        };
        let is_new = self.member_id.is_empty();
        let joined =
            state.with_group(&self.group_id, call.now, is_new, |group, cx| group.join(cx, request));
        match joined {
            None => Served::Now(self.refuse(call.version, ErrorCode::UnknownMemberId)),
            Some(None) => Served::Parked(Parked::Group, None),
            Some(Some(answer)) => Served::Now(for_version(call.version, answer)),
        }
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> JoinGroupResponse {
        let answer = JoinGroupResponse::default()
            .with_error_code(code.code())
            .with_generation_id(-1)
            .with_protocol_name(None)
            .with_member_id(self.member_id.clone());
        for_version(version, answer)
    }
}

fn check(state: &State, call: &Call, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    state.check_group(call.node, &request.group_id)?;
    let timeout = u64::try_from(request.session_timeout_ms).map(Duration::from_millis);
    let config = &state.config.groups;
    match timeout {
        Ok(timeout) if timeout < config.min_session_timeout => {}
        Ok(timeout) if timeout > config.max_session_timeout => {}
        Ok(_) => return Ok(()),
        Err(_) => {}
    }
    Err(ErrorCode::InvalidSessionTimeout)
}

/// Makes an answer fit a version: older ones know no null protocol.
pub(crate) fn for_version(version: i16, mut answer: JoinGroupResponse) -> JoinGroupResponse {
    if version < 7 {
        answer.protocol_name.get_or_insert_with(|| text(""));
    }
    if version < 9 {
        answer.skip_assignment = false;
    }
    answer
}
