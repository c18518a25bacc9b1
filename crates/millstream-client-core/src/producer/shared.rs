//! What the callers' threads and the driver of a producer share, and how a record gets in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{AppendError, BatchBuilder};
use millstream_protocol::compression::Compression;
use millstream_types::{
    BrokerId, Offset, PartitionId, Record, Timestamp, TopicName, TopicPartition,
};

use super::accumulator::{OpenBatch, Partition, Queue, Topic, TopicCommon};
use super::clock::{Clock, CoarseClock};
use super::codec::Codecs;
use super::config::{ProducerConfig, ProducerConfigError};
use super::delivery::{BatchHandle, Delivery, SealedBuffer};
use super::error::EnqueueError;
use super::interceptor::InterceptedRecord;
use super::memory::BufferPool;
use super::metrics::{ClientTotals, NodeTotals, ProducerCounters, TopicTotals, add};
use super::partitioner::{Choice, Partitioner, TopicPartitions};
use super::tally::Tallies;
use super::topics::TopicTable;
use super::wait::WaitList;

/// Runs the sealing of batches whose codec is too slow for the driver (gzip, zstd).
pub trait SealWorkers: Send + Sync + 'static {
    /// Runs `job` soon, on any thread; or at once.
    fn submit(&self, job: SealJob);
}

/// A closed batch to compress.
#[derive(Debug)]
pub struct SealJob {
    shared: Arc<ProducerShared>,
    partition: Arc<Partition>,
    open: OpenBatch,
}

impl SealJob {
    /// Compresses the batch and hands it to the driver.
    pub fn run(self) {
        self.shared.seal(&self.partition, self.open);
        self.shared.announce(&self.partition);
    }
}

/// What the callers' threads and the driver of one producer share.
pub struct ProducerShared {
    pub(crate) config: ProducerConfig,
    pub(crate) clock: CoarseClock,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) tallies: Tallies,
    /// Callers who wait for a topic.
    pub(crate) topic_waiters: WaitList,
    topics: TopicTable,
    wanted: Mutex<BTreeMap<TopicName, Option<ErrorCode>>>,
    inbox: Mutex<Inbox>,
    bell: Bell,
    codecs: Codecs,
    pub(crate) counters: ProducerCounters,
    workers: Arc<dyn SealWorkers>,
    last_error: Mutex<Option<String>>,
    /// Whether there is a last error, to skip the lock where there is none.
    has_error: AtomicBool,
    /// Why no batch may be opened: the transaction has failed.
    refusal: Mutex<Option<EnqueueError>>,
    is_refusing: AtomicBool,
}

/// What the machine has to look at.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Partitions with a batch opened, closed or sealed.
    pub(crate) partitions: Vec<usize>,
    /// Topics that callers named for the first time, or whose partitions they miss.
    pub(crate) topics: Vec<TopicName>,
    /// The highest epoch that a flush waits for.
    pub(crate) flush_epoch: Option<u64>,
}

