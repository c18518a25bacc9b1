//! The order of one partition: which batch may be sent when, under which sequence number.
//!
//! What no one may break (each line was broken somewhere; see `../museum.rs`):
//!
//! * Batches are sent in order. When one has to be sent again, nothing of the partition is sent until
//!   all that is on its way has been answered; then the oldest goes first and alone.
//! * A batch that may be written keeps its sequence number until an answer proves that it is not.
//! * Once a batch with a sequence number ends without being known to be written, the partition goes on
//!   in a new epoch from sequence 0, when no batch is left that may be written in the old one.
//! * No batch is sent that could push the oldest unanswered one out of what a broker remembers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_protocol::batch::next_sequence;
use millstream_types::{BrokerId, TopicId, TopicPartition};

use super::batch::{Batch, BatchKey, Identity, Sequence};
use crate::producer::accumulator::Partition;
use crate::producer::config::IDEMPOTENT_IN_FLIGHT_MAX;

/// When a partition has something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Now.
    Now,
    /// Not before this time.
    At(Instant),
    /// Not before something else happens.
    Idle,
}

/// What decides whether an open batch is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) now: Instant,
    pub(crate) linger: Duration,
    /// Batches that are due this soon go along now, so that requests carry many.
    pub(crate) slack: Duration,
    /// Batches up to this epoch are wanted by a flush.
    pub(crate) flush_epoch: Option<u64>,
    /// Send whatever there is: memory is short, or the producer closes.
    pub(crate) in_haste: bool,
}

/// The machine's half of a partition.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) shared: Arc<Partition>,
    pub(crate) topic_id: TopicId,
    pub(crate) leader: Option<BrokerId>,
    /// The broker in whose line the partition stands.
    pub(crate) in_line_of: Option<BrokerId>,
    /// The timer that is set for it.
    pub(crate) timer: Option<Instant>,
    /// Sent and not answered, in order.
    pub(crate) in_flight: VecDeque<Batch>,
    /// The broker that has them.
    pub(crate) in_flight_on: Option<BrokerId>,
    /// To be sent again, in order.
    pub(crate) retries: VecDeque<Batch>,
    /// Failed tries in a row.
    pub(crate) failures: u32,
    /// Nothing is sent again before.
    pub(crate) retry_at: Option<Instant>,
    /// The transaction that it was added to last.
    pub(crate) added_in: u64,
    identity: Option<Identity>,
    next_sequence: i32,
    next_ordinal: u64,
    /// The most batches that may be unanswered.
    in_flight_max: usize,
    /// Nothing is sent until all that is on its way was answered.
    is_draining: bool,
    /// One batch at a time, until one is written.
    is_probing: bool,
    /// A batch with a sequence number ended and is not known to be written.
    has_gap: bool,
    /// The identity is used up: go on in a new epoch.
    needs_epoch: bool,
    /// Not even a new epoch of the same producer id will do.
    needs_id: bool,
}

impl PartitionState {
    pub(crate) fn new(shared: Arc<Partition>, in_flight_max: usize) -> Self {
        Self {
            shared,
            topic_id: TopicId::ZERO,
            leader: None,
            in_line_of: None,
            timer: None,
            in_flight: VecDeque::new(),
            in_flight_on: None,
            retries: VecDeque::new(),
            failures: 0,
            retry_at: None,
            added_in: 0,
            identity: None,
            next_sequence: 0,
            next_ordinal: 0,
            in_flight_max,
            is_draining: false,
            // A broker that has no state of a producer takes any sequence number for the first
            // (`ProducerAppendInfo.checkSequence`), so the first batch goes alone.
            is_probing: true,
            has_gap: false,
            needs_epoch: false,
            needs_id: false,
        }
    }

    /// Whether batches get sequence numbers and there is no identity to give them.
    pub(crate) const fn wants_identity(&self, idempotent: bool) -> bool {
        idempotent && self.identity.is_none()
    }

