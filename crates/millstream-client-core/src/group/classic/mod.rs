//! A member of a classic group: join, synchronise, beat, leave; eager and cooperative (KIP-429).
//!
//! [`ClassicMember`] knows nothing of records. It says what to do by [`Effect`]s, and whoever runs
//! it reports back. Requests are answered to it in the order in which it sent them, and answers to
//! requests that it no longer waits for are not reported.

mod answers;
mod requests;
mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};
use millstream_types::{GenerationId, TopicName, TopicPartition};

use super::{
    Assignment, AssignorError, GroupAssignment, GroupSubscription, RebalanceProtocol, Subscription,
    protocol,
};
use crate::backoff::{Backoff, Rng};
use crate::consumer::GroupConfig;
use crate::timer::{earliest, is_due};

pub use requests::Identity;
pub(crate) use requests::text;
pub use state::{InvalidTransition, MemberEvent, MemberState};

/// What a join may take beyond the rebalance timeout
/// (`AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE`).
const JOIN_LAPSE: Duration = Duration::from_secs(5);

/// What a member wants done.
#[derive(Debug)]
pub enum Effect {
    /// Send this to the coordinator; the answer goes to [`ClassicMember::handle_join`].
    Join(JoinGroupRequest, Duration),
    /// Send this to the coordinator; the answer goes to [`ClassicMember::handle_sync`].
    Sync(SyncGroupRequest, Duration),
    /// Send this to the coordinator; the answer goes to [`ClassicMember::handle_heartbeat`].
    Heartbeat(HeartbeatRequest),
    /// Send this to the coordinator; the answer, if the member is leaving, goes to
    /// [`ClassicMember::handle_leave`].
    Leave(LeaveGroupRequest),
    /// The coordinator is not where it was.
    FindCoordinator,
    /// Ask the assignors for their user data: [`ClassicMember::described`].
    Describe {
        /// Names the question.
        round: u64,
    },
    /// Let the assignor assign: [`ClassicMember::assigned`].
    Assign {
        /// Names the question.
        round: u64,
        /// The assignor that the group agreed on.
        assignor: String,
        /// The members.
        group: GroupSubscription,
    },
    /// Have the application give up partitions: [`ClassicMember::revoked`].
    Revoke {
        /// Names the question.
        round: u64,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// Ownership of these is gone; an open revocation is void.
    Lost(Vec<TopicPartition>),
    /// This is what the member owns now.
    Adopt {
        /// The assignor that the group agreed on.
        assignor: String,
        /// Partitions and user data.
        assignment: Assignment,
        /// The generation.
        generation: GenerationId,
    },
    /// Tell the application that the group is not to be had, or not now.
    Refused {
        /// What happened and what to do.
        reason: String,
        /// The coordinator's answer, where one is behind it.
        error: Option<ErrorCode>,
    },
    /// The member has left, or had nothing to leave.
    Left,
}

/// A member of a classic group.
#[derive(Debug)]
pub struct ClassicMember {
    config: GroupConfig,
    rack: Option<String>,
    backoff: Backoff,
    rng: Rng,
    state: MemberState,
    identity: Identity,
    protocol: RebalanceProtocol,
    topics: Vec<TopicName>,
    owned: BTreeSet<TopicPartition>,
    /// Why to join (again), if there is a reason.
    rejoin: Option<String>,
    /// Names the last question asked.
    round: u64,
    revoking: Vec<TopicPartition>,
    /// What the last join said, to say it again with a member id.
    protocols: Vec<(String, Bytes)>,
    join_reason: String,
    assignor: String,
    /// The assignment that waits for a revocation.
    pending: Option<Assignment>,
    failures: u32,
    retry_at: Option<Instant>,
    heartbeat: HeartbeatTimer,
    effects: VecDeque<Effect>,
}

/// When the coordinator hears from us, and heard from us last.
#[derive(Clone, Copy, Debug, Default)]
struct HeartbeatTimer {
    next: Option<Instant>,
    in_flight: Option<GenerationId>,
    answered: Option<Instant>,
}

impl ClassicMember {
    /// A member that has not joined.
    #[must_use]
    pub fn new(config: GroupConfig, rack: Option<String>, backoff: Backoff, rng: Rng) -> Self {
        Self {
            identity: Identity {
                group: config.id.clone(),
                instance: config.instance.clone(),
                member: None,
                generation: GenerationId::NONE,
            },
            protocol: common_protocol(&config),
            config,
            rack,
            backoff,
            rng,
            state: MemberState::Unjoined,
            topics: Vec::new(),
            owned: BTreeSet::new(),
            rejoin: None,
            round: 0,
            revoking: Vec::new(),
            protocols: Vec::new(),
            join_reason: String::new(),
            assignor: String::new(),
            pending: None,
            failures: 0,
            retry_at: None,
            heartbeat: HeartbeatTimer::default(),
            effects: VecDeque::new(),
        }
    }

    /// Where the member is.
    #[must_use]
    pub const fn state(&self) -> MemberState {
        self.state
    }

