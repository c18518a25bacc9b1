//! `map`, `flat_map` and `select_key`: operators that change the key (Java's `KStreamMap`,
//! `KStreamFlatMap`).

use std::marker::PhantomData;
use std::sync::Arc;

use super::{AnyInput, Context, NodeBuilder, Output, Process, ProcessorFactory, StreamRecord};
use crate::task::{DropReason, TaskError};

/// Makes [`Map`]s.
pub(crate) struct MapFactory<K, V, K2, V2, F> {
    pub(crate) mapper: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V, K2, V2)>,
}

struct Map<K, V, K2, V2, F> {
    mapper: Arc<F>,
    next: Output<K2, V2>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, K2, V2, F> ProcessorFactory for MapFactory<K, V, K2, V2, F>
where
    K: 'static,
    V: 'static,
    K2: 'static,
    V2: 'static,
    F: Fn(Option<K>, V) -> (K2, V2) + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let map =
            Map { mapper: self.mapper.clone(), next: node.output::<K2, V2>()?, types: PhantomData };
        Ok(node.input::<K, V>(map))
    }
}

impl<K, V, K2, V2, F> Process<K, V> for Map<K, V, K2, V2, F>
where
    F: Fn(Option<K>, V) -> (K2, V2),
{
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        let Some(value) = record.value else {
            cx.drop_record(DropReason::NullValue);
            return Ok(());
        };
        let (key, value) = (self.mapper)(record.key, value);
        let mapped = StreamRecord {
            key: Some(key),
            value: Some(value),
            timestamp: record.timestamp,
            headers: record.headers,
        };
        self.next.forward(cx, mapped)
    }
}

/// Makes [`FlatMap`]s.
pub(crate) struct FlatMapFactory<K, V, K2, V2, F> {
    pub(crate) mapper: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V, K2, V2)>,
}

struct FlatMap<K, V, K2, V2, F> {
    mapper: Arc<F>,
    next: Output<K2, V2>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, K2, V2, I, F> ProcessorFactory for FlatMapFactory<K, V, K2, V2, F>
where
    K: 'static,
    V: 'static,
    K2: 'static,
    V2: 'static,
    I: IntoIterator<Item = (K2, V2)>,
    F: Fn(Option<K>, V) -> I + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let map = FlatMap {
            mapper: self.mapper.clone(),
            next: node.output::<K2, V2>()?,
            types: PhantomData,
        };
        Ok(node.input::<K, V>(map))
    }
}

impl<K, V, K2, V2, I, F> Process<K, V> for FlatMap<K, V, K2, V2, F>
where
    I: IntoIterator<Item = (K2, V2)>,
    F: Fn(Option<K>, V) -> I,
{
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        let Some(value) = record.value else {
            cx.drop_record(DropReason::NullValue);
            return Ok(());
        };
        let headers = record.headers;
        for (key, value) in (self.mapper)(record.key, value) {
            let mapped = StreamRecord {
                key: Some(key),
                value: Some(value),
                timestamp: record.timestamp,
                headers: headers.clone(),
            };
            self.next.forward(cx, mapped)?;
        }
        Ok(())
    }
}

/// Makes [`SelectKey`]s.
pub(crate) struct SelectKeyFactory<K, V, K2, F> {
    pub(crate) selector: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V) -> K2>,
}

struct SelectKey<K, V, K2, F> {
    selector: Arc<F>,
    next: Output<K2, V>,
    types: PhantomData<fn(K)>,
}

impl<K, V, K2, F> ProcessorFactory for SelectKeyFactory<K, V, K2, F>
where
    K: 'static,
    V: 'static,
    K2: 'static,
    F: Fn(Option<&K>, &V) -> K2 + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let select = SelectKey {
            selector: self.selector.clone(),
            next: node.output::<K2, V>()?,
            types: PhantomData,
        };
        Ok(node.input::<K, V>(select))
    }
}

impl<K, V, K2, F> Process<K, V> for SelectKey<K, V, K2, F>
where
    F: Fn(Option<&K>, &V) -> K2,
{
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        let Some(value) = &record.value else {
            cx.drop_record(DropReason::NullValue);
            return Ok(());
        };
        let key = (self.selector)(record.key.as_ref(), value);
        self.next.forward(cx, record.with_key(Some(key)))
    }
}
