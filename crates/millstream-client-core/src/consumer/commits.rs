//! Committing offsets: coalesced, one request at a time, only while the partitions are owned.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millstream_protocol::messages::{self as m, OffsetCommitRequest, OffsetCommitResponse};
use millstream_types::{GenerationId, GroupId, TopicName, TopicPartition};

use super::command::{ConsumerCompletion, OffsetToCommit};
use super::error::CommitError;
use super::notice::Next;
use super::shared::ConsumerShared;
use crate::backoff::{Backoff, Rng};
use crate::cx::{CommandId, Cx};
use crate::group::classic::{Identity, text};
use crate::outbox::{
    CoordinatorKey, CoordinatorKind, Destination, Lane, Request, RequestFailure, RequestId,
    Response,
};
use crate::timer::{earliest, is_due};

/// The newest OffsetCommit that goes by topic name.
const OFFSET_COMMIT_BY_NAME_MAX: i16 = 9;

/// Commits offsets.
#[derive(Debug)]
pub(super) struct Commits {
    group: Option<GroupId>,
    backoff: Backoff,
    rng: Rng,
    /// Commits that are not on their way, in the order in which they were asked for.
    waiting: Vec<Commit>,
    in_flight: Option<InFlight>,
    failures: u32,
    not_before: Option<Instant>,
    timeout: Option<Instant>,
    next_auto: Option<Instant>,
}

/// One call, or what `commit_later` and auto-commit gathered.
#[derive(Debug)]
struct Commit {
    call: Option<CommandId>,
    offsets: IndexMap<TopicPartition, OffsetToCommit>,
    started: Instant,
    timeout: Duration,
    last_error: String,
}

#[derive(Debug)]
struct InFlight {
    id: RequestId,
    generation: GenerationId,
    commits: Vec<Commit>,
}

/// Whether commits can go out now.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// As this member, in this lane.
    Member(Identity, Lane),
    /// Outside the group's protocol: partitions are assigned by hand.
    Simple,
    /// Not now: the group is rebalancing.
    Wait,
}

/// The coordinator has given this member up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fenced {
    pub(super) generation: GenerationId,
    pub(super) error: ErrorCode,
}

impl Commits {
    pub(super) fn new(group: Option<GroupId>, backoff: Backoff, rng: Rng) -> Self {
        Self {
            group,
            backoff,
            rng,
            waiting: Vec::new(),
            in_flight: None,
            failures: 0,
            not_before: None,
            timeout: None,
            next_auto: None,
        }
    }

