//! The consumer: records out, as a member of a group or without one.

mod assignor;
mod blocking;
mod builder;
mod event;
mod handle;
mod poll;
mod records;
mod sink;
mod wait;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_client_core::consumer::{
    ConsumerCommand, ConsumerCompletion, ConsumerShared, Next, Wants,
};
use millstream_client_core::{Command, Completion};
use millstream_types::{Offset, OffsetAndMetadata, Timestamp, TopicName, TopicPartition};

use crate::driver::ClientHandle;

pub use assignor::{
    Assignment, Assignor, AssignorError, BoxFuture, BrokerView, ClusterView, GroupAssignment,
    GroupAssignor, GroupSubscription, PartitionView, RebalanceProtocol, Subscription, TopicView,
};
pub use builder::ConsumerBuilder;
pub use event::{ConsumerEvent, Revoking};
pub use handle::ConsumerHandle;
pub use millstream_client_core::consumer::{
    Batch, BatchRecords, CommitError, ConsumerError, ConsumerRecord, FetchError, IsolationLevel,
    OffsetReset, OffsetSpec, ResetCause, Stamp,
};
pub use millstream_client_core::group::GroupMetadata;
pub use millstream_protocol::batch::{Cursor as RecordCursor, HeaderView, HeaderViews, RecordView};
pub use records::Records;

/// How long a dropped consumer takes at most to commit what is due and to leave its group.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads records of topics.
///
/// A driver on the client's I/O thread fetches ahead, keeps the group membership and commits,
/// whatever the application is doing; the application takes checked batches. All methods take
/// `&self`; one call at a time may wait for records, the others can be made from anywhere (also by a
/// [`ConsumerHandle`]).
///
/// Rebalances need no code: partitions that go to another member are given up when the application
/// next asks for records. Who wants to take part uses [`next_event`](Self::next_event).
///
/// Dropping a consumer does not block: it leaves its group in the background, and auto-commit
/// commits all but the last batch taken. To know that it has, [`close`](Self::close) it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use millstream_client::Consumer;
///
/// let consumer = Consumer::builder(["localhost:9092"]).group("billing").build().await?;
/// consumer.subscribe(["orders"]).await?;
/// while let Some(batch) = consumer.poll().await? {
///     for record in &batch {
///         println!("{}: {:?}", record.offset, record.value);
///     }
///     consumer.commit(&batch).await?; // exactly what was handled
/// }
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    handle: ConsumerHandle,
    is_closed: AtomicBool,
}

impl Consumer {
    /// Begins a consumer; `bootstrap` names some brokers of its cluster, `host:port`.
    pub fn builder(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> ConsumerBuilder {
        ConsumerBuilder::new(bootstrap)
    }

    /// Begins a consumer without a group: it is assigned partitions by hand and commits nothing.
    pub fn reader(bootstrap: impl IntoIterator<Item = impl Into<String>>) -> ConsumerBuilder {
        ConsumerBuilder::new(bootstrap)
    }

    pub(crate) const fn new(shared: Arc<ConsumerShared>, client: ClientHandle) -> Self {
        Self { handle: ConsumerHandle { shared, client }, is_closed: AtomicBool::new(false) }
    }

    pub(crate) const fn shared(&self) -> &Arc<ConsumerShared> {
        &self.handle.shared
    }

    /// Another end of this consumer, to steer it from elsewhere.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Subscribes to topics, in place of what was subscribed to before. Partitions come with the
    /// next rebalance.
    ///
    /// # Errors
    /// Without a group, after [`assign`](Self::assign), or for an impossible name.
    ///
    /// # Cancel safety
    /// Done on the first poll; it does not wait.
    #[allow(clippy::unused_async)] // Room to wait for the topics here, without a change for callers.
    pub async fn subscribe(
        &self,
        topics: impl IntoIterator<Item = impl Into<TopicName>>,
    ) -> Result<(), ConsumerError> {
        self.subscribe_blocking(topics)
    }

    /// [`subscribe`](Self::subscribe) for threads without a runtime. It does not block either.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_blocking(
        &self,
        topics: impl IntoIterator<Item = impl Into<TopicName>>,
    ) -> Result<(), ConsumerError> {
        self.shared().subscribe(topics.into_iter().map(Into::into).collect())
    }

