//! One admin call: its items, which of them are open, and the tries (`AdminApiDriver`).
//!
//! Nothing here looks at all items per event: a request knows its items, open items are a set of
//! their own, and what is left is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;

use super::command::AdminCompletion;
use super::error::AdminError;
use super::operation::{Lot, Operation, Placement, Refusal, Said, Verdict, VerdictOf};
use crate::backoff::{Backoff, Rng};
use crate::cx::Cx;
use crate::outbox::{
    CoordinatorKey, Destination, Lane, Request, RequestFailure, RequestId, Response,
};
use crate::timer;

/// A call under way.
#[derive(Debug)]
pub(super) struct Call<O: Operation> {
    operation: Option<O>,
    items: BTreeMap<O::Key, Item<O>>,
    /// The items to be sent.
    open: BTreeSet<O::Key>,
    /// The items in each request, in order.
    sent: BTreeMap<RequestId, Vec<O::Key>>,
    /// How many items have no result yet.
    left: usize,
    clock: Option<Clock>,
    /// Some open items wait until metadata says where they go.
    waits_for_metadata: bool,
}

/// How far a call is in its time.
#[derive(Debug)]
struct Clock {
    limits: Limits,
    begun: Instant,
    deadline: Instant,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Item<O: Operation> {
    input: O::Input,
    result: Option<Result<O::Output, AdminError>>,
    last_error: Option<String>,
    /// The coordinator asked last, to be forgotten when it turns out to be none.
    coordinator: Option<CoordinatorKey>,
    /// A try of it may have done the work though its answer was lost.
    may_be_applied: bool,
}

/// How long calls and requests may take, and what is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) api_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) backoff: Backoff,
    /// Whether `THROTTLING_QUOTA_EXCEEDED` is waited out (KIP-599).
    pub(super) retry_throttled: bool,
}

/// A call of whatever kind, as the machine keeps it.
pub(super) trait AnyCall: fmt::Debug + Send {
    /// The time of the call begins.
    fn start(&mut self, now: Instant, limits: Limits);
    /// The call is not made: too many are under way.
    fn refuse(&mut self, pending: usize) -> AdminCompletion;
    /// Sends what is due and says under which names. `Some`: the call is complete.
    fn poll(&mut self, cx: &mut Cx<'_>, sent: &mut Vec<RequestId>) -> Option<AdminCompletion>;
    /// A request of this call is answered.
    fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        rng: &mut Rng,
        cx: &mut Cx<'_>,
    );
    /// When `poll` must be called though nothing happened.
    fn next_timeout(&self) -> Option<Instant>;
    /// Whether `poll` must be called when metadata has come.
    fn waits_for_metadata(&self) -> bool;
}

/// What goes into one request: the same place, the same lot; alone, also the same item.
type Shard<K> = (Destination, Option<u8>, Option<K>);

impl<O: Operation> Call<O> {
    pub(super) fn new(operation: O, items: impl IntoIterator<Item = (O::Key, O::Input)>) -> Self {
        let mut call = Self {
            operation: Some(operation),
            items: BTreeMap::new(),
            open: BTreeSet::new(),
            sent: BTreeMap::new(),
            left: 0,
            clock: None,
            waits_for_metadata: false,
        };
        items.into_iter().for_each(|(key, input)| call.add(key, input));
        call
    }

    fn add(&mut self, key: O::Key, input: O::Input) {
        self.open.insert(key.clone());
        let item = Item {
            input,
            result: None,
            last_error: None,
            coordinator: None,
            may_be_applied: false,
        };
        if self.items.insert(key, item).is_none_or(|before| before.result.is_some()) {
            self.left += 1;
        }
    }

    fn settle(&mut self, key: &O::Key, result: Result<O::Output, AdminError>) {
        if let Some(item) = self.items.get_mut(key)
            && item.result.is_none()
        {
            item.result = Some(result);
            self.left -= 1;
            self.open.remove(key);
        }
    }

    /// Which request each open item goes in.
    fn shards(&mut self, cx: &mut Cx<'_>) -> BTreeMap<Shard<O::Key>, Vec<O::Key>> {
        let mut shards: BTreeMap<Shard<O::Key>, Vec<O::Key>> = BTreeMap::new();
        self.waits_for_metadata = false;
        let Some(operation) = &self.operation else {
            return shards;
        };
        for key in &self.open {
            let Some(item) = self.items.get_mut(key) else {
                continue;
            };
            let destination = match operation.place(key, &item.input, cx) {
                Placement::At(destination) => item.located(destination, cx),
                Placement::Later(reason) => {
                    item.last_error = Some(reason);
                    self.waits_for_metadata = true;
                    continue;
                }
            };
            let shard = match operation.lot(key, &item.input) {
                Lot::Shared(lot) => (destination, Some(lot), None),
                Lot::Alone => (destination, None, Some(key.clone())),
            };
            shards.entry(shard).or_default().push(key.clone());
        }
        shards
    }

