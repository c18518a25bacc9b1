//! Where callers put records: per partition one open batch under one short lock, and behind it the
//! closed batches that wait for the driver.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_protocol::batch::{AppendError, BatchBuilder};
use millstream_types::{Offset, PartitionId, Record, Timestamp, TopicName};

use super::codec::Codec;
use super::delivery::{BatchHandle, Delivery};
use super::memory::{BufferPool, PooledBuffer};
use super::metrics::{ProducerCounters, TopicCounters};
use super::partitioner::{Choices, Sticky};

/// A topic that records can be put into.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) partitions: Vec<Arc<Partition>>,
    pub(crate) common: Arc<TopicCommon>,
}

/// What the partitions of a topic share, for the producer's life.
#[derive(Debug)]
pub(crate) struct TopicCommon {
    pub(crate) sticky: Sticky,
    /// The size of buffer that batches of the sticky partition lately filled, whichever it was.
    sticky_class: AtomicUsize,
    /// The next partition in turn, for the round robin partitioner.
    turn: AtomicU32,
    pub(crate) codec: Arc<Codec>,
    /// What compression lately left of 1,000 bytes.
    pub(crate) ratio: AtomicU32,
    pub(crate) counters: Arc<TopicCounters>,
}

impl TopicCommon {
    pub(crate) fn new(
        name: &TopicName,
        seed: u64,
        codec: Arc<Codec>,
        counters: &ProducerCounters,
    ) -> Self {
        Self {
            sticky: Sticky::new(seed),
            sticky_class: AtomicUsize::new(0),
            turn: AtomicU32::new(0),
            codec,
            ratio: AtomicU32::new(1_000),
            counters: counters.topic(name),
        }
    }
}

impl TopicCommon {
    /// The size of buffer to open a batch of the sticky partition with: there is one such batch, so
    /// that a partition without a history need not begin small.
    pub(crate) fn sticky_class(&self) -> usize {
        self.sticky_class.load(Ordering::Relaxed)
    }
}

impl Topic {
    /// The next partition in turn that has a leader; the next one where none has
    /// (`RoundRobinPartitioner`).
    pub(crate) fn next_in_turn(&self) -> u32 {
        let count = self.count().max(1);
        let next = || self.common.turn.fetch_add(1, Ordering::Relaxed) % count;
        let first = next();
        if self.has_leader(first) {
            return first;
        }
        (1..count).map(|_| next()).find(|next| self.has_leader(*next)).unwrap_or(first)
    }
}

impl Choices for Topic {
    fn count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    fn has_leader(&self, partition: u32) -> bool {
        let partition = self.partitions.get(partition as usize);
        partition.is_some_and(|partition| partition.has_leader.load(Ordering::Relaxed))
    }

    fn queue_length(&self, partition: u32) -> Option<u32> {
        let partition = self.partitions.get(partition as usize)?;
        let is_available = partition.has_leader.load(Ordering::Relaxed)
            && !partition.is_avoided.load(Ordering::Relaxed);
        is_available.then(|| partition.unresolved.load(Ordering::Relaxed))
    }
}

/// A partition, as callers and the machine share it.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) topic: TopicName,
    pub(crate) id: PartitionId,
    /// The machine's number for it.
    pub(crate) index: usize,
    /// Whether the machine knows a leader.
    pub(crate) has_leader: AtomicBool,
    /// Whether its leader has not answered for `partitioner.availability.timeout.ms`.
    pub(crate) is_avoided: AtomicBool,
    /// The batches without an end.
    pub(crate) unresolved: AtomicU32,
    /// Whether the machine has been told to look here and has not yet.
    pub(crate) is_announced: AtomicBool,
    /// The highest offset acknowledged; -1 for none.
    acknowledged: AtomicI64,
    pub(crate) common: Arc<TopicCommon>,
    queue: Mutex<Queue>,
}

/// The batches of a partition that the machine has not taken.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The batch that takes records.
    pub(crate) open: Option<OpenBatch>,
    /// Batches in order, sealed or about to be.
    pub(crate) closed: VecDeque<Arc<BatchHandle>>,
    /// The size of buffer that batches lately filled.
    class: usize,
}

