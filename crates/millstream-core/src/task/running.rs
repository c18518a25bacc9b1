//! A task between `run` and `suspend`: its queues, its operators and its stores.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use millstream_state::{
    CacheForwarding, CommittedState, KeyValueOptions, KeyValueStore, OffsetRow, RecordContext,
};
use millstream_types::{OffsetAndMetadata, TopicPartition};

use super::partition_group::PartitionGroup;
use super::queue::RecordQueue;
use super::{
    Now, OutputKind, OutputTopic, RecordBatch, RecordCollector, Task, TaskConfig, TaskError,
    TaskMetrics,
};
use crate::operator::{CachedOperator, Context, StoreSlot, TaskScope, build_task};
use crate::topology::{StoreSpec, TaskId};

/// The working parts of a task.
pub(crate) struct Running {
    task: TaskId,
    pub(super) inputs: PartitionGroup,
    pub(crate) scope: TaskScope,
    /// By slot of the store.
    cached: BTreeMap<usize, Rc<RefCell<dyn CachedOperator>>>,
    pub(super) outputs: Vec<OutputTopic>,
}

impl Running {
    pub(super) fn build(task: &Task, stores: Vec<Arc<CommittedState>>) -> Result<Self, TaskError> {
        let names: Vec<_> = task.stores.iter().map(|spec| spec.name.clone()).collect();
        let application_id = &task.config.application_id;
        let data = task.topology.data();
        let mut built = build_task(data, &task.groups, application_id, &names)?;
        let slots = task
            .stores
            .iter()
            .zip(stores)
            .map(|(spec, committed)| slot(spec, committed, &task.config, &built.outputs))
            .collect();
        let mut queues = Vec::with_capacity(task.inputs.len());
        for partition in &task.inputs {
            let Some(inputs) = built.sources.remove(&partition.topic) else {
                return Err(TaskError::UnknownInput {
                    task: task.id,
                    partition: partition.clone(),
                });
            };
            queues.push(RecordQueue::new(partition.clone(), inputs));
        }
        Ok(Self {
            task: task.id,
            inputs: PartitionGroup::new(queues),
            scope: TaskScope {
                partition: task.id.partition,
                stores: slots,
                record: RecordContext::default(),
                metrics: TaskMetrics::default(),
            },
            cached: built.cached,
            outputs: built.outputs,
        })
    }

    pub(super) fn add_batch(
        &mut self,
        partition: &TopicPartition,
        batch: Box<dyn RecordBatch>,
        now: Now,
        config: &TaskConfig,
    ) -> Result<usize, TaskError> {
        let metrics = &mut self.scope.metrics;
        let added = self.inputs.fill(partition, |queue| queue.add(batch, now, config, metrics));
        added.unwrap_or_else(|| {
            Err(TaskError::UnknownInput { task: self.task, partition: partition.clone() })
        })
    }

    pub(super) fn process_many(
        &mut self,
        now: Now,
        max: usize,
        out: &mut dyn RecordCollector,
        config: &TaskConfig,
    ) -> Result<usize, TaskError> {
        let mut cx = Context { task: &mut self.scope, out };
        for done in 0..max {
            let asked = done > 0 && config.uncommitted.exceeded();
            if asked || !self.inputs.is_ready(now, config.max_task_idle) {
                return Ok(done);
            }
            if !self.inputs.process(&mut cx, now, config)? {
                return Ok(done);
            }
        }
        Ok(max)
    }

    pub(super) fn flush_caches(
        &mut self,
        out: &mut dyn RecordCollector,
    ) -> Result<bool, TaskError> {
        let mut cx = Context { task: &mut self.scope, out };
        let mut flushed = false;
        for operator in self.cached.values() {
            let mut operator = operator.borrow_mut();
            if operator.is_dirty(&mut cx) {
                operator.flush(&mut cx)?;
                flushed = true;
            }
        }
        Ok(flushed)
    }

    pub(super) fn commit_needed(&self) -> bool {
        let mut queues = self.inputs.queues().iter();
        queues.any(RecordQueue::is_consumed)
    }

    pub(super) fn offsets_to_commit(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let queues = self.inputs.queues().iter();
        queues
            .filter_map(|queue| Some((queue.partition.clone(), queue.offset_to_commit()?)))
            .collect()
    }

    pub(super) fn freeze(&mut self, rows: Vec<Option<OffsetRow>>) -> Result<(), TaskError> {
        for (slot, row) in self.scope.stores.iter_mut().zip(rows) {
            slot.store.freeze(row)?;
        }
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        for queue in self.inputs.queues_mut() {
            queue.committed();
        }
    }

    pub(super) fn abort(&mut self) {
        for slot in &mut self.scope.stores {
            slot.store.abort();
        }
    }
}

/// Lays the layers of a store over what is committed of it.
fn slot(
    spec: &StoreSpec,
    committed: Arc<CommittedState>,
    config: &TaskConfig,
    outputs: &[OutputTopic],
) -> StoreSlot {
    let mut options = KeyValueOptions::new(config.uncommitted.clone()).format(spec.format);
    if spec.cached {
        options = options.cached(config.cache.clone()).forwarding(CacheForwarding::New);
    }
    let changelog = spec.changelog.as_ref().and_then(|topic| {
        let mut changelogs = outputs.iter().filter(|output| output.kind == OutputKind::Changelog);
        changelogs.find(|output| output.name == *topic).cloned()
    });
    StoreSlot { name: spec.name.clone(), store: KeyValueStore::new(committed, options), changelog }
}
