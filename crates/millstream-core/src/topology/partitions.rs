//! How many partitions each internal topic gets, and how many tasks each sub-topology
//! (`RepartitionTopics`, `CopartitionedTopicsEnforcer`).

use std::collections::BTreeMap;

use millstream_types::TopicName;

use super::{Subtopology, SubtopologyId};

/// Partitions of all internal topics, and tasks of all sub-topologies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// Partitions of each repartition topic and changelog.
    pub topics: BTreeMap<TopicName, i32>,
    /// Tasks of each sub-topology.
    pub tasks: BTreeMap<SubtopologyId, i32>,
}

/// Partition counts that cannot be worked out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionCountError {
    /// A source topic is not there.
    #[error("source topic {topic} does not exist; create it before the application starts")]
    MissingSource {
        /// The topic.
        topic: TopicName,
    },
    /// No topic determines the count of a repartition topic.
    #[error(
        "the partitions of repartition topic {topic} cannot be worked out: nothing with a known number of partitions is written to it; fix the number in the program"
    )]
    Undetermined {
        /// The topic.
        topic: TopicName,
    },
    /// Topics that are joined have different counts.
    #[error(
        "topics {first} ({first_partitions} partitions) and {second} ({second_partitions}) must have equally many partitions; repartition one of them"
    )]
    NotCopartitioned {
        /// One topic.
        first: TopicName,
        /// Its partitions.
        first_partitions: i32,
        /// The other topic.
        second: TopicName,
        /// Its partitions.
        second_partitions: i32,
    },
}

/// Works out the partitions of all internal topics; `existing` knows the user's topics.
///
/// # Errors
/// [`PartitionCountError`] names the topic that is missing or does not fit.
pub fn partition_counts(
    subtopologies: &[Subtopology],
    existing: impl Fn(&TopicName) -> Option<i32>,
) -> Result<PartitionCounts, PartitionCountError> {
    let mut known = BTreeMap::new();
    for source in subtopologies.iter().flat_map(|sub| &sub.sources) {
        let Some(partitions) = existing(&source.name) else {
            return Err(PartitionCountError::MissingSource { topic: source.name.clone() });
        };
        known.insert(source.name.clone(), partitions);
    }
    let external = known.clone();
    let mut fixed = BTreeMap::new();
    for topic in subtopologies.iter().flat_map(|sub| &sub.repartition_sources) {
        if let Some(partitions) = topic.partitions {
            fixed.insert(topic.name.clone(), partitions);
        }
    }
    known.extend(fixed.clone());
    infer(subtopologies, &mut known)?;
    for group in subtopologies.iter().flat_map(|sub| &sub.copartition_groups) {
        let partitions = copartitions(group.iter(), &external, &fixed, &known)?;
        for topic in group {
            known.insert(topic.clone(), partitions);
        }
    }
    Ok(collect(subtopologies, known, &external))
}

/// Gives each repartition topic the most partitions of what is written to it, until all have one.
fn infer(
    subtopologies: &[Subtopology],
    known: &mut BTreeMap<TopicName, i32>,
) -> Result<(), PartitionCountError> {
    loop {
        let mut progress = false;
        let mut undetermined = None;
        for topic in subtopologies.iter().flat_map(|sub| &sub.repartition_sources) {
            if known.contains_key(&topic.name) {
                continue;
            }
            let writers =
                subtopologies.iter().filter(|sub| sub.repartition_sinks.contains(&topic.name));
            let most = writers
                .flat_map(Subtopology::input_topics)
                .filter_map(|input| known.get(&input).copied())
                .max();
            match most {
                Some(partitions) => {
                    known.insert(topic.name.clone(), partitions);
                    progress = true;
                }
                None => undetermined = Some(topic.name.clone()),
            }
        }
        match undetermined {
            None => return Ok(()),
            Some(topic) if !progress => return Err(PartitionCountError::Undetermined { topic }),
            Some(_) => {}
        }
    }
}

/// The count of a co-partitioned group: the user's topics agree and win, else a fixed count, else
/// the largest.
fn copartitions<'a>(
    group: impl Iterator<Item = &'a TopicName> + Clone,
    external: &BTreeMap<TopicName, i32>,
    fixed: &BTreeMap<TopicName, i32>,
    known: &BTreeMap<TopicName, i32>,
) -> Result<i32, PartitionCountError> {
    for counts in [external, fixed] {
        let mut agreed = group.clone().filter_map(|topic| counts.get_key_value(topic));
        let Some((first, &partitions)) = agreed.next() else {
            continue;
        };
        if let Some((second, &others)) = agreed.find(|(_, others)| **others != partitions) {
            return Err(PartitionCountError::NotCopartitioned {
                first: first.clone(),
                first_partitions: partitions,
                second: second.clone(),
                second_partitions: others,
            });
        }
        return Ok(partitions);
    }
    Ok(group.filter_map(|topic| known.get(topic).copied()).max().unwrap_or(1))
}

fn collect(
    subtopologies: &[Subtopology],
    known: BTreeMap<TopicName, i32>,
    external: &BTreeMap<TopicName, i32>,
) -> PartitionCounts {
    let mut counts = PartitionCounts::default();
    for sub in subtopologies {
        let tasks = sub
            .input_topics()
            .iter()
            .filter_map(|topic| known.get(topic).copied())
            .max()
            .unwrap_or(0);
        counts.tasks.insert(sub.id, tasks);
        for changelog in &sub.changelogs {
            counts.topics.insert(changelog.name.clone(), tasks);
        }
    }
    let internal = known.into_iter().filter(|(topic, _)| !external.contains_key(topic));
    counts.topics.extend(internal);
    counts
}
