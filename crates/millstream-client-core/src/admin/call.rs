//! One admin call: its items, which of them are open, and the tries (`AdminApiDriver`).
//!
//! A call is about items: topics, partitions, config resources. Each item gets a result of its
//! own. Items that go to the same broker share a request; those that fail for a reason that passes
//! are tried again with backoff until the call's time is up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use millstream_protocol::ErrorCode;

use super::AdminCompletion;
use super::error::AdminError;
use crate::backoff::{Backoff, Rng};
use crate::cx::Cx;
use crate::outbox::{
    Destination, Lane, Request, RequestBody, RequestFailure, RequestId, Response, WrongResponse,
};
use crate::timer;

/// What differs between admin calls.
pub(super) trait Handler: fmt::Debug + Send {
    /// What names an item; printed in errors.
    type Key: Ord + Clone + fmt::Debug + Send;
    /// What is asked about an item.
    type Input: fmt::Debug + Send;
    /// What an item's result holds.
    type Output: fmt::Debug + Send;

    /// An item in words, for errors: "topic orders".
    fn about(key: &Self::Key) -> String;

    /// Where an item's request goes.
    fn place(&self, key: &Self::Key, cx: &mut Cx<'_>) -> Placement;

    /// The request about these items. The broker may take up to `timeout` for it.
    fn request(&self, items: &[(&Self::Key, &Self::Input)], timeout: Duration) -> RequestBody;

    /// What an answer says about items.
    fn read(&self, response: Response) -> AllSaid<Self::Key, Self::Output>;

    /// The call's completion.
    fn complete(results: BTreeMap<Self::Key, Result<Self::Output, AdminError>>) -> AdminCompletion;

    /// An error that says that an earlier try, whose answer was lost, did the work.
    fn is_done_already(&self, _code: ErrorCode) -> Option<Self::Output> {
        None
    }

    /// Whether an error will pass.
    fn is_retriable(&self, code: ErrorCode) -> bool {
        code.class().is_retriable()
    }

    /// The newest version that can carry the request.
    fn version_max(&self) -> Option<i16> {
        None
    }
}

/// What an answer says about one item.
pub(super) type Said<K, T> = (K, Result<T, Refusal>);

/// What an answer says, if it is one to the request.
pub(super) type AllSaid<K, T> = Result<Vec<Said<K, T>>, WrongResponse>;

/// A broker's error about one item.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
}

impl Refusal {
    /// `Err` unless the code says that all is well.
    pub(super) fn check(code: i16, message: Option<&str>) -> Result<(), Self> {
        ErrorCode::check(code).map_err(|code| Self { code, message: message.map(str::to_owned) })
    }
}

