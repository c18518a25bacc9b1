//! What request machines emit: typed requests with a destination, and the answers they get back.
//!
//! A machine never sees bytes, sockets or correlation ids. It calls [`Cx::send`](crate::Cx::send),
//! keeps the [`RequestId`], and later gets exactly one answer for it: a [`Response`] or a
//! [`RequestFailure`] that says whether the broker may have applied the request.

mod body;
mod destination;
mod failure;
pub(crate) mod fit;
pub(crate) mod produce;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use millstream_types::BrokerId;

use crate::connection::Answer;

pub use body::{RequestBody, ResponseBody, WrongResponse};
pub use destination::{CoordinatorKey, CoordinatorKind, Destination, Lane};
pub use failure::RequestFailure;
pub use produce::{Acks, ProducePartition, ProduceRequest, ProduceTopic};

/// Names one request of one engine; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The machine that sent a request and gets its answer. The engine fills it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The metadata machine.
    Metadata,
    /// The coordinator finder.
    Coordinator,
    /// The admin machine.
    Admin,
    /// The producer machine.
    Producer,
    /// The consumer machine: fetcher, group membership, commits.
    Consumer,
    /// The transaction machine.
    Transaction,
}

/// A request to send.
#[derive(Debug)]
pub struct Request {
    pub(crate) destination: Destination,
    pub(crate) lane: Lane,
    pub(crate) body: RequestBody,
    pub(crate) timeout: Option<Duration>,
    pub(crate) timeout_max: Option<Duration>,
    pub(crate) version_min: Option<i16>,
    pub(crate) version_max: Option<i16>,
}

impl Request {
    /// A request of `body` to `destination`, in that broker's `lane`.
    pub fn new(destination: Destination, lane: Lane, body: impl Into<RequestBody>) -> Self {
        Self {
            destination,
            lane,
            body: body.into(),
            timeout: None,
            timeout_max: None,
            version_min: None,
            version_max: None,
        }
    }

    /// Bounds the time from now to the answer, waiting for a connection included. Default: the
    /// engine's `request.timeout.ms`.
    ///
    /// When it strikes while the broker holds the request, the lane's connection is closed, for an
    /// answer that comes late would delay all behind it.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Refuses versions above `version`, for content that newer ones cannot carry (a topic whose
    /// id is unknown in Fetch 13).
    #[must_use]
    pub const fn version_max(mut self, version: i16) -> Self {
        self.version_max = Some(version);
        self
    }

    /// Gives the request no more time than this, and no more than any other.
    #[must_use]
    pub const fn timeout_max(mut self, longest: Duration) -> Self {
        self.timeout_max = Some(longest);
        self
    }

    /// Refuses versions below `version`, for content that older ones would misread (an offset
    /// asked for by a number that they take for a time).
    #[must_use]
    pub const fn version_min(mut self, version: i16) -> Self {
        self.version_min = Some(version);
        self
    }
}

/// A request on its way to a connection.
#[derive(Debug)]
pub struct Pending {
    /// Its name.
    pub id: RequestId,
    /// Who gets the answer.
    pub owner: Owner,
    /// Where it goes.
    pub destination: Destination,
    /// Which of the broker's connections carries it.
    pub lane: Lane,
    /// What it says.
    pub body: RequestBody,
    /// When the machine sent it.
    pub sent: Instant,
    /// When it fails.
    pub deadline: Instant,
    /// The lowest version that can carry it.
    pub version_min: Option<i16>,
    /// The highest version that can carry it.
    pub version_max: Option<i16>,
}

impl Pending {
    /// What is needed to answer the request once its body is gone.
    pub(crate) fn stub(&self) -> Stub {
        Stub { id: self.id, owner: self.owner, destination: self.destination.clone() }
    }

    /// The answer to a request that waited too long for what `waiting_for` says.
    pub(crate) fn timed_out(&self, now: Instant, waiting_for: &str) -> Answer {
        self.stub().answer(Err(RequestFailure::TimedOutUnsent {
            api: self.body.api_key(),
            waited: now.saturating_duration_since(self.sent),
            waiting_for: waiting_for.to_owned(),
        }))
    }
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) id: RequestId,
    pub(crate) owner: Owner,
    pub(crate) destination: Destination,
}

impl Stub {
    pub(crate) fn answer(self, result: Result<Response, RequestFailure>) -> Answer {
        Answer { owner: self.owner, id: self.id, destination: self.destination, result }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The broker that gave it; `None` for a bootstrap server that has not been identified.
    pub from: Option<BrokerId>,
    /// The version it was given in, the request's.
    pub version: i16,
    /// What it says.
    pub body: ResponseBody,
}

/// Requests that machines have sent and the engine has not yet routed.
#[derive(Debug)]
pub struct Outbox {
    queue: VecDeque<Pending>,
    next_id: u64,
    timeout_default: Duration,
}

impl Outbox {
    /// An empty outbox whose requests time out after `timeout_default`.
    #[must_use]
    pub const fn new(timeout_default: Duration) -> Self {
        Self { queue: VecDeque::new(), next_id: 0, timeout_default }
    }

    /// Queues `request` for `owner`.
    pub fn send(&mut self, now: Instant, owner: Owner, request: Request) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let timeout = request.timeout.unwrap_or(self.timeout_default);
        let timeout = request.timeout_max.map_or(timeout, |longest| timeout.min(longest));
        self.queue.push_back(Pending {
            id,
            owner,
            destination: request.destination,
            lane: request.lane,
            body: request.body,
            sent: now,
            deadline: now + timeout,
            version_min: request.version_min,
            version_max: request.version_max,
        });
        id
    }

    /// The next request to route.
    pub fn pop(&mut self) -> Option<Pending> {
        self.queue.pop_front()
    }

    /// Puts requests back, before all others and in their order.
    pub(crate) fn unpop(&mut self, requests: impl DoubleEndedIterator<Item = Pending>) {
        requests.rev().for_each(|pending| self.queue.push_front(pending));
    }

    /// Whether nothing waits to be routed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
