//! The ends of batches: written, not written, unknown; each once, in the order of the partition,
//! whatever happens.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use millstream_types::{Offset, Timestamp};

use super::ProducerMachine;
use super::batch::{Batch, BatchKey};
use super::stage::{Stage, StageEvent};
use crate::producer::accumulator::{OpenBatch, Partition};
use crate::producer::delivery::{BatchHandle, Outcome};
use crate::producer::error::{BatchFailure, DeliveryCause, RecordErrors};
use crate::producer::metrics::add;
use crate::producer::tally::{DeliveryFailure, FlushReport};

/// How a batch fails.
pub(super) struct Failure {
    pub(super) is_unknown: bool,
    pub(super) cause: DeliveryCause,
    pub(super) attempts: u32,
    pub(super) record_errors: RecordErrors,
    pub(super) bytes: Option<Bytes>,
}

impl Failure {
    /// The failure of a batch that was or was to be sent.
    pub(super) fn of(batch: &Batch, cause: DeliveryCause) -> Self {
        Self {
            is_unknown: batch.may_be_written,
            cause,
            attempts: batch.attempts,
            record_errors: RecordErrors::default(),
            bytes: Some(batch.bytes.clone()),
        }
    }
}

/// The end of a batch that waits for the ends of older ones.
#[derive(Debug)]
pub(crate) struct Held {
    key: BatchKey,
    handle: Arc<BatchHandle>,
    outcome: Outcome,
    report: FlushReport,
}

impl ProducerMachine {
    /// A batch is in the log (or on the wire, with `acks=0`).
    pub(super) fn end_written(
        &mut self,
        index: usize,
        batch: &Batch,
        base_offset: Option<Offset>,
        append_time: Option<Timestamp>,
    ) {
        self.shared.clear_last_error();
        let partition = &self.partitions[index];
        if let Some(base) = base_offset {
            partition.shared.acknowledge(base.plus(i64::from(batch.records) - 1));
        }
        let outcome = Outcome::Written { base_offset, append_time };
        let report = FlushReport { written: batch.handle.records(), ..FlushReport::default() };
        if partition.held.is_empty() && partition.is_settled_before(batch.key) {
            return self.resolve(&partition.shared, &batch.handle, outcome, report);
        }
        self.hold(index, batch.key, Arc::clone(&batch.handle), outcome, report);
    }

    /// A batch is not known to be written, and will not be sent again.
    pub(super) fn end_failed(
        &mut self,
        index: usize,
        key: BatchKey,
        handle: &Arc<BatchHandle>,
        now: Instant,
        failure: Failure,
    ) {
        // The pool's buffer is not held by who looks at the delivery late: the bytes are copied, if
        // there still is a delivery.
        let is_watched = Arc::strong_count(handle) > 1;
        let retained = failure.bytes.filter(|_| is_watched);
        let is_unknown = failure.is_unknown;
        let failure = Arc::new(BatchFailure {
            cause: failure.cause,
            attempts: failure.attempts,
            elapsed: now.saturating_duration_since(handle.opened),
            record_errors: failure.record_errors,
            retained: retained.map(|bytes| Bytes::copy_from_slice(&bytes)),
        });
        self.note_fault(index, &failure.cause);
        let records = handle.records();
        let (topic, id) = (handle.topic.clone(), handle.partition);
        let failed = DeliveryFailure::new(topic, id, records, is_unknown, Arc::clone(&failure));
        tracing::debug!(%failed, "a batch failed");
        self.shared.set_last_error(failed.to_string());
        let mut report = FlushReport { failures: vec![failed], ..FlushReport::default() };
        let outcome = if is_unknown {
            report.unknown = records;
            Outcome::Unknown(failure)
        } else {
            report.not_written = records;
            Outcome::NotWritten(failure)
        };
        add(&self.shared.counters.client.record_error_total, records);
        let partition = &self.partitions[index].shared;
        add(&partition.common.counters.record_error_total, records);
        self.hold(index, key, Arc::clone(handle), outcome, report);
    }

    /// Tells the end of a batch once those of all older ones are told, and then those that waited
    /// for it.
    fn hold(
        &mut self,
        index: usize,
        key: BatchKey,
        handle: Arc<BatchHandle>,
        outcome: Outcome,
        report: FlushReport,
    ) {
        let held = &mut self.partitions[index].held;
        let at = held.partition_point(|other| other.key < key);
        held.insert(at, Held { key, handle, outcome, report });
        self.release(index);
    }

    /// Tells the ends that nothing older stands before any more.
    pub(super) fn release(&mut self, index: usize) {
        while let Some(first) = self.partitions[index].held.front()
            && self.partitions[index].is_settled_before(first.key)
            && let Some(Held { handle, outcome, report, .. }) =
                self.partitions[index].held.pop_front()
        {
            self.resolve(&self.partitions[index].shared, &handle, outcome, report);
        }
    }

