//! Describing groups of consumers: those that the broker assigns to (KIP-848) and classic ones.

pub(super) mod by_coordinator;
mod classic;
mod consumer;

use std::collections::BTreeSet;

use bytes::Bytes;
use millstream_protocol::messages as m;
use millstream_protocol::messages::describe_groups_response::{
    DescribedGroup, DescribedGroupMember,
};
use millstream_types::{BrokerId, GroupId, GroupInstanceId, MemberId, TopicPartition};

use super::super::acls::AclOperations;
use super::super::operation::Refusal;
use super::super::wire::non_empty;
use super::GroupState;
use crate::group::protocol::decode_assignment;
use crate::outbox::RequestBody;
use millstream_protocol::ErrorCode;

pub use classic::describe_classic_groups;
pub use consumer::{ConsumerGroup, GroupMember, describe_consumer_groups};

/// A group of the classic protocol: of consumers, Connect workers or others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    /// Its name.
    pub id: GroupId,
    /// Its protocol type: `consumer`, `connect`; empty for a group that only has offsets.
    pub protocol: String,
    /// What the members agreed on: the assignor of consumers.
    pub protocol_data: String,
    /// Its state.
    pub state: GroupState,
    /// Its members.
    pub members: Vec<ClassicMember>,
    /// Its coordinator.
    pub coordinator: Option<BrokerId>,
    /// What the caller may do to it, if that was asked for.
    pub authorized_operations: Option<AclOperations>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// Its id.
    pub id: MemberId,
    /// Its name, if it is static.
    pub instance_id: Option<GroupInstanceId>,
    /// The client's `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The partitions that are assigned to it, if it is a consumer.
    pub assignment: BTreeSet<TopicPartition>,
    /// What it told the group, as it stands.
    pub metadata: Bytes,
    /// What it was assigned, as it stands.
    pub raw_assignment: Bytes,
}

/// The first version of DescribeGroups that can tell what the caller may do.
const WITH_OPERATIONS_MIN: i16 = 3;
/// The first version of DescribeGroups that tells a group that is not there from one that is dead.
const NOT_FOUND_MIN: i16 = 6;

fn classic_request(groups: Vec<m::GroupId>, authorized_operations: bool) -> RequestBody {
    m::DescribeGroupsRequest::default()
        .with_groups(groups)
        .with_include_authorized_operations(authorized_operations)
        .into()
}

fn read_classic(
    group: &DescribedGroup,
    version: i16,
    coordinator: Option<BrokerId>,
) -> Result<ClassicGroup, Refusal> {
    Refusal::check(group.error_code, group.error_message.as_deref())?;
    let state = GroupState::read(&group.group_state);
    if state == GroupState::Dead && version < NOT_FOUND_MIN {
        return Err(Refusal { code: ErrorCode::GroupIdNotFound, message: None });
    }
    Ok(ClassicGroup {
        id: GroupId::from(group.group_id.0.as_str()),
        protocol: group.protocol_type.to_string(),
        protocol_data: group.protocol_data.to_string(),
        state,
        members: group.members.iter().map(read_member).collect(),
        coordinator,
        authorized_operations: AclOperations::read(group.authorized_operations),
    })
}

fn read_member(member: &DescribedGroupMember) -> ClassicMember {
    // What does not read as a consumer's assignment is another protocol's.
    let assignment = decode_assignment(&member.member_assignment);
    let partitions = assignment.map(|assignment| assignment.partitions).unwrap_or_default();
    ClassicMember {
        id: MemberId::from(member.member_id.as_str()),
        instance_id: member
            .group_instance_id
            .as_ref()
            .and_then(|name| non_empty(name))
            .map(GroupInstanceId::from),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assignment: partitions.into_iter().collect(),
        metadata: member.member_metadata.clone(),
        raw_assignment: member.member_assignment.clone(),
    }
}
