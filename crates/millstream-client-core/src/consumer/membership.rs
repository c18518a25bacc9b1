//! The consumer as a member of its group: carries out what the member wants done.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use millstream_protocol::messages::{
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, SyncGroupResponse,
};
use millstream_types::{GenerationId, TopicName, TopicPartition};

use super::command::ConsumerEvent;
use super::commits::{Commits, Fenced, Standing};
use super::config::GroupConfig;
use super::error::FetchError;
use super::notice::{Assigned, Next, Revocation};
use super::partition::Phase;
use super::shared::ConsumerShared;
use super::table::{Mode, RevocationProgress, Table};
use crate::backoff::{Backoff, Rng};
use crate::cx::Cx;
use crate::group::classic::{ClassicMember, Effect, MemberState};
use crate::group::{
    Assignment, AssignorError, BrokerView, ClusterView, GroupAssignment, GroupMetadata,
    GroupSubscription, PartitionView, TopicView,
};
use crate::metadata::{Topic, TopicState};
use crate::outbox::{
    CoordinatorKey, CoordinatorKind, Destination, Lane, Request, RequestBody, RequestFailure,
    RequestId, Response, ResponseBody, WrongResponse,
};
use crate::timer::earliest;

/// A member and what is under way for it.
#[derive(Debug)]
pub(super) struct Membership {
    config: GroupConfig,
    member: ClassicMember,
    join: Option<RequestId>,
    sync: Option<RequestId>,
    heartbeat: Option<RequestId>,
    leave: Option<RequestId>,
    /// The leader's task, waiting for metadata of the group's topics.
    assign: Option<PendingAssign>,
    /// An assignment that the shell's assignor is looking at.
    adopting: Option<Adopting>,
    /// What a revocation left to commit is on its way.
    committing: bool,
    /// The partition counts that the last assignment of ours as leader was made from.
    counts: Option<BTreeMap<TopicName, usize>>,
    mode_seen: u64,
    metadata_seen: u64,
    leaving: bool,
    timeout: Option<Instant>,
}

#[derive(Debug)]
struct PendingAssign {
    round: u64,
    assignor: String,
    group: GroupSubscription,
}

#[derive(Debug)]
struct Adopting {
    assignment: Assignment,
    generation: GenerationId,
}