    fn send(&mut self, cx: &mut Cx<'_>, sent: &mut Vec<RequestId>) {
        let shards = self.shards(cx);
        let (Some(operation), Some(clock)) = (&self.operation, &self.clock) else {
            return;
        };
        let left = clock.deadline.saturating_duration_since(cx.now);
        let timeout = left.min(clock.limits.request_timeout);
        for ((destination, lot, _), keys) in shards {
            let items = keys.iter().filter_map(|key| Some((key, &self.items.get(key)?.input)));
            let body = operation.request(&items.collect::<Vec<_>>(), timeout);
            let mut request = Request::new(destination, Lane::General, body).timeout(timeout);
            let (min, max) = operation.versions(lot.map_or(Lot::Alone, Lot::Shared));
            if let Some(version) = min {
                request = request.version_min(version);
            }
            if let Some(version) = max {
                request = request.version_max(version);
            }
            let id = cx.send(request);
            for key in &keys {
                self.open.remove(key);
            }
            self.sent.insert(id, keys);
            sent.push(id);
        }
    }

    fn handle_answer(&mut self, keys: &[O::Key], response: Response, cx: &mut Cx<'_>) {
        let Some(operation) = &self.operation else {
            return;
        };
        let asked = keys.iter().filter_map(|key| Some((key, &self.items.get(key)?.input)));
        let said = operation.read(response, &asked.collect::<Vec<_>>()).unwrap_or_default();
        let mut heard = BTreeSet::new();
        for (key, verdict) in said {
            if keys.binary_search(&key).is_ok() {
                heard.insert(key.clone());
                self.judge((key, verdict), cx);
            }
        }
        for key in keys.iter().filter(|key| !heard.contains(*key)) {
            if let Some(operation) = &self.operation {
                let about = operation.about(key);
                self.settle(key, Err(AdminError::LeftOut { about }));
            }
        }
    }

    fn judge(&mut self, (key, verdict): Said<O>, cx: &mut Cx<'_>) {
        match verdict {
            Verdict::Done(output) => self.settle(&key, Ok(output)),
            Verdict::Become(items) => self.replace(&key, items),
            Verdict::Refused(refusal) => self.handle_refusal(&key, refusal, cx),
        }
    }

    /// An item becomes others. What may have been applied stays known of the one of the same key.
    fn replace(&mut self, key: &O::Key, items: Vec<(O::Key, O::Input)>) {
        let before = self.items.remove(key);
        if before.is_some() {
            self.left -= 1;
        }
        for (key, input) in items {
            self.add(key, input);
        }
    }

    fn handle_refusal(&mut self, key: &O::Key, refusal: Refusal, cx: &mut Cx<'_>) {
        let (Some(operation), Some(item), Some(clock)) =
            (&self.operation, self.items.get_mut(key), &self.clock)
        else {
            return;
        };
        let code = refusal.code;
        if item.may_be_applied
            && let Some(verdict) = operation.when_repeated(key, &item.input, code)
        {
            return self.judge((key.clone(), verdict), cx);
        }
        if code == ErrorCode::UnsupportedVersion
            && let Some(verdict) = operation.fallback(key, &item.input)
        {
            return self.judge((key.clone(), verdict), cx);
        }
        let gives_up = code == ErrorCode::ThrottlingQuotaExceeded && !clock.limits.retry_throttled;
        if operation.is_retriable(&item.input, code) && !gives_up {
            cx.metadata.request_update();
            if matches!(code, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
                item.forget_coordinator(cx);
            }
            item.last_error = Some(code.to_string());
            self.open.insert(key.clone());
        } else {
            let about = operation.about(key);
            let Refusal { code, message } = refusal;
            self.settle(key, Err(AdminError::Refused { about, code, message }));
        }
    }

    fn handle_failure(&mut self, keys: &[O::Key], failure: &RequestFailure, cx: &mut Cx<'_>) {
        for key in keys {
            let (Some(operation), Some(item)) = (&self.operation, self.items.get_mut(key)) else {
                continue;
            };
            item.may_be_applied |= failure.may_be_applied();
            if failure.is_of_connection() {
                item.forget_coordinator(cx);
            }
            let is_final = item.may_be_applied && !operation.is_repeatable();
            let fallback = match failure {
                RequestFailure::UnsupportedVersion { .. } => operation.fallback(key, &item.input),
                _ => None,
            };
            if let Some(verdict) = fallback {
                self.judge((key.clone(), verdict), cx);
            } else if failure.class().is_retriable() && !is_final {
                item.last_error = Some(failure.to_string());
                self.open.insert(key.clone());
            } else {
                let (about, failure) = (operation.about(key), failure.clone());
                self.settle(key, Err(AdminError::Request { about, failure }));
            }
        }
    }

