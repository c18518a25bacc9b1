//! Streams of records.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use millstream_types::{DefaultSerde, Serde};

use super::{Grouped, KGroupedStream, Named, Produced};
use crate::TopologyError;
use crate::graph::{NodeId, NodeKind, SharedGraph};
use crate::names::{self, check_name};
use crate::operator::{
    FilterFactory, FlatMapFactory, FlatMapValuesFactory, ForeachFactory, Fork, MapFactory,
    MapValuesFactory, PeekFactory, ProcessorFactory, SelectKeyFactory, SinkFactory, StreamRecord,
};

/// A stream of records with keys of type `K` and values of type `V`.
///
/// Kafka's keys and values can be null. Closures are given the key as an [`Option`]. A record whose
/// value is null is not shown to closures that take the value: `map_values` and `peek` pass it on,
/// all others leave it out and count it.
///
/// A clone is a fork: both streams get every record.
pub struct KStream<K, V> {
    graph: SharedGraph,
    node: NodeId,
    key: Option<Serde<K>>,
    value: Option<Serde<V>>,
    /// Whether records may lie in another partition than their key says.
    repartition_required: bool,
    /// The name that the next verb's operator is to have.
    next_name: Option<Arc<str>>,
}

impl<K: 'static, V: 'static> KStream<K, V> {
    pub(super) const fn new(
        graph: SharedGraph,
        node: NodeId,
        key: Option<Serde<K>>,
        value: Option<Serde<V>>,
        repartition_required: bool,
    ) -> Self {
        Self { graph, node, key, value, repartition_required, next_name: None }
    }

