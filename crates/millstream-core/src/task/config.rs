//! What the tasks of a stream thread are told when they are made.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_state::ByteBudget;
use millstream_types::{Offset, SerdeError, Timestamp, TopicPartition};

use super::RecordPart;

/// The time, given to every call that needs it: a task reads no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub monotonic: Instant,
    /// The time of day, for records.
    pub wall: Timestamp,
}

/// Settings of tasks. The budgets are the thread's: all its tasks share them.
#[derive(Clone)]
pub struct TaskConfig {
    pub(crate) application_id: Arc<str>,
    pub(crate) cache: Arc<ByteBudget>,
    pub(crate) uncommitted: Arc<ByteBudget>,
    pub(crate) deserialization: Arc<dyn DeserializationHandler>,
    pub(crate) max_task_idle: TaskIdle,
}

/// What `statestore.cache.max.bytes` is by default.
const CACHE_BYTES: u64 = 10 << 20;

/// What `statestore.uncommitted.max.bytes` is by default.
const UNCOMMITTED_BYTES: u64 = 64 << 20;

impl TaskConfig {
    /// Java's defaults for the application of this id.
    pub fn new(application_id: impl Into<Arc<str>>) -> Self {
        Self {
            application_id: application_id.into(),
            cache: Arc::new(ByteBudget::new(CACHE_BYTES)),
            uncommitted: Arc::new(ByteBudget::new(UNCOMMITTED_BYTES)),
            deserialization: Arc::new(LogAndFail),
            max_task_idle: TaskIdle::For(Duration::ZERO),
        }
    }

    /// Sets the thread's budget for record caches.
    #[doc(alias = "statestore.cache.max.bytes")]
    #[must_use]
    pub fn cache(mut self, budget: Arc<ByteBudget>) -> Self {
        self.cache = budget;
        self
    }

    /// Sets the thread's budget for uncommitted rows; beyond it a task asks for a commit.
    #[doc(alias = "statestore.uncommitted.max.bytes")]
    #[must_use]
    pub fn uncommitted(mut self, budget: Arc<ByteBudget>) -> Self {
        self.uncommitted = budget;
        self
    }

    /// Sets what decides about records that cannot be read.
    #[doc(alias = "deserialization.exception.handler")]
    #[must_use]
    pub fn deserialization_handler(mut self, handler: Arc<dyn DeserializationHandler>) -> Self {
        self.deserialization = handler;
        self
    }

    /// Sets how long a task waits for input partitions that have nothing buffered.
    #[doc(alias = "max.task.idle.ms")]
    #[must_use]
    pub const fn max_task_idle(mut self, idle: TaskIdle) -> Self {
        self.max_task_idle = idle;
        self
    }
}

impl fmt::Debug for TaskConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskConfig")
            .field("application_id", &self.application_id)
            .field("cache", &self.cache)
            .field("uncommitted", &self.uncommitted)
            .field("max_task_idle", &self.max_task_idle)
            .finish_non_exhaustive()
    }
}

/// How long a task with several inputs waits for those that have nothing buffered, so that it takes
/// records in the order of their times (KIP-695).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskIdle {
    /// Not at all (-1).
    Disabled,
    /// Until the input is known to be drained, and then this much longer.
    For(Duration),
}

/// A record that could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeserializationFailure<'a> {
    /// Where it lies.
    pub partition: &'a TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// What of it.
    pub part: RecordPart,
    /// The bytes of its key.
    pub key: Option<&'a [u8]>,
    /// The bytes of its value.
    pub value: Option<&'a [u8]>,
    /// Why.
    pub error: &'a SerdeError,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorDecision {
    /// Stop the task.
    Fail,
    /// Count the record as dropped and go on.
    Continue,
}

/// Decides about records that cannot be read.
pub trait DeserializationHandler: Send + Sync {
    /// Decides about one.
    fn decide(&self, failure: &DeserializationFailure<'_>) -> ErrorDecision;
}

/// Fails. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAndFail;

/// Leaves the record out.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAndContinue;

impl DeserializationHandler for LogAndFail {
    fn decide(&self, failure: &DeserializationFailure<'_>) -> ErrorDecision {
        tracing::error!(
            partition = %failure.partition, offset = %failure.offset, part = %failure.part,
            error = %failure.error, "a record cannot be read; failing"
        );
        ErrorDecision::Fail
    }
}

impl DeserializationHandler for LogAndContinue {
    fn decide(&self, failure: &DeserializationFailure<'_>) -> ErrorDecision {
        tracing::warn!(
            partition = %failure.partition, offset = %failure.offset, part = %failure.part,
            error = %failure.error, "a record cannot be read; leaving it out"
        );
        ErrorDecision::Continue
    }
}
