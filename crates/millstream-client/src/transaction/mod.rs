//! Transactions: records and a group's offsets that become visible together, or not at all.

mod builder;
mod error;
mod open;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_client_core::Completion;
use millstream_client_core::producer::ProducerCompletion;
use millstream_client_core::transaction::{
    Begun, CommitFailure, TransactionCommand, TransactionCompletion,
};

use crate::metrics::ProducerMetrics;
use crate::producer::blocking::block_on;
use crate::producer::{FlushReport, Producer, ProducerBuilder, deadline};

pub use builder::TransactionalProducerBuilder;
pub use error::{BeginError, CommitTransactionError, UnknownCommit};
pub use millstream_client_core::transaction::{TransactionError, TransactionOutcome};
pub use open::{OpenTransaction, Transaction};

/// A producer whose records go in transactions.
///
/// Between transactions there is nothing to send with: [`begin`](Self::begin) lends a
/// [`Transaction`], [`begin_owned`](Self::begin_owned) turns the producer into an
/// [`OpenTransaction`] that can be stored. Commit and abort consume either; one that is dropped is
/// aborted. What has failed in a transaction fails its commit: nothing has to be watched but that.
///
/// ```no_run
/// # async fn example(consumer: millstream_client::Consumer) -> Result<(), Box<dyn std::error::Error>> {
/// use millstream_client::{CommitTransactionError, Record, TransactionalProducer};
///
/// let mut producer =
///     TransactionalProducer::builder(["localhost:9092"], "billing-1").build().await?;
/// while let Some(batch) = consumer.poll().await? {
///     let transaction = producer.begin().await?;
///     for order in &batch {
///         let invoice = Record::to("invoices").maybe_key(order.key).value("…");
///         transaction.enqueue(&invoice).await?; // its delivery is not awaited: the commit does
///     }
///     transaction.commit_offsets(&batch).await?;
///     match transaction.commit().await {
///         Ok(()) => {}
///         Err(CommitTransactionError::Unknown(unknown)) => unknown.resolve().await?,
///         Err(error) => return Err(error.into()), // read again from the last commit
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Misuse does not compile. A transaction cannot be committed twice:
///
/// ```compile_fail,E0382
/// # async fn example(mut producer: millstream_client::TransactionalProducer) {
/// let transaction = producer.begin().await.unwrap();
/// transaction.commit().await.unwrap();
/// transaction.commit().await.unwrap(); // it is gone
/// # }
/// ```
///
/// Nothing can be enqueued after the commit:
///
/// ```compile_fail,E0382
/// # async fn example(mut producer: millstream_client::TransactionalProducer) {
/// # let record = millstream_client::Record::to("orders").value("x");
/// let transaction = producer.begin().await.unwrap();
/// transaction.commit().await.unwrap();
/// transaction.try_enqueue(&record).unwrap(); // it is gone
/// # }
/// ```
///
/// Nor while a record is still being enqueued can the transaction be committed:
///
/// ```compile_fail,E0505
/// # async fn example(mut producer: millstream_client::TransactionalProducer) {
/// # let record = millstream_client::Record::to("orders").value("x");
/// let transaction = producer.begin().await.unwrap();
/// let enqueue = transaction.enqueue(&record);
/// transaction.commit().await.unwrap(); // `enqueue` still uses it
/// enqueue.await.unwrap();
/// # }
/// ```
///
/// There is one transaction at a time:
///
/// ```compile_fail,E0499
/// # async fn example(mut producer: millstream_client::TransactionalProducer) {
/// let first = producer.begin().await.unwrap();
/// let second = producer.begin().await.unwrap(); // the producer is lent to the first
/// first.commit().await.unwrap();
/// # }
/// ```
///
/// And a producer without a transaction has nothing to send with:
///
/// ```compile_fail,E0599
/// # fn example(producer: millstream_client::TransactionalProducer) {
/// # let record = millstream_client::Record::to("orders").value("x");
/// producer.try_enqueue(&record).unwrap(); // begin a transaction first
/// # }
/// ```
pub struct TransactionalProducer {
    producer: Producer,
    transactional_id: Arc<str>,
    /// How long a call may wait.
    max_block: Duration,
    is_closed: bool,
}

impl TransactionalProducer {
    /// Begins a transactional producer for a cluster; `bootstrap` names some of its brokers,
    /// `host:port`. Of one `transactional_id` there is one producer at a time: a new one fences the
    /// older.
    pub fn builder(
        bootstrap: impl IntoIterator<Item = impl Into<String>>,
        transactional_id: impl Into<String>,
    ) -> TransactionalProducerBuilder {
        ProducerBuilder::new(bootstrap).transactional(transactional_id)
    }

    fn new(producer: Producer, transactional_id: Arc<str>) -> Self {
        // Its driver ends by the transaction machine's close, not by its own.
        producer.is_closed.store(true, Ordering::Relaxed);
        let max_block = producer.shared.max_block();
        Self { producer, transactional_id, max_block, is_closed: false }
    }

