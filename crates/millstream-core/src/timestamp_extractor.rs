//! Where a record's time comes from: the extractors of Kafka Streams.

use millstream_types::{Headers, Timestamp};

/// A record that a source has read and that has no time yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExtractableRecord<'a, K, V> {
    /// Its key.
    pub key: Option<&'a K>,
    /// Its value.
    pub value: Option<&'a V>,
    /// Its headers.
    pub headers: &'a Headers,
    /// The time it carries.
    pub timestamp: Timestamp,
    /// The highest time seen in its partition so far, or [`Timestamp::NONE`].
    pub partition_time: Timestamp,
    /// The time of day.
    pub wall: Timestamp,
}

/// Decides the time of a record.
///
/// A negative time means that the record is left out and counted.
pub trait TimestampExtractor<K, V>: Send + Sync {
    /// The record's time.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] if the task is to fail.
    fn extract(&self, record: &ExtractableRecord<'_, K, V>) -> Result<Timestamp, InvalidTimestamp>;
}

/// A record without a usable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the timestamp {0} is invalid; choose another timestamp extractor for its topic")]
pub struct InvalidTimestamp(pub Timestamp);

/// Takes the record's own time; a negative one fails the task. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailOnInvalidTimestamp;

/// Takes the record's own time; a record with a negative one is left out and counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct SkipOnInvalidTimestamp;

/// Takes the record's own time, or the partition's where that is negative.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsePartitionTimeOnInvalidTimestamp;

/// Takes the time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallclockTimestampExtractor;

impl<K, V> TimestampExtractor<K, V> for FailOnInvalidTimestamp {
    fn extract(&self, record: &ExtractableRecord<'_, K, V>) -> Result<Timestamp, InvalidTimestamp> {
        if record.timestamp.value() < 0 {
            return Err(InvalidTimestamp(record.timestamp));
        }
        Ok(record.timestamp)
    }
}

impl<K, V> TimestampExtractor<K, V> for SkipOnInvalidTimestamp {
    fn extract(&self, record: &ExtractableRecord<'_, K, V>) -> Result<Timestamp, InvalidTimestamp> {
        Ok(record.timestamp)
    }
}

impl<K, V> TimestampExtractor<K, V> for UsePartitionTimeOnInvalidTimestamp {
    fn extract(&self, record: &ExtractableRecord<'_, K, V>) -> Result<Timestamp, InvalidTimestamp> {
        let own = Some(record.timestamp).filter(|time| time.value() >= 0);
        let timestamp = own.unwrap_or(record.partition_time);
        // Nothing is known of the partition either: Java fails here, too.
        if timestamp.value() < 0 {
            return Err(InvalidTimestamp(record.timestamp));
        }
        Ok(timestamp)
    }
}

impl<K, V> TimestampExtractor<K, V> for WallclockTimestampExtractor {
    fn extract(&self, record: &ExtractableRecord<'_, K, V>) -> Result<Timestamp, InvalidTimestamp> {
        Ok(record.wall)
    }
}
