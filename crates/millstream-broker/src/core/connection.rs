//! One client connection: the request being served and those that wait behind it.
//!
//! Kafka serves a connection's requests one by one, so a parked fetch or join holds up what the
//! client sent after it on the same connection.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use millstream_protocol::ApiKey;
use millstream_types::BrokerId;

use super::fault::AfterReply;
use super::timers::TimerKey;
use crate::api::fetch::FetchPlan;

/// Names a connection for as long as the cluster lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// What the answer to a request needs to know of it.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) after: AfterReply,
    /// How long the client is throttled.
    pub(crate) throttle: Duration,
}

/// Why a request is not answered yet.
#[derive(Debug)]
pub(crate) enum Parked {
    /// It waits for records.
    Fetch(Box<FetchPlan>),
    /// It waits for the other members of its group.
    Group,
    /// A fault holds it back; then it is served.
    Delayed(Bytes),
    /// It was answered; the connection is mute because its client is throttled.
    Muted,
    /// A fault swallowed it: it is never answered.
    Forever,
}

/// The request that a connection waits on.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) head: RequestHead,
    pub(crate) parked: Parked,
    pub(crate) timer: Option<TimerKey>,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) node: BrokerId,
    /// What the client called itself last.
    pub(crate) client_id: String,
    pub(crate) backlog: VecDeque<Bytes>,
    pub(crate) pending: Option<Pending>,
}

impl Connection {
    /// A connection to `node` on which nothing was sent yet.
    pub(crate) const fn new(node: BrokerId) -> Self {
        Self { node, client_id: String::new(), backlog: VecDeque::new(), pending: None }
    }
}
