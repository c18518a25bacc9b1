//! A transaction in the application's hands, borrowed or owned.

use std::fmt;

use millstream_client_core::consumer::CommitError;
use millstream_client_core::transaction::{
    Begun, OffsetsSource, TransactionCommand, TransactionCompletion,
};
use millstream_types::{OffsetAndMetadata, Record, Serde, TopicName, TopicPartition};

use super::{CommitTransactionError, TransactionError, TransactionOutcome, TransactionalProducer};
use crate::consumer::{Batch, GroupMetadata};
use crate::producer::blocking::block_on;
use crate::producer::{
    Delivery, Enqueue, EnqueueError, Flush, FlushReport, Receipt, SendError, TopicProducer,
};

/// A transaction that borrows its producer. Dropping it aborts it.
#[must_use = "a transaction that is not committed is aborted"]
pub struct Transaction<'p> {
    producer: &'p mut TransactionalProducer,
    begun: Begun,
    is_over: bool,
}

/// A transaction that has its producer with it, to be stored or sent elsewhere. Dropping it aborts
/// the transaction and drops the producer.
#[must_use = "a transaction that is not committed is aborted"]
pub struct OpenTransaction {
    /// Dropping it closes the producer, which aborts what is open.
    producer: TransactionalProducer,
    begun: Begun,
}

/// What can be done in a transaction, whoever holds the producer.
macro_rules! verbs {
    () => {
        /// Accepts a record into the transaction: as
        /// [`Producer::enqueue`](crate::Producer::enqueue).
        ///
        /// That a record was not written need not be seen here: the commit fails then. What is
        /// *written* is visible to readers of committed records once the commit is made.
        ///
        /// # Errors
        /// [`EnqueueError`]; after a failure in the transaction
        /// [`EnqueueError::TransactionFailed`], with what failed.
        ///
        /// # Cancel safety
        /// Dropped before it was ready, nothing was accepted.
        pub fn enqueue<'a>(&'a self, record: &'a Record<'a>) -> Enqueue<'a> {
            self.inner().producer.enqueue(record)
        }

        /// Accepts a record without waiting.
        ///
        /// # Errors
        /// As [`Producer::try_enqueue`](crate::Producer::try_enqueue), and as
        /// [`enqueue`](Self::enqueue).
        pub fn try_enqueue(&self, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
            self.inner().producer.try_enqueue(record)
        }

        /// [`enqueue`](Self::enqueue) for a thread without a runtime.
        ///
        /// # Errors
        /// As [`enqueue`](Self::enqueue).
        pub fn enqueue_blocking(&self, record: &Record<'_>) -> Result<Delivery, EnqueueError> {
            self.inner().producer.enqueue_blocking(record)
        }

        /// Accepts a record and waits until it is acknowledged.
        ///
        /// # Errors
        /// [`SendError`]: it was not accepted, or not written, or nobody knows.
        ///
        /// # Cancel safety
        /// Dropped before the record is accepted, it is not sent. Dropped later, it is sent all the
        /// same and only its receipt is lost.
        pub async fn send(&self, record: &Record<'_>) -> Result<Receipt, SendError> {
            self.inner().producer.send(record).await
        }

        /// A producer of typed keys and values for one topic, for this transaction.
        pub fn topic<K, V>(
            &self,
            topic: impl Into<TopicName>,
            keys: Serde<K>,
            values: Serde<V>,
        ) -> TopicProducer<'_, K, V> {
            self.inner().producer.topic(topic, keys, values)
        }

        /// Sends all open batches now, and waits until every record accepted before has its end. A
        /// commit does that by itself.
        ///
        /// # Cancel safety
        /// The batches are sent in any case. The counts of a dropped flush are in the next report.
        pub fn flush(&self) -> Flush {
            self.inner().producer.flush()
        }

        /// [`flush`](Self::flush) for a thread without a runtime.
        #[must_use = "the report says what was not written"]
        pub fn flush_blocking(&self) -> FlushReport {
            self.inner().producer.flush_blocking()
        }

        /// Commits what is behind a consumer's batch as part of the transaction, as the member that
        /// the consumer is (KIP-447). Leave the consumer's own commits aside, auto-commit too.
        ///
        /// # Errors
        /// [`TransactionError::NotOwned`] if the partition was given up since the batch was
        /// fetched, also if it came back: then nothing was sent, and the transaction had better be
        /// aborted. Otherwise what the coordinators said; the transaction can only be aborted then.
        ///
        /// # Cancel safety
        /// The offsets are posted on the first poll, and the commit waits for them; only the
        /// outcome is lost.
        pub async fn commit_offsets(&self, batch: &Batch) -> Result<(), TransactionError> {
            let Some(consumer) = batch.consumer() else {
                let partition = batch.topic_partition().clone();
                return Err(TransactionError::NotOwned(CommitError::NotOwned { partition }));
            };
            let offset = consumer.offset_of(batch).map_err(TransactionError::NotOwned)?;
            let offsets = OffsetsSource::Consumer { consumer, offsets: vec![offset] };
            call_offsets(self.inner(), offsets).await
        }

        /// [`commit_offsets`](Self::commit_offsets) for a thread without a runtime.
        ///
        /// # Errors
        /// As [`commit_offsets`](Self::commit_offsets).
        pub fn commit_offsets_blocking(&self, batch: &Batch) -> Result<(), TransactionError> {
            block_on(self.commit_offsets(batch))
        }

        /// Commits offsets, of each partition the next record to process, as part of the
        /// transaction and as the member that `group` names
        /// ([`Consumer::group_metadata`](crate::Consumer::group_metadata)). Whether that member
        /// still owns the partitions is for the coordinator alone to say.
        ///
        /// # Errors
        /// What the coordinators said; the transaction can only be aborted then.
        ///
        /// # Cancel safety
        /// As [`commit_offsets`](Self::commit_offsets).
        pub async fn commit_offsets_of(
            &self,
            offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
            group: &GroupMetadata,
        ) -> Result<(), TransactionError> {
            let (group, offsets) = (group.clone(), offsets.into_iter().collect());
            call_offsets(self.inner(), OffsetsSource::Given { group, offsets }).await
        }

        /// [`commit_offsets_of`](Self::commit_offsets_of) for a thread without a runtime.
        ///
        /// # Errors
        /// As [`commit_offsets_of`](Self::commit_offsets_of).
        pub fn commit_offsets_of_blocking(
            &self,
            offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
            group: &GroupMetadata,
        ) -> Result<(), TransactionError> {
            block_on(self.commit_offsets_of(offsets, group))
        }

        /// What became of the producer's transaction before this one: for whoever was told that its
        /// outcome is unknown, or did not wait for it. `None` for the first.
        #[must_use]
        pub const fn previous(&self) -> Option<TransactionOutcome> {
            self.begun.previous
        }
    };
}

