//! Adds operators to a topology in Java's order and checks them (`InternalTopologyBuilder`).

use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    Edge, Operator, OperatorKind, RepartitionDefinition, StoreDefinition, Topology, TopologyData,
    groups,
};
use crate::TopologyError;
use crate::operator::AnyFork;

/// A topology that is being written.
#[derive(Default)]
pub(crate) struct TopologyWriter {
    operators: Vec<Operator>,
    by_name: IndexMap<Arc<str>, usize>,
    stores: IndexMap<Arc<str>, (StoreDefinition, Arc<str>)>,
    repartition_topics: IndexMap<Arc<str>, RepartitionDefinition>,
}

impl TopologyWriter {
    /// Adds an operator behind those that are there.
    pub(crate) fn add(
        &mut self,
        name: Arc<str>,
        kind: OperatorKind,
        parents: Vec<Edge>,
        forks: Vec<Option<AnyFork>>,
    ) -> Result<usize, TopologyError> {
        let index = self.operators.len();
        if self.by_name.insert(name.clone(), index).is_some() {
            return Err(TopologyError::DuplicateOperator { name: name.to_string() });
        }
        self.operators.push(Operator { name, kind, parents, forks });
        Ok(index)
    }

    /// Adds a store that `operator` owns.
    pub(crate) fn add_store(
        &mut self,
        store: StoreDefinition,
        operator: &Arc<str>,
    ) -> Result<(), TopologyError> {
        if let Some((_, first)) = self.stores.get(&store.name) {
            return Err(TopologyError::DuplicateStore {
                store: store.name.to_string(),
                first: first.to_string(),
                second: operator.to_string(),
            });
        }
        self.stores.insert(store.name.clone(), (store, operator.clone()));
        Ok(())
    }

    /// Declares a repartition topic by its undecorated name.
    pub(crate) fn add_repartition_topic(
        &mut self,
        topic: Arc<str>,
        definition: RepartitionDefinition,
    ) -> Result<(), TopologyError> {
        if self.repartition_topics.contains_key(&topic) {
            return Err(TopologyError::RepartitionReused { topic: topic.to_string() });
        }
        self.repartition_topics.insert(topic, definition);
        Ok(())
    }

    /// The finished topology.
    pub(crate) fn finish(self) -> Topology {
        let groups = groups::group(&self.operators);
        Topology {
            data: Arc::new(TopologyData {
                operators: self.operators,
                stores: self.stores.into_iter().map(|(name, (store, _))| (name, store)).collect(),
                repartition_topics: self.repartition_topics,
                copartitioned: Vec::new(),
                groups,
            }),
        }
    }
}
