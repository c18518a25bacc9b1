//! Offsets of partitions, and deleting the records before one.

use millstream_client_core::admin as core;
use millstream_client_core::consumer::IsolationLevel;
use millstream_types::{Offset, TopicPartition};

use super::{Admin, BatchResult, ListedOffset, OffsetSpec};

impl Admin {
    /// The first, last or timed offsets of partitions, counting records of open transactions.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_offsets(
        &self,
        specs: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> BatchResult<TopicPartition, ListedOffset> {
        self.list_offsets_at(IsolationLevel::ReadUncommitted, specs).await
    }

    /// As [`Admin::list_offsets`]; with [`IsolationLevel::ReadCommitted`] the latest offset is the last
    /// stable one.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer.
    pub async fn list_offsets_at(
        &self,
        isolation: IsolationLevel,
        specs: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> BatchResult<TopicPartition, ListedOffset> {
        self.batch(core::list_offsets(specs, isolation)).await
    }

    /// Deletes the records before these offsets, all there are for offset -1; gives the first offset
    /// there is then.
    ///
    /// # Errors
    /// See [`BatchResult`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the call.
    pub async fn delete_records(
        &self,
        before: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> BatchResult<TopicPartition, Offset> {
        self.batch(core::delete_records(before)).await
    }
}