    pub(super) const fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    pub(super) fn owns(&self, id: RequestId) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.id == id)
    }

    /// Whether nothing is left to do.
    pub(super) const fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_none()
    }

    /// The application waits for this commit.
    pub(super) fn call(
        &mut self,
        id: CommandId,
        offsets: Vec<OffsetToCommit>,
        timeout: Duration,
        cx: &Cx<'_>,
    ) {
        self.add(Some(id), offsets, timeout, cx.now);
    }

    /// Nobody waits for this one.
    pub(super) fn later(&mut self, offsets: Vec<OffsetToCommit>, timeout: Duration, now: Instant) {
        if !offsets.is_empty() {
            self.add(None, offsets, timeout, now);
        }
    }

    fn add(
        &mut self,
        call: Option<CommandId>,
        offsets: Vec<OffsetToCommit>,
        timeout: Duration,
        now: Instant,
    ) {
        let offsets = offsets.into_iter().map(|offset| (offset.partition.clone(), offset));
        self.waiting.push(Commit {
            call,
            offsets: offsets.collect(),
            started: now,
            timeout,
            last_error: String::new(),
        });
    }

    /// Gathers what is due, drops what is not owned or too late, sends the rest.
    pub(super) fn poll(&mut self, shared: &ConsumerShared, standing: &Standing, cx: &mut Cx<'_>) {
        self.timeout = None;
        self.gather(shared, cx.now);
        self.drop_late(shared, cx);
        if self.waiting.is_empty() || self.in_flight.is_some() {
            return;
        }
        if self.not_before.is_some() && !is_due(self.not_before, cx.now) {
            self.timeout = earliest(self.timeout, self.not_before);
            return;
        }
        self.drop_disowned(shared, cx);
        let group_lane = Lane::Coordinator(CoordinatorKind::Group);
        match standing {
            Standing::Wait => {}
            Standing::Member(identity, lane) => self.send(Some(identity), *lane, cx),
            Standing::Simple => self.send(None, group_lane, cx),
        }
    }

    /// Takes over what `commit_later` left, and what auto-commit is due to commit.
    fn gather(&mut self, shared: &ConsumerShared, now: Instant) {
        let Some(group) = &shared.config().group else { return };
        let mut table = shared.table();
        let later: Vec<_> = table.to_commit.drain(..).map(|(_, offset)| offset).collect();
        let mut finished = Vec::new();
        if let Some(interval) = group.auto_commit_interval {
            let due = *self.next_auto.get_or_insert(now + interval);
            if due <= now {
                finished = table.take_finished(None);
                self.next_auto = Some(now + interval);
            }
            self.timeout = earliest(self.timeout, self.next_auto);
        }
        drop(table);
        let timeout = shared.config().api_timeout;
        self.later(later, timeout, now);
        self.later(finished, timeout, now);
    }

    fn drop_late(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        for commit in std::mem::take(&mut self.waiting) {
            let deadline = commit.started + commit.timeout;
            if deadline > cx.now {
                self.timeout = earliest(self.timeout, Some(deadline));
                self.waiting.push(commit);
                continue;
            }
            let Some(group) = self.group.clone() else { continue };
            let last_error = if commit.last_error.is_empty() {
                "the group was rebalancing or its coordinator could not be reached".to_owned()
            } else {
                commit.last_error.clone()
            };
            let error = CommitError::TimedOut { group, waited: commit.timeout, last_error };
            finish(shared, commit, Err(error), cx);
        }
    }

    /// What is not owned any more is refused here: the coordinator cannot know that ownership was
    /// interrupted.
    fn drop_disowned(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        for mut commit in std::mem::take(&mut self.waiting) {
            let mut disowned = None;
            {
                let table = shared.table();
                commit.offsets.retain(|_, offset| match shared.check_owned(&table, offset) {
                    Ok(_) => true,
                    Err(error) => {
                        disowned = Some(error);
                        false
                    }
                });
            }
            match disowned {
                None => self.waiting.push(commit),
                // Others gathered with it are as good as before.
                Some(_) if commit.call.is_none() && !commit.offsets.is_empty() => {
                    self.waiting.push(commit);
                }
                Some(error) => finish(shared, commit, Err(error), cx),
            }
        }
    }

    fn send(&mut self, identity: Option<&Identity>, lane: Lane, cx: &mut Cx<'_>) {
        let Some(group) = &self.group else { return };
        if self.waiting.is_empty() {
            return;
        }
        let mut merged: IndexMap<&TopicPartition, &OffsetToCommit> = IndexMap::new();
        for offset in self.waiting.iter().flat_map(|commit| commit.offsets.values()) {
            merged.insert(&offset.partition, offset);
        }
        let mut topics: IndexMap<&TopicName, OffsetCommitRequestTopic> = IndexMap::new();
        for (tp, offset) in merged {
            let epoch = offset.offset.leader_epoch.map_or(-1, |epoch| epoch.value());
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(tp.partition.value())
                .with_committed_offset(offset.offset.offset.value())
                .with_committed_leader_epoch(epoch)
                .with_committed_metadata(Some(text(&offset.offset.metadata)));
            let topic = topics.entry(&tp.topic).or_insert_with(|| {
                OffsetCommitRequestTopic::default().with_name(m::TopicName(text(tp.topic.as_str())))
            });
            topic.partitions.push(partition);
        }
        let mut body = OffsetCommitRequest::default()
            .with_group_id(m::GroupId(text(group.as_str())))
            .with_generation_id_or_member_epoch(GenerationId::NONE.value())
            .with_topics(topics.into_values().collect());
        let mut generation = GenerationId::NONE;
        if let Some(identity) = identity {
            generation = identity.generation;
            body = body
                .with_generation_id_or_member_epoch(generation.value())
                .with_member_id(identity.member_id())
                .with_group_instance_id(identity.instance_id());
        }
        let request = Request::new(Destination::group(group), lane, body)
            .version_max(OFFSET_COMMIT_BY_NAME_MAX);
        let id = cx.send(request);
        let commits = std::mem::take(&mut self.waiting);
        self.in_flight = Some(InFlight { id, generation, commits });
    }

    /// The request is answered, or never will be.
    pub(super) fn handle_response(
        &mut self,
        shared: &ConsumerShared,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) -> Option<Fenced> {
        let InFlight { generation, commits, .. } = self.in_flight.take()?;
        let answer = match result {
            Ok(response) => OffsetCommitResponse::try_from(response.body),
            Err(failure) if failure.class().is_retriable() => {
                self.find_coordinator(cx);
                self.again(commits, &failure.to_string(), cx.now);
                return None;
            }
            Err(failure) => {
                for commit in commits {
                    finish(shared, commit, Err(CommitError::Request(failure.clone())), cx);
                }
                return None;
            }
        };
        let mut errors = BTreeMap::new();
        for topic in answer.iter().flat_map(|answer| &answer.topics) {
            for p in &topic.partitions {
                if let Err(error) = ErrorCode::check(p.error_code) {
                    let tp = TopicPartition::new(topic.name.as_str(), p.partition_index);
                    errors.insert(tp, error);
                }
            }
        }
        self.conclude(shared, generation, commits, &errors, cx)
    }

    fn conclude(
        &mut self,
        shared: &ConsumerShared,
        generation: GenerationId,
        commits: Vec<Commit>,
        errors: &BTreeMap<TopicPartition, ErrorCode>,
        cx: &mut Cx<'_>,
    ) -> Option<Fenced> {
        let mut fenced = None;
        let mut retried = Vec::new();
        let mut last_error = String::new();
        for commit in commits {
            let error = commit.offsets.keys().find_map(|tp| Some((tp, *errors.get(tp)?)));
            let Some((tp, error)) = error else {
                finish(shared, commit, Ok(()), cx);
                continue;
            };
            match error {
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                    self.find_coordinator(cx);
                    last_error = error.to_string();
                    retried.push(commit);
                }
                ErrorCode::IllegalGeneration
                | ErrorCode::UnknownMemberId
                | ErrorCode::FencedInstanceId => {
                    // The stamps tell whether it may be tried again in a new generation: they end
                    // with the ownership.
                    fenced = Some(Fenced { generation, error });
                    if generation == GenerationId::NONE {
                        let group = self.group.clone().unwrap_or_else(|| GroupId::from(""));
                        finish(shared, commit, Err(CommitError::Fenced { group, error }), cx);
                    } else {
                        last_error = error.to_string();
                        retried.push(commit);
                    }
                }
                error if error.class().is_retriable() => {
                    last_error = format!("{tp}: {error}");
                    retried.push(commit);
                }
                error => {
                    let refused = CommitError::Refused { partition: tp.clone(), error };
                    finish(shared, commit, Err(refused), cx);
                }
            }
        }
        if retried.is_empty() {
            self.failures = 0;
            self.not_before = None;
        } else {
            self.again(retried, &last_error, cx.now);
        }
        fenced
    }

    /// Puts commits back in front, to be tried again after a while.
    fn again(&mut self, mut commits: Vec<Commit>, error: &str, now: Instant) {
        for commit in &mut commits {
            error.clone_into(&mut commit.last_error);
        }
        commits.append(&mut self.waiting);
        self.waiting = commits;
        self.failures += 1;
        self.not_before = Some(now + self.backoff.after(self.failures, &mut self.rng));
    }

    fn find_coordinator(&self, cx: &mut Cx<'_>) {
        if let Some(group) = &self.group {
            cx.coordinators.invalidate(&CoordinatorKey::group(group));
        }
    }

    /// Gives everything up: the consumer closes.
    pub(super) fn close(&mut self, shared: &ConsumerShared, cx: &mut Cx<'_>) {
        let in_flight = self.in_flight.take().into_iter().flat_map(|flight| flight.commits);
        for commit in in_flight.chain(std::mem::take(&mut self.waiting)) {
            finish(shared, commit, Err(CommitError::Closed), cx);
        }
    }
}

/// Tells whoever waits, or the application at large if nobody does.
fn finish(
    shared: &ConsumerShared,
    commit: Commit,
    result: Result<(), CommitError>,
    cx: &mut Cx<'_>,
) {
    match (commit.call, result) {
        (Some(id), result) => cx.complete(id, ConsumerCompletion::Commit(result)),
        (None, Ok(())) => {}
        (None, Err(error)) => {
            tracing::warn!(%error, "a commit that nobody waits for failed");
            shared.table().notify(Next::CommitFailed(error));
        }
    }
}
