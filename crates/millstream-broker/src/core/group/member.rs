//! One member of a classic group (`ClassicGroupMember.java`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_types::{GroupInstanceId, MemberId};

use crate::core::connection::ConnectionId;

/// A protocol that a member can speak: for consumers an assignor's name and its subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) instance: Option<GroupInstanceId>,
    pub(crate) client_id: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// In the order of the member's preference.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// The connection whose join waits.
    pub(super) joining: Option<ConnectionId>,
    /// The connection whose sync waits.
    pub(super) syncing: Option<ConnectionId>,
    /// Whether it has not been answered yet, so that it cannot send heartbeats.
    pub(super) is_new: bool,
    /// When it is taken for dead.
    pub(super) deadline: Instant,
}

impl Member {
    /// Whether the deadline counts: a member that waits for the coordinator cannot send heartbeats,
    /// but a newcomer is not waited for without end.
    pub(super) const fn can_expire(&self) -> bool {
        self.is_new || (self.joining.is_none() && self.syncing.is_none())
    }

    /// The member was heard of.
    pub(super) fn alive(&mut self, now: Instant) {
        self.deadline = now + self.session_timeout;
    }

    /// What it has to say under a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map(|known| known.metadata.clone()).unwrap_or_default()
    }
}
