//! `filter` and `filter_not` (Java's `KStreamFilter`), and the filter before a repartition topic.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{AnyInput, Context, NodeBuilder, Output, Process, ProcessorFactory, StreamRecord};
use crate::task::{DropReason, TaskError};

/// Makes [`Filter`]s.
pub(crate) struct FilterFactory<K, V, F> {
    pub(crate) predicate: Arc<F>,
    /// Records pass for which the predicate says this.
    pub(crate) keep: bool,
    pub(crate) types: PhantomData<fn(K, V)>,
}

struct Filter<K, V, F> {
    predicate: Arc<F>,
    keep: bool,
    next: Output<K, V>,
}

impl<K, V, F> ProcessorFactory for FilterFactory<K, V, F>
where
    K: 'static,
    V: 'static,
    F: Fn(Option<&K>, &V) -> bool + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let filter = Filter {
            predicate: self.predicate.clone(),
            keep: self.keep,
            next: node.output::<K, V>()?,
        };
        Ok(node.input(filter))
    }
}

impl<K, V, F: Fn(Option<&K>, &V) -> bool> Process<K, V> for Filter<K, V, F> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        let Some(value) = &record.value else {
            cx.drop_record(DropReason::NullValue);
            return Ok(());
        };
        if (self.predicate)(record.key.as_ref(), value) == self.keep {
            self.next.forward(cx, record)
        } else {
            Ok(())
        }
    }
}

/// Makes the filter that keeps records without a key out of a repartition topic: they would have no
/// partition (Java's `OptimizableRepartitionNode`).
pub(crate) struct NonNullKeyFactory<K, V>(pub(crate) PhantomData<fn(K, V)>);

struct NonNullKey<K, V>(Output<K, V>);

impl<K: 'static, V: 'static> ProcessorFactory for NonNullKeyFactory<K, V> {
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let filter = NonNullKey(node.output::<K, V>()?);
        Ok(node.input(filter))
    }
}

impl<K, V> Process<K, V> for NonNullKey<K, V> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        if record.key.is_none() {
            cx.drop_record(DropReason::NullKey);
            return Ok(());
        }
        self.0.forward(cx, record)
    }
}
