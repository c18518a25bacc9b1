//! What is assigned, what is buffered, and what the application is to be told.
//!
//! The table is shared by the machine and the application's handle, under one lock that is taken
//! once a batch, never once a record.

use std::collections::{BTreeSet, VecDeque};
use std::task::Waker;
use std::time::Instant;

use indexmap::IndexMap;
use millstream_types::{OffsetAndMetadata, TopicName, TopicPartition};

use super::command::OffsetToCommit;
use super::notice::{Next, Revocation};
use super::partition::{Entry, Partition, Phase, Position, Stamp};
use crate::group::GroupMetadata;

/// How the partitions come to this consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing was asked for yet.
    #[default]
    Idle,
    /// By hand.
    Assigned,
    /// By the group, for these topics.
    Subscribed(Vec<TopicName>),
}

/// A revocation and how far it is.
#[derive(Debug)]
pub(super) struct OpenRevocation {
    pub(super) revocation: Revocation,
    pub(super) progress: RevocationProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RevocationProgress {
    /// The application has not been told.
    Queued,
    /// It has; its next request for records acknowledges it.
    HandedOut,
    /// Acknowledged.
    Done,
}

/// The shared state of a consumer.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) mode: Mode,
    /// Raised by each change of `mode`.
    pub(super) mode_version: u64,
    pub(super) partitions: IndexMap<TopicPartition, Partition>,
    /// Partitions with something to hand out, in turn.
    ready: VecDeque<TopicPartition>,
    /// Partitions that need a look-up before they can be fetched.
    pub(super) unsettled: BTreeSet<TopicPartition>,
    pub(super) notices: VecDeque<Next>,
    pub(super) revocation: Option<OpenRevocation>,
    /// The bytes of all buffered entries.
    pub(super) buffered_bytes: usize,
    /// Raised by everything that may make a partition fetchable, or no longer.
    pub(super) fetch_version: u64,
    /// How much of a partition may be buffered before it is fetched no more.
    pub(super) partition_cap: usize,
    /// Fetching stopped for want of room, but for partitions with nothing buffered.
    pub(super) starved: bool,
    /// A partition can be fetched again: it fell below half of the cap, or has nothing buffered.
    pub(super) hungry: bool,
    /// The machine waits for the application to ask for records.
    pub(super) poll_wakes_driver: bool,
    /// What `commit_later` wants committed.
    pub(super) to_commit: IndexMap<TopicPartition, OffsetToCommit>,
    /// The application has asked to join anew, and why.
    pub(super) rejoin: Option<String>,
    /// The batch handed out last: finished once the application asks for more.
    pub(super) last: Option<(TopicPartition, Stamp, Position)>,
    /// Whether the application waits for records right now, and when it last did.
    pub(super) in_poll: bool,
    pub(super) last_poll: Option<Instant>,
    pub(super) waiter: Option<Waker>,
    /// The member that this consumer is, once it has joined.
    pub(super) member: Option<GroupMetadata>,
    pub(super) closed: bool,
    stamps: u64,
}

impl Table {
    /// Gives the consumer exactly `partitions`: those that stay keep stamp and buffer. Returns what
    /// was added.
    pub(super) fn adopt(
        &mut self,
        partitions: impl IntoIterator<Item = (TopicPartition, Phase, Option<Position>)>,
    ) -> Vec<TopicPartition> {
        let wanted: IndexMap<_, _> =
            partitions.into_iter().map(|(tp, phase, at)| (tp, (phase, at))).collect();
        let gone: Vec<_> =
            self.partitions.keys().filter(|tp| !wanted.contains_key(*tp)).cloned().collect();
        self.remove(&gone);
        let mut added = Vec::new();
        for (tp, (phase, position)) in wanted {
            if !self.partitions.contains_key(&tp) {
                self.add(tp.clone(), phase, position);
                added.push(tp);
            } else if let Some(position) = position {
                self.go_to(&tp, position, phase);
            }
        }
        added
    }

    fn add(&mut self, tp: TopicPartition, phase: Phase, position: Option<Position>) {
        self.stamps += 1;
        let mut partition = Partition::new(Stamp(self.stamps), phase);
        partition.position = position;
        partition.fetch_from = position;
        if partition.is_unsettled() {
            self.unsettled.insert(tp.clone());
        }
        self.partitions.insert(tp, partition);
        self.fetch_version += 1;
    }

