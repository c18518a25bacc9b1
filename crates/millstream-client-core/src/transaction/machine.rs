//! The transaction machine: the application's calls, and the life cycle they drive.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_types::{BrokerId, ProducerEpoch, ProducerId, TopicPartition};

use super::calls::InFlight;
use super::command::{Begun, OffsetsSource, TransactionCommand, TransactionCompletion};
use super::error::{CommitFailure, TransactionError, TransactionOutcome};
use super::state::TransactionState;
use super::version::{self, TransactionVersion};
use super::waiting::{Waiter, WaiterKind};
use crate::backoff::{Backoff, Rng};
use crate::cx::{CommandId, Cx};
use crate::producer::{
    DeliveryCause, EnqueueError, FaultKind, ProducerCommand, ProducerMachine, TransactionFault,
};
use crate::timer::{earliest, is_due};

/// The settings of a transactional producer, beside the producer's own.
#[derive(Clone, Debug)]
pub struct TransactionConfig {
    /// Names the producer across restarts (`transactional.id`).
    pub transactional_id: Arc<str>,
    /// When the coordinator aborts a transaction that is still open (`transaction.timeout.ms`).
    pub transaction_timeout: Duration,
    /// The waits between tries (`retry.backoff.ms`, `retry.backoff.max.ms`).
    pub retry_backoff: Backoff,
    /// What the backoff's jitter is drawn from.
    pub seed: u64,
}

impl TransactionConfig {
    /// The settings under this name and timeout, with Java's backoff.
    #[must_use]
    pub fn new(transactional_id: impl Into<Arc<str>>, transaction_timeout: Duration) -> Self {
        Self {
            transactional_id: transactional_id.into(),
            transaction_timeout,
            retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
            seed: 0,
        }
    }
}

/// Who a transactional producer is: what the coordinator gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
}

/// Runs the transactions of one producer.
#[derive(Debug)]
pub struct TransactionMachine {
    pub(super) config: TransactionConfig,
    pub(super) rng: Rng,
    pub(super) state: TransactionState,
    pub(super) identity: Option<Identity>,
    /// The broker that answered as the coordinator last.
    pub(super) coordinator: Option<BrokerId>,
    /// The version of the current transaction.
    pub(super) version: TransactionVersion,
    /// Counts transactions.
    number: u64,
    pub(super) current: Current,
    pub(super) in_flight: Option<InFlight>,
    /// Failed tries of the next request in a row.
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
    pub(super) last_error: Option<String>,
    pub(super) waiters: Vec<Waiter>,
    /// No transaction may begin in this epoch any more.
    pub(super) needs_epoch: bool,
    /// A renewal of the epoch before may still arrive.
    pub(super) may_be_renewed: bool,
    previous: Option<(u64, TransactionOutcome)>,
    /// Why nothing goes on.
    fatal: Option<TransactionError>,
    closing: Option<(CommandId, Instant)>,
    is_closed: bool,
}

/// One transaction.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// The coordinator knows of it, or may.
    pub(super) is_started: bool,
    /// Something was added to it.
    pub(super) has_added: bool,
    /// To be added (version 1).
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// To be committed, in order.
    pub(super) offsets: VecDeque<Offsets>,
    /// Why it can only be aborted.
    pub(super) failure: Option<TransactionError>,
    /// A commit was sent and may have taken effect.
    pub(super) may_be_committed: bool,
    /// The coordinator does not speak version 2 any more.
    pub(super) is_downgraded: bool,
}

/// Offsets on their way into the transaction.
#[derive(Debug)]
pub(super) struct Offsets {
    pub(super) call: CommandId,
    pub(super) source: OffsetsSource,
    pub(super) since: Instant,
    pub(super) timeout: Duration,
    /// The coordinator has the group in the transaction.
    pub(super) is_added: bool,
}

impl TransactionMachine {
    /// A machine that has asked for nothing yet.
    #[must_use]
    pub fn new(config: TransactionConfig) -> Self {
        Self {
            rng: Rng::new(config.seed),
            config,
            state: TransactionState::Uninitialized,
            identity: None,
            coordinator: None,
            version: TransactionVersion::V1,
            number: 0,
            current: Current::default(),
            in_flight: None,
            failures: 0,
            not_before: None,
            last_error: None,
            waiters: Vec::new(),
            needs_epoch: false,
            may_be_renewed: false,
            previous: None,
            fatal: None,
            closing: None,
            is_closed: false,
        }
    }

