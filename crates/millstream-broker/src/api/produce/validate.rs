//! What is refused of a batch for itself, before its producer is looked at (`LogValidator.java`,
//! `UnifiedLog.analyzeAndValidateRecords`).

use bytes::{Bytes, BytesMut};
use millstream_protocol::ErrorCode;
use millstream_protocol::batch::{BatchHeader, BatchMut};
use millstream_protocol::compression::Compression;
use millstream_types::{Timestamp, TimestampType};

use crate::core::batch::{keyless_records, records_outside, verify};
use crate::core::configs::TopicConfigs;
use crate::core::state::Refused;

/// The first version that may carry zstd (KIP-110).
const ZSTD: i16 = 7;

/// Why nothing of a batch was taken.
#[derive(Debug)]
pub(super) enum Invalid {
    /// The batch as a whole.
    Batch(Refused),
    /// Some of its records, by their place, each for this reason (KIP-467).
    Records { code: ErrorCode, records: Vec<i32>, reason: &'static str },
}

impl From<Refused> for Invalid {
    fn from(refused: Refused) -> Self {
        Self::Batch(refused)
    }
}

/// Checks a batch and gives its header.
pub(super) fn validate(
    bytes: &Bytes,
    configs: &TopicConfigs,
    version: i16,
    wall: Timestamp,
) -> Result<BatchHeader, Invalid> {
    let header = verify(bytes)?;
    check(&header, bytes, configs, version)?;
    if configs.compacted {
        let records = keyless_records(bytes)?;
        if !records.is_empty() {
            let reason = "Compacted topic cannot accept message without key";
            return Err(Invalid::Records { code: ErrorCode::InvalidRecord, records, reason });
        }
    }
    if configs.timestamp_type == TimestampType::CreateTime {
        check_times(&header, bytes, configs, wall)?;
    }
    Ok(header)
}

fn check(
    header: &BatchHeader,
    bytes: &Bytes,
    configs: &TopicConfigs,
    version: i16,
) -> Result<(), Refused> {
    let refuse = |why: &str| Err(Refused::new(ErrorCode::InvalidRecord, why));
    if header.attributes.is_control() {
        return refuse("Clients are not allowed to write control records");
    }
    if header.producer_id.0 >= 0 && header.base_sequence < 0 {
        return refuse("A batch with a producer id needs a sequence number");
    }
    if version < ZSTD && header.attributes.compression() == Ok(Compression::Zstd) {
        return Err(Refused::new(
            ErrorCode::UnsupportedCompressionType,
            "Produce requests with version below 7 are not allowed to use ZStandard compression",
        ));
    }
    if bytes.len() > configs.max_message_bytes {
        let why = format!(
            "The record batch size is {} bytes which exceeds the maximum configured value of {}",
            bytes.len(),
            configs.max_message_bytes
        );
        return Err(Refused::new(ErrorCode::MessageTooLarge, why));
    }
    Ok(())
}

/// Records must not be dated too far from now (KIP-937). The records are opened only where the
/// header leaves a doubt.
fn check_times(
    header: &BatchHeader,
    bytes: &Bytes,
    configs: &TopicConfigs,
    wall: Timestamp,
) -> Result<(), Invalid> {
    let latest = wall.0.saturating_add(configs.timestamp_after_max);
    let earliest = wall.0.saturating_sub(configs.timestamp_before_max);
    let any_earlier = configs.timestamp_before_max != i64::MAX;
    if header.max_timestamp.0 <= latest && !any_earlier {
        return Ok(());
    }
    let records = records_outside(bytes, Timestamp(earliest), Timestamp(latest))?;
    if records.is_empty() {
        return Ok(());
    }
    let reason = "Timestamp is outside of what the topic admits";
    Err(Invalid::Records { code: ErrorCode::InvalidTimestamp, records, reason })
}

/// The batch with the broker's time in it.
pub(super) fn stamp(bytes: &Bytes, wall: Timestamp) -> Bytes {
    let mut copy = BytesMut::from(&bytes[..]);
    if let Ok(mut batch) = BatchMut::new(&mut copy) {
        batch.set_max_timestamp(TimestampType::LogAppendTime, wall);
    }
    copy.freeze()
}
