//! Stores of the test driver, as a test reads them.

use std::fmt;
use std::sync::Arc;

use millstream_state::{CommittedState, Direction, KeyRange, ValueFormat, timestamped};
use millstream_types::{Headers, Serde, SerdeError, Timestamp, TopicName};

use super::{TestDriverError, checked};
use crate::StoreSpec;
use crate::task::RecordPart;

/// A key-value store, read from outside. The driver commits after each record, so it shows
/// everything.
pub struct KeyValueReader<K, V> {
    spec: StoreSpec,
    committed: Arc<CommittedState>,
    key: Serde<K>,
    value: Serde<V>,
}

impl<K, V> KeyValueReader<K, V> {
    pub(super) const fn new(
        spec: StoreSpec,
        committed: Arc<CommittedState>,
        key: Serde<K>,
        value: Serde<V>,
    ) -> Self {
        Self { spec, committed, key, value }
    }

    /// The value of a key.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    #[must_use]
    pub fn get(&self, key: impl Into<K>) -> Option<V> {
        self.timestamped(key).map(|(value, _)| value)
    }

    /// The value of a key and its time, which is [`Timestamp::NONE`] in a store that keeps none.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    #[must_use]
    pub fn timestamped(&self, key: impl Into<K>) -> Option<(V, Timestamp)> {
        checked(self.find(&key.into()))
    }

    /// All keys and values, in the order of the keys' bytes.
    ///
    /// # Panics
    /// If one cannot be read.
    #[track_caller]
    #[must_use]
    pub fn all(&self) -> Vec<(K, V)> {
        checked(self.entries())
    }

    fn find(&self, key: &K) -> Result<Option<(V, Timestamp)>, TestDriverError> {
        let mut bytes = Vec::new();
        self.key
            .serializer()
            .serialize(self.topic(), &mut Headers::new(), key, &mut bytes)
            .map_err(|source| self.error(RecordPart::Key, source))?;
        let stored = self.committed.get(&bytes)?;
        stored.map(|stored| self.read(&stored)).transpose()
    }

    fn entries(&self) -> Result<Vec<(K, V)>, TestDriverError> {
        let all = self.committed.range(&KeyRange::all(), Direction::Forward)?;
        let mut entries = Vec::new();
        for entry in all {
            let (key, stored) = entry?;
            let key = self
                .key
                .deserializer()
                .deserialize(self.topic(), &Headers::new(), &key)
                .map_err(|source| self.error(RecordPart::Key, source))?;
            entries.push((key, self.read(&stored)?.0));
        }
        Ok(entries)
    }

    fn read(&self, stored: &[u8]) -> Result<(V, Timestamp), TestDriverError> {
        let (timestamp, bytes) = match self.spec.format {
            ValueFormat::Timestamped => timestamped::split(stored),
            ValueFormat::Plain => (Timestamp::NONE, stored),
        };
        let value = self
            .value
            .deserializer()
            .deserialize(self.topic(), &Headers::new(), bytes)
            .map_err(|source| self.error(RecordPart::Value, source))?;
        Ok((value, timestamp))
    }

    fn topic(&self) -> &str {
        let changelog = self.spec.changelog.as_ref();
        changelog.map_or(&self.spec.name, |topic| topic.as_str())
    }

    fn error(&self, part: RecordPart, source: SerdeError) -> TestDriverError {
        TestDriverError::Serde { topic: TopicName::from(self.topic()), part, source }
    }
}

impl<K, V> fmt::Debug for KeyValueReader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueReader").field("store", &self.spec.name).finish_non_exhaustive()
    }
}
