//! Listing offsets, from the leaders.

use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use millstream_types::{LeaderEpoch, Offset, Timestamp, TopicPartition};

use super::super::command::AdminCall;
use super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::wire::{by_topic, leader, millis, partition, topic_name};
use super::about_partition;
use crate::cx::Cx;
use crate::listing::{IsolationLevel, OffsetSpec};
use crate::outbox::{RequestBody, Response, WrongResponse};

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` if no record is of that time or later.
    pub offset: Option<Offset>,
    /// The record's time, where one was asked for by time.
    pub timestamp: Option<Timestamp>,
    /// The leader epoch of the record, where known.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Lists offsets by place or time.
pub fn list_offsets(
    specs: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    isolation: IsolationLevel,
) -> AdminCall<Results<TopicPartition, ListedOffset>> {
    AdminCall::new(List { isolation }, specs)
}

#[derive(Debug)]
struct List {
    isolation: IsolationLevel,
}

impl Operation for List {
    type Key = TopicPartition;
    type Input = OffsetSpec;
    type Output = ListedOffset;
    type Done = Results<TopicPartition, ListedOffset>;

    fn about(&self, key: &TopicPartition) -> String {
        about_partition(key)
    }

    fn place(&self, key: &TopicPartition, _spec: &OffsetSpec, cx: &mut Cx<'_>) -> Placement {
        leader(key, cx)
    }

    /// By the version needed, so that an old broker's refusal concerns only what it cannot do.
    fn lot(&self, _key: &TopicPartition, spec: &OffsetSpec) -> Lot {
        Lot::Shared(u8::try_from(spec.version_min()).unwrap_or_default())
    }

    fn versions(&self, lot: Lot) -> (Option<i16>, Option<i16>) {
        match lot {
            Lot::Shared(version) => (Some(version.into()), None),
            Lot::Alone => (None, None),
        }
    }

    fn request(&self, items: &[(&TopicPartition, &OffsetSpec)], timeout: Duration) -> RequestBody {
        let topics = by_topic(items).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(partition, spec)| {
                ListOffsetsPartition::default()
                    .with_partition_index(partition)
                    .with_timestamp(spec.code())
            });
            ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        m::ListOffsetsRequest::default()
            .with_replica_id(m::BrokerId(-1))
            .with_isolation_level(self.isolation.code())
            .with_topics(topics.collect())
            .with_timeout_ms(millis(timeout))
            .into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&TopicPartition, &OffsetSpec)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::ListOffsetsResponse::try_from(response.body)?;
        let mut said = Vec::new();
        for topic in &answer.topics {
            for found in &topic.partitions {
                let listed = ListedOffset {
                    offset: Some(Offset(found.offset)).filter(|offset| offset.0 >= 0),
                    timestamp: Some(Timestamp(found.timestamp)).filter(|time| time.0 >= 0),
                    leader_epoch: Some(LeaderEpoch(found.leader_epoch)).filter(|e| e.0 >= 0),
                };
                let result = Refusal::check(found.error_code, None).map(|()| listed);
                said.push((partition(&topic.name, found.partition_index), result.into()));
            }
        }
        Ok(said)
    }

    fn merge(self, results: Results<TopicPartition, ListedOffset>) -> Self::Done {
        results
    }
}
