//! OffsetDelete 0: forgets committed offsets of a group (KIP-496).
//!
//! While the group has members, Kafka keeps the offsets of topics that they subscribe to. Here every
//! topic counts as subscribed while there is a member: subscriptions are not looked into.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use millstream_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Api, Call, Served};
use crate::core::group::GroupState;
use crate::core::state::State;

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
        let answers = self.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| {
                let found = topics.get(&topic.name);
                let exists = found.is_some_and(|t| t.partition(wanted.partition_index).is_some());
                let code = if !exists {
                    ErrorCode::UnknownTopicOrPartition
                } else if is_used {
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
