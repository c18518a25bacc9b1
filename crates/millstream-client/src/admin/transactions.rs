//! Transactions of the whole cluster, and the producers of partitions.

use std::collections::BTreeMap;

use millstream_client_core::admin as core;
use millstream_types::{BrokerId, TopicPartition};

use super::{
    AbortTransaction, ActiveProducer, Admin, AdminError, BatchResult, FencedProducer,
    TransactionDescription, TransactionFilter, TransactionListing,
};

impl Admin {
    /// Lists the transactional ids that fit a filter, of all brokers (KIP-664).
    ///
    /// # Errors
    /// One broker refused or gave no answer in time, or the client is closed. A filter by duration
    /// needs Kafka 3.8, one by pattern 4.1.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_transactions(
        &self,
        filter: TransactionFilter,
    ) -> Result<BTreeMap<String, TransactionListing>, AdminError> {
        self.whole(core::list_transactions(filter)).await
    }

    /// Describes the transactions of transactional ids.
    ///
    /// # Errors
    /// See [`BatchResult`]. An id that was never used is refused with
    /// `TRANSACTIONAL_ID_NOT_FOUND`.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_transactions(
        &self,
        ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> BatchResult<String, TransactionDescription> {
        let ids = ids.into_iter().map(Into::into);
        self.batch(core::describe_transactions(ids)).await
    }

    /// The producers that write, or lately wrote, to partitions, as their leaders know them.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_producers(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> BatchResult<TopicPartition, Vec<ActiveProducer>> {
        self.batch(core::describe_producers(partitions, None)).await
    }

    /// As [`describe_producers`](Self::describe_producers), as one broker's replicas know them.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn describe_producers_on(
        &self,
        broker: BrokerId,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> BatchResult<TopicPartition, Vec<ActiveProducer>> {
        self.batch(core::describe_producers(partitions, Some(broker))).await
    }

    /// Ends a transaction that hangs in one partition: one that no coordinator will end.
    ///
    /// Used on a transaction that is not hanging, this breaks its atomicity.
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn abort_transaction(&self, hanging: AbortTransaction) -> Result<(), AdminError> {
        self.whole(core::abort_transaction(hanging)).await
    }

    /// Fences the producers of transactional ids: what they have open is aborted, and they can write no
    /// more.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn fence_producers(
        &self,
        ids: impl IntoIterator<Item = impl Into<String>>,
    ) -> BatchResult<String, FencedProducer> {
        let ids = ids.into_iter().map(Into::into);
        self.batch(core::fence_producers(ids)).await
    }

    /// Ends the transaction of a transactional id, one that is prepared for two-phase commit too
    /// (KIP-939).
    ///
    /// # Errors
    /// The cluster refused, gave no answer in time, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn force_terminate_transaction(
        &self,
        id: impl Into<String>,
    ) -> Result<FencedProducer, AdminError> {
        super::only(self.fence_producers([id]).await)
    }
}
