//! DescribeGroups 0 to 6: classic groups with their members and assignments.
//!
//! An unknown group is `Dead`, and from version 6 on `GROUP_ID_NOT_FOUND` (KIP-1043).

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_groups_response::{
    DescribedGroup, DescribedGroupMember,
};
use millstream_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::{Api, Call, Served, text};
use crate::core::acl::resource;
use crate::core::group::{Group, GroupState};
use crate::core::state::State;

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS (`AclOperation`).
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

impl Api for DescribeGroupsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<DescribeGroupsResponse> {
        let groups = self.groups.iter().map(|id| {
            if let Err(code) = state.check_coordinator(call.node, id) {
                return failed(id, code);
            }
            let Some(group) = state.groups.get(id.as_str()) else {
                return dead(id, call.version);
            };
            let mut described = describe(id, group);
            if self.include_authorized_operations {
                described.authorized_operations =
                    state.permitted(&call.client_id, GROUP_OPERATIONS, resource::GROUP, id);
            }
            described
        });
        Served::Now(DescribeGroupsResponse::default().with_groups(groups.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeGroupsResponse {
        let groups = self.groups.iter().map(|id| failed(id, code));
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }
}

fn failed(id: &m::GroupId, code: ErrorCode) -> DescribedGroup {
    DescribedGroup::default().with_group_id(id.clone()).with_error_code(code.code())
}

fn dead(id: &m::GroupId, version: i16) -> DescribedGroup {
    let group = DescribedGroup::default().with_group_id(id.clone()).with_group_state(text("Dead"));
    if version < 6 {
        return group;
    }
    group
        .with_error_code(ErrorCode::GroupIdNotFound.code())
        .with_error_message(Some(text(format!("Group {} not found.", id.as_str()))))
}

fn describe(id: &m::GroupId, group: &Group) -> DescribedGroup {
    let is_stable = group.state == GroupState::Stable;
    let protocol = group.protocol.as_deref().filter(|_| is_stable).unwrap_or_default();
    let members = group.members.values().map(|member| {
        let described = DescribedGroupMember::default()
            .with_member_id(text(member.id.as_str()))
            .with_group_instance_id(member.instance.as_ref().map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text("/127.0.0.1"));
        if !is_stable {
            return described;
        }
        described
            .with_member_metadata(member.metadata(protocol))
            .with_member_assignment(member.assignment.clone())
    });
    DescribedGroup::default()
        .with_group_id(id.clone())
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol))
        .with_members(members.collect())
}
