//! The producer: records in from any thread or executor, an end for each of them.

pub(crate) mod blocking;
mod config;
mod error;
mod properties;
#[cfg(test)]
mod tests;
mod typed;
mod workers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream_client_core::Completion;
use millstream_client_core::producer::{ProducerCommand, ProducerCompletion, ProducerShared};
use millstream_types::{Offset, Record, Serde, TopicName, TopicPartition};

use blocking::block_on;

use crate::driver::ClientHandle;
use crate::metrics::ProducerMetrics;

pub use config::ProducerBuilder;
pub use error::SendError;
pub use millstream_client_core::outbox::Acks;
pub use millstream_client_core::producer::{
    AcknowledgedOutcome, Acknowledgement, CustomPartitioner, Delivery, DeliveryCause,
    DeliveryError, DeliveryFailure, DeliveryStatus, Enqueue, EnqueueError, Flush, FlushReport,
    InterceptedRecord, NotWritten, Partitioner, ProducerInterceptor, Receipt, ReturnedRecord,
    TopicPartitions, UnknownDelivery, murmur2, partition_for_key,
};
pub use millstream_protocol::compression::Compression;
pub use typed::TopicProducer;

/// Writes records to topics.
///
/// Records are encoded straight into the open batch of their partition; a driver on the client's I/O
/// thread sends the batches. Every accepted record ends exactly once: *written*, *not written* (it
/// can be had back) or *unknown* (a request that carried it was never answered). By default a
/// producer is idempotent and waits for all in-sync replicas, and the records of a partition are
/// written in the order in which they were accepted.
///
/// All methods take `&self`; share a producer by reference or in an `Arc`. Dropping it does not
/// block: what was accepted is sent until its `delivery.timeout`, and what was left is logged. To
/// know the outcome, [`close`](Self::close) it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use millstream_client::{Producer, Record};
///
/// let producer = Producer::builder(["localhost:9092"]).build().await?;
/// let record = Record::to("orders").key("42").value("paid");
/// let delivery = producer.enqueue(&record).await?; // accepted: encoded into a batch
/// let receipt = delivery.await?; // acknowledged
/// println!("{}-{} at {:?}", receipt.topic, receipt.partition, receipt.offset);
/// producer.close(Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
pub struct Producer {
    pub(crate) shared: Arc<ProducerShared>,
    pub(crate) handle: ClientHandle,
    /// How long a dropped producer goes on.
    pub(crate) delivery_timeout: Duration,
    pub(crate) is_closed: AtomicBool,
}

