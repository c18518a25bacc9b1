//! What the application is told between records.

use std::time::Instant;

use bytes::Bytes;
use millstream_types::{GenerationId, Offset, TopicPartition};

use super::delivery::Batch;
use super::error::{CommitError, FetchError};
use super::partition::ResetCause;

/// One thing for the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Next {
    /// Records of one partition.
    Records(Batch),
    /// A rebalance is complete.
    Assigned(Assigned),
    /// Partitions are about to be given up.
    Revoking(Revocation),
    /// Partitions are gone already.
    Lost(Vec<TopicPartition>),
    /// A position was set anew.
    Reset {
        /// The partition.
        partition: TopicPartition,
        /// The old position, if there was one.
        from: Option<Offset>,
        /// The new one.
        to: Offset,
        /// Why.
        cause: ResetCause,
    },
    /// The log was cut below the position, which went back to where it still agrees.
    Truncated {
        /// The partition.
        partition: TopicPartition,
        /// The old position.
        from: Offset,
        /// The new one.
        to: Offset,
    },
    /// Offsets that nobody waited for were not committed.
    CommitFailed(CommitError),
    /// Something cannot be read.
    Failed(FetchError),
}

/// The outcome of a rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// What was added.
    pub partitions: Vec<TopicPartition>,
    /// All that is assigned now.
    pub all: Vec<TopicPartition>,
    /// The assignor's own bytes.
    pub user_data: Option<Bytes>,
    /// The generation.
    pub generation: GenerationId,
}

/// Partitions that are about to be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Names it in [`ConsumerShared::revoked`](super::ConsumerShared::revoked).
    pub round: u64,
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// When they are lost if nothing is said.
    pub deadline: Instant,
}
