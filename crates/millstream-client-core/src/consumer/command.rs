//! Calls of the application that wait for an answer, and what the machine asks of the shell.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use millstream_types::{GenerationId, Offset, OffsetAndMetadata, TopicName, TopicPartition};

use super::error::{CommitError, ConsumerError};
use super::partition::Stamp;
use crate::group::{Assignment, AssignorError, ClusterView, GroupAssignment, GroupSubscription};
pub use crate::listing::OffsetSpec;

/// A call that waits for an answer, or the shell's answer to a [`ConsumerEvent`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerCommand {
    /// Commits offsets: those with a stamp only if the partition was owned since.
    Commit {
        /// What to commit.
        offsets: Vec<OffsetToCommit>,
        /// How long to try.
        timeout: Duration,
    },
    /// Asks what is committed.
    Committed {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// How long to try.
        timeout: Duration,
    },
    /// Asks for offsets by place or time.
    ListOffsets {
        /// The partitions and what is asked of each.
        partitions: BTreeMap<TopicPartition, OffsetSpec>,
        /// How long to try.
        timeout: Duration,
    },
    /// Commits what is due, leaves the group and ends the client.
    Close {
        /// How long that may take.
        timeout: Duration,
    },
    /// Answers [`ConsumerEvent::SubscriptionWanted`].
    Subscription {
        /// The round of the question.
        round: u64,
        /// The user data of each assignor that the shell runs, by name.
        user_data: BTreeMap<String, Option<Bytes>>,
    },
    /// Answers [`ConsumerEvent::AssignmentWanted`].
    Assignment {
        /// The round of the question.
        round: u64,
        /// What the assignor said.
        result: Result<GroupAssignment, AssignorError>,
    },
    /// Answers [`ConsumerEvent::AssignmentReceived`]: the assignor has looked at it.
    AssignmentSeen {
        /// Its generation.
        generation: GenerationId,
    },
}

/// An offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The partition.
    pub partition: TopicPartition,
    /// The ownership under which the records were fetched; `None`: whichever is current.
    pub stamp: Option<Stamp>,
    /// What to commit.
    pub offset: OffsetAndMetadata,
}

/// What a [`ConsumerCommand`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerCompletion {
    /// Of [`ConsumerCommand::Commit`].
    Commit(Result<(), CommitError>),
    /// Of [`ConsumerCommand::Committed`]; a partition without an offset is absent.
    Committed(Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ConsumerError>),
    /// Of [`ConsumerCommand::ListOffsets`]; a partition without such an offset is absent.
    ListOffsets(Result<BTreeMap<TopicPartition, Offset>, ConsumerError>),
    /// Of [`ConsumerCommand::Close`].
    Close(Result<(), ConsumerError>),
    /// Of the shell's answers.
    Noted,
}

/// What the machine asks of the shell: to run code of the application and report back.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// The member joins: the assignors that the shell runs give their user data.
    SubscriptionWanted {
        /// To be repeated in the answer.
        round: u64,
        /// The topics subscribed to.
        topics: Vec<TopicName>,
    },
    /// The member leads its group: the assignor computes everybody's assignment.
    AssignmentWanted {
        /// To be repeated in the answer.
        round: u64,
        /// The assignor that the group agreed on.
        assignor: String,
        /// The cluster.
        cluster: ClusterView,
        /// The members.
        group: GroupSubscription,
    },
    /// The member got its assignment: the assignor may look at it.
    AssignmentReceived {
        /// The assignor that the group agreed on.
        assignor: String,
        /// What the member got.
        assignment: Assignment,
        /// The generation.
        generation: GenerationId,
    },
}
