//! JoinGroup (`GroupMetadataManager.classicGroupJoin`).

use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::JoinGroupResponse;
use millstream_protocol::messages::join_group_response::JoinGroupResponseMember;
use millstream_types::{GroupInstanceId, MemberId};

use super::{Group, GroupCx, GroupState, Member, Protocol};
use crate::api::text;
use crate::core::connection::ConnectionId;
use crate::core::state::Answer;

/// A request to join.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) client_id: String,
    pub(crate) member: MemberId,
    pub(crate) instance: Option<GroupInstanceId>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<Protocol>,
    /// Whether a newcomer must come back with the id it is given (KIP-394).
    pub(crate) requires_known_id: bool,
    /// Whether the leader can be told to skip the assignment (KIP-814).
    pub(crate) can_skip_assignment: bool,
}

/// An answer that joins nobody.
pub(crate) fn join_failed(member: &MemberId, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(code.code())
        .with_generation_id(-1)
        .with_protocol_name(None)
        .with_member_id(text(member.as_str()))
}

impl Group {
    /// Joins; `None` if the answer comes later.
    pub(crate) fn join(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: JoinRequest,
    ) -> Option<JoinGroupResponse> {
        let asked = request.member.clone();
        match self.try_join(cx, request) {
            Ok(answer) => answer,
            Err(code) => Some(join_failed(&asked, code)),
        }
    }

    fn try_join(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: JoinRequest,
    ) -> Result<Option<JoinGroupResponse>, ErrorCode> {
        let is_known = self.members.contains_key(&request.member)
            || self.pending.contains_key(&request.member);
        if !is_known && self.members.len() + self.pending.len() >= cx.config.max_size {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !self.supports(&request) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if request.member.as_str().is_empty() {
            return Ok(self.join_newcomer(cx, request));
        }
        if self.pending.contains_key(&request.member) {
            self.pending.remove(&request.member);
            let id = request.member.clone();
            self.add_and_rebalance(cx, id, request);
            return Ok(None);
        }
        self.find_member(&request.member, request.instance.as_ref())?;
        self.join_again(cx, request)
    }

    fn join_newcomer(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: JoinRequest,
    ) -> Option<JoinGroupResponse> {
        let prefix = match &request.instance {
            Some(instance) => instance.as_str(),
            None => &request.client_id,
        };
        let id = MemberId::from(format!("{prefix}-{}", cx.rng.uuid()));
        if let Some(instance) = &request.instance {
            if let Some(old) = self.instances.get(instance).cloned() {
                return self.replace_static(cx, &old, id, request);
            }
        } else if request.requires_known_id {
            self.pending.insert(id.clone(), cx.now + request.session_timeout);
            return Some(join_failed(&id, ErrorCode::MemberIdRequired));
        }
        self.add_and_rebalance(cx, id, request);
        None
    }

    fn join_again(
        &mut self,
        cx: &mut GroupCx<'_>,
        request: JoinRequest,
    ) -> Result<Option<JoinGroupResponse>, ErrorCode> {
        let id = request.member.clone();
        let same =
            self.members.get(&id).is_some_and(|member| member.protocols == request.protocols);
        match self.state {
            GroupState::Empty => Err(ErrorCode::UnknownMemberId),
            GroupState::PreparingRebalance => {
                self.update_and_rebalance(cx, &id, request);
                Ok(None)
            }
            // It did not get the answer to its last join, so the generation is told again.
            GroupState::CompletingRebalance if same => Ok(Some(self.joined(&id))),
            // A follower that rejoins without a reason needs no rebalance.
            GroupState::Stable if same && !self.is_leader(&id) => Ok(Some(self.joined(&id))),
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.update_and_rebalance(cx, &id, request);
                Ok(None)
            }
        }
    }

