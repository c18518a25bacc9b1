//! What a task gives out: records for topics.

use std::sync::Arc;

use millstream_types::{Headers, PartitionId, Timestamp, TopicName};

/// A topic that a task writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputTopic {
    /// Its place among the task's output topics: from 0, without gaps.
    pub index: usize,
    /// Its real name.
    pub name: TopicName,
    /// What it is for.
    pub kind: OutputKind,
}

/// What a topic that a task writes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// The program's output.
    User,
    /// Carries records to the tasks of another sub-topology.
    Repartition,
    /// Holds a store's changes.
    Changelog,
}

/// A record to send, borrowed from the operator that made it.
#[derive(Clone, Copy, Debug)]
pub struct OutputRecord<'a> {
    /// The topic.
    pub topic: &'a OutputTopic,
    /// The partition; without one, the producer's partitioner chooses by the key's bytes.
    pub partition: Option<PartitionId>,
    /// The time; without one, the producer's clock says.
    pub timestamp: Option<Timestamp>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a Headers,
}

/// Takes the records that a task sends, in order.
pub trait RecordCollector {
    /// Accepts a record, which is copied or written before this returns. It may wait for room.
    ///
    /// # Errors
    /// [`CollectorError`] if the record cannot be accepted, or an earlier one was lost: the task is
    /// then to be closed dirty.
    fn send(&mut self, record: OutputRecord<'_>) -> Result<(), CollectorError>;
}

/// A record that was not accepted: wraps the sender's own error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{source}")]
pub struct CollectorError {
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl CollectorError {
    /// Wraps the sender's error.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(error) }
    }

    /// The sender's error, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.source.downcast_ref()
    }
}
