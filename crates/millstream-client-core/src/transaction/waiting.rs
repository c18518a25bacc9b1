//! The application's calls that wait, and what they are told.

use std::time::{Duration, Instant};

use super::command::{OffsetsSource, TransactionCommand, TransactionCompletion};
use super::error::{CommitFailure, TransactionError};
use super::machine::{Offsets, TransactionMachine};
use super::state::TransactionState;
use crate::cx::{CommandId, Cx};
use crate::producer::ProducerMachine;

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: CommandId,
    pub(super) kind: WaiterKind,
    since: Instant,
    timeout: Duration,
    /// When it is told that its time is up; `None` while that does not run yet.
    pub(super) deadline: Option<Instant>,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaiterKind {
    /// A producer id.
    Initialize,
    /// A transaction of its own.
    Begin,
    /// The outcome of its commit.
    Commit,
    /// The end of the transaction.
    Abort,
    /// The outcome of a commit that is in doubt.
    Resolve,
}

impl Waiter {
    pub(super) const fn new(
        id: CommandId,
        kind: WaiterKind,
        timeout: Duration,
        since: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        Self { id, kind, since, timeout, deadline }
    }

    /// Lets its time run from now on, if it does not yet.
    fn start(&mut self, now: Instant) {
        if self.deadline.is_none() {
            self.since = now;
            self.deadline = Some(now + self.timeout);
        }
    }

    /// Tells the call that it failed.
    pub(super) fn fail(&self, error: &TransactionError, may_be_committed: bool, cx: &mut Cx<'_>) {
        let error = error.clone();
        let completion = match self.kind {
            WaiterKind::Initialize => TransactionCompletion::Initialized(Err(error)),
            WaiterKind::Begin => TransactionCompletion::Begun(Err(error)),
            WaiterKind::Abort => TransactionCompletion::Aborted(Err(error)),
            WaiterKind::Commit | WaiterKind::Resolve if may_be_committed => {
                TransactionCompletion::Committed(Err(CommitFailure::Unknown(error)))
            }
            WaiterKind::Commit | WaiterKind::Resolve => {
                TransactionCompletion::Committed(Err(CommitFailure::NotCommitted(error)))
            }
        };
        cx.complete(self.id, completion);
    }
}

impl Offsets {
    /// When they must be in the transaction.
    pub(super) fn deadline(&self) -> Instant {
        self.since + self.timeout
    }
}

impl TransactionMachine {
    /// Has a call wait.
    pub(super) fn wait(
        &mut self,
        id: CommandId,
        kind: WaiterKind,
        timeout: Option<Duration>,
        cx: &mut Cx<'_>,
    ) {
        let timeout = timeout.unwrap_or_default();
        let is_ready = self.state == TransactionState::Ready;
        if kind == WaiterKind::Initialize && is_ready {
            return cx.complete(id, TransactionCompletion::Initialized(Ok(())));
        }
        self.waiters.push(Waiter::new(id, kind, timeout, cx.now, Some(cx.now + timeout)));
    }

    /// Lets the time of the commit run: the records have their ends.
    pub(super) fn start_commit_time(&mut self, now: Instant) {
        self.waiters.iter_mut().for_each(|waiter| waiter.start(now));
    }

    /// Tells whoever waits for a commit what became of it.
    pub(super) fn tell_commit(
        &mut self,
        result: impl Fn() -> Result<(), CommitFailure>,
        cx: &mut Cx<'_>,
    ) {
        self.waiters.retain(|waiter| {
            let is_told = matches!(waiter.kind, WaiterKind::Commit | WaiterKind::Resolve);
            if is_told {
                cx.complete(waiter.id, TransactionCompletion::Committed(result()));
            }
            !is_told
        });
    }

    /// Tells whoever waits for an abort that it is done.
    pub(super) fn tell_aborted(&mut self, cx: &mut Cx<'_>) {
        self.waiters.retain(|waiter| {
            let is_told = waiter.kind == WaiterKind::Abort;
            if is_told {
                cx.complete(waiter.id, TransactionCompletion::Aborted(Ok(())));
            }
            !is_told
        });
    }

    /// Tells whoever waits for a producer id that there is one.
    pub(super) fn tell_initialized(&mut self, cx: &mut Cx<'_>) {
        self.waiters.retain(|waiter| {
            let is_told = waiter.kind == WaiterKind::Initialize;
            if is_told {
                cx.complete(waiter.id, TransactionCompletion::Initialized(Ok(())));
            }
            !is_told
        });
    }