    /// A static member came back under a new id: the old one is fenced, and a stable group goes on
    /// without a rebalance where nothing else changed (KIP-345).
    fn replace_static(
        &mut self,
        cx: &mut GroupCx<'_>,
        old: &MemberId,
        new: MemberId,
        request: JoinRequest,
    ) -> Option<JoinGroupResponse> {
        let Some(mut member) = self.members.shift_remove(old) else {
            self.add_and_rebalance(cx, new, request);
            return None;
        };
        fence(&mut member, cx);
        let was_leader = self.is_leader(old);
        if was_leader {
            self.leader = Some(new.clone());
        }
        self.unsynced.remove(old);
        if let Some(instance) = &request.instance {
            self.instances.insert(instance.clone(), new.clone());
        }
        let before = self.protocol.clone();
        member.id = new.clone();
        member.protocols = request.protocols.clone();
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.alive(cx.now);
        self.members.insert(new.clone(), member);
        if self.state == GroupState::Stable && self.select_protocol() == before {
            let mut answer = self.joined(&new);
            if was_leader && request.can_skip_assignment {
                answer.skip_assignment = true;
            } else if was_leader {
                // An old client would assign anew without a rebalance: it is told that another
                // leads.
                answer.leader = text(old.as_str());
                answer.members.clear();
            }
            return Some(answer);
        }
        self.update_and_rebalance(cx, &new, request);
        None
    }

    fn add_and_rebalance(&mut self, cx: &mut GroupCx<'_>, id: MemberId, request: JoinRequest) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &request.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        if self.state == GroupState::PreparingRebalance && self.generation == 0 {
            self.newcomer = true;
        }
        let member = Member {
            id: id.clone(),
            instance: request.instance,
            client_id: request.client_id,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: bytes::Bytes::new(),
            joining: Some(request.connection),
            syncing: None,
            is_new: true,
            // It does not know its id yet and cannot send heartbeats.
            deadline: cx.now + cx.config.new_member_join_timeout,
        };
        self.members.insert(id, member);
        self.rebalance_or_complete(cx);
    }

    fn update_and_rebalance(&mut self, cx: &mut GroupCx<'_>, id: &MemberId, request: JoinRequest) {
        if let Some(member) = self.members.get_mut(id) {
            member.protocols = request.protocols;
            member.session_timeout = request.session_timeout;
            member.rebalance_timeout = request.rebalance_timeout;
            member.joining = Some(request.connection);
        }
        self.rebalance_or_complete(cx);
    }

    fn supports(&self, request: &JoinRequest) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        self.protocol_type.as_deref() == Some(&request.protocol_type)
            && request
                .protocols
                .iter()
                .any(|protocol| self.members.values().all(|member| member.speaks(&protocol.name)))
    }

    /// The answer that tells a member of the generation; the leader learns of all members.
    pub(super) fn joined(&self, id: &MemberId) -> JoinGroupResponse {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let mut answer = JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(Some(text(protocol)))
            .with_leader(text(self.leader.as_ref().map_or("", MemberId::as_str)))
            .with_member_id(text(id.as_str()));
        if self.is_leader(id) {
            let members = self.members.values().map(|member| {
                JoinGroupResponseMember::default()
                    .with_member_id(text(member.id.as_str()))
                    .with_group_instance_id(member.instance.as_ref().map(text))
                    .with_metadata(member.metadata(protocol))
            });
            answer.members = members.collect();
        }
        answer
    }
}

impl Member {
    fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }
}

/// Tells whoever waits under an old id that another took its place.
fn fence(member: &mut Member, cx: &mut GroupCx<'_>) {
    let code = ErrorCode::FencedInstanceId;
    if let Some(connection) = member.joining.take() {
        let answer = join_failed(&member.id, code);
        cx.answered.push_back((connection, Answer::Join(answer)));
    }
    if let Some(connection) = member.syncing.take() {
        let answer = super::sync::sync_failed(code);
        cx.answered.push_back((connection, Answer::Sync(answer)));
    }
}
