//! The end of records: a batch resolves once, and each of its deliveries reads its own share.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use millstream_protocol::batch::SealedBatch;
use millstream_types::{Offset, PartitionId, Timestamp, TopicName};

use super::error::{BatchFailure, DeliveryError, FailedDelivery, NotWritten, UnknownDelivery};
use super::memory::PooledBuffer;
use super::wait::{WaitList, WaiterId};

/// Where a record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionId,
    /// Its offset; `None` where nobody told: with `acks=0`, and for a batch that the broker
    /// recognised as written before without saying where.
    pub offset: Option<Offset>,
    /// Its time: the record's own, or the broker's for topics with `LogAppendTime`.
    pub timestamp: Timestamp,
}

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It is in the log (with `acks=0`: on the wire), at this offset where the broker told.
    Written(Option<Offset>),
    /// It is in no log.
    NotWritten,
    /// It may or may not be in the log.
    Unknown,
}

/// One accepted record on its way: a future of its end.
///
/// It is a reference to the record's batch and a place in it. Dropping it loses nothing: the record
/// is sent all the same.
#[derive(Debug)]
#[must_use = "an accepted record may still fail; await the delivery, or drop it on purpose"]
pub struct Delivery {
    batch: Arc<BatchHandle>,
    index: u32,
    timestamp: Timestamp,
    waiter: Option<WaiterId>,
}

impl Delivery {
    pub(crate) const fn new(batch: Arc<BatchHandle>, index: u32, timestamp: Timestamp) -> Self {
        Self { batch, index, timestamp, waiter: None }
    }

    /// Another look at the same record.
    #[cfg(test)]
    pub(crate) fn again(&self) -> Self {
        Self::new(Arc::clone(&self.batch), self.index, self.timestamp)
    }

    /// The topic that the record goes to.
    #[must_use]
    pub fn topic(&self) -> &TopicName {
        &self.batch.topic
    }

    /// The partition that was chosen for the record.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.batch.partition
    }

    /// The end of the record, if it has one yet. Never waits.
    #[must_use]
    pub fn peek(&self) -> Option<Result<Receipt, DeliveryError>> {
        let (mut batch, mut index) = (&self.batch, self.index);
        loop {
            match batch.outcome.get()? {
                Outcome::Split(parts) => (batch, index) = part_of(parts, index)?,
                outcome => return batch.read(outcome, index, self.timestamp),
            }
        }
    }

    /// How the record ended, if it has its end: what [`peek`](Self::peek) tells, without the receipt
    /// and the error, for who counts many. Never waits.
    #[must_use]
    #[inline]
    pub fn status(&self) -> Option<DeliveryStatus> {
        let (mut batch, mut index) = (&self.batch, self.index);
        loop {
            return Some(match batch.outcome.get()? {
                Outcome::Split(parts) => {
                    (batch, index) = part_of(parts, index)?;
                    continue;
                }
                Outcome::Written { base_offset, .. } => {
                    DeliveryStatus::Written(base_offset.map(|base| base.plus(i64::from(index))))
                }
                Outcome::NotWritten(_) => DeliveryStatus::NotWritten,
                Outcome::Unknown(_) => DeliveryStatus::Unknown,
            });
        }
    }

    /// Moves on to the part that holds the record, if its batch was split.
    fn follow_split(&mut self) {
        while let Some(Outcome::Split(parts)) = self.batch.outcome.get() {
            let Some((part, index)) = part_of(parts, self.index) else {
                return;
            };
            (self.batch, self.index) = (Arc::clone(part), index);
            self.waiter = None;
        }
    }
}

impl Future for Delivery {
    type Output = Result<Receipt, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(end) = this.peek() {
                return Poll::Ready(end);
            }
            this.follow_split();
            let batch = Arc::clone(&this.batch);
            batch.waiters.register(&mut this.waiter, None, cx.waker());
            // Resolved between the look and the registration?
            if batch.outcome.get().is_none() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Delivery {
    #[inline]
    fn drop(&mut self) {
        self.batch.waiters.forget(&mut self.waiter);
    }
}

/// The part that holds record `index`, and its place there.
fn part_of(parts: &[(u32, Arc<BatchHandle>)], index: u32) -> Option<(&Arc<BatchHandle>, u32)> {
    let (first, part) = parts.iter().rev().find(|(first, _)| *first <= index)?;
    Some((part, index - first))
}

/// What the callers and the machine share of one batch.
#[derive(Debug)]
pub(crate) struct BatchHandle {
    pub(crate) topic: TopicName,
    pub(crate) partition: PartitionId,
    /// The flush that reports it: see [`Tallies`](super::tally::Tallies).
    pub(crate) flush_epoch: u64,
    /// When its first record was accepted.
    pub(crate) opened: Instant,
    outcome: OnceLock<Outcome>,
    waiters: WaitList,
    sealed: Mutex<Option<SealedBuffer>>,
    /// The number of records, once it takes no more.
    records: AtomicU64,
}

/// A sealed batch and the charge of its buffer.
#[derive(Debug)]
pub(crate) struct SealedBuffer {
    pub(crate) batch: SealedBatch,
    pub(crate) charge: PooledBuffer,
}

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Written {
        base_offset: Option<Offset>,
        append_time: Option<Timestamp>,
    },
    NotWritten(Arc<BatchFailure>),
    Unknown(Arc<BatchFailure>),
    /// It was too large for the broker and goes on in parts, each named by its first record.
    Split(Vec<(u32, Arc<BatchHandle>)>),
}

