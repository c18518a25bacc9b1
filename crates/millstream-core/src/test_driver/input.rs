//! Input topics of the test driver.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use millstream_types::{Headers, Serde, Timestamp, TopicName};

use super::{RawTestRecord, TestDriverError, TestRecord, World, checked};
use crate::task::RecordPart;

/// A topic that a test writes.
///
/// Records without a time get the topic's own, which starts at the driver's time of day and moves as
/// [`auto_advance`](Self::auto_advance) says.
pub struct TestInputTopic<K, V> {
    world: Rc<RefCell<World>>,
    topic: TopicName,
    key: Serde<K>,
    value: Serde<V>,
    /// The time of the next record that has none.
    time: RefCell<Timestamp>,
    advance: Duration,
}

impl<K, V> TestInputTopic<K, V> {
    pub(super) fn new(
        world: Rc<RefCell<World>>,
        topic: TopicName,
        key: Serde<K>,
        value: Serde<V>,
    ) -> Self {
        let time = RefCell::new(world.borrow().now.wall);
        Self { world, topic, key, value, time, advance: Duration::ZERO }
    }

    /// Moves the topic's time by this much after each record that takes it.
    #[must_use]
    pub const fn auto_advance(mut self, by: Duration) -> Self {
        self.advance = by;
        self
    }

    /// Pipes a record, at the topic's time.
    #[track_caller]
    pub fn pipe(&self, key: impl Into<K>, value: impl Into<V>) {
        let time = self.next_time();
        self.pipe_at(key, value, time);
    }

    /// Pipes a record.
    #[track_caller]
    pub fn pipe_at(&self, key: impl Into<K>, value: impl Into<V>, timestamp: impl Into<Timestamp>) {
        let record = TestRecord {
            key: Some(key.into()),
            value: Some(value.into()),
            timestamp: timestamp.into(),
            headers: Headers::new(),
        };
        self.pipe_record(record);
    }

    /// Pipes a record without a key, at the topic's time.
    #[track_caller]
    pub fn pipe_value(&self, value: impl Into<V>) {
        let record = TestRecord {
            key: None,
            value: Some(value.into()),
            timestamp: self.next_time(),
            headers: Headers::new(),
        };
        self.pipe_record(record);
    }

    /// Pipes any record.
    #[track_caller]
    pub fn pipe_record(&self, record: TestRecord<K, V>) {
        checked(self.try_pipe_record(record));
    }

    /// Pipes any record.
    ///
    /// # Errors
    /// [`TestDriverError`] if it cannot be written or processed.
    pub fn try_pipe_record(&self, record: TestRecord<K, V>) -> Result<(), TestDriverError> {
        let TestRecord { key, value, timestamp, mut headers } = record;
        let key = self.write(&self.key, RecordPart::Key, key, &mut headers)?;
        let value = self.write(&self.value, RecordPart::Value, value, &mut headers)?;
        self.pipe_raw(key, value, timestamp, headers)
    }

    /// Pipes a record of these bytes, also such as no serde would write.
    ///
    /// # Errors
    /// [`TestDriverError`] if it cannot be processed.
    pub fn pipe_raw(
        &self,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        timestamp: impl Into<Timestamp>,
        headers: Headers,
    ) -> Result<(), TestDriverError> {
        let record = RawTestRecord { key, value, timestamp: timestamp.into(), headers };
        self.world.borrow_mut().pipe(&self.topic, record)
    }

    fn write<T>(
        &self,
        serde: &Serde<T>,
        part: RecordPart,
        datum: Option<T>,
        headers: &mut Headers,
    ) -> Result<Option<Vec<u8>>, TestDriverError> {
        let Some(datum) = datum else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        serde
            .serializer()
            .serialize(self.topic.as_str(), headers, &datum, &mut bytes)
            .map_err(|source| TestDriverError::Serde { topic: self.topic.clone(), part, source })?;
        Ok(Some(bytes))
    }

    fn next_time(&self) -> Timestamp {
        let millis = i64::try_from(self.advance.as_millis()).unwrap_or(i64::MAX);
        let mut time = self.time.borrow_mut();
        let next = *time;
        *time = Timestamp(next.value().saturating_add(millis));
        next
    }
}

impl<K, V> fmt::Debug for TestInputTopic<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestInputTopic").field("topic", &self.topic).finish_non_exhaustive()
    }
}
