//! The tasks of a stream thread: those that run, those whose stores are being restored.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use millstream_client::{Batch, Consumer};
use millstream_core::{Now, StoreSpec, Task, TaskError, TaskId, TaskState};
use millstream_state::{CommittedState, LogIdentity, OffsetRow};
use millstream_types::{Offset, OffsetAndMetadata, TopicPartition};

use super::batch::BatchReader;
use super::collector::Collector;
use crate::StreamsError;
use crate::updater::{Incarnation, RestoredStore};

/// Tasks with the partitions that they read.
pub(super) type Inputs = BTreeMap<TaskId, Vec<TopicPartition>>;

/// What became of a batch.
pub(super) enum Added {
    /// So many records of the partition wait now.
    Waiting(usize),
    /// Its task is not running yet: it must be read again.
    TooSoon,
    /// No task here reads it.
    NotOurs,
}

/// A task and what the thread keeps beside it.
struct Entry {
    incarnation: Incarnation,
    task: Task,
    stores: Vec<RestoredStore>,
    dropped: u64,
}

/// The tasks of one thread.
#[derive(Default)]
pub(super) struct Tasks {
    entries: BTreeMap<TaskId, Entry>,
    incarnations: u64,
    by_partition: BTreeMap<TopicPartition, TaskId>,
    /// Paused partitions whose tasks hold more records than they should.
    full: BTreeSet<TopicPartition>,
}

impl Tasks {
    /// Takes on a task that does not run yet.
    pub(super) fn add(&mut self, id: TaskId, task: Task) -> Incarnation {
        self.incarnations += 1;
        let incarnation = Incarnation(self.incarnations);
        let partitions = task.inputs().iter();
        self.by_partition.extend(partitions.map(|partition| (partition.clone(), id)));
        self.entries.insert(id, Entry { incarnation, task, stores: Vec::new(), dropped: 0 });
        incarnation
    }

