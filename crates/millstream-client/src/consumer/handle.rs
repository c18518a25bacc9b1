//! A consumer's other end: steers it from elsewhere, but takes no records.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use millstream_client_core::consumer::{
    Batch, CommitError, ConsumerCommand, ConsumerCompletion, ConsumerError, ConsumerShared,
    OffsetToCommit,
};
use millstream_types::{Offset, OffsetAndMetadata, TopicPartition};

use crate::driver::ClientHandle;

/// Pauses, seeks, commits and closes a [`Consumer`](super::Consumer) from elsewhere.
///
/// Cloning gives another end of the same consumer. It does not keep the consumer open.
#[derive(Clone)]
pub struct ConsumerHandle {
    pub(super) shared: Arc<ConsumerShared>,
    pub(super) client: ClientHandle,
}

impl ConsumerHandle {
    /// As [`Consumer::commit`](super::Consumer::commit).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// The commit is posted on the first poll and goes on; only its outcome is lost.
    pub async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let offset = self.shared.offset_of(batch)?;
        self.commit_all(vec![offset]).await
    }

    /// As [`Consumer::commit_later`](super::Consumer::commit_later).
    ///
    /// # Errors
    /// As there.
    pub fn commit_later(&self, batch: &Batch) -> Result<(), CommitError> {
        self.shared.commit_later(batch)
    }

    /// As [`Consumer::commit_offsets`](super::Consumer::commit_offsets).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// The commit is posted on the first poll and goes on; only its outcome is lost.
    pub async fn commit_offsets(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), CommitError> {
        let offsets = self.owned_now(offsets)?;
        if offsets.is_empty() {
            return Ok(());
        }
        self.commit_all(offsets).await
    }

    /// Binds offsets to the ownership of this moment.
    pub(super) fn owned_now(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<Vec<OffsetToCommit>, CommitError> {
        offsets
            .into_iter()
            .map(|(partition, offset)| self.shared.offset_owned_now(partition, offset))
            .collect()
    }

    async fn commit_all(&self, offsets: Vec<OffsetToCommit>) -> Result<(), CommitError> {
        let timeout = self.shared.config().api_timeout;
        match self.call(ConsumerCommand::Commit { offsets, timeout }).await {
            Some(ConsumerCompletion::Commit(result)) => result,
            _ => Err(CommitError::Closed),
        }
    }

    /// As [`Consumer::seek`](super::Consumer::seek).
    ///
    /// # Errors
    /// As there.
    pub fn seek(&self, partition: &TopicPartition, offset: Offset) -> Result<(), ConsumerError> {
        self.shared.seek(partition, offset)
    }

    /// As [`Consumer::pause`](super::Consumer::pause).
    ///
    /// # Errors
    /// As there.
    pub fn pause(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        self.shared.pause(&partitions.into_iter().collect::<Vec<_>>())
    }

    /// As [`Consumer::resume`](super::Consumer::resume).
    ///
    /// # Errors
    /// As there.
    pub fn resume(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        self.shared.resume(&partitions.into_iter().collect::<Vec<_>>())
    }

    /// Ends the consumer: its poller gets `None`. The batch it took last does not count as finished.
    ///
    /// # Errors
    /// If the last offsets were not confirmed within `timeout`.
    ///
    /// # Cancel safety
    /// Closing is begun on the first poll and goes on; only its outcome is lost.
    pub async fn close(&self, timeout: Duration) -> Result<(), ConsumerError> {
        self.shared.mark_closed();
        match self.call(ConsumerCommand::Close { timeout }).await {
            Some(ConsumerCompletion::Close(result)) => result,
            // Closed before: by another call, or with the driver.
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ConsumerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerHandle")
            .field("closed", &self.shared.is_closed())
            .finish_non_exhaustive()
    }
}
