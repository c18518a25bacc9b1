//! The futures of callers: a record that waits for room, a flush that waits for the ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use millstream_types::Record;

use super::delivery::Delivery;
use super::error::EnqueueError;
use super::interceptor::InterceptedRecord;
use super::metrics::{add, nanos};
use super::shared::ProducerShared;
use super::tally::FlushReport;
use super::wait::WaiterId;

/// A record that is accepted on the poll that returns ready: at once, unless the byte budget is
/// spent or its topic is not known yet.
///
/// Runs on any executor: the producer's driver keeps the time.
#[derive(Debug)]
#[must_use = "nothing is enqueued until this is polled"]
pub struct Enqueue<'a> {
    shared: &'a Arc<ProducerShared>,
    record: &'a Record<'a>,
    /// What the interceptors made of it.
    intercepted: Option<Box<InterceptedRecord>>,
    was_intercepted: bool,
    wait: Option<Wait>,
}

/// The wait of one record.
#[derive(Debug)]
struct Wait {
    since: Instant,
    deadline: Instant,
    for_memory: Option<WaiterId>,
    for_topic: Option<WaiterId>,
}

impl<'a> Enqueue<'a> {
    /// Puts `record` into its partition's batch, waiting as long as `max.block` if need be.
    pub const fn new(shared: &'a Arc<ProducerShared>, record: &'a Record<'a>) -> Self {
        Self { shared, record, intercepted: None, was_intercepted: false, wait: None }
    }

    /// One try to have the record accepted.
    #[inline]
    fn try_now(&mut self) -> Result<Delivery, EnqueueError> {
        if !self.was_intercepted {
            self.intercepted = self.shared.intercept(self.record);
            self.was_intercepted = true;
        }
        match &self.intercepted {
            Some(intercepted) => self.shared.enqueue_now(&intercepted.to_record()),
            None => self.shared.enqueue_now(self.record),
        }
    }

    /// Stands in line for what `refusal` names, or tells that the time is up.
    fn wait_for(&mut self, refusal: EnqueueError, cx: &Context<'_>) -> Result<(), EnqueueError> {
        let shared = self.shared;
        let now = shared.clock.now();
        let wait = self.wait.get_or_insert_with(|| Wait {
            since: now,
            deadline: now + shared.config.max_block,
            for_memory: None,
            for_topic: None,
        });
        let is_late = now >= wait.deadline;
        let waited = now.duration_since(wait.since);
        let deadline = Some(wait.deadline);
        let is_new = match refusal {
            EnqueueError::Full { .. } if is_late => {
                add(&shared.counters.client.buffer_exhausted_total, 1);
                return Err(EnqueueError::MemoryTimedOut {
                    topic: self.record.topic().into(),
                    waited,
                    last_error: shared.last_error(),
                });
            }
            EnqueueError::TopicPending { topic } if is_late => {
                let error = shared.topic_error(topic.as_str());
                return Err(EnqueueError::TopicTimedOut {
                    topic,
                    waited,
                    last_error: error.map(|code| code.to_string()).or_else(|| shared.last_error()),
                });
            }
            EnqueueError::Full { .. } => {
                let waiters = &shared.pool.waiters;
                waiters.register(&mut wait.for_memory, deadline, cx.waker())
            }
            EnqueueError::TopicPending { .. } => {
                let waiters = &shared.topic_waiters;
                waiters.register(&mut wait.for_topic, deadline, cx.waker())
            }
            refusal => return Err(refusal),
        };
        if is_new {
            // The driver keeps the deadline, and sends what lingers to free memory.
            shared.ring();
        }
        Ok(())
    }
}

impl Future for Enqueue<'_> {
    type Output = Result<Delivery, EnqueueError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let refusal = match this.try_now() {
            Ok(delivery) => return Poll::Ready(Ok(delivery)),
            Err(refusal) => refusal,
        };
        if let Err(error) = this.wait_for(refusal, cx) {
            return Poll::Ready(Err(error));
        }
        // What it waits for may have come between the try and the registration.
        match this.try_now() {
            Err(EnqueueError::Full { .. } | EnqueueError::TopicPending { .. }) => Poll::Pending,
            other => Poll::Ready(other),
        }
    }
}

impl Drop for Enqueue<'_> {
    fn drop(&mut self) {
        if let Some(wait) = &mut self.wait {
            let counters = &self.shared.counters.client;
            let waited = nanos(self.shared.clock.now().saturating_duration_since(wait.since));
            let is_for_topic = wait.for_topic.is_some() && wait.for_memory.is_none();
            let total = if is_for_topic {
                &counters.metadata_wait_time_ns_total
            } else {
                &counters.bufferpool_wait_time_ns_total
            };
            add(total, waited);
            self.shared.pool.waiters.forget(&mut wait.for_memory);
            self.shared.topic_waiters.forget(&mut wait.for_topic);
        }
    }
}

/// Waits until every record accepted before has its end, and gives the counts.
#[derive(Debug)]
#[must_use = "the report says what was not written; batches are sent now in any case"]
pub struct Flush {
    shared: Arc<ProducerShared>,
    epoch: u64,
    begun: Instant,
    waiter: Option<WaiterId>,
}

impl Flush {
    /// Has all open batches sent now.
    pub fn new(shared: &Arc<ProducerShared>) -> Self {
        let epoch = shared.tallies.begin_flush();
        shared.request_flush(epoch);
        let begun = shared.clock.now();
        Self { shared: Arc::clone(shared), epoch, begun, waiter: None }
    }
}

impl Future for Flush {
    type Output = FlushReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let tallies = &this.shared.tallies;
        if let Some(report) = tallies.take_report(this.epoch) {
            return Poll::Ready(report);
        }
        tallies.waiters.register(&mut this.waiter, None, cx.waker());
        match tallies.take_report(this.epoch) {
            Some(report) => Poll::Ready(report),
            None => Poll::Pending,
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.shared.tallies.waiters.forget(&mut self.waiter);
        self.shared.tallies.abandon(self.epoch);
        let took = self.shared.clock.now().saturating_duration_since(self.begun);
        add(&self.shared.counters.client.flush_time_ns_total, nanos(took));
    }
}
