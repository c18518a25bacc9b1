//! `map_values` and `flat_map_values`: operators that keep the key (Java's `KStreamMapValues`,
//! `KStreamFlatMapValues`).

use std::marker::PhantomData;
use std::sync::Arc;

use super::{AnyInput, Context, NodeBuilder, Output, Process, ProcessorFactory, StreamRecord};
use crate::task::{DropReason, TaskError};

/// Makes [`MapValues`]s.
pub(crate) struct MapValuesFactory<K, V, V2, F> {
    pub(crate) mapper: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V) -> V2>,
}

struct MapValues<K, V, V2, F> {
    mapper: Arc<F>,
    next: Output<K, V2>,
    types: PhantomData<fn(V)>,
}

impl<K, V, V2, F> ProcessorFactory for MapValuesFactory<K, V, V2, F>
where
    K: 'static,
    V: 'static,
    V2: 'static,
    F: Fn(Option<&K>, V) -> V2 + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let map = MapValues {
            mapper: self.mapper.clone(),
            next: node.output::<K, V2>()?,
            types: PhantomData,
        };
        Ok(node.input::<K, V>(map))
    }
}

impl<K, V, V2, F: Fn(Option<&K>, V) -> V2> Process<K, V> for MapValues<K, V, V2, F> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        mut record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        // Nothing is made of nothing: a null value stays one.
        let value = record.value.take().map(|value| (self.mapper)(record.key.as_ref(), value));
        self.next.forward(cx, record.with_value(value))
    }
}

/// Makes [`FlatMapValues`]s.
pub(crate) struct FlatMapValuesFactory<K, V, V2, F> {
    pub(crate) mapper: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V) -> V2>,
}

struct FlatMapValues<K, V, V2, F> {
    mapper: Arc<F>,
    next: Output<K, V2>,
    types: PhantomData<fn(V)>,
}

impl<K, V, V2, I, F> ProcessorFactory for FlatMapValuesFactory<K, V, V2, F>
where
    K: Clone + 'static,
    V: 'static,
    V2: 'static,
    I: IntoIterator<Item = V2>,
    F: Fn(Option<&K>, V) -> I + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let map = FlatMapValues {
            mapper: self.mapper.clone(),
            next: node.output::<K, V2>()?,
            types: PhantomData,
        };
        Ok(node.input::<K, V>(map))
    }
}

impl<K, V, V2, I, F> Process<K, V> for FlatMapValues<K, V, V2, F>
where
    K: Clone,
    I: IntoIterator<Item = V2>,
    F: Fn(Option<&K>, V) -> I,
{
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        let StreamRecord { key, value, timestamp, headers } = record;
        let Some(value) = value else {
            cx.drop_record(DropReason::NullValue);
            return Ok(());
        };
        let mut values = (self.mapper)(key.as_ref(), value).into_iter();
        let Some(mut value) = values.next() else {
            return Ok(());
        };
        // All but the last take a copy of the key; the last takes the key.
        for next in values {
            let mapped = StreamRecord {
                key: key.clone(),
                value: Some(value),
                timestamp,
                headers: headers.clone(),
            };
            self.next.forward(cx, mapped)?;
            value = next;
        }
        let last = StreamRecord { key, value: Some(value), timestamp, headers };
        self.next.forward(cx, last)
    }
}
