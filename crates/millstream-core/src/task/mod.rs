//! Tasks: one partition of a sub-topology, at work.
//!
//! A task is pure. Fetched batches and the time go in; records for topics come out, through a
//! [`RecordCollector`], and offsets to commit. It starts no thread, reads no clock and waits for
//! nothing. The order of calls of a runtime is:
//!
//! 1. [`Task::new`]; [`Task::restore`] while others bring its stores up to date; [`Task::run`] with
//!    the stores, on the thread that the task is to live on.
//! 2. [`Task::add_batch`], [`Task::process`] until it says that there is nothing to do.
//! 3. To commit all tasks of a thread: [`Task::flush_caches`] of each until none was dirty; await
//!    every acknowledgement; commit [`Task::offsets_to_commit`]; [`Task::freeze`];
//!    [`Task::committed`].
//! 4. [`Task::suspend`], and [`Task::restore`] again or [`Task::close`].
//!
//! After an error or a panic in any of these the task is to be dropped by [`Task::close_dirty`].

mod batch;
mod collector;
mod config;
mod error;
mod metrics;
mod offset_metadata;
mod partition_group;
mod queue;
mod running;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millstream_state::{CommittedState, OffsetRow};
use millstream_types::{LeaderEpoch, Offset, OffsetAndMetadata, Timestamp, TopicPartition};

use crate::topology::{StoreSpec, TaskId, Topology};

pub use batch::{RawRecord, RecordBatch};
pub use collector::{CollectorError, OutputKind, OutputRecord, OutputTopic, RecordCollector};
pub use config::{
    DeserializationFailure, DeserializationHandler, ErrorDecision, LogAndContinue, LogAndFail, Now,
    TaskConfig, TaskIdle,
};
pub use error::{RecordPart, TaskError, TaskErrorClass};
pub use metrics::{DropReason, TaskMetrics};
use running::Running;
pub use state::{TaskEvent, TaskState};

/// One task. See the module for the order of calls.
pub struct Task {
    topology: Topology,
    id: TaskId,
    /// The sub-topologies it works for: one, except in the test driver.
    groups: Vec<usize>,
    inputs: Vec<TopicPartition>,
    stores: Vec<StoreSpec>,
    config: TaskConfig,
    state: TaskState,
    running: Option<Running>,
    /// Set while a call is at work: still set if it failed or panicked.
    interrupted: bool,
}

impl Task {
    /// A task that reads `inputs`, which are partitions of its sub-topology's input topics.
    ///
    /// # Errors
    /// [`TaskError`] if the topology has no such sub-topology.
    pub fn new(
        topology: &Topology,
        id: TaskId,
        inputs: impl IntoIterator<Item = TopicPartition>,
        config: TaskConfig,
    ) -> Result<Self, TaskError> {
        let groups = topology.data().groups.len();
        match usize::try_from(id.subtopology.0) {
            Ok(group) if group < groups => {
                let inputs = inputs.into_iter().collect();
                Ok(Self::of_groups(topology, id, vec![group], inputs, config))
            }
            _ => Err(TaskError::UnknownSubtopology { task: id }),
        }
    }

    /// A task that works for several sub-topologies.
    pub(crate) fn of_groups(
        topology: &Topology,
        id: TaskId,
        groups: Vec<usize>,
        inputs: Vec<TopicPartition>,
        config: TaskConfig,
    ) -> Self {
        let stores = groups
            .iter()
            .flat_map(|&group| topology.data().stores_of(group))
            .map(|store| store.spec(&config.application_id))
            .collect();
        Self {
            topology: topology.clone(),
            id,
            groups,
            inputs,
            stores,
            config,
            state: TaskState::Created,
            running: None,
            interrupted: false,
        }
    }

    /// The task's name.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// Where it is in its life.
    #[must_use]
    pub const fn state(&self) -> TaskState {
        self.state
    }

    /// The partitions it reads.
    #[must_use]
    pub fn inputs(&self) -> &[TopicPartition] {
        &self.inputs
    }

    /// Its stores, in the order in which [`run`](Self::run) takes them.
    #[must_use]
    pub fn stores(&self) -> &[StoreSpec] {
        &self.stores
    }

    /// Notes that its stores are being restored.
    ///
    /// # Errors
    /// [`TaskError::State`] if it is not created or suspended.
    pub fn restore(&mut self) -> Result<(), TaskError> {
        self.transit(TaskEvent::Restore)
    }

