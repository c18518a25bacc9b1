//! ListGroups 0 to 5: the groups that this node coordinates, filtered by state and type.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::list_groups_response::ListedGroup;
use millstream_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use super::{Api, Call, Served, text};
use crate::core::acl::{operation, resource};
use crate::core::state::State;

/// The only type of group here.
const TYPE: &str = "classic";

impl Api for ListGroupsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<ListGroupsResponse> {
        let admits = |filter: &[m::StrBytes], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let groups = state.groups.values().filter(|group| {
            state.coordinator_of(group.id.as_str()) == Some(call.node)
                && may_see(state, call, group.id.as_str())
                && admits(&self.states_filter, group.state.name())
                && admits(&self.types_filter, TYPE)
        });
        let listed = groups.map(|group| {
            let listed = ListedGroup::default()
                .with_group_id(m::GroupId(text(group.id.as_str())))
                .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()));
            match call.version {
                ..4 => listed,
                4 => listed.with_group_state(text(group.state.name())),
                _ => listed.with_group_state(text(group.state.name())).with_group_type(text(TYPE)),
            }
        });
        Served::Now(ListGroupsResponse::default().with_groups(listed.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse::default().with_error_code(code.code())
    }
}

/// Who may describe the cluster sees all groups.
fn may_see(state: &State, call: &Call, group: &str) -> bool {
    let may = |kind, name| state.permits(&call.client_id, operation::DESCRIBE, kind, name);
    may(resource::CLUSTER, resource::CLUSTER_NAME) || may(resource::GROUP, group)
}