impl Membership {
    pub(super) fn new(
        config: GroupConfig,
        rack: Option<String>,
        backoff: Backoff,
        rng: Rng,
    ) -> Self {
        Self {
            member: ClassicMember::new(config.clone(), rack, backoff, rng),
            config,
            join: None,
            sync: None,
            heartbeat: None,
            leave: None,
            assign: None,
            adopting: None,
            committing: false,
            counts: None,
            mode_seen: 0,
            metadata_seen: 0,
            leaving: false,
            timeout: None,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        earliest(self.timeout, self.member.next_timeout())
    }

    pub(super) fn owns(&self, id: RequestId) -> bool {
        [self.join, self.sync, self.heartbeat, self.leave].contains(&Some(id))
    }

    /// Whether commits can go out now, and as whom.
    pub(super) fn standing(&self, shared: &ConsumerShared) -> Standing {
        if shared.table().mode == Mode::Assigned {
            return Standing::Simple;
        }
        let identity = self.member.identity();
        if identity.generation == GenerationId::NONE {
            return Standing::Wait;
        }
        let state = self.member.state();
        if state == MemberState::Joining {
            // The coordinator takes commits of the old generation while it holds the join, but not
            // on the connection on which it holds it.
            return Standing::Member(identity.clone(), Lane::General);
        }
        if state.commits() {
            Standing::Member(identity.clone(), Lane::Coordinator(CoordinatorKind::Group))
        } else {
            Standing::Wait
        }
    }

    /// Does what is due.
    pub(super) fn poll(&mut self, shared: &ConsumerShared, commits: &mut Commits, cx: &mut Cx<'_>) {
        self.timeout = None;
        if !self.leaving {
            self.follow_mode(shared, cx);
            self.watch_application(shared, cx.now);
            self.watch_counts(cx);
        }
        self.poll_revocation(shared, commits, cx);
        self.poll_assign(cx);
        self.member.poll(cx.now);
        self.carry_out(shared, cx);
        self.tell_who(shared);
    }

    /// Tells the application's side which member this is: a transaction commits offsets as it.
    fn tell_who(&self, shared: &ConsumerShared) {
        let identity = self.member.identity();
        let mut table = shared.table();
        let known = table.member.as_ref();
        if identity.generation == GenerationId::NONE {
            table.member = None;
        } else if known.is_none_or(|known| {
            known.generation != identity.generation || known.member != identity.member
        }) {
            table.member = Some(GroupMetadata::from(identity));
        }
    }

    /// Takes over what the application subscribed to.
    fn follow_mode(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        let mut table = shared.table();
        if let Some(reason) = table.rejoin.take() {
            self.member.request_rejoin(&reason);
        }
        if table.mode_version == self.mode_seen {
            return;
        }
        self.mode_seen = table.mode_version;
        match table.mode.clone() {
            Mode::Subscribed(topics) => {
                table.last_poll.get_or_insert(cx.now);
                drop(table);
                for topic in &topics {
                    cx.metadata.request_topic(topic, cx.now);
                }
                self.member.subscribe(topics);
            }
            Mode::Idle => {
                table.adopt([]);
                cancel_revocation(&mut table);
                drop(table);
                self.give_up_round();
                self.member.leave("the consumer unsubscribed");
            }
            Mode::Assigned => {}
        }
    }

    /// An application that does not ask for records in time gives its place up.
    fn watch_application(&mut self, shared: &ConsumerShared, now: Instant) {
        let mut table = shared.table();
        if !matches!(table.mode, Mode::Subscribed(_)) {
            return;
        }
        let idle_since = ConsumerShared::idle_since(&table, now);
        let deadline = idle_since.unwrap_or(now) + self.config.max_poll_interval;
        let overdue = idle_since.is_some() && deadline <= now;
        let expired = self.member.state() == MemberState::Expired;
        table.poll_wakes_driver = overdue || expired;
        drop(table);
        if overdue {
            self.member.expire();
            return;
        }
        if expired {
            self.member.resume();
        }
        self.timeout = earliest(self.timeout, Some(deadline));
    }

    /// The leader looks after partitions that were added.
    fn watch_counts(&mut self, cx: &mut Cx<'_>) {
        if self.metadata_seen == cx.metadata.generation() {
            return;
        }
        self.metadata_seen = cx.metadata.generation();
        let Some(counts) = &self.counts else { return };
        let changed = counts.iter().any(|(topic, count)| {
            let now = cx.metadata.topic(topic.as_str()).map_or(0, Topic::partition_count);
            now != *count
        });
        if changed && self.member.state() == MemberState::Stable {
            self.counts = None;
            self.member.request_rejoin("topics or partitions were added or removed");
        }
    }

    /// Goes on with a revocation once the application has acknowledged it and what it had finished
    /// is committed.
    fn poll_revocation(&mut self, shared: &ConsumerShared, commits: &mut Commits, cx: &mut Cx<'_>) {
        let mut table = shared.table();
        let Some(open) = &table.revocation else { return };
        if open.progress != RevocationProgress::Done {
            return;
        }
        let revocation = open.revocation.clone();
        if !self.committing {
            self.committing = true;
            let mut offsets: Vec<_> = table.to_commit.drain(..).map(|(_, offset)| offset).collect();
            if self.config.auto_commit_interval.is_some() {
                offsets.extend(table.take_finished(Some(&revocation.partitions)));
            }
            drop(table);
            commits.later(offsets, shared.config().api_timeout, cx.now);
            table = shared.table();
        }
        if !commits.is_idle() && revocation.deadline > cx.now {
            self.timeout = earliest(self.timeout, Some(revocation.deadline));
            return;
        }
        self.committing = false;
        table.revocation = None;
        table.remove(&revocation.partitions);
        drop(table);
        self.member.revoked(cx.now, revocation.round);
    }

    /// Lets the assignor assign as soon as the group's topics are known.
    fn poll_assign(&mut self, cx: &mut Cx<'_>) {
        let Some(pending) = &self.assign else { return };
        if self.member.state() != MemberState::Assigning {
            self.assign = None;
            return;
        }
        let mut complete = true;
        for topic in pending.group.members.values().flat_map(|member| &member.topics) {
            cx.metadata.request_topic(topic, cx.now);
            let state = cx.metadata.topic_state(topic.as_str());
            complete &= matches!(state, TopicState::Known(_) | TopicState::Missing(_));
        }
        if !complete {
            return;
        }
        let Some(PendingAssign { round, assignor, group }) = self.assign.take() else { return };
        let cluster = cluster_view(&group, cx);
        let counts =
            cluster.topics.iter().map(|(name, view)| (name.clone(), view.partitions.len()));
        self.counts = Some(counts.collect());
        let spec = self.config.assignors.iter().find(|spec| spec.name == assignor);
        match spec.and_then(|spec| spec.builtin) {
            Some(assign) => self.member.assigned(cx.now, round, Ok(assign(&cluster, &group))),
            None => {
                cx.emit(ConsumerEvent::AssignmentWanted { round, assignor, cluster, group });
            }
        }
    }

    /// Does what the member wants done.
    fn carry_out(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        while let Some(effect) = self.member.poll_effect() {
            match effect {
                Effect::Join(request, timeout) => {
                    let timeout = timeout.max(shared.config().request_timeout);
                    self.join = Some(self.send(request, Some(timeout), cx));
                }
                Effect::Sync(request, timeout) => {
                    let timeout = timeout.max(shared.config().request_timeout);
                    self.sync = Some(self.send(request, Some(timeout), cx));
                }
                Effect::Heartbeat(request) => {
                    let timeout = self.config.session_timeout;
                    self.heartbeat = Some(self.send(request, Some(timeout), cx));
                }
                Effect::Leave(request) => {
                    // Not behind a join that the coordinator holds.
                    let destination = Destination::group(&self.config.id);
                    let request = Request::new(destination, Lane::General, request);
                    self.leave = Some(cx.send(request));
                }
                Effect::FindCoordinator => {
                    cx.coordinators.invalidate(&CoordinatorKey::group(&self.config.id));
                }
                Effect::Describe { round } => self.describe(round, cx),
                Effect::Assign { round, assignor, group } => {
                    self.assign = Some(PendingAssign { round, assignor, group });
                    self.poll_assign(cx);
                }
                Effect::Revoke { round, partitions } => {
                    let deadline = cx.now + self.config.max_poll_interval;
                    self.committing = false;
                    shared.table().begin_revocation(Revocation { round, partitions, deadline });
                }
                Effect::Lost(partitions) => {
                    self.give_up_round();
                    let mut table = shared.table();
                    cancel_revocation(&mut table);
                    table.remove(&partitions);
                    table.notify(Next::Lost(partitions));
                }
                Effect::Adopt { assignor, assignment, generation } => {
                    self.adopt(shared, assignor, Adopting { assignment, generation }, cx);
                }
                Effect::Refused { reason, error } => {
                    let group = self.config.id.clone();
                    let error = FetchError::Group { group, reason, error };
                    shared.table().notify(Next::Failed(error));
                }
                Effect::Left => self.leaving = false,
            }
        }
    }

    fn send(
        &self,
        body: impl Into<RequestBody>,
        timeout: Option<std::time::Duration>,
        cx: &mut Cx<'_>,
    ) -> RequestId {
        let lane = Lane::Coordinator(CoordinatorKind::Group);
        let mut request = Request::new(Destination::group(&self.config.id), lane, body);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        cx.send(request)
    }

    /// Asks the shell's assignors for user data; there may be none.
    fn describe(&mut self, round: u64, cx: &mut Cx<'_>) {
        if self.config.assignors.iter().all(|spec| spec.builtin.is_some()) {
            self.member.described(round, &BTreeMap::new());
        } else {
            let topics = self.member.topics().to_vec();
            cx.emit(ConsumerEvent::SubscriptionWanted { round, topics });
        }
    }

    fn adopt(
        &mut self,
        shared: &ConsumerShared,
        assignor: String,
        adopting: Adopting,
        cx: &mut Cx<'_>,
    ) {
        let spec = self.config.assignors.iter().find(|spec| spec.name == assignor);
        if spec.is_some_and(|spec| spec.builtin.is_some()) {
            return take_over(shared, adopting);
        }
        // The assignor sees it first; then the application, then records.
        cx.emit(ConsumerEvent::AssignmentReceived {
            assignor,
            assignment: adopting.assignment.clone(),
            generation: adopting.generation,
        });
        self.adopting = Some(adopting);
    }

    /// The shell's assignor has seen the assignment.
    pub(super) fn assignment_seen(&mut self, shared: &ConsumerShared, generation: GenerationId) {
        if let Some(adopting) = self.adopting.take_if(|seen| seen.generation == generation) {
            take_over(shared, adopting);
        }
    }

    /// The shell's assignors gave their user data.
    pub(super) fn described(&mut self, round: u64, user_data: &BTreeMap<String, Option<Bytes>>) {
        self.member.described(round, user_data);
    }

    /// The shell's assignor has assigned, or could not.
    pub(super) fn assigned(
        &mut self,
        now: Instant,
        round: u64,
        result: Result<GroupAssignment, AssignorError>,
    ) {
        self.member.assigned(now, round, result);
    }

    /// A commit met the end of the generation.
    pub(super) fn fenced(&mut self, now: Instant, fenced: Fenced) {
        self.member.fenced(now, fenced.generation, fenced.error);
    }

    /// Partitions of a deleted topic are nobody's.
    pub(super) fn disown(&mut self, partitions: &[TopicPartition]) {
        self.member.disown(partitions);
    }

    /// A request is answered, or never will be.
    pub(super) fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        now: Instant,
    ) {
        if self.join.take_if(|join| *join == id).is_some() {
            self.member.handle_join(now, read::<JoinGroupResponse>(result));
        } else if self.sync.take_if(|sync| *sync == id).is_some() {
            self.member.handle_sync(now, read::<SyncGroupResponse>(result));
        } else if self.heartbeat.take_if(|beat| *beat == id).is_some() {
            self.member.handle_heartbeat(now, read::<HeartbeatResponse>(result));
        } else if self.leave.take_if(|leave| *leave == id).is_some() {
            self.member.handle_leave(read::<LeaveGroupResponse>(result));
        }
    }

