//! What a consumer's calls can fail with, one enum for each surface.

use std::time::Duration;

use millstream_protocol::batch::BatchError;
use millstream_protocol::{ErrorClass, ErrorCode};
use millstream_types::{GroupId, Offset, TopicName, TopicPartition};
use thiserror::Error;

use crate::outbox::RequestFailure;

/// Why no records come from somewhere. Other partitions go on; this one waits for what the error says.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A batch is damaged. What came before it has been delivered.
    #[error("record at offset {offset} of {partition} is corrupt; seek behind it to go on")]
    Corrupt {
        /// The partition, which is not read on until a seek.
        partition: TopicPartition,
        /// The first offset that could not be read.
        offset: Offset,
        /// What is wrong.
        source: BatchError,
    },
    /// A batch is larger than what can be fetched, from a broker that does not send it whole.
    #[error(
        "the batch at offset {offset} of {partition} does not fit {limit} bytes; raise max.partition.fetch.bytes"
    )]
    TooLarge {
        /// The partition, which is not read on until a seek.
        partition: TopicPartition,
        /// The batch's offset.
        offset: Offset,
        /// The limit that it does not fit.
        limit: i32,
    },
    /// There is no committed offset and `auto.offset.reset` is `none`.
    #[error("{partition} has no committed offset and auto.offset.reset is none; seek to start")]
    NoOffset {
        /// The partition, which is not read until a seek.
        partition: TopicPartition,
    },
    /// The position is outside the log and `auto.offset.reset` is `none`.
    #[error(
        "offset {offset} is outside the log of {partition} and auto.offset.reset is none; seek to go on"
    )]
    OffsetOutOfRange {
        /// The partition, which is not read on until a seek.
        partition: TopicPartition,
        /// The position.
        offset: Offset,
    },
    /// The log was cut below the position (an unclean leader election) and `auto.offset.reset` is `none`.
    #[error(
        "the log of {partition} was truncated to {diverged} below position {position}: records were lost by the cluster; seek to go on"
    )]
    Truncated {
        /// The partition, which is not read on until a seek.
        partition: TopicPartition,
        /// The position.
        position: Offset,
        /// Up to where the log agrees with what was read.
        diverged: Offset,
    },
    /// No broker knows the topic. Told once; should it appear, it is read.
    #[error("topic {topic} does not exist; create it or check the name")]
    UnknownTopic {
        /// The topic.
        topic: TopicName,
    },
    /// The topic was deleted while its partitions were assigned.
    #[error(
        "topic {topic} was deleted while it was being read; subscribe or assign anew if it was created again"
    )]
    TopicDeleted {
        /// The topic.
        topic: TopicName,
    },
    /// A broker refuses to serve a partition or topic for good.
    #[error("cannot read {what}: {error}")]
    Refused {
        /// The partition or topic.
        what: String,
        /// The broker's answer.
        error: ErrorCode,
    },
    /// The coordinator refuses this member for good.
    #[error("group {group} refused this member: {reason}")]
    Group {
        /// The group.
        group: GroupId,
        /// What stands in the way and what to do.
        reason: String,
        /// The broker's answer, where one is behind it.
        error: Option<ErrorCode>,
    },
    /// Another call is waiting for records on this consumer.
    #[error("another call already waits for records of this consumer; one at a time")]
    Busy,
}

impl FetchError {
    /// The partition that is not read on until a seek, where it is one.
    #[must_use]
    pub const fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::Corrupt { partition, .. }
            | Self::TooLarge { partition, .. }
            | Self::NoOffset { partition }
            | Self::OffsetOutOfRange { partition, .. }
            | Self::Truncated { partition, .. } => Some(partition),
            _ => None,
        }
    }

    /// What can be done about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Corrupt { .. }
            | Self::NoOffset { .. }
            | Self::OffsetOutOfRange { .. }
            | Self::Truncated { .. }
            | Self::TopicDeleted { .. } => ErrorClass::Fatal,
            Self::TooLarge { .. } | Self::Busy => ErrorClass::InvalidConfiguration,
            Self::UnknownTopic { .. } => ErrorClass::RefreshAndRetry,
            Self::Refused { error, .. } => error.class(),
            Self::Group { error, .. } => match error {
                Some(error) => error.class(),
                None => ErrorClass::Fatal,
            },
        }
    }
}

