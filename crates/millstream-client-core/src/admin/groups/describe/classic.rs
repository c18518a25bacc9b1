//! Describing classic groups, at their coordinators.

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_types::GroupId;

use super::super::super::command::AdminCall;
use super::super::super::operation::{Lot, Operation, Placement, Results, Said};
use super::super::super::wire::group_coordinator;
use super::super::about_group;
use super::{ClassicGroup, WITH_OPERATIONS_MIN, classic_request, read_classic};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Describes classic groups.
pub fn describe_classic_groups(
    groups: impl IntoIterator<Item = GroupId>,
    authorized_operations: bool,
) -> AdminCall<Results<GroupId, ClassicGroup>> {
    let groups = groups.into_iter().map(|group| (group, ()));
    AdminCall::new(Describe { authorized_operations }, groups)
}

#[derive(Debug)]
struct Describe {
    authorized_operations: bool,
}

impl Operation for Describe {
    type Key = GroupId;
    type Input = ();
    type Output = ClassicGroup;
    type Done = Results<GroupId, ClassicGroup>;

    fn about(&self, key: &GroupId) -> String {
        about_group(key)
    }

    fn place(&self, key: &GroupId, (): &(), _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(key)
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (self.authorized_operations.then_some(WITH_OPERATIONS_MIN), None)
    }

    fn request(&self, items: &[(&GroupId, &())], _timeout: Duration) -> RequestBody {
        classic_request(items.iter().map(|(group, ())| *group), self.authorized_operations)
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&GroupId, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let (version, from) = (response.version, response.from);
        let answer = m::DescribeGroupsResponse::try_from(response.body)?;
        let said = answer.groups.iter().map(|group| {
            let described = read_classic(group, version, from);
            (GroupId::from(group.group_id.0.as_str()), described.into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<GroupId, ClassicGroup>) -> Self::Done {
        results
    }
}
