//! Message sets of formats 0 and 1, read only.
//!
//! Layout of a message (`LegacyRecord.java`): offset 8, size 4, CRC-32 4, magic 1, attributes 1,
//! in format 1 a timestamp 8, key and value with 4 bytes of length each. A compressed message
//! holds a message set in its value; its own offset is that of the last message inside.

use millstream_types::{Offset, ProducerEpoch, ProducerId, Timestamp, TimestampType};

use super::header::{Attributes, LOG_OVERHEAD, MAGIC_AT, i32_at, i64_at};
use super::records::{Format, HeaderViews, Layout};
use super::{BatchError, BatchHeader, RecordDefect, RecordView};
use crate::compression::Compression;

/// The smallest length field of a message: one of format 0 with null key and null value.
pub(super) const LENGTH_MIN: usize = 14;

const CRC_AT: usize = 12;
const ATTRIBUTES_AT: usize = 17;
const TIMESTAMP_AT: usize = 18;

/// A message as it stands in its set.
pub(super) struct Message<'a> {
    pub(super) offset: i64,
    pub(super) magic: i8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    pub(super) fn view(self, layout: &Layout) -> RecordView<'a> {
        RecordView {
            offset: Offset(layout.base_offset.wrapping_add(self.offset)),
            timestamp: Timestamp(layout.append_time.unwrap_or(self.timestamp)),
            key: self.key,
            value: self.value,
            headers: HeaderViews::NONE,
        }
    }

    pub(super) const fn attributes(&self) -> Attributes {
        // The codec and the timestamp type have the bits that they have in format 2.
        Attributes((self.attributes & 0x0f) as i16)
    }
}

/// Reads the message at `*at` and moves `*at` behind it; `None` where its fields do not fit it.
/// The checksum is left alone: see [`checksum`].
pub(super) fn read_message<'a>(set: &'a [u8], at: &mut usize) -> Option<Message<'a>> {
    let message = set.get(*at..)?;
    let length = message.get(..LOG_OVERHEAD).map(|head| i32_at(head, 8))?;
    let size = LOG_OVERHEAD + usize::try_from(length).ok()?;
    let message = message.get(..size)?;
    let magic = *message.get(MAGIC_AT)? as i8;
    let attributes = *message.get(ATTRIBUTES_AT)?;
    let (timestamp, fields) = match magic {
        0 => (Timestamp::NONE.0, message.get(TIMESTAMP_AT..)?),
        1 => {
            let fields = message.get(TIMESTAMP_AT + 8..)?;
            (i64_at(message, TIMESTAMP_AT), fields)
        }
        _ => return None,
    };
    let (key, fields) = read_field(fields)?;
    let (value, fields) = read_field(fields)?;
    if !fields.is_empty() {
        return None;
    }
    *at += size;
    Some(Message { offset: i64_at(message, 0), magic, attributes, timestamp, key, value })
}

fn read_field(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    match usize::try_from(i32::from_be_bytes(*head)) {
        Ok(length) => {
            let (field, rest) = rest.split_at_checked(length)?;
            Some((Some(field), rest))
        }
        Err(_) => Some((None, rest)),
    }
}

/// The header of the message that fills `bytes`, which the caller found to be whole.
pub(super) fn header(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let offset = i64_at(bytes, 0);
    let message = read_message(bytes, &mut 0).ok_or(BatchError::Record {
        base_offset: offset,
        index: 0,
        defect: RecordDefect::Field,
    })?;
    Ok(BatchHeader {
        base_offset: Offset(offset),
        batch_length: i32_at(bytes, 8),
        partition_leader_epoch: None,
        magic: message.magic,
        crc: i32_at(bytes, CRC_AT) as u32,
        attributes: message.attributes(),
        last_offset_delta: 0,
        base_timestamp: Timestamp(message.timestamp),
        max_timestamp: Timestamp(message.timestamp),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count: 1,
    })
}

/// CRC-32 (IEEE) of the message that fills `bytes`, over all that its field covers.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[MAGIC_AT..]);
    crc.sum()
}

/// What a message set decompressed from `header`'s message was found to be.
pub(super) struct CheckedSet {
    pub(super) layout: Layout,
    pub(super) count: u32,
}

/// The layout of a message that is its own batch.
pub(super) const fn single() -> CheckedSet {
    CheckedSet {
        layout: Layout {
            format: Format::Legacy,
            base_offset: 0,
            base_timestamp: 0,
            append_time: None,
        },
        count: 1,
    }
}

/// Checks every message of a set that stood compressed in the message of `header`.
pub(super) fn check_set(header: &BatchHeader, set: &[u8]) -> Result<CheckedSet, BatchError> {
    let mut at = 0;
    let mut count = 0;
    let mut last = None;
    while at < set.len() {
        let start = at;
        let defect =
            |defect| BatchError::Record { base_offset: header.base_offset.0, index: count, defect };
        let message = read_message(set, &mut at).ok_or_else(|| defect(RecordDefect::Field))?;
        if checksum(&set[start..at]) != i32_at(&set[start..], CRC_AT) as u32 {
            return Err(defect(RecordDefect::Crc));
        }
        // `AbstractLegacyRecordBatch.DeepRecordsIterator` refuses both.
        let nested = message.attributes().compression() != Ok(Compression::None);
        if message.magic != header.magic || nested {
            return Err(defect(RecordDefect::Nested));
        }
        if last.is_some_and(|last| message.offset <= last) {
            return Err(defect(RecordDefect::Offset));
        }
        last = Some(message.offset);
        count += 1;
    }
    let Some(last) = last else {
        return Err(BatchError::Header {
            base_offset: header.base_offset.0,
            what: "a compressed message holds no messages",
        });
    };
    let appended = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    Ok(CheckedSet {
        layout: Layout {
            format: Format::Legacy,
            // Format 1 counts from the first message, format 0 says absolute offsets (KIP-31).
            base_offset: if header.magic == 0 {
                0
            } else {
                header.base_offset.0.wrapping_sub(last)
            },
            base_timestamp: 0,
            append_time: (header.magic == 1 && appended).then_some(header.max_timestamp.0),
        },
        count,
    })
}
