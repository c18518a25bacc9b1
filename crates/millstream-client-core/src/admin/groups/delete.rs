//! Deleting groups that have no members, with their offsets, at their coordinators.

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_types::GroupId;

use super::super::command::AdminCall;
use super::super::operation::{Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf};
use super::super::wire::{group_coordinator, group_id};
use super::about_group;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Deletes groups of whatever type, with their offsets. A group that has members is refused with
/// `NON_EMPTY_GROUP`.
pub fn delete_groups(groups: impl IntoIterator<Item = GroupId>) -> AdminCall<Results<GroupId, ()>> {
    AdminCall::new(Delete, groups.into_iter().map(|group| (group, ())))
}

#[derive(Debug)]
struct Delete;

impl Operation for Delete {
    type Key = GroupId;
    type Input = ();
    type Output = ();
    type Done = Results<GroupId, ()>;

    fn about(&self, key: &GroupId) -> String {
        about_group(key)
    }

    fn place(&self, key: &GroupId, (): &(), _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(key)
    }

    fn request(&self, items: &[(&GroupId, &())], _timeout: Duration) -> RequestBody {
        let groups = items.iter().map(|(group, ())| group_id(group));
        m::DeleteGroupsRequest::default().with_groups_names(groups.collect()).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&GroupId, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DeleteGroupsResponse::try_from(response.body)?;
        let said = answer.results.iter().map(|result| {
            let group = GroupId::from(result.group_id.0.as_str());
            let check = Refusal::check(result.error_code, result.error_message.as_deref());
            (group, check.into())
        });
        Ok(said.collect())
    }

    /// An earlier try, whose answer was lost, deleted it.
    fn when_repeated(&self, _key: &GroupId, (): &(), code: ErrorCode) -> Option<VerdictOf<Self>> {
        (code == ErrorCode::GroupIdNotFound).then_some(Verdict::Done(()))
    }

    fn merge(self, results: Results<GroupId, ()>) -> Self::Done {
        results
    }
}
