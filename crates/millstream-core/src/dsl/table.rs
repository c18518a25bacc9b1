//! Tables: the latest value of each key.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use millstream_types::Serde;

use super::{KStream, Named};
use crate::graph::{NodeId, NodeKind, SharedGraph};
use crate::names::{self, check_name};
use crate::operator::{Fork, StreamRecord, TableChange, TableToStreamFactory};

/// A table with keys of type `K` and values of type `V`: what a stream of changes amounts to.
pub struct KTable<K, V> {
    graph: SharedGraph,
    node: NodeId,
    key: Option<Serde<K>>,
    value: Option<Serde<V>>,
    /// The name that the next verb's operator is to have.
    next_name: Option<Arc<str>>,
}

impl<K: 'static, V: 'static> KTable<K, V> {
    pub(super) const fn new(
        graph: SharedGraph,
        node: NodeId,
        key: Option<Serde<K>>,
        value: Option<Serde<V>>,
    ) -> Self {
        Self { graph, node, key, value, next_name: None }
    }

    /// Names the operator of the next verb (Java's `Named`).
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.next_name = Some(name.into().0);
        self
    }

    /// The table's changes as a stream; a deletion is a null value.
    #[must_use]
    pub fn to_stream(self) -> KStream<K, V> {
        let mut graph = self.graph.lock();
        let name = graph.names.or_generate(self.next_name, names::TO_STREAM);
        graph.note(check_name("operator", &name));
        let kind = NodeKind::Processor {
            factory: Arc::new(TableToStreamFactory::<K, V>(PhantomData)),
            store: None,
        };
        let node = graph.add(name, kind, Some(self.node));
        drop(graph);
        KStream::new(self.graph, node, self.key, self.value, false)
    }
}

/// A fork: both tables see every change.
impl<K: Clone + 'static, V: Clone + 'static> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        let fork: Fork<K, TableChange<V>> = StreamRecord::clone;
        self.graph.lock().set_fork(self.node, Arc::new(fork));
        Self {
            graph: self.graph.clone(),
            node: self.node,
            key: self.key.clone(),
            value: self.value.clone(),
            next_name: self.next_name.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KTable").field("node", &self.node).finish_non_exhaustive()
    }
}
