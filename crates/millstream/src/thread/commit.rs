//! The commit of a thread, all its tasks together.
//!
//! The order is the one that exactly-once needs: caches are flushed until nothing is dirty, every
//! acknowledgement is awaited, offsets are committed, and only then do the tasks' writes become
//! committed state. Whatever fails before the end leaves the stores as of the last commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_core::{StoreSpec, Task, TaskId};
use millstream_types::TopicPartition;

use super::StreamThread;
use crate::StreamsError;
use crate::updater::{Incarnation, RestoredStore, StoreToRestore};

/// Commits in a row that may fail before the thread gives up.
const COMMIT_FAILURES_MAX: u32 = 3;
/// How long the brokers may take to say what is committed.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(60);

impl StreamThread {
    /// Commits every running task; says whether there were offsets to commit.
    pub(super) async fn commit(&mut self) -> Result<bool, StreamsError> {
        self.last_commit = Instant::now();
        self.tasks.update_inputs(&self.consumer)?;
        self.tasks.flush_caches(&mut self.collector)?;
        self.collector.flush().await?;
        let offsets = self.tasks.offsets_to_commit();
        let has_offsets = !offsets.is_empty();
        if has_offsets {
            self.consumer
                .commit_offsets(offsets.clone())
                .await
                .map_err(|error| StreamsError::Commit(Arc::new(error)))?;
            self.app.counters().add_commit();
            self.purge.note_committed(offsets);
        }
        self.purge.run_if_due(Instant::now());
        let collector = &self.collector;
        let frozen = self.tasks.freeze(|changelog| collector.end_of(changelog))?;
        self.updater.apply(frozen);
        self.last_commit = Instant::now();
        Ok(has_offsets)
    }

    /// Commits; if the offsets could not be committed, or may not have been, the tasks' state is
    /// given up and restored, and their records are processed again.
    pub(super) async fn commit_or_revive(&mut self) -> Result<(), StreamsError> {
        match self.commit().await {
            // A commit of nothing says nothing about the next one.
            Ok(has_offsets) if has_offsets => self.commit_failures = 0,
            Ok(_) => {}
            Err(error @ StreamsError::Commit(_)) if self.commit_failures < COMMIT_FAILURES_MAX => {
                self.commit_failures += 1;
                tracing::warn!(%error, "the commit failed: tasks start again from the last one");
                self.revive().await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Starts every task that this member still owns again from its last commit.
    async fn revive(&mut self) -> Result<(), StreamsError> {
        let ids = self.tasks.ids();
        let partitions: Vec<_> = ids.iter().map(|id| (*id, self.tasks.partitions(*id))).collect();
        self.updater.cancel(ids);
        self.tasks.close_all_dirty();
        let consumer = |error| StreamsError::Consumer(Arc::new(error));
        let owned = self.consumer.assignment();
        for (task, inputs) in partitions {
            if !inputs.iter().all(|partition| owned.contains(partition)) {
                continue;
            }
            let committed = self.consumer.committed(inputs.clone()).await.map_err(consumer)?;
            for (partition, offset) in committed {
                match offset {
                    Some(committed) => self.consumer.seek(&partition, committed.offset),
                    None => self.consumer.seek_to_beginning([partition]),
                }
                .map_err(consumer)?;
            }
            self.create_task(task, inputs).await?;
        }
        self.report_state();
        Ok(())
    }

    /// Takes on a task: its records wait until its stores are restored.
    pub(super) async fn create_task(
        &mut self,
        id: TaskId,
        inputs: Vec<TopicPartition>,
    ) -> Result<(), StreamsError> {
        let config = self.task_config.clone();
        let task = Task::new(self.app.topology(), id, inputs.iter().cloned(), config)
            .map_err(|error| StreamsError::Task { task: id, cause: Arc::new(error) })?;
        let stores = stores_to_restore(&task, id);
        let incarnation = self.tasks.add(id, task);
        self.consumer.pause(inputs).map_err(|error| StreamsError::Consumer(Arc::new(error)))?;
        if stores.is_empty() {
            return self.run_task(id, incarnation, Vec::new()).await;
        }
        self.tasks.restore(id)?;
        self.updater.restore(id, incarnation, stores);
        Ok(())
    }

    /// Starts a task on its restored stores, unless it was closed in the meantime.
    pub(super) async fn run_task(
        &mut self,
        id: TaskId,
        incarnation: Incarnation,
        stores: Vec<RestoredStore>,
    ) -> Result<(), StreamsError> {
        if !self.tasks.is(id, incarnation) {
            return Ok(());
        }
        let consumer = |error| StreamsError::Consumer(Arc::new(error));
        let inputs = self.tasks.partitions(id);
        let committed = self.consumer.committed(inputs.clone());
        let committed = tokio::time::timeout(COMMITTED_TIMEOUT, committed)
            .await
            .map_err(|_| StreamsError::CommittedTimeout { task: id })?
            .map_err(consumer)?;
        self.tasks.run(id, stores, &committed)?;
        self.consumer.resume(inputs).map_err(consumer)
    }
}

/// The stores of a task, as the updater opens them.
fn stores_to_restore(task: &Task, id: TaskId) -> Vec<StoreToRestore> {
    let store = |spec: &StoreSpec| StoreToRestore {
        tree: millstream_state::tree_name(&id.to_string(), &spec.name),
        format: spec.format,
        changelog: spec.changelog.as_ref().map(|topic| TopicPartition::new(topic, id.partition)),
    };
    task.stores().iter().map(store).collect()
}