impl BatchHandle {
    pub(crate) fn new(
        topic: TopicName,
        partition: PartitionId,
        flush_epoch: u64,
        opened: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            topic,
            partition,
            flush_epoch,
            opened,
            outcome: OnceLock::new(),
            waiters: WaitList::default(),
            sealed: Mutex::new(None),
            records: AtomicU64::new(0),
        })
    }

    /// Hands the sealed batch over to the machine.
    pub(crate) fn set_sealed(&self, sealed: SealedBuffer) {
        *self.sealed.lock().unwrap_or_else(PoisonError::into_inner) = Some(sealed);
    }

    /// Notes the number of records when the batch takes no more.
    pub(crate) fn set_records(&self, records: i32) {
        self.records.store(u64::from(records.unsigned_abs()), Ordering::Relaxed);
    }

    /// Whether the batch is sealed and was not taken.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The size of the sealed batch; 0 while it is being sealed.
    pub(crate) fn sealed_size(&self) -> usize {
        let sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        sealed.as_ref().map_or(0, |sealed| sealed.batch.size())
    }

    /// Takes the sealed batch.
    pub(crate) fn take_sealed(&self) -> Option<SealedBuffer> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The number of records, once the batch takes no more.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Whether the batch has its end.
    pub(crate) fn is_resolved(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Ends the batch and wakes who waits. Answers whether it had no end before: only then may it
    /// be counted.
    pub(crate) fn resolve(&self, outcome: Outcome) -> bool {
        let first = self.outcome.set(outcome).is_ok();
        self.waiters.wake_all();
        first
    }

    /// The end of one record; `None` if a part of this batch has to tell it.
    fn read(
        &self,
        outcome: &Outcome,
        index: u32,
        timestamp: Timestamp,
    ) -> Option<Result<Receipt, DeliveryError>> {
        let failed = |failure: &Arc<BatchFailure>| FailedDelivery {
            topic: self.topic.clone(),
            partition: self.partition,
            index,
            failure: Arc::clone(failure),
        };
        Some(match outcome {
            Outcome::Written { base_offset, append_time } => Ok(Receipt {
                topic: self.topic.clone(),
                partition: self.partition,
                offset: base_offset.map(|base| base.plus(i64::from(index))),
                timestamp: append_time.unwrap_or(timestamp),
            }),
            Outcome::NotWritten(failure) => {
                Err(DeliveryError::NotWritten(NotWritten(failed(failure))))
            }
            Outcome::Unknown(failure) => {
                Err(DeliveryError::Unknown(UnknownDelivery(failed(failure))))
            }
            Outcome::Split(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoWaker;

    impl std::task::Wake for NoWaker {
        fn wake(self: Arc<Self>) {}
    }

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn handle() -> Arc<BatchHandle> {
        BatchHandle::new("t".into(), PartitionId(3), 0, Instant::now())
    }

    fn written(base: i64) -> Outcome {
        Outcome::Written { base_offset: Some(Offset(base)), append_time: None }
    }

    #[test]
    fn a_batch_resolves_once() {
        let batch = handle();
        assert!(batch.resolve(written(7)));
        assert!(!batch.resolve(written(8)));
        let receipt = Delivery::new(batch, 2, Timestamp(5)).peek();
        let Some(Ok(receipt)) = receipt else {
            panic!("{receipt:?}");
        };
        assert_eq!(receipt.offset, Some(Offset(9)));
        assert_eq!(receipt.timestamp, Timestamp(5));
    }

    #[test]
    fn a_waiting_delivery_follows_its_batch_into_its_part() {
        let (batch, low, high) = (handle(), handle(), handle());
        let mut delivery = Delivery::new(Arc::clone(&batch), 5, Timestamp(1));
        let waker = Arc::new(NoWaker).into();
        let mut cx = Context::from_waker(&waker);
        assert!(Pin::new(&mut delivery).poll(&mut cx).is_pending());
        batch.resolve(Outcome::Split(vec![(0, low), (4, Arc::clone(&high))]));
        assert!(Pin::new(&mut delivery).poll(&mut cx).is_pending());
        high.resolve(written(100));
        let Poll::Ready(Ok(receipt)) = Pin::new(&mut delivery).poll(&mut cx) else {
            panic!("it is written");
        };
        assert_eq!(receipt.offset, Some(Offset(101)));
    }
}
