//! Setting the committed offsets of a group without members, at its coordinator.

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millstream_types::{GroupId, OffsetAndMetadata, TopicPartition};

use super::super::super::command::AdminCall;
use super::super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::super::wire::{
    by_topic, group_coordinator, group_id, partition, text, topic_name,
};
use super::about_offset;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Sets the committed offsets of a group that has no members; one that does not exist begins to. If
/// there are members, brokers refuse with `UNKNOWN_MEMBER_ID`.
pub fn alter_group_offsets(
    group: GroupId,
    offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
) -> AdminCall<Results<TopicPartition, ()>> {
    AdminCall::new(Alter { group }, offsets)
}

#[derive(Debug)]
struct Alter {
    group: GroupId,
}

/// From version 10 on topics go by id, which a group need not resolve.
const BY_NAME_MAX: i16 = 9;

impl Operation for Alter {
    type Key = TopicPartition;
    type Input = OffsetAndMetadata;
    type Output = ();
    type Done = Results<TopicPartition, ()>;

    fn about(&self, key: &TopicPartition) -> String {
        about_offset(&self.group, key)
    }

    fn place(&self, _: &TopicPartition, _: &OffsetAndMetadata, _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(&self.group)
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (None, Some(BY_NAME_MAX))
    }

    fn request(
        &self,
        items: &[(&TopicPartition, &OffsetAndMetadata)],
        _timeout: Duration,
    ) -> RequestBody {
        let topics = by_topic(items).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(number, offset)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(number)
                    .with_committed_offset(offset.offset.value())
                    .with_committed_leader_epoch(offset.leader_epoch.map_or(-1, |epoch| epoch.0))
                    .with_committed_metadata(Some(text(&offset.metadata)))
            });
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        m::OffsetCommitRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&TopicPartition, &OffsetAndMetadata)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::OffsetCommitResponse::try_from(response.body)?;
        let said = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|result| {
                let check = Refusal::check(result.error_code, None);
                (partition(&topic.name, result.partition_index), check.into())
            })
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicPartition, ()>) -> Self::Done {
        results
    }
}
