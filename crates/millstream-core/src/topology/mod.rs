//! The topology as data: operators in the order Java adds them, stores, internal topics, and what
//! is derived from them (sub-topologies, the described text, topic configurations).
//!
//! It knows nothing of types: operators are built from factories, per task (`operator`).

mod build;
mod describe;
mod groups;
mod internal_topics;
mod partitions;
mod subtopology;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use millstream_state::ValueFormat;

use crate::operator::{AnyFork, ProcessorFactory, SourceFactory};

pub(crate) use build::TopologyWriter;
pub use describe::TopologyDescription;
pub(crate) use internal_topics::changelog_topic;
pub use partitions::{PartitionCountError, PartitionCounts, partition_counts};
pub use subtopology::{
    ChangelogTopic, OffsetReset, ParseTaskIdError, RepartitionTopic, SourceTopic, StoreSpec,
    Subtopology, SubtopologyId, TaskId,
};

/// A built topology: immutable, cheap to clone, shared by all tasks.
#[derive(Clone)]
pub struct Topology {
    data: Arc<TopologyData>,
}

impl Topology {
    /// The topology as text, letter for letter as Java's `Topology.describe()` prints it.
    #[must_use]
    pub fn describe(&self) -> TopologyDescription {
        describe::describe(&self.data)
    }

    /// The parts that share no record but through topics, in order of their ids, with all topics
    /// under their real names for this application.
    #[must_use]
    pub fn subtopologies(&self, application_id: &str) -> Vec<Subtopology> {
        subtopology::subtopologies(&self.data, application_id)
    }

    pub(crate) fn data(&self) -> &TopologyData {
        &self.data
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology")
            .field("operators", &self.data.operators.len())
            .field("subtopologies", &self.data.groups.len())
            .finish_non_exhaustive()
    }
}

/// All of a topology, checked.
pub(crate) struct TopologyData {
    /// In the order of Java's `nodeFactories`.
    pub(crate) operators: Vec<Operator>,
    /// In the order they were added.
    pub(crate) stores: IndexMap<Arc<str>, StoreDefinition>,
    /// By undecorated name.
    pub(crate) repartition_topics: IndexMap<Arc<str>, RepartitionDefinition>,
    /// Undecorated or external topic names that must have equally many partitions.
    pub(crate) copartitioned: Vec<Vec<Arc<str>>>,
    /// Operators of each sub-topology, ascending.
    pub(crate) groups: Vec<Vec<usize>>,
}

/// An operator: Java's `NodeFactory`.
pub(crate) struct Operator {
    pub(crate) name: Arc<str>,
    pub(crate) kind: OperatorKind,
    pub(crate) parents: Vec<Edge>,
    /// By output: how its records are cloned, where the program cloned the stream.
    pub(crate) forks: Vec<Option<AnyFork>>,
}

/// Where an operator's input comes from: an output of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) operator: usize,
    /// Which of the other's outputs. Only a source that several streams read has more than one.
    pub(crate) output: usize,
}

/// What an operator is.
pub(crate) enum OperatorKind {
    /// Reads topics; one factory per typed stream that reads them.
    Source {
        topics: Vec<Arc<str>>,
        reset: Option<OffsetReset>,
        outputs: Vec<Arc<dyn SourceFactory>>,
    },
    /// Turns records into records.
    Processor { stores: Vec<Arc<str>>, factory: Arc<dyn ProcessorFactory> },
    /// Writes a topic.
    Sink { topic: Arc<str>, factory: Arc<dyn ProcessorFactory> },
}

/// A store and how it is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoreDefinition {
    pub(crate) name: Arc<str>,
    pub(crate) format: ValueFormat,
    pub(crate) cached: bool,
    /// The changelog's own settings; none if there is no changelog.
    pub(crate) logging: Option<BTreeMap<String, String>>,
}

/// A repartition topic, before its partitions are counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct RepartitionDefinition {
    /// The count the program fixed, if it did.
    pub(crate) partitions: Option<i32>,
}
