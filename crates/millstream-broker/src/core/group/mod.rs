//! Groups of the classic protocol: a coordinator that follows `GroupMetadataManager.java` and
//! `ClassicGroup.java` step by step.
//!
//! A group answers at once or later; what it answers later goes to
//! [`GroupCx::answered`]. It keeps one deadline in the cluster's queue, the earliest of its members'
//! and its rebalance's. Differences: the initial rebalance delay defaults to none; offsets do not
//! expire; a group that has neither members nor offsets stays until it is deleted.

mod heartbeat;
mod join;
mod leave;
mod member;
mod offsets;
mod rebalance;
mod resign;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use millstream_protocol::ErrorCode;
use millstream_types::{GroupId, GroupInstanceId, MemberId};

use super::config::GroupConfig;
use super::connection::ConnectionId;
use super::rng::Rng;
use super::state::{Answer, State};
use super::timers::{Timer, TimerKey};
pub(crate) use join::JoinRequest;
pub(crate) use leave::LeaveRequest;
pub(crate) use member::{Member, Protocol};
use offsets::TransactionalOffsets;
pub(crate) use offsets::{CommitRequest, CommittedOffset, Offsets};
pub(crate) use sync::SyncRequest;

/// Where a group stands (`ClassicGroupState.java`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupState {
    /// No members; perhaps offsets.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

impl GroupState {
    /// All states.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable];

    /// Whether a group may go from this state to `next`.
    pub(crate) const fn may_become(self, next: Self) -> bool {
        match next {
            Self::PreparingRebalance => {
                matches!(self, Self::Empty | Self::CompletingRebalance | Self::Stable)
            }
            Self::Empty | Self::CompletingRebalance => matches!(self, Self::PreparingRebalance),
            Self::Stable => matches!(self, Self::CompletingRebalance),
        }
    }

    /// Kafka's name of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rebalance that waits for members.
#[derive(Clone, Copy, Debug)]
struct Rebalance {
    deadline: Instant,
    /// For the first rebalance of a group: how much longer it may be put off for newcomers.
    initial: Option<Duration>,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) state: GroupState,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<MemberId>,
    pub(crate) members: IndexMap<MemberId, Member>,
    pub(crate) offsets: Offsets,
    /// Offsets inside transactions that have not ended.
    transactional: TransactionalOffsets,
    instances: BTreeMap<GroupInstanceId, MemberId>,
    /// Members that were given an id and have not come back with it, until when.
    pending: BTreeMap<MemberId, Instant>,
    rebalance: Option<Rebalance>,
    /// Whether a newcomer joined while the first rebalance waited.
    newcomer: bool,
    /// Members whose sync is outstanding, and until when.
    unsynced: BTreeSet<MemberId>,
    sync_deadline: Option<Instant>,
    timer: Option<TimerKey>,
}

/// What a group needs from its surroundings.
pub(crate) struct GroupCx<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a GroupConfig,
    pub(crate) rng: &'a mut Rng,
    pub(crate) answered: &'a mut VecDeque<(ConnectionId, Answer)>,
}

/// The groups of the cluster.
pub(crate) type Groups = BTreeMap<GroupId, Group>;

impl Group {
    pub(crate) fn new(id: GroupId) -> Self {
        Self {
            id,
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            offsets: Offsets::new(),
            transactional: TransactionalOffsets::default(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            rebalance: None,
            newcomer: false,
            unsynced: BTreeSet::new(),
            sync_deadline: None,
            timer: None,
        }
    }

    fn become_state(&mut self, next: GroupState) {
        debug_assert!(
            self.state.may_become(next),
            "group {}: {} cannot become {next}",
            self.id,
            self.state
        );
        self.state = next;
    }

    /// The member that a request speaks for, as `ClassicGroup.validateMember` finds it.
    fn find_member(
        &self,
        member: &MemberId,
        instance: Option<&GroupInstanceId>,
    ) -> Result<&Member, ErrorCode> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if owner != member => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.members.get(member).ok_or(ErrorCode::UnknownMemberId)
    }

    fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// The longest that any member wants to be waited for.
    fn rebalance_timeout(&self) -> Duration {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout);
        timeouts.max().unwrap_or_default()
    }

    /// The earliest moment at which something happens by itself.
    fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.values().filter(|member| member.can_expire());
        let rebalance = self.rebalance.map(|rebalance| rebalance.deadline);
        members
            .map(|member| member.deadline)
            .chain(self.pending.values().copied())
            .chain(rebalance)
            .chain(self.sync_deadline)
            .min()
    }
}

impl State {
    /// Lets a group do something; creates it if `create`.
    pub(crate) fn with_group<T>(
        &mut self,
        id: &str,
        now: Instant,
        create: bool,
        act: impl FnOnce(&mut Group, &mut GroupCx<'_>) -> T,
    ) -> Option<T> {
        if create && !self.groups.contains_key(id) {
            self.groups.insert(id.into(), Group::new(id.into()));
        }
        let group = self.groups.get_mut(id)?;
        let mut cx = GroupCx {
            now,
            config: &self.config.groups,
            rng: &mut self.rng,
            answered: &mut self.answered,
        };
        let result = act(group, &mut cx);
        let next = group.next_deadline();
        let armed = group.timer.map(TimerKey::at);
        // A later deadline is found when the armed one fires.
        let sooner = match (next, armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if sooner && let Some(at) = next {
            if let Some(old) = group.timer.take() {
                self.timers.cancel(old);
            }
            group.timer = Some(self.timers.arm(at, Timer::Group(group.id.clone())));
        }
        Some(result)
    }

    /// The deadline of a group fired.
    pub(crate) fn group_timeout(&mut self, id: &GroupId, now: Instant) {
        if let Some(group) = self.groups.get_mut(id.as_str()) {
            group.timer = None;
        }
        self.with_group(id.as_str(), now, false, Group::handle_timeout);
    }
}