    /// Names the operator of the next verb (Java's `Named`).
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.next_name = Some(name.into().0);
        self
    }

    /// Keeps the records for which `predicate` holds.
    pub fn filter<F>(self, predicate: F) -> Self
    where
        F: Fn(Option<&K>, &V) -> bool + Send + Sync + 'static,
    {
        self.filtered(predicate, true)
    }

    /// Keeps the records for which `predicate` does not hold.
    pub fn filter_not<F>(self, predicate: F) -> Self
    where
        F: Fn(Option<&K>, &V) -> bool + Send + Sync + 'static,
    {
        self.filtered(predicate, false)
    }

    fn filtered<F>(self, predicate: F, keep: bool) -> Self
    where
        F: Fn(Option<&K>, &V) -> bool + Send + Sync + 'static,
    {
        let factory = FilterFactory { predicate: Arc::new(predicate), keep, types: PhantomData };
        let node = self.add(names::FILTER, factory);
        let repartition = self.repartition_required;
        Self::new(self.graph, node, self.key, self.value, repartition)
    }

    /// Makes another record of each. The key may change, so a grouping or join below repartitions.
    pub fn map<K2, V2, F>(self, mapper: F) -> KStream<K2, V2>
    where
        K2: 'static,
        V2: 'static,
        F: Fn(Option<K>, V) -> (K2, V2) + Send + Sync + 'static,
    {
        let factory = MapFactory { mapper: Arc::new(mapper), types: PhantomData };
        let node = self.add(names::MAP, factory);
        KStream::new(self.graph, node, None, None, true)
    }

    /// Makes any number of records of each. Keys may change, as by [`map`](Self::map).
    pub fn flat_map<K2, V2, I, F>(self, mapper: F) -> KStream<K2, V2>
    where
        K2: 'static,
        V2: 'static,
        I: IntoIterator<Item = (K2, V2)>,
        F: Fn(Option<K>, V) -> I + Send + Sync + 'static,
    {
        let factory = FlatMapFactory { mapper: Arc::new(mapper), types: PhantomData };
        let node = self.add(names::FLAT_MAP, factory);
        KStream::new(self.graph, node, None, None, true)
    }

    /// Makes another value of each, under the same key.
    pub fn map_values<V2, F>(self, mapper: F) -> KStream<K, V2>
    where
        V2: 'static,
        F: Fn(V) -> V2 + Send + Sync + 'static,
    {
        self.map_values_with_key(move |_, value| mapper(value))
    }

    /// Makes another value of each, under the same key, which the closure may look at.
    pub fn map_values_with_key<V2, F>(self, mapper: F) -> KStream<K, V2>
    where
        V2: 'static,
        F: Fn(Option<&K>, V) -> V2 + Send + Sync + 'static,
    {
        let factory = MapValuesFactory { mapper: Arc::new(mapper), types: PhantomData };
        let node = self.add(names::MAP_VALUES, factory);
        KStream::new(self.graph, node, self.key, None, self.repartition_required)
    }

    /// Makes any number of values of each, under the same key.
    pub fn flat_map_values<V2, I, F>(self, mapper: F) -> KStream<K, V2>
    where
        K: Clone,
        V2: 'static,
        I: IntoIterator<Item = V2>,
        F: Fn(V) -> I + Send + Sync + 'static,
    {
        self.flat_map_values_with_key(move |_, value| mapper(value))
    }

    /// Makes any number of values of each, under the same key, which the closure may look at.
    pub fn flat_map_values_with_key<V2, I, F>(self, mapper: F) -> KStream<K, V2>
    where
        K: Clone,
        V2: 'static,
        I: IntoIterator<Item = V2>,
        F: Fn(Option<&K>, V) -> I + Send + Sync + 'static,
    {
        let factory = FlatMapValuesFactory { mapper: Arc::new(mapper), types: PhantomData };
        let node = self.add(names::FLAT_MAP_VALUES, factory);
        KStream::new(self.graph, node, self.key, None, self.repartition_required)
    }

    /// Gives each record another key. A grouping or join below repartitions.
    pub fn select_key<K2, F>(self, selector: F) -> KStream<K2, V>
    where
        K2: 'static,
        F: Fn(Option<&K>, &V) -> K2 + Send + Sync + 'static,
    {
        let factory = SelectKeyFactory { selector: Arc::new(selector), types: PhantomData };
        let node = self.add(names::SELECT_KEY, factory);
        KStream::new(self.graph, node, None, self.value, true)
    }

    /// Shows each record to `visitor` and passes it on.
    pub fn peek<F>(self, visitor: F) -> Self
    where
        F: Fn(Option<&K>, &V) + Send + Sync + 'static,
    {
        let factory = PeekFactory { visitor: Arc::new(visitor), types: PhantomData };
        let node = self.add(names::PEEK, factory);
        let repartition = self.repartition_required;
        Self::new(self.graph, node, self.key, self.value, repartition)
    }

    /// Hands each record to `visitor`.
    pub fn foreach<F>(self, visitor: F)
    where
        F: Fn(Option<K>, V) + Send + Sync + 'static,
    {
        let factory = ForeachFactory { visitor: Arc::new(visitor), types: PhantomData };
        self.add(names::FOREACH, factory);
    }

    /// Writes the records to a topic, by the stream's serdes, or the default ones of its types.
    pub fn to(self, topic: impl Into<Arc<str>>)
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        let key = self.key.clone().unwrap_or_else(K::default_serde);
        let value = self.value.clone().unwrap_or_else(V::default_serde);
        self.to_with(topic, Produced::with(key, value));
    }

    /// Writes the records to a topic.
    pub fn to_with(self, topic: impl Into<Arc<str>>, produced: Produced<K, V>) {
        let topic = topic.into();
        let mut graph = self.graph.lock();
        let given = produced.name.or(self.next_name);
        let name = graph.names.or_generate(given, names::SINK);
        graph.note(check_name("sink", &name));
        graph.note(check_name("topic", &topic));
        let factory = SinkFactory {
            topic: topic.clone(),
            key: produced.key.serializer().clone(),
            value: produced.value.serializer().clone(),
        };
        let kind = NodeKind::Sink { topic, factory: Arc::new(factory) };
        graph.add(name, kind, Some(self.node));
    }

    /// Groups the records by their key; repartitions if the key may have changed.
    #[must_use]
    pub fn group_by_key(self) -> KGroupedStream<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        let key = self.key.clone().unwrap_or_else(K::default_serde);
        let value = self.value.clone().unwrap_or_else(V::default_serde);
        self.group_by_key_with(Grouped::with(key, value))
    }

    /// Groups the records by their key; repartitions if the key may have changed.
    #[must_use]
    pub fn group_by_key_with(self, grouped: Grouped<K, V>) -> KGroupedStream<K, V> {
        self.check_grouping(&grouped);
        KGroupedStream::new(self.graph, self.node, grouped, self.repartition_required)
    }

    /// Groups the records by a new key; repartitions.
    pub fn group_by<K2, F>(self, selector: F) -> KGroupedStream<K2, V>
    where
        K2: DefaultSerde + 'static,
        V: DefaultSerde,
        F: Fn(Option<&K>, &V) -> K2 + Send + Sync + 'static,
    {
        let value = self.value.clone().unwrap_or_else(V::default_serde);
        let grouped = Grouped::with(K2::default_serde(), value);
        self.group_by_with(selector, grouped)
    }

    /// Groups the records by a new key; repartitions.
    pub fn group_by_with<K2, F>(
        mut self,
        selector: F,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V>
    where
        K2: 'static,
        F: Fn(Option<&K>, &V) -> K2 + Send + Sync + 'static,
    {
        // Grouped's name is the selecting operator's name, too.
        if grouped.name.is_some() {
            self.next_name.clone_from(&grouped.name);
        }
        let selected = self.select_key(selector);
        KGroupedStream::new(selected.graph, selected.node, grouped, true)
    }

    fn check_grouping(&self, grouped: &Grouped<K, V>) {
        let mut graph = self.graph.lock();
        if let Some(name) = &grouped.name {
            graph.note(check_name("grouping", name));
        }
        if let Some(name) = &self.next_name {
            graph.note(Err(TopologyError::UnusedName {
                name: name.to_string(),
                verb: "group_by_key",
            }));
        }
    }

    /// Adds an operator below this stream.
    fn add(&self, prefix: &str, factory: impl ProcessorFactory + 'static) -> NodeId {
        let mut graph = self.graph.lock();
        let name = graph.names.or_generate(self.next_name.clone(), prefix);
        graph.note(check_name("operator", &name));
        let kind = NodeKind::Processor { factory: Arc::new(factory), store: None };
        graph.add(name, kind, Some(self.node))
    }
}

/// A fork: both streams get every record, the one built on first gets it first.
impl<K: Clone + 'static, V: Clone + 'static> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        let fork: Fork<K, V> = StreamRecord::clone;
        self.graph.lock().set_fork(self.node, Arc::new(fork));
        Self {
            graph: self.graph.clone(),
            node: self.node,
            key: self.key.clone(),
            value: self.value.clone(),
            repartition_required: self.repartition_required,
            next_name: self.next_name.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KStream")
            .field("node", &self.node)
            .field("repartition_required", &self.repartition_required)
            .finish_non_exhaustive()
    }
}
