//! Where a request goes: a broker by role, and one of that broker's connections.

use std::fmt;
use std::sync::Arc;

use millstream_types::{BrokerId, GroupId};

/// Who shall serve a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// Whichever broker is connected and least busy, or a bootstrap server.
    AnyBroker,
    /// This broker. A request to one that the metadata does not know fails at once.
    Broker(BrokerId),
    /// The controller, once the metadata names one.
    Controller,
    /// The coordinator of a group or a transactional id; looked up when it is not known.
    Coordinator(CoordinatorKey),
}

impl Destination {
    /// The coordinator of `group`.
    #[must_use]
    pub fn group(group: &GroupId) -> Self {
        Self::Coordinator(CoordinatorKey::group(group))
    }

    /// The coordinator of the transactional id `id`.
    #[must_use]
    pub fn transaction(id: &str) -> Self {
        Self::Coordinator(CoordinatorKey::transaction(id))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyBroker => f.write_str("any broker"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Controller => f.write_str("the controller"),
            Self::Coordinator(key) => write!(f, "the coordinator of {key}"),
        }
    }
}

/// What a coordinator coordinates. The numbers are FindCoordinator's key types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorKind {
    /// Consumer, share and streams groups (key type 0).
    Group,
    /// Transactional ids (key type 1).
    Transaction,
}

impl CoordinatorKind {
    /// The key type of FindCoordinator.
    #[must_use]
    pub const fn key_type(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }
}

/// Names a coordinator by what it coordinates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoordinatorKey {
    /// A group or a transactional id.
    pub kind: CoordinatorKind,
    /// Its name.
    pub key: Arc<str>,
}

impl CoordinatorKey {
    /// The coordinator of `group`.
    #[must_use]
    pub fn group(group: &GroupId) -> Self {
        Self { kind: CoordinatorKind::Group, key: group.as_str().into() }
    }

    /// The coordinator of the transactional id `id`.
    #[must_use]
    pub fn transaction(id: &str) -> Self {
        Self { kind: CoordinatorKind::Transaction, key: id.into() }
    }
}

impl fmt::Display for CoordinatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CoordinatorKind::Group => write!(f, "group {}", self.key),
            CoordinatorKind::Transaction => write!(f, "transactional id {}", self.key),
        }
    }
}

/// Which of a broker's connections carries a request.
///
/// A broker serves one request of a connection at a time, so whatever it may park (a Fetch, a
/// JoinGroup) has a connection of its own. Order is kept within a lane only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Metadata, admin, offsets: what is answered at once.
    General,
    /// Produce.
    Produce,
    /// Fetch.
    Fetch,
    /// Join, sync, heartbeat, leave, commit; end of transaction. A client is in one group and has
    /// one transactional id at most, so the kind tells them apart.
    Coordinator(CoordinatorKind),
}

impl Lane {
    /// The lane as a word, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Produce => "produce",
            Self::Fetch => "fetch",
            Self::Coordinator(CoordinatorKind::Group) => "group",
            Self::Coordinator(CoordinatorKind::Transaction) => "transaction",
        }
    }
}
