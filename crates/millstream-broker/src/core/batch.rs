//! Looking at record batches: the checks of a broker, and finding a record by its time.

use bytes::Bytes;
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{BatchError, BatchHeader, CheckedBatch, RawBatch};
use millstream_protocol::compression::Decompressor;
use millstream_types::{Offset, Timestamp};

use super::log::StoredBatch;
use super::state::Refused;

/// The most bytes that a compressed batch may open to.
const DECOMPRESSED_MAX: usize = 256 * 1024 * 1024;

/// Proves that the bytes are exactly one batch of format 2 with a right checksum.
pub(crate) fn verify(bytes: &Bytes) -> Result<BatchHeader, Refused> {
    let batch = RawBatch::parse(bytes.clone()).map_err(refuse)?;
    if batch.header().magic < 2 {
        return Err(Refused::new(
            ErrorCode::InvalidRecord,
            "Produce requests are only allowed to contain record batches with magic version 2",
        ));
    }
    batch.verify().map_err(refuse)?;
    Ok(*batch.header())
}

fn refuse(error: BatchError) -> Refused {
    let code = match &error {
        // Not exactly one batch.
        BatchError::TrailingBytes { .. }
        | BatchError::Truncated { .. }
        | BatchError::Record { .. }
        | BatchError::Header { .. } => ErrorCode::InvalidRecord,
        _ => ErrorCode::CorruptMessage,
    };
    Refused::new(code, error.to_string())
}

/// The places in the batch of the records that have no key.
pub(crate) fn keyless_records(bytes: &Bytes) -> Result<Vec<i32>, Refused> {
    let checked = open(bytes.clone())?;
    let records = checked.records().zip(0..);
    Ok(records.filter(|(record, _)| record.key.is_none()).map(|(_, index)| index).collect())
}

/// The places in the batch of the records whose time is before `earliest` or after `latest`. A
/// record without a time is in order.
pub(crate) fn records_outside(
    bytes: &Bytes,
    earliest: Timestamp,
    latest: Timestamp,
) -> Result<Vec<i32>, Refused> {
    let checked = open(bytes.clone())?;
    let outside = |time: Timestamp| time != Timestamp::NONE && (time < earliest || time > latest);
    let records = checked.records().zip(0..);
    Ok(records.filter(|(record, _)| outside(record.timestamp)).map(|(_, index)| index).collect())
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundRecord {
    pub(crate) offset: Offset,
    pub(crate) timestamp: Timestamp,
}

/// The first record of a batch at or after both `time` and `from`.
pub(crate) fn first_since(
    batch: &StoredBatch,
    time: Timestamp,
    from: Offset,
) -> Option<FoundRecord> {
    let checked = open(batch.to_bytes()).ok()?;
    let mut records = checked.records();
    let found = records.find(|record| record.timestamp >= time && record.offset >= from)?;
    Some(FoundRecord { offset: found.offset, timestamp: found.timestamp })
}

fn open(bytes: Bytes) -> Result<CheckedBatch, Refused> {
    check(RawBatch::parse(bytes).map_err(refuse)?)
}

fn check(raw: RawBatch) -> Result<CheckedBatch, Refused> {
    CheckedBatch::check(raw, &mut Decompressor::new(DECOMPRESSED_MAX))
        .map_err(|bad| refuse(bad.error))
}
