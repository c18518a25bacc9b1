//! How the application takes records and events: one poller, entries checked on its side.

use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use millstream_protocol::batch::{CheckError, CheckedBatch, Cursor, RawBatch};
use millstream_types::{Offset, TopicPartition};

use super::delivery::Batch;
use super::error::FetchError;
use super::notice::Next;
use super::partition::{Entry, Phase, Position, Stamp};
use super::shared::ConsumerShared;
use super::table::{RevocationProgress, Table};

/// What a poller wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Records and failures; revocations are acknowledged at once.
    Records,
    /// Records one by one: as `Records`, but the position stays until
    /// [`ConsumerShared::advance`] moves it.
    SingleRecords,
    /// Everything.
    Events,
}

/// An entry on its way to the application, and what it was taken from.
struct Taken {
    partition: TopicPartition,
    stamp: Stamp,
    version: u64,
    position: Position,
    high_watermark: Option<Offset>,
}

/// What became of an entry once it was opened.
enum Opened {
    /// Records, and what is left of the entry.
    Records(OpenBatch, Option<Entry>),
    /// No record: the position moves to here.
    Nothing(Position),
    /// It cannot be read.
    Failed(FetchError),
}

struct OpenBatch {
    checked: Arc<CheckedBatch>,
    first: Cursor,
    end: u32,
    next: Position,
    bytes: usize,
}

impl ConsumerShared {
    /// The application begins to ask for records: what it took last is finished, and a revocation
    /// that it was told of is acknowledged.
    ///
    /// # Errors
    /// [`FetchError::Busy`] if another call is asking already.
    pub fn enter(&self, now: Instant) -> Result<(), FetchError> {
        let mut table = self.table();
        if table.in_poll {
            return Err(FetchError::Busy);
        }
        table.in_poll = true;
        table.last_poll = Some(now);
        table.finish_last();
        let acknowledged = match &mut table.revocation {
            Some(open) if open.progress == RevocationProgress::HandedOut => {
                open.progress = RevocationProgress::Done;
                true
            }
            _ => false,
        };
        let wakes = acknowledged || std::mem::take(&mut table.poll_wakes_driver);
        drop(table);
        if wakes {
            self.budget.wake_driver();
        }
        Ok(())
    }

    /// The application has got something, or has stopped asking.
    pub fn leave(&self, now: Instant) {
        let mut table = self.table();
        table.in_poll = false;
        table.last_poll = Some(now);
        table.waiter = None;
    }

    /// The next thing for the application; `None` once the consumer is closed. Between
    /// [`enter`](Self::enter) and [`leave`](Self::leave). Nothing is lost if the answer to
    /// `Pending` is to go away.
    pub fn poll_next(&self, wants: Wants, waker: &Waker) -> Poll<Option<Next>> {
        loop {
            let mut table = self.table();
            if table.closed {
                return Poll::Ready(None);
            }
            if let Some(notice) = self.pop_notice(&mut table, wants) {
                return Poll::Ready(Some(notice));
            }
            let Some((taken, entry)) = take(&mut table) else {
                table.waiter = Some(waker.clone());
                return Poll::Pending;
            };
            let hungry = std::mem::take(&mut table.hungry);
            drop(table);
            if hungry {
                self.budget.wake_driver();
            }
            let opened = self.open(&taken, entry);
            if let Some(next) = self.deliver(taken, opened, wants) {
                return Poll::Ready(Some(next));
            }
        }
    }

    /// Moves the position behind one record of `batch`; false if the partition was moved or lost
    /// since, so that the rest of the batch is void.
    pub fn advance(&self, batch: &Batch, next: Offset) -> bool {
        let mut table = self.table();
        let Some(partition) = table.partitions.get_mut(&batch.partition) else {
            return false;
        };
        if partition.stamp != batch.stamp || partition.version != batch.version {
            return false;
        }
        let position = Position { offset: next, epoch: batch.leader_epoch() };
        partition.position = Some(position);
        table.finish_last();
        table.last = Some((batch.partition.clone(), batch.stamp, position));
        true
    }

    /// The next notice that this poller wants.
    fn pop_notice(&self, table: &mut Table, wants: Wants) -> Option<Next> {
        while let Some(notice) = table.notices.pop_front() {
            let tell = wants == Wants::Events || matches!(notice, Next::Failed(_));
            if let Next::Revoking(revocation) = &notice
                && let Some(open) = &mut table.revocation
                && open.revocation.round == revocation.round
                && open.progress == RevocationProgress::Queued
            {
                open.progress = if tell {
                    RevocationProgress::HandedOut
                } else {
                    self.budget.wake_driver();
                    RevocationProgress::Done
                };
            }
            if tell {
                return Some(notice);
            }
            tracing::info!(?notice, "consumer event");
        }
        None
    }

    /// Checks and cuts an entry. Runs without the lock: this is where the work is.
    fn open(&self, taken: &Taken, entry: Entry) -> Opened {
        match entry {
            Entry::Raw(raw) => self.open_raw(taken, raw),
            Entry::Opened { batch, from } => self.cut(taken, batch, from, 0),
            Entry::Skip(to) => Opened::Nothing(to),
            Entry::Broken(error) => Opened::Failed(error),
        }
    }

