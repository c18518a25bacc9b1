//! `to_stream`: a table's changes as records (Java's `KTableImpl.toStream`).

use std::marker::PhantomData;

use super::{
    AnyInput, Context, NodeBuilder, Output, Process, ProcessorFactory, StreamRecord, TableChange,
};
use crate::task::TaskError;

/// Makes [`TableToStream`]s.
pub(crate) struct TableToStreamFactory<K, V>(pub(crate) PhantomData<fn(K, V)>);

struct TableToStream<K, V>(Output<K, V>);

impl<K: 'static, V: 'static> ProcessorFactory for TableToStreamFactory<K, V> {
    fn build(&self, node: &mut NodeBuilder<'_, '_>) -> Result<AnyInput, TaskError> {
        let to_stream = TableToStream(node.output::<K, V>()?);
        Ok(node.input::<K, TableChange<V>>(to_stream))
    }
}

impl<K, V> Process<K, TableChange<V>> for TableToStream<K, V> {
    fn process(
        &mut self,
        cx: &mut Context<'_>,
        mut record: StreamRecord<K, TableChange<V>>,
    ) -> Result<(), TaskError> {
        let new = record.value.take().and_then(|change| change.new);
        self.0.forward(cx, record.with_value(new))
    }
}
