//! Restoring the stores of one task: where each starts, how far it is, when it is done.

use std::sync::Arc;
use std::time::Duration;

use millstream_client::Batch;
use millstream_core::TaskId;
use millstream_state::{
    CommittedState, LogIdentity, OffsetRow, OffsetVerdict, RestoreRecord, StoreError, ValueFormat,
    WipeReason,
};
use millstream_types::{Offset, TopicId, TopicPartition};
use tokio::runtime::Runtime;

use super::{Incarnation, RestoredStore, StoreToRestore, UpdaterParts};
use crate::StreamsError;

/// How long the brokers may take to say where changelogs start and end.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(60);

/// A task whose stores are being restored.
pub(super) struct TaskRestore {
    incarnation: Incarnation,
    stores: Vec<StoreRestore>,
    restored: u64,
}

struct StoreRestore {
    committed: Arc<CommittedState>,
    /// None without a changelog, and then there is nothing to do.
    log: Option<LogRestore>,
}

struct LogRestore {
    format: ValueFormat,
    changelog: TopicPartition,
    identity: LogIdentity,
    position: Offset,
}

impl TaskRestore {
    /// Opens the stores, wiping those whose state belongs to another log, and finds out from where
    /// to where each must be read.
    pub(super) fn open(
        parts: &UpdaterParts,
        runtime: &Runtime,
        task: TaskId,
        incarnation: Incarnation,
        stores: Vec<StoreToRestore>,
    ) -> Result<Self, StreamsError> {
        let identities = identities(parts, runtime, &stores)?;
        let mut opened = Vec::with_capacity(stores.len());
        for (store, identity) in stores.into_iter().zip(identities) {
            let store = open_store(parts, store, identity)
                .map_err(|cause| StreamsError::Store { task, cause: Arc::new(cause) })?;
            opened.push(store);
        }
        Ok(Self { incarnation, stores: opened, restored: 0 })
    }

    pub(super) const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(super) fn is_complete(&self) -> bool {
        self.logs().all(|log| log.position >= log.identity.log_end)
    }

    /// The changelogs that are still to be read, and from where.
    pub(super) fn positions(&self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        self.logs()
            .filter(|log| log.position < log.identity.log_end)
            .map(|log| (log.changelog.clone(), log.position))
    }

    pub(super) fn reads(&self, partition: &TopicPartition) -> bool {
        self.logs().any(|log| log.changelog == *partition)
    }

    /// How many records were restored.
    pub(super) const fn restored(&self) -> u64 {
        self.restored
    }

    /// Writes a batch of a changelog to its store; gives the number of records.
    pub(super) fn add(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let partition = batch.topic_partition();
        for store in &mut self.stores {
            let Some(log) = store.log.as_mut().filter(|log| log.changelog == *partition) else {
                continue;
            };
            let mut count = 0;
            let records = batch.iter().filter(|record| record.key().is_some()).map(|record| {
                count += 1;
                RestoreRecord {
                    key: record.key().unwrap_or_default(),
                    value: record.value(),
                    timestamp: record.timestamp(),
                }
            });
            let row = offset_row(&log.identity, batch.next_offset(), batch.leader_epoch());
            store.committed.restore(log.format, records, &row)?;
            log.position = batch.next_offset();
            self.restored += count;
            return Ok(count);
        }
        Ok(0)
    }

    /// Takes over positions that moved without records.
    pub(super) fn update_positions(
        &mut self,
        position: impl Fn(&TopicPartition) -> Option<Offset>,
    ) {
        for log in self.stores.iter_mut().filter_map(|store| store.log.as_mut()) {
            if let Some(position) = position(&log.changelog) {
                log.position = log.position.max(position);
            }
        }
    }

    pub(super) fn into_stores(self) -> Vec<RestoredStore> {
        let restored = |store: StoreRestore| RestoredStore {
            committed: store.committed,
            log: store.log.map(|log| (log.changelog, log.identity)),
        };
        self.stores.into_iter().map(restored).collect()
    }

    fn logs(&self) -> impl Iterator<Item = &LogRestore> {
        self.stores.iter().filter_map(|store| store.log.as_ref())
    }
}

/// The offset row of a store that holds its log up to `next_offset`.
fn offset_row(
    log: &LogIdentity,
    next_offset: Offset,
    leader_epoch: Option<millstream_types::LeaderEpoch>,
) -> OffsetRow {
    OffsetRow {
        cluster_id: log.cluster_id.clone(),
        topic_id: log.topic_id,
        partition: log.partition,
        next_offset,
        leader_epoch,
    }
}

fn open_store(
    parts: &UpdaterParts,
    store: StoreToRestore,
    identity: Option<LogIdentity>,
) -> Result<StoreRestore, StoreError> {
    let engine = &*parts.engine;
    let mut committed = CommittedState::open(engine, &store.tree)?;
    let (Some(changelog), Some(identity)) = (store.changelog, identity) else {
        return Ok(StoreRestore { committed: Arc::new(committed), log: None });
    };
    let position = match committed.judge(&identity)? {
        OffsetVerdict::Resume(offset) => offset,
        OffsetVerdict::Wipe(reason) => {
            // A store that is not there yet has nothing to wipe and nothing to report.
            if !matches!(reason, WipeReason::Missing) {
                parts.counters.add_wiped();
                tracing::warn!(store = store.tree, %changelog, %reason, "state wiped");
            }
            drop(committed);
            engine.drop_tree(&store.tree)?;
            committed = CommittedState::open(engine, &store.tree)?;
            identity.log_start
        }
    };
    let log = LogRestore { format: store.format, changelog, identity, position };
    Ok(StoreRestore { committed: Arc::new(committed), log: Some(log) })
}

/// Asks the brokers what each changelog is: its topic's id, its start and its end.
fn identities(
    parts: &UpdaterParts,
    runtime: &Runtime,
    stores: &[StoreToRestore],
) -> Result<Vec<Option<LogIdentity>>, StreamsError> {
    let changelogs: Vec<_> = stores.iter().filter_map(|store| store.changelog.clone()).collect();
    if changelogs.is_empty() {
        return Ok(vec![None; stores.len()]);
    }
    let reader = &parts.reader;
    let consumer = |error| StreamsError::Consumer(Arc::new(error));
    let starts = reader
        .beginning_offsets_blocking(changelogs.iter().cloned(), OFFSETS_TIMEOUT)
        .map_err(consumer)?;
    let ends = reader
        .end_offsets_blocking(changelogs.iter().cloned(), OFFSETS_TIMEOUT)
        .map_err(consumer)?;
    let topics = changelogs.iter().map(|partition| partition.topic.clone());
    let described = runtime
        .block_on(parts.admin.describe_topics(topics))
        .map_err(|errors| StreamsError::Topics(errors.to_string()))?;
    let identity = |changelog: &TopicPartition| LogIdentity {
        cluster_id: parts.cluster_id.clone(),
        topic_id: described
            .get(&changelog.topic)
            .map(|topic| topic.id)
            .filter(|id: &TopicId| id.is_known()),
        partition: changelog.partition,
        log_start: starts.get(changelog).copied().unwrap_or(Offset::ZERO),
        log_end: ends.get(changelog).copied().unwrap_or(Offset::ZERO),
    };
    Ok(stores.iter().map(|store| store.changelog.as_ref().map(identity)).collect())
}
