//! What the coordinator knows of one transactional id, and what it decides by that.
//!
//! The decisions are those of `TransactionCoordinator.scala` and `TransactionMetadata.scala` in
//! Kafka 4.3. Nothing here waits: Kafka's log of transactions is this struct, so a transition is
//! never pending.

use std::collections::BTreeSet;
use std::time::Instant;

use millstream_protocol::ErrorCode;
use millstream_types::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use super::{Producer, TransactionState, TransactionVersion};
use crate::core::timers::TimerKey;

/// The last epoch that a client is given: one more is kept for fencing it
/// (`TransactionMetadata.isEpochExhausted`).
const LAST_EPOCH: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

/// One transactional id.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) producer: Producer,
    /// The producer id before the last change.
    pub(crate) previous_id: ProducerId,
    /// The producer id that takes over once the markers are written: the epochs are used up.
    pub(crate) next_id: Option<ProducerId>,
    /// The epoch that a retried request may still name.
    pub(crate) last_epoch: ProducerEpoch,
    pub(crate) timeout_ms: i32,
    pub(crate) state: TransactionState,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// When the transaction began.
    pub(crate) started: Timestamp,
    pub(crate) updated: Timestamp,
    /// The version of the request that ended it.
    pub(crate) version: TransactionVersion,
    /// When it times out, or its markers are due.
    pub(crate) deadline: Option<Instant>,
    pub(crate) timer: Option<TimerKey>,
}

/// What InitProducerId leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// The next epoch, and the one that a retry may name.
    Epoch(ProducerEpoch, ProducerEpoch),
    /// A new producer id at epoch 0: the epochs are used up.
    NewId { last_epoch: ProducerEpoch },
    /// The transaction that is open is aborted first; the client comes again.
    Fence,
}

/// What EndTxn leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Markers are written. `empty`: no partition was added; `new_id`: the epochs are used up.
    Prepare { empty: bool, new_id: bool },
    /// It was done before.
    Done,
}

impl Transaction {
    /// An id that was never used.
    pub(crate) const fn new(id: ProducerId, timeout_ms: i32, wall: Timestamp) -> Self {
        Self {
            producer: Producer { id, epoch: ProducerEpoch::NONE },
            previous_id: ProducerId::NONE,
            next_id: None,
            last_epoch: ProducerEpoch::NONE,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            started: Timestamp::NONE,
            updated: wall,
            version: TransactionVersion::V0,
            deadline: None,
            timer: None,
        }
    }

