//! Where the record being processed came from.

use millstream_types::{Headers, Offset, PartitionId, Timestamp, TopicName};

/// The context of the record that is being processed (Java's `ProcessorRecordContext`).
///
/// A cached store keeps the context of an entry's last change, and logs and forwards with it.
/// The default is what a punctuation sees: no topic, and -1 for every number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordContext {
    /// The record's time.
    pub timestamp: Timestamp,
    /// Its place in its partition, -1 if it came from none.
    pub offset: Offset,
    /// Its partition, -1 if it came from none.
    pub partition: PartitionId,
    /// Its topic, if it came from one.
    pub topic: Option<TopicName>,
    /// Its headers.
    pub headers: Headers,
}

impl Default for RecordContext {
    fn default() -> Self {
        Self {
            timestamp: Timestamp(-1),
            offset: Offset(-1),
            partition: PartitionId(-1),
            topic: None,
            headers: Headers::new(),
        }
    }
}

impl RecordContext {
    /// Java's `residentMemorySizeEstimate`, which decides when its cache evicts.
    pub(crate) fn java_size(&self) -> usize {
        let topic = self.topic.as_ref().map_or(0, |topic| utf16_len(topic.as_str()));
        let headers: usize = self
            .headers
            .iter()
            .map(|header| utf16_len(&header.key) + header.value.as_ref().map_or(0, |v| v.len()))
            .sum();
        8 + 8 + 4 + topic + headers
    }

    /// Takes over `other`, without touching a reference count when the topic is the same.
    pub(crate) fn assign(&mut self, other: &Self) {
        self.timestamp = other.timestamp;
        self.offset = other.offset;
        self.partition = other.partition;
        if self.topic != other.topic {
            self.topic.clone_from(&other.topic);
        }
        if !(self.headers.is_empty() && other.headers.is_empty()) {
            self.headers.clone_from(&other.headers);
        }
    }
}

/// The length that Java gives a string.
fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}
