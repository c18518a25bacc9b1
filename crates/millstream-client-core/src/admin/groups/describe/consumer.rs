//! Describing groups of consumers, at their coordinators: by ConsumerGroupDescribe (KIP-848), and by
//! DescribeGroups where the group, or the broker, knows only the classic protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member,
};
use millstream_types::{BrokerId, GroupId, GroupInstanceId, MemberId, TopicName, TopicPartition};

use super::super::super::acls::AclOperations;
use super::super::super::call::next;
use super::super::super::command::AdminCall;
use super::super::super::operation::{
    Lot, Operation, Placement, Refusal, Results, Said, Verdict, VerdictOf,
};
use super::super::super::wire::{group_coordinator, group_id, optional, partition};
use super::super::{GroupState, GroupType, about_group};
use super::{ClassicGroup, WITH_OPERATIONS_MIN, classic_request, read_classic};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, ResponseBody, WrongResponse};

/// A group of consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    /// Its name.
    pub id: GroupId,
    /// Whether the broker assigns ([`GroupType::Consumer`]) or a member ([`GroupType::Classic`]).
    pub group_type: GroupType,
    /// Its state.
    pub state: GroupState,
    /// The assignor in use.
    pub assignor: String,
    /// Its epoch, raised by each change of members or topics; not of classic groups.
    pub epoch: Option<i32>,
    /// The epoch of the assignment that members are to take; not of classic groups.
    pub target_epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// Its coordinator.
    pub coordinator: Option<BrokerId>,
    /// What the caller may do to it, if that was asked for.
    pub authorized_operations: Option<AclOperations>,
}

/// A member of a group of consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: MemberId,
    /// Its name, if it is static.
    pub instance_id: Option<GroupInstanceId>,
    /// Where it runs, if it says so.
    pub rack: Option<String>,
    /// The client's `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its epoch; not of classic groups.
    pub epoch: Option<i32>,
    /// The topics it names; not of classic groups.
    pub subscribed_topics: Vec<TopicName>,
    /// The regular expression it subscribes by, if it does.
    pub subscribed_regex: Option<String>,
    /// The partitions it has.
    pub assignment: BTreeSet<TopicPartition>,
    /// The partitions it is to have; not of classic groups.
    pub target_assignment: Option<BTreeSet<TopicPartition>>,
    /// Whether it speaks the new protocol, in a group that does; from brokers that tell it (4.0).
    pub is_upgraded: Option<bool>,
}

/// Describes groups of consumers, of both protocols.
pub fn describe_consumer_groups(
    groups: impl IntoIterator<Item = GroupId>,
    authorized_operations: bool,
) -> AdminCall<Results<GroupId, ConsumerGroup>> {
    let groups = groups.into_iter().map(|group| (group, Way::Consumer));
    AdminCall::new(Describe { authorized_operations }, groups)
}

#[derive(Debug)]
struct Describe {
    authorized_operations: bool,
}

/// How a group is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Consumer,
    /// The group, or the broker, knows only the classic protocol.
    Classic,
}

const CLASSIC: Lot = Lot::Shared(1);

impl Operation for Describe {
    type Key = GroupId;
    type Input = Way;
    type Output = ConsumerGroup;
    type Done = Results<GroupId, ConsumerGroup>;

    fn about(&self, key: &GroupId) -> String {
        about_group(key)
    }

    fn place(&self, key: &GroupId, _way: &Way, _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(key)
    }

    fn lot(&self, _key: &GroupId, way: &Way) -> Lot {
        match way {
            Way::Consumer => Lot::Shared(0),
            Way::Classic => CLASSIC,
        }
    }

    fn versions(&self, lot: Lot) -> (Option<i16>, Option<i16>) {
        let is_limited = lot == CLASSIC && self.authorized_operations;
        (is_limited.then_some(WITH_OPERATIONS_MIN), None)
    }