    pub(super) fn contains(&self, id: TaskId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Whether this is still the task that was added then, and not closed or added anew since.
    pub(super) fn is(&self, id: TaskId, incarnation: Incarnation) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.incarnation == incarnation)
    }

    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.entries.keys().copied().collect()
    }

    /// The partitions of a task.
    pub(super) fn partitions(&self, id: TaskId) -> Vec<TopicPartition> {
        self.entries.get(&id).map(|e| e.task.inputs().to_vec()).unwrap_or_default()
    }

    /// Starts a task on its stores, from these committed offsets.
    pub(super) fn run(
        &mut self,
        id: TaskId,
        stores: Vec<RestoredStore>,
        committed: &BTreeMap<TopicPartition, Option<OffsetAndMetadata>>,
    ) -> Result<(), StreamsError> {
        let Some(entry) = self.entries.get_mut(&id) else { return Ok(()) };
        let handles = stores.iter().map(|store| store.committed.clone()).collect();
        entry.task.run(handles).map_err(|error| failed(id, error))?;
        for (partition, offset) in committed {
            if let Some(offset) = offset {
                entry.task.set_committed(partition, offset).map_err(|error| failed(id, error))?;
            }
        }
        entry.stores = stores;
        Ok(())
    }

    /// The stores of a task are with the updater.
    pub(super) fn restore(&mut self, id: TaskId) -> Result<(), StreamsError> {
        let Some(entry) = self.entries.get_mut(&id) else { return Ok(()) };
        entry.task.restore().map_err(|error| failed(id, error))
    }

    pub(super) fn all_run(&self) -> bool {
        self.entries.values().all(is_running)
    }

    pub(super) fn wants_commit(&self) -> bool {
        self.running().any(|(_, entry)| entry.task.commit_requested())
    }

    /// Hands a batch to its task.
    pub(super) fn add_batch(
        &mut self,
        partition: &TopicPartition,
        batch: Batch,
        now: Now,
    ) -> Result<Added, StreamsError> {
        let Some(id) = self.by_partition.get(partition).copied() else { return Ok(Added::NotOurs) };
        let Some(entry) = self.entries.get_mut(&id) else { return Ok(Added::NotOurs) };
        if !is_running(entry) {
            return Ok(Added::TooSoon);
        }
        let reader = Box::new(BatchReader::new(batch));
        guarded(id, || entry.task.add_batch(partition, reader, now)).map(Added::Waiting)
    }

    /// A paused partition: it is reported again once there is room.
    pub(super) fn set_full(&mut self, partition: TopicPartition) {
        self.full.insert(partition);
    }

    /// The paused partitions with no more than `limit` records waiting.
    pub(super) fn take_partitions_with_room(&mut self, limit: usize) -> Vec<TopicPartition> {
        let (entries, by_partition) = (&self.entries, &self.by_partition);
        let has_room = |partition: &TopicPartition| {
            let entry = by_partition.get(partition).and_then(|id| entries.get(id));
            entry.is_none_or(|entry| entry.task.buffered(partition) <= limit)
        };
        let free: Vec<_> = self.full.iter().filter(|p| has_room(p)).cloned().collect();
        for partition in &free {
            self.full.remove(partition);
        }
        free
    }

    /// Tells the tasks what the consumer knows of inputs that have nothing waiting: how far it has
    /// read them, and how much is still to come.
    pub(super) fn update_inputs(&mut self, consumer: &Consumer) -> Result<(), StreamsError> {
        for (id, entry) in self.entries.iter_mut().filter(|(_, entry)| is_running(entry)) {
            let inputs = entry.task.inputs().iter();
            let drained = inputs.filter(|input| entry.task.buffered(input) == 0).cloned();
            for input in &drained.collect::<Vec<_>>() {
                let mut outcome = entry.task.update_lag(input, consumer.lag(input));
                if let Some(position) = consumer.position(input) {
                    let update = |()| entry.task.update_position(input, position, None);
                    outcome = outcome.and_then(update);
                }
                outcome.map_err(|error| failed(*id, error))?;
            }
        }
        Ok(())
    }

    /// Gives every running task a turn of up to `max` records.
    pub(super) fn process(
        &mut self,
        now: Now,
        max: usize,
        collector: &mut Collector,
    ) -> Result<u64, StreamsError> {
        let mut processed = 0;
        for (id, entry) in self.entries.iter_mut().filter(|(_, entry)| is_running(entry)) {
            let count = guarded(*id, || entry.task.process_many(now, max, collector))?;
            processed += u64::try_from(count).unwrap_or(u64::MAX);
        }
        Ok(processed)
    }

    /// Flushes the caches of all tasks, again and again until none is dirty: what one task's
    /// flush sends may reach another's store only through a topic, so one round is the rule.
    pub(super) fn flush_caches(&mut self, collector: &mut Collector) -> Result<(), StreamsError> {
        loop {
            let mut dirty = false;
            for (id, entry) in self.entries.iter_mut().filter(|(_, entry)| is_running(entry)) {
                dirty |= guarded(*id, || entry.task.flush_caches(collector))?;
            }
            if !dirty {
                return Ok(());
            }
        }
    }

    /// Where each input partition stands, with Java's metadata.
    pub(super) fn offsets_to_commit(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        self.running().flat_map(|(_, entry)| entry.task.offsets_to_commit()).collect()
    }

    /// The offsets are committed: freezes what the tasks wrote and gives the stores to apply.
    /// `end_of` tells how far a changelog was written and acknowledged.
    pub(super) fn freeze(
        &mut self,
        end_of: impl Fn(&TopicPartition) -> Option<Offset>,
    ) -> Result<Vec<Arc<CommittedState>>, StreamsError> {
        let mut frozen = Vec::new();
        for (id, entry) in self.entries.iter_mut().filter(|(_, entry)| is_running(entry)) {
            let mut stores = entry.stores.iter();
            // The task asks for its stores in their order, which is that of `entry.stores`.
            let row = |_: &StoreSpec| {
                let (changelog, log) = stores.next()?.log.as_ref()?;
                Some(offset_row(log, end_of(changelog)?))
            };
            entry.task.freeze(row).map_err(|error| failed(*id, error))?;
            entry.task.committed();
            frozen.extend(entry.stores.iter().map(|store| store.committed.clone()));
        }
        Ok(frozen)
    }

    /// Records passed over since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        let mut total = 0;
        for entry in self.entries.values_mut() {
            let Some(metrics) = entry.task.metrics() else { continue };
            let dropped = metrics.dropped_total();
            total += dropped - entry.dropped;
            entry.dropped = dropped;
        }
        total
    }

    /// The tasks that keep state.
    pub(super) fn stateful(&self) -> Vec<TaskId> {
        let stateful = self.entries.iter().filter(|(_, e)| !e.task.stores().is_empty());
        stateful.map(|(id, _)| *id).collect()
    }

    pub(super) fn has_others_than(&self, wanted: &Inputs) -> bool {
        self.entries.keys().any(|id| !wanted.contains_key(id))
    }

    /// Closes, after a commit, what is not `wanted` any more; gives what was closed.
    pub(super) fn close_others_than(&mut self, wanted: &Inputs) -> Vec<TaskId> {
        self.close_if(close_clean, |id, _| !wanted.contains_key(&id))
    }

    /// Whether any task of these partitions runs.
    pub(super) fn run_any_of(&self, partitions: &[TopicPartition]) -> bool {
        self.running().any(|(_, entry)| reads_any(entry, partitions))
    }

    /// Closes, after a commit, the tasks of these partitions; gives what was closed.
    pub(super) fn close_with(&mut self, partitions: &[TopicPartition]) -> Vec<TaskId> {
        self.close_if(close_clean, |_, entry| reads_any(entry, partitions))
    }

    /// Closes the tasks of these partitions and forgets what they did since the last commit; gives
    /// what was closed.
    pub(super) fn close_dirty_with(&mut self, partitions: &[TopicPartition]) -> Vec<TaskId> {
        self.close_if(Task::close_dirty, |_, entry| reads_any(entry, partitions))
    }

    /// Closes all tasks after a commit.
    pub(super) fn close_all(&mut self) {
        self.close_if(close_clean, |_, _| true);
    }

    /// Closes all tasks and forgets what they did since the last commit.
    pub(super) fn close_all_dirty(&mut self) {
        self.close_if(Task::close_dirty, |_, _| true);
    }

    fn close_if(
        &mut self,
        close: fn(&mut Task),
        wanted: impl Fn(TaskId, &Entry) -> bool,
    ) -> Vec<TaskId> {
        let closing: Vec<_> =
            self.entries.iter().filter(|(id, e)| wanted(**id, e)).map(|(id, _)| *id).collect();
        for id in &closing {
            let Some(mut entry) = self.entries.remove(id) else { continue };
            close(&mut entry.task);
            // Whoever opens the stores next, in this process or another, finds all that is
            // committed in the engine.
            for store in &entry.stores {
                if let Err(error) = store.committed.apply_frozen() {
                    tracing::warn!(task = %id, %error, "committed rows were not written: they will be restored");
                }
            }
        }
        let entries = &self.entries;
        self.by_partition.retain(|_, id| entries.contains_key(id));
        let by_partition = &self.by_partition;
        self.full.retain(|partition| by_partition.contains_key(partition));
        closing
    }

    fn running(&self) -> impl Iterator<Item = (&TaskId, &Entry)> {
        self.entries.iter().filter(|(_, entry)| is_running(entry))
    }
}

