//! The changelog: what a store writes to its topic, byte for byte as Java does.

use millstream_types::Timestamp;

use crate::{RecordContext, StoreError, timestamped};

/// How a store's values lie in its rows and in its changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueFormat {
    /// The value alone. Logged as it is, with the context's time (`ChangeLoggingKeyValueBytesStore`).
    Plain,
    /// Eight bytes of time, then the value. Logged as the value alone, with the value's time, a
    /// deletion with the context's (`ChangeLoggingTimestampedKeyValueBytesStore`).
    Timestamped,
}

/// One record for a changelog topic. Its partition is the task's; it has no headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangelogRecord<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// The value's bytes; none deletes the key.
    pub value: Option<&'a [u8]>,
    /// The record's time.
    pub timestamp: Timestamp,
}

/// Takes the changelog records of one store of one task, in order.
///
/// Whoever implements it knows the topic and the partition.
pub trait ChangelogSink {
    /// Appends a record.
    ///
    /// # Errors
    /// [`StoreError::Changelog`] if the record cannot be sent; the change is then not made.
    fn append(&mut self, record: ChangelogRecord<'_>) -> Result<(), StoreError>;
}

/// The sink of a store without a changelog: logging disabled, or a source topic in its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoChangelog;

impl ChangelogSink for NoChangelog {
    fn append(&mut self, _record: ChangelogRecord<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl ValueFormat {
    /// The record that logs a change of `key` to the stored bytes `value`.
    pub(crate) fn record<'a>(
        self,
        key: &'a [u8],
        value: Option<&'a [u8]>,
        context: &RecordContext,
    ) -> ChangelogRecord<'a> {
        let (timestamp, value) = match (self, value) {
            (Self::Timestamped, Some(stored)) => {
                let (timestamp, value) = timestamped::split(stored);
                (timestamp, Some(value))
            }
            (_, value) => (context.timestamp, value),
        };
        ChangelogRecord { key, value, timestamp }
    }
}
