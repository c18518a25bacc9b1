//! Records one by one, as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use millstream_client_core::consumer::{Batch, ConsumerRecord, FetchError, Next, Wants};
use millstream_protocol::batch::Cursor;

use super::Consumer;
use super::poll::PollGuard;

/// The records of a consumer, each with bytes of its own; ends when the consumer is closed.
///
/// The position moves record by record, and auto-commit takes a record for finished once the next
/// one is asked for. Where copies cost too much, take batches by [`Consumer::poll`].
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct Records<'a> {
    consumer: &'a Consumer,
    current: Option<(Batch, Cursor)>,
    waiting: Option<PollGuard<'a>>,
}

impl<'a> Records<'a> {
    pub(super) const fn new(consumer: &'a Consumer) -> Self {
        Self { consumer, current: None, waiting: None }
    }

    /// The next record of the batch at hand, unless the partition was moved or lost since.
    fn next_at_hand(&mut self) -> Option<ConsumerRecord> {
        let (batch, cursor) = self.current.as_mut()?;
        let record = batch.next_record(cursor).map(|view| batch.own(&view));
        let Some(record) = record else {
            self.current = None;
            return None;
        };
        let is_last = cursor.index() == batch.end_index();
        let next = if is_last { batch.next_offset() } else { record.offset.plus(1) };
        if self.consumer.shared().advance(batch, next) {
            return Some(record);
        }
        self.current = None;
        None
    }
}

impl Stream for Records<'_> {
    type Item = Result<ConsumerRecord, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.next_at_hand() {
                return Poll::Ready(Some(Ok(record)));
            }
            if self.waiting.is_none() {
                match PollGuard::enter(self.consumer.shared()) {
                    Ok(guard) => self.waiting = Some(guard),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            let Poll::Ready(next) =
                self.consumer.shared().poll_next(Wants::SingleRecords, cx.waker())
            else {
                return Poll::Pending;
            };
            self.waiting = None;
            match next {
                None => return Poll::Ready(None),
                Some(Next::Records(batch)) => {
                    let cursor = batch.cursor();
                    self.current = Some((batch, cursor));
                }
                Some(Next::Failed(error)) => return Poll::Ready(Some(Err(error))),
                Some(_) => {}
            }
        }
    }
}