    /// Leaves for good.
    pub(super) fn leave(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        if self.leaving {
            return;
        }
        self.leaving = true;
        cancel_revocation(&mut shared.table());
        self.give_up_round();
        self.member.leave("the consumer is being closed");
        self.carry_out(shared, cx);
    }

    /// Goes on with leaving.
    pub(super) fn poll_closing(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        self.carry_out(shared, cx);
    }

    /// Whether the member has left.
    pub(super) const fn has_left(&self) -> bool {
        !self.leaving
    }

    /// What is under way for the current round is void.
    fn give_up_round(&mut self) {
        self.committing = false;
        self.assign = None;
        self.adopting = None;
        self.join = None;
        self.sync = None;
    }
}

/// Puts an assignment into effect.
fn take_over(shared: &ConsumerShared, adopting: Adopting) {
    let Adopting { assignment, generation } = adopting;
    let mut table = shared.table();
    let all = assignment.partitions;
    let added = table.adopt(all.iter().map(|tp| (tp.clone(), Phase::NeedsCommitted, None)));
    table.notify(Next::Assigned(Assigned {
        partitions: added,
        all,
        user_data: assignment.user_data,
        generation,
    }));
    drop(table);
}

/// A revocation that is overtaken by the loss of the partitions: what was not told is not told.
fn cancel_revocation(table: &mut Table) {
    if table.revocation.take().is_some() {
        table.notices.retain(|notice| !matches!(notice, Next::Revoking(_)));
    }
}

