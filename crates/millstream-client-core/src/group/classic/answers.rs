//! What a member makes of the coordinator's answers.

use std::time::Instant;

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, SyncGroupResponse,
};
use millstream_types::{GenerationId, MemberId, TopicPartition};

use super::requests::{self, Verdict, verdict};
use super::{ClassicMember, Effect, MemberEvent, MemberState};
use crate::group::protocol::PROTOCOL_TYPE;
use crate::group::{Assignment, GroupAssignment, RebalanceProtocol, protocol};
use crate::outbox::RequestFailure;

impl ClassicMember {
    /// The answer to [`Effect::Join`].
    pub fn handle_join(&mut self, now: Instant, result: Result<JoinGroupResponse, RequestFailure>) {
        if self.state != MemberState::Joining {
            return;
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => return self.handle_failure(now, &failure),
        };
        let error = ErrorCode::from(answer.error_code);
        if error.is_ok() {
            return self.joined(now, &answer);
        }
        match verdict(error) {
            Verdict::MemberIdRequired => {
                self.identity.member = Some(MemberId::from(answer.member_id.as_str()));
                self.go(MemberEvent::JoinAgain);
                self.send_join();
            }
            // The coordinator let the rebalance run out before this join: join anew.
            Verdict::Rejoin => self.back_off(now),
            other => self.handle_verdict(now, other, error),
        }
    }

    fn joined(&mut self, now: Instant, answer: &JoinGroupResponse) {
        if answer.protocol_type.as_ref().is_some_and(|kind| kind.as_str() != PROTOCOL_TYPE) {
            return self.refuse(ErrorCode::InconsistentGroupProtocol);
        }
        let assignor = answer.protocol_name.as_ref().map(|name| name.as_str()).unwrap_or_default();
        if !self.config.assignors.iter().any(|ours| ours.name == assignor) {
            return self.refuse(ErrorCode::InconsistentGroupProtocol);
        }
        assignor.clone_into(&mut self.assignor);
        self.identity.member = Some(MemberId::from(answer.member_id.as_str()));
        self.identity.generation = GenerationId(answer.generation_id);
        self.heartbeat.in_flight = None;
        self.beat_from(now);
        if answer.leader != answer.member_id || answer.skip_assignment {
            // A static leader that came back gets its old assignment (KIP-814).
            return self.send_sync(&GroupAssignment::default());
        }
        match requests::members(answer) {
            Ok(group) => {
                self.round += 1;
                self.go(MemberEvent::Lead);
                let assignor = self.assignor.clone();
                self.effects.push_back(Effect::Assign { round: self.round, assignor, group });
            }
            Err((member, error)) => {
                let reason = format!("member {member} cannot be understood: {error}");
                self.effects.push_back(Effect::Refused { reason, error: None });
                self.back_off(now);
            }
        }
    }

    /// The answer to [`Effect::Sync`].
    pub fn handle_sync(&mut self, now: Instant, result: Result<SyncGroupResponse, RequestFailure>) {
        if self.state != MemberState::Syncing {
            return;
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(failure) => return self.handle_failure(now, &failure),
        };
        let error = ErrorCode::from(answer.error_code);
        if !error.is_ok() {
            return match verdict(error) {
                // Another member came or went while this round was forming.
                Verdict::Rejoin => {
                    self.request_rejoin("the group was rebalancing anew before the assignment");
                    self.begin();
                }
                other => self.handle_verdict(now, other, error),
            };
        }
        self.synced(now, &answer.assignment);
    }

    fn synced(&mut self, now: Instant, bytes: &Bytes) {
        let mut assignment = match protocol::decode_assignment(bytes) {
            Ok(assignment) => assignment,
            Err(error) => {
                let reason = format!("the leader's assignment cannot be understood: {error}");
                self.effects.push_back(Effect::Refused { reason, error: None });
                return self.back_off(now);
            }
        };
        self.drop_unwanted(&mut assignment);
        let keeps = |tp: &&TopicPartition| !assignment.partitions.contains(tp);
        let gone: Vec<_> = match self.protocol {
            RebalanceProtocol::Eager => Vec::new(),
            RebalanceProtocol::Cooperative => self.owned.iter().filter(keeps).cloned().collect(),
        };
        if gone.is_empty() {
            self.adopt(now, assignment);
        } else {
            self.go(MemberEvent::RevokeToAdopt);
            self.beat_from(now);
            self.pending = Some(assignment);
            self.revoke(gone);
        }
    }

