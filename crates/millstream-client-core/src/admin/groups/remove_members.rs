//! Taking members out of a classic group, at its coordinator (KIP-345, KIP-571).

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::leave_group_request::MemberIdentity;
use millstream_types::{GroupId, GroupInstanceId, MemberId};

use super::super::command::AdminCall;
use super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf,
};
use super::super::wire::{group_coordinator, group_id, text};
use super::about_group;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// A member to take out of its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberToRemove {
    /// The member of this id.
    Dynamic(MemberId),
    /// The static member of this name.
    Static(GroupInstanceId),
}

/// Takes members out of a group.
pub fn remove_group_members(
    group: GroupId,
    members: impl IntoIterator<Item = MemberToRemove>,
    reason: Option<String>,
) -> AdminCall<Results<MemberToRemove, ()>> {
    let members = members.into_iter().map(|member| (Some(member), ()));
    AdminCall::new(Remove { group, reason }, members)
}

/// Takes all members out of a group.
pub fn remove_all_group_members(
    group: GroupId,
    reason: Option<String>,
) -> AdminCall<Results<MemberToRemove, ()>> {
    AdminCall::new(Remove { group, reason }, [(None, ())])
}

#[derive(Debug)]
struct Remove {
    group: GroupId,
    reason: Option<String>,
}

impl Remove {
    fn identity(&self, member: &MemberToRemove) -> MemberIdentity {
        let identity = MemberIdentity::default().with_reason(self.reason.as_deref().map(text));
        match member {
            MemberToRemove::Dynamic(id) => identity.with_member_id(text(id.as_str())),
            MemberToRemove::Static(name) => {
                identity.with_group_instance_id(Some(text(name.as_str())))
            }
        }
    }

    /// All members become items of their own: static ones by name, for their ids change.
    fn all_of(&self, answer: &m::DescribeGroupsResponse) -> Vec<Said<Self>> {
        let said = answer.groups.iter().take(1).map(|group| {
            let members = group.members.iter().map(|member| {
                let name = member.group_instance_id.as_ref();
                let member = match name {
                    Some(name) => MemberToRemove::Static(name.as_str().into()),
                    None => MemberToRemove::Dynamic(member.member_id.as_str().into()),
                };
                (Some(member), ())
            });
            let verdict = match Refusal::check(group.error_code, group.error_message.as_deref()) {
                Ok(()) => Verdict::Become(members.collect()),
                Err(refusal) => Verdict::Refused(refusal),
            };
            (None, verdict)
        });
        said.collect()
    }
}

impl Operation for Remove {
    /// A member; the item without one asks who the members are, and becomes them.
    type Key = Option<MemberToRemove>;
    type Input = ();
    type Output = ();
    type Done = Results<MemberToRemove, ()>;

    fn about(&self, key: &Self::Key) -> String {
        let group = about_group(&self.group);
        match key {
            None => format!("the members of {group}"),
            Some(MemberToRemove::Dynamic(id)) => format!("member {id} of {group}"),
            Some(MemberToRemove::Static(name)) => format!("static member {name} of {group}"),
        }
    }

    fn place(&self, _key: &Self::Key, (): &(), _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(&self.group)
    }

    fn lot(&self, key: &Self::Key, (): &()) -> Lot {
        Lot::Shared(u8::from(key.is_some()))
    }

    /// Older ones remove one member, and only by id.
    fn versions(&self, lot: Lot) -> (Option<i16>, Option<i16>) {
        if lot == Lot::Shared(0) { (None, None) } else { (Some(3), None) }
    }

    fn request(&self, items: &[(&Self::Key, &())], _timeout: Duration) -> RequestBody {
        if matches!(items, [(None, ())]) {
            let groups = vec![group_id(&self.group)];
            return m::DescribeGroupsRequest::default().with_groups(groups).into();
        }
        let members = items.iter().filter_map(|(member, ())| member.as_ref());
        m::LeaveGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_members(members.map(|member| self.identity(member)).collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&Self::Key, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        if let ResponseBody::DescribeGroups(answer) = response.body {
            return Ok(self.all_of(&answer));
        }
        let answer = m::LeaveGroupResponse::try_from(response.body)?;
        if let Err(refusal) = Refusal::check(answer.error_code, None) {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let said = answer.members.iter().map(|member| {
            let name = member.group_instance_id.as_ref();
            let key = match name {
                Some(name) => MemberToRemove::Static(name.as_str().into()),
                None => MemberToRemove::Dynamic(member.member_id.as_str().into()),
            };
            (Some(key), Refusal::check(member.error_code, None).into())
        });
        Ok(said.collect())
    }

    /// An earlier try, whose answer was lost, took it out.
    fn when_repeated(&self, _: &Self::Key, (): &(), code: ErrorCode) -> Option<VerdictOf<Self>> {
        (code == ErrorCode::UnknownMemberId).then_some(Verdict::Done(()))
    }

    fn merge(self, results: Results<Self::Key, ()>) -> Self::Done {
        // The question who the members are fails for the group as a whole: under no member's name,
        // so under an empty one.
        let nobody = || MemberToRemove::Dynamic(MemberId::from(""));
        results.into_iter().map(|(key, result)| (key.unwrap_or_else(nobody), result)).collect()
    }
}
