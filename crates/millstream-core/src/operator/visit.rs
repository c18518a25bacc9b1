//! `peek` and `foreach`: operators that show records to the program (Java's `KStreamPeek`,
//! `ForeachProcessor`).

use std::marker::PhantomData;
use std::sync::Arc;

use super::{AnyInput, Context, NodeBuilder, Output, Process, ProcessorFactory, StreamRecord};
use crate::task::{DropReason, TaskError};

/// Makes [`Peek`]s.
pub(crate) struct PeekFactory<K, V, F> {
    pub(crate) visitor: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V)>,
}

struct Peek<K, V, F> {
    visitor: Arc<F>,
    next: Output<K, V>,
}

impl<K, V, F> ProcessorFactory for PeekFactory<K, V, F>
where
    K: 'static,
    V: 'static,
    F: Fn(Option<&K>, &V) + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let peek = Peek { visitor: self.visitor.clone(), next: node.output::<K, V>()? };
        Ok(node.input(peek))
    }
}

impl<K, V, F: Fn(Option<&K>, &V)> Process<K, V> for Peek<K, V, F> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        if let Some(value) = &record.value {
            (self.visitor)(record.key.as_ref(), value);
        }
        self.next.forward(cx, record)
    }
}

/// Makes [`Foreach`]es.
pub(crate) struct ForeachFactory<K, V, F> {
    pub(crate) visitor: Arc<F>,
    pub(crate) types: PhantomData<fn(K, V)>,
}

struct Foreach<K, V, F> {
    visitor: Arc<F>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, F> ProcessorFactory for ForeachFactory<K, V, F>
where
    K: 'static,
    V: 'static,
    F: Fn(Option<K>, V) + Send + Sync + 'static,
{
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let foreach = Foreach { visitor: self.visitor.clone(), types: PhantomData };
        Ok(node.input::<K, V>(foreach))
    }
}

impl<K, V, F: Fn(Option<K>, V)> Process<K, V> for Foreach<K, V, F> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        record: StreamRecord<K, V>,
    ) -> Result<(), TaskError> {
        match record.value {
            Some(value) => (self.visitor)(record.key, value),
            None => cx.drop_record(DropReason::NullValue),
        }
        Ok(())
    }
}
