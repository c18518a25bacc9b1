//! The application's side of a consumer: verbs that act at once, on the state it shares with the machine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Instant;

use millstream_protocol::compression::Decompressor;
use millstream_types::{Offset, OffsetAndMetadata, TopicName, TopicPartition};

use super::budget::Budget;
use super::command::{OffsetSpec, OffsetToCommit};
use super::config::{ConsumerConfig, IsolationLevel, OffsetReset};
use super::delivery::Batch;
use super::error::{CommitError, ConsumerError, FetchError};
use super::notice::Next;
use super::partition::{Phase, Position, Reset, ResetCause, Stamp};
use super::table::{Mode, RevocationProgress, Table};
use crate::group::GroupMetadata;

/// The longest name a topic can have (`Topic.MAX_NAME_LENGTH`).
const TOPIC_NAME_MAX: usize = 249;

/// What the application's handles and the machine share.
///
/// A verb changes the state at once and wakes the driver, which then does what follows from it.
#[derive(Debug)]
pub struct ConsumerShared {
    pub(super) config: ConsumerConfig,
    pub(super) table: Mutex<Table>,
    pub(super) budget: Arc<Budget>,
    pub(super) decompressor: Mutex<Decompressor>,
    me: Weak<Self>,
}

impl ConsumerShared {
    /// The state of a new consumer: nothing assigned.
    #[must_use]
    pub fn new(config: ConsumerConfig) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            table: Mutex::new(Table::default()),
            budget: Arc::new(Budget::new(config.buffer_memory)),
            decompressor: Mutex::new(Decompressor::new(config.decompressed_batch_max)),
            config,
        })
    }

    /// What wakes the driver; set once, before the first verb.
    pub fn set_driver_waker(&self, waker: Waker) {
        self.budget.set_driver(waker);
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// Subscribes to `topics` in place of what was subscribed to before.
    ///
    /// # Errors
    /// Without a group, after partitions were assigned by hand, or for an impossible name.
    pub fn subscribe(&self, topics: Vec<TopicName>) -> Result<(), ConsumerError> {
        if self.config.group.is_none() {
            return Err(ConsumerError::NoGroup);
        }
        for topic in &topics {
            check_topic_name(topic)?;
        }
        let mut topics = topics;
        topics.sort();
        topics.dedup();
        self.change(|table| {
            if table.mode == Mode::Assigned {
                return Err(ConsumerError::Mixed);
            }
            let mode = Mode::Subscribed(topics);
            if table.mode != mode {
                table.mode = mode;
                table.mode_version += 1;
            }
            Ok(())
        })
    }

    /// Assigns exactly these partitions by hand. Those that stay assigned keep their positions; one
    /// that names a position goes there.
    ///
    /// # Errors
    /// After topics were subscribed to, or for an impossible topic name or offset.
    pub fn assign(
        &self,
        partitions: Vec<(TopicPartition, Option<Offset>)>,
    ) -> Result<(), ConsumerError> {
        for (partition, offset) in &partitions {
            check_topic_name(&partition.topic)?;
            if let Some(offset) = offset {
                check_offset(partition, *offset)?;
            }
        }
        let initial = self.initial_phase();
        self.change(|table| {
            if matches!(table.mode, Mode::Subscribed(_)) {
                return Err(ConsumerError::Mixed);
            }
            table.mode = Mode::Assigned;
            table.mode_version += 1;
            let added = table.adopt(partitions.into_iter().map(|(tp, offset)| match offset {
                Some(offset) => (tp, Phase::Fetching, Some(Position::from(offset))),
                None => (tp, initial, None),
            }));
            for partition in added {
                // A seek takes this back, if it comes before the application looks.
                if table.partitions.get(&partition).is_some_and(|p| p.phase == Phase::Halted) {
                    table.notify(Next::Failed(FetchError::NoOffset { partition }));
                }
            }
            Ok(())
        })
    }

    /// Gives up what was subscribed to or assigned. A member leaves its group.
    pub fn unsubscribe(&self) -> Result<(), ConsumerError> {
        self.change(|table| {
            if table.mode == Mode::Assigned {
                table.adopt([]);
            }
            table.mode = Mode::Idle;
            table.mode_version += 1;
            Ok(())
        })
    }

    /// What is assigned.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        let mut all: Vec<_> = self.table().partitions.keys().cloned().collect();
        all.sort();
        all
    }

    /// Goes to `offset`: the next record handed out is the first at or behind it. What was fetched
    /// before is dropped.
    ///
    /// # Errors
    /// If the partition is not assigned, or the offset is negative.
    pub fn seek(&self, partition: &TopicPartition, offset: Offset) -> Result<(), ConsumerError> {
        check_offset(partition, offset)?;
        self.change(|table| {
            require(table, partition)?;
            table.go_to(partition, Position::from(offset), Phase::Fetching);
            Ok(())
        })
    }

    /// Goes to where `spec` says, once that is looked up.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn seek_to(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<(), ConsumerError> {
        self.change(|table| {
            for partition in partitions {
                require(table, partition)?;
            }
            for partition in partitions {
                if let Some(state) = table.partitions.get_mut(partition) {
                    let from = state.position.take().map(|position| position.offset);
                    let freed = state.clear();
                    table.buffered_bytes -= freed;
                    let reset = Reset { spec, cause: ResetCause::Requested, from };
                    table.enter(partition, Phase::NeedsReset(reset));
                }
            }
            Ok(())
        })
    }

    /// Hands out nothing more of `partitions` until they are resumed; what is buffered is kept.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        self.set_paused(partitions, true)
    }

    /// Hands out records of `partitions` again.
    ///
    /// # Errors
    /// If a partition is not assigned.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        self.set_paused(partitions, false)
    }

    fn set_paused(&self, partitions: &[TopicPartition], paused: bool) -> Result<(), ConsumerError> {
        self.change(|table| {
            for partition in partitions {
                require(table, partition)?;
            }
            for partition in partitions {
                if let Some(state) = table.partitions.get_mut(partition) {
                    state.paused = paused;
                }
                table.queue(partition);
            }
            table.fetch_version += 1;
            if !paused {
                table.wake_waiter();
            }
            Ok(())
        })
    }

    /// What is paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        let table = self.table();
        let paused = table.partitions.iter().filter(|(_, partition)| partition.paused);
        paused.map(|(tp, _)| tp.clone()).collect()
    }

    /// The offset of the next record to be handed out, once it is known.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.table().partitions.get(partition)?.position.map(|position| position.offset)
    }

    /// The end of the log as the last fetch told it: replicated records only.
    #[must_use]
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        self.table().partitions.get(partition)?.ends.high_watermark
    }

    /// The start of the log as the last fetch told it.
    #[must_use]
    pub fn log_start(&self, partition: &TopicPartition) -> Option<Offset> {
        self.table().partitions.get(partition)?.ends.start
    }

    /// How many offsets lie between the position and what this consumer may read up to, as the last
    /// fetch told it. No request is made.
    #[must_use]
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let table = self.table();
        let state = table.partitions.get(partition)?;
        let end = match self.config.isolation_level {
            IsolationLevel::ReadUncommitted => state.ends.high_watermark?,
            IsolationLevel::ReadCommitted => state.ends.last_stable?,
        };
        Some((end.value() - state.position?.offset.value()).max(0))
    }

    /// Asks the group to rebalance (KIP-568).
    pub fn rejoin(&self, reason: &str) {
        self.table().rejoin = Some(reason.to_owned());
        self.budget.wake_driver();
    }

    /// Commits what is behind `batch` some time soon, together with others.
    ///
    /// # Errors
    /// If the ownership under which it was fetched has ended, or there is no group.
    pub fn commit_later(&self, batch: &Batch) -> Result<(), CommitError> {
        let offset = self.offset_of(batch)?;
        self.commit_offset_later(offset)
    }

    /// Commits an offset some time soon, together with others.
    ///
    /// # Errors
    /// If the partition is not owned, or there is no group.
    pub fn commit_offset_later(&self, mut offset: OffsetToCommit) -> Result<(), CommitError> {
        {
            let mut table = self.table();
            let stamp = self.check_owned(&table, &offset)?;
            offset.stamp = Some(stamp);
            table.to_commit.insert(offset.partition.clone(), offset);
        }
        self.budget.wake_driver();
        Ok(())
    }

    /// What a commit of `batch` commits.
    ///
    /// # Errors
    /// If the ownership under which it was fetched has ended, or there is no group.
    pub fn offset_of(&self, batch: &Batch) -> Result<OffsetToCommit, CommitError> {
        let offset = OffsetToCommit {
            partition: batch.partition.clone(),
            stamp: Some(batch.stamp),
            offset: OffsetAndMetadata {
                offset: batch.next.offset,
                leader_epoch: batch.next.epoch,
                metadata: String::new(),
            },
        };
        self.check_owned(&self.table(), &offset)?;
        Ok(offset)
    }

    /// An offset to commit under the ownership of this moment.
    ///
    /// # Errors
    /// If the partition is not assigned, or there is no group.
    pub fn offset_owned_now(
        &self,
        partition: TopicPartition,
        offset: OffsetAndMetadata,
    ) -> Result<OffsetToCommit, CommitError> {
        let mut offset = OffsetToCommit { partition, stamp: None, offset };
        offset.stamp = Some(self.check_owned(&self.table(), &offset)?);
        Ok(offset)
    }

    /// Whether the offset may be committed: the ownership it was fetched under must go on.
    pub(super) fn check_owned(
        &self,
        table: &Table,
        offset: &OffsetToCommit,
    ) -> Result<Stamp, CommitError> {
        let partition = offset.partition.clone();
        if self.config.group.is_none() {
            return Err(CommitError::NoGroup { partition });
        }
        match table.stamp(&partition) {
            Some(owned) if offset.stamp.is_none_or(|stamp| stamp == owned) => Ok(owned),
            _ => Err(CommitError::NotOwned { partition }),
        }
    }

    /// The member that this consumer is, for offsets that a transaction commits (KIP-447); `None`
    /// without a group, or before it has joined.
    #[must_use]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        self.group_of(&self.table())
    }

    fn group_of(&self, table: &Table) -> Option<GroupMetadata> {
        let group = self.config.group.as_ref()?;
        match table.mode {
            Mode::Assigned => Some(GroupMetadata::of_group(group.id.clone())),
            _ => table.member.clone(),
        }
    }

    /// As whom `offsets` may be committed now.
    ///
    /// # Errors
    /// If the ownership of one of the partitions has ended, or there is no group.
    pub fn group_for(&self, offsets: &[OffsetToCommit]) -> Result<GroupMetadata, CommitError> {
        let table = self.table();
        for offset in offsets {
            self.check_owned(&table, offset)?;
        }
        self.group_of(&table).ok_or_else(|| match offsets.first() {
            Some(offset) => CommitError::NotOwned { partition: offset.partition.clone() },
            None => CommitError::Closed,
        })
    }

    pub(super) fn weak(&self) -> Weak<Self> {
        self.me.clone()
    }

    /// Acknowledges a revocation: the application has finished with the partitions.
    pub fn revoked(&self, round: u64) {
        {
            let mut table = self.table();
            let Some(open) = &mut table.revocation else { return };
            if open.revocation.round != round {
                return;
            }
            open.progress = RevocationProgress::Done;
            table.finish_last();
        }
        self.budget.wake_driver();
    }

    /// What was handed out last is finished.
    pub fn finish(&self) {
        self.table().finish_last();
    }

    /// Ends the handing out of records: a poller gets "closed".
    pub fn mark_closed(&self) {
        let mut table = self.table();
        table.closed = true;
        table.wake_waiter();
    }

    /// Whether the consumer was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.table().closed
    }

    /// What a partition without a position does first.
    pub(super) fn initial_phase(&self) -> Phase {
        if self.config.group.is_some() {
            Phase::NeedsCommitted
        } else {
            self.reset_phase(ResetCause::NoPosition, None).unwrap_or(Phase::Halted)
        }
    }

    /// The look-up that `auto.offset.reset` asks for; `None` if it asks for none.
    pub(super) fn reset_phase(&self, cause: ResetCause, from: Option<Offset>) -> Option<Phase> {
        let spec = match self.config.auto_offset_reset {
            OffsetReset::Earliest => OffsetSpec::Earliest,
            OffsetReset::Latest => OffsetSpec::Latest,
            OffsetReset::None => return None,
        };
        Some(Phase::NeedsReset(Reset { spec, cause, from }))
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        // A panic under this lock can only come from a bug of ours; going on with the state as it
        // is beats taking the application down with it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the table and wakes the driver.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Table) -> Result<T, ConsumerError>,
    ) -> Result<T, ConsumerError> {
        let result = {
            let mut table = self.table();
            if table.closed {
                return Err(ConsumerError::Closed);
            }
            change(&mut table)?
        };
        self.budget.wake_driver();
        Ok(result)
    }

    /// When the application asked for records last; `None` while it is asking.
    pub(super) fn idle_since(table: &Table, now: Instant) -> Option<Instant> {
        if table.in_poll { None } else { Some(table.last_poll.unwrap_or(now)) }
    }
}

fn require(table: &Table, partition: &TopicPartition) -> Result<(), ConsumerError> {
    if table.partitions.contains_key(partition) {
        Ok(())
    } else {
        Err(ConsumerError::NotAssigned { partition: partition.clone() })
    }
}

fn check_offset(partition: &TopicPartition, offset: Offset) -> Result<(), ConsumerError> {
    if offset.value() < 0 {
        return Err(ConsumerError::NegativeOffset { partition: partition.clone(), offset });
    }
    Ok(())
}

/// What Kafka takes for a topic's name (`Topic.validate`).
fn check_topic_name(topic: &TopicName) -> Result<(), ConsumerError> {
    let name = topic.as_str();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = !name.is_empty() && name.len() <= TOPIC_NAME_MAX && name != "." && name != "..";
    if fits && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(ConsumerError::TopicName { name: name.to_owned() })
    }
}
