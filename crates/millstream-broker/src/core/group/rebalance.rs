//! The rebalance itself: waiting for members, choosing leader and protocol, the next generation.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_types::MemberId;

use super::{Group, GroupCx, GroupState, Rebalance, sync};
use crate::core::state::Answer;

impl Group {
    /// Begins a rebalance, or sees whether the one that runs can end.
    pub(super) fn rebalance_or_complete(&mut self, cx: &mut GroupCx<'_>) {
        if self.state == GroupState::PreparingRebalance {
            self.complete_if_all_joined(cx);
        } else {
            self.prepare_rebalance(cx);
        }
    }

    fn prepare_rebalance(&mut self, cx: &mut GroupCx<'_>) {
        if self.state == GroupState::CompletingRebalance {
            self.fail_syncs(cx, ErrorCode::RebalanceInProgress);
        }
        self.sync_deadline = None;
        self.unsynced.clear();
        let is_first = self.state == GroupState::Empty;
        self.become_state(GroupState::PreparingRebalance);
        let timeout = self.rebalance_timeout();
        if !is_first {
            self.rebalance = Some(Rebalance { deadline: cx.now + timeout, initial: None });
            return self.complete_if_all_joined(cx);
        }
        self.newcomer = false;
        let delay = cx.config.initial_rebalance_delay.min(timeout);
        self.rebalance = Some(Rebalance {
            deadline: cx.now + delay,
            initial: Some(timeout.saturating_sub(delay)),
        });
        if delay.is_zero() {
            self.complete_join(cx);
        }
    }

    fn complete_if_all_joined(&mut self, cx: &mut GroupCx<'_>) {
        let waits_for_more = self.rebalance.is_some_and(|rebalance| rebalance.initial.is_some());
        let all = self.members.values().all(|member| member.joining.is_some());
        if all && self.pending.is_empty() && !waits_for_more {
            self.complete_join(cx);
        }
    }

    /// A member left or died while a rebalance may be running.
    pub(super) fn member_gone(&mut self, cx: &mut GroupCx<'_>) {
        match self.state {
            GroupState::Empty => {}
            GroupState::PreparingRebalance => self.complete_if_all_joined(cx),
            GroupState::CompletingRebalance | GroupState::Stable => self.prepare_rebalance(cx),
        }
    }

    /// The time to wait for members is over.
    pub(super) fn rebalance_timeout_passed(&mut self, cx: &mut GroupCx<'_>, due: RebalanceDue) {
        match due.0 {
            Some(left) if self.newcomer && !left.is_zero() => {
                // As long as newcomers come, the first rebalance is put off.
                self.newcomer = false;
                let delay = cx.config.initial_rebalance_delay.min(left);
                self.rebalance = Some(Rebalance {
                    deadline: cx.now + delay,
                    initial: Some(left.saturating_sub(delay)),
                });
            }
            _ => self.complete_join(cx),
        }
    }

    /// The rebalance whose time is over.
    pub(super) fn take_due_rebalance(&mut self, cx: &GroupCx<'_>) -> Option<RebalanceDue> {
        let rebalance = self.rebalance.filter(|rebalance| rebalance.deadline <= cx.now)?;
        self.rebalance = None;
        Some(RebalanceDue(rebalance.initial))
    }

    fn complete_join(&mut self, cx: &mut GroupCx<'_>) {
        self.rebalance = None;
        let gone: Vec<MemberId> = self
            .members
            .values()
            .filter(|member| member.joining.is_none() && member.instance.is_none())
            .map(|member| member.id.clone())
            .collect();
        for id in &gone {
            self.remove_member(cx, id);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members that have not come back: wait for one that can lead.
            self.rebalance =
                Some(Rebalance { deadline: cx.now + self.rebalance_timeout(), initial: None });
            return;
        }
        self.generation += 1;
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            return self.become_state(GroupState::Empty);
        }
        self.protocol = self.select_protocol();
        self.become_state(GroupState::CompletingRebalance);
        self.sync_deadline = Some(cx.now + self.rebalance_timeout());
        self.unsynced = self.members.keys().cloned().collect();
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let answer = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.alive(cx.now);
                member.is_new = false;
                if let Some(connection) = member.joining.take() {
                    cx.answered.push_back((connection, Answer::Join(answer)));
                }
            }
        }
    }

    /// Keeps the leader if it joined, else the first member that did; `false` if none did.
    fn elect_leader(&mut self) -> bool {
        let joined = |id: &MemberId| self.members.get(id).is_some_and(|m| m.joining.is_some());
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let mut candidates = self.members.values();
        let elected = candidates.find(|member| member.joining.is_some());
        match elected.map(|member| member.id.clone()) {
            Some(id) => {
                self.leader = Some(id);
                true
            }
            None => false,
        }
    }

    /// The protocol that most members like best among those that all speak.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let first = self.members.values().next()?;
        let common: Vec<&str> = first
            .protocols
            .iter()
            .map(|protocol| protocol.name.as_str())
            .filter(|name| {
                let mut members = self.members.values();
                members.all(|member| member.protocols.iter().any(|p| p.name == *name))
            })
            .collect();
        let mut votes = BTreeMap::<&str, usize>::new();
        for member in self.members.values() {
            let mut liked = member.protocols.iter().map(|protocol| protocol.name.as_str());
            if let Some(vote) = liked.find(|name| common.contains(name)) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let mut names = common.into_iter();
        let chosen = names.find(|name| votes.get(name) == Some(&most))?;
        Some(chosen.to_owned())
    }

    fn fail_syncs(&mut self, cx: &mut GroupCx<'_>, code: ErrorCode) {
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(connection) = member.syncing.take() {
                member.alive(cx.now);
                let answer = Answer::Sync(sync::sync_failed(code));
                cx.answered.push_back((connection, answer));
            }
        }
    }
}

/// What a first rebalance had left when its time was over.
pub(super) struct RebalanceDue(Option<Duration>);