/// Where an item's request goes.
#[derive(Debug)]
pub(super) enum Placement {
    /// There.
    At(Destination),
    /// Not known yet, for this reason; metadata has been asked for.
    Later(String),
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call<H: Handler> {
    handler: H,
    items: BTreeMap<H::Key, Item<H>>,
    begun: Instant,
    deadline: Instant,
    request_timeout: Duration,
    backoff: Backoff,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Item<H: Handler> {
    input: H::Input,
    state: ItemState<H>,
    last_error: Option<String>,
    /// A try of it may have done the work though its answer was lost.
    may_be_applied: bool,
}

#[derive(Debug)]
enum ItemState<H: Handler> {
    Open,
    Sent(RequestId),
    Done(Result<H::Output, AdminError>),
}

/// A call of whatever kind, as the machine keeps it.
pub(super) trait AnyCall: fmt::Debug + Send {
    /// Sends what is due. `Some`: the call is complete.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Option<AdminCompletion>;
    /// A request is answered; `false` if it was not this call's.
    fn handle_response(
        &mut self,
        id: RequestId,
        result: &mut Option<Result<Response, RequestFailure>>,
        rng: &mut Rng,
        cx: &mut Cx<'_>,
    ) -> bool;
    /// When `poll` must be called though nothing happened.
    fn next_timeout(&self) -> Option<Instant>;
}

/// How long calls and requests may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) api_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) backoff: Backoff,
}

impl<H: Handler> Call<H> {
    pub(super) fn new(
        now: Instant,
        limits: Limits,
        handler: H,
        items: impl IntoIterator<Item = (H::Key, H::Input)>,
    ) -> Self {
        let item =
            |input| Item { input, state: ItemState::Open, last_error: None, may_be_applied: false };
        Self {
            handler,
            items: items.into_iter().map(|(key, input)| (key, item(input))).collect(),
            begun: now,
            deadline: now + limits.api_timeout,
            request_timeout: limits.request_timeout,
            backoff: limits.backoff,
            failures: 0,
            not_before: None,
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>) {
        let mut groups: BTreeMap<Destination, Vec<H::Key>> = BTreeMap::new();
        for (key, item) in &mut self.items {
            if !matches!(item.state, ItemState::Open) {
                continue;
            }
            match self.handler.place(key, cx) {
                Placement::At(destination) => {
                    groups.entry(destination).or_default().push(key.clone());
                }
                Placement::Later(reason) => item.last_error = Some(reason),
            }
        }
        let left = self.deadline.saturating_duration_since(cx.now);
        let timeout = left.min(self.request_timeout);
        for (destination, keys) in groups {
            let items = keys.iter().filter_map(|key| Some((key, &self.items.get(key)?.input)));
            let body = self.handler.request(&items.collect::<Vec<_>>(), timeout);
            let mut request = Request::new(destination, Lane::General, body).timeout(timeout);
            if let Some(version) = self.handler.version_max() {
                request = request.version_max(version);
            }
            let id = cx.send(request);
            for key in &keys {
                if let Some(item) = self.items.get_mut(key) {
                    item.state = ItemState::Sent(id);
                }
            }
        }
    }

    fn handle_answer(
        &mut self,
        id: RequestId,
        said: Vec<Said<H::Key, H::Output>>,
        cx: &mut Cx<'_>,
    ) {
        for (key, result) in said {
            let Some(item) = self.items.get_mut(&key) else {
                continue;
            };
            let refusal = match result {
                Ok(output) => {
                    item.state = ItemState::Done(Ok(output));
                    continue;
                }
                Err(refusal) => refusal,
            };
            let done = self.handler.is_done_already(refusal.code);
            if let Some(output) = done.filter(|_| item.may_be_applied) {
                item.state = ItemState::Done(Ok(output));
            } else if self.handler.is_retriable(refusal.code) {
                cx.metadata.request_update();
                item.last_error = Some(refusal.code.to_string());
                item.state = ItemState::Open;
            } else {
                let Refusal { code, message } = refusal;
                let about = H::about(&key);
                item.state = ItemState::Done(Err(AdminError::Refused { about, code, message }));
            }
        }
        for (key, item) in self.items.iter_mut().filter(|(_, item)| item.was_sent(id)) {
            let about = H::about(key);
            item.state = ItemState::Done(Err(AdminError::LeftOut { about }));
        }
    }

    fn handle_failure(&mut self, id: RequestId, failure: &RequestFailure) {
        for (key, item) in self.items.iter_mut().filter(|(_, item)| item.was_sent(id)) {
            item.may_be_applied |= failure.may_be_applied();
            if failure.class().is_retriable() {
                item.last_error = Some(failure.to_string());
                item.state = ItemState::Open;
            } else {
                let (about, failure) = (H::about(key), failure.clone());
                item.state = ItemState::Done(Err(AdminError::Request { about, failure }));
            }
        }
    }

    /// Ends the call: what is not done has timed out.
    fn finish(&mut self, now: Instant) -> AdminCompletion {
        let waited = now.saturating_duration_since(self.begun);
        let results = std::mem::take(&mut self.items).into_iter().map(|(key, item)| {
            let result = match item.state {
                ItemState::Done(result) => result,
                ItemState::Open | ItemState::Sent(_) => Err(AdminError::TimedOut {
                    about: H::about(&key),
                    waited,
                    last_error: item.last_error.unwrap_or_else(|| "none".to_owned()),
                }),
            };
            (key, result)
        });
        H::complete(results.collect())
    }

    fn has_open(&self) -> bool {
        self.items.values().any(|item| matches!(item.state, ItemState::Open))
    }
}

impl<H: Handler> Item<H> {
    fn was_sent(&self, id: RequestId) -> bool {
        matches!(self.state, ItemState::Sent(sent) if sent == id)
    }
}

impl<H: Handler> AnyCall for Call<H> {
    fn poll(&mut self, cx: &mut Cx<'_>) -> Option<AdminCompletion> {
        // Items whose broker is not known yet are looked at whenever something happened; metadata
        // that comes is such a thing.
        if self.deadline > cx.now && self.not_before.is_none_or(|at| at <= cx.now) {
            self.not_before = None;
            self.send(cx);
        }
        let done = |item: &Item<H>| matches!(item.state, ItemState::Done(_));
        let over = self.deadline <= cx.now || self.items.values().all(done);
        over.then(|| self.finish(cx.now))
    }

    fn handle_response(
        &mut self,
        id: RequestId,
        result: &mut Option<Result<Response, RequestFailure>>,
        rng: &mut Rng,
        cx: &mut Cx<'_>,
    ) -> bool {
        if !self.items.values().any(|item| item.was_sent(id)) {
            return false;
        }
        match result.take() {
            Some(Ok(response)) => {
                let said = self.handler.read(response).unwrap_or_default();
                self.handle_answer(id, said, cx);
            }
            Some(Err(failure)) => self.handle_failure(id, &failure),
            None => {}
        }
        if self.has_open() {
            self.failures += 1;
            self.not_before = Some(cx.now + self.backoff.after(self.failures, rng));
        }
        true
    }

    fn next_timeout(&self) -> Option<Instant> {
        timer::earliest(Some(self.deadline), self.not_before.filter(|_| self.has_open()))
    }
}