    /// By what the coordinator knows it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it owns.
    #[must_use]
    pub const fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// The topics it has subscribed to.
    #[must_use]
    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    /// What is to be done next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Subscribes: the member joins, or joins again if the topics changed.
    pub fn subscribe(&mut self, topics: Vec<TopicName>) {
        let first = matches!(self.state, MemberState::Unjoined | MemberState::Failed);
        if first || self.topics != topics {
            self.topics = topics;
            self.request_rejoin(if first { "" } else { "the subscription changed" });
        }
        if self.state == MemberState::Failed {
            self.go(MemberEvent::Left);
        }
    }

    /// Joins again as soon as the round under way is over.
    pub fn request_rejoin(&mut self, reason: &str) {
        self.rejoin.get_or_insert_with(|| reason.to_owned());
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Instant) {
        let retries = self.state == MemberState::BackingOff && is_due(self.retry_at, now);
        let starts = matches!(self.state, MemberState::Unjoined | MemberState::Stable)
            && self.rejoin.is_some();
        if retries || starts {
            self.begin();
        }
        if self.state.beats()
            && self.heartbeat.in_flight.is_none()
            && is_due(self.heartbeat.next, now)
        {
            self.heartbeat.in_flight = Some(self.identity.generation);
            self.heartbeat.next = None;
            self.effects.push_back(Effect::Heartbeat(requests::heartbeat(&self.identity)));
        }
    }

