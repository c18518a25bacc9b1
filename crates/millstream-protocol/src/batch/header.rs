//! The header of a record batch: reading it whole, and patching the fields that a broker sets.
//!
//! Layout of format 2 (`DefaultRecordBatch.java`): base offset 8, length 4, partition leader epoch 4,
//! magic 1, CRC-32C 4, attributes 2, last offset delta 4, base timestamp 8, max timestamp 8,
//! producer id 8, producer epoch 2, base sequence 4, record count 4. The checksum covers
//! everything from the attributes on, so a broker sets base offset and leader epoch for free.

use millstream_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp, TimestampType};

use super::BatchError;
use crate::compression::Compression;

/// The bytes before the length field's own reach: base offset and length.
pub(super) const LOG_OVERHEAD: usize = 12;
/// The bytes of a format 2 header; records follow.
pub const BATCH_OVERHEAD: usize = 61;
/// Where the format's number stands, in every format.
pub(super) const MAGIC_AT: usize = 16;

const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const RECORD_COUNT_AT: usize = 57;

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    pub(super) const LOG_APPEND_TIME: i16 = 0x08;
    pub(super) const TRANSACTIONAL: i16 = 0x10;
    pub(super) const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;
    const CODEC: i16 = 0x07;

    /// The codec of the records; the bare number where Kafka has no such codec.
    ///
    /// # Errors
    /// The codec's number, when it is unknown.
    pub const fn compression(self) -> Result<Compression, u8> {
        let id = (self.0 & Self::CODEC) as u8;
        match Compression::from_id(id) {
            Some(compression) => Ok(compression),
            None => Err(id),
        }
    }

    /// Who set the records' timestamps.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction (KIP-98).
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds markers of the broker instead of records.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the first timestamp is a delete horizon (KIP-534).
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

/// The header of a batch.
///
/// Messages of formats 0 and 1 have fewer fields: what they lack reads as "none". The base offset of
/// a compressed message is the offset of its *last* record, because its first is written nowhere
/// outside; [`next_offset`](Self::next_offset) is right in every format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record that the batch was written with.
    pub base_offset: Offset,
    /// The bytes behind the length field.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch; none before a broker did.
    pub partition_leader_epoch: Option<LeaderEpoch>,
    /// The format: 0, 1 or 2.
    pub magic: i8,
    /// The checksum that stands in the batch.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// The last offset that the batch was written with, from the base; compaction keeps it.
    pub last_offset_delta: i32,
    /// The timestamp from which those of the records count.
    pub base_timestamp: Timestamp,
    /// The largest timestamp of the records; with log-append time, the timestamp of all.
    pub max_timestamp: Timestamp,
    /// The producer, or [`ProducerId::NONE`].
    pub producer_id: ProducerId,
    /// The producer's epoch, or [`ProducerEpoch::NONE`].
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// The number of records that the batch says it holds.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header of a format 2 batch from the front of `bytes`.
    ///
    /// # Errors
    /// When fewer than [`BATCH_OVERHEAD`] bytes are there, or the format is another.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(head) = bytes.first_chunk::<BATCH_OVERHEAD>() else {
            return Err(BatchError::Truncated { needed: BATCH_OVERHEAD, available: bytes.len() });
        };
        let base_offset = i64_at(head, 0);
        let magic = head[MAGIC_AT] as i8;
        if magic != 2 {
            return Err(BatchError::Magic { base_offset, magic });
        }
        let epoch = i32_at(head, EPOCH_AT);
        Ok(Self {
            base_offset: Offset(base_offset),
            batch_length: i32_at(head, LENGTH_AT),
            partition_leader_epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)),
            magic,
            crc: i32_at(head, CRC_AT) as u32,
            attributes: Attributes(i16_at(head, ATTRIBUTES_AT)),
            last_offset_delta: i32_at(head, LAST_OFFSET_DELTA_AT),
            base_timestamp: Timestamp(i64_at(head, BASE_TIMESTAMP_AT)),
            max_timestamp: Timestamp(i64_at(head, MAX_TIMESTAMP_AT)),
            producer_id: ProducerId(i64_at(head, PRODUCER_ID_AT)),
            producer_epoch: ProducerEpoch(i16_at(head, PRODUCER_EPOCH_AT)),
            base_sequence: i32_at(head, BASE_SEQUENCE_AT),
            record_count: i32_at(head, RECORD_COUNT_AT),
        })
    }

    /// The last offset that the batch was written with.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(self.last_offset_delta as i64))
    }

    /// The offset at which the log goes on behind this batch, also where compaction took records
    /// from its end.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// The sequence number of the last record, or -1 for a batch without.
    #[must_use]
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            -1
        } else {
            next_sequence(self.base_sequence, self.last_offset_delta)
        }
    }

    /// The time at which compaction may drop the batch's tombstones, where one is set (KIP-534).
    #[must_use]
    pub const fn delete_horizon(&self) -> Option<Timestamp> {
        if self.attributes.has_delete_horizon() { Some(self.base_timestamp) } else { None }
    }

    /// The bytes of the whole batch, header included.
    #[must_use]
    pub const fn size(&self) -> usize {
        LOG_OVERHEAD + self.batch_length as usize
    }
}

