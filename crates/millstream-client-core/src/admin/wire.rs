//! Words of the public API to and from the messages', and where items commonly go.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::messages as m;
use millstream_protocol::messages::StrBytes;
use millstream_types::{BrokerId, GroupId, TopicName, TopicPartition};

use super::operation::Placement;
use crate::cx::Cx;
use crate::metadata::TopicState;
use crate::outbox::{CoordinatorKey, Destination};

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn optional(text: Option<&StrBytes>) -> Option<String> {
    text.map(ToString::to_string)
}

/// A text that the messages leave empty where there is none.
pub(super) fn non_empty(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn topic_name(name: &TopicName) -> m::TopicName {
    m::TopicName(text(name.as_str()))
}

pub(super) fn group_id(group: &GroupId) -> m::GroupId {
    m::GroupId(text(group.as_str()))
}

pub(super) fn partition(topic: &m::TopicName, index: i32) -> TopicPartition {
    TopicPartition::new(topic.0.as_str(), index)
}

pub(super) const fn broker_id(id: m::BrokerId) -> BrokerId {
    BrokerId(id.0)
}

/// A broker that the messages call -1 where there is none.
pub(super) fn optional_broker(id: m::BrokerId) -> Option<BrokerId> {
    Some(broker_id(id)).filter(|id| id.0 >= 0)
}

pub(super) fn broker_ids(ids: &[m::BrokerId]) -> Vec<BrokerId> {
    ids.iter().map(|id| broker_id(*id)).collect()
}

pub(super) fn message_broker_ids(ids: &[BrokerId]) -> Vec<m::BrokerId> {
    ids.iter().map(|id| m::BrokerId(id.0)).collect()
}

pub(super) fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Groups partitions by topic.
pub(super) fn by_topic<'a, T: Copy>(
    items: &[(&'a TopicPartition, T)],
) -> BTreeMap<&'a TopicName, Vec<(i32, T)>> {
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (partition, item) in items {
        let partitions = topics.entry(&partition.topic).or_default();
        partitions.push((partition.partition.value(), *item));
    }
    topics
}

/// Groups partitions by topic, their numbers alone.
pub(super) fn numbers_by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> BTreeMap<&'a TopicName, Vec<i32>> {
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition.value());
    }
    topics
}

pub(super) const fn anywhere() -> Placement {
    Placement::At(Destination::AnyBroker)
}

pub(super) const fn controller() -> Placement {
    Placement::At(Destination::Controller)
}

pub(super) fn group_coordinator(group: &GroupId) -> Placement {
    Placement::At(Destination::group(group))
}

pub(super) fn transaction_coordinator(id: &str) -> Placement {
    Placement::At(Destination::Coordinator(CoordinatorKey::transaction(id)))
}

/// The leader of a partition, once metadata tells it (`PartitionLeaderStrategy`).
pub(super) fn leader(partition: &TopicPartition, cx: &mut Cx<'_>) -> Placement {
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
