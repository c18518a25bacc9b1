//! `to` and the writing half of a repartition: serialises records into buffers that are used again,
//! and sends them (Java's `SinkNode`).

use std::sync::Arc;

use millstream_types::{Headers, SerdeError, Serializer};

use super::{AnyInput, Context, NodeBuilder, Process, ProcessorFactory, StreamRecord};
use crate::task::{OutputRecord, OutputTopic, RecordPart, TaskError};

/// Makes [`Sink`]s.
pub(crate) struct SinkFactory<K, V> {
    pub(crate) topic: Arc<str>,
    pub(crate) key: Arc<dyn Serializer<K>>,
    pub(crate) value: Arc<dyn Serializer<V>>,
}

struct Sink<K, V> {
    topic: OutputTopic,
    key: Arc<dyn Serializer<K>>,
    value: Arc<dyn Serializer<V>>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K: 'static, V: 'static> ProcessorFactory for SinkFactory<K, V> {
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let sink = Sink {
            topic: node.sink_topic(&self.topic),
            key: self.key.clone(),
            value: self.value.clone(),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        };
        Ok(node.input(sink))
    }
}

impl<K, V> Process<K, V> for Sink<K, V> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        mut record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        // Java's SinkNode refuses a negative time: the broker would put its own.
        if record.timestamp.value() < 0 {
            return Err(TaskError::NegativeTimestamp {
                topic: self.topic.name.clone(),
                timestamp: record.timestamp,
            });
        }
        let topic = self.topic.name.as_str();
        let headers = &mut record.headers;
        let key = write(&*self.key, topic, headers, record.key.as_ref(), &mut self.key_bytes)
            .map_err(|source| TaskError::serialize(topic, RecordPart::Key, source))?;
        let value =
            write(&*self.value, topic, headers, record.value.as_ref(), &mut self.value_bytes)
                .map_err(|source| TaskError::serialize(topic, RecordPart::Value, source))?;
        cx.send(OutputRecord {
            topic: &self.topic,
            partition: None,
            timestamp: Some(record.timestamp),
            key,
            value,
            headers: &record.headers,
        })
    }
}

/// Writes what is there to `bytes`, over what was; null stays null.
fn write<'a, T>(
    serializer: &dyn Serializer<T>,
    topic: &str,
    headers: &mut Headers,
    datum: Option<&T>,
    bytes: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, SerdeError> {
    let Some(datum) = datum else {
        return Ok(None);
    };
    bytes.clear();
    serializer.serialize(topic, headers, datum, bytes)?;
    Ok(Some(bytes))
}
