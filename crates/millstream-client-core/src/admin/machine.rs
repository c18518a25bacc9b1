//! The machine that runs admin calls: which call an answer, a timer or fresh metadata concerns.
//!
//! An event costs the work of the calls it concerns and a few look-ups, however many calls are
//! under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::call::{AnyCall, Limits};
use super::command::AdminCommand;
use crate::backoff::Rng;
use crate::config::EngineConfig;
use crate::cx::{CommandId, Cx};
use crate::outbox::{RequestFailure, RequestId, Response};

/// How many calls may be under way; more fail with [`AdminError::Busy`](super::AdminError::Busy).
pub const CALLS_MAX: usize = 5000;

/// Runs admin calls.
#[derive(Debug)]
pub struct AdminMachine {
    limits: Limits,
    rng: Rng,
    calls: BTreeMap<CommandId, Entry>,
    /// Whose each unanswered request is.
    requests: BTreeMap<RequestId, CommandId>,
    /// The calls' timers.
    timers: BTreeSet<(Instant, CommandId)>,
    /// The calls to look at in the next poll.
    ready: BTreeSet<CommandId>,
    /// The calls to look at when metadata has come.
    waiting: BTreeSet<CommandId>,
    /// The metadata that waiting calls have seen.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    call: Box<dyn AnyCall>,
    timer: Option<Instant>,
}

impl AdminMachine {
    /// A machine whose calls take as long as `config` allows.
    #[must_use]
    pub const fn new(config: &EngineConfig, rng: Rng) -> Self {
        Self {
            limits: Limits {
                api_timeout: config.api_timeout,
                request_timeout: config.request_timeout,
                backoff: config.retry_backoff,
                retry_throttled: true,
            },
            rng,
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            timers: BTreeSet::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            generation: 0,
        }
    }

    /// The application called.
    pub fn handle_command(&mut self, id: CommandId, command: AdminCommand, cx: &mut Cx<'_>) {
        let AdminCommand { mut call, timeout, retry_throttled } = command;
        let pending = self.calls.len();
        if pending >= CALLS_MAX {
            return cx.complete(id, call.refuse(pending));
        }
        let api_timeout = timeout.unwrap_or(self.limits.api_timeout);
        call.start(cx.now, Limits { api_timeout, retry_throttled, ..self.limits });
        self.calls.insert(id, Entry { call, timer: None });
        self.ready.insert(id);
    }

    /// A request of this machine is answered, or never will be.
    pub fn handle_response(
        &mut self,
        id: RequestId,
        result: Result<Response, RequestFailure>,
        cx: &mut Cx<'_>,
    ) {
        let Some(command) = self.requests.remove(&id) else {
            return;
        };
        if let Some(entry) = self.calls.get_mut(&command) {
            entry.call.handle_response(id, result, &mut self.rng, cx);
            self.ready.insert(command);
        }
    }

    /// Sends what is due and completes what is done.
    pub fn poll(&mut self, cx: &mut Cx<'_>) {
        if self.generation != cx.metadata.generation() {
            self.generation = cx.metadata.generation();
            self.ready.append(&mut self.waiting);
        }
        while let Some(&(at, id)) = self.timers.first()
            && at <= cx.now
        {
            self.timers.pop_first();
            self.ready.insert(id);
        }
        while let Some(id) = self.ready.pop_first() {
            self.poll_call(id, cx);
        }
    }

    fn poll_call(&mut self, id: CommandId, cx: &mut Cx<'_>) {
        let Some(entry) = self.calls.get_mut(&id) else {
            return;
        };
        if let Some(at) = entry.timer.take() {
            self.timers.remove(&(at, id));
        }
        let mut sent = Vec::new();
        let completion = entry.call.poll(cx, &mut sent);
        self.requests.extend(sent.into_iter().map(|request| (request, id)));
        if let Some(completion) = completion {
            self.calls.remove(&id);
            self.waiting.remove(&id);
            return cx.complete(id, completion);
        }
        entry.timer = entry.call.next_timeout();
        self.timers.extend(entry.timer.map(|at| (at, id)));
        if entry.call.waits_for_metadata() {
            self.waiting.insert(id);
        }
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }
}