/// Why offsets were not committed, or not known to be.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The partition is not this member's, or was another's since the batch was fetched.
    #[error(
        "{partition} is not owned any more: another member may have read on from the last commit"
    )]
    NotOwned {
        /// The partition.
        partition: TopicPartition,
    },
    /// A reader has no group to commit to.
    #[error("offsets of {partition} cannot be committed: this consumer has no group; set group.id")]
    NoGroup {
        /// The partition.
        partition: TopicPartition,
    },
    /// The coordinator has given this member up or replaced it.
    #[error("group {group} has fenced this member: {error}; its partitions are lost")]
    Fenced {
        /// The group.
        group: GroupId,
        /// The broker's answer.
        error: ErrorCode,
    },
    /// The coordinator refused an offset for good.
    #[error("the offset of {partition} was refused: {error}")]
    Refused {
        /// The partition.
        partition: TopicPartition,
        /// The broker's answer.
        error: ErrorCode,
    },
    /// No definite answer came in time: the offsets may or may not be committed.
    #[error("the offsets of group {group} were not confirmed within {waited:?}: {last_error}")]
    TimedOut {
        /// The group.
        group: GroupId,
        /// How long it was tried.
        waited: Duration,
        /// What the last try met.
        last_error: String,
    },
    /// The request cannot be served at all.
    #[error("the offsets cannot be committed")]
    Request(#[source] RequestFailure),
    /// The consumer was closed.
    #[error("the consumer is closed")]
    Closed,
}

impl CommitError {
    /// What can be done about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotOwned { .. } | Self::Fenced { .. } => ErrorClass::Fenced,
            Self::NoGroup { .. } => ErrorClass::InvalidConfiguration,
            Self::Refused { error, .. } => error.class(),
            Self::TimedOut { .. } => ErrorClass::Retriable,
            Self::Request(failure) => failure.class(),
            Self::Closed => ErrorClass::Fatal,
        }
    }
}

/// Why a verb of a consumer failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// Topics can be subscribed to only in a group.
    #[error("subscribe needs a group: set group.id, or assign partitions")]
    NoGroup,
    /// Topics are subscribed to and partitions assigned by hand, both.
    #[error(
        "this consumer has subscribed to topics; unsubscribe before assigning partitions by hand, or the other way round"
    )]
    Mixed,
    /// A name that no topic can have.
    #[error("{name:?} is no topic name: use 1 to 249 of letters, digits, '.', '_' and '-'")]
    TopicName {
        /// The name.
        name: String,
    },
    /// The partition is not assigned to this consumer.
    #[error("{partition} is not assigned to this consumer")]
    NotAssigned {
        /// The partition.
        partition: TopicPartition,
    },
    /// No log has a negative offset.
    #[error("offset {offset} of {partition} is negative")]
    NegativeOffset {
        /// The partition.
        partition: TopicPartition,
        /// The offset.
        offset: Offset,
    },
    /// A broker refused for good.
    #[error("offsets of {what} cannot be looked up: {error}")]
    Refused {
        /// The partition or group.
        what: String,
        /// The broker's answer.
        error: ErrorCode,
    },
    /// No definite answer came in time.
    #[error("{what} took longer than {waited:?}: {last_error}")]
    TimedOut {
        /// What was tried.
        what: &'static str,
        /// How long.
        waited: Duration,
        /// What the last try met.
        last_error: String,
    },
    /// The request cannot be served at all.
    #[error("the brokers cannot serve this")]
    Request(#[source] RequestFailure),
    /// The consumer was closed.
    #[error("the consumer is closed")]
    Closed,
}

impl ConsumerError {
    /// What can be done about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NoGroup | Self::Mixed | Self::TopicName { .. } | Self::NegativeOffset { .. } => {
                ErrorClass::InvalidConfiguration
            }
            Self::NotAssigned { .. } | Self::Closed => ErrorClass::Fatal,
            Self::Refused { error, .. } => error.class(),
            Self::TimedOut { .. } => ErrorClass::Retriable,
            Self::Request(failure) => failure.class(),
        }
    }
}
