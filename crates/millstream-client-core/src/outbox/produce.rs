//! The Produce request: our own struct, so that batch bytes go to the socket without a copy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_types::{PartitionId, TopicId, TopicName};

/// How many replicas must have a record before the broker acknowledges it (`acks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// None: there is no answer at all (`acks=0`).
    None,
    /// The leader (`acks=1`).
    Leader,
    /// All in-sync replicas (`acks=all`).
    #[default]
    All,
}

impl Acks {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// A Produce request, all versions.
///
/// Up to version 12 topics go by name, from 13 on by id (KIP-516): a request with a topic whose
/// id is unknown must be sent with `version_max(12)`.
#[derive(Clone, Debug)]
pub struct ProduceRequest {
    /// The transactional id, for batches inside a transaction.
    pub transactional_id: Option<Arc<str>>,
    /// When the broker answers.
    pub acks: Acks,
    /// How long the broker may wait for replicas.
    pub timeout: Duration,
    /// The batches, by topic.
    pub topics: Vec<ProduceTopic>,
}

/// One topic of a [`ProduceRequest`].
#[derive(Clone, Debug)]
pub struct ProduceTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id, [`TopicId::ZERO`] if unknown.
    pub id: TopicId,
    /// The batches, by partition.
    pub partitions: Vec<ProducePartition>,
}

/// One partition of a [`ProduceRequest`].
#[derive(Clone, Debug)]
pub struct ProducePartition {
    /// Its number.
    pub partition: PartitionId,
    /// One sealed batch, written to the socket as it is. Cloning shares the bytes: whoever keeps
    /// a clone keeps the buffer from being reused (`Bytes::from_owner` returns it to a pool).
    pub batch: Bytes,
}
