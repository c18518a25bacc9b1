//! What operators reach beside the record: the task's stores, its output and its counters.

use std::sync::Arc;

use millstream_state::{ChangelogRecord, ChangelogSink, KeyValueStore, RecordContext, StoreError};
use millstream_types::{Headers, PartitionId};

use crate::task::{DropReason, OutputRecord, OutputTopic, RecordCollector, TaskError, TaskMetrics};

/// Lent to an operator for one record.
pub(crate) struct Context<'a> {
    pub(crate) task: &'a mut TaskScope,
    pub(crate) out: &'a mut dyn RecordCollector,
}

/// What all operators of one task share.
pub(crate) struct TaskScope {
    pub(crate) partition: PartitionId,
    /// In the order of the sub-topology's stores.
    pub(crate) stores: Vec<StoreSlot>,
    /// Where the record being processed came from.
    pub(crate) record: RecordContext,
    pub(crate) metrics: TaskMetrics,
}

/// A store of the task, with its changelog.
pub(crate) struct StoreSlot {
    pub(crate) name: Arc<str>,
    pub(crate) store: KeyValueStore,
    pub(crate) changelog: Option<OutputTopic>,
}

impl Context<'_> {
    /// Sends a record to a topic.
    pub(crate) fn send(&mut self, record: OutputRecord<'_>) -> Result<(), TaskError> {
        let topic = record.topic;
        self.out
            .send(record)
            .map_err(|source| TaskError::Send { topic: topic.name.clone(), source })
    }

    /// Counts a record that goes no further.
    pub(crate) fn drop_record(&mut self, reason: DropReason) {
        self.task.metrics.count_drop(reason);
    }

    /// A store and the sink of its changelog records, to be used together.
    pub(crate) fn store(&mut self, slot: usize) -> StoreAccess<'_> {
        let task = &mut *self.task;
        let slot = &mut task.stores[slot];
        StoreAccess {
            store: &mut slot.store,
            context: &task.record,
            log: ChangelogWriter {
                store: &slot.name,
                topic: slot.changelog.as_ref(),
                partition: task.partition,
                out: &mut *self.out,
            },
        }
    }
}

/// A store, borrowed for one call.
pub(crate) struct StoreAccess<'a> {
    pub(crate) store: &'a mut KeyValueStore,
    pub(crate) context: &'a RecordContext,
    pub(crate) log: ChangelogWriter<'a>,
}

/// Writes a store's changelog records to the task's partition of its topic.
pub(crate) struct ChangelogWriter<'a> {
    store: &'a Arc<str>,
    topic: Option<&'a OutputTopic>,
    partition: PartitionId,
    out: &'a mut dyn RecordCollector,
}

static NO_HEADERS: Headers = Headers::new();

impl ChangelogSink for ChangelogWriter<'_> {
    fn append(&mut self, record: ChangelogRecord<'_>) -> Result<(), StoreError> {
        let Some(topic) = self.topic else {
            return Ok(());
        };
        let sent = self.out.send(OutputRecord {
            topic,
            partition: Some(self.partition),
            timestamp: Some(record.timestamp),
            key: Some(record.key),
            value: record.value,
            headers: &NO_HEADERS,
        });
        sent.map_err(|error| StoreError::Changelog {
            store: self.store.clone(),
            source: Arc::new(error),
        })
    }
}
