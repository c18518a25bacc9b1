//! LeaveGroup, and how members go.

use millstream_protocol::ErrorCode;
use millstream_types::{GroupInstanceId, MemberId};

use super::join::join_failed;
use super::sync::sync_failed;
use super::{Group, GroupCx, GroupState};
use crate::core::state::Answer;

/// A member that leaves, named by either id.
#[derive(Clone, Debug)]
pub(crate) struct LeaveRequest {
    pub(crate) member: MemberId,
    pub(crate) instance: Option<GroupInstanceId>,
}

impl Group {
    /// A member leaves (`GroupMetadataManager.classicGroupLeaveToClassicGroup`).
    pub(crate) fn leave(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: &LeaveRequest,
    ) -> Result<(), ErrorCode> {
        let id = match &request.instance {
            // An operator may name a static member by its instance alone (KIP-345).
            Some(instance) if request.member.as_str().is_empty() => {
                let known = self.instances.get(instance);
                known.cloned().ok_or(ErrorCode::UnknownMemberId)?
            }
            _ => request.member.clone(),
        };
        if self.pending.remove(&id).is_some() {
            self.member_pending_gone(cx);
            return Ok(());
        }
        self.find_member(&id, request.instance.as_ref())?;
        if self.remove_member(cx, &id) {
            self.member_gone(cx);
        }
        Ok(())
    }

    /// A newcomer that was waited for will not come back.
    pub(super) fn member_pending_gone(&mut self, cx: &mut GroupCx<'_>) {
        if self.state == GroupState::PreparingRebalance {
            self.member_gone(cx);
        }
    }

    /// Takes a member out and tells whoever waits under its name; `false` if it was none.
    pub(super) fn remove_member(&mut self, cx: &mut GroupCx<'_>, id: &MemberId) -> bool {
        let Some(member) = self.members.shift_remove(id) else {
            return false;
        };
        self.unsynced.remove(id);
        if let Some(instance) = &member.instance
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
        let code = ErrorCode::UnknownMemberId;
        if let Some(connection) = member.joining {
            let answer = Answer::Join(join_failed(&MemberId::from(""), code));
            cx.answered.push_back((connection, answer));
        }
        if let Some(connection) = member.syncing {
            let answer = Answer::Sync(sync_failed(code));
            cx.answered.push_back((connection, answer));
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        true
    }
}