impl Producer {
    /// Begins a producer for a cluster; `bootstrap` names some of its brokers, `host:port`.
    pub fn builder(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> ProducerBuilder {
        ProducerBuilder::new(bootstrap)
    }

    pub(crate) const fn new(
        shared: Arc<ProducerShared>,
        handle: ClientHandle,
        delivery_timeout: Duration,
    ) -> Self {
        Self { shared, handle, delivery_timeout, is_closed: AtomicBool::new(false) }
    }

    /// Accepts a record: ready at once, unless `buffer.memory` is spent or the topic is named for
    /// the first time; then it waits, `max.block` at most. Runs on any executor.
    ///
    /// # Errors
    /// [`EnqueueError`]; nothing of the record is kept then.
    ///
    /// # Cancel safety
    /// The record is encoded on the poll that returns ready. Dropped before that, nothing was
    /// accepted.
    pub const fn enqueue<'a>(&'a self, record: &'a Record<'a>) -> Enqueue<'a> {
        Enqueue::new(&self.shared, record)
    }

    /// Accepts a record without waiting.
    ///
    /// # Errors
    /// [`EnqueueError::Full`] and [`EnqueueError::TopicPending`] where [`enqueue`](Self::enqueue)
    /// would wait; otherwise as there.
    #[inline]
    pub fn try_enqueue(&self, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
        self.shared.try_enqueue(record)
    }

    /// [`enqueue`](Self::enqueue) for a thread without a runtime. Costs no more than
    /// [`try_enqueue`](Self::try_enqueue) where there is nothing to wait for.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    #[inline]
    pub fn enqueue_blocking(&self, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
        match self.shared.append_to_open(record) {
            Some(delivery) => Ok(delivery),
            None => self.enqueue_slowly(record),
        }
    }

    #[cold]
    fn enqueue_slowly(&self, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
        if self.shared.has_interceptors() {
            return block_on(Enqueue::new(&self.shared, record));
        }
        match self.shared.try_enqueue(record) {
            Err(EnqueueError::Full { .. } | EnqueueError::TopicPending { .. }) => {
                block_on(Enqueue::new(&self.shared, record))
            }
            other => other,
        }
    }

    /// Accepts a record and waits until it is acknowledged.
    ///
    /// # Errors
    /// [`SendError`]: it was not accepted, or not written, or nobody knows.
    ///
    /// # Cancel safety
    /// Dropped before the record is accepted, it is not sent. Dropped later, it is sent all the same
    /// and only its receipt is lost.
    pub async fn send(&self, record: &Record<'_>) -> Result<Receipt, SendError> {
        Ok(self.enqueue(record).await?.await?)
    }

    /// [`send`](Self::send) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_blocking(&self, record: &Record<'_>) -> Result<Receipt, SendError> {
        Ok(block_on(self.enqueue_blocking(record)?)?)
    }

    /// Sends all open batches now, and waits until every record accepted before has its end.
    ///
    /// Each record is counted in exactly one report: the first whose flush began after it was accepted.
    ///
    /// # Cancel safety
    /// The batches are sent in any case. The counts of a dropped flush are in the next report.
    pub fn flush(&self) -> Flush {
        Flush::new(&self.shared)
    }

    /// [`flush`](Self::flush) for a thread without a runtime.
    #[must_use = "the report says what was not written"]
    pub fn flush_blocking(&self) -> FlushReport {
        block_on(self.flush())
    }

    /// A producer of typed keys and values for one topic.
    ///
    /// ```no_run
    /// # async fn example(producer: millstream_client::Producer) -> Result<(), Box<dyn std::error::Error>> {
    /// use millstream_types::DefaultSerde;
    ///
    /// let counts = producer.topic("counts", String::default_serde(), i64::default_serde());
    /// counts.send(&"apples".to_owned(), &3).await?;
    /// counts.delete(&"pears".to_owned()).await?.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn topic<K, V>(
        &self,
        topic: impl Into<TopicName>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> TopicProducer<'_, K, V> {
        TopicProducer::new(self, topic.into(), keys, values)
    }

    /// Gives up every accepted record that no request carries: it is *not written*. Waits until
    /// those on their way have their ends, and reports all that no flush has reported. The producer
    /// goes on.
    ///
    /// # Cancel safety
    /// Once polled the records are given up, whether the end is awaited or not; the counts of a
    /// dropped call are in the next report.
    pub async fn abort(&self) -> FlushReport {
        // Without an answer the driver has ended, and with it every record.
        let _ended = self.handle.call(ProducerCommand::Abort).await;
        self.flush().await
    }

    /// [`abort`](Self::abort) for a thread without a runtime.
    #[must_use = "the report says what was not written"]
    pub fn abort_blocking(&self) -> FlushReport {
        block_on(self.abort())
    }

    /// What the producer has counted since it was built, and how it stands.
    #[must_use]
    pub fn metrics(&self) -> ProducerMetrics {
        let totals = self.shared.totals();
        let budget = self.shared.memory_budget();
        let free = budget.saturating_sub(self.shared.memory_used());
        ProducerMetrics {
            requests_in_flight: totals
                .produce_request_total
                .saturating_sub(totals.produce_response_total),
            totals,
            buffer_total_bytes: budget as u64,
            buffer_available_bytes: free as u64,
            waiting_threads: self.shared.waiting_for_memory() as u64,
            metadata_age: self.shared.metadata_age(),
            network: self.handle.network(),
            nodes: self.shared.node_totals(),
            topics: self.shared.topic_totals(),
        }
    }

    /// The highest offset acknowledged in a partition, of records of this producer.
    #[must_use]
    pub fn acknowledged_offset(&self, partition: &TopicPartition) -> Option<Offset> {
        self.shared.acknowledged_offset(partition)
    }

    /// The number of partitions of a topic that this producer has written to.
    #[must_use]
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.shared.partition_count(topic)
    }

    /// The bytes that records take which are not acknowledged, of `buffer.memory`.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.shared.memory_used()
    }

    /// Accepts nothing more, sends what was accepted, and gives up after `timeout` what is left.
    /// When it returns, every accepted record has its end; the report counts those that no flush
    /// has reported.
    ///
    /// # Cancel safety
    /// Once polled the producer closes, whether its end is awaited or not; only the report is lost.
    pub async fn close(&self, timeout: Duration) -> FlushReport {
        self.is_closed.store(true, Ordering::Relaxed);
        match self.handle.call(close_command(timeout)).await {
            Ok(Completion::Producer(ProducerCompletion::Closed(report))) => report,
            // The driver has ended before, and with it every record.
            _ => self.flush().await,
        }
    }

    /// [`close`](Self::close) for a thread without a runtime.
    pub fn close_blocking(&self, timeout: Duration) -> FlushReport {
        block_on(self.close(timeout))
    }
}

/// The command that closes a producer within `timeout`.
fn close_command(timeout: Duration) -> ProducerCommand {
    ProducerCommand::Close { deadline: deadline(timeout) }
}

/// The time at which `timeout` is over.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    // A timeout beyond the clock's end is as good as for ever: a century.
    let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now.checked_add(timeout).unwrap_or(now + century)
}

impl Drop for Producer {
    fn drop(&mut self) {
        if !self.is_closed.load(Ordering::Relaxed) {
            self.handle.post(close_command(self.delivery_timeout));
        }
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("memory_used", &self.memory_used()).finish_non_exhaustive()
    }
}