    async fn initialize(&self) -> Result<(), TransactionError> {
        match self.call(TransactionCommand::Initialize { timeout: self.max_block }).await {
            Some(TransactionCompletion::Initialized(result)) => result,
            _ => Err(TransactionError::Closed),
        }
    }

    /// Begins a transaction, which borrows the producer until it is committed, aborted or dropped.
    ///
    /// That takes no request, unless the transaction before is still being ended or the next one
    /// needs a new epoch first; then it waits, `max.block` at most.
    ///
    /// # Errors
    /// The transaction before is not ended in time, or the producer is of no more use.
    ///
    /// # Cancel safety
    /// What was begun for a dropped call is given up at the next begin; it holds nothing.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, TransactionError> {
        let begun = self.call_begin().await?;
        Ok(Transaction::new(self, begun))
    }

    /// [`begin`](Self::begin) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_blocking(&mut self) -> Result<Transaction<'_>, TransactionError> {
        block_on(self.begin())
    }

    /// Begins a transaction that takes the producer along; commit and abort give it back.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); the producer comes back with the error.
    ///
    /// # Cancel safety
    /// Dropping the future drops the producer.
    pub async fn begin_owned(self) -> Result<OpenTransaction, Box<BeginError>> {
        match self.call_begin().await {
            Ok(begun) => Ok(OpenTransaction::new(self, begun)),
            Err(error) => Err(Box::new(BeginError { producer: self, error })),
        }
    }

    /// [`begin_owned`](Self::begin_owned) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`begin_owned`](Self::begin_owned).
    pub fn begin_owned_blocking(self) -> Result<OpenTransaction, Box<BeginError>> {
        block_on(self.begin_owned())
    }

    async fn call_begin(&self) -> Result<Begun, TransactionError> {
        match self.call(TransactionCommand::Begin { timeout: self.max_block }).await {
            Some(TransactionCompletion::Begun(result)) => result,
            _ => Err(TransactionError::Closed),
        }
    }

    async fn call_commit(&self, number: u64) -> Result<(), CommitTransactionError> {
        let result = match self.call(TransactionCommand::Commit { timeout: self.max_block }).await {
            Some(TransactionCompletion::Committed(result)) => result,
            // The driver ended meanwhile: nobody knows how far it came.
            _ => Err(CommitFailure::Unknown(TransactionError::Closed)),
        };
        result.map_err(|failure| CommitTransactionError::new(failure, number, self))
    }

    async fn call_abort(&self) -> Result<(), TransactionError> {
        match self.call(TransactionCommand::Abort { timeout: self.max_block }).await {
            Some(TransactionCompletion::Aborted(result)) => result,
            _ => Err(TransactionError::Closed),
        }
    }

    /// Aborts what is open; nobody waits for it.
    fn post_abort(&self) {
        self.producer.handle.post(TransactionCommand::Abort { timeout: self.max_block });
    }

    /// Calls the machine; `None` if the client is closed.
    async fn call(&self, command: TransactionCommand) -> Option<TransactionCompletion> {
        match self.producer.handle.call(command).await {
            Ok(Completion::Transaction(completion)) => Some(completion),
            _ => None,
        }
    }

    /// The name by which the coordinator knows this producer and its successors.
    #[must_use]
    pub fn transactional_id(&self) -> &str {
        &self.transactional_id
    }

    /// What the producer has counted since it was built, and how it stands.
    #[must_use]
    pub fn metrics(&self) -> ProducerMetrics {
        self.producer.metrics()
    }

    /// Ends what is being ended, and closes the producer; gives up after `timeout`.
    ///
    /// # Cancel safety
    /// Once polled the producer closes, whether its end is awaited or not; only the report is lost.
    pub async fn close(mut self, timeout: Duration) -> FlushReport {
        self.is_closed = true;
        let close = TransactionCommand::Close { deadline: deadline(timeout) };
        match self.producer.handle.call(close).await {
            Ok(Completion::Producer(ProducerCompletion::Closed(report))) => report,
            // The driver has ended before, and with it every record.
            _ => self.producer.flush().await,
        }
    }

    /// [`close`](Self::close) for a thread without a runtime.
    pub fn close_blocking(self, timeout: Duration) -> FlushReport {
        block_on(self.close(timeout))
    }
}

impl Drop for TransactionalProducer {
    /// Does not block: a commit or abort under way is seen through in the background.
    fn drop(&mut self) {
        if !self.is_closed {
            let timeout = self.producer.delivery_timeout + self.max_block;
            self.producer.handle.post(TransactionCommand::Close { deadline: deadline(timeout) });
        }
    }
}

impl fmt::Debug for TransactionalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalProducer")
            .field("transactional_id", &self.transactional_id)
            .finish_non_exhaustive()
    }
}
