//! The facts of a cluster: brokers, topics, partitions and who leads them.

use std::collections::BTreeMap;

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
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The broker.
    pub broker: BrokerId,
    /// Its epoch, where known.
    pub epoch: Option<LeaderEpoch>,
}
