//! What members of a group did, in one order, and the judges of it.

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::TopicPartition;

use super::check::{Logged, Violation};

/// One step of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It got its assignment: all that it owns from now on.
    Assigned {
        /// The generation.
        generation: i32,
        /// All that it owns.
        all: Vec<TopicPartition>,
    },
    /// It gave these up of its own will.
    GaveUp(Vec<TopicPartition>),
    /// It was told that these are somebody else's already.
    Lost(Vec<TopicPartition>),
    /// It left the group, or died.
    Gone,
    /// It processed the record at this offset.
    Processed(TopicPartition, i64),
    /// The group told it that this offset is committed.
    Committed(TopicPartition, i64),
}

/// Steps of all members, in order of time; members have numbers that are never used again.
pub type History = Vec<(usize, Step)>;

/// What one member owns.
#[derive(Debug, Default)]
struct Owner {
    generation: i32,
    owned: BTreeSet<TopicPartition>,
    /// Partitions that another member got in this generation while this one held them. A member
    /// that was expelled may not know yet; one that takes part in that generation must.
    suspected: BTreeMap<TopicPartition, (i32, usize)>,
}

/// No partition belongs to two members of one generation, and none is handed on before the member
/// that has it, and takes part in the new generation, has given it up.
#[must_use]
pub fn check_ownership(history: &History) -> Vec<Violation> {
    let mut owners: BTreeMap<usize, Owner> = BTreeMap::new();
    let mut found = Vec::new();
    for (member, step) in history {
        match step {
            Step::Assigned { generation, all } => {
                for (other, owner) in owners.iter_mut().filter(|(other, _)| *other != member) {
                    for partition in all.iter().filter(|one| owner.owned.contains(*one)) {
                        if owner.generation == *generation {
                            found.push(Violation::Shared(partition.clone(), *other, *member));
                        } else if owner.generation < *generation {
                            owner.suspected.insert(partition.clone(), (*generation, *member));
                        }
                    }
                }
                let owner = owners.entry(*member).or_default();
                for (partition, (of, by)) in std::mem::take(&mut owner.suspected) {
                    if of == *generation {
                        found.push(Violation::Shared(partition, *member, by));
                    }
                }
                owner.generation = *generation;
                owner.owned = all.iter().cloned().collect();
            }
            Step::GaveUp(partitions) => {
                let owner = owners.entry(*member).or_default();
                owner.owned.retain(|one| !partitions.contains(one));
            }
            Step::Lost(partitions) => {
                let owner = owners.entry(*member).or_default();
                owner.owned.retain(|one| !partitions.contains(one));
                owner.suspected.clear();
            }
            Step::Gone => drop(owners.remove(member)),
            Step::Processed(..) | Step::Committed(..) => {}
        }
    }
    found
}

/// A record is processed only by a member that owns its partition, at the time and in its view.
#[must_use]
pub fn check_processing(history: &History) -> Vec<Violation> {
    let mut owned: BTreeMap<usize, BTreeSet<TopicPartition>> = BTreeMap::new();
    let mut found = Vec::new();
    for (member, step) in history {
        let mine = owned.entry(*member).or_default();
        match step {
            Step::Assigned { all, .. } => *mine = all.iter().cloned().collect(),
            Step::GaveUp(partitions) | Step::Lost(partitions) => {
                mine.retain(|one| !partitions.contains(one));
            }
            Step::Gone => mine.clear(),
            Step::Processed(partition, offset) if !mine.contains(partition) => {
                let text = format!("{member} got {partition} at {offset}, which it does not own");
                found.push(Violation::Unfounded(text));
            }
            Step::Processed(..) | Step::Committed(..) => {}
        }
    }
    found
}

/// Whenever an offset is committed, every record before it was processed by somebody; with `to_end`
/// every record of the logs was processed in the end.
#[must_use]
pub fn check_at_least_once(
    history: &History,
    logs: &BTreeMap<TopicPartition, Vec<Logged>>,
    to_end: bool,
) -> Vec<Violation> {
    let mut unprocessed: BTreeMap<&TopicPartition, BTreeSet<i64>> = logs
        .iter()
        .map(|(partition, log)| (partition, log.iter().map(|record| record.offset).collect()))
        .collect();
    let mut found = Vec::new();
    for (_, step) in history {
        match step {
            Step::Processed(partition, offset) => {
                let known = unprocessed.get_mut(partition).map(|left| left.remove(offset));
                if known.is_none() {
                    found.push(Violation::Inconsistent(partition.clone(), *offset));
                }
            }
            Step::Committed(partition, offset) => {
                let left = unprocessed.get(partition).and_then(|left| left.first());
                if left.is_some_and(|first| first < offset) {
                    found.push(Violation::CommittedAhead(partition.clone(), *offset));
                }
            }
            _ => {}
        }
    }
    if to_end {
        for (partition, left) in unprocessed {
            found.extend(left.iter().map(|offset| Violation::Unread(partition.clone(), *offset)));
        }
    }
    found
}

/// While one ownership lasts, a member processes each record once and skips none.
#[must_use]
pub fn check_order(
    history: &History,
    logs: &BTreeMap<TopicPartition, Vec<Logged>>,
) -> Vec<Violation> {
    let mut next: BTreeMap<(usize, &TopicPartition), i64> = BTreeMap::new();
    let mut found = Vec::new();
    for (member, step) in history {
        match step {
            Step::Processed(partition, offset) => {
                if let Some(expected) = next.get(&(*member, partition)) {
                    let skipped = logs.get(partition).is_some_and(|log| {
                        let between = *expected..*offset;
                        log.iter().any(|record| between.contains(&record.offset))
                    });
                    if offset < expected {
                        found.push(Violation::Repeated(partition.clone(), *offset));
                    } else if skipped {
                        found.push(Violation::Skipped(partition.clone(), *expected));
                    }
                }
                next.insert((*member, partition), offset + 1);
            }
            Step::GaveUp(partitions) | Step::Lost(partitions) => {
                next.retain(|(of, one), _| of != member || !partitions.contains(one));
            }
            _ => {}
        }
    }
    found
}

/// What is committed in the end is not behind what a member was told is committed.
#[must_use]
pub fn check_commits(
    history: &History,
    committed: &BTreeMap<TopicPartition, i64>,
) -> Vec<Violation> {
    let mut highest: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
    for (_, step) in history {
        if let Step::Committed(partition, offset) = step {
            let entry = highest.entry(partition).or_default();
            *entry = (*entry).max(*offset);
        }
    }
    let lost = highest.into_iter().filter(|(partition, offset)| {
        committed.get(*partition).is_none_or(|committed| committed < offset)
    });
    lost.map(|(partition, offset)| Violation::CommitLost(partition.clone(), offset)).collect()
}