    /// Takes hold of the producer whose records are to go in transactions.
    pub(crate) fn hold(&self, producer: ProducerMachine) -> ProducerMachine {
        producer.with_transactions(Arc::clone(&self.config.transactional_id))
    }

    /// What the producer is doing.
    #[must_use]
    pub const fn state(&self) -> TransactionState {
        self.state
    }

    /// The application called.
    pub fn handle_command(
        &mut self,
        id: CommandId,
        command: TransactionCommand,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        if self.closing.is_some() || self.is_closed {
            return self.refuse(id, &command, &TransactionError::Closed, cx);
        }
        if let Some(error) = self.fatal.clone()
            && !matches!(command, TransactionCommand::Close { .. })
        {
            return self.refuse(id, &command, &error, cx);
        }
        match command {
            TransactionCommand::Initialize { timeout } => {
                self.wait(id, WaiterKind::Initialize, Some(timeout), cx);
                if self.state == TransactionState::Uninitialized {
                    self.enter(TransactionState::Initializing);
                }
            }
            TransactionCommand::Begin { timeout } => {
                if matches!(self.state, TransactionState::InTransaction | TransactionState::Failed)
                {
                    // Nobody holds the open one: its handle was dropped or lost.
                    self.abort(producer, cx);
                }
                self.wait(id, WaiterKind::Begin, Some(timeout), cx);
            }
            TransactionCommand::CommitOffsets { offsets, timeout } => {
                self.add_offsets(id, offsets, timeout, cx);
            }
            TransactionCommand::Commit { timeout } => self.commit(id, timeout, producer, cx),
            TransactionCommand::Abort { timeout } => match self.state {
                TransactionState::Uninitialized
                | TransactionState::Initializing
                | TransactionState::Ready => {
                    cx.complete(id, TransactionCompletion::Aborted(Ok(())));
                }
                _ => {
                    self.wait(id, WaiterKind::Abort, Some(timeout), cx);
                    self.abort(producer, cx);
                }
            },
            TransactionCommand::Resolve { number, timeout } => {
                self.resolve(id, number, timeout, cx);
            }
            TransactionCommand::Close { deadline } => {
                self.closing = Some((id, deadline));
                self.abort(producer, cx);
            }
        }
    }

    /// Does what is due. Called before and after the producer machine's own poll.
    pub fn poll(&mut self, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        if is_due(self.not_before, cx.now) {
            self.not_before = None;
        }
        if let Some(fault) = producer.take_fault() {
            self.handle_fault(fault, producer, cx);
        }
        self.expire(producer, cx);
        self.advance(producer, cx);
        self.finish_closing(producer, cx);
    }

