//! Aggregation into a timestamped key-value store (Java's `KStreamAggregate`, which `count` is a
//! case of, with its cache listener and `TimestampedTupleForwarder`).

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::{Change, FlushedEntry, RecordContext, timestamped};
use millstream_types::{Headers, Serde, Timestamp, TopicName};

use super::{
    AnyInput, CachedOperator, Context, NodeBuilder, Output, Process, ProcessorFactory,
    StreamRecord, TableChange,
};
use crate::task::{DropReason, RecordPart, TaskError};

/// Makes [`Aggregate`]s.
pub(crate) struct AggregateFactory<K, V, A, I, F> {
    pub(crate) store: Arc<str>,
    pub(crate) cached: bool,
    pub(crate) key: Serde<K>,
    pub(crate) aggregate: Serde<A>,
    pub(crate) initializer: Arc<I>,
    pub(crate) adder: Arc<F>,
    pub(crate) types: PhantomData<fn(V)>,
}

struct Aggregate<K, V, A, I, F> {
    initializer: Arc<I>,
    adder: Arc<F>,
    store: TableStore<K, A>,
    types: PhantomData<fn(V)>,
}

impl<K, V, A, I, F> ProcessorFactory for AggregateFactory<K, V, A, I, F>
where
    K: 'static,
    V: 'static,
    A: 'static,
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&K, V, A) -> A + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let slot = node.store_slot(&self.store)?;
        let aggregate = Aggregate {
            initializer: self.initializer.clone(),
            adder: self.adder.clone(),
            store: TableStore {
                slot,
                topic: node.store_topic(&self.store),
                cached: self.cached,
                key: self.key.clone(),
                value: self.aggregate.clone(),
                key_bytes: Vec::new(),
                next: node.output::<K, TableChange<A>>()?,
            },
            types: PhantomData,
        };
        if self.cached {
            Ok(node.cached_input::<K, V, _>(slot, aggregate))
        } else {
            Ok(node.input::<K, V>(aggregate))
        }
    }
}

impl<K, V, A, I, F> Process<K, V> for Aggregate<K, V, A, I, F>
where
    I: Fn() -> A,
    F: Fn(&K, V, A) -> A,
{
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        let Some(key) = record.key else {
            cx.drop_record(DropReason::NullKey);
            return Ok(());
        };
        let Some(value) = record.value else {
            cx.drop_record(DropReason::NullValue);
            return Ok(());
        };
        let (initializer, adder) = (&self.initializer, &self.adder);
        let add = |key: &K, old: Option<A>| {
            let old = old.unwrap_or_else(|| initializer());
            adder(key, value, old)
        };
        self.store.update(cx, key, record.timestamp, record.headers, add)
    }
}

impl<K, V, A, I, F> CachedOperator for Aggregate<K, V, A, I, F> {
    fn is_dirty(&self, cx: &mut Context<'_>) -> bool {
        cx.store(self.store.slot).store.is_dirty()
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), TaskError> {
        cx.store(self.store.slot).store.begin_flush();
        self.store.forward_flushed(cx)
    }
}

/// A table's store together with whoever listens to its changes: written, it forwards, at once or
/// when its cache is flushed.
struct TableStore<K, A> {
    slot: usize,
    /// The topic that serdes are told.
    topic: TopicName,
    cached: bool,
    key: Serde<K>,
    value: Serde<A>,
    key_bytes: Vec<u8>,
    next: Output<K, TableChange<A>>,
}

