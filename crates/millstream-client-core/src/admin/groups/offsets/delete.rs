//! Deleting committed offsets of topics that a group does not read, at its coordinator (KIP-496).

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use millstream_types::{GroupId, TopicPartition};

use super::super::super::command::AdminCall;
use super::super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::super::wire::{
    group_coordinator, group_id, numbers_by_topic, partition, topic_name,
};
use super::about_offset;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Deletes committed offsets of a group. Those of topics that a member is subscribed to are refused
/// with `GROUP_SUBSCRIBED_TO_TOPIC`.
pub fn delete_group_offsets(
    group: GroupId,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> AdminCall<Results<TopicPartition, ()>> {
    AdminCall::new(Delete { group }, partitions.into_iter().map(|partition| (partition, ())))
}

#[derive(Debug)]
struct Delete {
    group: GroupId,
}

impl Operation for Delete {
    type Key = TopicPartition;
    type Input = ();
    type Output = ();
    type Done = Results<TopicPartition, ()>;

    fn about(&self, key: &TopicPartition) -> String {
        about_offset(&self.group, key)
    }

    fn place(&self, _key: &TopicPartition, (): &(), _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(&self.group)
    }

    fn request(&self, items: &[(&TopicPartition, &())], _timeout: Duration) -> RequestBody {
        let partitions = items.iter().map(|(partition, ())| *partition);
        let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
            let partition =
                |number| OffsetDeleteRequestPartition::default().with_partition_index(number);
            OffsetDeleteRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(numbers.into_iter().map(partition).collect())
        });
        m::OffsetDeleteRequest::default()
            .with_group_id(group_id(&self.group))
            .with_topics(topics.collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicPartition, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::OffsetDeleteResponse::try_from(response.body)?;
        if let Err(refusal) = Refusal::check(answer.error_code, None) {
            return Ok(refusal.of_all::<Self>(asked));
        }
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