/// Wakes the driver, once until it looks.
#[derive(Debug, Default)]
struct Bell {
    is_rung: AtomicBool,
    /// When the driver looks of its own accord, in nanoseconds from the clock's base and one more;
    /// 0: not before it is woken.
    looks_at: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}

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
    /// The shared half of a producer.
    ///
    /// # Errors
    /// When settings contradict each other.
    pub fn new(
        config: ProducerConfig,
        clock: Arc<dyn Clock>,
        workers: Arc<dyn SealWorkers>,
    ) -> Result<Arc<Self>, ProducerConfigError> {
        config.check()?;
        Ok(Arc::new(Self {
            clock: CoarseClock::new(clock),
            pool: BufferPool::new(config.buffer_memory),
            codecs: Codecs::new(&config)?,
            counters: ProducerCounters::default(),
            config,
            tallies: Tallies::default(),
            topic_waiters: WaitList::default(),
            topics: TopicTable::default(),
            wanted: Mutex::default(),
            inbox: Mutex::default(),
            bell: Bell::default(),
            workers,
            last_error: Mutex::default(),
            has_error: AtomicBool::new(false),
            refusal: Mutex::default(),
            is_refusing: AtomicBool::new(false),
        }))
    }

    /// Whom to wake when there is something for the driver to do. Call it once, before the first
    /// record.
    pub fn set_driver_waker(&self, waker: Waker) {
        *lock(&self.bell.waker) = Some(waker);
        // What came before had no one to wake.
        if self.bell.is_rung.load(Ordering::Acquire)
            && let Some(waker) = &*lock(&self.bell.waker)
        {
            waker.wake_by_ref();
        }
    }

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

    /// What the producer counted since it was built.
    #[must_use]
    pub fn totals(&self) -> ClientTotals {
        self.counters.client.read()
    }

    /// What it counted for each topic.
    #[must_use]
    pub fn topic_totals(&self) -> BTreeMap<TopicName, TopicTotals> {
        self.counters.topics()
    }

    /// What it counted for each broker.
    #[must_use]
    pub fn node_totals(&self) -> BTreeMap<BrokerId, NodeTotals> {
        self.counters.nodes()
    }

    /// The bytes that batches may take together (`buffer.memory`).
    #[must_use]
    pub fn memory_budget(&self) -> usize {
        self.pool.budget()
    }

    /// How many calls wait for memory.
    #[must_use]
    pub fn waiting_for_memory(&self) -> usize {
        self.pool.waiters.len()
    }

    /// How long ago the cluster last told of itself.
    #[must_use]
    pub fn metadata_age(&self) -> Option<Duration> {
        self.counters.metadata_age(self.clock.now())
    }

    /// What the partitions of a topic are to share.
    pub(crate) fn topic_common(&self, name: &TopicName, seed: u64) -> TopicCommon {
        TopicCommon::new(name, seed, self.codecs.of(name), &self.counters)
    }

    /// The highest offset that was acknowledged in a partition.
    #[must_use]
    pub fn acknowledged_offset(&self, partition: &TopicPartition) -> Option<Offset> {
        let number = usize::try_from(partition.partition.value()).ok()?;
        let topic = self.topics.get(partition.topic.as_str())?;
        topic.partitions.get(number)?.acknowledged()
    }

    /// The number of partitions of a topic, if it is known.
    #[must_use]
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        Some(self.topics.get(topic)?.partitions.len())
    }

    /// The bytes that batches take now, of the budget `buffer.memory`.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.pool.used()
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
        self.open_batch(topic, partition, &mut queue, record).map(Placed::Done)
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
        queue: &mut Queue,
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
        let usual = alone.max(queue.class().min(config.batch_size));
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

    /// Seals a closed batch: here, if that is quick or a caller pays for it, else by the workers.
    pub(crate) fn seal_soon(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        open: OpenBatch,
        announce: bool,
    ) {
        if partition.common.codec.is_slow() {
            self.workers.submit(SealJob {
                shared: Arc::clone(self),
                partition: Arc::clone(partition),
                open,
            });
            return;
        }
        self.seal(partition, open);
        if announce {
            self.announce(partition);
        }
    }

    fn seal(&self, partition: &Partition, open: OpenBatch) {
        let (builder, mut buffer, handle) = open.into_parts();
        let (size, records) = (builder.size(), builder.record_count().unsigned_abs());
        let TopicCommon { codec, ratio, counters, .. } = &*partition.common;
        self.counters.client.record_size.record(size as u64 / u64::from(records.max(1)));
        if codec.compression == Compression::None {
            let batch = builder.seal();
            handle.set_sealed(SealedBuffer { batch, charge: buffer });
            return;
        }
        let mut compressor = codec.take();
        let guess = size * ratio.load(Ordering::Relaxed) as usize / 1_000;
        let mut output = self.pool.acquire_over(guess + guess / 16);
        let (mut batch, spare) = builder.seal_compressed(&mut compressor, output.take_vec());
        codec.put_back(compressor);
        let left = batch.size() * 1_000 / size.max(1);
        ratio.store(u32::try_from(left).unwrap_or(1_000), Ordering::Relaxed);
        self.counters.client.compression_rate_permille.record(left as u64);
        counters.compression_rate_permille.record(left as u64);
        buffer.put_back(spare);
        drop(buffer);
        // What codecs reserved and did not use is given back, so that the charge is the truth.
        batch.shrink_to(BufferPool::class_of(batch.size()));
        output.recharge(batch.size());
        handle.set_sealed(SealedBuffer { batch, charge: output });
    }

    /// Tells the machine to look at a partition.
    pub(crate) fn announce(&self, partition: &Partition) {
        if !partition.is_announced.swap(true, Ordering::AcqRel) {
            lock(&self.inbox).partitions.push(partition.index);
        }
        self.bell.ring();
    }

    /// Tells the machine of a batch that opened. It need not look before the batch lingers out, and
    /// is not woken where it looks by then of its own accord.
    fn announce_open(&self, partition: &Partition, opened: Instant) {
        if !partition.is_announced.swap(true, Ordering::AcqRel) {
            lock(&self.inbox).partitions.push(partition.index);
        }
        // After the announcement: see `rest`.
        let looks_at = self.bell.looks_at.load(Ordering::SeqCst);
        let due = self.clock.since_base(opened + self.config.linger);
        if looks_at == 0 || looks_at > due {
            self.bell.ring();
        }
    }

    /// The machine, which began to look at `now`, is done until `next`, or until it is woken.
    pub(crate) fn rest(&self, now: Instant, next: Option<Instant>) {
        let looks_at = next.map_or(0, |next| self.clock.since_base(next).max(1));
        self.bell.looks_at.store(looks_at, Ordering::SeqCst);
        let is_soon = next.is_some_and(|next| next <= now + self.config.linger);
        // Who announced a batch before this store may have counted on an earlier time.
        if !is_soon && !lock(&self.inbox).partitions.is_empty() {
            self.bell.ring();
        }
    }

    /// Wakes the driver.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// Asks for the batches up to `epoch` to be sent now.
    pub(crate) fn request_flush(&self, epoch: u64) {
        {
            let mut inbox = lock(&self.inbox);
            inbox.flush_epoch = inbox.flush_epoch.max(Some(epoch));
        }
        self.bell.ring();
    }

    /// What the machine has to look at since the last time. Answers whether callers opened, closed or
    /// sealed batches.
    pub(crate) fn take_inbox(&self, into: &mut Inbox) -> bool {
        self.bell.is_rung.store(false, Ordering::Release);
        let mut inbox = lock(&self.inbox);
        let has_news = !inbox.partitions.is_empty();
        into.partitions.append(&mut inbox.partitions);
        into.topics.append(&mut inbox.topics);
        into.flush_epoch = into.flush_epoch.max(inbox.flush_epoch);
        has_news
    }

    fn missing_topic(&self, name: &str) -> EnqueueError {
        if self.tallies.is_closed() {
            return EnqueueError::Closed;
        }
        let mut wanted = lock(&self.wanted);
        let topic = TopicName::from(name);
        if let Some(error) = wanted.get(name) {
            return match error {
                Some(code) if !code.class().is_retriable() => {
                    EnqueueError::TopicRefused { topic, code: *code }
                }
                _ => EnqueueError::TopicPending { topic },
            };
        }
        wanted.insert(topic.clone(), None);
        drop(wanted);
        lock(&self.inbox).topics.push(topic.clone());
        self.bell.ring();
        EnqueueError::TopicPending { topic }
    }

    /// What the cluster last said of a topic that callers wait for.
    pub(crate) fn topic_error(&self, name: &str) -> Option<ErrorCode> {
        lock(&self.wanted).get(name).copied().flatten()
    }

    /// Notes what the cluster says of a topic that it does not have, and wakes who waits for it if
    /// that is final.
    pub(crate) fn set_topic_error(&self, name: &TopicName, code: ErrorCode) {
        lock(&self.wanted).insert(name.clone(), Some(code));
        if !code.class().is_retriable() {
            self.topic_waiters.wake_all();
        }
    }

    /// Makes a topic, or more partitions of it, known to callers.
    pub(crate) fn set_topic(&self, topic: Topic) {
        let name = topic.name.clone();
        self.topics.set(topic);
        lock(&self.wanted).remove(&name);
        self.topic_waiters.wake_all();
    }

    /// How long a call may wait (`max.block.ms`).
    #[must_use]
    pub const fn max_block(&self) -> Duration {
        self.config.max_block
    }

    /// Opens no batch from here on and tells callers why, or does so again.
    pub(crate) fn refuse(&self, refusal: Option<EnqueueError>) {
        let is_refusing = refusal.is_some();
        *lock(&self.refusal) = refusal;
        self.is_refusing.store(is_refusing, Ordering::Release);
        if is_refusing {
            self.pool.waiters.wake_all();
            self.topic_waiters.wake_all();
        }
    }

    /// The last error that stood in the way since something was written.
    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    /// Notes an error that stands in the way.
    pub(crate) fn set_last_error(&self, error: String) {
        *lock(&self.last_error) = Some(error);
        self.has_error.store(true, Ordering::Relaxed);
    }

    /// Something was written: errors before it are of no interest.
    pub(crate) fn clear_last_error(&self) {
        if self.has_error.swap(false, Ordering::Relaxed) {
            *lock(&self.last_error) = None;
        }
    }
}

impl std::fmt::Debug for ProducerShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerShared")
            .field("config", &self.config)
            .field("memory_used", &self.pool.used())
            .finish_non_exhaustive()
    }
}

fn invalid_timestamp(topic: &Topic, timestamp: i64) -> EnqueueError {
    EnqueueError::InvalidTimestamp { topic: topic.name.clone(), timestamp: Timestamp(timestamp) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
