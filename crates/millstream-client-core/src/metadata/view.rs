//! The facts of a cluster: brokers, topics, partitions and who leads them.

use std::collections::BTreeMap;

use millstream_protocol::messages as m;
use millstream_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use millstream_types::{BrokerId, LeaderEpoch, PartitionId, TopicId, TopicName};

use crate::config::Endpoint;

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Its id; [`TopicId::ZERO`] from brokers before 2.8.
    pub id: TopicId,
    /// Whether Kafka made it for itself.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: BTreeMap<PartitionId, Partition>,
}

impl Topic {
    /// The topic of an answer.
    pub(crate) fn read(name: TopicName, answer: &MetadataResponseTopic) -> Self {
        let partitions = answer.partitions.iter().map(Partition::read);
        Self {
            name,
            id: TopicId(answer.topic_id),
            is_internal: answer.is_internal,
            partitions: partitions.map(|partition| (partition.id, partition)).collect(),
        }
    }

    /// The number of partitions, counted as Java counts them: those that the answer named.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub id: PartitionId,
    /// Its leader, if it has one.
    pub leader: Option<BrokerId>,
    /// The leader's epoch, from brokers that tell it (Metadata 7).
    pub leader_epoch: Option<LeaderEpoch>,
    /// The brokers that hold it.
    pub replicas: Vec<BrokerId>,
    /// Those of them that are in sync.
    pub in_sync: Vec<BrokerId>,
    /// Those of them that are offline.
    pub offline: Vec<BrokerId>,
    /// Those that may lead though they are not in sync (KIP-966); only from a description of the
    /// topic by a broker that tells it (3.7).
    pub eligible_leaders: Vec<BrokerId>,
    /// Those that were eligible last; as [`eligible_leaders`](Self::eligible_leaders).
    pub last_known_eligible_leaders: Vec<BrokerId>,
}

impl Partition {
    /// The partition of an answer.
    pub(super) fn read(answer: &MetadataResponsePartition) -> Self {
        let ids = |ids: &[m::BrokerId]| ids.iter().map(|id| BrokerId(id.0)).collect();
        Self {
            id: PartitionId(answer.partition_index),
            leader: Some(BrokerId(answer.leader_id.0)).filter(|id| id.0 >= 0),
            leader_epoch: Some(LeaderEpoch(answer.leader_epoch)).filter(|epoch| epoch.0 >= 0),
            replicas: ids(&answer.replica_nodes),
            in_sync: ids(&answer.isr_nodes),
            offline: ids(&answer.offline_replicas),
            eligible_leaders: Vec::new(),
            last_known_eligible_leaders: Vec::new(),
        }
    }
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch, where known.
    pub epoch: Option<LeaderEpoch>,
}