    /// The subscription may have changed since the join: what is no longer wanted is not taken.
    fn drop_unwanted(&mut self, assignment: &mut Assignment) {
        let before = assignment.partitions.len();
        assignment.partitions.retain(|tp| self.topics.contains(&tp.topic));
        if assignment.partitions.len() < before {
            self.request_rejoin("the assignment names topics that are no longer subscribed to");
        }
    }

    /// The answer to [`Effect::Heartbeat`].
    pub fn handle_heartbeat(
        &mut self,
        now: Instant,
        result: Result<HeartbeatResponse, RequestFailure>,
    ) {
        let sent_in = self.heartbeat.in_flight.take();
        if sent_in != Some(self.identity.generation) || !self.state.beats() {
            return;
        }
        let error = match result {
            Ok(answer) => ErrorCode::from(answer.error_code),
            Err(failure) => return self.heartbeat_failed(now, &failure.to_string()),
        };
        if error.is_ok() {
            return self.beat_from(now);
        }
        match verdict(error) {
            Verdict::Rejoin => {
                self.beat_from(now);
                // While a round forms, its own answers say so.
                if self.state == MemberState::Stable {
                    self.request_rejoin("the group is rebalancing");
                    self.begin();
                }
            }
            Verdict::Retry => self.heartbeat_failed(now, &error.to_string()),
            Verdict::FindCoordinator => {
                self.effects.push_back(Effect::FindCoordinator);
                self.heartbeat_failed(now, &error.to_string());
            }
            other => self.handle_verdict(now, other, error),
        }
    }

    /// Tries again soon. A session that has run out is found out by the next answer.
    fn heartbeat_failed(&mut self, now: Instant, reason: &str) {
        tracing::debug!(group = %self.identity.group, reason, "heartbeat failed");
        self.heartbeat.next = Some(now + self.backoff.after(1, &mut self.rng));
        let silent_since = self.heartbeat.answered.unwrap_or(now);
        if now.saturating_duration_since(silent_since) >= self.config.session_timeout {
            self.heartbeat.answered = Some(now);
            self.effects.push_back(Effect::FindCoordinator);
        }
    }

    /// The answer to the [`Effect::Leave`] of a leaving member. Whatever it says, we are gone.
    pub fn handle_leave(&mut self, result: Result<LeaveGroupResponse, RequestFailure>) {
        if self.state != MemberState::Leaving {
            return;
        }
        match result {
            Ok(answer) if answer.error_code == 0 => {}
            Ok(answer) => {
                let error = ErrorCode::from(answer.error_code);
                tracing::info!(group = %self.identity.group, %error, "leaving was refused");
            }
            Err(failure) => {
                tracing::info!(group = %self.identity.group, %failure, "leaving was not confirmed");
            }
        }
        self.left();
    }

    /// An answer to a commit says that the generation is over.
    pub fn fenced(&mut self, now: Instant, generation: GenerationId, error: ErrorCode) {
        if generation == self.identity.generation && self.state.beats() {
            self.handle_verdict(now, verdict(error), error);
        }
    }

    fn handle_failure(&mut self, now: Instant, failure: &RequestFailure) {
        tracing::debug!(group = %self.identity.group, %failure, "a round was cut short");
        if failure.class().is_retriable() {
            self.effects.push_back(Effect::FindCoordinator);
            self.back_off(now);
        } else {
            self.effects.push_back(Effect::Refused { reason: failure.to_string(), error: None });
            self.lose(true);
            self.go(MemberEvent::Fail);
        }
    }

    fn handle_verdict(&mut self, now: Instant, verdict: Verdict, error: ErrorCode) {
        match verdict {
            Verdict::FindCoordinator => {
                self.effects.push_back(Effect::FindCoordinator);
                self.back_off(now);
            }
            Verdict::Retry | Verdict::Rejoin | Verdict::MemberIdRequired => self.back_off(now),
            Verdict::GenerationOver => self.restart(now, false, error),
            Verdict::Forgotten => self.restart(now, true, error),
            Verdict::Refused => self.refuse(error),
        }
    }

    /// Joins as a new member, or in a new generation, with nothing owned.
    fn restart(&mut self, now: Instant, forget_member: bool, error: ErrorCode) {
        tracing::info!(group = %self.identity.group, %error, "joining anew");
        let at_once = self.failures == 0;
        self.request_rejoin(error.name());
        self.lose(forget_member);
        self.back_off(now);
        if at_once {
            self.retry_at = Some(now);
        }
    }

    fn refuse(&mut self, error: ErrorCode) {
        let reason = requests::refusal(error);
        self.effects.push_back(Effect::Refused { reason, error: Some(error) });
        self.lose(true);
        self.go(MemberEvent::Fail);
    }
}
