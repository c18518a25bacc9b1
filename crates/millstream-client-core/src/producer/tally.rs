//! Counting the ends of records, so that each is in exactly one flush report.
//!
//! Each batch belongs to the flush epoch in which it was opened. A flush ends an epoch, waits until
//! its batches (and those of earlier epochs) have ended, and takes their counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_types::{PartitionId, TopicName};

use super::error::BatchFailure;
use super::wait::WaitList;

/// How many failed batches a flush report names; the others are only counted.
pub const FAILURES_MAX: usize = 64;

/// What became of the records that were accepted before a flush and that no earlier report counts.
#[derive(Clone, Debug, Default)]
pub struct FlushReport {
    /// Records that are in the log (or, with `acks=0`, on the wire).
    pub written: u64,
    /// Records that are in no log.
    pub not_written: u64,
    /// Records that may or may not be in the log.
    pub unknown: u64,
    /// The batches behind the last two, at most [`FAILURES_MAX`] of them.
    pub failures: Vec<DeliveryFailure>,
}

impl FlushReport {
    /// Whether every record was written.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.not_written == 0 && self.unknown == 0
    }

    fn add(&mut self, other: Self) {
        self.written += other.written;
        self.not_written += other.not_written;
        self.unknown += other.unknown;
        let room = FAILURES_MAX.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
    }
}

/// A batch that failed, as a flush report names it.
#[derive(Clone, Debug)]
pub struct DeliveryFailure {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionId,
    /// How many records it has.
    pub records: u64,
    /// Whether they may be in the log all the same.
    pub is_unknown: bool,
    failure: Arc<BatchFailure>,
}

impl DeliveryFailure {
    pub(crate) const fn new(
        topic: TopicName,
        partition: PartitionId,
        records: u64,
        is_unknown: bool,
        failure: Arc<BatchFailure>,
    ) -> Self {
        Self { topic, partition, records, is_unknown, failure }
    }

    /// What ended them.
    #[must_use]
    pub fn cause(&self) -> &super::error::DeliveryCause {
        &self.failure.cause
    }
}

impl std::fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what =
            if self.is_unknown { "may or may not have been written" } else { "were not written" };
        let Self { topic, partition, records, .. } = self;
        write!(f, "{records} records of {topic}-{partition} {what}: {}", self.cause())
    }
}

/// The counts of all epochs that no report has taken.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    state: Mutex<TallyState>,
    /// Batches without an end: read without the lock.
    outstanding: AtomicU64,
    closed: AtomicBool,
    pub(crate) waiters: WaitList,
}

#[derive(Debug, Default)]
struct TallyState {
    epoch: u64,
    by_epoch: BTreeMap<u64, Tally>,
    /// The epochs whose flushes wait for their reports.
    awaited: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Tally {
    outstanding: u64,
    report: FlushReport,
}

impl Tallies {
    /// Counts a batch that opens, and answers its epoch; `None` if the producer is closed.
    pub(crate) fn open_batch(&self) -> Option<u64> {
        let mut state = self.lock();
        if self.closed.load(Ordering::Relaxed) {
            return None;
        }
        let epoch = state.epoch;
        state.by_epoch.entry(epoch).or_default().outstanding += 1;
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Some(epoch)
    }

    /// Counts a batch of an epoch that goes on as `parts` batches.
    pub(crate) fn split_batch(&self, epoch: u64, parts: u64) {
        let mut state = self.lock();
        state.by_epoch.entry(epoch).or_default().outstanding += parts.saturating_sub(1);
        self.outstanding.fetch_add(parts.saturating_sub(1), Ordering::Relaxed);
    }

    /// Counts the end of a batch.
    pub(crate) fn end_batch(&self, epoch: u64, end: FlushReport) {
        let done = {
            let mut state = self.lock();
            let tally = state.by_epoch.entry(epoch).or_default();
            tally.outstanding -= 1;
            tally.report.add(end);
            self.outstanding.fetch_sub(1, Ordering::Relaxed);
            tally.outstanding == 0
        };
        if done {
            self.waiters.wake_all();
        }
    }

    /// Whether every batch has its end.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding.load(Ordering::Relaxed) == 0
    }

    /// Ends the current epoch and answers its number: batches up to it are to be sent now.
    pub(crate) fn begin_flush(&self) -> u64 {
        let mut state = self.lock();
        let epoch = state.epoch;
        state.epoch += 1;
        state.awaited.insert(epoch);
        epoch
    }

    /// Nobody waits for the report of this epoch any more: the next flush has its counts.
    pub(crate) fn abandon(&self, epoch: u64) {
        self.lock().awaited.remove(&epoch);
    }

    /// The report of an epoch, once all batches up to it have ended. It has the counts of earlier
    /// epochs too, unless their own flushes wait for them.
    pub(crate) fn take_report(&self, epoch: u64) -> Option<FlushReport> {
        let mut state = self.lock();
        let mut ended = state.by_epoch.range(..=epoch);
        if ended.any(|(_, tally)| tally.outstanding > 0) {
            return None;
        }
        let earlier = state.awaited.range(..epoch).next_back();
        let first = earlier.map_or(0, |earlier| earlier + 1);
        let mut taken = state.by_epoch.split_off(&first);
        let mut later = taken.split_off(&(epoch + 1));
        state.by_epoch.append(&mut later);
        state.awaited.remove(&epoch);
        let mut report = FlushReport::default();
        for tally in taken.into_values() {
            report.add(tally.report);
        }
        Some(report)
    }

    /// Closes the producer: no batch opens from here on. Answers whether it was open.
    pub(crate) fn close(&self) -> bool {
        let _state = self.lock();
        !self.closed.swap(true, Ordering::Relaxed)
    }

    /// Whether the producer is closed or closing.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, TallyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: u64) -> FlushReport {
        FlushReport { written: count, ..FlushReport::default() }
    }

    #[test]
    fn each_batch_is_in_one_report() {
        let tallies = Tallies::default();
        let (a, b) = (tallies.open_batch(), tallies.open_batch());
        assert_eq!((a, b), (Some(0), Some(0)));
        tallies.end_batch(0, written(3));
        let first = tallies.begin_flush();
        let c = tallies.open_batch();
        assert_eq!(c, Some(1));
        assert!(tallies.take_report(first).is_none(), "b is on its way");
        tallies.end_batch(1, written(5));
        tallies.end_batch(0, written(4));
        let second = tallies.begin_flush();
        let reports = [first, second].map(|epoch| {
            let report = tallies.take_report(epoch);
            report.map(|report| report.written)
        });
        assert_eq!(reports, [Some(7), Some(5)]);
    }

    #[test]
    fn a_flush_leaves_an_earlier_one_its_counts() {
        let tallies = Tallies::default();
        tallies.open_batch();
        let first = tallies.begin_flush();
        tallies.open_batch();
        let second = tallies.begin_flush();
        tallies.end_batch(0, written(3));
        tallies.end_batch(1, written(4));
        let written = |epoch| tallies.take_report(epoch).map(|report| report.written);
        assert_eq!(written(second), Some(4));
        assert_eq!(written(first), Some(3));
        let (third, fourth) = (tallies.begin_flush(), tallies.begin_flush());
        tallies.abandon(third);
        assert_eq!(written(fourth), Some(0));
    }

    #[test]
    fn a_closed_producer_opens_nothing() {
        let tallies = Tallies::default();
        assert!(tallies.close());
        assert!(!tallies.close());
        assert_eq!(tallies.open_batch(), None);
        assert!(tallies.is_idle());
    }
}
