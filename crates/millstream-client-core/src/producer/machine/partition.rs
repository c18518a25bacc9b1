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
//! * The records of a batch get their end after those of every older batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_protocol::batch::next_sequence;
use millstream_types::{BrokerId, ProducerId, TopicId, TopicPartition};

use super::batch::{Batch, BatchKey, Identity, Sequence};
use super::ends::Held;
use super::sequence::{SequenceEvent, SequenceState};
use super::stage::{Stage, StageEvent};
use crate::producer::accumulator::Partition;
use crate::producer::config::IDEMPOTENT_IN_FLIGHT_MAX;
use crate::producer::error::DeliveryCause;

/// How long after the last write a broker is taken to know a producer for sure. It forgets one
/// after `producer.id.expiration.ms`, a day unless it is set lower.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);

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
    /// Ends that wait for those of older batches, in order.
    pub(crate) held: VecDeque<Held>,
    /// Batches of the queue that are to end once they are sealed, and why.
    pub(crate) aborting: Option<(usize, DeliveryCause)>,
    /// Failed tries in a row.
    pub(crate) failures: u32,
    /// Nothing is sent again before.
    pub(crate) retry_at: Option<Instant>,
    /// The transaction that it was added to last.
    pub(crate) added_in: u64,
    identity: Option<Identity>,
    state: SequenceState,
    next_sequence: i32,
    next_ordinal: u64,
    /// The last batch that ended and is not known to be written.
    lost_at: u64,
    /// Whose batch was written last, and when.
    known: Option<(ProducerId, Instant)>,
    /// The most batches that may be unanswered.
    in_flight_max: usize,
}

impl PartitionState {
    pub(crate) fn new(shared: Arc<Partition>, in_flight_max: usize, is_anonymous: bool) -> Self {
        let state = if is_anonymous { SequenceState::Anonymous } else { SequenceState::Probing };
        Self {
            shared,
            topic_id: TopicId::ZERO,
            leader: None,
            in_line_of: None,
            timer: None,
            in_flight: VecDeque::new(),
            in_flight_on: None,
            retries: VecDeque::new(),
            held: VecDeque::new(),
            aborting: None,
            failures: 0,
            retry_at: None,
            added_in: 0,
            identity: None,
            state,
            next_sequence: 0,
            next_ordinal: 0,
            lost_at: 0,
            known: None,
            in_flight_max,
        }
    }

    /// Whether batches get sequence numbers and there is no identity to give them.
    pub(crate) fn wants_identity(&self) -> bool {
        self.state == SequenceState::Anonymous
    }

    /// Adopts an identity, from sequence 0.
    pub(crate) fn adopt(&mut self, identity: Identity, now: Instant) {
        self.identity = Some(identity);
        self.next_sequence = 0;
        self.on(SequenceEvent::Adopt);
        let is_known = |(id, at)| id == identity.id && at + KNOWN_FOR > now;
        if self.known.is_some_and(is_known) {
            self.on(SequenceEvent::AdoptKnown);
        }
    }

    /// Writes as `identity` from now on, if nothing written as another is left. Answers whether it
    /// does.
    pub(crate) fn follow(&mut self, identity: Identity, now: Instant) -> bool {
        if self.identity != Some(identity) {
            if !self.in_flight.is_empty() || !self.retries.is_empty() {
                return false;
            }
            self.state = SequenceState::Anonymous;
            self.adopt(identity, now);
        }
        true
    }

