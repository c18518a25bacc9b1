//! SyncGroup (`GroupMetadataManager.classicGroupSync`).

use std::collections::BTreeMap;

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::messages::SyncGroupResponse;
use millstream_types::{GroupInstanceId, MemberId};

use super::{Group, GroupCx, GroupState};
use crate::api::text;
use crate::core::connection::ConnectionId;
use crate::core::state::Answer;

/// A request for the assignment; the leader's brings all of them.
#[derive(Clone, Debug)]
pub(crate) struct SyncRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) member: MemberId,
    pub(crate) instance: Option<GroupInstanceId>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: BTreeMap<MemberId, Bytes>,
}

/// An answer that assigns nothing.
pub(crate) fn sync_failed(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(code.code())
}

impl Group {
    /// Syncs; `None` if the answer comes later.
    pub(crate) fn sync(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: SyncRequest,
    ) -> Option<SyncGroupResponse> {
        match self.try_sync(cx, request) {
            Ok(answer) => answer,
            Err(code) => Some(sync_failed(code)),
        }
    }

    fn try_sync(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: SyncRequest,
    ) -> Result<Option<SyncGroupResponse>, ErrorCode> {
        self.find_member(&request.member, request.instance.as_ref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<String>, have: &Option<String>| {
            asked.is_some() && have.is_some() && asked != have
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            GroupState::Stable => {
                self.unsynced.remove(&request.member);
                if self.unsynced.is_empty() {
                    self.sync_deadline = None;
                }
                self.heard_of(cx, &request.member);
                Ok(self.synced(&request.member))
            }
            GroupState::CompletingRebalance => {
                self.unsynced.remove(&request.member);
                if let Some(member) = self.members.get_mut(&request.member) {
                    member.syncing = Some(request.connection);
                }
                if self.is_leader(&request.member) {
                    self.assign(cx, request.assignments);
                }
                Ok(None)
            }
        }
    }

    /// The leader brought the assignments; a member it left out gets none.
    fn assign(&mut self, cx: &mut GroupCx<'_>, mut assignments: BTreeMap<MemberId, Bytes>) {
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        self.become_state(GroupState::Stable);
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.synced(&id);
            if let Some(member) = self.members.get_mut(&id)
                && let Some(connection) = member.syncing.take()
                && let Some(answer) = answer
            {
                member.alive(cx.now);
                cx.answered.push_back((connection, Answer::Sync(answer)));
            }
        }
        if self.unsynced.is_empty() {
            self.sync_deadline = None;
        }
    }

    fn synced(&self, id: &MemberId) -> Option<SyncGroupResponse> {
        let member = self.members.get(id)?;
        Some(
            SyncGroupResponse::default()
                .with_protocol_type(self.protocol_type.as_deref().map(text))
                .with_protocol_name(self.protocol.as_deref().map(text))
                .with_assignment(member.assignment.clone()),
        )
    }
}
