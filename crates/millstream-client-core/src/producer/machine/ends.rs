//! The ends of batches: written, not written, unknown; each once, whatever happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use millstream_types::{Offset, Timestamp};

use super::ProducerMachine;
use super::batch::Batch;
use crate::producer::accumulator::{OpenBatch, Partition};
use crate::producer::delivery::{BatchHandle, Outcome};
use crate::producer::error::{BatchFailure, DeliveryCause};
use crate::producer::metrics::add;
use crate::producer::tally::{DeliveryFailure, FlushReport};

/// How a batch fails.
pub(super) struct Failure<'a> {
    pub(super) is_unknown: bool,
    pub(super) cause: DeliveryCause,
    pub(super) attempts: u32,
    pub(super) record_messages: Vec<(u32, String)>,
    pub(super) bytes: Option<&'a Bytes>,
}

impl<'a> Failure<'a> {
    /// The failure of a batch that was or was to be sent.
    pub(super) fn of(batch: &'a Batch, cause: DeliveryCause) -> Self {
        Self {
            is_unknown: batch.may_be_written,
            cause,
            attempts: batch.attempts,
            record_messages: Vec::new(),
            bytes: Some(&batch.bytes),
        }
    }
}

impl ProducerMachine {
    /// A batch is in the log (or on the wire, with `acks=0`).
    pub(super) fn end_written(
        &self,
        partition: &Partition,
        batch: &Batch,
        base_offset: Option<Offset>,
        append_time: Option<Timestamp>,
    ) {
        self.shared.clear_last_error();
        if let Some(base) = base_offset {
            partition.acknowledge(base.plus(i64::from(batch.records) - 1));
        }
        let outcome = Outcome::Written { base_offset, append_time };
        self.tell_interceptors(&batch.handle, &outcome);
        if batch.handle.resolve(outcome) {
            let end = FlushReport { written: batch.handle.records(), ..FlushReport::default() };
            partition.unresolved.fetch_sub(1, Ordering::Relaxed);
            self.shared.tallies.end_batch(batch.handle.flush_epoch, end);
        }
    }

    /// Tells the interceptors, if there are any, of an end that is the batch's first.
    fn tell_interceptors(&self, handle: &BatchHandle, outcome: &Outcome) {
        let interceptors = &self.shared.config.interceptors;
        if !interceptors.is_empty() && !handle.is_resolved() {
            interceptors.on_acknowledgement(handle, outcome);
        }
    }

