//! What a partition remembers of its idempotent and transactional producers (KIP-98, KIP-890):
//! enough to answer a batch that was sent twice, to refuse one that would leave a gap, and to know
//! which transactions are open. The rules are those of `ProducerStateManager.java`,
//! `ProducerAppendInfo.java` and `VerificationStateEntry.java`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{BatchHeader, next_sequence};
use millstream_types::{Offset, ProducerEpoch, ProducerId, Timestamp};

use super::state::Refused;

/// How many batches of a producer are remembered: as many as may be in flight.
const REMEMBERED_BATCHES: usize = 5;
/// How often producers that wrote nothing for long are looked for
/// (`producer.id.expiration.check.interval.ms`).
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// What becomes of a batch of an idempotent producer that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    /// It is next.
    Append,
    /// It was written before; the answer is the one that was given then.
    Duplicate {
        /// Where its first record stands.
        base_offset: Offset,
        /// The largest time in the batch: Kafka gives it for the append time.
        timestamp: Timestamp,
    },
}

/// The end of a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) coordinator_epoch: i32,
    pub(crate) commit: bool,
    /// Whether the epoch must be above that of the records (KIP-890: it was raised by the end).
    pub(crate) raised: bool,
}

/// A producer as DescribeProducers shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActiveProducer {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) last_sequence: i32,
    pub(crate) last_timestamp: Timestamp,
    pub(crate) coordinator_epoch: i32,
    pub(crate) transaction_start: Option<Offset>,
}

#[derive(Clone, Copy, Debug)]
struct WrittenBatch {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: Offset,
    timestamp: Timestamp,
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: ProducerEpoch,
    /// The epoch of the coordinator that ended its last transaction; -1 before.
    coordinator_epoch: i32,
    last_timestamp: Timestamp,
    /// Where its open transaction begins.
    transaction_start: Option<Offset>,
    batches: VecDeque<WrittenBatch>,
}

/// A transaction that the coordinator was asked about and that has written nothing yet.
#[derive(Clone, Copy, Debug)]
struct Verification {
    epoch: ProducerEpoch,
    lowest_sequence: i32,
    /// Whether the producer raises its epoch with each transaction (version 2), so that its first
    /// batch here is number 0.
    raises_epoch: bool,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<ProducerId, Producer>,
    /// Open transactions by their first offset.
    open: BTreeSet<(Offset, ProducerId)>,
    verifying: BTreeMap<ProducerId, Verification>,
    next_sweep: Option<Timestamp>,
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            transaction_start: None,
            batches: VecDeque::with_capacity(REMEMBERED_BATCHES),
        }
    }

    fn take_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

impl Producers {
    /// Where the oldest open transaction begins.
    pub(crate) fn first_open(&self) -> Option<Offset> {
        self.open.first().map(|(offset, _)| *offset)
    }

    /// Whether this producer has a transaction open here in this epoch.
    pub(crate) fn has_open(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        let known = self.known.get(&id);
        known.is_some_and(|known| known.epoch == epoch && known.transaction_start.is_some())
    }

    /// Notes that the coordinator is about to be asked whether a batch belongs to a transaction
    /// (KIP-890). The lowest sequence number that was asked for has to be written first.
    ///
    /// # Errors
    /// A newer epoch has written here: there is nothing to ask.
    pub(crate) fn begin_verification(
        &mut self,
        header: &BatchHeader,
        raises_epoch: bool,
    ) -> Result<(), ErrorCode> {
        let (epoch, sequence) = (header.producer_epoch, header.base_sequence);
        if self.known.get(&header.producer_id).is_some_and(|known| epoch < known.epoch) {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let fresh = Verification { epoch, lowest_sequence: sequence, raises_epoch };
        let entry = self.verifying.entry(header.producer_id).or_insert(fresh);
        if epoch > entry.epoch {
            entry.epoch = epoch;
            entry.lowest_sequence = sequence;
        } else if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(sequence);
        }
        Ok(())
    }

