//! The consumer machine: one `poll` over its parts, and answers to the part that asked.

use std::sync::Arc;
use std::time::Instant;

use super::command::{ConsumerCommand, ConsumerCompletion};
use super::commits::{Commits, Standing};
use super::error::ConsumerError;
use super::fetcher::Fetcher;
use super::lookup::Lookups;
use super::membership::Membership;
use super::partition::Phase;
use super::shared::ConsumerShared;
use super::topics::TopicWatch;
use crate::backoff::{Backoff, Rng};
use crate::cx::{CommandId, Cx};
use crate::outbox::{RequestFailure, RequestId, Response};
use crate::timer::{earliest, is_due};

/// Fetches, looks positions up, commits, and keeps the group membership of one consumer.
#[derive(Debug)]
pub struct ConsumerMachine {
    shared: Arc<ConsumerShared>,
    fetcher: Fetcher,
    lookups: Lookups,
    commits: Commits,
    membership: Option<Membership>,
    topics: TopicWatch,
    closing: Option<Closing>,
}

/// A consumer on its way out.
#[derive(Debug)]
struct Closing {
    call: CommandId,
    started: Instant,
    deadline: Instant,
    /// Offsets are out; the member leaves.
    leaving: bool,
    /// The call has returned.
    is_over: bool,
}

impl ConsumerMachine {
    /// The machine behind `shared`, whose tries are spaced by `backoff`.
    #[must_use]
    pub fn new(shared: Arc<ConsumerShared>, backoff: Backoff, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let config = shared.config();
        let group = config.group.as_ref().map(|group| group.id.clone());
        let rack = config.client_rack.clone();
        let membership =
            config.group.clone().map(|group| Membership::new(group, rack, backoff, rng.fork()));
        Self {
            fetcher: Fetcher::new(backoff, rng.fork()),
            lookups: Lookups::new(backoff, rng.fork()),
            commits: Commits::new(group, backoff, rng.fork()),
            membership,
            topics: TopicWatch::default(),
            closing: None,
            shared,
        }
    }

    /// The application called, or the shell answers.
    pub fn handle_command(&mut self, id: CommandId, command: ConsumerCommand, cx: &mut Cx<'_>) {
        if self.closing.is_some() {
            return refuse(id, &command, cx);
        }
        match command {
            ConsumerCommand::Commit { offsets, timeout } => {
                self.commits.call(id, offsets, timeout, cx);
            }
            ConsumerCommand::Committed { partitions, timeout } => {
                self.lookups.committed(id, partitions, timeout, cx);
            }
            ConsumerCommand::ListOffsets { partitions, timeout } => {
                self.lookups.offsets(id, partitions, timeout, cx);
            }
            ConsumerCommand::Close { timeout } => self.close(id, timeout, cx),
            ConsumerCommand::Subscription { round, user_data } => {
                if let Some(membership) = &mut self.membership {
                    membership.described(round, &user_data);
                }
                cx.complete(id, ConsumerCompletion::Noted);
            }
            ConsumerCommand::Assignment { round, result } => {
                if let Some(membership) = &mut self.membership {
                    membership.assigned(cx.now, round, result);
                }
                cx.complete(id, ConsumerCompletion::Noted);
            }
            ConsumerCommand::AssignmentSeen { generation } => {
                if let Some(membership) = &mut self.membership {
                    membership.assignment_seen(&self.shared, generation);
                }
                cx.complete(id, ConsumerCompletion::Noted);
            }
        }
    }

