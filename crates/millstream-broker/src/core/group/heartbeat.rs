//! Heartbeats, and what happens when they stay away.

use millstream_protocol::ErrorCode;
use millstream_types::{GroupInstanceId, MemberId};

use super::{Group, GroupCx, GroupState};

impl Group {
    /// A member says that it lives (`GroupMetadataManager.classicGroupHeartbeat`).
    pub(crate) fn heartbeat(
        &mut self,
        cx: &mut GroupCx<'_>,
        member: &MemberId,
        instance: Option<&GroupInstanceId>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.find_member(member, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.state == GroupState::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.heard_of(cx, member);
        match self.state {
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Puts a member's deadline off.
    pub(super) fn heard_of(&mut self, cx: &GroupCx<'_>, member: &MemberId) {
        if let Some(member) = self.members.get_mut(member) {
            member.alive(cx.now);
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, cx: &mut GroupCx<'_>) {
        let now = cx.now;
        let expired: Vec<MemberId> = self
            .pending
            .iter()
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            self.pending.remove(&id);
            self.member_pending_gone(cx);
        }
        let dead: Vec<MemberId> = self
            .members
            .values()
            .filter(|member| member.can_expire() && member.deadline <= now)
            .map(|member| member.id.clone())
            .collect();
        for id in dead {
            if self.remove_member(cx, &id) {
                self.member_gone(cx);
            }
        }
        if let Some(due) = self.take_due_rebalance(cx) {
            self.rebalance_timeout_passed(cx, due);
        }
        if self.sync_deadline.is_some_and(|deadline| deadline <= now) {
            self.sync_timeout_passed(cx);
        }
    }

    /// Members that did not sync in time are out (KIP-134's sync timeout, KAFKA-9752).
    fn sync_timeout_passed(&mut self, cx: &mut GroupCx<'_>) {
        self.sync_deadline = None;
        let late = std::mem::take(&mut self.unsynced);
        let mut any = false;
        for id in late {
            any |= self.remove_member(cx, &id);
        }
        if any {
            self.member_gone(cx);
        }
    }
}
