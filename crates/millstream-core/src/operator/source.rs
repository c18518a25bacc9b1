//! Sources: raw records become typed ones, one record ahead of processing (Java's `SourceNode` and
//! the head of its `RecordQueue`).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_types::{Deserializer, Headers, SerdeError, Timestamp};

use super::{Context, NodeBuilder, Output, SourceFactory, StreamRecord};
use crate::task::{RawRecord, RecordPart, TaskError};
use crate::timestamp_extractor::{ExtractableRecord, InvalidTimestamp, TimestampExtractor};

/// Makes [`StreamSource`]s.
pub(crate) struct StreamSourceFactory<K, V> {
    pub(crate) key: Arc<dyn Deserializer<K>>,
    pub(crate) value: Arc<dyn Deserializer<V>>,
    pub(crate) extractor: Arc<dyn TimestampExtractor<K, V>>,
}

/// What reads one topic for one typed stream: holds the head of the queue, ready to be processed.
pub(crate) trait SourceInput {
    /// Reads a raw record, makes it the head, and says its time.
    fn load(
        &mut self,
        topic: &str,
        raw: &RawRecord<'_>,
        partition_time: Timestamp,
        wall: Timestamp,
    ) -> Result<Timestamp, LoadError>;

    /// Gives the head the time that another typed stream of the topic extracted.
    fn set_timestamp(&mut self, timestamp: Timestamp);

    /// Processes the head to the end of every chain.
    fn process(&mut self, cx: &mut Context<'_>) -> Result<(), TaskError>;

    /// Drops the head.
    fn clear(&mut self);
}

/// A raw record that became no typed one.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// Key or value could not be read.
    Deserialize(RecordPart, SerdeError),
    /// It has no usable time.
    Timestamp(InvalidTimestamp),
}

struct StreamSource<K, V> {
    key: Arc<dyn Deserializer<K>>,
    value: Arc<dyn Deserializer<V>>,
    extractor: Arc<dyn TimestampExtractor<K, V>>,
    head: Option<StreamRecord<K, V>>,
    /// Shared by the topics of one source.
    next: Rc<RefCell<Output<K, V>>>,
}

impl<K: 'static, V: 'static> SourceFactory for StreamSourceFactory<K, V> {
    fn build(
        &self,
        node: &mut NodeBuilder<'_, '_>,
        output: usize,
        topics: usize,
    ) -> Result<Vec<Box<dyn SourceInput>>, TaskError> {
        let next = Rc::new(RefCell::new(node.numbered_output::<K, V>(output)?));
        let input = || -> Box<dyn SourceInput> {
            Box::new(StreamSource {
                key: self.key.clone(),
                value: self.value.clone(),
                extractor: self.extractor.clone(),
                head: None,
                next: next.clone(),
            })
        };
        Ok((0..topics).map(|_| input()).collect())
    }
}

impl<K, V> SourceInput for StreamSource<K, V> {
    fn load(
        &mut self,
        topic: &str,
        raw: &RawRecord<'_>,
        partition_time: Timestamp,
        wall: Timestamp,
    ) -> Result<Timestamp, LoadError> {
        let key = raw
            .key
            .map(|bytes| self.key.deserialize(topic, &raw.headers, bytes))
            .transpose()
            .map_err(|error| LoadError::Deserialize(RecordPart::Key, error))?;
        let value = raw
            .value
            .map(|bytes| self.value.deserialize(topic, &raw.headers, bytes))
            .transpose()
            .map_err(|error| LoadError::Deserialize(RecordPart::Value, error))?;
        let extractable = ExtractableRecord {
            key: key.as_ref(),
            value: value.as_ref(),
            headers: &raw.headers,
            timestamp: raw.timestamp,
            partition_time,
            wall,
        };
        let timestamp = self.extractor.extract(&extractable).map_err(LoadError::Timestamp)?;
        self.head = Some(StreamRecord { key, value, timestamp, headers: copied(&raw.headers) });
        Ok(timestamp)
    }

    fn set_timestamp(&mut self, timestamp: Timestamp) {
        if let Some(head) = &mut self.head {
            head.timestamp = timestamp;
        }
    }

    fn process(&mut self, cx: &mut Context<'_>) -> Result<(), TaskError> {
        match self.head.take() {
            Some(record) => self.next.borrow_mut().forward(cx, record),
            None => Ok(()),
        }
    }

    fn clear(&mut self) {
        self.head = None;
    }
}

/// A copy; most records have no headers, and none cost nothing.
fn copied(headers: &Headers) -> Headers {
    if headers.is_empty() { Headers::new() } else { headers.clone() }
}