    /// Takes partitions away, with what is buffered of them and what was to be committed.
    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            if let Some(partition) = self.partitions.shift_remove(tp) {
                self.buffered_bytes -= partition.buffered_bytes;
            }
            self.unsettled.remove(tp);
            self.to_commit.shift_remove(tp);
            self.forget_notices(tp);
        }
        self.fetch_version += 1;
    }

    /// Moves a partition; what the application has not yet been told of its old place is dropped.
    pub(super) fn go_to(&mut self, tp: &TopicPartition, position: Position, phase: Phase) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        self.buffered_bytes -= partition.go_to(position, phase);
        self.settle(tp);
        self.forget_notices(tp);
    }

    /// Puts a partition into `phase`; buffered data stays.
    pub(super) fn enter(&mut self, tp: &TopicPartition, phase: Phase) {
        if let Some(partition) = self.partitions.get_mut(tp) {
            partition.enter(phase);
            self.settle(tp);
        }
    }

    /// Files a partition under the phase that it is in.
    fn settle(&mut self, tp: &TopicPartition) {
        let unsettled = self.partitions.get(tp).is_some_and(Partition::is_unsettled);
        if unsettled {
            self.unsettled.insert(tp.clone());
        } else {
            self.unsettled.remove(tp);
        }
        self.fetch_version += 1;
    }

    fn forget_notices(&mut self, tp: &TopicPartition) {
        self.notices.retain(|notice| notice.partition() != Some(tp));
    }

    /// Appends an entry to a partition's buffer.
    pub(super) fn push(&mut self, tp: &TopicPartition, entry: Entry) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        if let (Entry::Skip(to), true) = (&entry, partition.buffer.is_empty()) {
            // Nothing is waiting before it, so nobody needs to ask for the position to move.
            partition.position = Some(*to);
            return;
        }
        let bytes = entry.bytes();
        partition.buffered_bytes += bytes;
        self.buffered_bytes += bytes;
        partition.buffer.push_back(entry);
        self.queue(tp);
    }

    /// Puts a partition into the queue if it has something to hand out.
    pub(super) fn queue(&mut self, tp: &TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(tp)
            && !partition.queued
            && partition.is_deliverable()
        {
            partition.queued = true;
            self.ready.push_back(tp.clone());
            self.wake_waiter();
        }
    }

    /// The next entry to hand out; partitions take turns.
    pub(super) fn pop(&mut self) -> Option<(TopicPartition, Entry)> {
        while let Some(tp) = self.ready.pop_front() {
            let Some(partition) = self.partitions.get_mut(&tp) else {
                continue;
            };
            partition.queued = false;
            if !partition.is_deliverable() {
                continue;
            }
            let Some(entry) = partition.buffer.pop_front() else {
                continue;
            };
            let bytes = entry.bytes();
            partition.buffered_bytes -= bytes;
            self.buffered_bytes -= bytes;
            let uncapped = partition.capped && partition.buffered_bytes <= self.partition_cap / 2;
            if uncapped || (self.starved && partition.buffer.is_empty()) {
                partition.capped = false;
                self.hungry = true;
                self.fetch_version += 1;
            }
            self.queue(&tp);
            return Some((tp, entry));
        }
        None
    }

    /// Puts the rest of an entry back in front, if nobody moved the partition meanwhile.
    pub(super) fn put_back(&mut self, tp: &TopicPartition, entry: Entry) {
        if let Some(partition) = self.partitions.get_mut(tp) {
            partition.buffer.push_front(entry);
            self.queue(tp);
        }
    }

    /// Tells the application something.
    pub(super) fn notify(&mut self, notice: Next) {
        self.notices.push_back(notice);
        self.wake_waiter();
    }

    /// Wakes who waits for records.
    pub(super) fn wake_waiter(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// What was handed out last is finished: the application asks for more, or has said so.
    pub(super) fn finish_last(&mut self) {
        if let Some((tp, stamp, position)) = self.last.take()
            && let Some(partition) = self.partitions.get_mut(&tp)
            && partition.stamp == stamp
        {
            partition.finished = Some(position);
        }
    }

    /// Begins to give partitions up: nothing more of them is handed out.
    pub(super) fn begin_revocation(&mut self, revocation: Revocation) {
        for tp in &revocation.partitions {
            if let Some(partition) = self.partitions.get_mut(tp) {
                partition.revoking = true;
                let freed = partition.clear();
                self.buffered_bytes -= freed;
            }
            self.unsettled.remove(tp);
        }
        self.fetch_version += 1;
        self.notify(Next::Revoking(revocation.clone()));
        self.revocation = Some(OpenRevocation { revocation, progress: RevocationProgress::Queued });
    }

    /// The finished positions of `partitions` that were not committed yet (auto-commit).
    pub(super) fn take_finished(&mut self, only: Option<&[TopicPartition]>) -> Vec<OffsetToCommit> {
        let mut offsets = Vec::new();
        for (tp, partition) in &mut self.partitions {
            if only.is_some_and(|only| !only.contains(tp)) {
                continue;
            }
            if let Some(position) = partition.finished.take() {
                offsets.push(OffsetToCommit {
                    partition: tp.clone(),
                    stamp: Some(partition.stamp),
                    offset: OffsetAndMetadata {
                        offset: position.offset,
                        leader_epoch: position.epoch,
                        metadata: String::new(),
                    },
                });
            }
        }
        offsets
    }

    /// The ownership of a partition now.
    pub(super) fn stamp(&self, tp: &TopicPartition) -> Option<Stamp> {
        self.partitions.get(tp).map(|partition| partition.stamp)
    }
}

impl Next {
    /// The partition whose position this is about: a seek makes it obsolete.
    fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::Reset { partition, .. } | Self::Truncated { partition, .. } => Some(partition),
            Self::Failed(error) => error.partition(),
            _ => None,
        }
    }
}