    /// Judges a batch that carries a producer id. `verified`: the coordinator knows of a transaction
    /// with this partition.
    ///
    /// A producer that the partition does not know may start at any sequence number, as in Kafka:
    /// its earlier batches may have been deleted. So Kafka 4 never answers `UNKNOWN_PRODUCER_ID`.
    ///
    /// # Errors
    /// The batch is out of order, of an old epoch, or in no transaction though it should be, or in
    /// one though it should not.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        verified: bool,
    ) -> Result<SequenceCheck, Refused> {
        let known = self.known.get(&header.producer_id);
        if let Some(duplicate) = known.and_then(|known| known.duplicate(header)) {
            return Ok(duplicate);
        }
        let transactional = header.attributes.is_transactional();
        let open = self.has_open(header.producer_id, header.producer_epoch);
        if transactional && !open && !verified {
            let why = "Record was not part of an ongoing transaction";
            return Err(Refused::new(ErrorCode::InvalidTxnState, why));
        }
        if let Some(known) = known
            && header.producer_epoch < known.epoch
        {
            let why = format!(
                "Epoch of producer {} is {}, which is smaller than the last seen epoch",
                header.producer_id, header.producer_epoch
            );
            return Err(Refused::new(ErrorCode::InvalidProducerEpoch, why));
        }
        self.check_sequence(header, known)?;
        if known.is_some_and(|known| known.transaction_start.is_some()) && !transactional {
            let why = format!("Expected transactional write from producer {}", header.producer_id);
            return Err(Refused::new(ErrorCode::InvalidTxnState, why));
        }
        Ok(SequenceCheck::Append)
    }

    fn check_sequence(
        &self,
        header: &BatchHeader,
        known: Option<&Producer>,
    ) -> Result<(), Refused> {
        let first = header.base_sequence;
        let in_order = match known {
            None => true,
            Some(known) if header.producer_epoch != known.epoch => first == 0,
            Some(known) => match known.batches.back() {
                Some(newest) => next_sequence(newest.last_sequence, 1) == first,
                // Its epoch is known from a marker alone.
                None => first == 0,
            },
        };
        let asked = self.verifying.get(&header.producer_id);
        let waits_for_lower = asked.is_some_and(|asked| {
            let remembers = known.is_some_and(|known| !known.batches.is_empty());
            first > asked.lowest_sequence || (asked.raises_epoch && first != 0 && !remembers)
        });
        if in_order && !waits_for_lower {
            return Ok(());
        }
        let why = format!(
            "Out of order sequence number for producer {}: {first} (incoming seq. number)",
            header.producer_id
        );
        Err(Refused::new(ErrorCode::OutOfOrderSequenceNumber, why))
    }

    /// Remembers a batch that was appended.
    pub(crate) fn appended(
        &mut self,
        header: &BatchHeader,
        base_offset: Offset,
        timestamp: Timestamp,
    ) {
        let id = header.producer_id;
        self.verifying.remove(&id);
        let producer = self.known.entry(id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.take_epoch(header.producer_epoch);
        producer.last_timestamp = timestamp;
        if header.attributes.is_transactional() && producer.transaction_start.is_none() {
            producer.transaction_start = Some(base_offset);
            self.open.insert((base_offset, id));
        }
        if producer.batches.len() == REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        producer.batches.push_back(WrittenBatch {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
            timestamp,
        });
    }

    /// Judges a write of the group coordinator inside a transaction: it has an epoch, but no
    /// sequence numbers.
    ///
    /// # Errors
    /// The epoch is old, or no transaction holds this partition.
    pub(crate) fn check_offsets(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        verified: bool,
    ) -> Result<(), ErrorCode> {
        if !self.has_open(id, epoch) && !verified {
            return Err(ErrorCode::InvalidTxnState);
        }
        match self.known.get(&id) {
            Some(known) if epoch < known.epoch => Err(ErrorCode::InvalidProducerEpoch),
            _ => Ok(()),
        }
    }

    /// Remembers a write of the group coordinator.
    pub(crate) fn offsets_written(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        at: Offset,
        time: Timestamp,
    ) {
        let producer = self.known.entry(id).or_insert_with(|| Producer::new(epoch));
        producer.take_epoch(epoch);
        producer.last_timestamp = time;
        if producer.transaction_start.is_none() {
            producer.transaction_start = Some(at);
            self.open.insert((at, id));
        }
    }

    /// Judges the end of a transaction.
    ///
    /// # Errors
    /// The marker's epoch is too low, or a newer coordinator has spoken.
    pub(crate) fn check_marker(&self, marker: &Marker) -> Result<(), ErrorCode> {
        let Some(known) = self.known.get(&marker.producer_id) else {
            return Ok(());
        };
        let old = match marker.raised {
            true => marker.epoch <= known.epoch,
            false => marker.epoch < known.epoch,
        };
        if old {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if known.coordinator_epoch > marker.coordinator_epoch {
            return Err(ErrorCode::TransactionCoordinatorFenced);
        }
        Ok(())
    }

    /// Ends a producer's transaction and gives its first offset, if it wrote anything here.
    pub(crate) fn ended(&mut self, marker: &Marker, time: Timestamp) -> Option<Offset> {
        let id = marker.producer_id;
        self.verifying.remove(&id);
        let producer = self.known.entry(id).or_insert_with(|| Producer::new(marker.epoch));
        producer.take_epoch(marker.epoch);
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp = time;
        let start = producer.transaction_start.take()?;
        self.open.remove(&(start, id));
        Some(start)
    }

    /// Forgets producers that have written nothing for `expiration` and have no transaction open.
    /// Looks only now and then, as Kafka does.
    pub(crate) fn expire(&mut self, wall: Timestamp, expiration: Duration) {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let due = self.next_sweep.is_some_and(|at| wall >= at);
        if due {
            let since = wall.0.saturating_sub(millis(expiration));
            self.known.retain(|_, producer| {
                producer.transaction_start.is_some() || producer.last_timestamp.0 > since
            });
        }
        if due || self.next_sweep.is_none() {
            self.next_sweep = Some(Timestamp(wall.0.saturating_add(millis(SWEEP_EVERY))));
        }
    }

    /// All producers, by id.
    pub(crate) fn active(&self) -> impl Iterator<Item = ActiveProducer> {
        self.known.iter().map(|(id, producer)| ActiveProducer {
            id: *id,
            epoch: producer.epoch,
            last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_start: producer.transaction_start,
        })
    }
}

impl Producer {
    fn duplicate(&self, header: &BatchHeader) -> Option<SequenceCheck> {
        if self.epoch != header.producer_epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let mut batches = self.batches.iter();
        let found = batches.find(|it| it.first_sequence == first && it.last_sequence == last)?;
        Some(SequenceCheck::Duplicate {
            base_offset: found.base_offset,
            timestamp: found.timestamp,
        })
    }
}
