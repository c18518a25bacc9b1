//! The offsets from which share groups share: listing, setting and deleting them, at the groups'
//! coordinators.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use millstream_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use millstream_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use millstream_protocol::messages::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
use millstream_types::{GroupId, LeaderEpoch, Offset, TopicName, TopicPartition};

use super::super::super::command::AdminCall;
use super::super::super::operation::{Operation, Placement, Refusal, Results, Said};
use super::super::super::wire::{
    by_topic, group_coordinator, group_id, numbers_by_topic, partition, topic_name,
};
use super::super::{GroupOffsetsSpec, about_group};
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// From where a share group shares a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareOffset {
    /// The first record that is not done with.
    pub start: Offset,
    /// The leader epoch of that record, where known.
    pub leader_epoch: Option<LeaderEpoch>,
    /// How many records are yet to be delivered, from brokers that tell it (4.2).
    pub lag: Option<i64>,
}

/// Lists from where share groups share; a partition that was never shared is left out.
pub fn list_share_group_offsets(
    groups: impl IntoIterator<Item = (GroupId, GroupOffsetsSpec)>,
) -> AdminCall<Results<GroupId, BTreeMap<TopicPartition, ShareOffset>>> {
    AdminCall::new(List, groups)
}

/// Sets from where a share group without members shares.
pub fn alter_share_group_offsets(
    group: GroupId,
    starts: impl IntoIterator<Item = (TopicPartition, Offset)>,
) -> AdminCall<Results<TopicPartition, ()>> {
    AdminCall::new(Alter { group }, starts)
}

/// Forgets from where a share group without members shares topics.
pub fn delete_share_group_offsets(
    group: GroupId,
    topics: impl IntoIterator<Item = TopicName>,
) -> AdminCall<Results<TopicName, ()>> {
    AdminCall::new(Delete { group }, topics.into_iter().map(|topic| (topic, ())))
}

#[derive(Debug)]
struct List;

impl Operation for List {
    type Key = GroupId;
    type Input = GroupOffsetsSpec;
    type Output = BTreeMap<TopicPartition, ShareOffset>;
    type Done = Results<GroupId, Self::Output>;

    fn about(&self, key: &GroupId) -> String {
        format!("offsets of share {}", about_group(key))
    }

    fn place(&self, key: &GroupId, _spec: &GroupOffsetsSpec, _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(key)
    }

    fn request(&self, items: &[(&GroupId, &GroupOffsetsSpec)], _timeout: Duration) -> RequestBody {
        let groups = items.iter().map(|(group, spec)| {
            let topics = spec.partitions.as_ref().map(|partitions| {
                let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
                    DescribeShareGroupOffsetsRequestTopic::default()
                        .with_topic_name(topic_name(topic))
                        .with_partitions(numbers)
                });
                topics.collect()
            });
            DescribeShareGroupOffsetsRequestGroup::default()
                .with_group_id(group_id(group))
                .with_topics(topics)
        });
        m::DescribeShareGroupOffsetsRequest::default().with_groups(groups.collect()).into()
    }

    fn read(
        &self,
        response: Response,
        _asked: &[(&GroupId, &GroupOffsetsSpec)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DescribeShareGroupOffsetsResponse::try_from(response.body)?;
        let said = answer.groups.iter().map(|group| {
            let check = Refusal::check(group.error_code, group.error_message.as_deref());
            let id = GroupId::from(group.group_id.0.as_str());
            (id, check.and_then(|()| collect(group)).into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<GroupId, Self::Output>) -> Self::Done {
        results
    }
}

/// The offsets of a group; one partition's error is the group's.
fn collect(
    group: &DescribeShareGroupOffsetsResponseGroup,
) -> Result<BTreeMap<TopicPartition, ShareOffset>, Refusal> {
    let mut offsets = BTreeMap::new();
    for topic in &group.topics {
        for found in &topic.partitions {
            let partition = partition(&topic.topic_name, found.partition_index);
            if let Err(code) = ErrorCode::check(found.error_code) {
                return Err(Refusal { code, message: Some(format!("for partition {partition}")) });
            }
            if found.start_offset < 0 {
                continue;
            }
            let offset = ShareOffset {
                start: Offset(found.start_offset),
                leader_epoch: Some(LeaderEpoch(found.leader_epoch)).filter(|epoch| epoch.0 >= 0),
                lag: Some(found.lag).filter(|lag| *lag >= 0),
            };
            offsets.insert(partition, offset);
        }
    }
    Ok(offsets)
}

#[derive(Debug)]
struct Alter {
    group: GroupId,
}

impl Operation for Alter {
    type Key = TopicPartition;
    type Input = Offset;
    type Output = ();
    type Done = Results<TopicPartition, ()>;

    fn about(&self, key: &TopicPartition) -> String {
        format!("offset of share {} for partition {key}", about_group(&self.group))
    }

    fn place(&self, _key: &TopicPartition, _start: &Offset, _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(&self.group)
    }

    fn request(&self, items: &[(&TopicPartition, &Offset)], _timeout: Duration) -> RequestBody {
        let topics = by_topic(items).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(number, start)| {
                AlterShareGroupOffsetsRequestPartition::default()
                    .with_partition_index(number)
                    .with_start_offset(start.value())
            });
            AlterShareGroupOffsetsRequestTopic::default()
                .with_topic_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        m::AlterShareGroupOffsetsRequest::default()
            .with_group_id(group_id(&self.group))
            .with_topics(topics.collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicPartition, &Offset)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::AlterShareGroupOffsetsResponse::try_from(response.body)?;
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        if let Err(refusal) = whole {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let said = answer.responses.iter().flat_map(|topic| {
            topic.partitions.iter().map(|result| {
                let check = Refusal::check(result.error_code, result.error_message.as_deref());
                (partition(&topic.topic_name, result.partition_index), check.into())
            })
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicPartition, ()>) -> Self::Done {
        results
    }
}

#[derive(Debug)]
struct Delete {
    group: GroupId,
}

impl Operation for Delete {
    type Key = TopicName;
    type Input = ();
    type Output = ();
    type Done = Results<TopicName, ()>;

    fn about(&self, key: &TopicName) -> String {
        format!("offsets of share {} for topic {key}", about_group(&self.group))
    }

    fn place(&self, _key: &TopicName, (): &(), _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(&self.group)
    }

    fn request(&self, items: &[(&TopicName, &())], _timeout: Duration) -> RequestBody {
        let topics = items.iter().map(|(topic, ())| {
            DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(topic))
        });
        m::DeleteShareGroupOffsetsRequest::default()
            .with_group_id(group_id(&self.group))
            .with_topics(topics.collect())
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&TopicName, &())],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let answer = m::DeleteShareGroupOffsetsResponse::try_from(response.body)?;
        let whole = Refusal::check(answer.error_code, answer.error_message.as_deref());
        if let Err(refusal) = whole {
            return Ok(refusal.of_all::<Self>(asked));
        }
        let said = answer.responses.iter().map(|topic| {
            let check = Refusal::check(topic.error_code, topic.error_message.as_deref());
            (TopicName::from(topic.topic_name.0.as_str()), check.into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<TopicName, ()>) -> Self::Done {
        results
    }
}
