//! SyncGroup 0 to 5: the leader brings the assignments, every member gets its own.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use millstream_types::MemberId;

use super::{Api, Call, Served, instance};
use crate::core::connection::Parked;
use crate::core::group::SyncRequest;
use crate::core::state::State;

/// The first version that must name the protocol.
const NAMES_PROTOCOL: i16 = 5;

impl Api for SyncGroupRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<SyncGroupResponse> {
        if let Err(code) = state.check_group(call.node, &self.group_id) {
            return Served::Now(self.refuse(call.version, code));
        }
        // KIP-559; `SyncGroupRequest.areMandatoryProtocolTypeAndNamePresent`.
        let named = self.protocol_type.is_some() && self.protocol_name.is_some();
        if call.version >= NAMES_PROTOCOL && !named {
            return Served::Now(self.refuse(call.version, ErrorCode::InconsistentGroupProtocol));
        }
        let assignments = self.assignments.iter();
        let request = SyncRequest {
            connection: call.connection,
            member: self.member_id.as_str().into(),
            instance: instance(self.group_instance_id.as_ref()),
            generation: self.generation_id,
            protocol_type: self.protocol_type.as_ref().map(ToString::to_string),
            protocol: self.protocol_name.as_ref().map(ToString::to_string),
            assignments: assignments
                .map(|given| (MemberId::from(given.member_id.as_str()), given.assignment.clone()))
                .collect(),
        };
        let synced =
            state.with_group(&self.group_id, call.now, false, |group, cx| group.sync(cx, request));
        match synced {
            None => Served::Now(self.refuse(call.version, ErrorCode::UnknownMemberId)),
            Some(None) => Served::Parked(Parked::Group, None),
            Some(Some(answer)) => Served::Now(answer),
        }
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> SyncGroupResponse {
        SyncGroupResponse::default().with_error_code(code.code())
    }
}
