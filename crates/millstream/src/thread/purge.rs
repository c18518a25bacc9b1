//! Emptying repartition topics of what is committed, so that they need no retention of their own
//! (`StreamThread.maybePurgeCommittedRecords`, `TaskManager.maybePurgeCommittedRecords`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use millstream_client::Admin;
use millstream_core::Subtopology;
use millstream_types::{Offset, OffsetAndMetadata, TopicName, TopicPartition};
use tokio::task::JoinHandle;

/// Deletes committed records of repartition topics every now and then, beside the thread's work.
pub(super) struct Purge {
    admin: Admin,
    topics: BTreeSet<TopicName>,
    interval: Duration,
    last: Instant,
    /// Committed since the last purge.
    committed: BTreeMap<TopicPartition, Offset>,
    /// The purge that is under way: another one waits for it.
    running: Option<JoinHandle<()>>,
}

impl Purge {
    pub(super) fn new(admin: Admin, subtopologies: &[Subtopology], interval: Duration) -> Self {
        let topics = subtopologies.iter().flat_map(|subtopology| &subtopology.repartition_sources);
        Self {
            admin,
            topics: topics.map(|topic| topic.name.clone()).collect(),
            interval,
            last: Instant::now(),
            committed: BTreeMap::new(),
            running: None,
        }
    }

    /// These offsets are committed: what lies before them is read by nobody again.
    pub(super) fn note_committed(&mut self, offsets: BTreeMap<TopicPartition, OffsetAndMetadata>) {
        let ours = offsets.into_iter().filter(|(input, _)| self.topics.contains(&input.topic));
        self.committed.extend(ours.map(|(partition, committed)| (partition, committed.offset)));
    }

    /// Starts to delete, if the interval is over and nothing is under way. Nobody waits for it: a
    /// record that stays is deleted with the next ones.
    pub(super) fn run_if_due(&mut self, now: Instant) {
        let is_running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if is_running || self.committed.is_empty() || now < self.last + self.interval {
            return;
        }
        self.last = now;
        let (admin, before) = (self.admin.clone(), std::mem::take(&mut self.committed));
        self.running = Some(tokio::spawn(async move {
            if let Err(error) = admin.delete_records(before).await {
                tracing::warn!(%error, "committed records of repartition topics were not deleted");
            }
        }));
    }
}