    /// Builds the operators over the restored stores and starts to process. A task that was just
    /// created is taken through restoring first.
    ///
    /// # Errors
    /// [`TaskError`] if the stores are not as many as [`stores`](Self::stores), or the task is in no
    /// state to run.
    pub fn run(&mut self, stores: Vec<Arc<CommittedState>>) -> Result<(), TaskError> {
        if stores.len() != self.stores.len() {
            return Err(TaskError::Stores {
                task: self.id,
                expected: self.stores.len(),
                actual: stores.len(),
            });
        }
        if self.state == TaskState::Created {
            self.transit(TaskEvent::Restore)?;
        }
        if self.state.after(TaskEvent::Run).is_none() {
            return Err(self.refused(TaskEvent::Run));
        }
        self.running = Some(Running::build(self, stores)?);
        self.transit(TaskEvent::Run)
    }

    /// Takes over what was committed of an input partition: its position and its time.
    ///
    /// # Errors
    /// [`TaskError`] if the task does not run or does not read it.
    pub fn set_committed(
        &mut self,
        partition: &TopicPartition,
        committed: &OffsetAndMetadata,
    ) -> Result<(), TaskError> {
        self.queue(partition)?.set_committed(committed);
        Ok(())
    }

    /// Notes how far the consumer got in a partition, past records that are not for the task. All
    /// records before that must have been added.
    ///
    /// # Errors
    /// [`TaskError`] if the task does not run or does not read it.
    pub fn update_position(
        &mut self,
        partition: &TopicPartition,
        offset: Offset,
        leader_epoch: Option<LeaderEpoch>,
    ) -> Result<(), TaskError> {
        self.queue(partition)?.update_position(offset, leader_epoch);
        Ok(())
    }

    /// Notes how many records of a partition are still to be fetched, where that is known.
    ///
    /// # Errors
    /// [`TaskError`] if the task does not run or does not read it.
    pub fn update_lag(
        &mut self,
        partition: &TopicPartition,
        lag: Option<i64>,
    ) -> Result<(), TaskError> {
        self.queue(partition)?.lag = lag;
        Ok(())
    }

    /// Adds fetched records behind those that wait; says how many of the partition wait now. The
    /// caller pauses the partition when there are too many.
    ///
    /// # Errors
    /// [`TaskError`] if the first waiting record cannot be read and the handler chose to fail, or the
    /// task does not run or does not read the partition.
    pub fn add_batch(
        &mut self,
        partition: &TopicPartition,
        batch: Box<dyn RecordBatch>,
        now: Now,
    ) -> Result<usize, TaskError> {
        self.at_work(|running, config| running.add_batch(partition, batch, now, config))
    }

    /// How many records of a partition wait.
    #[must_use]
    pub fn buffered(&self, partition: &TopicPartition) -> usize {
        let running = self.running.as_ref();
        let queue = running.and_then(|running| running.inputs.queue(partition));
        queue.map_or(0, |queue| queue.buffered())
    }

    /// Takes one record, the one with the smallest time, and processes it to the end. False: there is
    /// none, or a partition that has none is worth waiting for.
    ///
    /// # Errors
    /// [`TaskError`] of the operator that failed. Close the task dirty.
    pub fn process(&mut self, now: Now, out: &mut dyn RecordCollector) -> Result<bool, TaskError> {
        Ok(self.process_many(now, 1, out)? == 1)
    }

    /// Processes up to `max` records, fewer if there are no more or a commit is asked for; says how
    /// many.
    ///
    /// # Errors
    /// As for [`process`](Self::process).
    pub fn process_many(
        &mut self,
        now: Now,
        max: usize,
        out: &mut dyn RecordCollector,
    ) -> Result<usize, TaskError> {
        self.at_work(|running, config| running.process_many(now, max, out, config))
    }

    /// Whether anything was consumed or changed since the last commit.
    #[must_use]
    pub fn commit_needed(&self) -> bool {
        self.running.as_ref().is_some_and(Running::commit_needed)
    }

    /// Whether the thread's uncommitted rows take more room than they may.
    #[must_use]
    pub fn commit_requested(&self) -> bool {
        self.running.is_some() && self.config.uncommitted.exceeded()
    }

