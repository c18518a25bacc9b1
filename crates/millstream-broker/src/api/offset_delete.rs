//! OffsetDelete 0: forgets committed offsets of a group (KIP-496).
//!
//! While a group of consumers has members, offsets of topics that they subscribe to are kept; a group
//! with members that are no consumers keeps all (`ClassicGroup.validateOffsetDelete`).

use std::collections::BTreeSet;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use millstream_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Api, Call, Served};
use crate::core::group::{Group, GroupState};
use crate::core::state::State;

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";

impl Api for OffsetDeleteRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<OffsetDeleteResponse> {
        if let Err(code) = state.check_coordinator(call.node, &self.group_id) {
            return Served::Now(self.refuse(call.version, code));
        }
        let State { groups, topics, .. } = state;
        let Some(group) = groups.get_mut(self.group_id.as_str()) else {
            return Served::Now(self.refuse(call.version, ErrorCode::GroupIdNotFound));
        };
        let is_used = group.state != GroupState::Empty;
        if is_used && group.protocol_type.as_deref() != Some(CONSUMER) {
            return Served::Now(self.refuse(call.version, ErrorCode::NonEmptyGroup));
        }
        let subscribed = if is_used { subscriptions(group) } else { Some(BTreeSet::new()) };
        // What cannot be read might be any topic.
        let is_subscribed =
            |topic: &str| subscribed.as_ref().is_none_or(|topics| topics.contains(topic));
        let answers = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let found = topics.get(&topic.name);
                let exists = found.is_some_and(|t| t.partition(wanted.partition_index).is_some());
                let code = if !exists {
                    ErrorCode::UnknownTopicOrPartition
                } else if is_subscribed(&topic.name) {
                    ErrorCode::GroupSubscribedToTopic
                } else {
                    if let Some(offsets) = group.offsets.get_mut(topic.name.as_str()) {
                        offsets.remove(&wanted.partition_index);
                    }
                    ErrorCode::None
                };
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(wanted.partition_index)
                    .with_error_code(code.code())
            });
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        Served::Now(OffsetDeleteResponse::default().with_topics(answers.collect()))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> OffsetDeleteResponse {
        OffsetDeleteResponse::default().with_error_code(code.code())
    }
}

/// The topics that the members of a group subscribe to; `None` if that cannot be read.
fn subscriptions(group: &Group) -> Option<BTreeSet<String>> {
    let protocol = group.protocol.as_deref()?;
    let mut topics = BTreeSet::new();
    for member in group.members.values() {
        topics.extend(subscription(&member.metadata(protocol))?);
    }
    Some(topics)
}

/// The topics of a consumer's subscription: behind its version, a counted list of names
/// (`ConsumerProtocolSubscription.json`).
fn subscription(bytes: &[u8]) -> Option<Vec<String>> {
    let (_, rest) = bytes.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let (length, name) = rest.split_first_chunk::<2>()?;
        let (name, after) = name.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        topics.push(String::from_utf8(name.to_vec()).ok()?);
        rest = after;
    }
    Some(topics)
}

/// The answer that says `code` of each partition.
pub(super) fn refuse_partitions(
    request: &OffsetDeleteRequest,
    _: i16,
    code: ErrorCode,
) -> Option<OffsetDeleteResponse> {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(wanted.partition_index)
                .with_error_code(code.code())
        });
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    Some(OffsetDeleteResponse::default().with_topics(topics.collect()))
}
