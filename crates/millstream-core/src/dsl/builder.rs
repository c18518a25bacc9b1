//! Where a program starts: sources.

use std::fmt;
use std::sync::Arc;

use millstream_types::DefaultSerde;

use super::{Consumed, KStream};
use crate::TopologyError;
use crate::graph::{NodeKind, SharedGraph};
use crate::names::{self, check_name};
use crate::operator::StreamSourceFactory;
use crate::topology::Topology;

/// Builds a topology from typed streams.
///
/// ```
/// use millstream_core::StreamsBuilder;
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, String>("lines")
///     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
///     .group_by(|_, word| word.clone())
///     .count()
///     .to_stream()
///     .to("counts");
/// let topology = builder.build()?;
/// assert!(topology.describe().as_str().contains("KSTREAM-AGGREGATE-0000000004"));
/// # Ok::<(), millstream_core::TopologyError>(())
/// ```
#[derive(Default)]
pub struct StreamsBuilder {
    graph: SharedGraph,
}

impl StreamsBuilder {
    /// A builder of a topology without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a topic by the default serdes of its types.
    pub fn stream<K, V>(&self, topic: impl Into<Arc<str>>) -> KStream<K, V>
    where
        K: DefaultSerde + 'static,
        V: DefaultSerde + 'static,
    {
        self.stream_with(topic, Consumed::default())
    }

    /// Reads a topic.
    pub fn stream_with<K, V>(
        &self,
        topic: impl Into<Arc<str>>,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V>
    where
        K: 'static,
        V: 'static,
    {
        self.stream_of([topic], consumed)
    }

    /// Reads several topics as one stream.
    pub fn stream_of<K, V>(
        &self,
        topics: impl IntoIterator<Item = impl Into<Arc<str>>>,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V>
    where
        K: 'static,
        V: 'static,
    {
        let topics: Vec<Arc<str>> = topics.into_iter().map(Into::into).collect();
        let mut graph = self.graph.lock();
        let name = graph.names.or_generate(consumed.name.clone(), names::SOURCE);
        if topics.is_empty() {
            graph.note(Err(TopologyError::NoTopics { source_name: name.to_string() }));
        }
        graph.note(check_name("source", &name));
        for topic in &topics {
            graph.note(check_name("topic", topic));
        }
        let factory = StreamSourceFactory {
            key: consumed.key.deserializer().clone(),
            value: consumed.value.deserializer().clone(),
            extractor: consumed.extractor,
        };
        let kind = NodeKind::Source { topics, reset: consumed.reset, factory: Arc::new(factory) };
        let node = graph.add(name.clone(), kind, None);
        drop(graph);
        KStream::new(self.graph.clone(), node, Some(consumed.key), Some(consumed.value), false)
    }

    /// The topology of the program so far.
    ///
    /// # Errors
    /// [`TopologyError`] names the operators that do not fit.
    pub fn build(&self) -> Result<Topology, TopologyError> {
        self.graph.lock().build()
    }
}

impl fmt::Debug for StreamsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsBuilder").finish_non_exhaustive()
    }
}
