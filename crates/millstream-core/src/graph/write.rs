//! Writes a graph to a topology (`InternalStreamsBuilder.buildAndOptimizeTopology`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use super::{Graph, NodeId, NodeKind, RepartitionNode};
use crate::TopologyError;
use crate::operator::AnyFork;
use crate::topology::{Edge, OperatorKind, RepartitionDefinition, Topology, TopologyWriter};

impl Graph {
    /// The topology of the program so far.
    pub(crate) fn build(&self) -> Result<Topology, TopologyError> {
        if let Some(error) = self.errors.first() {
            return Err(error.clone());
        }
        let mut writing = Writing {
            graph: self,
            merged: self.merged_sources()?,
            written: BTreeMap::new(),
            topology: TopologyWriter::default(),
        };
        let mut pending: BinaryHeap<_> = (0..self.nodes.len())
            .filter(|&index| self.nodes[index].parents.is_empty())
            .map(|index| Reverse((self.nodes[index].priority, NodeId(index))))
            .collect();
        while let Some(Reverse((_, id))) = pending.pop() {
            let parents = &self.nodes[id.0].parents;
            let ready = parents.iter().all(|&parent| writing.is_written(parent));
            if !ready || writing.is_written(id) {
                continue;
            }
            for written in writing.write(id)? {
                let children = self.nodes[written.0].children.iter();
                pending.extend(children.map(|&id| Reverse((self.nodes[id.0].priority, id))));
            }
        }
        Ok(writing.topology.finish())
    }
}

struct Writing<'a> {
    graph: &'a Graph,
    /// Sources that are part of an earlier one.
    merged: BTreeMap<NodeId, NodeId>,
    /// Where the children of a written node get their records from.
    written: BTreeMap<NodeId, Edge>,
    topology: TopologyWriter,
}

impl Writing<'_> {
    fn is_written(&self, id: NodeId) -> bool {
        self.written.contains_key(&id)
    }

    /// Writes a node; says which nodes are written by that.
    fn write(&mut self, id: NodeId) -> Result<Vec<NodeId>, TopologyError> {
        let node = &self.graph.nodes[id.0];
        let parents: Vec<Edge> =
            node.parents.iter().filter_map(|parent| self.written.get(parent).copied()).collect();
        let forks = vec![node.fork.clone()];
        let operator = match &node.kind {
            NodeKind::Source { .. } => return self.write_source(id),
            NodeKind::Processor { factory, store } => {
                let kind = OperatorKind::Processor {
                    stores: store.iter().map(|store| store.name.clone()).collect(),
                    factory: factory.clone(),
                };
                let operator = self.topology.add(node.name.clone(), kind, parents, forks)?;
                if let Some(store) = store {
                    self.topology.add_store(store.clone(), &node.name)?;
                }
                operator
            }
            NodeKind::Sink { topic, factory } => {
                let kind = OperatorKind::Sink { topic: topic.clone(), factory: factory.clone() };
                self.topology.add(node.name.clone(), kind, parents, forks)?
            }
            NodeKind::Repartition(repartition) => {
                self.write_repartition(repartition, parents, forks)?
            }
        };
        let edge = Edge { operator, output: 0 };
        self.written.insert(id, edge);
        Ok(vec![id])
    }

    /// A source takes in all later ones of the same topics, each as an output of its own.
    fn write_source(&mut self, id: NodeId) -> Result<Vec<NodeId>, TopologyError> {
        let node = &self.graph.nodes[id.0];
        let NodeKind::Source { topics, reset, .. } = &node.kind else {
            return Ok(Vec::new());
        };
        let readers = self.merged.iter().filter(|(_, into)| **into == id);
        let readers: Vec<NodeId> =
            [id].into_iter().chain(readers.map(|(&reader, _)| reader)).collect();
        let mut outputs = Vec::new();
        let mut forks = Vec::new();
        for reader in &readers {
            let reader = &self.graph.nodes[reader.0];
            if let NodeKind::Source { factory, .. } = &reader.kind {
                outputs.push(factory.clone());
                forks.push(reader.fork.clone());
            }
        }
        let kind = OperatorKind::Source { topics: topics.clone(), reset: *reset, outputs };
        let operator = self.topology.add(node.name.clone(), kind, Vec::new(), forks)?;
        for (output, &reader) in readers.iter().enumerate() {
            self.written.insert(reader, Edge { operator, output });
        }
        Ok(readers)
    }

    /// The filter, the sink, and, in the next sub-topology, the source.
    fn write_repartition(
        &mut self,
        repartition: &RepartitionNode,
        parents: Vec<Edge>,
        forks: Vec<Option<AnyFork>>,
    ) -> Result<usize, TopologyError> {
        let topic = &repartition.topic;
        self.topology.add_repartition_topic(topic.clone(), RepartitionDefinition::default())?;
        let filter =
            OperatorKind::Processor { stores: Vec::new(), factory: repartition.filter.clone() };
        let name = repartition.filter_name.clone();
        let filter = self.topology.add(name, filter, parents, vec![None])?;
        let sink = OperatorKind::Sink { topic: topic.clone(), factory: repartition.sink.clone() };
        let edge = Edge { operator: filter, output: 0 };
        let name = repartition.sink_name.clone();
        self.topology.add(name, sink, vec![edge], Vec::new())?;
        let source = OperatorKind::Source {
            topics: vec![Arc::clone(topic)],
            reset: None,
            outputs: vec![repartition.source.clone()],
        };
        let name = repartition.source_name.clone();
        self.topology.add(name, source, Vec::new(), forks)
    }
}
