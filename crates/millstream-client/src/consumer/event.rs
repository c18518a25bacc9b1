//! What a consumer tells its application between records.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use millstream_client_core::consumer::{
    Batch, CommitError, ConsumerShared, FetchError, Next, ResetCause, Revocation,
};
use millstream_types::{GenerationId, Offset, TopicPartition};

/// One thing that [`Consumer::next_event`](super::Consumer::next_event) gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// Records of one partition.
    Records(Batch),
    /// A rebalance is complete. Comes after every one, also if it changed nothing.
    Assigned {
        /// What was added.
        partitions: Vec<TopicPartition>,
        /// All that is assigned now, in the assignor's order.
        all: Vec<TopicPartition>,
        /// The assignor's own bytes.
        user_data: Option<Bytes>,
        /// The generation of the group.
        generation: GenerationId,
    },
    /// Partitions are about to be given up. They are still owned: finish and commit, then say so.
    Revoking(Revoking),
    /// Partitions are gone already; nothing more of them can be committed.
    Lost(Vec<TopicPartition>),
    /// A position was set anew, as `auto.offset.reset` says.
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
    /// The cluster lost records (an unclean leader election): the position went back to where the
    /// log still agrees with what was read.
    Truncated {
        /// The partition.
        partition: TopicPartition,
        /// The old position.
        from: Offset,
        /// The new one.
        to: Offset,
    },
    /// Offsets of `commit_later` or of auto-commit were not committed.
    CommitFailed {
        /// Why.
        error: CommitError,
    },
}

impl ConsumerEvent {
    /// Puts the core's words into the application's; failures are errors.
    pub(super) fn from_next(
        next: Next,
        shared: &Arc<ConsumerShared>,
    ) -> Result<Option<Self>, FetchError> {
        Ok(Some(match next {
            Next::Records(batch) => Self::Records(batch),
            Next::Assigned(assigned) => Self::Assigned {
                partitions: assigned.partitions,
                all: assigned.all,
                user_data: assigned.user_data,
                generation: assigned.generation,
            },
            Next::Revoking(revocation) => {
                Self::Revoking(Revoking { revocation, shared: Arc::clone(shared) })
            }
            Next::Lost(partitions) => Self::Lost(partitions),
            Next::Reset { partition, from, to, cause } => {
                Self::Reset { partition, from, to, cause }
            }
            Next::Truncated { partition, from, to } => Self::Truncated { partition, from, to },
            Next::CommitFailed(error) => Self::CommitFailed { error },
            Next::Failed(error) => return Err(error),
            // What a later core says that this shell has no word for.
            _ => return Ok(None),
        }))
    }
}

/// Partitions that are about to be given up.
///
/// The group waits until [`done`](Self::done) is called or the consumer is asked for the next event
/// or record; dropping this says nothing. Past the [`deadline`](Self::deadline) the partitions are
/// lost instead.
#[must_use = "the group waits for `done`, or for the next call of `next_event`"]
pub struct Revoking {
    revocation: Revocation,
    shared: Arc<ConsumerShared>,
}

impl Revoking {
    /// The partitions.
    #[must_use]
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.revocation.partitions
    }

    /// When the partitions are lost if nothing is said.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.revocation.deadline
    }

    /// The application has finished with the partitions.
    pub fn done(self) {
        self.shared.revoked(self.revocation.round);
    }
}

impl fmt::Debug for Revoking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.revocation.fmt(f)
    }
}
