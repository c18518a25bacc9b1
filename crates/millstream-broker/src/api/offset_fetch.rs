//! OffsetFetch 1 to the newest: what groups committed; several groups at once from version 8 on.
//!
//! A partition without an offset answers -1. With `require_stable` a partition for which a
//! transaction is committing an offset answers `UNSTABLE_OFFSET_COMMIT` (KIP-447). An unknown group
//! has no offsets, which is no error.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use millstream_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use millstream_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use uuid::Uuid;

use super::{Api, Call, Served, text, topic_name};
use crate::core::group::{CommittedOffset, Group};
use crate::core::state::State;
use crate::core::topic::TopicRef;

/// The first version that asks for several groups.
const GROUPS: i16 = 8;
/// The first version that names topics by id.
const BY_ID: i16 = 10;

impl Api for OffsetFetchRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<OffsetFetchResponse> {
        if call.version >= GROUPS {
            let stable = self.require_stable;
            let groups = self.groups.iter().map(|group| {
                match state.check_coordinator(call.node, &group.group_id) {
                    Ok(()) => one_group(state, call.version, group, stable),
                    Err(code) => failed(group, code),
                }
            });
            return Served::Now(OffsetFetchResponse::default().with_groups(groups.collect()));
        }
        if let Err(code) = state.check_coordinator(call.node, &self.group_id) {
            return Served::Now(self.refuse(call.version, code));
        }
        Served::Now(OffsetFetchResponse::default().with_topics(old_topics(state, &self)))
    }

    fn refuse(&self, version: i16, code: ErrorCode) -> OffsetFetchResponse {
        if version >= GROUPS {
            let groups = self.groups.iter().map(|group| failed(group, code));
            return OffsetFetchResponse::default().with_groups(groups.collect());
        }
        if version >= 2 {
            return OffsetFetchResponse::default().with_error_code(code.code());
        }
        let topics = self.topics.iter().flatten().map(|topic| {
            let partitions = topic.partition_indexes.iter();
            let partitions = partitions.map(|index| old_partition(*index, Err(code)));
            OffsetFetchResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetFetchResponse::default().with_topics(topics.collect())
    }
}

/// The answer that says `code` of each partition.
pub(super) fn refuse_partitions(
    request: &OffsetFetchRequest,
    version: i16,
    code: ErrorCode,
) -> Option<OffsetFetchResponse> {
    if version < GROUPS {
        return Some(request.refuse(0, code));
    }
    let groups = request.groups.iter().map(|group| {
        let topics = group.topics.iter().flatten().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| (*index, Ok(None)));
            let (name, id) = (&topic.name, topic.topic_id);
            new_topic(version >= BY_ID, name, id, partitions.collect(), code)
        });
        OffsetFetchResponseGroup::default()
            .with_group_id(group.group_id.clone())
            .with_topics(topics.collect())
    });
    Some(OffsetFetchResponse::default().with_groups(groups.collect()))
}

fn failed(group: &OffsetFetchRequestGroup, code: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup::default()
        .with_group_id(group.group_id.clone())
        .with_error_code(code.code())
}

/// What is found for a partition: its offset, if there is one that may be told.
type Offset<'a> = Result<Option<&'a CommittedOffset>, ErrorCode>;

/// A topic as the answer names it, and the partitions with their offsets.
type Found<'a> = (String, Uuid, Vec<(i32, Offset<'a>)>);

/// The offset of a partition, unless a transaction is about to commit another and the client asks
/// for stable ones.
fn stable<'a>(
    group: Option<&'a Group>,
    topic: &str,
    index: i32,
    require_stable: bool,
) -> Offset<'a> {
    let Some(group) = group else {
        return Ok(None);
    };
    if require_stable && group.is_unstable(topic, index) {
        return Err(ErrorCode::UnstableOffsetCommit);
    }
    Ok(group.committed(topic, index))
}