fn is_running(entry: &Entry) -> bool {
    entry.task.state() == TaskState::Running
}

/// Ends a task whose work is committed.
fn close_clean(task: &mut Task) {
    if let Err(error) = task.suspend().and_then(|()| task.close()) {
        tracing::debug!(task = %task.id(), %error, "closed dirty");
        task.close_dirty();
    }
}

fn reads_any(entry: &Entry, partitions: &[TopicPartition]) -> bool {
    entry.task.inputs().iter().any(|input| partitions.contains(input))
}

fn offset_row(log: &LogIdentity, next_offset: Offset) -> OffsetRow {
    OffsetRow {
        cluster_id: log.cluster_id.clone(),
        topic_id: log.topic_id,
        partition: log.partition,
        next_offset,
        leader_epoch: None,
    }
}

/// Runs user code: a panic ends the thread's work with its tasks, never the process.
fn guarded<T>(
    task: TaskId,
    work: impl FnOnce() -> Result<T, TaskError>,
) -> Result<T, StreamsError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|error| failed(task, error)),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let message = text.unwrap_or_else(|| "no message".to_owned());
            Err(StreamsError::Panic { task, message })
        }
    }
}

/// A store's failure has one name, whether a task or the updater met it first.
fn failed(task: TaskId, error: TaskError) -> StreamsError {
    match error {
        TaskError::Store(cause) => StreamsError::Store { task, cause: Arc::new(cause) },
        error => StreamsError::Task { task, cause: Arc::new(error) },
    }
}