    /// Adopts an identity, from sequence 0.
    pub(crate) const fn adopt(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.next_sequence = 0;
        self.is_probing = true;
    }

    /// Writes as `identity` from now on, if nothing written as another is on its way. Answers whether
    /// it does.
    pub(crate) fn follow(&mut self, identity: Identity) -> bool {
        if self.identity != Some(identity) {
            if !self.in_flight.is_empty() || !self.retries.is_empty() {
                return false;
            }
            self.adopt(identity);
            self.has_gap = false;
            self.needs_epoch = false;
            self.needs_id = false;
            self.is_draining = false;
        }
        true
    }

    /// The partition's name.
    pub(crate) fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(&self.shared.topic, self.shared.id)
    }

    /// Whether this is the partition of that name.
    pub(crate) fn is(&self, partition: &TopicPartition) -> bool {
        self.shared.id == partition.partition && self.shared.topic == partition.topic
    }

    /// Whether there is something to send, apart from who leads and who is asked.
    pub(crate) fn due(&self, pace: &Pace) -> Due {
        let in_flight_max =
            if self.is_probing && self.in_flight_max < usize::MAX { 1 } else { self.in_flight_max };
        if self.is_draining || self.in_flight.len() >= in_flight_max {
            return Due::Idle;
        }
        if let Some(retry) = self.retries.front() {
            return match self.retry_at {
                _ if retry.sequence.is_none() && self.is_window_full() => Due::Idle,
                Some(at) if at > pace.now => Due::At(at),
                _ => Due::Now,
            };
        }
        if self.has_gap || self.is_window_full() {
            return Due::Idle;
        }
        let queue = self.shared.queue();
        if let Some(first) = queue.closed.front() {
            return if first.is_sealed() { Due::Now } else { Due::Idle };
        }
        let Some(open) = &queue.open else {
            return Due::Idle;
        };
        let is_wanted = pace.flush_epoch.is_some_and(|epoch| open.handle.flush_epoch <= epoch);
        let due = open.handle.opened + pace.linger;
        if is_wanted || pace.in_haste || due <= pace.now + pace.slack {
            Due::Now
        } else {
            Due::At(due)
        }
    }

    /// Whether one more batch could push the oldest unanswered one out of what the broker remembers
    /// (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`): answered ones behind it count too.
    fn is_window_full(&self) -> bool {
        let oldest = self.in_flight.front().and_then(|batch| batch.sequence);
        oldest.is_some_and(|oldest| {
            let window = self.next_ordinal - oldest.ordinal;
            window >= IDEMPOTENT_IN_FLIGHT_MAX as u64
        })
    }

    /// When the oldest batch without an end was opened.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let unresolved = |batch: &&Batch| !batch.handle.is_resolved();
        let sent = self.in_flight.iter().find(unresolved);
        let oldest = sent.or_else(|| self.retries.front());
        if let Some(batch) = oldest {
            return Some(batch.handle.opened);
        }
        let queue = self.shared.queue();
        let closed = queue.closed.front();
        let handle = closed.or_else(|| queue.open.as_ref().map(|open| &open.handle))?;
        Some(handle.opened)
    }

    /// The sequence number for a batch of `records` records, the next one.
    pub(crate) fn draw_sequence(&mut self, records: i32) -> Option<Sequence> {
        let identity = self.identity?;
        let (base, ordinal) = (self.next_sequence, self.next_ordinal);
        self.next_sequence = next_sequence(base, records);
        self.next_ordinal += 1;
        Some(Sequence { identity, base, ordinal })
    }

    /// Puts a batch on its way.
    pub(crate) fn sent(&mut self, mut batch: Batch, to: BrokerId) {
        batch.attempts += 1;
        self.in_flight_on = Some(to);
        self.in_flight.push_back(batch);
    }

    /// Takes an answered batch off the way. Answers it, and whether it was the oldest of all.
    pub(crate) fn answered(&mut self, key: BatchKey) -> Option<(Batch, bool)> {
        let at = self.in_flight.iter().position(|batch| batch.key == key)?;
        let is_oldest = at == 0 && self.retries.front().is_none_or(|retry| retry.key > key);
        let batch = self.in_flight.remove(at)?;
        Some((batch, is_oldest))
    }

    /// A batch is known to be written: the sequence holds up to it.
    pub(crate) fn written(&mut self, sequence: Option<Sequence>) {
        if !self.is_draining {
            self.failures = 0;
            self.retry_at = None;
            self.is_probing = false;
        }
        if sequence.map(|sequence| sequence.identity) == self.identity {
            self.has_gap = false;
        }
    }

    /// Puts a batch back to be sent again. Answers whether this begins a new round of retries, for
    /// which a wait is to be set.
    pub(crate) fn retry(&mut self, batch: Batch) -> bool {
        let at = self.retries.partition_point(|other| other.key < batch.key);
        self.retries.insert(at, batch);
        self.is_probing = true;
        let begins = !self.is_draining;
        self.is_draining = true;
        begins
    }

    /// A batch ended that is not known to be written.
    pub(crate) fn lost(&mut self, sequence: Option<Sequence>) {
        if sequence.is_some_and(|sequence| Some(sequence.identity) == self.identity) {
            self.has_gap = true;
            self.is_draining = true;
            self.is_probing = true;
        }
    }

    /// The sequence is broken at the oldest batch: none of those that wait is written.
    pub(crate) fn need_epoch(&mut self) {
        self.needs_epoch = true;
        self.is_draining = true;
        for batch in &mut self.retries {
            batch.may_be_written = false;
        }
    }

    /// The producer id itself is used up.
    pub(crate) fn need_id(&mut self) {
        self.needs_id = true;
        self.is_draining = true;
    }

    /// Takes the batches out of which nobody can say whether they are written: another epoch has
    /// written to the partition since. Only once nothing is on its way.
    pub(crate) fn take_undecidable(&mut self) -> Vec<Batch> {
        if !self.needs_id || !self.in_flight.is_empty() {
            return Vec::new();
        }
        let (undecidable, rest) = std::mem::take(&mut self.retries)
            .into_iter()
            .partition::<VecDeque<_>, _>(|batch| batch.may_be_written);
        self.retries = rest;
        undecidable.into()
    }

    /// Once all that was on its way is answered: decides in which epoch to go on. Answers the
    /// identity that no one may use any more, if that is the outcome: if the epoch is not ours to raise
    /// (`is_local`), or cannot be raised.
    pub(crate) fn settle(&mut self, is_local: bool) -> Option<Identity> {
        if !self.is_draining || !self.in_flight.is_empty() {
            return None;
        }
        self.is_draining = false;
        self.in_flight_on = None;
        let may_be_written = self.retries.iter().any(|batch| batch.may_be_written);
        let bump = self.needs_epoch || (self.has_gap && !may_be_written);
        if !bump && !self.needs_id {
            return None;
        }
        let old = self.identity;
        let next = old.and_then(Identity::bumped).filter(|_| is_local && !self.needs_id);
        self.needs_epoch = false;
        self.needs_id = false;
        self.has_gap = false;
        self.next_sequence = 0;
        self.is_probing = true;
        self.identity = next;
        for batch in &mut self.retries {
            // Behind the break in the old sequence the broker took none of them.
            batch.may_be_written = false;
            batch.sequence = None;
        }
        if next.is_none() { old } else { None }
    }

    /// Takes everything that the machine holds, sent or not, as at the end of the producer.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (Batch, bool)> {
        let sent = std::mem::take(&mut self.in_flight);
        let retries = std::mem::take(&mut self.retries);
        sent.into_iter()
            .map(|batch| (batch, true))
            .chain(retries.into_iter().map(|batch| (batch, false)))
    }
}