    /// Takes offsets into the transaction.
    pub(super) fn add_offsets(
        &mut self,
        call: CommandId,
        source: OffsetsSource,
        timeout: Duration,
        cx: &mut Cx<'_>,
    ) {
        let error = match self.state {
            TransactionState::InTransaction => match source.group() {
                Ok(_) if source.offsets().next().is_none() => None,
                Ok(_) => {
                    let (since, is_added) = (cx.now, false);
                    let offsets = Offsets { call, source, since, timeout, is_added };
                    return self.current.offsets.push_back(offsets);
                }
                Err(error) => Some(TransactionError::NotOwned(error)),
            },
            TransactionState::Failed => self.current.failure.clone(),
            _ => Some(TransactionError::Aborted { reason: None }),
        };
        let result = error.map_or(Ok(()), Err);
        cx.complete(call, TransactionCompletion::OffsetsCommitted(result));
    }

    /// Gives up the offsets that are not in the transaction.
    pub(super) fn drop_offsets(&mut self, error: &TransactionError, cx: &mut Cx<'_>) {
        for offsets in std::mem::take(&mut self.current.offsets) {
            let result = Err(error.clone());
            cx.complete(offsets.call, TransactionCompletion::OffsetsCommitted(result));
        }
    }

    /// Answers a call that cannot be served.
    pub(super) fn refuse(
        &self,
        id: CommandId,
        command: &TransactionCommand,
        error: &TransactionError,
        cx: &mut Cx<'_>,
    ) {
        let error = error.clone();
        let completion = match command {
            TransactionCommand::Initialize { .. } => TransactionCompletion::Initialized(Err(error)),
            TransactionCommand::Begin { .. } => TransactionCompletion::Begun(Err(error)),
            TransactionCommand::CommitOffsets { .. } => {
                TransactionCompletion::OffsetsCommitted(Err(error))
            }
            TransactionCommand::Commit { .. } => {
                TransactionCompletion::Committed(Err(CommitFailure::NotCommitted(error)))
            }
            TransactionCommand::Resolve { .. } => {
                TransactionCompletion::Committed(Err(CommitFailure::Unknown(error)))
            }
            TransactionCommand::Abort { .. } | TransactionCommand::Close { .. } => {
                TransactionCompletion::Aborted(Err(error))
            }
        };
        cx.complete(id, completion);
    }

    /// Whether a commit may have taken effect, as far as is known now.
    pub(super) fn may_be_committed(&self) -> bool {
        let is_sent = self.in_flight.as_ref().is_some_and(|request| request.is_commit());
        self.current.may_be_committed || is_sent
    }

    /// Tells those whose time is up.
    pub(super) fn expire(&mut self, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        let now = cx.now;
        let (late, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| waiter.deadline.is_some_and(|deadline| deadline <= now));
        self.waiters = rest;
        for waiter in late {
            let what = match waiter.kind {
                WaiterKind::Initialize => "getting a producer id",
                WaiterKind::Begin if self.state.is_committing() => {
                    "the commit of the transaction before"
                }
                WaiterKind::Begin => "the end of the transaction before",
                WaiterKind::Commit | WaiterKind::Resolve => "a definite answer to the commit",
                WaiterKind::Abort => "the abort of the transaction",
            };
            let error = self.timed_out(what, now.saturating_duration_since(waiter.since));
            let may_be_committed = self.may_be_committed();
            waiter.fail(&error, may_be_committed, cx);
            if waiter.kind == WaiterKind::Commit && self.state == TransactionState::Committing {
                if may_be_committed {
                    self.enter(TransactionState::InDoubt);
                } else {
                    self.fail(error, producer, cx);
                }
            }
        }
        let is_late = |offsets: &Offsets| offsets.deadline() <= now;
        if let Some(late) = self.current.offsets.iter().find(|offsets| is_late(offsets)) {
            let waited = now.saturating_duration_since(late.since);
            let error = self.timed_out("committing offsets in the transaction", waited);
            self.fail(error, producer, cx);
        }
    }

    fn timed_out(&self, what: &'static str, waited: Duration) -> TransactionError {
        TransactionError::TimedOut { what, waited, last_error: self.last_error.clone() }
    }
}
