//! What a runtime needs to know of each sub-topology: topics under their real names, and stores.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use millstream_state::ValueFormat;
use millstream_types::{PartitionId, TopicName};

use super::internal_topics::{
    changelog_configs, changelog_topic, internal_topic, repartition_configs,
};
use super::{OperatorKind, StoreDefinition, TopologyData};

/// The number of a sub-topology, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubtopologyId(pub i32);

impl fmt::Display for SubtopologyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A task: one partition of a sub-topology. Printed as Java prints it: `0_3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The sub-topology.
    pub subtopology: SubtopologyId,
    /// The partition of all its inputs.
    pub partition: PartitionId,
}

impl TaskId {
    /// The task of this partition of this sub-topology.
    pub fn new(subtopology: impl Into<SubtopologyId>, partition: impl Into<PartitionId>) -> Self {
        Self { subtopology: subtopology.into(), partition: partition.into() }
    }
}

impl From<i32> for SubtopologyId {
    fn from(id: i32) -> Self {
        Self(id)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

/// Text that names no task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no task id, which looks like 0_3")]
pub struct ParseTaskIdError(String);

impl FromStr for TaskId {
    type Err = ParseTaskIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().ok().filter(|number: &i32| *number >= 0);
        text.split_once('_')
            .and_then(|(subtopology, partition)| {
                Some(Self {
                    subtopology: SubtopologyId(number(subtopology)?),
                    partition: PartitionId(number(partition)?),
                })
            })
            .ok_or_else(|| ParseTaskIdError(text.to_owned()))
    }
}

/// Where a group without a committed offset starts to read a source, against the application's
/// default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OffsetReset {
    /// At the oldest record.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// Nowhere: it is an error.
    None,
}

/// A topic of the application's user that a sub-topology reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTopic {
    /// The topic.
    pub name: TopicName,
    /// Where to start without a committed offset, if the source says.
    pub reset: Option<OffsetReset>,
}

/// A repartition topic that a sub-topology reads; Streams creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepartitionTopic {
    /// The topic's real name.
    pub name: TopicName,
    /// The number of partitions, if the program fixed it.
    pub partitions: Option<i32>,
    /// Its settings.
    pub configs: BTreeMap<String, String>,
}

/// The changelog of a store; Streams creates it, with a partition per task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogTopic {
    /// The store.
    pub store: Arc<str>,
    /// The topic's real name.
    pub name: TopicName,
    /// Its settings.
    pub configs: BTreeMap<String, String>,
}

/// A store that each task of a sub-topology has one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// The store's name.
    pub name: Arc<str>,
    /// How values lie in its rows and its changelog.
    pub format: ValueFormat,
    /// Whether a record cache lies on top.
    pub cached: bool,
    /// Its changelog topic, if it has one; the partition is the task's.
    pub changelog: Option<TopicName>,
}

/// One sub-topology, with all topics under their real names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtopology {
    /// Its number.
    pub id: SubtopologyId,
    /// The user's topics that it reads, by name.
    pub sources: Vec<SourceTopic>,
    /// The repartition topics that it reads, by name.
    pub repartition_sources: Vec<RepartitionTopic>,
    /// The repartition topics that it writes, by name.
    pub repartition_sinks: Vec<TopicName>,
    /// The user's topics that it writes, by name.
    pub sinks: Vec<TopicName>,
    /// The changelogs of its stores.
    pub changelogs: Vec<ChangelogTopic>,
    /// Its stores, in the order in which a task keeps them.
    pub stores: Vec<StoreSpec>,
    /// Sets of topics that must have equally many partitions.
    pub copartition_groups: Vec<BTreeSet<TopicName>>,
}

impl Subtopology {
    /// All topics that it reads, by name.
    #[must_use]
    pub fn input_topics(&self) -> Vec<TopicName> {
        let sources = self.sources.iter().map(|source| source.name.clone());
        let repartition = self.repartition_sources.iter().map(|topic| topic.name.clone());
        let topics: BTreeSet<_> = sources.chain(repartition).collect();
        topics.into_iter().collect()
    }
}

pub(super) fn subtopologies(topology: &TopologyData, application_id: &str) -> Vec<Subtopology> {
    (0..topology.groups.len()).map(|id| subtopology(topology, application_id, id)).collect()
}

fn subtopology(topology: &TopologyData, application_id: &str, id: usize) -> Subtopology {
    let mut parts = Parts::default();
    for &index in &topology.groups[id] {
        match &topology.operators[index].kind {
            OperatorKind::Source { topics, reset, .. } => {
                for topic in topics {
                    parts.read(topology, application_id, topic, *reset);
                }
            }
            OperatorKind::Sink { topic, .. } => parts.write(topology, application_id, topic),
            OperatorKind::Processor { .. } => {}
        }
    }
    let stores: Vec<_> = topology.stores_of(id).collect();
    let copartition_groups = parts.copartition_groups(topology, application_id);
    Subtopology {
        id: SubtopologyId(id as i32),
        sources: parts.sources.into_values().collect(),
        repartition_sources: parts.repartition_sources.into_values().collect(),
        repartition_sinks: parts.repartition_sinks.into_iter().collect(),
        sinks: parts.sinks.into_iter().collect(),
        changelogs: stores.iter().filter_map(|store| changelog(store, application_id)).collect(),
        copartition_groups,
        stores: stores.into_iter().map(|store| store.spec(application_id)).collect(),
    }
}

fn changelog(store: &StoreDefinition, application_id: &str) -> Option<ChangelogTopic> {
    Some(ChangelogTopic {
        store: store.name.clone(),
        name: changelog_topic(application_id, &store.name),
        configs: changelog_configs(store.logging.as_ref()?),
    })
}

impl StoreDefinition {
    pub(crate) fn spec(&self, application_id: &str) -> StoreSpec {
        StoreSpec {
            name: self.name.clone(),
            format: self.format,
            cached: self.cached,
            changelog: self.logging.as_ref().map(|_| changelog_topic(application_id, &self.name)),
        }
    }
}

impl TopologyData {
    /// The stores of a sub-topology, in the order they were added to the topology.
    pub(crate) fn stores_of(&self, group: usize) -> impl Iterator<Item = &StoreDefinition> {
        let used: BTreeSet<&Arc<str>> = self.groups[group]
            .iter()
            .filter_map(|&index| match &self.operators[index].kind {
                OperatorKind::Processor { stores, .. } => Some(stores),
                _ => None,
            })
            .flatten()
            .collect();
        self.stores.values().filter(move |store| used.contains(&store.name))
    }

    /// A topic's real name: decorated if it is internal.
    pub(crate) fn real_topic(&self, application_id: &str, topic: &str) -> TopicName {
        if self.repartition_topics.contains_key(topic) {
            internal_topic(application_id, topic)
        } else {
            topic.into()
        }
    }
}

/// The topics of a sub-topology, gathered operator by operator.
#[derive(Default)]
struct Parts {
    sources: BTreeMap<TopicName, SourceTopic>,
    repartition_sources: BTreeMap<TopicName, RepartitionTopic>,
    repartition_sinks: BTreeSet<TopicName>,
    sinks: BTreeSet<TopicName>,
}

impl Parts {
    fn read(
        &mut self,
        topology: &TopologyData,
        application_id: &str,
        topic: &str,
        reset: Option<OffsetReset>,
    ) {
        let name = topology.real_topic(application_id, topic);
        match topology.repartition_topics.get(topic) {
            Some(definition) => {
                let topic = RepartitionTopic {
                    name: name.clone(),
                    partitions: definition.partitions,
                    configs: repartition_configs(),
                };
                self.repartition_sources.insert(name, topic);
            }
            None => {
                let topic = SourceTopic { name: name.clone(), reset };
                self.sources.insert(name, topic);
            }
        }
    }

    fn write(&mut self, topology: &TopologyData, application_id: &str, topic: &str) {
        let name = topology.real_topic(application_id, topic);
        if topology.repartition_topics.contains_key(topic) {
            self.repartition_sinks.insert(name);
        } else {
            self.sinks.insert(name);
        }
    }

    fn copartition_groups(
        &self,
        topology: &TopologyData,
        application_id: &str,
    ) -> Vec<BTreeSet<TopicName>> {
        topology
            .copartitioned
            .iter()
            .map(|topics| {
                topics
                    .iter()
                    .map(|topic| topology.real_topic(application_id, topic))
                    .collect::<BTreeSet<_>>()
            })
            .filter(|group| {
                group.iter().any(|topic| {
                    self.sources.contains_key(topic) || self.repartition_sources.contains_key(topic)
                })
            })
            .collect()
    }
}
