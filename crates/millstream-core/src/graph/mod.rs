//! The program as the typed builder records it: what Java calls the graph of `GraphNode`s.
//!
//! Verbs add nodes and take names; nothing is decided yet. Building writes the nodes to a topology
//! in the order of their priorities (`write`), so that what a later verb demands of an earlier one
//! can still change it.

mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::TopologyError;
use crate::names::NameCounter;
use crate::operator::{AnyFork, ProcessorFactory, SourceFactory};
use crate::topology::{OffsetReset, StoreDefinition};

/// A graph that a builder and its streams share.
#[derive(Clone, Default)]
pub(crate) struct SharedGraph(Arc<Mutex<Graph>>);

impl SharedGraph {
    /// The graph. A panic in another thread leaves it as it is: nodes are added whole.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Graph> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

/// The program so far.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) names: NameCounter,
    nodes: Vec<GraphNode>,
    /// The next build priority: taken each time a node is added below another, also again.
    priority: usize,
    errors: Vec<TopologyError>,
}

/// One node.
struct GraphNode {
    name: Arc<str>,
    kind: NodeKind,
    parents: Vec<NodeId>,
    children: Vec<NodeId>,
    priority: usize,
    /// How its records are cloned, where the program cloned the stream.
    fork: Option<AnyFork>,
}

/// What a node becomes.
pub(crate) enum NodeKind {
    /// A source.
    Source { topics: Vec<Arc<str>>, reset: Option<OffsetReset>, factory: Arc<dyn SourceFactory> },
    /// An operator, with the store it owns.
    Processor { factory: Arc<dyn ProcessorFactory>, store: Option<StoreDefinition> },
    /// A topic between two sub-topologies.
    Repartition(RepartitionNode),
    /// A sink.
    Sink { topic: Arc<str>, factory: Arc<dyn ProcessorFactory> },
}

/// A repartition topic with the three operators around it (`OptimizableRepartitionNode`).
pub(crate) struct RepartitionNode {
    /// Undecorated.
    pub(crate) topic: Arc<str>,
    pub(crate) filter_name: Arc<str>,
    pub(crate) filter: Arc<dyn ProcessorFactory>,
    pub(crate) sink_name: Arc<str>,
    pub(crate) sink: Arc<dyn ProcessorFactory>,
    pub(crate) source_name: Arc<str>,
    pub(crate) source: Arc<dyn SourceFactory>,
}

impl Graph {
    /// Adds a node below `parent`, or below the root.
    pub(crate) fn add(&mut self, name: Arc<str>, kind: NodeKind, parent: Option<NodeId>) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(GraphNode {
            name,
            kind,
            parents: Vec::new(),
            children: Vec::new(),
            priority: 0,
            fork: None,
        });
        match parent {
            Some(parent) => self.attach(parent, id),
            None => self.prioritise(id),
        }
        id
    }

    /// Puts a node below `parent`, behind everything added so far, also if it is there already
    /// (`InternalStreamsBuilder.addGraphNode`).
    pub(crate) fn attach(&mut self, parent: NodeId, child: NodeId) {
        if !self.nodes[parent.0].children.contains(&child) {
            self.nodes[parent.0].children.push(child);
            self.nodes[child.0].parents.push(parent);
        }
        self.prioritise(child);
    }

    /// Notes how the records of a node's output are cloned.
    pub(crate) fn set_fork(&mut self, node: NodeId, fork: AnyFork) {
        self.nodes[node.0].fork = Some(fork);
    }

    /// Notes an error that building is to report.
    pub(crate) fn note(&mut self, checked: Result<(), TopologyError>) {
        self.errors.extend(checked.err());
    }

    fn prioritise(&mut self, node: NodeId) {
        self.nodes[node.0].priority = self.priority;
        self.priority += 1;
    }

    /// Sources that read the same topics as an earlier one, by what they are merged into
    /// (`mergeDuplicateSourceNodes`).
    fn merged_sources(&self) -> Result<BTreeMap<NodeId, NodeId>, TopologyError> {
        let mut readers: BTreeMap<&Arc<str>, NodeId> = BTreeMap::new();
        let mut merged = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let NodeKind::Source { topics, reset, .. } = &node.kind else {
                continue;
            };
            for topic in topics {
                let first = *readers.entry(topic).or_insert(NodeId(index));
                let first_node = &self.nodes[first.0];
                let NodeKind::Source { topics: first_topics, reset: first_reset, .. } =
                    &first_node.kind
                else {
                    continue;
                };
                if first.0 == index {
                    continue;
                }
                let (first_name, second_name) = (&first_node.name, &node.name);
                if !same_topics(first_topics, topics) {
                    return Err(TopologyError::OverlappingSources {
                        topic: topic.to_string(),
                        first: first_name.to_string(),
                        second: second_name.to_string(),
                    });
                }
                if first_reset != reset {
                    return Err(TopologyError::ConflictingReset {
                        topic: topic.to_string(),
                        first: first_name.to_string(),
                        second: second_name.to_string(),
                    });
                }
                merged.insert(NodeId(index), first);
            }
        }
        Ok(merged)
    }
}

fn same_topics(a: &[Arc<str>], b: &[Arc<str>]) -> bool {
    a.iter().all(|topic| b.contains(topic)) && b.iter().all(|topic| a.contains(topic))
}
