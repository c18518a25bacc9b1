//! How a record gets into a batch: its partition is chosen, and a batch opened where none has room.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_protocol::batch::{AppendError, BatchBuilder};
use millstream_types::{PartitionId, Record, Timestamp};

use super::accumulator::{OpenBatch, Partition, Queue, Topic};
use super::delivery::{BatchHandle, Delivery};
use super::error::EnqueueError;
use super::interceptor::InterceptedRecord;
use super::metrics::add;
use super::partitioner::{Choice, Partitioner, TopicPartitions};
use super::shared::{ProducerShared, lock};

/// The way of one record, from try to try.
#[derive(Debug, Default)]
struct Placing {
    /// The partition chosen for a record without one of its own.
    sticky: Option<u32>,
    /// The partition that another rule chose.
    chosen: Option<u32>,
    /// Whether the sticky partition was left for this record already.
    has_switched: bool,
}

/// What came of one try.
enum Placed {
    Done(Delivery),
    /// Seal this batch, then try again.
    Seal(Arc<Partition>, OpenBatch),
    /// Try again.
    Again,
}

impl ProducerShared {
    /// Accepts a record without waiting: its bytes are in a batch when this returns.
    ///
    /// # Errors
    /// [`EnqueueError::Full`] and [`EnqueueError::TopicPending`] where `enqueue` would wait, else
    /// what is wrong with the record. Nothing of it is kept then.
    #[inline]
    pub fn try_enqueue(self: &Arc<Self>, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
        match self.append_to_open(record) {
            Some(delivery) => Ok(delivery),
            None => self.try_enqueue_slowly(record),
        }
    }

    #[cold]
    fn try_enqueue_slowly(self: &Arc<Self>, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
        if let Some(intercepted) = self.intercept(record) {
            return self.enqueue_now(&intercepted.to_record());
        }
        let result = self.enqueue_now(record);
        if let Err(EnqueueError::Full { .. }) = result {
            add(&self.counters.client.buffer_exhausted_total, 1);
        }
        result
    }

    /// What the interceptors make of a record; `None` where they leave it, or there are none.
    #[inline]
    pub(crate) fn intercept(&self, record: &Record<'_>) -> Option<Box<InterceptedRecord>> {
        if self.config.interceptors.is_empty() {
            return None;
        }
        self.config.interceptors.on_send(record)
    }

    /// Whether there are interceptors.
    #[must_use]
    pub const fn has_interceptors(&self) -> bool {
        !self.config.interceptors.is_empty()
    }

    /// The way of nearly all records: into a batch that is open and has room. `None` where more is to
    /// be done, as where there are interceptors; nothing was done then.
    #[inline]
    pub fn append_to_open(&self, record: &Record<'_>) -> Option<Delivery> {
        if self.has_interceptors() {
            return None;
        }
        self.append_seen(record)
    }

    /// The same for a record that the interceptors have seen.
    fn append_seen(&self, record: &Record<'_>) -> Option<Delivery> {
        let topic = self.topics.get(record.topic())?;
        let number = match (record.named_partition(), &self.config.partitioner) {
            (Some(partition), _) => usize::try_from(partition.value()).ok()?,
            (None, Partitioner::Sticky) if record.key_bytes().is_none() => {
                topic.common.sticky.chosen()? as usize
            }
            (None, Partitioner::Custom(_) | Partitioner::RoundRobin) => return None,
            (None, partitioner) => {
                let count = topic.partitions.len() as u32;
                match partitioner.choose(record.key_bytes(), count, self.config.ignore_keys) {
                    Choice::Fixed(number) => number as usize,
                    Choice::Sticky => topic.common.sticky.chosen()? as usize,
                    Choice::NextInTurn => return None,
                }
            }
        };
        let mut queue = topic.partitions.get(number)?.queue();
        let open = queue.open.as_mut()?;
        if self.tallies.is_closed() {
            return None;
        }
        let timestamp = match record.named_timestamp() {
            Some(timestamp) => timestamp,
            None => self.clock.coarse(),
        };
        open.append(record, timestamp).ok()
    }