    /// Whether the client may be given no further epoch of its id.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.producer.epoch >= LAST_EPOCH
    }

    pub(crate) fn become_state(&mut self, next: TransactionState, wall: Timestamp) {
        debug_assert!(
            self.state.may_become(next),
            "a transaction in {} cannot become {next}",
            self.state
        );
        self.state = next;
        self.updated = wall;
    }

    /// Decides on InitProducerId (`prepareInitProducerIdTransit`). `expected`: the producer that the
    /// client says it is (KIP-360).
    ///
    /// # Errors
    /// The producer is fenced, or markers are outstanding.
    pub(crate) fn init(&self, expected: Option<Producer>) -> Result<Init, ErrorCode> {
        if let Some(expected) = expected
            && !self.may_continue(expected)
        {
            return Err(ErrorCode::ProducerFenced);
        }
        match self.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            TransactionState::Ongoing => Ok(Init::Fence),
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort => self.next_epoch(expected.map(|it| it.epoch)),
            TransactionState::Dead | TransactionState::PrepareEpochFence => {
                Err(ErrorCode::UnknownServerError)
            }
        }
    }

    fn may_continue(&self, expected: Producer) -> bool {
        self.producer.epoch == ProducerEpoch::NONE
            || expected.id == self.producer.id
            // A retry of the request that exhausted the epochs and got a new id.
            || (expected.id == self.previous_id && expected.epoch >= LAST_EPOCH)
    }

    fn next_epoch(&self, expected: Option<ProducerEpoch>) -> Result<Init, ErrorCode> {
        let current = self.producer.epoch;
        if self.is_exhausted() {
            return match expected {
                None => Ok(Init::NewId { last_epoch: ProducerEpoch::NONE }),
                Some(epoch) if epoch == current => Ok(Init::NewId { last_epoch: current }),
                // `prepareIncrementProducerEpoch` throws an IllegalStateException here.
                Some(_) => Err(ErrorCode::UnknownServerError),
            };
        }
        let next = ProducerEpoch(current.0 + 1);
        match expected {
            None => Ok(Init::Epoch(next, ProducerEpoch::NONE)),
            Some(epoch) if current == ProducerEpoch::NONE || epoch == current => {
                Ok(Init::Epoch(next, current))
            }
            // The same request again: its answer was lost.
            Some(epoch) if epoch == self.last_epoch => Ok(Init::Epoch(current, self.last_epoch)),
            Some(_) => Err(ErrorCode::ProducerFenced),
        }
    }

    /// Whether a request speaks for the current producer.
    ///
    /// # Errors
    /// Another producer id or epoch is current.
    pub(crate) fn check_producer(&self, producer: Producer) -> Result<(), ErrorCode> {
        if self.producer.id != producer.id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if self.producer.epoch != producer.epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(())
    }

    /// Whether partitions may be added, or looked for, now.
    ///
    /// # Errors
    /// Another producer is current, or markers are outstanding.
    pub(crate) fn check_open(&self, producer: Producer) -> Result<(), ErrorCode> {
        self.check_producer(producer)?;
        if self.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        Ok(())
    }

    /// Adds partitions; gives whether a transaction began with that.
    pub(crate) fn add(
        &mut self,
        partitions: BTreeSet<TopicPartition>,
        version: TransactionVersion,
        wall: Timestamp,
    ) -> bool {
        let begins = self.state != TransactionState::Ongoing;
        if !begins && partitions.is_subset(&self.partitions) {
            return false;
        }
        self.become_state(TransactionState::Ongoing, wall);
        self.previous_id = self.producer.id;
        self.partitions.extend(partitions);
        self.version = version;
        if begins {
            self.started = wall;
        }
        begins
    }

    /// Decides on EndTxn of a client (`endTransactionWithTV1`, `endTransaction`).
    ///
    /// # Errors
    /// Another producer is current, markers are outstanding, or the transaction ended otherwise.
    pub(crate) fn end(
        &self,
        producer: Producer,
        commit: bool,
        version: TransactionVersion,
    ) -> Result<End, ErrorCode> {
        if version.raises_epoch() {
            return self.end_raising(producer, commit);
        }
        self.check_producer(producer)?;
        match (self.state, commit) {
            (TransactionState::Ongoing, _) => Ok(End::Prepare { empty: false, new_id: false }),
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
                Ok(End::Done)
            }
            _ => Err(self.end_refusal(commit)),
        }
    }

    /// Version 2: each end raises the epoch, so the epoch before tells a retry from a new call.
    fn end_raising(&self, producer: Producer, commit: bool) -> Result<End, ErrorCode> {
        let current = self.producer.epoch;
        let is_current = producer.epoch == current;
        let raised = producer.epoch.0.checked_add(1) == Some(current.0);
        let overflowed = self.previous_id == producer.id
            && producer.epoch == LAST_EPOCH
            && current == ProducerEpoch(0);
        if self.producer.id != producer.id && !overflowed {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        let retry = raised || overflowed;
        let known = match self.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => raised,
            TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                retry || is_current
            }
            _ => is_current,
        };
        if !known {
            return Err(ErrorCode::ProducerFenced);
        }
        let prepare = |empty| Ok(End::Prepare { empty, new_id: self.is_exhausted() });
        match (self.state, commit) {
            (TransactionState::Ongoing, _) => prepare(false),
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false)
                if retry =>
            {
                Ok(End::Done)
            }
            (TransactionState::Empty, false) => prepare(true),
            (TransactionState::CompleteCommit | TransactionState::CompleteAbort, false)
                if !retry =>
            {
                prepare(true)
            }
            _ => Err(self.end_refusal(commit)),
        }
    }

    const fn end_refusal(&self, commit: bool) -> ErrorCode {
        match (self.state, commit) {
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                ErrorCode::ConcurrentTransactions
            }
            _ => ErrorCode::InvalidTxnState,
        }
    }

    /// Fences the producer of the open transaction before it is aborted
    /// (`prepareFenceProducerEpoch`). By version 1 that raises the epoch; by version 2 the abort does
    /// so anyhow, and leaves the producer the way of a retry.
    pub(crate) fn fence(&mut self, version: TransactionVersion, wall: Timestamp) {
        self.become_state(TransactionState::PrepareEpochFence, wall);
        if !version.raises_epoch() {
            self.producer.epoch = ProducerEpoch(self.producer.epoch.0.saturating_add(1));
            self.last_epoch = ProducerEpoch::NONE;
        }
    }

    /// Goes to PrepareCommit or PrepareAbort (`prepareAbortOrCommit`).
    pub(crate) fn prepare(
        &mut self,
        commit: bool,
        empty: bool,
        next_id: Option<ProducerId>,
        version: TransactionVersion,
        wall: Timestamp,
    ) {
        let next = match commit {
            true => TransactionState::PrepareCommit,
            false => TransactionState::PrepareAbort,
        };
        self.become_state(next, wall);
        self.previous_id = self.producer.id;
        self.next_id = next_id;
        self.version = version;
        if version.raises_epoch() {
            self.last_epoch = self.producer.epoch;
            self.producer.epoch = ProducerEpoch(self.producer.epoch.0.saturating_add(1));
        }
        if empty {
            self.started = wall;
        }
    }

    /// All markers are written (`prepareComplete`).
    pub(crate) fn complete(&mut self, wall: Timestamp) {
        let next = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        };
        self.become_state(next, wall);
        self.previous_id = self.producer.id;
        self.partitions.clear();
        if let Some(id) = self.next_id.take()
            && self.version.raises_epoch()
        {
            self.producer = Producer { id, epoch: ProducerEpoch(0) };
        }
    }

    /// Takes a new epoch or id (`prepareIncrementProducerEpoch`, `prepareProducerIdRotation`).
    pub(crate) fn initialise(
        &mut self,
        producer: Producer,
        last_epoch: ProducerEpoch,
        timeout_ms: i32,
        wall: Timestamp,
    ) {
        self.become_state(TransactionState::Empty, wall);
        self.previous_id = self.producer.id;
        self.producer = producer;
        self.last_epoch = last_epoch;
        self.timeout_ms = timeout_ms;
        self.partitions.clear();
        self.started = Timestamp::NONE;
    }
}
