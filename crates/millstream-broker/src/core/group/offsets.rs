//! The offsets that a group committed.

use std::collections::BTreeMap;

use millstream_protocol::ErrorCode;
use millstream_types::{GroupInstanceId, MemberId, TopicName};

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

    /// Keeps an offset.
    pub(crate) fn commit(&mut self, topic: TopicName, partition: i32, offset: CommittedOffset) {
        self.offsets.entry(topic).or_default().insert(partition, offset);
    }

    /// What was committed for a partition.
    pub(crate) fn committed(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }
}
