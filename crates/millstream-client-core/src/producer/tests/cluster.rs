//! A model of a cluster's produce path: logs with Kafka's rules for idempotent producers.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{CheckedBatch, RawBatch};
use millstream_protocol::compression::Decompressor;

/// How many batches of a producer a log remembers (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const REMEMBERED: usize = 5;

/// The log of one partition.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    /// The values of its records, by offset.
    pub(super) records: Vec<Bytes>,
    producers: BTreeMap<i64, Producer>,
    /// The largest batch it takes (`max.message.bytes`).
    pub(super) max_batch: usize,
}

/// What a log knows of a producer.
#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// First and last sequence number, and base offset.
    batches: VecDeque<(i32, i32, i64)>,
}

/// What came of an append.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    pub(super) code: ErrorCode,
    pub(super) base_offset: i64,
}

impl Appended {
    pub(super) const fn error(code: ErrorCode) -> Self {
        Self { code, base_offset: -1 }
    }
}

impl Log {
    /// An empty log of this leader.
    pub(super) fn new(leader: i32) -> Self {
        Self { leader, max_batch: usize::MAX, ..Self::default() }
    }

    /// Appends a batch as `UnifiedLog.append` does.
    pub(super) fn append(&mut self, bytes: &Bytes) -> Appended {
        let raw = RawBatch::parse(bytes.clone()).expect("a whole batch");
        let batch = CheckedBatch::check(raw, &mut Decompressor::default()).expect("a valid batch");
        let header = *batch.header();
        if bytes.len() > self.max_batch {
            return Appended::error(ErrorCode::MessageTooLarge);
        }
        let (id, epoch) = (header.producer_id.value(), header.producer_epoch.value());
        let (first, last) = (header.base_sequence, header.last_sequence());
        if id >= 0 {
            match self.check_sequence(id, epoch, first, last) {
                Ok(Some(base_offset)) => {
                    // `analyzeAndValidateProducerState`: a duplicate is answered like its original.
                    return Appended { code: ErrorCode::None, base_offset };
                }
                Ok(None) => {}
                Err(code) => return Appended::error(code),
            }
        }
        let base_offset = self.records.len() as i64;
        for record in batch.records() {
            let value = record.value.expect("the tests write values");
            self.records.push(Bytes::copy_from_slice(value));
        }
        if id >= 0 {
            let producer =
                self.producers.entry(id).or_insert(Producer { epoch, batches: VecDeque::new() });
            if producer.epoch != epoch {
                producer.epoch = epoch;
                producer.batches.clear();
            }
            producer.batches.push_back((first, last, base_offset));
            if producer.batches.len() > REMEMBERED {
                producer.batches.pop_front();
            }
        }
        Appended { code: ErrorCode::None, base_offset }
    }

    /// `ProducerAppendInfo.checkProducerEpoch` and `checkSequence`; the offset of a duplicate.
    fn check_sequence(
        &self,
        id: i64,
        epoch: i16,
        first: i32,
        last: i32,
    ) -> Result<Option<i64>, ErrorCode> {
        let Some(producer) = self.producers.get(&id) else {
            return Ok(None);
        };
        if epoch < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if epoch > producer.epoch {
            return if first == 0 { Ok(None) } else { Err(ErrorCode::OutOfOrderSequenceNumber) };
        }
        let same = |batch: &&(i32, i32, i64)| batch.0 == first && batch.1 == last;
        if let Some((_, _, offset)) = producer.batches.iter().find(same) {
            return Ok(Some(*offset));
        }
        let expected = producer.batches.back().map(|(_, last, _)| next(*last));
        match expected {
            Some(expected) if expected != first => Err(ErrorCode::OutOfOrderSequenceNumber),
            _ => Ok(None),
        }
    }

    /// Forgets all producers, as when their records were deleted (retention, `DeleteRecords`).
    pub(super) fn forget_producers(&mut self) {
        self.producers.clear();
    }
}

fn next(sequence: i32) -> i32 {
    if sequence == i32::MAX { 0 } else { sequence + 1 }
}
