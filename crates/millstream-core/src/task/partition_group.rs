//! The input partitions of a task: which record is next, and whether to wait for others first
//! (Java's `PartitionGroup`).

use std::collections::BTreeMap;

use millstream_types::{Timestamp, TopicPartition};

use super::queue::RecordQueue;
use super::{Now, TaskConfig, TaskError, TaskIdle};
use crate::operator::Context;

/// The queues of a task, and the order of their heads.
pub(super) struct PartitionGroup {
    queues: Vec<RecordQueue>,
    by_partition: BTreeMap<TopicPartition, usize>,
    /// Queues with a head, as `java.util.PriorityQueue` keeps them: queues of equal time come out in
    /// Java's order.
    heap: Vec<usize>,
    stream_time: Timestamp,
}

impl PartitionGroup {
    pub(super) fn new(queues: Vec<RecordQueue>) -> Self {
        let by_partition = queues
            .iter()
            .enumerate()
            .map(|(index, queue)| (queue.partition.clone(), index))
            .collect();
        Self { queues, by_partition, heap: Vec::new(), stream_time: Timestamp::NONE }
    }

    /// The highest time of all records taken so far.
    pub(super) const fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    pub(super) fn queues(&self) -> &[RecordQueue] {
        &self.queues
    }

    pub(super) fn queues_mut(&mut self) -> &mut [RecordQueue] {
        &mut self.queues
    }

    pub(super) fn queue(&self, partition: &TopicPartition) -> Option<&RecordQueue> {
        Some(&self.queues[*self.by_partition.get(partition)?])
    }

    pub(super) fn queue_mut(&mut self, partition: &TopicPartition) -> Option<&mut RecordQueue> {
        Some(&mut self.queues[*self.by_partition.get(partition)?])
    }

    /// Adds to a queue by `add`, which may give it a head.
    pub(super) fn fill(
        &mut self,
        partition: &TopicPartition,
        add: impl FnOnce(&mut RecordQueue) -> Result<(), TaskError>,
    ) -> Option<Result<usize, TaskError>> {
        let index = *self.by_partition.get(partition)?;
        let queue = &mut self.queues[index];
        let had_head = queue.head_timestamp().is_some();
        let added = add(queue);
        let (has_head, buffered) = (queue.head_timestamp().is_some(), queue.buffered());
        if has_head && !had_head {
            self.offer(index);
        }
        Some(added.map(|()| buffered))
    }

    /// Whether a record is to be taken now: there is one, and no input that is worth waiting for is
    /// empty.
    pub(super) fn is_ready(&mut self, now: Now, idle: TaskIdle) -> bool {
        if self.heap.is_empty() {
            return false;
        }
        let TaskIdle::For(idle) = idle else {
            return true;
        };
        if self.heap.len() == self.queues.len() {
            return true;
        }
        let mut ready = true;
        for queue in &mut self.queues {
            if queue.head_timestamp().is_some() {
                continue;
            }
            match queue.lag {
                // Known to be drained: waited for a while.
                Some(..=0) => {
                    let deadline = *queue.idle_until.get_or_insert(now.monotonic + idle);
                    ready &= now.monotonic >= deadline;
                }
                // Unknown, or known to have more on the broker.
                Some(_) | None => {
                    queue.idle_until = None;
                    ready = false;
                }
            }
        }
        ready
    }

    /// Takes the record with the smallest time and processes it. False: there is none.
    pub(super) fn process(
        &mut self,
        cx: &mut Context<'_>,
        now: Now,
        config: &TaskConfig,
    ) -> Result<bool, TaskError> {
        let Some(index) = self.poll() else {
            return Ok(false);
        };
        let queue = &mut self.queues[index];
        if let Some(timestamp) = queue.head_timestamp() {
            self.stream_time = self.stream_time.max(timestamp);
        }
        queue.process(cx, now, config)?;
        if queue.head_timestamp().is_some() {
            self.offer(index);
        }
        Ok(true)
    }

    fn time(&self, slot: usize) -> Option<Timestamp> {
        self.queues[self.heap[slot]].head_timestamp()
    }

    /// `PriorityQueue.offer`.
    fn offer(&mut self, index: usize) {
        self.heap.push(index);
        let mut slot = self.heap.len() - 1;
        while slot > 0 {
            let parent = (slot - 1) / 2;
            if self.time(slot) >= self.time(parent) {
                break;
            }
            self.heap.swap(slot, parent);
            slot = parent;
        }
    }

    /// `PriorityQueue.poll`.
    fn poll(&mut self) -> Option<usize> {
        if self.heap.len() <= 1 {
            return self.heap.pop();
        }
        let first = self.heap.swap_remove(0);
        let (mut slot, len) = (0, self.heap.len());
        while slot < len / 2 {
            let mut child = 2 * slot + 1;
            if child + 1 < len && self.time(child) > self.time(child + 1) {
                child += 1;
            }
            if self.time(slot) <= self.time(child) {
                break;
            }
            self.heap.swap(slot, child);
            slot = child;
        }
        Some(first)
    }
}
