//! The waiting verbs for threads without a runtime, each with the time it may take.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_types::{Offset, OffsetAndMetadata, TopicPartition};

use super::wait::block_on;
use super::{Batch, CommitError, Consumer, ConsumerError, ConsumerEvent, FetchError};

impl Consumer {
    /// [`poll`](Self::poll) for at most `timeout`: `None` also if nothing came.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn poll_blocking(&self, timeout: Duration) -> Result<Option<Batch>, FetchError> {
        block_on(self.poll(), timeout).unwrap_or(Ok(None))
    }

    /// [`next_event`](Self::next_event) for at most `timeout`: `None` also if nothing came.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn next_event_blocking(
        &self,
        timeout: Duration,
    ) -> Result<Option<ConsumerEvent>, FetchError> {
        block_on(self.next_event(), timeout).unwrap_or(Ok(None))
    }

    /// [`commit`](Self::commit) for at most `timeout`.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_blocking(&self, batch: &Batch, timeout: Duration) -> Result<(), CommitError> {
        block_on(self.commit(batch), timeout).unwrap_or_else(|| Err(self.commit_late(timeout)))
    }

    /// [`commit_offsets`](Self::commit_offsets) for at most `timeout`.
    ///
    /// # Errors
    /// As [`commit_offsets`](Self::commit_offsets).
    pub fn commit_offsets_blocking(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
    ) -> Result<(), CommitError> {
        block_on(self.commit_offsets(offsets), timeout)
            .unwrap_or_else(|| Err(self.commit_late(timeout)))
    }

    /// [`committed`](Self::committed) for at most `timeout`.
    ///
    /// # Errors
    /// As [`committed`](Self::committed).
    pub fn committed_blocking(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, ConsumerError> {
        block_on(self.committed(partitions), timeout)
            .unwrap_or_else(|| Err(late("looking committed offsets up", timeout)))
    }

    /// [`beginning_offsets`](Self::beginning_offsets) for at most `timeout`.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    pub fn beginning_offsets_blocking(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ConsumerError> {
        block_on(self.beginning_offsets(partitions), timeout)
            .unwrap_or_else(|| Err(late("looking offsets up", timeout)))
    }

    /// [`end_offsets`](Self::end_offsets) for at most `timeout`.
    ///
    /// # Errors
    /// As [`end_offsets`](Self::end_offsets).
    pub fn end_offsets_blocking(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ConsumerError> {
        block_on(self.end_offsets(partitions), timeout)
            .unwrap_or_else(|| Err(late("looking offsets up", timeout)))
    }

    /// [`close`](Self::close), which keeps its time itself.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_blocking(&self, timeout: Duration) -> Result<(), ConsumerError> {
        // The driver keeps the deadline; the rest is for the way there and back.
        let patience = timeout.saturating_add(Duration::from_secs(1));
        block_on(self.close(timeout), patience).unwrap_or_else(|| Err(late("closing", patience)))
    }

    fn commit_late(&self, waited: Duration) -> CommitError {
        match &self.shared().config().group {
            Some(group) => CommitError::TimedOut {
                group: group.id.clone(),
                waited,
                last_error: "it goes on in the background".to_owned(),
            },
            None => CommitError::Closed,
        }
    }
}

fn late(what: &'static str, waited: Duration) -> ConsumerError {
    ConsumerError::TimedOut { what, waited, last_error: "no answer yet".to_owned() }
}
