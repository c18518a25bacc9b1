//! The offsets that a group committed, and those inside transactions that have not ended: nobody
//! sees these before the commit (`OffsetMetadataManager.java`).

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_types::{GroupInstanceId, MemberId, ProducerId, TopicName};

use super::{Group, GroupCx, GroupState};

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// Offsets by topic and partition.
pub(crate) type Offsets = BTreeMap<TopicName, BTreeMap<i32, CommittedOffset>>;

/// An offset inside a transaction.
#[derive(Clone, Debug)]
struct PendingOffset {
    offset: CommittedOffset,
    /// The place among all commits: a later commit outside the transaction stands against it.
    order: u64,
}

/// The offsets of transactions that have not ended, by producer.
#[derive(Clone, Debug, Default)]
pub(super) struct TransactionalOffsets {
    pending: BTreeMap<ProducerId, BTreeMap<(TopicName, i32), PendingOffset>>,
    /// The place of what is committed, among all commits.
    orders: BTreeMap<(TopicName, i32), u64>,
    commits: u64,
}

/// Who commits.
#[derive(Clone, Debug)]
pub(crate) struct CommitRequest {
    pub(crate) member: MemberId,
    pub(crate) instance: Option<GroupInstanceId>,
    pub(crate) generation: i32,
}

impl Group {
    /// Whether the committer may commit now (`ClassicGroup.validateOffsetCommit`); a member that
    /// commits lives.
    pub(crate) fn check_commit(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: &CommitRequest,
    ) -> Result<(), ErrorCode> {
        // An outsider, such as a consumer that assigns itself, may commit while there is no member.
        if request.generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        self.find_member(&request.member, request.instance.as_ref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == GroupState::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.heard_of(cx, &request.member);
        Ok(())
    }

    /// Whether the committer may commit inside a transaction now. A producer that says no member
    /// (before KIP-447) always may; it does not put a member's deadline off.
    pub(crate) fn check_transactional_commit(
        &self,
        request: &CommitRequest,
    ) -> Result<(), ErrorCode> {
        if request.generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        let names_member = !request.member.as_str().is_empty() || request.instance.is_some();
        if request.generation >= 0 || names_member {
            self.find_member(&request.member, request.instance.as_ref())?;
            if request.generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        }
        Ok(())
    }

    /// Keeps an offset.
    pub(crate) fn commit(&mut self, topic: TopicName, partition: i32, offset: CommittedOffset) {
        self.transactional.commits += 1;
        let order = self.transactional.commits;
        if !self.transactional.pending.is_empty() {
            self.transactional.orders.insert((topic.clone(), partition), order);
        }
        self.offsets.entry(topic).or_default().insert(partition, offset);
    }

    /// Keeps an offset until the producer's transaction ends.
    pub(crate) fn commit_pending(
        &mut self,
        producer: ProducerId,
        topic: TopicName,
        partition: i32,
        offset: CommittedOffset,
    ) {
        self.transactional.commits += 1;
        let order = self.transactional.commits;
        let pending = self.transactional.pending.entry(producer).or_default();
        pending.insert((topic, partition), PendingOffset { offset, order });
    }

    /// The producer's transaction ended: its offsets count, or are forgotten.
    pub(crate) fn end_transaction(&mut self, producer: ProducerId, commit: bool) {
        let ended = self.transactional.pending.remove(&producer).unwrap_or_default();
        for ((topic, partition), pending) in ended.into_iter().filter(|_| commit) {
            let key = (topic.clone(), partition);
            if self.transactional.orders.get(&key).is_some_and(|order| *order > pending.order) {
                continue;
            }
            self.transactional.orders.insert(key, pending.order);
            self.offsets.entry(topic).or_default().insert(partition, pending.offset);
        }
        if self.transactional.pending.is_empty() {
            self.transactional.orders.clear();
        }
    }

    /// Whether a transaction that has not ended holds an offset of this partition.
    pub(crate) fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        let key = (TopicName::from(topic), partition);
        self.transactional.pending.values().any(|pending| pending.contains_key(&key))
    }

    /// What was committed for a partition.
    pub(crate) fn committed(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }
}