/// The topics of a group, as an assignor sees them.
fn cluster_view(group: &GroupSubscription, cx: &Cx<'_>) -> ClusterView {
    let mut view =
        ClusterView { cluster_id: cx.metadata.cluster_id().cloned(), ..ClusterView::default() };
    for broker in cx.metadata.brokers() {
        let host = broker.endpoint.host.clone();
        let (port, rack) = (broker.endpoint.port, broker.rack.clone());
        view.brokers.insert(broker.id, BrokerView { host, port, rack });
    }
    for name in group.members.values().flat_map(|member| &member.topics) {
        if view.topics.contains_key(name) {
            continue;
        }
        let Some(topic) = cx.metadata.topic(name.as_str()) else { continue };
        let partitions = topic.partitions.values().map(|partition| PartitionView {
            partition: partition.id,
            leader: partition.leader,
            replicas: partition.replicas.clone(),
        });
        let topic = TopicView { id: topic.id, partitions: partitions.collect() };
        view.topics.insert(name.clone(), topic);
    }
    view
}

fn read<T: TryFrom<ResponseBody, Error = WrongResponse>>(
    result: Result<Response, RequestFailure>,
) -> Result<T, RequestFailure> {
    T::try_from(result?.body).map_err(|wrong| RequestFailure::Malformed {
        api: wrong.expected,
        broker: "the coordinator".to_owned(),
        reason: wrong.to_string(),
    })
}
