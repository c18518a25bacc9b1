//! Describing share groups, at their coordinators.

use std::collections::BTreeSet;

use millstream_protocol::messages as m;
use millstream_protocol::messages::share_group_describe_response::{DescribedGroup, Member};
use millstream_types::{BrokerId, GroupId, MemberId, TopicName, TopicPartition};

use super::super::super::acls::AclOperations;
use super::super::super::command::AdminCall;
use super::super::super::operation::{Refusal, Results};
use super::super::super::wire::{optional, partition};
use super::super::GroupState;
use super::super::describe::by_coordinator::{All, Described, describe};
use crate::outbox::{RequestBody, Response, WrongResponse};

/// A share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroup {
    /// Its name.
    pub id: GroupId,
    /// Its state.
    pub state: GroupState,
    /// Its epoch, raised by each change of members or topics.
    pub epoch: i32,
    /// The epoch of the assignment that members are to take.
    pub target_epoch: i32,
    /// The assignor in use.
    pub assignor: String,
    /// Its members.
    pub members: Vec<ShareMember>,
    /// Its coordinator.
    pub coordinator: Option<BrokerId>,
    /// What the caller may do to it, if that was asked for.
    pub authorized_operations: Option<AclOperations>,
}

/// A member of a share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareMember {
    /// Its id.
    pub id: MemberId,
    /// Where it runs, if it says so.
    pub rack: Option<String>,
    /// The client's `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its epoch.
    pub epoch: i32,
    /// The topics it names.
    pub subscribed_topics: Vec<TopicName>,
    /// The partitions it shares in.
    pub assignment: BTreeSet<TopicPartition>,
}

/// Describes share groups.
pub fn describe_share_groups(
    groups: impl IntoIterator<Item = GroupId>,
    authorized_operations: bool,
) -> AdminCall<Results<GroupId, ShareGroup>> {
    describe(groups, authorized_operations)
}

impl Described for ShareGroup {
    fn request(groups: Vec<m::GroupId>, authorized_operations: bool) -> RequestBody {
        m::ShareGroupDescribeRequest::default()
            .with_group_ids(groups)
            .with_include_authorized_operations(authorized_operations)
            .into()
    }

    fn read(response: Response) -> Result<All<Self>, WrongResponse> {
        let from = response.from;
        let answer = m::ShareGroupDescribeResponse::try_from(response.body)?;
        let said = answer.groups.iter().map(|group| {
            let check = Refusal::check(group.error_code, group.error_message.as_deref());
            let id = GroupId::from(group.group_id.0.as_str());
            (id, check.map(|()| read(group, from)))
        });
        Ok(said.collect())
    }
}

fn read(group: &DescribedGroup, coordinator: Option<BrokerId>) -> ShareGroup {
    ShareGroup {
        id: GroupId::from(group.group_id.0.as_str()),
        state: GroupState::read(&group.group_state),
        epoch: group.group_epoch,
        target_epoch: group.assignment_epoch,
        assignor: group.assignor_name.to_string(),
        members: group.members.iter().map(read_member).collect(),
        coordinator,
        authorized_operations: AclOperations::read(group.authorized_operations),
    }
}

fn read_member(member: &Member) -> ShareMember {
    let topics = member.subscribed_topic_names.iter();
    let assigned = member.assignment.topic_partitions.iter().flat_map(|topic| {
        topic.partitions.iter().map(|number| partition(&topic.topic_name, *number))
    });
    ShareMember {
        id: MemberId::from(member.member_id.as_str()),
        rack: optional(member.rack_id.as_ref()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: member.member_epoch,
        subscribed_topics: topics.map(|topic| TopicName::from(topic.0.as_str())).collect(),
        assignment: assigned.collect(),
    }
}
