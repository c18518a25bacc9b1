//! What a partition remembers of its idempotent producers (KIP-98): enough to answer a batch that
//! was sent twice and to refuse one that would leave a gap. The rules are those of
//! `ProducerStateManager.java` and `ProducerAppendInfo.java`.

use std::collections::{BTreeMap, VecDeque};

use millstream_protocol::batch::{BatchHeader, next_sequence};
use millstream_types::{Offset, ProducerEpoch, ProducerId, Timestamp};

/// How many batches of a producer are remembered: as many as may be in flight.
const REMEMBERED_BATCHES: usize = 5;

/// What becomes of a batch of an idempotent producer.
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
    /// A batch before it is missing.
    OutOfOrder,
    /// A newer producer uses the same id.
    Fenced,
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
    batches: VecDeque<WrittenBatch>,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers(BTreeMap<ProducerId, Producer>);

impl Producers {
    /// Judges a batch that carries a producer id.
    ///
    /// A producer that the partition does not know may start at any sequence number, as in Kafka:
    /// its earlier batches may have been deleted.
    pub(crate) fn check(&self, header: &BatchHeader) -> SequenceCheck {
        let Some(known) = self.0.get(&header.producer_id) else {
            return SequenceCheck::Append;
        };
        if header.producer_epoch < known.epoch {
            return SequenceCheck::Fenced;
        }
        if header.producer_epoch > known.epoch {
            return if header.base_sequence == 0 {
                SequenceCheck::Append
            } else {
                SequenceCheck::OutOfOrder
            };
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let duplicate = known
            .batches
            .iter()
            .find(|batch| batch.first_sequence == first && batch.last_sequence == last);
        if let Some(batch) = duplicate {
            return SequenceCheck::Duplicate {
                base_offset: batch.base_offset,
                timestamp: batch.timestamp,
            };
        }
        match known.batches.back() {
            Some(newest) if next_sequence(newest.last_sequence, 1) != first => {
                SequenceCheck::OutOfOrder
            }
            _ => SequenceCheck::Append,
        }
    }

    /// Remembers a batch that was appended.
    pub(crate) fn appended(
        &mut self,
        header: &BatchHeader,
        base_offset: Offset,
        timestamp: Timestamp,
    ) {
        let producer = self.0.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::with_capacity(REMEMBERED_BATCHES),
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
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

    /// Forgets batches from `end` on: the log was cut there.
    pub(crate) fn truncate(&mut self, end: Offset) {
        for producer in self.0.values_mut() {
            producer.batches.retain(|batch| batch.base_offset < end);
        }
        self.0.retain(|_, producer| !producer.batches.is_empty());
    }
}
