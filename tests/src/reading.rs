//! Reading topics back, whole.

use std::collections::BTreeMap;

use millstream_client::OffsetSpec;
use millstream_client::consumer::{Consumer, ConsumerRecord};
use millstream_types::{Offset, TopicPartition};

use crate::cluster::TestCluster;
use crate::deadline::step;

/// All partitions of a topic.
///
/// # Panics
/// If the cluster does not know it.
pub async fn partitions(cluster: &TestCluster, topic: &str) -> Vec<TopicPartition> {
    let described = cluster.admin().describe_topics([topic]).await.expect("the topic is there");
    let ids = described[topic].partitions.keys();
    ids.map(|id| TopicPartition::new(topic, *id)).collect()
}

/// The ends of all partitions of a topic.
///
/// # Panics
/// If the cluster does not say.
pub async fn ends(cluster: &TestCluster, topic: &str) -> BTreeMap<TopicPartition, Offset> {
    let specs = partitions(cluster, topic).await.into_iter().map(|tp| (tp, OffsetSpec::Latest));
    let listed = cluster.admin().list_offsets(specs).await.expect("the ends are known");
    listed.into_iter().map(|(tp, end)| (tp, end.offset.unwrap_or(Offset::ZERO))).collect()
}

/// Every record of a topic as it stands, each partition in its order.
///
/// # Panics
/// If it cannot be read.
pub async fn read_all(cluster: &TestCluster, topic: &str) -> Vec<ConsumerRecord> {
    let consumer = cluster.reader().build().await.expect("a reader");
    let records = read_to_ends(cluster, &consumer, topic).await;
    drop(consumer);
    records
}

/// As [`read_all`], with a consumer of the caller's making.
///
/// # Panics
/// If it cannot be read.
pub async fn read_to_ends(
    cluster: &TestCluster,
    consumer: &Consumer,
    topic: &str,
) -> Vec<ConsumerRecord> {
    let mut missing = ends(cluster, topic).await;
    missing.retain(|_, end| *end > Offset::ZERO);
    step(format!("read {topic} up to {missing:?}"));
    consumer.assign(missing.keys().cloned()).expect("partitions can be assigned");
    let mut records = Vec::new();
    while !missing.is_empty() {
        let batch = consumer.poll().await.expect("records").expect("it is open");
        records.extend(batch.detach());
        if missing.get(batch.topic_partition()).is_some_and(|end| batch.next_offset() >= *end) {
            missing.remove(batch.topic_partition());
        }
    }
    records
}

/// The values of records as text.
///
/// # Panics
/// If one is null or no UTF-8.
#[must_use]
pub fn texts(records: &[ConsumerRecord]) -> Vec<String> {
    let text = |record: &ConsumerRecord| {
        let value = record.value.as_ref().expect("a value");
        String::from_utf8(value.to_vec()).expect("UTF-8")
    };
    records.iter().map(text).collect()
}
