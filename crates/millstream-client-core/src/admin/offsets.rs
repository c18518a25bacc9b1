//! Offsets: of partitions by place or time, of groups; and deleting records before an offset.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use millstream_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use millstream_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use millstream_types::{
    GroupId, LeaderEpoch, Offset, OffsetAndMetadata, Timestamp, TopicName, TopicPartition,
};

use super::call::{AllSaid, Handler, Placement, Refusal};
use super::cluster::only;
use super::topics::{text, topic_name};
use super::{AdminCompletion, Results};
use crate::consumer::IsolationLevel;
use crate::cx::Cx;
use crate::metadata::TopicState;
use crate::outbox::{Destination, RequestBody, Response};

/// Which offset of a partition is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first record there is.
    Earliest,
    /// Behind the last record: the high watermark, or the last stable offset.
    Latest,
    /// The first record of this time or a later one.
    Timestamp(Timestamp),
    /// The record of the highest timestamp (KIP-734, Kafka 3.0).
    MaxTimestamp,
}

impl OffsetSpec {
    const fn code(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Timestamp(time) => time.0,
            Self::MaxTimestamp => -3,
        }
    }
}

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

fn about_partition(partition: &TopicPartition) -> String {
    format!("partition {partition}")
}

/// The leader of a partition, once metadata tells it.
fn leader(partition: &TopicPartition, cx: &mut Cx<'_>) -> Placement {
    cx.metadata.request_topic(&partition.topic, cx.now);
    if let Some(leader) = cx.metadata.leader(partition) {
        return Placement::At(Destination::Broker(leader.broker));
    }
    Placement::Later(match cx.metadata.topic_state(partition.topic.as_str()) {
        TopicState::NotRequested | TopicState::Pending => "no metadata yet".to_owned(),
        TopicState::Missing(error) => error.to_string(),
        TopicState::Known(topic) if topic.partitions.contains_key(&partition.partition) => {
            "the partition has no leader".to_owned()
        }
        TopicState::Known(topic) => {
            format!("the topic has only {} partitions", topic.partition_count())
        }
    })
}

/// Groups partitions by topic.
fn by_topic<'a, T>(items: &[(&'a TopicPartition, T)]) -> BTreeMap<&'a TopicName, Vec<(i32, T)>>
where
    T: Copy,
{
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (partition, item) in items {
        let partitions = topics.entry(&partition.topic).or_default();
        partitions.push((partition.partition.value(), *item));
    }
    topics
}

/// Lists offsets, from the leaders.
#[derive(Debug)]
pub(super) struct List {
    pub(super) isolation: IsolationLevel,
}

impl Handler for List {
    type Key = TopicPartition;
    type Input = OffsetSpec;
    type Output = ListedOffset;

    fn about(key: &TopicPartition) -> String {
        about_partition(key)
    }

    fn place(&self, key: &TopicPartition, cx: &mut Cx<'_>) -> Placement {
        leader(key, cx)
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
            .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
            .into()
    }

    fn read(&self, response: Response) -> AllSaid<TopicPartition, ListedOffset> {
        let answer = m::ListOffsetsResponse::try_from(response.body)?;
        let mut said = Vec::new();
        for topic in answer.topics {
            let name = TopicName::from(topic.name.0.as_str());
            for partition in topic.partitions {
                let listed = ListedOffset {
                    offset: Some(Offset(partition.offset)).filter(|offset| offset.0 >= 0),
                    timestamp: Some(Timestamp(partition.timestamp)).filter(|time| time.0 >= 0),
                    leader_epoch: Some(LeaderEpoch(partition.leader_epoch)).filter(|e| e.0 >= 0),
                };
                let result = Refusal::check(partition.error_code, None).map(|()| listed);
                said.push((TopicPartition::new(&name, partition.partition_index), result));
            }
        }
        Ok(said)
    }

    fn complete(results: Results<TopicPartition, ListedOffset>) -> AdminCompletion {
        AdminCompletion::ListOffsets(results)
    }
}

/// Deletes the records before an offset, at the leaders.
#[derive(Debug)]
pub(super) struct DeleteRecords;

