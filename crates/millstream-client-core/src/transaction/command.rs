//! The application's calls of a transactional producer, and what they return.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_types::{OffsetAndMetadata, TopicPartition};

use super::error::{CommitFailure, TransactionError, TransactionOutcome};
use crate::consumer::{CommitError, ConsumerShared, OffsetToCommit};
use crate::group::GroupMetadata;

/// A call of the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransactionCommand {
    /// Gets a producer id, which fences whoever holds the transactional id and aborts what they
    /// left open.
    Initialize {
        /// How long the call may wait.
        timeout: Duration,
    },
    /// Begins a transaction, once the one before is ended.
    Begin {
        /// How long the call may wait.
        timeout: Duration,
    },
    /// Commits a group's offsets as part of the transaction.
    CommitOffsets {
        /// The offsets, and as whom.
        offsets: OffsetsSource,
        /// How long it may take; after that the transaction can only be aborted.
        timeout: Duration,
    },
    /// Commits the transaction. It is seen through, whatever becomes of the call.
    Commit {
        /// How long the coordinator may take for a definite answer before the call returns.
        timeout: Duration,
    },
    /// Aborts the transaction, if there is one. It is seen through.
    Abort {
        /// How long the call may wait.
        timeout: Duration,
    },
    /// Waits for the outcome of a commit that was unknown.
    Resolve {
        /// The transaction, as [`Begun::number`] told.
        number: u64,
        /// How long the call may wait.
        timeout: Duration,
    },
    /// Aborts what is open, ends what is being ended, and closes the producer.
    Close {
        /// When all is given up.
        deadline: Instant,
    },
}

/// What a [`TransactionCommand`] returns; `Close` returns what the producer's close does.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransactionCompletion {
    /// Of [`TransactionCommand::Initialize`].
    Initialized(Result<(), TransactionError>),
    /// Of [`TransactionCommand::Begin`].
    Begun(Result<Begun, TransactionError>),
    /// Of [`TransactionCommand::CommitOffsets`].
    OffsetsCommitted(Result<(), TransactionError>),
    /// Of [`TransactionCommand::Commit`] and [`TransactionCommand::Resolve`].
    Committed(Result<(), CommitFailure>),
    /// Of [`TransactionCommand::Abort`].
    Aborted(Result<(), TransactionError>),
}

/// A transaction that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Counts the transactions of this producer.
    pub number: u64,
    /// What became of the transaction before: news for who was told that its outcome is unknown,
    /// or did not wait for it.
    pub previous: Option<TransactionOutcome>,
}

/// Offsets to commit in a transaction.
#[derive(Debug)]
#[non_exhaustive]
pub enum OffsetsSource {
    /// A consumer's own: refused if it does not own the partitions, and committed as the member it
    /// is when they are sent.
    Consumer {
        /// The consumer.
        consumer: Arc<ConsumerShared>,
        /// The offsets.
        offsets: Vec<OffsetToCommit>,
    },
    /// Offsets and membership as the caller says.
    Given {
        /// The member that read the records.
        group: GroupMetadata,
        /// The offsets.
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    },
}

impl OffsetsSource {
    /// As whom to commit now.
    ///
    /// # Errors
    /// The partitions are not the consumer's any more.
    pub(super) fn group(&self) -> Result<GroupMetadata, CommitError> {
        match self {
            Self::Consumer { consumer, offsets } => consumer.group_for(offsets),
            Self::Given { group, .. } => Ok(group.clone()),
        }
    }

    /// The offsets by partition.
    pub(super) fn offsets(
        &self,
    ) -> Box<dyn Iterator<Item = (&TopicPartition, &OffsetAndMetadata)> + '_> {
        match self {
            Self::Consumer { offsets, .. } => {
                Box::new(offsets.iter().map(|offset| (&offset.partition, &offset.offset)))
            }
            Self::Given { offsets, .. } => {
                Box::new(offsets.iter().map(|(tp, offset)| (tp, offset)))
            }
        }
    }
}