impl<K, A> TableStore<K, A> {
    /// Replaces the value of `key` by what `add` makes of it. The time is the later one of the
    /// stored value's and the record's.
    fn update(
        &mut self,
        cx: &mut Context<'_>,
        key: K,
        timestamp: Timestamp,
        mut headers: Headers,
        add: impl FnOnce(&K, Option<A>) -> A,
    ) -> Result<(), TaskError> {
        let topic = self.topic.as_str();
        self.key_bytes.clear();
        self.key
            .serializer()
            .serialize(topic, &mut headers, &key, &mut self.key_bytes)
            .map_err(|source| TaskError::serialize(topic, RecordPart::Key, source))?;
        cx.task.record.timestamp = timestamp;
        if !(headers.is_empty() && cx.task.record.headers.is_empty()) {
            cx.task.record.headers.clone_from(&headers);
        }
        let (serde, cached) = (&self.value, self.cached);
        let mut outcome = None;
        let mut access = cx.store(self.slot);
        access.store.update(
            &self.key_bytes,
            access.context,
            &mut access.log,
            |stored, out| -> Result<Change, TaskError> {
                let (old, timestamp) = read_old(serde, topic, stored, timestamp)?;
                let new = add(&key, old);
                timestamped::start(timestamp, out);
                serde
                    .serializer()
                    .serialize(topic, &mut Headers::new(), &new, out)
                    .map_err(|source| TaskError::serialize(topic, RecordPart::Value, source))?;
                outcome = Some((new, timestamp));
                Ok(Change::Put)
            },
        )?;
        if cached {
            return self.forward_evicted(cx);
        }
        let Some((new, timestamp)) = outcome else {
            return Ok(());
        };
        let change = StreamRecord {
            key: Some(key),
            value: Some(TableChange { new: Some(new), old: None }),
            timestamp,
            headers,
        };
        self.next.forward(cx, change)
    }

    #[inline]
    fn forward_evicted(&mut self, cx: &mut Context<'_>) -> Result<(), TaskError> {
        if cx.task.stores[self.slot].store.flush_pending() {
            self.forward_flushed(cx)
        } else {
            Ok(())
        }
    }

    /// Forwards every entry that leaves the cache, each with the context of its last change.
    fn forward_flushed(&mut self, cx: &mut Context<'_>) -> Result<(), TaskError> {
        loop {
            let mut access = cx.store(self.slot);
            let Some(entry) = access.store.next_flushed(&mut access.log)? else {
                return Ok(());
            };
            let (record, context) = self.change(entry)?;
            let outer = std::mem::replace(&mut cx.task.record, context);
            self.next.forward(cx, record)?;
            cx.task.record = outer;
        }
    }

    /// The change that a flushed entry is (`TimestampedCacheFlushListener`).
    fn change(
        &self,
        entry: FlushedEntry,
    ) -> Result<(StreamRecord<K, TableChange<A>>, RecordContext), TaskError> {
        let topic = self.topic.as_str();
        let headers = &entry.context.headers;
        let key = self
            .key
            .deserializer()
            .deserialize(topic, headers, &entry.key)
            .map_err(|source| TaskError::stored(topic, RecordPart::Key, source))?;
        let new =
            entry.new.as_deref().map(|stored| read(&self.value, topic, stored)).transpose()?;
        let old =
            entry.old.as_deref().map(|stored| read(&self.value, topic, stored)).transpose()?;
        let timestamp = match &new {
            Some((_, timestamp)) => *timestamp,
            None => entry.context.timestamp,
        };
        let record = StreamRecord {
            key: Some(key),
            value: Some(TableChange {
                new: new.map(|(value, _)| value),
                old: old.map(|(value, _)| value),
            }),
            timestamp,
            headers: headers.clone(),
        };
        Ok((record, entry.context))
    }
}

/// What was stored, and the time of what comes in its place.
fn read_old<A>(
    serde: &Serde<A>,
    topic: &str,
    stored: Option<&[u8]>,
    timestamp: Timestamp,
) -> Result<(Option<A>, Timestamp), TaskError> {
    let Some(stored) = stored else {
        return Ok((None, timestamp));
    };
    let (old, old_timestamp) = read(serde, topic, stored)?;
    Ok((Some(old), timestamp.max(old_timestamp)))
}

fn read<A>(serde: &Serde<A>, topic: &str, stored: &[u8]) -> Result<(A, Timestamp), TaskError> {
    let (timestamp, bytes) = timestamped::split(stored);
    let value = serde
        .deserializer()
        .deserialize(topic, &Headers::new(), bytes)
        .map_err(|source| TaskError::stored(topic, RecordPart::Value, source))?;
    Ok((value, timestamp))
}