/// The sequence number `count` records behind `sequence`: after `i32::MAX` comes 0
/// (`DefaultRecordBatch.incrementSequence`).
#[must_use]
pub const fn next_sequence(sequence: i32, count: i32) -> i32 {
    ((sequence as i64 + count as i64) & i32::MAX as i64) as i32
}

/// A whole format 2 batch whose header may be changed: what a broker does when it appends one, and
/// a producer when it sends one again under another epoch.
#[derive(Debug)]
pub struct BatchMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> BatchMut<'a> {
    /// Takes the bytes of exactly one batch.
    ///
    /// # Errors
    /// When they are shorter than a header, or the format is another.
    pub fn new(bytes: &'a mut [u8]) -> Result<Self, BatchError> {
        BatchHeader::parse(bytes)?;
        Ok(Self { bytes })
    }

    /// Sets the offset of the first record. The checksum does not cover it.
    pub fn set_base_offset(&mut self, offset: Offset) {
        put(self.bytes, 0, offset.0.to_be_bytes());
    }

    /// Sets the epoch of the leader that appends the batch. The checksum does not cover it.
    pub fn set_partition_leader_epoch(&mut self, epoch: LeaderEpoch) {
        put(self.bytes, EPOCH_AT, epoch.0.to_be_bytes());
    }

    /// Sets the idempotent producer and the sequence number of the first record, and computes the
    /// checksum anew: for a batch that goes out again in another epoch.
    pub fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) {
        write_producer(self.bytes, id, epoch, base_sequence);
        write_crc(self.bytes);
    }

    /// Sets who gave the records their timestamps, and the largest one; computes the checksum anew
    /// if that changed anything. With log-append time, `max` is the time of all records.
    pub fn set_max_timestamp(&mut self, kind: TimestampType, max: Timestamp) {
        let old = i16_at(self.bytes, ATTRIBUTES_AT);
        let new = match kind {
            TimestampType::CreateTime => old & !Attributes::LOG_APPEND_TIME,
            TimestampType::LogAppendTime => old | Attributes::LOG_APPEND_TIME,
        };
        if new == old && i64_at(self.bytes, MAX_TIMESTAMP_AT) == max.0 {
            return;
        }
        put(self.bytes, ATTRIBUTES_AT, new.to_be_bytes());
        put(self.bytes, MAX_TIMESTAMP_AT, max.0.to_be_bytes());
        write_crc(self.bytes);
    }
}

/// The fields that a writer knows when it seals a batch.
pub(super) struct Head {
    pub(super) attributes: i16,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) record_count: i32,
}

/// Writes a whole header, all but the checksum, over the first bytes of a batch.
pub(super) fn write_head(bytes: &mut [u8], head: &Head) {
    let length = bytes.len() - LOG_OVERHEAD;
    put(bytes, 0, 0_i64.to_be_bytes());
    put(bytes, LENGTH_AT, (length as i32).to_be_bytes());
    put(bytes, EPOCH_AT, (-1_i32).to_be_bytes());
    bytes[MAGIC_AT] = 2;
    put(bytes, ATTRIBUTES_AT, head.attributes.to_be_bytes());
    put(bytes, LAST_OFFSET_DELTA_AT, (head.record_count - 1).to_be_bytes());
    put(bytes, BASE_TIMESTAMP_AT, head.base_timestamp.to_be_bytes());
    put(bytes, MAX_TIMESTAMP_AT, head.max_timestamp.to_be_bytes());
    put(bytes, RECORD_COUNT_AT, head.record_count.to_be_bytes());
    write_producer(bytes, ProducerId::NONE, ProducerEpoch::NONE, -1);
}

/// Writes the three fields of an idempotent producer.
pub(super) fn write_producer(
    bytes: &mut [u8],
    id: ProducerId,
    epoch: ProducerEpoch,
    sequence: i32,
) {
    put(bytes, PRODUCER_ID_AT, id.0.to_be_bytes());
    put(bytes, PRODUCER_EPOCH_AT, epoch.0.to_be_bytes());
    put(bytes, BASE_SEQUENCE_AT, sequence.to_be_bytes());
}

/// Sets or clears attribute bits.
pub(super) fn write_flag(bytes: &mut [u8], flag: i16, on: bool) {
    let old = i16_at(bytes, ATTRIBUTES_AT);
    let new = if on { old | flag } else { old & !flag };
    put(bytes, ATTRIBUTES_AT, new.to_be_bytes());
}

/// Computes the checksum of a whole batch and writes it.
pub(super) fn write_crc(bytes: &mut [u8]) {
    let crc = checksum(&bytes[ATTRIBUTES_AT..]);
    put(bytes, CRC_AT, crc.to_be_bytes());
}

/// CRC-32C (Castagnoli), the checksum of format 2.
#[inline]
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

#[inline]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// Reads a big-endian number; the caller has checked that its bytes are there.
#[inline]
pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array_at(bytes, at))
}

/// Reads a big-endian number; the caller has checked that its bytes are there.
#[inline]
pub(super) fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array_at(bytes, at))
}

/// Reads a big-endian number; the caller has checked that its bytes are there.
#[inline]
pub(super) fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        assert_eq!(next_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(next_sequence(5, 2), 7);
    }
}
