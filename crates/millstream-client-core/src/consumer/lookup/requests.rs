//! The requests of look-ups, and what their answers can say of a partition.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use millstream_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use millstream_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use millstream_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use millstream_protocol::messages::{
    self as m, ListOffsetsRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest,
};
use millstream_types::{BrokerId, Offset, OffsetAndMetadata, TopicPartition};

use crate::consumer::command::OffsetSpec;
use crate::consumer::partition::Position;
use crate::consumer::shared::ConsumerShared;
use crate::cx::Cx;
use crate::group::classic::text;
use crate::outbox::{Destination, Lane, Request, RequestId};

/// The newest OffsetFetch that goes by topic name.
const OFFSET_FETCH_BY_NAME_MAX: i16 = 9;

/// What was looked up of a partition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sought {
    /// What the group has committed.
    Committed(Option<OffsetAndMetadata>),
    /// The offset at a place or time.
    Offset(Option<Offset>),
    /// Where an epoch ends; nothing if the leader does not know that epoch.
    EpochEnd(Option<Position>),
}

/// Asks the coordinator what is committed; nothing without a group.
pub(super) fn committed(
    shared: &ConsumerShared,
    partitions: &[TopicPartition],
    cx: &mut Cx<'_>,
) -> Option<RequestId> {
    let group = &shared.config().group.as_ref()?.id;
    let mut topics: IndexMap<_, OffsetFetchRequestTopics> = IndexMap::new();
    for tp in partitions {
        let topic = topics.entry(&tp.topic).or_insert_with(|| {
            OffsetFetchRequestTopics::default().with_name(m::TopicName(text(tp.topic.as_str())))
        });
        topic.partition_indexes.push(tp.partition.value());
    }
    let group_request = OffsetFetchRequestGroup::default()
        .with_group_id(m::GroupId(text(group.as_str())))
        .with_topics(Some(topics.into_values().collect()));
    let body = OffsetFetchRequest::default()
        // Offsets of a transaction that is being committed are waited for, as in Java.
        .with_require_stable(true)
        .with_groups(vec![group_request]);
    // Not in the group's lane: there it would wait behind a join that the coordinator holds.
    let request = Request::new(Destination::group(group), Lane::General, body)
        .version_max(OFFSET_FETCH_BY_NAME_MAX);
    Some(cx.send(request))
}

/// Asks a broker for offsets of partitions that it leads.
pub(super) fn offsets(
    shared: &ConsumerShared,
    broker: BrokerId,
    list: &[(TopicPartition, OffsetSpec)],
    cx: &mut Cx<'_>,
) -> RequestId {
    let mut topics: IndexMap<_, ListOffsetsTopic> = IndexMap::new();
    for (tp, spec) in list {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(tp.partition.value())
            .with_current_leader_epoch(epoch(tp, cx))
            .with_timestamp(spec.code());
        let topic = topics.entry(&tp.topic).or_insert_with(|| {
            ListOffsetsTopic::default().with_name(m::TopicName(text(tp.topic.as_str())))
        });
        topic.partitions.push(partition);
    }
    let timeout = shared.config().request_timeout;
    let body = ListOffsetsRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_isolation_level(shared.config().isolation_level.code())
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topics(topics.into_values().collect());
    cx.send(Request::new(Destination::Broker(broker), Lane::General, body))
}

/// Asks a broker where the epochs of our positions end in its log.
pub(super) fn epochs(
    broker: BrokerId,
    list: &[(TopicPartition, Position)],
    cx: &mut Cx<'_>,
) -> RequestId {
    let mut topics: IndexMap<_, OffsetForLeaderTopic> = IndexMap::new();
    for (tp, position) in list {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(tp.partition.value())
            .with_current_leader_epoch(epoch(tp, cx))
            .with_leader_epoch(position.epoch.map_or(-1, |epoch| epoch.value()));
        let topic = topics.entry(&tp.topic).or_insert_with(|| {
            OffsetForLeaderTopic::default().with_topic(m::TopicName(text(tp.topic.as_str())))
        });
        topic.partitions.push(partition);
    }
    let body = OffsetForLeaderEpochRequest::default()
        .with_replica_id(m::BrokerId(-1))
        .with_topics(topics.into_values().collect());
    cx.send(Request::new(Destination::Broker(broker), Lane::General, body))
}

/// Groups a call's partitions by leader; those without wait for metadata.
pub(super) fn by_leader(
    left: &BTreeMap<TopicPartition, OffsetSpec>,
    cx: &mut Cx<'_>,
) -> BTreeMap<BrokerId, Vec<(TopicPartition, OffsetSpec)>> {
    let mut lists: BTreeMap<BrokerId, Vec<_>> = BTreeMap::new();
    for (tp, spec) in left {
        cx.metadata.request_topic(&tp.topic, cx.now);
        match cx.metadata.leader(tp) {
            Some(leader) => lists.entry(leader.broker).or_default().push((tp.clone(), *spec)),
            None => cx.metadata.request_update(),
        }
    }
    lists
}

/// The leader epoch that we know, so that a broker that knows better refuses.
fn epoch(tp: &TopicPartition, cx: &Cx<'_>) -> i32 {
    cx.metadata.leader(tp).and_then(|leader| leader.epoch).map_or(-1, |epoch| epoch.value())
}