    fn resolve(
        &self,
        partition: &Partition,
        handle: &BatchHandle,
        outcome: Outcome,
        report: FlushReport,
    ) {
        let interceptors = &self.shared.config.interceptors;
        if !interceptors.is_empty() && !handle.is_resolved() {
            interceptors.on_acknowledgement(handle, &outcome);
        }
        if handle.resolve(outcome) {
            partition.unresolved.fetch_sub(1, Ordering::Relaxed);
            self.shared.tallies.end_batch(handle.flush_epoch, report);
        }
    }

    /// Ends the batches of a partition whose time is up.
    pub(super) fn expire(&mut self, index: usize, now: Instant) {
        let timeout = self.shared.config.delivery_timeout;
        let is_late = |handle: &BatchHandle| handle.opened + timeout <= now;
        let Some(oldest) = self.partitions[index].oldest() else {
            return;
        };
        if oldest + timeout > now {
            return;
        }
        let cause = |batch: &Batch| DeliveryCause::TimedOut {
            timeout,
            last_error: batch.last_error.as_ref().map(ToString::to_string),
        };
        self.end_sent(index, now, cause, is_late);
        self.end_retries(index, now, cause, is_late);
        let last_error = self
            .identification
            .last_error()
            .map(ToString::to_string)
            .or_else(|| self.shared.last_error());
        let cause = DeliveryCause::TimedOut { timeout, last_error };
        self.end_queued(index, now, &cause, false, is_late);
    }

    /// Ends batches that are on their way: nobody knows about them. The bytes stay with the request;
    /// its answer still counts for the sequence.
    fn end_sent(
        &mut self,
        index: usize,
        now: Instant,
        cause: impl Fn(&Batch) -> DeliveryCause,
        select: impl Fn(&BatchHandle) -> bool,
    ) {
        for at in 0..self.partitions[index].in_flight.len() {
            let batch = &mut self.partitions[index].in_flight[at];
            if batch.stage != Stage::OnTheWay || !select(&batch.handle) {
                continue;
            }
            batch.stage = batch.stage.on(StageEvent::GiveUp);
            let mut failure = Failure::of(batch, cause(batch));
            failure.is_unknown = true;
            let (key, handle) = (batch.key, Arc::clone(&batch.handle));
            self.end_failed_owned(index, key, handle, now, failure);
        }
    }

    /// Ends batches that wait to be sent again, from the oldest on.
    fn end_retries(
        &mut self,
        index: usize,
        now: Instant,
        cause: impl Fn(&Batch) -> DeliveryCause,
        select: impl Fn(&BatchHandle) -> bool,
    ) {
        while let Some(batch) = self.partitions[index].retries.front()
            && select(&batch.handle)
            && let Some(batch) = self.partitions[index].retries.pop_front()
        {
            self.end_batch(index, batch, now, &cause);
        }
    }

    /// Ends one batch that is not on its way.
    pub(super) fn end_batch(
        &mut self,
        index: usize,
        mut batch: Batch,
        now: Instant,
        cause: impl Fn(&Batch) -> DeliveryCause,
    ) {
        batch.stage = batch.stage.on(StageEvent::End);
        let failure = Failure::of(&batch, cause(&batch));
        self.partitions[index].lost(batch.sequence);
        self.end_failed(index, batch.key, &batch.handle, now, failure);
    }

    /// As [`Self::end_failed`], for a handle that was cloned for the call.
    fn end_failed_owned(
        &mut self,
        index: usize,
        key: BatchKey,
        handle: Arc<BatchHandle>,
        now: Instant,
        mut failure: Failure,
    ) {
        // This handle and the batch's own are no delivery.
        if Arc::strong_count(&handle) <= 2 {
            failure.bytes = None;
        }
        self.end_failed(index, key, &handle, now, failure);
    }