    /// Writes everything that record caches hold back: into the stores, to the changelogs and on to
    /// the operators below. True: there was something, which may have dirtied others.
    ///
    /// # Errors
    /// [`TaskError`] of the operator that failed. Close the task dirty.
    pub fn flush_caches(&mut self, out: &mut dyn RecordCollector) -> Result<bool, TaskError> {
        self.at_work(|running, _| running.flush_caches(out))
    }

    /// What to commit: for each partition that something was taken from, the next record to process,
    /// with its leader epoch and, as Java writes it, the partition's time.
    #[must_use]
    pub fn offsets_to_commit(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        match &self.running {
            Some(running) if !self.interrupted => running.offsets_to_commit(),
            _ => BTreeMap::new(),
        }
    }

    /// After the changelog records are acknowledged and the offsets committed: hands the uncommitted
    /// rows of each store to its committed state, with the offset row that `offset_row` gives.
    ///
    /// # Errors
    /// [`TaskError`] of the store that failed. Close the task dirty.
    pub fn freeze(
        &mut self,
        mut offset_row: impl FnMut(&StoreSpec) -> Option<OffsetRow>,
    ) -> Result<(), TaskError> {
        let rows: Vec<_> = self.stores.iter().map(&mut offset_row).collect();
        self.at_work(|running, _| running.freeze(rows))
    }

    /// Ends a commit.
    pub fn committed(&mut self) {
        if let Some(running) = &mut self.running {
            running.committed();
        }
    }

    /// Every topic that the task writes, by index; none before it runs.
    #[must_use]
    pub fn output_topics(&self) -> &[OutputTopic] {
        self.running.as_ref().map_or(&[], |running| running.outputs.as_slice())
    }

    /// The highest time of all records processed, or [`Timestamp::NONE`].
    #[must_use]
    pub fn stream_time(&self) -> Timestamp {
        self.running.as_ref().map_or(Timestamp::NONE, |running| running.inputs.stream_time())
    }

    /// The task's counters; none before it runs.
    #[must_use]
    pub fn metrics(&self) -> Option<&TaskMetrics> {
        self.running.as_ref().map(|running| &running.scope.metrics)
    }

    /// Stops processing and drops operators, waiting records and uncommitted rows: commit first.
    ///
    /// # Errors
    /// [`TaskError::State`] if it is suspended or closed already.
    pub fn suspend(&mut self) -> Result<(), TaskError> {
        self.transit(TaskEvent::Suspend)?;
        self.drop_running();
        Ok(())
    }

    /// Ends a suspended task.
    ///
    /// # Errors
    /// [`TaskError::State`] if it is not suspended.
    pub fn close(&mut self) -> Result<(), TaskError> {
        self.transit(TaskEvent::Close)
    }

    /// Ends the task whatever it is at, also after a panic: nothing uncommitted is kept.
    pub fn close_dirty(&mut self) {
        if let Some(running) = &mut self.running {
            running.abort();
        }
        self.running = None;
        self.state = TaskState::Closed;
    }

    fn drop_running(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.abort();
        }
    }

    fn transit(&mut self, event: TaskEvent) -> Result<(), TaskError> {
        let Some(next) = self.state.after(event) else {
            return Err(self.refused(event));
        };
        tracing::debug!(task = %self.id, from = %self.state, to = %next, "task");
        self.state = next;
        Ok(())
    }

    fn refused(&self, event: TaskEvent) -> TaskError {
        TaskError::State { task: self.id, state: self.state, event }
    }

    const fn not_running(&self) -> TaskError {
        TaskError::NotRunning { task: self.id, state: self.state }
    }

    /// Runs a call that leaves the task unusable unless it succeeds.
    fn at_work<T>(
        &mut self,
        call: impl FnOnce(&mut Running, &TaskConfig) -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        if self.interrupted {
            return Err(TaskError::Corrupt { task: self.id });
        }
        let Some(running) = &mut self.running else {
            return Err(self.not_running());
        };
        self.interrupted = true;
        let done = call(running, &self.config)?;
        self.interrupted = false;
        Ok(done)
    }

    fn queue(&mut self, partition: &TopicPartition) -> Result<&mut queue::RecordQueue, TaskError> {
        let task = self.id;
        let not_running = self.not_running();
        let running = self.running.as_mut().ok_or(not_running)?;
        let queue = running.inputs.queue_mut(partition);
        queue.ok_or_else(|| TaskError::UnknownInput { task, partition: partition.clone() })
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}
