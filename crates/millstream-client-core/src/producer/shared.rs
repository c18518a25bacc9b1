//! What the callers' threads and the driver of a producer share, and how either calls the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_types::{BrokerId, Offset, TopicName, TopicPartition};

use super::accumulator::{Partition, Topic, TopicCommon};
use super::clock::{Clock, CoarseClock};
use super::codec::Codecs;
use super::config::{ProducerConfig, ProducerConfigError};
use super::error::EnqueueError;
use super::memory::BufferPool;
use super::metrics::{ClientTotals, NodeTotals, ProducerCounters, TopicTotals};
use super::sealing::SealWorkers;
use super::tally::Tallies;
use super::topics::TopicTable;
use super::wait::WaitList;

/// What the callers' threads and the driver of one producer share.
pub struct ProducerShared {
    pub(crate) config: ProducerConfig,
    pub(crate) clock: CoarseClock,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) tallies: Tallies,
    /// Callers who wait for a topic.
    pub(crate) topic_waiters: WaitList,
    pub(super) topics: TopicTable,
    wanted: Mutex<BTreeMap<TopicName, Option<ErrorCode>>>,
    pub(super) inbox: Mutex<Inbox>,
    pub(super) bell: Bell,
    codecs: Codecs,
    pub(crate) counters: ProducerCounters,
    pub(super) workers: Arc<dyn SealWorkers>,
    last_error: Mutex<Option<String>>,
    /// Whether there is a last error, to skip the lock where there is none.
    has_error: AtomicBool,
    /// Why no batch may be opened: the transaction has failed.
    pub(super) refusal: Mutex<Option<EnqueueError>>,
    pub(super) is_refusing: AtomicBool,
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
pub(super) struct Bell {
    is_rung: AtomicBool,
    /// When the driver looks of its own accord, in nanoseconds from the clock's base and one more;
    /// 0: not before it is woken.
    looks_at: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        if self.is_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
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

    /// Tells the machine to look at a partition.
    pub(crate) fn announce(&self, partition: &Partition) {
        if !partition.is_announced.swap(true, Ordering::AcqRel) {
            lock(&self.inbox).partitions.push(partition.index);
        }
        self.bell.ring();
    }

    /// Tells the machine of a batch that opened. It need not look before the batch lingers out, and
    /// is not woken where it looks by then of its own accord.
    pub(super) fn announce_open(&self, partition: &Partition, opened: Instant) {
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

    pub(super) fn missing_topic(&self, name: &str) -> EnqueueError {
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

/// Locks; a panic elsewhere while locked leaves nothing half done here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