    /// Ends the call: what is not done has failed as `error` says.
    fn finish(&mut self, error: impl Fn(String, &Item<O>) -> AdminError) -> AdminCompletion {
        let Some(operation) = self.operation.take() else {
            return AdminCompletion::new(());
        };
        let results = std::mem::take(&mut self.items).into_iter().map(|(key, mut item)| {
            let result = item.result.take();
            let result = result.unwrap_or_else(|| Err(error(operation.about(&key), &item)));
            (key, result)
        });
        let results = results.collect();
        AdminCompletion::new(operation.merge(results))
    }
}

impl<O: Operation> Item<O> {
    /// The broker to ask. Items of one broker share a request though their coordinators were looked
    /// up one by one.
    ///
    /// Of controllers only the active one serves calls (`LeastLoadedBrokerOrActiveKController`).
    fn located(&mut self, destination: Destination, cx: &Cx<'_>) -> Destination {
        let key = match destination {
            Destination::Coordinator(key) => key,
            Destination::AnyBroker if cx.metadata.is_of_controllers() => {
                return Destination::Controller;
            }
            destination => return destination,
        };
        self.coordinator = Some(key.clone());
        match cx.coordinators.get(&key) {
            Some(broker) => Destination::Broker(broker),
            None => Destination::Coordinator(key),
        }
    }

    fn forget_coordinator(&mut self, cx: &mut Cx<'_>) {
        if let Some(key) = self.coordinator.take() {
            cx.coordinators.invalidate(&key);
        }
    }
}

impl<O: Operation> AnyCall for Call<O> {
    fn start(&mut self, now: Instant, limits: Limits) {
        let deadline = now + limits.api_timeout;
        self.clock = Some(Clock { limits, begun: now, deadline, failures: 0, not_before: None });
    }

    fn refuse(&mut self, pending: usize) -> AdminCompletion {
        self.finish(|about, _| AdminError::Busy { about, pending })
    }

    fn poll(&mut self, cx: &mut Cx<'_>, sent: &mut Vec<RequestId>) -> Option<AdminCompletion> {
        let clock = self.clock.as_mut()?;
        let is_over = clock.deadline <= cx.now;
        if !is_over && clock.not_before.is_none_or(|at| at <= cx.now) {
            clock.not_before = None;
            self.send(cx, sent);
        }
        let begun = self.clock.as_ref()?.begun;
        let waited = cx.now.saturating_duration_since(begun);
        (is_over || self.left == 0).then(|| {
            self.finish(|about, item| AdminError::TimedOut {
                about,
                waited,
                last_error: item.last_error.clone().unwrap_or_else(|| "none".to_owned()),
            })
        })
    }

    fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        rng: &mut Rng,
        cx: &mut Cx<'_>,
    ) {
        let Some(keys) = self.sent.remove(&id) else {
            return;
        };
        let mut throttle = Duration::ZERO;
        match result {
            Ok(response) => {
                let millis = u64::try_from(response.body.throttle_time_ms()).unwrap_or(0);
                throttle = Duration::from_millis(millis);
                self.handle_answer(&keys, response, cx);
            }
            Err(failure) => self.handle_failure(&keys, &failure, cx),
        }
        // An item that failed waits; one that only goes on to its next request need not.
        let failed = |key: &O::Key| {
            self.open.contains(key)
                && self.items.get(key).is_some_and(|item| item.last_error.is_some())
        };
        if keys.iter().any(failed)
            && let Some(clock) = &mut self.clock
        {
            clock.failures += 1;
            let wait = clock.limits.backoff.after(clock.failures, rng).max(throttle);
            clock.not_before = Some(cx.now + wait);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let clock = self.clock.as_ref()?;
        timer::earliest(Some(clock.deadline), clock.not_before.filter(|_| !self.open.is_empty()))
    }

    fn waits_for_metadata(&self) -> bool {
        self.waits_for_metadata
    }
}

/// A verdict that only asks the same item something else.
pub(super) fn next<O: Operation>(key: &O::Key, input: O::Input) -> VerdictOf<O> {
    Verdict::Become(vec![(key.clone(), input)])
}
