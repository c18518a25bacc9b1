//! The requests of a connection that the broker has not answered, in the order they were sent.

use std::collections::VecDeque;
use std::time::Instant;

use millstream_protocol::ApiKey;

use crate::outbox::{Destination, Owner, RequestId};

/// A request on the wire.
#[derive(Debug)]
pub(super) struct InFlightRequest {
    pub(super) id: RequestId,
    pub(super) owner: Owner,
    pub(super) destination: Destination,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
    /// The place in the connection's bytes behind the request's last: written up to here, the
    /// broker may have it.
    pub(super) end: u64,
    /// Whether there will be an answer (not to Produce with `acks=0`).
    pub(super) answered: bool,
}

/// The window of unanswered requests. A broker answers in order (`RequestChannel`), so the first
/// one is the next to be answered.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    requests: VecDeque<InFlightRequest>,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) fn push(&mut self, request: InFlightRequest) {
        self.requests.push_back(request);
    }

    /// The request that an answer of this correlation id belongs to, if it is the next in line.
    pub(super) fn take_answered(&mut self, correlation_id: i32) -> Option<InFlightRequest> {
        let next = self.requests.iter().position(|request| request.answered)?;
        if self.requests.get(next)?.correlation_id != correlation_id {
            return None;
        }
        self.requests.remove(next)
    }

    /// A request without an answer that is written by now.
    pub(super) fn take_unanswered(&mut self, written: u64) -> Option<InFlightRequest> {
        let done = |request: &InFlightRequest| !request.answered && request.end <= written;
        let at = self.requests.iter().position(done)?;
        self.requests.remove(at)
    }

    /// When the first of them times out.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.requests.iter().map(|request| request.deadline).min()
    }

    /// All of them, because the connection ends.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = InFlightRequest> {
        self.requests.drain(..)
    }
}
