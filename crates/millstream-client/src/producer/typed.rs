//! A producer of one topic whose keys and values have types.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use millstream_client_core::producer::{Enqueue, InterceptedRecord};
use millstream_types::{Headers, Record, Serde, SerdeError, TopicName};

use super::blocking::block_on;
use super::{Delivery, EnqueueError, Producer, Receipt, SendError};

thread_local! {
    /// The bytes of a key and of a value, kept from record to record.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Writes typed keys and values to one topic, by [`Producer::topic`].
///
/// Key and value are serialised into buffers that the thread keeps, and copied from there into the
/// open batch: a record costs no allocation of ours.
pub struct TopicProducer<'p, K, V> {
    producer: &'p Producer,
    topic: TopicName,
    keys: Serde<K>,
    values: Serde<V>,
}

impl<'p, K, V> TopicProducer<'p, K, V> {
    pub(super) const fn new(
        producer: &'p Producer,
        topic: TopicName,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> Self {
        Self { producer, topic, keys, values }
    }

    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Accepts a record, as [`Producer::enqueue`] does.
    ///
    /// # Errors
    /// [`EnqueueError`]; [`EnqueueError::Serde`] where the key or the value has no bytes.
    ///
    /// # Cancel safety
    /// The record is accepted on the poll that returns ready. Dropped before that, nothing was
    /// accepted.
    pub async fn enqueue(&self, key: &K, value: &V) -> Result<Delivery, EnqueueError> {
        self.accept(Some(key), Some(value)).await
    }

    /// Accepts a record without waiting, as [`Producer::try_enqueue`] does.
    ///
    /// # Errors
    /// As [`Producer::try_enqueue`], and [`EnqueueError::Serde`].
    pub fn try_enqueue(&self, key: &K, value: &V) -> Result<Delivery, EnqueueError> {
        self.with_record(Some(key), Some(value), |record| self.producer.try_enqueue(record))
    }

    /// [`enqueue`](Self::enqueue) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_blocking(&self, key: &K, value: &V) -> Result<Delivery, EnqueueError> {
        block_on(self.enqueue(key, value))
    }

    /// Accepts a record and waits until it is acknowledged.
    ///
    /// # Errors
    /// [`SendError`]: it was not accepted, or not written, or nobody knows.
    ///
    /// # Cancel safety
    /// As [`Producer::send`].
    pub async fn send(&self, key: &K, value: &V) -> Result<Receipt, SendError> {
        Ok(self.enqueue(key, value).await?.await?)
    }

    /// [`send`](Self::send) for a thread without a runtime.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_blocking(&self, key: &K, value: &V) -> Result<Receipt, SendError> {
        block_on(self.send(key, value))
    }

    /// Accepts a tombstone, a record without a value, which deletes its key in a compacted topic.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    ///
    /// # Cancel safety
    /// As [`enqueue`](Self::enqueue).
    pub async fn delete(&self, key: &K) -> Result<Delivery, EnqueueError> {
        self.accept(Some(key), None).await
    }

    /// Accepts a record without a key.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    ///
    /// # Cancel safety
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_value(&self, value: &V) -> Result<Delivery, EnqueueError> {
        self.accept(None, Some(value)).await
    }

    async fn accept(&self, key: Option<&K>, value: Option<&V>) -> Result<Delivery, EnqueueError> {
        // The interceptors see a record once: those that may wait go the longer way at once.
        let has_interceptors = self.producer.shared.has_interceptors();
        let tried = self.with_record(key, value, |record| {
            if has_interceptors {
                return Ok(Err(InterceptedRecord::copy_of(record)));
            }
            match self.producer.try_enqueue(record) {
                Err(EnqueueError::Full { .. } | EnqueueError::TopicPending { .. }) => {
                    Ok(Err(InterceptedRecord::copy_of(record)))
                }
                done => done.map(Ok),
            }
        })?;
        match tried {
            Ok(delivery) => Ok(delivery),
            Err(kept) => Enqueue::new(&self.producer.shared, &kept.to_record()).await,
        }
    }

    /// Serialises a record into this thread's buffers.
    fn with_record<R>(
        &self,
        key: Option<&K>,
        value: Option<&V>,
        then: impl FnOnce(&Record<'_>) -> Result<R, EnqueueError>,
    ) -> Result<R, EnqueueError> {
        // A serde that itself produces finds the buffers taken: it works with others.
        let (mut key_bytes, mut value_bytes) = SCRATCH
            .with(|scratch| {
                scratch.try_borrow_mut().map(|mut scratch| std::mem::take(&mut *scratch))
            })
            .unwrap_or_default();
        key_bytes.clear();
        value_bytes.clear();
        let mut headers = Headers::new();
        let topic = self.topic.as_str();
        let serialised = self.serialise(key, value, &mut headers, &mut key_bytes, &mut value_bytes);
        let result = serialised.and_then(|()| {
            let record = Record::to(topic)
                .maybe_key(key.map(|_| &key_bytes[..]))
                .maybe_value(value.map(|_| &value_bytes[..]));
            let record = headers.iter().fold(record, |record, header| {
                record.maybe_header(&header.key, header.value.as_deref())
            });
            then(&record)
        });
        SCRATCH.with(|scratch| {
            if let Ok(mut scratch) = scratch.try_borrow_mut() {
                *scratch = (key_bytes, value_bytes);
            }
        });
        result
    }

    fn serialise(
        &self,
        key: Option<&K>,
        value: Option<&V>,
        headers: &mut Headers,
        key_bytes: &mut Vec<u8>,
        value_bytes: &mut Vec<u8>,
    ) -> Result<(), EnqueueError> {
        let topic = self.topic.as_str();
        let failed = |part| {
            move |error: SerdeError| EnqueueError::Serde {
                topic: self.topic.clone(),
                part,
                error: Arc::new(error),
            }
        };
        if let Some(key) = key {
            let serializer = self.keys.serializer();
            serializer.serialize(topic, headers, key, key_bytes).map_err(failed("key"))?;
        }
        if let Some(value) = value {
            let serializer = self.values.serializer();
            serializer.serialize(topic, headers, value, value_bytes).map_err(failed("value"))?;
        }
        Ok(())
    }
}

impl<K, V> Clone for TopicProducer<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            producer: self.producer,
            topic: self.topic.clone(),
            keys: self.keys.clone(),
            values: self.values.clone(),
        }
    }
}

impl<K, V> fmt::Debug for TopicProducer<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicProducer")
            .field("topic", &self.topic)
            .field("keys", &self.keys)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}