    fn open_raw(&self, taken: &Taken, raw: RawBatch) -> Opened {
        let bytes = raw.bytes().len();
        let checked = {
            let mut decompressor = self.decompressor.lock().unwrap_or_else(PoisonError::into_inner);
            CheckedBatch::check(raw, &mut decompressor)
        };
        match checked {
            Ok(checked) => {
                let bytes = bytes + checked.decompressed_bytes();
                let first = first_from(&checked, taken.position.offset);
                self.cut(taken, Arc::new(checked), first, bytes)
            }
            Err(error) => open_prefix(taken, error, bytes),
        }
    }

    /// Takes at most `max.poll.records` from `first` on.
    fn cut(
        &self,
        taken: &Taken,
        checked: Arc<CheckedBatch>,
        first: Cursor,
        bytes: usize,
    ) -> Opened {
        let epoch = checked.header().partition_leader_epoch;
        let count = u32::try_from(checked.len()).unwrap_or(u32::MAX);
        let whole = Position { offset: checked.next_offset().max(taken.position.offset), epoch };
        if first.index() >= count {
            return Opened::Nothing(whole);
        }
        let limit = self
            .config
            .max_poll_records
            .map_or(u32::MAX, |max| u32::try_from(max).unwrap_or(u32::MAX).max(1));
        if count - first.index() <= limit {
            let batch = OpenBatch { checked, first, end: count, next: whole, bytes };
            return Opened::Records(batch, None);
        }
        let end = first.index() + limit;
        let mut cursor = first;
        let mut next = whole;
        while cursor.index() < end {
            let Some(record) = checked.next_record(&mut cursor) else { break };
            next.offset = record.offset.plus(1);
        }
        let rest = Entry::Opened { batch: Arc::clone(&checked), from: cursor };
        Opened::Records(OpenBatch { checked, first, end, next, bytes }, Some(rest))
    }

    /// Hands an opened entry out, unless the partition was moved or lost while it was being opened.
    fn deliver(&self, taken: Taken, opened: Opened, wants: Wants) -> Option<Next> {
        let mut table = self.table();
        let partition = table.partitions.get_mut(&taken.partition)?;
        if partition.stamp != taken.stamp || partition.version != taken.version {
            return None;
        }
        let (open, rest) = match opened {
            Opened::Records(open, rest) => (open, rest),
            Opened::Nothing(to) => {
                partition.position = Some(to);
                return None;
            }
            Opened::Failed(error) => {
                let freed = partition.clear();
                table.buffered_bytes -= freed;
                table.enter(&taken.partition, Phase::Halted);
                return Some(Next::Failed(error));
            }
        };
        if wants != Wants::SingleRecords {
            partition.position = Some(open.next);
        }
        if let Some(rest) = rest {
            table.put_back(&taken.partition, rest);
        }
        if wants != Wants::SingleRecords {
            table.last = Some((taken.partition.clone(), taken.stamp, open.next));
        }
        Some(Next::Records(Batch {
            partition: taken.partition,
            stamp: taken.stamp,
            version: taken.version,
            checked: open.checked,
            first: open.first,
            end: open.end,
            next: open.next,
            high_watermark: taken.high_watermark,
            consumer: self.weak(),
            _share: self.budget.charge(open.bytes),
        }))
    }
}

/// The next entry and where it stands.
fn take(table: &mut Table) -> Option<(Taken, Entry)> {
    loop {
        let (tp, entry) = table.pop()?;
        let Some(partition) = table.partitions.get(&tp) else { continue };
        let Some(position) = partition.position else { continue };
        let taken = Taken {
            stamp: partition.stamp,
            version: partition.version,
            position,
            high_watermark: partition.ends.high_watermark,
            partition: tp,
        };
        return Some((taken, entry));
    }
}

/// The first record at or behind `offset`.
fn first_from(checked: &CheckedBatch, offset: Offset) -> Cursor {
    let mut cursor = Cursor::default();
    // The base offset of a compressed message of format 0 or 1 is that of its last record.
    if checked.header().magic >= 2 && checked.header().base_offset >= offset {
        return cursor;
    }
    loop {
        let before = cursor;
        match checked.next_record(&mut cursor) {
            Some(record) if record.offset < offset => {}
            Some(_) => return before,
            None => return cursor,
        }
    }
}

/// A malformed batch: the records before the malformed one, then the error.
fn open_prefix(taken: &Taken, error: CheckError, bytes: usize) -> Opened {
    let position = taken.position;
    let corrupt = |offset| FetchError::Corrupt {
        partition: taken.partition.clone(),
        offset,
        source: error.error.clone(),
    };
    let Some(prefix) = error.prefix else {
        return Opened::Failed(corrupt(position.offset));
    };
    let first = first_from(&prefix, position.offset);
    let last = prefix.records().last().map(|record| record.offset.plus(1));
    let next = Position {
        offset: last.map_or(position.offset, |last| last.max(position.offset)),
        epoch: prefix.header().partition_leader_epoch,
    };
    let broken = corrupt(next.offset);
    let end = u32::try_from(prefix.len()).unwrap_or(u32::MAX);
    if first.index() >= end {
        return Opened::Failed(broken);
    }
    let bytes = bytes + prefix.decompressed_bytes();
    let batch = OpenBatch { checked: Arc::from(prefix), first, end, next, bytes };
    Opened::Records(batch, Some(Entry::Broken(broken)))
}
