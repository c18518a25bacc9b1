//! What can go wrong in a task.

use std::fmt;
use std::sync::Arc;

use millstream_state::{StoreError, StoreErrorClass};
use millstream_types::{Offset, SerdeError, Timestamp, TopicName, TopicPartition};

use super::{CollectorError, TaskEvent, TaskState};
use crate::timestamp_extractor::InvalidTimestamp;
use crate::topology::TaskId;

/// A task that cannot go on. It is to be closed dirty, and its uncommitted work is done again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A record could not be read, and the handler chose to fail.
    #[error(
        "the {part} of the record at {partition}@{offset} cannot be read: {source}; fix the serde, or set a deserialization handler that continues"
    )]
    Deserialize {
        /// Where the record lies.
        partition: TopicPartition,
        /// Its offset.
        offset: Offset,
        /// What of it.
        part: RecordPart,
        /// Why.
        source: SerdeError,
    },
    /// A record has no usable time.
    #[error("the record at {partition}@{offset} has no usable time: {source}")]
    Timestamp {
        /// Where the record lies.
        partition: TopicPartition,
        /// Its offset.
        offset: Offset,
        /// Why.
        source: InvalidTimestamp,
    },
    /// A record to be sent has a negative time.
    #[error(
        "a record for topic {topic} has the negative time {timestamp}; Kafka would put its own"
    )]
    NegativeTimestamp {
        /// Where it was to go.
        topic: TopicName,
        /// The time.
        timestamp: Timestamp,
    },
    /// A key or value could not be written.
    #[error("the {part} of a record for topic {topic} cannot be written: {source}")]
    Serialize {
        /// Where it was to go.
        topic: TopicName,
        /// What of it.
        part: RecordPart,
        /// Why.
        source: SerdeError,
    },
    /// A row of a store could not be read back.
    #[error(
        "a {part} of the store with changelog {topic} cannot be read: {source}; was the serde changed?"
    )]
    Stored {
        /// The store's changelog.
        topic: TopicName,
        /// What of it.
        part: RecordPart,
        /// Why.
        source: SerdeError,
    },
    /// A record was not accepted for sending.
    #[error("sending to topic {topic} failed: {source}")]
    Send {
        /// Where it was to go.
        topic: TopicName,
        /// Why.
        source: CollectorError,
    },
    /// A store failed, or its changelog did not take a record.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task was asked for what it cannot do now.
    #[error("task {task} is {state} and cannot {event}")]
    State {
        /// The task.
        task: TaskId,
        /// What it is.
        state: TaskState,
        /// What was asked.
        event: TaskEvent,
    },
    /// The task is not running.
    #[error("task {task} is {state}: it takes no records and has nothing to commit")]
    NotRunning {
        /// The task.
        task: TaskId,
        /// What it is.
        state: TaskState,
    },
    /// An earlier failure or a panic interrupted the task in the middle of a record.
    #[error(
        "task {task} was interrupted in the middle of a record; close it dirty and build it anew"
    )]
    Corrupt {
        /// The task.
        task: TaskId,
    },
    /// The task has no such input.
    #[error("task {task} does not read {partition}")]
    UnknownInput {
        /// The task.
        task: TaskId,
        /// What was given to it.
        partition: TopicPartition,
    },
    /// The topology has no such sub-topology.
    #[error(
        "there is no sub-topology for task {task}; was the task assigned by an instance with another topology?"
    )]
    UnknownSubtopology {
        /// The task.
        task: TaskId,
    },
    /// The stores handed over are not those of the task.
    #[error("task {task} has {expected} stores, not {actual}")]
    Stores {
        /// The task.
        task: TaskId,
        /// Its stores.
        expected: usize,
        /// What was handed over.
        actual: usize,
    },
    /// Operators do not fit together: a defect of Millstream.
    #[error("operator {operator} was joined to operators of other types; please report it")]
    Wiring {
        /// The operator.
        operator: Arc<str>,
    },
}

/// Part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// What a runtime does about a [`TaskError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskErrorClass {
    /// The same record would fail again: ask the uncaught handler.
    Fatal,
    /// The task's local state is not to be trusted: close it dirty, wipe the store, restore.
    Corrupted,
    /// Sending failed: the collector's own error says what to do.
    Collector,
}

impl TaskError {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> TaskErrorClass {
        match self {
            _ if self.collector_error().is_some() => TaskErrorClass::Collector,
            Self::Store(error) if error.class() == StoreErrorClass::WipeAndRestore => {
                TaskErrorClass::Corrupted
            }
            Self::Corrupt { .. } => TaskErrorClass::Corrupted,
            _ => TaskErrorClass::Fatal,
        }
    }

    /// The collector's error, if it was the one that failed, for an operator or for a changelog.
    #[must_use]
    pub fn collector_error(&self) -> Option<&CollectorError> {
        match self {
            Self::Send { source, .. } => Some(source),
            Self::Store(StoreError::Changelog { source, .. }) => source.downcast_ref(),
            _ => None,
        }
    }

    #[cold]
    pub(crate) fn serialize(topic: &str, part: RecordPart, source: SerdeError) -> Self {
        Self::Serialize { topic: topic.into(), part, source }
    }

    #[cold]
    pub(crate) fn stored(topic: &str, part: RecordPart, source: SerdeError) -> Self {
        Self::Stored { topic: topic.into(), part, source }
    }

    #[cold]
    pub(crate) fn wiring(operator: &Arc<str>) -> Self {
        Self::Wiring { operator: operator.clone() }
    }
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}