    /// The partition's name.
    pub(crate) fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(&self.shared.topic, self.shared.id)
    }

    /// The topic has this id. Another one than before is another topic: it knows nothing of our
    /// sequence, and offsets begin anew. `is_local`: the epoch is ours to raise.
    pub(crate) fn learn_topic_id(&mut self, id: TopicId, is_local: bool) {
        // A broker of before topic ids tells none.
        if !id.is_known() {
            return;
        }
        let old = std::mem::replace(&mut self.topic_id, id);
        if !old.is_known() || old == id {
            return;
        }
        self.shared.forget_acknowledged();
        self.known = None;
        if !is_local || self.identity.is_none() {
            self.on(SequenceEvent::Rest);
        } else {
            self.on(SequenceEvent::Outlive);
        }
    }

    /// Whether there is something to send, apart from who leads and who is asked.
    pub(crate) fn due(&self, pace: &Pace) -> Due {
        if self.state.is_draining() || self.in_flight.len() >= self.room() {
            return Due::Idle;
        }
        if let Some(retry) = self.retries.front() {
            return match self.retry_at {
                _ if retry.sequence.is_none() && self.is_window_full() => Due::Idle,
                Some(at) if at > pace.now => Due::At(at),
                _ => Due::Now,
            };
        }
        if self.state == SequenceState::Proving || self.aborting.is_some() || self.is_window_full()
        {
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

    /// How many batches may be unanswered now.
    const fn room(&self) -> usize {
        let is_bounded = self.in_flight_max < usize::MAX;
        if is_bounded && self.state.is_single() { 1 } else { self.in_flight_max }
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
        let sent = self.in_flight.iter().find(|batch| batch.stage == Stage::OnTheWay);
        let retry = self.retries.front();
        let oldest = match (sent, retry) {
            (Some(sent), Some(retry)) if retry.key < sent.key => Some(retry),
            (sent, retry) => sent.or(retry),
        };
        if let Some(batch) = oldest {
            return Some(batch.handle.opened);
        }
        let queue = self.shared.queue();
        let closed = queue.closed.front();
        let handle = closed.or_else(|| queue.open.as_ref().map(|open| &open.handle))?;
        Some(handle.opened)
    }

    /// Whether every batch older than `key` has its end.
    pub(crate) fn is_settled_before(&self, key: BatchKey) -> bool {
        let is_open = |batch: &&Batch| batch.stage == Stage::OnTheWay;
        self.retries.front().is_none_or(|retry| retry.key > key)
            && self.in_flight.iter().find(is_open).is_none_or(|sent| sent.key > key)
    }

    /// The sequence number for a batch of `records` records, the next one.
    pub(crate) fn draw_sequence(&mut self, records: i32, now: Instant) -> Option<Sequence> {
        let identity = self.identity?;
        if self.in_flight.is_empty() && self.known.is_none_or(|(_, at)| at + KNOWN_FOR <= now) {
            self.on(SequenceEvent::Rest);
        }
        let (base, ordinal) = (self.next_sequence, self.next_ordinal);
        self.next_sequence = next_sequence(base, records);
        self.next_ordinal += 1;
        Some(Sequence { identity, base, ordinal })
    }

    /// Puts a batch on its way.
    pub(crate) fn sent(&mut self, mut batch: Batch, to: BrokerId) {
        batch.attempts += 1;
        batch.stage = batch.stage.on(StageEvent::Send);
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
    pub(crate) fn written(&mut self, sequence: Option<Sequence>, now: Instant) {
        if !self.state.is_draining() {
            self.failures = 0;
            self.retry_at = None;
        }
        let Some(sequence) = sequence else {
            return self.on(SequenceEvent::Write);
        };
        self.known = Some((sequence.identity.id, now));
        if Some(sequence.identity) != self.identity {
            return;
        }
        self.on(SequenceEvent::Write);
        if sequence.ordinal >= self.lost_at {
            self.on(SequenceEvent::Clear);
        }
    }

    /// Puts a batch back to be sent again. Answers whether this begins a new round of retries, for
    /// which a wait is to be set.
    pub(crate) fn retry(&mut self, mut batch: Batch) -> bool {
        batch.stage = batch.stage.on(StageEvent::SendAgain);
        self.put_back(batch);
        let begins = !self.state.is_draining();
        self.on(SequenceEvent::Retry);
        begins
    }

    /// Puts the parts of a split batch in its place. They share the range of its sequence numbers,
    /// so nothing behind it moves.
    pub(crate) fn split(&mut self, sequence: Option<Sequence>, parts: [Batch; 2]) {
        if let Some(sequence) = sequence {
            // A broker counts batches: there is one more of them now.
            self.next_ordinal += 1;
            for batch in self.in_flight.iter_mut().chain(&mut self.retries) {
                if let Some(later) = &mut batch.sequence
                    && later.ordinal > sequence.ordinal
                {
                    later.ordinal += 1;
                }
            }
        }
        parts.into_iter().for_each(|part| self.put_back(part));
        self.on(SequenceEvent::Retry);
    }

    fn put_back(&mut self, batch: Batch) {
        let at = self.retries.partition_point(|other| other.key < batch.key);
        self.retries.insert(at, batch);
    }

    /// A batch ended that is not known to be written.
    pub(crate) fn lost(&mut self, sequence: Option<Sequence>) {
        let Some(sequence) = sequence else { return };
        if Some(sequence.identity) == self.identity {
            self.lost_at = self.lost_at.max(sequence.ordinal);
            self.on(SequenceEvent::Lose);
        }
    }

    /// The sequence is broken at the oldest batch: none of those that wait is written.
    pub(crate) fn need_epoch(&mut self) {
        self.on(SequenceEvent::Break);
        for batch in &mut self.retries {
            batch.may_be_written = false;
        }
    }

    /// Whether the sequence cannot go on in this epoch, or nobody knows whether it can.
    pub(crate) fn is_in_doubt(&self) -> bool {
        use SequenceState as S;
        self.in_flight.iter().any(|batch| batch.stage == Stage::GivenUp)
            || matches!(self.state, S::Doubtful | S::Proving | S::Broken | S::Spent)
    }

    /// The producer id itself is used up.
    pub(crate) fn need_id(&mut self) {
        self.on(SequenceEvent::Spend);
    }

    /// Takes the batches out of which nobody can say whether they are written: another epoch has
    /// written to the partition since. Only once nothing is on its way.
    pub(crate) fn take_undecidable(&mut self) -> Vec<Batch> {
        if self.state != SequenceState::Spent || !self.in_flight.is_empty() {
            return Vec::new();
        }
        let (undecidable, rest) = std::mem::take(&mut self.retries)
            .into_iter()
            .partition::<VecDeque<_>, _>(|batch| batch.may_be_written);
        self.retries = rest;
        undecidable.into()
    }

    /// Once all that was on its way is answered: decides in which epoch to go on. Answers the
    /// identity that no one may use any more, if that is the outcome: if the epoch is not ours to
    /// raise (`is_local`), or cannot be raised.
    pub(crate) fn settle(&mut self, is_local: bool) -> Option<Identity> {
        if !self.in_flight.is_empty() {
            return None;
        }
        let in_doubt = |batch: &Batch| batch.may_be_written && batch.sequence.is_some();
        match self.state {
            state if !state.is_draining() && state != SequenceState::Proving => return None,
            SequenceState::Draining => self.on(SequenceEvent::Resume),
            SequenceState::Doubtful | SequenceState::Proving
                if self.retries.iter().any(in_doubt) =>
            {
                self.on(SequenceEvent::Prove);
            }
            _ => return self.renew(is_local),
        }
        self.in_flight_on = None;
        None
    }

    /// Goes on in a new epoch, as another producer, or as whom we are told to.
    fn renew(&mut self, is_local: bool) -> Option<Identity> {
        self.in_flight_on = None;
        let is_proof = self.state != SequenceState::Outlived;
        let old = self.identity;
        let next = old.and_then(Identity::bumped);
        let next = next.filter(|_| is_local && self.state != SequenceState::Spent);
        let event = if next.is_some() { SequenceEvent::Renew } else { SequenceEvent::Forsake };
        self.on(event);
        self.next_sequence = 0;
        self.identity = next;
        for batch in &mut self.retries {
            // Behind the break in the old sequence the broker took none of them.
            batch.may_be_written &= !is_proof;
            batch.sequence = None;
        }
        if next.is_none() { old } else { None }
    }

    /// Takes everything that the machine holds, sent or not, as at the end of the producer.
    pub(crate) fn take_all(&mut self) -> Vec<(Batch, bool)> {
        let sent = std::mem::take(&mut self.in_flight);
        let retries = std::mem::take(&mut self.retries);
        let mut all: Vec<_> = sent
            .into_iter()
            .map(|batch| (batch, true))
            .chain(retries.into_iter().map(|batch| (batch, false)))
            .collect();
        all.sort_by_key(|(batch, _)| batch.key);
        all
    }

    fn on(&mut self, event: SequenceEvent) {
        self.state = self.state.on(event);
    }
}