/// A batch that takes records.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    builder: BatchBuilder,
    /// The charge of the builder's buffer.
    buffer: PooledBuffer,
    pub(crate) handle: Arc<BatchHandle>,
}

impl Partition {
    pub(crate) fn new(
        topic: TopicName,
        id: PartitionId,
        index: usize,
        common: Arc<TopicCommon>,
    ) -> Self {
        Self {
            topic,
            id,
            index,
            has_leader: AtomicBool::new(false),
            is_avoided: AtomicBool::new(false),
            unresolved: AtomicU32::new(0),
            is_announced: AtomicBool::new(false),
            acknowledged: AtomicI64::new(-1),
            common,
            queue: Mutex::new(Queue { open: None, closed: VecDeque::new(), class: 0 }),
        }
    }

    /// The partition's batches. Held for one record or one decision, never longer.
    #[inline]
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest offset acknowledged.
    pub(crate) fn acknowledged(&self) -> Option<Offset> {
        let offset = self.acknowledged.load(Ordering::Acquire);
        (offset >= 0).then_some(Offset(offset))
    }

    /// Notes that all up to `offset` is written.
    pub(crate) fn acknowledge(&self, offset: Offset) {
        self.acknowledged.fetch_max(offset.value(), Ordering::AcqRel);
    }

    /// The topic was made anew: its offsets begin again.
    pub(crate) fn forget_acknowledged(&self) {
        self.acknowledged.store(-1, Ordering::Release);
    }

    /// Closes the open batch: it takes no more records and stands in line to be sent. What is
    /// returned is to be sealed, outside the lock.
    pub(crate) fn close_open(&self, queue: &mut Queue) -> Option<OpenBatch> {
        let open = queue.open.take()?;
        let size = open.builder.size();
        // Follow what batches fill: up at once, down by halves.
        let filled = BufferPool::class_of(size);
        queue.class = filled.max(queue.class / 2);
        open.handle.set_records(open.builder.record_count());
        queue.closed.push_back(Arc::clone(&open.handle));
        if let Ok(id) = u32::try_from(self.id.value()) {
            let is_sticky = self.common.sticky.add(id, u32::try_from(size).unwrap_or(u32::MAX));
            if is_sticky {
                let class = filled.max(self.common.sticky_class() / 2);
                self.common.sticky_class.store(class, Ordering::Relaxed);
            }
        }
        Some(open)
    }
}

impl Queue {
    /// The size of buffer to open the next batch with.
    pub(crate) const fn class(&self) -> usize {
        self.class
    }
}

impl OpenBatch {
    /// Opens a batch of at most `limit` bytes in `buffer`.
    pub(crate) fn new(mut buffer: PooledBuffer, limit: usize, handle: Arc<BatchHandle>) -> Self {
        let limit = buffer.charge().min(limit);
        Self { builder: BatchBuilder::new(buffer.take_vec(), limit), buffer, handle }
    }

    /// Encodes a record behind the others.
    #[inline]
    pub(crate) fn append(
        &mut self,
        record: &Record<'_>,
        timestamp: Timestamp,
    ) -> Result<Delivery, AppendError> {
        let index = self.builder.append(
            timestamp,
            record.key_bytes(),
            record.value_bytes(),
            record.headers(),
        )?;
        let handle = Arc::clone(&self.handle);
        Ok(Delivery::new(handle, index.unsigned_abs(), timestamp))
    }

    /// Makes room for `needed` bytes in all, within `batch_size` and the budget.
    pub(crate) fn grow(&mut self, needed: usize, batch_size: usize) -> bool {
        if needed > batch_size || !self.buffer.try_grow(needed) {
            return false;
        }
        self.builder.raise_limit(self.buffer.charge().min(batch_size));
        true
    }

    /// The size of the batch so far.
    pub(crate) const fn size(&self) -> usize {
        self.builder.size()
    }

    /// Seals a batch that will not be sent, so that its records can be read again.
    pub(crate) fn into_sealed_bytes(self) -> Vec<u8> {
        self.builder.seal().into_bytes()
    }

    /// Takes the batch apart for sealing.
    pub(crate) fn into_parts(self) -> (BatchBuilder, PooledBuffer, Arc<BatchHandle>) {
        (self.builder, self.buffer, self.handle)
    }
}