    /// When [`poll`](Self::poll) is due though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let retry = match self.state {
            MemberState::BackingOff => self.retry_at,
            _ => None,
        };
        let beat = match self.heartbeat.in_flight {
            None if self.state.beats() => self.heartbeat.next,
            _ => None,
        };
        earliest(retry, beat)
    }

    /// The application has given up what a [`Effect::Revoke`] named, and what it had finished is
    /// committed.
    pub fn revoked(&mut self, now: Instant, round: u64) {
        if round != self.round {
            return;
        }
        match self.state {
            MemberState::RevokingToJoin => {
                self.forget_revoked();
                self.describe();
            }
            MemberState::RevokingToAdopt => {
                self.forget_revoked();
                let assignment = self.pending.take().unwrap_or_default();
                self.adopt(now, assignment);
                self.request_rejoin("partitions were revoked and can now be given to others");
            }
            _ => {}
        }
    }

    /// The assignors' user data, by name; the member joins.
    pub fn described(&mut self, round: u64, user_data: &BTreeMap<String, Option<Bytes>>) {
        if round != self.round || self.state != MemberState::Describing {
            return;
        }
        let generation = self.identity.generation;
        let mut subscription = Subscription {
            topics: self.topics.clone(),
            user_data: None,
            owned_partitions: self.owned.iter().cloned().collect(),
            generation: (generation != GenerationId::NONE).then_some(generation),
            rack: self.rack.clone(),
            group_instance_id: None,
        };
        self.protocols.clear();
        for assignor in &self.config.assignors {
            subscription.user_data = user_data.get(&assignor.name).cloned().flatten();
            let bytes = protocol::encode_subscription(&subscription, protocol::VERSION);
            self.protocols.push((assignor.name.clone(), bytes));
        }
        self.go(MemberEvent::Join);
        self.send_join();
    }

    /// What the assignor said; the leader tells the coordinator.
    pub fn assigned(
        &mut self,
        now: Instant,
        round: u64,
        result: Result<GroupAssignment, AssignorError>,
    ) {
        if round != self.round || self.state != MemberState::Assigning {
            return;
        }
        match result {
            Ok(assignments) => self.send_sync(&assignments),
            Err(error) => {
                let reason = error.to_string();
                self.effects.push_back(Effect::Refused { reason, error: None });
                self.back_off(now);
            }
        }
    }

    /// The application did not ask for records in time: the member gives its place up.
    pub fn expire(&mut self) {
        if matches!(self.state, MemberState::Unjoined | MemberState::Expired)
            || self.state.on(MemberEvent::Expire).is_err()
        {
            return;
        }
        let reason = "the application did not ask for records within max.poll.interval.ms";
        self.send_leave(reason);
        self.go(MemberEvent::Expire);
        self.lose(true);
    }

    /// The application asks for records again.
    pub fn resume(&mut self) {
        if self.state == MemberState::Expired {
            self.join_reason.clear();
            self.begin();
        }
    }

    /// These partitions do not exist any more: they need no revocation, but a new assignment.
    pub fn disown(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.owned.remove(partition);
        }
        self.request_rejoin("a topic was deleted");
    }

    /// Leaves the group; [`Effect::Left`] follows. A static member keeps its place (KIP-345).
    pub fn leave(&mut self, reason: &str) {
        self.rejoin = None;
        self.owned.clear();
        self.revoking.clear();
        let sends = self.state.on(MemberEvent::Leave).is_ok() && self.send_leave(reason);
        if sends {
            self.go(MemberEvent::Leave);
            return;
        }
        if self.state.on(MemberEvent::Leave).is_ok() {
            self.go(MemberEvent::Leave);
        }
        self.left();
    }

    /// Sends a leave request, if the coordinator knows this member and it is not static.
    fn send_leave(&mut self, reason: &str) -> bool {
        if self.identity.member.is_none() || self.identity.instance.is_some() {
            return false;
        }
        self.effects.push_back(Effect::Leave(requests::leave(&self.identity, reason)));
        true
    }

    fn left(&mut self) {
        self.go(MemberEvent::Left);
        self.reset_identity(true);
        self.effects.push_back(Effect::Left);
    }

    /// Begins a round: first what must be given up, then the join.
    fn begin(&mut self) {
        self.join_reason = self.rejoin.take().unwrap_or_default();
        self.retry_at = None;
        let gone: Vec<_> = match self.protocol {
            RebalanceProtocol::Eager => self.owned.iter().cloned().collect(),
            RebalanceProtocol::Cooperative => {
                let unwanted = |tp: &&TopicPartition| !self.topics.contains(&tp.topic);
                self.owned.iter().filter(unwanted).cloned().collect()
            }
        };
        if gone.is_empty() {
            self.describe();
        } else {
            self.go(MemberEvent::RevokeToJoin);
            self.revoke(gone);
        }
    }

    fn revoke(&mut self, partitions: Vec<TopicPartition>) {
        self.round += 1;
        tracing::info!(partitions = %requests::describe(&partitions), "revoking partitions");
        self.revoking.clone_from(&partitions);
        self.effects.push_back(Effect::Revoke { round: self.round, partitions });
    }

    fn forget_revoked(&mut self) {
        for partition in self.revoking.drain(..) {
            self.owned.remove(&partition);
        }
    }

    fn describe(&mut self) {
        self.round += 1;
        self.go(MemberEvent::Describe);
        self.effects.push_back(Effect::Describe { round: self.round });
    }

    fn send_join(&mut self) {
        let config = &self.config;
        let request = requests::join(
            &self.identity,
            config.session_timeout,
            config.max_poll_interval,
            &self.protocols,
            &self.join_reason,
        );
        self.effects.push_back(Effect::Join(request, self.round_timeout()));
    }

    fn send_sync(&mut self, assignments: &GroupAssignment) {
        self.go(MemberEvent::Sync);
        let request = requests::sync(&self.identity, &self.assignor, assignments);
        self.effects.push_back(Effect::Sync(request, self.round_timeout()));
    }

    /// How long the coordinator may hold a join or a sync: until every member had its chance.
    fn round_timeout(&self) -> Duration {
        self.config.max_poll_interval.saturating_add(JOIN_LAPSE)
    }

    fn adopt(&mut self, now: Instant, assignment: Assignment) {
        self.go(MemberEvent::Adopt);
        self.failures = 0;
        self.owned = assignment.partitions.iter().cloned().collect();
        self.beat_from(now);
        self.effects.push_back(Effect::Adopt {
            assignor: self.assignor.clone(),
            assignment,
            generation: self.identity.generation,
        });
    }

    fn beat_from(&mut self, now: Instant) {
        self.heartbeat.answered = Some(now);
        self.heartbeat.next = Some(now + self.config.heartbeat_interval);
    }

    fn back_off(&mut self, now: Instant) {
        self.failures += 1;
        self.go(MemberEvent::BackOff);
        self.retry_at = Some(now + self.backoff.after(self.failures, &mut self.rng));
        self.pending = None;
    }

    /// Ownership is gone: nothing that was fetched under it may be committed.
    fn lose(&mut self, forget_member: bool) {
        self.reset_identity(forget_member);
        self.revoking.clear();
        self.pending = None;
        let lost: Vec<_> = std::mem::take(&mut self.owned).into_iter().collect();
        if !lost.is_empty() {
            tracing::warn!(partitions = %requests::describe(&lost), "partitions are lost");
            self.effects.push_back(Effect::Lost(lost));
        }
    }

    fn reset_identity(&mut self, forget_member: bool) {
        self.identity.generation = GenerationId::NONE;
        if forget_member {
            self.identity.member = None;
        }
        self.heartbeat = HeartbeatTimer::default();
    }

    fn go(&mut self, event: MemberEvent) {
        match self.state.on(event) {
            Ok(next) => {
                tracing::debug!(group = %self.identity.group, from = ?self.state, ?event, to = ?next, "member");
                self.state = next;
            }
            Err(error) => {
                tracing::error!(group = %self.identity.group, %error, "a bug of this client");
                debug_assert!(false, "{error}");
            }
        }
    }
}

/// The best protocol that all assignors support: what `ConsumerCoordinator` chooses.
fn common_protocol(config: &GroupConfig) -> RebalanceProtocol {
    let cooperative = |protocols: &Vec<_>| protocols.contains(&RebalanceProtocol::Cooperative);
    let all = config.assignors.iter().all(|assignor| cooperative(&assignor.protocols));
    if all && !config.assignors.is_empty() {
        RebalanceProtocol::Cooperative
    } else {
        RebalanceProtocol::Eager
    }
}

#[cfg(test)]
mod tests;