    /// A batch is not known to be written, and will not be sent again.
    pub(super) fn end_failed(
        &self,
        partition: &Partition,
        handle: &Arc<BatchHandle>,
        now: Instant,
        failure: Failure<'_>,
    ) {
        if handle.is_resolved() {
            return;
        }
        // The pool's buffer is not held by who looks at the delivery late: the bytes are copied, if
        // there still is a delivery.
        let is_watched = Arc::strong_count(handle) > 1;
        let retained = failure.bytes.filter(|_| is_watched);
        let is_unknown = failure.is_unknown;
        let failure = Arc::new(BatchFailure {
            cause: failure.cause,
            attempts: failure.attempts,
            elapsed: now.saturating_duration_since(handle.opened),
            record_messages: failure.record_messages,
            retained: retained.map(|bytes| Bytes::copy_from_slice(bytes)),
        });
        let records = handle.records();
        let (topic, id) = (handle.topic.clone(), handle.partition);
        let failed = DeliveryFailure::new(topic, id, records, is_unknown, Arc::clone(&failure));
        tracing::debug!(%failed, "a batch failed");
        self.shared.set_last_error(failed.to_string());
        let mut end = FlushReport { failures: vec![failed], ..FlushReport::default() };
        let outcome = if is_unknown {
            end.unknown = records;
            Outcome::Unknown(failure)
        } else {
            end.not_written = records;
            Outcome::NotWritten(failure)
        };
        add(&self.shared.counters.client.record_error_total, records);
        add(&partition.common.counters.record_error_total, records);
        self.tell_interceptors(handle, &outcome);
        if handle.resolve(outcome) {
            partition.unresolved.fetch_sub(1, Ordering::Relaxed);
            self.shared.tallies.end_batch(handle.flush_epoch, end);
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
        let shared = Arc::clone(&self.partitions[index].shared);
        let cause = |batch: &Batch| DeliveryCause::TimedOut {
            timeout,
            last_error: batch.last_error.as_ref().map(ToString::to_string),
        };
        // On the way: nobody knows. The bytes stay with the request; its answer still counts for
        // the sequence.
        for batch in &self.partitions[index].in_flight {
            if is_late(&batch.handle) {
                let mut failure = Failure::of(batch, cause(batch));
                failure.is_unknown = true;
                self.end_failed(&shared, &batch.handle, now, failure);
            }
        }
        while let Some(batch) = self.partitions[index].retries.pop_front() {
            if !is_late(&batch.handle) {
                self.partitions[index].retries.push_front(batch);
                break;
            }
            self.end_failed(&shared, &batch.handle, now, Failure::of(&batch, cause(&batch)));
            self.partitions[index].lost(batch.sequence);
        }
        let last_error = self
            .identification
            .last_error()
            .map(ToString::to_string)
            .or_else(|| self.shared.last_error());
        let cause = DeliveryCause::TimedOut { timeout, last_error };
        self.end_queued(&shared, now, &cause, is_late);
    }

    /// Ends the batches of a partition that the machine has not taken and that `select` chooses:
    /// none of them was ever sent.
    pub(super) fn end_queued(
        &self,
        partition: &Arc<Partition>,
        now: Instant,
        cause: &DeliveryCause,
        select: impl Fn(&BatchHandle) -> bool,
    ) {
        loop {
            let mut queue = partition.queue();
            let first = match (queue.closed.front(), &queue.open) {
                (Some(closed), _) => closed,
                (None, Some(open)) => &open.handle,
                (None, None) => return,
            };
            if !select(first) {
                return;
            }
            let bytes = match queue.closed.pop_front() {
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
            let (handle, bytes) = bytes;
            let bytes = bytes.map(Bytes::from);
            let failure = Failure {
                is_unknown: false,
                cause: cause.clone(),
                attempts: 0,
                record_messages: Vec::new(),
                bytes: bytes.as_ref(),
            };
            self.end_failed(partition, &handle, now, failure);
        }
    }

    /// Lets a partition go on in a new epoch, if its sequence is broken and nothing is on its way.
    pub(super) fn settle(&mut self, index: usize, now: Instant) {
        let partition = &mut self.partitions[index];
        for batch in partition.take_undecidable() {
            let shared = Arc::clone(&self.partitions[index].shared);
            let cause = batch.last_error.clone().unwrap_or(DeliveryCause::NotAnswered);
            self.end_failed(&shared, &batch.handle, now, Failure::of(&batch, cause));
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
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            if !partition.wants_identity(self.shared.config.idempotence) {
                continue;
            }
            let retries = std::mem::take(&mut partition.retries);
            let shared = Arc::clone(&partition.shared);
            for batch in retries {
                let failure = Failure::of(&batch, cause.clone());
                self.end_failed(&shared, &batch.handle, now, failure);
            }
            self.end_queued(&shared, now, cause, |_| true);
        }
    }

    /// Ends what a partition has to send and is not on its way.
    pub(super) fn end_unsent(&mut self, index: usize, cause: &DeliveryCause, now: Instant) {
        let shared = Arc::clone(&self.partitions[index].shared);
        while let Some(batch) = self.partitions[index].retries.pop_front() {
            self.end_failed(&shared, &batch.handle, now, Failure::of(&batch, cause.clone()));
            self.partitions[index].lost(batch.sequence);
        }
        self.end_queued(&shared, now, cause, |_| true);
        self.inbox.partitions.push(index);
    }

    /// Ends all that a partition has; answers to what is on its way count for the sequence only.
    pub(super) fn end_everything(&mut self, index: usize, cause: &DeliveryCause, now: Instant) {
        let shared = Arc::clone(&self.partitions[index].shared);
        for batch in &self.partitions[index].in_flight {
            let mut failure = Failure::of(batch, cause.clone());
            failure.is_unknown = true;
            self.end_failed(&shared, &batch.handle, now, failure);
        }
        self.end_unsent(index, cause, now);
    }

    /// Ends everything that has no end yet.
    pub(super) fn give_up_all(&mut self, now: Instant) {
        for index in 0..self.partitions.len() {
            let shared = Arc::clone(&self.partitions[index].shared);
            let batches: Vec<_> = self.partitions[index].take_all().collect();
            for (batch, is_on_its_way) in batches {
                let last_error = batch.last_error.as_ref().map(ToString::to_string);
                let mut failure = Failure::of(&batch, DeliveryCause::Closed { last_error });
                failure.is_unknown |= is_on_its_way;
                self.end_failed(&shared, &batch.handle, now, failure);
            }
            let cause = DeliveryCause::Closed { last_error: self.shared.last_error() };
            self.end_queued(&shared, now, &cause, |_| true);
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
