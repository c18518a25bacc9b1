//! Coordinators of groups that change: who waits is sent on, and the new one may load for a while.

use std::time::Instant;

use millstream_protocol::ErrorCode;

use super::join::join_failed;
use super::sync::sync_failed;
use super::{Group, GroupCx};
use crate::core::placement::slot_of;
use crate::core::state::{Answer, State};
use crate::core::timers::Timer;

impl Group {
    /// The node coordinates this group no more (`GroupCoordinatorService.onResignation`): whoever
    /// waits in a rebalance has to ask the next one. That one gives every member its time anew.
    fn resign(&mut self, cx: &mut GroupCx<'_>) {
        let code = ErrorCode::NotCoordinator;
        for member in self.members.values_mut() {
            if let Some(connection) = member.joining.take() {
                let answer = join_failed(&member.id, code);
                cx.answered.push_back((connection, Answer::Join(answer)));
            }
            if let Some(connection) = member.syncing.take() {
                cx.answered.push_back((connection, Answer::Sync(sync_failed(code))));
            }
            member.alive(cx.now);
        }
    }
}

impl State {
    /// Finds the coordinators of groups anew.
    pub(crate) fn resume_groups(&mut self, now: Instant) {
        let loaded = now + self.config.groups.load_time;
        let moved = self.group_placement.elect(&self.nodes, loaded);
        if moved.is_empty() {
            return;
        }
        let ids: Vec<_> = self.groups.keys().cloned().collect();
        for id in ids.iter().filter(|id| moved.contains(&slot_of(id.as_str()))) {
            self.with_group(id.as_str(), now, false, Group::resign);
        }
        self.await_loading(now, loaded);
    }

    /// Lets the coordinator of a group load until then.
    pub(crate) fn load_group(&mut self, group: &str, until: Instant) {
        self.group_placement.load(group, until);
        self.timers.arm(until, Timer::GroupsLoaded);
    }

    fn await_loading(&mut self, now: Instant, loaded: Instant) {
        if loaded > now {
            self.timers.arm(loaded, Timer::GroupsLoaded);
        } else {
            self.group_placement.loaded(now);
        }
    }
}