impl<'p> Transaction<'p> {
    pub(super) const fn new(producer: &'p mut TransactionalProducer, begun: Begun) -> Self {
        Self { producer, begun, is_over: false }
    }

    const fn inner(&self) -> &TransactionalProducer {
        self.producer
    }

    verbs!();

    /// Commits: sends what is left, waits until all of it is acknowledged, and has the coordinator
    /// make it visible.
    ///
    /// # Errors
    /// [`CommitTransactionError::NotCommitted`] if anything of it failed: the driver aborts it then.
    /// [`CommitTransactionError::Unknown`] if the coordinator gave no definite answer within
    /// `max.block`.
    ///
    /// # Cancel safety
    /// Once polled the commit is seen through by the driver: dropping the future never turns it into
    /// an abort, it only loses the answer. The next begin waits for it and tells the outcome.
    pub async fn commit(mut self) -> Result<(), CommitTransactionError> {
        self.is_over = true;
        self.producer.call_commit(self.begun.number).await
    }

    /// [`commit`](Self::commit) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_blocking(self) -> Result<(), CommitTransactionError> {
        block_on(self.commit())
    }

    /// Aborts: nothing of the transaction will be visible to readers of committed records. Records
    /// that are not on their way end as *not written*.
    ///
    /// # Errors
    /// The abort is not confirmed within `max.block` (the driver goes on with it), or the producer
    /// is of no more use.
    ///
    /// # Cancel safety
    /// The driver sees it through; so it does for a transaction that is dropped.
    pub async fn abort(mut self) -> Result<(), TransactionError> {
        self.is_over = true;
        self.producer.call_abort().await
    }

    /// [`abort`](Self::abort) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`abort`](Self::abort).
    pub fn abort_blocking(self) -> Result<(), TransactionError> {
        block_on(self.abort())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.producer.post_abort();
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("number", &self.begun.number).finish_non_exhaustive()
    }
}

impl OpenTransaction {
    pub(super) const fn new(producer: TransactionalProducer, begun: Begun) -> Self {
        Self { producer, begun }
    }

    const fn inner(&self) -> &TransactionalProducer {
        &self.producer
    }

    verbs!();

    /// Commits, as [`Transaction::commit`] does, and gives the producer back.
    ///
    /// # Cancel safety
    /// Once polled the commit is seen through, and the producer closed after it: dropping the future
    /// drops the producer.
    pub async fn commit(self) -> (TransactionalProducer, Result<(), CommitTransactionError>) {
        let Self { producer, begun } = self;
        let result = producer.call_commit(begun.number).await;
        (producer, result)
    }

    /// [`commit`](Self::commit) for a thread without a runtime.
    pub fn commit_blocking(self) -> (TransactionalProducer, Result<(), CommitTransactionError>) {
        block_on(self.commit())
    }

    /// Aborts, as [`Transaction::abort`] does, and gives the producer back.
    ///
    /// # Cancel safety
    /// The driver sees it through; dropping the future drops the producer.
    pub async fn abort(self) -> (TransactionalProducer, Result<(), TransactionError>) {
        let Self { producer, .. } = self;
        let result = producer.call_abort().await;
        (producer, result)
    }

    /// [`abort`](Self::abort) for a thread without a runtime.
    pub fn abort_blocking(self) -> (TransactionalProducer, Result<(), TransactionError>) {
        block_on(self.abort())
    }
}

impl fmt::Debug for OpenTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTransaction")
            .field("number", &self.begun.number)
            .finish_non_exhaustive()
    }
}

/// Commits offsets in the open transaction.
async fn call_offsets(
    producer: &TransactionalProducer,
    offsets: OffsetsSource,
) -> Result<(), TransactionError> {
    let command = TransactionCommand::CommitOffsets { offsets, timeout: producer.max_block };
    match producer.call(command).await {
        Some(TransactionCompletion::OffsetsCommitted(result)) => result,
        _ => Err(TransactionError::Closed),
    }
}
