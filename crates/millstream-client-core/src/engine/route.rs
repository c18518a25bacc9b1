//! From a request's destination to a connection; requests whose place is unknown are parked.

use std::collections::BTreeSet;
use std::time::Instant;

use super::links::Links;
use super::node::{LinkKey, Node};
use crate::connection::Answer;
use crate::coordinator::{CoordinatorFinder, Coordinators};
use crate::metadata::Metadata;
use crate::outbox::{CoordinatorKey, Destination, Outbox, Pending, RequestFailure};
use crate::timer::earliest;

/// Gives a request to the link it belongs to, or parks it.
pub(super) fn route(
    now: Instant,
    pending: Pending,
    metadata: &mut Metadata,
    coordinators: &Coordinators,
    links: &mut Links,
    parked: &mut Parked,
    answers: &mut Vec<Answer>,
) {
    let node = match &pending.destination {
        Destination::AnyBroker => Some(links.least_loaded(now, metadata)),
        Destination::Broker(id) => Some(Node::Broker(*id)),
        Destination::Controller => metadata.controller().map(Node::Broker),
        Destination::Coordinator(key) => coordinators.get(key).map(Node::Broker),
    };
    match node {
        Some(node) => links.queue(LinkKey { node, lane: pending.lane }, pending, answers),
        None => parked.park(pending, metadata),
    }
}

/// Requests to a controller or coordinator that is not known (yet).
#[derive(Debug, Default)]
pub(super) struct Parked {
    requests: Vec<Pending>,
    /// The coordinators they wait for.
    coordinators: BTreeSet<CoordinatorKey>,
}

impl Parked {
    fn park(&mut self, pending: Pending, metadata: &mut Metadata) {
        match &pending.destination {
            Destination::Coordinator(key) => {
                self.coordinators.insert(key.clone());
            }
            _ => metadata.request_update(),
        }
        self.requests.push(pending);
    }

    /// The coordinators that somebody waits for.
    pub(super) const fn coordinators(&self) -> &BTreeSet<CoordinatorKey> {
        &self.coordinators
    }

    /// Gives all requests another try.
    pub(super) fn unpark(&mut self, outbox: &mut Outbox) {
        self.coordinators.clear();
        outbox.unpop(self.requests.drain(..));
    }

    /// Fails the requests to coordinators that are refused for good.
    pub(super) fn refuse(&mut self, finder: &CoordinatorFinder, answers: &mut Vec<Answer>) {
        let mut refused = |pending: &Pending| {
            let Destination::Coordinator(key) = &pending.destination else {
                return false;
            };
            let Some(error) = finder.refusal(key) else {
                return false;
            };
            let api = pending.body.api_key();
            let reason = format!("the lookup of {key} was refused: {error}");
            let failure = RequestFailure::NoCoordinator { api, error, reason };
            answers.push(pending.stub().answer(Err(failure)));
            true
        };
        self.requests.retain(|pending| !refused(pending));
        self.forget_unwanted();
    }

    /// Fails the requests whose time is up.
    pub(super) fn expire(&mut self, now: Instant, metadata: &Metadata, answers: &mut Vec<Answer>) {
        if self.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        for pending in std::mem::take(&mut self.requests) {
            if pending.deadline > now {
                self.requests.push(pending);
                continue;
            }
            let error = metadata.last_error().unwrap_or("none");
            let reason = format!(
                "it is not known where {} is; the last error of metadata: {error}",
                pending.destination
            );
            answers.push(pending.timed_out(now, &reason));
        }
        self.forget_unwanted();
    }

    fn forget_unwanted(&mut self) {
        let wanted = self.requests.iter().filter_map(|pending| match &pending.destination {
            Destination::Coordinator(key) => Some(key.clone()),
            _ => None,
        });
        self.coordinators = wanted.collect();
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let deadlines = self.requests.iter().map(|pending| Some(pending.deadline));
        deadlines.fold(None, earliest)
    }
}