    fn request(&self, items: &[(&GroupId, &Way)], _timeout: Duration) -> RequestBody {
        let groups = items.iter().map(|(group, _)| group_id(group)).collect();
        if items.first().is_some_and(|(_, way)| **way == Way::Classic) {
            return classic_request(groups, self.authorized_operations);
        }
        m::ConsumerGroupDescribeRequest::default()
            .with_group_ids(groups)
            .with_include_authorized_operations(self.authorized_operations)
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&GroupId, &Way)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let (version, from) = (response.version, response.from);
        if let ResponseBody::DescribeGroups(answer) = response.body {
            let said = answer.groups.iter().map(|group| {
                let described = read_classic(group, version, from).and_then(of_consumers);
                (GroupId::from(group.group_id.0.as_str()), described.into())
            });
            return Ok(said.collect());
        }
        let answer = m::ConsumerGroupDescribeResponse::try_from(response.body)?;
        let said = answer.groups.iter().map(|group| {
            let id = GroupId::from(group.group_id.0.as_str());
            let check = Refusal::check(group.error_code, group.error_message.as_deref());
            let verdict = match check {
                Ok(()) => Verdict::Done(read(group, from)),
                // It may be a classic one (`DescribeConsumerGroupsHandler`).
                Err(Refusal { code: ErrorCode::GroupIdNotFound, .. }) => {
                    next::<Self>(&id, Way::Classic)
                }
                Err(refusal) => Verdict::Refused(refusal),
            };
            (id, verdict)
        });
        Ok(said.collect())
    }

    fn fallback(&self, key: &GroupId, way: &Way) -> Option<VerdictOf<Self>> {
        (*way == Way::Consumer).then(|| next::<Self>(key, Way::Classic))
    }

    fn merge(self, results: Results<GroupId, ConsumerGroup>) -> Self::Done {
        results
    }
}

fn partitions(assignment: &Assignment) -> BTreeSet<TopicPartition> {
    let topics = assignment.topic_partitions.iter();
    topics
        .flat_map(|topic| {
            topic.partitions.iter().map(|number| partition(&topic.topic_name, *number))
        })
        .collect()
}

fn read(group: &DescribedGroup, coordinator: Option<BrokerId>) -> ConsumerGroup {
    ConsumerGroup {
        id: GroupId::from(group.group_id.0.as_str()),
        group_type: GroupType::Consumer,
        state: GroupState::read(&group.group_state),
        assignor: group.assignor_name.to_string(),
        epoch: Some(group.group_epoch),
        target_epoch: Some(group.assignment_epoch),
        members: group.members.iter().map(read_member).collect(),
        coordinator,
        authorized_operations: AclOperations::read(group.authorized_operations),
    }
}

fn read_member(member: &Member) -> GroupMember {
    let topics = member.subscribed_topic_names.iter();
    GroupMember {
        id: MemberId::from(member.member_id.as_str()),
        instance_id: member.instance_id.as_ref().map(|name| name.as_str().into()),
        rack: optional(member.rack_id.as_ref()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: Some(member.member_epoch),
        subscribed_topics: topics.map(|topic| TopicName::from(topic.0.as_str())).collect(),
        subscribed_regex: optional(member.subscribed_topic_regex.as_ref())
            .filter(|regex| !regex.is_empty()),
        assignment: partitions(&member.assignment),
        target_assignment: Some(partitions(&member.target_assignment)),
        is_upgraded: match member.member_type {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// The protocol types of groups of consumers; those that only have offsets have none.
const CONSUMER_PROTOCOLS: [&str; 2] = ["consumer", ""];

/// A classic group as one of consumers, if it is one.
fn of_consumers(group: ClassicGroup) -> Result<ConsumerGroup, Refusal> {
    if !CONSUMER_PROTOCOLS.contains(&group.protocol.as_str()) {
        let message = format!("it is a group of protocol {}, not of consumers", group.protocol);
        return Err(Refusal { code: ErrorCode::GroupIdNotFound, message: Some(message) });
    }
    let members = group.members.into_iter().map(|member| GroupMember {
        id: member.id,
        instance_id: member.instance_id,
        rack: None,
        client_id: member.client_id,
        host: member.host,
        epoch: None,
        subscribed_topics: Vec::new(),
        subscribed_regex: None,
        assignment: member.assignment,
        target_assignment: None,
        is_upgraded: None,
    });
    Ok(ConsumerGroup {
        id: group.id,
        group_type: GroupType::Classic,
        state: group.state,
        assignor: group.protocol_data,
        epoch: None,
        target_epoch: None,
        members: members.collect(),
        coordinator: group.coordinator,
        authorized_operations: group.authorized_operations,
    })
}