    /// Accepts a record that the interceptors have seen, without waiting.
    pub(crate) fn enqueue_now(
        self: &Arc<Self>,
        record: &Record<'_>,
    ) -> Result<Delivery, EnqueueError> {
        if let Some(delivery) = self.append_seen(record) {
            return Ok(delivery);
        }
        let mut placing = Placing::default();
        if let Partitioner::Custom(_) = &self.config.partitioner
            && record.named_partition().is_none()
        {
            placing.chosen = Some(self.ask_partitioner(record)?);
        }
        loop {
            match self.place(record, &mut placing)? {
                Placed::Done(delivery) => return Ok(delivery),
                Placed::Seal(partition, open) => self.seal_soon(&partition, open, true),
                Placed::Again => {}
            }
        }
    }

    /// Asks the application's partitioner, with nothing locked.
    #[cold]
    fn ask_partitioner(&self, record: &Record<'_>) -> Result<u32, EnqueueError> {
        let Some(topic) = self.topics.get(record.topic()) else {
            return Err(self.missing_topic(record.topic()));
        };
        let Partitioner::Custom(partitioner) = &self.config.partitioner else {
            return Ok(0);
        };
        let partition = partitioner.partition(record, &TopicPartitions::new(&topic));
        let number = u32::try_from(partition.value()).ok();
        let number = number.filter(|number| (*number as usize) < topic.partitions.len());
        number.ok_or_else(|| self.unknown_partition(&topic, partition))
    }

    /// One try to put a record into its partition's open batch.
    fn place(
        self: &Arc<Self>,
        record: &Record<'_>,
        placing: &mut Placing,
    ) -> Result<Placed, EnqueueError> {
        let Some(topic) = self.topics.get(record.topic()) else {
            return Err(self.missing_topic(record.topic()));
        };
        let topic = &*topic;
        let number = self.choose(topic, record, placing)?;
        let partition = &topic.partitions[number];
        let mut queue = partition.queue();
        if let Some(open) = &mut queue.open {
            if self.tallies.is_closed() {
                return Err(EnqueueError::Closed);
            }
            let timestamp = record.named_timestamp().unwrap_or_else(|| self.clock.coarse());
            let mut appended = open.append(record, timestamp);
            if let Err(AppendError::Full { needed, .. }) = appended
                && open.grow(needed, self.config.batch_size)
            {
                appended = open.append(record, timestamp);
            }
            match appended {
                Ok(delivery) => return Ok(Placed::Done(delivery)),
                Err(AppendError::InvalidTimestamp(timestamp)) => {
                    return Err(invalid_timestamp(topic, timestamp));
                }
                Err(_) => {
                    let open = partition.close_open(&mut queue);
                    self.leave_sticky(topic, placing);
                    return Ok(open
                        .map_or(Placed::Again, |open| Placed::Seal(Arc::clone(partition), open)));
                }
            }
        }
        let had_its_share = placing.sticky.is_some()
            && topic.common.sticky.bytes() as usize >= self.config.batch_size;
        if had_its_share && self.leave_sticky(topic, placing) {
            return Ok(Placed::Again);
        }
        let class = match placing.sticky {
            Some(_) => queue.class().max(topic.common.sticky_class()),
            None => queue.class(),
        };
        self.open_batch(topic, partition, (&mut queue, class), record).map(Placed::Done)
    }

