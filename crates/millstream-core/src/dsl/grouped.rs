//! Grouped streams and what is made of them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use millstream_state::ValueFormat;
use millstream_types::{DefaultSerde, Serde};

use super::repartition::repartition;
use super::{Grouped, KTable, Materialized, Named};
use crate::graph::{Graph, NodeId, NodeKind, SharedGraph};
use crate::names::{self, check_name};
use crate::operator::{AggregateFactory, Fork, StreamRecord};
use crate::topology::StoreDefinition;

/// A stream whose records are gathered by key, to be aggregated.
pub struct KGroupedStream<K, V> {
    graph: SharedGraph,
    node: NodeId,
    grouped: Arc<Grouped<K, V>>,
    repartition_required: bool,
    /// The repartition that the aggregations of a named grouping share.
    repartition: Arc<OnceLock<NodeId>>,
    fork: Option<Fork<K, V>>,
    /// The name that the next verb's operator is to have.
    next_name: Option<Arc<str>>,
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    pub(super) fn new(
        graph: SharedGraph,
        node: NodeId,
        grouped: Grouped<K, V>,
        repartition_required: bool,
    ) -> Self {
        Self {
            graph,
            node,
            grouped: Arc::new(grouped),
            repartition_required,
            repartition: Arc::default(),
            fork: None,
            next_name: None,
        }
    }

    /// Names the operator of the next verb (Java's `Named`).
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.next_name = Some(name.into().0);
        self
    }

    /// Counts the records of each key, in a cached and logged store.
    #[must_use]
    pub fn count(self) -> KTable<K, i64> {
        self.counted(Materialized::new())
    }

    /// Counts the records of each key.
    #[must_use]
    pub fn count_with(self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        // KGroupedStreamImpl.count(Materialized) takes one name more than count() where the store
        // has none, and must go on doing so.
        if materialized.store.is_none() {
            self.graph.lock().names.store(names::AGGREGATE);
        }
        self.counted(materialized)
    }

    fn counted(self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        let serde = materialized.value.clone();
        let serde = serde.unwrap_or_else(i64::default_serde);
        self.aggregated(materialized, serde, || 0, |_, _, count| count + 1)
    }

    /// Aggregates by `adder`, from what `initializer` gives for a new key.
    fn aggregated<A: 'static>(
        self,
        materialized: Materialized<K, A>,
        value: Serde<A>,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        adder: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        let mut graph = self.graph.lock();
        let given = materialized.store.clone();
        if let Some(store) = &given {
            graph.note(check_name("store", store));
        }
        let store = given.unwrap_or_else(|| graph.names.store(names::AGGREGATE));
        let name = graph.names.or_generate(self.next_name.clone(), names::AGGREGATE);
        graph.note(check_name("operator", &name));
        let parent = self.repartitioned(&mut graph, &store);
        let key = materialized.key.unwrap_or_else(|| self.grouped.key.clone());
        let factory = AggregateFactory {
            store: store.clone(),
            cached: materialized.caching,
            key: key.clone(),
            aggregate: value.clone(),
            initializer: Arc::new(initializer),
            adder: Arc::new(adder),
            types: PhantomData,
        };
        let kind = NodeKind::Processor {
            factory: Arc::new(factory),
            store: Some(StoreDefinition {
                name: store,
                format: ValueFormat::Timestamped,
                cached: materialized.caching,
                logging: materialized.logging,
            }),
        };
        let node = graph.add(name, kind, Some(parent));
        drop(graph);
        KTable::new(self.graph, node, Some(key), Some(value))
    }

    /// Where the aggregation takes its records from: a repartition topic, if the key may have changed
    /// (`GroupedStreamAggregateBuilder.build`). The three names of one are taken even where a named
    /// grouping has it already.
    fn repartitioned(&self, graph: &mut Graph, store: &str) -> NodeId {
        if !self.repartition_required {
            return self.node;
        }
        let given = self.grouped.name.as_deref();
        let prefix = given.unwrap_or(store);
        let (source_name, kind) = repartition(graph, prefix, &self.grouped);
        let repartition = match self.repartition.get() {
            Some(&shared) if given.is_some() => {
                graph.attach(self.node, shared);
                shared
            }
            _ => {
                let node = graph.add(source_name, kind, Some(self.node));
                // Only a named one is looked for later; a second set changes nothing.
                let _ = self.repartition.set(node);
                node
            }
        };
        if let Some(fork) = self.fork {
            graph.set_fork(repartition, Arc::new(fork));
        }
        repartition
    }
}

/// Another aggregation of the same grouping: a fork.
impl<K: Clone + 'static, V: Clone + 'static> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        let fork: Fork<K, V> = StreamRecord::clone;
        self.graph.lock().set_fork(self.node, Arc::new(fork));
        Self {
            graph: self.graph.clone(),
            node: self.node,
            grouped: self.grouped.clone(),
            repartition_required: self.repartition_required,
            repartition: self.repartition.clone(),
            fork: Some(fork),
            next_name: self.next_name.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KGroupedStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KGroupedStream")
            .field("node", &self.node)
            .field("grouped", &self.grouped)
            .finish_non_exhaustive()
    }
}
