//! Keeps [`Metadata`] fresh: asks on demand, by age, and after failures with backoff.

mod controllers;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::metadata_request::MetadataRequestTopic;
use millstream_protocol::messages::{MetadataRequest, MetadataResponse, StrBytes};
use millstream_types::TopicName;

use super::cache::Metadata;
use crate::backoff::{Backoff, Rng};
use crate::config::EngineConfig;
use crate::cx::Cx;
use crate::outbox::{Destination, Lane, Request, RequestFailure, RequestId, Response};
use crate::timer;

/// The longest wait between two looks for a topic that the cluster does not have.
const MISSING_TOPIC_WAIT_MAX: Duration = Duration::from_secs(5);

/// Sends Metadata requests, one at a time.
#[derive(Debug)]
pub struct MetadataMachine {
    max_age: Duration,
    max_idle: Duration,
    backoff: Backoff,
    allow_auto_create: bool,
    /// Controllers are asked, in their own way (KIP-919).
    of_controllers: bool,
    rng: Rng,
    in_flight: Option<InFlight>,
    failures: u32,
    /// Answers in a row that lacked a topic that somebody wants.
    misses: u32,
    /// When to look for such topics again.
    look_again: Option<Instant>,
    /// Since when every request failed.
    failing_since: Option<Instant>,
    /// When to start again from the bootstrap servers (KIP-1102).
    rebootstrap_after: Option<Duration>,
    /// When the last whole answer came.
    refreshed: Option<Instant>,
    /// No request before this: backoff.
    not_before: Option<Instant>,
    /// When `poll` is due though nothing happened.
    timeout: Option<Instant>,
}

#[derive(Debug)]
struct InFlight {
    id: RequestId,
    /// What was asked for; `None`: all topics.
    asked: Option<BTreeSet<TopicName>>,
    /// Whether it asked for everything wanted, and so counts as a refresh.
    whole: bool,
}

impl MetadataMachine {
    /// A machine that asks as `config` says.
    #[must_use]
    pub fn new(config: &EngineConfig, rng: Rng) -> Self {
        Self {
            max_age: config.metadata_max_age,
            max_idle: config.metadata_max_idle,
            backoff: config.retry_backoff,
            allow_auto_create: config.allow_auto_create_topics,
            of_controllers: config.bootstrap_is_of_controllers,
            rng,
            in_flight: None,
            failures: 0,
            misses: 0,
            look_again: None,
            failing_since: None,
            rebootstrap_after: config.rebootstrap_after,
            refreshed: None,
            not_before: None,
            timeout: None,
        }
    }