    /// Assigns exactly these partitions by hand. Those that stay keep their positions; new ones
    /// start at the group's committed offset, or as `auto_offset_reset` says.
    ///
    /// # Errors
    /// After [`subscribe`](Self::subscribe), or for an impossible topic name.
    pub fn assign(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        self.shared().assign(partitions.into_iter().map(|tp| (tp, None)).collect())
    }

    /// [`assign`](Self::assign) and [`seek`](Self::seek) in one step: no offset is looked up.
    ///
    /// # Errors
    /// As [`assign`](Self::assign); also for a negative offset.
    pub fn assign_from(
        &self,
        positions: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Result<(), ConsumerError> {
        self.shared().assign(positions.into_iter().map(|(tp, at)| (tp, Some(at))).collect())
    }

    /// Gives up what was subscribed to or assigned; a member leaves its group.
    ///
    /// # Errors
    /// After the consumer was closed.
    pub fn unsubscribe(&self) -> Result<(), ConsumerError> {
        self.shared().unsubscribe()
    }

    /// The partitions that are assigned, sorted.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared().assignment()
    }

    /// Waits for records: a batch of one partition; `None` once the consumer is closed.
    ///
    /// Asking says that the last batch is finished, and gives up partitions that go to another
    /// member. An error is told once; the next call goes on with what can be read.
    ///
    /// # Errors
    /// [`FetchError`]: something cannot be read, or another call is already waiting.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: a batch is taken on the poll that returns it.
    pub async fn poll(&self) -> Result<Option<Batch>, FetchError> {
        loop {
            match poll::next(self.shared(), Wants::Records).await? {
                None => return Ok(None),
                Some(Next::Records(batch)) => return Ok(Some(batch)),
                Some(Next::Failed(error)) => return Err(error),
                Some(_) => {}
            }
        }
    }

