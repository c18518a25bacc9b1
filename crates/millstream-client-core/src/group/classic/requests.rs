//! The requests of a classic member, from its facts; and what their answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use millstream_protocol::messages::leave_group_request::MemberIdentity;
use millstream_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use millstream_protocol::messages::{
    self as m, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, StrBytes,
    SyncGroupRequest,
};
use millstream_types::{GenerationId, GroupId, GroupInstanceId, MemberId, TopicPartition};

use crate::group::protocol::{self, MemberBytesError, PROTOCOL_TYPE};
use crate::group::{GroupAssignment, GroupSubscription, Subscription};

/// The longest reason that is sent (`JoinGroupRequest.maybeTruncateReason`).
const REASON_MAX: usize = 255;

/// By what the coordinator knows a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The group.
    pub group: GroupId,
    /// The static name, if it has one.
    pub instance: Option<GroupInstanceId>,
    /// The id that the coordinator gave; empty before the first join.
    pub member: Option<MemberId>,
    /// The generation it is a member of.
    pub generation: GenerationId,
}

impl Identity {
    pub(crate) fn group_id(&self) -> m::GroupId {
        m::GroupId(text(self.group.as_str()))
    }

    pub(crate) fn member_id(&self) -> StrBytes {
        self.member.as_ref().map_or_else(StrBytes::default, |id| text(id.as_str()))
    }

    pub(crate) fn instance_id(&self) -> Option<StrBytes> {
        self.instance.as_ref().map(|id| text(id.as_str()))
    }
}

/// The wire's string type.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn join(
    identity: &Identity,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    protocols: &[(String, Bytes)],
    reason: &str,
) -> JoinGroupRequest {
    let protocols = protocols.iter().map(|(name, metadata)| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata.clone())
    });
    let mut reason = reason.to_owned();
    while reason.len() > REASON_MAX {
        reason.pop();
    }
    JoinGroupRequest::default()
        .with_group_id(identity.group_id())
        .with_session_timeout_ms(millis(session_timeout))
        .with_rebalance_timeout_ms(millis(rebalance_timeout))
        .with_member_id(identity.member_id())
        .with_group_instance_id(identity.instance_id())
        .with_protocol_type(text(PROTOCOL_TYPE))
        .with_protocols(protocols.collect())
        .with_reason(Some(text(&reason)))
}

pub(super) fn sync(
    identity: &Identity,
    assignor: &str,
    assignments: &GroupAssignment,
) -> SyncGroupRequest {
    let assignments = assignments.0.iter().map(|(member, assignment)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member.as_str()))
            .with_assignment(protocol::encode_assignment(assignment, protocol::VERSION))
    });
    SyncGroupRequest::default()
        .with_group_id(identity.group_id())
        .with_generation_id(identity.generation.value())
        .with_member_id(identity.member_id())
        .with_group_instance_id(identity.instance_id())
        .with_protocol_type(Some(text(PROTOCOL_TYPE)))
        .with_protocol_name(Some(text(assignor)))
        .with_assignments(assignments.collect())
}

pub(super) fn heartbeat(identity: &Identity) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(identity.group_id())
        .with_generation_id(identity.generation.value())
        .with_member_id(identity.member_id())
        .with_group_instance_id(identity.instance_id())
}

pub(super) fn leave(identity: &Identity, reason: &str) -> LeaveGroupRequest {
    let member = MemberIdentity::default()
        .with_member_id(identity.member_id())
        .with_group_instance_id(identity.instance_id())
        .with_reason(Some(text(reason)));
    LeaveGroupRequest::default().with_group_id(identity.group_id()).with_members(vec![member])
}

/// The members that the coordinator told the leader of.
pub(super) fn members(
    answer: &JoinGroupResponse,
) -> Result<GroupSubscription, (MemberId, MemberBytesError)> {
    let mut members = BTreeMap::new();
    for member in &answer.members {
        let id = MemberId::from(member.member_id.as_str());
        let mut subscription: Subscription = match protocol::decode_subscription(&member.metadata) {
            Ok(subscription) => subscription,
            Err(error) => return Err((id, error)),
        };
        subscription.group_instance_id =
            member.group_instance_id.as_ref().map(|name| GroupInstanceId::from(name.as_str()));
        members.insert(id, subscription);
    }
    Ok(GroupSubscription {
        generation: GenerationId(answer.generation_id),
        leader: MemberId::from(answer.leader.as_str()),
        members,
    })
}

/// What an answer's error code means for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The coordinator moved: find it, try again.
    FindCoordinator,
    /// Try again after a while.
    Retry,
    /// The group is rebalancing: join (again) with the same identity.
    Rejoin,
    /// The coordinator gave this member a name and wants it used (KIP-394).
    MemberIdRequired,
    /// The generation is over: what it owned is lost. The member id still holds.
    GenerationOver,
    /// The coordinator has forgotten this member: what it owned is lost.
    Forgotten,
    /// It will not do to try again.
    Refused,
}

/// Java's `AbstractCoordinator`, one table for its handlers of join, sync and heartbeat.
pub(super) const fn verdict(error: ErrorCode) -> Verdict {
    match error {
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => Verdict::FindCoordinator,
        ErrorCode::RebalanceInProgress => Verdict::Rejoin,
        ErrorCode::MemberIdRequired => Verdict::MemberIdRequired,
        ErrorCode::IllegalGeneration => Verdict::GenerationOver,
        ErrorCode::UnknownMemberId => Verdict::Forgotten,
        // Another process has the same group.instance.id: giving way is what KIP-345 asks for.
        ErrorCode::FencedInstanceId => Verdict::Refused,
        error if error.class().is_retriable() => Verdict::Retry,
        // A code that is newer than this client says nothing definite.
        ErrorCode::UnknownServerError | ErrorCode::Unrecognized(_) => Verdict::Retry,
        _ => Verdict::Refused,
    }
}

/// What a refusal is about, and what to do.
pub(super) fn refusal(error: ErrorCode) -> String {
    let hint = match error {
        ErrorCode::InconsistentGroupProtocol => {
            "; its members share no assignor of ours: check partition.assignment.strategy"
        }
        ErrorCode::InvalidSessionTimeout => {
            "; session.timeout.ms is outside what the broker allows (group.min.session.timeout.ms, group.max.session.timeout.ms)"
        }
        ErrorCode::GroupAuthorizationFailed => "; this principal may not read the group",
        ErrorCode::GroupMaxSizeReached => "; the group is full (group.max.size)",
        ErrorCode::FencedInstanceId => "; another process uses the same group.instance.id",
        ErrorCode::InvalidGroupId => "; set another group.id",
        _ => "",
    };
    format!("{error}{hint}")
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// Partitions in words, a few of them.
pub(super) fn describe(partitions: &[TopicPartition]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<_> = partitions.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = partitions.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
