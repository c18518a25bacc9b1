//! The places a client can connect to, and how well that went lately.

use std::fmt;
use std::time::Instant;

use millstream_types::BrokerId;

use crate::backoff::{Backoff, Rng};
use crate::outbox::Lane;

/// A place to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// A bootstrap server, by its place in the list; which broker it is is not known.
    Bootstrap(usize),
    /// A broker of the metadata.
    Broker(BrokerId),
}

impl Node {
    pub(super) const fn broker(self) -> Option<BrokerId> {
        match self {
            Self::Bootstrap(_) => None,
            Self::Broker(id) => Some(id),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bootstrap(_) => f.write_str("bootstrap server"),
            Self::Broker(id) => write!(f, "broker {id}"),
        }
    }
}

/// One of a node's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkKey {
    pub(super) node: Node,
    pub(super) lane: Lane,
}

/// How well connecting to a node went lately (`ClusterConnectionStates`).
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures in a row.
    pub(super) failures: u32,
    /// No attempt before this.
    pub(super) not_before: Option<Instant>,
    /// Why the last attempt or connection ended.
    pub(super) last_error: Option<String>,
    /// Nothing is sent before this, in any lane: the broker throttles us (KIP-219).
    pub(super) muted_until: Option<Instant>,
}

impl Health {
    /// An attempt failed, or a connection ended unexpectedly: waits longer each time (KIP-144).
    pub(super) fn failed(&mut self, now: Instant, reason: &str, backoff: Backoff, rng: &mut Rng) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + backoff.after(self.failures, rng));
        self.last_error = Some(reason.to_owned());
    }

    /// A connection is ready for requests.
    pub(super) fn succeeded(&mut self) {
        *self = Self { muted_until: self.muted_until, ..Self::default() };
    }

    /// The broker asks to be left alone until then.
    pub(super) fn mute(&mut self, until: Instant) {
        self.muted_until = self.muted_until.max(Some(until));
    }

    /// Lets time pass: the silence may be over.
    pub(super) fn unmute(&mut self, now: Instant) {
        self.muted_until = self.muted_until.filter(|until| *until > now);
    }

    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }
}
