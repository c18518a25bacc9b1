//! Output topics of the test driver.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use millstream_types::{Headers, Serde, Timestamp, TopicName};

use super::{RawTestRecord, TestDriverError, World, checked};
use crate::task::RecordPart;

/// A record that a test writes or reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRecord<K, V> {
    /// The key.
    pub key: Option<K>,
    /// The value.
    pub value: Option<V>,
    /// The time.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
}

/// A topic that a test reads: each record once, in the order written.
pub struct TestOutputTopic<K, V> {
    world: Rc<RefCell<World>>,
    topic: TopicName,
    key: Serde<K>,
    value: Serde<V>,
}

impl<K, V> TestOutputTopic<K, V> {
    pub(super) const fn new(
        world: Rc<RefCell<World>>,
        topic: TopicName,
        key: Serde<K>,
        value: Serde<V>,
    ) -> Self {
        Self { world, topic, key, value }
    }

    /// The next record, if there is one.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    #[must_use]
    pub fn read_record(&self) -> Option<TestRecord<K, V>> {
        let raw = self.pop()?;
        Some(checked(self.decode(&raw)))
    }

    /// The next record as bytes, if there is one.
    #[must_use]
    pub fn read_raw(&self) -> Option<TestRecord<Vec<u8>, Vec<u8>>> {
        self.pop()
    }

    /// All records that are left.
    ///
    /// # Panics
    /// If one cannot be read.
    #[track_caller]
    #[must_use]
    pub fn read_all(&self) -> Vec<TestRecord<K, V>> {
        let mut records = Vec::new();
        while let Some(record) = self.read_record() {
            records.push(record);
        }
        records
    }

    /// Asserts that the next records have these keys and values.
    ///
    /// # Panics
    /// If there are fewer, or they are others.
    #[track_caller]
    pub fn assert_next<K2, V2>(&self, expected: impl IntoIterator<Item = (K2, V2)>)
    where
        K: PartialEq<K2> + fmt::Debug,
        V: PartialEq<V2> + fmt::Debug,
        K2: fmt::Debug,
        V2: fmt::Debug,
    {
        for (index, (key, value)) in expected.into_iter().enumerate() {
            let Some(record) = self.read_record() else {
                panic!(
                    "topic {} ends before record {index}, which should be ({key:?}, {value:?})",
                    self.topic
                );
            };
            let same = record.key.as_ref().is_some_and(|actual| *actual == key)
                && record.value.as_ref().is_some_and(|actual| *actual == value);
            assert!(
                same,
                "record {index} of topic {} is ({:?}, {:?}) and should be ({key:?}, {value:?})",
                self.topic, record.key, record.value
            );
        }
    }

    /// Asserts that no record is left.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert_eq!(self.len(), 0, "records left in topic {}", self.topic);
    }

    /// How many records are left.
    #[must_use]
    pub fn len(&self) -> usize {
        let world = self.world.borrow();
        world.written.get(&self.topic).map_or(0, |left| left.len())
    }

    /// Whether no record is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn pop(&self) -> Option<RawTestRecord> {
        let mut world = self.world.borrow_mut();
        world.written.get_mut(&self.topic)?.pop_front()
    }

    fn decode(&self, raw: &RawTestRecord) -> Result<TestRecord<K, V>, TestDriverError> {
        Ok(TestRecord {
            key: self.read(&self.key, RecordPart::Key, raw.key.as_deref(), raw)?,
            value: self.read(&self.value, RecordPart::Value, raw.value.as_deref(), raw)?,
            timestamp: raw.timestamp,
            headers: raw.headers.clone(),
        })
    }

    fn read<T>(
        &self,
        serde: &Serde<T>,
        part: RecordPart,
        bytes: Option<&[u8]>,
        raw: &RawTestRecord,
    ) -> Result<Option<T>, TestDriverError> {
        let topic = self.topic.as_str();
        bytes
            .map(|bytes| serde.deserializer().deserialize(topic, &raw.headers, bytes))
            .transpose()
            .map_err(|source| TestDriverError::Serde { topic: self.topic.clone(), part, source })
    }
}

impl<K, V> fmt::Debug for TestOutputTopic<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestOutputTopic")
            .field("topic", &self.topic)
            .field("left", &self.len())
            .finish_non_exhaustive()
    }
}