impl Handler for DeleteRecords {
    type Key = TopicPartition;
    type Input = Offset;
    type Output = Offset;

    fn about(key: &TopicPartition) -> String {
        about_partition(key)
    }

    fn place(&self, key: &TopicPartition, cx: &mut Cx<'_>) -> Placement {
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
            .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
            .into()
    }

    fn read(&self, response: Response) -> AllSaid<TopicPartition, Offset> {
        let answer = m::DeleteRecordsResponse::try_from(response.body)?;
        let mut said = Vec::new();
        for topic in answer.topics {
            let name = TopicName::from(topic.name.0.as_str());
            for partition in topic.partitions {
                let result = Refusal::check(partition.error_code, None)
                    .map(|()| Offset(partition.low_watermark));
                said.push((TopicPartition::new(&name, partition.partition_index), result));
            }
        }
        Ok(said)
    }

    fn complete(results: Results<TopicPartition, Offset>) -> AdminCompletion {
        AdminCompletion::DeleteRecords(results)
    }
}

/// Lists all offsets that a group has committed, from its coordinator.
#[derive(Debug)]
pub(super) struct OfGroup {
    pub(super) group: GroupId,
}

/// From version 10 on topics go by id (KIP-848's follow-up), which a group need not resolve.
const OFFSET_FETCH_BY_NAME_MAX: i16 = 9;

/// The committed offsets of an answer's topics, whose old and new form differ in type alone.
macro_rules! committed {
    ($topics:expr) => {{
        let mut offsets = BTreeMap::new();
        for topic in $topics {
            for partition in &topic.partitions {
                if partition.committed_offset < 0 {
                    continue;
                }
                let epoch = LeaderEpoch(partition.committed_leader_epoch);
                let metadata = partition.metadata.as_ref();
                let offset = OffsetAndMetadata {
                    offset: Offset(partition.committed_offset),
                    leader_epoch: Some(epoch).filter(|epoch| epoch.0 >= 0),
                    metadata: metadata.map(ToString::to_string).unwrap_or_default(),
                };
                let topic = topic.name.0.as_str();
                offsets.insert(TopicPartition::new(topic, partition.partition_index), offset);
            }
        }
        offsets
    }};
}

impl Handler for OfGroup {
    type Key = GroupId;
    type Input = ();
    type Output = BTreeMap<TopicPartition, OffsetAndMetadata>;

    fn about(key: &GroupId) -> String {
        format!("offsets of group {key}")
    }

    fn place(&self, key: &GroupId, _cx: &mut Cx<'_>) -> Placement {
        Placement::At(Destination::group(key))
    }

    fn request(&self, items: &[(&GroupId, &())], _timeout: Duration) -> RequestBody {
        let groups = items.iter().map(|(group, ())| {
            OffsetFetchRequestGroup::default()
                .with_group_id(m::GroupId(text(group.as_str())))
                .with_topics(None)
        });
        m::OffsetFetchRequest::default().with_groups(groups.collect()).into()
    }

    fn read(&self, response: Response) -> AllSaid<GroupId, Self::Output> {
        let version = response.version;
        let answer = m::OffsetFetchResponse::try_from(response.body)?;
        if version < 8 {
            // Old answers do not name the group: there was one.
            let result = Refusal::check(answer.error_code, None);
            let offsets = committed!(&answer.topics);
            return Ok(vec![(self.group.clone(), result.map(|()| offsets))]);
        }
        let said = answer.groups.iter().map(|group| {
            let result = Refusal::check(group.error_code, None);
            let offsets = committed!(&group.topics);
            (GroupId::from(group.group_id.0.as_str()), result.map(|()| offsets))
        });
        Ok(said.collect())
    }

    fn complete(mut results: Results<GroupId, Self::Output>) -> AdminCompletion {
        AdminCompletion::GroupOffsets(only(&mut results, "offsets of a group".to_owned()))
    }

    fn version_max(&self) -> Option<i16> {
        Some(OFFSET_FETCH_BY_NAME_MAX)
    }
}
