//! Deleting the records before an offset, at the leaders.

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use millstream_types::{Offset, TopicPartition};

use super::super::command::AdminCall;
use super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::wire::{by_topic, leader, millis, partition, topic_name};
use super::about_partition;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Deletes the records before these offsets ([`Offset`] -1: all there are); gives the first offset
/// there is then.
pub fn delete_records(
    before: impl IntoIterator<Item = (TopicPartition, Offset)>,
) -> AdminCall<Results<TopicPartition, Offset>> {
    AdminCall::new(DeleteRecords, before)
}

#[derive(Debug)]
struct DeleteRecords;

impl Operation for DeleteRecords {
    type Key = TopicPartition;
    type Input = Offset;
    type Output = Offset;
    type Done = Results<TopicPartition, Offset>;

    fn about(&self, key: &TopicPartition) -> String {
        about_partition(key)
    }

    fn place(&self, key: &TopicPartition, _before: &Offset, cx: &mut Cx<'_>) -> Placement {
        leader(key, cx)
    }

    fn request(&self, items: &[(&TopicPartition, &Offset)], timeout: Duration) -> RequestBody {
        let topics = by_topic(items).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, offset)| {
                DeleteRecordsPartition::default()
                    .with_partition_index(partition)
                    .with_offset(offset.value())
            });
            DeleteRecordsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        m::DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&TopicPartition, &Offset)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DeleteRecordsResponse::try_from(response.body)?;
        let mut said = Vec::new();
        for topic in answer.topics {
            for purged in &topic.partitions {
                let result = Refusal::check(purged.error_code, None);
                let result = result.map(|()| Offset(purged.low_watermark));
                said.push((partition(&topic.name, purged.partition_index), result.into()));
            }
        }
        Ok(said)
    }

    fn merge(self, results: Results<TopicPartition, Offset>) -> Self::Done {
        results
    }
}