    /// Sends what is due, and says when to look again.
    pub fn poll(&mut self, cx: &mut Cx<'_>) {
        self.timeout = None;
        if self.in_flight.is_some() {
            return;
        }
        let due = self.next_update(cx.now, cx.metadata);
        if !timer::is_due(due, cx.now) {
            self.timeout = due;
            return;
        }
        self.send(cx);
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub const fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// A request is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.id == id) else {
            return;
        };
        match result.map(|response| controllers::read(response.body, cx.metadata)) {
            Ok(Ok(response)) => self.handle_answer(response, &in_flight, cx),
            Ok(Err(wrong)) => self.handle_failure(wrong, cx),
            Err(failure) => self.handle_failure(failure.to_string(), cx),
        }
    }

    fn handle_answer(&mut self, response: MetadataResponse, sent: &InFlight, cx: &mut Cx<'_>) {
        let error = ErrorCode::from(response.error_code);
        if matches!(error, ErrorCode::RebootstrapRequired) {
            // KIP-1102: the broker knows that we are talking to the wrong cluster's addresses.
            cx.metadata.forget_brokers();
            return self.handle_failure(error.to_string(), cx);
        }
        if let Err(error) = check_cluster(&response, cx.metadata) {
            return self.handle_failure(error, cx);
        }
        let temporary = response.topics.iter().any(|topic| is_temporary(topic.error_code));
        cx.metadata.apply(response, sent.asked.as_ref());
        cx.metadata.note_error(None);
        self.failing_since = None;
        if temporary {
            // A topic being made has no leader yet, for a moment: ask again, with backoff.
            cx.metadata.request_update();
            self.failures += 1;
        } else {
            self.failures = 0;
        }
        if sent.whole {
            self.refreshed = Some(cx.now);
        }
        // Whoever asks for updates all the time does not get one all the time.
        self.not_before = Some(cx.now + self.backoff.after(self.failures.max(1), &mut self.rng));
        self.misses = if cx.metadata.has_missing_topics() { self.misses + 1 } else { 0 };
        let patient = Backoff::new(self.backoff.initial, MISSING_TOPIC_WAIT_MAX);
        self.look_again = Some(cx.now + patient.after(self.misses, &mut self.rng));
    }

    fn handle_failure(&mut self, error: String, cx: &mut Cx<'_>) {
        tracing::debug!(%error, "metadata could not be fetched");
        cx.metadata.note_error(Some(error));
        self.failures += 1;
        self.not_before = Some(cx.now + self.backoff.after(self.failures, &mut self.rng));
        cx.metadata.request_update();
        let since = *self.failing_since.get_or_insert(cx.now);
        if self.rebootstrap_after.is_some_and(|after| since + after <= cx.now) {
            tracing::warn!("start again from the bootstrap servers");
            cx.metadata.forget_brokers();
            self.failing_since = None;
        }
    }

    /// When the next request is due: at once for a topic that is new, after the backoff for an
    /// update that somebody asked for, more patiently for topics that are missing, and by age.
    fn next_update(&self, now: Instant, metadata: &Metadata) -> Option<Instant> {
        if metadata.has_new_topics() && self.failures == 0 {
            return Some(now);
        }
        let refreshed = self.refreshed.filter(|_| !metadata.update_wanted());
        let Some(refreshed) = refreshed.filter(|_| !metadata.has_new_topics()) else {
            return Some(self.not_before.unwrap_or(now));
        };
        let look_again = self.look_again.filter(|_| metadata.has_missing_topics());
        timer::earliest(look_again, Some(refreshed + self.max_age))
    }

    fn send(&mut self, cx: &mut Cx<'_>) {
        if let Some(since) = cx.now.checked_sub(self.max_idle) {
            cx.metadata.expire_topics(since);
        }
        let aged = self.refreshed.is_none_or(|at| at + self.max_age <= cx.now);
        let looks = timer::is_due(self.look_again, cx.now) && cx.metadata.has_missing_topics();
        let whole = aged || looks || cx.metadata.update_wanted();
        let asked = cx.metadata.begin_update(!whole);
        if self.of_controllers {
            let id = cx.send(controllers::request());
            self.in_flight = Some(InFlight { id, asked, whole });
            return;
        }
        let topics = asked.as_ref().map(|names| {
            let topic = |name: &TopicName| {
                let name = StrBytes::from_string(name.as_str().to_owned());
                MetadataRequestTopic::default().with_name(Some(name.into()))
            };
            names.iter().map(topic).collect()
        });
        let request = MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(self.allow_auto_create);
        let request = Request::new(Destination::AnyBroker, Lane::General, request);
        let id = cx.send(request);
        self.in_flight = Some(InFlight { id, asked, whole });
    }
}

/// Whether a topic's error passes by itself.
fn is_temporary(code: i16) -> bool {
    matches!(ErrorCode::from(code), ErrorCode::LeaderNotAvailable)
}

/// KIP-1242: a broker of another cluster may have taken over an address; its topics are not ours.
fn check_cluster(answer: &MetadataResponse, metadata: &Metadata) -> Result<(), String> {
    match (&answer.cluster_id, metadata.cluster_id()) {
        (Some(answered), Some(known)) if answered.as_str() != known.as_str() => Err(format!(
            "a broker of cluster {} answers for cluster {known}: check bootstrap.servers",
            answered.as_str()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