    /// Ends the batches of a partition that the machine has not taken and that `select` chooses:
    /// none of them was ever sent. Those that are being sealed are left, unless it `is_last_chance`.
    fn end_queued(
        &mut self,
        index: usize,
        now: Instant,
        cause: &DeliveryCause,
        is_last_chance: bool,
        select: impl Fn(&BatchHandle) -> bool,
    ) {
        let partition = Arc::clone(&self.partitions[index].shared);
        loop {
            let mut queue = partition.queue();
            let first = match (queue.closed.front(), &queue.open) {
                (Some(closed), _) => closed,
                (None, Some(open)) => &open.handle,
                (None, None) => return,
            };
            // One that is being sealed comes back announced.
            let is_ready = queue.closed.is_empty() || first.is_sealed() || is_last_chance;
            if !is_ready || !select(first) {
                return;
            }
            let (handle, bytes) = match queue.closed.pop_front() {
                Some(handle) => {
                    let sealed = handle.take_sealed();
                    (handle, sealed.map(|sealed| sealed.batch.into_bytes()))
                }
                None => {
                    let Some(open) = partition.close_open(&mut queue) else {
                        return;
                    };
                    queue.closed.pop_back();
                    let handle = Arc::clone(&open.handle);
                    (handle, Some(OpenBatch::into_sealed_bytes(open)))
                }
            };
            drop(queue);
            let failure = Failure {
                is_unknown: false,
                cause: cause.clone(),
                attempts: 0,
                record_errors: RecordErrors::default(),
                bytes: bytes.map(Bytes::from),
            };
            let key = self.next_key();
            self.end_failed(index, key, &handle, now, failure);
        }
    }

    /// Lets a partition go on in a new epoch, if its sequence is broken and nothing is on its way.
    pub(super) fn settle(&mut self, index: usize, now: Instant) {
        for batch in self.partitions[index].take_undecidable() {
            self.end_batch(index, batch, now, |batch| {
                batch.last_error.clone().unwrap_or(DeliveryCause::NotAnswered)
            });
        }
        let spent = self.partitions[index].settle(self.gate.is_none());
        let Some(spent) = spent else { return };
        self.identification.discard(spent);
        if let Some(gate) = &mut self.gate
            && gate.identity == Some(spent)
        {
            gate.identity = None;
        }
    }

    /// No producer id will be had: ends everything that waits for one.
    pub(super) fn refuse_all(&mut self, cause: &DeliveryCause, now: Instant) {
        for index in std::mem::take(&mut self.unidentified) {
            if self.partitions[index].wants_identity() {
                self.end_unsent(index, cause, now);
            }
        }
    }

    /// Ends what a partition has to send and is not on its way.
    pub(super) fn end_unsent(&mut self, index: usize, cause: &DeliveryCause, now: Instant) {
        self.end_retries(index, now, |_| cause.clone(), |_| true);
        self.end_queued(index, now, cause, false, |_| true);
        // What is being sealed has to wait for that, to be given back whole.
        let partition = Arc::clone(&self.partitions[index].shared);
        let mut queue = partition.queue();
        let open = partition.close_open(&mut queue);
        let left = queue.closed.len();
        drop(queue);
        if let Some(open) = open {
            self.shared.seal_soon(&partition, open, true);
        }
        self.partitions[index].aborting = (left > 0).then(|| (left, cause.clone()));
        self.inbox.partitions.push(index);
    }

    /// Ends batches that were being sealed when they were given up.
    pub(super) fn finish_aborting(&mut self, index: usize, now: Instant) {
        let Some((left, cause)) = self.partitions[index].aborting.take() else {
            return;
        };
        let left = Cell::new(left);
        self.end_queued(index, now, &cause, false, |_| {
            let before = left.get();
            left.set(before.saturating_sub(1));
            before > 0
        });
        let queue = self.partitions[index].shared.queue().closed.len();
        let left = left.get().min(queue);
        self.partitions[index].aborting = (left > 0).then_some((left, cause));
    }

    /// Ends all that a partition has; answers to what is on its way count for the sequence only.
    pub(super) fn end_everything(&mut self, index: usize, cause: &DeliveryCause, now: Instant) {
        self.end_sent(index, now, |_| cause.clone(), |_| true);
        self.end_unsent(index, cause, now);
    }

    /// Ends everything that has no end yet.
    pub(super) fn give_up_all(&mut self, now: Instant) {
        for index in 0..self.partitions.len() {
            let taken = self.partitions[index].take_all();
            for (batch, is_on_its_way) in taken {
                if batch.stage == Stage::GivenUp {
                    continue;
                }
                let last_error = batch.last_error.as_ref().map(ToString::to_string);
                let mut failure = Failure::of(&batch, DeliveryCause::Closed { last_error });
                failure.is_unknown |= is_on_its_way;
                self.end_failed(index, batch.key, &batch.handle, now, failure);
            }
            let cause = DeliveryCause::Closed { last_error: self.shared.last_error() };
            self.end_queued(index, now, &cause, true, |_| true);
            self.release(index);
        }
    }
}

impl Drop for ProducerMachine {
    /// Whatever ends the driver, no delivery waits for ever.
    fn drop(&mut self) {
        self.shared.tallies.close();
        if !self.shared.tallies.is_idle() {
            self.give_up_all(self.shared.clock.now());
        }
        self.shared.pool.waiters.wake_all();
        self.shared.topic_waiters.wake_all();
        self.shared.tallies.waiters.wake_all();
    }
}