    /// Waits for records or for news of the group and the positions; `None` once the consumer is
    /// closed. Like [`poll`](Self::poll) otherwise.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next_event(&self) -> Result<Option<ConsumerEvent>, FetchError> {
        loop {
            let Some(next) = poll::next(self.shared(), Wants::Events).await? else {
                return Ok(None);
            };
            if let Some(event) = ConsumerEvent::from_next(next, self.shared())? {
                return Ok(Some(event));
            }
        }
    }

    /// The records one by one, with bytes of their own.
    pub const fn records(&self) -> Records<'_> {
        Records::new(self)
    }

    /// Commits what is behind `batch`, and waits for the coordinator.
    ///
    /// # Errors
    /// [`CommitError::NotOwned`] if the partition was given up since the batch was fetched, also if
    /// it came back; otherwise what the coordinator said.
    ///
    /// # Cancel safety
    /// The commit is posted on the first poll and goes on; only its outcome is lost.
    pub async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.handle.commit(batch).await
    }

    /// Commits what is behind `batch` some time soon, together with others. A failure is told by
    /// [`ConsumerEvent::CommitFailed`].
    ///
    /// # Errors
    /// As [`commit`](Self::commit), as far as can be told at once.
    pub fn commit_later(&self, batch: &Batch) -> Result<(), CommitError> {
        self.shared().commit_later(batch)
    }

    /// Commits offsets: of each partition the next record to process. Waits for the coordinator.
    ///
    /// # Errors
    /// [`CommitError::NotOwned`] if a partition is not assigned; otherwise what the coordinator said.
    ///
    /// # Cancel safety
    /// The commit is posted on the first poll and goes on; only its outcome is lost.
    pub async fn commit_offsets(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), CommitError> {
        self.handle.commit_offsets(offsets).await
    }

    /// The member that this consumer is, for offsets that a transaction commits (KIP-447): see
    /// [`OpenTransaction::commit_offsets_of`](crate::OpenTransaction::commit_offsets_of). `None`
    /// without a group, or before it has joined.
    #[must_use]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        self.shared().group_metadata()
    }

    /// What the group has committed: `None` for a partition of which nothing is.
    ///
    /// # Errors
    /// Without a group, or if the coordinator gave no answer within the client's `api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future only loses the answer.
    pub async fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, ConsumerError> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let timeout = self.shared().config().api_timeout;
        let asked = ConsumerCommand::Committed { partitions: partitions.clone(), timeout };
        match self.handle.call(asked).await {
            Some(ConsumerCompletion::Committed(result)) => {
                let mut found = result?;
                Ok(partitions
                    .into_iter()
                    .map(|tp| {
                        let committed = found.remove(&tp);
                        (tp, committed)
                    })
                    .collect())
            }
            _ => Err(ConsumerError::Closed),
        }
    }

    /// The first offset of each partition's log.
    ///
    /// # Errors
    /// If a leader refuses or gives no answer within the client's `api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future only loses the answer.
    pub async fn beginning_offsets(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ConsumerError> {
        let asked = partitions.into_iter().map(|tp| (tp, OffsetSpec::Earliest));
        self.list_offsets(asked.collect()).await
    }

    /// The offset behind the last record of each partition that this consumer may see.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// # Cancel safety
    /// Dropping the future only loses the answer.
    pub async fn end_offsets(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ConsumerError> {
        let asked = partitions.into_iter().map(|tp| (tp, OffsetSpec::Latest));
        self.list_offsets(asked.collect()).await
    }

    /// The offset of the first record of each partition with this time or a later one; a partition
    /// without such a record is absent.
    ///
    /// # Errors
    /// As [`beginning_offsets`](Self::beginning_offsets).
    ///
    /// # Cancel safety
    /// Dropping the future only loses the answer.
    pub async fn offsets_for_times(
        &self,
        times: impl IntoIterator<Item = (TopicPartition, Timestamp)>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ConsumerError> {
        let asked = times.into_iter().map(|(tp, time)| (tp, OffsetSpec::Timestamp(time)));
        self.list_offsets(asked.collect()).await
    }

    async fn list_offsets(
        &self,
        partitions: BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ConsumerError> {
        let timeout = self.shared().config().api_timeout;
        match self.handle.call(ConsumerCommand::ListOffsets { partitions, timeout }).await {
            Some(ConsumerCompletion::ListOffsets(result)) => result,
            _ => Err(ConsumerError::Closed),
        }
    }

    /// Goes to `offset`. What was fetched before is dropped.
    ///
    /// # Errors
    /// If the partition is not assigned, or the offset is negative.
    pub fn seek(&self, partition: &TopicPartition, offset: Offset) -> Result<(), ConsumerError> {
        self.handle.seek(partition, offset)
    }

    /// Goes to the first records; the offsets are looked up by the driver.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn seek_to_beginning(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        self.shared().seek_to(&partitions, OffsetSpec::Earliest)
    }

    /// Goes behind the last records; the offsets are looked up by the driver.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn seek_to_end(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        self.shared().seek_to(&partitions, OffsetSpec::Latest)
    }

    /// Hands out nothing more of these partitions until they are resumed. What is buffered is kept.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn pause(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        self.handle.pause(partitions)
    }

    /// Hands out records of these partitions again.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn resume(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ConsumerError> {
        self.handle.resume(partitions)
    }

    /// The partitions that are paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.shared().paused()
    }

    /// The offset of the next record to be handed out, once it is known.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.shared().position(partition)
    }

    /// How many offsets lie before the end, as the last fetch told it. No request is made.
    #[must_use]
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared().lag(partition)
    }

    /// The end of the partition's replicated log, as the last fetch told it.
    #[must_use]
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        self.shared().high_watermark(partition)
    }

    /// Asks the group to rebalance (Java's `enforceRebalance`).
    pub fn rejoin(&self, reason: &str) {
        self.shared().rejoin(reason);
    }

    /// Whether the consumer was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared().is_closed()
    }

    /// Ends the consumer: what it handed out counts as finished, what is due is committed, the
    /// member leaves its group.
    ///
    /// # Errors
    /// If the last offsets were not confirmed within `timeout`.
    ///
    /// # Cancel safety
    /// Closing is begun on the first poll and goes on; only its outcome is lost.
    pub async fn close(&self, timeout: Duration) -> Result<(), ConsumerError> {
        self.is_closed.store(true, Ordering::Release);
        self.shared().finish();
        self.handle.close(timeout).await
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if !self.is_closed.swap(true, Ordering::AcqRel) {
            self.shared().mark_closed();
            self.handle.client.post(ConsumerCommand::Close { timeout: DROP_TIMEOUT });
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group", &self.shared().config().group.as_ref().map(|group| &group.id))
            .field("assignment", &self.assignment())
            .finish_non_exhaustive()
    }
}

impl ConsumerHandle {
    /// Calls the machine; `None` if the client is closed.
    async fn call(&self, command: ConsumerCommand) -> Option<ConsumerCompletion> {
        match self.client.call(Command::Consumer(command)).await {
            Ok(Completion::Consumer(completion)) => Some(completion),
            _ => None,
        }
    }
}