    /// A request of this machine is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        if let Some(broker) = self.fetcher.owner(id) {
            self.fetcher.handle_response(&self.shared, broker, result, cx);
        } else if self.lookups.owns(id) {
            self.lookups.handle_response(&self.shared, id, result, cx);
        } else if self.commits.owns(id) {
            let fenced = self.commits.handle_response(&self.shared, result, cx);
            if let (Some(fenced), Some(membership)) = (fenced, &mut self.membership) {
                membership.fenced(cx.now, fenced);
            }
        } else if let Some(membership) = &mut self.membership
            && membership.owns(id)
        {
            membership.handle_response(id, result, cx.now);
        }
    }

    /// Does what is due.
    pub fn poll(&mut self, cx: &mut Cx<'_>) {
        if self.closing.is_some() {
            return self.poll_closing(cx);
        }
        self.drop_gone_topics(cx);
        if let Some(membership) = &mut self.membership {
            membership.poll(&self.shared, &mut self.commits, cx);
        }
        self.poll_commits(cx);
        self.lookups.poll(&self.shared, cx);
        self.fetcher.poll(&self.shared, cx);
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let membership = self.membership.as_ref().and_then(Membership::next_timeout);
        if let Some(closing) = &self.closing {
            let deadline = (!closing.is_over).then_some(closing.deadline);
            return deadline.and_then(|_| earliest(deadline, self.commits.next_timeout()));
        }
        [
            self.fetcher.next_timeout(),
            self.lookups.next_timeout(),
            self.commits.next_timeout(),
            self.topics.next_timeout(),
        ]
        .into_iter()
        .fold(membership, earliest)
    }

    fn poll_commits(&mut self, cx: &mut Cx<'_>) {
        let was_idle = self.commits.is_idle();
        let standing = match &self.membership {
            Some(membership) => membership.standing(&self.shared),
            None => Standing::Wait,
        };
        self.commits.poll(&self.shared, &standing, cx);
        // A revocation may wait for the last of them.
        if !was_idle
            && self.commits.is_idle()
            && let Some(membership) = &mut self.membership
        {
            membership.poll(&self.shared, &mut self.commits, cx);
        }
    }

    /// Topics that are gone take their partitions with them.
    fn drop_gone_topics(&mut self, cx: &mut Cx<'_>) {
        let gone = self.topics.poll(&self.shared, cx);
        if gone.is_empty() {
            return;
        }
        let mut table = self.shared.table();
        match &mut self.membership {
            Some(membership) if table.mode != super::table::Mode::Assigned => {
                table.remove(&gone);
                drop(table);
                membership.disown(&gone);
            }
            _ => gone.iter().for_each(|tp| table.enter(tp, Phase::Halted)),
        }
    }

    /// Commits what is due and leaves.
    fn close(&mut self, call: CommandId, timeout: std::time::Duration, cx: &mut Cx<'_>) {
        self.shared.mark_closed();
        let mut offsets = Vec::new();
        {
            let mut table = self.shared.table();
            offsets.extend(table.to_commit.drain(..).map(|(_, offset)| offset));
            let group = self.shared.config().group.as_ref();
            if group.is_some_and(|group| group.auto_commit_interval.is_some()) {
                offsets.extend(table.take_finished(None));
            }
        }
        self.commits.later(offsets, timeout, cx.now);
        self.lookups.close(cx);
        let deadline = cx.now + timeout;
        self.closing =
            Some(Closing { call, started: cx.now, deadline, leaving: false, is_over: false });
    }

    fn poll_closing(&mut self, cx: &mut Cx<'_>) {
        self.poll_commits(cx);
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.is_over) else {
            return;
        };
        let late = is_due(Some(closing.deadline), cx.now);
        if !self.commits.is_idle() && !late {
            return;
        }
        if !closing.leaving {
            closing.leaving = true;
            if let Some(membership) = &mut self.membership {
                membership.leave(&self.shared, cx);
            }
        }
        if let Some(membership) = &mut self.membership {
            membership.poll_closing(&self.shared, cx);
        }
        let left = self.membership.as_ref().is_none_or(Membership::has_left);
        if !left && !late {
            return;
        }
        let result = if self.commits.is_idle() {
            Ok(())
        } else {
            Err(ConsumerError::TimedOut {
                what: "committing before closing",
                waited: cx.now - closing.started,
                last_error: "the last offsets are not confirmed".to_owned(),
            })
        };
        let call = closing.call;
        closing.is_over = true;
        self.commits.close(&self.shared, cx);
        cx.complete(call, ConsumerCompletion::Close(result));
        cx.finish();
    }
}

/// Answers a call that comes after the end.
fn refuse(id: CommandId, command: &ConsumerCommand, cx: &mut Cx<'_>) {
    let completion = match command {
        ConsumerCommand::Commit { .. } => {
            ConsumerCompletion::Commit(Err(super::error::CommitError::Closed))
        }
        ConsumerCommand::Committed { .. } => {
            ConsumerCompletion::Committed(Err(ConsumerError::Closed))
        }
        ConsumerCommand::ListOffsets { .. } => {
            ConsumerCompletion::ListOffsets(Err(ConsumerError::Closed))
        }
        ConsumerCommand::Close { .. } => ConsumerCompletion::Close(Ok(())),
        _ => ConsumerCompletion::Noted,
    };
    cx.complete(id, completion);
}