    /// The number of the record's partition.
    #[inline]
    fn choose(
        &self,
        topic: &Topic,
        record: &Record<'_>,
        placing: &mut Placing,
    ) -> Result<usize, EnqueueError> {
        let count = topic.partitions.len();
        if let Some(partition) = record.named_partition() {
            let number = usize::try_from(partition.value()).ok();
            if let Some(number) = number.filter(|number| *number < count) {
                return Ok(number);
            }
            return Err(self.unknown_partition(topic, partition));
        }
        if let Some(chosen) = placing.chosen {
            return Ok((chosen as usize).min(count.saturating_sub(1)));
        }
        let key = record.key_bytes();
        let number =
            match self.config.partitioner.choose(key, count as u32, self.config.ignore_keys) {
                Choice::Fixed(number) => number,
                Choice::Sticky => {
                    let adaptive = self.is_adaptive();
                    let current = || topic.common.sticky.current(topic, adaptive);
                    *placing.sticky.get_or_insert_with(current)
                }
                Choice::NextInTurn => *placing.chosen.get_or_insert_with(|| topic.next_in_turn()),
            };
        Ok((number as usize).min(count.saturating_sub(1)))
    }

    /// The partition that a record names is not there; it may have been added lately, so that a
    /// later call finds it.
    #[cold]
    fn unknown_partition(&self, topic: &Topic, partition: PartitionId) -> EnqueueError {
        lock(&self.inbox).topics.push(topic.name.clone());
        self.bell.ring();
        let count = topic.partitions.len();
        EnqueueError::UnknownPartition { topic: topic.name.clone(), partition, count }
    }

    /// librdkafka's partitioners draw uniformly, whatever the queues.
    fn is_adaptive(&self) -> bool {
        self.config.adaptive_partitioning && self.config.partitioner == Partitioner::Sticky
    }

    /// Leaves the sticky partition, at most once for a record. Answers whether it did.
    fn leave_sticky(&self, topic: &Topic, placing: &mut Placing) -> bool {
        let Some(sticky) = placing.sticky else {
            return false;
        };
        if placing.has_switched {
            return false;
        }
        placing.sticky = Some(topic.common.sticky.switch(sticky, topic, self.is_adaptive()));
        placing.has_switched = true;
        true
    }

    fn open_batch(
        &self,
        topic: &Topic,
        partition: &Arc<Partition>,
        (queue, class): (&mut Queue, usize),
        record: &Record<'_>,
    ) -> Result<Delivery, EnqueueError> {
        let timestamp = record.named_timestamp().unwrap_or_else(|| self.clock.refresh());
        if timestamp < Timestamp::NONE {
            return Err(invalid_timestamp(topic, timestamp.value()));
        }
        let config = &self.config;
        let alone = BatchBuilder::single_record_size(
            record.key_bytes(),
            record.value_bytes(),
            record.headers(),
        );
        let limit = config.max_request_size.min(config.buffer_memory);
        if alone > limit {
            return Err(EnqueueError::RecordTooLarge {
                topic: topic.name.clone(),
                size: alone,
                limit,
            });
        }
        if self.is_refusing.load(Ordering::Acquire)
            && let Some(refusal) = lock(&self.refusal).clone()
        {
            return Err(refusal);
        }
        let usual = alone.max(class.min(config.batch_size));
        let Some(buffer) = self.pool.try_acquire(usual).or_else(|| self.pool.try_acquire(alone))
        else {
            return Err(EnqueueError::Full { used: self.pool.used(), budget: self.pool.budget() });
        };
        let Some(epoch) = self.tallies.open_batch() else {
            return Err(EnqueueError::Closed);
        };
        let opened = self.clock.now();
        let handle = BatchHandle::new(topic.name.clone(), partition.id, epoch, opened);
        let mut open = OpenBatch::new(buffer, config.batch_size.max(alone), handle);
        match open.append(record, timestamp) {
            Ok(delivery) => {
                queue.open = Some(open);
                partition.unresolved.fetch_add(1, Ordering::Relaxed);
                self.announce_open(partition, opened);
                Ok(delivery)
            }
            Err(_) => {
                self.tallies.end_batch(epoch, Default::default());
                Err(invalid_timestamp(topic, timestamp.value()))
            }
        }
    }
}

fn invalid_timestamp(topic: &Topic, timestamp: i64) -> EnqueueError {
    EnqueueError::InvalidTimestamp { topic: topic.name.clone(), timestamp: Timestamp(timestamp) }
}
