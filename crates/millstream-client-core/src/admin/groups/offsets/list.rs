//! Listing committed offsets, from the groups' coordinators.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages as m;
use millstream_protocol::messages::StrBytes;
use millstream_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use millstream_types::{GroupId, LeaderEpoch, Offset, OffsetAndMetadata, TopicPartition};

use super::super::super::command::AdminCall;
use super::super::super::operation::{Lot, Operation, Placement, Refusal, Results, Said};
use super::super::super::wire::{
    group_coordinator, group_id, numbers_by_topic, partition, topic_name,
};
use super::super::about_group;
use crate::cx::Cx;
use crate::outbox::{RequestBody, Response, WrongResponse};

/// Which offsets of a group to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOffsetsSpec {
    /// The partitions; `None`: all that have one.
    pub partitions: Option<Vec<TopicPartition>>,
}

/// Lists the offsets that groups have committed; a partition without one is left out. With
/// `require_stable` those of transactions that are being committed are waited for (KIP-447).
pub fn list_group_offsets(
    groups: impl IntoIterator<Item = (GroupId, GroupOffsetsSpec)>,
    require_stable: bool,
) -> AdminCall<Results<GroupId, BTreeMap<TopicPartition, OffsetAndMetadata>>> {
    AdminCall::new(List { require_stable }, groups)
}

#[derive(Debug)]
struct List {
    require_stable: bool,
}

/// From version 10 on topics go by id, which a group need not resolve.
const BY_NAME_MAX: i16 = 9;

impl Operation for List {
    type Key = GroupId;
    type Input = GroupOffsetsSpec;
    type Output = BTreeMap<TopicPartition, OffsetAndMetadata>;
    type Done = Results<GroupId, Self::Output>;

    fn about(&self, key: &GroupId) -> String {
        format!("offsets of {}", about_group(key))
    }

    fn place(&self, key: &GroupId, _spec: &GroupOffsetsSpec, _cx: &mut Cx<'_>) -> Placement {
        group_coordinator(key)
    }

    /// Brokers before 3.0 serve one group at a time.
    fn lot(&self, _key: &GroupId, _spec: &GroupOffsetsSpec) -> Lot {
        Lot::Alone
    }

    fn versions(&self, _lot: Lot) -> (Option<i16>, Option<i16>) {
        (None, Some(BY_NAME_MAX))
    }

    fn request(&self, items: &[(&GroupId, &GroupOffsetsSpec)], _timeout: Duration) -> RequestBody {
        let groups = items.iter().map(|(group, spec)| {
            let topics = spec.partitions.as_ref().map(|partitions| {
                let topics = numbers_by_topic(partitions).into_iter().map(|(topic, numbers)| {
                    OffsetFetchRequestTopics::default()
                        .with_name(topic_name(topic))
                        .with_partition_indexes(numbers)
                });
                topics.collect()
            });
            OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(topics)
        });
        m::OffsetFetchRequest::default()
            .with_groups(groups.collect())
            .with_require_stable(self.require_stable)
            .into()
    }

    fn read(
        &self,
        response: Response,
        asked: &[(&GroupId, &GroupOffsetsSpec)],
    ) -> Result<Vec<Said<Self>>, WrongResponse> {
        let version = response.version;
        let answer = m::OffsetFetchResponse::try_from(response.body)?;
        if version < 8 {
            // Old answers do not name the group: there was one.
            let partitions = answer.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|found| Committed {
                    partition: partition(&topic.name, found.partition_index),
                    offset: found.committed_offset,
                    leader_epoch: found.committed_leader_epoch,
                    metadata: found.metadata.as_ref(),
                    error_code: found.error_code,
                })
            });
            let result = Refusal::check(answer.error_code, None);
            let result = result.and_then(|()| collect(partitions));
            let said = asked.iter().take(1);
            return Ok(said.map(|(group, _)| ((*group).clone(), result.clone().into())).collect());
        }
        let said = answer.groups.iter().map(|group| {
            let partitions = group.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|found| Committed {
                    partition: partition(&topic.name, found.partition_index),
                    offset: found.committed_offset,
                    leader_epoch: found.committed_leader_epoch,
                    metadata: found.metadata.as_ref(),
                    error_code: found.error_code,
                })
            });
            let result = Refusal::check(group.error_code, None);
            let result = result.and_then(|()| collect(partitions));
            (GroupId::from(group.group_id.0.as_str()), result.into())
        });
        Ok(said.collect())
    }

    fn merge(self, results: Results<GroupId, Self::Output>) -> Self::Done {
        results
    }
}

/// What an answer says of a partition, in the old form or the new.
struct Committed<'a> {
    partition: TopicPartition,
    offset: i64,
    leader_epoch: i32,
    metadata: Option<&'a StrBytes>,
    error_code: i16,
}

/// The offsets of a group; one partition's error is the group's.
fn collect<'a>(
    partitions: impl Iterator<Item = Committed<'a>>,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, Refusal> {
    let mut offsets = BTreeMap::new();
    for found in partitions {
        if let Err(code) = ErrorCode::check(found.error_code) {
            let message = Some(format!("for partition {}", found.partition));
            return Err(Refusal { code, message });
        }
        if found.offset < 0 {
            continue;
        }
        let offset = OffsetAndMetadata {
            offset: Offset(found.offset),
            leader_epoch: Some(LeaderEpoch(found.leader_epoch)).filter(|epoch| epoch.0 >= 0),
            metadata: found.metadata.map(ToString::to_string).unwrap_or_default(),
        };
        offsets.insert(found.partition, offset);
    }
    Ok(offsets)
}
