//! Describing classic groups, at their coordinators.

use millstream_protocol::messages as m;
use millstream_types::GroupId;

use super::super::super::command::AdminCall;
use super::super::super::operation::Results;
use super::by_coordinator::{All, Described, describe};
use super::{ClassicGroup, WITH_OPERATIONS_MIN, classic_request, read_classic};
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Describes classic groups.
pub fn describe_classic_groups(
    groups: impl IntoIterator<Item = GroupId>,
    authorized_operations: bool,
) -> AdminCall<Results<GroupId, ClassicGroup>> {
    describe(groups, authorized_operations)
}

impl Described for ClassicGroup {
    const WITH_OPERATIONS_MIN: Option<i16> = Some(WITH_OPERATIONS_MIN);

    fn request(groups: Vec<m::GroupId>, authorized_operations: bool) -> RequestBody {
        classic_request(groups, authorized_operations)
    }

    fn read(response: Response) -> Result<All<Self>, WrongResponse> {
        let (version, from) = (response.version, response.from);
        let answer = m::DescribeGroupsResponse::try_from(response.body)?;
        let said = answer.groups.iter().map(|group| {
            let id = GroupId::from(group.group_id.0.as_str());
            (id, read_classic(group, version, from))
        });
        Ok(said.collect())
    }
}