fn all<'a>(state: &'a State, group: &str, require_stable: bool) -> Vec<Found<'a>> {
    let group = state.groups.get(group);
    let offsets = group.into_iter().flat_map(|group| &group.offsets);
    offsets
        .map(|(topic, partitions)| {
            let id = state.topics.get(topic.as_str()).map(|topic| topic.id);
            let partitions = partitions.keys();
            let partitions = partitions
                .map(|index| (*index, stable(group, topic.as_str(), *index, require_stable)));
            (topic.to_string(), id.unwrap_or_default(), partitions.collect())
        })
        .collect()
}

fn one_group(
    state: &State,
    version: i16,
    group: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let by_id = version >= BY_ID;
    let committed = |topic: &str, index| {
        stable(state.groups.get(group.group_id.as_str()), topic, index, require_stable)
    };
    let topics: Vec<_> = match &group.topics {
        None => all(state, &group.group_id, require_stable)
            .into_iter()
            .map(|(name, id, partitions)| new_topic(by_id, &name, id, partitions, ErrorCode::None))
            .collect(),
        Some(topics) => topics
            .iter()
            .map(|topic| {
                let wanted = TopicRef::of(by_id, topic.topic_id, &topic.name);
                let (name, code) = match (&wanted, state.topics.find(&wanted)) {
                    (TopicRef::Id(_), Ok(found)) => (found.name.to_string(), ErrorCode::None),
                    (TopicRef::Id(_), Err(code)) => (String::new(), code),
                    (TopicRef::Name(name), _) => (name.to_string(), ErrorCode::None),
                };
                let partitions = topic.partition_indexes.iter();
                let partitions = partitions.map(|index| (*index, committed(&name, *index)));
                new_topic(by_id, &name, topic.topic_id, partitions.collect(), code)
            })
            .collect(),
    };
    OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone()).with_topics(topics)
}

fn new_topic(
    by_id: bool,
    name: &str,
    id: Uuid,
    partitions: Vec<(i32, Offset<'_>)>,
    code: ErrorCode,
) -> OffsetFetchResponseTopics {
    let partitions = partitions.into_iter().map(|(index, found)| {
        let code = found.err().unwrap_or(code);
        let found = found.unwrap_or(None);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(found.map_or(-1, |found| found.offset))
            .with_committed_leader_epoch(found.map_or(-1, |found| found.leader_epoch))
            .with_metadata(Some(text(found.map_or("", |found| &found.metadata))))
            .with_error_code(code.code())
    });
    let topic = OffsetFetchResponseTopics::default().with_partitions(partitions.collect());
    if by_id { topic.with_topic_id(id) } else { topic.with_name(topic_name(name)) }
}

fn old_topics(state: &State, request: &OffsetFetchRequest) -> Vec<OffsetFetchResponseTopic> {
    let topic = |name: &str, partitions: Vec<(i32, Offset<'_>)>| {
        let partitions = partitions.into_iter();
        let partitions = partitions.map(|(index, found)| old_partition(index, found));
        OffsetFetchResponseTopic::default()
            .with_name(topic_name(name))
            .with_partitions(partitions.collect())
    };
    let Some(topics) = &request.topics else {
        let all = all(state, &request.group_id, request.require_stable).into_iter();
        return all.map(|(name, _, partitions)| topic(&name, partitions)).collect();
    };
    let group = state.groups.get(request.group_id.as_str());
    let topics = topics.iter().map(|wanted| {
        let partitions = wanted.partition_indexes.iter().map(|index| {
            let found = stable(group, &wanted.name, *index, request.require_stable);
            (*index, found)
        });
        topic(&wanted.name, partitions.collect())
    });
    topics.collect()
}

fn old_partition(index: i32, found: Offset<'_>) -> OffsetFetchResponsePartition {
    let code = found.err().unwrap_or(ErrorCode::None);
    let found = found.unwrap_or(None);
    OffsetFetchResponsePartition::default()
        .with_partition_index(index)
        .with_committed_offset(found.map_or(-1, |found| found.offset))
        .with_committed_leader_epoch(found.map_or(-1, |found| found.leader_epoch))
        .with_metadata(Some(text(found.map_or("", |found| &found.metadata))))
        .with_error_code(code.code())
}