    /// When `poll` must be called though nothing happened.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.is_closed {
            return None;
        }
        let waiters = self.waiters.iter().map(|waiter| waiter.deadline);
        let offsets = self.current.offsets.iter().map(|offsets| Some(offsets.deadline()));
        let closing = self.closing.map(|(_, deadline)| deadline);
        waiters.chain(offsets).chain([self.not_before, closing]).fold(None, earliest)
    }

    /// Goes to another state.
    pub(super) fn enter(&mut self, to: TransactionState) {
        debug_assert!(self.state.may_become(to), "{} may not become {to}", self.state);
        tracing::debug!(id = %self.config.transactional_id, from = %self.state, %to, "transaction");
        self.state = to;
        if to == TransactionState::Initializing {
            // Of an epoch before the last one the coordinator takes none.
            self.may_be_renewed = false;
        }
        self.failures = 0;
        self.not_before = None;
    }

    /// Goes on as far as it can.
    fn advance(&mut self, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        match self.state {
            TransactionState::Uninitialized | TransactionState::Fatal => {}
            TransactionState::Initializing => self.send_init(cx),
            TransactionState::Ready => self.begin(producer, cx),
            TransactionState::InTransaction => {
                self.collect_partitions(producer);
                self.send_next(cx);
            }
            TransactionState::Failed => self.abort_records(producer, cx),
            TransactionState::Committing | TransactionState::InDoubt => {
                self.collect_partitions(producer);
                if self.send_next(cx) && producer.is_drained() {
                    self.end(true, producer, cx);
                }
            }
            TransactionState::Aborting => {
                self.abort_records(producer, cx);
                if self.in_flight.is_none() && producer.is_drained() {
                    self.end(false, producer, cx);
                }
            }
        }
    }

    /// Begins the transaction that somebody waits for.
    fn begin(&mut self, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        let Some(identity) = self.identity else { return };
        let Some(at) = self.waiters.iter().position(|waiter| waiter.kind == WaiterKind::Begin)
        else {
            return;
        };
        let waiter = self.waiters.remove(at);
        self.version = version::choose(cx.metadata, self.coordinator);
        self.number += 1;
        self.current = Current::default();
        self.last_error = None;
        producer.refuse(None);
        producer.begin_transaction(self.version == TransactionVersion::V2);
        producer.set_identity(identity.id, identity.epoch);
        self.enter(TransactionState::InTransaction);
        let previous = self.previous.map(|(_, outcome)| outcome);
        let begun = Begun { number: self.number, previous };
        cx.complete(waiter.id, TransactionCompletion::Begun(Ok(begun)));
    }

    fn commit(
        &mut self,
        id: CommandId,
        timeout: Duration,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        match self.state {
            TransactionState::InTransaction => {
                // Its time runs from when the commit itself can be sent: before that it is the
                // records' delivery timeout that counts.
                self.waiters.push(Waiter::new(id, WaiterKind::Commit, timeout, cx.now, None));
                self.enter(TransactionState::Committing);
                producer.hurry();
            }
            TransactionState::Failed => {
                let aborted = TransactionError::Aborted { reason: None };
                let error = self.current.failure.clone().unwrap_or(aborted);
                let failure = CommitFailure::NotCommitted(error);
                cx.complete(id, TransactionCompletion::Committed(Err(failure)));
                self.abort(producer, cx);
            }
            _ => {
                let failure = CommitFailure::NotCommitted(TransactionError::Aborted {
                    reason: Some(format!("the producer is {}", self.state)),
                });
                cx.complete(id, TransactionCompletion::Committed(Err(failure)));
            }
        }
    }

    /// Aborts the open transaction, if there is one.
    fn abort(&mut self, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        if !matches!(self.state, TransactionState::InTransaction | TransactionState::Failed) {
            return;
        }
        self.enter(TransactionState::Aborting);
        let error = TransactionError::Aborted { reason: None };
        self.drop_offsets(&error, cx);
        self.stop_records(&error, producer, cx);
    }

    /// The transaction can only be aborted: whoever waits for a commit learns that it is not made.
    pub(super) fn fail(
        &mut self,
        error: TransactionError,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        match self.state {
            TransactionState::InTransaction => self.enter(TransactionState::Failed),
            TransactionState::Committing | TransactionState::InDoubt => {
                self.enter(TransactionState::Aborting);
                // If the commit may have taken effect, the abort tells whether it has.
                if !self.current.may_be_committed {
                    self.tell_commit(|| Err(CommitFailure::NotCommitted(error.clone())), cx);
                }
            }
            _ => return,
        }
        tracing::debug!(id = %self.config.transactional_id, %error, "the transaction failed");
        self.drop_offsets(&error, cx);
        self.stop_records(&error, producer, cx);
        self.current.failure = Some(error);
    }

    /// Nothing goes on.
    pub(super) fn fail_for_good(
        &mut self,
        error: TransactionError,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        tracing::warn!(id = %self.config.transactional_id, %error, "a transactional producer ends");
        let may_be_committed = self.may_be_committed();
        let outcome = if may_be_committed {
            TransactionOutcome::Undetermined
        } else {
            TransactionOutcome::Aborted
        };
        self.previous = Some((self.number, outcome));
        self.enter(TransactionState::Fatal);
        self.drop_offsets(&error, cx);
        self.stop_records(&error, producer, cx);
        let cause = DeliveryCause::TransactionAborted { reason: Some(error.to_string()) };
        producer.fail_everything(&cause, cx.now);
        for waiter in std::mem::take(&mut self.waiters) {
            waiter.fail(&error, may_be_committed, cx);
        }
        self.fatal = Some(error);
    }

    /// Sends no more records, and takes none.
    fn stop_records(
        &mut self,
        error: &TransactionError,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        self.current.partitions.clear();
        let (reason, class) = (error.to_string(), error.class());
        producer.refuse(Some(EnqueueError::TransactionFailed { reason, class }));
        producer.clear_identity();
        self.abort_records(producer, cx);
    }

    /// Ends the records that are not on their way.
    fn abort_records(&self, producer: &mut ProducerMachine, cx: &Cx<'_>) {
        if !producer.is_drained() {
            let reason = self.current.failure.as_ref().map(ToString::to_string);
            producer.abort_undrained(&DeliveryCause::TransactionAborted { reason }, cx.now);
        }
    }

    /// A batch of the transaction failed.
    fn handle_fault(
        &mut self,
        fault: TransactionFault,
        producer: &mut ProducerMachine,
        cx: &mut Cx<'_>,
    ) {
        let is_open = matches!(
            self.state,
            TransactionState::InTransaction
                | TransactionState::Failed
                | TransactionState::Committing
                | TransactionState::Aborting
        );
        if !is_open {
            return;
        }
        let TransactionFault { kind, cause, partition } = fault;
        self.needs_epoch |= kind != FaultKind::Abortable;
        match self.judge_fault(kind, &cause) {
            Some(error) => self.fail_for_good(error, producer, cx),
            None => self.fail(TransactionError::Record { partition, cause }, producer, cx),
        }
    }

    /// The end of a transaction: what it became, and what has to come before the next one.
    pub(super) fn ended(&mut self, outcome: TransactionOutcome, cx: &mut Cx<'_>) {
        self.previous = Some((self.number, outcome));
        if self.needs_epoch {
            self.enter(TransactionState::Initializing);
        } else {
            self.enter(TransactionState::Ready);
        }
        let failure = self.current.failure.take();
        let failure = || failure.clone().unwrap_or(TransactionError::Aborted { reason: None });
        let result = || match outcome {
            TransactionOutcome::Committed => Ok(()),
            TransactionOutcome::Aborted => Err(CommitFailure::NotCommitted(failure())),
            TransactionOutcome::Undetermined => Err(CommitFailure::Unknown(failure())),
        };
        self.tell_commit(result, cx);
        self.tell_aborted(cx);
        self.current = Current::default();
    }

    /// Answers whoever asks for the outcome of a commit that was unknown.
    fn resolve(&mut self, id: CommandId, number: u64, timeout: Duration, cx: &mut Cx<'_>) {
        if self.state == TransactionState::InDoubt && self.number == number {
            return self.wait(id, WaiterKind::Resolve, Some(timeout), cx);
        }
        let outcome = self.previous.filter(|(known, _)| *known == number);
        let result = match outcome {
            Some((_, TransactionOutcome::Committed)) => Ok(()),
            Some((_, TransactionOutcome::Aborted)) => {
                Err(CommitFailure::NotCommitted(TransactionError::Aborted {
                    reason: self.last_error.clone(),
                }))
            }
            _ => Err(CommitFailure::Unknown(TransactionError::Aborted {
                reason: Some("the coordinator has forgotten the transaction".to_owned()),
            })),
        };
        cx.complete(id, TransactionCompletion::Committed(result));
    }

    /// Ends the producer once nothing is open, or the time is up.
    fn finish_closing(&mut self, producer: &mut ProducerMachine, cx: &mut Cx<'_>) {
        let Some((id, deadline)) = self.closing else { return };
        let is_at_rest = matches!(
            self.state,
            TransactionState::Uninitialized
                | TransactionState::Initializing
                | TransactionState::Ready
                | TransactionState::Fatal
        );
        if !is_at_rest && deadline > cx.now {
            return;
        }
        self.closing = None;
        self.is_closed = true;
        let may_be_committed = self.may_be_committed();
        for waiter in std::mem::take(&mut self.waiters) {
            waiter.fail(&TransactionError::Closed, may_be_committed, cx);
        }
        self.drop_offsets(&TransactionError::Closed, cx);
        producer.handle_command(id, ProducerCommand::Close { deadline }, cx);
    }
}
